"""Rows that are scored: their places and scales, their segments, and the remarks on a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, nearest
from hwds.evaluation.panel_folds import (
    Align,
    Cutoff,
    last_instants,
    panel_known_at,
    select_series,
    series_at,
)
from hwds.evaluation.protocol import FOLD_COLUMN, PLACE_COLUMN, SEGMENT_COLUMN, Fold
from hwds.forecast.metrics import (
    FROM_LAST,
    Metric,
    code_rows,
    forecast_origins,
    forecast_reach,
    per_block,
    skill_on_logarithms,
)
from hwds.forecast.predictions import RAW, WINDOW
from hwds.frames.panel import FALLBACK_KIND, LEVEL, TOTAL, Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.results.formatting import counted, percent
from hwds.results.tables import BY_FALLBACK, TRUTH
from hwds.stats.estimates import Estimate, codes_of, difference_estimate, explained_p
from hwds.stats.periods import (
    LEAST_OF_A_SEASON,
    SEASON_SEEN,
    Cells,
    deciders,
    largest_break,
    mean_estimate,
    shared_path,
)

# What protocols add to the rows of a cell, and take away before they are scored.

CALIBRATED = "calibrated"
"""The column that says which rows have corrected quantiles; the others have the model's own."""


def without_raw(rows: DataFrame) -> DataFrame:
    """Return the rows of the real cutoffs, as the model gave them."""
    if WINDOW in rows.columns:
        rows = rows.filter(col(WINDOW).is_null() | (col(WINDOW) >= 0))
    return rows.drop(RAW, strict=False)


def calibration_remark(predictions: DataFrame) -> list[str]:
    """Return a sentence where intervals that were to be calibrated are the model's own."""
    if CALIBRATED not in predictions.columns:
        return []
    if "model" in predictions.columns:
        predictions = predictions.filter(col("model") != TRUTH)
    left = predictions.filter(~col(CALIBRATED)).height
    why = "no inner window before the cutoff, or neither width nor scale to measure by"
    sentence = f"{left} of {predictions.height} forecasts have the model's own intervals: {why}."
    return [sentence] if left else []


# Numbered rows: which cutoffs of two series fall together, where no date tells it.


def count_from_last(rows: DataFrame) -> DataFrame:
    """Return rows whose cutoffs are counted from each series' end, with `FROM_LAST` where they are
    numbers.

    Series that are numbered from their own beginnings and end together share what happens at the
    end: by their numbers, each length would be an origin of its own, and a shock of all of them
    evidence of many.

    Args:
        rows: The rows of one model at all cutoffs.
    """
    if rows.is_empty() or not rows.schema["cutoff"].is_integer():
        return rows
    return rows.with_columns(
        (col("cutoff") - col("cutoff").max().over(SERIES)).cast(pl.Int64).alias(FROM_LAST)
    )


def numbering_remarks(panel: Panel, align: Align) -> Iterator[str]:
    """Yield what is taken for granted of several series whose rows are numbered."""
    if panel.n_series < 2 or not panel.table.schema[TIME].is_integer():
        return
    if align == "calendar":
        yield "Rows are numbered: equal numbers of two series are taken as one instant."
    else:
        yield (
            "Rows are numbered, so it is unknown which rows of two series have one time. Windows "
            "at the same distance from the ends of their series count as one cutoff, because one "
            "shock may have hit all of them."
        )


# The scale of the errors of young series: the one that the other series have on average.

SCALES = {"scale_abs": "short_scale_abs", "scale_sq": "short_scale_sq"}
"""The seasonal scales of rows, and those of series without one."""


def fill_young_scales(rows: DataFrame) -> DataFrame:
    """Return rows in which a series without a seasonal scale has the mean one of the other series
    at its cutoff.

    Divided by its own few changes, a young series that grows fast would outweigh all others in a
    mean over series. Where no series has a seasonal scale at that cutoff, each keeps its own; so do
    series whose cutoffs are counted from their own ends.

    Args:
        rows: The rows of one model at the scored cutoffs, with the series, the cutoff and the
            columns of `SCALES`.
    """
    if not set(SCALES.values()) <= set(rows.columns):
        return rows
    others = rows.unique(["cutoff", SERIES], maintain_order=True).group_by(
        "cutoff", maintain_order=True
    )
    means = others.agg(
        col(scale).filter(_is_scale(scale)).mean().alias(f"_{scale}") for scale in SCALES
    )
    joined = rows.join(means, on="cutoff", how="left", maintain_order="left")
    young = [
        pl.when(~_is_scale(scale) & _is_scale(own))
        .then(pl.coalesce(f"_{scale}", own))
        .otherwise(col(own))
        .alias(own)
        for scale, own in SCALES.items()
    ]
    return joined.with_columns(young).select(rows.columns)


def _is_scale(name: str) -> pl.Expr:
    return (col(name).fill_nan(None) > 0).fill_null(value=False)


# Segments of series, forecasts and rows of a panel: by its columns, and by classes that are
# known at the cutoff.

RARE = 1.32
"""Rows from one demand to the next, above which demand is intermittent: Syntetos, Boylan and
Croston (2005).
"""

UNEVEN = 0.49
"""The squared coefficient of variation of demands, above which they are erratic or lumpy: the same.
"""

USUAL_SEASON = 4
"""Rows that count as a season where there is none."""


Classify = Callable[[Panel], tuple[list[str], ndarray]]
"""From what is known to the names of the classes, in order, and the place of each series' own, -1
for none.
"""


def panel_labels(frame: Panel, column: str, split: Callable[[Panel], Sequence[Fold]]) -> DataFrame:
    """Return the segments of a column: by series (static, level), by row (0 or not), or by series
    and cutoff (`DERIVED`).

    A column of the panel goes before a class of the same name.

    Raises:
        ConfigError: There is no such column, or it tells no rows apart.
    """
    from hwds.forecast.columns import role_of

    roles = frame.roles
    if column in (*roles.static, *roles.level):
        return frame.table.select(SERIES, col(column).alias(SEGMENT_COLUMN))[frame.offsets[:-1]]
    if column in (*roles.known_future, *roles.past_only):
        return _row_segments(frame, column)
    played = role_of(column, roles)
    if column in DERIVED and not played:
        parts = [
            _cutoff_classes(frame, fold, cutoff, DERIVED[column])
            for fold in split(frame)
            for cutoff in fold.cutoffs
        ]
        return pl.concat(parts).unique([SERIES, "cutoff"], keep="first", maintain_order=True)
    if played:
        raise ConfigError(
            f"protocol.segments: '{column}' is {played}; it must be static, level, known_future "
            f"or past_only."
        )
    names = (*roles.static, *roles.level, *roles.known_future, *roles.past_only, *DERIVED)
    raise ConfigError(f"protocol.segments: no column '{column}'{nearest(column, names)}")


def _row_segments(frame: Panel, column: str) -> DataFrame:
    """Return segments of rows where a column is 0, and where it is not: a promotion, a shortage.

    For scores alone.

    Raises:
        ConfigError: It is 0 nowhere, or everywhere.
    """
    values = frame.table[column].cast(pl.Float64)
    known = values.drop_nulls()
    if (known == 0).all() or not (known == 0).any():
        held = "is 0 in every row" if len(known) and (known == 0).all() else "is 0 in no row"
        raise ConfigError(
            f"protocol.segments: '{column}' {held}; it separates rows with 0 from the others."
        )
    other = "1" if known.is_in([0.0, 1.0]).all() else "not 0"
    segment = pl.when(values == 0).then(pl.lit("0")).when(values.is_not_null()).then(pl.lit(other))
    place = Series(PLACE_COLUMN, frame.series_of_row)
    return frame.table.select(
        SERIES, TIME, segment.cast(pl.Enum(["0", other])).alias(SEGMENT_COLUMN), place
    )


def _cutoff_classes(frame: Panel, fold: Fold, cutoff: Cutoff, classify: Classify) -> DataFrame:
    """Return the class of each series that is forecast at a cutoff, made of what is known then."""
    series, ends = series_at(frame, cutoff), cutoff.ends(frame)
    known = panel_known_at(select_series(frame, series), cutoff)
    names, codes = classify(known)
    classes = codes if known.n_series else np.full(len(series), -1)
    segment = Series(
        SEGMENT_COLUMN, [names[code] if code >= 0 else None for code in classes], pl.Enum(names)
    )
    about = DataFrame(
        {SERIES: frame.series_ids.gather(series), "cutoff": last_instants(frame, series, ends)}
    )
    return about.with_columns(
        segment, Series(PLACE_COLUMN, series), pl.lit(fold.index).alias(FOLD_COLUMN)
    )


def age_classes(known: Panel) -> tuple[list[str], ndarray]:
    """Classify series by rows since the launch (the static column `launch`, where it holds
    instants), else since the first row.

    Four classes: half a season, one, two, and beyond.
    """
    season = known.season if known.season > 1 else USUAL_SEASON
    bounds = [max(season // 2, 1), season, 2 * season]
    names = [f"under {bounds[0]}", *(f"{low} to {high - 1}" for low, high in pairwise(bounds))]
    rows = known.lengths + _rows_before(known)
    return [*names, f"{bounds[-1]} or more"], np.searchsorted(bounds, rows, side="right")


def _rows_before(known: Panel) -> ndarray:
    """Return rows from each series' launch to its first row, 0 where that is not known.

    Shape (n_series,).
    """
    from hwds.forecast.columns import row_days
    from hwds.forecast.features.calendar import LAUNCH

    instants = known.table.schema.get(LAUNCH) if LAUNCH in known.roles.static else None
    clock = known.table.schema[TIME]
    if instants is None or not (instants.is_temporal() and clock.is_temporal()):
        return np.zeros(known.n_series, np.int64)
    first = known.table.select(TIME, LAUNCH)[known.offsets[:-1]]
    days = first.select(
        (col(TIME).cast(pl.Date) - col(LAUNCH).cast(pl.Date)).dt.total_days()
    ).to_series()
    gone = days.cast(pl.Float64).fill_null(0.0).to_numpy() / row_days(known.frequency.every)
    return np.maximum(np.rint(gone), 0).astype(np.int64)


def volume_classes(known: Panel) -> tuple[list[str], ndarray]:
    """Return the third of all series forecast at the cutoff in which the mean of a series' history
    lies.
    """
    starts, there = known.offsets[:-1], ~np.isnan(known.target)
    count = (
        np.add.reduceat(there.astype(np.int64), starts) if known.n_series else np.zeros(0, np.int64)
    )
    total = np.add.reduceat(np.nan_to_num(known.target), starts) if known.n_series else np.zeros(0)
    mean = total / np.maximum(count, 1)
    bounds = np.quantile(mean[count > 0], [1 / 3, 2 / 3]) if (count > 0).any() else np.zeros(2)
    return ["low", "middle", "high"], np.where(
        count > 0, np.searchsorted(bounds, mean, side="left"), -1
    )


def demand_classes(known: Panel) -> tuple[list[str], ndarray]:
    """Return the four classes of Syntetos, Boylan and Croston (2005), "On the categorization of
    demand patterns".

    By the mean number of rows from one demand to the next, and the squared coefficient of variation
    of demands.
    """
    codes = [_demand_class(known.series(i)) for i in range(known.n_series)]
    return ["smooth", "erratic", "intermittent", "lumpy"], np.array(codes, np.int64)


def _demand_class(values: ndarray) -> int:
    values = values[~np.isnan(values)]
    if not len(values):
        return -1
    demands = values[values != 0]
    uneven = len(demands) > 0 and float(demands.var()) > UNEVEN * float(demands.mean()) ** 2
    return 2 * int(len(values) > RARE * len(demands)) + int(uneven)


DERIVED: Mapping[str, Classify] = {
    "age": age_classes,
    "volume": volume_classes,
    "intermittent": demand_classes,
}
"""Classes of a series that are known at the cutoff, by the name that `protocol.segments` gives
them.
"""


# Remarks on a forecasting run: series without a scale, cutoffs of one part of a year, joined
# columns, sums of a hierarchy.

NAMED_SERIES = 2
"""Series that a remark names."""


def scale_remarks(predictions: DataFrame) -> Iterator[str]:
    """Yield sentences on series without a seasonal scale: how their scaled errors (mase, rmsse) are
    made, or that none are.

    Args:
        predictions: The answers of a run.
    """
    if "scale_abs" not in predictions.columns:
        return
    seasonal = _is_absent(col("scale_abs"))
    short = (
        _is_absent(col("short_scale_abs"))
        if "short_scale_abs" in predictions.columns
        else pl.lit(True)
    )
    lacking = predictions.filter(seasonal).with_columns(nothing=short)
    if lacking.is_empty():
        return
    season = int(lacking["season"][0])
    apart = "" if season == 1 else f" a season of {season} rows apart"
    because = f"They have no two known values{apart} before it, or equal ones only."
    scaled, bare = (
        lacking.filter(part)[SERIES].unique().sort() for part in (~col("nothing"), "nothing")
    )
    if len(scaled):
        yield (
            f"{_series_list(scaled)} are scored by the mean scale of the others at some cutoff. "
            f"{because} If no series has a scale, mase and rmsse divide by the series' own change "
            "from row to row. If the seasonal naive answers, its intervals are as wide as such "
            "changes."
        )
    if len(bare):
        yield (
            f"{_series_list(bare)} have no scaled errors (mase, rmsse) at some cutoff. {because} "
            "They have no value but 0. wql and coverage count them."
        )


def _is_absent(scale: pl.Expr) -> pl.Expr:
    return scale.is_null() | scale.is_nan() | (scale == 0)


def _series_list(names: Series) -> str:
    """Return the number of series and the names of the first few: `4 series (a, +3)`."""
    more = f", +{len(names) - NAMED_SERIES}" if len(names) > NAMED_SERIES else ""
    named = ", ".join(map(str, names.head(NAMED_SERIES)))
    return f"{counted(len(names), 'series')} ({named}{more})"


def fallback_remarks(predictions: DataFrame) -> Iterator[str]:
    """Yield a sentence on the models of which something simpler answered, by kind.

    Its number of series is the `n_fallback` of a model's scores.

    Args:
        predictions: The answers of a run.
    """
    if not {"model", FALLBACK_KIND} <= set(predictions.columns):
        return
    places = predictions.unique(["model", SERIES, "cutoff"], maintain_order=True)
    models: dict[str, list[str]] = {}
    for (model,), rows in places.partition_by("model", as_dict=True, maintain_order=True).items():
        if rows["fallback"].any():
            models.setdefault(_fallback_words(rows), []).append(str(model))
    for words, names in models.items():
        yield f"{', '.join(names)}: {words}"


def _fallback_words(rows: DataFrame) -> str:
    """Return how many series of a model, and which of its forecasts, a fallback answered."""
    simpler = rows.filter("fallback")
    kinds = simpler[FALLBACK_KIND].value_counts()
    kinds = kinds.sort("count", FALLBACK_KIND, descending=[True, False])
    series, forecasts = simpler[SERIES].n_unique(), counted(len(rows), "forecasts")
    why = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.iter_rows())
    return (
        f"{series:,} of {counted(rows[SERIES].n_unique(), 'series')} {BY_FALLBACK}, in "
        f"{len(simpler):,} of {forecasts}: {why}."
    )


def season_remarks(predictions: DataFrame) -> Iterator[str]:
    """Yield a sentence where the cutoffs are enough for intervals and cover a part of a season
    alone, which makes them wide.

    Args:
        predictions: The answers of a run.
    """
    if not {"season", "cutoff", TIME} <= set(predictions.columns) or predictions.is_empty():
        return
    count = forecast_origins(predictions)["cutoff"].n_unique()
    _, seen, *_ = forecast_reach(predictions, int(predictions["season"][0]))
    if count >= LEAST_OF_A_SEASON and seen < SEASON_SEEN:
        yield (
            f"{count} cutoffs forecast {percent(seen)} of a season. What the rest of it is like "
            f"they do not tell, so that"
            f" intervals are some five times as wide as where {percent(SEASON_SEEN)} are forecast "
            f"(by more protocol.windows)."
        )


@dataclass(frozen=True, eq=False)
class SkillBlocks:
    """The skill of a run's own model against the seasonal naive, by series and cutoff.

    Attributes:
        values: What each block of steps says of the skill, which is their mean, shape (cells,
            blocks).
        cells: The series and the cutoff of each.
        series, cutoffs: The names of series and cutoffs.
    """

    values: ndarray
    cells: Cells
    series: Series
    cutoffs: Series

    @classmethod
    def of(
        cls, predictions: DataFrame, metric: Metric, levels: tuple[float, ...]
    ) -> SkillBlocks | None:
        """Return the skill of the first model; None where it has none.

        Args:
            predictions: The answers of a run.
            metric: The headline.
            levels: The levels of quantiles.
        """
        if "model" not in predictions.columns or predictions.is_empty():
            return None
        own = predictions.filter(model=predictions["model"][0])
        rows = code_rows(own, levels, int(own["season"][0]))
        naive = replace(rows.forecasts, mean=rows.forecasts.naive, median=rows.forecasts.naive)
        ours, theirs = per_block(metric, rows), per_block(metric, rows, naive)
        known = np.isfinite(ours + theirs).all(axis=1)
        cells, ours, theirs = rows.cells.where(known), ours[known], theirs[known]
        weights = cells.weights if known.any() else np.zeros(0)
        mean, whole = (float(weights @ each.mean(axis=1)) for each in (ours, theirs))
        if not whole or (ours == theirs).all():
            return None
        values = 1 - mean / whole - (ours - mean / whole * theirs) / whole
        units, periods = (np.unique(codes[known]) for codes in (rows.cells.unit, rows.cells.period))
        cutoffs = forecast_origins(own)["cutoff"].unique().sort()
        names = own[SERIES].unique().sort()
        return cls(values, cells, names.gather(units), cutoffs.gather(periods))

    def estimate(self, cluster: ndarray | None = None) -> Estimate:
        """Return the skill, with its interval.

        Args:
            cluster: The cluster of each series; each is drawn alone where None.
        """
        of_cells = None if cluster is None else cluster[self.cells.unit]
        cells = replace(self.cells, cluster=of_cells)
        found = mean_estimate(self.values.mean(axis=1), cells, 0, self.values)
        return replace(found, n=cells.fewest)

    def at_all_looks(self) -> tuple[Estimate, tuple[float, int, int]] | None:
        """Return the skill with its interval at all looks, and what a look sees of it; None where a
        model is perfect.
        """
        found = mean_estimate(self.values.mean(axis=1), self.cells, 0, self.values, again=True)
        ratio = 1 - (found.value or 0.0)
        seen = self.cells.clusters, self.cells.periods
        wide = skill_on_logarithms(found, ratio, self.cells.fewest)
        return (wide, (-log(ratio), *seen)) if ratio > 0 else None

    @property
    def by_series(self) -> ndarray:
        """The mean of each series, shape (series,)."""
        unit, of_cells = self.cells.unit, self.values.mean(axis=1)
        means: ndarray = np.bincount(unit, of_cells) / np.bincount(unit)
        return means


def shock_remarks(skill: SkillBlocks) -> Iterator[str]:
    """Yield a sentence on how long the shocks last that all series share."""
    found = skill.cells.persistence(shared_path(skill.values[:, :, None], skill.cells))
    remark = "" if found is None else found.remark(0, skill.cells.periods)
    if remark:
        yield remark


def break_remarks(skill: SkillBlocks) -> Iterator[str]:
    """Yield a sentence on a break in time."""
    if skill.cells.refusal:
        return
    means = shared_path(skill.values[:, :, None], skill.cells)[:, :, 0].mean(axis=1)
    found = largest_break(means + skill.by_series.mean(), skill.cells)
    remark = "" if found is None else found.remark(skill.cutoffs, _less)
    if remark:
        yield remark


def few_remarks(skill: SkillBlocks) -> Iterator[str]:
    """Yield a sentence on the series, and one on the cutoffs, that decide a sure difference."""
    for each in deciders(skill.values.mean(axis=1), skill.cells, skill.values):
        if each.kind == "unit":
            yield each.remark(skill.series, "series")
        else:
            yield each.remark(skill.cutoffs, "cutoffs")


def _less(skill: float) -> str:
    return f"{percent(abs(skill))} {'less' if skill > 0 else 'more'} error"


EXPLAINED = 0.01
"""The chance of a column that explains nothing to be remarked on."""


def cluster_remarks(
    panel: Panel,
    skill: SkillBlocks,
    declared: Sequence[str],
    share: Callable[[float], float] = float,
    meant: str = "less error",
) -> Iterator[str]:
    """Yield a sentence on series that are drawn together, or on the static column that explains
    most of how they differ, with the interval if they were.

    Args:
        panel: The data.
        skill: The skill of the run's own model.
        declared: The columns by which series are drawn together.
        share: The function from a value of the skill to the share that it stands for.
        meant: The meaning of a share above 0.
    """
    if declared:
        count = counted(skill.cells.clusters, "independent groups")
        yield f"Series of one {' and '.join(declared)} count as one: {count}."
        return
    static = panel.table.select(SERIES, *panel.roles.static)[panel.offsets[:-1]]
    named = skill.series.to_frame(SERIES).join(static, SERIES, "left", maintain_order="left")
    found = [
        (chance, column, codes)
        for column in panel.roles.static
        if (chance := explained_p(skill.by_series, codes := codes_of(named[column])))
        < EXPLAINED / len(panel.roles.static)
    ]
    if not found or skill.cells.refusal:
        return
    _, column, codes = min(found, key=lambda each: each[0])
    together = skill.estimate(codes)
    ends = difference_estimate(together)
    words = f"Series of one {column} differ in the same way"
    if ends.low is None or ends.high is None:
        yield f"{words}: with protocol.cluster=[{column}] {together.method}."
        return
    interval = f"{100 * share(ends.low):.0f} to {100 * share(ends.high):.0f} % {meant}"
    yield (
        f"{words}: with protocol.cluster=[{column}] they count as {int(codes.max()) + 1}, and the "
        f"95 % interval is {interval}."
    )


def joined_column_remarks(panel: Panel) -> list[str]:
    """Return the origin of each such column, and the share of past rows that have one."""
    if not panel.vintages:
        return []
    rows = len(panel.table)
    return [
        f"{name} is {source}: {rows - panel.table[name].null_count()} of {rows} rows had a "
        f"forecast made before them;"
        " the others are unknown to a model."
        for name, source in panel.vintages.sources.items()
    ]


def panel_remarks(panel: Panel, first: Cutoff, steps: int) -> list[str]:
    """Return sentences on how scores count aggregates, on unknown sums, and on a history too short
    to learn from.

    Args:
        panel: The panel with aggregates.
        first: The first cutoff.
        steps: The horizon.
    """
    series = panel.table[panel.offsets[:-1]]
    levels = series.group_by(LEVEL).len().sort("len", LEVEL)
    counts = ", ".join(f"{count} of level {level}" for level, count in levels.iter_rows())
    messages = [
        f"A mean over series counts each series of each level once: {counts}; "
        f"protocol.segments=[{LEVEL}] tells them apart."
    ]
    total = panel.table.filter(col(SERIES) == TOTAL)
    unknown = total[TARGET].null_count()
    if unknown:
        messages.append(
            f"The total is unknown at {unknown} of {len(total)} instants: some series has no "
            f"target there."
        )
    if first.ends(panel).max() <= steps:
        messages.append(
            "There is no window before the first cutoff to learn from: sums weigh by their number "
            "of series alone."
        )
    return messages


# The stories of searches, read from predictions; no model is imported, so that no other
# forecast depends on one.

SEARCH_COLUMN = "search"
"""The column of predictions that holds the story of a search, in the first row of each cutoff."""

SEARCH_FACTS = "search_facts"
"""The column with the same as JSON; runs of earlier code have none."""

CLOCK_NOTE = (
    "; a budget in seconds ends by the clock: again, or elsewhere, it may answer "
    "otherwise; one in units (300u) not"
)
"""What the story of a search by the clock ends with."""


def search_stories(predictions: DataFrame) -> Iterator[str]:
    """Yield the story of each model and cutoff that has one, or of all cutoffs of a fold where its
    series end apart.

    What all searches by the clock end with is said once, by the last story.
    """
    if SEARCH_COLUMN not in predictions.columns:
        return
    there = col(SEARCH_COLUMN).is_not_null()
    ends = col("cutoff")
    spans = predictions.group_by("model", "fold").agg(
        first=ends.min(),
        last=ends.max(),
        stories=ends.filter(there).n_unique(),
    )
    stories = predictions.filter(there).unique(["model", "cutoff"], maintain_order=True)
    rows = stories.join(spans, on=["model", "fold"], how="left", maintain_order="left").to_dicts()
    for place, row in enumerate(rows, 1):
        apart = row["stories"] == 1 and row["first"] < row["last"]
        cutoff = f"cutoffs from {row['first']} to {row['last']}" if apart else row["cutoff"]
        again = any(CLOCK_NOTE in later[SEARCH_COLUMN] for later in rows[place:])
        story = row[SEARCH_COLUMN].replace(CLOCK_NOTE, "") if again else row[SEARCH_COLUMN]
        yield f"{row['model']} at {cutoff}: {story}"
