"""reliability.png: whether probabilities mean what they say, at large and where most rows lie, and how they spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.detection.metrics.windows import TRUE
from hwds.detection.protocols.rows.codes import entities, numbered
from hwds.detection.report.scored_rows import SIDES, known_rows, number, scored_rows, sides, weights
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, OWN, drawable, new_figure, plain_numbers, tidy
from hwds.results.tables import Tables
from hwds.statistics.cluster_bootstrap import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAINTS = {"": OWN, TRUE: FLOOR_COLOUR}
EVEN = np.linspace(0.0, 1.0, 11)
RESAMPLES = 200
FEW = 10
"""Rows of a dot at least; bins of fewer are joined with those below them."""

LEAST = 1e-4
"""Rows of lower probabilities are counted with those above it on the log axis."""


def reliability_figure(tables: Tables, model: str, label: str = "label 1") -> Figure | None:
    """Draw the experiment's own model, whose positive rows are `label`; None where it has no probabilities."""
    rows = scored_rows(tables)
    rows = rows.filter((pl.col("model") == model) & pl.col("probability").is_not_null()) if rows.width else rows
    shown = list(sides(rows)) if len(rows) else []
    if not shown:
        return None
    figure = new_figure(11.5, 6.6)
    panels = figure.subplots(2, 2, height_ratios=(3.2, 1))
    for column, edges in enumerate((EVEN, _steps(rows["probability"].to_numpy()))):
        axes, below = panels[0, column], panels[1, column]
        least = min(_curve(axes, rows, side, edges, len(shown) > 1) for side in shown)
        _frame(axes, below, edges, least if column else None)
        _histogram(below, rows["probability"].to_numpy(), edges)
        below.set_xlabel(drawable(f"probability of {label}{', log scale' * column}"), fontsize=9.5, color=INK)
    panels[0, 0].set_ylabel(drawable(f"share with {label}, 95 % by entity"), fontsize=9.5, color=INK)
    panels[1, 0].set_ylabel("rows", fontsize=9.5, color=INK)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9.5)
    title = f"{drawable(model, 40)}: what was said, and what came of it{_slope(tables, model, shown[-1])}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _slope(tables: Tables, model: str, side: str) -> str:
    slope = number(tables, f"{side}calibration_slope", model)
    if slope is None:
        return ""
    ends = "" if slope.low is None else f" ({slope.low:.2f} to {slope.high:.2f})"
    return f"; calibration slope {slope.value:.2f}{ends}"


def _steps(probability: np.ndarray) -> np.ndarray:
    """Return edges of 1, 2 and 5 a decade from where hardly a row lies below, to 1."""
    least = max(float(np.quantile(probability, 0.005)), LEAST)
    decades = 10.0 ** np.arange(np.floor(np.log10(least)), 1)
    edges = np.unique([step * decade for decade in decades for step in (1, 2, 5) if step * decade <= 1])
    return edges[max(np.searchsorted(edges, least, side="right") - 1, 0) :]


def _curve(axes: Axes, rows: pl.DataFrame, side: str, edges: np.ndarray, several: bool) -> float:
    """Draw mean probability and share of label 1 with its interval for each bin; return the least share above 0."""
    known = known_rows(rows, side)
    probability, label = known["probability"].to_numpy(), known[SIDES[side][0]].to_numpy()
    bins = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, len(edges) - 2)
    bins = joined(np.bincount(bins, minlength=len(edges) - 1))[bins]
    entity = numbered(entities(known))
    base, shape = weights(known, side), (int(entity.max()) + 1, len(edges) - 1)
    place = np.ravel_multi_index((entity, bins), shape)
    total, predicted, came = (
        np.bincount(place, base * values, minlength=shape[0] * shape[1]).reshape(shape)
        for values in (np.ones(len(known)), probability, label)
    )
    rng = stream(0, "reliability")
    draws = np.array([drawn(shape[0], rng) for _ in range(RESAMPLES)])
    with np.errstate(invalid="ignore", divide="ignore"):
        middle, share, shares = predicted.sum(0) / total.sum(0), came.sum(0) / total.sum(0), (draws @ came) / (draws @ total)
    there = total.sum(0) > 0
    low, high = np.nanquantile(shares[:, there], (0.025, 0.975), axis=0)
    reach = np.maximum(np.stack([share[there] - low, high - share[there]]), 0.0)
    name = SIDES[side][1] if several else "bins of rows"
    axes.errorbar(
        middle[there], share[there], yerr=reach, color=PAINTS[side], marker="o", markersize=5, linewidth=1.6, elinewidth=1.2,
        label=name, zorder=3,
    )  # fmt: skip
    return float(share[there & (share > 0)].min(initial=1.0))


def joined(counts: np.ndarray) -> np.ndarray:
    """Return the bin that each bin is joined to, from the highest down, so that each but the lowest has `FEW` rows."""
    goes, first, rows = np.arange(len(counts)), len(counts), 0
    for place in reversed(range(len(counts))):
        rows += int(counts[place])
        if rows >= FEW or place == 0:
            goes[place:first] = place
            first, rows = place, 0
    return goes


def _frame(axes: Axes, below: Axes, edges: np.ndarray, least: float | None) -> None:
    """Draw the diagonal, and both axes alike: logarithmic where the least share above 0 is given, which must be visible."""
    logarithmic = least is not None
    for place in (axes, below):
        tidy(place)
        if logarithmic:
            place.set_xscale("log")
        place.set_xlim(edges[0], 1)
    if logarithmic:
        axes.set_yscale("log")
    axes.set_ylim((min(edges[0], least) / 2, 1.2) if least is not None else (0, 1.02))
    axes.plot([edges[0], 1], [edges[0], 1], color=GREY, linewidth=1.2, linestyle="--", zorder=1, label="as it was said")
    axes.tick_params(labelbottom=False)
    for axis in (axes.yaxis, below.xaxis) if logarithmic else ():
        plain_numbers(axis)


def _histogram(axes: Axes, probability: np.ndarray, edges: np.ndarray) -> None:
    held = np.clip(probability, edges[0], edges[-1])
    counts, _ = np.histogram(held, edges)
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=LIGHT, edgecolor="white", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylim(0.7, max(float(counts.max()), 1.0) * 2)
    plain_numbers(axes.yaxis)
