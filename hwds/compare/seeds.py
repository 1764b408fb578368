"""Units and seeds as two levels of chance: which units were sampled, and how the training was seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hwds.statistics.reference_distribution import Effect, ReferenceDistribution, student_critical
from hwds.statistics.standard_errors import LEAST_CLUSTERS, LEAST_SEEDS, LEVEL, over_units


@dataclass(frozen=True, slots=True)
class Levels:
    """The variance of a mean over units and seeds, by where it is from.

    Attributes:
        mean: Over both.
        units, seeds, both: Variances of units, of seeds, and of the interaction of both that is part of the latter.
        df: Of the first two and of the last.
    """

    mean: float
    units: float
    seeds: float
    both: float
    df: tuple[float, float, float]

    @property
    def variance(self) -> float:
        """The variance of the mean if units and seeds were drawn anew: crossed random effects, none of them below 0."""
        return self.units + max(self.seeds - self.both, 0.0)

    @property
    def freedom(self) -> float:
        """Degrees of freedom (Satterthwaite 1946)."""
        parts = (self.units, self.seeds, self.both) if self.seeds > self.both else (self.units, 0.0, 0.0)
        inner = sum(part**2 / df for part, df in zip(parts, self.df, strict=True))
        return max(self.variance**2 / inner, 1.0) if inner > 0 else 1.0


def levels(values: np.ndarray, strata: Sequence[np.ndarray]) -> Levels:
    """Return the analysis of variance of values with a unit and a seed (two-way, one value a cell).

    Searle, Casella and McCulloch (1992), Variance Components, 4.3.

    Args:
        values: Whose mean is the effect, shape (units, seeds).
        strata: The units of each dataset.
    """
    count = values.shape[1]
    units = over_units(values.mean(axis=1, keepdims=True), strata)
    by_seed = np.mean([values[rows].mean(axis=0) for rows in strata], axis=0)
    share, both, inner = 1 / len(strata), 0.0, 0.0
    for rows in strata:
        block = values[rows]
        rest = block - block.mean(axis=0) - block.mean(axis=1, keepdims=True) + block.mean()
        freedom = (len(rows) - 1) * (count - 1)
        part = share**2 * float(np.square(rest).sum()) / freedom / (len(rows) * count)
        both, inner = both + part, inner + part**2 / freedom
    df = (float(units.df[0, 0]), count - 1.0, both**2 / inner if inner > 0 else 1.0)
    return Levels(float(units.mean[0, 0]), float(units.units[0, 0]), float(np.var(by_seed, ddof=1)) / count, both, df)


def seeded_effect(values: np.ndarray, strata: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> Effect:
    """Return the effect over units and seeds: a studentised bootstrap of both levels, or Student's t where either is few.

    Units and seeds are drawn apart and crossed (the pigeonhole bootstrap, Owen 2007): a seed has the same effect on all units.

    Args:
        values: Shape (units, seeds), two seeds at least.
        strata: The units of each dataset, two at least.
        resamples: Of the bootstrap.
        rng: The generator of the resamples.
    """
    observed, n = levels(values, strata), len(values)
    distribution, method = ReferenceDistribution(observed.freedom), "t over units and seeds"
    if min(map(len, strata)) >= LEAST_CLUSTERS and values.shape[1] >= LEAST_SEEDS:
        distribution, method = (
            ReferenceDistribution(observed.freedom, _stretch(values, strata, observed, resamples, rng)),
            "bootstrap over units and seeds",
        )
    return Effect(observed.mean, float(np.sqrt(observed.variance)), distribution, method, n)


def _stretch(
    values: np.ndarray, strata: Sequence[np.ndarray], observed: Levels, resamples: int, rng: np.random.Generator
) -> float:
    """Return the 95 % point of the bootstrap's |t| over that of Student's t; never less than 1."""
    seeds, t = values.shape[1], []
    for _ in range(resamples):
        seed_draws = rng.integers(0, seeds, seeds)
        rows = np.concatenate([stratum[rng.integers(0, len(stratum), len(stratum))] for stratum in strata])
        ends = np.cumsum([0, *map(len, strata)])
        again = levels(values[rows][:, seed_draws], [np.arange(a, b) for a, b in pairwise(ends)])
        if again.variance > 0:
            t.append(abs(again.mean - observed.mean) / again.variance**0.5)
    return max(float(np.quantile(t, LEVEL)) / student_critical(observed.freedom, LEVEL), 1.0) if t else 1.0
