"""The weights of a stack: members' forecasts on windows before the cutoff, and the weights that would have been best there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import polars as pl

from hwds.forecast.protocols.rows.predictions import KNOWN

STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, np.inf)
"""Tried pulls of a ridge to equal weights, in units of the members' mean squared error; infinite is equal weights."""

ROUNDS = 20
"""The rounds of reweighting; weights change by less than a thousandth long before."""

MEDIAN = "q_0.5"

KEYS = ("series_id", "cutoff", "step")


@dataclass(frozen=True, eq=False)
class MemberWindows:
    """The forecasts of members on inner windows, in units of each series' scale.

    Attributes:
        forecasts: Shape (rows, members).
        target: Shape (rows,).
        window: The number of the window, counted from the end of each series, shape (rows,).
        series: The name of the series, shape (rows,).
        step: Counted from 1, shape (rows,).
        known: The share of the history's rows that were known before the window, shape (rows,); None counts all alike.
    """

    forecasts: np.ndarray
    target: np.ndarray
    window: np.ndarray
    series: np.ndarray
    step: np.ndarray
    known: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> MemberWindows:
        """Return some of the rows."""
        window, series, step = self.window[rows], self.series[rows], self.step[rows]
        known = None if self.known is None else self.known[rows]
        return MemberWindows(self.forecasts[rows], self.target[rows], window, series, step, known)

    def members(self, chosen: np.ndarray) -> MemberWindows:
        """Return the same rows of some of the members."""
        return replace(self, forecasts=self.forecasts[:, chosen])

    @property
    def losses(self) -> np.ndarray:
        """Absolute scaled errors, shape (rows, members)."""
        return np.abs(self.forecasts - self.target[:, None])


def member_windows(rows: Sequence[pl.DataFrame]) -> MemberWindows:
    """Return the medians of all members (absolute errors judge medians), where each has one and the series has a scale."""
    if any(part.is_empty() for part in rows):
        none = np.zeros(0, np.int64)
        return MemberWindows(np.zeros((0, len(rows))), np.zeros(0), none, np.zeros(0, object), none)
    scaled = [name for name in ("scale_abs", "short_scale_abs") if name in rows[0].columns]
    known = pl.col(KNOWN) if KNOWN in rows[0].columns else pl.lit(1.0)
    first = rows[0].select(
        *KEYS, "actual", known.alias(KNOWN), pl.coalesce(scaled).alias("scale_abs"), pl.col(MEDIAN).alias("member_0")
    )
    others = [part.select(*KEYS, pl.col(MEDIAN).alias(f"member_{i}")) for i, part in enumerate(rows[1:], 1)]
    joined: pl.DataFrame = reduce(lambda left, right: left.join(right, KEYS, "inner", maintain_order="left"), others, first)
    number = pl.col("cutoff").rank("dense", descending=True).over("series_id").alias("window")
    scored = joined.with_columns(number).filter((pl.col("scale_abs") > 0) & pl.col("actual").is_not_null())
    scale = scored["scale_abs"].to_numpy()
    forecasts = scored.select(f"member_{i}" for i in range(len(rows))).to_numpy() / scale[:, None]
    target = scored["actual"].to_numpy() / scale
    defined = np.isfinite(forecasts).all(axis=1) & np.isfinite(target)
    window, step = (scored[name].to_numpy().astype(np.int64) for name in ("window", "step"))
    return MemberWindows(forecasts, target, window, scored["series_id"].to_numpy(), step, scored[KNOWN].to_numpy()).take(
        defined
    )


def simplex_weights(seen: MemberWindows) -> np.ndarray:
    """Return the weights of the least mean absolute error, at least 0 and with the sum 1, shape (members,).

    By iteratively reweighted least squares (Schlossmacher 1973): a row that is missed by far counts less, so that one launch
    does not decide.
    """
    errors = seen.forecasts - seen.target[:, None]  # with the sum 1 the stack's error is the weighted error
    weights = np.full(errors.shape[1], 1 / errors.shape[1])
    for _ in range(ROUNDS):
        weights = _on_simplex(_moments(errors, errors @ weights))
    return weights


def ridge_weights(seen: MemberWindows) -> np.ndarray:
    """Return weights of any sign and sum, drawn to equal ones as far as windows left out in turn say, shape (members,).

    By the same reweighted least squares; the strength is chosen by the mean absolute scaled error.
    """
    numbers = np.unique(seen.window)
    losses = [np.mean([_left_out(seen, number, strength) for number in numbers]) for strength in STRENGTHS]
    best = len(losses) - 1 - int(np.argmin(losses[::-1]))  # of equals the strongest
    return _ridge(seen, STRENGTHS[best])


def inverse_weights(seen: MemberWindows) -> np.ndarray:
    """Return weights in proportion to 1 / (mean absolute scaled error)^2, shape (members,): none is left out, none takes all.

    Bates and Granger (1969), "The Combination of Forecasts", without the covariances, which a few windows cannot tell.
    """
    precision = 1 / np.maximum(seen.losses.mean(0), 1e-12) ** 2
    weights: np.ndarray = precision / precision.sum()
    return weights


def best_weights(seen: MemberWindows) -> np.ndarray:
    """Return all for the member of the least mean absolute scaled error, shape (members,)."""
    return np.eye(seen.forecasts.shape[1])[int(np.argmin(seen.losses.mean(0)))]


def _ridge(seen: MemberWindows, strength: float) -> np.ndarray:
    """Return equal weights plus their penalised correction."""
    count = seen.forecasts.shape[1]
    equal = np.full(count, 1 / count)
    if not np.isfinite(strength):
        return equal
    change, missed = np.zeros(count), seen.target - seen.forecasts @ equal
    pull = strength * float(np.mean((seen.forecasts - seen.target[:, None]) ** 2)) * np.eye(count)
    for _ in range(ROUNDS):
        rows = _row_weights(missed - seen.forecasts @ change)
        moments = (seen.forecasts * rows[:, None]).T @ seen.forecasts / rows.sum()
        change = np.linalg.lstsq(moments + pull, seen.forecasts.T @ (rows * missed) / rows.sum(), rcond=None)[0]
    return equal + change


def _left_out(seen: MemberWindows, window: int, strength: float) -> float:
    """Return the loss on a window of the ridge from the others; of equal weights where there is no other."""
    inside = seen.window == window
    weights = _ridge(seen, np.inf) if inside.all() else _ridge(seen.take(~inside), strength)
    return float(np.mean(np.abs(seen.forecasts[inside] @ weights - seen.target[inside])))


def _moments(errors: np.ndarray, missed: np.ndarray) -> np.ndarray:
    rows = _row_weights(missed)
    moments: np.ndarray = (errors * rows[:, None]).T @ errors / rows.sum()
    return moments


def _row_weights(missed: np.ndarray) -> np.ndarray:
    """Return the weights under which a sum of squares is one of absolute values."""
    sizes = np.abs(missed)
    return 1 / np.maximum(sizes, 1e-3 * np.mean(sizes) + 1e-12)


def _on_simplex(matrix: np.ndarray) -> np.ndarray:
    """Return argmin w'Mw on the simplex, by dropping the most negative weight until none is (active set)."""
    count = len(matrix)
    free = np.ones(count, bool)
    while True:
        active = np.flatnonzero(free)
        ones = np.ones((len(active), 1))
        system = np.block([[2 * matrix[np.ix_(active, active)], ones], [ones.T, np.zeros((1, 1))]])
        solved = np.linalg.lstsq(system, np.append(np.zeros(len(active)), 1.0), rcond=None)[0][:-1]
        if solved.min() >= -1e-12:
            weights = np.zeros(count)
            weights[active] = np.maximum(solved, 0.0)
            return weights / weights.sum()
        free[active[int(np.argmin(solved))]] = False
