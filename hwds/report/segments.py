"""The headline, and what else is told by segment: a table for each column that was asked for, for the leaderboard's page."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hwds.report.standings import Standings
from hwds.results.tables import Tables
from hwds.results.wording import decimals, fixed

MOST = 30
"""The most rows of a table: the segments with the most units; the others are in the scores."""


def segment_tables(tables: Tables, board: Standings) -> Iterator[str]:
    """A Markdown section for each column: segments in rows, models in columns, best first, in each cell mean ± s.e.

    Args:
        tables: Of one run.
        board: Its standings, which give the metric and the order of the models.
    """
    whole = pl.col("fold").is_null() & pl.col("step").is_null() & (pl.col("aggregate") == "mean")
    told = [board.headline, *(measure.name for measure in board.beside if measure.beside == "segments")]
    for metric in told:
        scores = tables.scores.filter(whole & (pl.col("metric") == metric) & pl.col("segment_by").is_not_null())
        for (column,), rows in scores.partition_by("segment_by", as_dict=True, maintain_order=True).items():
            yield f"## {metric} by {column}\n\n{_table(rows, board)}\n"


def _table(rows: pl.DataFrame, board: Standings) -> str:
    """One section's table, the segments in the order of the scores."""
    counts = rows.group_by("segment", maintain_order=True).agg(pl.col("n").max())
    largest = counts.sort("n", descending=True, maintain_order=True).head(MOST)["segment"].to_list()
    shown = [segment for segment in counts["segment"] if segment in set(largest)]
    models = [line.model for line in board.all]
    found = {(row["model"], row["segment"]): (row["value"], row["stderr"]) for row in rows.iter_rows(named=True)}
    places = decimals([found.get((model, segment), (None, None))[0] for model in models for segment in shown])
    titles = [board.called(line) for line in board.all]
    units = dict(counts.iter_rows())
    lines = [["segment", board.units, *titles], [":--", *("--:" for _ in range(len(models) + 1))]]
    for segment in shown:
        cells = [_cell(*found.get((model, segment), (None, None)), places) for model in models]
        lines.append([segment, f"{units[segment]:,}", *cells])
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
    left = len(counts) - len(shown)
    return f"{table}\n\n{left} smaller segments are in `scores.parquet`." if left else table


def _cell(value: float | None, stderr: float | None, places: int) -> str:
    if value is None:
        return "none"
    return fixed(value, places) + ("" if stderr is None else f" ± {fixed(stderr, places)}")
