"""The report of a forecast run: forecasts of chosen series, errors by step, and scores of
series.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.forecast.rows import SEARCH_FACTS
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.leaderboard import board_colours
from hwds.report.pictures import (
    GREY,
    INK,
    OWN_COLOUR,
    drawable,
    headline,
    new_figure,
    plain_numbers,
    save_png,
    tidy,
)
from hwds.report.standings import Standings
from hwds.report.words import NOT_SURE, coverage_words, say_lines, verdict_word
from hwds.results.formatting import brief, counted, decimals, duration, fixed
from hwds.results.tables import TRUTH, Tables
from hwds.stats.effects import LEAST_SURE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hwds.report.page_parts import PagePart, Picture, Section


# The series that a picture shows: a typical one, the best and the worst of a model.


@dataclass(frozen=True, slots=True)
class ChosenSeries:
    """A series to show, why, and its score by a metric (None where it has no scale)."""

    series: str
    why: str
    score: float | None
    metric: str


def choose_series(rows: DataFrame) -> list[ChosenSeries]:
    """Return the series at the median, the best and the worst by MASE, each once.

    One without a scale only where no other is.

    Where none has a scale, as at a launch, they are chosen by WAPE.
    """
    scores, metric = rank_series(rows)
    known = scores.drop_nulls()
    if known.is_empty():
        return [ChosenSeries(scores[SERIES][0], "first", None, metric)]
    places = {(len(known) - 1) // 2: "typical", 0: "best", len(known) - 1: "worst"}
    if len(known) < 3:
        places = {0: "best", 1: "worst"} if len(known) == 2 else {0: "only"}
    return [
        ChosenSeries(known[SERIES][place], why, known["score"][place], metric)
        for place, why in places.items()
    ]


def rank_series(of_model: DataFrame) -> tuple[DataFrame, str]:
    """Return each series with its score, the best first, and the score's name: MASE, or WAPE where
    none has a scale.
    """
    scores = series_scores(of_model)
    if scores["score"].null_count() == len(scores):
        return series_wapes(of_model), "wape"
    return scores, f"mase[m={of_model['season'][0]}]"


def series_scores(rows: DataFrame) -> DataFrame:
    """Return the MASE of each series, the mean over its cutoffs, best first, null where it has
    none.
    """
    scales = [name for name in ("scale_abs", "short_scale_abs") if name in rows.columns]
    error = (_error(rows) / pl.coalesce(scales)).fill_nan(None)
    return _by_series(rows.group_by(SERIES, "cutoff").agg(score=error.mean()))


def series_wapes(rows: DataFrame) -> DataFrame:
    """Return the WAPE of each series, the mean over its cutoffs, best first, null where it has
    none.
    """
    size = col("actual").abs().sum()
    ratio = (_error(rows).sum() / pl.when(size > 0).then(size)).fill_nan(None)
    return _by_series(rows.group_by(SERIES, "cutoff").agg(score=ratio))


def _error(rows: DataFrame) -> pl.Expr:
    return (col("actual") - col("q_0.5" if "q_0.5" in rows.columns else "mean")).abs()


def _by_series(at_cutoffs: DataFrame) -> DataFrame:
    return (
        at_cutoffs.group_by(SERIES).agg(col("score").mean()).sort("score", SERIES, nulls_last=True)
    )


# by_step.png: how errors grow with the distance from the cutoff, and whether intervals hold
# what they promise.

LEGEND_BELOW: dict[str, Any] = {"loc": "outside lower center", "frameon": False}
"""The place of a legend of all panels."""

MOST_ABOVE = 1.6
"""The height of a panel, as a multiple of its highest line: a band that is wider is cut."""

COVERAGE = r"^coverage\[(\d+)%\]$"


def by_step_figure(tables: Tables, board: Standings) -> Figure | None:
    """Draw the headline and the coverage of the widest interval by step.

    None where no metric is scored by step.
    """
    whole = col("fold").is_null() & col("segment").is_null() & (col("aggregate") == "mean")
    steps = tables.scores.filter(whole & col("step").is_not_null() & col("value").is_not_null())
    errors = steps.filter(metric=board.headline)
    if errors["step"].n_unique() < 2:
        return None
    covers = interval_levels(steps)
    several = tables.scores.filter(
        whole & col("step").is_null() & col("metric").is_in(list(covers))
    )
    panels = 1 + bool(covers) + (len(covers) > 1)
    figure = new_figure(5.6 if panels == 1 else 11, 4.4)
    grid = figure.subplots(1, panels, squeeze=False)[0]
    paints = board_colours(board)
    _draw_lines(grid[0], errors, paints, board)
    _label_axes(grid[0], "steps from the cutoff", drawable(board.called_in))
    if covers:
        widest = max(covers, key=lambda name: covers[name])
        grid[1].axhline(covers[widest], color=GREY, linewidth=1.3, linestyle="--", zorder=1)
        grid[1].set_title("dashed: what is promised", loc="left", fontsize=9.5, color=GREY)
        _draw_lines(grid[1], steps.filter(metric=widest), paints, board)
        _label_axes(grid[1], "steps from the cutoff", widest)
    if len(covers) > 1:
        _draw_calibration(grid[2], several, covers, paints, board)
        _label_axes(grid[2], "share that an interval promises", "share of actuals inside it")
    handles, labels = grid[0].get_legend_handles_labels()
    columns = min(len(labels), 4)
    legend = figure.legend(handles, labels, ncols=columns, fontsize=9, **LEGEND_BELOW)
    for text in legend.get_texts():
        text.set_parse_math(False)
    headline(figure, f"By step, with {100 * board.measure.confidence:g} % intervals")
    return figure


def interval_levels(scores: DataFrame) -> dict[str, float]:
    """Return the central intervals whose coverage was scored, and what each should hold."""
    names = scores["metric"].drop_nulls().unique(maintain_order=True)
    return {name: int(match[1]) / 100 for name in names if (match := re.match(COVERAGE, name))}


def _shown_models(
    rows: DataFrame, paints: dict[str, str], board: Standings
) -> Iterator[tuple[DataFrame, bool, dict[str, Any]]]:
    """Yield the rows of each model in the order of the standings, whether it is the experiment's
    own, and how it is drawn.
    """
    for line in board.all:
        of_model = rows.filter(model=line.model)
        if line.model in paints and len(of_model):
            style = {"color": paints[line.model], "label": drawable(board.display_name(line), 40)}
            yield of_model, line is board.own, style | {"marker": "o"}


def _draw_lines(axes: Axes, rows: DataFrame, paints: dict[str, str], board: Standings) -> None:
    for of_model, own, style in _shown_models(rows.sort("step"), paints, board):
        steps = of_model["step"].to_numpy()
        width, order = (2.2, 3) if own else (1.4, 2)
        axes.plot(
            steps,
            of_model["value"].to_numpy(),
            linewidth=width,
            markersize=3.5,
            zorder=order,
            **style,
        )
        if own and of_model["ci_low"].null_count() == 0:
            ends = of_model["ci_low"].to_numpy(), of_model["ci_high"].to_numpy()
            band = {"color": style["color"], "gid": style["label"]}
            axes.fill_between(steps, *ends, alpha=0.15, linewidth=0, **band)


def _draw_calibration(
    axes: Axes,
    rows: DataFrame,
    covers: dict[str, float],
    paints: dict[str, str],
    board: Standings,
) -> None:
    """Draw the coverage of intervals over their nominal level."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.3, linestyle="--", zorder=1)
    for of_model, _, style in _shown_models(rows.drop_nulls("value"), paints, board):
        points = sorted(
            (covers[name], value) for name, value in of_model.select("metric", "value").iter_rows()
        )
        axes.plot(*zip(*points, strict=True), markersize=4, linewidth=1.4, **style)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)


def _label_axes(axes: Axes, across: str, up: str) -> None:
    from matplotlib.ticker import MaxNLocator

    tidy(axes)
    axes.set_xlabel(across, fontsize=9.5, color=INK)
    axes.set_ylabel(up, fontsize=9.5, color=INK, parse_math=False)
    plain_numbers(axes.yaxis)
    low, high = axes.get_ylim()
    tops = [np.nanmax(np.asarray(line.get_ydata(), float)) for line in axes.lines]
    high = min(high, MOST_ABOVE * max(tops, default=high))  # a wide band is cut, not the lines
    axes.set_ylim(low, high)
    if all(np.nanmin(np.asarray(line.get_ydata(), float)) >= 0 for line in axes.lines):
        axes.set_ylim(
            max(low, 0.0), min(high, 1.02) if "coverage" in up else high
        )  # an interval by the normal law may go beyond
    if across.startswith("steps"):
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


# forecasts.png: what a model forecast beside what happened, for a typical, the best and the
# worst series.

SEASONS = 5
"""Seasons of history shown before the first cutoff."""

MEDIAN = "median forecast"

SHADE, DARKEST = 0.22, 0.55
"""The opacity of a band, and of many that overlap."""

FIRST_DAY = -719162.0
"""1 January of the year 1 in matplotlib's days."""


@dataclass(frozen=True, eq=False)
class SeriesView:
    """One series: its rows from the panel and the model's rows, both by time."""

    rows: DataFrame
    forecasts: DataFrame

    @property
    def cutoffs(self) -> Series:
        """All of its cutoffs, oldest first."""
        return self.forecasts["cutoff"].unique().sort()

    def windows(self) -> list[DataFrame]:
        """Return the forecasts of each cutoff, by step."""
        parts = self.forecasts.sort("cutoff", "step")
        return parts.partition_by("cutoff", maintain_order=True)

    @property
    def overlap(self) -> int:
        """The most forecasts that there are of one instant."""
        return int(self.forecasts[TIME].value_counts()["count"].max())  # type: ignore[arg-type]


def forecasts_figure(panel: Panel, predictions: DataFrame, model: str) -> Figure | None:
    """Draw history, actual, median, bands and cutoffs of a typical, the best and the worst series
    of a model.

    Args:
        panel: The whole data.
        predictions: The predictions table of a run.
        model: The label of the model to show.

    Returns:
        The figure; None where the model has no forecast.
    """
    of_model = predictions.filter(model=model) if predictions.width else predictions
    if of_model.is_empty():
        return None
    picks = choose_series(of_model)
    figure = new_figure(10, 0.9 + 2.7 * len(picks))
    for axes, pick in zip(figure.subplots(len(picks), squeeze=False).ravel(), picks, strict=True):
        view = series_view(panel, of_model, pick.series)
        draw_view(axes, view, panel.axis)
        title, score = drawable(f"{pick.why}: {pick.series}"), "no scale"
        axes.set_title(title, loc="left", fontsize=11, color=INK, parse_math=False)
        if pick.score is not None:
            score = f"{pick.metric} {brief(pick.score)}"
        axes.set_title(score, loc="right", fontsize=10, color=GREY, parse_math=False)
    handles = _legend_entries(figure.axes[0], of_model.columns)
    figure.legend(handles=handles, ncols=len(handles), fontsize=9.5, **LEGEND_BELOW)
    series = counted(of_model[SERIES].n_unique(), "series")
    headline(figure, f"{model}: {_reasons_text([pick.why for pick in picks])}{series}")
    return figure


def _reasons_text(reasons: list[str]) -> str:
    """Return `typical, best and worst of `, nothing for a lone series."""
    *front, last = reasons
    return (
        "" if last == "only" else f"{', '.join(front)} and {last} of " if front else f"{last} of "
    )


def _legend_entries(axes: Axes, columns: list[str]) -> list[Artist]:
    """Return one entry for each thing drawn, the bands as dark as they look where they overlap."""
    from matplotlib.patches import Patch

    lines = axes.get_legend_handles_labels()[0]
    bands = [
        Patch(
            color=OWN_COLOUR,
            alpha=1 - (1 - SHADE) ** depth,
            linewidth=0,
            label=f"{share} % band",
        )
        for depth, (_, _, share) in enumerate(quantile_pairs(columns), 1)
    ]
    return [*lines, *bands]


def quantile_pairs(columns: list[str]) -> list[tuple[str, str, int]]:
    """Return the pairs of quantile columns symmetric round the median with what they hold in
    percent, widest first.
    """
    levels = sorted(float(name.removeprefix("q_")) for name in columns if name.startswith("q_"))
    pairs = [
        (low, 1 - low)
        for low in levels
        if low < 0.5 and any(abs(high + low - 1) < 1e-9 for high in levels)
    ]
    return [(f"q_{low:g}", f"q_{high:g}", round(100 * (high - low))) for low, high in pairs]


def series_view(panel: Panel, of_model: DataFrame, series: str) -> SeriesView:
    """Return the rows of a series from some seasons before its first cutoff to its last
    forecast.
    """
    forecasts = of_model.filter(col(SERIES) == series)
    rows = panel.table.filter(col(SERIES) == series).select(TIME, TARGET)
    steps = int(of_model["step"].max() or 1)  # type: ignore[arg-type]
    first, last = forecasts["cutoff"].min(), forecasts[TIME].max()
    before = int((rows[TIME] <= first).sum())
    start = max(before - max(SEASONS * panel.season, 3 * steps), 0)
    return SeriesView(rows[start:].filter(col(TIME) <= last), forecasts)


def draw_view(axes: Axes, view: SeriesView, up: str) -> None:
    """Draw history, actual, the forecasts of every cutoff with their bands, and the cutoffs."""
    first = view.cutoffs[0]
    for label, colour, part in (
        ("history", GREY, col(TIME) <= first),
        ("actual", INK, col(TIME) >= first),
    ):
        rows = view.rows.filter(part)
        dots: dict[str, Any] = {"marker": "o", "markersize": 2.8} if label == "actual" else {}
        axes.plot(
            axis_times(rows[TIME]),
            float_values(rows[TARGET]),
            color=colour,
            linewidth=1.3,
            label=label,
            zorder=6,
            **dots,
        )
    for place, window in enumerate(view.windows()):
        _draw_window(axes, window, view.overlap, named=place == 0)
    width = 0.9 if len(view.cutoffs) < 7 else 0.5
    for place, cutoff in enumerate(axis_times(view.cutoffs)):
        style: dict[str, Any] = {"linestyle": (0, (4, 3)), "zorder": 1, "gid": "cutoff"}
        label = "_" if place else "cutoff"
        axes.axvline(cutoff, color=GREY, linewidth=width, label=label, **style)
    tidy(axes)
    axes.set_ylim(*value_limits(view))
    _set_ticks(axes, view.rows.schema[TIME].is_temporal())
    axes.set_ylabel(drawable(up), fontsize=9.5, color=INK, parse_math=False)


def _draw_window(axes: Axes, window: DataFrame, overlap: int, named: bool) -> None:
    """Draw the median and the bands from one cutoff; bars for a single step.

    Paler and thinner where many overlap.
    """
    shade = min(SHADE, 1 - (1 - DARKEST) ** (1 / overlap))
    time = axis_times(window[TIME])
    for low, high, share in quantile_pairs(window.columns):
        ends = float_values(window[low]), float_values(window[high])
        style: dict[str, Any] = {"color": OWN_COLOUR, "alpha": shade, "zorder": 2}
        if len(window) > 1:
            axes.fill_between(time, *ends, linewidth=0, gid=f"{share} % band", **style)
        else:
            axes.vlines(time, *ends, linewidth=5, **style)
    median = float_values(window["q_0.5" if "q_0.5" in window.columns else "mean"])
    width = 1.8 if overlap == 1 else 0.9
    marker: dict[str, Any] = {} if len(window) > 3 else {"marker": "D", "markersize": 3.5}
    axes.plot(
        time,
        median,
        color=OWN_COLOUR,
        linewidth=width,
        label=MEDIAN if named else "_",
        gid=MEDIAN,
        zorder=5,
        **marker,
    )


def value_limits(view: SeriesView) -> tuple[float, float]:
    """Return the y axis: all of the series and the medians, and of the bands what does not squash
    them.
    """
    wide = [name for pair in quantile_pairs(view.forecasts.columns)[:1] for name in pair[:2]]
    solid = np.concatenate(
        [float_values(view.rows[TARGET]), float_values(view.forecasts["q_0.5" if wide else "mean"])]
    )
    every = np.concatenate([solid, *(float_values(view.forecasts[name]) for name in wide)])
    if np.isnan(solid).all():
        return 0.0, 1.0
    low, high = float(np.nanmin(solid)), float(np.nanmax(solid))
    height = (high - low) or abs(high) or 1.0
    bottom = max(float(np.nanmin(every)), low - height)
    top = min(float(np.nanmax(every)), high + height)
    return bottom - 0.05 * height, top + 0.05 * height


def _set_ticks(axes: Axes, temporal: bool) -> None:
    """Set ticks: dates as short as they can be, integers whole, large values with k and M."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import EngFormatter, MaxNLocator, ScalarFormatter

    if temporal:
        left, right = axes.get_xlim()
        axes.set_xlim(
            max(left, FIRST_DAY), right
        )  # nominal dates may begin in year 1, before which there is no tick
        locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    large = max(map(abs, axes.get_ylim())) >= 10_000
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(
        EngFormatter(sep="") if large else ScalarFormatter(useOffset=False)
    )
    axes.margins(x=0.01)


def axis_times(times: Series) -> np.ndarray:
    """Return times as matplotlib takes them; a time zone shows its own wall clock."""
    if isinstance(times.dtype, pl.Datetime):
        times = times.dt.replace_time_zone(None)
    return times.to_numpy()


def float_values(values: Series) -> np.ndarray:
    """Return values with NaN for null."""
    return values.cast(pl.Float64).to_numpy().astype(np.float64, copy=True)


# A report's series: a fair sample of them drawn, and the scores of each in a table.

DRAWN = 24
"""Series that are drawn at most."""

LISTED = 2000
"""Series of the table at most, the worst ones; the others are in the predictions."""

RIVALS = 5
"""Other models of the table at most, the best ones."""


def series_parts(tables: Tables, board: Standings, panel: Panel | None) -> Iterator[PagePart]:
    """Yield the parts of the section; nothing where the experiment's own model has no forecast.

    Args:
        tables: The result tables of one run.
        board: Its standings.
        panel: The data; None where it is gone, so that no history is drawn.
    """
    from hwds.report.page_parts import Folded, GridTable, Pictures, Text

    model = board.own.model if board.own else ""
    rows = tables.predictions
    of_model = rows.filter(model=model) if rows.width else rows
    if of_model.is_empty():
        return
    ranked, metric = rank_series(of_model)
    picks = spread_places(len(ranked))
    which = f"{len(picks)} drawn, evenly from the best to the worst"
    if len(picks) == len(ranked):
        which = "all"
    bare = "" if panel is not None else " The history before the forecasts is not at hand any more."
    legend = (
        "With dots: what happened; grey: before that; blue: the median forecast and its "
        "bands; dashed: the cutoffs."
    )
    yield Text(
        f"{model} on {counted(len(ranked), 'series')} ({which}), by {metric}. {legend}{bare}"
    )
    yield Pictures(
        tuple(
            _series_picture(of_model, panel, place + 1, ranked.row(place), metric)
            for place in picks
        )
    )
    listed = min(len(ranked), LISTED)
    title = f"The {listed:,} worst of {len(ranked):,} series"
    if listed == len(ranked):
        title = "Each series"
    yield Folded(f"{title} in a table", (GridTable(series_grid(tables, board)),))


def spread_places(many: int) -> list[int]:
    """Return places evenly from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, many - 1, min(many, DRAWN))})


def _series_picture(
    of_model: DataFrame,
    panel: Panel | None,
    rank: int,
    ranked: tuple[str, float | None],
    metric: str,
) -> Picture:
    """Draw one series."""
    from hwds.report.page_parts import Picture

    series, score = ranked
    forecasts = of_model.filter(col(SERIES) == series)
    if panel is None:
        actuals = forecasts.select(TIME, col("actual").alias(TARGET)).unique(TIME).sort(TIME)
        view = SeriesView(actuals, forecasts)
    else:
        view = series_view(panel, of_model, series)
    figure = new_figure(4.4, 2.3)
    axes = figure.subplots()
    draw_view(axes, view, "")
    axes.tick_params(labelsize=8)
    axes.set_ylabel("")
    title = f"{rank}. {series}: {'no scale' if score is None else f'{metric} {brief(score)}'}"
    return Picture.of_figure(figure, title, "")


def series_grid(tables: Tables, board: Standings) -> Grid:
    """Return the scores of each series by each model, the worst of the own model first."""
    assert board.own is not None
    others = [line.model for line in board.all if line is not board.own][:RIVALS]
    if board.truth and TRUTH not in others:
        others.append(TRUTH)
    rows = tables.predictions
    of_model = rows.filter(model=board.own.model)
    ranked, metric = rank_series(of_model)
    table = ranked.rename({"score": board.own.model}).join(
        _answer_shares(of_model), on=SERIES, how="left", maintain_order="left"
    )
    for model in others:
        of_rival = rows.filter(model=model)
        if len(of_rival):
            scores = rank_series(of_rival)[0].rename({"score": model})
            table = table.join(scores, on=SERIES, how="left", maintain_order="left")
    unscored = col(board.own.model).is_null()
    shown = table.reverse().sort(unscored, maintain_order=True).head(LISTED)
    models = [model for model in (board.own.model, *others) if model in shown.columns]
    places = decimals([value for model in models for value in shown[model]])
    covers = [name for name in shown.columns if name.endswith("% band")]
    titles = [
        "series",
        "forecasts",
        *(f"{metric}, {model}" for model in models),
        *(f"inside the {name}" for name in covers),
    ]
    lines = [
        [
            str(row[SERIES]), f"{row['forecasts']:,}",
            *("" if row[model] is None else fixed(row[model], places) for model in models),
            *("" if row[name] is None else f"{100 * row[name]:.0f} %" for name in covers),
        ]
        for row in shown.iter_rows(named=True)
    ]  # fmt: skip
    return grid_of([(title, title) for title in titles], lines)


def _answer_shares(of_model: DataFrame) -> DataFrame:
    """Return the number of forecasts of each series, and the share of actuals inside its widest
    band.
    """
    held = [
        col("actual").is_between(low, high).mean().alias(f"{share} % band")
        for low, high, share in quantile_pairs(of_model.columns)[:1]
    ]
    return of_model.group_by(SERIES).agg(pl.len().alias("forecasts"), *held)


# The pictures of a forecast run, and the part of its report on single series.


def draw(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `forecasts.png`: the typical, the best and the worst series of the experiment's own
    model.
    """
    save_png(forecasts_figure(panel, tables.predictions, model), folder / "forecasts.png")


def draw_scores(tables: Tables, board: Standings, folder: Path) -> None:
    """Draw `by_step.png`: errors by their distance from the cutoff, and the coverage of
    intervals.
    """
    save_png(by_step_figure(tables, board), folder / "by_step.png")


def sections(tables: Tables, board: Standings, frame: Panel | None) -> Iterator[Section]:
    """Yield a sample of series drawn, and all in a table."""
    from hwds.report.page_parts import Section

    parts = tuple(series_parts(tables, board, frame))
    if parts:
        yield Section("Series by series", parts)


def coverage_lines(tables: Tables, board: Standings) -> Iterator[str]:
    """Yield a sentence on the widest bands, where they surely cover another share than promised."""
    scores = board.own.beside if board.own else {}
    levels = interval_levels(Series("metric", list(scores)).to_frame())
    for name, level in levels.items():
        found, calibrated = scores[name], "calibrated" in tables.predictions.columns
        cure = "" if calibrated else "protocol.intervals=conformal corrects them."
        words = coverage_words("bands", level, found.value, (found.low, found.high), cure)
        yield from [words] if words else []


SEARCHED = """
{{ model }} used
{% for name, times in used %}{{ name }} at {{ times | counted("cutoffs") }}
{%- if not loop.last %}, {% endif %}{% endfor %}.

{% if dropped %}It dropped
{% for name, times in dropped %}{{ name }} at {{ times | counted("cutoffs") }}
{%- if not loop.last %}, {% endif %}{% endfor %}.
{%- endif %}

{% if waiting %}It had no time for {{ waiting | map("first") | list | listed }}
{%- if enough %}; model.budget={{ enough }} would try more{% endif %}.
{%- endif %}

{% if clocked %}Seconds depend on the machine and its load. A budget in units, such as 300u, gives
the same answer anywhere.
{%- endif %}"""
"""What the searches of one model came to, over all cutoffs."""


def search_lines(tables: Tables, board: Standings) -> Iterator[str]:
    """Yield what the searches of the experiment's model came to, over all cutoffs."""
    rows = tables.predictions
    if SEARCH_FACTS not in rows.columns or not board.own:
        return
    told = rows.filter(col(SEARCH_FACTS).is_not_null(), model=board.own.model)
    found = [*map(json.loads, told.unique("cutoff", maintain_order=True)[SEARCH_FACTS])]
    if found:
        yield from _searches(board.own.model, found)


def _searches(model: str, found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what several searches came to: who answered, who was dropped, who had no time."""
    used = Counter(
        "a mixture" if len(each["used"]) > 1 else each["used"][0].removeprefix("forecast/")
        for each in found
    )
    others = {
        kind: Counter(
            name.removeprefix("forecast/") for each in found for name in each[kind]
        ).most_common()
        for kind in ("dropped", "waiting")
    }
    budgets = (each["enough"] for each in found)
    yield from say_lines(
        SEARCHED,
        model=model,
        used=used.most_common(),
        **others,
        enough=max(budgets, key=lambda text: (len(text), text)),
        clocked=any(each["clocked"] for each in found),
    )


CRITICAL = 2.2
"""The least critical value: that of some ten cutoffs."""

MOST_CUTOFFS = 60
"""Cutoffs beyond which no number is proposed as a setting."""


def more_cutoffs(config: Mapping[str, Any], board: Standings) -> str:
    """Return how many cutoffs would tell whether the model is better, and at what cost.

    Empty where that is known, or where the protocol has no such setting.
    """
    own, windows = board.own, config["protocol"].get("windows")
    assert own is not None
    skill, error = own.skill.value, own.skill.stderr
    if not (isinstance(windows, int) and skill and error and board.cutoffs):
        return ""
    if verdict_word(own.skill.low, own.skill.high) != NOT_SURE:
        return ""
    if own.n is not None and own.n < LEAST_SURE:
        return f"more series: no difference of fewer than {LEAST_SURE} is sure"
    low, high = own.skill.low, own.skill.high
    reach = 0.0 if low is None or high is None else abs(high - low) / 2
    needed = ceil(board.cutoffs * (max(CRITICAL * error, reach) / skill) ** 2)
    if needed > MOST_CUTOFFS:
        return f"{needed:,} cutoffs like these may tell; a shorter protocol.horizon needs fewer"
    needed = max(needed, board.cutoffs + 2, LEAST_SURE)
    spent = sum(line.seconds or 0.0 for line in board.lines)
    cost = duration(spent * needed / board.cutoffs)
    return f"{needed} cutoffs may tell: protocol.windows={needed} (compute {cost})"


REPORT = TaskReport(
    lines=lambda tables, board: [*coverage_lines(tables, board), *search_lines(tables, board)],
    next=more_cutoffs,
    draw=draw,
    draw_scores=draw_scores,
    sections=sections,
    captions={
        "forecasts.png": "The typical, the best and the worst series of the experiment's own model",
        "by_step.png": "Errors by their distance from the cutoff, and the coverage of intervals",
    },
)
