"""Demand instead of sales: what was sold where not all could be served is no demand."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME


def as_demand(panel: Panel, *, unserved: str = "", stock: str = "") -> Panel:
    """Return the panel with demand as its target, unknown (null) where sales do not tell it.

    Args:
        panel: Its target is sales.
        unserved: The past-only column with the share of each row's demand that could not be served: demand is sales over the
            share that could, and unknown where none could; a row without a value was served in full.
        stock: The past-only column with what was left to sell at the end of each row: demand is unknown where nothing was.

    Raises:
        ConfigError: There is no such past-only column.
        DataError: A share is not from 0 to 1.
    """
    demand = pl.col(TARGET)
    if unserved:
        _check_past("unserved", unserved, panel)
        _check_shares(panel, unserved)
        share = pl.col(unserved).fill_null(0.0)
        demand = pl.when(share == 0).then(demand).when(share < 1).then(demand / (1 - share))
    if stock:
        _check_past("stock", stock, panel)
        demand = pl.when((pl.col(stock) > 0) | pl.col(stock).is_null()).then(demand)
    return replace(panel, table=panel.table.with_columns(demand.alias(TARGET)))


def _check_past(field: str, column: str, panel: Panel) -> None:
    if column not in panel.roles.past_only:
        raise ConfigError(f"dataset.{field}: no past-only column '{column}'{nearest(column, panel.roles.past_only)}")


def _check_shares(panel: Panel, column: str) -> None:
    wrong = panel.table.select(~pl.col(column).is_between(0, 1)).to_series().fill_null(False).arg_true()
    if len(wrong):
        row = panel.table.row(wrong[0], named=True)
        where = f"series '{row[SERIES]}' has {row[column]!r} at {row[TIME]}"
        raise DataError(f"dataset.unserved: {where} in column '{column}', not a share from 0 to 1.")
