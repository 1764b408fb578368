"""The canary: everything after a cutoff becomes rubbish, and the answers must be bit-identical."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.frames.panel import Panel
from hwds.frames.table import Table
from hwds.protocols.base import Cell, Evaluation, Fold
from hwds.protocols.row_poisoning import poisoned_rows
from hwds.protocols.row_windows import arrivals, as_known, label_arrivals
from hwds.recipe import Recipe
from hwds.seeds import stream


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
        """One line."""
        return f"{self.where} at {self.fold}: {self.changed} of {self.asked} answers changed with the data after the cutoff."


def canary(protocol: Evaluation[Any, Any], label: str, model: Recipe, frame: Any, context: Context) -> Iterator[Leak | None]:
    """Ask from the frame and from a poisoned one, cutoff by cutoff: None where the settled answers agree bit for bit.

    The folds are visited last to first, so that a model which carries something from fold to fold is caught as well:
    its second answer differs from its first.
    """
    folds = protocol.split(frame)
    clean = {fold.index: _asked(protocol, label, model, frame, fold, context) for fold in reversed(folds)}
    for fold in reversed(folds):
        read = [other for other in folds if other.index <= fold.index] if protocol.settles_across else [fold]
        settled = _settled(protocol, [clean[other.index] for other in read], fold)
        for cutoff in fold.cutoffs:
            rubbish = protocol.poisoned(frame, cutoff, stream(context.seed, "canary", str(cutoff)))
            got = _settled(protocol, [_asked(protocol, label, model, rubbish, other, context) for other in read], fold)
            wanted = protocol.answers(settled, cutoff, frame)
            yield compared(label, cutoff.label, wanted, protocol.answers(got, cutoff, rubbish))


def _asked(protocol: Evaluation[Any, Any], label: str, model: Recipe, frame: Any, fold: Fold, context: Context) -> pl.DataFrame:
    """The raw rows of a fold, as a run would give them to be settled."""
    rows = protocol.ask(model, frame, Cell(label, fold, 0, fold.units), replace(context, fold=fold.name))
    return rows.select(pl.lit(fold.index, pl.Int32).alias("fold"), pl.all()) if rows.width else rows


def _settled(protocol: Evaluation[Any, Any], rows: list[pl.DataFrame], fold: Fold) -> pl.DataFrame:
    """The settled rows of a fold, from the raw ones of all that settling reads."""
    there = [part for part in rows if part.width]
    return protocol.settle(pl.concat(there)).filter(pl.col("fold") == fold.index).drop("fold") if there else pl.DataFrame()


def features_canary(label: str, features: Any, panel: Panel, horizon: int) -> Iterator[Leak | None]:
    """Compute features from the panel and from poisoned ones: rows up to the first one after the cut must agree bit for bit."""
    names = [feature.name for feature in features.columns(panel.roles, horizon).features]
    if not names:
        return
    clean = features.compute(panel).table.select(names)
    longest = int(panel.lengths.max())
    for back in sorted({1, longest // 3, 2 * longest // 3} - {0}, reverse=True):
        first = np.repeat(np.maximum(panel.lengths - back, 0), panel.lengths)
        luck = stream(0, "canary", back)
        columns = ("target", *panel.roles.past_only)
        rubbish = {name: pl.Series(1e6 * luck.standard_normal(len(first))) for name in columns}
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
        rubbish = poisoned_rows(table, instant, delay, stream(0, "canary", part))
        early = (times <= instant).fill_null(False)
        got = features.compute(as_known(rubbish, until, delay))
        yield compared(label, str(instant), clean.filter(early), got.filter(early))


def compared(where: str, fold: str, wanted: pl.DataFrame, got: pl.DataFrame) -> Leak | None:
    """None where two tables hold the same bits."""
    if wanted.height != got.height:
        return Leak(where, fold, abs(wanted.height - got.height), max(wanted.height, got.height))
    same = np.ones(wanted.height, bool)
    for name in wanted.columns:
        same &= _bits(wanted[name]) == _bits(got[name])
    return None if same.all() else Leak(where, fold, int((~same).sum()), len(same))


def _bits(column: pl.Series) -> np.ndarray:
    """A column as something that is equal only where the bits are: floats as integers."""
    if column.dtype == pl.Float64:
        return column.fill_null(float("nan")).to_numpy().view(np.int64)
    if column.dtype == pl.Float32:
        return column.fill_null(float("nan")).to_numpy().view(np.int32)
    if isinstance(column.dtype, pl.Array):
        return np.array([values.tobytes() for values in column.to_numpy()], object)
    return column.cast(pl.String).fill_null("").to_numpy()
