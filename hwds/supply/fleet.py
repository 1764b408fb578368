"""A fleet under rules of replacement: laws of lives, costs, outcomes, limits and capacity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from hwds.core.errors import HwdsError
from hwds.stats.distributions import kaplan_meier

# The costs and the capacity of maintenance.


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceTerms:
    """The cost of replacements, and how many there can be.

    Attributes:
        planned: The cost of a replacement before a failure, downtime included.
        failure: The cost of a failure, downtime included.
        planned_downtime, failure_downtime: The time that a machine stands still, in the unit of
            ages.
        downtime: The cost of a unit of time that a machine stands still.
        crew: Replacements in a slot at most; None for any number.
        parts: Parts on hand at first; None for any number.
        parts_rate: Parts that arrive in each slot.
        least_failures: Machines that failed below which nothing is shown.
        resamples: Resamples of the bootstrap over machines.
    """

    planned: float
    failure: float
    planned_downtime: float
    failure_downtime: float
    downtime: float
    crew: int | None
    parts: int | None
    parts_rate: float
    least_failures: int
    resamples: int

    @property
    def limited(self) -> bool:
        """True where crew or parts are limited."""
        return self.crew is not None or self.parts is not None

    def crew_of(self, machines: int) -> int:
        """Return how many replacements there can be in a slot, of so many machines."""
        return machines if self.crew is None else min(self.crew, machines)


# LifeLaws: the evidence on a fleet that maintenance is decided from: laws of remaining lives,
# and how machines ended.


@dataclass(frozen=True, eq=False)
class LifeLaws:
    """The laws of m machines at n inspections, and how long the machines lasted.

    Attributes:
        names: The machines, in order.
        ends: The age at which each failed or was last seen, shape (m,).
        failed: Whether it failed then, shape (m,).
        fold: The part in which each was held out; -1 where it has no prediction, shape (m,).
        start: The time when it was new on a clock that machines share, NaN where that is not known,
            shape (m,).
        machine: The place of each inspection's machine, shape (n,); sorted, ages rising.
        age: The age at each inspection, shape (n,).
        survival: The probability to run longer than 1, 2 ... slots more, shape (n, slots).
        median: The median of the remaining life, shape (n,).
        slot: The time from one inspection to the next.
        unit: The unit of ages.
    """

    names: tuple[str, ...]
    ends: ndarray
    failed: ndarray
    fold: ndarray
    start: ndarray
    machine: ndarray
    age: ndarray
    survival: ndarray
    median: ndarray
    slot: float
    unit: str = "cycles"

    @property
    def m(self) -> int:
        """The number of machines."""
        return len(self.names)

    @property
    def slots(self) -> int:
        """The number of slots ahead that the laws reach."""
        return self.survival.shape[1]

    @property
    def has_clock(self) -> bool:
        """True where all machines share a clock."""
        return bool(np.isfinite(self.start).all())

    @property
    def curves(self) -> ndarray:
        """The survival with its beginning: 1 now; shape (n, slots + 1)."""
        return np.column_stack([np.ones(len(self.survival)), self.survival])

    @property
    def runs(self) -> ndarray:
        """The expected time that a machine runs within 1, 2 ... slots, shape (n, slots): the area
        under its curve.
        """
        curves = self.curves
        return self.slot * np.cumsum((curves[:, 1:] + curves[:, :-1]) / 2, axis=1)

    @property
    def last_inspections(self) -> ndarray:
        """The place of the last inspection of each machine that has one, in the order of
        machines.
        """
        return (
            np.flatnonzero(np.append(self.machine[1:] != self.machine[:-1], True))
            if len(self.machine)
            else np.zeros(0, int)
        )


# The outcomes of machines under a rule: replaced at an inspection, failed before, or not known
# because it was censored.

LEAST_SEEN = 0.05
"""The least share of machines that is not censored before an age by which an outcome at that age is
weighted.
"""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The end of each of m machines.

    Attributes:
        end: The age at which it was replaced, failed or was last seen, shape (m,).
        acted: Whether it was replaced before a failure, shape (m,).
        known: Whether it was replaced or failed, shape (m,).
        waited: The time that it stood still, after its failure, for a crew or a part, shape (m,).
    """

    end: ndarray
    acted: ndarray
    known: ndarray
    waited: ndarray

    def cost(self, terms: MaintenanceTerms) -> ndarray:
        """Return the cost of each machine's replacement, shape (m,)."""
        return np.where(self.acted, terms.planned, terms.failure) + terms.downtime * self.waited

    def downtime(self, terms: MaintenanceTerms) -> ndarray:
        """Return how long each machine stands still, shape (m,)."""
        return np.where(self.acted, terms.planned_downtime, terms.failure_downtime) + self.waited


def outcomes_of(laws: LifeLaws, acts: ndarray) -> Outcomes:
    """Return the outcomes where each machine is replaced at its first inspection that says so.

    Args:
        laws: The evidence.
        acts: Whether an inspection says so, shape (n,).
    """
    first = np.full(laws.m, np.inf)
    np.minimum.at(first, laws.machine[acts], laws.age[acts])
    acted = np.isfinite(first)
    return Outcomes(np.where(acted, first, laws.ends), acted, acted | laws.failed, np.zeros(laws.m))


def foresight_outcomes(laws: LifeLaws, terms: MaintenanceTerms) -> Outcomes:
    """Return the outcomes of machines whose failures are foreseen.

    Those that do not fail are not known.

    Each is replaced at its last inspection before the failure, or fails where the time until then
    is worth more than a failure costs beyond a replacement. A unit of time is worth the least cost
    rate of all, which Dinkelbach's steps (1967) reach.

    Args:
        laws: The evidence.
        terms: The costs.
    """
    last = np.zeros(len(laws.age), bool)
    last[laws.last_inspections] = True
    replaced = outcomes_of(laws, last)
    gained = laws.ends - replaced.end
    everyone, rate = np.ones(laws.m, bool), np.inf
    best = made = Outcomes(replaced.end, replaced.acted, laws.failed, replaced.waited)
    while (least := cost_rate(laws, made, terms, everyone)) < rate:
        best, rate = made, least
        acted = replaced.acted & (gained * rate <= terms.failure - terms.planned)
        made = Outcomes(
            np.where(acted, replaced.end, laws.ends), acted, laws.failed, replaced.waited
        )
    return best


def seen_weights(laws: LifeLaws, outcomes: Outcomes, among: ndarray | None = None) -> ndarray:
    """Return the weight of each machine: one over the chance not to be censored before its outcome,
    0 where that is not known.

    Inverse probability of censoring (Robins and Rotnitzky 1992), by Kaplan and Meier's curve of the
    ages at which machines were last seen: otherwise policies that let machines run would be judged
    by those that fail early.

    Args:
        laws: The evidence.
        outcomes: The outcomes under one rule.
        among: A mask of the machines whose censoring is read, shape (m,); None for all.
    """
    read = np.ones(laws.m, bool) if among is None else among
    ages, left = kaplan_meier(
        laws.ends[read], ~laws.failed[read], np.ones(int(read.sum())), events_first=False
    )
    seen = np.concatenate([[1.0], left])[np.searchsorted(ages, outcomes.end, side="left")]
    return outcomes.known / np.maximum(seen, LEAST_SEEN)


def cost_rate(laws: LifeLaws, outcomes: Outcomes, terms: MaintenanceTerms, among: ndarray) -> float:
    """Return the cost a unit of running time of some machines (renewal reward), infinite where no
    outcome is known.

    Args:
        laws: The evidence.
        outcomes: The outcomes under one rule.
        terms: The costs.
        among: A mask of machines, shape (m,); no other is read.
    """
    weight = seen_weights(laws, outcomes, among) * among
    ran = float(weight @ outcomes.end)
    return float(weight @ outcomes.cost(terms)) / ran if ran > 0 else np.inf


# Rules of replacement as an index of each inspection and a limit from which it acts, chosen on
# machines of other folds.

MOST_LIMITS = 120
"""Limits among which one is chosen."""

OWN_RULE = "renewal"
"""The rule that is decided by."""

LIMIT_RULES = ("renewal", "threshold", "fixed_interval")
"""The rules that have a limit."""


def inspection_index(rule: str, laws: LifeLaws, terms: MaintenanceTerms) -> ndarray:
    """Return the index of each inspection: it acts where that is at least the limit; shape (n,).

    `fixed_interval` has the age, `threshold` the median of the remaining life with a minus, and
    `renewal` the least cost rate of waiting: over waits of 1, 2 ... slots the expected cost of
    failing, beyond that of a planned replacement, by the expected time that the machine runs. Where
    the long-run cost rate of the fleet is below it, waiting costs more than the time it gains is
    worth. One slot is the one-step rule; the best of several is Gittins' index of a stopping
    problem.

    Args:
        rule: One of `LIMIT_RULES`.
        laws: The evidence.
        terms: The costs.
    """
    if rule == "fixed_interval":
        return laws.age
    if rule == "threshold":
        return -laws.median
    fails = 1 - laws.survival
    return ((terms.failure - terms.planned) * fails / np.maximum(laws.runs, 1e-12)).min(axis=1)


def chosen_limit(index: ndarray, laws: LifeLaws, terms: MaintenanceTerms, among: ndarray) -> float:
    """Return the limit that costs least on some machines; infinite where never to act does.

    Args:
        index: See `inspection_index`.
        laws: The evidence.
        terms: The costs.
        among: The machines that it is chosen on, shape (m,).
    """
    limits = candidate_limits(index[among[laws.machine]], MOST_LIMITS)
    rates = [cost_rate(laws, outcomes_of(laws, index >= limit), terms, among) for limit in limits]
    return limits[int(np.argmin(rates))]


def candidate_limits(index: ndarray, most: int) -> list[float]:
    """Return limits to choose among, rising: below each index, between its quantiles, and one that
    nothing reaches.

    Args:
        index: See `inspection_index`; shape (n,), of which there may be none.
        most: The number of quantiles.
    """
    if not len(index):
        return [np.inf]
    values = np.unique(np.quantile(index, np.linspace(0, 1, most)))
    between = (values[1:] + values[:-1]) / 2  # no inspection stands on the limit
    return [float(np.nextafter(values[0], -np.inf)), *between.tolist(), np.inf]


def limits_by_fold(index: ndarray, laws: LifeLaws, terms: MaintenanceTerms) -> ndarray:
    """Return the limit of each machine, chosen on the machines of all other folds; shape (m,)."""
    out = np.full(laws.m, np.inf)
    for fold in np.unique(laws.fold[laws.fold >= 0]):
        mine = laws.fold == fold
        out[mine] = chosen_limit(index, laws, terms, ~mine)
    return out


def waiting_costs(laws: LifeLaws, terms: MaintenanceTerms, rate: ndarray) -> ndarray:
    """Return the expected cost of a replacement in 0, 1, 2 ... slots, less that of one now.

    Shape (n, slots + 1).

    Args:
        laws: The evidence.
        terms: The costs.
        rate: The worth of a unit of running time at each inspection, shape (n,).
    """
    waits = (terms.failure - terms.planned) * (1 - laws.survival) - rate[:, None] * laws.runs
    return np.column_stack([np.zeros(len(waits)), waits])


# A fleet on its clock with a limited crew and limited parts: failures are repaired first, then
# planned replacements.

SlotPlanner = Callable[[ndarray, int, int | None], ndarray]
"""From the inspections of a slot, the replacements that its crew can still do, and the parts left
(None: enough), those that are done now.
"""

SLOT_ROUNDING = 1e-9
"""The share of a time by which it may miss a slot's beginning and still stand there."""


def first_come_planner(index: ndarray, limits: ndarray) -> SlotPlanner:
    """Return the planner of a rule: all inspections at or above their limits, the highest indices
    first.

    Args:
        index: The index of each inspection, shape (n,).
        limits: The limit of each inspection, shape (n,).
    """

    def plan(rows: ndarray, crew: int, parts: int | None) -> ndarray:
        wanted = rows[index[rows] >= limits[rows]]
        order = wanted[np.argsort(-index[wanted], kind="stable")]
        return order[: crew if parts is None else min(crew, parts)]

    return plan


def least_cost_planner(costs: ndarray, terms: MaintenanceTerms) -> SlotPlanner:
    """Return the planner that lays out all slots ahead at least cost, and does what falls into the
    first.

    Args:
        costs: The costs of waiting at each inspection, see `waiting_costs`, shape (n, slots + 1).
        terms: The capacity.
    """

    def plan(rows: ndarray, crew: int, parts: int | None) -> ndarray:
        crews = np.full(costs.shape[1] - 1, terms.crew_of(len(rows)))
        crews[0] = crew
        arrived = None if parts is None else part_arrivals(parts, terms, len(crews))
        return rows[cheapest_slots(costs[rows], crews, arrived) == 0]

    return plan


def part_arrivals(parts: float, terms: MaintenanceTerms, slots: int) -> ndarray:
    """Return the parts that have arrived by each slot, shape (slots,)."""
    return np.floor(parts + terms.parts_rate * np.arange(slots))


def slots_of(times: ndarray, slot: float) -> ndarray:
    """Return times in slots.

    Whole where they differ from it by rounding alone, so that .3 is the third slot of .1.
    """
    exact = times / slot
    whole = np.rint(exact)
    return np.where(
        np.abs(exact - whole) <= SLOT_ROUNDING * np.maximum(np.abs(exact), 1.0), whole, exact
    )


def cheapest_slots(costs: ndarray, crews: ndarray, arrived: ndarray | None) -> ndarray:
    """Return the slot of each machine: its own cheapest where that fits the capacity, else by
    `assign_slots`; shape (m,).
    """
    best = costs.argmin(axis=1)
    wanted = np.bincount(best, minlength=costs.shape[1])[:-1]
    fits = (wanted <= crews).all() and (arrived is None or (np.cumsum(wanted) <= arrived).all())
    return best if fits else assign_slots(costs, crews, arrived)


@dataclass(eq=False)
class Fleet:
    """A fleet while it runs, slot by slot.

    Attributes:
        laws: The evidence; all machines have a start.
        terms: Costs and capacity.
        end: The end of each machine so far, shape (m,).
        acted: Whether it was replaced before a failure.
        waited: The time that each has waited for a crew or a part.
        queue: Machines that failed and stand still, with the slot in which each could first be
            repaired.
    """

    laws: LifeLaws
    terms: MaintenanceTerms
    end: ndarray = field(init=False)
    acted: ndarray = field(init=False)
    waited: ndarray = field(init=False)
    queue: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.end = self.laws.ends.copy()
        self.acted, self.waited = np.zeros(self.laws.m, bool), np.zeros(self.laws.m)

    def simulate(self, planner: SlotPlanner) -> Outcomes:
        """Return the outcomes of all machines under a planner, from the slot in which the first
        machine is new.
        """
        laws = self.laws
        if not laws.m:
            return Outcomes(self.end, self.acted, self.acted, self.waited)
        at_row = np.floor(slots_of(laws.start[laws.machine] + laws.age, laws.slot)).astype(int)
        repair = np.ceil(slots_of(laws.start + laws.ends, laws.slot)).astype(int)
        begin = int(np.floor(slots_of(laws.start, laws.slot)).min())
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
            planned = self._replace(
                rows, planner, crew - done, None if stock is None else int(stock)
            )
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

    def _replace(self, rows: ndarray, planner: SlotPlanner, crew: int, parts: int | None) -> int:
        """Replace machines as planned; return how many."""
        if not len(rows) or crew < 1 or (parts is not None and parts < 1):
            return 0
        chosen = planner(rows, crew, parts)
        machines = self.laws.machine[chosen]
        self.end[machines], self.acted[machines] = self.laws.age[chosen], True
        return len(machines)


def assign_slots(costs: ndarray, crew: ndarray, parts: ndarray | None) -> ndarray:
    """Return the slot of each machine, the last column standing for later; shape (m,).

    Each machine has one slot; a slot has no more machines than crews, and up to it there are no
    more than parts have arrived. Where parts do not run out, this is the assignment of machines to
    the places of crews (scipy's linear_sum_assignment, a thirtieth of the time); else a
    mixed-integer program (HiGHS, by scipy.optimize.milp).

    Args:
        costs: The cost of each machine in each slot, the last for later, which has no limit;
            finite, shape (m, slots + 1).
        crew: Replacements in each slot, shape (slots,).
        parts: The parts that have arrived by each slot, rising, shape (slots,); None where they do
            not run out.

    Raises:
        HwdsError: The solver ends without a solution.
    """
    if not len(costs):
        return np.zeros(0, int)
    return _by_crew(costs, crew) if parts is None else _by_crew_and_parts(costs, crew, parts)


def _by_crew(costs: ndarray, crew: ndarray) -> ndarray:
    from scipy.optimize import linear_sum_assignment

    machines, columns = costs.shape
    slots = np.repeat(np.arange(columns), np.append(np.minimum(crew, machines), machines))
    return slots[linear_sum_assignment(costs[:, slots])[1]]


def _by_crew_and_parts(costs: ndarray, crew: ndarray, parts: ndarray) -> ndarray:
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
    solved = milp(
        costs.ravel(), constraints=limits, bounds=Bounds(0, 1), integrality=np.ones(costs.size)
    )
    if solved.x is None:
        raise HwdsError(
            f"decision: the schedule of {machines} machines has no solution: {solved.message}"
        )
    return solved.x.reshape(costs.shape).argmax(axis=1)
