"""Public holidays of a country as a column that is known ahead."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.frames.panel import Panel
from hwds.frames.roles import TIME

COLUMN = "holidays"
"""The name of the column."""


def with_holidays(panel: Panel, country: str) -> Panel:
    """Return a panel with the number of public holidays in each row as a known-future column, `holidays`.

    A row reaches from its instant to that of the next one; one that stands on the last day of its month reaches back to the
    one before it. An hour of a holiday counts 1.

    Args:
        panel: Its time is dates or instants.
        country: An ISO 3166 code, `US` or `DE`, and of a part of it, `US-CA` or `DE-BY`.

    Raises:
        ConfigError: The package is not installed, it knows no such country or part, time is counted in whole numbers, or the
            panel has a column of the name.
    """
    if find_spec("holidays") is None:
        raise ConfigError("dataset.country: needs the package holidays: pip install 'hwds[holidays]'.")
    if not panel.table.schema[TIME].is_temporal():
        raise ConfigError("dataset.country: holidays have dates, and the dataset's time is whole numbers.")
    if COLUMN in panel.table.columns:
        raise ConfigError(f"dataset.country: the dataset has a column '{COLUMN}' already.")
    roles = panel.roles | {"known_future": (*panel.roles.known_future, COLUMN)}
    plan = None if panel.plan is None else counted(panel.plan, panel, country)
    return replace(panel, table=counted(panel.table, panel, country), roles=roles, plan=plan)


def counted(rows: pl.DataFrame, panel: Panel, country: str) -> pl.DataFrame:
    """Return rows with the number of public holidays in each as their column `holidays`.

    Args:
        rows: With the time of each, of the panel or after it.
        panel: Whose frequency says how far a row reaches.
        country: See `with_holidays`.
    """
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.Int32).alias(COLUMN))
    times = rows[TIME].unique().sort()
    first, behind = _spans(panel, times)
    days = _days(country, first.min().year, behind.max().year)  # type: ignore[union-attr]
    counts = np.searchsorted(days, behind.to_numpy()) - np.searchsorted(days, first.to_numpy())
    return rows.with_columns(rows[TIME].replace_strict(times, pl.Series(counts, dtype=pl.Int32)).alias(COLUMN))


def _spans(panel: Panel, times: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the first day of each row, and the first one behind it."""
    if panel.frequency.month_end:
        before, ends = panel.frequency.after(times, -1), times
        return before.dt.date().dt.offset_by("1d"), ends.dt.date().dt.offset_by("1d")
    first, following = times.dt.date(), panel.frequency.after(times, 1).dt.date()
    later = pl.select(pl.max_horizontal(following, first.dt.offset_by("1d"))).to_series()  # of hours, the day
    return first, later


def _days(country: str, first: int, last: int) -> np.ndarray:
    """Return the days of a country's holidays, rising."""
    from holidays import country_holidays, list_supported_countries

    known = list_supported_countries()
    code, _, part = country.partition("-")
    if code not in known:
        raise ConfigError(f"dataset.country: no country '{code}'{nearest(code, known)}")
    if part and part not in known[code]:
        raise ConfigError(f"dataset.country: {code} has no part '{part}'{nearest(part, known[code])}")
    days = country_holidays(code, subdiv=part or None, years=range(first, last + 1))
    return np.unique(np.array(list(days), "datetime64[D]"))
