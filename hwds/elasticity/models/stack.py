"""A weighted mean of several models of demand, weighed on price moves before the cutoff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le, MinLen
from numpy import ndarray
from polars import col

from hwds.core.recipe import Small
from hwds.elasticity.design import DemandDesign, identify
from hwds.elasticity.fitted import (
    ElasticityContext,
    Estimates,
    FittedElasticities,
    named_notes,
    reasons_where,
)
from hwds.elasticity.models.base import ElasticityModel, demand_levels, normal_critical
from hwds.elasticity.rows import WEIGHT_PREFIX, change_rows
from hwds.evaluation.panel_folds import AtTime, panel_known_at
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.stats.estimates import least_on_simplex

# FittedStack: the weighted mean of fitted models of demand, cell by cell.


@dataclass(frozen=True, eq=False)
class FittedDemandStack(FittedElasticities):
    """Elasticities, with the members that predict demand.

    Attributes:
        members: Fitted.
        weights: Of the members, 0 where a member has no answer for a cell, shape (members, K).
    """

    members: tuple[FittedElasticities, ...]
    weights: ndarray

    def log_demand(self, panel: Panel) -> ndarray:
        """Return the weighted mean of the members' logs of expected units, NaN where none has an
        answer, shape (rows,).
        """
        cell = panel.series_of_row
        logs = np.stack([member.log_demand(panel) for member in self.members])
        weights = np.where(np.isfinite(logs), self.weights[:, cell], 0.0)
        total = weights.sum(axis=0)
        return (weights * np.nan_to_num(logs)).sum(axis=0) / np.where(total > 0, total, np.nan)


def weights_by_cell(members: Sequence[FittedElasticities], weights: ndarray) -> ndarray:
    """Return the weights of the members that have an answer, with the sum 1 in every cell where one
    has, shape (members, K).
    """
    there = np.stack([np.isfinite(member.estimates.slopes) for member in members])
    own = np.where(there, weights[:, None], 0.0)
    lacking = (own.sum(axis=0) == 0) & there.any(
        axis=0
    )  # all weight is with members without an answer
    own = np.where(lacking, there.astype(float), own)
    total = own.sum(axis=0)
    return own / np.where(total > 0, total, 1.0)


def combine_estimates(
    design: DemandDesign,
    members: Sequence[FittedElasticities],
    weights: ndarray,
    level: float,
    notes: dict[str, float],
) -> Estimates:
    """Return the estimates of a stack: weighted means, with the covariance of a mixture of the
    members' laws.

    A mixture holds each member's own errors and how far members are from each other: no error
    averages out, for members learn from the same rows.

    Args:
        design: The rows, with the stack's own columns.
        members: Fitted.
        weights: Shape (members, K).
        level: The level of the intervals.
        notes: Facts about the fit.
    """
    parts = [member.estimates for member in members]
    there = weights.sum(axis=0) > 0
    each = np.stack([np.nan_to_num(part.slopes) for part in parts])
    slopes = np.where(there, (weights * each).sum(axis=0), np.nan)
    roots, critical = np.sqrt(weights), normal_critical(level)
    covariance = np.zeros((len(design),) * 2)
    for part, root, slope in zip(parts, roots, each, strict=True):
        away = root * (slope - np.nan_to_num(slopes))
        covariance += np.outer(root, root) * _mixture_covariance(part, critical) + np.outer(
            away, away
        )
    covariance = np.where(np.outer(there, there), covariance, 0.0)
    theta, theta_stderr = _shared_slopes(design, members, weights.mean(axis=1))
    none = np.full(len(design), np.nan)
    return Estimates(
        slopes,
        np.where(there, np.sqrt(np.diag(covariance)), np.nan),
        np.full(len(design), critical),
        demand_levels(design, slopes, theta),
        theta,
        theta_stderr,
        none,
        none,
        covariance,
        unanswered=reasons_where(~there, "no member has an answer"),
        method="mixture of the members",
        notes=notes,
    )


def _mixture_covariance(part: Estimates, critical: float) -> ndarray:
    """Return the covariance of a member's slopes, as wide as its intervals are."""
    stderr = np.nan_to_num(part.stderr)
    wide = np.nan_to_num(part.both_sides.mean(axis=0) / critical, nan=1.0)
    if part.covariance is None:
        return np.diag((stderr * wide) ** 2)
    return np.outer(wide, wide) * np.nan_to_num(part.covariance)


def _shared_slopes(
    design: DemandDesign, members: Sequence[FittedElasticities], weights: ndarray
) -> tuple[ndarray, ndarray]:
    """Return the weighted slopes of the stack's columns, 0 of a member without one, and their
    errors, as of a mixture.
    """
    value, stderr = np.zeros((2, len(members), len(design.columns)))
    for place, member in enumerate(members):
        for column, name in enumerate(design.columns):
            if name in member.design.columns:
                own = member.design.columns.index(name)
                value[place, column] = member.estimates.theta[own]
                stderr[place, column] = np.nan_to_num(member.estimates.theta_stderr[own])
    share = weights / max(float(weights.sum()), 1e-300)
    mean = share @ value
    return mean, np.sqrt(share @ (stderr**2 + (value - mean) ** 2))


# The weights of models of demand, by their predictions of price moves that none of them was
# fitted to.

MOVE_KEYS = ("cutoff", SERIES, TIME)

LARGEST_MOVE = 30.0
"""The largest change of log units that counts."""


@dataclass(frozen=True, eq=False)
class HeldOutMoves:
    """Price moves after inner cutoffs.

    Attributes:
        predicted: Change of log units by each member, shape (moves, members).
        before, after: Units sold in the period before a move and in its own, shape (moves,).
    """

    predicted: ndarray
    before: ndarray
    after: ndarray

    def deviance(self, weights: ndarray) -> tuple[float, ndarray]:
        """Return the mean binomial deviance of a weighted mean of the members, but for a constant,
        and its gradient.

        Of the units of two periods the share of the later one is predicted. Moves from or to no
        sale count, and those of few units weigh little.
        """
        odds = self.predicted @ weights
        total = np.maximum(float(np.sum(self.before + self.after)), 1.0)
        each = self.after * np.logaddexp(0, -odds) + self.before * np.logaddexp(0, odds)
        missed = (self.after + self.before) / (1 + np.exp(-odds)) - self.after
        return float(np.sum(each)) / total, self.predicted.T @ missed / total


def held_out_moves(
    members: Sequence[ElasticityModel],
    history: Panel,
    windows: int,
    threshold: float,
    context: ElasticityContext,
) -> HeldOutMoves:
    """Return the moves of inner windows of the panel's horizon each, all members fitted anew before
    each of them.

    Args:
        members: The models.
        history: All that may be known.
        windows: How many, as far as half of the periods are left before the first.
        threshold: The least absolute change of a log price that is a move.
        context: The settings of the fits.
    """
    times, horizon = history.table[TIME].unique().sort(), history.horizon
    count = min(windows, len(times) // 2 // horizon)
    cutoffs = [AtTime(times[len(times) - 1 - horizon * back]) for back in range(count, 0, -1)]
    rows = [
        [_member_moves(member, history, cutoff, horizon, threshold, context) for cutoff in cutoffs]
        for member in members
    ]
    if not cutoffs:
        return HeldOutMoves(np.zeros((0, len(members))), np.zeros(0), np.zeros(0))
    return _common_moves([pl.concat(parts) for parts in rows])


def _member_moves(
    member: ElasticityModel,
    history: Panel,
    cutoff: AtTime,
    horizon: int,
    threshold: float,
    context: ElasticityContext,
) -> pl.DataFrame:
    known = panel_known_at(history, cutoff)
    rows = change_rows(member.learn(known, context), history, known, cutoff, horizon, threshold)
    there = col("move") & pl.all_horizontal(col("predicted", "units", "units_before").is_not_null())
    return rows.filter(there).select(*MOVE_KEYS, "predicted", "units", "units_before")


def _common_moves(parts: Sequence[pl.DataFrame]) -> HeldOutMoves:
    """Return the moves of which every member says something."""
    both = parts[0].rename({"predicted": "member_0"})
    for place, part in enumerate(parts[1:], start=1):
        own = part.select(*MOVE_KEYS, col("predicted").alias(f"member_{place}"))
        both = both.join(own, MOVE_KEYS, "inner", maintain_order="left")
    predicted = both.select(f"member_{place}" for place in range(len(parts))).to_numpy()
    before, after = (both[name].to_numpy() for name in ("units_before", "units"))
    return HeldOutMoves(np.clip(predicted, -LARGEST_MOVE, LARGEST_MOVE), before, after)


def best_member_weights(moves: HeldOutMoves) -> ndarray:
    """Return all for the member of the least deviance, shape (members,)."""
    members = np.eye(moves.predicted.shape[1])
    return members[int(np.argmin([moves.deviance(each)[0] for each in members]))]


# A weighted mean of several models of demand, weighed on price moves before the cutoff.


class Stack(ElasticityModel):
    """Combine models of demand: their elasticities are averaged with weights learned on price moves
    that none was fitted to.

    Each member is fitted before each of the last `windows` horizons of the history, and predicts
    how demand answers to the price moves in it. Weights judge the units before and after a move by
    their binomial deviance. Weights of the least deviance follow chance patterns of few windows, so
    the default is half way between them and equal weights (Diebold and Shin 2019, "partially
    egalitarian"). Every member is then fitted on all rows. A member without an answer for a cell
    leaves its weight to the others there.

    Attributes:
        members: Models of demand, at least two.
        combine: `shrunk`, half way from `simplex` (of the least deviance, at least 0) to `equal`;
            or the `best` member alone.
        windows: Windows that the weights are learned on; fewer where they would leave less than
            half of the periods.
        threshold: The least absolute change of the log price that is a move: .05 is 5 %.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "combine": {"choice": ["shrunk", "simplex", "equal", "best"]}
    }

    members: Annotated[tuple[ElasticityModel, ...], MinLen(2)]
    combine: Literal["shrunk", "simplex", "equal", "best"] = "shrunk"
    windows: Annotated[int, Ge(1), Le(100), Small(1)] = 2
    threshold: Annotated[float, Ge(0), Le(10)] = 0.05

    def learn(self, history: Panel, context: ElasticityContext) -> FittedDemandStack:
        """Learn weights from inner windows, then fit every member on all rows.

        Raises:
            DataError: There is no price, or none that ever changes.
        """
        design = DemandDesign.of(history, self.terms, context.controls)
        shares = self._weights(history, context)
        members = tuple(member.learn(history, context) for member in self.members)
        weights = weights_by_cell(members, shares)
        notes = named_notes(WEIGHT_PREFIX, (member.name for member in self.members), shares)
        estimates = combine_estimates(design, members, weights, context.level, notes)
        known = self.fitted(design, estimates, identify(design, by_period=self.by_period), context)
        return FittedDemandStack(**vars(known), members=members, weights=weights)

    def _weights(self, history: Panel, context: ElasticityContext) -> ndarray:
        """Return the weights of the members; equal ones where no price moved in a window."""
        equal = np.full(len(self.members), 1 / len(self.members))
        if self.combine == "equal":
            return equal
        moves = held_out_moves(self.members, history, self.windows, self.threshold, context)
        if not len(moves.after):
            return equal
        if self.combine == "best":
            return best_member_weights(moves)
        least, _ = least_on_simplex(moves.deviance, len(self.members))
        return least if self.combine == "simplex" else (least + equal) / 2
