"""What a log tells of a policy, in words and in a table."""

from __future__ import annotations

from hwds.report.grid import Grid, grid_of
from hwds.report.ope_results import Estimated, Reach, Reward, estimates, reward_of, truth_of
from hwds.results.tables import TRUTH, Tables
from hwds.results.wording import brief, counted, fixed, places_of, reach

FEW = 0.05
"""The share of rows under which an effective sample size is said to be small."""


def conclusion(tables: Tables, model: str) -> str:
    """The own estimator's value and gain with intervals, how many rows it rests on, and how it compares with what is known.

    Args:
        tables: Of one run.
        model: The experiment's own model.
    """
    found, reward = estimates(tables), reward_of(tables)
    own = found.get(model)
    if own is None:
        return f"{model} says nothing of the policy."
    value, ends = _reach(own.policy, reward)
    bias = ", the estimator's bias apart" if own.biased else ""
    said = f"{model} puts the policy's mean {reward.name} at {value} per row ({reward.level}: {ends}{bias})"
    return f"{said}: {_gain(own, reward)}.{_resting(own)}{_against_truth(found, own, reward)}{_range(found, reward)}"


def estimates_grid(tables: Tables, model: str) -> Grid:
    """Every estimator's value and gain with intervals, how many rows it rests on; the truth's last."""
    found, reward = estimates(tables), reward_of(tables)
    titles = [("estimator", "estimator"), ("value", "value"), (f"{reward.level} interval",) * 2]
    titles += [
        ("gain over the log", "gain over\nthe log"),
        (f"{reward.level} interval of the gain", f"{reward.level} interval"),
    ]
    titles += [("effective sample size", "effective\nsample size")]
    ordered = sorted(found.values(), key=lambda made: made.model == TRUTH)
    ends = [end for made in ordered for end in (made.policy.value, made.policy.low, made.policy.high)]
    places = places_of(max((abs(end) for end in ends), default=0.0), None, reward.unit)
    rows = [_cells(made, places) for made in ordered]
    return grid_of(titles, rows, own=model, caption=_caption(ordered, reward) if ordered else "")


def _caption(ordered: list[Estimated], reward: Reward) -> str:
    """What is the same for every estimator."""
    first = ordered[0]
    overlap = (
        "" if first.overlap is None else f"overlap: the log shows the arms of {100 * first.overlap:.1f} % of its choices; "
    )
    log = f"the log itself earns {brief(first.logged.value, None, reward.unit)}"
    star = "; *: the estimator's bias is not in its intervals" if any(made.biased for made in ordered) else ""
    return f"What the policy would earn: {reward.title}, from {counted(first.rows, 'rows')}; {overlap}{log}{star}"


def _cells(made: Estimated, places: int) -> list[str]:
    value, low, high = (fixed(end, places) for end in (made.policy.value, made.policy.low, made.policy.high))
    gain, least, most = (f"{end:+z,.{places}f}" for end in (made.gain.value, made.gain.low, made.gain.high))
    star = "*" if made.biased else ""
    size = "" if made.size is None else f"{made.size:,.0f}"
    return [made.model, f"{value}{star}", f"{low} to {high}", gain, f"{least} to {most}", size]


def _reach(found: Reach, reward: Reward, *, sign: bool = False) -> tuple[str, str]:
    return reach(found.value, found.low, found.high, reward.unit, sign=sign)


def _gain(own: Estimated, reward: Reward) -> str:
    value, ends = _reach(own.gain, reward, sign=True)
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


def _against_truth(found: dict[str, Estimated], own: Estimated, reward: Reward) -> str:
    truth = truth_of(found)
    if truth is None or own.model == TRUTH:
        return ""
    inside = "inside" if own.policy.holds(truth.policy.value) else "outside of"
    known, ends = _reach(truth.policy, reward)
    return f" As far as the dataset knows it, the true value is {known} ({reward.level}: {ends}), {inside} the interval."


def _range(found: dict[str, Estimated], reward: Reward) -> str:
    """Where the estimators lie, if there are several."""
    values = {label: made.policy.value for label, made in found.items() if label != TRUTH}
    if len(values) < 2:
        return ""
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    ends = [f"{brief(values[label], None, reward.unit)} ({label})" for label in (low, high)]
    return f" The {len(values)} estimators lie between {ends[0]} and {ends[1]}."
