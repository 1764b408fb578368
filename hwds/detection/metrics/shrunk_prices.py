"""Prices of SKUs in markets from few sales each: drawn to what SKU and market alone say, as far as the sales leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OF_MEDIAN = np.pi / 2
"""The variance of a median over that of a mean, of normal numbers."""

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

    Deviations from that sum are normal; their variance is the one under which the weighted squares of the residuals are what
    they should be (Paule and Mandel 1982), and the sums are those of least squares. The best of several such prices is not too
    good on the average, as that of raw medians is (Efron 2011, "Tweedie's formula and selection bias"). Where there are no more
    cells than sums, nothing is shrunk.

    Args:
        price: The median of the sales of each cell, > 0, shape (n,).
        lines: Sales of each cell, shape (n,).
        spread: The standard deviation of a sale's log price around its cell's median, shape (n,).
        sku: The number of its SKU, from 0, shape (n,).
        market: The number of its market, from 0, shape (n,).
    """
    logged, error = np.log(price), OF_MEDIAN * spread**2 / lines
    design = np.zeros((len(price), int(sku.max(initial=-1)) + int(market.max(initial=-1)) + 2))
    design[np.arange(len(price)), sku] = 1.0
    design[np.arange(len(price)), int(sku.max(initial=-1)) + 1 + market] = 1.0
    free = len(price) - int(np.linalg.matrix_rank(design)) if len(price) else 0
    if free <= 0:
        deviation = np.sqrt(error)
        return _in_money(logged, deviation, np.ones(len(price)))
    prior = _variance(logged, error, design, free)
    fit, leverage = _fitted(logged, error + prior, design)
    own = np.divide(prior, prior + error, out=np.ones(len(price)), where=prior + error > 0)
    middle = fit + own * (logged - fit)
    variance = own * error + (1 - own) ** 2 * leverage
    return _in_money(middle, np.sqrt(variance), own)


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
