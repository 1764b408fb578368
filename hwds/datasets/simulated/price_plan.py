"""A price test that has not begun: what is believed of each price."""

from __future__ import annotations

from typing import Annotated

import polars as pl
from annotated_types import MinLen

from hwds.core.errors import ConfigError
from hwds.core.recipe import Level, NonNegative, Positive
from hwds.datasets.base import Dataset
from hwds.datasets.simulated.price_test import price_arm_name
from hwds.frames.table import Table

ROLES: dict[str, tuple[str, ...]] = {
    "arm": ("arm",),
    "price": ("price",),
    "mean": ("conversion",),
    "spread": ("spread",),
}


class PricePlan(Dataset):
    """A price test that has not begun: the prices, and the expected conversion at each.

    Attributes:
        prices: The prices of the arms, the control first; where an order is not of one price, its
            mean value.
        conversions: The assumed value of each arm; one number holds for the control and all others.
        spread: The standard deviation of the value of an order, as a share of its mean; 0 where all
            are of one price.
        unit: The currency of prices.

    Example:
        python -m hwds model=ab/welch dataset=price_plan protocol=ab_plan dataset.prices=[20,30] \
            dataset.conversions=[.4,.28]
    """

    gives = Table
    prices: Annotated[tuple[Positive, ...], MinLen(2)] = (149.0, 199.0)
    conversions: Annotated[tuple[Level, ...], MinLen(1)] = (0.045, 0.036)
    spread: NonNegative = 0.0
    unit: str = "USD"

    def load(self) -> Table:
        """Return a row per arm.

        Raises:
            ConfigError: Not as many conversions as prices, or two arms of one price.
        """
        arms, shares = len(self.prices), self.conversions
        shares = shares * arms if len(shares) == 1 else shares
        if len(shares) != arms:
            raise ConfigError(
                f"dataset.conversions: must be one, or one for each of {arms} prices, got "
                f"{len(shares)}."
            )
        names = [price_arm_name(self.prices, number) for number in range(arms)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"dataset.prices: two arms have the price of '{twice}'.")
        data = pl.DataFrame(
            {"arm": names, "price": self.prices, "conversion": shares}
        ).with_columns(spread=pl.lit(self.spread))
        return Table.build(data, ROLES, self.unit)
