"""Anomalies and episodes of alarms: stretches of rows of one run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def stretches(flags: np.ndarray, merge: int = 0) -> np.ndarray:
    """Return the first row and the row after the last of each stretch of flags, shape (stretches, 2).

    Args:
        flags: Of the rows of one run, shape (rows,).
        merge: Rows without a flag between two that are still one stretch.
    """
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(begins):
        return np.zeros((0, 2), np.int64)
    apart = begins[1:] - ends[:-1] > merge
    return np.column_stack([begins[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]])


@dataclass(frozen=True)
class RunCounts:
    """Counts of the rows and the anomalies of one run.

    Attributes:
        hits: Anomalous rows that were called so.
        missed: Anomalous rows that were not.
        false: Normal rows that were called anomalous.
        right: Normal rows that were not.
        events: Anomalies.
        seen: Those with an alarm in them.
        fresh: Those in which an episode of alarms begins.
        delays: From the beginning of each that was seen to the first alarm in it, in cycles.
        episodes: Of alarms.
        met: Those that meet an anomaly.
    """

    hits: int
    missed: int
    false: int
    right: int
    events: int
    seen: int
    fresh: int
    delays: tuple[float, ...]
    episodes: int
    met: int


def counts_of(label: np.ndarray, alarm: np.ndarray, cycle: np.ndarray, merge: int) -> RunCounts:
    """Return the counts of one run; rows whose label is not known count for nothing.

    Args:
        label: 1, 0 or NaN, shape (rows,).
        alarm: Which rows are called anomalous, shape (rows,).
        cycle: The age at each row, shape (rows,).
        merge: Rows without an alarm between two that still are one episode.
    """
    known = ~np.isnan(label)
    label, alarm, cycle = label[known], alarm[known], cycle[known]
    ill, well = label == 1, label == 0
    events, episodes = stretches(ill), stretches(alarm, merge)
    firsts = [np.flatnonzero(alarm[a:b]) for a, b in events.tolist()]
    delays = tuple(float(cycle[a + at[0]] - cycle[a]) for (a, _), at in zip(events.tolist(), firsts, strict=True) if len(at))
    fresh = sum(bool(((episodes[:, 0] >= a) & (episodes[:, 0] < b)).any()) for a, b in events.tolist())
    met = sum(bool(ill[a:b].any()) for a, b in episodes.tolist())
    return RunCounts(
        int((alarm & ill).sum()),
        int((~alarm & ill).sum()),
        int((alarm & well).sum()),
        int((~alarm & well).sum()),
        len(events),
        len(delays),
        fresh,
        delays,
        len(episodes),
        met,
    )
