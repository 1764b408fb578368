"""forecasts.png: what a model forecast beside what happened, for a typical, the best and the worst series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.report.style import GREY, INK, OWN, drawable, new_figure, save_png, tidy
from hwds.report.wording import brief

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEASONS = 5
"""Seasons of history shown before the first cutoff."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A series to show, why, and its score (None where it has no scale)."""

    series: str
    why: str
    score: float | None


@dataclass(frozen=True, eq=False)
class View:
    """One series: its rows from the panel and the model's rows, both by time."""

    rows: pl.DataFrame
    forecasts: pl.DataFrame

    @property
    def cutoffs(self) -> pl.Series:
        """All cutoffs it was asked at, oldest first."""
        return self.forecasts["cutoff"].unique().sort()

    def windows(self) -> list[pl.DataFrame]:
        """The forecasts of each cutoff, by step."""
        return [part.sort("step") for part in self.forecasts.sort("cutoff").partition_by("cutoff", maintain_order=True)]


def forecasts_png(panel: Panel, predictions: pl.DataFrame, model: str, path: Path) -> bool:
    """Draw history, actual, median, bands and cutoffs of a typical, the best and the worst series of a model.

    Args:
        panel: The whole data.
        predictions: The predictions table of a run.
        model: The label of the model to show.
        path: The PNG to write.

    Returns:
        Whether there was anything to draw; without a forecast of the model no file is written.

    Raises:
        HwdsError: The folder cannot be written.
    """
    figure = forecasts_figure(panel, predictions, model)
    if figure is None:
        return False
    save_png(figure, path)
    return True


def forecasts_figure(panel: Panel, predictions: pl.DataFrame, model: str) -> Figure | None:
    """The figure that `forecasts_png` writes; None where the model has no forecast."""
    own = predictions.filter(pl.col("model") == model) if predictions.width else predictions
    if own.is_empty():
        return None
    picks = chosen(own)
    figure = new_figure(10, 0.9 + 2.7 * len(picks))
    metric = f"mase[m={own['season'][0]}]"
    for axes, pick in zip(figure.subplots(len(picks), squeeze=False).ravel(), picks, strict=True):
        view = _view(panel, own, pick.series)
        _draw(axes, view, panel.unit)
        axes.set_title(drawable(f"{pick.why}: {pick.series}"), loc="left", fontsize=11, color=INK, parse_math=False)
        score = "no scale" if pick.score is None else f"{metric} {brief(pick.score)}"
        axes.set_title(score, loc="right", fontsize=10, color=GREY, parse_math=False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
    title = f"{model}: {own[SERIES].n_unique():,} series, {own['cutoff'].n_unique():,} cutoff{'s'[: own['cutoff'].n_unique() > 1]}"
    figure.suptitle(drawable(title, 90), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def chosen(own: pl.DataFrame) -> list[Chosen]:
    """The series at the median, the best and the worst by MASE, each once; series without a scale only where no other is."""
    scores = series_scores(own)
    known = scores.drop_nulls()
    if known.is_empty():
        return [Chosen(scores[SERIES][0], "first", None)]
    places = {(len(known) - 1) // 2: "typical", 0: "best", len(known) - 1: "worst"}
    if len(known) < 3:
        places = {0: "best", 1: "worst"} if len(known) == 2 else {0: "series"}
    return [Chosen(known[SERIES][place], why, known["score"][place]) for place, why in places.items()]


def series_scores(own: pl.DataFrame) -> pl.DataFrame:
    """The MASE of each series, the mean over its cutoffs, best first, null where it has none."""
    median = "q_0.5" if "q_0.5" in own.columns else "mean"
    error = ((pl.col("actual") - pl.col(median)).abs() / pl.col("scale_abs")).fill_nan(None).alias("score")
    at_cutoffs = own.group_by(SERIES, "cutoff").agg(error.mean())
    return at_cutoffs.group_by(SERIES).agg(pl.col("score").mean()).sort("score", SERIES, nulls_last=True)


def bands(columns: list[str]) -> list[tuple[str, str, int]]:
    """The pairs of quantile columns symmetric round the median with what they hold in percent, widest first."""
    levels = sorted(float(name.removeprefix("q_")) for name in columns if name.startswith("q_"))
    pairs = [(low, 1 - low) for low in levels if low < 0.5 and any(abs(high + low - 1) < 1e-9 for high in levels)]
    return [(f"q_{low:g}", f"q_{high:g}", round(100 * (high - low))) for low, high in pairs]


def _view(panel: Panel, own: pl.DataFrame, series: str) -> View:
    """The rows of a series from some seasons before its first cutoff to its last forecast."""
    forecasts = own.filter(pl.col(SERIES) == series)
    rows = panel.table.filter(pl.col(SERIES) == series).select(TIME, TARGET)
    steps = int(own["step"].max() or 1)  # type: ignore[arg-type]
    first, last = forecasts["cutoff"].min(), forecasts[TIME].max()
    before = int((rows[TIME] <= first).sum())
    start = max(before - max(SEASONS * panel.season, 3 * steps), 0)
    return View(rows[start:].filter(pl.col(TIME) <= last), forecasts)


def _draw(axes: Axes, view: View, unit: str) -> None:
    time, value = moments(view.rows[TIME]), floats(view.rows[TARGET])
    after = (view.rows[TIME] >= view.cutoffs[0]).to_numpy()
    axes.plot(time[~after | (view.rows[TIME] == view.cutoffs[0]).to_numpy()], value[~after | (view.rows[TIME] == view.cutoffs[0]).to_numpy()], color=GREY, linewidth=1.3, label="history")
    axes.plot(time[after], value[after], color=INK, linewidth=1.3, marker="o", markersize=2.8, label="actual", zorder=4)
    for place, window in enumerate(view.windows()):
        _draw_window(axes, window, named=place == 0)
    for place, cutoff in enumerate(moments(view.cutoffs)):
        axes.axvline(cutoff, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label="" if place else "cutoff")
    tidy(axes)
    _limit(axes, view)
    _ticks(axes, view.rows[TIME].dtype.is_temporal())
    axes.set_ylabel(drawable(unit or "value"), fontsize=9.5, color=INK, parse_math=False)
