"""The losses of a run's fits as curves, by epoch and by round."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from hwds.results.learning import read_learning
from hwds.tracking.curves import Curve, plain

FURTHER = re.compile(r"inner window|network ([2-9]|1\d)|\(\d+\)$")
"""Names of fits that are left out where not all are asked for: parts of other fits, and networks after the first."""

CELL = ("model", "fold", "start", "fit")


def learning_curves(folder: Path, own: str, *, every: bool) -> list[Curve]:
    """Return a curve for each fit of a run, a point an epoch or round: `learning/2023-06-01/network_1/validation`.

    Args:
        folder: Of the run, finished or not.
        own: The label of the experiment's model.
        every: Whether rivals, inner windows and all networks that are averaged have theirs, too.
    """
    fits = read_learning(folder).partition_by(CELL, as_dict=True, maintain_order=True)
    wanted = {cell: rows for cell, rows in fits.items() if every or (cell[0] == own and not FURTHER.search(str(cell[3])))}
    several = len({(model, fold, start) for model, fold, start, _ in wanted}) > len({cell[:2] for cell in wanted})
    return [_curve(_name(cell, own, several=several), rows) for cell, rows in wanted.items()]


def _name(cell: tuple[object, ...], own: str, *, several: bool) -> str:
    """Return the beginning of the names of a fit's losses; with the first unit where a fold has several cells."""
    model, fold, start, fit = map(str, cell)
    parts = ["learning", *(["rivals", model] if model != own else []), fold, *([start] if several else []), plain(fit)]
    return "/".join(parts)


def _curve(name: str, rows: pl.DataFrame) -> Curve:
    points = [
        (int(row["step"]), {f"{name}/{loss}": row[loss] for loss in ("train", "validation") if row[loss] is not None})
        for row in rows.iter_rows(named=True)
    ]
    return Curve(str(rows["axis"][0]), tuple(points))
