"""The rows of scores, with what is known of them."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.run_checks import CYCLE, ENTITY
from hwds.frames.runs import Runs
from hwds.sensors.models.base import SensorScores
from hwds.sensors.models.departures.from_start import place_in_run

SAID = ["score", "alarm", "reason"]
"""The columns that a model says."""


def scored_rows(said: SensorScores, frame: Runs, first: int) -> pl.DataFrame:
    """Return the rows after the first ones of each run.

    Args:
        said: Of all rows of the runs.
        frame: The runs with their labels.
        first: Rows of each run that are not scored.
    """
    place = place_in_run(frame)
    nothing = np.full(len(place), np.nan)
    marks = {role: frame.marks(role) for role in ("label", "changepoint")}
    rows = pl.DataFrame(
        {
            ENTITY: frame.data[ENTITY],
            "row": place.astype(np.int64),
            CYCLE: frame.cycles,
            **{
                role: pl.Series(nothing if values is None else values, dtype=pl.Float64, nan_to_null=True)
                for role, values in marks.items()
            },
            "score": said.score,
            "alarm": said.alarm,
            "reason": pl.Series(said.reason, dtype=pl.String),
        }
    )
    return rows.filter(pl.col("row") >= first)
