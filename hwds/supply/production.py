"""The cheapest plan of production, outages of its machines, and what comes of it in draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from hwds.core.errors import ConfigError, HwdsError
from hwds.results.files import read_table
from hwds.results.folder import RunFolder
from hwds.supply.fleet import OWN_RULE

# The share of machines that run in each step: from the outages of a run with
# `decision=maintenance`.


@dataclass(frozen=True, slots=True)
class OutageLaw:
    """The outages of a fleet.

    Attributes:
        slot: The time of a slot, in the unit of ages.
        planned: Expected planned replacements in each slot.
        failures: Expected failures in each slot.
        planned_downtime, failure_downtime: The time that a machine stands still for each.
        machines: The number of machines.
        long_run: The share of time that a machine stands still after the last slot.
        source: The source of the law, in words.
    """

    slot: float
    planned: tuple[float, ...]
    failures: tuple[float, ...]
    planned_downtime: float
    failure_downtime: float
    machines: int
    long_run: float
    source: str

    def running(self, steps: int, length: float, n: int, rng: np.random.Generator) -> ndarray:
        """Draw the share of machines' time that they run in each step, shape (n, steps).

        Failures are Poisson.

        Args:
            steps: The number of steps of the plan.
            length: The time of a step, in the unit of ages.
            n: Draws.
            rng: The generator of the failures.
        """
        failures = rng.poisson(np.array(self.failures), (n, len(self.failures)))
        lost = self.planned_downtime * np.array(self.planned) + self.failure_downtime * failures
        edges = self.slot * np.arange(len(self.planned) + 1)
        share = np.empty((n, steps))
        for step in range(steps):
            begin, end = step * length, (step + 1) * length
            inside = (
                np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None)
                / self.slot
            )
            beyond = max(end - max(begin, edges[-1]), 0.0)
            share[:, step] = (lost @ inside) / (
                self.machines * length
            ) + self.long_run * beyond / length
        return np.clip(1 - share, 0.0, 1.0)


def outages_of_run(name: str) -> OutageLaw:
    """Return the last outages that a run reports, those of the machines that run now where it has
    any.

    Args:
        name: The run, as `hwds show` takes it.

    Raises:
        ConfigError: There is no such run or decision, or no machine runs.
        HwdsError: The run is damaged.
    """
    folder = RunFolder.find(name)
    prefix = next(
        (each for each in ("future_", "") if (folder.path / f"{each}outages.parquet").is_file()),
        None,
    )
    verdict: dict[str, Any] | None = None if prefix is None else folder.read_verdict(prefix)
    if prefix is None or verdict is None:
        raise ConfigError(
            f"decision.life_run: run {folder.title} has no outages; run it with "
            f"decision=maintenance."
        )
    table = read_table(folder.path / f"{prefix}outages.parquet")
    if not {"slot", "planned_downtime", "failure_downtime"} <= verdict.keys():
        raise ConfigError(
            f"decision.life_run: run {folder.title} was decided by another version of hwds; run "
            f"it again."
        )
    machines = int(table["machines"][0]) if len(table) else 0
    if not machines:
        raise ConfigError(f"decision.life_run: run {folder.title} has no machine that runs.")
    policies = read_table(folder.path / f"{prefix}maintenance_policies.parquet").filter(
        policy=OWN_RULE
    )
    return OutageLaw(
        slot=float(verdict["slot"]),
        planned=tuple(table["planned"]),
        failures=tuple(table["failures"]),
        planned_downtime=float(verdict["planned_downtime"]),
        failure_downtime=float(verdict["failure_downtime"]),
        machines=machines,
        long_run=float(policies["downtime"][0] or 0.0) if len(policies) else 0.0,
        source=f"run {folder.title}",
    )


# The cheapest plan of production for expected demand and capacity above safety stocks, as a
# linear program.


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyTerms:
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
        """The chance not to run short in a step that costs least: shortage / (shortage +
        holding).
        """
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
        plant: The plant of each deal, shape (p,).
        capacity: Units a step of each plant with all machines running, shape (plants,).
        opening: Stock of each deal at the beginning, shape (p,).
    """

    demand: ndarray
    running: ndarray
    plant: ndarray
    capacity: ndarray
    opening: ndarray

    @property
    def expected(self) -> ndarray:
        """The mean demand, shape (p, t)."""
        return self.demand.mean(axis=2)

    @property
    def room(self) -> ndarray:
        """The expected capacity of each plant in each step, shape (plants, t)."""
        return self.capacity[:, None] * self.running.mean(axis=1)


@dataclass(frozen=True, eq=False)
class SupplyProgram:
    """The solution.

    Attributes:
        production: The production of each deal in each step, shape (p, t).
        stock: Expected at the end of each step, less what is owed then, shape (p, t).
    """

    production: ndarray
    stock: ndarray


def solve_program(problem: SupplyProblem, terms: SupplyTerms) -> SupplyProgram:
    """Return the production that costs least for expected demand, expected capacity and safety
    stocks.

    Stock costs holding, what is owed shortage, and a unit that lacks of the safety stock half as
    much. The safety stock is what a step's demand is above its mean at the level shortage /
    (shortage + holding). Solved by HiGHS (scipy.optimize.linprog).

    Args:
        problem: Demand and capacity.
        terms: Costs.

    Raises:
        HwdsError: The solver ends without a solution.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix, csr_matrix, eye, hstack, kron, vstack

    deals, steps = problem.expected.shape
    # four blocks of variables, each one a deal and step: made, in stock, owed, below safety
    size = deals * steps
    safety = np.maximum(np.quantile(problem.demand, terms.ratio, axis=2) - problem.expected, 0.0)
    every = eye(size)
    upto = kron(eye(deals), csr_matrix(np.tril(np.ones((steps, steps)))))
    balance = hstack(
        [upto, -every, every, csr_matrix((size, size))], format="csr"
    )  # made less stock and plus owed is asked
    asked = np.cumsum(problem.expected, axis=1) - problem.opening[:, None]
    members = coo_matrix(
        (np.ones(deals), (problem.plant, np.arange(deals))), shape=(len(problem.capacity), deals)
    )
    shared = kron(members, eye(steps))
    limits = hstack([shared, csr_matrix((shared.shape[0], 3 * size))])
    above = hstack(
        [csr_matrix((size, size)), -every, csr_matrix((size, size)), -every]
    )  # stock and what lacks reach safety
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


# The outcome of a plan in draws of demand and of outages: stock, fill rate, and the volumes
# that can be delivered.


@dataclass(frozen=True, eq=False)
class PlanOutcome:
    """The outcome of a plan in n draws.

    Attributes:
        stock: The stock at the end of each step, shape (p, t, n).
        unserved: The demand of a step that is not served in it, shape (p, t, n).
        served: The deliveries over all steps, shape (p, n).
        deliverable: The most that could be delivered, were more of that deal asked for and of
            others not: with the stock that is left and the capacity that its plant does not use,
            shape (p, n).
    """

    stock: ndarray
    unserved: ndarray
    served: ndarray
    deliverable: ndarray


def outcome_of(
    problem: SupplyProblem, program: SupplyProgram, actual: ndarray | None = None
) -> PlanOutcome:
    """Return the outcome where each step makes what brings stock to its plan, or as much of that as
    a plant can.

    Demand and outages of earlier steps are known in a step, those of its own are not; what is owed
    is delivered later.

    Args:
        problem: The draws.
        program: The plan.
        actual: Demand in place of the draws, with the capacity as expected; shape (p, t).
    """
    demand = problem.demand if actual is None else actual[..., None]
    room = problem.capacity[:, None, None] * problem.running
    room = room if actual is None else room.mean(axis=1, keepdims=True)
    target = program.stock + problem.expected
    net = np.repeat(problem.opening[:, None], demand.shape[2], axis=1)
    stock, unserved = np.empty(demand.shape), np.empty(demand.shape)
    idle = np.zeros((len(room), demand.shape[2]))
    for step in range(demand.shape[1]):
        wanted = np.maximum(target[:, step, None] - net, 0.0)
        made = wanted * _plant_shares(problem.plant, wanted, room[:, :, step])[problem.plant]
        idle += room[:, :, step]
        np.subtract.at(idle, problem.plant, made)
        net = net + made - demand[:, step]
        stock[:, step] = np.maximum(net, 0.0)
        unserved[:, step] = np.minimum(demand[:, step], np.maximum(-net, 0.0))
    served = demand.sum(axis=1) - np.maximum(-net, 0.0)
    return PlanOutcome(
        stock,
        unserved,
        served,
        served + np.maximum(net, 0.0) + np.maximum(idle, 0.0)[problem.plant],
    )


def _plant_shares(plant: ndarray, wanted: ndarray, room: ndarray) -> ndarray:
    """Return the share of what is wanted that each plant makes, shape (plants, n)."""
    total = np.zeros(room.shape)
    np.add.at(total, plant, wanted)
    return np.minimum(1.0, room / np.maximum(total, 1e-12))
