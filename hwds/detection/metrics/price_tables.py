"""Price tables and costs by pairs of channels that a user gives, as files."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.reading.files import read
from hwds.frames.reading.text import USUAL, TextFormat

PRICES = ("sku", "channel", "price")
PAIRS = ("bought_in", "sold_in")
SHARES = ("duty", "risk")


def listed_prices(path: str, last: Any, form: TextFormat = USUAL) -> pl.DataFrame:
    """Return the prices of a table that hold on a day, in the columns of `Reselling.lines`: one line a price.

    Args:
        path: Of the file; see `ArbitrageThresholds.prices`.
        last: The day.
        form: How a text file is written.

    Raises:
        DataError: The file cannot be read, lacks a column, or has a price that is none.
    """
    table = _read("prices", path, form, PRICES, ("price",))
    if "since" in table.columns:
        day = last.date() if hasattr(last, "date") else last
        begun = table.with_columns(_days(table["since"], path)).filter(pl.col("since") <= day)
        table = begun.sort("since", maintain_order=True)
    cell = [name for name in ("sku", "channel", "region") if name in table.columns]
    now = table.group_by(cell, maintain_order=True).agg(pl.col("price").last())
    region = pl.col("region").cast(pl.String).fill_null("") if "region" in cell else pl.lit("")
    return now.select(
        pl.col("sku").cast(pl.String),
        pl.col("channel").cast(pl.String),
        region.alias("region"),
        pl.lit(0.0).alias("quantity"),
        pl.col("price").alias("unit_price"),
        pl.lit(None, pl.Float64).alias("street_price"),
    )


def _days(since: pl.Series, path: str) -> pl.Series:
    days = since.str.to_date("%Y-%m-%d", strict=False) if since.dtype == pl.String else since
    bad = days.is_null().arg_true()
    if not days.dtype.is_temporal() or len(bad):
        shown = since[bad[0]] if len(bad) else since[0]
        raise DataError(f"decision.prices: 'since' of '{path}' must be a day such as 2024-03-01, got {shown}.")
    return days.cast(pl.Date)


def pair_costs(path: str, form: TextFormat = USUAL) -> pl.DataFrame:
    """Return what reselling between two channels costs: `bought_in, sold_in` and any of `freight, duty, risk`.

    Raises:
        DataError: The file cannot be read, lacks a column, has a cost that is none, or a pair twice.
    """
    table = _read("pair_costs", path, form, PAIRS, ("freight", *SHARES))
    again = table.filter(pl.struct(PAIRS).is_duplicated())
    if len(again):
        pair = " to ".join(str(again[name][0]) for name in PAIRS)
        raise DataError(f"decision.pair_costs: '{path}' has {pair} more than once.")
    return table


def _file(field: str, path: str, form: TextFormat) -> pl.DataFrame:
    """Return the rows of a file as `dataset=file` reads them; refusals name the field of the decision."""
    try:
        return read(path, form=form).table
    except (ConfigError, DataError) as error:
        said = str(error).replace("dataset.path", f"decision.{field}").replace("dataset.", "decision.")
        raise type(error)(said) from error


def _read(field: str, path: str, form: TextFormat, names: tuple[str, ...], numbers: tuple[str, ...]) -> pl.DataFrame:
    table = _file(field, path, form)
    for name in names:
        if name not in table.columns:
            raise DataError(f"decision.{field}: '{path}' has no column '{name}'{nearest(name, table.columns)}")
    for name in (name for name in numbers if name in table.columns):
        values = table[name].cast(pl.Float64, strict=False)
        bad = (values.is_null() | ~values.is_finite() | (values < 0) | ((values > 1) & (name in SHARES))).arg_true()
        if len(bad):
            wanted = "a share from 0 to 1" if name in SHARES else "a number >= 0"
            shown = f"'{name}' in row {bad[0] + 1} of '{path}' must be {wanted}, got {table[name][bad[0]]}"
            raise DataError(f"decision.{field}: {shown}.")
        table = table.with_columns(values.alias(name))
    return table
