"""The pictures, tables and sentences of runs about elasticities."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf
from pathlib import Path

from hwds.elasticity.notes import meaning, notes_of, title
from hwds.elasticity.report.cross import cross_grids
from hwds.elasticity.report.forest import forest_figure
from hwds.elasticity.report.identification import cells_grid, cells_of, status_grid
from hwds.elasticity.report.scatter import scatter_figure
from hwds.elasticity.report.sentence import conclusion, placebo_conclusion
from hwds.frames.panel import Panel
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.tables import Tables


def draw(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `forest.png`: each cell's elasticity with its interval, and the share that its own data decide."""
    save_png(forest_figure(tables, model), folder / "forest.png")


def draw_changes(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `price_changes.png`: predicted against realised changes of demand at held-out price moves."""
    save_png(scatter_figure(tables, model, panel.quantity or panel.unit or "units"), folder / "price_changes.png")


def sentence(panel: Panel, tables: Tables, model: str) -> str:
    """Return what the run says of elasticities."""
    return conclusion(tables, model)


def placebo_sentence(panel: Panel, tables: Tables, model: str) -> str:
    """Return whether prices that are still to come have an effect."""
    return placebo_conclusion(tables, model)


def page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield what prices identify, by status and cell by cell, facts about the fit, and cross elasticities."""
    yield status_grid(tables, model)
    yield notes_grid(tables, model)
    yield from cross_grids(tables, model)
    yield cells_grid(tables, model)


def notes_grid(tables: Tables, model: str) -> Grid:
    """Return a line for each fact that a model tells of its fit: its name, value and meaning."""
    notes = notes_of(cells_of(tables, model))
    rows = [[title(name), _value(value), meaning(name)] for name, value in notes.items()]
    return grid_of([("fact", "fact"), ("value", "value"), ("meaning", "")], rows, caption="About the fit", words=1)


def _value(value: float | None) -> str:
    """Return a number, `none` where no value is compatible with the data."""
    if value is None:
        return "none"
    return "unbounded" if isinf(value) else f"{value:,.4g}"


REPORT = TaskReport(sentence=sentence, page_grids=page_grids, draw=draw)

CHANGES = TaskReport(page_grids=page_grids, draw=draw_changes)

PLACEBO = TaskReport(sentence=placebo_sentence)
