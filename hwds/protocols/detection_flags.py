"""Which rows a daily capacity looks at: those of the entities with the highest scores of the day."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.metrics.detection_days import flagged

FLAGGED = "flagged"


def with_flags(rows: pl.DataFrame, k: int) -> pl.DataFrame:
    """The rows with the column `flagged`: true for test rows of one of the k entities with the highest scores of their day.

    Labelled or not, all rows of a fold compete; those of the deciding window are null.

    Args:
        rows: Judged rows of one model, of one fold or of several, with the number of each one's `fold`.
        k: Entities that can be looked at on a day.
    """
    test = (rows["part"] == "test").to_numpy()
    found = np.zeros(len(rows), bool)
    alone = pl.lit("\0") + pl.col("row_id").cast(pl.String)
    asked = rows.filter(test).select(
        score="score",
        entity=pl.col("entity").fill_null(alone).rank("dense") - 1,
        day=pl.struct("fold", pl.col("day").fill_null(0)).rank("dense") - 1,
    )
    entity, day = (asked[name].to_numpy().astype(np.int64) for name in ("entity", "day"))
    found[test] = flagged(asked["score"].to_numpy(), entity, day, k) if len(asked) else False
    return rows.with_columns(pl.when(pl.col("part") == "test").then(pl.Series(FLAGGED, found)).alias(FLAGGED))
