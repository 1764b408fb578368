"""The pictures and the sentence of a detection run."""

from __future__ import annotations

from pathlib import Path

from hwds.detection.report.by_week import by_week_figure
from hwds.detection.report.cases import cases_figure
from hwds.detection.report.importances import importance_grid
from hwds.detection.report.importances_plot import importances_figure
from hwds.detection.report.precision_recall import precision_recall_figure
from hwds.detection.report.reliability import reliability_figure
from hwds.detection.report.rules import rules_grid
from hwds.detection.report.sentence import conclusion
from hwds.frames.table import Table
from hwds.report.grid import Grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.tables import Tables


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures, each where there is something to draw.

    `precision_recall.png`: precision against recall of every model; `reliability.png`: whether the probabilities of the
    experiment's own model come true; `by_week.png`: average precision in each test window; `cases.png`: the highest scores and
    their reasons; `importances.png`: what its scores are made of.
    """
    label = f"{table.name('label')} = 1"
    save_png(precision_recall_figure(tables, model, label), folder / "precision_recall.png")
    save_png(reliability_figure(tables, model, label), folder / "reliability.png")
    save_png(by_week_figure(tables, model), folder / "by_week.png")
    save_png(cases_figure(tables, model, table.unit), folder / "cases.png")
    save_png(importances_figure(tables, model), folder / "importances.png")


def page_grids(tables: Tables, model: str) -> list[Grid]:
    """Return the grid of importances of each model, and that of rules."""
    return [importance_grid(tables, model), rules_grid(tables, model)]


def sentence(table: Table, tables: Tables, model: str) -> str:
    """Return the conclusion of the run in a few sentences."""
    return conclusion(tables, model)


REPORT = TaskReport(sentence=sentence, page_grids=page_grids, draw=draw)
