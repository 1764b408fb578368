"""Evidence of detection: metrics of ranked rows, which are no means of units, under the same resamples for all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

import numpy as np
import polars as pl

from hwds.compare.answers import Answer, shared
from hwds.compare.contrasts import Pair, Scale
from hwds.compare.delong import delong
from hwds.compare.evidence import shares_of, widened
from hwds.compare.laws import Effect, Law
from hwds.config.check import build
from hwds.errors import DataError
from hwds.metrics.base import short
from hwds.protocols.detection_measures import detection_measures
from hwds.protocols.detection_sides import Asked
from hwds.protocols.detection_windows import BY_DAY, BY_ENTITY, TRUE, Window, resampled, windows_of

CALLED = {"bootstrap by entity": "bootstrap by customer"}
"""How a way of resampling is called where people read, if otherwise."""

MOST_RESAMPLES = 500
"""Resamples of a ranking; each one costs as much as scoring it."""


@dataclass(frozen=True, eq=False)
class DrawnEvidence:
    """Metrics of models by dataset and seed, and in resamples of each way.

    Attributes:
        models: Their labels.
        values: Shape (datasets, seeds, models).
        samples: Of each way to resample, averaged over seeds, shape (datasets, resamples, models).
        clusters: Of each way the fewest with a row of label 1 of a dataset.
        areas: The covariance of areas under the ROC by DeLong, where rows are independent.
    """

    models: tuple[str, ...]
    values: np.ndarray
    samples: Mapping[str, np.ndarray]
    clusters: Mapping[str, int]
    areas: np.ndarray | None = None

    @property
    def means(self) -> np.ndarray:
        """The metric of each model on each dataset, averaged over seeds."""
        return self.values.mean(axis=1)

    @property
    def errors(self) -> np.ndarray:
        """The larger of the standard errors of the ways to resample, over all datasets, shape (models,)."""
        own = [np.nanstd(each.mean(axis=0), axis=0, ddof=1) for each in self.samples.values()]
        return np.max(own, axis=0) if own else np.full(len(self.models), np.nan)

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """How much better the first of each pair is: by the way to resample that leaves it least sure."""
        return [self._effect(pair, scale) for pair in pairs]

    def unit_values(self) -> np.ndarray | None:
        """None: a ranking is not one of units."""
        return None

    def blocks(self) -> tuple[np.ndarray, str]:
        """The metrics of datasets."""
        return self.means, "datasets"

    def draws(self) -> np.ndarray | None:
        """Metrics as shares of what all models have on average, by the way in which models differ most unsteadily."""
        if not self.samples:
            return None
        found, every = shares_of(self.means), []
        for way, drawn in self.samples.items():
            shares = (drawn / self.means.mean(axis=1)[:, None, None]).mean(axis=0)
            every.append(widened(shares[~np.isnan(shares).any(axis=1)], found, max(self.clusters[way], 2)))
        return max(every, key=lambda shares: float(np.std(shares - shares.mean(axis=1, keepdims=True), axis=0).mean()))

    def _effect(self, pair: Pair, scale: Scale) -> Effect:
        first, second = pair
        by_seed = scale.between(self.values[..., first], self.values[..., second])
        value = float(scale.between(self.means[:, first], self.means[:, second]).mean())
        ways = {way: self._way(pair, scale, way) for way in self.samples}
        if self.areas is not None and scale.relative:
            ways = {"DeLong": self._delong(pair)}
        found = [_effect(value, way, error, df, by_seed) for way, (error, df) in ways.items() if np.isfinite(error)]
        if not found:
            return Effect(value, None, Law(), "no bootstrap", 0)
        widest = max(found, key=lambda effect: (effect.stderr or 0.0) * effect.law.critical(0.95))
        return Effect(value, widest.stderr, widest.law, widest.method, min(self.clusters.values(), default=0))

    def _way(self, pair: Pair, scale: Scale, way: str) -> tuple[float, float]:
        """The standard error of an effect by one way to resample, and its degrees of freedom."""
        drawn, k = self.samples[way], self.clusters[way]
        with np.errstate(divide="ignore", invalid="ignore"):
            each = scale.between(drawn[..., pair[0]], drawn[..., pair[1]]).mean(axis=0)
        known = each[np.isfinite(each)]
        enough = len(known) > len(each) / 2 and k > 1
        return (float(np.std(known, ddof=1)) * sqrt(k / (k - 1)), k - 1.0) if enough else (np.nan, 1.0)

    def _delong(self, pair: Pair) -> tuple[float, float]:
        """The standard error of the logarithm of the ratio of two areas, by the delta method."""
        assert self.areas is not None
        first, second = pair
        a, b, covariance = self.means[0, first], self.means[0, second], self.areas
        variance = covariance[first, first] / a**2 + covariance[second, second] / b**2 - 2 * covariance[first, second] / (a * b)
        return sqrt(max(float(variance), 0.0)), inf


def _effect(value: float, way: str, error: float, df: float, by_seed: np.ndarray) -> Effect:
    """An effect with the luck of the training added to that of the rows: Satterthwaite's degrees of freedom for both."""
    seeds = by_seed.shape[1]
    name = CALLED.get(way, way)
    if seeds < 2:
        return Effect(value, error, Law(df), name, 0)
    luck = float(np.var(by_seed.mean(axis=0), ddof=1)) / seeds
    variance = error**2 + luck
    inner = error**4 / df + luck**2 / (seeds - 1)
    return Effect(value, sqrt(variance), Law(variance**2 / inner if inner > 0 else df), f"{name} and seeds", 0)


def evidence(answers: Sequence[Answer], metric: str, resamples: int) -> tuple[DrawnEvidence, int]:
    """The evidence of answers, and how many test rows were left out because some model lacks them.

    Args:
        answers: Of every model, dataset and seed.
        metric: Its short or full name.
        resamples: By customer and by day, `MOST_RESAMPLES` of each at most.
    """
    tests = [replace(answer, rows=answer.rows.filter(pl.col("part") == "test")) for answer in answers]
    kept, left_out = shared(tests, ["fold", "row_id"])
    if not len(kept[0].rows):
        raise DataError("compare: no test row is shared by all models.")
    models = tuple(dict.fromkeys(answer.model for answer in kept))
    datasets = tuple(dict.fromkeys(answer.dataset for answer in kept))
    seeds = _shared_seeds(kept, models, datasets)
    protocol: Any = build("protocol", "protocol", dict(kept[0].source.config["protocol"]))
    full = next((each.name for each in detection_measures(protocol, "") if metric in (each.name, each.short)), metric)
    found = {
        (answer.dataset, answer.seed, answer.model): _drawn(answer, protocol, full, min(resamples, MOST_RESAMPLES))
        for answer in kept
        if answer.seed in seeds
    }
    values = np.array([[[found[d, s, m][0] for m in models] for s in seeds] for d in datasets])
    ways = set.intersection(*(set(samples) for _, samples, _ in found.values()))
    samples = {
        way: np.stack([np.mean([np.stack([found[d, s, m][1][way] for m in models], 1) for s in seeds], 0) for d in datasets])
        for way in sorted(ways)
    }
    clusters = {way: min(counts[way] for _, _, counts in found.values()) for way in ways}
    first = [answer for answer in kept if (answer.dataset, answer.seed) == (datasets[0], seeds[0])]
    areas = _areas(first, full) if len(seeds) == len(datasets) == 1 else None
    return DrawnEvidence(models, values, samples, clusters, areas), left_out


def _shared_seeds(answers: Sequence[Answer], models: Sequence[str], datasets: Sequence[str]) -> list[int]:
    have = {(answer.model, answer.dataset, answer.seed) for answer in answers}
    every = sorted({answer.seed for answer in answers})
    seeds = [seed for seed in every if all((m, d, seed) in have for m in models for d in datasets)]
    if not seeds:
        raise DataError(f"compare: no seed is shared by {', '.join(models)}; run them under the same seeds.")
    return seeds


def _drawn(answer: Answer, protocol: Any, metric: str, resamples: int) -> tuple[float, dict[str, np.ndarray], dict[str, int]]:
    """A metric, its values in resamples of each way, and how many clusters each way drew."""
    asked = Asked.by(protocol)
    own = metric.removeprefix(TRUE)
    family = [family for family, names in asked.families.items() if own in names]
    windows = windows_of(answer.rows, asked)
    values, samples = resampled(windows, family, resamples)
    counts = bearing(windows, "truth" if metric.startswith(TRUE) else "label")
    return values.get(metric, np.nan), {way: each[metric] for way, each in samples.items() if metric in each}, counts


def bearing(windows: Sequence[Window], label: str) -> dict[str, int]:
    """The customers and the days with a row of label 1: where these are few a ranking is unsure."""
    marks = [(window.rows.table[label] == 1).fill_null(False).to_numpy() for window in windows]
    entities = [window.rows.entity[mark] for window, mark in zip(windows, marks, strict=True)]
    days = sum(len(np.unique(window.rows.day[mark])) for window, mark in zip(windows, marks, strict=True))
    return {BY_DAY: days, BY_ENTITY: len(np.unique(np.concatenate(entities)))}


def _areas(answers: Sequence[Answer], metric: str) -> np.ndarray | None:
    """DeLong's covariance where the metric is the area under the ROC of one window of independent rows; None elsewhere."""
    rows = answers[0].rows
    label = "truth" if metric.startswith(TRUE) else "label"
    known = rows[label].is_not_null()
    alone = rows["entity"].null_count() == len(rows) or rows["entity"].n_unique() == len(rows)
    equal = bool((rows["weight"] == 1).all()) or label == "truth"
    if short(metric).removeprefix(TRUE) != "auroc" or not alone or not equal or rows["cutoff"].n_unique() > 1:
        return None
    scores = np.column_stack([answer.rows.filter(known)["score"].to_numpy() for answer in answers])
    return delong(rows.filter(known)[label].to_numpy(), scores)[1]
