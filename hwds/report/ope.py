"""The picture and the sentence of an off-policy evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwds.frames.table import Table
from hwds.report.grid import Grid
from hwds.report.ope_plot import estimates_png
from hwds.report.ope_words import conclusion, estimates_grid
from hwds.results.tables import Tables


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """`estimates.png`: what each estimator says, with its interval, beside the log and, where it is known, the truth."""
    estimates_png(tables, model, folder / "estimates.png")


def sentence(table: Table, tables: Tables, model: str) -> str:
    """What the log tells of the policy, in a sentence or two."""
    return conclusion(tables, model)


def grids(tables: Tables, model: str) -> Iterator[Grid]:
    """For the terminal: what each estimator says."""
    made = estimates_grid(tables, model)
    if len(made):
        yield made
