"""Arms given one by one: their prices, their conversions."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le, MinLen

from hwds.core.errors import ConfigError
from hwds.core.recipe import Names, NonNegative, Positive, UnitInterval
from hwds.datasets.simulated.prices.world import Offers, PriceWorld
from hwds.frames.outcomes import arm_name

BasketLaw = Literal["none", "gamma", "lognormal", "pareto"]

NUMBERS = 8192
"""Equally likely amounts that stand for a law: its quantiles in the middle of as many parts, so that the truth is exact."""


Money = NonNegative
LADDER = (10.0, 20.0, 30.0, 40.0, 50.0)
CONVERSION = (0.6, 0.4, 0.25, 0.15, 0.08)


class PriceArms(PriceWorld):
    """Simulated customers who are offered one of several prices, each with a conversion of its own.

    By default five prices of which the second earns most (20 x .4 = 8), while the first converts best.

    Attributes:
        conversion: The probability that a customer buys, one for each arm.
        prices: The price that a customer pays, one for each arm.
        cost: The cost of a sale; the profit is price - cost.
        means: Plain Bernoulli arms without prices, in place of conversion and prices.
        after_shift: The conversions from `shift_at` on, one for each arm; empty lets the arms change places, first for last.
        basket: The law of what a purchase brings: `gamma`, `lognormal`, `pareto` (a power tail); `none` for the mean alone.
        basket_spread: The standard deviation of a purchase over its mean.
        basket_lift: The mean of a purchase of each arm over its price less cost, which no policy knows; empty for 1.
        arms: The arms' names; empty takes the prices, or `arm-1` and on.
        unit: The currency of values and prices.
    """

    conversion: Annotated[tuple[UnitInterval, ...], MinLen(2)] = CONVERSION
    prices: tuple[Money, ...] = LADDER
    cost: Money = 0.0
    means: tuple[UnitInterval, ...] = ()
    after_shift: tuple[UnitInterval, ...] = ()
    basket: BasketLaw = "none"
    basket_spread: Annotated[Positive, Ge(0.01), Le(10)] = 1.0
    basket_lift: tuple[Annotated[Positive, Le(1000)], ...] = ()
    arms: Names = ()
    unit: str = "USD"

    def offers(self) -> Offers:
        """Return the arms, the same for everyone."""
        conversions = np.array(self.means or self.conversion)
        prices = np.ones(len(conversions)) if self.means else np.array(self.prices)
        if len(prices) != len(conversions):
            raise ConfigError(f"dataset.prices: must be one for each of the {len(conversions)} arms, got {list(self.prices)}.")
        if self.arms and len(self.arms) != len(conversions):
            raise ConfigError(f"dataset.arms: must name each of the {len(conversions)} arms, got {list(self.arms)}.")
        if self.means and (len(self.means) < 2 or self.cost):
            raise ConfigError("dataset.means: must be two or more, without dataset.cost.")
        if self.basket_lift and len(self.basket_lift) != len(conversions):
            arms = len(conversions)
            raise ConfigError(f"dataset.basket_lift: must be one for each of the {arms} arms, got {list(self.basket_lift)}.")
        self._shifts(len(conversions))
        plain = self.means or len(set(self.prices)) < len(self.prices)
        names = self.arms or tuple(f"arm-{i + 1}" if plain else arm_name(price) for i, price in enumerate(prices))
        unit = "conversions" if self.means else self.unit
        values = prices - (0.0 if self.means else self.cost)
        lifts, amounts = np.array(self.basket_lift or (1.0,)), basket_amounts(self.basket, self.basket_spread)
        return Offers(names, values, prices, conversions[None], unit, lifts=lifts, amounts=amounts)

    def shifted(self, offers: Offers) -> np.ndarray:
        """Return the conversions of `after_shift`, where they are given."""
        return np.array(self.after_shift)[None] if self.after_shift else super().shifted(offers)

    def _shifts(self, arms: int) -> None:
        if self.after_shift and len(self.after_shift) != arms:
            raise ConfigError(f"dataset.after_shift: must be one for each of the {arms} arms, got {list(self.after_shift)}.")
        if self.after_shift and self.shift_at is None:
            raise ConfigError("dataset.shift_at: must be given where dataset.after_shift is, got null.")


def basket_amounts(law: BasketLaw, spread: float) -> np.ndarray:
    """Return equally likely amounts over their mean, which is 1, rising.

    Args:
        law: `gamma`; `lognormal`; `pareto`, whose tail is a power of the amount; `none` for no law.
        spread: The standard deviation over the mean that the law itself has.

    Returns:
        Shape (8192,); (0,) without a law.
    """
    from scipy.special import gammaincinv, ndtri

    ranks = (np.arange(NUMBERS) + 0.5) / NUMBERS
    if law == "none":
        return np.zeros(0)
    if law == "gamma":
        amounts = gammaincinv(1 / spread**2, ranks)
    elif law == "lognormal":
        amounts = np.exp(np.sqrt(np.log1p(spread**2)) * ndtri(ranks))
    else:
        amounts = (1 - ranks) ** (-1 / (1 + np.sqrt(1 + 1 / spread**2)))
    return np.asarray(amounts / amounts.mean())
