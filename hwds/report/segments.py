"""The headline and other metrics by segment: a table for each column of segments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.standings import Standings
from hwds.results.formatting import decimals, fixed
from hwds.results.tables import Tables

MOST = 30
"""The most rows of a table, those with the most units; the others are in the scores."""


def segment_grids(tables: Tables, board: Standings) -> Iterator[tuple[Grid, int]]:
    """Yield a table for each column: segments in rows, models in columns, best first, in each cell mean ± s.e.

    Args:
        tables: The tables of one run.
        board: Its standings, which give the metric and the order of the models.

    Returns:
        Each with the number of smaller segments that it leaves out.
    """
    metrics = [board.headline, *(measure.name for measure in board.beside if measure.beside == "segments")]
    for metric in metrics:
        for column, rows in by_column(tables, metric).items():
            shown = largest(rows, MOST)
            yield _grid(rows, shown, board, f"{metric} by {column}"), rows["segment"].n_unique() - len(shown)


def by_column(tables: Tables, metric: str) -> dict[str, pl.DataFrame]:
    """Return the scores of a metric over all folds and steps by segment, for each column of segments."""
    whole = pl.col("fold").is_null() & pl.col("step").is_null() & (pl.col("aggregate") == "mean")
    scores = tables.scores.filter(whole & (pl.col("metric") == metric) & pl.col("segment_by").is_not_null())
    return {
        str(column): rows for (column,), rows in scores.partition_by("segment_by", as_dict=True, maintain_order=True).items()
    }


def largest(rows: pl.DataFrame, most: int) -> dict[str, int]:
    """Return the segments with the most units, in the order of the scores, and their numbers of units."""
    counts = rows.group_by("segment", maintain_order=True).agg(pl.col("n").max())
    largest_segments = set(counts.sort("n", descending=True, maintain_order=True).head(most)["segment"])
    return {segment: n for segment, n in counts.iter_rows() if segment in largest_segments}


def _grid(rows: pl.DataFrame, shown: dict[str, int], board: Standings, caption: str) -> Grid:
    """Return the table of one column, the segments in the order of the scores."""
    row_of: dict[tuple[str, str], Any] = {(row["model"], row["segment"]): row for row in rows.iter_rows(named=True)}
    models = [line.model for line in board.all]
    cells = {(model, segment): row_of.get((model, segment), {}) for segment in shown for model in models}
    places = decimals([cell.get("value") for cell in cells.values()])
    titles = ["segment", board.units, *(board.called(line) for line in board.all)]
    lines = [[segment, f"{n:,}", *(_cell(cells[model, segment], places) for model in models)] for segment, n in shown.items()]
    return grid_of([(title, title) for title in titles], lines, caption=caption)


def _cell(row: dict[str, Any], places: int) -> str:
    if row.get("value") is None:
        return "none"
    return fixed(row["value"], places) + ("" if row["stderr"] is None else f" ± {fixed(row['stderr'], places)}")
