"""Finished runs made by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from hwds.forecast.metrics import forecast_measures
from hwds.results.tables import SCORES, TIMINGS, Measure, Tables, metrics_table
from hwds.stats.sources import RunSource

MASE = "mase[m=12]"
MONTHS = pl.date_range(date(2018, 1, 1), date(2060, 1, 1), "1mo", eager=True)


def score(model, metric, task, **more):
    return {
        "model": model,
        "metric": metric,
        "aggregate": "mean",
        "value": 1.0,
        "task": task,
        "status": "ok",
        "n": 1,
    } | {"n_undefined": 0, "n_failed": 0, "n_fallback": 0, **more}


def forecasts(sizes, series=24, origins=6, stride=6, horizon=6, seed=0):
    """Predictions of models whose errors are so many times those of a random one, all on the same
    actuals.
    """
    rng = np.random.default_rng([3, seed])
    base = np.random.default_rng(9).normal(size=(series, origins, horizon))
    parts = []
    for model, size in sizes.items():
        error = size * np.abs(base + rng.normal(0, 0.4, base.shape))
        for i in range(series):
            for origin in range(origins):
                start = 1 + origin * stride
                parts.append(
                    pl.DataFrame(
                        {
                            "step": np.arange(1, horizon + 1, dtype=np.int32),
                            "mean": 100 + error[i, origin],
                        }
                    ).select(
                        pl.lit(model).alias("model"),
                        pl.lit(origin, pl.Int32).alias("fold"),
                        pl.lit(f"s{i:02d}").alias("series_id"),
                        pl.lit(MONTHS[start - 1]).alias("cutoff"),
                        MONTHS[start : start + horizon].alias("time"),
                        "step",
                        pl.lit(100.0).alias("actual"),
                        "mean",
                        pl.col("mean").alias("q_0.5"),
                        pl.lit(101.0).alias("seasonal_naive"),
                        pl.lit(1.0).alias("scale_abs"),
                        pl.lit(1.0).alias("scale_sq"),
                        pl.lit(12, pl.Int32).alias("season"),
                        pl.lit(False).alias("fallback"),
                    )
                )
    return pl.concat(parts)


def source(predictions, run="r1", task="forecast", metric=MASE, measures=None, **changes):
    """A run of these predictions.

    Changes go into its config, `data` and `code` into its provenance.
    """
    models = predictions["model"].unique(maintain_order=True).to_list()
    config = {
        "dataset": {"name": "toys", "recipe": "toys"},
        "features": {"name": "none"},
        "model": {"name": models[0], "recipe": models[0]},
        "rivals": [{"name": model, "recipe": model} for model in models[1:]],
        "protocol": {
            "name": "holdout",
            "recipe": "holdout",
            "headline": metric.partition("[")[0],
            "horizon": None,
        },
        "seed": 0,
        "experiment": "trial",
    }
    data, code = changes.pop("data", "d" * 16), changes.pop("code", "c" * 16)
    known = measures or forecast_measures(12, (0.5,))
    scores = pl.DataFrame([score(model, metric, task) for model in models], schema=SCORES)
    timings = pl.DataFrame(
        [{"model": model, "fold": 0, "seconds": 2.0, "status": "ok"} for model in models],
        schema=TIMINGS,
    )
    tables = Tables(scores, predictions, timings, metrics_table(known))
    return RunSource(f"trial/{run}", config | changes, data, code, tables)


REGRET = Measure(
    "pseudo_regret", units="replications", measured_in="USD", reference="bandit/uniform_play"
)
