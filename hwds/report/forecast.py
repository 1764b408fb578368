"""The pictures of a forecast run, and the part of its report on single series."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwds.frames.panel import Panel
from hwds.report.by_step_plot import by_step_png
from hwds.report.forecast_plot import forecasts_png
from hwds.report.page import Section
from hwds.report.series import series_parts
from hwds.report.standings import Standings
from hwds.results.tables import Tables


def draw(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """`forecasts.png`: the typical, the best and the worst series of the experiment's own model."""
    forecasts_png(panel, tables.predictions, model, folder / "forecasts.png")


def draw_scores(tables: Tables, board: Standings, folder: Path) -> None:
    """`by_step.png`: errors by their distance from the cutoff, and whether intervals hold what they promise."""
    by_step_png(tables, board, folder / "by_step.png")


def sections(tables: Tables, board: Standings, frame: Panel | None) -> Iterator[Section]:
    """A sample of series drawn, and all in a table."""
    parts = tuple(series_parts(tables, board, frame))
    if parts:
        yield Section("Series by series", parts)
