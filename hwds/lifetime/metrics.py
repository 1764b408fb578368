"""Metrics of predicted lives: errors, order and chance to last, with intervals over machines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.settings import read_beside
from hwds.evaluation.protocol import Score
from hwds.frames.runs import ENTITY, Runs
from hwds.lifetime.laws import LIFE_LEVELS, Lives, survival_at
from hwds.results.tables import Measure
from hwds.stats.distributions import kaplan_meier
from hwds.stats.estimates import ClusterBootstrap, Estimate

# The metrics of remaining lives, and what each of them means.

ALPHA_SHARE = 0.2
"""The part of the remaining life that a point may be off, for alpha-lambda."""

HALF_LIFE = (0.4, 0.6)
"""The part of a life that is its half, for scores at half life."""

TEST_PREFIX = "test_"
"""The prefix of scores of the official test."""


@dataclass(frozen=True)
class LifeTerms:
    """The settings of the scores.

    Attributes:
        cap: Of points and of the lives that they are held against.
        resamples: The number of resamples of the bootstrap over machines.
        unit: What lives are counted in.
    """

    cap: float
    resamples: int
    unit: str = "cycles"


def life_measures(terms: LifeTerms, *, test: bool = False) -> tuple[Measure, ...]:
    """Return the metrics of predicted lives.

    Args:
        terms: The cap and the unit.
        test: Whether those of the official test stand beside; they order no model.
    """
    own = Measure.filled(
        read_beside(__file__, "metrics.yaml"),
        units="predictions",
        unit=terms.unit,
        cap=f"{terms.cap:g}",
        share=f"{ALPHA_SHARE:g}",
        percent=f"{100 * ALPHA_SHARE:.0f} %",
    )
    if not test:
        return own
    reported = {"rmse_capped", "rmse_uncapped", "nasa_score", "crps", "coverage", "width"}
    tested = [
        replace(
            each,
            name=f"{TEST_PREFIX}{each.name}",
            meaning=f"of the official test: "
            f"{each.meaning.replace('on the average of predictions', 'summed over machines')}",
            better="none",
            beside="page",
        )
        for each in own
        if each.short in reported
    ]
    return (*own, *tested)


# Scores of lives that censored machines count in: the order of failures, and the chance to
# last.

BRIER_TIMES = 25
"""The times, evenly spread up to the cap, over which the Brier score is averaged."""


def concordant_pairs(
    point: ndarray, seen: ndarray, failed: ndarray, machine: ndarray
) -> tuple[ndarray, ndarray]:
    """Return the concordant and the comparable pairs of predictions, summed by machine.

    Shapes (machines, machines).

    A pair counts where one failed before the other was last seen (Harrell et al. 1982); equal
    points count one half. Two predictions of one machine are no pair.

    Args:
        point: The point of the remaining life, shape (n,).
        seen: How long each lasted on.
        failed: Whether it failed then.
        machine: The number of its machine, from 0.
    """
    machines = int(machine.max()) + 1
    top, bottom = np.zeros((machines, machines)), np.zeros((machines, machines))
    for row in np.flatnonzero(failed):
        later = ((seen > seen[row]) | ((seen == seen[row]) & ~failed)) & (machine != machine[row])
        right = np.where(point > point[row], 1.0, np.where(point == point[row], 0.5, 0.0))
        top[machine[row]] += np.bincount(machine[later], right[later], machines)
        bottom[machine[row]] += np.bincount(machine[later], minlength=machines)
    return top, bottom


def brier_rows(quantiles: ndarray, seen: ndarray, failed: ndarray, cap: float) -> ndarray:
    """Return each row's mean squared error of the chance to last, over times up to the cap, shape
    (n,).

    Rows are weighted by the inverse of the chance not to be censored by then (Graf et al. 1999).
    Failures at a time leave before the censorings at it, for which they are no longer at risk.

    Args:
        quantiles: The quantiles of the remaining life, shape (n, levels).
        seen: How long each lasted on.
        failed: Whether it failed then.
        cap: The last time.
    """
    times = np.linspace(0, cap, BRIER_TIMES + 1)[1:]
    lasts = survival_at(quantiles, times)
    ends, share = kaplan_meier(seen, ~failed, np.ones(len(seen)), events_first=False)

    def uncensored(at: ndarray) -> ndarray:
        return np.append(1.0, share)[np.searchsorted(ends, at, side="right")]

    gone = (seen[:, None] <= times) & failed[:, None]
    there = seen[:, None] > times
    floor = 1e-3
    lost = gone * lasts**2 / np.maximum(uncensored(seen - 1e-9), floor)[:, None]
    kept = there * (1 - lasts) ** 2 / np.maximum(uncensored(times), floor)
    return (lost + kept).mean(axis=1)


# Scores of predicted lives: errors, probabilities and order, with intervals over machines.

QUANTILE_COLUMNS = [f"q_{level:g}" for level in LIFE_LEVELS]
"""The columns of quantiles."""

LEAST_MACHINES = 2
"""The fewest machines of a score."""


def life_scores(rows: DataFrame, terms: LifeTerms) -> list[Score]:
    """Return the scores of predictions.

    Args:
        rows: `entity`, `age`, `predicted`, `q_...`; `actual`, the remaining life, null where it is
            not known; `seen`, how long the machine was seen to last, and `failed`, whether it
            failed then.
        terms: The cap and the resamples.
    """
    if rows.is_empty() or rows[ENTITY].n_unique() < LEAST_MACHINES:
        return []
    lives = ScoredLives(rows, terms)
    estimates = lives.points() | lives.laws() | lives.orders()
    return [Score.of(name, "mean", estimate) for name, estimate in estimates.items()]


def official_scores(rows: DataFrame, terms: LifeTerms) -> list[Score]:
    """Return the scores of the official test: one prediction a machine.

    NASA's score is a sum, as it is published.
    """
    if rows.is_empty():
        return []
    lives = ScoredLives(rows, terms)
    estimates = lives.points(total=True) | lives.laws(halves=False)
    return [
        Score.of(f"{TEST_PREFIX}{name}", "mean", estimate) for name, estimate in estimates.items()
    ]


class ScoredLives:
    """The predictions of one model.

    Args:
        rows: See `life_scores`.
        terms: The cap and the resamples.
    """

    def __init__(self, rows: DataFrame, terms: LifeTerms) -> None:
        self.terms = terms
        self.machine = np.unique(rows[ENTITY].to_numpy(), return_inverse=True)[1]
        self.bootstrap = ClusterBootstrap(self.machine, terms.resamples, "machines")
        self.age, self.point = rows["age"].to_numpy(), rows["predicted"].to_numpy()
        self.quantiles = rows.select(QUANTILE_COLUMNS).to_numpy()
        self.actual = rows["actual"].cast(pl.Float64).to_numpy()
        self.seen, self.failed = rows["seen"].to_numpy(), rows["failed"].to_numpy()
        self.ones = np.ones(len(rows))
        self.capped = np.minimum(self.actual, terms.cap)
        self.error = np.minimum(self.point, terms.cap) - self.capped

    def points(self, *, total: bool = False) -> dict[str, Estimate]:
        """Return the errors of points; with `total` NASA's score as a sum."""
        cap, ratio = f"[cap={self.terms.cap:g}]", self.bootstrap.ratio
        late = self.error >= 0
        nasa = np.expm1(np.where(late, self.error / 10, -self.error / 13))
        errors = {
            f"rmse_capped{cap}": ratio(self.error**2, self.ones, root=True),
            "rmse_uncapped": ratio((self.point - self.actual) ** 2, self.ones, root=True),
            f"nasa_score{cap}": ratio(nasa, self.ones, total=total),
        }
        if total:
            return errors
        second = self.known(self.life >= 0.5)
        near = np.abs(self.point - self.actual) <= ALPHA_SHARE * self.actual
        return errors | {
            f"bias_capped{cap}": ratio(self.error, self.ones),
            f"alpha_lambda[{ALPHA_SHARE:g}]": ratio(near * second, second),
        }

    def laws(self, *, halves: bool = True) -> dict[str, Estimate]:
        """Return the scores of quantiles."""
        crps, ratio = crps_of_lives(self.actual, self.quantiles), self.bootstrap.ratio
        low, high = self.quantiles[:, 0], self.quantiles[:, -1]
        inside = self.known((self.actual >= low) & (self.actual <= high))
        scores = {"crps[19]": ratio(crps, self.ones)}
        if halves:
            half = self.known((self.life >= HALF_LIFE[0]) & (self.life <= HALF_LIFE[1]))
            scores["crps_half_life[19]"] = ratio(crps * half, half)
        scores["coverage[0.9]"] = ratio(inside, self.ones)
        return scores | {"width[0.9]": ratio(high - low, self.ones)}

    def orders(self) -> dict[str, Estimate]:
        """Return concordance and the integrated Brier score, in which censored lives count too."""
        top, bottom = concordant_pairs(self.point, self.seen, self.failed, self.machine)
        brier = brier_rows(self.quantiles, self.seen, self.failed, self.terms.cap)
        return {
            "concordance": self.bootstrap.pairs(top, bottom, 0),
            f"integrated_brier[cap={self.terms.cap:g}]": self.bootstrap.ratio(brier, self.ones),
        }

    def known(self, holds: ndarray) -> ndarray:
        """Return 1 where something holds and 0 where not, NaN where the life is not known."""
        return np.where(np.isnan(self.actual), np.nan, holds.astype(float))

    @property
    def life(self) -> ndarray:
        """The part of its life that each machine has behind it, NaN where its end is not known."""
        return self.age / (self.age + self.actual)


def crps_of_lives(actual: ndarray, quantiles: ndarray) -> ndarray:
    """Return twice the mean pinball loss of the quantiles (Gneiting and Ranjan 2011), shape (n,).

    Args:
        actual: The remaining lives, shape (n,).
        quantiles: The quantiles of `LIFE_LEVELS`, shape (n, levels).
    """
    gap = actual[:, None] - quantiles
    return 2 * np.maximum(LIFE_LEVELS * gap, (LIFE_LEVELS - 1) * gap).mean(axis=1)


# The rows of predicted lives, with what came of them.

PREDICTED = ["predicted", *QUANTILE_COLUMNS]
"""The columns that a model says."""


def prediction_rows(lives: Lives, asked: Runs, frame: Runs, part: str, cut: int) -> DataFrame:
    """Return a row for each predicted run.

    Args:
        lives: What the model says.
        asked: The runs up to the cut.
        frame: The whole runs, for what came of them.
        part: `kfold`, `review` or `test`.
        cut: The number of the cut.
    """
    ends = asked.ends.select(ENTITY, "age").join(
        frame.ends.select(ENTITY, pl.col("age").alias("end"), "event", "remaining"),
        ENTITY,
        "left",
        maintain_order="left",
    )
    seen = (ends["end"] - ends["age"]).to_numpy()
    beyond = ends["remaining"].cast(pl.Float64).to_numpy()
    failed = np.isfinite(beyond)
    return DataFrame(
        {
            "part": Series([part] * asked.n),
            ENTITY: ends[ENTITY],
            "cut": Series(np.full(asked.n, cut, np.int32)),
            "age": ends["age"],
            "predicted": lives.point,
            **{name: lives.quantiles[:, place] for place, name in enumerate(QUANTILE_COLUMNS)},
            "actual": Series(np.where(failed, seen + beyond, np.nan), nan_to_null=True),
            "seen": np.where(failed, seen + np.nan_to_num(beyond), seen),
            "failed": failed,
        }
    )
