"""The pictures, tables and sentences of runs about sensor anomalies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwds.frames.runs import Runs
from hwds.report.grid import Grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.tables import Tables
from hwds.sensors.report.by_run import by_run_grid
from hwds.sensors.report.sentence import conclusion
from hwds.sensors.report.traces import runs_figure, sensors_figure


def draw(runs: Runs, tables: Tables, model: str, folder: Path) -> None:
    """Draw the scores.

    `sensors.png`: the readings of one run, their score against the limit, anomalies shaded and alarms below;
    `runs.png`: the score of every run, with its anomalies and alarms.
    """
    save_png(sensors_figure(runs, tables, model), folder / "sensors.png")
    save_png(runs_figure(runs, tables, model), folder / "runs.png")


def sentence(runs: Runs, tables: Tables, model: str) -> str:
    """Return what the run says of anomalies."""
    return conclusion(tables, model)


def page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the scores by run."""
    yield by_run_grid(tables, model)


REPORT = TaskReport(sentence=sentence, page_grids=page_grids, draw=draw)
