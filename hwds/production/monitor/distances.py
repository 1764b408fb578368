"""Distances of a window of rows from a reference, by the statistics that both keep: PSI, Kolmogorov-Smirnov, Wasserstein."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwds.production.bundle.reference import shares_below

BINS = 10
LEAST_SHARE = 1e-3
"""A share of a bin is taken to be at least that, where the logarithm of an empty one is needed."""

TAIL = 0.04
"""The share of either tail that Wasserstein's distance leaves out: a window's largest number says little of it."""

Distances = dict[str, float]


def distances(reference: Mapping[str, Any], window: Mapping[str, Any]) -> Distances:
    """Return the distances of a column in a window from its reference; both as `column_reference` makes them.

    Returns:
        `psi`, the population stability index over deciles of the reference or its values; `ks`, the largest gap of the
        distribution functions, of texts half the sum of the gaps of shares; of numbers `wasserstein` too, the mean gap of
        quantiles over the reference's middle half. Nothing where either has no value.
    """
    if reference["kind"] != window["kind"]:
        return {}
    return _of_texts(reference, window) if reference["kind"] == "text" else _of_numbers(reference, window)


def _of_numbers(reference: Mapping[str, Any], window: Mapping[str, Any]) -> Distances:
    first, second = np.asarray(reference["quantiles"], float), np.asarray(window["quantiles"], float)
    if not len(first) or not len(second):
        return {}
    edges = np.unique(np.quantile(first, np.linspace(0, 1, BINS + 1)[1:-1]))
    cuts = [np.diff(np.concatenate([[0.0], shares_below(grid, edges), [1.0]])) for grid in (first, second)]
    every = np.unique(np.concatenate([first, second]))
    ks = float(np.abs(shares_below(first, every) - shares_below(second, every)).max())
    levels = np.linspace(TAIL, 1 - TAIL, 93)
    width = float(np.subtract(*np.quantile(first, [0.75, 0.25]))) or float(np.ptp(first)) or 1.0
    apart = float(np.abs(np.quantile(first, levels) - np.quantile(second, levels)).mean()) / width
    return {"psi": stability(*cuts), "ks": ks, "wasserstein": apart}


def _of_texts(reference: Mapping[str, Any], window: Mapping[str, Any]) -> Distances:
    first, second = reference["shares"], window["shares"]
    if not first or not second:
        return {}
    names = list(dict.fromkeys((*first, *second)))
    shares = [np.array([each.get(name, 0.0) for name in names]) for each in (first, second)]
    return {"psi": stability(*shares), "ks": float(np.abs(shares[0] - shares[1]).sum() / 2)}


def stability(expected: np.ndarray, found: np.ndarray) -> float:
    """Return the population stability index of two vectors of shares: the sum of (q - p) log(q / p)."""
    p, q = (np.maximum(shares, LEAST_SHARE) for shares in (expected, found))
    return float(((q - p) * np.log(q / p)).sum())


def new_share(reference: Mapping[str, Any], window: Mapping[str, Any]) -> float:
    """Return the share of a window's texts that the reference does not have."""
    if window["kind"] != "text":
        return 0.0
    return float(sum(share for name, share in window["shares"].items() if name not in reference["shares"]))
