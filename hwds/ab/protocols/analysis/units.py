"""A table with a row per unit, read and checked as the evidence of a test; and what a comparison is given of its first rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl

from hwds.ab.metrics.sample import NONZERO, Arm, Moments, Needs, Sample
from hwds.ab.protocols.analysis.caps import Caps
from hwds.ab.protocols.analysis.columns import ROUNDING, arm_codes, arm_names, day_ends, floats
from hwds.ab.protocols.analysis.metrics import TestMetric
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.table import Table

MONEY = ("revenue", "margin")
"""Outcomes that are made of roles: their names are taken."""


@dataclass(frozen=True, eq=False)
class Units:
    """Units in the order in which they came.

    Attributes:
        table: The rows.
        arms: Their names, the control first.
        arm: The number of each unit's arm.
        outcomes: The outcomes of each unit by label, the first empty where it is the only column.
        capped: The cap and the number of units above it, by the label of each outcome that has one.
        grown: Whether outcomes are sums of events, some of which came after other units did: then no unit's outcome is that of
            the day on which it came, and its order says nothing of what was known when.
        metrics: The metrics by label, where outcomes are theirs: of a ratio what is above, of a quantile what is under it.
        assigned: Units of all arms before those that were not exposed were left out; None where none were.
    """

    table: Table
    arms: tuple[str, ...]
    arm: np.ndarray
    outcomes: dict[str, np.ndarray]
    capped: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    grown: bool = False
    metrics: Mapping[str, TestMetric] = field(default_factory=dict)
    assigned: int | None = None

    @classmethod
    def read(cls, table: Table, control: str | None, caps: Caps | None = None, *, grown: bool = False) -> Units:
        """Return the rows, checked.

        Args:
            table: A row for each unit.
            control: The arm that is the control; None for the one that is called so.
            caps: The most that an outcome of a unit counts.
            grown: Whether outcomes are sums of events.

        Raises:
            ConfigError: The control is no arm, or a cap is of no outcome.
            DataError: A role is missing, a value is not a number, there are not two arms with two rows each, an entity has
                several rows, or the quantile at which an outcome is capped is not above 0.
        """
        names = arm_names(table, control)
        ordered = _in_order(table)
        arm = arm_codes(ordered, names)
        for number, name in enumerate(names):
            if np.sum(arm == number) < 2:
                raise DataError(f"dataset.roles.arm: arm '{name}' has one row; an arm needs two.")
        _refuse_repeated(ordered, arm, names)
        outcomes = event_outcomes(ordered)
        most = (caps or Caps()).of(ordered, outcomes)
        above = {label: (cap, int(np.sum(outcomes[label] > cap))) for label, cap in most.items()}
        capped = {label: np.minimum(outcomes[label], cap) for label, cap in most.items()}
        return cls(ordered, names, arm, outcomes | capped, above, grown)

    def counting(self, metrics: Mapping[str, TestMetric]) -> Units:
        """Return the units with these metrics as their outcomes, in this order; all outcomes where there are none.

        Raises:
            ConfigError: A metric is of no outcome, its denominator is no column, or its name is that of another outcome.
        """
        if not metrics:
            return self
        names = {label or self.table.roles["outcome"][0]: label for label in self.outcomes}
        labels = {name: label_of(name, metric, names) for name, metric in metrics.items()}
        values = {labels[name]: self.outcomes[names[metric.outcome or name]] for name, metric in metrics.items()}
        for name, metric in metrics.items():
            if metric.per is not None:
                self._check_denominator(name, metric.per)
        return replace(self, outcomes=values, metrics={labels[name]: metric for name, metric in metrics.items()})

    def _check_denominator(self, name: str, column: str) -> None:
        path, columns = f"protocol.metrics.{name}.per", self.table.data.columns
        if column not in columns:
            raise ConfigError(f"{path}: no column '{column}'{nearest(column, columns)}")
        below = floats(self.table, column, "covariate")
        empty = next((arm for number, arm in enumerate(self.arms) if not below[self.arm == number].sum() > 0), None)
        if empty is not None or (below < 0).any():
            raise DataError(f"{path}: column '{column}' must be >= 0 and sum to more than 0 in each arm.")

    def part(self, rows: np.ndarray) -> Units:
        """Return some of the units, in their order.

        Args:
            rows: Whether each unit is one of them, shape (n,).
        """
        outcomes = {label: values[rows] for label, values in self.outcomes.items()}
        return replace(self, table=self.table.filter(rows), arm=self.arm[rows], outcomes=outcomes)

    @property
    def n(self) -> int:
        """The number of units."""
        return len(self.arm)

    @property
    def ordered(self) -> bool:
        """True where the table has the time at which units came, and their outcomes were known then."""
        return bool(self.table.roles.get("time")) and not self.grown

    @property
    def derived(self) -> dict[str, TestMetric]:
        """The metrics that are ratios or quantiles, by label."""
        return {label: metric for label, metric in self.metrics.items() if metric.derived}

    def counts(self, stop: int) -> list[int]:
        """Return units of each arm among the first `stop`."""
        return np.bincount(self.arm[:stop], minlength=len(self.arms)).tolist()

    def stop_at(self, units: float) -> int | None:
        """Return the number of rows that hold the first so many units; None where there are fewer."""
        stop = int(np.ceil(units - ROUNDING))
        return stop if stop <= self.n else None

    def enough(self, needs: Needs, stop: int) -> bool:
        """Return whether the first `stop` units have two of every arm, and of every stratum where strata are needed."""
        codes, parts = self.arm[:stop], len(self.arms)
        if needs.strata:
            strata = self._strata
            codes = codes + parts * strata.to_physical().to_numpy()[:stop].astype(np.int64)
            parts *= strata.n_unique()
        return bool(np.bincount(codes, minlength=parts).min() >= 2)

    def when(self, stop: int) -> str | None:
        """Return the time at which the last of the first `stop` units came."""
        return str(self.table.column("time")[stop - 1]) if self.ordered else None

    def days(self, most: int) -> list[tuple[str, int]]:
        """Return the days on which units came, each with the number of units until its end; none without a time."""
        return day_ends(self.table.column("time"), most) if self.ordered else []

    def sample(self, label: str, needs: Needs, stop: int) -> Sample:
        """Return the sample of an outcome from the first `stop` units.

        Raises:
            ConfigError: A column that is needed does not exist.
            DataError: An outcome is not 0 or 1 where it must be, or a stratum lacks units of an arm.
        """
        if needs.binary:
            self._must_be_binary(label)
        outcome = self._values(label, stop)
        values = np.column_stack([outcome, *(self._input(name, outcome)[:stop] for name in needs.inputs)])
        strata = self._strata if needs.strata else None
        names = () if strata is None else tuple(strata.unique().cast(pl.String).sort().to_list())
        codes = None if strata is None else strata.to_physical().to_numpy()[:stop]
        by_arm = [self.arm[:stop] == number for number in range(len(self.arms))]
        arms = tuple(
            Arm(name, Moments.of(values[rows]), self._by_stratum(values, codes, rows, names, name), self.prices[label][number])
            for number, (name, rows) in enumerate(zip(self.arms, by_arm, strict=True))
        )
        return Sample(label, arms, names)

    @cached_property
    def prices(self) -> dict[str, tuple[float | None, ...]]:
        """The one number that is not zero, by outcome and arm; None for each arm where any arm has more."""
        prices: dict[str, tuple[float | None, ...]] = {}
        for label, outcome in self.outcomes.items():
            if label in self.derived:
                prices[label] = (None,) * len(self.arms)
                continue
            amounts = [_one_number(outcome[self.arm == number], self._price(number, label)) for number in range(len(self.arms))]
            prices[label] = tuple(None if None in amounts else number for number in amounts)
        return prices

    def _values(self, label: str, stop: int) -> np.ndarray:
        """Return the first outcomes, shape (stop,); of a ratio or a quantile values that have it as the mean of their arm."""
        outcome, metric = self.outcomes[label][:stop], self.derived.get(label)
        if metric is None:
            return outcome
        below = None if metric.per is None else floats(self.table, metric.per, "covariate")[:stop]
        values = np.empty(stop)
        for number in range(len(self.arms)):
            own = self.arm[:stop] == number
            values[own] = metric.values(outcome[own], None if below is None else below[own])
        return values

    def _price(self, arm: int, label: str) -> float:
        """Return the price of an arm without any conversion: the amount that a conversion of its first unit would bring."""
        if label not in MONEY or not self.table.roles.get("price"):
            return 1.0
        first = int(np.argmax(self.arm == arm))
        cost = float(self.table.column("cost")[first]) if label == "margin" else 0.0
        return float(self.table.column("price")[first]) - cost

    def _input(self, name: str, outcome: np.ndarray) -> np.ndarray:
        if name == NONZERO:
            return (outcome != 0).astype(float)
        if name not in self.table.data.columns:
            raise ConfigError(f"model: no column '{name}'{nearest(name, self.table.data.columns)}")
        return floats(self.table, name, "covariate")

    @cached_property
    def _strata(self) -> pl.Series:
        columns = self.table.roles["stratum"]
        text = self.table.data.select(pl.concat_str(pl.col(*columns).cast(pl.String), separator="|")).to_series()
        if text.null_count():
            row = int(self.table.data["row_id"][text.is_null().arg_true()[0]])
            raise DataError(f"dataset.roles.stratum: row {row + 1} has no stratum.")
        return text.cast(pl.Enum(sorted(text.unique().to_list())))

    def _by_stratum(
        self, values: np.ndarray, codes: np.ndarray | None, rows: np.ndarray, names: tuple[str, ...], arm: str
    ) -> Moments | None:
        if codes is None:
            return None
        parts = [Moments.of(values[rows & (codes == code)]) for code in range(len(names)) if self._has_two(codes, code, rows)]
        if len(parts) < len(names):
            lacking = next(name for code, name in enumerate(names) if not self._has_two(codes, code, rows))
            raise DataError(f"dataset.roles.stratum: stratum '{lacking}' has fewer than two rows of arm '{arm}'.")
        return Moments(*(np.stack([getattr(part, name) for part in parts]) for name in ("n", "mean", "cov")))

    @staticmethod
    def _has_two(codes: np.ndarray, code: int, rows: np.ndarray) -> bool:
        return bool(np.sum(rows & (codes == code)) > 1)

    def _must_be_binary(self, label: str) -> None:
        outcome = self.outcomes[label]
        bad = np.flatnonzero((outcome != 0) & (outcome != 1))
        if len(bad):
            row = int(self.table.data["row_id"][int(bad[0])])
            name = label or self.table.roles["outcome"][0]
            raise DataError(f"dataset.roles.outcome: row {row + 1} has {outcome[bad[0]]:g} in column '{name}'; must be 0 or 1.")


def label_of(name: str, metric: TestMetric, outcomes: Mapping[str, str]) -> str:
    """Return the label of a metric: that of its outcome where it is no more than it, else its name.

    Args:
        name: Of the metric.
        metric: The metric.
        outcomes: The labels of the outcomes by name.

    Raises:
        ConfigError: It is of no outcome, or another outcome has its name.
    """
    source = metric.outcome or name
    if source not in outcomes:
        field = "" if metric.outcome is None else f".{name}.outcome"
        raise ConfigError(f"protocol.metrics{field}: no outcome '{source}'{nearest(source, outcomes)}")
    if name == source and not metric.derived:
        return outcomes[source]
    if name in outcomes:
        raise ConfigError(f"protocol.metrics: '{name}' is an outcome; give what is made of '{source}' another name.")
    return name


def _refuse_repeated(table: Table, arm: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse an entity with several rows: they are alike, and an interval that took them as independent would be too short."""
    columns = list(table.roles.get("entity", ()))
    if not columns:
        return
    rows = table.data.select(*columns).with_columns(pl.Series("__arm", arm)).drop_nulls(columns)
    counted = rows.group_by(columns).agg(
        pl.len().alias("__rows"), pl.col("__arm").min(), pl.col("__arm").max().alias("__other")
    )
    repeated = counted.filter(pl.col("__rows") > 1).sort(pl.col("__arm") == pl.col("__other"), *columns)
    if repeated.is_empty():
        return
    *entity, times, one, other = repeated.row(0)
    name = ", ".join(map(str, entity))
    many = f"dataset.roles.entity: {len(repeated):,} of {len(counted):,} have several rows, '{name}' {times}"
    if one != other:
        raise DataError(f"{many} in arms '{names[one]}' and '{names[other]}'; a unit is in one arm.")
    raise DataError(
        f"{many}; a test counts each unit once: protocol.rows=events adds its rows up (model=ab/ratio divides their sums);"
        " without roles.entity every row is a unit."
    )


def _in_order(table: Table) -> Table:
    """Return the rows by time, those of one instant as they stand."""
    if not table.roles.get("time"):
        return table
    column = table.column("time")
    if column.null_count():
        raise DataError(f"dataset.roles.time: row {column.is_null().arg_true()[0] + 1} has no time.")
    return replace(table, data=table.data.sort(column.name, maintain_order=True))


def event_outcomes(table: Table) -> dict[str, np.ndarray]:
    """Return the outcome columns, then revenue and margin where the roles say what they are."""
    names = table.roles.get("outcome", ())
    if not names:
        raise DataError("dataset.roles.outcome: must be given.")
    taken = next((name for name in names if name in MONEY and len(names) > 1), None)
    if taken:
        raise DataError(f"dataset.roles.outcome: '{taken}' is what hwds calls the money of a unit; rename the column.")
    found = {name if len(names) > 1 else "": floats(table, name, "outcome") for name in names}
    first = next(iter(found.values()))
    if table.roles.get("price"):
        price = floats(table, table.column("price").name, "price", least=0.0)
        found["revenue"] = first * price
        if table.roles.get("cost"):
            found["margin"] = first * (price - floats(table, table.column("cost").name, "cost", least=0.0))
    elif table.roles.get("amount"):
        found["revenue"] = floats(table, table.column("amount").name, "amount")
    return found


def _one_number(values: np.ndarray, absent: float) -> float | None:
    """Return the one positive number that a value is where it is not zero."""
    known = values[values != 0]
    if not len(known):
        return absent if absent > 0 else None
    return float(known[0]) if known[0] > 0 and np.all(known == known[0]) else None
