"""Frequency: the distance between the rows of a series, given or found from the rows."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import DataError
from hwds.frames.roles import SERIES, TIME

# Frequency: the distance between the rows of a series, and the instants that follow its last
# one.

SEASONS = {"1h": 24, "1d": 7, "7d": 52, "1w": 52, "1mo": 12, "3mo": 4, "1q": 4}
"""The usual number of rows in a season, for frequencies that have one; 1 for the others."""

SPAN, SPAN_NS = (1, 9999), (1678, 2261)
"""The years of the calendar, and those that nanoseconds can hold."""

_WIDE = {"Datetime(time_unit='ns', time_zone=None)": pl.Datetime("us")}
"""Types in which a step may leave what they hold, each with one that tells so."""


@dataclass(frozen=True, slots=True)
class Frequency:
    """The step of a regular series.

    Attributes:
        every: A polars duration (`1mo`, `3mo`, `7d`, `1h`), or `1i` for integers in steps of one.
        month_end: Dates stand on the last day of their month, whichever that is.
    """

    every: str
    month_end: bool = False

    @property
    def season(self) -> int:
        """The usual season of this frequency in rows."""
        return SEASONS.get(self.every, 1)

    def after(self, times: Series, steps: int) -> Series:
        """Return the instants `steps` steps after `times`, of the same type.

        Raises:
            DataError: One is beyond the calendar, or beyond what the type can hold.
        """
        count = int("".join(filter(str.isdigit, self.every))) * steps
        unit = self.every.lstrip("0123456789")
        if unit == "i":
            return times + count
        moved = times.cast(_WIDE.get(str(times.dtype), times.dtype)).dt.offset_by(f"{count}{unit}")
        first, last = SPAN_NS if str(times.dtype) in _WIDE else SPAN
        if not moved.dt.year().drop_nulls().is_between(first, last).all():
            raise DataError(
                f"dataset: {steps:,} steps of {self.every} from {times.drop_nulls()[0]} lead out "
                f"of the calendar."
            )
        moved = moved.cast(times.dtype)
        return moved.dt.month_end() if self.month_end else moved


# The frequency of a table of series, found from the distances between its rows.

_UNITS = (
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
)
_STEP, _COUNT, _KINDS = "__step__", "__count__", "__kinds__"


def find_frequency(table: DataFrame, *, gaps: bool = False) -> Frequency:
    """Return the step that most rows are from the row before.

    Args:
        table: Columns `series_id` and `time` (dates, instants or whole numbers), in any order.
        gaps: Some rows are known to be left out, so that only a series all of whose steps are
            longer counts as mixed.

    Raises:
        DataError: No series has two rows, or two series have different steps.
    """
    keys = table.select(SERIES, TIME).drop_nulls().sort(SERIES, TIME)
    steps = keys.select(SERIES, _step(keys[TIME]).alias(_STEP))
    steps = steps.filter((col(SERIES) == col(SERIES).shift(1)) & (col(_STEP) != 0))
    if steps.is_empty():
        raise DataError("dataset.frequency: must be given; no series has two rows to find it from.")
    common = _most_common(steps)
    if steps[_STEP].n_unique() > 1:
        _refuse_mixed(steps, common, gaps, keys[TIME].dtype)
    return Frequency(
        _step_name(common, keys[TIME].dtype), month_end=common > 0 and is_month_end(keys[TIME])
    )


def is_month_end(times: Series) -> bool:
    """Return whether every date or instant stands on the last day of its month (false for whole
    numbers).
    """
    return times.dtype.is_temporal() and bool((_wall(times).dt.month_end() == _wall(times)).all())


def _wall(times: Series) -> Series:
    """Return dates, or instants as a clock on the wall shows them: the last day of a month is one
    of the calendar.
    """
    return times.dt.replace_time_zone(None) if isinstance(times.dtype, pl.Datetime) else times


def _step(times: Series) -> Series:
    """Return the distance to the row before: months as a positive number, microseconds as a
    negative one; integers as they are.

    Rows are months apart where they have the same day and time of day, or both stand at the end of
    a month.
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


def _most_common(steps: DataFrame) -> int:
    counts = steps.group_by(_STEP).agg(pl.len().cast(pl.Int64).alias(_COUNT))
    return int(counts.sort(-col(_COUNT), col(_STEP).abs())[_STEP][0])


def _refuse_mixed(steps: DataFrame, common: int, gaps: bool, dtype: pl.DataType) -> None:
    """Refuse a series of another frequency: its own step comes twice or more.

    With gaps allowed, three times and no other.
    """
    counts = steps.group_by(SERIES, _STEP).agg(pl.len().cast(pl.Int64).alias(_COUNT))
    by_series = (
        counts.with_columns(pl.len().over(SERIES).alias(_KINDS))
        .sort(SERIES, -col(_COUNT), col(_STEP).abs())
        .unique(SERIES, keep="first", maintain_order=True)
    )
    least = (col(_COUNT) >= 3) & (col(_KINDS) == 1) if gaps else col(_COUNT) >= 2
    odd = by_series.filter(least & (col(_STEP) != common))
    usual = by_series.filter(col(_STEP) == common)
    if odd.is_empty() or usual.is_empty():
        return
    rows = (usual.row(0, named=True), odd.row(0, named=True))
    one, other = (
        f"series '{row[SERIES]}' has steps of {_step_name(row[_STEP], dtype)}" for row in rows
    )
    raise DataError(
        f"dataset: mixed frequencies: {one}, {other}; give dataset.frequency or split the file."
    )


def _step_name(step: int, dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return f"{step}i"
    if step > 0:
        return f"{step // 12}y" if step % 12 == 0 else f"{step}mo"
    unit, size = next((unit, size) for unit, size in _UNITS if -step % size == 0)
    return f"{-step // size}{unit}"
