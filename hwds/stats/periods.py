"""Errors of means over periods: tests along one series, and shocks that all units share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, sqrt

import numpy as np
from numpy import ndarray
from polars import Series

from hwds.core.seeds import stream
from hwds.stats.effects import (
    LEAST_SURE,
    Z95,
    Effect,
    ReferenceDistribution,
    SumDistribution,
    cluster_values,
    reaching_zero,
)
from hwds.stats.estimates import Estimate, fewest, unit_median, without_interval

# Tests of equal accuracy along one series: Diebold and Mariano's, and one that holds its level
# with few origins.

COSINES_METHOD = "cosines over origins"
LEAST_ORIGINS = 20
"""Origins that a series must have at least; twice the horizon, where that is more."""


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """The test of one series.

    Attributes:
        statistic: The statistic, below 0 where the first model loses less.
        p_value: Two-sided, of Student's t with one less than `origins` degrees of freedom.
        mean: The mean difference of losses.
        origins: The number of origins.
        horizon: The number of origins that one error reaches over; 1 where the variance of the
            longer one was not above 0.
    """

    statistic: float
    p_value: float
    mean: float
    origins: int
    horizon: int


def has_enough_origins(origins: int, horizon: int) -> bool:
    """Return whether a series has enough origins for the test to hold its level."""
    return origins >= max(LEAST_ORIGINS, 2 * horizon)


def diebold_mariano(differences: ndarray, horizon: int = 1) -> DieboldMariano | None:
    """Return the test that losses differ by 0 on average.

    Diebold and Mariano (1995), "Comparing predictive accuracy", the variance summed over `horizon -
    1` autocovariances; Harvey, Leybourne and Newbold (1997), "Testing the equality of prediction
    mean squared errors", eq. 9, and Student's t. As `dm.test` of R's forecast: where that variance
    is not above 0 the test is made with a horizon of 1.

    Args:
        differences: The loss of the first model less that of the second, in the order of origins,
            shape (n,).
        horizon: Origins that one forecast error reaches over: 1 where windows do not overlap.

    Returns:
        None where all differences are the same, or there are fewer than two.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) == 0:
        return None
    mean = float(np.mean(differences))
    centred = differences - mean
    covariances = [float(centred[lag:] @ centred[: n - lag]) / n for lag in range(min(horizon, n))]
    variance = (covariances[0] + 2 * sum(covariances[1:])) / n
    if variance <= 0:
        return diebold_mariano(differences, 1)
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    statistic = mean / variance**0.5 * correction**0.5
    return DieboldMariano(
        statistic, ReferenceDistribution(n - 1).two_sided(statistic), mean, n, horizon
    )


def cosine_effect(differences: ndarray, horizon: int) -> Effect:
    """Return the mean with the long-run variance of equal-weighted cosines, and Student's t with a
    degree of freedom a cosine.

    Lazarus, Lewis, Stock and Watson (2018), "HAR inference: recommendations for practice", with
    their rule of 0.41 n^(2/3) cosines, recommended for Diebold and Mariano's test by Coroneo and
    Iacone (2020), "Comparing predictive accuracy in small samples using fixed-smoothing
    asymptotics"; two for every three windows that do not overlap at most, for a cosine faster than
    that misses what they share.

    Args:
        differences: The loss of the second model less that of the first, in the order of origins,
            shape (n,).
        horizon: Origins that one forecast error reaches over.
    """
    n, waves = len(differences), cosines(len(differences), horizon)
    variance = float(np.mean(np.square(waves @ differences)))
    return Effect(
        float(np.mean(differences)),
        (variance / n) ** 0.5,
        ReferenceDistribution(len(waves)),
        COSINES_METHOD,
        n,
    )


def cosines(n: int, horizon: int) -> ndarray:
    """Return the orthonormal cosines that a long-run variance is the mean square of, shape (count,
    n); see `cosine_effect`.
    """
    count = max(int(min(0.41 * n ** (2 / 3), n / horizon / 1.5)), 1)
    waves: ndarray = np.sqrt(2 / n) * np.cos(
        np.pi * np.arange(1, count + 1)[:, None] * (np.arange(n) + 0.5) / n
    )
    return waves


# Variance of a mean over units from periods that they share: a promotion, a holiday, a shortage
# hits all series at once.

LEAST_OF_A_SEASON = 6
"""Periods that tell something although they cover less than `SEASON_SEEN`."""

LEAST_EVEN_PERIODS = 1.5
"""Periods of equal weight that those of a table must be worth."""

SEASON_SEEN = 2 / 3
"""The share of a season that periods must cover, to distinguish a shock of a part of the year from
a lasting difference.
"""

PERIODS_METHOD = "t over units and periods"


@dataclass(frozen=True, eq=False)
class Cells:
    """The unit and the period of each value.

    Attributes:
        unit, period: Codes from 0, periods in the order of time, shape (cells,).
        span: Periods that one value reaches over; 1 where windows do not overlap.
        season_seen: The share of a season that the periods cover; infinite where there is none.
        gap: The time from one period to the next, in windows: 1 where they follow one another.
        steps: The steps of a window.
        cluster: The cluster of each value's unit, whose units are drawn together, shape (cells,);
            None where each unit is drawn alone.
    """

    unit: ndarray
    period: ndarray
    span: int = 1
    season_seen: float = inf
    gap: float = 1.0
    steps: int = 1
    cluster: ndarray | None = None

    def where(self, chosen: ndarray) -> Cells:
        """Return the cells that a mask selects, numbered anew."""
        return self if chosen.all() else self.at(np.flatnonzero(chosen))

    def at(self, places: ndarray) -> Cells:
        """Return some cells by their places, numbered anew."""
        unit, period = (
            np.unique(codes[places], return_inverse=True)[1] for codes in (self.unit, self.period)
        )
        cluster = None if self.cluster is None else self.cluster[places]
        return replace(self, unit=unit, period=period, cluster=cluster)

    @property
    def units(self) -> int:
        """The number of units."""
        return int(self.unit.max(initial=-1)) + 1

    @property
    def clusters(self) -> int:
        """The number of units that are drawn apart: clusters where there are any."""
        return self.units if self.cluster is None else len(np.unique(self.cluster))

    def of_clusters(self, by_unit: ndarray) -> ndarray:
        """Return values of clusters whose mean is that of the values of units, shape (clusters,);
        see `cluster_values`.
        """
        if self.cluster is None:
            return by_unit
        of_unit = np.zeros(self.units, np.int64)
        of_unit[self.unit] = self.cluster
        return cluster_values(by_unit, [np.arange(self.units)], of_unit)[0]

    @property
    def periods(self) -> int:
        """The number of periods."""
        return int(self.period.max(initial=-1)) + 1

    def persistence(self, path: ndarray) -> Persistence | None:
        """Return how long shared shocks last; None where periods are too few, too many, or cover a
        part of a season alone.

        Args:
            path: The shared values, shape (periods, blocks, pairs).
        """
        least = 2 if self.span > 1 else LEAST_SURE
        told = self.season_seen >= SEASON_SEEN and least <= self.periods <= MOST_VALUES
        return persistence(path, self) if told and not self.refusal else None

    @property
    def fewest(self) -> int:
        """The clusters or the periods, whichever are fewer; the periods of one unit."""
        return self.periods if self.units < 2 else min(self.clusters, self.periods)

    @property
    def weights(self) -> ndarray:
        """The weight of each value in the mean of units' means, shape (cells,)."""
        counts = np.bincount(self.unit)
        weights: ndarray = 1 / (self.units * counts[self.unit])
        return weights

    @property
    def effective(self) -> float:
        """The number of periods of equal weight that these are worth (Carter, Schnepel and
        Steigerwald 2017).
        """
        sizes = np.bincount(self.period, self.weights)
        return float(np.square(sizes).sum() ** 2 / np.power(sizes, 4).sum())

    @property
    def refusal(self) -> str:
        """The reason why periods cannot tell how they vary; empty where they can."""
        if self.units > 1 and self.clusters < 2:
            return "one cluster cannot tell"
        if self.periods < 2 or self.effective < LEAST_EVEN_PERIODS:
            return (
                "one cutoff cannot tell"
                if self.periods < 2
                else "one cutoff has most of the weight and cannot tell"
            )
        if self.periods < 1.5 * self.span:
            return f"{self.periods} cutoffs of overlapping windows cannot tell"
        if self.season_seen < SEASON_SEEN and self.periods < LEAST_OF_A_SEASON:
            return (
                f"{self.periods} cutoffs in {100 * self.season_seen:.0f} % of a season cannot tell"
            )
        return ""


@dataclass(frozen=True, eq=False)
class PeriodPart:
    """The part of periods in the variance of a mean.

    Attributes:
        periods: The variance from shocks of periods and of single values, shape (pairs,).
        cells: The variance from single values, which that of units has too, shape (pairs,).
        iid: The variance if all values were independent, shape (pairs,).
        df: Degrees of freedom of the first, shape (pairs,).
        count: The number of periods.
    """

    periods: ndarray
    cells: ndarray
    iid: ndarray
    df: ndarray
    count: int


def period_part(values: ndarray, cells: Cells, path: ndarray | None = None) -> PeriodPart:
    """Return what periods make the mean of units' means vary.

    Clustered by period (Cameron, Gelbach and Miller 2011, "Robust inference with multiway
    clustering"), and widened by how long shocks last; see `persistence`.

    Args:
        values: The values, shape (cells, pairs).
        cells: The cells, which must have no `refusal`.
        path: The values within periods, see `shared_path`; those of whole periods where None.
    """
    weights = cells.weights
    centred = values - weights @ values
    shocks, df = period_shocks(values, cells, path)
    iid = float(np.square(weights).sum()) * np.square(centred).sum(axis=0) / (len(values) - 1)
    return PeriodPart(
        np.square(shocks).sum(axis=0), _cell_variance(values, cells), iid, df, cells.periods
    )


def period_shocks(
    values: ndarray, cells: Cells, path: ndarray | None = None
) -> tuple[ndarray, ndarray]:
    """Return independent shocks of the mean whose squares add up to its variance, shape (shocks,
    pairs), and their freedom, shape (pairs,).

    Each period is one, larger where shocks last. Of very many periods, and of those that cover a
    part of a season, they are cosines over them (Lazarus, Lewis, Stock and Watson 2018).
    """
    weights, effective, count = cells.weights, cells.effective, cells.periods
    sums = _sums_by_code(weights[:, None] * (values - weights @ values), cells.period)
    covered, pairs = cells.season_seen >= SEASON_SEEN, values.shape[1]
    if not covered or count > MOST_VALUES:
        # only the slowest cosine tells how the parts of a year differ
        waves = cosines(count, cells.span)[: None if covered else 1]
        df = min(float(len(waves)), effective - 1)
        return sqrt(count / len(waves)) * (waves @ sums), np.full(pairs, df)
    found = cells.persistence(shared_path(values[:, None], cells) if path is None else path)
    if found is None:
        # too few to tell how long shocks last, or to be sure of anything
        return sqrt(effective / (effective - 1)) * sums, np.full(pairs, effective - 1)
    shocks = np.sqrt(effective / (effective - 1) * found.inflation) * sums
    return shocks, np.maximum(effective / found.inflation - 1, min(effective - 1, 1.0))


# How long shocks last: estimated from the values within periods, which tell it better than a
# handful of periods.

MOST_BLOCKS = 4
"""Blocks of steps that a window is cut into."""

MOST_VALUES = 96
"""Blocks of all periods that persistence is estimated from."""

MOST_STEPS = 24
"""Steps of a window between which correlations are averaged; of more so many, evenly."""

PERSISTENCE = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.85, 0.92)
"""Correlations of a shock with the same one period later."""

PRIOR = (0.5, 0.03, 0.06, 0.1, 0.1, 0.1, 0.08, 0.03)
"""The chance of each before the values are seen, chosen by `bench.shared_shocks`."""

INDEPENDENT_SHAPES = {
    (1.0, 0.0, 0.0): 0.25,
    (0.5, 0.0, 0.5): 0.2,
    (0.03, 0.0, 0.97): 0.25,
    (0.03, 0.97, 0.0): 0.1,
    (0.03, 0.77, 0.2): 0.1,
    (0.03, 0.47, 0.5): 0.1,
}
"""The shares of variance from shocks of instants, from shocks of whole periods and from noise, and
the chance of each, where shocks do not last.
"""

LASTING_SHAPES = {
    (1.0, 0.0, 0.0): 1 / 3,
    (0.7, 0.0, 0.3): 1 / 3,
    (0.03, 0.97, 0.0): 1 / 9,
    (0.03, 0.77, 0.2): 1 / 9,
    (0.03, 0.47, 0.5): 1 / 9,
}
"""The same where shocks last."""

LASTS = 0.3
"""Persistence from which on shocks are said to last."""

LIKELY = 0.5
"""The chance of it from which on a remark says so."""

NEARLY_ALL = 0.9
"""The share of periods that they must be worth for no remark."""


def shared_path(values: ndarray, cells: Cells) -> ndarray:
    """Return the mean over units of each block of each period, shape (periods, blocks, pairs), each
    unit measured from its own mean.

    Args:
        values: The value of each block of each cell, shape (cells, blocks, pairs).
        cells: The unit and the period of each cell.
    """
    of_cells = values.mean(axis=1)
    own = _sums_by_code(of_cells, cells.unit) / np.bincount(cells.unit)[:, None]
    weights = cells.weights
    added = weights[:, None, None] * (values - own[cells.unit][:, None])
    sums = _sums_by_code(added.reshape(len(values), -1), cells.period)
    size = np.bincount(cells.period, weights)
    return (sums / size[:, None]).reshape(len(size), *values.shape[1:])


def blocks_of(periods: int, steps: int) -> int:
    """Return the number of blocks into which the steps of a window are cut, even ones if any
    are.
    """
    most = max(min(steps, MOST_BLOCKS, MOST_VALUES // max(periods, 1)), 1)
    return next((blocks for blocks in range(most, 1, -1) if steps % blocks == 0), most)


def block_of_step(steps: int, blocks: int) -> ndarray:
    """Return the block of each step of a window, shape (steps,)."""
    numbers: ndarray = np.arange(steps) * blocks // steps
    return numbers


@dataclass(frozen=True, eq=False)
class Persistence:
    """How long the shocks of pairs last.

    Attributes:
        inflation: The variance of the mean over what periods show if taken as independent.
        worth: The number of independent periods that would tell as much.
        mean: The mean correlation of a shock with the same one period later.
        lasting: The chance that it is `LASTS` or more.
        kept: The worth as a share of that of shocks that do not last.
    """

    inflation: ndarray
    worth: ndarray
    mean: ndarray
    lasting: ndarray
    kept: ndarray

    def remark(self, pair: int, periods: int) -> str:
        """Return what the shocks of a pair make its periods worth, in a sentence; empty where they
        are worth about as many as they are.
        """
        worth, mean = float(self.worth[pair]), float(self.mean[pair])
        independent = f"{max(worth, 1):.0f} independent {'one' if worth < 1.5 else 'ones'}"
        if self.lasting[pair] >= LIKELY:
            length = 1 / (1 - mean)
            return (
                f"Shocks last about {length:.{int(length < 2)}f} cutoffs ({mean:.1f}): {periods} "
                f"cutoffs are worth {independent}."
            )
        if self.kept[pair] > NEARLY_ALL:
            return ""
        return (
            f"{periods} cutoffs cannot tell whether shocks last: they are counted as {independent}."
        )


@dataclass(frozen=True, eq=False)
class ShockLaws:
    """Laws that shared shocks may follow, as Gaussian covariances of the blocks of all periods.

    Attributes:
        whitening: From blocks to the quadratic form whose value is that of the law's residuals
            around the mean of each block of a window, shape (laws, values, values).
        constant: The logarithm of the chance of each law less its determinants, shape (laws,).
        inflation, worth, kept, persistence: As in `Persistence`, of each law, shape (laws,).
    """

    whitening: ndarray
    constant: ndarray
    inflation: ndarray
    worth: ndarray
    kept: ndarray
    persistence: ndarray


def persistence(path: ndarray, cells: Cells) -> Persistence:
    """Return how long shocks last, averaged over laws by how well each fits.

    A Gaussian law for each persistence and shape has a restricted likelihood with flat priors of
    the means of steps and of the logarithm of the scale; logarithms of inflations are averaged.

    Args:
        path: The shared values, shape (periods, blocks, pairs).
        cells: The cells that they are of.
    """
    periods, blocks, pairs = path.shape
    steps = max(min(cells.steps, MOST_STEPS), blocks)
    laws = _shock_laws(periods, blocks, steps, round(cells.gap * steps, 2))
    values = path.reshape(periods * blocks, pairs)
    squares = ((laws.whitening @ values) * values).sum(axis=1)
    freedom = (periods - 1) * blocks
    fit = laws.constant[:, None] - freedom / 2 * np.log(np.maximum(squares, np.finfo(float).tiny))
    chance = np.exp(fit - fit.max(axis=0))
    chance /= chance.sum(axis=0)
    return Persistence(
        np.exp(np.log(laws.inflation) @ chance),
        np.exp(np.log(laws.worth) @ chance),
        laws.persistence @ chance,
        (laws.persistence >= LASTS) @ chance,
        np.exp(np.log(laws.kept) @ chance),
    )


@lru_cache(maxsize=16)
def _shock_laws(periods: int, blocks: int, steps: int, stride: float) -> ShockLaws:
    """Return the laws of so many periods and blocks of windows of so many steps."""
    means, whole = np.tile(np.eye(blocks), (periods, 1)), np.eye(periods) - 1 / periods
    found = []
    for lasts, chance, covariance, apart in _covariances(periods, blocks, steps, stride):
        inverse = np.linalg.inv(covariance)
        of_means = means.T @ inverse @ means
        residual = inverse - inverse @ means @ np.linalg.solve(of_means, means.T @ inverse)
        constant = np.log(chance) - sum(
            float(np.linalg.slogdet(each)[1]) / 2 for each in (covariance, of_means)
        )
        by_period, alone = (
            each.reshape(periods, blocks, periods, blocks).mean(axis=(1, 3))
            for each in (covariance, apart)
        )
        seen = float((whole * by_period).sum()) / (periods - 1)
        inflation = max(by_period.sum() / periods / seen, 1.0)
        worth, most = (periods * np.trace(each) / each.sum() for each in (by_period, alone))
        found.append((residual, constant, inflation, worth, min(worth / most, 1.0), lasts))
    return ShockLaws(*(np.array(part) for part in zip(*found, strict=True)))


def _covariances(
    periods: int, blocks: int, steps: int, stride: float
) -> Iterator[tuple[float, float, ndarray, ndarray]]:
    """Yield each law's persistence, chance and covariance of blocks, and what that were if shocks
    did not last.
    """
    order = np.repeat(np.arange(periods), blocks)
    apart = np.abs(order[:, None] - order)
    noise = np.eye(len(order))
    fresh = _instants(periods, blocks, steps, stride, 0.0)
    for lasts, prior in zip(PERSISTENCE, PRIOR, strict=True):
        instants = _instants(periods, blocks, steps, stride, lasts)
        shapes = LASTING_SHAPES if lasts else INDEPENDENT_SHAPES
        for (shared, whole, alone), chance in shapes.items():
            single = (alone + 1e-6) * noise
            covariance = shared * instants + whole * lasts**apart + single
            yield lasts, prior * chance, covariance, shared * fresh + whole * (apart == 0) + single


def _instants(periods: int, blocks: int, steps: int, stride: float, lasts: float) -> ndarray:
    """Return the covariance of blocks if each instant has a shock, and those of overlapping windows
    are the same.
    """
    rows, later = np.arange(steps), np.arange(periods)[:, None] - np.arange(periods)
    of_block = block_of_step(steps, blocks) == np.arange(blocks)[:, None]
    mean = of_block / of_block.sum(axis=1, keepdims=True)
    lags = np.abs(np.arange(periods)[:, None, None] * stride + rows[:, None] - rows)
    shared = lasts ** (lags / stride) if lasts else np.maximum(1 - lags, 0.0)
    by_lag = mean @ shared @ mean.T  # the blocks of the later period first
    tiles = np.where(
        (later >= 0)[..., None, None],
        by_lag[np.abs(later)],
        by_lag.transpose(0, 2, 1)[np.abs(later)],
    )
    covariance = tiles.transpose(0, 2, 1, 3).reshape(periods * blocks, periods * blocks)
    scaled: ndarray = covariance / np.diag(covariance).mean()
    return scaled


def pooled_part(parts: Sequence[PeriodPart]) -> PeriodPart:
    """Return the part of periods in the mean over datasets, whose periods are taken as independent
    (Satterthwaite 1946).
    """
    # df of a sum of variances v: (sum v)^2 / sum(v^2 / df)
    share = 1 / len(parts) ** 2
    each = np.stack([part.periods for part in parts])
    variance, inner = (
        share * each.sum(axis=0),
        share**2 * np.square(each / np.sqrt([part.df for part in parts])).sum(axis=0),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(inner > 0, variance**2 / inner, min(float(part.df.min()) for part in parts))
    cells, iid = (
        share * np.sum([getattr(part, name) for part in parts], axis=0) for name in ("cells", "iid")
    )
    return PeriodPart(variance, cells, iid, df, sum(part.count for part in parts))


def with_periods(effect: Effect, part: PeriodPart, pair: int, cells: int) -> Effect:
    """Return an effect over units with what their shared periods add.

    The variances of single values are in that of units and in that of periods; they count once.

    Args:
        effect: The effect over units; of variance 0 where there is one unit alone.
        part: The part of the periods, of all pairs.
        pair: The number of this one.
        cells: The number of values.
    """
    # both variances have that of single values: it is taken out of the first
    units = max((effect.stderr or 0.0) ** 2 - float(part.cells[pair]), 0.0)
    periods = float(part.periods[pair])
    total = units + periods
    effect = replace(effect, periods=part.count)
    if total == 0:
        return replace(effect, stderr=0.0)
    of_periods = periods / total, ReferenceDistribution(float(part.df[pair]))
    distribution = SumDistribution(((units / total, effect.distribution), of_periods))
    independent = cells * float(part.iid[pair]) / total
    return replace(effect, stderr=sqrt(total), distribution=distribution, independent=independent)


def mean_estimate(
    values: ndarray,
    cells: Cells,
    undefined: int = 0,
    blocks: ndarray | None = None,
    *,
    again: bool = False,
) -> Estimate:
    """Return the mean over units of their means over periods, with Student's t of both in its
    interval.

    One unit is taken as it is. Where the periods cannot tell how they vary the standard error is
    that over units in these periods alone, and there is no interval.

    Args:
        values: The values, shape (cells,), all defined.
        cells: The unit and the period of each.
        undefined: The number of units without a value.
        blocks: The value of each block of each cell, which tell how long shocks last, shape (cells,
            blocks).
        again: Whether the interval must hold at all looks; see `Effect.at_all_looks`.
    """
    if not len(values):
        return without_interval(None, PERIODS_METHOD, 0, undefined)
    n, weights = cells.units, cells.weights
    by_unit = np.bincount(cells.unit, weights * n * values)
    value = float(by_unit.mean())
    apart = cells.of_clusters(by_unit)
    count = len(apart)
    over_units = float(np.std(apart, ddof=1) / sqrt(count)) if count > 1 else None
    if cells.refusal:
        return Estimate(value, over_units, None, None, cells.refusal, n, undefined)
    effect = Effect(
        value, over_units or 0.0, ReferenceDistribution(max(count - 1, 1)), PERIODS_METHOD, n
    )
    path = None if blocks is None else shared_path(blocks[:, :, None], cells)
    effect = with_periods(effect, period_part(values[:, None], cells, path), 0, len(values))
    low, high = effect.at_all_looks(again=again).interval(0.95) or (None, None)
    return Estimate(value, effect.stderr, low, high, PERIODS_METHOD, n, undefined)


# What few units or periods decide, and breaks in time.


@dataclass(frozen=True)
class Deciders:
    """The units or the periods without which a difference is not sure.

    Attributes:
        kind: `unit` or `period`.
        codes: Their numbers, the most telling first.
        count: The number of all.
    """

    kind: str
    codes: tuple[int, ...]
    count: int

    def remark(self, names: Series, called: str, than: str = "") -> str:
        """Return a sentence that names them.

        Args:
            names: The names of all.
            called: What they are, in the plural.
            than: The other model (` from m/b`); empty if that is clear.
        """
        listed = ", ".join(str(names[code]) for code in self.codes)
        return (
            f"Without {len(self.codes)} of {self.count} {called} ({listed}) the difference{than} "
            f"is not sure."
        )


def deciders(values: ndarray, cells: Cells, blocks: ndarray) -> list[Deciders]:
    """Return the fewest units and the fewest periods without which the mean is not surely other
    than 0; none where it is not sure with all, or stays so without as many as are tried.

    Args:
        values: The values, shape (cells,), whose mean is the difference.
        cells: The unit and the period of each.
        blocks: As in `mean_estimate`.
    """
    whole = mean_estimate(values, cells, 0, blocks)
    if whole.value is None or not _sure(whole, cells):
        return []
    found = []
    for kind, codes in (("unit", cells.unit), ("period", cells.period)):
        added = np.bincount(codes, cells.weights * (values - whole.value))

        def without(left_out: ndarray, codes: ndarray = codes) -> bool:
            kept = ~np.isin(codes, left_out)
            rest = cells.where(kept)
            return _sure(mean_estimate(values[kept], rest, 0, blocks[kept]), rest)

        few = fewest(np.sign(whole.value) * added, without)
        found += [Deciders(kind, few, len(added))] if few else []
    return found


def _sure(estimate: Estimate, cells: Cells) -> bool:
    """Return whether an interval leaves out 0."""
    if estimate.low is None or estimate.high is None:
        return False
    low, high = reaching_zero(estimate.low, estimate.high, cells.fewest)
    return not low <= 0 <= high


LEAST_BESIDE_BREAK = 1
"""Periods before a break, or after it, at least."""

BREAK_P = 0.05
"""The chance of a break to be remarked on where there is none."""


@dataclass(frozen=True)
class Break:
    """A break in time.

    Attributes:
        period: The first period after it.
        before, after: The means of periods.
        p_value: The chance of one as large where periods are independent.
    """

    period: int
    before: float
    after: float
    p_value: float

    def remark(self, instants: Series, words: Callable[[float], str], than: str = "") -> str:
        """Return a sentence with its time; empty if it may be chance.

        Args:
            instants: The names of all periods.
            words: The words of a mean, such as `12 % less error`.
            than: The other model (` from m/b`); empty if that is clear.
        """
        if self.p_value >= BREAK_P:
            return ""
        return (
            f"The difference{than} breaks at cutoff {instants[self.period]}: "
            f"{words(self.before)} before it, {words(self.after)} from then on."
        )


def largest_break(means: ndarray, cells: Cells) -> Break | None:
    """Return the most likely break in the mean of periods, by the largest F-statistic (Andrews
    1993, "Tests for parameter instability and structural change with unknown change point"), whose
    law is that of normal numbers as far apart as the windows; None where periods are too few.

    Args:
        means: The mean of each period, shape (periods,).
        cells: The cells that they are of.
    """
    n = len(means)
    if n < LEAST_SURE or np.ptp(means) == 0:
        return None
    steps = min(cells.steps, MOST_STEPS)
    null = _breaks_of_none(n, steps, round(cells.gap * steps, 2))
    statistics = _break_statistics(means[None])[0]
    place = int(np.argmax(statistics))
    first = place + LEAST_BESIDE_BREAK
    p_value = float((1 + (null >= statistics[place]).sum()) / (1 + len(null)))
    return Break(first, float(means[:first].mean()), float(means[first:].mean()), p_value)


def _break_statistics(means: ndarray) -> ndarray:
    """Return F-statistics of a break before each period that may have one, shape (rows, places)."""
    n = means.shape[1]
    centred = means - means.mean(axis=1, keepdims=True)
    before = np.arange(LEAST_BESIDE_BREAK, n - LEAST_BESIDE_BREAK + 1)
    sums = np.cumsum(centred, axis=1)[:, before - 1]
    between = np.square(sums) * n / (before * (n - before))
    within = np.square(centred).sum(axis=1, keepdims=True) - between
    statistics: ndarray = (n - 2) * between / np.maximum(within, np.finfo(float).tiny)
    return statistics


@lru_cache(maxsize=8)
def _breaks_of_none(periods: int, steps: int, stride: float) -> ndarray:
    """Return the largest statistics of means without a break, shape (1999,)."""
    law = np.linalg.cholesky(_instants(periods, 1, steps, stride, 0.0) + 1e-9 * np.eye(periods))
    means = stream(0, "breaks", str(periods)).normal(size=(1999, periods)) @ law.T
    largest: ndarray = _break_statistics(means).max(axis=1)
    return largest


def median_estimate(
    values: ndarray, cells: Cells, undefined: int = 0, blocks: ndarray | None = None
) -> Estimate:
    """Return the median over units of their means over periods, with what shared periods add to the
    interval of its ranks.

    A shock of a period moves the median as it moves the units near to it: the middle half of them.

    Args:
        values: The values, shape (cells,), all defined.
        cells: The unit and the period of each.
        undefined: The number of units without a value.
        blocks: As in `mean_estimate`.
    """
    n, weights = cells.units, cells.weights
    by_unit = np.bincount(cells.unit, weights * n * values, n)
    rank = replace(unit_median(by_unit), n_undefined=undefined)
    if rank.value is not None and cells.refusal:
        return replace(rank, low=None, high=None, method=cells.refusal)
    if rank.value is None or rank.stderr is None or rank.low is None or rank.high is None:
        return rank
    # the half of the units that lies nearest to the median, which a shock moves past it
    near = np.abs(by_unit - rank.value) <= np.median(np.abs(by_unit - rank.value))
    some = near[cells.unit]
    middle = cells.where(some)
    if middle.refusal:
        return replace(rank, low=None, high=None, method=middle.refusal)
    # units of one cluster move together: the error of ranks grows as that of a mean does
    apart = middle.of_clusters(by_unit[near])
    spread = np.std(apart, ddof=1) / sqrt(len(apart)), np.std(by_unit[near], ddof=1)
    law, stderr = ReferenceDistribution(), rank.stderr
    if cells.cluster is not None and spread[1] > 0:
        law = ReferenceDistribution(len(apart) - 1)
        stderr *= max(float(spread[0] / spread[1]) * sqrt(int(near.sum())), 1.0)
    effect = Effect(rank.value, stderr, law, rank.method, n)
    path = None if blocks is None else shared_path(blocks[some][:, :, None], middle)
    part = period_part(values[some][:, None], middle, path)
    effect = with_periods(effect, part, 0, int(some.sum()))
    if not rank.stderr or not effect.stderr:
        return rank
    # the interval of ranks stays lopsided; periods stretch it, and never narrow it
    wide = max(effect.stderr * effect.distribution.critical(0.95) / (rank.stderr * Z95), 1.0)
    low = rank.value - wide * (rank.value - rank.low)
    high = rank.value + wide * (rank.high - rank.value)
    return replace(
        rank,
        stderr=max(effect.stderr, rank.stderr),
        low=low,
        high=high,
        method="order statistics and t over periods",
    )


def ratio_estimate(
    top: ndarray,
    bottom: ndarray,
    cells: Cells,
    root: bool = False,
    blocks: ndarray | None = None,
) -> Estimate:
    """Return the ratio of two sums, or its root, with Student's t of units and of the periods that
    they share.

    Linearised (Cochran, Sampling Techniques, 6.4); a root by the delta method.

    Args:
        top: The part of each cell in the upper sum, shape (cells,).
        bottom: That in the lower one.
        cells: The unit and the period of each.
        root: Give the square root of the ratio.
        blocks: As in `mean_estimate`.
    """
    from hwds.stats.estimates import clustered_part

    total = float(bottom.sum()) if len(bottom) else 0.0
    if not total:
        return without_interval(None, PERIODS_METHOD, 0, cells.units)
    ratio = float(top.sum()) / total
    # what each cell adds to the error of the ratio: the sum is 0
    added = (top - ratio * bottom) / total
    drawn = (
        cells.unit if cells.cluster is None else np.unique(cells.cluster, return_inverse=True)[1]
    )
    by_unit, size = (np.bincount(drawn, each) for each in (added, bottom))
    over_units = clustered_part("unit", by_unit, size)
    value = sqrt(ratio) if root and ratio >= 0 else ratio
    # the derivative of the root at the ratio
    slope = (1 / (2 * value) if value else None) if root else 1.0
    unsure = without_interval(value, PERIODS_METHOD, cells.units, 0)
    if slope is None or over_units.counts.df <= 0:
        return unsure
    effect = Effect(
        ratio, sqrt(over_units.variance), over_units.distribution, PERIODS_METHOD, cells.units
    )
    if cells.refusal:
        return replace(unsure, stderr=slope * (effect.stderr or 0.0), method=cells.refusal)
    path = None if blocks is None else shared_path(blocks[:, :, None], cells)
    part = period_part((ratio + added / cells.weights)[:, None], cells, path)
    effect = with_periods(effect, part, 0, len(top))
    stderr = slope * (effect.stderr or 0.0)
    half = stderr * effect.distribution.critical(0.95)
    return replace(unsure, stderr=stderr, low=value - half, high=value + half)


def _sums_by_code(values: ndarray, codes: ndarray) -> ndarray:
    """Return the sum of the values of each code, every one of which occurs, shape (codes,
    pairs).
    """
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sums: ndarray = np.add.reduceat(values[order], starts, axis=0)
    return sums


def _cell_variance(values: ndarray, cells: Cells) -> ndarray:
    """Return the variance that single values add to the mean: what neither their unit nor their
    period explains.
    """
    df = len(values) - cells.units - cells.periods + 1
    if df < 1:
        return np.zeros(values.shape[1])
    # residuals of a two-way layout
    rest = values - values.mean(axis=0)
    for codes in (cells.unit, cells.period):
        rest = rest - (_sums_by_code(rest, codes) / np.bincount(codes)[:, None])[codes]
    return float(np.square(cells.weights).sum()) * np.square(rest).sum(axis=0) / df
