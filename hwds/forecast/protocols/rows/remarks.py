"""Remarks on a forecasting run: series without a scale, cutoffs of one part of a year, joined columns, sums of a hierarchy."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hwds.forecast.metrics.scores import origins, reach
from hwds.frames.hierarchy import LEVEL, TOTAL
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.results.formatting import counted, percent
from hwds.splitting.cutoffs import Cutoff
from hwds.statistics.shared_periods import LEAST_FOR_COSINES, SEASON_SEEN

NAMED = 5
"""Series that a remark names."""


def without_scale(predictions: pl.DataFrame) -> Iterator[str]:
    """Yield sentences on series without a seasonal scale: how their scaled errors (mase, rmsse) are made, or that none are.

    Args:
        predictions: The answers of a run.
    """
    if "scale_abs" not in predictions.columns:
        return
    seasonal = _absent(pl.col("scale_abs"))
    short = _absent(pl.col("short_scale_abs")) if "short_scale_abs" in predictions.columns else pl.lit(True)
    lacking = predictions.filter(seasonal).with_columns(nothing=short)
    if lacking.is_empty():
        return
    season = int(lacking["season"][0])
    why = "no two known values" if season == 1 else f"no two known values a season of {season} rows apart"
    because = f": before it they have {why}, or all such values are equal"
    scaled, bare = (lacking.filter(part)[SERIES].unique().sort() for part in (~pl.col("nothing"), "nothing"))
    if len(scaled):
        yield (
            f"{_listed(scaled)} have no scale of their own at some cutoff{because}. Their errors there (mase, rmsse) are"
            " divided by the mean scale of the other series, or by their own change from row to row where none has one."
            " Where the seasonal naive answers, its intervals are as wide as such changes."
        )
    if len(bare):
        yield (
            f"{_listed(bare)} have no scaled errors (mase, rmsse) at some cutoff{because}, and no value but 0. wql and coverage"
            " count them."
        )


def _absent(scale: pl.Expr) -> pl.Expr:
    return scale.is_null() | scale.is_nan() | (scale == 0)


def _listed(names: pl.Series) -> str:
    """Return the number of series and the names of the first few."""
    named = f"{', '.join(map(str, names.head(NAMED)))}{', ...' if len(names) > NAMED else ''}"
    return f"{counted(len(names), 'series')} ({named})"


def within_a_season(predictions: pl.DataFrame) -> Iterator[str]:
    """Yield a sentence where the cutoffs are enough for intervals and cover a part of a season alone, which makes them wide.

    Args:
        predictions: The answers of a run.
    """
    if not {"season", "cutoff", TIME} <= set(predictions.columns) or predictions.is_empty():
        return
    count = origins(predictions)["cutoff"].n_unique()
    _, seen = reach(predictions, int(predictions["season"][0]))
    if count >= LEAST_FOR_COSINES / 2 and seen < SEASON_SEEN:
        yield (
            f"{count} cutoffs forecast {percent(seen)} of a season. What the rest of it is like they do not tell, so that"
            f" intervals are some five times as wide as where {percent(SEASON_SEEN)} are forecast (by more protocol.windows)."
        )


def remarks_on_joined(panel: Panel) -> list[str]:
    """Return the origin of each such column, and the share of past rows that have one."""
    if not panel.vintages:
        return []
    rows = len(panel.table)
    return [
        f"{name} is {source}: {rows - panel.table[name].null_count()} of {rows} rows had a forecast made before them;"
        " the others are unknown to a model."
        for name, source in panel.vintages.sources.items()
    ]


def remarks_on(panel: Panel, first: Cutoff, steps: int) -> list[str]:
    """Return sentences on how scores count aggregates, on unknown sums, and on a history too short to learn from.

    Args:
        panel: With aggregates.
        first: The first cutoff.
        steps: The horizon.
    """
    series = panel.table[panel.offsets[:-1]]
    levels = series.group_by(LEVEL).len().sort("len", LEVEL)
    counts = ", ".join(f"{count} of level {level}" for level, count in levels.iter_rows())
    messages = [
        f"A mean over series counts each series of each level once: {counts}; protocol.segments=[{LEVEL}] tells them apart."
    ]
    total = panel.table.filter(pl.col(SERIES) == TOTAL)
    unknown = total[TARGET].null_count()
    if unknown:
        messages.append(f"The total is unknown at {unknown} of {len(total)} instants: some series has no target there.")
    if first.ends(panel).max() <= steps:
        messages.append("There is no window before the first cutoff to learn from: sums weigh by their number of series alone.")
    return messages
