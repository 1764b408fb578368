"""The measures of a test."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwds.ab.metrics.checks import Correction
from hwds.ab.metrics.sample import EFFECTS
from hwds.ab.protocols.analysis.rows import metric_of
from hwds.results.measure import Better, Measure

MEANINGS = {
    "arm_mean": "mean of the outcome over the units of an arm",
    "effect": "mean of an arm less that of the control",
    "lift": "mean of an arm over that of the control, less 1",
    "posterior_lift": "posterior mean of an arm's mean over the control's, less 1, with the credible interval of the ratio",
    "effect_by_day": "mean of an arm less that of the control, of all units until the end of a day",
    "lift_by_day": "mean of an arm over that of the control, less 1, of all units until the end of a day",
    "posterior_effect": "posterior mean of an arm's mean less the control's, with its credible interval",
    "effect_of_buyers": "part of the effect on revenue that comes from more or fewer buyers",
    "effect_of_order_value": "part of the effect on revenue that comes from what an order is worth",
    "probability_better": "posterior probability that an arm's mean is above the control's",
    "probability_best": "posterior probability that an arm's mean is the highest",
    "expected_loss": "what is lost on average by choosing an arm that is not the best",
    "guardrail": "end of the lift's interval on the side of harm, counted from the margin; above 0 no worse than allowed",
    "metric_role": "1 for a primary metric, 2 for a secondary one, 3 for a guardrail",
    "segment_effect": "mean of an arm less that of the control in one segment, p-value corrected for arms and segments",
    "segment_spread": "Cochran's Q of an arm's effects over the segments of a column",
    "diluted_effect": "effect on exposed units times their share of all units",
    "effect_by_age": "mean of an arm less that of the control, in the day so long after a unit's first event",
    "novelty": "effect on the later half of the days since first exposure less that on the first half",
    "units_for_minimum_detectable_effect": "units per arm at which the planned change of conversion is found in this outcome",
    "units_for_effect_seen": "units per arm at which an effect as large as the one seen is found",
}
"""The meaning of each number of an arm; none of them is good or bad by itself."""

WITHOUT_UNIT = (
    *("lift", "lift_by_day", "posterior_lift", "probability_better", "probability_best"),
    *("units_for_minimum_detectable_effect", "units_for_effect_seen"),
    *("guardrail", "metric_role", "segment_spread"),
)
"""The metrics that are not in the unit of the outcome."""

FAMILY = "family_false_positive_rate"
"""The rate of false winners among all arms of a test that has several."""

RATES: tuple[tuple[str, str, Better], ...] = (
    ("false_positive_rate", "there is no effect", "low"),
    ("power", "the minimum effect is true", "high"),
)


def minimum_name(power: float, label: str = "") -> str:
    """Return `minimum_effect[power=0.8]`; of another outcome `minimum_effect_revenue[power=0.8]`."""
    return f"minimum_effect{f'_{label}' if label else ''}[power={power:g}]"


def rate_name(metric: str, looks: int, correction: str = "") -> str:
    """Return `false_positive_rate[looks=20]`; of all arms `family_false_positive_rate[holm, looks=20]`."""
    return f"{metric}[{f'{correction}, ' if correction else ''}looks={looks}]"


def ab_measures(
    outcomes: Mapping[str, tuple[str, str]],
    power: float,
    looks: int,
    correction: Correction,
    confidence: float = 0.95,
    family: bool = True,
    good: Mapping[str, Better] = MappingProxyType({}),
) -> tuple[Measure, ...]:
    """Return all measures of a test.

    Args:
        outcomes: By label, what an outcome is called where its label is empty, and what it is counted in.
        power: Of the minimum effect.
        looks: At which the rates stand beside the headline.
        correction: Of p-values.
        confidence: Of the intervals.
        family: Whether there are several arms beside the control.
        good: The better side of each metric, by label.
    """
    least = "least effect that is found with this power at a fixed size, mean over arms"
    measures = [
        Measure(minimum_name(power, label), meaning=least, beside="page" if label else "no", subject=subject, measured_in=unit)
        for label, (subject, unit) in outcomes.items()
    ]
    measures += [
        Measure(
            metric_of(name, label),
            meaning=meaning,
            better=good.get(label, "none") if name in EFFECTS else "none",
            subject=subject,
            measured_in="" if name in WITHOUT_UNIT else unit,
            confidence=confidence,
        )
        for label, (subject, unit) in outcomes.items()
        for name, meaning in MEANINGS.items()
    ]
    measures.append(Measure("sample_ratio", meaning="chi-square of the arms' units against planned shares", better="none"))
    measures.append(Measure(f"adjusted_p[{correction}]", meaning="p-value corrected for all arms and outcomes", better="none"))
    return (*measures, *_rates(looks), *([_family(looks, correction)] if family else []))


def _rates(looks: int) -> list[Measure]:
    """Return the measures of the rates of winners in simulated tests."""
    share = "share with a winner by the model's first rule, at any look, of simulated tests of one arm against the control"
    return [
        Measure(rate_name(metric, looks), meaning=f"{share}, where {where}", better=good, units="replications", beside="always")
        for metric, where, good in RATES
    ]


def _family(looks: int, correction: Correction) -> Measure:
    how = "as they are" if correction == "none" else f"corrected by {correction}"
    meaning = (
        "share with a winner among all arms by the model's first rule, at any look, of simulated tests where no arm has an"
        f" effect: one outcome, p-values {how}, a posterior as it is"
    )
    return Measure(rate_name(FAMILY, looks, correction), meaning=meaning, units="replications", beside="always")
