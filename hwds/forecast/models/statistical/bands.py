"""Quantiles round the forecasts of statistical models: their own, from past errors, or from past demands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hwds.forecast.models.statistical.normal import normal_bands

Banded = tuple[np.ndarray, np.ndarray]
"""A mean, shape (steps,), and quantiles, shape (steps, levels)."""

FITTED_ROWS = 4_000
"""Beyond so many rows in all, fewer past origins are used (never under four): models cost at least their history's length."""


def library_forecast(
    library: Any, values: np.ndarray, steps: int, levels: tuple[float, ...], *, origins: int = 0, least: int = 1
) -> Banded:
    """Forecast by a statsforecast model: with its own intervals, or with `backtested` ones by `origins`."""
    if origins:
        return backtested(lambda past, ahead: library.forecast(y=past, h=ahead)["mean"], values, steps, levels, origins, least)
    forecasts = library.forecast(y=values, h=steps, level=widths(levels))
    return forecasts["mean"], of_intervals(forecasts, levels)


def widths(levels: tuple[float, ...]) -> list[float]:
    """Return the central intervals, in per cent, whose ends are the levels (the median aside)."""
    return sorted({_width(level) for level in levels} - {0.0})


def of_intervals(forecasts: Mapping[str, np.ndarray], levels: tuple[float, ...]) -> np.ndarray:
    """Return quantiles from the ends of a library's central intervals, shape (steps, levels); the median is the mean."""
    return np.stack([forecasts[_end(level)] for level in levels], -1) if levels else np.empty((len(forecasts["mean"]), 0))


def _width(level: float) -> float:
    return round(abs(200.0 * level - 100.0), 9)


def _end(level: float) -> str:
    width = _width(level)
    return "mean" if width == 0 else f"{'lo' if level < 0.5 else 'hi'}-{width}"


def backtested(
    point: Callable[[np.ndarray, int], np.ndarray],
    values: np.ndarray,
    steps: int,
    levels: tuple[float, ...],
    origins: int,
    least: int,
) -> Banded:
    """Return a point forecast and normal quantiles, as wide as the same model's errors from origins inside the history were.

    Args:
        point: The model: a series and a number of steps to a mean of shape (steps,).
        values: The history, shape (n,).
        steps: Steps to answer for.
        levels: Quantile levels.
        origins: At most so many, a third of the horizon apart, after the first third of the history.
        least: The fewest values that the model can be fitted to.

    Raises:
        ValueError: The history is too short for one origin.
    """
    cuts = past_origins(len(values), steps, origins, least)
    if not cuts:
        raise ValueError("no origin inside the history")
    errors = [values[cut : cut + steps] - point(values[:cut], steps)[: len(values) - cut] for cut in cuts]
    mean = point(values, steps)
    return mean, normal_bands(mean[None], spread_by_step(errors, steps)[None], levels).quantiles[0]


def past_origins(rows: int, steps: int, origins: int, least: int) -> list[int]:
    """Return the number of rows known at each origin inside a history of so many rows, the latest first."""
    number = min(origins, max(4, FITTED_ROWS // rows))
    stride = max(1, steps * origins // (3 * number))
    return [cut for cut in range(rows - stride, 0, -stride) if cut >= max(least, rows / 3)][:number]


def spread_by_step(errors: Sequence[np.ndarray], steps: int) -> np.ndarray:
    """Return standard deviations that grow with the step, shape (steps,), from errors of forecasts made inside the history.

    The squared errors are fitted by a line over the step, which neither falls nor begins below zero: with a handful of
    origins, the errors of one step alone say little.

    Args:
        errors: One array an origin, each from step 1 on, of any length up to `steps`.
        steps: Steps to answer for.
    """
    step = np.concatenate([np.arange(1, len(error) + 1) for error in errors]).astype(float)
    squares = np.concatenate(errors) ** 2
    centred = step - step.mean()
    slope = max(0.0, float(centred @ squares / max(float(centred @ centred), 1.0)))
    first = float(squares.mean() - slope * step.mean())
    if first < 0:  # through the origin
        first, slope = 0.0, float(step @ squares / (step @ step))
    spread: np.ndarray = np.sqrt(first + slope * np.arange(1, steps + 1))
    return spread


def demanded(values: np.ndarray, level: float, steps: int, levels: tuple[float, ...]) -> Banded:
    """Return the same mean for every step, and quantiles of a demand that comes by chance and is as large as one of the past.

    Sizes are drawn from the demands above zero, the chance of one is such that the mean is the forecast; where that takes a
    chance above 1, sizes are stretched. Willemain, Smart and Schwarz (2004), "A new approach to forecasting intermittent demand
    for service parts inventories", bootstrap the same two parts.

    Args:
        values: The history, shape (n,), not negative.
        level: The forecast of the mean.
        steps: Steps to answer for.
        levels: Quantile levels.
    """
    sizes = values[values > 0]
    chance = min(1.0, level / sizes.mean())
    stretch = max(1.0, level / sizes.mean())
    inside = 1.0 - (1.0 - np.array(levels)) / max(chance, 1e-12)  # the level among sizes; below 0 there is no demand
    quantiles = np.where(inside > 0, np.quantile(sizes, np.clip(inside, 0, 1), method="inverted_cdf") * stretch, 0.0)
    return np.full(steps, level), np.tile(quantiles, (steps, 1))
