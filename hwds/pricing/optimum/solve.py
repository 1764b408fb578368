"""The solver: the prices with the largest mean objective within the guardrails, product by product until nothing improves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product as combinations

import numpy as np

from hwds.pricing.optimum.draws import DemandDraws
from hwds.pricing.optimum.guardrails import SLACK, Guardrails, gap_rows

SWEEPS = 30
"""Passes over the products at most."""

STILL = 1e-7
"""The share of the objective below which a pass has improved nothing."""

NODES, ROUNDS = 25, 5
"""Prices that a single cell is tried at, and how often the grid is narrowed around the best."""

MOST_COMBINATIONS = 512
"""Combinations of neighbouring allowed prices that are tried for one product."""


@dataclass(frozen=True, eq=False)
class PriceProblem:
    """The problem to solve.

    Attributes:
        demand: Draws of demand on K cells.
        rails: The guardrails.
        low, high: Of each price, shape (K,); equal where it is not to move.
        products: The cells of each product.
        capacity: The most expected units of the products that have one.
    """

    demand: DemandDraws
    rails: Guardrails
    low: np.ndarray
    high: np.ndarray
    products: Mapping[str, np.ndarray]
    capacity: Mapping[str, float]

    def moving(self, cells: np.ndarray) -> np.ndarray:
        """Return those of some cells whose price may move."""
        return cells[self.high[cells] > self.low[cells]]

    def gaps(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cap on the gaps of one product's channels, as A p <= b, but for gaps between prices that do not move."""
        rows, ends = gap_rows(len(cells), self.rails)
        moves = self.high[cells] > self.low[cells]
        counted = (rows[:, moves] != 0).any(1)
        return rows[counted], ends[counted]


def feasible(problem: PriceProblem, cells: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """Return the prices of one product nearest to the wanted ones within bounds and gaps; None where there are none.

    The least sum of relative changes, by linear programming (HiGHS).

    Args:
        problem: With the bounds.
        cells: Of the product.
        wanted: Shape (cells,).
    """
    from scipy.optimize import linprog

    low, high = problem.low[cells], problem.high[cells]
    rows, ends = problem.gaps(cells)
    start: np.ndarray = np.clip(wanted, low, high)
    if (rows @ start <= ends).all():
        return start
    count = len(cells)
    identity = np.eye(count)
    apart = np.vstack([np.hstack([identity, -identity]), np.hstack([-identity, -identity])])  # |p - wanted| <= distance
    bounded = np.hstack([rows, np.zeros((len(rows), count))])
    solved = linprog(
        np.concatenate([np.zeros(count), 1 / wanted]),
        np.vstack([apart, bounded]),
        np.concatenate([wanted, -wanted, ends - SLACK / 10 * high.max()]),
        bounds=[*zip(low, high, strict=True), *[(0, None)] * count],
        method="highs",
    )
    return np.clip(solved.x[:count], low, high) if solved.success else None


def solve(problem: PriceProblem, start: np.ndarray) -> np.ndarray:
    """Return the best prices that are found, shape (K,): those of each product in turn, others as they are, until all stay.

    Prices of different products bound each other by capacities alone, so that passes over products come to rest where no
    product's prices can be improved (Gauss-Seidel; Bertsekas, Nonlinear Programming, 2.7).

    Args:
        problem: What to solve.
        start: Prices within bounds and gaps.
    """
    prices = start.copy()
    for sweep in range(SWEEPS):
        before = float(problem.demand.totals(prices).mean())
        for cells in problem.products.values():
            if len(problem.moving(cells)):
                prices[cells] = _product(problem, prices, cells, many=not sweep)
        if float(problem.demand.totals(prices).mean()) <= before + STILL * abs(before) or not len(problem.demand.pairs):
            break
    return prices


def _product(problem: PriceProblem, prices: np.ndarray, cells: np.ndarray, *, many: bool) -> np.ndarray:
    """Return better prices of one product, all others as they are; from several starts where `many`."""
    part = ProductProblem.of(problem, prices, cells)
    own = prices[cells]
    if len(part.moves) == 1:
        return part.scanned(own)
    ends = (problem.low[cells], problem.high[cells], problem.demand.price[cells]) if many else ()
    starts = [own, *(point for end in ends if (point := feasible(problem, cells, end)) is not None)]
    return max((own, *(part.climbed(point) for point in starts)), key=part.value)


@dataclass(frozen=True, eq=False)
class ProductProblem:
    """The prices of one product, all others as they are.

    Attributes:
        demand: Of its cells, the first n, and of all that answer to their prices.
        low, high: Of its prices, shape (n,).
        moves: Those of them that may move.
        rows, ends: The cap on their gaps.
        shared: By capacity, which of the cells of `demand` use it (shape (A,)), and what is left for them.
    """

    demand: DemandDraws
    low: np.ndarray
    high: np.ndarray
    moves: np.ndarray
    rows: np.ndarray
    ends: np.ndarray
    shared: tuple[tuple[np.ndarray, float], ...]

    @classmethod
    def of(cls, problem: PriceProblem, prices: np.ndarray, cells: np.ndarray) -> ProductProblem:
        """Return the part of a problem that the cells of one product decide."""
        demand, place = problem.demand.answering(cells, prices)
        shared = []
        for name, most in problem.capacity.items():
            users = np.isin(place, problem.products[name])
            if users.any():
                elsewhere = np.setdiff1d(problem.products[name], place)
                shared.append((users.astype(float), most - float(problem.demand.units_at(prices, elsewhere).mean(0).sum())))
        rows, ends = problem.gaps(cells)
        low, high = problem.low[cells], problem.high[cells]
        return cls(demand, low, high, np.flatnonzero(high > low), rows, ends, tuple(shared))

    def all_prices(self, own: np.ndarray) -> np.ndarray:
        """Return the prices of all cells of `demand`."""
        return np.concatenate([own, self.demand.price[len(own) :]])

    def value(self, own: np.ndarray) -> float:
        """Return the mean objective; less the more a capacity is exceeded, from below any that exceeds none."""
        prices = self.all_prices(own)
        units, margin = self.demand.units_at(prices), self.demand.margin(prices)
        beyond = max((float(units.mean(0) @ users / left) - 1 for users, left in self.shared if left > 0), default=0.0)
        beyond = np.inf if any(left <= 0 for _, left in self.shared) else beyond
        if beyond > 1e-7:
            return -1e300 * min(1 + beyond, 1e3)
        return float((units @ margin).mean())

    def allowed(self, own: np.ndarray) -> bool:
        """Return whether prices are within bounds and gaps."""
        slack = SLACK * own.max()
        inside = (own >= self.low - slack).all() and (own <= self.high + slack).all()
        return bool(inside and (self.rows @ own <= self.ends + slack).all())

    def scanned(self, own: np.ndarray) -> np.ndarray:
        """Return the best price of the only cell that moves, by grids that narrow around the best."""
        (cell,) = self.moves
        low, high = self._interval(own, cell)
        best = own
        for _ in range(ROUNDS):
            tried = [_with(own, cell, price) for price in np.linspace(low, high, NODES)]
            best = max((best, *tried), key=self.value)
            apart = (high - low) / (NODES - 1)
            low, high = max(low, best[cell] - apart), min(high, best[cell] + apart)
        return best

    def _interval(self, own: np.ndarray, cell: int) -> tuple[float, float]:
        """Return between which prices one cell may move while the others stay."""
        low, high = float(self.low[cell]), float(self.high[cell])
        for row, end in zip(self.rows, self.ends, strict=True):
            limit = (end - (row @ own - row[cell] * own[cell])) / row[cell] if row[cell] else 0.0
            low, high = (max(low, limit), high) if row[cell] < 0 else (low, min(high, limit)) if row[cell] > 0 else (low, high)
        return (low, high) if low <= high else (own[cell], own[cell])

    def climbed(self, start: np.ndarray) -> np.ndarray:
        """Return the prices that SLSQP reaches from a start, or the start where these are not allowed."""
        from scipy.optimize import minimize

        scale = start[self.moves]
        size = abs(self.value(start)) or 1.0
        size = size if size < 1e300 else float(np.abs(self.demand.totals(self.all_prices(start))).mean()) or 1.0
        low, high = self.low[self.moves] / scale, self.high[self.moves] / scale

        def at(x: np.ndarray) -> np.ndarray:
            own = start.copy()
            own[self.moves] = np.clip(x, low, high) * scale
            return own

        def lost(x: np.ndarray) -> tuple[float, np.ndarray]:
            mean, slopes = self.demand.mean_and_slopes(self.all_prices(at(x)))
            return -mean / size, -slopes[self.moves] * scale / size

        reached = minimize(
            lost, np.ones(len(scale)), jac=True, method="SLSQP", bounds=list(zip(low, high, strict=True)),
            constraints=self._constraints(at, scale), options={"maxiter": 60, "ftol": 1e-10},
        )  # fmt: skip
        own = self._repaired(at(reached.x), start)
        return own if self.allowed(own) else start

    def _constraints(self, at: Callable[[np.ndarray], np.ndarray], scale: np.ndarray) -> list[dict[str, object]]:
        """Return gaps and capacities as SLSQP takes them: not below 0."""
        made: list[dict[str, object]] = []
        if len(self.rows):
            size = float(scale.max())
            slopes = -self.rows[:, self.moves] * scale / size
            made.append({"type": "ineq", "fun": lambda x: (self.ends - self.rows @ at(x)) / size, "jac": lambda _: slopes})
        for users, left in self.shared:

            def room(x: np.ndarray, users: np.ndarray = users, left: float = left) -> float:
                return self._left(at(x), users, left)[0]

            def slope(x: np.ndarray, users: np.ndarray = users, left: float = left) -> np.ndarray:
                return self._left(at(x), users, left)[1][self.moves] * scale

            made.append({"type": "ineq", "fun": room, "jac": slope})
        return made

    def _left(self, own: np.ndarray, users: np.ndarray, left: float) -> tuple[float, np.ndarray]:
        """Return the share of a capacity that is left, and its derivatives by the product's prices."""
        units, slopes = self.demand.unit_slopes(self.all_prices(own))
        size = abs(left) or 1.0
        return float(left - units @ users) / size, -(users @ slopes)[: len(own)] / size

    def _repaired(self, own: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the prices moved towards an allowed start until they are allowed: SLSQP misses a bound by a little."""
        for share in (0.0, 1e-9, 1e-7, 1e-5, 1e-3):
            moved: np.ndarray = np.clip(own + share * (start - own), self.low, self.high)
            if self.allowed(moved) and self.value(moved) > -1e299:
                return moved
        return own


def _with(prices: np.ndarray, cell: int, price: float) -> np.ndarray:
    changed = prices.copy()
    changed[cell] = price
    return changed


def rounded(problem: PriceProblem, prices: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
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
        near = [own for own in _neighbours(problem, prices, cells) if part.allowed(own)]
        near = [own for own in near if part.value(own) > -1e299]
        if near:
            prices[cells] = max(near, key=part.value)
        else:
            without.append(name)
    return prices, tuple(without)


def _neighbours(problem: PriceProblem, prices: np.ndarray, cells: np.ndarray) -> Iterator[np.ndarray]:
    """Yield combinations of the allowed prices nearest to the solved ones, of cells that move."""
    moving = len(problem.moving(cells))
    most = next((count for count in (4, 3) if count**moving <= MOST_COMBINATIONS), 2)
    choices = []
    for cell in cells:
        low, high = problem.low[cell], problem.high[cell]
        steps = allowed_prices(problem.rails, low, high, prices[cell]) if high > low else np.array([prices[cell]])
        choices.append(steps[np.argsort(np.abs(steps - prices[cell]), kind="stable")][:most])
    for _, combination in zip(range(MOST_COMBINATIONS), combinations(*choices), strict=False):
        yield np.array(combination)


def allowed_prices(rails: Guardrails, low: float, high: float, near: float) -> np.ndarray:
    """Return the prices of the ladder between two prices, or those multiples of the rounding less the ending around a price."""
    steps = np.array(rails.ladder)
    if rails.rounding is not None and not rails.ladder:
        steps = (np.floor((near + rails.ending) / rails.rounding) + np.arange(-2, 4)) * rails.rounding - rails.ending
    kept: np.ndarray = steps[(steps >= low * (1 - SLACK)) & (steps <= high * (1 + SLACK))]
    return kept
