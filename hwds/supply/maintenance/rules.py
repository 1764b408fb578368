"""Rules of replacement as an index of each inspection and a limit from which it acts, chosen on machines of other folds."""

from __future__ import annotations

import numpy as np

from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.outcomes import cost_rate, outcomes_of
from hwds.supply.maintenance.terms import MaintenanceTerms

CANDIDATES = 120
"""Limits among which one is chosen."""

OWN = "renewal"
"""The rule that is decided by."""

RULES = ("renewal", "threshold", "fixed_interval")
"""The rules that have a limit."""


def index_of(rule: str, laws: LifeLaws, terms: MaintenanceTerms) -> np.ndarray:
    """Return the index of each inspection: it acts where that is at least the limit; shape (n,).

    `fixed_interval` has the age, `threshold` the median of the remaining life with a minus, and `renewal` the least cost rate
    of waiting: over waits of 1, 2 ... slots the expected cost of failing, beyond that of a planned replacement, by the
    expected time that the machine runs. Where the long-run cost rate of the fleet is below it, waiting costs more than the
    time it gains is worth. One slot is the one-step rule; the best of several is Gittins' index of a stopping problem.

    Args:
        rule: One of `RULES`.
        laws: The evidence.
        terms: The costs.
    """
    if rule == "fixed_interval":
        return laws.age
    if rule == "threshold":
        return -laws.median
    fails = 1 - laws.survival
    return np.asarray(((terms.failure - terms.planned) * fails / np.maximum(laws.runs, 1e-12)).min(axis=1))


def chosen_limit(index: np.ndarray, laws: LifeLaws, terms: MaintenanceTerms, among: np.ndarray) -> float:
    """Return the limit that costs least on some machines; infinite where never to act does.

    Args:
        index: See `index_of`.
        laws: The evidence.
        terms: The costs.
        among: The machines that it is chosen on, shape (m,).
    """
    limits = candidates(index[among[laws.machine]], CANDIDATES)
    rates = [cost_rate(laws, outcomes_of(laws, index >= limit), terms, among) for limit in limits]
    return limits[int(np.argmin(rates))]


def candidates(index: np.ndarray, most: int) -> list[float]:
    """Return limits to choose among, rising: below each index, between its quantiles, and one that nothing reaches.

    Args:
        index: See `index_of`; shape (n,), of which there may be none.
        most: The number of quantiles.
    """
    if not len(index):
        return [np.inf]
    values = np.unique(np.quantile(index, np.linspace(0, 1, most)))
    between = (values[1:] + values[:-1]) / 2  # no inspection stands on the limit
    return [float(np.nextafter(values[0], -np.inf)), *between.tolist(), np.inf]


def limits_by_fold(index: np.ndarray, laws: LifeLaws, terms: MaintenanceTerms) -> np.ndarray:
    """Return the limit of each machine, chosen on the machines of all other folds; shape (m,)."""
    out = np.full(laws.m, np.inf)
    for fold in np.unique(laws.fold[laws.fold >= 0]):
        mine = laws.fold == fold
        out[mine] = chosen_limit(index, laws, terms, ~mine)
    return out


def waiting_costs(laws: LifeLaws, terms: MaintenanceTerms, rate: np.ndarray) -> np.ndarray:
    """Return the expected cost of a replacement in 0, 1, 2 ... slots, less that of one now; shape (n, slots + 1).

    Args:
        laws: The evidence.
        terms: The costs.
        rate: The worth of a unit of running time at each inspection, shape (n,).
    """
    waits = (terms.failure - terms.planned) * (1 - laws.survival) - rate[:, None] * laws.runs
    return np.column_stack([np.zeros(len(waits)), waits])
