"""The sentence, the table and the picture of a regression."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from hwds.frames.table import Table
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.pictures import new_figure, save_png
from hwds.results.tables import Tables


def sentence(table: Table, tables: Tables, model: str) -> str:
    """Return how far the model is off."""
    error = tables.overall("squared_error").filter(pl.col("model") == model)["value"][0]
    return f"{model} is off by {error**0.5:.3f} of {table.name('outcome')}."


def page_grids(tables: Tables, model: str) -> list[Grid]:
    """Return the largest errors of the model."""
    own = tables.predictions.filter(pl.col("model") == model)
    worst = (
        own.with_columns(error=(pl.col("predicted") - pl.col("actual")).abs())
        .sort("error", descending=True)
        .head(3)
    )
    cells = [[str(row["row_id"]), f"{row['error']:.3f}"] for row in worst.to_dicts()]
    return [grid_of([("row", "row"), ("error", "error")], cells, caption="Largest errors")]


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Write `predicted.png`."""
    own = tables.predictions.filter(pl.col("model") == model)
    figure = new_figure(5, 5)
    figure.subplots().plot(own["actual"], own["predicted"], ".")
    save_png(figure, folder / "predicted.png")


REPORT = TaskReport(
    sentence=sentence,
    page_grids=page_grids,
    draw=draw,
    captions={"predicted.png": "What was predicted against what happened"},
)
