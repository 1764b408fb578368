"""Forecasts of sums and of their parts made to add up: bottom-up, top-down, minimum trace.

Hyndman and Athanasopoulos (2021), "Forecasting: principles and practice", 3rd edition, chapter 11.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from hwds.forecast.metrics.error_vectors import Joint

Method = Literal["bottom_up", "top_down", "mint"]


@dataclass(frozen=True, eq=False)
class Tree:
    """Aggregates and the bottom series that they sum: values of all have the aggregates first, then the bottom.

    Attributes:
        n_aggregates: How many there are, coarsest first.
        n_bottom: How many series they are made of.
        aggregate: Of each membership, shape (memberships,).
        member: Its bottom series.
    """

    n_aggregates: int
    n_bottom: int
    aggregate: np.ndarray
    member: np.ndarray

    @cached_property
    def sums(self) -> Any:
        """A sparse matrix of ones, shape (aggregates, bottom)."""
        from scipy.sparse import csr_array

        ones = np.ones(len(self.aggregate))
        return csr_array((ones, (self.aggregate, self.member)), shape=(self.n_aggregates, self.n_bottom))

    @property
    def sizes(self) -> np.ndarray:
        """The number of bottom series that each series is the sum of."""
        return np.concatenate([np.bincount(self.aggregate, minlength=self.n_aggregates), np.ones(self.n_bottom, np.int64)])

    def summed(self, bottom: np.ndarray) -> np.ndarray:
        """Return all series from the bottom ones, shape (bottom, ...)."""
        return np.concatenate([self.sums @ bottom, bottom])

    def parents(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the next coarser series of each where levels nest, -1 for none, and how many there are above it."""
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
        method: How.
        joint: The errors to expect of all series; only `mint` reads them.
    """

    tree: Tree
    method: Method
    joint: Joint

    def bottom(self, values: np.ndarray) -> np.ndarray:
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
        coherent: np.ndarray = bottom + self.correction @ (base - self.tree.sums @ bottom)
        return coherent

    @cached_property
    def correction(self) -> np.ndarray:
        """The share of each aggregate's discrepancy that each bottom series takes: minimum trace; shape (bottom, aggregates).

        S (S'W^-1 S)^-1 S'W^-1 of Wickramasuriya, Athanasopoulos and Hyndman (2019), "Optimal forecast reconciliation for
        hierarchical and grouped time series through trace minimization", in the form of its constraints, I - W U'(U W U')^-1 U
        with U = [I, -sums]: W is a diagonal and a factor of as many columns as there are vectors, so that only a matrix of
        aggregates by aggregates is solved, and thousands of series are cheap.
        """
        from scipy.linalg import cho_factor, cho_solve

        sums, n = self.tree.sums, self.tree.n_aggregates
        alone, common = self.joint.alone, self.joint.common
        shared = (sums * alone[n:]).T  # alone_b sums', shape (bottom, aggregates)
        off = common[:n] - sums @ common[n:]
        system = np.diag(alone[:n]) + (sums @ shared).toarray() + off @ off.T
        across = shared.toarray() - common[n:] @ off.T
        size = np.sqrt(np.diag(system))
        solved = cho_solve(cho_factor(system / np.outer(size, size)), (across / size).T)
        taken: np.ndarray = (solved / size[:, None]).T
        return taken

    def _top_down(self, values: np.ndarray) -> np.ndarray:
        """Split each value among its parts by the proportions of their own forecasts, level by level; equally where all are 0.

        Forecast proportions: Athanasopoulos, Ahmed and Hyndman (2009), "Hierarchical forecasts for Australian domestic
        tourism". A negative forecast counts as none. A series that is a part of no other keeps its value.
        """
        parent, depth = self.tree.parents()
        split = values.astype(np.float64, copy=True)
        weights = np.maximum(values, 0)
        for level in range(1, int(depth.max(initial=0)) + 1):
            here = np.flatnonzero(depth == level)
            here = here[np.argsort(parent[here], kind="stable")]
            _, starts, codes, count = np.unique(parent[here], return_index=True, return_inverse=True, return_counts=True)
            total = np.add.reduceat(weights[here], starts)
            shares = np.where(total[codes] > 0, weights[here] / np.where(total > 0, total, 1)[codes], 1 / count[codes][:, None])
            split[here] = split[parent[here]] * shares
        return split[self.tree.n_aggregates :]
