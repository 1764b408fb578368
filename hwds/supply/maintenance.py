"""Maintenance decided: is a rule shown to pay, which machine is replaced when, and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame, Series

from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    ALARM_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    headline,
    legend_above,
    name_rows,
    new_figure,
    tidy,
)
from hwds.report.words import spoken
from hwds.results.formatting import brief, counted
from hwds.results.tables import Column, Declared, Verdict, row_of
from hwds.supply.fleet import (
    OWN_RULE,
    LifeLaws,
    MaintenanceTerms,
    cheapest_slots,
    part_arrivals,
    waiting_costs,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from collections.abc import Iterator
from functools import cached_property

from numpy import ndarray

from hwds.core.seeds import stream
from hwds.results.tables import with_interval
from hwds.stats.estimates import clustered_wilson, resample_clusters
from hwds.supply.fleet import (
    MOST_LIMITS,
    Fleet,
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
)

# The record of maintenance: what each rule would have cost on machines that were held out.

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


# The verdict on maintenance: the back-test of rules, a schedule, its outages, and its words.

RIVAL_NAMES = {
    BASE_RULE: "the best fixed interval",
    "threshold": "a threshold on the median life",
    "run_to_failure": "running to failure",
}
"""The rules that it is held against, in words."""

SCHEDULE = Declared.of(
    Column("machine", "text", "The machine.", "machine", "machine"),
    Column("age", "number", "Its age.", "age, {{ unit }}", "age", "{{ age | written('g') }}"),
    Column(
        "slot",
        "count",
        "The slot of its replacement: 0 for now, null for later.",
        "slot",
        "slot",
        "{{ slot or 'now' }}",
    ),
    Column("due", "number", "Its age then."),
    Column(
        "wanted",
        "count",
        "The slot without limits.",
        "slot without limits",
        "wanted",
        "{{ 'later' if wanted is none else wanted or 'now' }}",
    ),
    Column(
        "fails_before",
        "share",
        "The chance to fail before the slot, by the end of all slots for later.",
        "chance to fail before, %",
        "fails\nbefore %",
    ),
    Column(
        "fails_next",
        "share",
        "The chance to fail in the next slot.",
        "chance to fail in the next slot, %",
        "fails\nnext %",
    ),
    Column(
        "delay_cost",
        "number",
        "The expected cost of one slot more; running time is worth what the rule costs.",
        "expected cost of one slot more",
        "delay\ncosts",
    ),
    Column("median_life", "number", "", "median remaining life, {{ unit }}", "median\nlife"),
)

OUTAGES = Declared.of(
    Column("slot", "count", "The slot."),
    Column("begin", "number", "Its beginning, from now."),
    Column("planned", "number", "Expected planned replacements."),
    Column("failures", "number", "Expected failures."),
    Column("lost", "number", "Expected time that machines stand still."),
    Column("lost_sd", "number", "The standard deviation of that time."),
    Column("machines", "count", "The number of machines."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceVerdict(Verdict):
    """When to replace which machine, and whether that is shown to pay.

    Attributes:
        action: `SCHEDULE` or `HOLD`.
        rate: The worth of a unit of running time that the rule acts by: its limit, chosen on all
            machines.
        terms: The costs of a replacement and of a failure, and the capacity.
        slot, slots: The time from one inspection to the next, and how many are looked ahead.
        within_capacity: Whether the back-test is within it; it is not where machines share no
            clock.
        machines, failed: The machines of the back-test, and those that failed.
        running: Machines in the schedule; with a slot, and of these now.
        due, now: See `running`.
        when: `back-test`, or `future` for the machines at their last row.
        unit: The unit of ages.
        policies: See `hwds.supply.maintenance.POLICIES`.
        schedule, outages: See `SCHEDULE` and `OUTAGES`.
    """

    files: ClassVar = {
        "maintenance_policies": "policies",
        "maintenance_schedule": "schedule",
        "outages": "outages",
    }
    stored = (
        "terms.planned",
        "terms.failure",
        "terms.planned_downtime",
        "terms.failure_downtime",
        "terms.crew",
        "terms.parts",
        "terms.parts_rate",
    )
    words = """
    {%- set own, best, law = of("renewal"), of("foresight"), of("renewal[true law]") %}
    {%- if rule == "few_failures" -%}
    HOLD: only {{ failed | counted("machines") }} failed, {{ terms.least_failures }} are needed to
    judge a rule.
    {%- else -%}
    {{ action }}: the renewal rule costs {{ own.cost | quoted(own.cost_low, own.cost_high) }} per
    running {{ one_unit }}
    {%- if own.saving is none %}{% if rule == "no_gain" %}; no saving is shown{% endif %}.
    {%- elif own.saving < 0 %}, {{ own.saving | quoted_percent(own.saving_low, own.saving_high,
    less=true) }} more than a fixed interval.
    {%- else %}, {{ own.saving | quoted_percent(own.saving_low, own.saving_high) }} less than a
    fixed interval.
    {%- endif %}

    {% if rule == "no_gain" -%}
    It is not shown to cost less than rules that look at no sensor.
    {%- endif %}

    Of {{ machines | counted("held-out machines") }} {{ own.failures | percent }} fail, and each
    runs {{ own.run | brief }} {{ unit }}.

    {% if own.saving is not none %}Other rules: {{ rivals }}.{% endif %}

    {% if best and best.cost is not none -%}
    With foresight it would be {{ best.cost | brief }}
    {%- if law and law.cost is not none %}, by the true law of each life
    {{ law.cost | brief }}{% endif %}.
    {%- endif %}
    {%- endif %}

    {% if running -%}
    Of {{ running | counted("machines") }} that run {{ now }} are due now and {{ due }} within the
    next {{ slots }} slots of {{ slot | written("g") }} {{ unit }}.
    {%- else %}No machine runs that could be scheduled.{% endif %}

    {% if terms.limited %}
    {%- set limits -%}
    {% if terms.crew is not none %}{{ terms.crew }} a slot{% endif %}
    {%- if terms.crew is not none and terms.parts is not none %} and {% endif %}
    {%- if terms.parts is not none %}{{ terms.parts }} parts and
    {{ terms.parts_rate | written("g") }} more a slot{% endif %}{% endset %}
    {%- set free = of("renewal[no limits]") %}
    {%- if not within_capacity -%}
    The machines share no clock, so that the capacity ({{ limits }}) counts in the schedule alone.
    {%- elif free and free.cost is not none -%}
    Replacements are limited to {{ limits }}; without that it is {{ free.cost | brief }}.
    {%- endif %}
    {%- endif %}
    """
    rule_names: ClassVar = RULE_NAMES

    action: Literal["SCHEDULE", "HOLD"]
    rate: float | None
    terms: MaintenanceTerms
    slot: float
    slots: int
    within_capacity: bool
    machines: int
    failed: int
    running: int
    due: int
    now: int
    when: Literal["back-test", "future"]
    unit: str
    policies: DataFrame
    schedule: DataFrame
    outages: DataFrame

    @property
    def one_unit(self) -> str:
        """The unit of ages in the singular."""
        return self.unit.removesuffix("s")

    @property
    def rivals(self) -> str:
        """The costs of the rules that it is held against."""
        rows = ((name, self.of(policy)) for policy, name in RIVAL_NAMES.items())
        return ", ".join(
            f"{name} {brief(row['cost'])}" for name, row in rows if row and row["cost"] is not None
        )

    def of(self, policy: str) -> dict[str, Any] | None:
        """Return the row of a policy; None where it has none."""
        return row_of(self.policies, policy=policy)


# From the laws of remaining lives to the verdict: is the rule shown to pay, and which machine
# is replaced when.


def decide_maintenance(
    name: str,
    laws: LifeLaws,
    running: LifeLaws,
    truth: LifeLaws | None,
    terms: MaintenanceTerms,
    *,
    seed: int,
    when: Literal["back-test", "future"],
) -> MaintenanceVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        laws: The laws of machines that were held out, by which rules are chosen and judged.
        running: The laws of the machines to schedule.
        truth: The true laws of `laws`; None where they are not known.
        terms: Costs and capacity.
        seed: The seed of the random draws.
        when: Whether the machines to schedule are those of the back-test or of now.
    """
    tested = MaintenanceBackTest(laws, truth, terms, seed)
    policies = tested.table()
    limit = tested.limit()
    acted = float(finite_or_none(np.array(limit), laws, terms))
    cost = policies.filter(policy=OWN_RULE)["cost"].first()
    table, lost = cheapest_schedule(running, terms, acted, acted if cost is None else float(cost))  # type: ignore[arg-type]
    failed = int(laws.failed.sum())
    rule = forbidding_rule(policies, failed, terms)
    verdict = MaintenanceVerdict(
        decision=name,
        action="SCHEDULE" if rule == "none" else "HOLD",
        rule=rule,
        rate=limit if np.isfinite(limit) else None,
        terms=terms,
        slot=laws.slot,
        slots=laws.slots,
        within_capacity=tested.within_capacity,
        machines=laws.m,
        failed=failed,
        running=len(table),
        due=len(table.drop_nulls("slot")),
        now=len(table.filter(slot=0)),
        when=when,
        unit=laws.unit,
        policies=policies,
        schedule=table,
        outages=lost,
    )
    return spoken(verdict)


def forbidding_rule(policies: DataFrame, failed: int, terms: MaintenanceTerms) -> str:
    """Return the rule that forbids to schedule, `none` where none does.

    Enough machines must have failed, and the cost must be shown, at 95 %, to be below that of each
    rule without sensors: by resamples of machines in which both rules are counted.
    """
    if failed < terms.least_failures:
        return "few_failures"
    lows = policies.filter(pl.col("policy").is_in(BLIND_RULES))["own_saves_low"].to_list()
    return "none" if all(low is not None and low > 0 for low in lows) else "no_gain"


def cheapest_schedule(
    laws: LifeLaws, terms: MaintenanceTerms, rate: float, cost: float
) -> tuple[DataFrame, DataFrame]:
    """Return the cheapest schedule of machines at their last inspection, soonest first, and the
    outages of each slot.

    Args:
        laws: The laws of the machines that run; the last inspection of each counts.
        terms: Costs and capacity.
        rate: The worth of a unit of running time by which slots are chosen.
        cost: What the rule costs a unit of running time, at which a delay is priced.
    """
    rows = laws.last_inspections
    costs = waiting_costs(laws, terms, np.full(len(laws.age), rate))[rows]
    crews = np.full(laws.slots, terms.crew_of(len(rows)))
    slots = cheapest_slots(
        costs, crews, None if terms.parts is None else part_arrivals(terms.parts, terms, laws.slots)
    )
    priced = waiting_costs(laws, terms, np.full(len(laws.age), cost))[rows]
    curves = laws.curves[rows]
    place = np.arange(len(rows))
    later = slots == laws.slots
    following = np.minimum(slots + 1, laws.slots)
    table = SCHEDULE.frame(
        {
            "machine": [laws.names[each] for each in laws.machine[rows]],
            "age": laws.age[rows],
            "slot": Series(
                [None if late else int(slot) for slot, late in zip(slots, later, strict=True)],
                dtype=pl.Int64,
            ),
            "due": Series(
                np.where(later, np.nan, laws.age[rows] + slots * laws.slot), nan_to_null=True
            ),
            "wanted": Series(
                [None if w == laws.slots else int(w) for w in costs.argmin(axis=1)], dtype=pl.Int64
            ),
            "fails_before": 1 - curves[place, slots],
            "fails_next": 1 - curves[:, 1],
            "delay_cost": Series(
                np.where(later, np.nan, priced[place, following] - priced[place, slots]),
                nan_to_null=True,
            ),
            "median_life": laws.median[rows],
        },
    )
    order = ["slot", "fails_next", "machine"]
    return table.sort(order, descending=[False, True, False], nulls_last=True), slot_outages(
        laws, terms, curves, slots
    )


def slot_outages(
    laws: LifeLaws, terms: MaintenanceTerms, curves: np.ndarray, slots: np.ndarray
) -> DataFrame:
    """Return what falls out in each slot.

    A machine that was replaced or repaired is taken to run on to the end of them.

    Args:
        laws: Their slots.
        terms: Times that machines stand still.
        curves: The chance to run on at the beginning of each slot, shape (m, slots + 1).
        slots: The slot of each machine, shape (m,).
    """
    made = []
    for slot in range(laws.slots):
        mine, running = slots == slot, slots > slot
        planned, fails = curves[mine, slot], (curves[:, slot] - curves[:, slot + 1])[running]
        variance = terms.planned_downtime**2 * (planned * (1 - planned)).sum()
        variance += terms.failure_downtime**2 * (fails * (1 - fails)).sum()
        lost = terms.planned_downtime * planned.sum() + terms.failure_downtime * fails.sum()
        made.append(
            (
                slot,
                slot * laws.slot,
                planned.sum(),
                fails.sum(),
                lost,
                np.sqrt(variance),
                len(slots),
            )
        )
    return OUTAGES.frame(made)


# The report of maintenance: rules in the back-test, the schedule of machines that run, and the
# outages it brings.

MOST_MACHINES = 30
"""Machines of a schedule that are shown."""


def policies_figure(verdict: MaintenanceVerdict) -> Figure:
    """Return the figure: costs on the left, failures on the right."""
    rows = verdict.policies.reverse().drop_nulls("cost")
    figure = new_figure(11, 1.8 + 0.4 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    colours = [_rule_colour(name) for name in rows["policy"]]
    _draw_bars(left, rows, "cost", 1.0, colours)
    _draw_bars(right, rows, "failures", 100.0, colours)
    name_rows(left, range(len(rows)), [RULE_NAMES.get(name, name) for name in rows["policy"]])
    terms = verdict.terms
    costs = f"({terms.planned:g} planned, {terms.failure:g} a failure)"
    tidy(left, "x", title=f"cost a running {verdict.one_unit} {costs}")
    tidy(right, "x", title="machines that fail, %")
    machines = counted(verdict.machines, "held-out machines")
    headline(figure, f"{verdict.advice}: {machines}, lines 95 %")
    return figure


def _rule_colour(policy: str) -> str:
    return OWN_COLOUR if policy == OWN_RULE else NAIVE_COLOUR if policy in BLIND_RULES else GREY


def _draw_bars(axes: Axes, rows: DataFrame, name: str, scale: float, colours: list[str]) -> None:
    values = scale * rows[name].to_numpy()
    axes.barh(range(len(rows)), values, color=colours, height=0.62)
    for place, (low, high) in enumerate(rows.select(f"{name}_low", f"{name}_high").iter_rows()):
        if low is not None:
            axes.hlines(place, scale * low, scale * high, color=INK, linewidth=1.2)
    axes.set_xlim(left=0)


def schedule_figure(verdict: MaintenanceVerdict) -> Figure | None:
    """Return the figure; None where no machine runs."""
    rows = verdict.schedule[:MOST_MACHINES]
    if rows.is_empty():
        return None
    figure = new_figure(10, 2.9 + 0.2 * max(len(rows), 8))
    panels = figure.subplot_mosaic([["slots"], ["use"]], height_ratios=[max(len(rows), 8), 6])
    _draw_slots(panels["slots"], rows, verdict)
    _draw_use(panels["use"], verdict)
    all_machines = counted(verdict.running, "machines")
    shown = all_machines if len(rows) == verdict.running else f"{len(rows)} of {all_machines}"
    headline(figure, f"{shown}, the next {verdict.slots} slots of {verdict.slot:g} {verdict.unit}")
    return figure


def _draw_slots(axes: Axes, rows: DataFrame, verdict: MaintenanceVerdict) -> None:
    place = np.arange(len(rows))[::-1]
    slot = rows["slot"].fill_null(verdict.slots).to_numpy()
    risk = rows["fails_before"].to_numpy()
    axes.hlines(place, 0, slot, color=LIGHT, linewidth=5)
    known = ~rows["slot"].is_null().to_numpy()
    axes.plot(slot[known], place[known], "s", color=OWN_COLOUR, markersize=7, label="replaced")
    axes.plot(slot[~known], place[~known], ">", color=GREY, markersize=6, label="later")
    wanted = rows["wanted"].fill_null(verdict.slots).to_numpy()
    axes.plot(wanted, place, "|", color=INK, markersize=11, label="without limits")
    for y, x, chance in zip(place, slot, risk, strict=True):
        axes.text(
            x + 0.12,
            y,
            f"{100 * chance:.0f} %",
            va="center",
            fontsize=7.5,
            color=ALARM_COLOUR if chance >= 0.05 else GREY,
        )
    name_rows(axes, place, rows["machine"], 24)
    axes.set_ylim(-0.8, len(rows) - 0.2)
    axes.set_xlim(-0.3, verdict.slots + 0.9)
    legend_above(axes)
    tidy(axes, "x", title="slot of each machine, and its chance to fail before")


def _draw_use(axes: Axes, verdict: MaintenanceVerdict) -> None:
    rows = verdict.outages
    slot = rows["slot"].to_numpy()
    axes.bar(slot, rows["planned"].to_numpy(), color=OWN_COLOUR, width=0.6, label="planned")
    axes.bar(
        slot,
        rows["failures"].to_numpy(),
        bottom=rows["planned"].to_numpy(),
        color=ALARM_COLOUR,
        width=0.6,
        label="failures",
    )
    most, crew = max([*(rows["planned"] + rows["failures"]), 1.0]), verdict.terms.crew
    if crew is not None and crew <= 4 * most:
        axes.axhline(crew, color=INK, linewidth=1.1, linestyle="--", label="crew")
    axes.set_xlim(-0.3, verdict.slots + 0.9)
    legend_above(axes)
    tidy(axes, title="expected replacements", x="slot")


POLICIES_REPORT = TableReport(
    columns=POLICIES,
    own=RULE_NAMES[OWN_RULE],
    title="What rules would have cost on held-out machines:",
    figure=policies_figure,
    caption="The cost of each rule with its interval, and the share of machines that fail under it",
)
SCHEDULE_REPORT = TableReport(
    columns=SCHEDULE,
    rows=lambda verdict: verdict.schedule.drop_nulls("slot"),
    most=MOST_MACHINES,
    title="Machines that are due"
    "{% if shown < rows %}, the first {{ shown }} of {{ rows }}{% endif %}:",
    figure=schedule_figure,
    caption="Each machine that is due with the slot of its replacement, the chance to fail before, "
    "and the use of the crew",
)
