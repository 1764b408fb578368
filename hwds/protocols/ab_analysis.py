"""One model's analysis of one test, from the sample ratio to the simulated rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hwds.context import Context
from hwds.metrics.ab_checks import ratio_check
from hwds.metrics.ab_looks import equal_looks
from hwds.metrics.ab_power import minimum_effect, units_for_difference
from hwds.metrics.ab_sample import Arm, Design, Finding, Needs, Sample
from hwds.models.ab.base import Comparison
from hwds.protocols.ab_measures import minimum_name, rate_name
from hwds.protocols.ab_rows import Row, named
from hwds.protocols.ab_simulation import rates
from hwds.protocols.ab_sums import Sums
from hwds.protocols.ab_units import MONEY, Units

if TYPE_CHECKING:
    from hwds.protocols.ab_test import AbTest

ALARM = 0.001
"""The p-value of the sample ratio under which no effect is shown (Microsoft ExP, Diagnosing sample ratio mismatch)."""

MISMATCH = "sample_ratio_mismatch"
UNREGISTERED = "unregistered"
NOT_REACHED = "no_planned_look_reached"

TUNED_FOR = 5000.0
"""Units at which a confidence sequence is narrowest where nothing is registered, as in GrowthBook's gbstats."""


@dataclass(frozen=True)
class Analysis:
    """A protocol's settings, a model and the evidence.

    Attributes:
        protocol: The settings.
        model: The comparison.
        evidence: The test's data.
        needs: What the model reads of it.
        guarded: The margins of guardrails by outcome label.
        context: Names the streams of the simulation.
    """

    protocol: AbTest
    model: Comparison
    evidence: Units | Sums
    needs: Needs
    guarded: Mapping[str, float]
    context: Context

    def rows(self) -> list[Row]:
        """All lines."""
        ratio = self._ratio()
        found = [ratio]
        for label in self._labels():
            found += self._outcome(label)
        if ratio.status == MISMATCH:
            shown = self.protocol.show_despite_mismatch
            found = [_doubtful(row, shown) for row in found]
        return [*found, *self._rates()]

    def _labels(self) -> list[str]:
        """The outcomes that the model can read: a comparison of conversions leaves money to others."""
        return [label for label in self.evidence.outcomes if not (self.needs.binary and label in MONEY)]

    def _ratio(self) -> Row:
        """Whether the arms have the shares of units that were planned; first of all."""
        counts = self.evidence.counts(self.evidence.n)
        given = self.protocol.allocation
        shares = [given.get(arm, 1.0) for arm in self.evidence.arms]
        check = ratio_check(counts, shares)
        status = "ok" if check.p_value is None or check.p_value >= ALARM else MISMATCH
        if check.p_value is None:
            status = "too_few_units"
        plan = "planned" if given else "equal"
        return Row(f"sample_ratio[{plan}]", value=check.statistic, p_value=check.p_value, n=sum(counts), status=status)

    def _outcome(self, label: str) -> Iterator[Row]:
        """The arms, the effects of all units and of each look, and what the test can find."""
        whole = self._sample(label, self.evidence.n)
        yield from _arms(whole)
        stops = self._stops()
        final = self._final(label, whole, stops)
        yield from final
        yield from self._planning(label, whole, final)
        if label in self.guarded:
            yield from (_guardrail(row, label, self.guarded[label]) for row in final if row.rule and row.low is not None)
        if self.protocol.looks > 1:
            for look, stop in stops:
                yield from self._look(label, look, stop)

    def _sample(self, label: str, stop: int) -> Sample:
        return self.evidence.sample(label, self.needs, stop)

    def _stops(self) -> list[tuple[int, int]]:
        """The planned looks that were reached and have enough to compare, counted from 0, each with the rows that it had."""
        target = self.protocol.size or sum(self.evidence.counts(self.evidence.n))
        stops = [(look, self.evidence.stop_at(share * target)) for look, share in enumerate(equal_looks(self.protocol.looks))]
        return [(look, stop) for look, stop in stops if stop is not None and self.evidence.enough(self.needs, stop)]

    def _design(self, look: int) -> Design:
        protocol = self.protocol
        tuned = float(protocol.tuned_for or protocol.size or TUNED_FOR)
        return Design(protocol.alpha, equal_looks(protocol.looks), look, tuned)

    def _final(self, label: str, whole: Sample, stops: list[tuple[int, int]]) -> list[Row]:
        """The effects of all units; by group-sequential bounds those of the last planned look that was reached."""
        found = [(finding, whole) for finding in self.model.compare(whole, self._design(0)) if not _grouped(finding)]
        if "group_sequential" in self.model.rules_used():
            if stops:
                last = self._sample(label, stops[-1][1])
                compared = self.model.compare(last, self._design(stops[-1][0]))
                found += [(finding, last) for finding in compared if _grouped(finding)]
            else:
                blank = [Finding("effect", arm.name, None, rule="group_sequential") for arm in whole.others]
                return [self._row(f, label, s) for f, s in found] + [Row.of(f, label, n=0, status=NOT_REACHED) for f in blank]
        return [self._row(finding, label, sample) for finding, sample in found]

    def _look(self, label: str, look: int, stop: int) -> Iterator[Row]:
        sample = self._sample(label, stop)
        for finding in self.model.compare(sample, self._design(look)):
            if finding.compares:
                row = self._row(finding, label, sample)
                yield replace(row, look=look + 1, time=self.evidence.when(stop))

    def _row(self, finding: Finding, label: str, sample: Sample) -> Row:
        """A finding with its number of units and its status."""
        units = {arm.name: int(arm.total.n) for arm in sample.arms}
        total = sum(units.values())
        own = units[finding.arm] + (units[sample.control.name] if finding.compares else 0)
        reached = self.protocol.size is not None and total >= self.protocol.size
        planned = {"fixed": reached, "group_sequential": self.protocol.size is not None}
        status = "ok" if planned.get(finding.rule or "", True) else UNREGISTERED
        return replace(Row.of(finding, label, n=own, status=status), n_fallback=own if self.needs.simpler else 0)

    def _planning(self, label: str, whole: Sample, final: list[Row]) -> Iterator[Row]:
        """The least effect that is found by a test with these standard errors, and the units that the seen effects need."""
        alpha, power = self.protocol.alpha, self.protocol.power
        effects = {row.arm: row for row in final if row.metric == named("effect", label) and row.value is not None}
        errors = [row.stderr for row in effects.values() if row.stderr]
        n = sum(int(arm.total.n) for arm in whole.arms)
        if errors:
            least = float(np.mean([minimum_effect(stderr, alpha=alpha, power=power) for stderr in errors]))
            yield Row(minimum_name(power, label), value=least, n=n, n_fallback=n if self.needs.simpler else 0)
        for arm in whole.others:
            own, held = arm.total, whole.control.total
            seen = effects.get(arm.name)
            if seen is None or not seen.value or not own.error + held.error > 0:
                continue
            plain = float(own.error + held.error)
            gain = seen.stderr**2 / plain if seen.stderr else 1.0  # of an adjustment
            variances = gain * float(held.variance), gain * float(own.variance)
            needed = units_for_difference(seen.value, *variances, alpha=alpha, power=power)
            yield Row(named("units_for_effect_seen", label), arm.name, value=needed, n=int(own.n))

    def _rates(self) -> Iterator[Row]:
        """How often each rule declares a winner where there is none, and where the minimum effect is true."""
        protocol = self.protocol
        if not protocol.replications or not self.model.rules_used():
            return
        whole = self._sample(self._labels()[0], self.evidence.n)
        arms = (whole.control, whole.others[0])
        effect = _least(arms, protocol.alpha, protocol.power)
        for metric, shift in (("false_positive_rate", 0.0), ("power", effect)):
            for rate in rates(
                self.model, arms, self._design(0), protocol.simulated_looks, protocol.replications, self.context, shift
            ):
                row = Row(metric, rule=rate.rule, look=rate.looks, value=rate.share, stderr=rate.stderr, n=rate.replications)
                yield row
                if rate.looks == protocol.simulated_looks[-1] and rate.rule == self.model.rules_used()[0]:
                    yield replace(row, metric=rate_name(metric, rate.looks), look=None)


def _least(arms: tuple[Arm, Arm], alpha: float, power: float) -> float:
    """The effect that a fixed comparison of means finds with this power, where both arms are as the control but for it."""
    control, other = arms
    held, effect = float(control.total.variance), 0.0
    for _ in range(5):  # a conversion's variance changes with it
        share = 0.0 if control.price is None else (float(control.total.first) + effect) / control.price
        varied = control.price is not None and 0 < share < 1
        own = (control.price or 0.0) ** 2 * share * (1 - share) if varied else held
        stderr = float(np.sqrt(held / control.total.n + own / other.total.n))
        effect = minimum_effect(stderr, alpha=alpha, power=power)
    return effect


def _arms(sample: Sample) -> Iterator[Row]:
    """The mean of each arm, with its counts where the outcome is a conversion."""
    for arm in sample.arms:
        n, mean = int(arm.total.n), float(arm.total.first)
        successes = None if arm.price is None else round(mean * n / arm.price)
        failures = None if successes is None else n - successes
        stderr = float(np.sqrt(arm.total.error))
        yield Row(
            named("arm_mean", sample.label), arm.name, value=mean, stderr=stderr, n=n, successes=successes, failures=failures
        )


def _guardrail(row: Row, label: str, margin: float) -> Row:
    """How far the interval's end on the side of harm is from the margin."""
    low, high = row.low or 0.0, row.high or 0.0
    slack = low + margin if margin >= 0 else -margin - high
    return replace(row, metric=named("guardrail", label), value=slack, stderr=None, low=None, high=None, p_value=None)


def _grouped(finding: Finding) -> bool:
    return finding.rule == "group_sequential"


def _doubtful(row: Row, shown: bool) -> Row:
    """A row of a test whose sample ratio is wrong: the units of each arm stay, any result goes unless it was asked for."""
    if row.metric.startswith("sample_ratio"):
        return row
    return replace(row, status=MISMATCH) if shown else row.hidden(MISMATCH)
