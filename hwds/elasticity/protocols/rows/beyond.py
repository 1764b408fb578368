"""Demand at planned prices: what a fitted model expects to be sold after the last rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.elasticity.design.columns import price_column
from hwds.elasticity.fitted import FittedElasticities
from hwds.elasticity.protocols.rows.cells import offers
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.splitting.cutoffs import Cutoff, future_of, known_at


def demand_beyond(fitted: FittedElasticities, panel: Panel, cutoff: Cutoff, horizon: int) -> pl.DataFrame:
    """Return the units that are expected at the planned prices, a row for each cell and period that has one.

    Columns: `series_id`, `cutoff`, `time`, `price`, `elasticity`, `units`; `units_low` and `units_high`, at the ends of the
    elasticity's interval and the same level at the cell's mean price: neither the level's error nor that of single weeks is in
    them; `beyond`, whether the price is outside of those observed.

    Args:
        fitted: To all rows of the same cells.
        panel: The rows, with a plan of prices.
        cutoff: Its end.
        horizon: Periods after it.

    Raises:
        DataError: There is no planned price, or the cells are not those that the model was fitted to.
    """
    _check_cells(fitted, panel)
    price = price_column(panel)
    future = future_of(panel, np.arange(panel.n_series), cutoff.ends(panel), horizon)
    if future.table[price].null_count() == len(future.table):
        raise DataError(f"predict: column '{price}' has no value after {panel.table[TIME].max()!s}; --future FILE plans it.")
    rows, design = _expected(fitted, known_at(panel, cutoff), future), fitted.design
    ranges = pl.DataFrame({SERIES: design.names[SERIES]}).hstack(offers(design, panel).select("low", "high"))
    outside = (pl.col("price") < pl.col("low")) | (pl.col("price") > pl.col("high"))
    known = rows.join(ranges, SERIES, "left", maintain_order="left").with_columns(outside.alias("beyond"))
    names = (SERIES, TIME, "price", "elasticity", "units", "units_low", "units_high", "beyond")
    return known.select(pl.lit(cutoff.label).alias("cutoff"), *names).select(SERIES, "cutoff", *names[1:])


def _expected(fitted: FittedElasticities, history: Panel, future: Panel) -> pl.DataFrame:
    """Return the expected units of the rows of the future that have a price."""
    both = history.followed_by(future)
    cell, price = np.repeat(np.arange(both.n_series), both.lengths), both.values(price_column(both))
    logs, table = fitted.log_demand(both), fitted.table
    away = np.log(price) - fitted.design.centres[cell]
    slope, low, high = (table[name].to_numpy()[cell] for name in ("elasticity", "ci_low", "ci_high"))
    ends = np.stack([logs + (end - slope) * away for end in (low, high)])
    columns = {
        "price": price,
        "elasticity": slope,
        "units": np.exp(logs),
        "units_low": np.exp(ends.min(axis=0)),
        "units_high": np.exp(ends.max(axis=0)),
    }
    numbers = [pl.Series(name, values, pl.Float64).fill_nan(None) for name, values in columns.items()]
    rows = both.table.select(SERIES, TIME).with_columns(numbers)
    return rows.join(future.table.select(SERIES, TIME), [SERIES, TIME], "semi", maintain_order="left").drop_nulls("price")


def _check_cells(fitted: FittedElasticities, panel: Panel) -> None:
    own, asked = set(fitted.design.names[SERIES].to_list()), set(panel.series_ids.to_list())
    for names, what in ((asked - own, "was not there when the model was fitted"), (own - asked, "is missing")):
        if names:
            raise DataError(f"dataset: series '{min(names)}' {what}; predict needs the cells that the model was fitted to.")
