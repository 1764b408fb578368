"""The costs of stock, and the rule by which it is replenished."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

StockPolicy = Literal["newsvendor", "base_stock", "reorder_point", "two_echelons"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockTerms:
    """The cost of stock.

    Attributes:
        policy: `newsvendor`: what is left at the end of a period is worth nothing in the next; `base_stock`: each period one
            orders up to a level; `reorder_point`: up to a level where stock and orders are at or below another, (s, S);
            `two_echelons`: a depot orders up to a level of all stock, and the store up to its own from the depot.
        holding: The cost of a unit that is left at the end of a period.
        shortage: The cost of a unit that is short at the end of a period.
        order: The cost of an order, whatever its size.
        lead: Periods from an order to its arrival; of two echelons from the depot to the store.
        depot_lead: Periods from an order of the depot to its arrival there.
        depot_holding: The cost of a unit that is left in the depot at the end of a period.
        whole: Whether stock is of whole units.
        least: Pairs of a series and a cutoff below which nothing is shown.
    """

    policy: StockPolicy
    holding: float
    shortage: float
    order: float
    lead: int
    depot_lead: int
    depot_holding: float
    whole: bool
    least: int

    @property
    def ratio(self) -> float:
        """The chance not to run short in a period that costs least: shortage / (shortage + holding) (Arrow et al. 1951)."""
        return self.shortage / (self.shortage + self.holding)

    @property
    def reach(self) -> int:
        """The periods from an order to its arrival where demand is; none for a newsvendor."""
        return {"newsvendor": 0, "two_echelons": self.lead + self.depot_lead}.get(self.policy, self.lead)

    @property
    def cover(self) -> int:
        """The periods whose demand an order must cover: the lead time and the one in which it is looked at again."""
        return self.reach + 1


def without_depot(terms: StockTerms) -> StockTerms:
    """Return the terms where all stock is in the store, and an order takes the lead times of both echelons."""
    return replace(terms, policy="base_stock", lead=terms.reach, depot_lead=0)
