"""Coherent forecasts: what a model says of sums and of their parts, made to add up at every cutoff and step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.forecast.metrics.error_vectors import ErrorVectors
from hwds.forecast.metrics.reconciliation import Method, Reconciler, Tree
from hwds.forecast.protocols.rows.predictions import EXISTS, NONNEGATIVE, WINDOW, quantile_name
from hwds.frames.hierarchy import groups_of
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.statistics.coupling import inverse, middles

GROUPS = "groups"
"""The aggregates that a row's series is a part of, coarsest first; null for aggregates."""

DRAWS = 1000
"""The draws of the joint law of all series at one cutoff and step."""


def with_groups(rows: pl.DataFrame, panel: Panel, *, grouped: bool) -> pl.DataFrame:
    """Return the raw rows of a cell with their groups."""
    return rows.join(groups_of(panel, grouped=grouped), on=SERIES, how="left", maintain_order="left") if rows.width else rows


def with_summed_actuals(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the raw rows, with what happened to an aggregate as the sum over the series that were forecast with it.

    A series that began after the cutoff is in the aggregate's own rows, but nobody could have known it; one that has ended adds
    nothing; where the actual of one is unknown, so is the sum.
    """
    keys = ["fold", WINDOW, "step"]
    parts = rows.filter(pl.col(GROUPS).is_not_null() & pl.col(EXISTS)).select(*keys, GROUPS, "actual").explode(GROUPS)
    total = pl.when(pl.col("actual").null_count() == 0).then(pl.col("actual").sum())
    sums = parts.group_by(*keys, GROUPS, maintain_order=True).agg(total.alias("summed")).rename({GROUPS: SERIES})
    joined = rows.join(sums, on=[*keys, SERIES], how="left", maintain_order="left")
    actual = pl.when(pl.col(GROUPS).is_null()).then("summed").otherwise("actual").alias("actual")
    return joined.with_columns(actual).drop("summed")


def error_vectors(rows: pl.DataFrame) -> ErrorVectors:
    """Return the error vectors of a fold's inner windows, from its raw rows."""
    inner = rows.filter(pl.col(WINDOW) < 0).sort(WINDOW, "step", SERIES) if rows.width else rows
    if inner.is_empty():
        return ErrorVectors.nothing()
    names = inner[SERIES].unique().sort()
    moments = inner.select(WINDOW, "step").unique(maintain_order=True).with_row_index("moment")
    row = inner.join(moments, on=[WINDOW, "step"], maintain_order="left")["moment"].to_numpy()
    column = names.search_sorted(inner[SERIES]).to_numpy()
    errors, forecasts = np.full((2, len(moments), len(names)), np.nan)
    mean = _floats(inner, "mean")
    errors[row, column], forecasts[row, column] = _floats(inner, "actual") - mean, mean
    return ErrorVectors.learn(names.to_list(), errors, moments["step"].to_numpy(), forecasts)


def reconciled(rows: pl.DataFrame, past: Mapping[int, ErrorVectors], method: Method, levels: tuple[float, ...]) -> pl.DataFrame:
    """Return rows with coherent means and quantiles, at each cutoff over the series that were forecast at it.

    Of quantiles that is: draws from each series' own, coupled in the order of past error vectors; each draw reconciled; the
    quantiles of what comes of it (Panagiotelis, Gamakumara, Athanasopoulos and Hyndman 2023, "Probabilistic forecast
    reconciliation: properties, evaluation and score optimisation"). Series that were never negative do not become so: the
    bottom ones are cut at zero, and summed up after it; `bottom_up` leaves their means and quantiles as they are.

    Args:
        rows: With their fold, `groups` and `nonnegative`, of real cutoffs only.
        past: The errors of each fold's inner windows.
        method: How.
        levels: Quantile levels, rising.
    """
    from threadpoolctl import threadpool_limits

    names = ["mean", *(quantile_name(level) for level in levels)]
    values = np.stack([_floats(rows, name) for name in names], 1)
    at = rows.select("fold", "cutoff", SERIES, "step", GROUPS, NONNEGATIVE).with_row_index("row")
    with threadpool_limits(1):  # more threads add in another order
        for (fold, cutoff), part in at.group_by("fold", "cutoff", maintain_order=True):
            moment = Moment.of(part, values, levels)
            moment.reconcile(values, past[fold], method, str(cutoff))
    columns = [pl.Series(name, values[:, i], nan_to_null=True) for i, name in enumerate(names)]
    return rows.with_columns(columns).drop(GROUPS, NONNEGATIVE, strict=False)


@dataclass(frozen=True, eq=False)
class Moment:
    """All series at one cutoff: aggregates first, coarsest first, then the others by name.

    Attributes:
        names: Shape (series,).
        n_aggregates: How many of them are sums.
        groups: Of the others.
        nonnegative: Shape (series,).
        rows: Where the value of each series and step stands, -1 where there is none, shape (series, steps).
        levels: Quantile levels.
    """

    names: list[str]
    n_aggregates: int
    groups: list[list[str]]
    nonnegative: np.ndarray
    rows: np.ndarray
    levels: np.ndarray

    @classmethod
    def of(cls, part: pl.DataFrame, values: np.ndarray, levels: tuple[float, ...]) -> Moment:
        """Return the moment of a cutoff's rows, which bear their `row` in the values; those without a value are not there."""
        series = part.unique(SERIES, maintain_order=True).sort(SERIES)
        bottom = series.filter(pl.col(GROUPS).is_not_null())
        places: dict[str, int] = {}
        for chain in bottom[GROUPS].to_list():
            places |= {name: max(place, places.get(name, 0)) for place, name in enumerate(chain)}
        sums = sorted((name for name in series[SERIES] if name in places), key=lambda name: (places[name], name))
        names = [*sums, *bottom[SERIES]]
        order = {name: i for i, name in enumerate(names)}
        signs = dict(series.select(SERIES, NONNEGATIVE).iter_rows())
        steps = part["step"].unique().sort()
        table = np.full((len(names), len(steps)), -1)
        known = part.filter(pl.Series(np.isfinite(values[part["row"].to_numpy()]).all(1)) & pl.col(SERIES).is_in(names))
        who = known[SERIES].replace_strict(order, return_dtype=pl.Int64).to_numpy()
        table[who, steps.search_sorted(known["step"]).to_numpy()] = known["row"].to_numpy()
        signed = np.array([bool(signs[name]) for name in names], bool)
        return cls(names, len(sums), bottom[GROUPS].to_list(), signed, table, np.array(levels))

    def reconcile(self, values: np.ndarray, past: ErrorVectors, method: Method, cutoff: str) -> None:
        """Change the values of this cutoff's rows, each step over the series that have one there; shape (rows, 1 + levels)."""
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
            orders, reconciler = joint.orders(DRAWS, stream(0, "reconcile", cutoff)), Reconciler(tree, method, joint)
            for step in np.flatnonzero(which == i):
                at = self.rows[series, step]
                values[at] = self._step(values[at], reconciler, orders, self.nonnegative[series])

    def _step(self, values: np.ndarray, reconciler: Reconciler, orders: np.ndarray, signs: np.ndarray) -> np.ndarray:
        """Return the values of one step, shape (series, 1 + levels)."""
        draws = np.empty(orders.shape)
        np.put_along_axis(draws, orders, drawn(values[:, 1:], self.levels, orders.shape[1]), 1)
        base = np.column_stack([values[:, 0], draws])
        base[signs, 1:] = np.maximum(base[signs, 1:], 0)
        n, bottom = reconciler.tree.n_aggregates, reconciler.bottom(base)
        if reconciler.method != "bottom_up":  # which leaves them as they are
            bottom[signs[n:]] = np.maximum(bottom[signs[n:]], 0)
        whole = reconciler.tree.summed(bottom)
        quantiles = np.quantile(whole[:, 1:], self.levels, axis=1, method="hazen").T
        if reconciler.method == "bottom_up":
            quantiles[n:] = values[n:, 1:]
        return np.column_stack([whole[:, 0], quantiles])

    def _tree(self, series: np.ndarray) -> Tree:
        """Return which aggregates sum which of some of the series."""
        sums = series[series < self.n_aggregates]
        place = {self.names[at]: i for i, at in enumerate(sums)}
        bottom = [self.groups[at - self.n_aggregates] for at in series[len(sums) :]]
        pairs = [(place[name], member) for member, chain in enumerate(bottom) for name in chain if name in place]
        aggregate, member = np.array(pairs, np.int64).reshape(-1, 2).T
        return Tree(len(sums), len(bottom), aggregate, member)


def drawn(quantiles: np.ndarray, levels: np.ndarray, n: int) -> np.ndarray:
    """Return n equally likely values of each distribution, rising, shape (rows, n): quantiles at mid-levels."""
    scores = middles(n)
    weights = np.stack([inverse(levels, unit, scores) for unit in np.eye(len(levels))])  # it is linear in the quantiles
    values: np.ndarray = np.maximum.accumulate(quantiles @ weights, axis=1)
    return values


def _floats(rows: pl.DataFrame, name: str) -> np.ndarray:
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64, copy=True)
