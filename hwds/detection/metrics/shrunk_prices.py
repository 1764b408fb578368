"""Prices of SKUs in markets from few sales each: drawn to what SKU and market alone say, as far as the sales leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALES = np.geomspace(0.25, 4.0, 7)
"""Standard deviations of the parts of the prior, over that of all deviations."""

ROUNDS = 100
SETTLED = 1e-12


@dataclass(frozen=True, eq=False)
class ShrunkPrices:
    """The posterior of each cell's median price.

    Attributes:
        mean: Of the price, shape (n,).
        deviation: Its standard deviation, shape (n,).
        own: The weight of the cell's own sales, from 0 (what SKU and market say) to 1, shape (n,).
    """

    mean: np.ndarray
    deviation: np.ndarray
    own: np.ndarray


def shrunk_prices(
    price: np.ndarray, lines: np.ndarray, spread: np.ndarray, sku: np.ndarray, market: np.ndarray
) -> ShrunkPrices:
    """Return prices under a prior whose logarithm is the sum of one number for the SKU and one for the market.

    The sums are those of least squares, weighted by the variance of deviations from them under which the weighted squares of
    the residuals are what they should be (Paule and Mandel 1982). Deviations follow a mixture of normal laws of several scales,
    whose shares are those of the greatest likelihood (Stephens 2017, "False discovery rates: a new deal"): a few prices that
    are far off are then left there. The best of several such prices is not too good on the average, as that of raw medians is
    (Efron 2011, "Tweedie's formula and selection bias"). Where there are no more cells than sums, nothing is shrunk.

    Args:
        price: The median of the sales of each cell, > 0, shape (n,).
        lines: Sales of each cell, shape (n,).
        spread: The standard deviation of a sale's log price around its cell's median, shape (n,).
        sku: The number of its SKU, from 0, shape (n,).
        market: The number of its market, from 0, shape (n,).
    """
    logged, error = np.log(price), spread**2 * of_median(lines) / lines
    design = np.zeros((len(price), int(sku.max(initial=-1)) + int(market.max(initial=-1)) + 2))
    design[np.arange(len(price)), sku] = 1.0
    design[np.arange(len(price)), int(sku.max(initial=-1)) + 1 + market] = 1.0
    free = len(price) - int(np.linalg.matrix_rank(design)) if len(price) else 0
    if free <= 0:
        deviation = np.sqrt(error)
        return _in_money(logged, deviation, np.ones(len(price)))
    prior = _variance(logged, error, design, free)
    fit, leverage = _fitted(logged, error + prior, design)
    parts = prior * SCALES**2
    own = np.divide(parts, parts + error[:, None], out=np.ones((len(price), len(parts))), where=parts + error[:, None] > 0)
    chance = _chances(logged - fit, error[:, None] + parts) if prior > 0 else np.full(own.shape, 1 / len(parts))
    weight = (chance * own).sum(axis=1)
    middle = fit + weight * (logged - fit)
    apart = (chance * (own - weight[:, None]) ** 2).sum(axis=1) * (logged - fit) ** 2
    variance = (chance * own).sum(axis=1) * error + apart + (1 - weight) ** 2 * leverage
    return _in_money(middle, np.sqrt(variance), weight)


def of_median(lines: np.ndarray) -> np.ndarray:
    """Return the variance of a median over that of a mean, of normal numbers: exact of 1, of 2 and of very many."""
    return np.asarray(np.pi * lines / (2 * (lines + np.where(lines % 2 == 1, np.pi / 2 - 1, np.pi - 2))))


def _chances(residual: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the chance that each residual is of each part of the prior, shape (n, parts), by the EM algorithm.

    Args:
        residual: Shape (n,).
        variance: Of a residual under each part, shape (n, parts).
    """
    density = np.exp(-0.5 * residual[:, None] ** 2 / variance) / np.sqrt(variance) + 1e-300
    share = np.full(variance.shape[1], 1 / variance.shape[1])
    for _ in range(ROUNDS):
        chance = share * density
        chance /= chance.sum(axis=1, keepdims=True)
        share = chance.mean(axis=0)
    return np.asarray(chance)


def _in_money(logged: np.ndarray, deviation: np.ndarray, own: np.ndarray) -> ShrunkPrices:
    mean = np.exp(logged + deviation**2 / 2)
    return ShrunkPrices(mean, mean * deviation, own)


def _variance(logged: np.ndarray, error: np.ndarray, design: np.ndarray, free: int) -> float:
    """Return the variance of deviations from the sums, by bisection."""

    def surplus(prior: float) -> float:
        weights = error + prior
        fit, _ = _fitted(logged, weights, design)
        return float(np.sum((logged - fit) ** 2 / np.maximum(weights, 1e-300))) - free

    low, high = 0.0, float(np.var(logged)) + float(error.max()) + 1e-12
    if float(error.min()) > 0 and surplus(0.0) <= 0:
        return 0.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
        if high - low <= SETTLED * (1 + high):
            break
    return (low + high) / 2


def _fitted(logged: np.ndarray, variance: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted least-squares fit, and the variance of each fitted number."""
    weight = 1 / np.sqrt(np.maximum(variance, 1e-18))
    inverse = np.linalg.pinv(design * weight[:, None])
    coefficients = inverse @ (logged * weight)
    spread = design @ inverse
    return design @ coefficients, np.sum(spread**2, axis=1)
