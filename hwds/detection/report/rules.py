"""The back-test of rules as a table."""

from __future__ import annotations

import polars as pl

from hwds.detection.metrics.rule_scores import HITS, MONEY, RATE
from hwds.report.grid import Grid, grid_of
from hwds.results.formatting import brief, fixed
from hwds.results.tables import Tables

TITLES = (
    ("rule", "rule"),
    ("rows", "rows"),
    ("looked at", "looked at"),
    ("of label 1, %", "hits %"),
    ("95 %", ""),
    ("money in them", "money"),
)


def rules_grid(tables: Tables, model: str) -> Grid:
    """Return the rules of a model on all test rows, those of the highest share of label 1 first; empty where it has none."""
    scores = tables.scores.filter((pl.col("segment_by") == "rule") & (pl.col("model") == model) & pl.col("fold").is_null())
    by = {(row["segment"], row["metric"]): row for row in scores.iter_rows(named=True)}
    names = scores["segment"].unique(maintain_order=True).to_list()
    rated = sorted(names, key=lambda name: -(by.get((name, RATE), {}).get("value") or 0.0))
    rows = []
    for name in rated:
        rate, money = by.get((name, RATE)), by.get((name, MONEY))
        ends = f"{100 * rate['ci_low']:.1f} to {100 * rate['ci_high']:.1f}" if rate else ""
        share, looked = (fixed(100 * rate["value"], 1), f"{rate['n']:,}") if rate else ("", "0")
        hits = f"{by[name, HITS]['value']:,.0f}"
        rows.append((str(name), hits, looked, share, ends, brief(money["value"]) if money else ""))
    return grid_of(TITLES, rows, names=1, caption="Rules on the rows to come:" if rows else "")
