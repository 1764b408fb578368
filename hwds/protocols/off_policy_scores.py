"""The scores of an off-policy estimate: the value, the gain over the log, and how much the log tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from hwds.metrics.aggregate import Z95
from hwds.metrics.base import Measure
from hwds.metrics.ope import Parts, bca, bernstein, effective_size, influence, jackknife, resampled, stderr
from hwds.protocols.base import Score
from hwds.protocols.off_policy_asking import FACTS, PARTS, WITHOUT
from hwds.protocols.off_policy_log import Range
from hwds.results.tables import TRUTH
from hwds.seeds import stream

MOST_DRAWN = 50_000
"""Rows beyond which the bootstrap draws blocks of rows: of that many sums, the interval is the same and sooner there."""

APART = ", bias apart"
"""Ends the name of an interval that leaves out how far the estimator aims beside the truth."""

ERROR_LEVEL = 0.95
"""Of the interval of an error, whatever was asked of the estimates."""

Intervals = Literal["bootstrap", "bernstein"]
Interval = tuple[float, float]


def measures(subject: str = "", unit: str = "", confidence: float = 0.95) -> tuple[Measure, ...]:
    """What each metric says of itself.

    Args:
        subject: What the reward is called.
        unit: What it is counted in.
        confidence: Of the intervals.
    """

    def told(name: str, meaning: str, better: Literal["high", "none"] = "none", beside: bool = True) -> Measure:
        return Measure(name, meaning=meaning, better=better, units="rows", beside="always" if beside else "page")

    def earned(name: str, meaning: str, level: float = confidence, beside: bool = True) -> Measure:
        return replace(told(name, meaning, beside=beside), subject=subject, measured_in=unit, confidence=level)

    return (
        earned("policy_value", "mean reward that the target policy would have had, as the estimator says"),
        earned("improvement", "policy_value minus logged_value, its interval paired row by row"),
        earned("error", "policy_value minus that of the truth", ERROR_LEVEL, beside=False),
        earned("logged_value", "mean reward of the log itself", beside=False),
        told("effective_sample_size", "rows of a mean without weights that is as precise: (sum w)^2 / sum w^2"),
        told("overlap", "share of the target policy's choices that are of arms which the log shows", beside=False),
        told("mean_weight", "1 in expectation where the log shows all that the target policy does", beside=False),
        told("parameter", "the clip, limit, shrinkage, strength or bandwidth that was used", beside=False),
    )


def scores(rows: pl.DataFrame, intervals: Intervals, confidence: float, resamples: int, within: Range | None) -> list[Score]:
    """All scores of some rows of one estimator.

    Args:
        rows: As `off_policy_asking.rows_of` makes them.
        intervals: `bootstrap` or `bernstein`.
        confidence: Of the intervals.
        resamples: Of the bootstrap, whose stream is that of the rows' seed: rivals meet the same luck.
        within: The declared range of rewards, None for what was seen.
    """
    parts, reward = _parts(rows), rows["reward"].to_numpy()
    groups = _numbered(rows["group"]) if "group" in rows.columns else None
    own = Parts(None, reward, np.ones(len(reward)), 1.0)
    told = {
        "policy_value": (parts, parts.value),
        "improvement": (parts.less(reward), parts.value - own.value),
        "logged_value": (own, own.value),
    }
    if intervals == "bootstrap":
        reaches, method = _bootstrap(told, rows, groups, resamples, confidence), "BCa bootstrap"
    else:
        reaches = _bernstein(parts, own, within or (float(reward.min()), float(reward.max())), confidence)
        method = "empirical Bernstein" if within and parts.limit_known else "empirical Bernstein, bounds as seen"
    found = {name: (stderr(of, groups), *reaches[name], method) for name, (of, _) in told.items()}
    if parts.learned:
        found |= _jackknifed(rows, {name: told[name][1] for name in ("policy_value", "improvement")}, confidence)
    made = []
    for name, (of, value) in told.items():
        error, low, high, made_by = found[name]
        made.append(Score(name, "mean", value, error, low, high, made_by + (APART if of.biased else ""), n=of.n))
    return [*made, *_diagnostics(rows)]


def _jackknifed(
    rows: pl.DataFrame, values: Mapping[str, float], confidence: float
) -> dict[str, tuple[float, float, float, str]]:
    """The standard errors and intervals of what is learned, from the estimates without each part that has rows here."""
    without: dict[str, list[float]] = {name: [] for name in values}
    for stays, parts in _left_out(rows):
        without["policy_value"].append(parts.value)
        without["improvement"].append(parts.less(rows["reward"].filter(stays).to_numpy()).value)
    return {
        name: (*jackknife(value, np.array(without[name]), confidence), "delete-a-part jackknife")
        for name, value in values.items()
        if len(without[name]) > 1
    }


def _left_out(rows: pl.DataFrame) -> Iterator[tuple[pl.Series, Parts]]:
    """For each part that has rows here, which rows stay without it, and the estimate's parts made without it."""
    left = 0
    while (name := f"top{WITHOUT}{left}") in rows.columns:
        stays = rows[name].is_not_null()
        if 0 < stays.sum() < len(rows):
            yield stays, _parts(rows.filter(stays), f"{WITHOUT}{left}")
        left += 1


def errors(rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
    """The difference of each estimate from the truth, paired row by row; nothing where there is no truth.

    Args:
        rows: Of each model, by its label.
    """
    if TRUTH not in rows:
        return
    for label, own in rows.items():
        if label != TRUTH:
            yield label, _error(own, rows[TRUTH])


def _error(own: pl.DataFrame, known: pl.DataFrame) -> Score:
    """Of one estimate, by the jackknife where something was learned whose error the rows do not show."""
    parts, truth = _parts(own), _parts(known)
    value = parts.value - truth.value
    without = [made.value - _parts(known.filter(stays)).value for stays, made in _left_out(own)] if parts.learned else []
    if len(without) > 1:
        spread = *jackknife(value, np.array(without), ERROR_LEVEL), "delete-a-part jackknife"
    else:
        groups = _numbered(own["group"]) if "group" in own.columns else None
        apart = influence(parts, groups) - influence(truth, groups)
        count = len(apart)
        error = float(np.sqrt(count / (count - 1) * np.sum(apart**2))) / parts.n
        spread = error, value - Z95 * error, value + Z95 * error, "normal, paired by row"
    return Score("error", "mean", value, *spread, n=parts.n)


def _parts(rows: pl.DataFrame, suffix: str = "") -> Parts:
    columns = [rows[f"{name}{suffix}"] for name in PARTS]
    base, top, bottom = (None if column.null_count() else column.to_numpy() for column in columns)
    assert top is not None
    assert bottom is not None
    facts = {name: rows[name][0] for name in (*FACTS, "parameter")}
    return Parts(base, top, bottom, **facts)


def _numbered(groups: pl.Series) -> np.ndarray:
    """The groups that are there numbered from 0: a segment has not all of them."""
    return np.unique(groups.to_numpy(), return_inverse=True)[1]


def _bootstrap(
    told: Mapping[str, tuple[Parts, float]], rows: pl.DataFrame, groups: np.ndarray | None, resamples: int, confidence: float
) -> dict[str, Interval]:
    seed, reward = rows["seed"][0], rows["reward"].to_numpy()
    luck = stream(seed, "off_policy", "bootstrap")
    if groups is None and len(reward) > MOST_DRAWN:
        groups = stream(seed, "off_policy", "blocks").permutation(len(reward)) % MOST_DRAWN
    drawn = resampled(told["policy_value"][0], reward, groups, resamples, luck)
    draws = {"policy_value": drawn.value, "improvement": drawn.value - drawn.logged, "logged_value": drawn.logged}
    return {name: bca(draws[name], value, influence(parts, groups), confidence) for name, (parts, value) in told.items()}


def _bernstein(parts: Parts, own: Parts, bounds: Range, confidence: float) -> dict[str, Interval]:
    """The gain's bounds are those of its two terms, each with half of the risk."""
    half = (1 + confidence) / 2
    ours, theirs = bernstein(parts, bounds, half), bernstein(own, bounds, half)
    gain = (ours[0] - theirs[1], ours[1] - theirs[0])
    whole = bernstein(parts, bounds, confidence), bernstein(own, bounds, confidence)
    return {"policy_value": whole[0], "improvement": gain, "logged_value": whole[1]}


def _diagnostics(rows: pl.DataFrame) -> list[Score]:
    n = len(rows)
    weights = None if rows["weight"].null_count() else rows["weight"].to_numpy()
    found = {
        "effective_sample_size": None if weights is None else effective_size(weights),
        "overlap": rows["supported"].mean(),
        "mean_weight": None if weights is None else float(np.mean(weights)),
        "parameter": rows["parameter"][0],
    }
    return [Score(name, "mean", float(value), n=n) for name, value in found.items() if isinstance(value, float)]
