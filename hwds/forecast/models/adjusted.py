"""A forecaster that sees series without the effects of columns that are known ahead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray
from pydantic import AfterValidator

from hwds.core.serialization import Serializable
from hwds.forecast.covariates import Regressors, Standard, is_number, learn_standard
from hwds.forecast.models.base import FittedForecaster, ForecastContext, Forecaster
from hwds.forecast.models.since_break import check_local
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import TARGET, Roles

# Moments of each series and its columns, freed of the series' wandering level.


class EffectMoments(NamedTuple):
    """Sums over the known rows of n series, of columns and target after the level is taken out.

    Attributes:
        square: Columns times columns, shape (n, k, k).
        cross: Columns times target, shape (n, k).
        total: Target times target, shape (n,).
        rows: Rows that count, shape (n,).
    """

    square: ndarray
    cross: ndarray
    total: ndarray
    rows: ndarray

    def left(self, weights: ndarray) -> ndarray:
        """Return the sum of squares that weights leave of each series' target.

        Args:
            weights: Shape (n, k), or (k,) for all alike.
        """
        weights = np.broadcast_to(weights, self.cross.shape)
        fitted = np.einsum("nk,nkj,nj->n", weights, self.square, weights)
        left = self.total - 2 * (weights * self.cross).sum(1) + fitted
        return np.maximum(left, 1e-12 * self.total)


def effect_moments(
    target: ndarray, columns: ndarray, offsets: ndarray, memory: float
) -> EffectMoments:
    """Return the moments of innovations of simple exponential smoothing, in which level and noise
    are told apart.

    The errors of a series whose level wanders are an ARIMA(0,1,1): a change plus `memory` times the
    innovation before it is one innovation, of the target as of every column (Box and Jenkins 1976,
    chapter 5). A row after an unknown one is left out.

    Args:
        target: NaN where unknown, shape (rows,).
        columns: Shape (rows, k).
        offsets: The first row of each series, and the end.
        memory: The moving average's coefficient, from 0 (a random walk) to 1 (a level that stays).
    """
    from scipy.signal import lfilter

    n, k = len(offsets) - 1, columns.shape[1]
    square, cross, total, rows = np.zeros((n, k, k)), np.zeros((n, k)), np.zeros(n), np.zeros(n)
    known = ~np.isnan(target)
    last = np.maximum.accumulate(np.where(known, np.arange(len(target)), 0))
    both = np.column_stack([target[last], columns])
    for i in range(n):
        inside = slice(offsets[i], offsets[i + 1])
        first = int(np.argmax(known[inside]))
        part, there = both[inside][first:], known[inside][first:]
        if len(part) < 2 or not there.any():
            continue
        innovations = lfilter([1.0], [1.0, -memory], np.diff(part, axis=0), axis=0)
        usable = innovations[there[1:] & there[:-1]]
        moved, sold = usable[:, 1:], usable[:, 0]
        square[i], cross[i] = moved.T @ moved, moved.T @ sold
        total[i], rows[i] = sold @ sold, len(sold)
    return EffectMoments(square, cross, total, rows)


# Effects of columns in each series, as far as series say that they differ.

ROUNDS = 30
"""Rounds of the expectation-maximisation, in each of which the usual effects are solved for (Liu
and Rubin 1994, ECME).
"""

LEAST_VARIANCE = 1e-8
"""The least variance of effects between series."""


def pool_effects(sums: EffectMoments) -> ndarray:
    """Return the one effect of each column for all series, each weighed by how sure it is, shape
    (k,).
    """
    noise = np.maximum(sums.total / np.maximum(sums.rows, 1), 1e-12)
    square = (sums.square / noise[:, None, None]).sum(0)
    cross = (sums.cross / noise[:, None]).sum(0)
    return np.linalg.lstsq(square + _least_ridge(square), cross, rcond=None)[0]


def shrink_effects(sums: EffectMoments, negative: ndarray) -> tuple[ndarray, ndarray]:
    """Return the effects of each series, shape (n, k), and the usual ones, shape (k,), by empirical
    Bayes.

    Effects of series are normal round the usual ones; mean, variances and noise are those of the
    highest likelihood (Dempster, Laird and Rubin 1977; Efron and Morris 1975, "Data analysis using
    Stein's estimator"). A series of few rows, or one whose price hardly moved, has nearly the usual
    ones.

    Args:
        sums: The moments of each series.
        negative: The columns whose effect is never above 0, as that of a price, shape (k,).
    """
    usual = pool_effects(sums)
    noise = sums.left(usual) / np.maximum(sums.rows, 1)
    noise = np.maximum(noise, 1e-3 * max(float(np.mean(noise)), 1e-12))
    between = np.maximum(usual**2, LEAST_VARIANCE)
    own = np.broadcast_to(usual, sums.cross.shape)
    square, cross = sums.square / noise[:, None, None], sums.cross / noise[:, None]
    for _ in range(ROUNDS):
        # mean given the variances, then effects of series given both, then the variances
        usual = _mean_effects(square, cross, between)
        cover = np.linalg.inv(square + np.diag(1 / between))
        own = np.einsum("nkj,nj->nk", cover, cross + usual / between)
        between = np.maximum(
            ((own - usual) ** 2 + np.diagonal(cover, axis1=1, axis2=2)).mean(0), LEAST_VARIANCE
        )
    own = np.where(negative, np.minimum(own, 0.0), own)
    return own, np.where(negative, np.minimum(usual, 0.0), usual)


def _mean_effects(square: ndarray, cross: ndarray, between: ndarray) -> ndarray:
    """Return the mean of effects of the highest likelihood, shape (k,): each series counts by how
    sure its own effects are.
    """
    share = np.linalg.inv(np.eye(len(between)) + square * between)
    whole = (share @ square).sum(0)
    right = np.einsum("nkj,nj->k", share, cross)
    return np.linalg.lstsq(whole + _least_ridge(whole), right, rcond=None)[0]


def _least_ridge(square: ndarray) -> ndarray:
    return 1e-9 * np.diag(np.maximum(np.diagonal(square), 1e-12))


# Columns that are known ahead and have an effect, and the scale on which effects add up.

PRICES = ("price", "list_price")
"""Roles of columns that lower demand where they rise."""

WILD_EFFECT = 10.0
"""An effect of more than so many times the usual value is cut: a plan far beyond what was seen
tells nothing.
"""

LEVEL_MEMORIES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Tried coefficients of the level's moving average."""


@dataclass(frozen=True, eq=False)
class Effects(Serializable):
    """Effects of columns that are known ahead.

    Attributes:
        columns: The columns and how each is standardised; positive ones by their log, so that a
            price has an elasticity.
        ids: The series, in order.
        own: The effect of each column in each of these, shape (series, columns).
        usual: The effects in other series, shape (columns,).
        relative: Whether effects multiply (add up in the log of 1 + target), as they do where
            nothing is below 0.
        memory: The coefficient of the level's moving average.
    """

    columns: tuple[Standard, ...]
    ids: tuple[str, ...]
    own: ndarray
    usual: ndarray
    relative: bool
    memory: float

    @classmethod
    def learn(cls, history: Panel) -> Effects:
        """Learn from all series of a history.

        No effects where no column that is known ahead moves.
        """
        names = [name for name in history.roles.known_future if is_number(history, name)]
        columns = tuple(learn_standard(history, name) for name in names)
        ids = tuple(history.series_ids.to_list())
        relative = not bool((history.target < 0).any())
        values = _standardise(history, columns)
        moving = [j for j in range(len(columns)) if not _is_clock(values[:, j], history.offsets)]
        columns, values = tuple(columns[j] for j in moving), values[:, moving]
        if not columns:
            return cls((), ids, np.zeros((len(ids), 0)), np.zeros(0), relative, 0.0)
        target = _additive_target(history, relative)
        tried = [effect_moments(target, values, history.offsets, each) for each in LEVEL_MEMORIES]
        best = int(np.argmin([_effect_cost(sums) for sums in tried]))
        prices = history.roles.columns(PRICES)
        negative = np.array([column.name in prices for column in columns])
        own, usual = shrink_effects(tried[best], negative)
        return cls(columns, ids, own, usual, relative, LEVEL_MEMORIES[best])

    def of(self, panel: Panel, rows: ndarray) -> ndarray:
        """Return the effect at each row, beside the mean one over some of the series' rows, shape
        (rows,).

        Args:
            panel: Series that need not be those learned from.
            rows: The number of each series' first rows that the mean is over, shape (n_series,).
        """
        if not self.columns:
            return np.zeros(len(panel.table))
        places = {name: i for i, name in enumerate(self.ids)}
        number = np.array([places.get(name, -1) for name in panel.series_ids.to_list()])
        weights = np.where(number[:, None] >= 0, self.own[number], self.usual)
        effect = np.zeros(len(panel.table))
        for column, weight in zip(_standardise(panel, self.columns).T, weights.T, strict=True):
            effect += column * np.repeat(weight, panel.lengths)
        inside = panel.positions < np.repeat(rows, panel.lengths)
        totals = np.add.reduceat(np.where(inside, effect, 0.0), panel.offsets[:-1])
        means = totals / np.maximum(rows, 1)
        most = np.log(WILD_EFFECT) if self.relative else WILD_EFFECT
        return np.clip(effect - np.repeat(means, panel.lengths), -most, most)

    def out_of(self, values: ndarray, effect: ndarray, size: ndarray) -> ndarray:
        """Return values without an effect; all of one shape, or such that they broadcast.

        Args:
            values: The values in the target's unit.
            effect: The effect that `of` returns.
            size: The size of the series, where effects add up.
        """
        return self.into(values, -effect, size)

    def into(self, values: ndarray, effect: ndarray, size: ndarray) -> ndarray:
        """Return values with an effect; see `out_of`."""
        if not self.columns:
            return values
        if self.relative:
            return np.maximum(np.expm1(np.log1p(np.maximum(values, 0.0)) + effect), 0.0)
        return values + size * effect


def mean_sizes(panel: Panel) -> ndarray:
    """Return the mean absolute value of each series, shape (n_series,)."""
    known = ~np.isnan(panel.target)
    totals = np.add.reduceat(np.abs(np.nan_to_num(panel.target)), panel.offsets[:-1])
    counts = np.add.reduceat(known.astype(float), panel.offsets[:-1])
    means = totals / np.maximum(counts, 1)
    return np.where(means > 0, means, 1.0)


def _additive_target(panel: Panel, relative: bool) -> ndarray:
    if relative:
        return np.log1p(panel.target)
    return panel.target / np.repeat(mean_sizes(panel), panel.lengths)


def _standardise(panel: Panel, columns: tuple[Standard, ...]) -> ndarray:
    values = Regressors(tuple(column.name for column in columns), 0, 0).values(panel)
    if not columns:
        return values
    parts = zip(columns, values.T, strict=True)
    return np.column_stack([column.apply(part) for column, part in parts])


def _effect_cost(sums: EffectMoments) -> float:
    """Return twice the negative log-likelihood of one effect for all series, but for a constant."""
    left = sums.left(pool_effects(sums)) / np.maximum(sums.rows, 1)
    return float((sums.rows * np.log(left + 1e-12)).sum())


def _is_clock(values: ndarray, offsets: ndarray) -> bool:
    """Return whether a column never moves, or moves on at every row: it tells the time, which is
    the member's to learn.
    """
    changes = np.delete(np.diff(values), offsets[1:-1] - 1)
    return bool((changes == 0).all() or (changes > 0).all() or (changes < 0).all())


# A forecaster that sees series without the effects of columns that are known ahead.


class Adjusted(Forecaster):
    """A forecaster of each series alone, shown the series without the effects of prices, promotions
    and other known columns.

    Effects are learned from all series together: regressions with errors of exponential smoothing.
    Coefficients differ between series as far as the data support it (empirical Bayes), so a young
    product has the coefficients of the others. They multiply where no value is below 0, and
    positive columns count by their log: the effect of a price is an elasticity, and never above 0.
    The member forecasts what is left, and the effects of the planned columns are put back. It is
    not shown these columns, so that none counts twice. One that moves on at every row (the age of a
    device) tells the time: it has no effect, and the member may read it. Without columns the
    member's answer is unchanged.

    Attributes:
        member: Any forecaster that fits each series alone.

    Example:
        python -m hwds dataset=weekly_sales model=forecast/adjusted model.member=forecast/ets
    """

    member: Annotated[Forecaster, AfterValidator(check_local)]

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedAdjusted:
        """Learn effects from all series, and fit the member to what they leave."""
        effects = Effects.learn(history)
        freed = without_effects(effects, history)
        fitted = self.member.learn(freed, horizon=horizon, context=context)
        return FittedAdjusted(fitted, effects)


@dataclass(frozen=True, eq=False)
class FittedAdjusted(Serializable):
    """The member as it was fitted, and the effects that series are freed of."""

    member: Any
    effects: Effects

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Return the member's forecasts of the series without effects, with those of the planned
        columns.
        """
        fitted: FittedForecaster = self.member
        forecasts = fitted.predict(
            without_effects(self.effects, history), _without_columns(self.effects, future)
        )
        steps = int(future.lengths[0])
        whole = history.followed_by(future)
        last = whole.offsets[1:, None] - steps + np.arange(steps)
        effect, size = self.effects.of(whole, history.lengths)[last], mean_sizes(history)[:, None]
        mean = self.effects.into(forecasts.mean, effect, size)
        quantiles = self.effects.into(forecasts.quantiles, effect[..., None], size[..., None])
        answer = Forecasts.of(mean, quantiles, forecasts.fallback, forecasts.why)
        return replace(answer, diagnostics=forecasts.diagnostics)


def without_effects(effects: Effects, history: Panel) -> Panel:
    """Return a history without the effects of its columns, which play no role in it."""
    size = np.repeat(mean_sizes(history), history.lengths)
    values = effects.out_of(history.target, effects.of(history, history.lengths), size)
    table = history.table.with_columns(pl.Series(TARGET, values, nan_to_null=True))
    return _without_columns(effects, replace(history, table=table))


def _without_columns(effects: Effects, panel: Panel) -> Panel:
    taken = {column.name for column in effects.columns}
    roles = {
        role: tuple(name for name in names if name not in taken)
        for role, names in panel.roles.items()
    }
    return replace(panel, roles=Roles(roles))
