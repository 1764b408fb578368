"""Scores of predicted lives: errors, probabilities and order, with intervals over machines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hwds.evaluation.score import Score
from hwds.frames.run_checks import ENTITY
from hwds.lifetime.laws.lives import LEVELS
from hwds.lifetime.metrics.measures import ALPHA, HALF, TEST, LifeTerms
from hwds.lifetime.metrics.survival import brier_rows, concordant_pairs
from hwds.statistics.aggregate import Estimate
from hwds.statistics.cluster_bootstrap import ClusterBootstrap

QUANTILES = [f"q_{level:g}" for level in LEVELS]
"""The columns of quantiles."""

LEAST = 2
"""The fewest machines of a score."""


def life_scores(rows: pl.DataFrame, terms: LifeTerms) -> list[Score]:
    """Return the scores of predictions.

    Args:
        rows: `entity`, `age`, `predicted`, `q_...`; `actual`, the remaining life, null where it is not known; `seen`, how long
            the machine was seen to last, and `failed`, whether it failed then.
        terms: The cap and the resamples.
    """
    if rows.is_empty() or rows[ENTITY].n_unique() < LEAST:
        return []
    lives = ScoredLives(rows, terms)
    return [*lives.points(), *lives.laws(), *lives.orders()]


def official_scores(rows: pl.DataFrame, terms: LifeTerms) -> list[Score]:
    """Return the scores of the official test: one prediction a machine; NASA's score is a sum, as it is published."""
    if rows.is_empty():
        return []
    lives = ScoredLives(rows, terms)
    return [_named(f"{TEST}{score.metric}", score) for score in (*lives.points(total=True), *lives.laws(halves=False))]


class ScoredLives:
    """The predictions of one model.

    Args:
        rows: See `life_scores`.
        terms: The cap and the resamples.
    """

    def __init__(self, rows: pl.DataFrame, terms: LifeTerms) -> None:
        self.terms = terms
        _, machine = np.unique(rows[ENTITY].to_numpy(), return_inverse=True)
        self.machine = machine
        self.bootstrap = ClusterBootstrap(machine, terms.resamples, "machines")
        self.age, self.point = rows["age"].to_numpy(), rows["predicted"].to_numpy()
        self.quantiles = rows.select(QUANTILES).to_numpy()
        self.actual = rows["actual"].cast(pl.Float64).to_numpy()
        self.seen, self.failed = rows["seen"].to_numpy(), rows["failed"].to_numpy()
        self.ones = np.ones(len(rows))
        self.capped = np.minimum(self.actual, terms.cap)
        self.error = np.minimum(self.point, terms.cap) - self.capped

    def points(self, *, total: bool = False) -> Iterator[Score]:
        """Yield the errors of points; with `total` NASA's score as a sum."""
        cap = f"[cap={self.terms.cap:g}]"
        late = self.error >= 0
        nasa = np.expm1(np.where(late, self.error / 10, -self.error / 13))
        yield _score(f"rmse_capped{cap}", self.bootstrap.ratio(self.error**2, self.ones, root=True))
        yield _score("rmse_uncapped", self.bootstrap.ratio((self.point - self.actual) ** 2, self.ones, root=True))
        yield _score(f"nasa_score{cap}", self.bootstrap.ratio(nasa, self.ones, total=total))
        if total:
            return
        yield _score(f"bias_capped{cap}", self.bootstrap.ratio(self.error, self.ones))
        second = np.where(np.isnan(self.actual), np.nan, (self.life >= 0.5).astype(float))
        near = np.abs(self.point - self.actual) <= ALPHA * self.actual
        yield _score(f"alpha_lambda[{ALPHA:g}]", self.bootstrap.ratio(near * second, second))

    def laws(self, *, halves: bool = True) -> Iterator[Score]:
        """Yield the scores of quantiles."""
        crps, unknown = self.crps(), np.isnan(self.actual)
        low, high = self.quantiles[:, 0], self.quantiles[:, -1]
        inside = np.where(unknown, np.nan, ((self.actual >= low) & (self.actual <= high)).astype(float))
        yield _score("crps[19]", self.bootstrap.ratio(crps, self.ones))
        if halves:
            half = np.where(unknown, np.nan, ((self.life >= HALF[0]) & (self.life <= HALF[1])).astype(float))
            yield _score("crps_half_life[19]", self.bootstrap.ratio(crps * half, half))
        yield _score("coverage[0.9]", self.bootstrap.ratio(inside, self.ones))
        yield _score("width[0.9]", self.bootstrap.ratio(high - low, self.ones))

    def orders(self) -> Iterator[Score]:
        """Yield concordance and the integrated Brier score, in which censored lives count too."""
        top, bottom = concordant_pairs(self.point, self.seen, self.failed, self.machine)
        yield _score("concordance", self.bootstrap.pairs(top, bottom, 0))
        brier = brier_rows(self.quantiles, self.seen, self.failed, self.terms.cap)
        yield _score(f"integrated_brier[cap={self.terms.cap:g}]", self.bootstrap.ratio(brier, self.ones))

    @property
    def life(self) -> np.ndarray:
        """The part of its life that each machine has behind it, NaN where its end is not known."""
        return self.age / (self.age + self.actual)

    def crps(self) -> np.ndarray:
        """Return twice the mean pinball loss of the quantiles (Gneiting and Ranjan 2011), shape (n,)."""
        gap = self.actual[:, None] - self.quantiles
        return 2 * np.maximum(LEVELS * gap, (LEVELS - 1) * gap).mean(axis=1)


def _score(name: str, estimate: Estimate) -> Score:
    return Score.of(name, "mean", estimate)


def _named(name: str, score: Score) -> Score:
    return Score(**{field: getattr(score, field) for field in Score.__slots__} | {"metric": name})
