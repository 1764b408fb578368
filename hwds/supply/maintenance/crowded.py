"""Limits of rules within a limited capacity: chosen on what the whole fleet costs on its clock under each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.supply.maintenance.fleet import Fleet, Planner, at_least_cost, first_come
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.outcomes import Outcomes, cost_rate
from hwds.supply.maintenance.rules import CANDIDATES, OWN, candidates, index_of, waiting_costs
from hwds.supply.maintenance.terms import MaintenanceTerms

TRIED = 40
"""Limits of the rule that is laid out by a program, which takes long; the others have `CANDIDATES`."""


@dataclass(frozen=True, eq=False)
class CrowdedRule:
    """A rule in a fleet whose machines compete for a crew or for parts, tried at several limits.

    All machines run under each limit, those of a fold that is held out too, for they compete with the others: which limit is
    best for a fold is counted on the costs of the others alone.

    Attributes:
        rule: One of `rules.RULES`.
        laws: The evidence; all machines have a start.
        terms: Costs and capacity.
        limits: The limits that are tried.
        made: The outcomes under each.
    """

    rule: str
    laws: LifeLaws
    terms: MaintenanceTerms
    limits: tuple[float, ...]
    made: tuple[Outcomes, ...]

    @classmethod
    def of(cls, rule: str, laws: LifeLaws, terms: MaintenanceTerms) -> CrowdedRule:
        """Return a rule with what it costs at each limit."""
        limits = candidates(index_of(rule, laws, terms), TRIED if rule == OWN else CANDIDATES)
        everywhere = np.ones(len(laws.age))
        made = [Fleet(laws, terms).simulate(planner_of(rule, laws, terms, limit * everywhere)) for limit in limits]
        return cls(rule, laws, terms, tuple(limits), tuple(made))

    def limit(self, among: np.ndarray) -> float:
        """Return the limit that costs least on some machines, a mask of shape (m,)."""
        return self.limits[int(np.argmin([cost_rate(self.laws, each, self.terms, among) for each in self.made]))]

    def outcomes(self) -> Outcomes:
        """Return the outcomes where each machine has the limit that costs least on the machines of all other folds."""
        fold, limits = self.laws.fold, np.full(self.laws.m, np.inf)
        for each in np.unique(fold[fold >= 0]):
            limits[fold == each] = self.limit(fold != each)
        planner = planner_of(self.rule, self.laws, self.terms, limits[self.laws.machine])
        return Fleet(self.laws, self.terms).simulate(planner)


def planner_of(rule: str, laws: LifeLaws, terms: MaintenanceTerms, limits: np.ndarray) -> Planner:
    """Return the planner of a rule with a limit for each inspection, shape (n,)."""
    if rule == OWN:
        return at_least_cost(waiting_costs(laws, terms, finite(limits, laws, terms)), terms)
    return first_come(index_of(rule, laws, terms), limits)


def finite(limits: np.ndarray, laws: LifeLaws, terms: MaintenanceTerms) -> np.ndarray:
    """Return limits as worths of a unit of time: never to act is one that no index reaches."""
    return np.minimum(limits, 4 * terms.failure / laws.slot)
