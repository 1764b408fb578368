"""One model's analysis of one test: sample ratio, effects, parts of the units, simulated rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import polars as pl

from hwds.ab.intervals import Correction, adjust_p_values, equal_looks, ratio_check
from hwds.ab.models.base import Comparison
from hwds.ab.planning import PlanningTerms, least_shift, planning_rows
from hwds.ab.rows import (
    FAMILY_RATE,
    ROLES,
    AnalysisRow,
    TestMetric,
    outcome_metric,
    rate_name,
)
from hwds.ab.sample import EFFECT_NAMES, ComparisonNeeds, Design, Finding, Sample, SampleArm
from hwds.ab.simulation import WinnerRate, winner_rates
from hwds.ab.units import MADE_OUTCOMES, RunningSums, TestUnits
from hwds.evaluation.protocol import RunContext

# Effects in parts of the units, and what the effect on those who were exposed is of all units.

LEAST_SEGMENT_UNITS = 30
"""Units of each arm below which a segment has no effect of its own."""

MOST_SEGMENTS = 20
"""The values of a column that are compared apart, those with the most units."""

PartComparison = Callable[[TestUnits], Sequence[AnalysisRow]]
"""Gives the effects on some units, by the rule that a model decides by."""


def segment_rows(
    evidence: TestUnits,
    columns: Sequence[str],
    label: str,
    compare: PartComparison,
    correction: Correction,
) -> Iterator[AnalysisRow]:
    """Yield the effect of each arm in each segment, p-values corrected together, its lift, and how
    much segments differ.

    Args:
        evidence: The units.
        columns: The columns whose values are the segments.
        label: The label of the outcome.
        compare: The comparison of a segment.
        correction: The correction of the p-values over all segments and arms.
    """
    effects: list[tuple[str, AnalysisRow]] = []
    lifts: list[AnalysisRow] = []
    for column in columns:
        for name, rows in _unit_segments(evidence, column):
            metric = outcome_metric("segment_effect", f"{label}|{column}={name}")
            compared = compare(evidence.part(rows))
            effects += [
                (column, replace(row, metric=metric))
                for row in compared
                if row.name in EFFECT_NAMES
            ]
            metric = outcome_metric("segment_lift", f"{label}|{column}={name}")
            lifts += [replace(row, metric=metric) for row in compared if row.name in LIFTS]
    tested = [row.p_value for _, row in effects if row.p_value is not None]
    corrected = iter(adjust_p_values(tested, correction))
    yield from (
        row if row.p_value is None else replace(row, p_value=next(corrected)) for _, row in effects
    )
    yield from lifts
    for column in columns:
        for arm in evidence.arms[1:]:
            own = [
                row for place, row in effects if place == column and row.arm == arm and row.stderr
            ]
            yield from _spread_row(own, outcome_metric("segment_spread", f"{label}|{column}"), arm)


def _unit_segments(evidence: TestUnits, column: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the values of a column that have enough units of each arm, the largest first, each with
    its units.
    """
    values = evidence.table.data[column].cast(pl.String).fill_null("none")
    for name in values.value_counts(sort=True)[column][:MOST_SEGMENTS]:
        rows = (values == name).to_numpy()
        units = np.bincount(evidence.arm[rows], minlength=len(evidence.arms))
        if units.min() >= LEAST_SEGMENT_UNITS:
            yield name, rows


def _spread_row(effects: Sequence[AnalysisRow], metric: str, arm: str) -> Iterator[AnalysisRow]:
    """Yield Cochran's test that the segments of a column have one effect (1954).

    It holds once, as a fixed rule does.
    """
    from scipy.special import chdtrc

    if len(effects) < 2:
        return
    values = np.array([row.value for row in effects])
    weights = 1 / np.array([row.stderr for row in effects]) ** 2
    q = float(np.sum(weights * (values - np.average(values, weights=weights)) ** 2))
    n, p_value = sum(row.n for row in effects), float(chdtrc(len(effects) - 1, q))
    yield AnalysisRow(metric, arm, "fixed", value=q, p_value=p_value, n=n)


def dilute_effect(row: AnalysisRow, label: str, exposed: int, assigned: int) -> AnalysisRow:
    """Return the effect of all units of an effect on exposed ones: times their share, whose error
    counts.

    Args:
        row: The effect on exposed units.
        label: The label of the outcome.
        exposed: The number of units of all arms that were exposed.
        assigned: The number of units of all arms.
    """
    share = exposed / assigned
    named = replace(row, metric=outcome_metric("diluted_effect", label), n=assigned)
    if row.value is None:
        return named
    value, variance = share * row.value, row.value**2 * share * (1 - share) / assigned
    if not row.stderr or row.low is None or row.high is None:
        return replace(named, value=value, stderr=None, low=None, high=None)
    stderr = float(np.sqrt(share**2 * row.stderr**2 + variance))
    low, high = (value + (end - row.value) / row.stderr * stderr for end in (row.low, row.high))
    return replace(named, value=value, stderr=stderr, low=low, high=high)


# One model's analysis of one test, from the sample ratio to the simulated rates.

RATIO_ALARM = 0.001
"""The p-value of the sample ratio under which no effect is shown (Microsoft ExP, Diagnosing sample
ratio mismatch).
"""

MISMATCH = "sample_ratio_mismatch"
UNREGISTERED = "unregistered"
BEYOND_SIZE = "beyond_size"
NOT_REACHED = "no_planned_look_reached"

LIFTS = ("lift", "posterior_lift")
"""The effects as shares of the control's mean."""

MOST_DAYS = 60
"""The most days whose cumulative effects are shown; of more, so many, the last among them."""

TUNED_FOR = 5000.0
"""Units at which a confidence sequence is narrowest where nothing is registered, as in GrowthBook's
gbstats.
"""


class AnalysisSettings(Protocol):
    """The settings that an analysis reads of a protocol; see `AbTest` for each."""

    @property
    def allocation(self) -> Mapping[str, float]:
        """The planned share of each arm."""

    @property
    def show_despite_mismatch(self) -> bool:
        """True where effects are shown although the sample ratio is not as planned."""

    @property
    def minimum_detectable_effect(self) -> float:
        """The change of conversion that a test should find, as a share."""

    @property
    def alpha(self) -> float:
        """One minus the level of the intervals."""

    @property
    def power(self) -> float:
        """The chance to find an effect."""

    @property
    def looks(self) -> int:
        """Planned looks."""

    @property
    def size(self) -> int | None:
        """Units of all arms that were registered."""

    @property
    def tuned_for(self) -> int | None:
        """Units at which a confidence sequence is narrowest."""

    @property
    def replications(self) -> int:
        """Simulated tests."""

    @property
    def rated_looks(self) -> tuple[int, ...]:
        """The numbers of looks whose rates are simulated, rising."""

    @property
    def correction(self) -> Correction:
        """The correction of p-values for many arms."""

    @property
    def by(self) -> tuple[str, ...]:
        """Columns whose values are compared apart."""


def design_at(protocol: AnalysisSettings, look: int) -> Design:
    """Return the design of a test at a planned look, counted from 0."""
    tuned = float(protocol.tuned_for or protocol.size or TUNED_FOR)
    return Design(protocol.alpha, equal_looks(protocol.looks), look, tuned)


@dataclass(frozen=True)
class Analysis:
    """A protocol's settings, a model and the evidence.

    Attributes:
        protocol: The settings.
        model: The comparison.
        evidence: The test's data.
        needs: The inputs that the model reads of it.
        metrics: The metrics by label; empty where all outcomes are alike.
        context: The context that names the streams of the simulation.
    """

    protocol: AnalysisSettings
    model: Comparison
    evidence: TestUnits | RunningSums
    needs: ComparisonNeeds
    metrics: Mapping[str, TestMetric]
    context: RunContext

    def rows(self, beside: Sequence[AnalysisRow] = ()) -> list[AnalysisRow]:
        """Return all rows of the analysis, and those that are made beside it: none is shown where
        units are missing.
        """
        ratio = self._ratio()
        rows = [ratio]
        for label in readable_outcomes(self.evidence, self.needs):
            rows += self._outcome(label)
        rows += beside
        if ratio.status == MISMATCH:
            shown = self.protocol.show_despite_mismatch
            rows = [_is_doubtful(row, shown) for row in rows]
        return [*rows, *self._rates()]

    def _ratio(self) -> AnalysisRow:
        """Return the check of the arms' shares of units against the planned ones, the first row of
        all.
        """
        counts = self.evidence.counts(self.evidence.n)
        allocation = self.protocol.allocation
        shares = [allocation.get(arm, 1.0) for arm in self.evidence.arms]
        check = ratio_check(counts, shares)
        status = "ok" if check.p_value is None or check.p_value >= RATIO_ALARM else MISMATCH
        if check.p_value is None:
            status = "too_few_units"
        plan = "planned" if allocation else "equal"
        return AnalysisRow(
            f"sample_ratio[{plan}]",
            value=check.statistic,
            p_value=check.p_value,
            n=sum(counts),
            status=status,
        )

    def _outcome(self, label: str) -> Iterator[AnalysisRow]:
        """Yield the arms, the effects of all units and of each look, and what the test can find."""
        whole = self._sample(label, self.evidence.n)
        metric = self.metrics.get(label)
        if metric is not None:
            yield AnalysisRow(
                outcome_metric("metric_role", label), value=float(1 + ROLES.index(metric.role))
            )
        yield from _arm_rows(whole)
        stops = self._stops()
        findings = self._final(label, whole, stops)
        final = [self._row(finding, label, sample) for finding, sample in findings]
        yield from final
        # the truth plans nothing
        change = self.protocol.minimum_detectable_effect if self.model.rules_used() else None
        plan = PlanningTerms(self.protocol.alpha, self.protocol.power, change)
        samples = (sample or whole for _, sample in findings)
        yield from planning_rows(
            list(zip(final, samples, strict=True)), whole, plan, self.needs.simpler
        )
        if metric is not None and metric.margin is not None:
            lifts = (row for row in final if row.name in LIFTS and row.low is not None)
            yield from (_guardrail_row(row, label, metric.margin, metric.good) for row in lifts)
        yield from self._parts(label, final)
        if self.protocol.looks > 1:
            for look, stop in stops:
                yield from self._look(label, look, stop)
        if "always_valid" in self.model.rules_used():
            yield from self._by_day(label)

    def _parts(self, label: str, final: Sequence[AnalysisRow]) -> Iterator[AnalysisRow]:
        """Yield what effects on exposed units are of all, and effects by segment, of outcomes that
        are no guardrails.
        """
        evidence, metric = self.evidence, self.metrics.get(label)
        if not isinstance(evidence, TestUnits) or not self.model.rules_used():
            return
        if evidence.assigned is not None:
            effects = [row for row in final if row.name in EFFECT_NAMES]
            yield from (dilute_effect(row, label, evidence.n, evidence.assigned) for row in effects)
        if self.protocol.by and (metric is None or metric.role != "guardrail"):
            columns, correction = self.protocol.by, self.protocol.correction
            yield from segment_rows(
                evidence, columns, label, lambda part: self._of_part(label, part), correction
            )

    def _of_part(self, label: str, part: TestUnits) -> list[AnalysisRow]:
        """Return the effects on some of the units, by the rule that the model decides by."""
        if not part.enough(self.needs, part.n):
            return []
        sample, rule = part.sample(label, self.needs, part.n), self.model.rules_used()[0]
        design = self._design(self.protocol.looks - 1 if rule == "group_sequential" else 0)
        return [
            self._row(each, label, sample)
            for each in self.model.compare(sample, design)
            if each.rule == rule
        ]

    def _sample(self, label: str, stop: int) -> Sample:
        return self.evidence.sample(label, self.needs, stop)

    def _stops(self) -> list[tuple[int, int]]:
        """Return the planned looks that have enough units to compare, counted from 0, each with its
        number of rows.
        """
        target = self.protocol.size or sum(self.evidence.counts(self.evidence.n))
        stops = [
            (look, self.evidence.stop_at(share * target))
            for look, share in enumerate(equal_looks(self.protocol.looks))
        ]
        return [
            (look, stop)
            for look, stop in stops
            if stop is not None and self.evidence.enough(self.needs, stop)
        ]

    def _design(self, look: int) -> Design:
        return design_at(self.protocol, look)

    def _registered(self) -> int | None:
        """Return the rows that hold the registered units.

        None where no size is registered or it is not reached.
        """
        return None if self.protocol.size is None else self.evidence.stop_at(self.protocol.size)

    def _once(self, label: str, whole: Sample) -> Sample:
        """Return the sample of a fixed rule: the registered units where their order is known, all
        units otherwise.
        """
        stop, evidence = self._registered(), self.evidence
        if stop is None or stop == evidence.n or not evidence.ordered:
            return whole
        return self._sample(label, stop) if evidence.enough(self.needs, stop) else whole

    def _final(
        self, label: str, whole: Sample, stops: list[tuple[int, int]]
    ) -> list[tuple[Finding, Sample | None]]:
        """Return the effects, each with its sample.

        A fixed rule has the registered units, group-sequential bounds those of the last planned
        look that was reached (no sample where none was), any other all units.
        """
        once, every = self._once(label, whole), self.model.compare(whole, self._design(0))
        fixed = every if once is whole else self.model.compare(once, self._design(0))
        findings: list[tuple[Finding, Sample | None]] = [
            (at_size, once) if at_size.rule == "fixed" else (finding, whole)
            for finding, at_size in zip(every, fixed, strict=True)
            if finding.rule != "group_sequential"
        ]
        if "group_sequential" not in self.model.rules_used():
            return findings
        if not stops:
            return findings + [
                (Finding("effect", arm.name, None, rule="group_sequential"), None)
                for arm in whole.others
            ]
        look, stop = stops[-1]
        last = self._sample(label, stop)
        return findings + [
            (each, last)
            for each in self.model.compare(last, self._design(look))
            if each.rule == "group_sequential"
        ]

    def _look(self, label: str, look: int, stop: int) -> Iterator[AnalysisRow]:
        for finding, sample in self._compared(label, look, stop):
            if finding.compares:
                row = self._row(finding, label, sample)
                yield replace(row, look=look + 1, time=self.evidence.when(stop))

    def _by_day(self, label: str) -> Iterator[AnalysisRow]:
        """Yield the effects of all units until the end of each day, by the rule that holds on any
        of them.
        """
        for place, (day, stop) in enumerate(self.evidence.days(MOST_DAYS), 1):
            if self.evidence.enough(self.needs, stop):
                for finding, sample in self._compared(label, 0, stop):
                    if finding.rule == "always_valid":
                        named = replace(finding, metric=f"{finding.metric}_by_day")
                        yield replace(self._row(named, label, sample), look=place, time=day)

    def _compared(self, label: str, look: int, stop: int) -> Iterator[tuple[Finding, Sample]]:
        """Yield the findings on the first units; none while there is nothing under a ratio."""
        sample = self._sample(label, stop)
        if all(np.isfinite(arm.total.first) for arm in sample.arms):
            for finding in self.model.compare(sample, self._design(look)):
                yield finding, sample

    def _row(self, finding: Finding, label: str, sample: Sample | None) -> AnalysisRow:
        """Return a finding with its number of units and its status."""
        if sample is None:
            return AnalysisRow.of(finding, label, n=0, status=NOT_REACHED)
        units = {arm.name: int(arm.total.n) for arm in sample.arms}
        compared = units[finding.arm] + (units[sample.control.name] if finding.compares else 0)
        status = self._status(finding, sum(units.values()))
        return replace(
            AnalysisRow.of(finding, label, n=compared, status=status),
            n_fallback=compared if self.needs.simpler else 0,
        )

    def _status(self, finding: Finding, units: int) -> str:
        """Return the status of a rule at so many units of all arms: a fixed one holds at the
        registered size alone.
        """
        if finding.rule == "group_sequential":
            return "ok" if self.protocol.size is not None else UNREGISTERED
        if finding.rule != "fixed":
            return "ok"
        stop = self._registered()
        planned = None if stop is None else sum(self.evidence.counts(stop))
        if planned is None or units < planned:
            return UNREGISTERED
        return "ok" if units == planned else BEYOND_SIZE

    def _rates(self) -> Iterator[AnalysisRow]:
        """Yield how often each rule declares a winner where there is none, and where the minimum
        effect is true.
        """
        protocol = self.protocol
        if not protocol.replications or not self.model.rules_used():
            return
        whole = self._sample(readable_outcomes(self.evidence, self.needs)[0], self.evidence.n)
        pair = (whole.control, whole.others[0])
        effect = least_shift(self.model, pair, protocol.alpha, protocol.power)
        for metric, shift in (("false_positive_rate", 0.0), ("power", effect)):
            rates = self._winner_rates(pair, shift=shift)
            yield from (_rate_row(metric, each) for each in rates)
            yield self._headline(rate_name(metric, protocol.rated_looks[-1]), rates)
        if len(whole.others) > 1:
            yield from self._family(whole)

    def _winner_rates(
        self, arms: Sequence[SampleArm], correction: Correction = "none", shift: float = 0.0
    ) -> list[WinnerRate]:
        protocol = self.protocol
        return winner_rates(
            self.model,
            arms,
            self._design(0),
            protocol.rated_looks,
            protocol.replications,
            self.context,
            correction=correction,
            shift=shift,
        )

    def _family(self, whole: Sample) -> Iterator[AnalysisRow]:
        """Yield the false winners among all arms, with the correction of the analysis and
        without.
        """
        protocol = self.protocol
        for correction in dict.fromkeys(("none", protocol.correction)):
            rates = self._winner_rates(whole.arms, correction)
            yield from (_rate_row(f"{FAMILY_RATE}[{correction}]", each) for each in rates)
        name = rate_name(FAMILY_RATE, protocol.rated_looks[-1], protocol.correction)
        yield self._headline(name, rates)

    def _headline(self, name: str, rates: Sequence[WinnerRate]) -> AnalysisRow:
        """Return the rate of the model's first rule at the most looks."""
        own = (self.protocol.rated_looks[-1], self.model.rules_used()[0])
        rate = next(each for each in rates if (each.looks, each.rule) == own)
        return replace(_rate_row(name, rate), look=None)


def readable_outcomes(evidence: TestUnits | RunningSums, needs: ComparisonNeeds) -> list[str]:
    """Return the outcomes that a model analyses: a comparison of conversions leaves money to
    others.
    """
    derived = evidence.derived if needs.plain and isinstance(evidence, TestUnits) else ()
    return [
        label
        for label in evidence.outcomes
        if not (needs.binary and label in MADE_OUTCOMES) and label not in derived
    ]


def _rate_row(metric: str, rate: WinnerRate) -> AnalysisRow:
    return AnalysisRow(
        metric,
        rule=rate.rule,
        look=rate.looks,
        value=rate.share,
        stderr=rate.stderr,
        n=rate.replications,
    )


def _arm_rows(sample: Sample) -> Iterator[AnalysisRow]:
    """Yield the mean of each arm, with its counts where the outcome is a conversion."""
    for arm in sample.arms:
        n, mean = int(arm.total.n), float(arm.total.first)
        successes = None if arm.price is None else round(mean * n / arm.price)
        failures = None if successes is None else n - successes
        stderr = float(np.sqrt(arm.total.error))
        yield AnalysisRow(
            outcome_metric("arm_mean", sample.label),
            arm.name,
            value=mean,
            stderr=stderr,
            n=n,
            successes=successes,
            failures=failures,
        )


def _guardrail_row(row: AnalysisRow, label: str, margin: float, good: str) -> AnalysisRow:
    """Return the distance of the lift's end on the side of harm from the margin, and of its other
    end as the upper end.
    """
    low, high = row.low or 0.0, row.high or 0.0
    slack, most = (low + margin, high + margin) if good == "high" else (margin - high, margin - low)
    return replace(
        row,
        metric=outcome_metric("guardrail", label),
        value=slack,
        stderr=None,
        low=slack,
        high=most,
        p_value=None,
    )


def _is_doubtful(row: AnalysisRow, shown: bool) -> AnalysisRow:
    """Return a row of a test whose sample ratio is wrong: without its result, unless that is to be
    shown.
    """
    if row.metric.startswith("sample_ratio"):
        return row
    return replace(row, status=MISMATCH) if shown else row.hidden(MISMATCH)
