"""The policy whose value is estimated: its choices in each row of a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import polars as pl
from pydantic import BeforeValidator, model_validator

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Positive, Recipe, UnitInterval
from hwds.frames.outcomes import arm_name
from hwds.ope.models.base import Learner
from hwds.ope.protocols.estimation.log import Log

Predictions = Callable[[Learner], np.ndarray]
"""Gives a cross-fitted reward model's expectation of each arm in each row, shape (n, arms)."""

UNIFORM = "uniform"

MOST_ARMS = 100
"""Arms from which they are refused where a fourth of the rows has one of its own."""

TOLERANCE = 1e-6
"""The tolerance of the sum of a row's probabilities around 1."""


class TargetPolicy(Recipe):
    """The policy that is evaluated: one of these fields says which; where none is given every logged arm is as likely.

    Attributes:
        arm: Always this arm.
        price: Always this price; for an estimator of prices (`ope/kernel`).
        price_column: The price in this column; for an estimator of prices.
        columns: The beginning of the names of the columns that hold the probability of each arm (`target_` for `target_A`,
            `target_B` ...); an arm without a column is never chosen.
        epsilon_greedy: The arm of which a reward model expects most, but for this share of uniform choices.
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
        return next((name for name in CHOOSERS if getattr(self, name) is not None), UNIFORM)

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
        return UNIFORM if self.kind == UNIFORM else f"{self.kind}={getattr(self, self.kind)}"


def _by_name(value: Any) -> Any:
    return {} if value == UNIFORM else value


Target = Annotated[TargetPolicy, BeforeValidator(_by_name)]
"""`uniform` may be written as a word."""


@dataclass(frozen=True, eq=False)
class Choices:
    """The choices of the target policy.

    Attributes:
        arms: The names of its choices: the log's arms, then those that were never logged.
        probability: Of each choice in each row, shape (n, arms).
        price: Of each choice, shape (n, arms) or (1, arms); None where choices have no price of their own.
    """

    arms: tuple[str, ...]
    probability: np.ndarray
    price: np.ndarray | None = None


def choices(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    """Return what the target policy would have done in each row.

    Raises:
        ConfigError: It names an arm or columns that are not there.
        DataError: Probabilities or prices in the table are none.
    """
    if not policy.of_prices and len(log.arms) > max(MOST_ARMS, log.n // 4):
        raise ConfigError(
            f"protocol.target_policy: the log has {len(log.arms):,} arms in {log.n:,} rows; of prices that vary continuously"
            " ask with target_policy.price and model=ope/kernel."
        )
    return _uniform(policy, log, predictions) if policy.kind == UNIFORM else CHOOSERS[policy.kind](policy, log, predictions)


def _uniform(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    return _of_arms(log, np.full((log.n, len(log.arms)), 1 / len(log.arms)))


def _arm(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    name = arm_name(policy.arm)
    if name not in log.arms:
        raise ConfigError(f"protocol.target_policy.arm: the log has no arm '{name}'{nearest(name, log.arms)}")
    always = np.eye(len(log.arms))[log.arms.index(name)]
    return _of_arms(log, np.tile(always, (log.n, 1)))


def _columns(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    prefix, columns = str(policy.columns), log.table.data.columns
    named = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
    if not set(named) & set(log.arms):
        raise ConfigError(
            f"protocol.target_policy.columns: no column '{prefix}{log.arms[0]}'{nearest(f'{prefix}{log.arms[0]}', columns)}"
        )
    arms = (*log.arms, *(name for name in named if name not in log.arms))
    absent = pl.lit(0.0)
    shares = log.table.data.select(
        (pl.col(prefix + arm).cast(pl.Float64, strict=False) if arm in named else absent).alias(str(place))
        for place, arm in enumerate(arms)
    )
    probability = shares.fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~(np.all(probability >= 0, axis=1) & (np.abs(np.sum(probability, axis=1) - 1) <= TOLERANCE)))
    if len(bad):
        raise DataError(
            f"protocol.target_policy.columns: row {bad[0] + 1} of '{prefix}...' holds no probabilities that add up to 1."
        )
    return Choices(arms, probability, _prices(log) if arms == log.arms else None)


def _epsilon_greedy(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    best = np.eye(len(log.arms))[np.argmax(predictions(policy.reward_model), axis=1)]
    share = policy.epsilon_greedy or 0.0
    return _of_arms(log, (1 - share) * best + share / len(log.arms))


def _softmax(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    assert policy.softmax is not None
    score = predictions(policy.reward_model) / policy.softmax
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    return _of_arms(log, odds / odds.sum(axis=1, keepdims=True))


def _price(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    return Choices((arm_name(policy.price),), np.ones((log.n, 1)), np.array([[policy.price]], float))


def _price_column(policy: TargetPolicy, log: Log, predictions: Predictions) -> Choices:
    name, data = str(policy.price_column), log.table.data
    if name not in data.columns:
        raise ConfigError(f"protocol.target_policy.price_column: no column '{name}'{nearest(name, data.columns)}")
    prices = data[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~(prices > 0))
    if len(bad):
        raise DataError(
            f"protocol.target_policy.price_column: row {bad[0] + 1} of '{name}' has {data[name][int(bad[0])]}, no price."
        )
    return Choices((name,), np.ones((log.n, 1)), prices[:, None])


def _of_arms(log: Log, probability: np.ndarray) -> Choices:
    return Choices(log.arms, probability, _prices(log))


def _prices(log: Log) -> np.ndarray | None:
    """Return the price of each arm, shape (1, arms); None where an arm was logged at several prices."""
    if log.price is None:
        return None
    mean = np.bincount(log.action, log.price) / np.bincount(log.action)
    return mean[None, :] if np.allclose(log.price, mean[log.action]) else None


Chooser = Callable[[TargetPolicy, Log, Predictions], Choices]

CHOOSERS: dict[str, Chooser] = {
    "arm": _arm,
    "price": _price,
    "price_column": _price_column,
    "columns": _columns,
    "epsilon_greedy": _epsilon_greedy,
    "softmax": _softmax,
}
"""The meaning of each field of a target policy."""
