"""Rows of all series after the forecast: conformal intervals, and sums that add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.forecast.predictions import AVAILABLE, EXISTS, NONNEGATIVE, WINDOW, quantile_name
from hwds.forecast.rows import CALIBRATED, without_raw
from hwds.frames.panel import Panel, aggregates_of_series
from hwds.frames.roles import SERIES, TIME
from hwds.stats.conformal import KINDS, LEAST_ROWS, Bands, ConformalCalibration, mirrors, nominal
from hwds.stats.distributions import interpolate_quantiles, middle_scores
from hwds.stats.reconciliation import ErrorVectors, Reconciler, ReconciliationMethod, SumTree

# Conformal intervals of forecasts: learned from the rows of inner windows, pooled over all
# series of a fold.


def conformal_rows(rows: DataFrame, levels: tuple[float, ...]) -> DataFrame:
    """Return the rows of the real cutoffs, with quantiles corrected by what each fold's inner
    windows say of its model.

    Args:
        rows: All rows of one model with their `fold`, inner windows among them.
        levels: Quantile levels, rising.
    """
    corrected = []
    for fold in rows.partition_by("fold", maintain_order=True):
        real, inner = fold.filter(col(WINDOW) >= 0), fold.filter(col(WINDOW) < 0)
        if not real.is_empty():
            corrected.append(correct_quantiles(real, learn_calibration(inner, levels), levels))
    return without_raw(pl.concat(corrected)) if corrected else uncalibrated_rows(rows)


def uncalibrated_rows(rows: DataFrame) -> DataFrame:
    """Return the rows of the real cutoffs with the model's own quantiles, marked so."""
    return without_raw(rows).with_columns(pl.lit(False).alias(CALIBRATED))


def learn_calibration(inner: DataFrame, levels: tuple[float, ...]) -> ConformalCalibration:
    """Learn the calibration of a model's quantiles from the rows of inner windows, by step.

    Rows that something simpler has answered say nothing of the model, and count only where there
    are no others.
    """
    if inner.is_empty():
        return ConformalCalibration.nothing(levels)
    rows = answered_rows(inner)
    return ConformalCalibration.learn(
        forecast_bands(rows, levels), actual_values(rows), inner["step"].unique().sort().to_numpy()
    )


def answered_rows(rows: DataFrame) -> DataFrame:
    """Return the rows that the model itself has answered, or all where there are none."""
    by_model = rows.filter(~col("fallback"))
    return rows if by_model.is_empty() else by_model


def correct_quantiles(
    rows: DataFrame, calibration: ConformalCalibration, levels: tuple[float, ...]
) -> DataFrame:
    """Return rows with the quantiles that a calibration gives them, and `calibrated`."""
    quantiles, done = calibration.correct(forecast_bands(rows, levels))
    return with_quantiles(rows, quantiles, done, levels)


def with_quantiles(
    rows: DataFrame, quantiles: ndarray, done: ndarray, levels: tuple[float, ...]
) -> DataFrame:
    """Return rows with other quantiles, in the place of the old ones."""
    columns = [
        Series(quantile_name(level), quantiles[:, i], nan_to_null=True)
        for i, level in enumerate(levels)
    ]
    return rows.with_columns(*columns, Series(CALIBRATED, done))


def forecast_bands(rows: DataFrame, levels: tuple[float, ...]) -> Bands:
    """Return the quantile forecasts of rows as arrays."""
    return Bands(
        np.array(levels),
        np.column_stack([_floats(rows, quantile_name(level)) for level in levels]),
        _floats(rows, quantile_name(0.5)),
        _floats(rows, "scale_abs"),
        rows["step"].to_numpy(),
        rows[NONNEGATIVE].to_numpy(),
    )


def actual_values(rows: DataFrame) -> ndarray:
    """Return the actuals, NaN where unknown, shape (rows,)."""
    return _floats(rows, "actual")


def _floats(rows: DataFrame, name: str) -> ndarray:
    return rows[name].cast(pl.Float64).to_numpy()


# Conformal intervals that go on learning: at every cutoff, what earlier forecasts have turned
# out to be by then.

RATE = 0.2
"""The step by which the aimed share moves against its error where series are many; smaller for few,
whose error is chance.
"""

HALF_RATE_SERIES = 50
"""Series at which the rate is half of it."""


def adaptive_rows(rows: DataFrame, levels: tuple[float, ...], windows: int) -> DataFrame:
    """Return the rows of the real cutoffs, each cutoff's quantiles corrected by what was known at
    it.

    At the first cutoff that is the inner windows alone. At a later one, the rows of earlier cutoffs
    whose target lay at or before it, and was out, have joined the pool, of which each step keeps
    the newest windows; and the share that is to lie in each interval has moved against what those
    issued before have missed it by: Gibbs and Candès (2021), "Adaptive conformal inference under
    distribution shift", by step.

    Args:
        rows: All rows of one model with their `fold`, oldest first, inner windows of the first fold
            among them.
        levels: Quantile levels, rising.
        windows: The least number of windows that each step keeps; older ones while these hold few
            rows.
    """
    real, inner = rows.filter(col(WINDOW) >= 0), rows.filter(col(WINDOW) < 0)
    if real.is_empty():
        return uncalibrated_rows(rows)
    past = PastRows.of(real, inner, levels)
    aims = AimedShares(past.steps, np.array(levels))
    quantiles, done = past.bands.quantiles.copy(), np.zeros(real.height, bool)
    seen = np.zeros(real.height, bool)
    for here, known in past.cutoffs():
        aims.learn(past, quantiles, known & ~seen & done & past.own)
        seen |= known
        quantiles[here], done[here] = past.calibration(known, aims.shares, windows).correct(
            past.bands.take(here)
        )
    return without_raw(with_quantiles(real, quantiles, done, levels))


@dataclass(frozen=True, eq=False)
class PastRows:
    """Rows of real cutoffs and of inner windows, as arrays.

    Attributes:
        bands: The model's own quantiles of the real rows.
        actual: Shape (rows,).
        own: A flag for each row that the model itself has forecast, or for all where it has
            answered none.
        order: The number of each row's cutoff, oldest first, over all folds.
        series: Codes from 0.
        cutoff: Its instant, as a number.
        out: The time when the actual was known: its own instant, or when it was published, if that
            was later.
        inner: The model's quantiles of inner windows.
        inner_actual: The actuals there.
        inner_order: Their windows, counted back from -1.
    """

    bands: Bands
    actual: ndarray
    own: ndarray
    order: ndarray
    series: ndarray
    cutoff: ndarray
    out: ndarray
    inner: Bands
    inner_actual: ndarray
    inner_order: ndarray

    @classmethod
    def of(cls, real: DataFrame, inner: DataFrame, levels: tuple[float, ...]) -> PastRows:
        """Return the arrays of the rows of one model."""
        first = answered_rows(inner)
        fallback = real["fallback"].to_numpy()
        published = _instants(real, AVAILABLE if AVAILABLE in real.columns else TIME)
        return cls(
            forecast_bands(real, levels),
            actual_values(real),
            ~fallback if not fallback.all() else np.ones(real.height, bool),
            _codes(real.select(pl.struct("fold", WINDOW)).to_series()),
            _codes(real[SERIES]),
            _instants(real, "cutoff"),
            np.maximum(_instants(real, TIME), published),
            forecast_bands(first, levels),
            actual_values(first),
            first[WINDOW].to_numpy(),
        )

    @property
    def steps(self) -> ndarray:
        """The steps that are forecast, rising."""
        return np.unique(self.bands.step)

    def cutoffs(self) -> Iterator[tuple[ndarray, ndarray]]:
        """Yield the rows of each cutoff, oldest first, and which actuals were known at it."""
        for number in range(int(self.order.max()) + 1):
            here = self.order == number
            # the earliest cutoff for series that are not forecast any more
            limit = np.full(int(self.series.max()) + 1, self.cutoff[here].min())
            limit[self.series[here]] = self.cutoff[here]
            before = (self.order < number) & (self.out <= limit[self.series])
            yield here, before & ~np.isnan(self.actual)

    def calibration(self, known: ndarray, shares: ndarray, windows: int) -> ConformalCalibration:
        """Learn a calibration from the newest windows of the pool."""
        usable = known & self.own
        pool = self.inner.followed_by(self.bands.take(usable))
        actual = np.concatenate([self.inner_actual, self.actual[usable]])
        order = np.concatenate([self.inner_order, self.order[usable]])
        recent = newest_rows(pool.step, order, windows)
        if not recent.any():
            return ConformalCalibration.nothing(self.bands.levels.tolist())
        return ConformalCalibration.learn(pool.take(recent), actual[recent], self.steps, shares)


class AimedShares:
    """The share of scores that is to lie within each level, by step and kind of interval; it moves
    as quantiles come true.

    Attributes:
        steps: Rising.
        levels: Rising, shape (levels,).
        shares: Shape (KINDS, steps, levels).
    """

    def __init__(self, steps: ndarray, levels: ndarray) -> None:
        self.steps, self.levels = steps, levels
        self.nominal = nominal(levels, len(steps))
        self.shares = self.nominal.copy()

    def learn(self, past: PastRows, quantiles: ndarray, newly_known: ndarray) -> None:
        """Move the shares against what was missed, cutoff by cutoff.

        Args:
            past: The rows.
            quantiles: The quantiles as they were issued, shape (rows, levels).
            newly_known: Rows that became known now.
        """
        kinds = past.bands.kind()
        least, most = inside_intervals(quantiles, past.actual, past.bands.are_closed(), self.levels)
        for number in np.unique(past.order[newly_known]):
            for kind in range(KINDS):
                rows = (newly_known & (past.order == number))[:, None] & (kinds == kind)
                for i, step in enumerate(self.steps):
                    here = rows & (past.bands.step == step)[:, None]
                    count = here.sum(0)
                    shares = [(part * here).sum(0) / np.maximum(count, 1) for part in (least, most)]
                    aim = self.nominal[kind, i]
                    # where an actual meets an end (counts), as much of it counts as inside as the
                    # level asks for
                    missed = np.where(count > 0, aim - np.clip(aim, *shares), 0.0)
                    self.shares[kind, i] += RATE * count / (count + HALF_RATE_SERIES) * missed
        np.clip(self.shares, self.nominal / 4, 1 - (1 - self.nominal) / 4, out=self.shares)


def inside_intervals(
    quantiles: ndarray, actual: ndarray, closed: ndarray, levels: ndarray
) -> tuple[ndarray, ndarray]:
    """Return which actuals lie strictly inside each level's central interval, and which inside or
    on an end; (rows, levels).
    """
    low, high = mirrors(levels)
    upper, value = quantiles[:, high], actual[:, None]
    lower = np.where(closed, -np.inf, quantiles[:, low])
    return (lower < value) & (value < upper), (lower <= value) & (value <= upper)


def newest_rows(step: ndarray, order: ndarray, windows: int) -> ndarray:
    """Return which rows each step keeps: at least so many of the newest windows, and more while
    they hold few rows.
    """
    recent = np.zeros(len(step), bool)
    for at in np.unique(step):
        rows = np.flatnonzero(step == at)
        numbers, counts = np.unique(order[rows], return_counts=True)
        newer = np.cumsum(counts[::-1])[::-1] - counts
        taken = (newer < LEAST_ROWS) | (np.arange(len(numbers)) >= len(numbers) - windows)
        recent[rows] = np.isin(order[rows], numbers[taken])
    return recent


def _codes(values: Series) -> ndarray:
    return values.rank("dense").to_numpy().astype(np.int64) - 1


def _instants(rows: DataFrame, name: str) -> ndarray:
    """Return instants as comparable numbers, the unknown after all."""
    column = rows[name]
    whole = column if column.dtype.is_integer() else column.cast(pl.Datetime("us"))
    return whole.cast(pl.Int64).fill_null(np.iinfo(np.int64).max).to_numpy()


# A fitted model kept with what its recipe's errors before the end have taught, which belongs to
# it and to no other fit.


@dataclass(frozen=True, eq=False)
class CalibratedModel(Serializable):
    """The saved model where intervals are conformal.

    Attributes:
        model: The fitted model.
        calibration: Learned from what its recipe forecast on inner windows of the same history.
    """

    model: Any
    calibration: ConformalCalibration


@dataclass(frozen=True, eq=False)
class ReconciledModel(Serializable):
    """The saved model where forecasts are reconciled.

    Attributes:
        model: The fitted model, or a calibrated one.
        errors: The errors of its recipe on inner windows of the same history.
    """

    model: Any
    errors: ErrorVectors


# Coherent forecasts: what a model says of sums and of their parts, made to add up at every
# cutoff and step.

GROUPS = "groups"
"""The aggregates that a row's series is a part of, coarsest first; null for aggregates."""

DRAWS = 1000
"""The draws of the joint law of all series at one cutoff and step."""


def with_groups(rows: DataFrame, panel: Panel, *, grouped: bool) -> DataFrame:
    """Return the raw rows of a cell with their groups."""
    if not rows.width:
        return rows
    groups = aggregates_of_series(panel, grouped=grouped)
    return rows.join(groups, on=SERIES, how="left", maintain_order="left")


def with_summed_actuals(rows: DataFrame) -> DataFrame:
    """Return the raw rows, with what happened to an aggregate as the sum over the series that were
    forecast with it.

    A series that began after the cutoff is in the aggregate's own rows, but nobody could have known
    it; one that has ended adds nothing; where the actual of one is unknown, so is the sum.
    """
    keys = ["fold", WINDOW, "step"]
    parts = rows.filter(col(GROUPS).is_not_null() & col(EXISTS))
    total = pl.when(col("actual").null_count() == 0).then(col("actual").sum())
    sums = (
        parts.select(*keys, "actual", col(GROUPS).alias(SERIES))
        .explode(SERIES)
        .group_by(*keys, SERIES, maintain_order=True)
        .agg(summed=total)
    )
    joined = rows.join(sums, on=[*keys, SERIES], how="left", maintain_order="left")
    actual = pl.when(col(GROUPS).is_null()).then("summed").otherwise("actual")
    return joined.with_columns(actual=actual).drop("summed")


def learn_error_vectors(rows: DataFrame) -> ErrorVectors:
    """Return the error vectors of a fold's inner windows, from its raw rows."""
    inner = rows.filter(col(WINDOW) < 0).sort(WINDOW, "step", SERIES) if rows.width else rows
    if inner.is_empty():
        return ErrorVectors.nothing()
    names = inner[SERIES].unique().sort()
    moments = inner.select(WINDOW, "step").unique(maintain_order=True).with_row_index("moment")
    row = inner.join(moments, on=[WINDOW, "step"], maintain_order="left")["moment"].to_numpy()
    column = names.search_sorted(inner[SERIES]).to_numpy()
    errors, forecasts = np.full((2, len(moments), len(names)), np.nan)
    mean = _float_column(inner, "mean")
    errors[row, column], forecasts[row, column] = _float_column(inner, "actual") - mean, mean
    return ErrorVectors.learn(names.to_list(), errors, moments["step"].to_numpy(), forecasts)


def reconcile_rows(
    rows: DataFrame,
    past: Mapping[int, ErrorVectors],
    method: ReconciliationMethod,
    levels: tuple[float, ...],
) -> DataFrame:
    """Return rows with coherent means and quantiles, at each cutoff over the series that were
    forecast at it.

    Of quantiles that is: draws from each series' own, coupled in the order of past error vectors;
    each draw reconciled; the quantiles of what comes of it (Panagiotelis, Gamakumara,
    Athanasopoulos and Hyndman 2023, "Probabilistic forecast reconciliation: properties, evaluation
    and score optimisation"). Series that were never negative do not become so: the bottom ones are
    cut at zero, and summed up after it; `bottom_up` leaves their means and quantiles as they are.

    Args:
        rows: The rows of real cutoffs with their fold, `groups` and `nonnegative`.
        past: The errors of each fold's inner windows.
        method: The method of reconciliation.
        levels: Quantile levels, rising.
    """
    from threadpoolctl import threadpool_limits

    names = ["mean", *(quantile_name(level) for level in levels)]
    values = np.stack([_float_column(rows, name) for name in names], 1)
    at = rows.select("fold", "cutoff", SERIES, "step", GROUPS, NONNEGATIVE).with_row_index("row")
    with threadpool_limits(1):  # more threads add in another order
        for (fold, cutoff), part in at.group_by("fold", "cutoff", maintain_order=True):
            moment = CutoffForecasts.of(part, values, levels)
            moment.reconcile(values, past[fold], method, str(cutoff))
    columns = [Series(name, values[:, i], nan_to_null=True) for i, name in enumerate(names)]
    return rows.with_columns(columns).drop(GROUPS, NONNEGATIVE, strict=False)


@dataclass(frozen=True, eq=False)
class CutoffForecasts:
    """All series at one cutoff: aggregates first, coarsest first, then the others by name.

    Attributes:
        names: Shape (series,).
        n_aggregates: The number of those that are sums.
        groups: The groups of the others.
        nonnegative: Shape (series,).
        rows: Where the value of each series and step stands, -1 where there is none, shape (series,
            steps).
        levels: Quantile levels.
    """

    names: list[str]
    n_aggregates: int
    groups: list[list[str]]
    nonnegative: ndarray
    rows: ndarray
    levels: ndarray

    @classmethod
    def of(cls, part: DataFrame, values: ndarray, levels: tuple[float, ...]) -> CutoffForecasts:
        """Return the moment of a cutoff's rows, which bear their `row` in the values.

        Those without a value are not there.
        """
        series = part.unique(SERIES, maintain_order=True).sort(SERIES)
        bottom = series.filter(col(GROUPS).is_not_null())
        places: dict[str, int] = {}
        for chain in bottom[GROUPS].to_list():
            places |= {name: max(place, places.get(name, 0)) for place, name in enumerate(chain)}
        found = [name for name in series[SERIES] if name in places]
        sums = sorted(found, key=lambda name: (places[name], name))
        names = [*sums, *bottom[SERIES]]
        order = {name: i for i, name in enumerate(names)}
        signs = dict(series.select(SERIES, NONNEGATIVE).iter_rows())
        steps = part["step"].unique().sort()
        table = np.full((len(names), len(steps)), -1)
        finite = np.isfinite(values[part["row"].to_numpy()]).all(1)
        known = part.filter(Series(finite) & col(SERIES).is_in(names))
        who = known[SERIES].replace_strict(order, return_dtype=pl.Int64).to_numpy()
        table[who, steps.search_sorted(known["step"]).to_numpy()] = known["row"].to_numpy()
        signed = np.array([bool(signs[name]) for name in names], bool)
        return cls(names, len(sums), bottom[GROUPS].to_list(), signed, table, np.array(levels))

    def reconcile(
        self, values: ndarray, past: ErrorVectors, method: ReconciliationMethod, cutoff: str
    ) -> None:
        """Change the values of this cutoff's rows, each step over the series that have one there.

        Shape (rows, 1 + levels).
        """
        there = self.rows >= 0
        patterns, which = np.unique(there, axis=1, return_inverse=True)
        for i, pattern in enumerate(patterns.T):
            series = np.flatnonzero(pattern)
            if not (series < self.n_aggregates).any():
                continue
            tree = self._tree(series)
            sizes = np.abs(values[self.rows[np.ix_(series, np.flatnonzero(which == i))], 0]).mean(1)
            joint = past.of([self.names[at] for at in series], sizes, tree.sizes)
            # the name has no model in it: rivals share the draws
            orders = joint.orders(DRAWS, stream(0, "reconcile", cutoff))
            reconciler = Reconciler(tree, method, joint)
            for step in np.flatnonzero(which == i):
                at = self.rows[series, step]
                values[at] = self._step(values[at], reconciler, orders, self.nonnegative[series])

    def _step(
        self, values: ndarray, reconciler: Reconciler, orders: ndarray, signs: ndarray
    ) -> ndarray:
        """Return the values of one step, shape (series, 1 + levels)."""
        draws = np.empty(orders.shape)
        equal = equal_draws(values[:, 1:], self.levels, orders.shape[1])
        np.put_along_axis(draws, orders, equal, 1)
        base = np.column_stack([values[:, 0], draws])
        base[signs, 1:] = np.maximum(base[signs, 1:], 0)
        n, bottom = reconciler.tree.n_aggregates, reconciler.bottom(base)
        if reconciler.method != "bottom_up":  # which leaves them as they are
            bottom[signs[n:]] = np.maximum(bottom[signs[n:]], 0)
        whole = reconciler.tree.with_aggregates(bottom)
        quantiles = np.quantile(whole[:, 1:], self.levels, axis=1, method="hazen").T
        if reconciler.method == "bottom_up":
            quantiles[n:] = values[n:, 1:]
        return np.column_stack([whole[:, 0], quantiles])

    def _tree(self, series: ndarray) -> SumTree:
        """Return which aggregates sum which of some of the series."""
        sums = series[series < self.n_aggregates]
        place = {self.names[at]: i for i, at in enumerate(sums)}
        bottom = [self.groups[at - self.n_aggregates] for at in series[len(sums) :]]
        pairs = [
            (place[name], member)
            for member, chain in enumerate(bottom)
            for name in chain
            if name in place
        ]
        aggregate, member = np.array(pairs, np.int64).reshape(-1, 2).T
        return SumTree(len(sums), len(bottom), aggregate, member)


def equal_draws(quantiles: ndarray, levels: ndarray, n: int) -> ndarray:
    """Return n equally likely values of each distribution, rising, shape (rows, n): quantiles at
    mid-levels.
    """
    scores = middle_scores(n)
    units = np.eye(len(levels))  # it is linear in the quantiles
    weights = np.stack([interpolate_quantiles(levels, unit, scores) for unit in units])
    return np.maximum.accumulate(quantiles @ weights, axis=1)


def _float_column(rows: DataFrame, name: str) -> ndarray:
    values = rows[name].cast(pl.Float64).fill_null(float("nan"))
    return values.to_numpy().astype(np.float64, copy=True)
