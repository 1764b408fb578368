"""Evidence of detection: metrics of ranked rows, which are no means of units, under the same resamples for all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

import numpy as np
import polars as pl

from hwds.compare.answers import Answer, shared
from hwds.compare.contrasts import Pair, Scale
from hwds.compare.evidence import shares_of, widened
from hwds.compare.hooks import TaskComparison
from hwds.config.build import build
from hwds.core.errors import DataError
from hwds.detection.metrics.measures import detection_measures
from hwds.detection.metrics.positives import Positives, few_positives
from hwds.detection.metrics.weighted import MetricSettings
from hwds.detection.metrics.windows import TRUE, resampled, windows_of
from hwds.detection.protocols.base import Detection
from hwds.results.measure import short
from hwds.statistics.delong import delong
from hwds.statistics.reference_distribution import Effect, ReferenceDistribution

CALLED = {"bootstrap by entity": "bootstrap by customer"}
"""The name that readers see for a way of resampling, where it differs."""

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
        spreads = [np.nanstd(each.mean(axis=0), axis=0, ddof=1) for each in self.samples.values()]
        return np.max(spreads, axis=0) if spreads else np.full(len(self.models), np.nan)

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return by how much the first of each pair is better, with the way of resampling of the widest interval."""
        return [self._effect(pair, scale) for pair in pairs]

    def unit_values(self) -> np.ndarray | None:
        """Return None: a ranking has no values of units."""
        return None

    @property
    def few(self) -> str:
        """The warning that customers or days with a positive row are few."""
        return few_positives(self.clusters)

    @property
    def independent_units(self) -> bool:
        """False: rows share customers and days."""
        return False

    def blocks(self) -> tuple[np.ndarray, str]:
        """Return the metrics of datasets."""
        return self.means, "datasets"

    def draws(self) -> np.ndarray | None:
        """Return metrics as shares of the mean over all models, by the way of resampling of the widest spread."""
        if not self.samples:
            return None
        point, every = shares_of(self.means), []
        for way, drawn in self.samples.items():
            shares = (drawn / self.means.mean(axis=1)[:, None, None]).mean(axis=0)
            every.append(widened(shares[~np.isnan(shares).any(axis=1)], point, max(self.clusters[way], 2)))
        return max(every, key=lambda shares: float(np.std(shares - shares.mean(axis=1, keepdims=True), axis=0).mean()))

    def _effect(self, pair: Pair, scale: Scale) -> Effect:
        first, second = pair
        by_seed = scale.between(self.values[..., first], self.values[..., second])
        value = float(scale.between(self.means[:, first], self.means[:, second]).mean())
        ways = {way: self._way(pair, scale, way) for way in self.samples}
        if self.areas is not None and scale.relative:
            ways = {"DeLong": self._delong(pair)}
        effects = [_effect(value, way, error, df, by_seed) for way, (error, df) in ways.items() if np.isfinite(error)]
        if not effects:
            return Effect(value, None, ReferenceDistribution(), "no bootstrap", 0)
        widest = max(effects, key=lambda effect: (effect.stderr or 0.0) * effect.distribution.critical(0.95))
        return Effect(value, widest.stderr, widest.distribution, widest.method, min(self.clusters.values(), default=0))

    def _way(self, pair: Pair, scale: Scale, way: str) -> tuple[float, float]:
        """Return the standard error of an effect by one way to resample, and its degrees of freedom."""
        drawn, k = self.samples[way], self.clusters[way]
        with np.errstate(divide="ignore", invalid="ignore"):
            each = scale.between(drawn[..., pair[0]], drawn[..., pair[1]]).mean(axis=0)
        known = each[np.isfinite(each)]
        enough = len(known) > len(each) / 2 and k > 1
        return (float(np.std(known, ddof=1)) * sqrt(k / (k - 1)), k - 1.0) if enough else (np.nan, 1.0)

    def _delong(self, pair: Pair) -> tuple[float, float]:
        """Return the standard error of the logarithm of the ratio of two areas, by the delta method."""
        assert self.areas is not None
        first, second = pair
        a, b, covariance = self.means[0, first], self.means[0, second], self.areas
        variance = covariance[first, first] / a**2 + covariance[second, second] / b**2 - 2 * covariance[first, second] / (a * b)
        return sqrt(max(float(variance), 0.0)), inf


def _effect(value: float, way: str, error: float, df: float, by_seed: np.ndarray) -> Effect:
    """Return an effect whose variance is that over rows and that over seeds (Satterthwaite's degrees of freedom)."""
    seeds = by_seed.shape[1]
    name = CALLED.get(way, way)
    if seeds < 2:
        return Effect(value, error, ReferenceDistribution(df), name, 0)
    seed_variance = float(np.var(by_seed.mean(axis=0), ddof=1)) / seeds
    variance = error**2 + seed_variance
    inner = error**4 / df + seed_variance**2 / (seeds - 1)
    return Effect(
        value, sqrt(variance), ReferenceDistribution(variance**2 / inner if inner > 0 else df), f"{name} and seeds", 0
    )


def evidence(answers: Sequence[Answer], metric: str, resamples: int) -> tuple[DrawnEvidence, int]:
    """Return the evidence of answers, and how many test rows were left out because some model lacks them.

    Args:
        answers: Of every model, dataset and seed.
        metric: Its short or full name.
        resamples: By customer and by day, `MOST_RESAMPLES` of each at most.
    """
    tests = [replace(answer, rows=answer.rows.filter(pl.col("part") == "test")) for answer in answers]
    common, left_out = shared(tests, ["fold", "row_id"])
    if not len(common[0].rows):
        raise DataError("compare: no test row is shared by all models.")
    models = tuple(dict.fromkeys(answer.model for answer in common))
    datasets = tuple(dict.fromkeys(answer.dataset for answer in common))
    seeds = _shared_seeds(common, models, datasets)
    protocol = build("protocol", "protocol", dict(common[0].source.config["protocol"]))
    assert isinstance(protocol, Detection)
    full = next((each.name for each in detection_measures(protocol, "") if metric in (each.name, each.short)), metric)
    drawn = {
        (answer.dataset, answer.seed, answer.model): _drawn(answer, protocol, full, min(resamples, MOST_RESAMPLES))
        for answer in common
        if answer.seed in seeds
    }
    values = np.array([[[drawn[d, s, m][0] for m in models] for s in seeds] for d in datasets])
    ways = set.intersection(*(set(samples) for _, samples, _ in drawn.values()))
    samples = {
        way: np.stack([np.mean([np.stack([drawn[d, s, m][1][way] for m in models], 1) for s in seeds], 0) for d in datasets])
        for way in sorted(ways)
    }
    clusters = {way: min(counts[way] for _, _, counts in drawn.values()) for way in ways}
    first = [answer for answer in common if (answer.dataset, answer.seed) == (datasets[0], seeds[0])]
    areas = _areas(first, full) if len(seeds) == len(datasets) == 1 else None
    return DrawnEvidence(models, values, samples, clusters, areas), left_out


def _shared_seeds(answers: Sequence[Answer], models: Sequence[str], datasets: Sequence[str]) -> list[int]:
    have = {(answer.model, answer.dataset, answer.seed) for answer in answers}
    every = sorted({answer.seed for answer in answers})
    seeds = [seed for seed in every if all((m, d, seed) in have for m in models for d in datasets)]
    if not seeds:
        raise DataError(f"compare: no seed is shared by {', '.join(models)}; run them under the same seeds.")
    return seeds


def _drawn(
    answer: Answer, protocol: Detection, metric: str, resamples: int
) -> tuple[float, dict[str, np.ndarray], Mapping[str, int]]:
    """Return a metric, its values in resamples of each way, and how many clusters each way drew."""
    settings = MetricSettings.by(protocol)
    base = metric.removeprefix(TRUE)
    family = [family for family, names in settings.families.items() if base in names]
    windows = windows_of(answer.rows, settings)
    values, samples = resampled(windows, family, resamples)
    positives = Positives.of(answer.rows, "truth" if metric.startswith(TRUE) else "label")
    drawn = {way: each[metric] for way, each in samples.items() if metric in each}
    return values.get(metric, np.nan), drawn, positives.clusters


def _areas(answers: Sequence[Answer], metric: str) -> np.ndarray | None:
    """Return DeLong's covariance where the metric is the AUROC of one window of independent rows; None elsewhere."""
    rows = answers[0].rows
    label = "truth" if metric.startswith(TRUE) else "label"
    known = rows[label].is_not_null()
    alone = rows["entity"].null_count() == len(rows) or rows["entity"].n_unique() == len(rows)
    equal = bool((rows["weight"] == 1).all()) or label == "truth"
    if short(metric).removeprefix(TRUE) != "auroc" or not alone or not equal or rows["cutoff"].n_unique() > 1:
        return None
    scores = np.column_stack([answer.rows.filter(known)["score"].to_numpy() for answer in answers])
    return delong(rows.filter(known)[label].to_numpy(), scores)[1]


COMPARISON = TaskComparison(evidence=evidence)
