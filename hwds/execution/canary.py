"""The canary: everything after a cutoff becomes rubbish, and the answers must be bit-identical."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.frames.panel import Panel
from hwds.protocols.base import Cell, Evaluation
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
    """Ask from the frame and from a poisoned one, cutoff by cutoff: None where the answers agree bit for bit.

    The folds are visited last to first, so that a model which carries something from fold to fold is caught as well:
    its second answer differs from its first.
    """
    for fold in reversed(protocol.split(frame)):
        cell = Cell(label, fold, 0, fold.units)
        inside = replace(context, fold=fold.name)
        clean = protocol.ask(model, frame, cell, inside)
        for cutoff in fold.cutoffs:
            rubbish = protocol.poisoned(frame, cutoff, stream(context.seed, "canary", str(cutoff)))
            wanted = protocol.answers(clean, cutoff, frame)
            got = protocol.answers(protocol.ask(model, rubbish, cell, inside), cutoff, rubbish)
            yield compared(label, cutoff.label, wanted, got)


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
    return column.cast(pl.String).fill_null("").to_numpy()
