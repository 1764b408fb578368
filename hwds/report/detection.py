"""The pictures and the sentence of a detection run."""

from __future__ import annotations

from pathlib import Path

from hwds.frames.table import Table
from hwds.report.by_week_plot import by_week_png
from hwds.report.cases_plot import cases_png
from hwds.report.detection_words import conclusion
from hwds.report.grid import Grid
from hwds.report.importances import importance_grid
from hwds.report.importances_plot import importances_png
from hwds.report.precision_recall_plot import precision_recall_png
from hwds.report.reliability_plot import reliability_png
from hwds.results.tables import Tables


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """The pictures, each where there is something to draw.

    `precision_recall.png`: precision against recall of every model; `reliability.png`: whether the probabilities of the
    experiment's own model come true; `by_week.png`: average precision in each test window; `cases.png`: the highest scores and
    their reasons; `importances.png`: what its scores are made of.
    """
    precision_recall_png(tables, model, folder / "precision_recall.png")
    reliability_png(tables, model, folder / "reliability.png")
    by_week_png(tables, model, folder / "by_week.png")
    cases_png(tables, model, table.unit, folder / "cases.png")
    importances_png(tables, model, folder / "importances.png")


def page_grids(tables: Tables, model: str) -> list[Grid]:
    """What inputs the scores of each model are made of."""
    return [importance_grid(tables, model)]


def sentence(table: Table, tables: Tables, model: str) -> str:
    """What the run shows, in a few sentences."""
    return conclusion(tables, model)
