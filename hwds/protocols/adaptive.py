"""Conformal intervals that go on learning: at every cutoff, what earlier forecasts have turned out to be by then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.frames.roles import SERIES, TIME
from hwds.metrics.conformal import KINDS, LEAST, Bands, Calibration, mirrors, nominal
from hwds.protocols.calibration import actuals, bands_of, informative, unsettled, with_quantiles, without_raw
from hwds.protocols.forecasting import AVAILABLE, WINDOW

RATE = 0.2
"""How far the aimed share moves for what many series miss it by: the pool follows too. Of few it is less: theirs is chance."""

HALF = 50
"""Series at which the rate is half of it."""


def adaptive(rows: pl.DataFrame, levels: tuple[float, ...], windows: int) -> pl.DataFrame:
    """The rows of the real cutoffs, each cutoff's quantiles corrected by what was known at it.

    At the first cutoff that is the inner windows alone. At a later one, the rows of earlier cutoffs whose target lay at or
    before it, and was out, have joined the pool, of which each step keeps the newest windows; and the share that is to lie in
    each interval has moved against what those issued before have missed it by: Gibbs and Candès (2021), "Adaptive conformal
    inference under distribution shift", by step.

    Args:
        rows: All rows of one model with their `fold`, oldest first, inner windows of the first fold among them.
        levels: Quantile levels, rising.
        windows: The least number of windows that each step keeps; older ones while these hold few rows.
    """
    own, inner = rows.filter(pl.col(WINDOW) >= 0), rows.filter(pl.col(WINDOW) < 0)
    if own.is_empty():
        return unsettled(rows)
    past = Past.of(own, inner, levels)
    aims = Aims(past.steps, np.array(levels))
    quantiles, done = past.bands.quantiles.copy(), np.zeros(own.height, bool)
    told = np.zeros(own.height, bool)
    for here, known in past.cutoffs():
        aims.learn(past, quantiles, known & ~told & done & past.own)
        told |= known
        quantiles[here], done[here] = past.calibration(known, aims.shares, windows).correct(past.bands.take(here))
    return without_raw(with_quantiles(own, quantiles, done, levels))


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
    def of(cls, own: pl.DataFrame, inner: pl.DataFrame, levels: tuple[float, ...]) -> Past:
        """From the rows of one model."""
        first = informative(inner)
        fallback = own["fallback"].to_numpy()
        published = _instants(own, AVAILABLE if AVAILABLE in own.columns else TIME)
        return cls(
            bands_of(own, levels),
            actuals(own),
            ~fallback if not fallback.all() else np.ones(own.height, bool),
            _codes(own.select(pl.struct("fold", WINDOW)).to_series()),
            _codes(own[SERIES]),
            _instants(own, "cutoff"),
            np.maximum(_instants(own, TIME), published),
            bands_of(first, levels),
            actuals(first),
            first[WINDOW].to_numpy(),
        )

    @property
    def steps(self) -> np.ndarray:
        """Those that are asked, rising."""
        return np.unique(self.bands.step)

    def cutoffs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Which rows are of each cutoff, oldest first, and the actuals of which were known at it."""
        for number in range(int(self.order.max()) + 1):
            here = self.order == number
            limit = np.full(int(self.series.max()) + 1, self.cutoff[here].min())  # of series that are not asked any more
            limit[self.series[here]] = self.cutoff[here]
            yield here, (self.order < number) & (self.out <= limit[self.series]) & ~np.isnan(self.actual)

    def calibration(self, known: np.ndarray, shares: np.ndarray, windows: int) -> Calibration:
        """What the newest windows of the pool say."""
        usable = known & self.own
        pool = self.inner.followed_by(self.bands.take(usable))
        actual = np.concatenate([self.inner_actual, self.actual[usable]])
        kept = newest(pool.step, np.concatenate([self.inner_order, self.order[usable]]), windows)
        if not kept.any():
            return Calibration.nothing(self.bands.levels.tolist())
        return Calibration.learn(pool.take(kept), actual[kept], self.steps, shares)


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

    def learn(self, past: Past, quantiles: np.ndarray, told: np.ndarray) -> None:
        """Move the shares against what was missed, cutoff by cutoff.

        Args:
            past: The rows.
            quantiles: As they were issued, shape (rows, levels).
            told: Rows that became known now.
        """
        kinds = past.bands.kind()
        least, most = covered(quantiles, past.actual, past.bands.closed(), self.levels)
        for number in np.unique(past.order[told]):
            for kind in range(KINDS):
                rows = (told & (past.order == number))[:, None] & (kinds == kind)
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
    """Which actuals lie strictly inside each level's central interval, and which inside or on an end; (rows, levels) each."""
    low, high = mirrors(levels)
    upper, value = quantiles[:, high], actual[:, None]
    lower = np.where(closed, -np.inf, quantiles[:, low])
    return (lower < value) & (value < upper), (lower <= value) & (value <= upper)


def newest(step: np.ndarray, order: np.ndarray, windows: int) -> np.ndarray:
    """Which rows each step keeps: those of the newest windows, so many at least, and more while they hold few rows."""
    kept = np.zeros(len(step), bool)
    for at in np.unique(step):
        rows = np.flatnonzero(step == at)
        numbers, counts = np.unique(order[rows], return_counts=True)
        newer = np.cumsum(counts[::-1])[::-1] - counts
        taken = (newer < LEAST) | (np.arange(len(numbers)) >= len(numbers) - windows)
        kept[rows] = np.isin(order[rows], numbers[taken])
    return kept


def _codes(values: pl.Series) -> np.ndarray:
    return values.rank("dense").to_numpy().astype(np.int64) - 1


def _instants(rows: pl.DataFrame, name: str) -> np.ndarray:
    """Instants as numbers that may be compared, the unknown after all."""
    column = rows[name]
    whole = column if column.dtype.is_integer() else column.cast(pl.Datetime("us"))
    return whole.cast(pl.Int64).fill_null(np.iinfo(np.int64).max).to_numpy()
