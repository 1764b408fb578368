"""Recommended prices: guardrails, the solver within them, and which moves are sure enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product as combinations
from typing import TypeVar

import numpy as np
from numpy import ndarray

from hwds.pricing.demand_draws import DemandDraws, Objective
from hwds.pricing.demand_evidence import DemandEstimates

# Guardrails: between which bounds each price may move, and which prices of one product bound
# each other.

Money = TypeVar("Money", float, ndarray)


SLACK = 1e-9
"""The share of a price by which a bound may be missed: rounding of numbers, no more."""

BOUND_RULES = ("margin_floor", "largest_step", "observed_range")
"""The guardrails of a single price, in the order in which they clamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceGuardrails:
    """The limits of recommended prices; see `OptimalPrice`.

    Attributes:
        objective: What is to be as large as possible.
        margin_floor: The least pocket margin, as a share of the pocket price; None for none.
        deductions: The share of the price that is given back after the invoice.
        largest_step: The most that a price may change, as a share of today's.
        band: The largest distance beyond the observed prices, as a share of these.
        ladder: The only prices allowed; empty for any.
        rounding, ending: Prices are multiples of `rounding` less `ending`; None for any.
        freight, duty, risk: What reselling a unit costs: an amount, and shares of the price paid;
            None for no cap.
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

    def highest_beside(self, price: ndarray) -> ndarray:
        """Return the highest price elsewhere at which reselling a unit bought at a price does not
        pay.
        """
        assert self.freight is not None
        return price * (1 + self.duty + self.risk) + self.freight


@dataclass(frozen=True, eq=False)
class PriceBounds:
    """The bounds of K prices.

    Attributes:
        lows, highs: By rule, shape (K,).
    """

    lows: Mapping[str, ndarray]
    highs: Mapping[str, ndarray]

    @property
    def low(self) -> ndarray:
        """The highest of the lower bounds, shape (K,)."""
        return np.max(list(self.lows.values()), 0)

    @property
    def high(self) -> ndarray:
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


def bounds_of(evidence: DemandEstimates, rails: PriceGuardrails) -> PriceBounds:
    """Return the bounds of each cell's price; a lower one may lie above an upper one.

    The margin floor is on the pocket price: p (1 - deductions) (1 - floor) >= cost.
    """
    price, lowest, highest = (evidence.column(name) for name in ("price", "low", "high"))
    step, band = rails.largest_step, rails.band
    lows = {
        "largest_step": price * (1 - step),
        "observed_range": np.minimum(lowest, price) * (1 - band),
    }
    highs = {
        "largest_step": price * (1 + step),
        "observed_range": np.maximum(highest, price) * (1 + band),
    }
    if rails.margin_floor is not None and rails.objective == "profit":
        lows["margin_floor"] = floor_price(
            evidence.column("cost"), rails.margin_floor, rails.deductions
        )
    return PriceBounds(lows, highs)


def products_of(evidence: DemandEstimates) -> dict[str, ndarray]:
    """Return the cells of each product."""
    names = evidence.cells["product"].to_numpy()
    return {str(name): np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}


def gap_rows(cells: int, rails: PriceGuardrails) -> tuple[ndarray, ndarray]:
    """Return the cap on the gaps between the channels of one product, as A p <= b, shapes (n (n -
    1), n) and (n (n - 1),).

    A unit bought at p_a costs p_a (1 + duty + risk) + freight to resell; no channel may be dearer
    than that.
    """
    if rails.freight is None or cells < 2:
        return np.zeros((0, cells)), np.zeros(0)
    pairs = [(dear, cheap) for dear in range(cells) for cheap in range(cells) if dear != cheap]
    rows = np.zeros((len(pairs), cells))
    for row, (dear, cheap) in enumerate(pairs):
        rows[row, dear], rows[row, cheap] = 1.0, -(1 + rails.duty + rails.risk)
    return rows, np.full(len(pairs), rails.freight)


def gap_interval(prices: ndarray, cell: int, rails: PriceGuardrails) -> tuple[float, float]:
    """Return between which prices one channel of a product pays no reseller, the other channels as
    they are.

    Args:
        prices: The prices of all channels of the product, shape (n,).
        cell: Which of them moves.
        rails: With the cost of reselling.
    """
    others = np.delete(prices, cell)
    if rails.freight is None or not len(others):
        return -np.inf, np.inf
    lowest = (others.max() - rails.freight) / (1 + rails.duty + rails.risk)
    return float(lowest), float(rails.highest_beside(others).min())


def over_capacity(
    evidence: DemandEstimates, units: ndarray, rails: PriceGuardrails
) -> dict[str, float]:
    """Return by product the expected units beyond its capacity, where there are any.

    Args:
        evidence: The cells.
        units: Expected, shape (K,).
        rails: With the capacities.
    """
    products = products_of(evidence)
    over = {
        name: float(units[products[name]].sum() - most)
        for name, most in rails.capacity.items()
        if name in products
    }
    return {name: beyond for name, beyond in over.items() if beyond > 1e-6 * rails.capacity[name]}


def floor_price(cost: Money, floor: float, given_back: float = 0.0) -> Money:
    """Return the price at which the pocket margin is the floor: cost / (1 - floor) / (1 - share
    given back).

    Args:
        cost: The cost of one unit.
        floor: The least pocket margin, as a share of the pocket price.
        given_back: The share of the price that is given back after the invoice.
    """
    return cost / ((1 - floor) * (1 - given_back))


# The solver: the prices with the largest mean objective within the guardrails, product by
# product until nothing improves.

MOST_PASSES = 30
"""Passes over the products at most."""

LEAST_IMPROVEMENT = 1e-7
"""The share of the objective below which a pass has improved nothing."""

TRIED_PRICES, GRID_ROUNDS = 25, 5
"""Prices that a single cell is tried at, and how often the grid is narrowed around the best."""

MOST_COMBINATIONS = 512
"""Combinations of neighbouring allowed prices that are tried for one product."""


@dataclass(frozen=True, eq=False)
class PriceProblem:
    """The problem to solve.

    Attributes:
        demand: Draws of demand on K cells.
        rails: The guardrails.
        low, high: The bounds of each price, shape (K,); equal where it is not to move.
        products: The cells of each product.
        capacity: The most expected units of the products that have one.
    """

    demand: DemandDraws
    rails: PriceGuardrails
    low: ndarray
    high: ndarray
    products: Mapping[str, ndarray]
    capacity: Mapping[str, float]

    def moving(self, cells: ndarray) -> ndarray:
        """Return those of some cells whose price may move."""
        return cells[self.high[cells] > self.low[cells]]

    def gaps(self, cells: ndarray) -> tuple[ndarray, ndarray]:
        """Return the cap on the gaps of one product's channels, as A p <= b, but for gaps between
        prices that do not move.
        """
        rows, ends = gap_rows(len(cells), self.rails)
        moves = self.high[cells] > self.low[cells]
        counted = (rows[:, moves] != 0).any(1)
        return rows[counted], ends[counted]


def feasible_prices(problem: PriceProblem, cells: ndarray, wanted: ndarray) -> ndarray | None:
    """Return the prices of one product nearest to the wanted ones within bounds and gaps.

    None where there are none.

    The least sum of relative changes, by linear programming (HiGHS).

    Args:
        problem: With the bounds.
        cells: The cells of the product.
        wanted: Shape (cells,).
    """
    from scipy.optimize import linprog

    low, high = problem.low[cells], problem.high[cells]
    rows, ends = problem.gaps(cells)
    start: ndarray = np.clip(wanted, low, high)
    if (rows @ start <= ends).all():
        return start
    count = len(cells)
    identity = np.eye(count)
    apart = np.vstack(
        [np.hstack([identity, -identity]), np.hstack([-identity, -identity])]
    )  # |p - wanted| <= distance
    bounded = np.hstack([rows, np.zeros((len(rows), count))])
    solved = linprog(
        np.concatenate([np.zeros(count), 1 / wanted]),
        np.vstack([apart, bounded]),
        np.concatenate([wanted, -wanted, ends - SLACK / 10 * high.max()]),
        bounds=[*zip(low, high, strict=True), *[(0, None)] * count],
        method="highs",
    )
    return np.clip(solved.x[:count], low, high) if solved.success else None


def solve_prices(problem: PriceProblem, start: ndarray) -> ndarray:
    """Return the best prices that are found, shape (K,): those of each product in turn, others as
    they are, until all stay.

    Prices of different products bound each other by capacities alone, so that passes over products
    come to rest where no product's prices can be improved (Gauss-Seidel; Bertsekas, Nonlinear
    Programming, 2.7).

    Args:
        problem: What to solve.
        start: Prices within bounds and gaps.
    """
    prices = start.copy()
    for sweep in range(MOST_PASSES):
        before = float(problem.demand.totals(prices).mean())
        for cells in problem.products.values():
            if len(problem.moving(cells)):
                prices[cells] = _product_problem(problem, prices, cells, many=not sweep)
        if float(problem.demand.totals(prices).mean()) <= before + LEAST_IMPROVEMENT * abs(
            before
        ) or not len(problem.demand.pairs):
            break
    return prices


def _product_problem(
    problem: PriceProblem, prices: ndarray, cells: ndarray, *, many: bool
) -> ndarray:
    """Return better prices of one product, all others as they are.

    From several starts where `many`.
    """
    part = ProductProblem.of(problem, prices, cells)
    own = prices[cells]
    if len(part.moves) == 1:
        return part.best_on_grid(own)
    ends = (problem.low[cells], problem.high[cells], problem.demand.price[cells]) if many else ()
    starts = [
        own,
        *(point for end in ends if (point := feasible_prices(problem, cells, end)) is not None),
    ]
    return max((own, *(part.climb(point) for point in starts)), key=part.value)


@dataclass(frozen=True, eq=False)
class ProductProblem:
    """The prices of one product, all others as they are.

    Attributes:
        demand: The demand of its cells, the first n, and of all that answer to their prices.
        low, high: The bounds of its prices, shape (n,).
        moves: Those of them that may move.
        rows, ends: The cap on their gaps.
        shared: By capacity, which of the cells of `demand` use it (shape (A,)), and what is left
            for them.
    """

    demand: DemandDraws
    low: ndarray
    high: ndarray
    moves: ndarray
    rows: ndarray
    ends: ndarray
    shared: tuple[tuple[ndarray, float], ...]

    @classmethod
    def of(cls, problem: PriceProblem, prices: ndarray, cells: ndarray) -> ProductProblem:
        """Return the part of a problem that the cells of one product decide."""
        demand, place = problem.demand.answering(cells, prices)
        shared = []
        for name, most in problem.capacity.items():
            users = np.isin(place, problem.products[name])
            if users.any():
                elsewhere = np.setdiff1d(problem.products[name], place)
                shared.append(
                    (
                        users.astype(float),
                        most - float(problem.demand.units_at(prices, elsewhere).mean(0).sum()),
                    )
                )
        rows, ends = problem.gaps(cells)
        low, high = problem.low[cells], problem.high[cells]
        return cls(demand, low, high, np.flatnonzero(high > low), rows, ends, tuple(shared))

    def all_prices(self, own: ndarray) -> ndarray:
        """Return the prices of all cells of `demand`."""
        return np.concatenate([own, self.demand.price[len(own) :]])

    def value(self, own: ndarray) -> float:
        """Return the mean objective.

        Less the more a capacity is exceeded, from below any that exceeds none.
        """
        prices = self.all_prices(own)
        units, margin = self.demand.units_at(prices), self.demand.margin(prices)
        beyond = max(
            (float(units.mean(0) @ users / left) - 1 for users, left in self.shared if left > 0),
            default=0.0,
        )
        beyond = np.inf if any(left <= 0 for _, left in self.shared) else beyond
        if beyond > 1e-7:
            return -1e300 * min(1 + beyond, 1e3)
        return float((units @ margin).mean())

    def allowed(self, own: ndarray) -> bool:
        """Return whether prices are within bounds and gaps."""
        slack = SLACK * own.max()
        inside = (own >= self.low - slack).all() and (own <= self.high + slack).all()
        return bool(inside and (self.rows @ own <= self.ends + slack).all())

    def best_on_grid(self, own: ndarray) -> ndarray:
        """Return the best price of the only cell that moves, by grids that narrow around the
        best.
        """
        (cell,) = self.moves
        low, high = self._interval(own, cell)
        best = own
        for _ in range(GRID_ROUNDS):
            tried = np.tile(own, (TRIED_PRICES, 1))
            tried[:, cell] = np.linspace(low, high, TRIED_PRICES)
            best = max((best, *tried), key=self.value)
            apart = (high - low) / (TRIED_PRICES - 1)
            low, high = max(low, best[cell] - apart), min(high, best[cell] + apart)
        return best

    def _interval(self, own: ndarray, cell: int) -> tuple[float, float]:
        """Return between which prices one cell may move while the others stay."""
        low, high = float(self.low[cell]), float(self.high[cell])
        for row, end in zip(self.rows, self.ends, strict=True):
            if not row[cell]:
                continue
            limit = (end - (row @ own - row[cell] * own[cell])) / row[cell]
            low, high = (max(low, limit), high) if row[cell] < 0 else (low, min(high, limit))
        return (low, high) if low <= high else (own[cell], own[cell])

    def climb(self, start: ndarray) -> ndarray:
        """Return the prices that SLSQP reaches from a start, or the start where these are not
        allowed.
        """
        from scipy.optimize import minimize

        scale = start[self.moves]
        size = abs(self.value(start)) or 1.0
        size = (
            size
            if size < 1e300
            else float(np.abs(self.demand.totals(self.all_prices(start))).mean()) or 1.0
        )
        low, high = self.low[self.moves] / scale, self.high[self.moves] / scale

        def at(x: ndarray) -> ndarray:
            own = start.copy()
            own[self.moves] = np.clip(x, low, high) * scale
            return own

        def lost(x: ndarray) -> tuple[float, ndarray]:
            mean, slopes = self.demand.mean_and_slopes(self.all_prices(at(x)))
            return -mean / size, -slopes[self.moves] * scale / size

        reached = minimize(
            lost,
            np.ones(len(scale)),
            jac=True,
            method="SLSQP",
            bounds=list(zip(low, high, strict=True)),
            constraints=self._constraints(at, scale),
            options={"maxiter": 60, "ftol": 1e-10},
        )
        own = self._repair(at(reached.x), start)
        return own if self.allowed(own) else start

    def _constraints(
        self, at: Callable[[ndarray], ndarray], scale: ndarray
    ) -> list[dict[str, object]]:
        """Return gaps and capacities as SLSQP takes them: not below 0."""
        made: list[dict[str, object]] = []
        if len(self.rows):
            size = float(scale.max())
            slopes = -self.rows[:, self.moves] * scale / size
            made.append(
                {
                    "type": "ineq",
                    "fun": lambda x: (self.ends - self.rows @ at(x)) / size,
                    "jac": lambda _: slopes,
                }
            )
        for users, left in self.shared:

            def room(x: ndarray, users: ndarray = users, left: float = left) -> float:
                return self._capacity_left(at(x), users, left)[0]

            def slope(x: ndarray, users: ndarray = users, left: float = left) -> ndarray:
                return self._capacity_left(at(x), users, left)[1][self.moves] * scale

            made.append({"type": "ineq", "fun": room, "jac": slope})
        return made

    def _capacity_left(self, own: ndarray, users: ndarray, left: float) -> tuple[float, ndarray]:
        """Return the share of a capacity that is left, and its derivatives by the product's
        prices.
        """
        units, slopes = self.demand.unit_slopes(self.all_prices(own))
        size = abs(left) or 1.0
        return float(left - units @ users) / size, -(users @ slopes)[: len(own)] / size

    def _repair(self, own: ndarray, start: ndarray) -> ndarray:
        """Return the prices moved towards an allowed start until they are allowed: SLSQP misses a
        bound by a little.
        """
        for share in (0.0, 1e-9, 1e-7, 1e-5, 1e-3):
            moved: ndarray = np.clip(own + share * (start - own), self.low, self.high)
            if self.allowed(moved) and self.value(moved) > -1e299:
                return moved
        return own


def round_prices(problem: PriceProblem, prices: ndarray) -> tuple[ndarray, tuple[str, ...]]:
    """Return the best allowed prices near the solved ones, and the products that have none.

    Args:
        problem: What was solved.
        prices: The solution, shape (K,).
    """
    rails = problem.rails
    if not rails.ladder and rails.rounding is None:
        return prices, ()
    prices, without = prices.copy(), []
    for name, cells in problem.products.items():
        if not len(problem.moving(cells)):
            continue
        part = ProductProblem.of(problem, prices, cells)
        near = [own for own in _neighbouring_prices(problem, prices, cells) if part.allowed(own)]
        near = [own for own in near if part.value(own) > -1e299]
        if near:
            prices[cells] = max(near, key=part.value)
        else:
            without.append(name)
    return prices, tuple(without)


def _neighbouring_prices(
    problem: PriceProblem, prices: ndarray, cells: ndarray
) -> Iterator[ndarray]:
    """Yield combinations of the allowed prices nearest to the solved ones, of cells that move."""
    moving = len(problem.moving(cells))
    most = next((count for count in (4, 3) if count**moving <= MOST_COMBINATIONS), 2)
    choices = []
    for cell in cells:
        low, high = problem.low[cell], problem.high[cell]
        steps = (
            allowed_prices(problem.rails, low, high, prices[cell])
            if high > low
            else np.array([prices[cell]])
        )
        choices.append(steps[np.argsort(np.abs(steps - prices[cell]), kind="stable")][:most])
    for _, combination in zip(range(MOST_COMBINATIONS), combinations(*choices), strict=False):
        yield np.array(combination)


def allowed_prices(rails: PriceGuardrails, low: float, high: float, near: float) -> ndarray:
    """Return the prices of the ladder between two prices, or those multiples of the rounding less
    the ending around a price.
    """
    steps = np.array(rails.ladder)
    if rails.rounding is not None and not rails.ladder:
        steps = (
            np.floor((near + rails.ending) / rails.rounding) + np.arange(-2, 4)
        ) * rails.rounding - rails.ending
    return steps[(steps >= low * (1 - SLACK)) & (steps <= high * (1 + SLACK))]


# Recommended prices: which cells may move, their best prices, whether these are sure enough,
# and which rule bound each.

BOUND_TOLERANCE = 1e-4
"""The share of its range within which a price lies at its bound."""


@dataclass(frozen=True, eq=False)
class PriceRecommendation:
    """Prices for K cells.

    Attributes:
        prices: Recommended, today's where on hold, shape (K,).
        solved: Before they were rounded to allowed prices, shape (K,).
        holds: By cell, why its price stays.
        status: The status of each cell: `interior`, `corner`, `undefined_inelastic` or `HOLD`.
        rules: The rule that bound each cell; `none` where none did.
        bounds: The bounds of single prices.
        problem: What was solved last.
    """

    prices: ndarray
    solved: ndarray
    holds: Mapping[int, str]
    status: tuple[str, ...]
    rules: tuple[str, ...]
    bounds: PriceBounds
    problem: PriceProblem

    @property
    def demand(self) -> DemandDraws:
        """The draws that were read."""
        return self.problem.demand

    @property
    def gains(self) -> ndarray:
        """Draws of what all changes together gain in a period, shape (D,)."""
        return self.demand.totals(self.prices) - self.demand.totals(self.demand.price)


def recommend(
    evidence: DemandEstimates, demand: DemandDraws, rails: PriceGuardrails
) -> PriceRecommendation:
    """Return the prices with the largest mean objective within the guardrails.

    A product whose change gains with a probability below `confidence`, others as recommended, keeps
    today's prices, and the others are solved again. Every price that changes lies within all
    guardrails.

    Args:
        evidence: The cells.
        demand: Draws of their demand.
        rails: The guardrails.
    """
    bounds, products = bounds_of(evidence, rails), products_of(evidence)
    holds = _held_cells(evidence, bounds, rails)
    while True:
        problem = _price_problem(evidence, demand, rails, bounds, products, holds)
        start = _start_prices(problem, holds)
        if start is None:
            continue
        solved = solve_prices(problem, start)
        prices, without = round_prices(problem, solved)
        more = {int(cell): "ladder" for name in without for cell in problem.moving(products[name])}
        more = more or _beyond_capacity(evidence, problem, prices)
        more = more or _unsure_cells(problem, prices, rails)
        if not more:
            break
        holds |= more
    moved = np.abs(prices / demand.price - 1) > SLACK
    still = {int(cell): "no_gain" for cell in np.flatnonzero(~moved) if cell not in holds}
    made = PriceRecommendation(prices, solved, holds | still, (), (), bounds, problem)
    rules = tuple(_binding_rule(made, evidence, cell) for cell in range(len(prices)))
    return replace(
        made,
        rules=rules,
        status=tuple(_cell_status(made, cell, rules[cell]) for cell in range(len(prices))),
    )


def keep_prices(made: PriceRecommendation) -> PriceRecommendation:
    """Return the recommendation with today's prices: those that were to change are not sure to
    gain.
    """
    moving = [cell for cell, status in enumerate(made.status) if status != "HOLD"]
    holds = {**made.holds, **dict.fromkeys(moving, "not_sure")}
    today, rules = made.demand.price, tuple(holds[cell] for cell in range(len(made.prices)))
    return replace(
        made, prices=today, solved=today, holds=holds, rules=rules, status=("HOLD",) * len(rules)
    )


def _held_cells(
    evidence: DemandEstimates, bounds: PriceBounds, rails: PriceGuardrails
) -> dict[int, str]:
    """Return the cells that may not move, with the reason."""
    holds: dict[int, str] = {}
    losing = evidence.below_cost
    for cell, status in enumerate(evidence.cells["status"]):
        if not evidence.known[cell]:
            holds[cell] = "no_estimate"
        elif rails.objective == "profit" and cell in losing:
            holds[cell] = "below_cost"
        elif status not in rails.act_on:
            holds[cell] = status
        elif bounds.low[cell] > bounds.high[cell] or not evidence.cells["units"][cell]:
            holds[cell] = "no_room" if evidence.cells["units"][cell] else "no_units"
    return holds


def _price_problem(
    evidence: DemandEstimates,
    demand: DemandDraws,
    rails: PriceGuardrails,
    bounds: PriceBounds,
    products: Mapping[str, ndarray],
    holds: Mapping[int, str],
) -> PriceProblem:
    still = np.isin(np.arange(len(evidence)), list(holds))
    low, high = (np.where(still, demand.price, end) for end in (bounds.low, bounds.high))
    today = demand.units_at(demand.price).mean(0)
    capacity = {}
    for name, most in rails.capacity.items():
        if (
            name in products
        ):  # a product that keeps its prices may be beyond it today, and must not be pushed further
            held = still[products[name]].all()
            capacity[name] = max(most, float(today[products[name]].sum())) if held else most
    return PriceProblem(demand, rails, low, high, products, capacity)


def _start_prices(problem: PriceProblem, holds: dict[int, str]) -> ndarray | None:
    """Return prices within bounds and gaps; None after products that have none were put on hold."""
    prices = problem.demand.price.copy()
    for cells in problem.products.values():
        if not len(problem.moving(cells)):
            continue
        point = feasible_prices(problem, cells, prices[cells])
        if point is None:
            holds |= {int(cell): "channel_gap" for cell in problem.moving(cells)}
            return None
        prices[cells] = point
    return prices


def _beyond_capacity(
    evidence: DemandEstimates, problem: PriceProblem, prices: ndarray
) -> dict[int, str]:
    rails = replace(problem.rails, capacity=problem.capacity)
    over = over_capacity(evidence, problem.demand.units_at(prices).mean(0), rails)
    held = [problem.moving(problem.products[name]) for name in over]
    if over and not any(map(len, held)):  # pushed beyond it by its substitutes alone
        held = [problem.moving(cells) for cells in problem.products.values()]
    return {int(cell): "capacity" for cells in held for cell in cells}


def _unsure_cells(problem: PriceProblem, prices: ndarray, rails: PriceGuardrails) -> dict[int, str]:
    """Return the moving cells of products whose change is not sure enough to gain."""
    demand, unsure = problem.demand, dict[int, str]()
    for cells in problem.products.values():
        moving = problem.moving(cells)
        if not len(moving) or (np.abs(prices[cells] / demand.price[cells] - 1) <= SLACK).all():
            continue
        if (demand.added_by(cells, prices) > 0).mean() < rails.confidence:
            unsure |= dict.fromkeys(map(int, moving), "not_sure")
    return unsure


def _binding_rule(made: PriceRecommendation, evidence: DemandEstimates, cell: int) -> str:
    """Return the rule that bound a cell's price, before it was rounded."""
    if cell in made.holds:
        return made.holds[cell]
    bounds, problem, price = made.bounds, made.problem, made.solved[cell]
    near = BOUND_TOLERANCE * (bounds.high[cell] - bounds.low[cell])
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


def _cell_status(made: PriceRecommendation, cell: int, rule: str) -> str:
    if cell in made.holds:
        return "HOLD"
    if made.demand.own[:, cell].mean() >= -1:
        return "undefined_inelastic"
    return "interior" if rule == "none" else "corner"


def price_cost_ratio(elasticity: float) -> float | None:
    """Return e / (1 + e), the price over the pocket cost of a unit that earns most.

    None unless demand is elastic, e < -1.

    The Lerner rule: (p - c) / p = -1 / e, for a constant elasticity and a constant cost of one more
    unit.
    """
    return elasticity / (1 + elasticity) if elasticity < -1 else None
