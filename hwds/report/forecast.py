"""The pictures of a forecast run."""

from __future__ import annotations

from pathlib import Path

from hwds.frames.panel import Panel
from hwds.report.forecast_plot import forecasts_png
from hwds.results.tables import Tables


def draw(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """`forecasts.png`: the typical, the best and the worst series of the experiment's own model."""
    forecasts_png(panel, tables.predictions, model, folder / "forecasts.png")
