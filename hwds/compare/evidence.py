"""Evidence: what is known of models, whatever their task, for comparisons to be made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Protocol

import numpy as np
import polars as pl

from hwds.compare.answers import Answer
from hwds.compare.contrasts import Pair, Scale, contrasts
from hwds.compare.laws import Effect, Law, student_critical
from hwds.compare.matrix import Matrix
from hwds.compare.seeds import seeded_effect
from hwds.compare.spread import LEVEL, MOST_CLUSTERS, drawn, over_units, resampled, unit_effects
from hwds.seeds import stream

ENOUGH_DATASETS = 5
"""Data sets from which on they, and not units, are the blocks of ranks (Demsar 2006)."""

NAMED = {"model": pl.String, "dataset": pl.String, "seed": pl.Int64}
"""What is said of an answer beside its units and values."""

SEEDED_SHARE = 8
"""A bootstrap of units and seeds draws so many times less often: each draw costs an analysis of variance."""


class Evidence(Protocol):
    """What comparisons ask of a task's evidence; models are numbered as in `models`."""

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
        """How much better the first of each pair is."""

    def unit_values(self) -> np.ndarray | None:
        """Values of units, shape (units, models); None where the metric is not one of units."""

    def blocks(self) -> tuple[np.ndarray, str]:
        """Values to rank models by, shape (blocks, models), and what the blocks are."""

    def draws(self) -> np.ndarray | None:
        """Metrics in bootstrap resamples as shares of what all models have on average, shape (resamples, models)."""


@dataclass(frozen=True, eq=False)
class UnitEvidence:
    """Evidence of a metric that is a mean over units (series, replications).

    Attributes:
        matrix: The values.
        units_called: What a unit is.
        resamples: Of each bootstrap.
    """

    matrix: Matrix
    units_called: str
    resamples: int

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
        """The standard error of each model's mean over all datasets, the units of each drawn anew, shape (models,)."""
        if min(map(len, self.matrix.strata)) < 2:
            return np.full(len(self.models), np.nan)
        return np.sqrt(over_units(self.matrix.units, self.matrix.strata).units[0])

    def effects(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """How much better the first of each pair is: over units, and over seeds where there are several."""
        strata, luck = self.matrix.strata, stream(0, "compare", "units")
        if min(map(len, strata)) < 2:
            return self._over_datasets(pairs, scale)
        one_seed = self.matrix.values.shape[1] == 1
        counts = drawn(strata, self.resamples, luck) if one_seed else None
        each = max(self.resamples // SEEDED_SHARE, 100)
        found: list[Effect] = []
        for begin in range(0, len(pairs), 50):  # so many at once fit into memory
            values = contrasts(self.matrix, pairs[begin : begin + 50], scale)
            if one_seed:
                found += unit_effects(values[:, 0], strata, counts)
            else:
                found += [seeded_effect(values[..., i], strata, each, luck) for i in range(values.shape[2])]
        return [_called(effect, self.units_called) for effect in found]

    def _over_datasets(self, pairs: Sequence[Pair], scale: Scale) -> list[Effect]:
        """Where a dataset has one unit alone, datasets are what is averaged over."""
        means = self.means
        values = np.stack([scale.between(means[:, first], means[:, second]) for first, second in pairs], axis=1)
        if len(values) < 2:
            return [Effect(float(value), None, Law(), f"one of {self.units_called}: no error", 1) for value in values[0]]
        alone = [np.arange(len(values))]
        effects = unit_effects(values, alone, drawn(alone, self.resamples, stream(0, "compare", "datasets")))
        return [_called(effect, "datasets") for effect in effects]

    def unit_values(self) -> np.ndarray | None:
        """Values averaged over seeds, shape (units, models)."""
        return self.matrix.units

    def blocks(self) -> tuple[np.ndarray, str]:
        """The means of datasets where there are enough of them, the values of units otherwise."""
        if len(self.matrix.datasets) >= ENOUGH_DATASETS:
            return self.means, "datasets"
        return self.matrix.units, self.units_called

    def draws(self) -> np.ndarray | None:
        """Mean shares in bootstrap resamples of units, shape (resamples, models); None where units are too few."""
        strata, n = self.matrix.strata, len(self.matrix.dataset)
        if min(map(len, strata)) < 2 or n > MOST_CLUSTERS:
            return None
        shares = self.matrix.units / self.means.mean(axis=1)[self.matrix.dataset][:, None]
        counts = resampled(strata, n, self.resamples, stream(0, "compare", "set"))
        return widened(over_units(shares, strata, counts).mean, shares_of(self.means), min(map(len, strata)))


def shares_of(means: np.ndarray) -> np.ndarray:
    """What each model has of the mean of all models, averaged over datasets, shape (models,)."""
    return (means / means.mean(axis=1, keepdims=True)).mean(axis=0)


def widened(draws: np.ndarray, found: np.ndarray, clusters: int) -> np.ndarray:
    """Resamples as far from what was found as Student's t is wide for so few clusters: a bootstrap of few varies too little."""
    wide = sqrt(clusters / (clusters - 1)) * student_critical(clusters - 1, LEVEL) / student_critical(inf, LEVEL)
    return found + wide * (draws - found)


def _called(effect: Effect, units: str) -> Effect:
    return replace(effect, method=effect.method.replace("units", units))


def long_table(answers: Sequence[Answer], units: pl.Series, values: Sequence[np.ndarray]) -> pl.DataFrame:
    """The rows of answers as `Matrix.of` reads them.

    Args:
        answers: Of models, datasets and seeds.
        units: Which all of them have.
        values: Of each answer its units', shape (units,).
    """
    named = pl.DataFrame([(each.model, each.dataset, each.seed) for each in answers], schema=NAMED, orient="row")
    rows = named[np.repeat(np.arange(len(answers)), len(units))]
    told = pl.concat([units.cast(pl.String)] * len(answers))
    return rows.with_columns(told.alias("unit"), pl.Series("value", np.concatenate(values), pl.Float64))
