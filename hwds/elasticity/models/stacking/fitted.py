"""FittedStack: the weighted mean of fitted models of demand, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import Estimates, FittedElasticities
from hwds.elasticity.models.base import levels, normal_critical
from hwds.frames.panel import Panel


@dataclass(frozen=True, eq=False)
class FittedStack(FittedElasticities):
    """Elasticities, with the members that predict demand.

    Attributes:
        members: Fitted.
        weights: Of the members, 0 where a member has no answer for a cell, shape (members, K).
    """

    members: tuple[FittedElasticities, ...]
    weights: np.ndarray

    def log_demand(self, panel: Panel) -> np.ndarray:
        """Return the weighted mean of the members' logs of expected units, NaN where none has an answer, shape (rows,)."""
        cell = np.repeat(np.arange(panel.n_series), panel.lengths)
        logs = np.stack([member.log_demand(panel) for member in self.members])
        weights = np.where(np.isfinite(logs), self.weights[:, cell], 0.0)
        total = weights.sum(axis=0)
        mean = (weights * np.nan_to_num(logs)).sum(axis=0) / np.where(total > 0, total, np.nan)
        return np.asarray(mean)


def weights_by_cell(members: Sequence[FittedElasticities], weights: np.ndarray) -> np.ndarray:
    """Return the weights of the members that have an answer, with the sum 1 in every cell where one has, shape (members, K)."""
    there = np.stack([np.isfinite(member.estimates.slopes) for member in members])
    own = np.where(there, weights[:, None], 0.0)
    lacking = (own.sum(axis=0) == 0) & there.any(axis=0)  # all weight is with members without an answer
    own = np.where(lacking, there.astype(float), own)
    total = own.sum(axis=0)
    return np.asarray(own / np.where(total > 0, total, 1.0))


def combined(
    design: Design, members: Sequence[FittedElasticities], weights: np.ndarray, level: float, notes: dict[str, float]
) -> Estimates:
    """Return the estimates of a stack: weighted means, with the covariance of a mixture of the members' laws.

    A mixture holds each member's own errors and how far members are from each other: no error averages out, for members
    learn from the same rows.

    Args:
        design: The rows, with the stack's own columns.
        members: Fitted.
        weights: Shape (members, K).
        level: Of the intervals.
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
        covariance += np.outer(root, root) * _covariance(part, critical) + np.outer(away, away)
    covariance = np.where(np.outer(there, there), covariance, 0.0)
    theta, theta_stderr = _shared(design, members, weights.mean(axis=1))
    none = np.full(len(design), np.nan)
    return Estimates(
        slopes,
        np.where(there, np.sqrt(np.diag(covariance)), np.nan),
        np.full(len(design), critical),
        levels(design, slopes, theta),
        theta,
        theta_stderr,
        none,
        none,
        covariance,
        unanswered=dict.fromkeys(np.flatnonzero(~there).tolist(), "no member has an answer"),
        method="mixture of the members",
        notes=notes,
    )


def _covariance(part: Estimates, critical: float) -> np.ndarray:
    """Return the covariance of a member's slopes, as wide as its intervals are."""
    stderr = np.nan_to_num(part.stderr)
    wide = np.nan_to_num(part.both_sides.mean(axis=0) / critical, nan=1.0)
    if part.covariance is None:
        return np.diag((stderr * wide) ** 2)
    return np.asarray(np.outer(wide, wide) * np.nan_to_num(part.covariance))


def _shared(design: Design, members: Sequence[FittedElasticities], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted slopes of the stack's columns, 0 of a member without one, and their errors, as of a mixture."""
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
