"""The record of maintenance: what each rule would have cost on machines that were held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy import ndarray

from hwds.core.seeds import stream
from hwds.results.columns import Column, Declared, with_interval
from hwds.stats.clusters import resample_clusters
from hwds.stats.estimates import clustered_wilson
from hwds.supply.fleet import (
    MOST_LIMITS,
    OWN_RULE,
    Fleet,
    LifeLaws,
    MaintenanceTerms,
    Outcomes,
    SlotPlanner,
    candidate_limits,
    chosen_limit,
    cost_rate,
    first_come_planner,
    foresight_outcomes,
    inspection_index,
    least_cost_planner,
    limits_by_fold,
    outcomes_of,
    seen_weights,
    waiting_costs,
)

# Limits of rules within a limited capacity: chosen on what the whole fleet costs on its clock
# under each of them.

PROGRAM_LIMITS = 40
"""Limits of the rule that is laid out by a program, which takes long; the others have `CANDIDATES`.
"""


@dataclass(frozen=True, eq=False)
class CrowdedRule:
    """A rule in a fleet whose machines compete for a crew or for parts, tried at several limits.

    All machines run under each limit, those of a fold that is held out too, for they compete with
    the others: which limit is best for a fold is counted on the costs of the others alone.

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
        limits = candidate_limits(
            inspection_index(rule, laws, terms), PROGRAM_LIMITS if rule == OWN_RULE else MOST_LIMITS
        )
        everywhere = np.ones(len(laws.age))
        made = [
            Fleet(laws, terms).simulate(planner_of(rule, laws, terms, limit * everywhere))
            for limit in limits
        ]
        return cls(rule, laws, terms, tuple(limits), tuple(made))

    def limit(self, among: ndarray) -> float:
        """Return the limit that costs least on some machines, a mask of shape (m,)."""
        return self.limits[
            int(np.argmin([cost_rate(self.laws, each, self.terms, among) for each in self.made]))
        ]

    def outcomes(self) -> Outcomes:
        """Return the outcomes where each machine has the limit that costs least on the machines of
        all other folds.
        """
        fold, limits = self.laws.fold, np.full(self.laws.m, np.inf)
        for each in np.unique(fold[fold >= 0]):
            limits[fold == each] = self.limit(fold != each)
        planner = planner_of(self.rule, self.laws, self.terms, limits[self.laws.machine])
        return Fleet(self.laws, self.terms).simulate(planner)


def planner_of(rule: str, laws: LifeLaws, terms: MaintenanceTerms, limits: ndarray) -> SlotPlanner:
    """Return the planner of a rule with a limit for each inspection, shape (n,)."""
    if rule == OWN_RULE:
        return least_cost_planner(
            waiting_costs(laws, terms, finite_or_none(limits, laws, terms)), terms
        )
    return first_come_planner(inspection_index(rule, laws, terms), limits)


def finite_or_none(limits: ndarray, laws: LifeLaws, terms: MaintenanceTerms) -> ndarray:
    """Return limits as worths of a unit of time: never to act is one that no index reaches."""
    return np.minimum(limits, 4 * terms.failure / laws.slot)


# The back-test of maintenance: what each rule would have cost on machines that were held out,
# with intervals over machines.

BASE_RULE = "fixed_interval"
"""The rule that savings are counted from."""

BLIND_RULES = ("fixed_interval", "run_to_failure")
"""The rules that look at no sensor."""

RULE_NAMES = {
    "renewal": "renewal rule",
    "renewal[no limits]": "renewal rule, any crew",
    "renewal[true law]": "the same by the true law",
    "threshold": "threshold on the median",
    "threshold[no limits]": "threshold on the median, any crew",
    "fixed_interval": "fixed interval",
    "run_to_failure": "run to failure",
    "foresight": "foresight",
}
"""Rules where people read."""

POLICIES = Declared.of(
    Column("policy", "text", "The rule.", "rule", "rule", "{{ rule_names[policy] }}"),
    with_interval(
        Column(
            "cost",
            "number",
            "Money a unit of running time.",
            "cost a running {{ one_unit }}",
            "cost",
        ),
        brief="95 %",
    ),
    with_interval(
        Column(
            "saving",
            "share",
            "Its saving against the fixed interval.",
            "saves against the fixed interval, %",
            "saves\n%",
        ),
        ends="95 % of the saving",
    ),
    with_interval(
        Column(
            "own_saves",
            "share",
            "What the renewal rule saves against it.",
            "saved against it by the renewal rule, %",
            "renewal\nsaves %",
        ),
        ends="95 % of that",
    ),
    with_interval(
        Column("failures", "share", "", "machines that fail, %", "fail\n%"), ends="95 % of these"
    ),
    with_interval(
        Column(
            "downtime",
            "share",
            "",
            "time that a machine stands still, %",
            "still\n%",
            "{{ downtime | share(2) }}",
        ),
        ends="",
    ),
    Column("run", "number", "", "mean {{ unit }} that a machine runs", "runs"),
    Column("known", "count", "", "machines whose outcome is known", "known"),
)


@dataclass(frozen=True, eq=False)
class MaintenanceBackTest:
    """The outcomes of rules on one fleet.

    Attributes:
        laws: The laws of the model.
        truth: The true laws; None where that is not known.
        terms: Costs and capacity.
        seed: The seed of the random draws.
    """

    laws: LifeLaws
    truth: LifeLaws | None
    terms: MaintenanceTerms
    seed: int

    @property
    def within_capacity(self) -> bool:
        """True where crew and parts are limited and the machines share a clock on which that
        counts.
        """
        return self.terms.limited and self.laws.has_clock

    def table(self) -> pl.DataFrame:
        """Return a row for each rule; see `POLICIES`."""
        made = dict(self.outcomes())
        counts = self._resamples()
        totals = {
            name: _cost_totals(self.laws, each, self.terms, counts) for name, each in made.items()
        }
        rates = {name: each[:, 0] / each[:, 3] for name, each in totals.items()}
        rows = [self._row(name, each, totals[name], rates) for name, each in made.items()]
        return POLICIES.frame(rows)

    def outcomes(self) -> Iterator[tuple[str, Outcomes]]:
        """Yield the rules with their outcomes.

        Each limit is chosen on machines of other folds, within the same capacity.
        """
        laws, terms = self.laws, self.terms
        for rule in (OWN_RULE, "threshold", BASE_RULE):
            if not self.within_capacity:
                yield rule, outcomes_without_limits(rule, laws, terms)
                continue
            yield (
                rule,
                self._own_rule.outcomes()
                if rule == OWN_RULE
                else CrowdedRule.of(rule, laws, terms).outcomes(),
            )
            if rule != BASE_RULE:
                yield f"{rule}[no limits]", outcomes_without_limits(rule, laws, terms)
        never = np.zeros(len(laws.age), bool)
        index = np.zeros(len(laws.age))
        idle = first_come_planner(index, index + np.inf)
        yield (
            "run_to_failure",
            Fleet(laws, terms).simulate(idle) if self.within_capacity else outcomes_of(laws, never),
        )
        yield "foresight", foresight_outcomes(laws, terms)
        if self.truth is not None:
            yield f"{OWN_RULE}[true law]", outcomes_without_limits(OWN_RULE, self.truth, terms)

    def limit(self) -> float:
        """Return the limit of the own rule that costs least on all machines, infinite where never
        to act does.
        """
        if self.within_capacity:
            return self._own_rule.limit(np.ones(self.laws.m, bool))
        return chosen_limit(
            inspection_index(OWN_RULE, self.laws, self.terms),
            self.laws,
            self.terms,
            np.ones(self.laws.m, bool),
        )

    @cached_property
    def _own_rule(self) -> CrowdedRule:
        return CrowdedRule.of(OWN_RULE, self.laws, self.terms)

    def _resamples(self) -> ndarray:
        """Return how often each machine is drawn in each resample, shape (resamples, m)."""
        rng = stream(self.seed, "maintenance", "machines")
        return np.array([resample_clusters(self.laws.m, rng) for _ in range(self.terms.resamples)])

    def _row(
        self, name: str, made: Outcomes, totals: ndarray, costs: dict[str, ndarray]
    ) -> dict[str, object]:
        """Return the row of a rule.

        Savings are of the same resamples of machines for both rules that they compare.
        """
        _, still, fails, ran = totals.T
        weight = seen_weights(self.laws, made).sum()
        rates = {"cost": costs[name], "failures": fails, "downtime": still / (ran + still)}
        if name != BASE_RULE:
            rates["saving"] = 1 - costs[name] / costs[BASE_RULE]
        if name != OWN_RULE:
            rates["own_saves"] = 1 - costs[OWN_RULE] / costs[name]
        row: dict[str, object] = {
            "policy": name,
            "run": float(ran[0]) if weight else None,
            "known": int(made.known.sum()),
        }
        for key, values in rates.items():
            row |= _machine_interval(key, values)
        return row | self._failures(made)

    def _failures(self, made: Outcomes) -> dict[str, float]:
        """Return Wilson's interval of the share that fails: a bootstrap of machines of which none
        did would end at 0.
        """
        weight = seen_weights(self.laws, made)
        if not weight.any():
            return {}
        worth = max(
            int(weight.sum() ** 2 / (weight**2).sum()), 1
        )  # machines of equal weight (Kish, Survey Sampling, 11.7)
        low, high = clustered_wilson(float(weight @ ~made.acted / weight.sum()), worth, worth, None)
        return {"failures_low": low, "failures_high": high}


def outcomes_without_limits(rule: str, laws: LifeLaws, terms: MaintenanceTerms) -> Outcomes:
    """Return the outcomes of a rule without limits of capacity, with each machine's limit from
    those of other folds.
    """
    index = inspection_index(rule, laws, terms)
    return outcomes_of(laws, index >= limits_by_fold(index, laws, terms)[laws.machine])


def _cost_totals(
    laws: LifeLaws, made: Outcomes, terms: MaintenanceTerms, counts: ndarray
) -> ndarray:
    """Return the mean cost, downtime, failures and running time of a machine, of all and of each
    resample; shape (1 + b, 4).
    """
    weight = seen_weights(laws, made)
    columns = (
        np.column_stack([made.cost(terms), made.downtime(terms), ~made.acted, made.end])
        * weight[:, None]
    )
    every = np.vstack([np.ones((1, laws.m)), counts])
    total = (every @ weight)[:, None]
    return np.divide(every @ columns, total, out=np.full((len(every), 4), np.nan), where=total > 0)


def _machine_interval(name: str, values: ndarray) -> dict[str, float | None]:
    """Return a number with its 95 % percentile interval.

    Without one where a resample does not know it.
    """
    if not np.isfinite(values[0]):
        return {name: None}
    out: dict[str, float | None] = {name: float(values[0])}
    if len(values) > 2 and np.isfinite(values[1:]).all():
        low, high = np.quantile(values[1:], [0.025, 0.975])
        out |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return out
