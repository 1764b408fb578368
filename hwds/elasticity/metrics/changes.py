"""Scores of held-out price moves: the change of demand that was predicted against the one that came."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from hwds.evaluation.score import Score
from hwds.frames.roles import SERIES
from hwds.results.measure import Measure
from hwds.statistics.aggregate import Estimate, pooled, share

LEAST = 3
"""The fewest moves of a correlation."""


def change_measures() -> tuple[Measure, ...]:
    """Return the metrics of price moves."""

    def measure(
        name: str,
        meaning: str,
        better: Literal["low", "high", "none"] = "low",
        beside: Literal["page", "always"] = "page",
        units: str = "cells",
    ) -> Measure:
        return Measure(name, meaning=meaning, better=better, units=units, beside=beside)

    return (
        measure("change_rmse", "root mean squared error of the change of log units at a held-out price move", beside="always"),
        measure("change_null", "the same of a prediction that nothing changes", "none", "always"),
        measure("change_r", "correlation of predicted and realised changes of log units at price moves", "high", "always"),
        measure("change_slope", "slope of realised on predicted changes; 1 where predictions are of the right size", "none"),
        measure(
            "change_skill",
            "1 - binomial deviance of units before and after a move / that of no change; moves from or to no sale count",
            "high",
            "always",
        ),
        measure("level_rmse", "root mean squared error of log units in all held-out periods", beside="always"),
        measure("level_bias", "mean error of log units in all held-out periods", "none"),
        measure("moves", "held-out price moves beyond the threshold", "none"),
        measure("answered", "share of price moves with a prediction", "high"),
        measure("wrong_sign", "share of cells with an elasticity above 0", "low", "always"),
    )


def score_changes(rows: pl.DataFrame) -> list[Score]:
    """Return the scores of one model's held-out periods."""
    moves = rows.filter(pl.col("move"))
    known = moves.filter(pl.col("predicted").is_not_null())
    changed = known.filter(pl.col("actual").is_not_null())
    levels = rows.filter(pl.col("log_units").is_not_null() & pl.col("log_predicted").is_not_null())
    cells = rows.group_by(SERIES).agg(pl.col("elasticity").first())["elasticity"].drop_nulls()
    error, level = pl.col("predicted") - pl.col("actual"), pl.col("log_predicted") - pl.col("log_units")
    undefined = len(known) - len(changed)
    scores = [
        _score("change_rmse", _by_cell(changed, error**2, root=True), undefined),
        _score("change_null", _by_cell(changed, pl.col("actual") ** 2, root=True), undefined),
        *_correlations(changed),
        *_skill(known),
        _score("level_rmse", _by_cell(levels, level**2, root=True), len(rows) - len(levels)),
        _score("level_bias", _by_cell(levels, level, root=False), len(rows) - len(levels)),
        Score("moves", "mean", float(len(moves)), n=len(moves)),
        Score.of("answered", "mean", share(len(known), len(moves))),
        Score.of("wrong_sign", "mean", share(int((cells > 0).sum()), len(cells))),
    ]
    return [score for score in scores if score.value is not None]


def _score(name: str, estimate: Estimate, undefined: int) -> Score:
    made = Score.of(name, "mean", estimate)
    return Score(**{field: getattr(made, field) for field in Score.__slots__} | {"n_undefined": undefined})


def _by_cell(rows: pl.DataFrame, loss: pl.Expr, *, root: bool) -> Estimate:
    """Return the mean of a loss over rows, or its root, with an error clustered by cell."""
    sums = rows.group_by(SERIES, maintain_order=True).agg(loss.sum().alias("top"), pl.len().alias("count"))
    return pooled(sums["top"].to_numpy(), sums["count"].cast(pl.Float64).to_numpy(), root=root)


def _correlations(rows: pl.DataFrame) -> list[Score]:
    if len(rows) < LEAST:
        return []
    predicted, actual = rows["predicted"].to_numpy(), rows["actual"].to_numpy()
    spread = predicted.std() * actual.std()
    if spread == 0:
        return []
    r = float(np.mean((predicted - predicted.mean()) * (actual - actual.mean())) / spread)
    slope = float(r * actual.std() / predicted.std())
    return [Score("change_r", "mean", r, n=len(rows)), Score("change_slope", "mean", slope, n=len(rows))]


def _skill(rows: pl.DataFrame) -> list[Score]:
    """Return 1 less the binomial deviance of the units after a move among those before and after it over that of one half."""
    known = rows.filter(pl.col("units").is_not_null() & pl.col("units_before").is_not_null())
    after, before = known["units"].to_numpy(), known["units_before"].to_numpy()
    total = after + before
    some = total > 0
    odds = np.clip(known["predicted"].to_numpy()[some], -30, 30)
    after, before = after[some], before[some]
    best = _log_likelihood(after, before, np.log(np.maximum(after, 1e-9) / np.maximum(before, 1e-9)))
    lost, least = (best - _log_likelihood(after, before, each) for each in (odds, np.zeros(len(odds))))
    if not some.any() or least.sum() <= 0:
        return []
    return [
        Score("change_skill", "mean", float(1 - lost.sum() / least.sum()), n=int(some.sum()), n_undefined=int((~some).sum()))
    ]


def _log_likelihood(after: np.ndarray, before: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return after log(p) + before log(1 - p) with log odds of p, by row."""
    return np.asarray(-after * np.logaddexp(0, -odds) - before * np.logaddexp(0, odds))
