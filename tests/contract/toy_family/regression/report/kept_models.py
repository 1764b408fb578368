"""The errors that a decision read."""

from __future__ import annotations

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from regression.decisions.keep_model import KeepVerdict


def grid(verdict: KeepVerdict) -> Grid:
    """Return the squared error of every model."""
    cells = [[row["model"], f"{row['value']:.3f}"] for row in verdict.errors.to_dicts()]
    return grid_of(
        [("model", "model"), ("squared error", "squared error")], cells, caption="What was kept"
    )


REPORT = TableReport(grid=grid)
