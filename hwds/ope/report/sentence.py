"""The result of an off-policy evaluation, in words and in a table."""

from __future__ import annotations

from hwds.ope.protocols.estimation.scores import APART, DAYS_ALONE
from hwds.ope.report.scores import Estimated, Reward, ValueWithInterval, estimates, reward_of, truth_of
from hwds.ope.report.support import refuted, thin
from hwds.report.grid import Grid, grid_of
from hwds.results.formatting import brief, counted, fixed, interval, percent, places_of
from hwds.results.tables import TRUTH, Tables

UNSEEN = 0.01
"""The share of the policy's choices from which arms that the log never shows are reported."""

FEW = 0.05
"""The share of rows below which an effective sample size is called small."""


def conclusion(tables: Tables, model: str) -> str:
    """Return the value and gain of the experiment's estimator with intervals, its effective rows, and the truth if known.

    Args:
        tables: Of one run.
        model: The experiment's own model.
    """
    by_label, reward = estimates(tables), reward_of(tables)
    own = by_label.get(model)
    if own is None:
        return f"{model} says nothing of the policy."
    value, ends = _with_ends(own.policy, reward)
    bias = ", the estimator's bias apart" if own.biased else ""
    value_text = f"{model} puts {reward.of_policy} at {value} per row ({reward.level}: {ends}{bias})"
    weak = thin(tables) if own.weighed else ""
    rest = (_unseen(own), weak, _days(own), _resting(own), _against_truth(by_label, own, reward), _range(by_label, reward))
    return f"{_doubt(own, tables)}{value_text}: {_gain(own, reward)}.{''.join(rest)}"


def _doubt(own: Estimated, tables: Tables) -> str:
    """Return what speaks against the logged propensities, the mean weight or a model of the log; empty where they hold."""
    if own.mean_weight is None or not own.weighed:
        return ""
    model = refuted(tables)
    if not own.wrong_weights:
        return f"Do not trust what follows: {model}. " if model else ""
    share = "" if own.overlap is None or own.overlap > 0.9995 else f", less what the log never shows ({own.overlap:.3f})"
    return (
        f"Do not trust what follows: the weights average {own.mean_weight[0]:.3g}, and right propensities make that 1 on"
        f" average{share}; {model or 'the propensities of the log are wrong, or rows or choices are missing from it'}. "
    )


def _unseen(own: Estimated) -> str:
    """Return that the log lacks arms that the policy chooses; empty where it chooses them hardly ever."""
    if own.overlap is None or own.overlap >= 1 - UNSEEN:
        return ""
    return f" The log never shows the arms of {percent(1 - own.overlap)} of the policy's choices: of these nothing is known."


def _days(own: Estimated) -> str:
    """Return that the intervals say nothing of other days; empty where they do."""
    _, alone, reason = own.method.partition(f"{DAYS_ALONE}: ")
    return f" The intervals are of these days alone: {reason.removesuffix(APART)} of others." if alone else ""


def estimates_grid(tables: Tables, model: str) -> Grid:
    """Return every estimator's value and gain with intervals, and the rows that support it; the truth's last."""
    by_label, reward = estimates(tables), reward_of(tables)
    titles = [("estimator", "estimator"), ("value", "value"), (f"{reward.level} interval",) * 2]
    titles += [
        ("gain over the log", "gain over\nthe log"),
        (f"{reward.level} interval of the gain", f"{reward.level} interval"),
    ]
    titles += [("effective sample size", "effective\nsample size")]
    ordered = sorted(by_label.values(), key=lambda estimated: estimated.model == TRUTH)
    ends = [end for estimated in ordered for end in (estimated.policy.value, estimated.policy.low, estimated.policy.high)]
    places = places_of(max((abs(end) for end in ends), default=0.0), None, reward.unit)
    rows = [_cells(estimated, places) for estimated in ordered]
    return grid_of(titles, rows, own=model, caption=_caption(ordered, reward) if ordered else "")


def _caption(ordered: list[Estimated], reward: Reward) -> str:
    """Return the facts that are the same for every estimator."""
    first = ordered[0]
    overlap = (
        "" if first.overlap is None else f"overlap: the log shows the arms of {100 * first.overlap:.1f} % of its choices; "
    )
    log = f"the log itself earns {brief(first.logged.value, None, reward.unit)}"
    star = "; *: the estimator's bias is not in its intervals" if any(estimated.biased for estimated in ordered) else ""
    star += "; refuted: the mean weight is not what right propensities give" if any(e.wrong_weights for e in ordered) else ""
    return f"What {reward.policy_name} would earn: {reward.title}, from {counted(first.rows, 'rows')}; {overlap}{log}{star}"


def _cells(estimated: Estimated, places: int) -> list[str]:
    value, low, high = (fixed(end, places) for end in (estimated.policy.value, estimated.policy.low, estimated.policy.high))
    gain, least, most = (f"{end:+z,.{places}f}" for end in (estimated.gain.value, estimated.gain.low, estimated.gain.high))
    star = "*" if estimated.biased else ""
    size = "" if estimated.size is None else f"{estimated.size:,.0f}"
    if estimated.wrong_weights:
        return [estimated.model, "refuted", "", "", "", size]
    return [estimated.model, f"{value}{star}", f"{low} to {high}", gain, f"{least} to {most}", size]


def _with_ends(number: ValueWithInterval, reward: Reward, *, sign: bool = False) -> tuple[str, str]:
    return interval(number.value, number.low, number.high, reward.unit, sign=sign)


def _gain(own: Estimated, reward: Reward) -> str:
    value, ends = _with_ends(own.gain, reward, sign=True)
    side = "more" if own.gain.value >= 0 else "less"
    size = f"{value.lstrip('+-')} {side} than the log's {brief(own.logged.value, None, reward.unit)}"
    sure = own.gain.low > 0 or own.gain.high < 0
    return f"{size}{'' if sure else ', which may be chance'} ({reward.level}: {ends})"


def _resting(own: Estimated) -> str:
    if own.size is None:
        return ""
    as_much = "no more than" if own.size < FEW * own.rows else "as much as"
    size = f"{own.size:,.0f} without weights would (effective sample size)"
    return f" The estimate rests on {counted(own.rows, 'rows')}, which tell {as_much} {size}."


def _against_truth(by_label: dict[str, Estimated], own: Estimated, reward: Reward) -> str:
    truth = truth_of(by_label)
    if truth is None or own.model == TRUTH:
        return ""
    inside = "inside" if own.policy.holds(truth.policy.value) else "outside of"
    known, ends = _with_ends(truth.policy, reward)
    return f" As far as the dataset knows it, the true value is {known} ({reward.level}: {ends}), {inside} the interval."


def _range(by_label: dict[str, Estimated], reward: Reward) -> str:
    """Return the range of the estimators, if there are several."""
    values = {label: estimated.policy.value for label, estimated in by_label.items() if label != TRUTH}
    if len(values) < 2:
        return ""
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    ends = [f"{brief(values[label], None, reward.unit)} ({label})" for label in (low, high)]
    return f" The {len(values)} estimators lie between {ends[0]} and {ends[1]}."
