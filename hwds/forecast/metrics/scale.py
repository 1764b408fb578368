"""The scales of errors: the in-sample error of the seasonal naive of each series, known at the cutoff."""

from __future__ import annotations

import numpy as np

LEAST_CHANGE = 0.1
"""The least scale of a young series, as a share of its mean value: two rows that happen to be alike measure no error."""


def seasonal_scales(values: np.ndarray, offsets: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean absolute and the mean squared seasonal difference of each series.

    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy"; the squared form is that of the RMSSE in
    Makridakis, Spiliotis and Assimakopoulos (2022), "M5 accuracy competition".

    Args:
        values: The series end to end, NaN where unknown.
        offsets: Where each series begins, and the end; shape (n + 1,).
        season: Rows in a season.

    Returns:
        Two arrays of shape (n,); NaN where a series has no such difference or all of them are zero.
    """
    n = len(offsets) - 1
    series, difference = _differences(values, offsets, season)
    count = np.bincount(series, minlength=n)
    scales = []
    for amount in (np.abs(difference), difference**2):
        total = np.bincount(series, amount, minlength=n)
        scales.append(np.where((count > 0) & (total > 0), total / np.maximum(count, 1), np.nan))
    return scales[0], scales[1]


def has_differences(values: np.ndarray, offsets: np.ndarray, season: int) -> np.ndarray:
    """Return which series have two known values a season apart, shape (n,); see `seasonal_scales`."""
    series, _ = _differences(values, offsets, season)
    has: np.ndarray = np.bincount(series, minlength=len(offsets) - 1) > 0
    return has


def _differences(values: np.ndarray, offsets: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the series of each seasonal difference that is known, and the difference."""
    lengths = np.diff(offsets)
    position = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
    difference = np.full(len(values), np.nan)
    if season < len(values):
        difference[season:] = values[season:] - values[:-season]
    usable = (position >= season) & ~np.isnan(difference)
    return np.repeat(np.arange(len(lengths)), lengths)[usable], difference[usable]


def short_scales(values: np.ndarray, offsets: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what errors of series without a seasonal scale are divided by, so that no young series vanishes from a score.

    It is the mean absolute and the mean squared change from one known row to the next, and at least a tenth of the mean
    absolute value (a hundredth of the mean squared one); of a series without such a change the mean value itself.

    Args:
        values: The series end to end, NaN where unknown.
        offsets: Where each series begins, and the end; shape (n + 1,).
        season: Rows in a season.

    Returns:
        Two arrays of shape (n,); NaN where a series has a seasonal scale, or is zero as far as it is known.
    """
    absolute, squared = seasonal_scales(values, offsets, season)
    changes = seasonal_scales(values, offsets, 1)
    series = np.repeat(np.arange(len(absolute)), np.diff(offsets))
    known = ~np.isnan(values)
    count = np.bincount(series[known], minlength=len(absolute))
    scales = []
    for power, own, change in zip((1, 2), (absolute, squared), changes, strict=True):
        size = np.bincount(series[known], np.abs(values[known]) ** power, len(own)) / np.maximum(count, 1)
        least = LEAST_CHANGE**power * size
        other = np.where(np.isnan(change), np.where(size > 0, size, np.nan), np.fmax(change, least))
        scales.append(np.where(np.isnan(own), other, np.nan))
    return scales[0], scales[1]


def last_season(values: np.ndarray, offsets: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Return the seasonal naive forecast of each series, shape (n, horizon).

    A hole in the last season, or a series shorter than one, takes the last known value of the series; NaN where there is none.
    """
    lengths = np.diff(offsets)
    back = offsets[1:, None] - season + np.arange(season)
    inside = back >= offsets[:-1, None]
    tail = np.where(inside, values[np.maximum(back, 0)], np.nan)
    last = last_known(values, offsets)
    tail = np.where((lengths < season)[:, None] | np.isnan(tail), last[:, None], tail)
    return tail[:, np.arange(horizon) % season]


def last_known(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the last value of each series that is not NaN, shape (n,); NaN where there is none."""
    known = np.where(np.isnan(values), -1, np.arange(len(values)))
    latest = np.maximum.reduceat(known, offsets[:-1]) if len(offsets) > 1 else np.zeros(0, int)
    return np.where(latest >= 0, values[np.maximum(latest, 0)], np.nan)
