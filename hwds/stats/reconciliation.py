"""Least-squares reconciliation of sums and parts, by the errors of many series at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from hwds.core.serialization import Serializable

# Past errors of many series at once: how large each one's are, and how they move together,
# shrunk towards not at all.

LEAST_SHRINKAGE = 0.01
"""The least shrinkage, so that a covariance has an inverse."""


@dataclass(frozen=True, eq=False)
class JointErrors:
    """The assumed joint distribution of the errors of n series: deviations times correlations.

    The correlations are `shrinkage` times none at all, and the rest those of `vectors`.

    Attributes:
        deviations: The standard deviations, shape (n,), positive.
        vectors: The error vectors in deviations, 0 where unknown, shape (t, n).
        shrinkage: The weight of the shrinkage, from 0 to 1.
    """

    deviations: ndarray
    vectors: ndarray
    shrinkage: float

    @property
    def specific(self) -> ndarray:
        """The variance of each series that it shares with none, shape (n,).

        With `common` it makes up the covariance.
        """
        explained = (
            np.square(self.vectors).mean(0) if len(self.vectors) else np.zeros(len(self.deviations))
        )
        return self.deviations**2 * np.maximum(
            1 - (1 - self.shrinkage) * explained, LEAST_SHRINKAGE
        )

    @property
    def common(self) -> ndarray:
        """A factor F: the covariance is diag(specific) + F F'; shape (n, t)."""
        weight = np.sqrt((1 - self.shrinkage) / max(len(self.vectors), 1))
        return weight * self.deviations[:, None] * self.vectors.T

    def orders(self, n: int, rng: np.random.Generator) -> ndarray:
        """Return the order in which n rising draws of each series go together, shape (series, n):
        past vectors, blurred.

        A Schaake shuffle (see `metrics.coupling`) of the past vectors, each taken as often as
        another, and as often with either sign: all forecasts that were too low in the past may be
        too high together next time. The noise is as strong as the shrinkage does not believe them,
        so that ranks are correlated as W says; without any vector, all move as one.
        """
        if not len(self.vectors):
            return np.broadcast_to(np.arange(n), (len(self.deviations), n))
        taken, signs = (
            rng.permutation(n) % len(self.vectors),
            np.where(rng.permutation(n) % 2, 1.0, -1.0),
        )
        # the vectors explain a part of each series' variance, noise the rest
        explained = np.square(self.vectors).mean(0)[:, None]
        noise = rng.standard_normal((len(self.deviations), n)) * np.sqrt(
            np.maximum(1 - (1 - self.shrinkage) * explained, LEAST_SHRINKAGE)
        )
        mixed: ndarray = np.sqrt(1 - self.shrinkage) * self.vectors[taken].T * signs + noise
        return mixed.argsort(1, kind="stable")


@dataclass(frozen=True, eq=False)
class ErrorVectors(Serializable):
    """The errors of forecasts on inner windows: one vector over all series for each window and
    step.

    Attributes:
        series: Names.
        vectors: Errors of the mean over each series' deviation and over each step's growth; 0 where
            unknown, shape (t, n).
        deviations: Root mean squares, NaN where nothing is known, shape (n,).
        sizes: Mean sizes of the forecasts, NaN where nothing is known, shape (n,).
    """

    series: tuple[str, ...]
    vectors: ndarray
    deviations: ndarray
    sizes: ndarray

    @classmethod
    def learn(
        cls, series: Sequence[str], errors: ndarray, steps: ndarray, forecasts: ndarray
    ) -> ErrorVectors:
        """Return all steps pooled: the errors of farther ones are larger by one factor, the same
        for all series.

        So one covariance serves all steps but for a factor, which reconciliation does not see
        (Wickramasuriya, Athanasopoulos and Hyndman 2019). Errors are not centred: the bias of a few
        windows is a part of how wrong a forecast is.

        Args:
            series: Names.
            errors: NaN where unknown, shape (t, n).
            steps: The step of each row, shape (t,).
            forecasts: The forecasts, shape (t, n).
        """
        growth = np.ones(len(errors))
        deviations = _root_mean_square(errors)
        # deviations of series and growth of steps, each given the other; two rounds settle both
        for _ in range(2):
            scaled = errors / np.where(deviations > 0, deviations, np.nan)
            for step in np.unique(steps):
                size = float(_root_mean_square(scaled[steps == step].reshape(-1, 1))[0])
                growth[steps == step] = size if size > 0 else 1.0
            deviations = _root_mean_square(errors / growth[:, None])
        vectors = np.nan_to_num(
            errors / growth[:, None] / np.where(deviations > 0, deviations, np.nan)
        )
        return cls(tuple(series), vectors, deviations, _mean(np.abs(forecasts)))

    @classmethod
    def nothing(cls) -> ErrorVectors:
        """Return the vectors of no windows."""
        none = np.zeros(0)
        return cls((), np.zeros((0, 0)), none, none)

    def of(self, series: Sequence[str], sizes: ndarray, members: ndarray) -> JointErrors:
        """Return the errors to expect of some series, in their order.

        Of a series without past errors they are as large for its size as those of the others; where
        nobody has any, as the square root of the number of its parts.

        Args:
            series: Names.
            sizes: Mean sizes of their forecasts now, shape (series,).
            members: The number of series that each is the sum of, 1 for one that is no sum.
        """
        places = {name: i for i, name in enumerate(self.series)}
        where = np.array([places.get(name, -1) for name in series], np.int64)
        present = where >= 0
        vectors = (
            np.where(present, self.vectors[:, where], 0.0)
            if len(self.series)
            else np.zeros((0, len(series)))
        )
        deviations = (
            np.where(present, self.deviations[where], np.nan)
            if len(self.series)
            else np.full(len(series), np.nan)
        )
        if not np.nanmax(deviations, initial=0.0) > 0:
            return JointErrors(np.sqrt(members.astype(np.float64)), vectors[:0], 1.0)
        positive = self.sizes > 0
        relative = self.deviations[positive] / self.sizes[positive]
        usual = float(np.nanmedian(relative)) if np.isfinite(relative).any() else 0.0
        deviations = np.where(np.isnan(deviations), usual * sizes, deviations)
        # an exact series would leave nothing to divide by
        return JointErrors(
            np.maximum(deviations, 1e-9 * deviations.max()), vectors, shrinkage(vectors)
        )


def shrinkage(vectors: ndarray) -> float:
    """Return the weight of the shrinkage of correlations to zero: their mean sampling variance over
    their mean square.

    Schaefer and Strimmer (2005), "A shrinkage approach to large-scale covariance matrix estimation
    and implications for functional genomics", not centred. The steps of one window share its
    shocks, so that this is less than what independent windows would say; counted as one observation
    each, they shrink more and forecast worse on monthly retail turnover.

    Args:
        vectors: The error vectors in deviations, shape (t, n).
    """
    n = len(vectors)
    if n < 2:
        return 1.0
    # the sum over pairs of series of the products of two vectors' own products, without any matrix
    # of pairs
    squares = vectors**2
    pairs = (vectors @ vectors.T) ** 2 - squares @ squares.T
    variance = (np.trace(pairs) - pairs.sum() / n) * n / (n - 1) ** 3
    square = pairs.mean()
    return float(np.clip(variance / square, LEAST_SHRINKAGE, 1.0)) if square > 0 else 1.0


def _root_mean_square(values: ndarray) -> ndarray:
    """Return the root mean square over the known rows, NaN where there are none."""
    return np.sqrt(_mean(values**2))


def _mean(values: ndarray) -> ndarray:
    present = ~np.isnan(values)
    count = present.sum(0)
    return np.where(count > 0, np.where(present, values, 0).sum(0) / np.maximum(count, 1), np.nan)


# Forecasts of sums and of their parts made to add up: bottom-up, top-down, minimum trace.
# Hyndman and Athanasopoulos (2021), "Forecasting: principles and practice", 3rd edition,
# chapter 11.

ReconciliationMethod = Literal["bottom_up", "top_down", "mint"]


@dataclass(frozen=True, eq=False)
class SumTree:
    """Aggregates and the bottom series that they sum: values of all have the aggregates first, then
    the bottom.

    Attributes:
        n_aggregates: The number of aggregates, coarsest first.
        n_bottom: The number of series that they are made of.
        aggregate: The aggregate of each membership, shape (memberships,).
        member: Its bottom series.
    """

    n_aggregates: int
    n_bottom: int
    aggregate: ndarray
    member: ndarray

    @cached_property
    def sums(self) -> Any:
        """A sparse matrix of ones, shape (aggregates, bottom)."""
        from scipy.sparse import csr_array

        ones = np.ones(len(self.aggregate))
        return csr_array(
            (ones, (self.aggregate, self.member)), shape=(self.n_aggregates, self.n_bottom)
        )

    @property
    def sizes(self) -> ndarray:
        """The number of bottom series that each series is the sum of."""
        return np.concatenate(
            [
                np.bincount(self.aggregate, minlength=self.n_aggregates),
                np.ones(self.n_bottom, np.int64),
            ]
        )

    def with_aggregates(self, bottom: ndarray) -> ndarray:
        """Return all series from the bottom ones, shape (bottom, ...)."""
        return np.concatenate([self.sums @ bottom, bottom])

    def parents(self) -> tuple[ndarray, ndarray]:
        """Return the next coarser series of each where levels nest, -1 for none, and how many there
        are above it.
        """
        n = self.n_aggregates + self.n_bottom
        parent, depth = np.full(n, -1), np.zeros(n, np.int64)
        order = np.lexsort((self.aggregate, self.member))
        for member, aggregate in zip(self.member[order], self.aggregate[order], strict=True):
            leaf = self.n_aggregates + member  # its chain so far ends with the coarser aggregate
            if parent[leaf] >= 0:
                parent[aggregate], depth[aggregate] = parent[leaf], depth[parent[leaf]] + 1
            parent[leaf], depth[leaf] = aggregate, depth[aggregate] + 1
        return parent, depth


@dataclass(frozen=True, eq=False)
class Reconciler:
    """Makes the forecasts of one tree add up.

    Attributes:
        tree: What sums what.
        method: The method of reconciliation.
        joint: The errors to expect of all series; only `mint` reads them.
    """

    tree: SumTree
    method: ReconciliationMethod
    joint: JointErrors

    def bottom(self, values: ndarray) -> ndarray:
        """Return the bottom series of coherent forecasts, shape (bottom, k).

        Args:
            values: Forecasts of all series, shape (aggregates + bottom, k), each column for itself.
        """
        n = self.tree.n_aggregates
        base, bottom = values[:n], values[n:]
        if self.method == "bottom_up" or not n:
            return bottom
        if self.method == "top_down":
            return self._top_down(values)
        coherent: ndarray = bottom + self.correction @ (base - self.tree.sums @ bottom)
        return coherent

    @cached_property
    def correction(self) -> ndarray:
        """The share of each aggregate's discrepancy that each bottom series takes: minimum trace.

        Shape (bottom, aggregates).

        S (S'W^-1 S)^-1 S'W^-1 of Wickramasuriya, Athanasopoulos and Hyndman (2019), "Optimal
        forecast reconciliation for hierarchical and grouped time series through trace
        minimization", in the form of its constraints, I - W U'(U W U')^-1 U with U = [I, -sums]: W
        is a diagonal and a factor of as many columns as there are vectors, so that only a matrix of
        aggregates by aggregates is solved, and thousands of series are cheap.
        """
        from scipy.linalg import cho_factor, cho_solve

        sums, n = self.tree.sums, self.tree.n_aggregates
        specific, common = self.joint.specific, self.joint.common
        shared = (sums * specific[n:]).T  # specific_b sums', shape (bottom, aggregates)
        # U W U', from the diagonal and the common factor of W
        off = common[:n] - sums @ common[n:]
        system = np.diag(specific[:n]) + (sums @ shared).toarray() + off @ off.T
        across = shared.toarray() - common[n:] @ off.T
        # scaled to a diagonal of ones: series of thousands and of units keep their digits
        size = np.sqrt(np.diag(system))
        solved = cho_solve(cho_factor(system / np.outer(size, size)), (across / size).T)
        taken: ndarray = (solved / size[:, None]).T
        return taken

    def _top_down(self, values: ndarray) -> ndarray:
        """Split each value among its parts by the proportions of their own forecasts, level by
        level; equally where all are 0.

        Forecast proportions: Athanasopoulos, Ahmed and Hyndman (2009), "Hierarchical forecasts for
        Australian domestic tourism". A negative forecast counts as none. A series that is a part of
        no other keeps its value.
        """
        parent, depth = self.tree.parents()
        split = values.astype(np.float64, copy=True)
        weights = np.maximum(values, 0)
        for level in range(1, int(depth.max(initial=0)) + 1):
            here = np.flatnonzero(depth == level)
            here = here[np.argsort(parent[here], kind="stable")]
            _, starts, codes, count = np.unique(
                parent[here], return_index=True, return_inverse=True, return_counts=True
            )
            # the forecasts of the parts of each parent
            total = np.add.reduceat(weights[here], starts)
            shares = np.where(
                total[codes] > 0,
                weights[here] / np.where(total > 0, total, 1)[codes],
                1 / count[codes][:, None],
            )
            split[here] = split[parent[here]] * shares
        return split[self.tree.n_aggregates :]
