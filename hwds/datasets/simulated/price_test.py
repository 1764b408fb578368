"""A simulated price test: customers who differ, prices that they are shown at random, and the true
effect of each price.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import MinLen
from numpy import ndarray

from hwds.ab.sample import ComparisonNeeds, Design, Finding, Rule, Sample, SampleRoles
from hwds.core.errors import ConfigError
from hwds.core.recipe import Days, Level, Positive, Rows, Seed, Small, ZeroFolds
from hwds.core.seeds import stream
from hwds.datasets.base import Dataset, Truth
from hwds.frames.table import Table

FIRST_DAY = date(2025, 3, 3)

CHANNELS = ("online", "partner", "store")

ROLES: dict[str, tuple[str, ...]] = {
    "arm": ("group",),
    "outcome": ("bought",),
    "price": ("price",),
    "covariate": ("bought_before",),
    "stratum": ("channel",),
    "time": ("day",),
}


class PriceTest(Dataset):
    """A simulated price test: a row per visitor with the price shown, whether they bought, and what
    they did before.

    Visitors differ: each has an own readiness to buy, which five earlier visits at the control's
    price tell something of. A price of an arm moves all of them along, so that the arm has exactly
    its conversion on average.

    Attributes:
        units: The number of visitors.
        prices: The prices of the arms, the control first.
        conversions: The conversion rate of each arm.
        sameness: How alike visitors are: the sum of the parameters of the Beta distribution of
            their readiness.
        earlier: Visits of each before the test.
        days: The days over which visitors come.
        start: Names the draw of the visitors.
        unit: The currency of prices.
    """

    gives = Table
    units: Annotated[Rows, Small(4000)] = 40_000
    prices: Annotated[tuple[Positive, ...], MinLen(2)] = (149.0, 199.0)
    conversions: Annotated[tuple[Level, ...], MinLen(2)] = (0.045, 0.036)
    sameness: Positive = 2.0
    earlier: ZeroFolds = 5
    days: Days = 28
    start: Seed = 0
    unit: str = "USD"

    def load(self) -> Table:
        """Return the visitors in the order in which they came.

        Raises:
            ConfigError: There are not as many conversions as prices.
        """
        self._check()
        arm = stream(self.start, "arms").integers(0, len(self.prices), self.units)
        rank = stream(self.start, "readiness").random(self.units)
        bought = stream(self.start, "sales").random(self.units) < self._readiness(
            rank, np.array(self.conversions)[arm]
        )
        before = stream(self.start, "before").binomial(
            self.earlier, self._readiness(rank, self.conversions[0])
        )
        data = pl.DataFrame(
            {
                "visitor": np.arange(self.units),
                "day": self._days(),
                "group": [price_arm_name(self.prices, number) for number in arm],
                "price": np.array(self.prices)[arm],
                "channel": self._channels(rank),
                "bought_before": before,
                "visits": 1 + stream(self.start, "visits").poisson(0.6, self.units),
                "bought": bought.astype(np.int64),
            }
        )
        return Table.build(data, ROLES, self.unit)

    def truth(self, task: str) -> Truth | None:
        """Return the true effects as a comparison, for an A/B test."""
        return (
            PriceTestTruth(prices=self.prices, conversions=self.conversions)
            if task == "ab"
            else None
        )

    def _check(self) -> None:
        if len(self.prices) != len(self.conversions):
            raise ConfigError(
                f"dataset.conversions: must have one for each of {len(self.prices)} prices, got "
                f"{len(self.conversions)}."
            )

    def _readiness(self, rank: ndarray, conversion: ndarray | float) -> ndarray:
        """Return each visitor's probability to buy: the same rank among all visitors at any
        price.
        """
        from scipy.special import betaincinv

        return betaincinv(self.sameness * conversion, self.sameness * (1 - conversion), rank)

    def _days(self) -> list[date]:
        days = np.sort(stream(self.start, "days").integers(0, self.days, self.units))
        return [FIRST_DAY + timedelta(int(day)) for day in days]

    def _channels(self, rank: ndarray) -> list[str]:
        """Return a third of the visitors in each channel.

        Those who are readier to buy come more often online.
        """
        leaning = rank + stream(self.start, "channels").normal(0, 0.5, self.units)
        edges = np.quantile(leaning, [1 / 3, 2 / 3])
        return [CHANNELS[2 - place] for place in np.searchsorted(edges, leaning)]


class PriceTestTruth(Truth):
    """The true effect of each price of `price_test` on conversion and on revenue per visitor.

    Attributes:
        prices: The prices of the arms, the control first.
        conversions: Of the arms.
    """

    name: str = "truth"
    prices: tuple[float, ...]
    conversions: tuple[float, ...]

    def needs(self, roles: SampleRoles) -> ComparisonNeeds:
        """Return that it knows means alone."""
        return ComparisonNeeds(plain=True)

    def rules_used(self) -> tuple[Rule, ...]:
        """Return no rules, for the truth has no interval."""
        return ()

    def compare(self, sample: Sample, design: Design) -> list[Finding]:
        """Return the true effects, whatever was seen."""
        money = sample.label == "revenue"
        means = {
            price_arm_name(self.prices, number): q * self.prices[number] if money else q
            for number, q in enumerate(self.conversions)
        }
        base, arms = means[sample.control.name], [arm.name for arm in sample.others]
        return [
            *(Finding("effect", arm, means[arm] - base) for arm in arms),
            *(Finding("lift", arm, means[arm] / base - 1) for arm in arms),
        ]


def price_arm_name(prices: tuple[float, ...], number: int) -> str:
    """Return `control`, then `price_199`."""
    return "control" if number == 0 else f"price_{prices[number]:g}"
