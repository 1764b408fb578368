"""The canary: everything after a cutoff becomes rubbish, and the answers must be bit-identical."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Recipe
from hwds.core.seeds import stream
from hwds.evaluation.abilities import LeakTestable
from hwds.evaluation.base import Cell, Evaluation
from hwds.evaluation.context import RunContext
from hwds.evaluation.corruption.rows import corrupt_rows
from hwds.frames.panel import Panel
from hwds.frames.table import Table
from hwds.splitting.fold import Fold
from hwds.splitting.row_windows import arrivals, as_known, label_arrivals


@dataclass(frozen=True, slots=True)
class Leak:
    """A place where answers changed with what could not be known.

    Attributes:
        where: The model or feature set.
        fold: The fold or cutoff.
        changed: How many answers changed.
        asked: Of how many.
    """

    where: str
    fold: str
    changed: int
    asked: int

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.where} at {self.fold}: {self.changed} of {self.asked} answers changed with the data after the cutoff."


def canary(protocol: Evaluation[Any, Any], label: str, model: Recipe, frame: Any, context: RunContext) -> Iterator[Leak | None]:
    """Ask from the frame and from a poisoned one, cutoff by cutoff: None where the settled answers agree bit for bit.

    The folds are visited last to first, so that a model which carries something from fold to fold is caught as well:
    its second answer differs from its first.

    Raises:
        ConfigError: The protocol is not `LeakTestable`.
    """
    if not isinstance(protocol, LeakTestable):
        raise ConfigError(f"check-leakage: protocol '{protocol.name}' predicts nothing that a later row could change.")
    folds = protocol.split(frame)
    clean = {fold.index: _asked(protocol, label, model, frame, fold, context) for fold in reversed(folds)}
    for fold in reversed(folds):
        read = [other for other in folds if other.index <= fold.index] if protocol.postprocess_needs_earlier_folds else [fold]
        settled = _settled(protocol, [clean[other.index] for other in read], fold)
        for cutoff in fold.cutoffs:
            rubbish = protocol.corrupt_after(frame, cutoff, stream(context.seed, "canary", str(cutoff)))
            got = _settled(protocol, [_asked(protocol, label, model, rubbish, other, context) for other in read], fold)
            wanted = protocol.predictions_at(settled, cutoff, frame)
            yield compared(label, cutoff.label, wanted, protocol.predictions_at(got, cutoff, rubbish))


def _asked(
    protocol: Evaluation[Any, Any], label: str, model: Recipe, frame: Any, fold: Fold, context: RunContext
) -> pl.DataFrame:
    """Return the raw rows of a fold, as a run would give them to be settled."""
    rows = protocol.evaluate_cell(model, frame, Cell(label, fold, 0, fold.units), replace(context, fold=fold.name))
    return rows.select(pl.lit(fold.index, pl.Int32).alias("fold"), pl.all()) if rows.width else rows


def _settled(protocol: Evaluation[Any, Any], rows: list[pl.DataFrame], fold: Fold) -> pl.DataFrame:
    """Return the settled rows of a fold, from the raw ones of all that settling reads."""
    there = [part for part in rows if part.width]
    return protocol.postprocess(pl.concat(there)).filter(pl.col("fold") == fold.index).drop("fold") if there else pl.DataFrame()


def features_canary(label: str, features: Any, panel: Panel, horizon: int) -> Iterator[Leak | None]:
    """Compute features from the panel and from poisoned ones: rows up to the first one after the cut must agree bit for bit."""
    names = [feature.name for feature in features.columns(panel.roles, horizon).features]
    if not names:
        return
    clean = features.compute(panel).table.select(names)
    longest = int(panel.lengths.max())
    for back in sorted({1, longest // 3, 2 * longest // 3} - {0}, reverse=True):
        first = np.repeat(np.maximum(panel.lengths - back, 0), panel.lengths)
        rng = stream(0, "canary", back)
        columns = ("target", *panel.roles.past_only)
        rubbish = {name: pl.Series(1e6 * rng.standard_normal(len(first))) for name in columns}
        late = pl.Series(panel.positions >= first)
        table = panel.table.with_columns(
            pl.when(late).then(values).otherwise(pl.col(name)).alias(name) for name, values in rubbish.items()
        )
        known = pl.Series(panel.positions <= first)
        got = features.compute(replace(panel, table=table)).table.select(names)
        yield compared(label, f"end-{back}", clean.filter(known), got.filter(known))


def row_features_canary(label: str, features: Any, table: Table, delay: int) -> Iterator[Leak | None]:
    """Compute features of rows, and again where all that arrived after an instant is rubbish: earlier rows must agree.

    The instants are the quarters of the rows. What a learner is given of its training window is compared as well, not only
    what is scored: by its end labels have arrived that a row's own moment did not know.

    Args:
        label: How the feature set is called.
        features: Row features.
        table: Rows, with labels.
        delay: Days until labels arrive, where no column tells.
    """
    times = arrivals(table)
    until = max(value for value in (times.max(), label_arrivals(table, delay).max()) if value is not None)
    clean = features.compute(as_known(table, until, delay))
    for part in (1, 2, 3):
        instant = times.sort()[part * len(times) // 4]
        rubbish = corrupt_rows(table, instant, delay, stream(0, "canary", part))
        early = (times <= instant).fill_null(False)
        got = features.compute(as_known(rubbish, until, delay))
        yield compared(label, str(instant), clean.filter(early), got.filter(early))


def compared(where: str, fold: str, wanted: pl.DataFrame, got: pl.DataFrame) -> Leak | None:
    """Return None where two tables hold the same bits, else the leak."""
    if wanted.height != got.height:
        return Leak(where, fold, abs(wanted.height - got.height), max(wanted.height, got.height))
    same = np.ones(wanted.height, bool)
    for name in wanted.columns:
        same &= _bits(wanted[name]) == _bits(got[name])
    return None if same.all() else Leak(where, fold, int((~same).sum()), len(same))


def _bits(column: pl.Series) -> np.ndarray:
    """Return a column as something that is equal only where the bits are: floats as integers."""
    if column.dtype == pl.Float64:
        return column.fill_null(float("nan")).to_numpy().view(np.int64)
    if column.dtype == pl.Float32:
        return column.fill_null(float("nan")).to_numpy().view(np.int32)
    if isinstance(column.dtype, pl.Array):
        return np.array([values.tobytes() for values in column.to_numpy()], object)
    return column.cast(pl.String).fill_null("").to_numpy()
