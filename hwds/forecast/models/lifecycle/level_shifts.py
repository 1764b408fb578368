"""Level shifts of a series, that trend, season and autocorrelated noise do not explain; and the series without them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST = 12
"""Rows after a shift at the least, where two seasons are fewer."""

BEFORE = 6
"""Rows before a shift at the least, where a season is fewer."""

SECOND_LOOK = 16
"""The factor on the bound's strictness, as a step is looked for twice. By simulation, of first-order autoregressions."""


class Shift(NamedTuple):
    """The first row of the new level, and how much higher it is."""

    row: int
    size: float


def level_shifts(values: np.ndarray, season: int, alarms: float) -> list[Shift]:
    """Return all shifts, oldest first.

    The most likely one is found and tested; where it is one, the rows from it on are searched for a later one (Bai 1997,
    "Estimating multiple breaks one at a time"). At least two seasons, and `LEAST` rows, come after the last.

    Args:
        values: Without holes, shape (rows,).
        season: Rows in a season.
        alarms: The share of series without a shift that may be found to have one.
    """
    shifts: list[Shift] = []
    start = 0
    while (shift := level_shift(values[start:], season, alarms)) is not None:
        start += shift.row
        shifts.append(shift._replace(row=start))
    return shifts


def level_shift(values: np.ndarray, season: int, alarms: float) -> Shift | None:
    """Return the most likely shift, where it is significant.

    The largest t statistic of a step among trend, season and first-order autoregressive noise, over all rows at which the step
    may be (Andrews 1993, "Tests for parameter instability and structural change with unknown change point"; Perron 1989, "The
    great crash, the oil price shock, and the unit root hypothesis"). The noise's autocorrelation is estimated beside the step
    that is most likely at first sight, since a step left unexplained looks like a random walk; and it is freed of its bias
    (Kendall 1954), so that a random walk is not taken for a step. The bound is Bonferroni's, `SECOND_LOOK` times as strict.
    """
    from scipy.stats import t

    first, last = max(season, BEFORE), len(values) - max(2 * season, LEAST)
    rows, columns = np.arange(first, last + 1), _columns(len(values), season)
    freedom = len(values) - columns.shape[1] - 2
    if not len(rows) or freedom < BEFORE or np.ptp(values) == 0:
        return None
    unit = float(np.abs(values).max())
    first_guess, _ = _most_likely(values / unit, columns, rows, _autocorrelation(values / unit, columns))
    with_step = np.column_stack([columns, np.arange(len(values)) >= first_guess.row])
    shift, explained = _most_likely(values / unit, columns, rows, _autocorrelation(values / unit, with_step))
    bound = t.isf(alarms / (2 * SECOND_LOOK * len(rows)), freedom)
    return shift._replace(size=shift.size * unit) if explained * freedom > bound**2 else None


def without_shifts(values: np.ndarray, shifts: list[Shift], season: int) -> np.ndarray:
    """Return the series as if it had always been at its last level; holes are NaN and stay.

    What comes before a shift is moved by its size; in proportion where that would make a series negative that never was, or
    a demand of a row without one.
    """
    moved = values.copy()
    for row, size in shifts:
        before = moved[:row]
        lowest = np.nanmin(before)
        in_proportion = np.nanmin(values) >= 0 and (lowest == 0 or lowest + size < 0)
        moved[:row] = before * _ratio(moved, row, max(season, BEFORE)) if in_proportion else before + size
    return moved


def _ratio(values: np.ndarray, row: int, season: int) -> float:
    """Return the mean of the season from a row on over that of the season before it; 1 where there is none to be had."""
    before, after = values[max(row - season, 0) : row], values[row : row + season]
    if np.isnan(before).all() or np.isnan(after).all() or np.nanmean(before) <= 0:
        return 1.0
    return float(np.nanmean(after) / np.nanmean(before))


def _most_likely(values: np.ndarray, columns: np.ndarray, rows: np.ndarray, rho: float) -> tuple[Shift, float]:
    """Return the step that explains most beside the columns, and what it explains over what it leaves."""
    steps = (np.arange(len(values))[:, None] >= rows).astype(float)
    basis = np.linalg.qr(_whitened(columns, rho))[0]
    left = _whitened(np.column_stack([values, steps]), rho)
    left -= basis @ (basis.T @ left)
    target, steps = left[:, 0], left[:, 1:]
    squares, total = (steps**2).sum(0), float(target @ target)
    identified = squares > 1e-8  # a step that the columns make up tells nothing
    size = np.where(identified, target @ steps / np.where(identified, squares, 1.0), 0.0)
    explained = size**2 * squares
    best = int(np.argmax(explained))
    return Shift(int(rows[best]), float(size[best])), float(explained[best] / max(total - explained[best], 1e-24))


def _autocorrelation(values: np.ndarray, columns: np.ndarray) -> float:
    """Return the autocorrelation of the residuals from row to row, freed of its bias to first order and at most 1."""
    basis = np.linalg.qr(columns)[0]
    rest = values - basis @ (basis.T @ values)
    total = rest @ rest
    if total < 1e-24:
        return 0.0
    raw, count = float(rest[1:] @ rest[:-1] / total), columns.shape[1]
    return min(raw + (1 + 3 * raw + (count - 1) * (1 + raw)) / len(values), 1.0)


def _whitened(columns: np.ndarray, rho: float) -> np.ndarray:
    """Return each row less rho times the row before; the first row has the variance of the others (Prais and Winsten 1954)."""
    first = np.sqrt(max(1.0 - rho**2, 0.0)) * columns[:1]
    return np.concatenate([first, columns[1:] - rho * columns[:-1]])


def _columns(rows: int, season: int) -> np.ndarray:
    """Return the level, the trend, and the season where there are three of it."""
    columns = [np.ones(rows), np.linspace(-1.0, 1.0, rows)]
    if season > 1 and rows >= 3 * season:
        columns += [(np.arange(rows) % season == place).astype(float) for place in range(1, season)]
    return np.column_stack(columns)
