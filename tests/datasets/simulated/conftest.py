from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.frames.panel import Panel


def _cut(panel: Panel, cutoff: date, horizon: int = 12) -> tuple[Panel, Panel, np.ndarray]:
    """History, future (with its past-only columns and target blank) and actual of every series sold
    throughout the horizon.
    """
    ahead = panel.table.filter(pl.col("time") > cutoff).filter(
        pl.int_range(pl.len()).over("series_id") < horizon
    )
    whole = (
        ahead.group_by("series_id").len().filter(pl.col("len") == horizon)["series_id"].to_list()
    )
    begun = panel.table.filter(pl.col("time") <= cutoff)["series_id"].unique().to_list()
    mine = pl.col("series_id").is_in(sorted(set(whole) & set(begun)))
    history, ahead = panel.table.filter((pl.col("time") <= cutoff) & mine), ahead.filter(mine)
    blank = ahead.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("target", *panel.roles.past_only)
    )
    return (
        replace(panel, table=history),
        replace(panel, table=blank),
        ahead["target"].to_numpy().reshape(-1, horizon),
    )


@pytest.fixture(scope="session")
def cut():
    return _cut
