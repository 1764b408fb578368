"""The back-test of maintenance: what each rule would have cost on machines that were held out, with intervals over machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.statistics.cluster_bootstrap import drawn
from hwds.statistics.wilson import clustered_wilson
from hwds.supply.maintenance.crowded import CrowdedRule
from hwds.supply.maintenance.fleet import Fleet, first_come
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.outcomes import Outcomes, foresight, outcomes_of, seen_weights
from hwds.supply.maintenance.rules import OWN, chosen_limit, index_of, limits_by_fold
from hwds.supply.maintenance.terms import MaintenanceTerms

BASE = "fixed_interval"
"""The rule that savings are counted from."""

BLIND = ("fixed_interval", "run_to_failure")
"""The rules that look at no sensor."""

POLICIES = {
    "policy": pl.String,
    "cost": pl.Float64,
    "cost_low": pl.Float64,
    "cost_high": pl.Float64,
    "saving": pl.Float64,
    "saving_low": pl.Float64,
    "saving_high": pl.Float64,
    "own_saves": pl.Float64,
    "own_saves_low": pl.Float64,
    "own_saves_high": pl.Float64,
    "failures": pl.Float64,
    "failures_low": pl.Float64,
    "failures_high": pl.Float64,
    "downtime": pl.Float64,
    "downtime_low": pl.Float64,
    "downtime_high": pl.Float64,
    "run": pl.Float64,
    "known": pl.Int64,
}
"""The columns of the back-test: money a unit of running time, savings against `BASE`, what the rule `OWN` saves
against this one, the share of machines that fail, the share of time that one stands still, the mean time that one runs, and
machines whose outcome is known."""


@dataclass(frozen=True, eq=False)
class BackTest:
    """The outcomes of rules on one fleet.

    Attributes:
        laws: Of the model.
        truth: Of the law that is true; None where that is not known.
        terms: Costs and capacity.
        seed: Names the random draws.
    """

    laws: LifeLaws
    truth: LifeLaws | None
    terms: MaintenanceTerms
    seed: int

    @property
    def within_capacity(self) -> bool:
        """True where crew and parts are limited and the machines share a clock on which that counts."""
        return self.terms.limited and self.laws.has_clock

    def table(self) -> pl.DataFrame:
        """Return a row for each rule; see `POLICIES`."""
        made = dict(self.outcomes())
        counts = self._resamples()
        totals = {name: _totals(self.laws, each, self.terms, counts) for name, each in made.items()}
        rates = {name: each[:, 0] / each[:, 3] for name, each in totals.items()}
        rows = [self._row(name, each, totals[name], rates) for name, each in made.items()]
        return pl.DataFrame(rows, schema=POLICIES)

    def outcomes(self) -> Iterator[tuple[str, Outcomes]]:
        """Yield the rules with their outcomes; each limit is chosen on machines of other folds, within the same capacity."""
        laws, terms = self.laws, self.terms
        for rule in (OWN, "threshold", BASE):
            if not self.within_capacity:
                yield rule, alone(rule, laws, terms)
                continue
            yield rule, self._own.outcomes() if rule == OWN else CrowdedRule.of(rule, laws, terms).outcomes()
            if rule != BASE:
                yield f"{rule}[no limits]", alone(rule, laws, terms)
        never = np.zeros(len(laws.age), bool)
        index = np.zeros(len(laws.age))
        idle = first_come(index, index + np.inf)
        yield "run_to_failure", Fleet(laws, terms).simulate(idle) if self.within_capacity else outcomes_of(laws, never)
        yield "foresight", foresight(laws, terms)
        if self.truth is not None:
            yield f"{OWN}[true law]", alone(OWN, self.truth, terms)

    def limit(self) -> float:
        """Return the limit of the own rule that costs least on all machines, infinite where never to act does."""
        if self.within_capacity:
            return self._own.limit(np.ones(self.laws.m, bool))
        return chosen_limit(index_of(OWN, self.laws, self.terms), self.laws, self.terms, np.ones(self.laws.m, bool))

    @cached_property
    def _own(self) -> CrowdedRule:
        return CrowdedRule.of(OWN, self.laws, self.terms)

    def _resamples(self) -> np.ndarray:
        """Return how often each machine is drawn in each resample, shape (resamples, m)."""
        rng = stream(self.seed, "maintenance", "machines")
        return np.array([drawn(self.laws.m, rng) for _ in range(self.terms.resamples)])

    def _row(self, name: str, made: Outcomes, totals: np.ndarray, costs: dict[str, np.ndarray]) -> dict[str, object]:
        """Return the row of a rule; savings are of the same resamples of machines for both rules that they compare."""
        _, still, fails, ran = totals.T
        weight = seen_weights(self.laws, made).sum()
        rates = {"cost": costs[name], "failures": fails, "downtime": still / (ran + still)}
        if name != BASE:
            rates["saving"] = 1 - costs[name] / costs[BASE]
        if name != OWN:
            rates["own_saves"] = 1 - costs[OWN] / costs[name]
        row: dict[str, object] = {"policy": name, "run": float(ran[0]) if weight else None, "known": int(made.known.sum())}
        for key, values in rates.items():
            row |= _interval(key, values)
        return row | self._failures(made)

    def _failures(self, made: Outcomes) -> dict[str, float]:
        """Return Wilson's interval of the share that fails: a bootstrap of machines of which none did would end at 0."""
        weight = seen_weights(self.laws, made)
        if not weight.any():
            return {}
        worth = max(int(weight.sum() ** 2 / (weight**2).sum()), 1)  # machines of equal weight (Kish, Survey Sampling, 11.7)
        low, high = clustered_wilson(float(weight @ ~made.acted / weight.sum()), worth, worth, None)
        return {"failures_low": low, "failures_high": high}


def alone(rule: str, laws: LifeLaws, terms: MaintenanceTerms) -> Outcomes:
    """Return the outcomes of a rule without limits of capacity, with each machine's limit from those of other folds."""
    index = index_of(rule, laws, terms)
    return outcomes_of(laws, index >= limits_by_fold(index, laws, terms)[laws.machine])


def _totals(laws: LifeLaws, made: Outcomes, terms: MaintenanceTerms, counts: np.ndarray) -> np.ndarray:
    """Return the mean cost, downtime, failures and running time of a machine, of all and of each resample; shape (1 + b, 4)."""
    weight = seen_weights(laws, made)
    columns = np.column_stack([made.cost(terms), made.downtime(terms), ~made.acted, made.end]) * weight[:, None]
    every = np.vstack([np.ones((1, laws.m)), counts])
    total = (every @ weight)[:, None]
    return np.asarray(np.divide(every @ columns, total, out=np.full((len(every), 4), np.nan), where=total > 0))


def _interval(name: str, values: np.ndarray) -> dict[str, float | None]:
    """Return a number with its 95 % percentile interval; without one where a resample does not know it."""
    if not np.isfinite(values[0]):
        return {name: None}
    out: dict[str, float | None] = {name: float(values[0])}
    if len(values) > 2 and np.isfinite(values[1:]).all():
        low, high = np.quantile(values[1:], [0.025, 0.975])
        out |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return out
