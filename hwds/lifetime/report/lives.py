"""lives.png and machines.png: predicted lives against those that came, and along the lives of some machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.frames.run_checks import ENTITY
from hwds.lifetime.metrics.scores import QUANTILES
from hwds.lifetime.report.sentence import asked_machines
from hwds.report.pictures.style import GREY, INK, LIGHT, OWN, drawable, new_figure, tidy
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOW, HIGH = QUANTILES[0], QUANTILES[-1]
SHOWN = 6
"""Machines whose lives are drawn."""

LEAST = 3
"""Predictions of a machine at least, for its life to be drawn."""


def known_rows(tables: Tables, model: str) -> pl.DataFrame:
    """Return the predictions of a model whose life is known; empty where there are none."""
    rows = tables.predictions
    if "actual" not in rows.columns:
        return pl.DataFrame()
    return rows.filter((pl.col("model") == model) & pl.col("actual").is_not_null())


def lives_figure(tables: Tables, model: str, unit: str) -> Figure | None:
    """Draw points and intervals against the lives that came, and the errors by them; None where nothing is known."""
    rows = known_rows(tables, model)
    if len(rows) < LEAST:
        return None
    figure = new_figure(11, 4.8)
    left, right = figure.subplots(1, 2)
    _against(left, rows, unit)
    _errors(right, rows, unit)
    title = f"{len(rows):,} predictions for {asked_machines(tables)} by {model}"
    figure.suptitle(drawable(title, 80), x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=INK, parse_math=False)
    return figure


def _against(axes: Axes, rows: pl.DataFrame, unit: str) -> None:
    """Draw the point and the 90 % interval of at most some 150 predictions, in the order of the lives that came."""
    some = rows.sort("actual", ENTITY)
    some = some.gather_every(-(-len(some) // 150))
    actual, point = some["actual"].to_numpy(), some["predicted"].to_numpy()
    low, high = some[LOW].to_numpy(), some[HIGH].to_numpy()
    out = (actual < low) | (actual > high)
    reach = float(max(np.quantile(high, 0.98), actual.max())) * 1.02
    axes.vlines(actual[~out], low[~out], high[~out], color=OWN, alpha=0.25, linewidth=1.5, label="90 % interval that holds it")
    axes.vlines(actual[out], low[out], high[out], color="#b5485d", alpha=0.5, linewidth=1.5, label="and that does not")
    axes.plot(actual, point, "o", color=OWN, markersize=3, markeredgewidth=0, label="point")
    axes.plot([0, reach], [0, reach], color=GREY, linewidth=1, linestyle="--")
    axes.set_xlim(0, float(actual.max()) * 1.02)
    axes.set_ylim(0, reach)
    tidy(axes)
    axes.set_xlabel(f"remaining life, {unit}", fontsize=10, color=INK)
    axes.set_ylabel(f"predicted, {unit}", fontsize=10, color=INK)
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _errors(axes: Axes, rows: pl.DataFrame, unit: str) -> None:
    """Draw the errors of points by the life that came: each, and the mean of twelfths of equal number."""
    actual = rows["actual"].to_numpy()
    error = rows["predicted"].to_numpy() - actual
    axes.axhline(0, color=LIGHT, linewidth=1, zorder=0)
    axes.plot(actual, error, "o", color=OWN, alpha=0.25, markersize=3, markeredgewidth=0)
    groups = [part for part in np.array_split(np.argsort(actual, kind="stable"), 12) if len(part) > 1]
    x, y = ([float(values[part].mean()) for part in groups] for values in (actual, error))
    spread = [float(error[part].std()) for part in groups]
    axes.errorbar(x, y, spread, fmt="o", color=INK, markersize=4, linewidth=1.1, label="mean and sd of a twelfth")
    tidy(axes)
    axes.set_xlabel(f"remaining life, {unit}", fontsize=10, color=INK)
    axes.set_ylabel(f"predicted less remaining life, {unit}", fontsize=10, color=INK)
    axes.legend(loc="lower left", frameon=False, fontsize=9)


def machines_figure(tables: Tables, model: str, unit: str) -> Figure | None:
    """Draw the predictions along the lives of some machines; None where none has enough of them."""
    rows = known_rows(tables, model)
    names = _some_machines(rows)
    if not names:
        return None
    figure = new_figure(11, 5.6)
    grid = figure.subplots(2, 3, squeeze=False).ravel()
    top = float(max(rows["actual"].max(), rows[HIGH].quantile(0.98)))  # type: ignore[type-var, arg-type]
    for axes, name in zip(grid, names, strict=False):
        _life(axes, rows.filter(pl.col(ENTITY) == name).sort("age"), name, top)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel(f"age, {unit}", fontsize=10, color=INK)
    figure.supylabel(f"remaining life, {unit}", fontsize=10, color=INK)
    title = f"{drawable(model, 36)} along lives: dashed what came, the band 90 %"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    return figure


def _some_machines(rows: pl.DataFrame) -> list[str]:
    """Return names of machines, evenly from the shortest to the longest life."""
    if rows.is_empty():
        return []
    lives = rows.group_by(ENTITY, maintain_order=True).agg((pl.col("age") + pl.col("actual")).max().alias("life"), pl.len())
    often = lives.filter(pl.col("len") >= LEAST).sort("life", ENTITY)[ENTITY]
    if often.is_empty():
        return []
    places = np.unique(np.linspace(0, len(often) - 1, SHOWN).round().astype(int))
    return [often[int(place)] for place in places.tolist()]


def _life(axes: Axes, rows: pl.DataFrame, name: str, top: float) -> None:
    age = rows["age"].to_numpy()
    axes.fill_between(age, rows[LOW].to_numpy(), rows[HIGH].to_numpy(), color=OWN, alpha=0.18, linewidth=0)
    axes.plot(age, rows["predicted"].to_numpy(), color=OWN, marker="o", markersize=3, linewidth=1.3)
    axes.plot(age, rows["actual"].to_numpy(), color=INK, linewidth=1.2, linestyle="--")
    axes.set_ylim(0, top)
    axes.set_title(drawable(name, 30), fontsize=9.5, color=INK, parse_math=False)
    tidy(axes)
