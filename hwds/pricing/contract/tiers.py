"""Tiers of a volume contract: bills, dumping zones, tiers without one, floor prices and break-even uplifts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, log
from typing import Literal

import numpy as np

from hwds.core.errors import ConfigError

Kind = Literal["all_units", "incremental"]


@dataclass(frozen=True, slots=True)
class DumpingZone:
    """The quantities that a buyer needs and does better to exceed: the commitment costs less in all.

    Attributes:
        low: The least need that costs more than the commitment.
        high: The commitment.
    """

    low: float
    high: float

    @property
    def most_leak(self) -> float:
        """The most units that are bought and not needed."""
        return self.high - self.low


@dataclass(frozen=True)
class TierSchedule:
    """Tiers of discounts by quantity; the first, from 0, is the list price.

    Attributes:
        list_price: Without a discount.
        quantities: From which each tier counts, rising, the first 0.
        discounts: Of the list price, rising, the first 0.
        kind: `all_units`: the discount of the tier reached is on all units. `incremental`: each unit has that of its own tier.

    Raises:
        ConfigError: Quantities or discounts do not rise.
    """

    list_price: float
    quantities: tuple[float, ...]
    discounts: tuple[float, ...]
    kind: Kind = "all_units"

    def __post_init__(self) -> None:
        if len(self.quantities) != len(self.discounts):
            raise ConfigError(
                f"decision.discounts: must be one for each of {len(self.quantities) - 1} quantities,"
                f" got {len(self.discounts) - 1}."
            )
        for name in ("quantities", "discounts"):
            values = getattr(self, name)
            equal = self.kind == "incremental" and name == "discounts"
            if values[0] != 0 or any(low > high or (low == high and not equal) for low, high in pairwise(values)):
                raise ConfigError(f"decision.{name}: must rise from above 0, got {list(values[1:])}.")

    @classmethod
    def of(
        cls, list_price: float, quantities: tuple[float, ...], discounts: tuple[float, ...], kind: Kind = "all_units"
    ) -> TierSchedule:
        """Return the tiers above the list price."""
        return cls(list_price, (0.0, *quantities), (0.0, *discounts), kind)

    @property
    def prices(self) -> tuple[float, ...]:
        """The invoice price of each tier."""
        return tuple(self.list_price * (1 - discount) for discount in self.discounts)

    def __len__(self) -> int:
        return len(self.quantities)

    def reached(self, units: np.ndarray) -> np.ndarray:
        """Return the tier that each quantity reaches."""
        tiers: np.ndarray = np.searchsorted(self.quantities, units, side="right") - 1
        return np.maximum(tiers, 0)

    def bill(self, units: np.ndarray) -> np.ndarray:
        """Return what quantities cost in all."""
        units = np.asarray(units, float)
        if self.kind == "all_units":
            billed: np.ndarray = np.array(self.prices)[self.reached(units)] * units
            return billed
        ends = np.array([*self.quantities[1:], inf])
        each = np.clip(units[..., None] - np.array(self.quantities), 0, ends - np.array(self.quantities))
        summed: np.ndarray = (each * np.array(self.prices)).sum(-1)
        return summed

    def without_zones(self, last: float, most: float = 1.0) -> TierSchedule:
        """Return incremental tiers, which have no dumping zone: at the end of each tier the bill is that of these.

        At the end of a tier, where the next one begins, p Q is billed; so the units of the tier cost (p Q - p' Q') / (Q - Q')
        each, with p' and Q' of the tier before. Where that takes a discount below the one before, or beyond the most, the tier
        has these, and the bill differs.

        Args:
            last: The end of the last tier.
            most: The most discount of any unit.
        """
        ends = (*self.quantities[1:], last)
        discounts = [0.0]
        for tier in range(1, len(self)):
            before, begun = self.prices[tier - 1], self.quantities[tier]
            price = (self.prices[tier] * ends[tier] - before * begun) / (ends[tier] - begun)
            discounts.append(min(max(1 - price / self.list_price, discounts[-1]), max(most, 0.0)))
        return TierSchedule(self.list_price, self.quantities, tuple(discounts), "incremental")


def break_even_uplift(margin: float, discount: float) -> float:
    """Return by how much units must rise for a discount to earn what no discount does: d / (m - d).

    Args:
        margin: Of the list price, m, as a share of it; after deductions where both prices bear them.
        discount: Of the list price, d; from m on there is no such uplift, and it is infinite.
    """
    return discount / (margin - discount) if discount < margin else inf


def needed_elasticity(margin: float, discount: float) -> float:
    """Return the least |elasticity| at which a discount earns what none does: ln(m / (m - d)) / -ln(1 - d)."""
    if not discount:
        return 0.0
    return log(margin / (margin - discount)) / -log(1 - discount) if discount < margin else inf
