"""The cheapest plan of production for expected demand and capacity above safety stocks, as a linear program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.errors import HwdsError


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """The cost of supply, and the levels of commitments.

    Attributes:
        holding: The cost of a unit in stock at the end of a step.
        shortage: The cost of a unit that is owed at the end of a step.
        committed, base, upside: Levels of the volumes.
        least_deals: Back-tested deals that a commitment needs.
    """

    holding: float
    shortage: float
    committed: float
    base: float
    upside: float
    least_deals: int

    @property
    def ratio(self) -> float:
        """The chance not to run short in a step that costs least: shortage / (shortage + holding)."""
        return self.shortage / (self.shortage + self.holding)

    @property
    def levels(self) -> dict[str, float]:
        """By band."""
        return {"committed": self.committed, "base": self.base, "upside": self.upside}


@dataclass(frozen=True, eq=False)
class SupplyProblem:
    """The demand that a plan must meet: p deals over t steps, in n draws.

    Attributes:
        demand: Shape (p, t, n).
        running: The share of capacity that runs in each draw, shape (plants, n, t).
        plant: Of each deal, shape (p,).
        capacity: Units a step of each plant with all machines running, shape (plants,).
        opening: Stock of each deal at the beginning, shape (p,).
    """

    demand: np.ndarray
    running: np.ndarray
    plant: np.ndarray
    capacity: np.ndarray
    opening: np.ndarray

    @property
    def expected(self) -> np.ndarray:
        """The mean demand, shape (p, t)."""
        return np.asarray(self.demand.mean(axis=2))

    @property
    def room(self) -> np.ndarray:
        """The expected capacity of each plant in each step, shape (plants, t)."""
        return np.asarray(self.capacity[:, None] * self.running.mean(axis=1))


@dataclass(frozen=True, eq=False)
class SupplyProgram:
    """The solution.

    Attributes:
        production: Of each deal in each step, shape (p, t).
        stock: Expected at the end of each step, less what is owed then, shape (p, t).
    """

    production: np.ndarray
    stock: np.ndarray


def solved(problem: SupplyProblem, terms: PlanTerms) -> SupplyProgram:
    """Return the production that costs least for expected demand, expected capacity and safety stocks.

    Stock costs holding, what is owed shortage, and a unit that lacks of the safety stock half as much. The safety stock is what
    a step's demand is above its mean at the level shortage / (shortage + holding). Solved by HiGHS (scipy.optimize.linprog).

    Args:
        problem: Demand and capacity.
        terms: Costs.

    Raises:
        HwdsError: The solver ends without a solution.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix, csr_matrix, eye, hstack, kron, vstack

    deals, steps = problem.expected.shape
    size = deals * steps
    safety = np.maximum(np.quantile(problem.demand, terms.ratio, axis=2) - problem.expected, 0.0)
    every = eye(size)
    upto = kron(eye(deals), csr_matrix(np.tril(np.ones((steps, steps)))))
    balance = hstack([upto, -every, every, csr_matrix((size, size))], format="csr")  # made less stock and plus owed is asked
    asked = np.cumsum(problem.expected, axis=1) - problem.opening[:, None]
    members = coo_matrix((np.ones(deals), (problem.plant, np.arange(deals))), shape=(len(problem.capacity), deals))
    shared = kron(members, eye(steps))
    limits = hstack([shared, csr_matrix((shared.shape[0], 3 * size))])
    above = hstack([csr_matrix((size, size)), -every, csr_matrix((size, size)), -every])  # stock and what lacks reach safety
    costs = np.repeat([0.0, terms.holding, terms.shortage, terms.shortage / 2], size)
    done = linprog(
        costs,
        A_ub=vstack([limits, above], format="csr"),
        b_ub=np.concatenate([problem.room.ravel(), -safety.ravel()]),
        A_eq=balance,
        b_eq=asked.ravel(),
        method="highs",
    )
    if done.x is None:
        raise HwdsError(f"decision: the plan of {deals} deals has no solution: {done.message}")
    production, stock, owed, _ = done.x.reshape(4, deals, steps)
    return SupplyProgram(production, stock - owed)
