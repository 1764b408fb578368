"""The report of runs on elasticities: pictures, tables, and the conclusion in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import inf, isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, col

from hwds.elasticity.instruments import WEAK_F
from hwds.elasticity.metrics import cross_checks
from hwds.elasticity.rows import cross_elasticities, note_meaning, note_title, notes_of
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES
from hwds.pricing.demand_evidence import CELL_STATUSES
from hwds.report.grid import Grid, declared_grid
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
from hwds.report.standings import Standings
from hwds.report.words import ESTIMATE, NOT_SURE, coverage_words, say, say_lines, scores_of
from hwds.results.tables import TRUTH, Column, Declared, Tables
from hwds.stats.effects import Z95

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Tables of what prices identify: cells by status, and cell by cell.


def _number(name: str, form: str, title: str, brief: str) -> Column:
    """Return a column that shows numbers in one of Python's formats."""
    return Column(name, "made", "", title, brief, f"{{{{ {name} | written('{form}') }}}}")


def _percent(name: str, title: str, brief: str) -> Column:
    """Return a column that shows shares in percent, nothing for None."""
    share = f"{{{{ (100 * {name}) | written('.0f') }}}} %"
    return Column(
        name, "made", "", title, brief, f"{{% if {name} is not none %}}{share}{{% endif %}}"
    )


def _span(name: str, high: str, places: int, title: str, brief: str) -> Column:
    """Return a column that shows the ends of an interval, nothing where the lower one is None."""
    low, most = (f"{{{{ {end} | written('.{places}f') }}}}" for end in (name, high))
    cell = f"{{% if {name} is not none %}}{low} to {most}{{% endif %}}"
    return Column(name, "made", "", title, brief, cell)


STATUS_MEANINGS = {
    "identified": "its own prices identify its elasticity",
    "weak": "its own prices hardly do: few changes, little that is its own, or few units",
    "no_variation": "its price never changed, or it sold nothing",
    "endogenous?": "its price seems to answer its demand",
}

STATUSES = Declared.of(
    Column("status", "text", "", "status", "status"),
    Column("cells", "count", "", "cells", "cells"),
    _number("price_changes", ".0f", "price changes", "changes"),
    _number("sd_net", ".3f", "own sd of log price", "own sd"),
    _percent("common", "common with the period", "common"),
    _number("rows", ".0f", "rows", "rows"),
    Column("meaning", "text", "", "meaning"),
)

CELLS = Declared.of(
    Column(SERIES, "text", "", "cell", "cell"),
    _number("elasticity", ".2f", "elasticity", "elasticity"),
    _span("ci_low", "ci_high", 2, "{{ level }} interval", "interval"),
    _percent("weight_own", "own data", "own"),
    _number("rows", ",d", "rows", "rows"),
    _number("price_changes", ",d", "price changes", "changes"),
    _number("distinct_prices", ",d", "prices", "prices"),
    _number("sd_net", ".3f", "own sd of log price", "own sd"),
    _percent("common", "common with the period", "common"),
    _number("lead", "+.2f", "lead", "lead"),
    _number("lag_correlation", "+.2f", "lag", "lag"),
    _percent("stock_outs", "stock-outs", "out"),
    Column("status", "text", "", "status", "status"),
    Column("reason", "text", "", "reason"),
)

MOST_CELLS = 80
"""Cells of which the page has a row."""


def model_cells(tables: Tables, model: str) -> DataFrame:
    """Return the rows of one model, a cell each: of several samples or windows the first.

    Empty where the run's rows are no cells.
    """
    rows = tables.predictions
    if SERIES not in rows.columns:
        return DataFrame()
    return rows.filter(model=model).unique(SERIES, keep="first", maintain_order=True)


def cell_level(tables: Tables) -> str:
    """Return the level of the intervals of cells in words: `95 %`."""
    known = tables.metrics.filter(metric="mean_elasticity")
    return f"{100 * (known['confidence'][0] if len(known) else 0.95):g} %"


def status_grid(tables: Tables, model: str) -> Grid:
    """Return the number of cells of each status, with what their prices have in common."""
    cells = model_cells(tables, model)
    medians = col("price_changes", "sd_net", "common", "rows").median()
    rows = [
        own.select(pl.lit(status).alias("status"), pl.len().alias("cells"), medians).with_columns(
            meaning=pl.lit(STATUS_MEANINGS[status])
        )
        for status in CELL_STATUSES
        if len(cells) and len(own := cells.filter(status=status))
    ]
    caption = "What prices identify: medians over the cells of each status"
    return declared_grid(STATUSES, pl.concat(rows) if rows else cells, caption=caption, words=1)


def cells_grid(tables: Tables, model: str) -> Grid:
    """Return each cell's answer and what its prices identify, at most `MOST_CELLS` of them evenly
    over their order.
    """
    cells = model_cells(tables, model)
    step = max(-(-len(cells) // MOST_CELLS), 1)
    unknown = [column.name for column in CELLS.columns if column.name not in cells.columns]
    return declared_grid(
        CELLS,
        cells.gather_every(step).with_columns(pl.lit(None).alias(name) for name in unknown),
        level=cell_level(tables),
        caption="Cell by cell"
        "{% if step > 1 %}, one in {{ step }} of {{ cells | count }}{% endif %}",
        words=2,
        step=step,
        cells=len(cells),
    )


# Tables of cross elasticities: by family with checks of sign and symmetry, and the strongest
# pairs.

MOST_PAIR_ROWS = 12
"""Pairs in the table: those with the strongest effect."""

FAMILIES = Declared.of(
    Column("family", "text", "", "family", "family"),
    Column("pairs", "count", "", "pairs", "pairs"),
    _number("mean", ".3f", "mean cross elasticity", "mean"),
    _span("least", "most", 3, "from least to most", "range"),
    _number("error", ".3f", "mean standard error", "s.e."),
    Column(
        "negative",
        "count",
        "",
        "below 0 (surely)",
        "below 0",
        "{{ negative | count }} ({{ surely_negative | count }})",
    ),
    Column(
        "asymmetric",
        "count",
        "",
        "two ways that differ beyond chance",
        "asymmetric",
        "{{ asymmetric | count }} of {{ two_way | count }}",
    ),
    Column(
        "outweighed",
        "count",
        "",
        "markets whose substitutes outweigh own prices",
        "outweighed",
        "{{ outweighed | count }} of {{ markets | count }}",
    ),
)

PAIRS = Declared.of(
    Column("row", "text", "", "units of", "units of"),
    Column("column", "text", "", "answer to the price of", "price of"),
    _number("value", ".3f", "cross elasticity", "elasticity"),
    _span("low", "high", 3, "95 % interval", "interval"),
)


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


def _family_grid(cells: DataFrame, cross: ndarray, stderr: ndarray) -> Grid:
    revenue = (cells["units"] * cells["price"]).fill_null(0.0).to_numpy()
    own = cells["elasticity"].fill_null(float("nan")).to_numpy()
    rows = []
    for family in dict.fromkeys(cells["family"].to_list()):
        place = np.flatnonzero((cells["family"] == family).to_numpy())
        part = np.ix_(place, place)
        values, errors = cross[part], stderr[part]
        pairs = values[values != 0]
        if len(pairs):
            answer = {"mean": pairs.mean(), "least": pairs.min(), "most": pairs.max()}
            checks = cross_checks(own[place], values, errors, revenue[place])
            error = errors[values != 0].mean()
            rows.append(answer | asdict(checks) | {"family": family or "all", "error": error})
    caption = (
        "Cross elasticities, of units to a substitute's price: symmetric in revenue without "
        "income effects (Slutsky)"
    )
    return declared_grid(FAMILIES, DataFrame(rows), caption=caption)


def _strongest_pairs(cells: DataFrame, cross: ndarray, stderr: ndarray) -> Grid:
    rows, columns = np.nonzero(cross)
    order = np.argsort(-np.abs(cross[rows, columns]), kind="stable")[:MOST_PAIR_ROWS]
    rows, columns, names = rows[order], columns[order], cells[SERIES]
    value, half = cross[rows, columns], Z95 * stderr[rows, columns]
    pairs = DataFrame(
        {
            "row": names[rows],
            "column": names[columns],
            "value": value,
            "low": value - half,
            "high": value + half,
        }
    )
    return declared_grid(PAIRS, pairs, names=2, caption="The strongest pairs")


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
    "no_variation": "#b9bfc7",
    "endogenous?": NAIVE_COLOUR,
}


def forest_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the elasticities of a model; None where it has none."""
    cells = model_cells(tables, model)
    if cells.is_empty() or cells["elasticity"].null_count() == len(cells):
        return None
    ordered = cells.drop_nulls("elasticity").sort("elasticity", SERIES)
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
    headline(figure, f"Own-price elasticities by {model}{every}")
    return figure


def _draw_cells(axes: Axes, shown: DataFrame) -> None:
    """Draw a bar and a dot for each cell; the dot is as large as the share of its own data."""
    low, high = _forest_limits(shown)
    for place, row in enumerate(shown.to_dicts()):
        colour = STATUS_COLOURS[row["status"]]
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
        axes.plot([], [], "o-", color=STATUS_COLOURS[status], label=status.replace("_", " "))
    axes.set_xlim(low, high)


def _forest_limits(shown: DataFrame) -> tuple[float, float]:
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


def _mark_truth(axes: Axes, shown: DataFrame, tables: Tables) -> None:
    true = model_cells(tables, TRUTH)
    if true.is_empty():
        return
    known = shown.select(SERIES).join(true, SERIES, "left", maintain_order="left")["elasticity"]
    axes.plot(
        known.to_numpy(),
        range(len(shown)),
        "D",
        color=FLOOR_COLOUR,
        markersize=3.5,
        zorder=5,
        label="truth",
    )


def _label_forest(axes: Axes, shown: DataFrame, every: DataFrame, level: str) -> None:
    has_weights = shown["weight_own"].is_not_null().any()
    share = "; dot size and right: share that the cell's own data decide" if has_weights else ""
    tidy(axes, grid="x", x=f"elasticity; bars: {level} interval{share}")
    name_rows(axes, range(len(shown)), shown[SERIES], 34)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(-0.8, len(shown) - 0.2)
    mean = float(every["elasticity"].mean())  # type: ignore[arg-type]
    axes.axvline(
        mean, color=INK, linewidth=1, linestyle=":", zorder=1, label=f"mean of all cells {mean:.2f}"
    )
    axes.axvline(0, color=LIGHT, linewidth=1.2, zorder=0)


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
    known = col("predicted").is_not_null() & col("actual").is_not_null()
    moves = rows.filter(col("move") & known, model=model)
    if len(moves) < 3:
        return None
    figure = new_figure(7, 6.2)
    axes = figure.subplots()
    predicted, actual = moves["predicted"].to_numpy(), moves["actual"].to_numpy()
    reach = float(np.quantile(np.abs(np.concatenate([predicted, actual])), 0.995))
    _draw_moves(axes, predicted, actual, reach)
    _draw_group_means(axes, predicted, actual)
    across, up = (
        drawable(f"{what} change of log {quantity}") for what in ("predicted", "realised")
    )
    tidy(axes, x=across, y=up)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    scored = scores_of(tables, model)
    rmse, r = scored("change_rmse")["value"], scored("change_r")["value"]
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
    headline(figure, f"{len(moves):,} held-out price moves by {model}", 12.5)
    return figure


def _draw_moves(axes: Axes, predicted: ndarray, actual: ndarray, reach: float) -> None:
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


def _draw_group_means(axes: Axes, predicted: ndarray, actual: ndarray) -> None:
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

CONCLUSION = """
{%- if not cells -%}NOT SURE: {{ model }} says nothing of any cell.
{%- elif not answers -%}
NOT SURE: {{ model }} has no answer for any of {{ cells | counted("cells") }}: {{ reason }}.
{%- else -%}
{{ word }}: {{ model }} puts the mean elasticity at {{ mean.value | written(".2f") }}
{%- if mean.ci_low is not none %} ({{ level }}:
{{ mean.ci_low | written(".2f") }} to {{ mean.ci_high | written(".2f") }}){% endif %}
{%- if doubt %}; {{ doubt }}{% endif %}.
{%- endif %}

{% if cells -%}
Own prices identify the elasticity of {{ statuses.identified | counted("cells") }}
{%- if statuses.weak %}, of {{ statuses.weak | count }} weakly{% endif %}
{%- if statuses.no_variation %}, of {{ statuses.no_variation | count }} not at all{% endif %}
{%- if statuses["endogenous?"] -%}
; the prices of {{ statuses["endogenous?"] | count }} may answer demand
{%- endif -%}.

{% if notes.get("first_stage_f") is not none -%}
The first stage of its instruments has an F of {{ notes.first_stage_f | written(",.1f") }}
{%- if notes.first_stage_f < weak_f %}, and below {{ weak_f | written("g") }} they are weak
{%- endif %}.

{% if notes.get("price_residual_t") is not none -%}
Prices {% if notes.price_residual_t | abs > answering %}answer demand
{%- else %}are not seen to answer demand{% endif %}
(t = {{ notes.price_residual_t | written(".1f") }} of what instruments leave of the price).
{%- endif %}

{% if "anderson_rubin_low" in notes -%}
By Anderson and Rubin's test, which weak instruments do not mislead, {{ common }} ({{ level }}).
{%- endif %}
{%- endif %}

{% if lag.value is not none and lag.ci_high is not none and lag.ci_high < 0 -%}
The effect of the price of the period before is {{ lag.value | written("+.2f") }} ({{ level }}:
{{ lag.ci_low | written("+.2f") }} to {{ lag.ci_high | written("+.2f") }}). A price cut that brings
demand forward makes it positive, so the elasticities may be wrong; compare
model.lagged_price=false.
{%- endif %}

{% if error.value is not none and model != truth -%}
Against the truth its error is {{ error.value | written(".2f") }} (root mean square),
{{ bias.value | written("+.2f") }} on average, and {{ (100 * cover.value) | written(".0f") }} %
of its {{ level }} intervals hold the true value.
{%- endif %}

{% if answers -%}
{% if answers | length == cells %}All{% else %}{{ answers | length | count }} of{% endif %}
{{ cells | count }} cells have an answer, from {{ answers | min | written(".2f") }} to
{{ answers | max | written(".2f") }}, {{ wrong or "none" }} above 0.
{%- endif %}
{%- endif -%}
"""

COMMON_ELASTICITY = """
{%- if low is none or high is none -%} no common elasticity is compatible with the data
{%- elif low == -inf and high == inf -%} nothing is known of the common elasticity
{%- elif low == -inf -%} the common elasticity is below {{ high | written(".2f") }}
{%- elif high == inf -%} the common elasticity is above {{ low | written(".2f") }}
{%- else -%}
the common elasticity is between {{ low | written(".2f") }} and {{ high | written(".2f") }}
{%- endif -%}
"""

PLACEBO = """
{%- if p_value is none -%} NOT SURE: {{ model }} says nothing of prices to come.
{%- else -%}
{{ "PASS" if p_value >= 0.05 else "FAIL" }}: {{ model }} puts the elasticity to prices still to come
at {{ value | written("+.2f") }} (95 %: {{ ci_low | written("+.2f") }} to
{{ ci_high | written("+.2f") }}, p = {{ p_value | written(".2g") }})
{%- if p_value >= 0.05 %}: no more than chance.
{%- else %}, where it must be 0.

Prices answer demand, something that moves both is left out, or the model's errors are too small.
{%- endif %}
{%- endif -%}
"""


def elasticity_sentence(panel: Panel | None, tables: Tables, model: str) -> str:
    """Return the mean elasticity, what was answered and identified, and the errors where the truth
    is known.
    """
    cells, scored = model_cells(tables, model), scores_of(tables, model)
    if cells.is_empty():
        return say(CONCLUSION, model=model, cells=0)
    answers, notes = cells["elasticity"].drop_nulls(), notes_of(cells)
    statuses = dict.fromkeys(CELL_STATUSES, 0) | dict(cells.group_by("status").len().iter_rows())
    mean = scored("mean_elasticity")
    doubt = elasticity_doubt(mean, statuses, notes)
    lines = say_lines(
        CONCLUSION,
        model=model,
        word=NOT_SURE if doubt else ESTIMATE,
        doubt=doubt,
        cells=len(cells),
        answers=answers.to_list(),
        reason=cells["reason"][0],
        mean=mean,
        wrong=int((answers > 0).sum()),
        level=cell_level(tables),
        statuses=statuses,
        notes=notes,
        common=anderson_rubin_words(notes) if "anderson_rubin_low" in notes else "",
        weak_f=WEAK_F,
        answering=ANSWERING_T,
        lag=scored("lagged_price"),
        error=scored("elasticity_rmse"),
        bias=scored("elasticity_bias"),
        cover=scored("elasticity_coverage"),
        truth=TRUTH,
    )
    return "\n".join(lines)


def elasticity_doubt(
    mean: Mapping[str, Any], statuses: Mapping[str, int], notes: Mapping[str, float | None]
) -> str:
    """Return why a mean elasticity is not sure, empty where nothing speaks against it.

    Args:
        mean: The mean elasticity with its interval.
        statuses: The number of cells of each status.
        notes: The facts about the fit.
    """
    if mean["ci_low"] is None:
        return "it has no interval"
    if mean["ci_low"] <= 0 <= mean["ci_high"]:
        return "it may be 0"
    strength = notes.get("first_stage_f")
    if strength is not None and strength < WEAK_F:
        return "its instruments are weak"
    if strength is None and 2 * statuses["endogenous?"] >= sum(statuses.values()):
        return "the prices of most cells may answer demand"
    return "" if statuses["identified"] + statuses["weak"] else "prices identify no cell"


def anderson_rubin_words(notes: Mapping[str, float | None]) -> str:
    """Return the common elasticities that Anderson and Rubin's test does not reject, in words."""
    low, high = notes["anderson_rubin_low"], notes["anderson_rubin_high"]
    return say(COMMON_ELASTICITY, low=low, high=high, inf=inf)


def placebo_sentence(panel: Panel | None, tables: Tables, model: str) -> str:
    """Return whether prices that are still to come have an effect, which they cannot have."""
    row = {"p_value": None} | tables.headline("placebo_effect", model)
    return "\n".join(say_lines(PLACEBO, row | {"model": model}))


# The pictures and tables of runs about elasticities.

NOTES = Declared.of(
    Column("fact", "text", "", "fact", "fact"),
    Column("value", "text", "", "value", "value"),
    Column("meaning", "text", "", "meaning"),
)


def draw(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `forest.png`: each cell's elasticity with its interval, and the share that its own data
    decide.
    """
    save_png(forest_figure(tables, model), folder / "forest.png")


def draw_changes(panel: Panel, tables: Tables, model: str, folder: Path) -> None:
    """Draw `price_changes.png`: predicted against realised changes of demand at held-out price
    moves.
    """
    figure = scatter_figure(tables, model, panel.quantity or panel.unit or "units")
    save_png(figure, folder / "price_changes.png")


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
    rows = [(note_title(name), _note_value(notes[name]), note_meaning(name)) for name in notes]
    return declared_grid(NOTES, NOTES.frame(rows), caption="About the fit", words=1)


def _note_value(value: float | None) -> str:
    """Return a number, `none` where no value is compatible with the data."""
    if value is None:
        return "none"
    return "unbounded" if isinf(value) else f"{value:,.4g}"


COVERAGE_CURE = """If prices answer demand, instruments correct them (model=elasticity/iv). If cells
share shocks, model.cluster widens them."""


def coverage_lines(tables: Tables, board: Standings) -> Iterator[str]:
    """Yield a sentence on intervals that surely hold another share of true elasticities, or of
    answers to all rows, than promised.
    """
    scored = scores_of(tables, board.own.model if board.own else "")
    for metric in ("elasticity_coverage", "sample_coverage"):
        held = scored(metric)
        level = tables.measure(metric).confidence
        ends = held["ci_low"], held["ci_high"]
        words = coverage_words("intervals", level, held["value"], ends, say(COVERAGE_CURE))
        yield from [words] if words else []


REPORT = TaskReport(
    lines=coverage_lines,
    sentence=elasticity_sentence,
    page_grids=elasticity_page_grids,
    draw=draw,
    captions={
        "forest.png": "Each cell's elasticity with its interval, and the share that its own data "
        "decide",
    },
)

CHANGES_REPORT = TaskReport(
    compared=True,
    page_grids=elasticity_page_grids,
    draw=draw_changes,
    captions={
        "price_changes.png": "Predicted against realised changes of demand at held-out price moves",
    },
)

PLACEBO_REPORT = TaskReport(sentence=placebo_sentence)
