"""What the metrics of a test say of themselves."""

from __future__ import annotations

from collections.abc import Iterable

from hwds.metrics.ab_checks import Correction
from hwds.metrics.base import Better, Measure
from hwds.protocols.ab_rows import named

MEANINGS = {
    "arm_mean": "mean of the outcome over the units of an arm",
    "effect": "mean of an arm less that of the control",
    "posterior_effect": "posterior mean of an arm's mean less the control's, with its credible interval",
    "effect_of_buyers": "part of the effect on revenue that comes from more or fewer buyers",
    "effect_of_order_value": "part of the effect on revenue that comes from what an order is worth",
    "probability_better": "posterior probability that an arm's mean is above the control's",
    "probability_best": "posterior probability that an arm's mean is the highest",
    "expected_loss": "what is lost on average by choosing an arm that is not the best",
    "guardrail": "end of the effect's interval on the side of harm, counted from the margin; above 0 no worse than allowed",
    "units_for_minimum_detectable_effect": "units per arm at which the planned change of conversion is found in this outcome",
    "units_for_effect_seen": "units per arm at which an effect as large as the one seen is found",
}
"""What a number of an arm means; none of them is good or bad of itself."""

RATES: tuple[tuple[str, str, Better], ...] = (
    ("false_positive_rate", "there is no effect", "low"),
    ("power", "the minimum effect is true", "high"),
)


def minimum_name(power: float, label: str = "") -> str:
    """`minimum_effect[power=0.8]`; of another outcome `minimum_effect_revenue[power=0.8]`."""
    return f"minimum_effect{f'_{label}' if label else ''}[power={power:g}]"


def rate_name(metric: str, looks: int) -> str:
    """`false_positive_rate[looks=20]`."""
    return f"{metric}[looks={looks}]"


def ab_measures(labels: Iterable[str], power: float, looks: int, correction: Correction) -> tuple[Measure, ...]:
    """All metrics of a test with these outcomes."""
    least = "least effect that is found with this power at a fixed size, mean over arms"
    found = [
        Measure(minimum_name(power, label), meaning=least, better="low", beside="page" if label else "no") for label in labels
    ]
    found += [
        Measure(named(name, label), meaning=meaning, better="none") for label in labels for name, meaning in MEANINGS.items()
    ]
    found.append(Measure("sample_ratio", meaning="chi-square of the arms' units against planned shares", better="none"))
    found.append(Measure(f"adjusted_p[{correction}]", meaning="p-value corrected for all arms and outcomes", better="none"))
    said = "share with a winner by the model's first rule, at any look, of simulated tests of one arm against the control"
    for metric, where, good in RATES:
        name, meaning = rate_name(metric, looks), f"{said}, where {where}"
        found.append(Measure(name, meaning=meaning, better=good, units="replications", beside="always"))
    return tuple(found)
