"""A user's plan: the known-future columns of rows that are still to come."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from hwds.datasets.asked import Names, listed
from hwds.datasets.columns import numbers, times
from hwds.datasets.reading import read
from hwds.errors import DataError
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME


def read_plan(path: Path, panel: Panel, series: Names, time: str) -> pl.DataFrame:
    """The plan of a panel from a file.

    Args:
        path: A CSV, TSV, Parquet or Arrow file.
        panel: The data that the plan goes on from.
        series: The columns that name a series, as in the dataset's roles.
        time: The column of time.

    Returns:
        `series_id`, `time` and the panel's known-future columns.

    Raises:
        DataError: A column is missing, or no series of the plan is in the panel.
    """
    names = listed(series)
    source = read(str(path), (*names, time, *panel.roles.known_future))
    ids = (
        source.table.select(pl.concat_str(pl.col(*names).cast(pl.String), separator="|")).to_series()
        if names
        else source.stems()
    )
    if not names and panel.n_series == 1:
        ids = pl.Series([panel.series_ids[0]] * len(ids))
    plan = pl.DataFrame({SERIES: ids, TIME: times(source, time).cast(panel.table.schema[TIME])})
    plan = plan.with_columns(numbers(source, name).alias(name) for name in panel.roles.known_future)
    if not plan[SERIES].is_in(panel.series_ids.implode()).any():
        raise DataError(f"--future: '{path}' plans for '{ids[0]}' and others, none of which is in the data.")
    return plan
