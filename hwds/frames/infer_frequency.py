"""The frequency of a table of series, found from the distances between its rows."""

from __future__ import annotations

import polars as pl

from hwds.core.errors import DataError
from hwds.frames.frequency import Frequency
from hwds.frames.roles import SERIES, TIME

_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1))
_STEP, _COUNT, _KINDS = "__step__", "__count__", "__kinds__"


def find_frequency(table: pl.DataFrame, *, gaps: bool = False) -> Frequency:
    """Return the step that most rows are from the row before.

    Args:
        table: Columns `series_id` and `time` (dates, instants or whole numbers), in any order.
        gaps: Some rows are known to be left out, so that only a series all of whose steps are longer counts as mixed.

    Raises:
        DataError: No series has two rows, or two series have different steps.
    """
    keys = table.select(SERIES, TIME).drop_nulls().sort(SERIES, TIME)
    steps = keys.select(SERIES, _step(keys[TIME]).alias(_STEP))
    steps = steps.filter((pl.col(SERIES) == pl.col(SERIES).shift(1)) & (pl.col(_STEP) != 0))
    if steps.is_empty():
        raise DataError("dataset.frequency: must be given; no series has two rows to find it from.")
    common = _most_common(steps)
    if steps[_STEP].n_unique() > 1:
        _refuse_mixed(steps, common, gaps, keys[TIME].dtype)
    return Frequency(_name(common, keys[TIME].dtype), month_end=common > 0 and is_month_end(keys[TIME]))


def is_month_end(times: pl.Series) -> bool:
    """Return whether every date or instant stands on the last day of its month (false for whole numbers)."""
    return times.dtype.is_temporal() and bool((_wall(times).dt.month_end() == _wall(times)).all())


def _wall(times: pl.Series) -> pl.Series:
    """Return dates, or instants as a clock on the wall shows them: the last day of a month is one of the calendar."""
    return times.dt.replace_time_zone(None) if isinstance(times.dtype, pl.Datetime) else times


def _step(times: pl.Series) -> pl.Series:
    """Return the distance to the row before: months as a positive number, microseconds as a negative one; integers as they are.

    Rows are months apart where they have the same day and time of day, or both stand at the end of a month.
    """
    if times.dtype.is_integer():
        return times.diff()
    micros = times.cast(pl.Datetime("us")).cast(pl.Int64).diff()
    times = _wall(times)
    months = (times.dt.year().cast(pl.Int64) * 12 + times.dt.month()).diff()
    ends = times.dt.month_end() == times
    same_day = (times.dt.day() == times.dt.day().shift(1)) | (ends & ends.shift(1))
    if isinstance(times.dtype, pl.Datetime):
        same_day &= times.dt.time() == times.dt.time().shift(1)
    return (-micros).zip_with(~(same_day & (months > 0)).fill_null(False), months)


def _most_common(steps: pl.DataFrame) -> int:
    counts = steps.group_by(_STEP).agg(pl.len().cast(pl.Int64).alias(_COUNT))
    return int(counts.sort(-pl.col(_COUNT), pl.col(_STEP).abs())[_STEP][0])


def _refuse_mixed(steps: pl.DataFrame, common: int, gaps: bool, dtype: pl.DataType) -> None:
    """Refuse a series of another frequency: its own step comes twice or more; with gaps allowed, three times and no other."""
    counts = steps.group_by(SERIES, _STEP).agg(pl.len().cast(pl.Int64).alias(_COUNT))
    by_series = (
        counts.with_columns(pl.len().over(SERIES).alias(_KINDS))
        .sort(SERIES, -pl.col(_COUNT), pl.col(_STEP).abs())
        .unique(SERIES, keep="first", maintain_order=True)
    )
    least = (pl.col(_COUNT) >= 3) & (pl.col(_KINDS) == 1) if gaps else pl.col(_COUNT) >= 2
    odd = by_series.filter(least & (pl.col(_STEP) != common))
    usual = by_series.filter(pl.col(_STEP) == common)
    if odd.is_empty() or usual.is_empty():
        return
    rows = (usual.row(0, named=True), odd.row(0, named=True))
    one, other = (f"series '{row[SERIES]}' has steps of {_name(row[_STEP], dtype)}" for row in rows)
    raise DataError(f"dataset: mixed frequencies: {one}, {other}; give dataset.frequency or split the file.")


def _name(step: int, dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return f"{step}i"
    if step > 0:
        return f"{step // 12}y" if step % 12 == 0 else f"{step}mo"
    unit, size = next((unit, size) for unit, size in _UNITS if -step % size == 0)
    return f"{-step // size}{unit}"
