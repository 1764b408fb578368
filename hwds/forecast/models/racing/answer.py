"""The outcome of a race: who answers, with which weights, how quantiles are calibrated, and what was tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.serialization import Serializable
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.racing.race import Team
from hwds.forecast.models.stacking.backtest import combined
from hwds.forecast.models.stacking.groups import Weights
from hwds.forecast.models.stacking.shrinkage import learned_weights
from hwds.forecast.models.stacking.weights import member_windows
from hwds.statistics.conformal import Bands, Calibration

YOUNG = "young"
"""The group of the series with no season behind them."""

LEAST_ROWS = 400
"""Rows of inner windows below which quantiles are left as they are."""


@dataclass(frozen=True, eq=False)
class Answer(Serializable):
    """The outcome of a race.

    Attributes:
        members: The recipes that answer.
        weights: Of each, for series of every age and, where they differ, for `young` ones.
        calibration: Of the quantiles of their combination, learned on windows left out in turn.
        story: What was tried, dropped and why, and what more time would try.
    """

    members: tuple[Forecaster, ...]
    weights: Weights
    calibration: Calibration
    story: str


def answer_of(team: Team, levels: tuple[float, ...], horizon: int, story: str) -> Answer:
    """Return the answer of a team."""
    return Answer(team.members, _weights(team.weights, team.young), _calibration(team, levels, horizon), story)


def _weights(every: np.ndarray, young: np.ndarray | None) -> Weights:
    return Weights.same(every) if young is None else Weights(np.stack([every, young])[:, None], (YOUNG,))


def ages(scale: np.ndarray) -> np.ndarray:
    """Return the group of each series: `young` where it has no seasonal scale.

    Args:
        scale: The seasonal scale of each, NaN where it has none.
    """
    return np.where(np.isnan(scale), YOUNG, "").astype(object)


def _calibration(team: Team, levels: tuple[float, ...], horizon: int) -> Calibration:
    """Return the calibration that each window gives when weights are learned on the others; none of few rows."""
    if not team.backtests or any(rows.is_empty() for rows in team.backtests):
        return Calibration.nothing(levels)
    seen = member_windows(team.backtests)

    def weights(window: int) -> Weights:
        others = seen.take(seen.window != window)
        return Weights.same(learned_weights(others) if len(others.target) else team.weights)

    rows = combined(team.backtests, weights, {}).filter(pl.col("actual").is_not_null())
    if len(rows) < LEAST_ROWS:
        return Calibration.nothing(levels)
    quantiles = rows.select(f"q_{level:g}" for level in levels).cast(pl.Float64).to_numpy()
    bands = Bands(
        np.array(levels),
        quantiles,
        quantiles[:, levels.index(0.5)],
        rows["scale_abs"].cast(pl.Float64).to_numpy(),
        rows["step"].to_numpy(),
        rows["nonnegative"].to_numpy(),
    )
    return Calibration.learn(bands, rows["actual"].cast(pl.Float64).to_numpy(), np.arange(1, horizon + 1))
