"""Comparisons of models of demand: paired by the held-out periods that all cells share."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.seeds import stream
from hwds.elasticity.compare import price_change_evidence
from hwds.stats.sources import ModelRows


def answers(shift):
    """Two models' moves; the second is worse by a noise of its own."""
    rng = stream(0, "compare")
    cell, week = (each.ravel() for each in np.meshgrid(range(20), range(12), indexing="ij"))
    base = pl.DataFrame(
        {
            "cutoff": "0",
            "series_id": [f"cell {i}" for i in cell],
            "time": week,
            "move": rng.random(240) < 0.8,
            "actual": rng.standard_normal(240),
            "log_units": rng.standard_normal(240),
        }
    )
    noise = {"good": 0.5 * rng.standard_normal(240), "bad": shift * rng.standard_normal(240)}
    made = []
    for model, wrong in noise.items():
        rows = base.with_columns(
            predicted=pl.col("actual") + pl.Series(wrong), log_predicted=pl.col("log_units") + 0.1
        )
        made.append(ModelRows(model, "sales", 0, None, model, rows))
    return made


def test_means_are_root_mean_squared_errors_and_differences_are_paired_by_period():
    pair = answers(0.8)
    found, left_out = price_change_evidence(pair, "change_rmse", 200)
    rows = [answer.rows.filter("move") for answer in pair]
    roots = [float(np.sqrt(((each["predicted"] - each["actual"]) ** 2).mean())) for each in rows]
    assert found.means[0] == pytest.approx(roots)
    assert left_out == 0
    assert found.matrix.values.shape[0] == 12
    level, _ = price_change_evidence(pair, "level_rmse", 200)
    assert level.means[0] == pytest.approx([0.1, 0.1])


def test_rows_that_a_model_does_not_answer_are_left_out_for_all():
    good, bad = answers(0.8)
    silent = bad.rows.with_columns(
        predicted=pl.when(pl.col("time") < 6).then(None).otherwise(pl.col("predicted"))
    )
    found, left_out = price_change_evidence(
        [good, ModelRows("bad", "sales", 0, None, "bad", silent)], "change_rmse", 200
    )
    assert found.matrix.values.shape[0] == 6
    assert left_out == len(good.rows.filter(pl.col("move") & (pl.col("time") < 6)))
    with pytest.raises(ConfigError, match="price moves cannot be compared by 'change_r'"):
        price_change_evidence([good, bad], "change_r", 200)
