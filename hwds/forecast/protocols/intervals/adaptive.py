"""Conformal intervals that go on learning: at every cutoff, what earlier forecasts have turned out to be by then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.forecast.protocols.intervals.conformal import actuals, bands_of, informative, unsettled, with_quantiles, without_raw
from hwds.forecast.protocols.rows.predictions import AVAILABLE, WINDOW
from hwds.frames.roles import SERIES, TIME
from hwds.statistics.conformal import KINDS, LEAST, Bands, Calibration, mirrors, nominal

RATE = 0.2
"""The step by which the aimed share moves against its error where series are many; smaller for few, whose error is chance."""

HALF = 50
"""Series at which the rate is half of it."""


def adaptive(rows: pl.DataFrame, levels: tuple[float, ...], windows: int) -> pl.DataFrame:
    """Return the rows of the real cutoffs, each cutoff's quantiles corrected by what was known at it.

    At the first cutoff that is the inner windows alone. At a later one, the rows of earlier cutoffs whose target lay at or
    before it, and was out, have joined the pool, of which each step keeps the newest windows; and the share that is to lie in
    each interval has moved against what those issued before have missed it by: Gibbs and Candès (2021), "Adaptive conformal
    inference under distribution shift", by step.

    Args:
        rows: All rows of one model with their `fold`, oldest first, inner windows of the first fold among them.
        levels: Quantile levels, rising.
        windows: The least number of windows that each step keeps; older ones while these hold few rows.
    """
    real, inner = rows.filter(pl.col(WINDOW) >= 0), rows.filter(pl.col(WINDOW) < 0)
    if real.is_empty():
        return unsettled(rows)
    past = Past.of(real, inner, levels)
    aims = Aims(past.steps, np.array(levels))
    quantiles, done = past.bands.quantiles.copy(), np.zeros(real.height, bool)
    seen = np.zeros(real.height, bool)
    for here, known in past.cutoffs():
        aims.learn(past, quantiles, known & ~seen & done & past.own)
        seen |= known
        quantiles[here], done[here] = past.calibration(known, aims.shares, windows).correct(past.bands.take(here))
    return without_raw(with_quantiles(real, quantiles, done, levels))


@dataclass(frozen=True, eq=False)
class Past:
    """Rows of real cutoffs and of inner windows, as arrays.

    Attributes:
        bands: The model's own quantiles of the real rows.
        actual: Shape (rows,).
        own: Which rows the model itself has answered, or all where it has answered none.
        order: The number of each row's cutoff, oldest first, over all folds.
        series: Codes from 0.
        cutoff: Its instant, as a number.
        out: When the actual was known: its own instant, or when it was published, if that was later.
        inner: The model's quantiles of inner windows.
        inner_actual: What happened there.
        inner_order: Their windows, counted back from -1.
    """

    bands: Bands
    actual: np.ndarray
    own: np.ndarray
    order: np.ndarray
    series: np.ndarray
    cutoff: np.ndarray
    out: np.ndarray
    inner: Bands
    inner_actual: np.ndarray
    inner_order: np.ndarray

    @classmethod
    def of(cls, real: pl.DataFrame, inner: pl.DataFrame, levels: tuple[float, ...]) -> Past:
        """Return the arrays of the rows of one model."""
        first = informative(inner)
        fallback = real["fallback"].to_numpy()
        published = _instants(real, AVAILABLE if AVAILABLE in real.columns else TIME)
        return cls(
            bands_of(real, levels),
            actuals(real),
            ~fallback if not fallback.all() else np.ones(real.height, bool),
            _codes(real.select(pl.struct("fold", WINDOW)).to_series()),
            _codes(real[SERIES]),
            _instants(real, "cutoff"),
            np.maximum(_instants(real, TIME), published),
            bands_of(first, levels),
            actuals(first),
            first[WINDOW].to_numpy(),
        )

    @property
    def steps(self) -> np.ndarray:
        """The steps that are forecast, rising."""
        return np.unique(self.bands.step)

    def cutoffs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each cutoff, oldest first, and which actuals were known at it."""
        for number in range(int(self.order.max()) + 1):
            here = self.order == number
            limit = np.full(int(self.series.max()) + 1, self.cutoff[here].min())  # of series that are not forecast any more
            limit[self.series[here]] = self.cutoff[here]
            yield here, (self.order < number) & (self.out <= limit[self.series]) & ~np.isnan(self.actual)

    def calibration(self, known: np.ndarray, shares: np.ndarray, windows: int) -> Calibration:
        """Learn a calibration from the newest windows of the pool."""
        usable = known & self.own
        pool = self.inner.followed_by(self.bands.take(usable))
        actual = np.concatenate([self.inner_actual, self.actual[usable]])
        recent = newest(pool.step, np.concatenate([self.inner_order, self.order[usable]]), windows)
        if not recent.any():
            return Calibration.nothing(self.bands.levels.tolist())
        return Calibration.learn(pool.take(recent), actual[recent], self.steps, shares)


class Aims:
    """The share of scores that is to lie within each level, by step and kind of interval; it moves as quantiles come true.

    Attributes:
        steps: Rising.
        levels: Rising, shape (levels,).
        shares: Shape (KINDS, steps, levels).
    """

    def __init__(self, steps: np.ndarray, levels: np.ndarray) -> None:
        self.steps, self.levels = steps, levels
        self.nominal = nominal(levels, len(steps))
        self.shares = self.nominal.copy()

    def learn(self, past: Past, quantiles: np.ndarray, newly_known: np.ndarray) -> None:
        """Move the shares against what was missed, cutoff by cutoff.

        Args:
            past: The rows.
            quantiles: As they were issued, shape (rows, levels).
            newly_known: Rows that became known now.
        """
        kinds = past.bands.kind()
        least, most = covered(quantiles, past.actual, past.bands.closed(), self.levels)
        for number in np.unique(past.order[newly_known]):
            for kind in range(KINDS):
                rows = (newly_known & (past.order == number))[:, None] & (kinds == kind)
                for i, step in enumerate(self.steps):
                    here = rows & (past.bands.step == step)[:, None]
                    count = here.sum(0)
                    shares = [(part * here).sum(0) / np.maximum(count, 1) for part in (least, most)]
                    aim = self.nominal[kind, i]
                    # where an actual meets an end (counts), as much of it counts as inside as the level asks for
                    missed = np.where(count > 0, aim - np.clip(aim, *shares), 0.0)
                    self.shares[kind, i] += RATE * count / (count + HALF) * missed
        np.clip(self.shares, self.nominal / 4, 1 - (1 - self.nominal) / 4, out=self.shares)


def covered(quantiles: np.ndarray, actual: np.ndarray, closed: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which actuals lie strictly inside each level's central interval, and which inside or on an end; (rows, levels)."""
    low, high = mirrors(levels)
    upper, value = quantiles[:, high], actual[:, None]
    lower = np.where(closed, -np.inf, quantiles[:, low])
    return (lower < value) & (value < upper), (lower <= value) & (value <= upper)


def newest(step: np.ndarray, order: np.ndarray, windows: int) -> np.ndarray:
    """Return which rows each step keeps: at least so many of the newest windows, and more while they hold few rows."""
    recent = np.zeros(len(step), bool)
    for at in np.unique(step):
        rows = np.flatnonzero(step == at)
        numbers, counts = np.unique(order[rows], return_counts=True)
        newer = np.cumsum(counts[::-1])[::-1] - counts
        taken = (newer < LEAST) | (np.arange(len(numbers)) >= len(numbers) - windows)
        recent[rows] = np.isin(order[rows], numbers[taken])
    return recent


def _codes(values: pl.Series) -> np.ndarray:
    return values.rank("dense").to_numpy().astype(np.int64) - 1


def _instants(rows: pl.DataFrame, name: str) -> np.ndarray:
    """Return instants as comparable numbers, the unknown after all."""
    column = rows[name]
    whole = column if column.dtype.is_integer() else column.cast(pl.Datetime("us"))
    return whole.cast(pl.Int64).fill_null(np.iinfo(np.int64).max).to_numpy()
