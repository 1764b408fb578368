"""Segments of series, forecasts and rows of a panel: by its columns, and by classes that are known at the cutoff."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.evaluation.segments import FOLD, PLACE, SEGMENT
from hwds.forecast.features.calendar import LAUNCH
from hwds.forecast.features.columns.cycles import row_days
from hwds.forecast.features.columns.feature_checks import role_of
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.splitting.cutoffs import Cutoff, known_at, last_instants, select, series_at
from hwds.splitting.fold import Fold

RARE = 1.32
"""Rows from one demand to the next, above which demand is intermittent: Syntetos, Boylan and Croston (2005)."""

UNEVEN = 0.49
"""The squared coefficient of variation of demands, above which they are erratic or lumpy: the same."""

USUAL_SEASON = 4
"""Rows that count as a season where there is none."""


Classify = Callable[[Panel], tuple[list[str], np.ndarray]]
"""From what is known to the names of the classes, in order, and the place of each series' own, -1 for none."""


def panel_labels(frame: Panel, column: str, split: Callable[[Panel], Sequence[Fold]]) -> pl.DataFrame:
    """Return the segments of a column: by series (static, level), by row (0 or not), or by series and cutoff (`DERIVED`).

    A column of the panel goes before a class of the same name.

    Raises:
        ConfigError: There is no such column, or it tells no rows apart.
    """
    roles = frame.roles
    if column in (*roles.static, *roles.level):
        return frame.table.select(SERIES, pl.col(column).alias(SEGMENT))[frame.offsets[:-1]]
    if column in (*roles.known_future, *roles.past_only):
        return _by_row(frame, column)
    played = role_of(column, roles)
    if column in DERIVED and not played:
        parts = [_at_cutoff(frame, fold, cutoff, DERIVED[column]) for fold in split(frame) for cutoff in fold.cutoffs]
        return pl.concat(parts).unique([SERIES, "cutoff"], keep="first", maintain_order=True)
    if played:
        raise ConfigError(f"protocol.segments: '{column}' is {played}; it must be static, level, known_future or past_only.")
    names = (*roles.static, *roles.level, *roles.known_future, *roles.past_only, *DERIVED)
    raise ConfigError(f"protocol.segments: no column '{column}'{nearest(column, names)}")


def _by_row(frame: Panel, column: str) -> pl.DataFrame:
    """Return segments of rows where a column is 0, and where it is not: a promotion, a shortage; for scores alone.

    Raises:
        ConfigError: It is 0 nowhere, or everywhere.
    """
    values = frame.table[column].cast(pl.Float64)
    known = values.drop_nulls()
    if (known == 0).all() or not (known == 0).any():
        held = "is 0 in every row" if len(known) and (known == 0).all() else "is 0 in no row"
        raise ConfigError(f"protocol.segments: '{column}' {held}; it tells apart rows where it is 0 and others.")
    other = "1" if known.is_in([0.0, 1.0]).all() else "not 0"
    segment = pl.when(values == 0).then(pl.lit("0")).when(values.is_not_null()).then(pl.lit(other))
    place = pl.Series(PLACE, np.repeat(np.arange(frame.n_series), frame.lengths))
    return frame.table.select(SERIES, TIME, segment.cast(pl.Enum(["0", other])).alias(SEGMENT), place)


def _at_cutoff(frame: Panel, fold: Fold, cutoff: Cutoff, classify: Classify) -> pl.DataFrame:
    """Return the class of each series that is forecast at a cutoff, made of what is known then."""
    series, ends = series_at(frame, cutoff), cutoff.ends(frame)
    known = known_at(select(frame, series), cutoff)
    names, codes = classify(known)
    classes = codes if known.n_series else np.full(len(series), -1)
    segment = pl.Series(SEGMENT, [names[code] if code >= 0 else None for code in classes], pl.Enum(names))
    about = pl.DataFrame({SERIES: frame.series_ids.gather(series), "cutoff": last_instants(frame, series, ends)})
    return about.with_columns(segment, pl.Series(PLACE, series), pl.lit(fold.index).alias(FOLD))


def age(known: Panel) -> tuple[list[str], np.ndarray]:
    """Classify series by rows since the launch (the static column `launch`, where it holds instants), else since the first row.

    Four classes: half a season, one, two, and beyond.
    """
    season = known.season if known.season > 1 else USUAL_SEASON
    bounds = [max(season // 2, 1), season, 2 * season]
    names = [f"under {bounds[0]}", *(f"{low} to {high - 1}" for low, high in pairwise(bounds))]
    rows = known.lengths + _rows_before(known)
    return [*names, f"{bounds[-1]} or more"], np.searchsorted(bounds, rows, side="right")


def _rows_before(known: Panel) -> np.ndarray:
    """Return rows from each series' launch to its first row, 0 where that is not known; shape (n_series,)."""
    instants = known.table.schema.get(LAUNCH) if LAUNCH in known.roles.static else None
    clock = known.table.schema[TIME]
    if instants is None or not (instants.is_temporal() and clock.is_temporal()):
        return np.zeros(known.n_series, np.int64)
    first = known.table.select(TIME, LAUNCH)[known.offsets[:-1]]
    days = first.select((pl.col(TIME).cast(pl.Date) - pl.col(LAUNCH).cast(pl.Date)).dt.total_days()).to_series()
    gone = days.cast(pl.Float64).fill_null(0.0).to_numpy() / row_days(known.frequency.every)
    return np.maximum(np.rint(gone), 0).astype(np.int64)


def volume(known: Panel) -> tuple[list[str], np.ndarray]:
    """Return the third of all series forecast at the cutoff in which the mean of a series' history lies."""
    starts, there = known.offsets[:-1], ~np.isnan(known.target)
    count = np.add.reduceat(there.astype(np.int64), starts) if known.n_series else np.zeros(0, np.int64)
    total = np.add.reduceat(np.nan_to_num(known.target), starts) if known.n_series else np.zeros(0)
    mean = total / np.maximum(count, 1)
    bounds = np.quantile(mean[count > 0], [1 / 3, 2 / 3]) if (count > 0).any() else np.zeros(2)
    return ["low", "middle", "high"], np.where(count > 0, np.searchsorted(bounds, mean, side="left"), -1)


def intermittent(known: Panel) -> tuple[list[str], np.ndarray]:
    """Return the four classes of Syntetos, Boylan and Croston (2005), "On the categorization of demand patterns".

    By the mean number of rows from one demand to the next, and the squared coefficient of variation of demands.
    """
    codes = [_pattern(known.series(i)) for i in range(known.n_series)]
    return ["smooth", "erratic", "intermittent", "lumpy"], np.array(codes, np.int64)


def _pattern(values: np.ndarray) -> int:
    values = values[~np.isnan(values)]
    if not len(values):
        return -1
    demands = values[values != 0]
    uneven = len(demands) > 0 and float(demands.var()) > UNEVEN * float(demands.mean()) ** 2
    return 2 * int(len(values) > RARE * len(demands)) + int(uneven)


DERIVED: Mapping[str, Classify] = {"age": age, "volume": volume, "intermittent": intermittent}
"""Classes of a series that are known at the cutoff, by the name that `protocol.segments` gives them."""
