"""The outcomes of machines under a rule: replaced at an inspection, failed before, or not known because it was censored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.statistics.kaplan_meier import kaplan_meier
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.terms import MaintenanceTerms

LEAST_SEEN = 0.05
"""The least share of machines that is not censored before an age by which an outcome at that age is weighted."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The end of each of m machines.

    Attributes:
        end: The age at which it was replaced, failed or was last seen, shape (m,).
        acted: Whether it was replaced before a failure, shape (m,).
        known: Whether it was replaced or failed, shape (m,).
        waited: How long it stood still, after its failure, for a crew or a part, shape (m,).
    """

    end: np.ndarray
    acted: np.ndarray
    known: np.ndarray
    waited: np.ndarray

    def cost(self, terms: MaintenanceTerms) -> np.ndarray:
        """Return the cost of each machine's replacement, shape (m,)."""
        return np.asarray(np.where(self.acted, terms.planned, terms.failure) + terms.downtime * self.waited)

    def downtime(self, terms: MaintenanceTerms) -> np.ndarray:
        """Return how long each machine stands still, shape (m,)."""
        return np.asarray(np.where(self.acted, terms.planned_downtime, terms.failure_downtime) + self.waited)


def outcomes_of(laws: LifeLaws, acts: np.ndarray) -> Outcomes:
    """Return the outcomes where each machine is replaced at its first inspection that says so.

    Args:
        laws: The evidence.
        acts: Whether an inspection says so, shape (n,).
    """
    first = np.full(laws.m, np.inf)
    np.minimum.at(first, laws.machine[acts], laws.age[acts])
    acted = np.isfinite(first)
    return Outcomes(np.where(acted, first, laws.ends), acted, acted | laws.failed, np.zeros(laws.m))


def foresight(laws: LifeLaws, terms: MaintenanceTerms) -> Outcomes:
    """Return the outcomes of machines whose failures are foreseen; those that do not fail are not known.

    Each is replaced at its last inspection before the failure, or fails where the time until then is worth more than a failure
    costs beyond a replacement. A unit of time is worth the least cost rate of all, which Dinkelbach's steps (1967) reach.

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
        made = Outcomes(np.where(acted, replaced.end, laws.ends), acted, laws.failed, replaced.waited)
    return best


def seen_weights(laws: LifeLaws, outcomes: Outcomes, among: np.ndarray | None = None) -> np.ndarray:
    """Return the weight of each machine: one over the chance not to be censored before its outcome, 0 where that is not known.

    Inverse probability of censoring (Robins and Rotnitzky 1992), by Kaplan and Meier's curve of the ages at which machines
    were last seen: otherwise policies that let machines run would be judged by those that fail early.

    Args:
        laws: The evidence.
        outcomes: Under one rule.
        among: A mask of the machines whose censoring is read, shape (m,); None for all.
    """
    read = np.ones(laws.m, bool) if among is None else among
    ages, left = kaplan_meier(laws.ends[read], ~laws.failed[read], np.ones(int(read.sum())), events_first=False)
    seen = np.concatenate([[1.0], left])[np.searchsorted(ages, outcomes.end, side="left")]
    return np.asarray(outcomes.known / np.maximum(seen, LEAST_SEEN))


def cost_rate(laws: LifeLaws, outcomes: Outcomes, terms: MaintenanceTerms, among: np.ndarray) -> float:
    """Return the cost a unit of running time of some machines (renewal reward), infinite where no outcome is known.

    Args:
        laws: The evidence.
        outcomes: Under one rule.
        terms: The costs.
        among: A mask of machines, shape (m,); no other is read.
    """
    weight = seen_weights(laws, outcomes, among) * among
    ran = float(weight @ outcomes.end)
    return float(weight @ outcomes.cost(terms)) / ran if ran > 0 else np.inf
