"""A verdict on alerts in words, for a manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwds.detection.decisions.alerts.terms import AlertTerms
from hwds.detection.decisions.alerts.verdict import Against, CostCalibration, DailyAmount, PolicyRecord
from hwds.results.formatting import brief, fixed, interval, percent, probability

BY: dict[Against, str] = {"labels": "by the labels", "truth": "by the truth"}


def names(terms: AlertTerms) -> dict[str, str]:
    """Return the names of the rivals for readers."""
    review, block = terms.today
    return {
        "today": f"today's rule ({review:g} and {block:g})",
        "z": f"reviews of z > {terms.z:g}",
        "random": "random reviews",
        "nothing": "doing nothing",
    }


def sentence(
    excluded: Mapping[str, tuple[str, ...]],
    record: Sequence[PolicyRecord],
    meaning: Sequence[CostCalibration],
    terms: AlertTerms,
    positives: int,
    unit: str,
) -> str:
    """Return the action and why, its savings and numbers a day, and the calibration of the expected costs.

    Args:
        excluded: The rules that bound, with what they name.
        record: Every policy.
        meaning: Expected against realised cost; the last one is reported.
        terms: Costs and capacity.
        positives: Labelled gray rows that were tested.
        unit: Of money.
    """
    own = [line for line in record if line.saving is None]
    parts = [_first(excluded, record, terms, positives, own, unit)]
    parts += [_cheaper(record, "truth", terms, unit)] if len(own) > 1 else []
    parts += [_does(own[-1], terms, unit)] if own else []
    parts += [_meant(meaning[-1], unit)] if meaning else []
    return " ".join(filter(None, parts))


def _first(
    excluded: Mapping[str, tuple[str, ...]],
    record: Sequence[PolicyRecord],
    terms: AlertTerms,
    positives: int,
    own: Sequence[PolicyRecord],
    unit: str,
) -> str:
    cheaper = _cheaper(record, "labels", terms, unit)
    rule = next(iter(excluded), "none")
    if rule == "none":
        return f"ADOPT. {cheaper}"
    if rule == "few_positives":
        verb = "is" if positives == 1 else "are"
        why = f"of the tested rows {positives} {verb} labelled positive, fewer than {terms.least_positives}"
    elif rule == "guarded":
        blocked = probability(own[-1].guarded_blocked or 0.0)
        why = f"{blocked} of the honest rows of {', '.join(terms.guarded)} are blocked, {percent(terms.most_guarded)} may be"
    else:
        several = len(excluded[rule]) == len(names(terms))
        dear = "any rival" if several else " or ".join(names(terms)[rival] for rival in excluded[rule])
        why = f"the labels do not show it to be cheaper than {dear}" if own else "no test row has a label"
    return f"HOLD: {why}. {cheaper}".rstrip()


def _cheaper(record: Sequence[PolicyRecord], against: Against, terms: AlertTerms, unit: str) -> str:
    """`By the labels it is cheaper than today's rule by 120 USD a day (80 to 160) and than the best of the others, ...`."""
    rivals = [line for line in record if line.against == against and line.saving is not None]
    if not rivals:
        return ""
    today = next((line for line in rivals if line.policy == "today"), rivals[0])
    best = min((line for line in rivals if line is not today), key=lambda line: line.cost.value, default=today)
    called = {today.policy: names(terms)[today.policy]}
    called |= {best.policy: f"the best other rival, {names(terms)[best.policy]}," if best is not today else called[best.policy]}
    comparisons = [
        _than(called[line.policy], line.saving, unit) for line in dict.fromkeys((today, best)) if line.saving is not None
    ]
    start = BY[against]
    return f"{start[0].upper()}{start[1:]} it is {' and '.join(comparisons)}."


def _than(rival: str, saving: DailyAmount, unit: str) -> str:
    side = "cheaper" if saving.value >= 0 else "dearer"
    sign = 1 if saving.value >= 0 else -1
    if saving.low is None or saving.high is None:
        return f"{side} than {rival} by {brief(abs(saving.value), None, unit)} a day (so few days or customers cannot tell)"
    low, high = sorted((sign * saving.low, sign * saving.high))
    size, ends = interval(sign * saving.value, low, high, unit)
    return f"{side} than {rival} by {size} a day (95 %: {ends.removesuffix(f' {unit}') if unit else ends})"


def _does(own: PolicyRecord, terms: AlertTerms, unit: str) -> str:
    """Return the numbers of a day: rows blocked and reviewed, loss caught, honest rows blocked."""
    text = f"A day it blocks {_rows(own.blocked)} rows and reviews {_rows(own.reviewed)} of at most {terms.capacity}"
    if own.caught_share is not None:
        stake = brief(own.caught + own.missed, None, unit)
        text += f", and keeps {brief(own.caught, None, unit)} of {stake} that are at stake ({percent(own.caught_share)})"
    if own.guarded_blocked is not None:
        text += f"; it blocks {probability(own.guarded_blocked)} of the honest rows of {', '.join(terms.guarded)}"
    elif own.honest_blocked is not None:
        text += f"; it blocks {probability(own.honest_blocked)} of honest rows"
    return f"{text} ({BY[own.against]})."


def _rows(count: float) -> str:
    """Return a number of rows: `50`, `24.9`."""
    return fixed(count, int(count != round(count)))


def _meant(meaning: CostCalibration, unit: str) -> str:
    if meaning.low is None or meaning.high is None:
        return ""
    size, ends = interval(meaning.surplus.value, meaning.low, meaning.high, unit, sign=True)
    apart = "cannot be told apart" if meaning.holds else "differ"
    expected, realised = brief(meaning.expected, None, unit), brief(meaning.realised, None, unit)
    if meaning.expected_low is not None and meaning.expected_high is not None:
        expected += f" ({interval(meaning.expected, meaning.expected_low, meaning.expected_high, unit)[1]}, for labels are few)"
    return (
        f"The cost that the probabilities promise and the one that came {apart} {BY[meaning.against]}: {expected} a day were"
        f" expected and it came to {realised} ({size}, 95 %: {ends})."
    )
