"""The model confidence set: the models that no other is surely better than."""

from __future__ import annotations

import numpy as np

LEAST_VARIANCE = 1e-24
"""The variance of a model's distance from the mean of the others, relative to the largest, below which models are the same."""


def confidence_set(losses: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the p-value of each model: those above 1 - level are in the confidence set of that level.

    Hansen, Lunde and Nason (2011), "The model confidence set", with the statistic T_max: the model furthest above the mean of
    those that are left goes, until no one is surely above it; a p-value is the largest met until the model goes.

    Args:
        losses: Mean loss of each model, shape (models,): low is good.
        samples: The same in each bootstrap resample, all models by the same draw, shape (resamples, models).

    Returns:
        Shape (models,); 1 for the last that is left.
    """
    remaining = list(range(len(losses)))
    p_values, highest = np.ones(len(losses)), 0.0
    while len(remaining) > 1:
        distances = losses[remaining] - losses[remaining].mean()
        resampled = samples[:, remaining] - samples[:, remaining].mean(axis=1, keepdims=True)
        centred = resampled - distances
        errors = np.sqrt(np.square(centred).mean(axis=0))
        same = errors <= LEAST_VARIANCE**0.5 * max(float(np.abs(losses[remaining]).max()), 1e-300)
        scale = np.where(same, 1.0, errors)
        t = np.where(same, np.where(distances > 0, np.inf, 0.0), distances / scale)
        t = np.where(same & (np.abs(distances) < 1e-12 * max(float(np.abs(losses[remaining]).max()), 1e-300)), 0.0, t)
        largest = np.where(same, 0.0, centred / scale).max(axis=1)
        worst = int(np.argmax(t))
        highest = max(highest, float(np.mean(largest >= t[worst])))
        p_values[remaining[worst]] = highest
        del remaining[worst]
    return p_values
