"""The table of facts about a fit: the first stage of instruments, the spread of groups, the dispersion."""

from __future__ import annotations

from math import isinf

from hwds.elasticity.notes import meaning, notes_of, title
from hwds.elasticity.report.identification import cells_of
from hwds.report.grid import Grid, grid_of
from hwds.results.tables import Tables


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
