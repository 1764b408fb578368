"""Split-conformal quantiles: how far actuals lay from the median, in units of each forecast's own
reach, pooled over series.

Vovk, Gammerman and Shafer (2005), "Algorithmic learning in a random world"; Lei et al. (2018),
"Distribution-free predictive inference for regression"; scaled by the model's own quantiles as in
Romano, Patterson and Candès (2019), "Conformalized quantile regression", and Sesia and Candès
(2020), "A comparison of some conformal quantile regression methods" (CQR-r). The errors of a window
share its shocks, so that coverage holds on the average over windows, not in each; every run reports
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from hwds.core.serialization import Serializable

LEAST_ROWS = 200
"""Rows that a step is calibrated on; with fewer it borrows those of farther steps, as many on
either side.
"""

NEXT_STEPS = 1
"""Steps on either side that are always borrowed from: errors of one step alone are those of a few
instants.
"""

FEW_ROWS = 50
"""Rows below which open or closed intervals take the factors of the others."""

KINDS = 4
"""Kinds of intervals: open, closed (see `Bands.are_closed`), and both for series without a scale:
those have another unit.
"""

TINY = 1e-6
"""A reach below so much of the series' scale is none."""


@dataclass(frozen=True, eq=False)
class Bands:
    """Quantile forecasts of rows.

    Attributes:
        levels: Quantile levels, rising, shape (levels,).
        quantiles: The quantiles, shape (rows, levels), rising.
        median: The medians, shape (rows,).
        scale: The series' seasonal scale, NaN where it has none.
        step: 1-based, shape (rows,).
        nonnegative: Rows of series that were never below zero.
    """

    levels: ndarray
    quantiles: ndarray
    median: ndarray
    scale: ndarray
    step: ndarray
    nonnegative: ndarray

    def take(self, rows: ndarray) -> Bands:
        """Return some of the rows."""
        parts = (self.quantiles, self.median, self.scale, self.step, self.nonnegative)
        return Bands(self.levels, *(part[rows] for part in parts))

    def followed_by(self, later: Bands) -> Bands:
        """Return these rows followed by others of the same levels."""
        names = ("quantiles", "median", "scale", "step", "nonnegative")
        return Bands(
            self.levels,
            *(np.concatenate([getattr(self, name), getattr(later, name)]) for name in names),
        )

    @property
    def distance(self) -> ndarray:
        """The distance of each quantile from the median, shape (rows, levels)."""
        return np.abs(self.quantiles - self.median[:, None])

    def reach(self) -> ndarray:
        """Return the unit of errors: the geometric mean of the quantile's distance from the median
        and of the series' scale.

        The scale alone where there is no distance, the distance alone where there is no scale, NaN
        without either.
        """
        distance, scale = self.distance, np.broadcast_to(self.scale[:, None], self.quantiles.shape)
        both = np.sqrt(distance * np.where(scale > 0, scale, distance))
        return np.where(distance > TINY * np.nan_to_num(scale), both, scale)

    def lower(self) -> ndarray:
        """Return the lower end of each level's central interval, shape (rows, levels)."""
        return self.median[:, None] - self.distance[:, mirrors(self.levels)[0]]

    def are_closed(self) -> ndarray:
        """Return intervals that nothing lies below: their lower end is at or below zero, and the
        series never was below it.
        """
        return self.nonnegative[:, None] & (self.lower() <= 0)

    def kind(self) -> ndarray:
        """Return the number of each interval's kind, shape (rows, levels)."""
        return self.are_closed() + 2 * ~(self.scale > 0)[:, None]

    def scores(self, actual: ndarray) -> ndarray:
        """Return the errors in units of `reach` on their side.

        Signed for closed intervals, where only one side counts.
        """
        low, high = mirrors(self.levels)
        reach, error = self.reach(), (actual - self.median)[:, None]
        two_sided = np.abs(error) / np.where(error < 0, reach[:, low], reach[:, high])
        return np.where(self.are_closed(), error / reach[:, high], two_sided)


@dataclass(frozen=True, eq=False)
class ConformalCalibration(Serializable):
    """The shift of each quantile from the median, in units of `Bands.reach`.

    Both ends of a central interval have the same factor, and so keep the model's own asymmetry:
    which side the errors of a few windows fell on is chance in those windows more than a property
    of the model.

    Attributes:
        levels: Quantile levels, rising.
        steps: The steps that were calibrated, rising, shape (steps,).
        factors: The factor of each kind of interval, shape (KINDS, steps, levels); NaN where
            nothing could be learned.
        short: Whether the pool was too small for the level's rank, so that `factors` has its
            extreme; the same shape.
    """

    levels: tuple[float, ...]
    steps: ndarray
    factors: ndarray
    short: ndarray

    @classmethod
    def learn(
        cls, bands: Bands, actual: ndarray, steps: ndarray, shares: ndarray | None = None
    ) -> ConformalCalibration:
        """Return the calibration by pooled quantiles of scores by step.

        Args:
            bands: The model's own quantiles of past rows.
            actual: What happened, NaN where unknown.
            steps: The steps to answer for, rising; none where nothing is to be learned.
            shares: The share of the scores that is to lie within, shape (KINDS, steps, levels);
                None takes `nominal`.
        """
        aims = nominal(bands.levels, len(steps)) if shares is None else shares
        factors, short = np.full(aims.shape, np.nan), np.zeros(aims.shape, bool)
        scores, kinds = bands.scores(actual), bands.kind()
        for j in np.flatnonzero(bands.levels != 0.5):
            members = [(kinds[:, j] == kind) & ~np.isnan(scores[:, j]) for kind in range(KINDS)]
            pools = [(scores[rows, j], bands.step[rows]) for rows in members]
            for kind in range(KINDS):
                # a kind with few rows of its own takes the factors of the other
                other = kind ^ 1  # the closed ones of the open
                took = kind if len(pools[kind][0]) >= min(FEW_ROWS, len(pools[other][0])) else other
                for i, at in enumerate(steps):
                    pool, step = pools[took]
                    near = pool[np.abs(step - at) <= steps_borrowed(step, int(at))]
                    factors[kind, i, j], short[kind, i, j] = order_statistic(
                        np.sort(near), float(aims[took, i, j])
                    )
        return cls(tuple(bands.levels.tolist()), steps, factors, short)

    @classmethod
    def nothing(cls, levels: Sequence[float]) -> ConformalCalibration:
        """Return the calibration of no rows, which corrects nothing."""
        none = np.zeros((KINDS, 0, len(levels)))
        return cls(tuple(levels), np.zeros(0, np.int64), none, none.astype(bool))

    def correct(self, bands: Bands) -> tuple[ndarray, ndarray]:
        """Return corrected quantiles, and the rows that have them.

        Other rows, and every median, stay as they are.

        An end that nothing lies below stays; a side never crosses the median, its quantiles are
        sorted, and none is below zero where the series never was.
        """
        if not len(self.steps):
            return bands.quantiles, np.zeros(len(bands.step), bool)
        place = np.minimum(np.searchsorted(self.steps, bands.step), len(self.steps) - 1)
        kind = bands.kind()
        at = kind, place[:, None], np.arange(len(bands.levels))
        side = np.sign(bands.levels - 0.5)
        offset = self.factors[at] * bands.reach()
        # the extreme of too small a pool may widen an interval, never narrow it
        offset = np.where(self.short[at], np.maximum(offset, bands.distance), offset)
        stays = (side == 0) | (bands.are_closed() & (side < 0))
        moved = np.where(stays, bands.quantiles, bands.median[:, None] + side * offset)
        done = (self.steps[place] == bands.step) & ~np.isnan(moved).any(axis=1)
        return np.where(done[:, None], order_quantiles(moved, bands), bands.quantiles), done


def mirrors(levels: ndarray) -> tuple[ndarray, ndarray]:
    """Return the positions of the ends of each level's central interval.

    A level without a mirror is both of its ends.
    """
    places = np.arange(len(levels))
    off_mirror = np.abs(levels[:, None] + levels - 1)
    other = np.where(off_mirror.min(axis=1) < 1e-9, off_mirror.argmin(axis=1), places)
    return np.minimum(places, other), np.maximum(places, other)


def nominal(levels: ndarray, steps: int) -> ndarray:
    """Return the nominal share of scores within each level, shape (KINDS, steps, levels).

    Of open intervals between their ends.

    Of closed ones, which nothing lies below, it is that below the upper end.
    """
    shares = np.stack([np.abs(2 * levels - 1), np.maximum(levels, 1 - levels)] * 2)
    return np.repeat(shares[:, None], steps, axis=1)


def steps_borrowed(step: ndarray, at: int, least: int = LEAST_ROWS) -> int:
    """Return how many steps away rows are taken from: `NEXT_STEPS`, or more until there are enough,
    or all.
    """
    there, counts = np.unique(step, return_counts=True)
    away, place = np.unique(np.abs(there - at), return_inverse=True)
    rows = np.cumsum(np.bincount(place, counts))
    return (
        max(NEXT_STEPS, int(away[min(int(np.searchsorted(rows, least)), len(away) - 1)]))
        if len(away)
        else NEXT_STEPS
    )


def order_statistic(ordered: ndarray, share: float) -> tuple[float, bool]:
    """Return the order statistic of rank ceil((n + 1) share), within which a new score lies with
    probability `share` or more.

    Where that is no rank, the extreme answers, and is marked unless every score is zero: exact
    forecasts have no width.

    Args:
        ordered: Rising scores, shape (n,).
        share: The share of scores that is to lie within.
    """
    n = len(ordered)
    if not n:
        return np.nan, False
    rank = int(np.ceil(round((n + 1) * share, 9)))  # .1 * 30 is not above 3
    return float(ordered[min(max(rank, 1), n) - 1]), bool(rank > n and ordered.any())


def order_quantiles(quantiles: ndarray, bands: Bands) -> ndarray:
    """Return quantiles on their side of the median, sorted, and not below zero where the series
    never was.
    """
    median = bands.median[:, None]
    least = np.where(bands.nonnegative[:, None], np.minimum(median, 0.0), -np.inf)
    bounded = np.maximum(quantiles, least)
    low, high = bands.levels < 0.5, bands.levels > 0.5
    bounded[:, low] = np.sort(np.minimum(bounded[:, low], median), axis=1)
    bounded[:, high] = np.sort(np.maximum(bounded[:, high], median), axis=1)
    return bounded
