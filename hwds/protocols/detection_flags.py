"""Which rows a daily capacity looks at: those of the entities with the highest scores of the day."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.metrics.detection_days import flagged
from hwds.protocols.row_codes import entities, numbered

FLAGGED = "flagged"


def with_flags(rows: pl.DataFrame, k: int) -> pl.DataFrame:
    """The rows with the column `flagged`: true for test rows of one of the k entities with the highest scores of their day.

    Labelled or not, all rows of a fold compete; those of the deciding window are null.

    Args:
        rows: Judged rows of one model, of one fold or of several, with the number of each one's `fold`.
        k: Entities that can be looked at on a day.
    """
    test = (rows["part"] == "test").to_numpy()
    found, asked = np.zeros(len(rows), bool), rows.filter(test)
    if len(asked):
        day = asked.select(pl.struct("fold", pl.col("day").fill_null(0))).to_series()
        found[test] = flagged(asked["score"].to_numpy(), numbered(entities(asked)), numbered(day), k)
    return rows.with_columns(pl.when(pl.col("part") == "test").then(pl.Series(FLAGGED, found)).alias(FLAGGED))
