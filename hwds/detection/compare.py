"""Evidence of detection: metrics of ranked rows, which are no means of units, under the same
resamples for all models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy import ndarray

from hwds.core.config import build, sized_node
from hwds.core.errors import DataError
from hwds.detection.protocols.base import Detection
from hwds.detection.scores import (
    BY_BOTH,
    BY_DAY,
    TRUE,
    Positives,
    ResampledMetrics,
    detection_measures,
    effect_of,
    families_of_metric,
    few_positives,
    resample_windows,
    scored_windows,
)
from hwds.results.tables import short
from hwds.stats.contrasts import Pair, Scale
from hwds.stats.effects import (
    LEAST_SURE,
    LEVEL,
    Effect,
    ReferenceDistribution,
    SumDistribution,
    student_critical,
)
from hwds.stats.estimates import ClusterCounts
from hwds.stats.evidence import TaskComparison, shares_of
from hwds.stats.ranks import delong
from hwds.stats.sources import ModelRows, shared_rows


@dataclass(frozen=True, eq=False)
class ResampledEvidence:
    """Metrics of models by dataset and seed, and in resamples of each way.

    Attributes:
        models: Their labels.
        values: Shape (datasets, seeds, models).
        samples: The samples of each way to resample, averaged over seeds, shape (datasets,
            resamples, models).
        counts: The clusters of the dataset that has fewest, by way.
        positives: The fewest clusters with a row of label 1 of a dataset, by way.
        areas: The covariance of areas under the ROC by DeLong, where rows are independent.
    """

    models: tuple[str, ...]
    values: ndarray
    samples: Mapping[str, ndarray]
    counts: Mapping[str, ClusterCounts]
    positives: Mapping[str, int]
    areas: ndarray | None = None

    @property
    def means(self) -> ndarray:
        """The metric of each model on each dataset, averaged over seeds."""
        return self.values.mean(axis=1)

    @property
    def errors(self) -> ndarray:
        """The standard error of each model's metric over all datasets, NaN where clusters are few,
        shape (models,).
        """
        return np.array([self._error(place) for place in range(len(self.models))])

    def _error(self, place: int) -> float:
        effect = effect_of(
            float(self.means[:, place].mean()),
            self._in_resamples(lambda drawn: drawn[..., place]),
            self.counts,
        )
        return np.nan if effect.stderr is None else effect.stderr

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return by how much the first of each pair is better: over customers, the days that they
        share, and several seeds.
        """
        return [self._effect(pair, scale) for pair in pairs]

    def unit_values(self) -> ndarray | None:
        """Return None: a ranking has no values of units."""
        return None

    @property
    def few(self) -> str:
        """The warning that customers or days with a positive row are few."""
        return few_positives(self.positives)

    @property
    def independent_units(self) -> bool:
        """False: rows share customers and days."""
        return False

    def blocks(self) -> tuple[ndarray, str]:
        """Return the metrics of datasets."""
        return self.means, "datasets"

    def draws(self) -> ndarray | None:
        """Return metrics as shares of the mean over all models, drawn by customer and by day; None
        where either are few.

        What both ways vary together is more than the variance over both, which single rows are in
        once: it is drawn in.
        """
        if not self.samples or any(
            each.refusal or each.number < LEAST_SURE for each in self.counts.values()
        ):
            return None
        point = shares_of(self.means)
        apart = {way: self._shares(drawn) - point for way, drawn in self.samples.items()}
        ways = {way: each for way, each in apart.items() if way != BY_BOTH}
        least = min(map(len, apart.values()))
        if least < 2:
            return None
        draws = np.sum(
            [each[:least] * _few_clusters_factor(self.counts[way]) for way, each in ways.items()],
            axis=0,
        )
        if BY_BOTH in apart:
            variances = {way: _variance(each[:least]) for way, each in apart.items()}
            alone = max(variances[way] for way in ways)
            total = max(sum(variances[way] for way in ways) - variances[BY_BOTH], alone)
            draws = (
                draws * sqrt(total / sum(variances[way] for way in ways)) if total > 0 else draws
            )
        return point + draws

    def _shares(self, drawn: ndarray) -> ndarray:
        """Return the resamples of one way, in which all models have a value, as shares, shape
        (resamples, models).
        """
        shares = (drawn / self.means.mean(axis=1)[:, None, None]).mean(axis=0)
        known: ndarray = shares[~np.isnan(shares).any(axis=1)]
        return known

    def _in_resamples(self, of: Callable[[ndarray], ndarray]) -> dict[str, ndarray]:
        """Return a number of the models in each resample, averaged over datasets, by way."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return {way: of(drawn).mean(axis=0) for way, drawn in self.samples.items()}

    def _effect(self, pair: Pair, scale: Scale) -> Effect:
        first, second = pair
        by_seed = scale.between(self.values[..., first], self.values[..., second])
        value = float(scale.between(self.means[:, first], self.means[:, second]).mean())
        if self.areas is not None and scale.relative:
            error = self._delong(pair)
            number = min((each.number for each in self.counts.values()), default=0)
            return Effect(value, error, ReferenceDistribution(), "DeLong", number)
        effect = effect_of(
            value,
            self._in_resamples(lambda drawn: scale.between(drawn[..., first], drawn[..., second])),
            self.counts,
        )
        effect = replace(effect, method=effect.method.replace("entity", "customer"))
        return _with_seeds(effect, by_seed)

    def _delong(self, pair: Pair) -> float:
        """Return the standard error of the logarithm of the ratio of two areas, by the delta
        method.
        """
        assert self.areas is not None
        first, second = pair
        a, b, covariance = self.means[0, first], self.means[0, second], self.areas
        variance = (
            covariance[first, first] / a**2
            + covariance[second, second] / b**2
            - 2 * covariance[first, second] / (a * b)
        )
        return sqrt(max(float(variance), 0.0))


def _with_seeds(effect: Effect, by_seed: ndarray) -> Effect:
    """Return an effect whose variance is that over rows and that over seeds, each with its own
    Student's t.
    """
    seeds = by_seed.shape[1]
    if seeds < 2 or effect.stderr is None:
        return effect
    rows, training = effect.stderr**2, float(np.var(by_seed.mean(axis=0), ddof=1)) / seeds
    total = rows + training
    method = f"{effect.method} and seeds"
    if not total:
        return replace(effect, method=method)
    parts = (
        (rows / total, effect.distribution),
        (training / total, ReferenceDistribution(seeds - 1.0)),
    )
    independent = None if effect.independent is None else effect.independent * rows / total
    return replace(
        effect,
        stderr=sqrt(total),
        distribution=SumDistribution(parts),
        method=method,
        independent=independent,
    )


def _few_clusters_factor(counts: ClusterCounts) -> float:
    """Return how much wider resamples of so few clusters are to be: a bootstrap varies too
    little.
    """
    return (
        sqrt(counts.effective / counts.df)
        * student_critical(counts.df, LEVEL)
        / student_critical(inf, LEVEL)
    )


def _variance(draws: ndarray) -> float:
    """Return the mean over models of the variance of each from the mean of all."""
    return float(np.var(draws - draws.mean(axis=1, keepdims=True), axis=0, ddof=1).mean())


def detection_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[ResampledEvidence, int]:
    """Return the evidence of answers, and how many test rows were left out because some model lacks
    them.

    Args:
        answers: The rows of every model, dataset and seed.
        metric: Its short or full name.
        resamples: The most resamples of each way, but no more than the protocol has: a run's page
            and a comparison of it say the same.
    """
    tests = [replace(answer, rows=answer.rows.filter(part="test")) for answer in answers]
    common, left_out = shared_rows(tests, ["fold", "row_id"])
    if not len(common[0].rows):
        raise DataError("compare: no test row is shared by all models.")
    models = tuple(dict.fromkeys(answer.model for answer in common))
    datasets = tuple(dict.fromkeys(answer.dataset for answer in common))
    seeds = _shared_seeds(common, models, datasets)
    protocol = build("protocol", "protocol", sized_node(common[0].source.config, "protocol"))
    assert isinstance(protocol, Detection)
    named = (
        each.name for each in detection_measures(protocol, "") if metric in (each.name, each.short)
    )
    full = next(named, metric)
    used = [answer for answer in common if answer.seed in seeds]
    drawn = {
        (answer.dataset, answer.seed, answer.model): _resample_metrics(
            answer, protocol, full, min(resamples, protocol.resamples)
        )
        for answer in used
    }

    def table(of: Callable[[ResampledMetrics], Any]) -> ndarray:
        """Return a number or numbers of each, shape (datasets, seeds, models, ...)."""
        return np.array([[[of(drawn[d, s, m]) for m in models] for s in seeds] for d in datasets])

    values = table(lambda each: each.values.get(full, np.nan))
    ways = sorted(set.intersection(*(set(each.samples) for each in drawn.values())))

    def resamples_of(way: str) -> ndarray:
        drawn_by_way = table(lambda each: each.samples_of(full)[way])
        return drawn_by_way.mean(axis=1).swapaxes(1, 2)

    samples = {way: resamples_of(way) for way in ways}
    clusters = [each.clusters(full) for each in drawn.values()]
    counts = {
        way: min((each[way] for each in clusters), key=lambda of_way: of_way.df) for way in ways
    }
    label = "truth" if full.startswith(TRUE) else "label"
    positives = [Positives.of(answer.rows, label).clusters for answer in used]
    fewest = {way: min(each[way] for each in positives) for way in positives[0]}
    areas = None
    if len(seeds) == len(datasets) == 1 and BY_DAY not in ways:
        areas = _delong_covariance(used, full)
    return ResampledEvidence(models, values, samples, counts, fewest, areas), left_out


def _shared_seeds(
    answers: Sequence[ModelRows], models: Sequence[str], datasets: Sequence[str]
) -> list[int]:
    have = {(answer.model, answer.dataset, answer.seed) for answer in answers}
    every = sorted({answer.seed for answer in answers})
    seeds = [seed for seed in every if all((m, d, seed) in have for m in models for d in datasets)]
    if not seeds:
        raise DataError(
            f"compare: no seed is shared by {', '.join(models)}; run them under the same seeds."
        )
    return seeds


def _resample_metrics(
    answer: ModelRows, protocol: Detection, metric: str, resamples: int
) -> ResampledMetrics:
    """Return the metrics of a model, and those of resamples, of the family of one metric."""
    family = families_of_metric(protocol, metric)
    return resample_windows(scored_windows(answer.rows, protocol), family, resamples)


def _delong_covariance(answers: Sequence[ModelRows], metric: str) -> ndarray | None:
    """Return DeLong's covariance where the metric is the AUROC of one window of independent rows.

    None elsewhere.
    """
    rows = answers[0].rows
    label = "truth" if metric.startswith(TRUE) else "label"
    known = rows[label].is_not_null()
    alone = rows["entity"].null_count() == len(rows) or rows["entity"].n_unique() == len(rows)
    equal = bool((rows["weight"] == 1).all()) or label == "truth"
    if (
        short(metric).removeprefix(TRUE) != "auroc"
        or not alone
        or not equal
        or rows["cutoff"].n_unique() > 1
    ):
        return None
    scores = np.column_stack([answer.rows.filter(known)["score"].to_numpy() for answer in answers])
    return delong(rows.filter(known)[label].to_numpy(), scores)[1]


COMPARISON = TaskComparison(evidence=detection_evidence)
