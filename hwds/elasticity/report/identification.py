"""Tables of what prices identify: cells by status, and cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from hwds.frames.roles import SERIES
from hwds.pricing.demand_evidence import STATUSES
from hwds.report.grid import Grid, grid_of
from hwds.results.tables import Tables

MEANINGS = {
    "identified": "its own prices identify its elasticity",
    "weak": "its own prices hardly do: few changes, little that is its own, or few units",
    "no_variation": "its price never changed, or it sold nothing",
    "endogenous?": "its price seems to answer its demand",
}

MOST_CELLS = 80
"""Cells of which the page has a row."""


def cells_of(tables: Tables, model: str) -> pl.DataFrame:
    """Return the rows of one model, a cell each: of several samples or windows the first; empty where there are none."""
    rows = tables.predictions
    if SERIES not in rows.columns:
        return pl.DataFrame()
    return rows.filter(pl.col("model") == model).unique(SERIES, keep="first", maintain_order=True)


def level_of(tables: Tables) -> str:
    """Return the level of the intervals of cells in words: `95 %`."""
    known = tables.metrics.filter(pl.col("metric") == "mean_elasticity")
    return f"{100 * (known['confidence'][0] if len(known) else 0.95):g} %"


def status_grid(tables: Tables, model: str) -> Grid:
    """Return the number of cells of each status, with what their prices have in common."""
    cells = cells_of(tables, model)
    titles = [("status", "status"), ("cells", "cells"), ("price changes", "changes"), ("own sd of log price", "own sd")]
    titles += [("common with the period", "common"), ("rows", "rows"), ("meaning", "")]
    if cells.is_empty():
        return grid_of(titles, [])
    rows = [_of_status(cells.filter(pl.col("status") == status), status) for status in STATUSES]
    caption = "What prices identify: medians over the cells of each status"
    return grid_of(titles, [row for row in rows if row[1] != "0"], caption=caption, words=1)


def _of_status(cells: pl.DataFrame, status: str) -> list[str]:
    if cells.is_empty():
        return [status, "0", "", "", "", "", ""]
    changes, own, common, rows = (
        float(np.median(cells[name].to_numpy())) for name in ("price_changes", "sd_net", "common", "rows")
    )
    shares = f"{100 * common:.0f} %"
    return [status, f"{len(cells):,}", f"{changes:.0f}", f"{own:.3f}", shares, f"{rows:.0f}", MEANINGS[status]]


def cells_grid(tables: Tables, model: str) -> Grid:
    """Return each cell's answer and what its prices identify, at most `MOST_CELLS` of them evenly over all."""
    cells = cells_of(tables, model)
    titles = [("cell", "cell"), ("elasticity", "elasticity"), (f"{level_of(tables)} interval", "interval"), ("own data", "own")]
    titles += [("rows", "rows"), ("price changes", "changes"), ("prices", "prices"), ("own sd of log price", "own sd")]
    titles += [("common with the period", "common"), ("lead", "lead"), ("lag", "lag"), ("stock-outs", "out")]
    titles += [("status", "status"), ("reason", "")]
    step = -(-len(cells) // MOST_CELLS) if len(cells) else 1
    shown = cells.gather_every(step) if len(cells) else cells
    every = "" if step == 1 else f", one in {step} of {len(cells):,}"
    return grid_of(titles, [_cell(row) for row in shown.to_dicts()], caption=f"Cell by cell{every}", words=2)


def _cell(row: Mapping[str, Any]) -> list[str]:
    def number(name: str, form: str) -> str:
        return "" if row.get(name) is None else format(row[name], form)

    interval = "" if row.get("ci_low") is None else f"{row['ci_low']:.2f} to {row['ci_high']:.2f}"
    weight = "" if row.get("weight_own") is None else f"{100 * row['weight_own']:.0f} %"
    return [
        row[SERIES],
        number("elasticity", ".2f"),
        interval,
        weight,
        number("rows", ",d"),
        number("price_changes", ",d"),
        number("distinct_prices", ",d"),
        number("sd_net", ".3f"),
        f"{100 * row['common']:.0f} %",
        number("lead", "+.2f"),
        number("lag_correlation", "+.2f"),
        f"{100 * row['stock_outs']:.0f} %",
        row["status"],
        row["reason"],
    ]
