"""The costs of stock, and the rule by which it is replenished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StockPolicy = Literal["newsvendor", "base_stock", "reorder_point"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockTerms:
    """What stock costs.

    Attributes:
        policy: `newsvendor`: what is left at the end of a period is worth nothing in the next; `base_stock`: each period one
            orders up to a level; `reorder_point`: up to a level where stock and orders are at or below another, (s, S).
        holding: The cost of a unit that is left at the end of a period.
        shortage: The cost of a unit that is short at the end of a period.
        order: The cost of an order, whatever its size.
        lead: Periods from an order to its arrival.
        whole: Whether stock is of whole units.
        least: Pairs of a series and a cutoff below which nothing is shown.
    """

    policy: StockPolicy
    holding: float
    shortage: float
    order: float
    lead: int
    whole: bool
    least: int

    @property
    def ratio(self) -> float:
        """The chance not to run short in a period that costs least: shortage / (shortage + holding) (Arrow et al. 1951)."""
        return self.shortage / (self.shortage + self.holding)

    @property
    def cover(self) -> int:
        """The periods whose demand an order must cover: the lead time and the one in which it is looked at again."""
        return self.lead + 1
