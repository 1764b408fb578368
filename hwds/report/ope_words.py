"""What a log tells of a policy, in words."""

from __future__ import annotations

from hwds.report.ope_results import Estimated, Reach, estimates, truth_of
from hwds.report.wording import brief, counted
from hwds.results.tables import TRUTH, Tables

FEW = 0.05
"""The share of rows that count under which it is said."""


def conclusion(tables: Tables, model: str) -> str:
    """The own estimator's value and gain with intervals, the rows that count, and how it compares with what is known.

    Args:
        tables: Of one run.
        model: The experiment's own model.
    """
    found = estimates(tables)
    own = found.get(model)
    if own is None:
        return f"{model} says nothing of the policy."
    bias = ", its bias apart" if own.biased else ""
    said = f"{model} says that the policy is worth {_between(own.policy)}{bias}: {_gain(own)}{_counting(own)}."
    return f"{said}{_against_truth(found, own)}{_range(found)}"


def _between(reach: Reach) -> str:
    return f"{brief(reach.value)} ({brief(reach.low)} to {brief(reach.high)})"


def _gain(own: Estimated) -> str:
    side = "more" if own.gain.value >= 0 else "less"
    size = f"{brief(abs(own.gain.value))} {side} than the log's {brief(own.logged.value)}"
    if own.gain.low > 0 or own.gain.high < 0:
        return size
    return f"{size}, which may be chance ({brief(own.gain.low)} to {brief(own.gain.high)})"


def _counting(own: Estimated) -> str:
    if own.size is None:
        return ""
    few = "only " if own.size < FEW * own.rows else ""
    return f"; {few}{own.size:,.0f} of {counted(own.rows, 'rows')} count"


def _against_truth(found: dict[str, Estimated], own: Estimated) -> str:
    truth = truth_of(found)
    if truth is None or own.model == TRUTH:
        return ""
    inside = "inside" if own.policy.holds(truth.policy.value) else "outside of"
    return f" It was worth {brief(truth.policy.value, truth.policy.stderr)}, {inside} the interval."


def _range(found: dict[str, Estimated]) -> str:
    """Where the estimators lie, if there are several."""
    values = {label: made.policy.value for label, made in found.items() if label != TRUTH}
    if len(values) < 2:
        return ""
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    return f" {len(values)} estimators lie between {brief(values[low])} ({low}) and {brief(values[high])} ({high})."
