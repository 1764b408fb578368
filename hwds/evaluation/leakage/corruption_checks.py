"""Checks of a protocol's own corruption: a canary that leaves everything as it was proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from hwds.evaluation.corruption.panel import corrupt_panel
from hwds.evaluation.corruption.rows import corrupt_rows
from hwds.evaluation.leakage.leak import PROTOCOL, Leak
from hwds.frames.panel import Panel
from hwds.frames.roles import TARGET
from hwds.frames.table import Table
from hwds.splitting.row_windows import Moment
from hwds.splitting.rows import RowSplitting

ENOUGH = 0.25
"""The share of what is to become rubbish that a corruption must change; columns of few values are often drawn as they were."""


def untouched(protocol: Any, where: str, frame: Any, rubbish: Any, cutoff: Any, rng: np.random.Generator) -> Iterator[Leak]:
    """Yield what of a frame is not known at a cutoff and was not replaced by rubbish."""
    if frame.fingerprint == rubbish.fingerprint:
        yield _told(where, cutoff, f"{type(protocol).__name__}.corrupt_after changes nothing, so that no leak would be seen")
        return
    left = [name for name, changes in _shares(protocol, frame, rubbish, cutoff, rng) if changes < ENOUGH]
    if left:
        yield _told(
            where,
            cutoff,
            f"{type(protocol).__name__}.corrupt_after leaves column {', '.join(map(repr, left))} as it was after the cutoff, so"
            " that a model which reads it there would not be seen",
        )


def unreached(protocol: Any, where: str, clean: pl.DataFrame, rubbish: pl.DataFrame, cutoff: Any) -> Iterator[Leak]:
    """Yield a remark where the rows of a fold, outcomes included, are the same with rubbish after its first cutoff."""
    if clean.height and clean.equals(rubbish):
        yield _told(
            where,
            cutoff,
            f"{type(protocol).__name__}.evaluate_cell gives the same rows and outcomes where all after the cutoff is rubbish:"
            " it does not read the frame that it is given, or corrupt_after changes nothing that is scored",
        )


def blind(protocol: Any, where: str, answers: pl.DataFrame, cutoff: Any) -> Iterator[Leak]:
    """Yield a remark where what is compared holds no answer."""
    keys = {*protocol.keys, protocol.unit, "model", "fold", "cutoff", "series_id", "time", "step"}
    if not set(answers.columns) - keys:
        yield _told(where, cutoff, f"{type(protocol).__name__}.predictions_at keeps no prediction, so that nothing is compared")


def _shares(protocol: Any, frame: Any, rubbish: Any, cutoff: Any, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Yield each column that must become rubbish, and how much of it was changed of what hwds itself would change."""
    clean, wanted, got, names = _tables(protocol, frame, rubbish, cutoff, rng)
    if clean is None or got.height != clean.height:
        return
    for name in names:
        if name not in got.columns:
            continue
        due = clean[name].ne_missing(wanted[name])
        if due.any():
            changed = clean[name].cast(pl.String).ne_missing(got[name].cast(pl.String))
            yield name, float(changed.sum()) / float(due.sum())


def _tables(protocol: Any, frame: Any, rubbish: Any, cutoff: Any, rng: np.random.Generator) -> tuple[Any, Any, Any, list[str]]:
    """Return the rows as they were, as hwds and as the protocol corrupt them, and the columns that are due."""
    if isinstance(frame, Panel) and isinstance(rubbish, Panel) and hasattr(cutoff, "ends"):
        return frame.table, corrupt_panel(frame, cutoff, rng).table, rubbish.table, [TARGET, *frame.roles.past_only]
    if isinstance(frame, Table) and isinstance(cutoff, Moment) and isinstance(protocol, RowSplitting):
        flat = [name for name in frame.inputs if not frame.data.schema[name].is_nested()]
        wanted = corrupt_rows(frame, cutoff.at, protocol.delay_days, rng)
        return frame.data, wanted.data, rubbish.data, [frame.name("label"), *flat]
    return None, None, None, []


def _told(where: str, cutoff: Any, shows: str) -> Leak:
    return Leak(where, cutoff.label, check=PROTOCOL, shows=shows)
