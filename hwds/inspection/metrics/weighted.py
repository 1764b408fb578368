"""Statistics of ranked and of probable images under weights of images, as a bootstrap over boards needs them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Weighted = Callable[[np.ndarray], np.ndarray]
"""From weights of images, shape (weightings, n), the statistic under each, shape (weightings,); NaN where undefined."""


def recall_at(score: np.ndarray, defect: np.ndarray, counted: np.ndarray, budget: float) -> Weighted:
    """Return the share of the counted defects above the threshold at which a share of the good images is flagged.

    Flagged is what exceeds the threshold, the lowest score of a good image that no more than the budget of them exceed.

    Args:
        score: Shape (n,).
        defect: Whether an image has a defect, shape (n,).
        counted: Which defects count, shape (n,).
        budget: The share.
    """
    order = np.argsort(-score, kind="stable")
    ranked, good = score[order], ~defect[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)

    def of(weights: np.ndarray) -> np.ndarray:
        sorted_weights = weights[:, order]
        alarms = np.cumsum(sorted_weights * good, axis=1)
        hits = np.cumsum(sorted_weights * (defect & counted)[order], axis=1)
        allowed = alarms[:, last] <= budget * alarms[:, -1:] + 1e-9
        found = np.where(allowed, hits[:, last], 0.0).max(axis=1)
        defined = (hits[:, -1] > 0) & (alarms[:, -1] > 0)
        return np.where(defined, found / np.where(defined, hits[:, -1], 1.0), np.nan)

    return of


def average_precision(score: np.ndarray, defect: np.ndarray) -> Weighted:
    """Return the sum over thresholds of precision times the recall gained there; images of one score have one threshold.

    Args:
        score: Shape (n,).
        defect: Whether an image has a defect, shape (n,).
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)

    def of(weights: np.ndarray) -> np.ndarray:
        sorted_weights = weights[:, order]
        hits = np.cumsum(sorted_weights * defect[order], axis=1)[:, last]
        flagged = np.cumsum(sorted_weights, axis=1)[:, last]
        precision = np.divide(hits, flagged, out=np.zeros(hits.shape), where=flagged > 0)
        area = (np.diff(hits, prepend=0.0, axis=1) * precision).sum(axis=1)
        known = (hits[:, -1] > 0) & (hits[:, -1] < flagged[:, -1])
        return np.where(known, area / np.where(known, hits[:, -1], 1.0), np.nan)

    return of


def calibration_error(chance: np.ndarray, happened: np.ndarray, bins: int) -> Weighted:
    """Return the mean over bins of |mean probability - share that happened|.

    Bins hold the same number of images, those of one probability together (Naeini, Cooper and Hauskrecht 2015; equal mass as
    Nixon et al. 2019).

    Args:
        chance: Shape (n,).
        happened: 1.0 or 0.0, shape (n,).
        bins: How many.
    """
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    place = np.searchsorted(edges, chance, side="left")
    excess = (chance - happened)[:, None] * (place[:, None] == np.arange(len(edges) + 1))

    def of(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        return np.abs(weights @ excess).sum(axis=1) / np.where(total > 0, total, np.nan)

    return of


def risk_coverage(certainty: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of images that are kept, the most certain first, and the share of these that are wrong.

    Images of one certainty are kept together (Geifman and El-Yaniv 2017, "Selective classification for deep networks").

    Args:
        certainty: Shape (n,).
        wrong: 1.0 or 0.0, shape (n,).
    """
    order = np.argsort(-certainty, kind="stable")
    last = np.append(np.flatnonzero(np.diff(certainty[order])), len(order) - 1)
    kept = last + 1
    return kept / len(order), np.cumsum(wrong[order])[last] / kept


def error_at(certainty: np.ndarray, wrong: np.ndarray, share: float) -> Weighted:
    """Return the share of wrong images among so many of the most certain; of those that tie at the edge a part counts.

    Args:
        certainty: Shape (n,).
        wrong: 1.0 or 0.0, shape (n,).
        share: Of all images.
    """
    return _kept(certainty, wrong, np.array([share]))


def area_under_risk(certainty: np.ndarray, wrong: np.ndarray) -> Weighted:
    """Return the mean share of wrong images over the shares of images that are kept: a hundredth, two ... all."""
    return _kept(certainty, wrong, np.arange(1, 101) / 100)


def _kept(certainty: np.ndarray, wrong: np.ndarray, shares: np.ndarray) -> Weighted:
    order = np.argsort(-certainty, kind="stable")
    last = np.append(np.flatnonzero(np.diff(certainty[order])), len(order) - 1)

    def of(weights: np.ndarray) -> np.ndarray:
        sorted_weights = weights[:, order]
        kept = np.cumsum(sorted_weights, axis=1)[:, last]
        errors = np.cumsum(sorted_weights * wrong[order], axis=1)[:, last]
        out = np.full(len(weights), np.nan)
        for row, (mass, lost) in enumerate(zip(kept, errors, strict=True)):
            if mass[-1] > 0:
                wanted = shares * mass[-1]
                out[row] = float(np.mean(np.interp(wanted, np.append(0, mass), np.append(0, lost)) / wanted))
        return out

    return of
