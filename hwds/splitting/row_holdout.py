"""Holdout of rows: the last of them in time, or a drawn share of their groups where there is no time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from hwds.core.errors import DataError
from hwds.core.recipe import Level, UnitInterval
from hwds.frames.table import Table
from hwds.splitting.fold import Fold
from hwds.splitting.row_windows import Moment, arrivals, last_midnight
from hwds.splitting.rows import HeldOut, RowSplitting, groups_of, hash_of

INSTANT = timedelta(microseconds=1)


class RowHoldout(RowSplitting):
    """Cut rows once.

    Rows with times (role `time`) are cut where the last share of them begins to arrive; what is learned from ends `delay_days`
    before that day. Rows without are cut by their groups (role `group`, or else `entity`): what a group is used for follows
    from its name alone, so that more rows move none.

    Attributes:
        share: The share of the rows, or of the groups, that is scored.
        stop_share: The share of the rows learned from that ends the growth of models early.
        calibrate_share: For calibration, in time after those.
        decide_share: For a decision's thresholds, after those.
    """

    share: Level = 0.2
    stop_share: UnitInterval = 0.1
    calibrate_share: UnitInterval = 0.1
    decide_share: UnitInterval = 0.0

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return the one fold.

        Raises:
            DataError: No row is left to learn from, or to score.
        """
        if frame.roles.get("time"):
            begin, end = self.edges(frame)["test"]
            times = arrivals(frame)
            moments = tuple(Moment(at) for at in (begin, begin + (end - begin) / 2, end))
            return [Fold(0, begin.isoformat(), int(((times >= begin) & (times < end)).sum()), moments)]
        parts = self.part_of_rows(frame)
        for name in ("train", "test"):
            if name not in parts:
                raise DataError(f"protocol.share: {self.share:g} of the groups leaves none to {name}; there are too few.")
        return [Fold(0, "held-out groups", int((parts == "test").sum()), (HeldOut(0),))]

    def edges(self, frame: Table, *, tests: bool = True) -> dict[str, tuple[datetime, datetime]]:
        """Return the beginning and the end (excluded) of each part of rows with times.

        Args:
            frame: All rows.
            tests: Whether rows are held out; else all are learned from whose labels had time to arrive.

        Raises:
            DataError: No row is left to learn from.
        """
        times, end = arrivals(frame).sort(), last_midnight(frame)
        cutoff = times[-max(round(self.share * len(times)), 1)] if tests else end
        # a label arrives by the end of a day, so that of the day of the cutoff itself none has
        stop = cutoff.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=self.delay_days)
        before = times.filter(times < stop)
        later = {"stop": self.stop_share, "calibrate": self.calibrate_share, "decide": self.decide_share if tests else 0.0}
        edges, used = {"test": (cutoff, end)}, 0
        for name in reversed(later):
            used += round(later[name] * len(before))
            begin = before[len(before) - used] if 0 < used < len(before) else stop
            edges[name], stop = (begin, stop), begin
        if used >= len(before):
            raise DataError(
                f"protocol.share: no row is left to learn from, of {len(before)} that arrived {self.delay_days} days or more"
                f" before {cutoff} (protocol.delay_days)."
            )
        edges["train"] = (before[0], stop)
        return edges

    def part_of_rows(self, frame: Table, *, tests: bool = True) -> np.ndarray:
        """Return the use of each row of a table without times: `train`, `stop`, `calibrate`, `decide` or `test`.

        Args:
            frame: All rows.
            tests: Whether groups are held out; else those are learned from, too.
        """
        bounds = np.cumsum([self.stop_share, self.calibrate_share, self.decide_share if tests else 0.0])
        names = groups_of(frame)
        parts = {}
        for name in names.unique():
            place = (hash_of(name, b"holdout") / 2**64 - self.share) / (1 - self.share)
            use = int(np.searchsorted(bounds, place, side="right"))
            parts[name] = ("test" if tests else "train") if place < 0 else ("stop", "calibrate", "decide", "train")[use]
        return names.replace_strict(parts).to_numpy()
