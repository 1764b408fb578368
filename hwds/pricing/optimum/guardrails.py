"""Guardrails: between which bounds each price may move, and which prices of one product bound each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.draws import Objective

Money = TypeVar("Money", float, np.ndarray)


SLACK = 1e-9
"""The share of a price by which a bound may be missed: rounding of numbers, no more."""

BOUND_RULES = ("margin_floor", "largest_step", "observed_range")
"""The guardrails of a single price, in the order in which they clamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    """The limits of recommended prices; see `OptimalPrice`.

    Attributes:
        objective: What is to be as large as possible.
        margin_floor: The least pocket margin, as a share of the pocket price; None for none.
        deductions: The share of the price that is given back after the invoice.
        largest_step: The most that a price may change, as a share of today's.
        band: The largest distance beyond the observed prices, as a share of these.
        ladder: The only prices allowed; empty for any.
        rounding, ending: Prices are multiples of `rounding` less `ending`; None for any.
        freight, duty, risk: What reselling a unit costs: an amount, and shares of the price paid; None for no cap.
        capacity: The most expected units of a product in a period.
        confidence: The least probability that a change gains.
        act_on: The statuses of cells whose price may change.
    """

    objective: Objective = "profit"
    margin_floor: float | None = 0.0
    deductions: float = 0.0
    largest_step: float = 0.1
    band: float = 0.05
    ladder: tuple[float, ...] = ()
    rounding: float | None = None
    ending: float = 0.0
    freight: float | None = 10.0
    duty: float = 0.0
    risk: float = 0.05
    capacity: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.8
    act_on: tuple[str, ...] = ("identified", "weak")

    def highest_beside(self, price: np.ndarray) -> np.ndarray:
        """Return the highest price elsewhere at which reselling a unit bought at a price does not pay."""
        assert self.freight is not None
        return price * (1 + self.duty + self.risk) + self.freight


@dataclass(frozen=True, eq=False)
class Bounds:
    """The bounds of K prices.

    Attributes:
        lows, highs: By rule, shape (K,).
    """

    lows: Mapping[str, np.ndarray]
    highs: Mapping[str, np.ndarray]

    @property
    def low(self) -> np.ndarray:
        """The highest of the lower bounds, shape (K,)."""
        return np.max(list(self.lows.values()), 0)

    @property
    def high(self) -> np.ndarray:
        """The lowest of the upper bounds, shape (K,)."""
        return np.min(list(self.highs.values()), 0)

    def rule(self, cell: int, price: float) -> str:
        """Return the rule whose bound a price lies at; `none` within them."""
        for end, bounds in ((self.low[cell], self.lows), (self.high[cell], self.highs)):
            if abs(price - end) <= 1e-6 * end:
                return next(rule for rule, values in bounds.items() if values[cell] == end)
        return "none"

    def clamps(self, cell: int, price: float) -> list[tuple[str, float]]:
        """Return what each rule in turn makes of a price, those that change nothing left out."""
        steps = []
        for rule in BOUND_RULES:
            low = self.lows[rule][cell] if rule in self.lows else -np.inf
            high = self.highs[rule][cell] if rule in self.highs else np.inf
            clamped = float(max(min(price, high), low))
            if clamped != price:
                steps.append((rule, clamped))
            price = clamped
        return steps


def bounds_of(evidence: DemandEstimates, rails: Guardrails) -> Bounds:
    """Return the bounds of each cell's price; a lower one may lie above an upper one.

    The margin floor is on the pocket price: p (1 - deductions) (1 - floor) >= cost.
    """
    price, lowest, highest = (evidence.column(name) for name in ("price", "low", "high"))
    step, band = rails.largest_step, rails.band
    lows = {"largest_step": price * (1 - step), "observed_range": np.minimum(lowest, price) * (1 - band)}
    highs = {"largest_step": price * (1 + step), "observed_range": np.maximum(highest, price) * (1 + band)}
    if rails.margin_floor is not None and rails.objective == "profit":
        lows["margin_floor"] = floor_price(evidence.column("cost"), rails.margin_floor, rails.deductions)
    return Bounds(lows, highs)


def products_of(evidence: DemandEstimates) -> dict[str, np.ndarray]:
    """Return the cells of each product."""
    names = evidence.cells["product"].to_numpy()
    return {str(name): np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}


def gap_rows(cells: int, rails: Guardrails) -> tuple[np.ndarray, np.ndarray]:
    """Return the cap on the gaps between the channels of one product, as A p <= b, shapes (n (n - 1), n) and (n (n - 1),).

    A unit bought at p_a costs p_a (1 + duty + risk) + freight to resell; no channel may be dearer than that.
    """
    if rails.freight is None or cells < 2:
        return np.zeros((0, cells)), np.zeros(0)
    pairs = [(dear, cheap) for dear in range(cells) for cheap in range(cells) if dear != cheap]
    rows = np.zeros((len(pairs), cells))
    for row, (dear, cheap) in enumerate(pairs):
        rows[row, dear], rows[row, cheap] = 1.0, -(1 + rails.duty + rails.risk)
    return rows, np.full(len(pairs), rails.freight)


def gap_interval(prices: np.ndarray, cell: int, rails: Guardrails) -> tuple[float, float]:
    """Return between which prices one channel of a product pays no reseller, the other channels as they are.

    Args:
        prices: Of all channels of the product, shape (n,).
        cell: Which of them moves.
        rails: With the cost of reselling.
    """
    others = np.delete(prices, cell)
    if rails.freight is None or not len(others):
        return -np.inf, np.inf
    lowest = (others.max() - rails.freight) / (1 + rails.duty + rails.risk)
    return float(lowest), float(rails.highest_beside(others).min())


def over_capacity(evidence: DemandEstimates, units: np.ndarray, rails: Guardrails) -> dict[str, float]:
    """Return by product the expected units beyond its capacity, where there are any.

    Args:
        evidence: The cells.
        units: Expected, shape (K,).
        rails: With the capacities.
    """
    products = products_of(evidence)
    over = {name: float(units[products[name]].sum() - most) for name, most in rails.capacity.items() if name in products}
    return {name: beyond for name, beyond in over.items() if beyond > 1e-6 * rails.capacity[name]}


def floor_price(cost: Money, floor: float, given_back: float = 0.0) -> Money:
    """Return the price at which the pocket margin is the floor: cost / (1 - floor) / (1 - share given back).

    Args:
        cost: Of one unit.
        floor: The least pocket margin, as a share of the pocket price.
        given_back: The share of the price that is given back after the invoice.
    """
    return cost / ((1 - floor) * (1 - given_back))
