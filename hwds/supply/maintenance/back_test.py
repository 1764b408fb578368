"""The back-test of maintenance: what each rule would have cost on machines that were held out, with intervals over machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.statistics.bootstrap import drawn
from hwds.statistics.wilson import wilson
from hwds.supply.maintenance.fleet import Fleet, by_milp, first_come
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.outcomes import Outcomes, foresight, outcomes_of, seen_weights
from hwds.supply.maintenance.rules import index_of, limits_by_fold, waiting_costs
from hwds.supply.maintenance.terms import MaintenanceTerms

OWN = "renewal"
"""The rule that is decided by."""

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
    "failures": pl.Float64,
    "failures_low": pl.Float64,
    "failures_high": pl.Float64,
    "downtime": pl.Float64,
    "downtime_low": pl.Float64,
    "downtime_high": pl.Float64,
    "run": pl.Float64,
    "known": pl.Int64,
}
"""The columns of the back-test: money a unit of running time, savings against `BASE`, the share of machines that fail, the
share of time that one stands still, the mean time that one runs, and machines whose outcome is known."""


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
        """Whether crew and parts are limited and the machines share a clock on which that counts."""
        return self.terms.limited and self.laws.has_clock

    def table(self) -> pl.DataFrame:
        """Return a row for each rule; see `POLICIES`."""
        made = dict(self.outcomes())
        counts = self._resamples()
        base = _totals(self.laws, made[BASE], self.terms, counts)
        rows = [self._row(name, each, counts, base) for name, each in made.items()]
        return pl.DataFrame(rows, schema=POLICIES)

    def outcomes(self) -> Iterator[tuple[str, Outcomes]]:
        """Yield the rules with their outcomes; each limit is chosen on machines of other folds."""
        laws, terms = self.laws, self.terms
        for rule in (OWN, "threshold", BASE):
            index = index_of(rule, laws, terms)
            limits = limits_by_fold(index, laws, terms)[laws.machine]
            if not self.within_capacity:
                yield rule, outcomes_of(laws, index >= limits)
                continue
            rate = finite(limits, laws, terms)
            plan = by_milp(waiting_costs(laws, terms, rate), terms) if rule == OWN else first_come(index, limits)
            yield rule, Fleet(laws, terms).simulate(plan)
            if rule == OWN:
                yield f"{OWN}[no limits]", outcomes_of(laws, index >= limits)
        never = np.zeros(len(laws.age), bool)
        index = np.zeros(len(laws.age))
        idle = first_come(index, index + np.inf)
        yield "run_to_failure", Fleet(laws, terms).simulate(idle) if self.within_capacity else outcomes_of(laws, never)
        yield "foresight", foresight(laws)
        if self.truth is not None:
            index = index_of(OWN, self.truth, terms)
            limits = limits_by_fold(index, self.truth, terms)[self.truth.machine]
            yield f"{OWN}[true law]", outcomes_of(self.truth, index >= limits)

    def _resamples(self) -> np.ndarray:
        """Return how often each machine is drawn in each resample, shape (resamples, m)."""
        rng = stream(self.seed, "maintenance", "machines")
        return np.array([drawn(self.laws.m, rng) for _ in range(self.terms.resamples)])

    def _row(self, name: str, made: Outcomes, counts: np.ndarray, base: np.ndarray) -> dict[str, object]:
        totals = _totals(self.laws, made, self.terms, counts)
        cost, still, fails, ran = totals.T
        weight = seen_weights(self.laws, made).sum()
        rates = {"cost": cost / ran, "failures": fails, "downtime": still / (ran + still)}
        saving = 1 - rates["cost"] / (base[:, 0] / base[:, 3])
        if name != BASE:
            rates["saving"] = saving
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
        low, high = wilson(float(weight @ ~made.acted / weight.sum()), worth, worth, None)
        return {"failures_low": low, "failures_high": high}


def finite(limits: np.ndarray, laws: LifeLaws, terms: MaintenanceTerms) -> np.ndarray:
    """Return limits as worths of a unit of time: never to act is one that no index reaches."""
    return np.minimum(limits, 4 * terms.failure / laws.slot)


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
