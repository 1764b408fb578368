"""A test's table read and checked: columns, caps, events, a row per unit, and running sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.ab.rows import ROWS_OF_UNIT, TestMetric
from hwds.ab.sample import NONZERO, ComparisonNeeds, Sample, SampleArm, UnitMoments
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.roles import Roles
from hwds.frames.table import ROW_ID, Table

# The columns of a test's table: arms and numbers, checked; every refusal names the role, the
# column and the row.

CONTROL_ARM = "control"
"""The arm that is the control where the config names none."""

COUNT_ROUNDING = 1e-6
"""The rounding error allowed in a share of a number of units."""


def arm_names(table: Table, control: str | None) -> tuple[str, ...]:
    """Return the arms, the control first, the others in order.

    Raises:
        ConfigError: The control is no arm.
        DataError: A row has no arm, or there is but one.
    """
    column = table.column("arm")
    if column.null_count():
        raise DataError(
            f"dataset.roles.arm: row {_source_row(table, column.is_null())} has no arm in column "
            f"'{column.name}'."
        )
    arms = [str(arm) for arm in column.unique().sort().to_list()]
    if len(arms) < 2:
        raise DataError(
            f"dataset.roles.arm: column '{column.name}' has one arm, '{arms[0]}'; a test needs two."
        )
    if control is None and CONTROL_ARM not in arms:
        raise ConfigError(f"protocol.control: must be given; arms: {', '.join(arms[:12])}.")
    first = CONTROL_ARM if control is None else control
    if first not in arms:
        raise ConfigError(f"protocol.control: no arm '{first}'{nearest(first, arms)}")
    return (first, *(arm for arm in arms if arm != first))


def arm_codes(table: Table, names: tuple[str, ...]) -> ndarray:
    """Return the number of each row's arm."""
    text = table.column("arm").cast(pl.String)
    return text.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)


def day_ends(times: Series, most: int) -> list[tuple[str, int]]:
    """Return the days of sorted times, each with the number of times until its end: at most so
    many, the last among them.

    An instant belongs to its date; a whole number is a day.
    """
    days = times.dt.date() if times.dtype == pl.Datetime else times
    last = (days != days.shift(-1)).fill_null(True).arg_true().to_numpy()
    if len(last) > most:
        last = last[np.unique(np.linspace(0, len(last) - 1, most).round().astype(int))]
    return [(str(days[row]), row + 1) for row in last.tolist()]


def number_column(table: Table, name: str, role: str, least: float | None = None) -> ndarray:
    """Return a column of numbers, one in each row.

    Raises:
        DataError: Text, a missing or infinite number, or one below the least.
    """
    column = table.data[name]
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(
            f"dataset.roles.{role}: column '{name}' holds {str(column.dtype).lower()} values, not "
            f"numbers."
        )
    values = column.cast(pl.Float64)
    bad = ~values.is_finite().fill_null(value=False)
    if bad.any():
        value = column[int(bad.arg_true()[0])]
        shown = "no value" if value is None else value
        raise DataError(
            f"dataset.roles.{role}: row {_source_row(table, bad)} has {shown} in column '{name}'; "
            f"must be a number."
        )
    if least is not None and (values < least).any():
        low = values < least
        shown = f"{values[int(low.arg_true()[0])]:g}"
        raise DataError(
            f"dataset.roles.{role}: row {_source_row(table, low)} has {shown} in column '{name}'; "
            f"must be >= {least:g}."
        )
    return values.to_numpy()


def role_numbers(table: Table, role: str, least: float | None = None) -> ndarray:
    """Return the numbers of a role; see `number_column`."""
    return number_column(table, table.column(role).name, role, least)


def _source_row(table: Table, bad: Series) -> int:
    """Return the row of the source, counted from 1."""
    return int(table.data.filter(bad)[ROW_ID][0]) + 1


def _time_column(table: Table) -> Series:
    """Return the time of each row.

    Raises:
        DataError: A row has none.
    """
    column = table.column("time")
    if column.null_count():
        row = column.is_null().arg_true()[0] + 1
        raise DataError(f"dataset.roles.time: row {row} has no time.")
    return column


# Caps on the outcomes of units, as amounts or as quantiles: amounts with a heavy tail vary
# less.


@dataclass(frozen=True, slots=True)
class OutcomeCaps:
    """The most that an outcome of a unit counts, by its label or, of a single one, its column.

    Attributes:
        amounts: Caps in the outcome's own unit.
        shares: The share of the units of all arms together that are to count in full: the cap is
            that quantile of them, which knows nothing of the arms.
    """

    amounts: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)

    def of(self, table: Table, outcomes: Mapping[str, ndarray]) -> dict[str, float]:
        """Return the caps by the labels of the outcomes.

        Raises:
            ConfigError: A cap is of no outcome, or an outcome has two.
            DataError: A quantile is not above 0.
        """
        labels = {label or table.roles["outcome"][0]: label for label in outcomes}
        paths = dict.fromkeys(self.amounts, "caps") | dict.fromkeys(self.shares, "quantile_caps")
        for name, path in paths.items():
            if name not in labels:
                raise ConfigError(f"protocol.{path}: no outcome '{name}'{nearest(name, labels)}")
        if twice := self.amounts.keys() & self.shares.keys():
            raise ConfigError(
                f"protocol.quantile_caps: '{min(twice)}' has a cap in protocol.caps; drop one of "
                f"them."
            )
        quantiles = {
            name: float(np.quantile(outcomes[labels[name]], share))
            for name, share in self.shares.items()
        }
        for name, cap in quantiles.items():
            if not cap > 0:
                raise DataError(
                    f"protocol.quantile_caps.{name}: the {self.shares[name]:g} quantile of "
                    f"'{name}' is {cap:g}, and a cap must"
                    " be above 0; take a higher share."
                )
        return {labels[name]: cap for name, cap in {**self.amounts, **quantiles}.items()}


# A table of events as a table of units: what an entity did is added up, and it counts once.


def units_of_events(table: Table, kept: Sequence[str] = ()) -> Table:
    """Return a row for each entity, at the time of its first event.

    Outcomes, amounts and numbers without a role (the sessions under a ratio) are summed, and are
    missing where one is missing; arm, price, covariates and strata are those of the first row. The
    column `rows` has the number of its events, unless there is such a column.

    Args:
        table: A row for each event.
        kept: Numbers without a role that are names of something, such as that of a region: those of
            the first row.

    Raises:
        DataError: There is no entity, a row has none, an entity is in two arms, or its price or
            cost changes.
    """
    keys = list(table.roles.get("entity", ()))
    if not keys:
        raise DataError(
            "dataset.roles.entity: must be given; protocol.rows=events adds up the rows of each."
        )
    for key in keys:
        if table.data[key].null_count():
            row = _source_row(table, table.data[key].is_null())
            raise DataError(f"dataset.roles.entity: row {row} has no value in column '{key}'.")
    data = table.data
    if table.roles.get("time"):
        data = data.sort(table.column("time").name, maintain_order=True)
    _refuse_moved(table, data, keys)
    summed = _summed_columns(table, [*keys, *kept])
    first = [col(name).first() for name in data.columns if name not in (*keys, *summed)]
    sums = [
        pl.when(col(name).is_null().any()).then(None).otherwise(col(name).sum()).alias(name)
        for name in summed
    ]
    counted = [] if ROWS_OF_UNIT in data.columns else [pl.len().cast(pl.Int64).alias(ROWS_OF_UNIT)]
    units = data.group_by(keys, maintain_order=True).agg(*first, *sums, *counted)
    return replace(
        table, data=units.select(*data.columns, *(each.meta.output_name() for each in counted))
    )


def _summed_columns(table: Table, kept: list[str]) -> list[str]:
    """Return the columns that are added up."""
    roles, summed = dict(table.roles), []
    added = {*roles.pop("outcome", ()), *roles.pop("amount", ())}
    taken = {ROW_ID, *kept, *(name for names in roles.values() for name in names)}
    for name, kind in table.data.schema.items():
        is_number = kind.is_numeric() or kind == pl.Boolean
        if name in added or (is_number and name not in taken):
            summed.append(name)
    return summed


def _refuse_moved(table: Table, data: DataFrame, keys: list[str]) -> None:
    """Refuse an entity whose arm, price or cost is not the same in all of its rows."""
    for role in ("arm", "price", "cost"):
        for name in set(table.roles.get(role, ())) - {*keys}:
            entities = data.group_by(keys, maintain_order=True).agg(col(name).n_unique())
            several = entities.filter(col(name) > 1)
            if len(several):
                who = ", ".join(map(str, several.select(keys).row(0)))
                more = f"{len(several):,} of {len(entities):,} entities have several, '{who}' first"
                last = "give dataset.roles.amount, what each event brought"
                last = "a unit is in one arm" if role == "arm" else last
                raise DataError(f"dataset.roles.{role}: {more}; {last}.")


# Groups of rows to which arms were given as a whole: a day, a week, a region.

CLUSTER, CLUSTER_UNITS = "cluster_of_units", "units_of_cluster"
"""The columns of a table of clusters: their name, and the number of their rows."""

TIME_GROUPS = {"week": "1w", "day": "1d", "hour": "1h"}
"""Groups of rows by their time."""


def group_of_rows(table: Table, name: str) -> Series:
    """Return the group of each row: the week, day or hour of its time, or the value of a column.

    Raises:
        ConfigError: There is no such column.
    """
    if name in TIME_GROUPS and table.roles.get("time"):
        times = _time_column(table)
        return times.dt.truncate(TIME_GROUPS[name]) if times.dtype.is_temporal() else times
    if name not in table.data.columns:
        raise ConfigError(
            f"protocol.clusters: no column '{name}'{nearest(name, table.data.columns)}"
        )
    return table.data[name]


def units_of_clusters(table: Table, name: str) -> Table:
    """Return a row for each cluster: outcomes are summed, numeric covariates are averaged.

    Raises:
        DataError: A cluster has two arms, or no value.
    """
    numbers = [
        each for each in table.roles.get("covariate", ()) if table.data[each].dtype.is_numeric()
    ]
    data = table.data.with_columns(
        group_of_rows(table, name).alias(CLUSTER), pl.lit(1).alias(CLUSTER_UNITS)
    ).with_columns(col(each).mean().over(CLUSTER) for each in numbers)
    roles = {**table.roles, "entity": (CLUSTER,)}
    return units_of_events(Table(data, Roles(roles), table.unit))


# A table with a row per unit, read and checked as the evidence of a test; and what a comparison
# is given of its first rows.

MADE_OUTCOMES = ("revenue", "margin")
"""Outcomes that are made of roles: their names are taken."""


@dataclass(frozen=True, eq=False)
class TestUnits:
    """Units in the order in which they came.

    Attributes:
        table: The rows.
        arms: Their names, the control first.
        arm: The number of each unit's arm.
        outcomes: The outcomes of each unit by label, the first empty where it is the only column.
        capped: The cap and the number of units above it, by the label of each outcome that has one.
        grown: Whether outcomes are sums of events, some of which came after other units did: then
            no unit's outcome is that of the day on which it came, and its order says nothing of
            what was known when.
        metrics: The metrics by label, where outcomes are theirs: of a ratio what is above, of a
            quantile what is under it.
        assigned: Units of all arms before those that were not exposed were left out; None where
            none were.
    """

    table: Table
    arms: tuple[str, ...]
    arm: ndarray
    outcomes: dict[str, ndarray]
    capped: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    grown: bool = False
    metrics: Mapping[str, TestMetric] = field(default_factory=dict)
    assigned: int | None = None

    @classmethod
    def read(
        cls,
        table: Table,
        control: str | None,
        caps: OutcomeCaps | None = None,
        *,
        grown: bool = False,
    ) -> TestUnits:
        """Return the rows, checked.

        Args:
            table: A row for each unit.
            control: The arm that is the control; None for the one that is called so.
            caps: The most that an outcome of a unit counts.
            grown: Whether outcomes are sums of events.

        Raises:
            ConfigError: The control is no arm, or a cap is of no outcome.
            DataError: A role is missing, a value is not a number, there are not two arms with two
                rows each, an entity has several rows, or the quantile at which an outcome is capped
                is not above 0.
        """
        names = arm_names(table, control)
        ordered = _arrival_order(table)
        arm = arm_codes(ordered, names)
        for number, name in enumerate(names):
            if np.sum(arm == number) < 2:
                raise DataError(f"dataset.roles.arm: arm '{name}' has one row; an arm needs two.")
        _refuse_repeated(ordered, arm, names)
        outcomes = event_outcomes(ordered)
        most = (caps or OutcomeCaps()).of(ordered, outcomes)
        above = {label: (cap, int(np.sum(outcomes[label] > cap))) for label, cap in most.items()}
        capped = {label: np.minimum(outcomes[label], cap) for label, cap in most.items()}
        return cls(ordered, names, arm, outcomes | capped, above, grown)

    def counting(self, metrics: Mapping[str, TestMetric]) -> TestUnits:
        """Return the units with these metrics as their outcomes, in this order.

        All outcomes where there are none.

        Raises:
            ConfigError: A metric is of no outcome, its denominator is no column, or its name is
                that of another outcome.
        """
        if not metrics:
            return self
        names = {label or self.table.roles["outcome"][0]: label for label in self.outcomes}
        outcomes, by_label = {}, {}
        for name, metric in metrics.items():
            label = label_of(name, metric, names)
            outcomes[label] = self.outcomes[names[metric.outcome or name]]
            by_label[label] = metric
        for name, metric in metrics.items():
            if metric.per is not None:
                self._check_denominator(name, metric.per)
        return replace(self, outcomes=outcomes, metrics=by_label)

    def _check_denominator(self, name: str, column: str) -> None:
        path, columns = f"protocol.metrics.{name}.per", self.table.data.columns
        if column not in columns:
            raise ConfigError(f"{path}: no column '{column}'{nearest(column, columns)}")
        below = number_column(self.table, column, "covariate")
        if not (np.bincount(self.arm, below) > 0).all() or (below < 0).any():
            raise DataError(
                f"{path}: column '{column}' must be >= 0 and sum to more than 0 in each arm."
            )

    def part(self, rows: ndarray) -> TestUnits:
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
        """True where the table has the time at which units came, and their outcomes were known
        then.
        """
        return bool(self.table.roles.get("time")) and not self.grown

    @property
    def derived(self) -> dict[str, TestMetric]:
        """The metrics that are ratios or quantiles, by label."""
        return {label: metric for label, metric in self.metrics.items() if metric.derived}

    def counts(self, stop: int) -> list[int]:
        """Return units of each arm among the first `stop`."""
        return np.bincount(self.arm[:stop], minlength=len(self.arms)).tolist()

    def stop_at(self, units: float) -> int | None:
        """Return the number of rows that hold the first so many units.

        None where there are fewer.
        """
        stop = int(np.ceil(units - COUNT_ROUNDING))
        return stop if stop <= self.n else None

    def enough(self, needs: ComparisonNeeds, stop: int) -> bool:
        """Return whether the first `stop` units have two of every arm, and of every stratum where
        strata are needed.
        """
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
        """Return the days on which units came, each with the number of units until its end.

        None without a time.
        """
        return day_ends(self.table.column("time"), most) if self.ordered else []

    def sample(self, label: str, needs: ComparisonNeeds, stop: int) -> Sample:
        """Return the sample of an outcome from the first `stop` units.

        Raises:
            ConfigError: A column that is needed does not exist.
            DataError: An outcome is not 0 or 1 where it must be, or a stratum lacks units of an
                arm.
        """
        if needs.binary:
            self._must_be_binary(label)
        outcome = self.values(label, stop)
        values = np.column_stack(
            [outcome, *(self._input(name, outcome)[:stop] for name in needs.inputs)]
        )
        strata = self._strata if needs.strata else None
        names = () if strata is None else tuple(strata.unique().cast(pl.String).sort().to_list())
        codes = None if strata is None else strata.to_physical().to_numpy()[:stop]
        by_arm = [self.arm[:stop] == number for number in range(len(self.arms))]
        arms = tuple(
            SampleArm(
                name,
                UnitMoments.of(values[rows]),
                self._by_stratum(values, codes, rows, names, name),
                self.prices[label][number],
            )
            for number, (name, rows) in enumerate(zip(self.arms, by_arm, strict=True))
        )
        return Sample(label, arms, names)

    @cached_property
    def prices(self) -> dict[str, tuple[float | None, ...]]:
        """The one number that is not zero, by outcome and arm.

        None for each arm where any arm has more.
        """
        prices: dict[str, tuple[float | None, ...]] = {}
        for label, outcome in self.outcomes.items():
            amounts = [
                _one_number(outcome[self.arm == number], self._price(number, label))
                for number in range(len(self.arms))
            ]
            one_each = label not in self.derived and None not in amounts
            prices[label] = tuple(amounts) if one_each else (None,) * len(self.arms)
        return prices

    def values(self, label: str, stop: int) -> ndarray:
        """Return the first outcomes, shape (stop,).

        Of a ratio or a quantile values that have it as the mean of their arm.
        """
        outcome, metric = self.outcomes[label][:stop], self.derived.get(label)
        if metric is None:
            return outcome
        values, below = np.empty(stop), None
        if metric.per is not None:
            below = number_column(self.table, metric.per, "covariate")[:stop]
        for number in range(len(self.arms)):
            own = self.arm[:stop] == number
            values[own] = metric.values(outcome[own], None if below is None else below[own])
        return values

    def _price(self, arm: int, label: str) -> float:
        """Return the price of an arm without any conversion: the amount that a conversion of its
        first unit would bring.
        """
        if label not in MADE_OUTCOMES or not self.table.roles.get("price"):
            return 1.0
        first = int(np.argmax(self.arm == arm))
        cost = float(self.table.column("cost")[first]) if label == "margin" else 0.0
        return float(self.table.column("price")[first]) - cost

    def _input(self, name: str, outcome: ndarray) -> ndarray:
        if name == NONZERO:
            return (outcome != 0).astype(float)
        if name not in self.table.data.columns:
            raise ConfigError(f"model: no column '{name}'{nearest(name, self.table.data.columns)}")
        return number_column(self.table, name, "covariate")

    @cached_property
    def _strata(self) -> Series:
        columns = col(*self.table.roles["stratum"]).cast(pl.String)
        text = self.table.data.select(pl.concat_str(columns, separator="|")).to_series()
        if text.null_count():
            row = _source_row(self.table, text.is_null())
            raise DataError(f"dataset.roles.stratum: row {row} has no stratum.")
        return text.cast(pl.Enum(sorted(text.unique().to_list())))

    def _by_stratum(
        self,
        values: ndarray,
        codes: ndarray | None,
        rows: ndarray,
        names: tuple[str, ...],
        arm: str,
    ) -> UnitMoments | None:
        if codes is None:
            return None
        parts = []
        for code, name in enumerate(names):
            own = rows & (codes == code)
            if own.sum() < 2:
                raise DataError(
                    f"dataset.roles.stratum: stratum '{name}' has fewer than two rows of arm "
                    f"'{arm}'."
                )
            parts.append(UnitMoments.of(values[own]))
        return UnitMoments(
            *(np.stack([getattr(part, name) for part in parts]) for name in ("n", "mean", "cov"))
        )

    def _must_be_binary(self, label: str) -> None:
        outcome = self.outcomes[label]
        bad = (outcome != 0) & (outcome != 1)
        if bad.any():
            row, name = _source_row(self.table, Series(bad)), label
            name = name or self.table.roles["outcome"][0]
            raise DataError(
                f"dataset.roles.outcome: row {row} has {outcome[bad][0]:g} in column '{name}'; "
                f"must be 0 or 1."
            )


def label_of(name: str, metric: TestMetric, outcomes: Mapping[str, str]) -> str:
    """Return the label of a metric: that of its outcome where it is no more than it, else its name.

    Args:
        name: The name of the metric.
        metric: The metric.
        outcomes: The labels of the outcomes by name.

    Raises:
        ConfigError: It is of no outcome, or another outcome has its name.
    """
    source = metric.outcome or name
    if source not in outcomes:
        field = "" if metric.outcome is None else f".{name}.outcome"
        raise ConfigError(
            f"protocol.metrics{field}: no outcome '{source}'{nearest(source, outcomes)}"
        )
    if name == source and (not metric.derived or metric.per == CLUSTER_UNITS):
        return outcomes[source]
    if name in outcomes:
        raise ConfigError(
            f"protocol.metrics: '{name}' is an outcome; give the metric of '{source}' another name."
        )
    return name


def _refuse_repeated(table: Table, arm: ndarray, names: tuple[str, ...]) -> None:
    """Refuse an entity with several rows: they are alike, and an interval that took them as
    independent would be too short.
    """
    columns = list(table.roles.get("entity", ()))
    if not columns:
        return
    rows = table.data.select(*columns).with_columns(Series("__arm", arm)).drop_nulls(columns)
    counted = rows.group_by(columns).agg(
        pl.len().alias("__rows"), col("__arm").min(), __other=col("__arm").max()
    )
    repeated = counted.filter(col("__rows") > 1).sort(col("__arm") == col("__other"), *columns)
    if repeated.is_empty():
        return
    *entity, times, one, other = repeated.row(0)
    name = ", ".join(map(str, entity))
    many = (
        f"dataset.roles.entity: {len(repeated):,} of {len(counted):,} have several rows, "
        f"'{name}' {times}"
    )
    if one != other:
        raise DataError(
            f"{many} in arms '{names[one]}' and '{names[other]}'; a unit is in one arm."
        )
    raise DataError(
        f"{many}; a test counts each unit once: protocol.rows=events adds its rows up "
        f"(model=ab/ratio divides their sums);"
        " without roles.entity every row is a unit."
    )


def _arrival_order(table: Table) -> Table:
    """Return the rows by time, those of one instant as they stand."""
    if not table.roles.get("time"):
        return table
    return replace(table, data=table.data.sort(_time_column(table).name, maintain_order=True))


def event_outcomes(table: Table) -> dict[str, ndarray]:
    """Return the outcome columns, then revenue and margin where the roles say what they are."""
    names = table.roles.get("outcome", ())
    if not names:
        raise DataError("dataset.roles.outcome: must be given.")
    taken = next((name for name in names if name in MADE_OUTCOMES and len(names) > 1), None)
    if taken:
        raise DataError(
            f"dataset.roles.outcome: '{taken}' is what hwds calls the money of a unit; rename the "
            f"column."
        )
    found = {
        name if len(names) > 1 else "": number_column(table, name, "outcome") for name in names
    }
    first = next(iter(found.values()))
    if table.roles.get("price"):
        price = role_numbers(table, "price", least=0.0)
        found["revenue"] = first * price
        if table.roles.get("cost"):
            found["margin"] = first * (price - role_numbers(table, "cost", least=0.0))
    elif table.roles.get("amount"):
        found["revenue"] = role_numbers(table, "amount")
    return found


def _one_number(values: ndarray, absent: float) -> float | None:
    """Return the one positive number that a value is where it is not zero."""
    known = values[values != 0]
    if not len(known):
        return absent if absent > 0 else None
    return float(known[0]) if known[0] > 0 and np.all(known == known[0]) else None


# Running sums as the evidence of a test: at each instant the units of an arm so far, their mean
# and variance.

SUM_ROLES = ("count", "mean", "variance")
"""The roles of running sums."""


@dataclass(frozen=True, eq=False)
class RunningSums:
    """Running sums by instant and arm; an arm without a row at an instant keeps what it had.

    Attributes:
        arms: Their names, the control first.
        times: The instants, rising.
        count, mean, variance: Of shape (instants, arms); the variance has the divisor n - 1.
    """

    arms: tuple[str, ...]
    times: Series
    count: ndarray
    mean: ndarray
    variance: ndarray

    @classmethod
    def read(cls, table: Table, control: str | None) -> RunningSums:
        """Return the sums, checked.

        Raises:
            ConfigError: The control is no arm.
            DataError: A role is missing, a variance is negative, counts fall, or an arm has two
                rows at one instant.
        """
        names = arm_names(table, control)
        times, place = _instant_places(table)
        arm = arm_codes(table, names)
        _refuse_two_rows(table, place, arm)
        columns = [
            _carry_forward(table, role, (len(times), len(names)), place, arm, least)
            for role, least in zip(SUM_ROLES, (0.0, None, 0.0), strict=True)
        ]
        count = columns[0]
        if (np.diff(count, axis=0) < 0).any():
            where, number = np.argwhere(np.diff(count, axis=0) < 0)[0]
            instant = times[int(where) + 1]
            raise DataError(
                f"dataset.roles.count: arm '{names[number]}' has fewer units at {instant} than "
                f"before."
            )
        for name, units in zip(names, count[-1], strict=True):
            if units < 2:
                raise DataError(
                    f"dataset.roles.count: arm '{name}' has {units:g} units; an arm needs two."
                )
        return cls(names, times, *columns)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The one outcome."""
        return ("",)

    @property
    def n(self) -> int:
        """The number of instants, all of which are taken."""
        return len(self.times)

    @property
    def ordered(self) -> bool:
        """Sums are by time."""
        return True

    def counts(self, stop: int) -> list[int]:
        """Return units of each arm at an instant, counted from 1."""
        return [int(units) for units in self.count[stop - 1]]

    def stop_at(self, units: float) -> int | None:
        """Return the first instant with so many units; None where none has."""
        enough = self.count.sum(axis=1) >= units - COUNT_ROUNDING
        return int(np.argmax(enough)) + 1 if enough.any() else None

    def enough(self, needs: ComparisonNeeds, stop: int) -> bool:
        """Return whether each arm has two units at an instant."""
        return bool((self.count[stop - 1] >= 2).all())

    def when(self, stop: int) -> str:
        """Return the instant."""
        return str(self.times[stop - 1])

    def days(self, most: int) -> list[tuple[str, int]]:
        """Return the days of the sums, each with its last instant, counted from 1."""
        return day_ends(self.times, most)

    def sample(self, label: str, needs: ComparisonNeeds, stop: int) -> Sample:
        """Return the sample of the sums at an instant.

        Raises:
            ConfigError: The comparison needs more than sums.
            DataError: A mean is no conversion where it must be one.
        """
        if needs.inputs or needs.strata:
            raise ConfigError("model: needs a row per unit; running sums hold an outcome alone.")
        place = stop - 1
        binary = self._are_conversions(place)
        if needs.binary and not binary:
            raise DataError(
                "dataset.roles.mean: the variances are not those of outcomes of 0 and 1, which "
                "the model needs."
            )
        arms = tuple(
            SampleArm(name, UnitMoments(n, np.array([mean]), np.array([[variance]])), price=price)
            for name, n, mean, variance in zip(
                self.arms, self.count[place], self.mean[place], self.variance[place], strict=True
            )
            for price in (1.0 if binary else None,)
        )
        return Sample(label, arms)

    def _are_conversions(self, place: int) -> bool:
        """Return whether the variances are p (1 - p), but for the divisor."""
        mean, n = self.mean[place], self.count[place]
        expected = mean * (1 - mean)
        off = np.abs(self.variance[place] - expected)
        return bool(
            np.all((mean >= 0) & (mean <= 1) & (off <= expected / np.maximum(n - 1, 1) + 1e-9))
        )


def _instant_places(table: Table) -> tuple[Series, ndarray]:
    """Return the instants and each row's place among them."""
    if not table.roles.get("time"):
        return Series([0]), np.zeros(len(table.data), np.int64)
    column = _time_column(table)
    return column.unique().sort(), column.rank("dense").to_numpy().astype(np.int64) - 1


def _refuse_two_rows(table: Table, place: ndarray, arm: ndarray) -> None:
    """Refuse two rows of an arm at one instant: several experiments or outcomes in one file."""
    keys = DataFrame({"place": place, "arm": arm})
    twice = keys.is_duplicated().arg_true()
    if len(twice):
        first = int(twice[0])
        second = next(int(row) for row in twice[1:] if keys.row(int(row)) == keys.row(first))
        name = table.column("arm")[first]
        raise DataError(
            f"dataset.roles.count: arm '{name}' has two rows at one instant (rows {first + 1} and "
            f"{second + 1});"
            " keep one experiment and one outcome."
        )


def _carry_forward(
    table: Table,
    role: str,
    shape: tuple[int, int],
    place: ndarray,
    arm: ndarray,
    least: float | None,
) -> ndarray:
    """Return one role by instant and arm, carried forward; nothing before an arm's first row."""
    laid = np.full(shape, np.nan)
    laid[place, arm] = role_numbers(table, role, least)
    known = pl.all().fill_nan(None)
    return DataFrame(laid).select(known.forward_fill().fill_null(0.0)).to_numpy()
