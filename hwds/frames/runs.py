"""Runs: machines from new until they fail or are last seen; their checks, and rows that go on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, DataError
from hwds.core.files import Displayed, Readable, digest_bytes
from hwds.core.serialization import Serializable
from hwds.frames.columns import (
    LARGEST,
    as_polars,
    first_pair,
    first_row,
    ipc_bytes,
    is_number,
    read_arrow,
    refuse_absent,
)
from hwds.frames.roles import ROLES, Names, Roles

# Checks of runs when they are built; every refusal names the run and the rows of the source.

ENTITY, CYCLE = "entity", "cycle"
"""The names that these two columns have in all runs, whatever they were called in the user's file.
"""

ROW = "__row__"
STEADY = 0.9
"""The share of a sensor's rows that have one and the same value, from which on it tells nothing of
wear.
"""

_LOG = logging.getLogger(__name__)


def checked_rows(data: DataFrame, roles: Roles, longest_gap: int) -> DataFrame:
    """Return the rows by run, `entity` and `cycle` under these names, short gaps of sensors filled
    by the last number.

    Raises:
        ConfigError: A column with a role has the name that the machine or the cycle gets.
        DataError: As `Runs.build` says.
    """
    if data.is_empty():
        raise DataError("dataset: no rows.")
    _refuse_absent(data, roles)
    names = [col(name).cast(pl.String) for name in roles[ENTITY]]
    rows = data.with_row_index(ROW).with_columns(
        pl.concat_str(names, separator="|").alias(ENTITY),
        col(roles[CYCLE][0]).cast(pl.Float64).alias(CYCLE),
    )
    for name in (ENTITY, CYCLE):
        bad = rows[name].is_null().arg_true()
        if len(bad):
            raise DataError(f"dataset: row {bad[0] + 1} has no {name}.")
    order = rows.group_by(ENTITY, maintain_order=True).agg(pl.first(ROW).alias("__first__"))
    rows = rows.join(order, ENTITY, maintain_order="left").sort("__first__", maintain_order=True)
    _refuse_falling(rows)
    return _fill_gaps(rows.drop("__first__"), roles, longest_gap)


def run_ends(rows: DataFrame, roles: Roles) -> DataFrame:
    """Return how each run ends; columns as `Runs.ends` says.

    Raises:
        DataError: A run fails twice or goes on after its failure, what is one of a run changes
            within it, its split is neither `train` nor `test`, or it lasts less than 0 beyond its
            last row, or beyond its failure.
    """
    event = roles.one("event")
    if event:
        _refuse_failures(rows, event)
    for role in ("split", "start", "remaining", "static"):
        for name in roles.get(role, ()):
            _refuse_changing(rows, name, role)
    named = roles.one("split")
    split = col(named).cast(pl.String).first() if named else pl.lit("train")
    tests = split == "test"
    columns = {
        "age": col(CYCLE).last(),
        "event": (col(event).cast(pl.Float64).last() == 1).fill_null(False) if event else ~tests,
        "remaining": _first(roles, "remaining"),
        "split": split,
        "start": _first(roles, "start"),
    }
    ends = rows.group_by(ENTITY, maintain_order=True).agg(
        value.alias(name) for name, value in columns.items()
    )
    if wrong := first_row(ends, ~ends["split"].is_in(["train", "test"]).fill_null(False)):
        raise DataError(
            f"dataset: run '{wrong[ENTITY]}' has split {wrong['split']!r}; it must say "
            f"'train' or 'test'."
        )
    _refuse_remaining(ends)
    remaining = pl.when(col("event")).then(0.0).otherwise(col("remaining"))
    return ends.with_columns(remaining.alias("remaining"))


def refuse_marks(rows: DataFrame, roles: Roles, marks: tuple[str, ...]) -> None:
    """Refuse a label or a change point that is neither 0 nor 1.

    Raises:
        DataError: With its row in the source.
    """
    for role in marks:
        for name in roles.get(role, ()):
            if not is_number(rows[name].dtype):
                raise DataError(
                    f"dataset.roles.{role}: column '{name}' must hold 0 and 1, row 1 has "
                    f"{rows[name][0]!r}."
                )
            _refuse_no_mark(rows, name, role)


def _refuse_no_mark(rows: DataFrame, name: str, role: str) -> None:
    """Refuse a number of a column that is neither 0 nor 1."""
    if row := first_row(rows, ~rows[name].cast(pl.Float64).is_in([0.0, 1.0])):
        raise DataError(
            f"dataset.roles.{role}: row {row[ROW] + 1} has {row[name]} in column '{name}'; must "
            f"be 0 or 1."
        )


def informative_roles(rows: DataFrame, ends: DataFrame, roles: Roles) -> Roles:
    """Return the roles without the sensors that hardly change in the runs to learn from.

    A warning names them.

    No label is looked at. Where no sensor changes, as in a few rows of new machines, all of them
    are kept.
    """
    train = rows.join(ends.filter(split="train").select(ENTITY), ENTITY, "semi")
    sensors = roles.get("sensor", ())
    left = [name for name in sensors if is_steady(train[name])]
    if len(left) == len(sensors):
        return roles
    if left:
        _LOG.warning(
            "dataset: %d of %d sensors hardly change and are left out: %s.",
            len(left),
            len(sensors),
            ", ".join(left),
        )
    return roles | {"sensor": tuple(name for name in sensors if name not in left)}


def is_steady(values: Series) -> bool:
    """Return whether one value makes up `STEADY` of the rows of a sensor."""
    most = values.value_counts(sort=True, name=ROW)
    return len(most) < 2 or float(most[ROW][0]) / len(values) >= STEADY


def _first(roles: Roles, role: str) -> pl.Expr:
    name = roles.one(role)
    return col(name).cast(pl.Float64).fill_nan(None).first() if name else pl.lit(None, pl.Float64)


def _refuse_absent(data: DataFrame, roles: Roles) -> None:
    for role in (ENTITY, CYCLE):
        if not roles.get(role):
            raise DataError(f"dataset.roles.{role}: must be given.")
    for role, names in roles.items():
        for name in names:
            if role not in (ENTITY, CYCLE, "ignore") and name in (ENTITY, CYCLE):
                raise ConfigError(
                    f"dataset.roles.{role}: hwds gives the name '{name}' to another column; "
                    f"rename it in the data."
                )
            refuse_absent("dataset", [name], data.columns)
            column = data[name]
            if ROLES[role].holds == "numbers" and not is_number(column.dtype):
                raise DataError(
                    f"dataset: column '{name}' must hold numbers, row 1 has {column[0]!r}."
                )
            if column.dtype.is_float() and (column.fill_nan(None).abs() > LARGEST).any():
                row = (column.abs() > LARGEST).arg_true()[0] + 1
                raise DataError(f"dataset: column '{name}' has {column[row - 1]} in row {row}.")


def _refuse_falling(rows: DataFrame) -> None:
    same = rows[ENTITY] == rows[ENTITY].shift(1)
    if pair := first_pair(rows, same & (rows[CYCLE] <= rows[CYCLE].shift(1))):
        before, row = pair
        twice = row[CYCLE] == before[CYCLE]
        cure = "; dataset.duplicates may be mean or last" if twice else ": sort the rows by it"
        raise DataError(
            f"dataset: run '{row[ENTITY]}' has cycle {row[CYCLE]:g} after cycle {before[CYCLE]:g} "
            f"(row {row[ROW] + 1}); cycles must rise{cure}."
        )


def _refuse_failures(rows: DataFrame, event: str) -> None:
    _refuse_no_mark(rows, event, "event")
    failed = rows.with_row_index("__at__").filter(col(event).cast(pl.Float64) == 1)
    if twice := first_row(failed, failed[ENTITY] == failed[ENTITY].shift(1)):
        first, second = failed.filter(col(ENTITY) == twice[ENTITY])[ROW][:2] + 1
        raise DataError(f"dataset: run '{twice[ENTITY]}' fails twice (rows {first} and {second}).")
    last = rows.with_row_index("__at__").group_by(ENTITY).agg(pl.last("__at__").alias("__last__"))
    failed = failed.join(last, ENTITY, maintain_order="left")
    if early := first_row(failed, failed["__at__"] < failed["__last__"]):
        raise DataError(
            f"dataset: run '{early[ENTITY]}' goes on after its failure in row {early[ROW] + 1}."
        )


def _refuse_remaining(ends: DataFrame) -> None:
    if run := first_row(ends, ends["remaining"] < 0):
        raise DataError(
            f"dataset.roles.remaining: run '{run[ENTITY]}' has {run['remaining']:g}; must be >= 0."
        )
    if run := first_row(ends, ends["event"] & (ends["remaining"] > 0)):
        raise DataError(
            f"dataset.roles.remaining: run '{run[ENTITY]}' has {run['remaining']:g}, but failed "
            f"in its last row; "
            f"dataset.roles.event says which"
            " runs failed: without it all did but those of the test."
        )


def _refuse_changing(rows: DataFrame, name: str, role: str) -> None:
    same = rows[ENTITY] == rows[ENTITY].shift(1)
    if row := first_row(rows, same & rows[name].ne_missing(rows[name].shift(1))):
        raise DataError(
            f"dataset.roles.{role}: column '{name}' changes in run '{row[ENTITY]}' (row "
            f"{row[ROW] + 1})."
        )


def _fill_gaps(rows: DataFrame, roles: Roles, longest_gap: int) -> DataFrame:
    """Carry the last number of a run over short gaps.

    Refuse longer ones, and a run that begins without a number.
    """
    names = roles.columns(("sensor", "setting"))
    numbers = rows.with_columns(col(names).cast(pl.Float64).fill_nan(None)) if names else rows
    runs, inside = rows[ENTITY].to_numpy(), np.arange(len(rows))
    begins = np.concatenate([[True], runs[1:] != runs[:-1]])
    for name in names:
        gone = numbers[name].is_null().to_numpy()
        if not gone.any():
            continue
        last = np.maximum.accumulate(np.where(~gone, inside, -1))
        first = np.maximum.accumulate(np.where(begins, inside, 0))
        length = np.where(gone, inside - np.maximum(last, first - 1), 0)
        bad = np.flatnonzero((length > longest_gap) | (gone & (last < first)))
        if len(bad):
            _refuse_gap(numbers, name, int(bad[0]), gone, begins, longest_gap)
    return numbers.with_columns(col(names).forward_fill().over(ENTITY)) if names else numbers


def _refuse_gap(
    rows: DataFrame, name: str, bad: int, gone: ndarray, begins: ndarray, longest_gap: int
) -> None:
    start, stop = bad, bad + 1
    while not begins[start] and gone[start - 1]:
        start -= 1
    while stop < len(gone) and gone[stop] and not begins[stop]:
        stop += 1
    run, first, last = rows[ENTITY][bad], rows[ROW][start] + 1, rows[ROW][stop - 1] + 1
    if begins[start]:
        raise DataError(
            f"dataset: run '{run}' begins without a number in column '{name}' (row {first})."
        )
    raise DataError(
        f"dataset: run '{run}' has no number in column '{name}' in {stop - start} rows in a row "
        f"(rows {first} to {last}), more"
        f" than dataset.longest_gap={longest_gap}."
    )


# Sensors that give away how long a run still lasts.

END = "__end__"
LAST_SHARE = 0.3
"""The last part of each run that is looked at: a remaining life that is capped is not constant
there.
"""

LEAKING_CORRELATION = 0.999
"""The correlation with the remaining life, over all machines, that no measurement has."""


def telling_columns(
    runs: Runs, trusted: tuple[str, ...] = (), *, likely: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield each column of the runs to learn from that gives the remaining life away, with the
    reason.

    Args:
        runs: The runs.
        trusted: Columns that are not looked at.
        likely: True for those that likely give it away, in place of those that do.
    """
    known = runs.learnable
    if likely:
        asked, certain = (LIKELY_OPEN, LIKELY_ORDER), dict(telling_columns(runs, trusted))
    else:
        asked, certain = (CERTAIN_OPEN, CERTAIN_ORDER), {}
        for name, reason in telling_sensors(known.data, known.ends, known.sensors, trusted):
            certain[name] = reason
            yield name, reason
    clocks = _Clocks(known)
    for name in known.roles.columns({role: known.roles.get(role, ()) for role in KEPT}):
        if name not in (*trusted, *certain) and known.data.schema[name].is_numeric():
            reason = clocks.reason(known.data[name], *asked)
            if reason:
                yield name, reason


CERTAIN_OPEN, LIKELY_OPEN = 0.01, 0.15
"""The share of a column's variance, in ranks, between machines that are equally far from their end,
up to which it surely, or likely, follows from the end. Sensors of engines leave .4 to 1.
"""

WEAR_OPEN = 0.01
"""The part of these limits that holds for machines that have had an equal share of their life: what
measures wear itself leaves little open there, .02 where it is simulated.
"""

CERTAIN_ORDER, LIKELY_ORDER = 0.99, 0.9
"""The rank correlation with the whole life from which on a first row surely, or likely, tells it.
"""

BEYOND_AGE = 0.2
"""The share of what the age leaves open that a clock that ends with the run may leave."""

FEWEST_ENDS, FEWEST_NEIGHBOURS = 12, 40
"""Failed runs, and neighbours of two runs, below which a likeness may be chance."""

MOST_ROWS = 5_000
"""Rows that are looked at, evenly spread."""


class _Clocks:
    """The rows of failed runs in the order of the time to their end, of the share of their life,
    and of their age.

    Whatever depends on the end alone (`1 / (1 + left)`, `left < 30`) is alike in neighbours of that
    order, which are rows of two machines.

    Args:
        runs: The runs to learn from.
    """

    def __init__(self, runs: Runs) -> None:
        every = -(-len(runs.data) // MOST_ROWS)
        failed = runs.events[runs.run_of_row]
        self.rows = np.flatnonzero(failed)[::every]
        self.firsts, self.lives = runs.offsets[:-1][runs.events], runs.ages[runs.events]
        run, age = runs.run_of_row[self.rows], runs.cycles[self.rows].astype(float)
        life = runs.ages[run].astype(float)
        self.orders = {
            "how long a run still lasts": (1.0, _pairs_of_two(life - age, run)),
            "the share of its life that a run has had": (WEAR_OPEN, _pairs_of_two(age / life, run)),
        }
        self.by_age = _pairs_of_two(age, run)

    def reason(self, values: Series, most_open: float, least_order: float) -> str:
        """Return how a column gives the remaining life away, empty where it does not."""
        if len(np.unique(self.lives)) < FEWEST_ENDS:
            return ""
        ranks = values.cast(pl.Float64).gather(self.rows).rank().to_numpy()
        by_age = _open_share(ranks, self.by_age)
        for what, (strictness, pairs) in self.orders.items():
            left = _open_share(ranks, pairs)
            if left <= strictness * most_open and left <= BEYOND_AGE * by_age:
                return f"{what} leaves {left:.1%} of it open, its age {by_age:.1%}"
        first = values.cast(pl.Float64).gather(self.firsts).rank().to_numpy()
        if 2 * len(np.unique(first)) < len(first):
            return ""
        order = float(np.corrcoef(first, Series(self.lives).rank().to_numpy())[0, 1])
        if abs(order) < least_order:
            return ""
        return f"the rank correlation of its first row with the whole life is {order:.3f}"


def _pairs_of_two(clock: ndarray, run: ndarray) -> tuple[ndarray, ndarray]:
    """Return the rows that follow each other by a clock and are of two runs, those of one moment in
    the order of a multiple of their run, which is none of theirs.
    """
    order = np.lexsort((run * 7919 % 104_729, clock))
    two = np.diff(run[order]) != 0
    return order[:-1][two], order[1:][two]


def _open_share(ranks: ndarray, pairs: tuple[ndarray, ndarray]) -> float:
    """Return the share of the variance that lies between neighbours (von Neumann 1941)."""
    spread = float(np.var(ranks))
    if len(pairs[0]) < FEWEST_NEIGHBOURS or not spread > 0:
        return 1.0
    return float(np.mean((ranks[pairs[0]] - ranks[pairs[1]]) ** 2)) / (2 * spread)


def telling_sensors(
    data: DataFrame, ends: DataFrame, sensors: tuple[str, ...], trusted: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield each sensor that is the remaining life, or a line of it, with the reason.

    Args:
        data: The rows of runs to learn from, as in `Runs.data`.
        ends: Their ends, as in `Runs.ends`; those that failed are looked at.
        sensors: Columns of the rows.
        trusted: Columns that are not looked at.
    """
    failed_at = ends.filter("event").select(ENTITY, col("age").alias(END))
    if failed_at[END].n_unique() < 2:  # with equal lives the age is a line of the remaining life
        return
    rows = data.join(failed_at, ENTITY, maintain_order="left").filter(
        col(END) - col(CYCLE) <= LAST_SHARE * col(END)
    )
    left = (rows[END] - rows[CYCLE]).to_numpy()
    for name in sensors:
        values = rows[name].cast(pl.Float64).to_numpy()
        spread = float(values.std() * left.std())
        if name in trusted or not spread:
            continue
        r = float(np.mean((values - values.mean()) * (left - left.mean())) / spread)
        if abs(r) >= LEAKING_CORRELATION:
            yield (
                name,
                f"its correlation with the remaining life is {r:.4f} in the last part of all runs",
            )


# Runs: machines from new until they fail or are last seen, cycle by cycle, with what their
# sensors measure.

KEPT = ("sensor", "setting", "static")
"""The roles of columns that a model may read."""

MARKS = ("label", "changepoint")
"""The roles of columns that say of each row what only scores may read: `unmarked` leaves them out.
"""


@dataclass(frozen=True, eq=False)
class Runs(Displayed):
    """Runs of machines: rows by cycle, and how each run ended.

    A panel does not carry them: it has a target in each row, and a clock that its series share,
    while the label of a run is how it ends, which none of its rows holds, and the number of its
    rows is that label. A table neither: its rows stand alone, while those of a run are one history.
    So the ends stand in a frame of their own, and `until` cuts a history physically: a cut run is
    one that is censored at the cut.

    Attributes:
        data: `entity`, `cycle`, and the columns of sensors, settings and static columns; sorted by
            run and cycle. Where rows are labelled one by one, the label and the change points too.
        ends: One row a run, in the order of `data`: `entity`; `age`, its last cycle; `event`, true
            where it failed there; `remaining`, how long it lasts beyond that, 0 where it failed
            there and null where it is not known; `split`, `train` or `test`; `start`, when it was
            new, null where that is not known.
        roles: `sensor`, `setting`, `static`, `label` and `changepoint` to their columns.
        regimes: Operating conditions within which sensors are comparable.
        unit: What cycles count.
    """

    data: DataFrame
    ends: DataFrame
    roles: Roles
    regimes: int = 1
    unit: str = "cycles"

    LEAST: ClassVar[int] = 2

    @classmethod
    def build(
        cls,
        data: DataFrame,
        roles: Mapping[str, Names],
        *,
        regimes: int = 1,
        unit: str = "cycles",
        longest_gap: int = 0,
    ) -> Runs:
        """Return checked runs; sensors that hardly change in the runs to learn from lose their
        role, and a warning names them.

        Their columns stay, for a model of other runs in which they changed.

        Args:
            data: Rows in which each run's cycles rise.
            roles: `entity` and `cycle`, and as far as there are any `sensor`, `setting`, `static`,
                `event`, `remaining`, `split`, `start`, `label` and `changepoint`.
            regimes: Operating conditions, told apart by the settings.
            unit: What cycles count.
            longest_gap: Rows in a row without a number, after which the last one is not carried on.

        Raises:
            ConfigError: A column with a role has the name that the machine or the cycle gets.
            DataError: A column is missing; cycles do not rise; a run fails twice or goes on after
                it; a number is missing for too long; a label or a change point is neither 0 nor 1;
                `split`, `start`, `remaining` or a static column changes within a run, or is none of
                its values.
        """
        given = Roles(roles)
        rows = checked_rows(data, given, longest_gap)
        refuse_marks(rows, given, MARKS)
        ends = run_ends(rows, given)
        kept = informative_roles(rows, ends, given)
        carried = Roles({role: kept.get(role) for role in (*KEPT, *MARKS)})
        columns = [ENTITY, CYCLE, *given.columns(carried)]
        return cls(rows.select(columns).rechunk(), ends, carried, regimes, unit)

    @classmethod
    def of(
        cls,
        data: Any,
        *,
        regimes: int = 1,
        unit: str = "cycles",
        trust: tuple[str, ...] = (),
        **roles: Names,
    ) -> Runs:
        """Return checked runs of a frame of polars or pandas.

        Args:
            data: Rows in which each run's cycles rise.
            regimes: Operating conditions, told apart by the settings.
            unit: What cycles count.
            trust: Columns that may follow the remaining life so closely, because they are truly
                measured.
            **roles: Roles and their columns (`entity="machine"`, `cycle="hours"`), as in
                `dataset.roles`.

        Raises:
            ConfigError: As of `build`.
            DataError: As of `build`, or a sensor gives the remaining life away.

        Example:
            >>> data = {"m": ["a", "a"], "t": [1, 2], "x": [0.1, 0.4]}
            >>> Runs.of(data, entity="m", cycle="t", sensor="x").n
            1
        """
        rows, named = as_polars(data), Roles(roles)
        named = named if named.get("sensor") else named | {"sensor": other_numbers(rows, named)}
        return cls.build(rows, named, regimes=regimes, unit=unit).without_giveaways(trust)

    def without_giveaways(self, trust: tuple[str, ...] = ()) -> Self:
        """Return the same, where no column of the runs to learn from gives the remaining life away.

        Args:
            trust: Columns that may follow the remaining life so closely, because they are truly
                measured.

        Raises:
            DataError: With the column, and how to let it through.
        """
        for name, reason in telling_columns(self, trust):
            raise DataError(
                f"dataset: column '{name}' gives the remaining life away: {reason}; name it in "
                f"dataset.roles.ignore, or in"
                " dataset.trust if it is truly measured."
            )
        return self

    def __repr__(self) -> str:
        failed = int(self.ends["event"].sum())
        return (
            f"Runs({self.n} runs, {failed} to their failure, {len(self.data)} rows; "
            f"{self.roles.summary})"
        )

    @property
    def sensors(self) -> tuple[str, ...]:
        """The columns of what is measured."""
        return self.roles.get("sensor", ())

    @property
    def settings(self) -> tuple[str, ...]:
        """The columns of operating conditions."""
        return self.roles.get("setting", ())

    @property
    def n(self) -> int:
        """The number of runs."""
        return len(self.ends)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The runs' names, in order."""
        return tuple(self.ends[ENTITY])

    @cached_property
    def offsets(self) -> ndarray:
        """The first row of each run, and the number of rows at the end; shape (n + 1,)."""
        lengths = self.data[ENTITY].rle().struct.field("len").to_numpy()
        return np.r_[0, np.cumsum(lengths)].astype(np.int64)

    @property
    def lengths(self) -> ndarray:
        """The rows of each run, shape (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def run_of_row(self) -> ndarray:
        """The place of each row's run, shape (rows,)."""
        return np.repeat(np.arange(self.n), self.lengths)

    @cached_property
    def cycles(self) -> ndarray:
        """The age of its run in each row, shape (rows,)."""
        return self.data[CYCLE].to_numpy()

    @cached_property
    def ages(self) -> ndarray:
        """The age of each run at its last row, shape (n,)."""
        return self.ends["age"].to_numpy()

    @property
    def events(self) -> ndarray:
        """A flag for each run that failed at its last row, shape (n,)."""
        return self.ends["event"].to_numpy()

    @property
    def remaining(self) -> ndarray:
        """The time that each run lasts beyond its last row, NaN where that is not known.

        Shape (n,).
        """
        return self.ends["remaining"].to_numpy()

    def remaining_of_rows(self) -> tuple[ndarray, ndarray]:
        """Return how long a run was seen to go on after each row, and whether it failed then.

        Shapes (rows,).

        Where it did not, it lasted longer than that: a censored life.
        """
        return self.ages[self.run_of_row] - self.cycles, self.events[self.run_of_row]

    def numbers(self, names: Sequence[str]) -> ndarray:
        """Return columns as numbers, shape (rows, names)."""
        return (
            self.data.select(col(list(names)).cast(pl.Float64)).to_numpy()
            if names
            else np.zeros((len(self.data), 0))
        )

    def marks(self, role: str) -> ndarray | None:
        """Return the label or the change point of each row, shape (rows,), NaN where not known.

        None where runs have none.
        """
        name = self.roles.one(role)
        return None if name is None else self.data[name].cast(pl.Float64).to_numpy()

    @property
    def unmarked(self) -> Runs:
        """The same without labels and change points: all of a row that a model may see."""
        return replace(
            self, data=self.data.drop(self.roles.columns(MARKS)), roles=self.roles.without(*MARKS)
        )

    def take(self, which: ndarray) -> Runs:
        """Return some of the runs, by a mask of shape (n,)."""
        return replace(
            self, data=self.data.filter(which[self.run_of_row]), ends=self.ends.filter(which)
        )

    def until(self, rows: ndarray) -> Runs:
        """Return the first rows of each run: what is known at a cut, no failure and nothing of how
        the run goes on.

        Args:
            rows: The number of rows of each run, shape (n,); a run of 0 is left out.
        """
        place = np.arange(len(self.data)) - self.offsets[:-1][self.run_of_row]
        rows_before, there = self.data.filter(place < rows[self.run_of_row]), rows > 0
        last = self.cycles[self.offsets[:-1][there] + np.minimum(rows, self.lengths)[there] - 1]
        nothing = pl.lit(None, pl.Float64).alias("remaining")
        ends = self.ends.filter(there).with_columns(
            Series("age", last), pl.lit(False).alias("event"), nothing
        )
        return replace(self, data=rows_before, ends=ends)

    @property
    def learnable(self) -> Runs:
        """The runs to learn from: all but those that are for the test."""
        return self.take((self.ends["split"] == "train").to_numpy())

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the runs hold."""
        about = json.dumps([dict(self.roles), self.regimes, self.unit], sort_keys=True)
        return digest_bytes([ipc_bytes(self.data), ipc_bytes(self.ends), about.encode()])

    def write(self, folder: Path) -> None:
        """Write the runs as uncompressed Arrow, to be mapped into the memory of workers."""
        self.data.rechunk().write_ipc(folder / "data.arrow")
        self.ends.rechunk().write_ipc(folder / "ends.arrow")
        (folder / "roles.json").write_text(json.dumps([dict(self.roles), self.regimes, self.unit]))

    @classmethod
    def read(cls, folder: Readable) -> Runs:
        """Return the runs that `write` wrote."""
        roles, regimes, unit = json.loads((folder / "roles.json").read_bytes())
        return cls(
            read_arrow(folder / "data.arrow"),
            read_arrow(folder / "ends.arrow"),
            Roles(roles),
            regimes,
            unit,
        )


def other_numbers(rows: DataFrame, roles: Roles) -> tuple[str, ...]:
    """Return the columns of numbers that have no role."""
    return tuple(
        name for name, kind in rows.schema.items() if kind.is_numeric() and name not in roles.names
    )


# New rows of runs that go on, and what of the rows before them is still needed.


@dataclass(frozen=True, eq=False)
class RowsOfRuns:
    """New rows of some runs, those of a run side by side and in the order of their cycles.

    Attributes:
        counts: The number of new rows of each run, shape (runs,).
        cycles: The ages, shape (rows,).
        sensors: The values of the sensors, shape (rows, sensors).
        settings: The values of the settings, shape (rows, settings).
    """

    counts: ndarray
    cycles: ndarray
    sensors: ndarray
    settings: ndarray


@dataclass(eq=False)
class SignalState(Serializable):
    """The past of a run that its windows need.

    Attributes:
        tail: The signals of its last rows, shape (at most the longest window less one, signals).
        top: The weighted sums of the exponentially weighted means, shape (weights, signals).
        bottom: The sums of their weights, the same.
    """

    tail: ndarray
    top: ndarray
    bottom: ndarray


@dataclass(frozen=True, eq=False)
class Stacked:
    """The last rows of runs with their new ones, one run after the other.

    Attributes:
        values: The rows, shape (rows, k).
        begins: The first row of the run of each new one, shape (new rows,). It is the run's first
            only where the past goes back to it; where not, no window does either.
        rows: The places of the new ones, shape (new rows,).
        ends: The end of each run, shape (runs,).
    """

    values: ndarray
    begins: ndarray
    rows: ndarray
    ends: ndarray

    @classmethod
    def of(cls, tails: Sequence[ndarray], new: ndarray, counts: ndarray) -> Self:
        """Return the tails of runs with new rows after each.

        Args:
            tails: The last rows of each run, shape (rows, k).
            new: Rows of the runs side by side, shape (new rows, k).
            counts: The number of new rows of each run.
        """
        stops = np.cumsum(counts)
        parts = (
            part
            for tail, stop, count in zip(tails, stops, counts, strict=True)
            for part in (tail, new[stop - count : stop])
        )
        lengths = np.array([len(tail) for tail in tails])
        ends = np.cumsum(lengths + counts)
        within = np.arange(len(new)) - np.repeat(stops - counts, counts)
        starts = ends - lengths - counts
        rows = np.repeat(ends - counts, counts) + within
        return cls(np.concatenate([*parts]), np.repeat(starts, counts), rows, ends)

    @property
    def begins_of_all(self) -> ndarray:
        """The first row of the run of each row, old and new; shape (rows,)."""
        starts = np.concatenate([[0], self.ends[:-1]])
        return np.repeat(starts, self.ends - starts)

    def tails(self, length: int) -> Iterator[ndarray]:
        """Yield the last rows of each run, at most so many, as arrays of their own."""
        start = 0
        for end in self.ends.tolist():
            yield self.values[max(start, end - length) : end].copy()
            start = end
