"""A table of errors and intervals by how long machines still lasted."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.lifetime.report.lives import HIGH, LOW, known_rows
from hwds.report.grid import Grid, grid_of
from hwds.results.tables import Tables

BOUNDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""The parts of the longest capped life by which predictions are told apart; the last is open."""


def by_life_grid(tables: Tables, model: str) -> Grid:
    """Return the errors of points and what intervals hold, by the remaining life."""
    titles = [("remaining life", "life"), ("predictions", "n"), ("root mean squared error", "rmse"), ("mean error", "bias")]
    titles += [("within the 90 % interval", "coverage"), ("its width", "width")]
    rows = known_rows(tables, model)
    if rows.is_empty():
        return grid_of(titles, [])
    name = tables.headline("rmse_capped", model).get("metric", "")
    cap = float(name.partition("cap=")[2].rstrip("]") or rows["actual"].max())  # type: ignore[arg-type]
    edges = [part * cap for part in BOUNDS]
    cells = [_part(rows, low, high, cap) for low, high in zip(edges, [*edges[1:], np.inf], strict=True)]
    return grid_of(titles, [each for each in cells if each], caption="By how long machines still lasted; points are capped")


def _part(rows: pl.DataFrame, low: float, high: float, cap: float) -> list[str]:
    part = rows.filter((pl.col("actual") > low) & (pl.col("actual") <= high))
    if part.is_empty():
        return []
    actual = part["actual"].to_numpy()
    error = np.minimum(part["predicted"].to_numpy(), cap) - np.minimum(actual, cap)
    inside = (actual >= part[LOW].to_numpy()) & (actual <= part[HIGH].to_numpy())
    width = float((part[HIGH] - part[LOW]).to_numpy().mean())
    return [
        f"{low:g} to {high:g}" if np.isfinite(high) else f"above {low:g}",
        f"{len(part):,}",
        f"{np.sqrt((error**2).mean()):.1f}",
        f"{error.mean():+.1f}",
        f"{100 * inside.mean():.0f} %",
        f"{width:.0f}",
    ]
