"""Names, meanings and directions of the metrics of detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hwds.detection.metrics.probabilities import BINS, LIKELY
from hwds.detection.metrics.weighted import ScoredBy
from hwds.detection.metrics.windows import TRUE
from hwds.detection.protocols.rows.importances import SHARE, WHOLE
from hwds.results.measure import Beside, Better, Measure

SHOWN = ("aucpr", "prevalence", "auroc", "card_precision")
"""Metrics that the terminal shows of the headline's side (labels or truth); of the other side only the average precision."""


def detection_measures(protocol: ScoredBy, unit: str) -> Sequence[Measure]:
    """Return all metrics of a detection protocol: against labels, against the truth, and the gap between the two.

    Args:
        protocol: For the definitions in their names.
        unit: The currency of amounts; empty where it is not known.
    """
    by_label = [*_ranks(protocol), *_days(protocol), *_probabilities(protocol, unit)]
    true = [_against_truth(measure) for measure in by_label]
    main, other = (true, by_label) if protocol.headline.startswith(TRUE) else (by_label, true)
    gap = "average precision against the labels that had been found less that against the truth"
    apart = Measure("gap_aucpr", meaning=gap, better="none", units="rows", beside="page")
    always = {f"{TRUE}{name}" for name in SHOWN if name != "auroc"} | set(SHOWN)  # a terminal has room for so many
    shown = [replace(each, beside="always") if each.short in always else each for each in main]
    hidden = [replace(each, beside="always" if each.short.endswith("aucpr") else "no") for each in other]
    every = [*shown, *hidden, apart, *_importances()]
    headline = next((measure for measure in every if measure.short == protocol.headline), None)
    return every if headline is None else [*every, _behind(headline)]


def _ranks(protocol: ScoredBy) -> list[Measure]:
    k, recall, precision = protocol.card_k, protocol.recall, protocol.precision
    high: dict[str, Any] = {"better": "high", "units": "rows"}
    flags = f"share of label 0 whose entity is among the {k} with the highest scores of the day"
    return [
        Measure("aucpr", meaning="average precision: the area under precision against recall", beside="page", **high),
        _plain(
            "prevalence",
            "share of rows with label 1, in windows that have any: the average precision of chance",
            "none",
            "page",
        ),
        Measure("auroc", meaning="chance that a row of label 1 has the higher score, ties half", beside="page", **high),
        Measure(
            f"precision@recall={recall:g}", meaning="highest precision of a threshold with that recall", beside="page", **high
        ),
        Measure(
            f"recall@precision={precision:g}",
            meaning="highest recall of a threshold with that precision",
            beside="page",
            **high,
        ),
        _plain("false_positive_rate", flags, "low", "segments"),
    ]


def _days(protocol: ScoredBy) -> list[Measure]:
    k = protocol.card_k
    each = f"the {k} entities with the highest scores of each day"
    card = f"share with a row of label 1 that day among {each}, those found before left out; mean over days"
    caught = f"share of the money at stake in rows of label 1 that is caught where {each} are looked at"
    return [
        Measure(f"card_precision@{k}", meaning=card, better="high", units="rows", beside="page"),
        Measure("caught_value", meaning=caught, better="high", units="rows", beside="page"),
    ]


def _probabilities(protocol: ScoredBy, unit: str) -> list[Measure]:
    block = f"p x amount >= (1 - p) x {protocol.wrong_block:g}"
    cost = f"mean cost of a row where {block} blocks: {protocol.wrong_block:g} for an honest row, the amount for one let pass"
    return [
        _plain("brier", "mean squared difference of probability and label", "low", "page"),
        _plain("log_loss", "mean of minus the logarithm of the probability of what happened, clipped at 1e-7", "low", "page"),
        _plain("ece", f"mean over {BINS} bins of equal weight of |mean probability - share of label 1|", "low", "page"),
        _plain("calibration_slope", "of the label's log odds on those of the probability; 1 is calibrated", "none", "page"),
        _plain("calibration_intercept", "beside that slope; 0 is calibrated", "none", "page"),
        _plain(
            f"observed_to_expected[p>={LIKELY}]", f"rows of label 1 over those expected, where p >= {LIKELY}", "none", "page"
        ),
        replace(_plain("expected_cost", cost, "low", "page"), measured_in=unit),
    ]


def _plain(name: str, meaning: str, better: Better, beside: Beside) -> Measure:
    return Measure(name, meaning=meaning, better=better, units="rows", beside=beside)


def _against_truth(measure: Measure) -> Measure:
    """Return the same against what only the simulator knows."""
    return replace(measure, name=f"{TRUE}{measure.name}", meaning=f"{measure.meaning}; against the truth of all rows")


def _importances() -> list[Measure]:
    adds = "mean absolute contribution of an input, or of all inputs of a subject, to the score of drawn rows"
    return [
        Measure(WHOLE, meaning=adds, better="none", units="rows"),
        Measure(SHARE, meaning=f"{adds}, as a share of the sum over all", better="none", units="rows"),
    ]


def _behind(headline: Measure) -> Measure:
    meaning = f"by how much {headline.name} is worse than that of the best model, on the same rows and resamples"
    return replace(headline, name=f"behind_{headline.name}", meaning=meaning, better="low", beside="no")
