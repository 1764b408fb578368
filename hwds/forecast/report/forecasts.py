"""forecasts.png: what a model forecast beside what happened, for a typical, the best and the worst series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.forecast.report.selection import chosen
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.report.pictures.style import GREY, INK, OWN, drawable, new_figure, tidy
from hwds.results.formatting import brief, counted

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEASONS = 5
"""Seasons of history shown before the first cutoff."""

MEDIAN = "median forecast"

SHADE, DARKEST = 0.22, 0.55
"""The opacity of a band, and of many that overlap."""

FIRST_DAY = -719162.0
"""1 January of the year 1 in matplotlib's days."""


@dataclass(frozen=True, eq=False)
class View:
    """One series: its rows from the panel and the model's rows, both by time."""

    rows: pl.DataFrame
    forecasts: pl.DataFrame

    @property
    def cutoffs(self) -> pl.Series:
        """All of its cutoffs, oldest first."""
        return self.forecasts["cutoff"].unique().sort()

    def windows(self) -> list[pl.DataFrame]:
        """Return the forecasts of each cutoff, by step."""
        return [part.sort("step") for part in self.forecasts.sort("cutoff").partition_by("cutoff", maintain_order=True)]

    @property
    def overlap(self) -> int:
        """The most forecasts that there are of one instant."""
        return int(self.forecasts[TIME].value_counts()["count"].max())  # type: ignore[arg-type]


def forecasts_figure(panel: Panel, predictions: pl.DataFrame, model: str) -> Figure | None:
    """Draw history, actual, median, bands and cutoffs of a typical, the best and the worst series of a model.

    Args:
        panel: The whole data.
        predictions: The predictions table of a run.
        model: The label of the model to show.

    Returns:
        The figure; None where the model has no forecast.
    """
    of_model = predictions.filter(pl.col("model") == model) if predictions.width else predictions
    if of_model.is_empty():
        return None
    picks = chosen(of_model)
    figure = new_figure(10, 0.9 + 2.7 * len(picks))
    for axes, pick in zip(figure.subplots(len(picks), squeeze=False).ravel(), picks, strict=True):
        view = view_of(panel, of_model, pick.series)
        draw_view(axes, view, panel.axis)
        axes.set_title(drawable(f"{pick.why}: {pick.series}"), loc="left", fontsize=11, color=INK, parse_math=False)
        score = "no scale" if pick.score is None else f"{pick.metric} {brief(pick.score)}"
        axes.set_title(score, loc="right", fontsize=10, color=GREY, parse_math=False)
    handles = _legend(figure.axes[0], of_model.columns)
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9.5)
    title = f"{model}: {_which([pick.why for pick in picks])}{counted(of_model[SERIES].n_unique(), 'series')}"
    figure.suptitle(drawable(title, 90), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _which(reasons: list[str]) -> str:
    """Return `typical, best and worst of `, nothing for a lone series."""
    *front, last = reasons
    return "" if last == "only" else f"{', '.join(front)} and {last} of " if front else f"{last} of "


def _legend(axes: Axes, columns: list[str]) -> list[Artist]:
    """Return one entry for each thing drawn, the bands as dark as they look where they overlap."""
    from matplotlib.patches import Patch

    lines: list[Artist] = list(axes.get_legend_handles_labels()[0])
    for depth, (_, _, share) in enumerate(bands(columns), 1):
        lines.append(Patch(color=OWN, alpha=1 - (1 - SHADE) ** depth, linewidth=0, label=f"{share} % band"))
    return lines


def bands(columns: list[str]) -> list[tuple[str, str, int]]:
    """Return the pairs of quantile columns symmetric round the median with what they hold in percent, widest first."""
    levels = sorted(float(name.removeprefix("q_")) for name in columns if name.startswith("q_"))
    pairs = [(low, 1 - low) for low in levels if low < 0.5 and any(abs(high + low - 1) < 1e-9 for high in levels)]
    return [(f"q_{low:g}", f"q_{high:g}", round(100 * (high - low))) for low, high in pairs]


def view_of(panel: Panel, of_model: pl.DataFrame, series: str) -> View:
    """Return the rows of a series from some seasons before its first cutoff to its last forecast."""
    forecasts = of_model.filter(pl.col(SERIES) == series)
    rows = panel.table.filter(pl.col(SERIES) == series).select(TIME, TARGET)
    steps = int(of_model["step"].max() or 1)  # type: ignore[arg-type]
    first, last = forecasts["cutoff"].min(), forecasts[TIME].max()
    before = int((rows[TIME] <= first).sum())
    start = max(before - max(SEASONS * panel.season, 3 * steps), 0)
    return View(rows[start:].filter(pl.col(TIME) <= last), forecasts)


def draw_view(axes: Axes, view: View, up: str) -> None:
    """Draw history, actual, the forecasts of every cutoff with their bands, and the cutoffs."""
    first = view.cutoffs[0]
    for label, colour, part in (("history", GREY, pl.col(TIME) <= first), ("actual", INK, pl.col(TIME) >= first)):
        rows = view.rows.filter(part)
        dots: dict[str, Any] = {"marker": "o", "markersize": 2.8} if label == "actual" else {}
        axes.plot(moments(rows[TIME]), floats(rows[TARGET]), color=colour, linewidth=1.3, label=label, zorder=6, **dots)
    for place, window in enumerate(view.windows()):
        _draw_window(axes, window, view.overlap, named=place == 0)
    width = 0.9 if len(view.cutoffs) < 7 else 0.5
    for place, cutoff in enumerate(moments(view.cutoffs)):
        label = "_" if place else "cutoff"
        axes.axvline(cutoff, color=GREY, linewidth=width, linestyle=(0, (4, 3)), zorder=1, label=label, gid="cutoff")
    tidy(axes)
    axes.set_ylim(*limits(view))
    _ticks(axes, view.rows.schema[TIME].is_temporal())
    axes.set_ylabel(drawable(up), fontsize=9.5, color=INK, parse_math=False)


def _draw_window(axes: Axes, window: pl.DataFrame, overlap: int, named: bool) -> None:
    """Draw the median and the bands from one cutoff; bars for a single step; paler and thinner where many overlap."""
    shade = min(SHADE, 1 - (1 - DARKEST) ** (1 / overlap))
    time = moments(window[TIME])
    for low, high, share in bands(window.columns):
        bottom, top = floats(window[low]), floats(window[high])
        if len(window) > 1:
            axes.fill_between(time, bottom, top, color=OWN, alpha=shade, linewidth=0, zorder=2, gid=f"{share} % band")
        else:
            axes.vlines(time, bottom, top, color=OWN, alpha=shade, linewidth=5, zorder=2)
    median = floats(window["q_0.5" if "q_0.5" in window.columns else "mean"])
    width = 1.8 if overlap == 1 else 0.9
    marker: dict[str, Any] = {} if len(window) > 3 else {"marker": "D", "markersize": 3.5}
    axes.plot(time, median, color=OWN, linewidth=width, label=MEDIAN if named else "_", gid=MEDIAN, zorder=5, **marker)


def limits(view: View) -> tuple[float, float]:
    """Return the y axis: all of the series and the medians, and of the bands what does not squash them."""
    wide = [name for pair in bands(view.forecasts.columns)[:1] for name in pair[:2]]
    solid = np.concatenate([floats(view.rows[TARGET]), floats(view.forecasts["q_0.5" if wide else "mean"])])
    every = np.concatenate([solid, *(floats(view.forecasts[name]) for name in wide)])
    if np.isnan(solid).all():
        return 0.0, 1.0
    low, high = float(np.nanmin(solid)), float(np.nanmax(solid))
    height = (high - low) or abs(high) or 1.0
    bottom, top = max(float(np.nanmin(every)), low - height), min(float(np.nanmax(every)), high + height)
    return bottom - 0.05 * height, top + 0.05 * height


def _ticks(axes: Axes, temporal: bool) -> None:
    """Set ticks: dates as short as they can be, integers whole, large values with k and M."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import EngFormatter, MaxNLocator, ScalarFormatter

    if temporal:
        left, right = axes.get_xlim()
        axes.set_xlim(max(left, FIRST_DAY), right)  # nominal dates may begin in year 1, before which there is no tick
        locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    large = max(map(abs, axes.get_ylim())) >= 10_000
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(EngFormatter(sep="") if large else ScalarFormatter(useOffset=False))
    axes.margins(x=0.01)


def moments(times: pl.Series) -> np.ndarray:
    """Return times as matplotlib takes them; a time zone shows its own wall clock."""
    if isinstance(times.dtype, pl.Datetime):
        times = times.dt.replace_time_zone(None)
    return times.to_numpy()


def floats(values: pl.Series) -> np.ndarray:
    """Return values with NaN for null."""
    return values.cast(pl.Float64).to_numpy().astype(np.float64, copy=True)
