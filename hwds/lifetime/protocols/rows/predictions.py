"""The rows of predicted lives, with what came of them."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.run_checks import ENTITY
from hwds.frames.runs import Runs
from hwds.lifetime.laws.lives import Lives
from hwds.lifetime.metrics.scores import QUANTILES

PREDICTED = ["predicted", *QUANTILES]
"""The columns that a model says."""


def prediction_rows(lives: Lives, asked: Runs, frame: Runs, part: str, cut: int) -> pl.DataFrame:
    """Return a row for each predicted run.

    Args:
        lives: What the model says.
        asked: The runs up to the cut.
        frame: The whole runs, for what came of them.
        part: `kfold`, `review` or `test`.
        cut: The number of the cut.
    """
    ends = asked.ends.select(ENTITY, "age").join(
        frame.ends.select(ENTITY, pl.col("age").alias("end"), "event", "remaining"), ENTITY, "left", maintain_order="left"
    )
    seen = (ends["end"] - ends["age"]).to_numpy()
    beyond = ends["remaining"].cast(pl.Float64).to_numpy()
    failed = np.isfinite(beyond)
    return pl.DataFrame(
        {
            "part": pl.Series([part] * asked.n),
            ENTITY: ends[ENTITY],
            "cut": pl.Series(np.full(asked.n, cut, np.int32)),
            "age": ends["age"],
            "predicted": lives.point,
            **{name: lives.quantiles[:, place] for place, name in enumerate(QUANTILES)},
            "actual": pl.Series(np.where(failed, seen + beyond, np.nan), nan_to_null=True),
            "seen": np.where(failed, seen + np.nan_to_num(beyond), seen),
            "failed": failed,
        }
    )
