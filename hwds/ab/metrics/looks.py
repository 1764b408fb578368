"""Looking at a test several times: how often a bound is crossed by chance, and the bounds of Pocock and O'Brien-Fleming."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np

Shape = Literal["pocock", "obrien_fleming"]


def crossing(bounds: Sequence[float], fractions: Sequence[float]) -> float:
    """Return the chance that |z| of a test without effect exceeds its bound at one look at least.

    The recursive integration of Armitage, McPherson and Rowe (1969), by Gauss-Legendre quadrature over the region where
    the test goes on (Jennison and Turnbull, Group Sequential Methods, chapter 19).

    Args:
        bounds: The bound of |z| at each look.
        fractions: The information at each look as a share of the last, rising.
    """
    from scipy.special import ndtr

    at, weight = _gauss()
    edges = np.asarray(bounds, float) * np.sqrt(fractions)
    steps = np.sqrt(np.diff(np.asarray(fractions, float), prepend=0.0))
    points, density, crossed = np.zeros(1), np.ones(1), 0.0
    for edge, step in zip(edges, steps, strict=True):
        crossed += float(density @ (ndtr((-edge - points) / step) + ndtr((points - edge) / step)))
        ahead = edge * at
        moved = np.exp(-(((ahead[:, None] - points) / step) ** 2) / 2) / (step * np.sqrt(2 * np.pi))
        points, density = ahead, (moved @ density) * edge * weight
    return crossed


@cache
def _gauss() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of a quadrature that gives ten digits up to 500 looks."""
    from scipy.special import roots_legendre

    at, weight = roots_legendre(201)
    return at, weight


def shape_of(shape: Shape, fractions: Sequence[float]) -> np.ndarray:
    """Return bounds up to a constant: flat (Pocock 1977), or falling with the root of information (O'Brien, Fleming 1979)."""
    share = np.asarray(fractions, float)
    return np.ones_like(share) if shape == "pocock" else np.sqrt(share[-1] / share)


@cache
def group_bounds(shape: Shape, fractions: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """Return the bounds of |z| that a test without effect crosses with probability alpha over all its looks."""
    from scipy.optimize import brentq

    form = shape_of(shape, fractions)
    constant = brentq(lambda c: crossing(c * form, fractions) - alpha, 0.5, 8.0, xtol=1e-8)
    return tuple(float(bound) for bound in constant * form)


def group_p(z: float, look: int, shape: Shape, fractions: Sequence[float]) -> float:
    """Return the repeated p-value of a look: the least alpha at which its bound is crossed (Jennison and Turnbull, chapter 9).

    Args:
        z: The statistic at that look.
        look: 0 for the first.
        shape: Of the bounds.
        fractions: Of all planned looks.
    """
    form = shape_of(shape, fractions)
    return min(crossing(abs(z) / form[look] * form, fractions), 1.0) if z else 1.0


def equal_looks(looks: int) -> tuple[float, ...]:
    """Return the fractions of looks at equal distances."""
    return tuple((np.arange(1, looks + 1) / looks).tolist())
