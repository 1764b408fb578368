"""Recommended prices: which cells may move, their best prices, whether these are sure enough, and which rule bound each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwds.pricing.demand_evidence import DemandEstimates
from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.guardrails import SLACK, Bounds, Guardrails, bounds_of, gap_rows, over_capacity, products_of
from hwds.pricing.optimum.solve import PriceProblem, feasible, rounded, solve

AT_BOUND = 1e-4
"""The share of its range within which a price lies at its bound."""


@dataclass(frozen=True, eq=False)
class PriceRecommendation:
    """Prices for K cells.

    Attributes:
        prices: Recommended, today's where on hold, shape (K,).
        solved: Before they were rounded to allowed prices, shape (K,).
        holds: By cell, why its price stays.
        status: Of each cell: `interior`, `corner`, `undefined_inelastic` or `HOLD`.
        rules: The rule that bound each cell; `none` where none did.
        bounds: Of single prices.
        problem: What was solved last.
    """

    prices: np.ndarray
    solved: np.ndarray
    holds: Mapping[int, str]
    status: tuple[str, ...]
    rules: tuple[str, ...]
    bounds: Bounds
    problem: PriceProblem

    @property
    def demand(self) -> DemandDraws:
        """The draws that were read."""
        return self.problem.demand

    @property
    def gains(self) -> np.ndarray:
        """Draws of what all changes together gain in a period, shape (D,)."""
        return self.demand.totals(self.prices) - self.demand.totals(self.demand.price)


def recommend(evidence: DemandEstimates, demand: DemandDraws, rails: Guardrails) -> PriceRecommendation:
    """Return the prices with the largest mean objective within the guardrails.

    A product whose change gains with a probability below `confidence`, others as recommended, keeps today's prices, and the
    others are solved again. Every price that changes lies within all guardrails.

    Args:
        evidence: The cells.
        demand: Draws of their demand.
        rails: The guardrails.
    """
    bounds, products = bounds_of(evidence, rails), products_of(evidence)
    holds = _held(evidence, bounds, rails)
    while True:
        problem = _problem(evidence, demand, rails, bounds, products, holds)
        start = _start(problem, holds)
        if start is None:
            continue
        solved = solve(problem, start)
        prices, without = rounded(problem, solved)
        more = {int(cell): "ladder" for name in without for cell in problem.moving(products[name])}
        more = more or _beyond_capacity(evidence, problem, prices)
        more = more or _unsure(problem, prices, rails)
        if not more:
            break
        holds |= more
    moved = np.abs(prices / demand.price - 1) > SLACK
    still = {int(cell): "no_gain" for cell in np.flatnonzero(~moved) if cell not in holds}
    made = PriceRecommendation(prices, solved, holds | still, (), (), bounds, problem)
    rules = tuple(_rule(made, evidence, cell) for cell in range(len(prices)))
    return replace(made, rules=rules, status=tuple(_status(made, cell, rules[cell]) for cell in range(len(prices))))


def none_changed(made: PriceRecommendation) -> PriceRecommendation:
    """Return the recommendation with today's prices: those that were to change are not sure to gain."""
    moving = [cell for cell, status in enumerate(made.status) if status != "HOLD"]
    holds = {**made.holds, **dict.fromkeys(moving, "not_sure")}
    today, rules = made.demand.price, tuple(holds[cell] for cell in range(len(made.prices)))
    return replace(made, prices=today, solved=today, holds=holds, rules=rules, status=("HOLD",) * len(rules))


def _held(evidence: DemandEstimates, bounds: Bounds, rails: Guardrails) -> dict[int, str]:
    """Return the cells that may not move, with the reason."""
    holds: dict[int, str] = {}
    for cell, status in enumerate(evidence.cells["status"]):
        if not evidence.known[cell]:
            holds[cell] = "no_estimate"
        elif status not in rails.act_on:
            holds[cell] = status
        elif bounds.low[cell] > bounds.high[cell] or not evidence.cells["units"][cell]:
            holds[cell] = "no_room" if evidence.cells["units"][cell] else "no_units"
    return holds


def _problem(
    evidence: DemandEstimates,
    demand: DemandDraws,
    rails: Guardrails,
    bounds: Bounds,
    products: Mapping[str, np.ndarray],
    holds: Mapping[int, str],
) -> PriceProblem:
    still = np.isin(np.arange(len(evidence)), list(holds))
    low, high = np.where(still, demand.price, bounds.low), np.where(still, demand.price, bounds.high)
    today = demand.units_at(demand.price).mean(0)
    capacity = {}
    for name, most in rails.capacity.items():
        if name in products:  # a product that keeps its prices may be beyond it today, and must not be pushed further
            held = still[products[name]].all()
            capacity[name] = max(most, float(today[products[name]].sum())) if held else most
    return PriceProblem(demand, rails, low, high, products, capacity)


def _start(problem: PriceProblem, holds: dict[int, str]) -> np.ndarray | None:
    """Return prices within bounds and gaps; None after products that have none were put on hold."""
    prices = problem.demand.price.copy()
    for cells in problem.products.values():
        if not len(problem.moving(cells)):
            continue
        point = feasible(problem, cells, prices[cells])
        if point is None:
            holds |= {int(cell): "channel_gap" for cell in problem.moving(cells)}
            return None
        prices[cells] = point
    return prices


def _beyond_capacity(evidence: DemandEstimates, problem: PriceProblem, prices: np.ndarray) -> dict[int, str]:
    rails = replace(problem.rails, capacity=problem.capacity)
    over = over_capacity(evidence, problem.demand.units_at(prices).mean(0), rails)
    own = {int(cell): "capacity" for name in over for cell in problem.moving(problem.products[name])}
    if over and not own:  # pushed beyond it by its substitutes alone
        return {int(cell): "capacity" for cells in problem.products.values() for cell in problem.moving(cells)}
    return own


def _unsure(problem: PriceProblem, prices: np.ndarray, rails: Guardrails) -> dict[int, str]:
    """Return the moving cells of products whose change is not sure enough to gain."""
    demand, unsure = problem.demand, dict[int, str]()
    for cells in problem.products.values():
        moving = problem.moving(cells)
        if not len(moving) or (np.abs(prices[cells] / demand.price[cells] - 1) <= SLACK).all():
            continue
        if (demand.added_by(cells, prices) > 0).mean() < rails.confidence:
            unsure |= dict.fromkeys(map(int, moving), "not_sure")
    return unsure


def _rule(made: PriceRecommendation, evidence: DemandEstimates, cell: int) -> str:
    """Return the rule that bound a cell's price, before it was rounded."""
    if cell in made.holds:
        return made.holds[cell]
    bounds, problem, price = made.bounds, made.problem, made.solved[cell]
    near = AT_BOUND * (bounds.high[cell] - bounds.low[cell])
    for end in (bounds.low[cell], bounds.high[cell]):
        if abs(price - end) <= near:
            return bounds.rule(cell, end)
    cells = problem.products[evidence.cells["product"][cell]]
    rows, ends = gap_rows(len(cells), problem.rails)
    tight = ends - rows @ made.solved[cells] <= 1e-6 * price
    if (rows[tight][:, cells == cell] != 0).any():
        return "channel_gap"
    most = problem.capacity.get(evidence.cells["product"][cell])
    used = problem.demand.units_at(made.solved, cells).mean(0).sum()
    return "capacity" if most is not None and used >= most * (1 - 1e-4) else "none"


def _status(made: PriceRecommendation, cell: int, rule: str) -> str:
    if cell in made.holds:
        return "HOLD"
    if made.demand.own[:, cell].mean() >= -1:
        return "undefined_inelastic"
    return "interior" if rule == "none" else "corner"


def price_cost_ratio(elasticity: float) -> float | None:
    """Return e / (1 + e), the price over the pocket cost of a unit that earns most; None unless demand is elastic, e < -1.

    The Lerner rule: (p - c) / p = -1 / e, for a constant elasticity and a constant cost of one more unit.
    """
    return elasticity / (1 + elasticity) if elasticity < -1 else None
