"""Novelty: the effect in each day since a unit's first event, and whether it fades or grows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from hwds.ab.metrics.intervals import satterthwaite, t_bounds, t_p
from hwds.ab.metrics.sample import Moments
from hwds.ab.protocols.analysis.columns import arm_codes, arm_names
from hwds.ab.protocols.analysis.metrics import TestMetric
from hwds.ab.protocols.analysis.rows import Row, metric_of
from hwds.ab.protocols.analysis.units import event_outcomes
from hwds.frames.table import Table

MOST_AGES = 28
"""The days since first exposure that are shown."""

LEAST_UNITS = 30
"""Units of each arm that must have been there so long."""

DAY_US = 86_400_000_000


@dataclass(frozen=True, eq=False)
class Ages:
    """Units by the day since their first event.

    Attributes:
        arm: The number of each unit's arm, shape (U,).
        known: The days of each unit that are over by the last event of all, shape (U,).
        unit, age: The unit and the day since first exposure of each event, shape (n,).
    """

    arm: np.ndarray
    known: np.ndarray
    unit: np.ndarray
    age: np.ndarray

    def sums(self, values: np.ndarray, days: int) -> np.ndarray:
        """Return what each unit's events sum to in each of its first days, shape (U, days)."""
        inside = self.age < days
        place = self.unit[inside] * days + self.age[inside]
        return np.bincount(place, values[inside], len(self.arm) * days).reshape(len(self.arm), days)


def age_rows(
    table: Table, control: str | None, caps: Collection[str], metrics: Mapping[str, TestMetric], alpha: float
) -> list[Row]:
    """Return the effects by days since first exposure, and their change, of every outcome that is summed as it comes.

    A day's effect compares what units did on that day of theirs, those that came too late to have it left out; its interval
    holds for that day alone. The change is compared unit by unit, of those that have all of the days: so it is one test.

    Args:
        table: A row for each event.
        control: The arm that is the control; None for the one that is called so.
        caps: Outcomes with a cap have no days, for it is the sum that is capped.
        metrics: By label; those that are ratios or quantiles have no days either. Empty for all outcomes.
        alpha: One minus the level.
    """
    names = arm_names(table, control)
    ages, outcomes = ages_of(table, names), event_outcomes(table)
    days = _days(ages, len(names))
    first = table.roles["outcome"][0]
    shown = [label for label in outcomes if (label or first) not in caps and _plain(label, metrics)]
    rows: list[Row] = []
    for label in shown if days > 1 else []:
        sums = ages.sums(outcomes[label], days)
        for arm in range(1, len(names)):
            rows += _effects(ages, sums, arm, names[arm], label, alpha)
    return rows


def _plain(label: str, metrics: Mapping[str, TestMetric]) -> bool:
    return not metrics or (label in metrics and not metrics[label].derived)


def ages_of(table: Table, names: tuple[str, ...]) -> Ages:
    """Return the units of a table of events, whose roles `entity`, `arm` and `time` are given."""
    keys, column = list(table.roles["entity"]), table.column("time")
    time = column.cast(pl.Datetime("us")).to_physical() if column.dtype.is_temporal() else column.cast(pl.Int64) * DAY_US
    ended = 0 if column.dtype == pl.Datetime else DAY_US  # the last date or number is a whole day, which is over
    data = table.data.select(*keys).with_columns(__time=time, __arm=pl.Series(arm_codes(table, names)))
    units = data.group_by(keys, maintain_order=True).agg(first=pl.col("__time").min(), arm=pl.col("__arm").first())
    placed = data.join(units.with_row_index("__unit"), on=keys, how="left", maintain_order="left")
    known = (time.to_numpy().max() - units["first"].to_numpy() + ended) // DAY_US
    age = (placed["__time"] - placed["first"]).to_numpy() // DAY_US
    return Ages(units["arm"].to_numpy(), known, placed["__unit"].to_numpy().astype(np.int64), age)


def _days(ages: Ages, arms: int) -> int:
    """Return the days since first exposure that enough units of each arm have."""
    for days in range(MOST_AGES, 0, -1):
        if np.bincount(ages.arm[ages.known >= days], minlength=arms).min() >= LEAST_UNITS:
            return days
    return 0


def _effects(ages: Ages, sums: np.ndarray, arm: int, name: str, label: str, alpha: float) -> Iterator[Row]:
    days = sums.shape[1]
    for day in range(days):
        known, of_day = ages.known > day, sums[:, day]
        row = Row(metric_of("effect_by_age", label), name, "fixed", day + 1)
        yield _compared(row, of_day[known & (ages.arm == arm)], of_day[known & (ages.arm == 0)], alpha)
    whole, half = ages.known >= days, days // 2
    change = sums[:, days - half :].mean(axis=1) - sums[:, :half].mean(axis=1)
    row = Row(metric_of("novelty", label), name, "fixed")
    yield _compared(row, change[whole & (ages.arm == arm)], change[whole & (ages.arm == 0)], alpha)


def _compared(row: Row, own: np.ndarray, control: np.ndarray, alpha: float) -> Row:
    """Return the row with Welch's comparison of two samples."""
    mine, theirs = Moments.of(own[:, None]), Moments.of(control[:, None])
    stderr = np.sqrt(mine.error + theirs.error)
    df = satterthwaite(mine.error, mine.n, theirs.error, theirs.n)
    value = mine.first - theirs.first
    row = replace(row, value=float(value), n=len(own) + len(control))
    if not stderr > 0:
        return row
    low, high = (float(end) for end in t_bounds(value, stderr, df, alpha))
    return replace(row, stderr=float(stderr), low=low, high=high, p_value=float(t_p(value, stderr, df)))
