"""A log of prices that were shown and what they earned, with known propensities and known truth."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from annotated_types import MinLen
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.recipe import Positive, Rising, Rows, Seed, Small, UnitInterval
from hwds.core.seeds import stream
from hwds.datasets.base import Dataset, Truth
from hwds.frames.table import Table, arm_name
from hwds.ope.estimates import EstimatorTerms, LogEvidence

CHANNELS, SHARES = ("retail", "carrier", "online"), (0.5, 0.3, 0.2)
LEVEL, SLOPE = np.array([-2.0, -1.6, -2.4]), np.array([1.2, 0.8, 1.6])
"""By channel: log-odds of a sale at the middle price, and how they fall with the price over the
middle price.
"""

VISIT_SHARES, VISIT_EFFECT = (0.35, 0.25, 0.2, 0.12, 0.08), 0.3
TARGET_EXPLORES = 0.1
GRID = 121
"""Prices among which the best continuous one is sought."""

ROLES = {
    "context": ("channel", "visits"),
    "arm": ("price",),
    "price": ("price",),
    "propensity": ("propensity",),
    "outcome": ("revenue",),
    "time": ("exposed_at",),
    "available_at": ("observed_at",),
}


class PriceLog(Dataset):
    """A simulated log of prices shown to customers of three channels and the revenue they brought,
    propensities known.

    The log shows a rule of thumb's price by channel and visits, or, as `exploration` says, any
    price. The columns `target_79` and on hold a better policy's probabilities: the best price of
    each context, and a tenth of the time any. If prices are continuous, the column `target_price`
    holds the best price.

    Attributes:
        seed: Names the draws of the customers and of the log's choices.
        rows: The number of logged customers.
        prices: The actions that can be shown; of continuous prices the first and the last are the
            bounds.
        exploration: The share of customers who are shown any price; 1 is a uniform log.
        continuous: Show any price between the bounds; `propensity` is then a density.
        unit: The currency of prices.
    """

    gives = Table
    seed: Seed = 0
    rows: Annotated[Rows, Small(3000)] = 20_000
    prices: Annotated[tuple[Positive, ...], MinLen(2), Rising] = (79.0, 99.0, 119.0, 149.0, 199.0)
    exploration: UnitInterval = 0.3
    continuous: bool = False
    unit: str = "USD"

    def load(self) -> Table:
        """Return the log."""
        rng, kinds = stream(self.seed, "price_log"), contexts()
        kind = rng.choice(len(kinds), self.rows, p=kinds["share"].to_numpy())
        customers = kinds[kind].select("channel", "visits")
        shown = (
            self._any_price(customers, rng) if self.continuous else self._a_price(kinds, kind, rng)
        )
        price = shown["price"].to_numpy()
        bought = rng.random(self.rows) < self.conversion(customers, price[:, None])[:, 0]
        exposed = Series(
            "exposed_at",
            [datetime(2025, 1, 1) + timedelta(minutes=minute) for minute in range(self.rows)],
        )
        table = pl.concat([customers, shown], how="horizontal").with_columns(
            exposed, revenue=Series(price * bought)
        )
        observed = pl.col("exposed_at").dt.offset_by("1d").alias("observed_at")
        roles = {
            role: names for role, names in ROLES.items() if role != "arm" or not self.continuous
        }
        return Table.build(table.with_columns(observed), roles, self.unit)

    def _a_price(self, kinds: DataFrame, kind: ndarray, rng: np.random.Generator) -> DataFrame:
        """Return one of the prices for each customer, its probability, and the better policy's
        probabilities of all.
        """
        law = self.logging(kinds)
        arm = _draw_arms(law[kind], rng.random(self.rows))
        columns = {"price": np.array(self.prices)[arm], "propensity": law[kind, arm]}
        target = {
            f"target_{arm_name(float(price))}": share
            for price, share in zip(self.prices, self.target(kinds)[kind].T, strict=True)
        }
        return DataFrame(columns | target)

    def _any_price(self, customers: DataFrame, rng: np.random.Generator) -> DataFrame:
        """Return a price for each customer, near a rule of thumb's or anywhere, its density, and
        the best price.
        """
        low, high = self.prices[0], self.prices[-1]
        middle = low + (high - low) * (1 + _rule(customers)) / 5
        half_width = (high - low) / 5
        near = rng.uniform(-half_width, half_width, self.rows) + middle
        price = np.where(
            rng.random(self.rows) < self.exploration, rng.uniform(low, high, self.rows), near
        )
        density = self.exploration / (high - low) + (1 - self.exploration) * (
            np.abs(price - middle) <= half_width
        ) / (2 * half_width)
        grid = np.linspace(low, high, GRID)
        best = grid[np.argmax(self.revenue(customers, grid), axis=1)]
        return DataFrame({"price": price, "propensity": density, "target_price": best})

    def truth(self, task: str) -> Truth | None:
        """Return the direct method with the true mean revenue, for off-policy evaluation."""
        return PriceLogTruth(dataset=self) if task == "ope" else None

    def conversion(self, kinds: DataFrame, prices: ndarray | None = None) -> ndarray:
        """Return the true probability of a sale at each price, shape (n, arms).

        Args:
            kinds: `channel` and `visits` of each customer.
            prices: Shape (arms,), or (n, 1) for a price of each customer's own; None takes those
                that can be shown.
        """
        shown = np.array(self.prices) if prices is None else prices
        channel = _channel(kinds)
        middle = float(np.median(self.prices))
        odds = LEVEL[channel] + VISIT_EFFECT * kinds["visits"].to_numpy()
        score = odds[:, None] - SLOPE[channel][:, None] * (shown / middle - 1)
        return 1 / (1 + np.exp(-score))

    def revenue(self, kinds: DataFrame, prices: ndarray | None = None) -> ndarray:
        """Return the true mean revenue at each price, shape (n, arms); see `conversion`."""
        shown = np.array(self.prices) if prices is None else prices
        return shown * self.conversion(kinds, prices)

    def logging(self, kinds: DataFrame) -> ndarray:
        """Return the log's probability of each price, shape (n, arms)."""
        arms = len(self.prices)
        favourite = np.eye(arms)[np.minimum(_rule(kinds), arms - 1)]
        return self.exploration / arms + (1 - self.exploration) * favourite

    def target(self, kinds: DataFrame) -> ndarray:
        """Return the better policy's probability of each price, shape (n, arms)."""
        arms = len(self.prices)
        best = np.argmax(self.revenue(kinds), axis=1)
        return TARGET_EXPLORES / arms + (1 - TARGET_EXPLORES) * np.eye(arms)[best]


class LogTruth(Truth):
    """The true value of a target policy, as an estimator from a log: it weighs no rows."""

    needs_propensity: ClassVar[bool] = False
    weighs: ClassVar[bool] = False
    asks_price: ClassVar[bool] = False
    learner: ClassVar[None] = None
    name: str = "truth"

    def weights(self, log: LogEvidence) -> None:
        """Return nothing: it weighs no rows."""
        return


class PriceLogTruth(LogTruth):
    """The true mean revenue of the target policy for the customers of the log: what an estimator
    would say who knew demand.

    Attributes:
        dataset: The simulator's settings.
    """

    dataset: PriceLog

    def estimate(self, log: LogEvidence) -> EstimatorTerms:
        """Return a mean of true expectations.

        Its standard error is that of the customers who came.
        """
        prices, n = log.target_price, len(log.reward)
        if prices is None:
            prices = np.array([float(arm) for arm in log.arms])
        revenue = self.dataset.revenue(log.table, prices)
        return EstimatorTerms(np.sum(log.target * revenue, axis=1), np.zeros(n), np.ones(n))


def contexts() -> DataFrame:
    """Return every kind of customer: `channel`, `visits`, and the `share` of customers who are
    so.
    """
    rows = [
        (channel, visits, share * visit_share)
        for channel, share in zip(CHANNELS, SHARES, strict=True)
        for visits, visit_share in enumerate(VISIT_SHARES)
    ]
    return DataFrame(rows, schema=["channel", "visits", "share"], orient="row")


def _rule(kinds: DataFrame) -> ndarray:
    """Return the rule of thumb: a step of the ladder for each channel, one more for those who came
    back often, shape (n,).
    """
    return _channel(kinds) + (kinds["visits"].to_numpy() > 2)


def _channel(kinds: DataFrame) -> ndarray:
    return (
        kinds["channel"]
        .replace_strict(dict(zip(CHANNELS, range(len(CHANNELS)), strict=True)))
        .to_numpy()
    )


def _draw_arms(probability: ndarray, uniform: ndarray) -> ndarray:
    """Draw one arm a row, by inversion."""
    below = np.cumsum(probability, axis=1)
    return np.minimum(
        np.sum(below < uniform[:, None] * below[:, -1:], axis=1), probability.shape[1] - 1
    )
