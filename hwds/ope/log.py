"""A log of decisions as checked arrays, its contexts as numbers, and the target policy's
choices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series
from pydantic import BeforeValidator, model_validator

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Amount, Positive, Recipe, UnitInterval
from hwds.frames.table import ROW_ID, Table, arm_name
from hwds.ope.models.base import Learner

# The context of logged decisions as numbers.

MOST_TEXT_VALUES = 50
"""Values of a text column that have a column of their own; the rarest beyond them share none."""


def holds_names(column: Series) -> bool:
    """Return whether a column holds names, not amounts."""
    return column.dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum, pl.Null)


def context_matrix(context: DataFrame) -> ndarray:
    """Return a column of ones, numbers and times centred and scaled, a column for each name.

    Shape (n, width).

    A missing number takes the mean, a missing name has none. Scales are of all rows: contexts tell
    nothing of rewards.
    """
    columns = [np.ones(len(context))]
    for column in context:
        if holds_names(column):
            columns += rows_of_names(column, MOST_TEXT_VALUES).values()
        else:
            columns.append(_scale_column(column))
    return np.stack(columns, axis=1, dtype=np.float64)


def context_cells(context: DataFrame) -> ndarray:
    """Return the number of each row's combination of names, from 0, shape (n,).

    Numbers do not count.
    """
    named = [column.cast(pl.String) for column in context if holds_names(column)]
    if not named:
        return np.zeros(len(context), np.int64)
    return DataFrame(named).to_struct().rank("dense").to_numpy().astype(np.int64) - 1


def rows_of_names(column: Series, most: int) -> dict[str, ndarray]:
    """Return the rows of the most frequent names of a column, by the name, shape (n,) each."""
    texts = column.cast(pl.String)
    counts = texts.drop_nulls().value_counts(name="count")
    ordered = counts.sort(["count", texts.name], descending=[True, False])[texts.name]
    return {name: (texts == name).fill_null(value=False).to_numpy() for name in ordered[:most]}


def _scale_column(column: Series) -> ndarray:
    values = column.to_physical().cast(pl.Float64).fill_nan(None)
    centred: ndarray = (values - (values.mean() or 0.0)).fill_null(0.0).to_numpy()
    return centred / (float(np.std(centred)) or 1.0)


# A table of logged decisions as arrays, each value checked against its role.

Reward = Literal["outcome", "revenue"]
RewardRange = tuple[Amount, Amount]


@dataclass(frozen=True, eq=False)
class DecisionLog:
    """Logged decisions.

    Attributes:
        table: The frame they come from.
        reward: Shape (n,).
        arms: The names of the arms that were logged, numbers by size.
        action: The number of the logged arm, shape (n,).
        propensity: The probability with which the arm was chosen, shape (n,); None where the table
            has no such role.
        price: Shape (n,); None where the table has no such role.
        context: The columns that a reward model reads.
        group: The number of the draw that a row belongs to, shape (n,); None where each row is one.
    """

    table: Table
    reward: ndarray
    arms: tuple[str, ...]
    action: ndarray
    propensity: ndarray | None
    price: ndarray | None
    context: DataFrame
    group: ndarray | None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.reward)

    @property
    def day(self) -> Series | None:
        """The day of each row as a number, which rows share.

        None where the table has no time, or not of every row.
        """
        times = self.times
        if times is None or times.dtype.base_type() not in (pl.Date, pl.Datetime):
            return None
        return times.cast(pl.Date).to_physical()

    @property
    def times(self) -> Series | None:
        """The time of each row; None where the table has no time, or not of every row."""
        times = self.table.column("time") if self.table.roles.get("time") else None
        return None if times is None or times.null_count() else times

    @property
    def features(self) -> ndarray:
        """The context as numbers, see `context_matrix`; ones alone where there is no context."""
        return context_matrix(self.context) if self.context.width else np.ones((self.n, 1))

    def rows(self, which: ndarray) -> DecisionLog:
        """Return some of the rows, with all arms; groups are numbered anew."""

        def part(values: ndarray | None) -> Any:
            return None if values is None else values[which]

        group = part(self.group)
        return replace(
            self,
            table=self.table.filter(which),
            reward=self.reward[which],
            action=self.action[which],
            propensity=part(self.propensity),
            price=part(self.price),
            context=self.context.filter(Series(which)) if self.context.width else self.context,
            group=None if group is None else np.unique(group, return_inverse=True)[1],
        )


def read_log(table: Table, reward: Reward, within: RewardRange | None) -> DecisionLog:
    """Return the log of a table.

    The arm is the role `arm`, or else the role `price`: with neither, nothing was chosen.

    Args:
        table: A table with the roles `outcome`, `arm` or `price`, and by need `propensity`,
            `context`, `group`.
        reward: `outcome`, or `revenue`, which is price times outcome.
        within: The least and the largest reward there can be, where that is declared.

    Raises:
        DataError: A role is missing, or a value does not fit its role, with the row.
    """
    if not (table.roles.get("arm") or table.roles.get("price")):
        raise DataError(
            "dataset.roles.arm: must be given, or dataset.roles.price: the choice of the log."
        )
    price = _read_numbers(table, "price") if table.roles.get("price") else None
    arms, action = _read_arms(table)
    names = [name for name in table.roles.get("context", ()) if name != ROW_ID]
    return DecisionLog(
        table,
        _read_rewards(table, reward, price, within),
        arms,
        action,
        _read_propensities(table),
        price,
        table.data.select(names) if names else DataFrame(),
        _read_groups(table),
    )


def _read_rewards(
    table: Table, kind: Reward, price: ndarray | None, within: RewardRange | None
) -> ndarray:
    values = _read_numbers(table, "outcome")
    if kind == "revenue":
        if price is None:
            raise DataError("dataset.roles.price: must be given, for protocol.reward is revenue.")
        sold = values != 0
        is_price = sold.any() and np.array_equal(values[sold], price[sold])
        if is_price and not (price[sold] == 1).all():
            raise DataError(
                "protocol.reward: must be outcome, got revenue: the outcome of every sale is its "
                "price already."
            )
        values = values * price
    if within:
        bad = np.flatnonzero((values < within[0]) | (values > within[1]))
        if len(bad):
            where = f"row {bad[0] + 1} has a reward of {values[bad[0]]:g}"
            raise DataError(
                f"protocol.reward_range: {where}, outside of {within[0]:g} to {within[1]:g}."
            )
    return values


def _read_numbers(table: Table, role: str) -> ndarray:
    values = _numbers(table, role)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        name = table.column(role).name
        raise DataError(
            f"dataset.roles.{role}: row {bad[0] + 1} has no finite value in column '{name}'."
        )
    return values


def _numbers(table: Table, role: str) -> ndarray:
    """Return a column of numbers, NaN where one is missing."""
    column = table.column(role)
    if not (column.dtype.is_numeric() or (column.dtype == pl.Boolean and role != "propensity")):
        raise DataError(
            f"dataset.roles.{role}: column '{column.name}' holds {column.dtype}, not numbers."
        )
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _read_arms(table: Table) -> tuple[tuple[str, ...], ndarray]:
    role = "arm" if table.roles.get("arm") else "price"
    column = table.column(role)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    _refuse_null(column, role)
    if not column.dtype.is_numeric():
        column = column.cast(pl.String)
    distinct = column.unique().sort()
    values = distinct.to_list()
    if distinct.dtype == pl.Float32:
        values = [float(str(value)) for value in distinct.to_numpy()]
    places = distinct.search_sorted(column).to_numpy().astype(np.int64)
    return tuple(map(arm_name, values)), places


def _refuse_null(column: Series, role: str) -> None:
    if column.null_count():
        missing = column.is_null().arg_true()[0]
        raise DataError(
            f"dataset.roles.{role}: row {missing + 1} has no value in column '{column.name}'."
        )


def _read_propensities(table: Table) -> ndarray | None:
    if not table.roles.get("propensity"):
        return None
    values = _numbers(table, "propensity")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        value = table.column("propensity")[int(bad[0])]
        raise DataError(
            f"dataset.roles.propensity: row {bad[0] + 1} has {value}; a logged choice has a "
            f"propensity above 0."
        )
    return values


def _read_groups(table: Table) -> ndarray | None:
    if not table.roles.get("group"):
        return None
    column = table.column("group")
    _refuse_null(column, "group")
    return column.rank("dense").to_numpy().astype(np.int64) - 1


# The policy whose value is estimated: its choices in each row of a log.

RewardPredictions = Callable[[Learner], ndarray]
"""Gives a cross-fitted reward model's expectation of each arm in each row, shape (n, arms)."""

UNIFORM_POLICY = "uniform"

MOST_ARMS = 100
"""Arms from which they are refused where a fourth of the rows has one of its own."""

TOLERANCE = 1e-6
"""The tolerance of the sum of a row's probabilities around 1."""


class TargetPolicy(Recipe):
    """The policy that is evaluated: one of these fields says which; where none is given every
    logged arm is as likely.

    Attributes:
        arm: Always this arm.
        price: Always this price; for an estimator of prices (`ope/kernel`).
        price_column: The price in this column; for an estimator of prices.
        columns: The beginning of the names of the columns that hold the probability of each arm
            (`target_` for `target_A`, `target_B` ...); an arm without a column is never chosen.
        epsilon_greedy: The arm with the highest expected reward, except for this share of uniform
            choices.
        softmax: Arms in proportion to exp(expected reward / this), in the unit of the reward.
        reward_model: For the last two, cross-fitted: `frequency`, `ridge`, `logistic` or `xgboost`.
    """

    arm: str | int | float | None = None
    price: Positive | None = None
    price_column: str | None = None
    columns: str | None = None
    epsilon_greedy: UnitInterval | None = None
    softmax: Positive | None = None
    reward_model: Learner = "ridge"

    @model_validator(mode="after")
    def one_is_given(self) -> TargetPolicy:
        """Refuse two policies at once."""
        given = [name for name in CHOOSERS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"must have one of {given[0]} and {given[1]}")
        return self

    @property
    def kind(self) -> str:
        """The field that says which, or `uniform`."""
        return next((name for name in CHOOSERS if getattr(self, name) is not None), UNIFORM_POLICY)

    @property
    def of_prices(self) -> bool:
        """True where it names prices, not arms."""
        return self.kind in ("price", "price_column")

    @property
    def learns(self) -> bool:
        """True where it is learned from the log's rewards."""
        return self.kind in ("epsilon_greedy", "softmax")

    def __str__(self) -> str:
        """Return the policy as a config writes it: `uniform`, `arm=A`."""
        kind = self.kind
        return kind if kind == UNIFORM_POLICY else f"{kind}={getattr(self, kind)}"


def _by_name(value: Any) -> Any:
    return {} if value == UNIFORM_POLICY else value


Target = Annotated[TargetPolicy, BeforeValidator(_by_name)]
"""`uniform` may be written as a word."""


@dataclass(frozen=True, eq=False)
class TargetChoices:
    """The choices of the target policy.

    Attributes:
        arms: The names of its choices: the log's arms, then those that were never logged.
        probability: The probability of each choice in each row, shape (n, arms).
        price: The price of each choice, shape (n, arms) or (1, arms); None where choices have no
            price of their own.
    """

    arms: tuple[str, ...]
    probability: ndarray
    price: ndarray | None = None


def target_choices(
    policy: TargetPolicy, log: DecisionLog, predictions: RewardPredictions
) -> TargetChoices:
    """Return what the target policy would have done in each row.

    Raises:
        ConfigError: It names an arm or columns that are not there.
        DataError: Probabilities or prices in the table are none.
    """
    if not policy.of_prices and len(log.arms) > max(MOST_ARMS, log.n // 4):
        raise ConfigError(
            f"protocol.target_policy: the log has {len(log.arms):,} arms in {log.n:,} rows; of "
            f"prices that vary continuously"
            " ask with target_policy.price and model=ope/kernel."
        )
    if policy.kind == UNIFORM_POLICY:
        return _choices_of_arms(log, np.full((log.n, len(log.arms)), 1 / len(log.arms)))
    return CHOOSERS[policy.kind](policy, log, predictions)


def _arm_choices(
    policy: TargetPolicy, log: DecisionLog, predictions: RewardPredictions
) -> TargetChoices:
    name = arm_name(policy.arm)
    if name not in log.arms:
        raise ConfigError(
            f"protocol.target_policy.arm: the log has no arm '{name}'{nearest(name, log.arms)}"
        )
    always = np.eye(len(log.arms))[log.arms.index(name)]
    return _choices_of_arms(log, np.tile(always, (log.n, 1)))


def _column_choices(
    policy: TargetPolicy, log: DecisionLog, predictions: RewardPredictions
) -> TargetChoices:
    prefix, columns = str(policy.columns), log.table.data.columns
    named = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
    if not set(named) & set(log.arms):
        raise ConfigError(
            f"protocol.target_policy.columns: no column "
            f"'{prefix}{log.arms[0]}'{nearest(f'{prefix}{log.arms[0]}', columns)}"
        )
    arms = (*log.arms, *(name for name in named if name not in log.arms))
    shares = log.table.data.with_columns(
        pl.lit(0.0).alias(prefix + arm) for arm in arms if arm not in named
    ).select(pl.col(prefix + arm).cast(pl.Float64, strict=False) for arm in arms)
    probability = shares.fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(
        ~(np.all(probability >= 0, axis=1) & (np.abs(np.sum(probability, axis=1) - 1) <= TOLERANCE))
    )
    if len(bad):
        raise DataError(
            f"protocol.target_policy.columns: row {bad[0] + 1} of '{prefix}...' holds no "
            f"probabilities that add up to 1."
        )
    return TargetChoices(arms, probability, _policy_prices(log) if arms == log.arms else None)


def _epsilon_greedy_choices(
    policy: TargetPolicy, log: DecisionLog, predictions: RewardPredictions
) -> TargetChoices:
    best = np.eye(len(log.arms))[np.argmax(predictions(policy.reward_model), axis=1)]
    share = policy.epsilon_greedy or 0.0
    return _choices_of_arms(log, (1 - share) * best + share / len(log.arms))


def _softmax_choices(
    policy: TargetPolicy, log: DecisionLog, predictions: RewardPredictions
) -> TargetChoices:
    assert policy.softmax is not None
    score = predictions(policy.reward_model) / policy.softmax
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    return _choices_of_arms(log, odds / odds.sum(axis=1, keepdims=True))


def _price_choices(
    policy: TargetPolicy, log: DecisionLog, predictions: RewardPredictions
) -> TargetChoices:
    return TargetChoices(
        (arm_name(policy.price),), np.ones((log.n, 1)), np.array([[policy.price]], float)
    )


def _price_column_choices(
    policy: TargetPolicy, log: DecisionLog, predictions: RewardPredictions
) -> TargetChoices:
    name, data = str(policy.price_column), log.table.data
    if name not in data.columns:
        raise ConfigError(
            f"protocol.target_policy.price_column: no column '{name}'{nearest(name, data.columns)}"
        )
    prices = data[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~(prices > 0))
    if len(bad):
        raise DataError(
            f"protocol.target_policy.price_column: row {bad[0] + 1} of '{name}' has "
            f"{data[name][int(bad[0])]}, no price."
        )
    return TargetChoices((name,), np.ones((log.n, 1)), prices[:, None])


def _choices_of_arms(log: DecisionLog, probability: ndarray) -> TargetChoices:
    return TargetChoices(log.arms, probability, _policy_prices(log))


def _policy_prices(log: DecisionLog) -> ndarray | None:
    """Return the price of each arm, shape (1, arms).

    None where an arm was logged at several prices.
    """
    if log.price is None:
        return None
    mean = np.bincount(log.action, log.price) / np.bincount(log.action)
    return mean[None, :] if np.allclose(log.price, mean[log.action]) else None


Chooser = Callable[[TargetPolicy, DecisionLog, RewardPredictions], TargetChoices]

CHOOSERS: dict[str, Chooser] = {
    "arm": _arm_choices,
    "price": _price_choices,
    "price_column": _price_column_choices,
    "columns": _column_choices,
    "epsilon_greedy": _epsilon_greedy_choices,
    "softmax": _softmax_choices,
}
"""The meaning of each field of a target policy."""
