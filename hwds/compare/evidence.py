"""Evidence: what is known of models, whatever their task, for comparisons to be made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Protocol

import numpy as np
import polars as pl

from hwds.compare.answers import Answer
from hwds.compare.contrasts import Pair, Scale, contrasts
from hwds.compare.matrix import Matrix
from hwds.compare.periods import Periods
from hwds.compare.seeds import seeded_effect
from hwds.core.errors import ConfigError, nearest
from hwds.core.seeds import stream
from hwds.results.formatting import counted
from hwds.statistics.reference_distribution import LEAST_SURE, Effect, ReferenceDistribution, student_critical
from hwds.statistics.shared_periods import LEAST_FOR_COSINES, with_periods
from hwds.statistics.standard_errors import LEAST_CLUSTERS, LEVEL, MOST_CLUSTERS, drawn, over_units, resampled, unit_effects

ENOUGH_DATASETS = 5
"""Data sets from which on they, and not units, are the blocks of ranks (Demsar 2006)."""

NAMED = {"model": pl.String, "dataset": pl.String, "seed": pl.Int64}
"""The columns that identify a model's predictions, beside units and values."""

SEEDED_SHARE = 8
"""A bootstrap of units and seeds draws so many times less often: each draw costs an analysis of variance."""


class Evidence(Protocol):
    """The interface of a task's evidence; models are numbered as in `models`."""

    @property
    def models(self) -> tuple[str, ...]:
        """Their labels."""

    @property
    def means(self) -> np.ndarray:
        """The metric of each model on each dataset, shape (datasets, models)."""

    @property
    def errors(self) -> np.ndarray:
        """The standard error of each model's metric over all datasets, NaN where there is none, shape (models,)."""

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return how much better the first of each pair is."""

    def unit_values(self) -> np.ndarray | None:
        """Return values of units, shape (units, models); None where the metric is not one of units."""

    @property
    def independent_units(self) -> bool:
        """True where units share nothing, so that their signs and ranks can be tested."""

    @property
    def few(self) -> str:
        """A warning that an interval rests on few of what was resampled, in a sentence; empty where they are enough."""

    def blocks(self) -> tuple[np.ndarray, str]:
        """Return values to rank models by, shape (blocks, models), and what the blocks are; they share nothing."""

    def draws(self) -> np.ndarray | None:
        """Return the metrics in bootstrap resamples as shares of what all models have on average, shape (resamples, models)."""


@dataclass(frozen=True, eq=False)
class UnitEvidence:
    """Evidence of a metric that is a mean over units (series, replications).

    Attributes:
        matrix: The values.
        units_called: What a unit is.
        resamples: Of each bootstrap.
        periods: The values of units in the periods that they share; None where they share none.
    """

    matrix: Matrix
    units_called: str
    resamples: int
    periods: Periods | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Their labels."""
        return self.matrix.models

    @property
    def means(self) -> np.ndarray:
        """The mean of each model over the units of each dataset, shape (datasets, models)."""
        return self.matrix.means

    @property
    def errors(self) -> np.ndarray:
        """The standard error of each model's mean over all datasets, units and periods drawn anew, shape (models,)."""
        few = min(map(len, self.matrix.strata)) < 2
        units = np.full(len(self.models), np.nan) if few else over_units(self.matrix.units, self.matrix.strata).units[0]
        if self.periods is None or self.periods.refusal:
            return np.sqrt(units)
        part = self.periods.own_part()
        return np.sqrt(np.maximum(np.nan_to_num(units) - part.cells, 0.0) + part.periods)

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return how much better the first of each pair is: over units, the periods that they share, and several seeds."""
        if self.periods is None:
            return self._over_units(pairs, scale)
        if self.periods.refusal:
            if len(self.matrix.datasets) >= ENOUGH_DATASETS:
                return self._over_datasets(pairs, scale)
            ahead = [float(scale.between(self.means[:, first], self.means[:, second]).mean()) for first, second in pairs]
            return [Effect(each, None, ReferenceDistribution(), self.periods.refusal, self.periods.least) for each in ahead]
        alone = min(map(len, self.matrix.strata)) < 2
        if alone and len(self.matrix.datasets) > 1:
            return self._over_datasets(pairs, scale)
        part, origins = self.periods.part(self.means, pairs, scale), f"{self.periods.least} origins"
        effects = self._over_units(pairs, scale)
        if alone:
            method = f"{'cosines' if self.periods.least >= LEAST_FOR_COSINES else 't'} over {origins}"
            effects = [replace(each, method=method, clusters=self.periods.least) for each in effects]
        else:
            effects = [replace(each, method=f"{each.method} and {origins}") for each in effects]
        return [with_periods(effect, part, pair, self.periods.count) for pair, effect in enumerate(effects)]

    def _over_units(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return the effects as if units shared nothing."""
        strata, rng = self.matrix.strata, stream(0, "compare", "units")
        if min(map(len, strata)) < 2:
            return self._over_datasets(pairs, scale)
        one_seed = self.matrix.values.shape[1] == 1
        counts = drawn(strata, self.resamples, rng) if one_seed else None
        each = max(self.resamples // SEEDED_SHARE, 100)
        effects: list[Effect] = []
        for begin in range(0, len(pairs), 50):  # so many at once fit into memory
            values = contrasts(self.matrix, pairs[begin : begin + 50], scale)
            if one_seed:
                effects += unit_effects(values[:, 0], strata, counts)
            else:
                effects += [seeded_effect(values[..., i], strata, each, rng) for i in range(values.shape[2])]
        return [_called(effect, self.units_called) for effect in effects]

    def _over_datasets(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Return the effects averaged over datasets, for the case that a dataset has a single unit."""
        means = self.means
        values = np.stack([scale.between(means[:, first], means[:, second]) for first, second in pairs], axis=1)
        if len(values) < 2:
            return [
                Effect(float(value), None, ReferenceDistribution(), f"one of {self.units_called}", 1) for value in values[0]
            ]
        stratum = [np.arange(len(values))]
        effects = unit_effects(values, stratum, drawn(stratum, self.resamples, stream(0, "compare", "datasets")))
        return [_called(effect, "datasets") for effect in effects]

    def unit_values(self) -> np.ndarray | None:
        """Return values averaged over seeds, shape (units, models)."""
        return self.matrix.units

    @property
    def few(self) -> str:
        """The warning that units are few."""
        least = min(map(len, self.matrix.strata))
        if not 1 < least < LEAST_CLUSTERS:
            return ""
        where = " of a dataset" if len(self.matrix.datasets) > 1 else ""
        if len(self.matrix.dataset) < LEAST_SURE:
            return f"Only {counted(least, self.units_called)}{where}: no difference of fewer than {LEAST_SURE} is sure."
        symmetric = "intervals are Student's t, which holds where differences are about symmetric"
        return f"Only {counted(least, self.units_called)}{where}: {symmetric}."

    @property
    def independent_units(self) -> bool:
        """True where units share no periods."""
        return self.periods is None

    def blocks(self) -> tuple[np.ndarray, str]:
        """Return the means of datasets where there are enough of them, else those of periods where units share them."""
        if len(self.matrix.datasets) >= ENOUGH_DATASETS:
            return self.means, "datasets"
        return (self.matrix.units, self.units_called) if self.periods is None else (self.periods.means(), "origins")

    def draws(self) -> np.ndarray | None:
        """Return mean shares in resamples of units and periods, shape (resamples, models); None where they are few."""
        strata, n = self.matrix.strata, len(self.matrix.dataset)
        fewest = n if self.periods is None else min(n, sum(each.periods for each in self.periods.cells))
        refused = self.periods is not None and self.periods.refusal
        if refused or min(map(len, strata)) < 2 or not LEAST_SURE <= fewest <= n <= MOST_CLUSTERS:
            return None
        shares = self.matrix.units / self.means.mean(axis=1)[self.matrix.dataset][:, None]
        counts = resampled(strata, n, self.resamples, stream(0, "compare", "set"))
        over = over_units(shares, strata, counts).mean
        draws = widened(over, shares_of(self.means), min(map(len, strata)))
        return draws if self.periods is None else draws + self.periods.draws(self.means, self.resamples)


def shares_of(means: np.ndarray) -> np.ndarray:
    """Return each model's share of the mean of all models, averaged over datasets, shape (models,)."""
    return (means / means.mean(axis=1, keepdims=True)).mean(axis=0)


def widened(draws: np.ndarray, estimates: np.ndarray, clusters: int) -> np.ndarray:
    """Return resamples spread as Student's t is for so few clusters: a bootstrap of few clusters varies too little."""
    wide = sqrt(clusters / (clusters - 1)) * student_critical(clusters - 1, LEVEL) / student_critical(inf, LEVEL)
    return estimates + wide * (draws - estimates)


def _called(effect: Effect, units: str) -> Effect:
    return replace(effect, method=effect.method.replace("units", units))


def long_table(answers: Sequence[Answer], units: pl.Series, values: Sequence[np.ndarray]) -> pl.DataFrame:
    """Return the rows of answers as `Matrix.of` reads them.

    Args:
        answers: Of models, datasets and seeds.
        units: Which all of them have.
        values: Of each answer its units', shape (units,).
    """
    labels = pl.DataFrame([(each.model, each.dataset, each.seed) for each in answers], schema=NAMED, orient="row")
    rows = labels[np.repeat(np.arange(len(answers)), len(units))]
    names = pl.concat([units.cast(pl.String)] * len(answers))
    return rows.with_columns(names.alias("unit"), pl.Series("value", np.concatenate(values), pl.Float64))


def by_dataset(answers: Sequence[Answer], table: Callable[[list[Answer]], pl.DataFrame]) -> Matrix:
    """Return the values of units over all datasets, each of whose answers `table` makes rows of, as of `long_table`."""
    names = dict.fromkeys(answer.dataset for answer in answers)
    return Matrix.of(pl.concat([table([answer for answer in answers if answer.dataset == name]) for name in names]))


def compared_metric(metric: str, known: Iterable[str], what: str) -> str:
    """Return the short name of a metric that models may be compared by.

    Args:
        metric: Its name.
        known: The short names of those that can be.
        what: What is compared, in the plural.

    Raises:
        ConfigError: It is none of them, with the nearest one.
    """
    short, names = metric.partition("[")[0], list(known)
    if short not in names:
        raise ConfigError(f"--metric: {what} cannot be compared by '{metric}'{nearest(short, names)}")
    return short
