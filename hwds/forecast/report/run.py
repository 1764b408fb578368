"""The pictures of a forecast run, and the part of its report on single series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwds.forecast.report.by_step import by_step_figure
from hwds.forecast.report.forecasts import forecasts_figure
from hwds.forecast.report.series import series_parts
from hwds.frames.panel import Panel
from hwds.report.hooks import TaskReport
from hwds.report.pages.base import Section
from hwds.report.pictures.style import save_png
from hwds.report.standings import Standings
from hwds.results.tables import Tables


def draw(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `forecasts.png`: the typical, the best and the worst series of the experiment's own model."""
    save_png(forecasts_figure(panel, tables.predictions, model), folder / "forecasts.png")


def draw_scores(tables: Tables, board: Standings, folder: Path) -> None:
    """Draw `by_step.png`: errors by their distance from the cutoff, and the coverage of intervals."""
    save_png(by_step_figure(tables, board), folder / "by_step.png")


def sections(tables: Tables, board: Standings, frame: Panel | None) -> Iterator[Section]:
    """Yield a sample of series drawn, and all in a table."""
    parts = tuple(series_parts(tables, board, frame))
    if parts:
        yield Section("Series by series", parts)


REPORT = TaskReport(draw=draw, draw_scores=draw_scores, sections=sections)
