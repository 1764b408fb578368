"""The weights of models of demand, by their predictions of price moves that none of them was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import polars as pl

from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.protocols.rows.changes import change_rows
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.splitting.cutoffs import AtTime, known_at

KEYS = ("cutoff", SERIES, TIME)

LARGEST = 30.0
"""The largest change of log units that counts."""


@dataclass(frozen=True, eq=False)
class HeldOutMoves:
    """Price moves after inner cutoffs.

    Attributes:
        predicted: Change of log units by each member, shape (moves, members).
        before, after: Units sold in the period before a move and in its own, shape (moves,).
    """

    predicted: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def deviance(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean binomial deviance of a weighted mean of the members, but for a constant, and its gradient.

        Of the units of two periods the share of the later one is predicted. Moves from or to no sale count, and those of few
        units weigh little.
        """
        odds = self.predicted @ weights
        total = np.maximum(float(np.sum(self.before + self.after)), 1.0)
        value = float(np.sum(self.after * np.logaddexp(0, -odds) + self.before * np.logaddexp(0, odds))) / total
        missed = (self.after + self.before) / (1 + np.exp(-odds)) - self.after
        return value, self.predicted.T @ missed / total


def held_out_moves(
    members: Sequence[ElasticityModel], history: Panel, windows: int, threshold: float, context: ElasticityContext
) -> HeldOutMoves:
    """Return the moves of inner windows of the panel's horizon each, all members fitted anew before each of them.

    Args:
        members: The models.
        history: All that may be known.
        windows: How many, as far as half of the periods are left before the first.
        threshold: The least absolute change of a log price that is a move.
        context: Of the fits.
    """
    times, horizon = history.table[TIME].unique().sort(), history.horizon
    count = min(windows, len(times) // 2 // horizon)
    cutoffs = [AtTime(times[len(times) - 1 - horizon * back]) for back in range(count, 0, -1)]
    rows = [[_moves(member, history, cutoff, horizon, threshold, context) for cutoff in cutoffs] for member in members]
    if not cutoffs:
        return HeldOutMoves(np.zeros((0, len(members))), np.zeros(0), np.zeros(0))
    return _together([pl.concat(parts) for parts in rows])


def _moves(
    member: ElasticityModel, history: Panel, cutoff: AtTime, horizon: int, threshold: float, context: ElasticityContext
) -> pl.DataFrame:
    known = known_at(history, cutoff)
    rows = change_rows(member.learn(known, context), history, known, cutoff, horizon, threshold)
    there = pl.col("move") & pl.all_horizontal(pl.col("predicted", "units", "units_before").is_not_null())
    return rows.filter(there).select(*KEYS, "predicted", "units", "units_before")


def _together(parts: Sequence[pl.DataFrame]) -> HeldOutMoves:
    """Return the moves of which every member says something."""
    named = [part.rename({"predicted": f"member_{place}"}) for place, part in enumerate(parts)]
    others = [part.drop("units", "units_before") for part in named[1:]]
    both: pl.DataFrame = reduce(lambda left, right: left.join(right, KEYS, "inner", maintain_order="left"), others, named[0])
    predicted = both.select(f"member_{place}" for place in range(len(parts))).to_numpy()
    before, after = (both[name].to_numpy() for name in ("units_before", "units"))
    return HeldOutMoves(np.clip(predicted, -LARGEST, LARGEST), before, after)


def simplex_weights(moves: HeldOutMoves) -> np.ndarray:
    """Return the weights of the least deviance, at least 0 and with the sum 1, shape (members,)."""
    from scipy.optimize import minimize

    count = moves.predicted.shape[1]
    one = {"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda weights: np.ones(count)}
    begin = np.full(count, 1 / count)
    found = minimize(
        moves.deviance, begin, jac=True, method="SLSQP", bounds=[(0, 1)] * count, constraints=[one], options={"ftol": 1e-12}
    )
    weights = np.maximum(found.x, 0.0)
    return np.asarray(weights / weights.sum())


def best_weights(moves: HeldOutMoves) -> np.ndarray:
    """Return all for the member of the least deviance, shape (members,)."""
    members = np.eye(moves.predicted.shape[1])
    return np.asarray(members[int(np.argmin([moves.deviance(each)[0] for each in members]))])
