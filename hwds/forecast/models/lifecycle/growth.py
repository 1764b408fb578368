"""Growth curves of cumulative sales, fitted to each past launch and pooled by what launches have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hwds.core.recipe import Recipe
from hwds.forecast.models.lifecycle.pooling import Pooled
from hwds.forecast.models.lifecycle.rows import LaunchRows
from hwds.forecast.models.lifecycle.terms import Block

Curve = Literal["analog", "bass", "gompertz"]

BEGIN = {"bass": (-4.0, -2.0), "gompertz": (1.5, -2.5)}
"""The logs of p and q, or of b and c, from which a fit begins."""

APART = 0.5
"""The standard deviation that logs of the parameters are believed to have between launches."""

SHARED = 2.0
"""Launches of a kind that count as much as all others together."""

SHORTEST = 4
"""Rows that a launch needs to be fitted."""


class Growth(Recipe):
    """The growth curve of each kind of launch.

    Attributes:
        curve: Which one.
        words: The kinds.
        shapes: The logs of the two parameters of each kind.
        usual: Those of all launches.
    """

    curve: Curve = "analog"
    words: tuple[str, ...] = ()
    shapes: tuple[tuple[float, float], ...] = ()
    usual: tuple[float, float] = (0.0, 0.0)

    def course(self, words: Sequence[str], rows: LaunchRows) -> np.ndarray:
        """Return the addition of the age to the log sales of each row, shape (rows,); 0 where the age is not known.

        Args:
            words: The kind of each series.
            rows: Of a panel of these series.
        """
        if self.curve == "analog" or not self.words:
            return np.zeros(len(rows.age))
        known = dict(zip(self.words, self.shapes, strict=True))
        shapes = np.array([known.get(word, self.usual) for word in words])[rows.series]
        return np.where(np.isnan(rows.age), 0.0, log_increase(self.curve, np.nan_to_num(rows.age), shapes.T))


def log_increase(curve: Curve, age: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return the log of the share of a life's sales that falls into the row of an age: F(age + 1) - F(age).

    Bass (1969): F(t) = (1 - exp(-(p + q) t)) / (1 + q/p exp(-(p + q) t)). Gompertz (1825):
    F(t) = (exp(-b exp(-c t)) - exp(-b)) / (1 - exp(-b)), which is 0 at the launch.

    Args:
        curve: Which one.
        age: Rows since the launch, from 0.
        shape: The logs of the parameters, each a number or one a row.
    """
    first, second = np.exp(np.clip(shape[0], -14, 3)), np.exp(np.clip(shape[1], -14, 2))

    def share(time: np.ndarray) -> np.ndarray:
        if curve == "bass":
            fading = np.exp(-(first + second) * time)
            return np.asarray((1 - fading) / (1 + second / first * fading))
        return np.asarray((np.exp(-first * np.exp(-second * time)) - np.exp(-first)) / -np.expm1(-first))

    increase: np.ndarray = np.log(np.maximum(share(age + 1.0) - share(age), 1e-12))
    return increase


def adjusted(blocks: list[Block], pooled: Pooled, log: np.ndarray) -> np.ndarray:
    """Return log sales without season, price, promotion and level of the kind: what is left to the course by age."""
    is_course = np.repeat(np.array([name in COURSE for name, _ in blocks]), [columns.shape[1] for _, columns in blocks])
    design = np.concatenate([columns for _, columns in blocks], 1)
    left: np.ndarray = log - design[:, ~is_course] @ pooled.coefficients[~is_course]
    return left


COURSE = ("course", "course by kind")
"""The blocks that say how sales go with age."""


def fit_growth(curve: Curve, log: np.ndarray, words: Sequence[str], rows: LaunchRows) -> Growth:
    """Fit each launch, near what fits all of them, and take the mean of each kind, near that of all.

    Args:
        curve: Which one.
        log: Adjusted log sales, NaN where unknown, shape (rows,).
        words: The kind of each series.
        rows: Their ages.
    """
    usual = _fit(curve, [_course(log, rows, i) for i in range(len(words))], np.array(BEGIN[curve]), 3.0)
    fits: dict[str, list[np.ndarray]] = {word: [] for word in sorted(set(words))}
    for i, word in enumerate(words):
        course = _course(log, rows, i)
        if len(course[0]) >= SHORTEST:
            fits[word].append(_fit(curve, [course], usual, APART))
    shapes = [
        usual + np.sum([one - usual for one in shapes_of_kind], 0) / (len(shapes_of_kind) + SHARED) if shapes_of_kind else usual
        for shapes_of_kind in fits.values()
    ]
    return Growth(
        curve=curve,
        words=tuple(fits),
        shapes=tuple((float(a), float(b)) for a, b in shapes),
        usual=(float(usual[0]), float(usual[1])),
    )


def _course(log: np.ndarray, rows: LaunchRows, series: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ages and adjusted log sales of one launch, where both are known."""
    known = (rows.series == series) & ~np.isnan(log) & ~np.isnan(rows.age)
    return rows.age[known], log[known]


def _fit(curve: Curve, courses: list[tuple[np.ndarray, np.ndarray]], near: np.ndarray, apart: float) -> np.ndarray:
    """Return the shape that fits courses best, each at a level of its own, near a shape that is believed; shape (2,)."""
    from scipy.optimize import least_squares

    series = np.repeat(np.arange(len(courses)), [len(age) for age, _ in courses])
    age, log = (np.concatenate([course[i] for course in courses]) for i in (0, 1))
    if not len(age):
        return near
    count = np.maximum(np.bincount(series, minlength=len(courses)), 1)

    def residuals(shape: np.ndarray) -> np.ndarray:
        missed = log - log_increase(curve, age, shape)
        missed = missed - (np.bincount(series, missed, len(courses)) / count)[series]
        return np.append(missed / NOISE, (shape - near) / apart)

    return np.asarray(least_squares(residuals, near, loss="soft_l1", max_nfev=60).x)


NOISE = 0.3
"""The standard deviation of adjusted log sales round their curve."""
