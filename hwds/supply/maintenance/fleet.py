"""A fleet on its clock with a limited crew and limited parts: failures are repaired first, then planned replacements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hwds.core.errors import HwdsError
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.outcomes import Outcomes
from hwds.supply.maintenance.terms import MaintenanceTerms

Planner = Callable[[np.ndarray, int, int | None], np.ndarray]
"""From the inspections of a slot, the replacements that its crew can still do, and the parts left (None: enough), those
that are done now."""

ROUNDING = 1e-9
"""The share of a time by which it may miss a slot's beginning and still stand there."""


def first_come(index: np.ndarray, limits: np.ndarray) -> Planner:
    """Return the planner of a rule: all inspections at or above their limits, the highest indices first.

    Args:
        index: Of each inspection, shape (n,).
        limits: Of each inspection, shape (n,).
    """

    def plan(rows: np.ndarray, crew: int, parts: int | None) -> np.ndarray:
        wanted = rows[index[rows] >= limits[rows]]
        order = wanted[np.argsort(-index[wanted], kind="stable")]
        return order[: crew if parts is None else min(crew, parts)]

    return plan


def at_least_cost(costs: np.ndarray, terms: MaintenanceTerms) -> Planner:
    """Return the planner that lays out all slots ahead at least cost, and does what falls into the first.

    Args:
        costs: Of waiting at each inspection, see `waiting_costs`, shape (n, slots + 1).
        terms: The capacity.
    """

    def plan(rows: np.ndarray, crew: int, parts: int | None) -> np.ndarray:
        crews = np.full(costs.shape[1] - 1, terms.crew_of(len(rows)))
        crews[0] = crew
        arrived = None if parts is None else arrivals(parts, terms, len(crews))
        return rows[cheapest_slots(costs[rows], crews, arrived) == 0]

    return plan


def arrivals(parts: float, terms: MaintenanceTerms, slots: int) -> np.ndarray:
    """Return the parts that have arrived by each slot, shape (slots,)."""
    return np.floor(parts + terms.parts_rate * np.arange(slots))


def in_slots(times: np.ndarray, slot: float) -> np.ndarray:
    """Return times in slots; whole where they differ from it by rounding alone, so that .3 is the third slot of .1."""
    exact = times / slot
    whole = np.rint(exact)
    return np.asarray(np.where(np.abs(exact - whole) <= ROUNDING * np.maximum(np.abs(exact), 1.0), whole, exact))


def cheapest_slots(costs: np.ndarray, crews: np.ndarray, arrived: np.ndarray | None) -> np.ndarray:
    """Return the slot of each machine: its own cheapest where that fits the capacity, else by `assign`; shape (m,)."""
    best = costs.argmin(axis=1)
    wanted = np.bincount(best, minlength=costs.shape[1])[:-1]
    fits = (wanted <= crews).all() and (arrived is None or (np.cumsum(wanted) <= arrived).all())
    return best if fits else assign(costs, crews, arrived)


@dataclass(eq=False)
class Fleet:
    """A fleet while it runs, slot by slot.

    Attributes:
        laws: The evidence; all machines have a start.
        terms: Costs and capacity.
        end: Of each machine so far, shape (m,).
        acted: Whether it was replaced before a failure.
        waited: For a crew or a part.
        queue: Machines that failed and stand still, with the slot in which each could first be repaired.
    """

    laws: LifeLaws
    terms: MaintenanceTerms
    end: np.ndarray = field(init=False)
    acted: np.ndarray = field(init=False)
    waited: np.ndarray = field(init=False)
    queue: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.end = self.laws.ends.copy()
        self.acted, self.waited = np.zeros(self.laws.m, bool), np.zeros(self.laws.m)

    def simulate(self, planner: Planner) -> Outcomes:
        """Return the outcomes of all machines under a planner, from the slot in which the first machine is new."""
        laws = self.laws
        if not laws.m:
            return Outcomes(self.end, self.acted, self.acted, self.waited)
        at_row = np.floor(in_slots(laws.start[laws.machine] + laws.age, laws.slot)).astype(int)
        repair = np.ceil(in_slots(laws.start + laws.ends, laws.slot)).astype(int)
        begin = int(np.floor(in_slots(laws.start, laws.slot)).min())
        finish = max(int(at_row.max(initial=begin)), int(repair.max()))
        parts = self.terms.parts
        stock = None if parts is None else float(parts)
        for now in range(begin, finish + 1):
            failed = np.flatnonzero((repair == now) & laws.failed & ~self.acted)
            self.queue += [(int(each), now) for each in failed]
            crew = self.terms.crew_of(laws.m)
            done = self._repair(now, crew, stock)
            stock = None if stock is None else stock - done
            rows = np.flatnonzero((at_row == now) & ~self.acted[laws.machine])
            planned = self._replace(rows, planner, crew - done, None if stock is None else int(stock))
            stock = None if stock is None else stock - planned + self.terms.parts_rate
        for machine, since in self.queue:
            self.waited[machine] = (finish - since) * laws.slot
        return Outcomes(self.end, self.acted, self.acted | laws.failed, self.waited)

    def _repair(self, now: int, crew: int, stock: float | None) -> int:
        """Repair machines that failed, those that wait longest first; return how many."""
        can = min(crew, len(self.queue), len(self.queue) if stock is None else int(stock))
        for machine, since in self.queue[:can]:
            self.waited[machine] = (now - since) * self.laws.slot
        self.queue = self.queue[can:]
        return can

    def _replace(self, rows: np.ndarray, planner: Planner, crew: int, parts: int | None) -> int:
        """Replace machines as planned; return how many."""
        if not len(rows) or crew < 1 or (parts is not None and parts < 1):
            return 0
        chosen = planner(rows, crew, parts)
        machines = self.laws.machine[chosen]
        self.end[machines], self.acted[machines] = self.laws.age[chosen], True
        return len(machines)


def assign(costs: np.ndarray, crew: np.ndarray, parts: np.ndarray | None = None) -> np.ndarray:
    """Return the slot of each machine, the last column standing for later; shape (m,).

    Each machine has one slot; a slot has no more machines than crews, and up to it there are no more than parts have arrived.
    Where parts do not run out, this is the assignment of machines to the places of crews (scipy's linear_sum_assignment, a
    thirtieth of the time); else a mixed-integer program (HiGHS, by scipy.optimize.milp).

    Args:
        costs: Of each machine in each slot, the last for later, which has no limit; finite, shape (m, slots + 1).
        crew: Replacements in each slot, shape (slots,).
        parts: That have arrived by each slot, rising, shape (slots,); None where they do not run out.

    Raises:
        HwdsError: The solver ends without a solution.
    """
    if not len(costs):
        return np.zeros(0, int)
    return _by_crew(costs, crew) if parts is None else _by_crew_and_parts(costs, crew, parts)


def _by_crew(costs: np.ndarray, crew: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    machines, columns = costs.shape
    slots = np.repeat(np.arange(columns), np.append(np.minimum(crew, machines), machines))
    return np.asarray(slots[linear_sum_assignment(costs[:, slots])[1]])


def _by_crew_and_parts(costs: np.ndarray, crew: np.ndarray, parts: np.ndarray) -> np.ndarray:
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix, kron, vstack

    machines, columns = costs.shape
    slots = columns - 1
    once = kron(np.eye(machines), np.ones((1, columns)), format="csr")
    in_slot = kron(np.ones((1, machines)), np.eye(slots, columns), format="csr")
    upto = np.column_stack([np.tril(np.ones((slots, slots))), np.zeros(slots)])
    rules = [once, in_slot, kron(np.ones((1, machines)), upto, format="csr")]
    least = np.concatenate([np.ones(machines), np.zeros(2 * slots)])
    most = np.concatenate([np.ones(machines), crew, parts])
    limits = LinearConstraint(csr_matrix(vstack(rules)), least, most)
    solved = milp(costs.ravel(), constraints=limits, bounds=Bounds(0, 1), integrality=np.ones(costs.size))
    if solved.x is None:
        raise HwdsError(f"decision: the schedule of {machines} machines has no solution: {solved.message}")
    return np.asarray(solved.x.reshape(costs.shape).argmax(axis=1))
