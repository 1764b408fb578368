"""The pictures, tables and sentences of runs about remaining lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwds.frames.runs import Runs
from hwds.lifetime.report.by_life import by_life_grid
from hwds.lifetime.report.lives import lives_figure, machines_figure
from hwds.lifetime.report.sentence import conclusion
from hwds.report.grid import Grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.tables import Tables


def draw(runs: Runs, tables: Tables, model: str, folder: Path) -> None:
    """Draw the predictions.

    `lives.png`: predicted against remaining lives with intervals, and errors by remaining life; `machines.png`: what was said
    along the lives of six machines, from the shortest to the longest.
    """
    save_png(lives_figure(tables, model, runs.unit), folder / "lives.png")
    save_png(machines_figure(tables, model, runs.unit), folder / "machines.png")


def sentence(runs: Runs, tables: Tables, model: str) -> str:
    """Return what the run says of lives."""
    return conclusion(runs, tables, model)


def page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the errors by remaining life."""
    yield by_life_grid(tables, model)


REPORT = TaskReport(sentence=sentence, page_grids=page_grids, draw=draw)
