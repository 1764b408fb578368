"""price_changes.png: predicted against realised changes of demand at held-out price moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from hwds.report.pictures.style import GREY, INK, LIGHT, OWN, drawable, new_figure, tidy
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 2_000
"""Moves above which density is drawn instead of dots."""

GROUPS = 12
"""Groups of moves of equal number, whose means are drawn."""


def scatter_figure(tables: Tables, model: str, quantity: str = "units") -> Figure | None:
    """Draw the moves of a model whose change is known, of the `quantity`; None where there are fewer than three."""
    rows = tables.predictions
    if "move" not in rows.columns:
        return None
    known = pl.col("predicted").is_not_null() & pl.col("actual").is_not_null()
    moves = rows.filter((pl.col("model") == model) & pl.col("move") & known)
    if len(moves) < 3:
        return None
    figure = new_figure(7, 6.2)
    axes = figure.subplots()
    predicted, actual = moves["predicted"].to_numpy(), moves["actual"].to_numpy()
    reach = float(np.quantile(np.abs(np.concatenate([predicted, actual])), 0.995))
    _draw(axes, predicted, actual, reach)
    _means(axes, predicted, actual)
    tidy(axes)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_xlabel(drawable(f"predicted change of log {quantity}"), fontsize=10, color=INK)
    axes.set_ylabel(drawable(f"realised change of log {quantity}"), fontsize=10, color=INK)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    rmse, r = tables.headline("change_rmse", model).get("value"), tables.headline("change_r", model).get("value")
    if rmse is not None and r is not None:
        axes.text(0.98, 0.03, f"RMSE {rmse:.2f}, r {r:.2f}", transform=axes.transAxes, ha="right", fontsize=10, color=INK)
    title = f"{len(moves):,} held-out price moves by {model}"
    figure.suptitle(drawable(title, 60), x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw(axes: Axes, predicted: np.ndarray, actual: np.ndarray, reach: float) -> None:
    axes.axhline(0, color=LIGHT, linewidth=1, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=1, zorder=0)
    axes.plot([-reach, reach], [-reach, reach], color=GREY, linewidth=1.2, linestyle="--", label="as predicted", zorder=3)
    if len(predicted) > MANY:
        extent = (-reach, reach, -reach, reach)
        axes.hexbin(predicted, actual, gridsize=45, extent=extent, cmap="Blues", bins="log", mincnt=1, linewidths=0.1)
    else:
        axes.plot(predicted, actual, "o", color=OWN, alpha=0.3, markersize=3.5, markeredgewidth=0)


def _means(axes: Axes, predicted: np.ndarray, actual: np.ndarray) -> None:
    """Draw the mean of groups of moves of equal number, with two standard errors."""
    order = np.argsort(predicted, kind="stable")
    groups = [part for part in np.array_split(order, GROUPS) if len(part) > 1]
    x = [float(predicted[part].mean()) for part in groups]
    y = [float(actual[part].mean()) for part in groups]
    error = [2 * float(actual[part].std(ddof=1) / np.sqrt(len(part))) for part in groups]
    axes.errorbar(
        x, y, error, fmt="o", color=INK, markersize=5, linewidth=1.2, label="mean of a twelfth of the moves", zorder=4
    )
