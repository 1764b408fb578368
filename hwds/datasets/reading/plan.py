"""A user's plan: the known-future columns of rows that are still to come."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from hwds.core.errors import DataError
from hwds.datasets.reading.columns import joined, numbers, times
from hwds.frames.panel import Panel
from hwds.frames.reading.files import FileSource, read
from hwds.frames.reading.text import USUAL, TextFormat
from hwds.frames.roles import SERIES, TIME, Names, listed


def read_plan(
    path: str,
    panel: Panel,
    horizon: int,
    *,
    series: Names = SERIES,
    time: str = TIME,
    form: TextFormat = USUAL,
) -> pl.DataFrame:
    """Return the plan of a panel from a file that is written as the panel's own file is.

    Args:
        path: A CSV, TSV, Parquet or Arrow file, or a glob.
        panel: The data that the plan goes on from.
        horizon: How many rows of each series will be forecast.
        series: The columns that name a series; where there are none, the name of the file does.
        time: The column of time.
        form: How a CSV or TSV is written.

    Returns:
        `series_id`, `time` and the panel's planned columns.

    Raises:
        DataError: The file cannot be read, or lacks a column, a series or a row that must be planned.
    """
    columns = panel.planned
    try:
        source = read(path, (*listed(series), time, *columns), form=form)
        plan = _normalised(source, panel, listed(series), time)
    except DataError as error:  # the file is not the dataset's
        raise DataError(str(error).replace("dataset.path:", "--future:", 1)) from error
    twice = plan.filter(plan.select(SERIES, TIME).is_duplicated())
    if not twice.is_empty():
        raise DataError(f"--future: '{path}' has two rows for series '{twice[SERIES][0]}' at {twice[TIME][0]}.")
    _refuse_holes(path, plan, due(panel, horizon), columns)
    return plan


def due(panel: Panel, horizon: int) -> pl.DataFrame:
    """Return the rows that a plan must have: those of the dataset's plan, else `horizon` of every series that has not ended.

    Returns:
        `series_id` and `time`.
    """
    if panel.plan is not None:
        return panel.plan.select(SERIES, TIME)
    last = panel.table[panel.offsets[1:] - 1].select(SERIES, TIME)
    going_on = last.filter(panel.frequency.after(last[TIME], 1) > last[TIME].max())
    steps = range(1, horizon + 1)
    return pl.concat([going_on.with_columns(panel.frequency.after(going_on[TIME], step).alias(TIME)) for step in steps])


def _normalised(source: FileSource, panel: Panel, series: Sequence[str], time: str) -> pl.DataFrame:
    ids = joined(source, series)
    if not series and panel.n_series == 1:
        ids = pl.Series([panel.series_ids[0]] * len(ids))
    when, kind = times(source, time), panel.table.schema[TIME]
    if when.dtype.is_integer() != kind.is_integer():
        raise DataError(f"--future: '{source.files[0]}' has {when[0]} in column '{time}', the data {panel.table[TIME][-1]}.")
    plan = pl.DataFrame({SERIES: ids, TIME: when.cast(kind)})
    return plan.with_columns(numbers(source, name).alias(name) for name in panel.planned)


def _refuse_holes(path: str, plan: pl.DataFrame, wanted: pl.DataFrame, columns: Sequence[str]) -> None:
    laid = wanted.join(plan, on=[SERIES, TIME], how="left", maintain_order="left")
    for name in columns:
        holes = laid.filter(pl.col(name).is_null())
        if holes.is_empty():
            continue
        series, instant = holes.select(SERIES, TIME).row(0)
        if series not in plan[SERIES]:
            raise DataError(f"--future: '{path}' has no row for series '{series}'; '{name}' must be planned for every series.")
        raise DataError(
            f"--future: '{path}' has no '{name}' for series '{series}' at {instant};"
            f" {len(holes)} of {len(wanted)} planned rows lack it."
        )
