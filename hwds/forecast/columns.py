"""Columns of feature sets: a sorted panel read as whole columns, sliding windows, cycles,
checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import tau
from typing import Annotated, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Once, Steps, ZeroSteps
from hwds.forecast.covariates import split_frequency
from hwds.frames.features.base import Feature
from hwds.frames.panel import Panel
from hwds.frames.roles import ROLES, SERIES, TARGET, TIME, Roles

# Mean and standard deviation of sliding windows, each value made of the rows of its own window
# and of nothing else.

BLOCK = 8_192
"""Rows worked on at a time, so that the scratch arrays stay in the processor's second-level cache.
"""

Sums = tuple[ndarray, ndarray]
"""The sums of windows of one size, and their sums of squares about the mean; entry i ends at row i
+ (size - 1) stride.
"""


def window_moments(
    values: ndarray, sizes: Iterable[int], stride: int = 1
) -> dict[int, tuple[ndarray, ndarray]]:
    """Return mean and standard deviation (n - 1) of the rows t, t - stride, ..., t - (size - 1)
    stride, for every t.

    A window is put together from its two halves, or from its earliest row and the others (Chan,
    Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances,
    1979). No running sum goes along the column, so that a value has the same bits wherever its
    window stands and whatever stands before it, and the error grows with the logarithm of the size.

    Args:
        values: The column, shape (rows,), NaN where unknown.
        sizes: Rows in a window, each at least 1.
        stride: Rows from one row of a window to the next.

    Returns:
        By size, two arrays of shape (rows,): NaN where the window is not whole or has a NaN; a
        window of one row has no standard deviation.
    """
    moments = {
        size: (np.empty(len(values)), np.empty(len(values))) for size in dict.fromkeys(sizes)
    }
    span = (max(moments, default=1) - 1) * stride
    block = max(BLOCK, 4 * span)
    # Windows that straddle two series are masked by the caller, so what overflows in them is of no
    # interest.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(values), block):
            part = values[max(start - span, 0) : start + block]
            sums = {1: (part, np.zeros_like(part))}
            for size, (mean, deviation) in moments.items():
                rows = slice(start, start + block)
                _write(_sums(sums, size, stride), size, mean[rows], deviation[rows])
    return moments


def _sums(known: dict[int, Sums], size: int, stride: int) -> Sums:
    if size not in known:
        early = 1 if size % 2 else size // 2
        late = size - early
        parts = _sums(known, late, stride), late, _sums(known, early, stride), early
        known[size] = _combine_windows(*parts, stride)
    return known[size]


def _combine_windows(late: Sums, n: int, early: Sums, k: int, stride: int) -> Sums:
    """Combine windows of the latest n rows and of the k before them into windows of n + k rows."""
    rows = max(len(early[0]) - n * stride, 0)
    late_sum, late_squares = (values[len(values) - rows :] for values in late)
    early_sum, early_squares = (values[:rows] for values in early)
    squares = late_sum - early_sum * (n / k) if n != k else late_sum - early_sum
    squares *= squares
    squares *= k / (n * (n + k))
    if n > 1:  # a single row has no squares about its mean
        squares += late_squares
    if k > 1:
        squares += early_squares
    return late_sum + early_sum, squares


def _write(sums: Sums, size: int, mean: ndarray, deviation: ndarray) -> None:
    rows = min(len(mean), len(sums[0]))
    first = len(mean) - rows
    mean[:first] = deviation[:first] = np.nan
    np.divide(sums[0][len(sums[0]) - rows :], size, out=mean[first:])
    if size == 1:
        deviation[:] = np.nan
        return
    np.divide(sums[1][len(sums[1]) - rows :], size - 1, out=deviation[first:])
    np.sqrt(deviation, out=deviation)


# Source of features: a sorted panel, read as whole columns with a mask where a series begins.

POSITION = "__position__"

Moments = dict[int, tuple[pl.Expr, pl.Expr]]


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """A feature and how it is computed."""

    feature: Feature
    make: Callable[[FeatureSource], pl.Expr]


class FeatureSource:
    """A panel whose features are being computed.

    Attributes:
        panel: The panel.
        season: Rows in a season.
    """

    def __init__(self, panel: Panel, season: int = 0) -> None:
        self.panel = panel
        self.season = season or panel.season
        self._moments: dict[tuple[tuple[int, ...], int], Moments] = {}

    def with_columns(self, columns: Sequence[FeatureColumn]) -> DataFrame:
        """Return the panel's table with these columns added, all floats."""
        made = [column.make(self).cast(pl.Float64).alias(column.feature.name) for column in columns]
        return self.panel.table.with_columns(self._positions()).with_columns(made).drop(POSITION)

    def _positions(self) -> Series:
        """Return the same as `Panel.positions` in half the memory, which bounds this pass over the
        rows.
        """
        positions = np.arange(len(self.panel.table), dtype=np.int32)
        positions -= np.repeat(self.panel.offsets[:-1].astype(np.int32), self.panel.lengths)
        return Series(POSITION, positions)

    @cached_property
    def codes(self) -> pl.Expr:
        """The number of each row's series: what is computed `over` it begins anew with each
        series.
        """
        return pl.lit(
            Series(np.repeat(np.arange(self.panel.n_series, dtype=np.int32), self.panel.lengths))
        )

    def moments(self, sizes: tuple[int, ...], stride: int = 1) -> Moments:
        """Return mean and standard deviation of the target's windows that end at each row, by size,
        all made in one pass.
        """
        key = sizes, stride
        if key not in self._moments:
            longest = self.panel.lengths.max()
            usable = [size for size in sizes if size * stride < longest]
            moments = window_moments(self.panel.target, usable, stride)
            self._moments[key] = dict.fromkeys(sizes, (NULLS, NULLS)) | {
                size: (_literal(mean), _literal(deviation))
                for size, (mean, deviation) in moments.items()
            }
        return self._moments[key]


def earlier_value(values: pl.Expr, rows: int, needs: int = 0) -> pl.Expr:
    """Return the value `rows` rows earlier in the same series.

    Args:
        values: A column.
        rows: The rows back, at least 1.
        needs: Rows of the series that must have passed, where a value is made of more than one row;
            `rows` at the least.
    """
    return pl.when(pl.col(POSITION) >= max(rows, needs)).then(values.shift(rows))


NULLS = pl.lit(None, pl.Float64)
"""A column of nulls."""


def _literal(values: ndarray) -> pl.Expr:
    return pl.lit(Series(values, nan_to_null=True))


# The calendar as points on circles, so that December stands beside January.

Cycle = Literal["year", "week", "day"]

DAYS = {"ms": 1 / 86_400e3, "s": 1 / 86_400, "m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
DAYS |= {"mo": 365.25 / 12, "q": 365.25 / 4, "y": 365.25}
"""Days in each unit of a polars duration."""

LENGTHS: dict[Cycle, float] = {"year": 365.25, "week": 7.0, "day": 1.0}


def cycles(names: tuple[Cycle, ...]) -> list[FeatureColumn]:
    """Return sine and cosine of the place in each cycle.

    Null with no calendar, or with fewer than two rows in a cycle.

    Place in the `year`: the month (the quarter, for quarterly rows), or for rows more frequent than
    monthly the day of the year; in the `week`: the day of the week; in the `day`: the hour and its
    minutes.
    """
    return [
        FeatureColumn(
            Feature(f"{name}_{part}", "step"), partial(_cycle_point, cycle=name, part=part)
        )
        for name in names
        for part in ("sin", "cos")
    ]


def has_cycle(every: str, cycle: Cycle) -> bool:
    """Return whether rows of a frequency (`1mo`, `7d`, `1i`) fall on at least two places of a
    cycle.
    """
    count, unit = split_frequency(every)
    return unit in DAYS and 2 * count * DAYS[unit] <= LENGTHS[cycle]


def _cycle_point(source: FeatureSource, cycle: Cycle, part: Literal["sin", "cos"]) -> pl.Expr:
    every = source.panel.frequency.every
    if not has_cycle(every, cycle):
        return NULLS
    angle = tau * _passed_share(pl.col(TIME), every, cycle)
    return angle.sin() if part == "sin" else angle.cos()


def _passed_share(time: pl.Expr, every: str, cycle: Cycle) -> pl.Expr:
    """Return how much of the cycle has passed, from 0 to 1."""
    if cycle == "day":
        return (time.dt.hour() + time.dt.minute() / 60) / 24
    if cycle == "week":
        return (time.dt.weekday() - 1) / 7
    if in_months(every):
        return (time.dt.month() - 1) / 12
    return (time.dt.ordinal_day() - 1) / (365 + time.dt.is_leap_year().cast(pl.Int16))


def row_days(every: str) -> float:
    """Return the mean number of days from one row to the next."""
    count, unit = split_frequency(every)
    return count * DAYS[unit]


def in_months(every: str) -> bool:
    """Return whether a frequency counts calendar months: then the day of the month says nothing."""
    return split_frequency(every)[1] in ("mo", "q", "y")


# Checks of a feature set: a role that does not allow the use, a lag not known at a step, a name
# taken twice.

ROLE_NEEDS = {
    "known_future": "it must be known_future, to be read at the steps ahead",
    "static": "it must be static",
}


def has_column(
    field: str, name: str, default: str, role: Literal["known_future", "static"], roles: Roles
) -> bool:
    """Return whether a panel has a column in a role; the default name and no name may be absent.

    Raises:
        ConfigError: A name that the user chose is absent, or plays another role.
    """
    if name in getattr(roles, role):
        return True
    if name in (default, ""):
        return False
    played = role_of(name, roles)
    if played:
        raise ConfigError(f"features.{field}: '{name}' is {played}; {ROLE_NEEDS[role]}.")
    raise ConfigError(
        f"features.{field}: no {role} column '{name}'{nearest(name, getattr(roles, role))}"
    )


def role_of(name: str, roles: Roles) -> str:
    """Return the role that a column plays, empty where there is no such column."""
    played = {SERIES: "the series", TIME: "the time", TARGET: "the target"}
    when = [role for role in roles.roles_of(name) if not ROLES[role].beside]
    return when[-1] if when else played.get(name, "")


def check_step_lags(lags: Sequence[int], horizon: int) -> None:
    """Refuse lags that are not known at every step of the horizon."""
    for lag in lags:
        if lag < horizon:
            unknown = f"steps {lag + 1} to {horizon}" if lag + 1 < horizon else f"step {horizon}"
            raise ConfigError(
                f"features.step_lags: {lag} is shorter than the horizon {horizon}: unknown at "
                f"{unknown}."
            )


def check_distinct(columns: Sequence[FeatureColumn], roles: Roles) -> None:
    """Refuse two features of one name, or one with the name of a column of the panel."""
    seen: set[str] = set()
    for name in (column.feature.name for column in columns):
        played = role_of(name, roles)
        if played:
            raise ConfigError(
                f"features: '{name}' is a column of the dataset already ({played}); rename it "
                f"there."
            )
        if name in seen:
            raise ConfigError(
                f"features: '{name}' would be computed twice; rename the column that it comes from."
            )
        seen.add(name)


Rows = Annotated[tuple[Steps, ...], Once]
RowsOrSeason = Annotated[tuple[ZeroSteps, ...], Once]
