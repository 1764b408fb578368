"""The prices that could be charged: arms with their prices and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.frames.table import Table

Measured = Literal["conversions", "quantity", "money"]
"""The unit of an arm's mean: 0 or 1, things sold, or the money they brought."""

Certainty = Literal["posterior", "adaptive", "always_valid", "test"]
"""The measure of the risk of a change; see `PriceChoice`."""

CONVERSIONS = "conversions"
"""The unit of arms without prices."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An arm before anything is known of what it earns.

    Attributes:
        arm: Its name.
        price: What a customer pays; None where the data names none, or several.
        cost: The cost of a sale; None where it is unknown.
        absent: It was no longer offered at the end.
    """

    arm: str
    price: float | None = None
    cost: float | None = None
    absent: bool = False

    @property
    def margin(self) -> float | None:
        """(price - cost) / price; None where one of them is unknown."""
        if self.price is None or self.cost is None:
            return None
        return (self.price - self.cost) / self.price if self.price else -inf

    def earns(self, measured: Measured) -> float:
        """Return the value of one measured unit: price less cost for a sale, the margin's share of money."""
        if measured == "money":
            return self.margin if self.price and self.margin is not None else 1.0
        return 1.0 if self.price is None else self.price - (self.cost or 0.0)


@dataclass(frozen=True, slots=True)
class Offers:
    """The offers of all arms.

    Attributes:
        all: In the order of the data.
        measured: What the evidence of a sale is.
        unit: Of what they earn: a currency, or `conversions`; empty where the data names none.
        certainty: How the risk of a change is measured where the decision does not say it.
    """

    all: tuple[Offer, ...]
    measured: Measured
    unit: str = ""
    certainty: Certainty = "posterior"

    @property
    def arms(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(offer.arm for offer in self.all)

    def find(self, arm: str) -> Offer:
        """Return the offer of an arm."""
        return next(offer for offer in self.all if offer.arm == arm)

    def priced(self, prices: Mapping[str, float], cost: float | None) -> Offers:
        """Return the arms with the prices and the cost that a decision gives.

        Args:
            prices: By arm, where the data names none.
            cost: Of a sale, in place of the data's own.

        Raises:
            ConfigError: A price is given to an arm that is not there, or that has one, or an arm is left without.
        """
        for arm in prices:
            if arm not in self.arms:
                raise ConfigError(f"decision.prices: no arm '{arm}'{nearest(arm, self.arms)}")
            if self.find(arm).price is not None:
                raise ConfigError(f"decision.prices: the data has the price of arm '{arm}'.")
        absent = next((offer.arm for offer in self.all if prices and offer.price is None and offer.arm not in prices), None)
        if absent is not None:
            raise ConfigError(f"decision.prices: has no price for arm '{absent}'.")
        priced = (replace(offer, price=prices.get(offer.arm, offer.price)) for offer in self.all)
        return replace(self, all=tuple(offer if cost is None else replace(offer, cost=cost) for offer in priced))

    def in_its_unit(self) -> Offers:
        """Return the same without a unit that says money where arms have no prices, or conversions where they have some."""
        money = self.measured == "money" or any(offer.price is not None for offer in self.all)
        return self if money == (self.unit != CONVERSIONS) else replace(self, unit="")


def is_binary(table: Table) -> bool:
    """Return whether the first outcome of a table is 0 or 1."""
    return bool(table.data[table.roles["outcome"][0]].cast(pl.Float64).is_in([0.0, 1.0]).all())


def value_by_arm(table: Table, role: str, arm: np.ndarray) -> dict[str, float]:
    """Return the one number that a role has in each arm; arms with several are left out.

    Args:
        table: With a row a customer.
        role: `price` or `cost`.
        arm: The name of each row's arm, shape (n,).
    """
    if not table.roles.get(role):
        return {}
    rows = pl.DataFrame({"arm": arm, "value": table.column(role).cast(pl.Float64)})
    ranges = rows.group_by("arm").agg(pl.col("value").min().alias("low"), pl.col("value").max().alias("high"))
    return {row["arm"]: row["low"] for row in ranges.to_dicts() if row["low"] == row["high"]}
