"""The outcome of a race: the members that answer, their weights, the calibration of quantiles, and the story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.serialization import Serializable
from hwds.forecast.metrics.scale import has_differences
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.racing.race import UNSCALED, Team, team_weights
from hwds.forecast.models.stacking.backtest import combined
from hwds.forecast.models.stacking.groups import Weights
from hwds.forecast.models.stacking.weights import member_windows
from hwds.frames.panel import Panel
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
        outside: Of each inner window, the last one first, the weights that the others give: by these a window is answered as
            if it had not been seen.
        calibration: Of the quantiles of their combination, learned on windows left out in turn.
        story: The candidates that were tried, those that were dropped and why, and those that more time would try.
    """

    members: tuple[Forecaster, ...]
    weights: Weights
    outside: tuple[Weights, ...]
    calibration: Calibration
    story: str

    def inside(self, backtests: Sequence[pl.DataFrame], levels: tuple[float, ...]) -> pl.DataFrame:
        """Return what it would have answered in inner windows, quantiles calibrated as in an answer.

        Args:
            backtests: The rows of its members there.
            levels: Quantile levels.
        """
        rows = _mixed(backtests, self.weights, self.outside)
        quantiles, _ = self.calibration.correct(_bands(rows, levels))
        columns = zip((f"q_{level:g}" for level in levels), quantiles.T, strict=True)
        return rows.with_columns(pl.Series(name, column, nan_to_null=True) for name, column in columns)


def answer_of(team: Team, levels: tuple[float, ...], horizon: int, story: str) -> Answer:
    """Return the answer of a team."""
    weights, outside = _weights(team.weights, team.young), _outside(team)
    return Answer(team.members, weights, outside, _calibration(team, weights, outside, levels, horizon), story)


def _weights(every: np.ndarray, young: np.ndarray | None) -> Weights:
    return Weights.same(every) if young is None else Weights(np.stack([every, young])[:, None], (YOUNG,))


def ages(history: Panel, season: int) -> np.ndarray:
    """Return the group of each series: `young` where it has no two known values a season apart."""
    return np.where(has_differences(history.target, history.offsets, season), "", YOUNG).astype(object)


def _outside(team: Team) -> tuple[Weights, ...]:
    """Return the weights for each window, the last one first, that are learned on the others; of one alone those of all."""
    if not team.backtests or any(rows.is_empty() for rows in team.backtests):
        return ()
    seen, bare = member_windows(team.backtests), _bare(team.backtests[0])
    young = np.array([cell in bare for cell in zip(seen.series.tolist(), seen.window.tolist(), strict=True)], bool)
    made = []
    for number in range(1, int(seen.window.max(initial=0)) + 1):
        others = seen.window != number
        every = team_weights(seen.take(others)) if others.any() else team.weights
        own = team.young
        if team.learned and (others & young).any():
            own = (team_weights(seen.take(others & young)) + every) / 2
        made.append(_weights(every, own))
    return tuple(made)


def _bare(rows: pl.DataFrame) -> set[tuple[str, int]]:
    """Return the series without a seasonal scale and their windows, counted from the end."""
    number = pl.col("cutoff").rank("dense", descending=True).over("series_id").alias("number")
    return set(rows.with_columns(number).filter(UNSCALED).select("series_id", "number").unique().iter_rows())


def _mixed(backtests: Sequence[pl.DataFrame], weights: Weights, outside: tuple[Weights, ...]) -> pl.DataFrame:
    """Return the members' rows, combined in each window by weights that were learned on the others."""

    def of(window: int) -> Weights:
        return outside[window - 1] if window <= len(outside) else weights

    every = combined(backtests, of, {})
    if not every.select(UNSCALED.any()).item():
        return every
    young = combined(backtests, of, dict.fromkeys(every["series_id"].unique().to_list(), YOUNG))
    names = [name for name in every.columns if name == "mean" or name.startswith("q_")]
    return every.with_columns(pl.when(UNSCALED).then(young[name]).otherwise(pl.col(name)).alias(name) for name in names)


def _calibration(
    team: Team, weights: Weights, outside: tuple[Weights, ...], levels: tuple[float, ...], horizon: int
) -> Calibration:
    """Return the calibration that each window gives when weights are learned on the others; none of few rows."""
    if not outside:
        return Calibration.nothing(levels)
    rows = _mixed(team.backtests, weights, outside).filter(pl.col("actual").is_not_null())
    if len(rows) < LEAST_ROWS:
        return Calibration.nothing(levels)
    return Calibration.learn(_bands(rows, levels), rows["actual"].cast(pl.Float64).to_numpy(), np.arange(1, horizon + 1))


def _bands(rows: pl.DataFrame, levels: tuple[float, ...]) -> Bands:
    quantiles = rows.select(f"q_{level:g}" for level in levels).cast(pl.Float64).to_numpy()
    scale = rows["scale_abs"].cast(pl.Float64).to_numpy()
    nonnegative = rows["nonnegative"].to_numpy()
    return Bands(np.array(levels), quantiles, quantiles[:, levels.index(0.5)], scale, rows["step"].to_numpy(), nonnegative)
