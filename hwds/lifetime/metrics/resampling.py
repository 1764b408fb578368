"""Intervals of scores by a bootstrap over machines: the predictions of one machine are drawn together."""

from __future__ import annotations

import numpy as np

from hwds.core.seeds import stream
from hwds.statistics.aggregate import Estimate
from hwds.statistics.bootstrap import drawn

METHOD = "bootstrap over machines"


class MachineBootstrap:
    """Resamples of machines, the same for every score of the same rows.

    Args:
        machine: The number of each row's machine, from 0, shape (n,).
        resamples: How many.
    """

    def __init__(self, machine: np.ndarray, resamples: int) -> None:
        self.machine = machine
        self.machines = int(machine.max(initial=-1)) + 1
        rng = stream(0, "machines", self.machines)
        self.counts = np.array([drawn(self.machines, rng) for _ in range(resamples if self.machines > 1 else 0)])

    def ratio(self, top: np.ndarray, bottom: np.ndarray, *, root: bool = False, total: bool = False) -> Estimate:
        """Return the sum of one number a row over that of another, or its root; or the first sum alone.

        Args:
            top: NaN where undefined, shape (n,).
            bottom: The same.
            root: Of the ratio.
            total: The sum of `top`, of as many machines as there are.
        """
        known = ~(np.isnan(top) | np.isnan(bottom))
        tops = np.bincount(self.machine[known], top[known], self.machines)
        bottoms = np.bincount(self.machine[known], bottom[known], self.machines)
        undefined, n = int((~known).sum()), int(bottom[known].sum())

        def of(weighted_top: np.ndarray, weighted_bottom: np.ndarray) -> np.ndarray:
            value = weighted_top if total else weighted_top / np.where(weighted_bottom > 0, weighted_bottom, np.nan)
            return np.sqrt(value) if root else value

        if not n:
            return Estimate(None, None, None, None, METHOD, 0, undefined)
        value = float(of(tops.sum(), bottoms.sum()))
        values = of(self.counts @ tops, self.counts @ bottoms) if len(self.counts) else np.zeros(0)
        return estimate(value, values, n, undefined)

    def pairs(self, top: np.ndarray, bottom: np.ndarray, undefined: int) -> Estimate:
        """Return the sum over pairs of machines of one number over that of another, shapes (machines, machines)."""
        total = float(bottom.sum())
        if total <= 0:
            return Estimate(None, None, None, None, METHOD, 0, undefined)
        tops = np.einsum("bi,ij,bj->b", self.counts, top, self.counts) if len(self.counts) else np.zeros(0)
        bottoms = np.einsum("bi,ij,bj->b", self.counts, bottom, self.counts) if len(self.counts) else np.zeros(0)
        values = tops / np.where(bottoms > 0, bottoms, np.nan)
        return estimate(float(top.sum()) / total, values, int(total), undefined)


def estimate(value: float, values: np.ndarray, n: int, undefined: int) -> Estimate:
    """Return an estimate with the percentile interval of its resamples; without one where they are not all defined."""
    if len(values) < 2 or np.isnan(values).any():
        return Estimate(value, None, None, None, METHOD, n, undefined)
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(value, float(values.std(ddof=1)), float(low), float(high), METHOD, n, undefined)
