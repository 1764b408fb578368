"""The scores of an off-policy estimate: the value, the gain over the log, and how much the log tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.evaluation.base import Score
from hwds.ope.metrics.estimates import (
    EstimatorTerms,
    bca,
    bernstein,
    chance_of_low_mean,
    effective_size,
    influence,
    jackknife,
    refutes_propensities,
    resampled,
    stderr,
)
from hwds.ope.protocols.estimation.log import Range
from hwds.ope.protocols.estimation.rows import BY_PROPENSITY, PARTS, SHARED_FIELDS, WITHOUT
from hwds.ope.protocols.estimation.support import MEANINGS
from hwds.results.measure import Measure
from hwds.results.tables import TRUTH
from hwds.statistics.reference_distribution import Z95, Effect, ReferenceDistribution
from hwds.statistics.two_way import day_blocks, day_cluster, influence_effect

MOST_DRAWN = 50_000
"""Rows beyond which the bootstrap draws blocks of rows: of that many sums, the interval is the same and sooner there."""

APART = ", bias apart"
"""Ends the name of an interval that leaves out how far the estimator aims beside the truth."""

ERROR_LEVEL = 0.95
"""The level of the interval of an error, whatever the level of the estimates."""

SHARED = ", widened for shared days"
"""Ends the name of an interval that counts what rows of one day share."""

DAYS_ALONE = "of these days alone"
"""In the name of an interval that says nothing of other days, followed by the reason."""

REFUTED = "refuted: the mean weight says that the log's propensities are wrong"
"""The status of an estimate that the log itself speaks against."""

Intervals = Literal["bootstrap", "bernstein"]
Interval = tuple[float, float]
Uncertainty = tuple[float | None, float, float, str]
"""Standard error, the ends of the interval, and how it was made."""


def measures(subject: str = "", unit: str = "", confidence: float = 0.95, policy: str = "") -> tuple[Measure, ...]:
    """Return the measures of off-policy evaluation.

    Args:
        subject: What the reward is called.
        unit: What it is counted in.
        confidence: Of the intervals.
        policy: The target policy, as a config writes it.
    """

    def counted(name: str, meaning: str, better: Literal["high", "none"] = "none", beside: bool = True) -> Measure:
        return Measure(name, meaning=meaning, better=better, units="rows", beside="always" if beside else "page")

    def earned(name: str, meaning: str, level: float = confidence, beside: bool = True) -> Measure:
        return replace(counted(name, meaning, beside=beside), subject=subject, measured_in=unit, confidence=level)

    return (
        replace(
            earned("policy_value", "mean reward that the target policy would have had, as the estimator says"), called=policy
        ),
        earned("improvement", "policy_value minus logged_value, its interval paired row by row"),
        earned("error", "policy_value minus that of the truth", ERROR_LEVEL, beside=False),
        earned("logged_value", "mean reward of the log itself", beside=False),
        counted("effective_sample_size", "rows of a mean without weights that is as precise: (sum w)^2 / sum w^2"),
        counted("overlap", "share of the target policy's choices that are of arms which the log shows", beside=False),
        counted("mean_weight", "1 in expectation where the log shows all that the target policy does", beside=False),
        counted("parameter", "the clip, limit, shrinkage, strength or bandwidth that was used", beside=False),
        *(Measure(name, meaning=meaning, better="none", units="rows") for name, meaning in MEANINGS.items()),
    )


def scores(rows: pl.DataFrame, intervals: Intervals, confidence: float, resamples: int, within: Range | None) -> list[Score]:
    """Return all scores of the rows of one estimator.

    Args:
        rows: As `off_policy_asking.rows_of` makes them.
        intervals: `bootstrap` or `bernstein`.
        confidence: Of the intervals.
        resamples: Of the bootstrap, whose stream is that of the rows' seed: rivals share the draws.
        within: The declared range of rewards, None for what was seen.
    """
    parts, reward = _parts(rows), rows["reward"].to_numpy()
    groups = _numbered(rows["group"]) if "group" in rows.columns else None
    logged = EstimatorTerms(None, reward, np.ones(len(reward)), 1.0)
    estimates = {
        "policy_value": (parts, parts.value),
        "improvement": (parts.less(reward), parts.value - logged.value),
        "logged_value": (logged, logged.value),
    }
    if intervals == "bootstrap":
        intervals_by_name, method = _bootstrap(estimates, rows, groups, resamples, confidence), "BCa bootstrap"
    else:
        intervals_by_name = _bernstein(parts, logged, within or (float(reward.min()), float(reward.max())), confidence)
        method = "empirical Bernstein" if within and parts.limit_known else "empirical Bernstein, bounds as seen"
    uncertainty: dict[str, Uncertainty] = {
        name: (stderr(of, groups), *intervals_by_name[name], method) for name, (of, _) in estimates.items()
    }
    if parts.learned:
        uncertainty |= _jackknifed(rows, {name: estimates[name][1] for name in ("policy_value", "improvement")}, confidence)
    if "day" in rows.columns:
        shared = {name: shared_days(influence(of), value, rows, groups) for name, (of, value) in estimates.items()}
        uncertainty = {
            name: _widened(shared[name], own, stderr(estimates[name][0], groups), confidence)
            for name, own in uncertainty.items()
        }
    results = []
    for name, (of, value) in estimates.items():
        error, low, high, ci_method = uncertainty[name]
        results.append(Score(name, "mean", value, error, low, high, ci_method + (APART if of.biased else ""), n=of.n))
    diagnostics = _diagnostics(rows, groups)
    by_metric = {score.metric: score for score in diagnostics}
    weight, overlap = by_metric.get("mean_weight"), by_metric["overlap"].value if "overlap" in by_metric else None
    if weight is None or weight.value is None:
        return [*results, *diagnostics]
    if refutes_propensities(weight.value, weight.stderr, overlap, weight.p_value):
        results = [replace(score, status=REFUTED) if score.metric != "logged_value" else score for score in results]
    return [*results, *diagnostics]


def shared_days(errors: np.ndarray, value: float, rows: pl.DataFrame, groups: np.ndarray | None) -> Effect:
    """Return an estimate with its variance over the draws of the log and over the days that they share.

    Args:
        errors: What each row adds to n times the error of the value, shape (n,).
        value: The estimate.
        rows: With the column `day`.
        groups: The number of the draw that each row belongs to; None where each row is one.
    """
    draws = np.arange(len(rows)) if groups is None else groups
    days = rows["day"].to_numpy()
    by_day = day_cluster(len(np.unique(days))), day_blocks(days)
    return influence_effect(value, errors / len(rows), ("draw", draws), by_day, "two-way")


def _widened(shared: Effect, own: Uncertainty, alone: float | None, confidence: float) -> Uncertainty:
    """Return an uncertainty as much wider as the days that rows share make it, or what it says of their days alone."""
    error, low, high, method = own
    if shared.stderr is None:
        return error, low, high, f"{method}, {DAYS_ALONE}: {shared.method}"
    if not alone or error is None:
        return own
    size = shared.stderr / alone
    wide = max(size * shared.distribution.critical(confidence) / ReferenceDistribution().critical(confidence), 1.0)
    return (
        max(size, 1.0) * error,
        shared.value - wide * (shared.value - low),
        shared.value + wide * (high - shared.value),
        f"{method}{SHARED}",
    )


def _jackknifed(rows: pl.DataFrame, values: Mapping[str, float], confidence: float) -> dict[str, Uncertainty]:
    """Return the standard errors and intervals of what is learned, from the estimates without each part that has rows here."""
    without: dict[str, list[float]] = {name: [] for name in values}
    for stays, parts in _left_out(rows):
        without["policy_value"].append(parts.value)
        without["improvement"].append(parts.less(rows["reward"].filter(stays).to_numpy()).value)
    return {
        name: (*jackknife(value, np.array(without[name]), confidence), "delete-a-part jackknife")
        for name, value in values.items()
        if len(without[name]) > 1
    }


def _left_out(rows: pl.DataFrame) -> Iterator[tuple[pl.Series, EstimatorTerms]]:
    """Yield, for each block that has rows here, the rows that stay without it and the parts of the estimate made without it."""
    part = 0
    while (name := f"top{WITHOUT}{part}") in rows.columns:
        stays = rows[name].is_not_null()
        if 0 < stays.sum() < len(rows):
            yield stays, _parts(rows.filter(stays), f"{WITHOUT}{part}")
        part += 1


def errors(rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
    """Yield the difference of each estimate from the truth, paired row by row; nothing where there is no truth.

    Args:
        rows: Of each model, by its label.
    """
    if TRUTH not in rows:
        return
    for label, model_rows in rows.items():
        if label != TRUTH:
            yield label, _error(model_rows, rows[TRUTH])


def _error(rows: pl.DataFrame, true_rows: pl.DataFrame) -> Score:
    """Return the error of one estimate, by the jackknife where something was learned whose error the rows do not show."""
    parts, truth = _parts(rows), _parts(true_rows)
    value = parts.value - truth.value
    without = [rest.value - _parts(true_rows.filter(stays)).value for stays, rest in _left_out(rows)] if parts.learned else []
    if len(without) > 1:
        spread = *jackknife(value, np.array(without), ERROR_LEVEL), "delete-a-part jackknife"
    else:
        groups = _numbered(rows["group"]) if "group" in rows.columns else None
        if "day" in rows.columns:
            effect = shared_days(influence(parts) - influence(truth), value, rows, groups)
            if ends := effect.interval(ERROR_LEVEL):
                return Score("error", "mean", value, effect.stderr, *ends, f"t, paired by row{SHARED}", n=parts.n)
        differences = influence(parts, groups) - influence(truth, groups)
        count = len(differences)
        error = float(np.sqrt(count / (count - 1) * np.sum(differences**2))) / parts.n
        spread = error, value - Z95 * error, value + Z95 * error, "normal, paired by row"
    return Score("error", "mean", value, *spread, n=parts.n)


def _parts(rows: pl.DataFrame, suffix: str = "") -> EstimatorTerms:
    columns = [rows[f"{name}{suffix}"] for name in PARTS]
    base, top, bottom = (None if column.null_count() else column.to_numpy() for column in columns)
    assert top is not None
    assert bottom is not None
    shared = {name: rows[name][0] for name in (*SHARED_FIELDS, "parameter")}
    return EstimatorTerms(base, top, bottom, **shared)


def _numbered(groups: pl.Series) -> np.ndarray:
    """Return the groups that are there numbered from 0: a segment has not all of them."""
    return np.unique(groups.to_numpy(), return_inverse=True)[1]


def _bootstrap(
    estimates: Mapping[str, tuple[EstimatorTerms, float]],
    rows: pl.DataFrame,
    groups: np.ndarray | None,
    resamples: int,
    confidence: float,
) -> dict[str, Interval]:
    seed, reward = rows["seed"][0], rows["reward"].to_numpy()
    rng = stream(seed, "off_policy", "bootstrap")
    if groups is None and len(reward) > MOST_DRAWN:
        groups = stream(seed, "off_policy", "blocks").permutation(len(reward)) % MOST_DRAWN
    samples = resampled(estimates["policy_value"][0], reward, groups, resamples, rng)
    draws = {"policy_value": samples.value, "improvement": samples.value - samples.logged, "logged_value": samples.logged}
    return {name: bca(draws[name], value, influence(parts, groups), confidence) for name, (parts, value) in estimates.items()}


def _bernstein(parts: EstimatorTerms, own: EstimatorTerms, bounds: Range, confidence: float) -> dict[str, Interval]:
    """Return the gain's bounds are those of its two terms, each with half of the risk."""
    half = (1 + confidence) / 2
    ours, theirs = bernstein(parts, bounds, half), bernstein(own, bounds, half)
    gain = (ours[0] - theirs[1], ours[1] - theirs[0])
    whole = bernstein(parts, bounds, confidence), bernstein(own, bounds, confidence)
    return {"policy_value": whole[0], "improvement": gain, "logged_value": whole[1]}


def _diagnostics(rows: pl.DataFrame, groups: np.ndarray | None) -> list[Score]:
    n = len(rows)
    weights = None if rows["weight"].null_count() else rows["weight"].to_numpy()
    found = {
        "effective_sample_size": None if weights is None else effective_size(weights),
        "overlap": rows["supported"].mean(),
        "mean_weight": None if weights is None else float(np.mean(weights)),
        "parameter": rows["parameter"][0],
    }
    errors, chances = {}, {}
    if weights is not None and rows[BY_PROPENSITY].all():
        errors["mean_weight"] = _error_of_mean(weights, groups)
        draws = weights if groups is None else np.bincount(groups, weights) / len(weights) * len(np.bincount(groups))
        shown = rows["supported"].mean()
        chances["mean_weight"] = chance_of_low_mean(draws, shown) if isinstance(shown, float) else None
    return [
        Score(name, "mean", float(value), errors.get(name), p_value=chances.get(name), n=n)
        for name, value in found.items()
        if isinstance(value, float)
    ]


def _error_of_mean(weights: np.ndarray, groups: np.ndarray | None) -> float | None:
    """Return the standard error of the mean weight, by the groups that are drawn together; None for fewer than two."""
    centred = weights - weights.mean()
    parts = centred if groups is None else np.bincount(groups, centred)
    count = len(parts)
    return float(np.sqrt(count / (count - 1) * np.sum(parts**2))) / len(weights) if count > 1 else None
