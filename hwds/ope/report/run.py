"""The picture and the sentence of an off-policy evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwds.frames.table import Table
from hwds.ope.report.estimates import estimates_figure
from hwds.ope.report.sentence import conclusion, estimates_grid
from hwds.ope.report.support import arms_grid, groups_grid
from hwds.report.grid import Grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.tables import Tables


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw `estimates.png`: each estimator with its interval, beside the log and, where it is known, the truth."""
    save_png(estimates_figure(tables, model), folder / "estimates.png")


def sentence(table: Table, tables: Tables, model: str) -> str:
    """Return what the log shows of the policy, in a sentence or two."""
    return conclusion(tables, model)


def grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of all estimators and that of the arms."""
    yield from filter(len, (estimates_grid(tables, model), arms_grid(tables)))


def page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the table of groups of the context, for the page."""
    yield groups_grid(tables)


REPORT = TaskReport(sentence=sentence, grids=grids, page_grids=page_grids, draw=draw)
