"""The report of runs on elasticities: pictures, tables, and the conclusion in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.elasticity.instruments import WEAK_F
from hwds.elasticity.metrics import cross_checks
from hwds.elasticity.rows import cross_elasticities, note_meaning, note_title, notes_of
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.pricing.demand_evidence import CELL_STATUSES
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    headline,
    name_rows,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import counted
from hwds.results.tables import TRUTH, Tables
from hwds.stats.effects import Z95

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Tables of what prices identify: cells by status, and cell by cell.

STATUS_MEANINGS = {
    "identified": "its own prices identify its elasticity",
    "weak": "its own prices hardly do: few changes, little that is its own, or few units",
    "no_variation": "its price never changed, or it sold nothing",
    "endogenous?": "its price seems to answer its demand",
}

MOST_CELLS = 80
"""Cells of which the page has a row."""


def model_cells(tables: Tables, model: str) -> pl.DataFrame:
    """Return the rows of one model, a cell each: of several samples or windows the first.

    Empty where there are none.
    """
    rows = tables.predictions
    if SERIES not in rows.columns:
        return pl.DataFrame()
    return rows.filter(pl.col("model") == model).unique(SERIES, keep="first", maintain_order=True)


def cell_level(tables: Tables) -> str:
    """Return the level of the intervals of cells in words: `95 %`."""
    known = tables.metrics.filter(pl.col("metric") == "mean_elasticity")
    return f"{100 * (known['confidence'][0] if len(known) else 0.95):g} %"


def status_grid(tables: Tables, model: str) -> Grid:
    """Return the number of cells of each status, with what their prices have in common."""
    cells = model_cells(tables, model)
    titles = [
        ("status", "status"),
        ("cells", "cells"),
        ("price changes", "changes"),
        ("own sd of log price", "own sd"),
    ]
    titles += [("common with the period", "common"), ("rows", "rows"), ("meaning", "")]
    if cells.is_empty():
        return grid_of(titles, [])
    rows = [
        _status_line(cells.filter(pl.col("status") == status), status) for status in CELL_STATUSES
    ]
    caption = "What prices identify: medians over the cells of each status"
    return grid_of(titles, [row for row in rows if row[1] != "0"], caption=caption, words=1)


def _status_line(cells: pl.DataFrame, status: str) -> list[str]:
    if cells.is_empty():
        return [status, "0", "", "", "", "", ""]
    changes, own, common, rows = (
        float(np.median(cells[name].to_numpy()))
        for name in ("price_changes", "sd_net", "common", "rows")
    )
    shares = f"{100 * common:.0f} %"
    return [
        status,
        f"{len(cells):,}",
        f"{changes:.0f}",
        f"{own:.3f}",
        shares,
        f"{rows:.0f}",
        STATUS_MEANINGS[status],
    ]


def cells_grid(tables: Tables, model: str) -> Grid:
    """Return each cell's answer and what its prices identify, at most `MOST_CELLS` of them evenly
    over all.
    """
    cells = model_cells(tables, model)
    titles = [
        ("cell", "cell"),
        ("elasticity", "elasticity"),
        (f"{cell_level(tables)} interval", "interval"),
        ("own data", "own"),
    ]
    titles += [
        ("rows", "rows"),
        ("price changes", "changes"),
        ("prices", "prices"),
        ("own sd of log price", "own sd"),
    ]
    titles += [
        ("common with the period", "common"),
        ("lead", "lead"),
        ("lag", "lag"),
        ("stock-outs", "out"),
    ]
    titles += [("status", "status"), ("reason", "")]
    step = -(-len(cells) // MOST_CELLS) if len(cells) else 1
    shown = cells.gather_every(step) if len(cells) else cells
    every = "" if step == 1 else f", one in {step} of {len(cells):,}"
    return grid_of(
        titles,
        [_cell_line(row) for row in shown.to_dicts()],
        caption=f"Cell by cell{every}",
        words=2,
    )


def _cell_line(row: Mapping[str, Any]) -> list[str]:
    def number(name: str, form: str) -> str:
        return "" if row.get(name) is None else format(row[name], form)

    interval = "" if row.get("ci_low") is None else f"{row['ci_low']:.2f} to {row['ci_high']:.2f}"
    weight = "" if row.get("weight_own") is None else f"{100 * row['weight_own']:.0f} %"
    return [
        row[SERIES],
        number("elasticity", ".2f"),
        interval,
        weight,
        number("rows", ",d"),
        number("price_changes", ",d"),
        number("distinct_prices", ",d"),
        number("sd_net", ".3f"),
        f"{100 * row['common']:.0f} %",
        number("lead", "+.2f"),
        number("lag_correlation", "+.2f"),
        f"{100 * row['stock_outs']:.0f} %",
        row["status"],
        row["reason"],
    ]


# Tables of cross elasticities: by family with checks of sign and symmetry, and the strongest
# pairs.

MOST_PAIR_ROWS = 12
"""Pairs in the table: those with the strongest effect."""


def cross_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the cross elasticities of a model by family, and its strongest pairs where pairs
    differ.
    """
    cells = model_cells(tables, model)
    if cells.is_empty() or "cross" not in cells.columns:
        return
    cross, stderr, own_stderr = cross_elasticities(cells)
    if cross is None or stderr is None:
        return
    yield _family_grid(cells, cross, stderr)
    if own_stderr is not None:
        yield _strongest_pairs(cells, cross, stderr)


def _family_grid(cells: pl.DataFrame, cross: np.ndarray, stderr: np.ndarray) -> Grid:
    titles = [
        ("family", "family"),
        ("pairs", "pairs"),
        ("mean cross elasticity", "mean"),
        ("from least to most", "range"),
    ]
    titles += [
        ("mean standard error", "s.e."),
        ("below 0 (surely)", "below 0"),
        ("two ways that differ beyond chance", "asymmetric"),
    ]
    titles += [("markets whose substitutes outweigh own prices", "outweighed")]
    revenue = (cells["units"] * cells["price"]).fill_null(0.0).to_numpy()
    own = cells["elasticity"].fill_null(float("nan")).to_numpy()
    rows = []
    for family in dict.fromkeys(cells["family"].to_list()):
        place = np.flatnonzero((cells["family"] == family).to_numpy())
        part = np.ix_(place, place)
        values, errors = cross[part], stderr[part]
        there = values != 0
        if not there.any():
            continue
        checks = cross_checks(own[place], values, errors, revenue[place])
        rows.append(
            [
                family or "all",
                f"{checks.pairs:,}",
                f"{values[there].mean():.3f}",
                f"{values[there].min():.3f} to {values[there].max():.3f}",
                f"{errors[there].mean():.3f}",
                f"{checks.negative:,} ({checks.surely_negative:,})",
                f"{checks.asymmetric:,} of {checks.two_way:,}",
                f"{checks.outweighed:,} of {checks.markets:,}",
            ]
        )
    caption = (
        "Cross elasticities, of units to a substitute's price: symmetric in revenue without "
        "income effects (Slutsky)"
    )
    return grid_of(titles, rows, caption=caption)


def _strongest_pairs(cells: pl.DataFrame, cross: np.ndarray, stderr: np.ndarray) -> Grid:
    rows, columns = np.nonzero(cross)
    order = np.argsort(-np.abs(cross[rows, columns]), kind="stable")[:MOST_PAIR_ROWS]
    names = cells["series_id"].to_list()
    lines = []
    for row, column in zip(rows[order], columns[order], strict=True):
        value, error = cross[row, column], stderr[row, column]
        interval = f"{value - Z95 * error:.3f} to {value + Z95 * error:.3f}"
        lines.append([names[row], names[column], f"{value:.3f}", interval])
    titles = [
        ("units of", "units of"),
        ("answer to the price of", "price of"),
        ("cross elasticity", "elasticity"),
    ]
    return grid_of(
        [*titles, ("95 % interval", "interval")], lines, names=2, caption="The strongest pairs"
    )


# forest.png: each cell's elasticity with its interval, and how much of it its own data decide.

MOST_DRAWN_CELLS = 40
"""Cells that are drawn: of more an even sample over their elasticities."""

WIDEST_INTERVAL = 4.0
"""The largest part of the picture that an interval takes, in spreads of the answers, before it is
cut.
"""

UNKNOWN_SHARE = 0.4
"""The size of a dot, as a share of own data, of models that tell none."""

STATUS_COLOURS = {
    "identified": OWN_COLOUR,
    "weak": GREY,
    "no_variation": LIGHT,
    "endogenous?": NAIVE_COLOUR,
}


def forest_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the elasticities of a model; None where it has none."""
    cells = (
        model_cells(tables, model).drop_nulls("elasticity")
        if SERIES in tables.predictions.columns
        else pl.DataFrame()
    )
    if cells.is_empty():
        return None
    ordered = cells.sort("elasticity", SERIES)
    places = np.unique(
        np.linspace(0, len(ordered) - 1, min(MOST_DRAWN_CELLS, len(ordered))).round().astype(int)
    )
    shown = ordered[places.tolist()]
    figure = new_figure(9.5, 1.8 + 0.22 * len(shown))
    axes = figure.subplots()
    _draw_cells(axes, shown)
    _mark_truth(axes, shown, tables)
    _label_forest(axes, shown, ordered, cell_level(tables))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    every = (
        ""
        if len(shown) == len(ordered)
        else f", {len(shown)} of {len(ordered):,} evenly over their order"
    )
    title = f"Own-price elasticities by {model}{every}"
    headline(figure, title)
    return figure


def _draw_cells(axes: Axes, shown: pl.DataFrame) -> None:
    """Draw a bar and a dot for each cell; the dot is as large as the share of its own data."""
    low, high = _forest_limits(shown)
    for place, row in enumerate(shown.to_dicts()):
        colour = STATUS_COLOURS[row["status"]] if row["status"] != "no_variation" else "#b9bfc7"
        ends = [max(row["ci_low"], low), min(row["ci_high"], high)]
        axes.plot(
            ends, [place, place], color=colour, linewidth=1.8, alpha=0.55, solid_capstyle="butt"
        )
        weight = UNKNOWN_SHARE if row["weight_own"] is None else row["weight_own"]
        axes.plot(
            [row["elasticity"]], [place], "o", color=colour, markersize=3 + 6 * weight, zorder=4
        )
        own = "" if row["weight_own"] is None else f"{100 * weight:.0f} %"
        axes.text(
            1.01,
            place,
            own,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=GREY,
        )
    for status in dict.fromkeys(shown["status"].to_list()):
        colour = STATUS_COLOURS[status] if status != "no_variation" else "#b9bfc7"
        axes.plot([], [], "o-", color=colour, label=status.replace("_", " "))
    axes.set_xlim(low, high)


def _forest_limits(shown: pl.DataFrame) -> tuple[float, float]:
    """Return the range of the picture: all answers, and intervals as far as a few spreads or their
    usual width.
    """
    answers = shown["elasticity"].to_numpy()
    spread = max(float(answers.std()), 0.25)
    ends = shown.select("ci_low", "ci_high").to_numpy().T
    below, above = (
        max(WIDEST_INTERVAL * spread, float(np.median(np.abs(each - answers)))) for each in ends
    )
    low, high = (
        max(float(ends[0].min()), float(answers.min()) - below),
        min(float(ends[1].max()), float(answers.max()) + above),
    )
    return low - 0.1 * spread, max(high, 0.0) + 0.1 * spread


def _mark_truth(axes: Axes, shown: pl.DataFrame, tables: Tables) -> None:
    true = tables.predictions.filter(pl.col("model") == TRUTH).unique(
        SERIES, keep="first", maintain_order=True
    )
    if true.is_empty():
        return
    known = shown.select(SERIES).join(
        true.select(SERIES, "elasticity"), SERIES, "left", maintain_order="left"
    )["elasticity"]
    axes.plot(
        known.to_numpy(),
        range(len(shown)),
        "D",
        color=FLOOR_COLOUR,
        markersize=3.5,
        zorder=5,
        label="truth",
    )


def _label_forest(axes: Axes, shown: pl.DataFrame, every: pl.DataFrame, level: str) -> None:
    tidy(axes, grid="x")
    name_rows(axes, range(len(shown)), shown[SERIES], 34)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(-0.8, len(shown) - 0.2)
    mean = float(every["elasticity"].mean())  # type: ignore[arg-type]
    axes.axvline(
        mean, color=INK, linewidth=1, linestyle=":", zorder=1, label=f"mean of all cells {mean:.2f}"
    )
    axes.axvline(0, color=LIGHT, linewidth=1.2, zorder=0)
    has_weights = shown["weight_own"].is_not_null().any()
    share = "; dot size and right: share that the cell's own data decide" if has_weights else ""
    axes.set_xlabel(f"elasticity; bars: {level} interval{share}", fontsize=9.5, color=INK)


# price_changes.png: predicted against realised changes of demand at held-out price moves.

DENSITY_MOVES = 2_000
"""Moves above which density is drawn instead of dots."""

MOVE_GROUPS = 12
"""Groups of moves of equal number, whose means are drawn."""


def scatter_figure(tables: Tables, model: str, quantity: str = "units") -> Figure | None:
    """Draw the moves of a model whose change is known, of the `quantity`.

    None where there are fewer than three.
    """
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
    _draw_moves(axes, predicted, actual, reach)
    _draw_group_means(axes, predicted, actual)
    tidy(axes)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_xlabel(drawable(f"predicted change of log {quantity}"), fontsize=10, color=INK)
    axes.set_ylabel(drawable(f"realised change of log {quantity}"), fontsize=10, color=INK)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    rmse, r = (
        tables.headline("change_rmse", model).get("value"),
        tables.headline("change_r", model).get("value"),
    )
    if rmse is not None and r is not None:
        axes.text(
            0.98,
            0.03,
            f"RMSE {rmse:.2f}, r {r:.2f}",
            transform=axes.transAxes,
            ha="right",
            fontsize=10,
            color=INK,
        )
    title = f"{len(moves):,} held-out price moves by {model}"
    headline(figure, title, 12.5)
    return figure


def _draw_moves(axes: Axes, predicted: np.ndarray, actual: np.ndarray, reach: float) -> None:
    axes.axhline(0, color=LIGHT, linewidth=1, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=1, zorder=0)
    axes.plot(
        [-reach, reach],
        [-reach, reach],
        color=GREY,
        linewidth=1.2,
        linestyle="--",
        label="as predicted",
        zorder=3,
    )
    if len(predicted) > DENSITY_MOVES:
        extent = (-reach, reach, -reach, reach)
        axes.hexbin(
            predicted,
            actual,
            gridsize=45,
            extent=extent,
            cmap="Blues",
            bins="log",
            mincnt=1,
            linewidths=0.1,
        )
    else:
        axes.plot(
            predicted, actual, "o", color=OWN_COLOUR, alpha=0.3, markersize=3.5, markeredgewidth=0
        )


def _draw_group_means(axes: Axes, predicted: np.ndarray, actual: np.ndarray) -> None:
    """Draw the mean of groups of moves of equal number, with two standard errors."""
    order = np.argsort(predicted, kind="stable")
    groups = [part for part in np.array_split(order, MOVE_GROUPS) if len(part) > 1]
    x = [float(predicted[part].mean()) for part in groups]
    y = [float(actual[part].mean()) for part in groups]
    error = [2 * float(actual[part].std(ddof=1) / np.sqrt(len(part))) for part in groups]
    axes.errorbar(
        x,
        y,
        error,
        fmt="o",
        color=INK,
        markersize=5,
        linewidth=1.2,
        label="mean of a twelfth of the moves",
        zorder=4,
    )


# The conclusion of a run on elasticities, in a sentence or two.

ANSWERING_T = 2.0
"""The absolute t of the first stage's residual beyond which prices answer demand."""


def elasticity_conclusion(tables: Tables, model: str) -> str:
    """Return the mean elasticity, what was answered and identified, and the errors where the truth
    is known.
    """
    cells = model_cells(tables, model)
    if cells.is_empty():
        return f"{model} says nothing of any cell."
    known = cells.drop_nulls("elasticity")
    parts = [
        _mean_sentence(tables, model, cells, known),
        _status_sentence(cells),
        _instrument_sentence(tables, cells),
        _truth_sentence(tables, model),
    ]
    return " ".join(part for part in parts if part)


def _mean_sentence(tables: Tables, model: str, cells: pl.DataFrame, known: pl.DataFrame) -> str:
    if known.is_empty():
        return (
            f"{model} has no answer for any of {counted(len(cells), 'cells')}: "
            f"{cells['reason'][0]}."
        )
    row = tables.headline("mean_elasticity", model)
    interval = (
        ""
        if row.get("ci_low") is None
        else f" ({cell_level(tables)}: {row['ci_low']:.2f} to {row['ci_high']:.2f})"
    )
    answers = known["elasticity"].to_numpy()
    wrong = int((known["elasticity"] > 0).sum())
    sign = "none above 0" if not wrong else f"{wrong} above 0"
    answered = "all" if len(known) == len(cells) else f"{len(known):,} of"
    return (
        f"{model} puts the mean elasticity at {row['value']:.2f}{interval}; {answered} "
        f"{len(cells):,} cells have an answer,"
        f" from {answers.min():.2f} to {answers.max():.2f}, {sign}."
    )


def _status_sentence(cells: pl.DataFrame) -> str:
    counts = {row["status"]: row["len"] for row in cells.group_by("status").len().to_dicts()}
    first = f"Own prices identify the elasticity of {counted(counts.get('identified', 0), 'cells')}"
    rest = [(counts.get("weak", 0), "weakly"), (counts.get("no_variation", 0), "not at all")]
    said = ", ".join([first, *(f"of {count:,} {words}" for count, words in rest if count)])
    answering = counts.get("endogenous?", 0)
    return f"{said}; the prices of {answering:,} may answer demand." if answering else f"{said}."


def _instrument_sentence(tables: Tables, cells: pl.DataFrame) -> str:
    """Return how strong instruments are, whether prices answer demand, and what holds for weak
    ones; empty without any.
    """
    notes = notes_of(cells)
    strength = notes.get("first_stage_f")
    if strength is None:
        return ""
    weak = f", and below {WEAK_F:g} they are weak" if strength < WEAK_F else ""
    parts = [f"The first stage of its instruments has an F of {strength:,.1f}{weak}"]
    t = notes.get("price_residual_t")
    if t is not None:
        answers = (
            "prices answer demand"
            if abs(t) > ANSWERING_T
            else "prices are not seen to answer demand"
        )
        parts.append(f"{answers} (t = {t:.1f} of what instruments leave of the price)")
    if "anderson_rubin_low" in notes:
        words = f"{anderson_rubin_words(notes)} ({cell_level(tables)})"
        parts.append(
            f"by Anderson and Rubin's test, which weak instruments do not mislead, {words}"
        )
    return f"{'; '.join(parts)}."


def anderson_rubin_words(notes: Mapping[str, float | None]) -> str:
    """Return the common elasticities that Anderson and Rubin's test does not reject, in words."""
    low, high = notes["anderson_rubin_low"], notes["anderson_rubin_high"]
    if low is None or high is None:
        return "no common elasticity is compatible with the data"
    if isinf(low) and isinf(high):
        return "nothing is known of the common elasticity"
    if isinf(low) or isinf(high):
        return (
            f"the common elasticity is {f'below {high:.2f}' if isinf(low) else f'above {low:.2f}'}"
        )
    return f"the common elasticity is between {low:.2f} and {high:.2f}"


def _truth_sentence(tables: Tables, model: str) -> str:
    """Return the errors against the truth; empty where it is not known."""
    rmse, bias = (tables.headline(name, model) for name in ("elasticity_rmse", "elasticity_bias"))
    cover = tables.headline("elasticity_coverage", model)
    if not rmse or rmse.get("value") is None or model == TRUTH:
        return ""
    return (
        f"Against the truth its error is {rmse['value']:.2f} (root mean square), "
        f"{bias['value']:+.2f} on average, and"
        f" {100 * cover['value']:.0f} % of its {cell_level(tables)} intervals hold the true value."
    )


def placebo_conclusion(tables: Tables, model: str) -> str:
    """Return whether prices that are still to come have an effect, which they cannot have."""
    row: dict[str, Any] = tables.headline("placebo_effect", model)
    if not row or row.get("p_value") is None:
        return f"{model} says nothing of prices to come."
    effect = (
        f"{row['value']:+.2f} (95 %: {row['ci_low']:+.2f} to {row['ci_high']:+.2f}, p = "
        f"{row['p_value']:.2g})"
    )
    if row["p_value"] >= 0.05:
        return (
            f"The placebo holds for {model}: the elasticity to prices still to come is "
            f"{effect}: no more than chance."
        )
    return (
        f"The placebo fails for {model}: the elasticity to prices still to come is {effect}, "
        f"where it must be 0. Prices answer"
        " demand, something that moves both is left out, or the model's errors are too small."
    )


# The pictures, tables and sentences of runs about elasticities.


def draw(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `forest.png`: each cell's elasticity with its interval, and the share that its own data
    decide.
    """
    save_png(forest_figure(tables, model), folder / "forest.png")


def draw_changes(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `price_changes.png`: predicted against realised changes of demand at held-out price
    moves.
    """
    save_png(
        scatter_figure(tables, model, panel.quantity or panel.unit or "units"),
        folder / "price_changes.png",
    )


def elasticity_sentence(panel: Panel, tables: Tables, model: str) -> str:
    """Return what the run says of elasticities."""
    return elasticity_conclusion(tables, model)


def placebo_sentence(panel: Panel, tables: Tables, model: str) -> str:
    """Return whether prices that are still to come have an effect."""
    return placebo_conclusion(tables, model)


def elasticity_page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield what prices identify, by status and cell by cell, facts about the fit, and cross
    elasticities.
    """
    yield status_grid(tables, model)
    yield notes_grid(tables, model)
    yield from cross_grids(tables, model)
    yield cells_grid(tables, model)


def notes_grid(tables: Tables, model: str) -> Grid:
    """Return a line for each fact that a model tells of its fit: its name, value and meaning."""
    notes = notes_of(model_cells(tables, model))
    rows = [
        [note_title(name), _note_value(value), note_meaning(name)] for name, value in notes.items()
    ]
    return grid_of(
        [("fact", "fact"), ("value", "value"), ("meaning", "")],
        rows,
        caption="About the fit",
        words=1,
    )


def _note_value(value: float | None) -> str:
    """Return a number, `none` where no value is compatible with the data."""
    if value is None:
        return "none"
    return "unbounded" if isinf(value) else f"{value:,.4g}"


REPORT = TaskReport(
    sentence=elasticity_sentence,
    page_grids=elasticity_page_grids,
    draw=draw,
    captions={
        "forest.png": "Each cell's elasticity with its interval, and the share that its own data "
        "decide",
    },
)

CHANGES_REPORT = TaskReport(
    page_grids=elasticity_page_grids,
    draw=draw_changes,
    captions={
        "price_changes.png": "Predicted against realised changes of demand at held-out price moves",
    },
)

PLACEBO_REPORT = TaskReport(sentence=placebo_sentence)
