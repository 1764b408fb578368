"""The pictures of a detection run, and the scored rows that they are drawn from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray
from polars import DataFrame, col

from hwds.core.questions import Fields, Json
from hwds.core.seeds import stream
from hwds.detection.predictions import IMPORTANCE_SHARE, INPUT, SUBJECT, scored_rows
from hwds.detection.reasons import in_words, input_subject, topic_heading
from hwds.detection.rows import distinct_codes, entities_of_rows
from hwds.detection.scores import TRUE
from hwds.report.grid import Grid, grid_of
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    headline,
    model_colours,
    name_rows,
    new_figure,
    plain_numbers,
    tidy,
)
from hwds.report.words import say
from hwds.results.formatting import brief, percent_cell
from hwds.results.tables import Tables
from hwds.stats.binary_labels import Ranking
from hwds.stats.estimates import resample_clusters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend


# The rows that pictures and sentences are made of.

DASHED: Json = {"color": GREY, "linewidth": 1.2, "linestyle": "--", "zorder": 1}
SMALL: Json = {"fontsize": 8.5, "parse_math": False}

SIDES = {
    "": ("label", "against the labels that had been found"),
    TRUE: ("truth", "against the truth, which only the simulator knows"),
}
"""Before a metric's name: the column of the rows, and the same in words."""


def scored_sides(rows: DataFrame) -> Iterator[str]:
    """Yield the sides that rows can be scored against, labels and truth, each where both classes
    are there.
    """
    for side, (column, _) in SIDES.items():
        if rows_with_outcome(rows, side)[column].n_unique() > 1:
            yield side


def window_count_words(rows: DataFrame, counted: DataFrame) -> str:
    """Return `, mean of 4 windows` or `, mean of the 3 of 10 folds with a positive row`.

    Nothing for one.

    Args:
        rows: The scored rows.
        counted: The rows of the windows that the mean is of.
    """
    cutoffs = rows["cutoff"].unique()
    if len(cutoffs) < 2:
        return ""
    windows = (
        "windows" if cutoffs.str.to_date("%Y-%m-%d", strict=False).null_count() == 0 else "folds"
    )
    some = counted["cutoff"].n_unique()
    if some == len(cutoffs):
        return f", mean of {some} {windows}"
    return f", mean of the {some} of {len(cutoffs)} {windows} with a positive row"


def windows_with_positives(rows: DataFrame, side: str) -> DataFrame:
    """Return the rows of the windows that have a positive one: a ranking is scored in those
    alone.
    """
    return rows.filter((col(SIDES[side][0]) == 1).any().over("cutoff"))


def rows_with_outcome(rows: DataFrame, side: str) -> DataFrame:
    """Return the rows whose label, or truth, is known and that stand for any."""
    known = rows.filter(col(SIDES[side][0]).is_not_null())
    return known if side == TRUE else known.filter(col("weight") > 0)


def row_weights(rows: DataFrame, side: str) -> ndarray:
    """Return how many rows each row stands for: 1 against the truth."""
    return np.ones(len(rows)) if side == TRUE else rows["weight"].to_numpy()


# by_week.png: average precision in each test window, oldest first: whether a model decays.

OFFSET, OFFSET_OF_ALL = 0.06, 0.012
"""Between the models of one window at most, as a share of the distance to the next, and of that
from the first to the last.
"""


def by_week_figure(tables: Tables, model: str) -> Figure | None:
    """Draw all models by test window; None where there are no two windows in time."""
    points = _week_scores(tables)
    scored = points.drop_nulls("value")
    shown = [
        side for side in SIDES if scored.filter(metric=f"{side}aucpr")["cutoff"].n_unique() > 1
    ]
    if not shown:
        return None
    figure = new_figure(9.5, 0.9 + 3.1 * len(shown))
    panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    paints = model_colours(points["model"].unique(maintain_order=True).to_list(), model)
    for axes, side in zip(panels, shown, strict=True):
        _draw_weeks(axes, points, side, paints, model)
        tidy(axes, title=SIDES[side][1] if len(shown) > 1 else "", y=f"{side}aucpr")
    tidy(panels[-1], x="test window, by its first day")
    _legend_below(figure, panels[0])
    headline(figure, "Average precision by test window, with 95 % intervals")
    return figure


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    options: Json = {"loc": "outside lower center", "frameon": False, "fontsize": 9}
    legend = figure.legend(handles, labels, ncols=min(len(labels), 4), **options)
    _write_plainly(legend)


def _write_plainly(legend: Legend) -> None:
    """Write names as they are: a dollar sign begins no formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_estimates(
    axes: Axes,
    across: Any,
    estimates: tuple[ndarray, ndarray, ndarray],
    label: str,
    colour: str,
    *,
    bold: bool,
) -> None:
    """Draw values with the ends of their intervals as dots on a line."""
    value, low, high = estimates
    axes.errorbar(
        across,
        value,
        yerr=np.maximum(np.stack([value - low, high - value]), 0.0),
        color=colour,
        marker="o",
        markersize=5,
        linewidth=2.2 if bold else 1.4,
        elinewidth=1.1,
        label=label,
        zorder=3 if bold else 2,
    )


def _week_scores(tables: Tables) -> DataFrame:
    """Return the scores of each window that begins at a day; null where there is none."""
    wanted = [f"{side}{name}" for side in SIDES for name in ("aucpr", "prevalence")]
    rows = tables.scores.filter(
        col("fold").is_not_null() & col("segment").is_null() & col("metric").is_in(wanted)
        & col("cutoff").is_not_null()
    )  # fmt: skip
    days = rows["cutoff"].str.to_date("%Y-%m-%d", strict=False)
    return (
        rows.with_columns(cutoff=days)
        .filter(col("cutoff").is_not_null())
        .sort("cutoff", maintain_order=True)
    )


def _draw_weeks(
    axes: Axes, points: DataFrame, side: str, paints: dict[str, str], model: str
) -> None:
    days = points["cutoff"].unique().sort().to_list()
    apart = min((later - earlier for earlier, later in pairwise(days)), default=timedelta(7))
    offset = min(OFFSET * apart, OFFSET_OF_ALL * (days[-1] - days[0]))
    for place, (label, colour) in enumerate(paints.items()):
        scored = points.filter(metric=f"{side}aucpr", model=label)
        aligned = DataFrame({"cutoff": days}).join(
            scored, on="cutoff", how="left", maintain_order="left"
        )  # a window without a score interrupts the line
        shift = offset * (place - (len(paints) - 1) / 2)
        value, low, high = (
            aligned[name].fill_null(aligned["value"]).to_numpy()
            for name in ("value", "ci_low", "ci_high")
        )
        when = [datetime.combine(day, datetime.min.time()) + shift for day in days]
        _draw_estimates(
            axes, when, (value, low, high), drawable(label, 44), colour, bold=label == model
        )
    chance = points.filter(metric=f"{side}prevalence").unique(
        "cutoff", keep="first", maintain_order=True
    )
    axes.plot(chance["cutoff"], chance["value"], label="chance", **DASHED)
    axes.set_ylim(0, None)
    few = len(days) < 8
    names = [f"{day:%d %b %Y}".lstrip("0") if few else f"{day:%d %b}" for day in days]
    axes.set_xticks(days, names)


# precision_recall.png: how precise each model is at every recall, beside chance.

RECALLS = np.linspace(0.0, 1.0, 401)[1:]


def precision_recall_figure(tables: Tables, model: str, label: str = "label 1") -> Figure | None:
    """Draw the curves of all models, positive rows being `label`.

    None where no window has rows of both labels.
    """
    rows = scored_rows(tables, part="test")
    shown = list(scored_sides(rows))
    if not shown:
        return None
    figure = new_figure(0.6 + 6.4 * len(shown), 5.6)
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axes, side in zip(panels, shown, strict=True):
        _draw_curves(axes, tables, rows, side, model, label)
        tidy(axes, title=SIDES[side][1] if len(shown) > 1 else "")
    tidy(panels[0], y=drawable(f"precision: share of flagged rows with {label}"))
    windows = window_count_words(rows, windows_with_positives(rows, shown[0]))
    headline(figure, f"Precision against recall{windows}")
    return figure


def _draw_curves(
    axes: Axes, tables: Tables, rows: DataFrame, side: str, model: str, positive: str
) -> None:
    column = SIDES[side][0]
    known = rows_with_outcome(rows, side)
    curves = {
        label: _precision_at_recalls(part, column, side)
        for (label,), part in known.partition_by("model", as_dict=True).items()
    }
    scored = tables.overall(f"{side}aucpr").drop_nulls("value")
    scores = dict(scored.select("model", "value").iter_rows())
    paints = model_colours([label for label in scores if label in curves], model)
    for label in sorted(paints, key=lambda each: -scores[each]):
        name = drawable(label, 34)
        axes.plot(
            RECALLS,
            curves[label],
            color=paints[label],
            linewidth=2.4 if label == model else 1.5,
            zorder=3 if label == model else 2,
            label=f"{scores[label]:.3f}  {name}",
            gid=name,
        )
    prevalence = tables.headline(f"{side}prevalence", next(iter(paints))).get("value")
    if prevalence is not None:
        chance = f"{prevalence:.3f}  chance: the share of {drawable(positive)}"
        axes.axhline(prevalence, label=chance, **DASHED)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    tidy(axes, x=drawable(f"recall: share of {positive} that is flagged"))
    legend = axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        frameon=False,
        fontsize=9,
        title="average precision",
        alignment="left",
    )
    _write_plainly(legend)


def _precision_at_recalls(rows: DataFrame, column: str, side: str) -> ndarray:
    """Return the precision at the first threshold that reaches each recall, the mean over windows
    that have label 1.
    """
    curves = []
    for window in rows.partition_by("cutoff", maintain_order=True):
        curve = Ranking.of(window[column].to_numpy(), window["score"].to_numpy()).curves(
            row_weights(window, side)[None]
        )
        if curve.positive[0] > 0:
            reached = np.searchsorted(curve.hits[0] / curve.positive[0], RECALLS * (1 - 1e-9))
            curves.append(curve.precision[0, np.minimum(reached, curve.precision.shape[1] - 1)])
    return np.mean(curves, axis=0) if curves else np.full(len(RECALLS), np.nan)


# reliability.png: whether probabilities mean what they say, at large and where most rows lie,
# and how they spread.

SIDE_COLOURS = {"": OWN_COLOUR, TRUE: FLOOR_COLOUR}
TENTHS = np.linspace(0.0, 1.0, 11)
RESAMPLES = 200
LEAST_BIN_ROWS = 10
"""Rows of a dot at least; bins of fewer are joined with those below them."""

LEAST_PROBABILITY = 1e-4
"""Rows of lower probabilities are counted with those above it on the log axis."""


def reliability_figure(tables: Tables, model: str, label: str = "label 1") -> Figure | None:
    """Draw the experiment's own model, whose positive rows are `label`.

    None where it has no probabilities.
    """
    rows = scored_rows(tables, part="test", model=model).drop_nulls("probability")
    shown = list(scored_sides(rows))
    if not shown:
        return None
    figure = new_figure(11.5, 6.6)
    panels = figure.subplots(2, 2, height_ratios=(3.2, 1))
    for column, edges in enumerate((TENTHS, _bin_edges(rows["probability"].to_numpy()))):
        axes, below = panels[0, column], panels[1, column]
        least = min(_draw_reliability(axes, rows, side, edges, len(shown) > 1) for side in shown)
        _draw_frame(axes, below, edges, least if column else None)
        _draw_histogram(below, rows["probability"].to_numpy(), edges)
        tidy(below, x=drawable(f"probability of {label}{', log scale' * column}"))
    tidy(panels[0, 0], y=drawable(f"share with {label}, 95 % by entity"))
    tidy(panels[1, 0], y="rows")
    _legend_below(figure, panels[0, 0])
    slope = _slope_words(tables, model, shown[-1])
    headline(figure, f"{drawable(model, 30)}: what was said, and what came of it{slope}")
    return figure


def _slope_words(tables: Tables, model: str, side: str) -> str:
    score = tables.headline(f"{side}calibration_slope", model)
    return say(SLOPE, score) if score.get("value") is not None else ""


SLOPE = """
{%- set ends %} ({{ ci_low | written(".2f") }} to {{ ci_high | written(".2f") }}){% endset -%}
; calibration slope {{ value | written(".2f") }}{% if ci_low is not none %}{{ ends }}{% endif %}
"""


def _bin_edges(probability: ndarray) -> ndarray:
    """Return edges of 1, 2 and 5 a decade from where hardly a row lies below, to 1."""
    least = max(float(np.quantile(probability, 0.005)), LEAST_PROBABILITY)
    decades = 10.0 ** np.arange(np.floor(np.log10(least)), 1)
    edges = np.unique(
        [step * decade for decade in decades for step in (1, 2, 5) if step * decade <= 1]
    )
    return edges[max(np.searchsorted(edges, least, side="right") - 1, 0) :]


def _draw_reliability(
    axes: Axes, rows: DataFrame, side: str, edges: ndarray, several: bool
) -> float:
    """Draw mean probability and share of label 1 with its interval for each bin.

    Return the least share above 0.
    """
    known = rows_with_outcome(rows, side)
    probability, label = known["probability"].to_numpy(), known[SIDES[side][0]].to_numpy()
    bins = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, len(edges) - 2)
    bins = join_bins(np.bincount(bins, minlength=len(edges) - 1))[bins]
    entity = distinct_codes(entities_of_rows(known))
    base, shape = row_weights(known, side), (int(entity.max()) + 1, len(edges) - 1)
    place = np.ravel_multi_index((entity, bins), shape)
    total, predicted, positive = (
        np.bincount(place, base * values, minlength=shape[0] * shape[1]).reshape(shape)
        for values in (np.ones(len(known)), probability, label)
    )
    rng = stream(0, "reliability")
    draws = np.array([resample_clusters(shape[0], rng) for _ in range(RESAMPLES)])
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = predicted.sum(0) / total.sum(0)
        share = positive.sum(0) / total.sum(0)
        shares = (draws @ positive) / (draws @ total)
    there = total.sum(0) > 0
    low, high = np.nanquantile(shares[:, there], (0.025, 0.975), axis=0)
    name = SIDES[side][1] if several else "bins of rows"
    _draw_estimates(
        axes, middle[there], (share[there], low, high), name, SIDE_COLOURS[side], bold=True
    )
    return float(share[there & (share > 0)].min(initial=1.0))


def join_bins(counts: ndarray) -> ndarray:
    """Return the bin that each bin is joined to, from the highest down, so that each but the lowest
    has `LEAST_BIN_ROWS` rows.
    """
    goes, first, rows = np.arange(len(counts)), len(counts), 0
    for place in reversed(range(len(counts))):
        rows += int(counts[place])
        if rows >= LEAST_BIN_ROWS or place == 0:
            goes[place:first] = place
            first, rows = place, 0
    return goes


def _draw_frame(axes: Axes, below: Axes, edges: ndarray, least: float | None) -> None:
    """Draw the diagonal, and both axes alike: logarithmic where the least share above 0 is given,
    which must be visible.
    """
    for place in (axes, below):
        tidy(place)
        place.set_xscale("linear" if least is None else "log")
        place.set_xlim(edges[0], 1)
    axes.plot([edges[0], 1], [edges[0], 1], label="as it was said", **DASHED)
    axes.tick_params(labelbottom=False)
    if least is None:
        axes.set_ylim(0, 1.02)
        return
    axes.set_yscale("log")
    axes.set_ylim(min(edges[0], least) / 2, 1.2)
    plain_numbers(axes.yaxis)
    plain_numbers(below.xaxis)


def _draw_histogram(axes: Axes, probability: ndarray, edges: ndarray) -> None:
    counts, _ = np.histogram(np.clip(probability, edges[0], edges[-1]), edges)
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=LIGHT, edgecolor="white")
    axes.set_yscale("log")
    axes.set_ylim(0.7, max(float(counts.max()), 1.0) * 2)
    plain_numbers(axes.yaxis)


# cases.png: the rows with the highest scores, and what each of their inputs adds.

MOST_CASES = 6
MOST_BARS = 5
REASON_LETTERS = 84
"""Letters of a reason."""

LABEL_WORDS = {1.0: "found to be label 1", 0.0: "found to be label 0", None: "not looked into yet"}


def cases_figure(tables: Tables, model: str, unit: str) -> Figure | None:
    """Draw the highest scores of the experiment's own model in its last window.

    None where it gave no reasons.
    """
    rows = scored_rows(tables, part="test", model=model).filter(col("reasons").list.len() > 0)
    if rows.is_empty():
        return None
    last = rows.filter(fold=rows["fold"].max())
    ordered = last.sort("score", descending=True, maintain_order=True)
    shown = (
        ordered.filter(entities_of_rows(ordered).is_first_distinct()).head(MOST_CASES).to_dicts()
    )
    down = (len(shown) + 1) // 2
    figure = new_figure(12.5, 0.6 + 3.1 * down)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
    panels = figure.subplots(down, 2, squeeze=False).ravel()
    longest = max((reason["adds"] for row in shown for reason in row["reasons"]), default=0) or 1.0
    for axes, row in zip(panels, shown, strict=False):
        _draw_case(axes, row, unit, longest)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    when = drawable(str(shown[0]["cutoff"]), 30)
    title = f"the highest scores of the window from {when}, and what each input adds"
    headline(figure, f"{drawable(model, 30)}: {title}")
    return figure


def _draw_case(axes: Axes, row: Fields, unit: str, longest: float) -> None:
    """Draw a bar for each reason under its words, and above them the entity and its label."""
    reasons = row["reasons"][:MOST_BARS]
    for place, reason in enumerate(reasons):
        axes.barh(place, reason["adds"], height=0.3, color=OWN_COLOUR, zorder=2)
        words = drawable(in_words([reason], 1)[0], 2 * REASON_LETTERS)
        lines = "\n".join(textwrap.wrap(words, REASON_LETTERS))
        axes.text(0, place - 0.22, lines, va="bottom", linespacing=1.0, color=INK, **SMALL)
        adds = f"  +{brief(reason['adds'])}"
        axes.text(reason["adds"], place, adds, va="center", color=GREY, **SMALL)
    axes.set_ylim(max(len(reasons), 3) - 0.5, -0.75)
    axes.set_xlim(0, 1.18 * longest)
    axes.set_axis_off()
    title = "\n".join(textwrap.wrap(_case_title(row, unit), 70))
    axes.set_title(title, fontsize=10, fontweight="bold", loc="left", pad=18, parse_math=False)
    colour = NAIVE_COLOUR if row["label"] == 1 else GREY
    score = say(CASE_SCORE, row, label=LABEL_WORDS[row["label"]])
    axes.text(0, 1.0, score, transform=axes.transAxes, va="bottom", color=colour, **SMALL)


CASE_TITLE = """
{{ who }}
{%- if time %}, {{ time | written("%d %b %Y") }}{% endif %}
{%- if amount is not none %}, {{ amount | money(unit) }} at stake{% endif %}
"""
CASE_SCORE = """
{% if probability is none %}score {{ score | brief }}
{%- else %}probability {{ probability | written(".3f") }}{% endif %}; {{ label }}
"""


def _case_title(row: Fields, unit: str) -> str:
    """Return the heading of a row: entity, time, and amount."""
    named = [str(each) for each in (row["id"], row["entity"]) if each is not None]
    who = " ".join(named) or f"row {row['row_id'] + 1}"
    return say(CASE_TITLE, row, who=drawable(who, 30), unit=unit)


# Importances: the mean contribution of each input, or of all inputs of one subject, to scores,
# with the spread over seeds.

MOST_SUBJECTS = 15
"""Rows of the table; the others are in the scores."""

NAMED_INPUTS = 3
"""Inputs that are named beside a subject."""


Importance = Json
"""The share of an input, or of a subject (`segment`), in what the scores of a model are made of:
`value`, the mean over windows and seeds; `ci_low` and `ci_high`, the lowest and the highest of the
seeds, None of one seed; `windows`, the share in each window where there are several.
"""


def importances_of_model(tables: Tables, model: str, of: str) -> list[Importance]:
    """Return the importances of a model, the largest first; empty where none were computed."""
    rows = _importance_scores(tables).filter(model=model, segment_by=of)
    windows = rows.drop_nulls("cutoff").group_by("segment").agg(windows=col("value"))
    whole = rows.filter(col("cutoff").is_null()).join(
        windows, on="segment", how="left", maintain_order="left"
    )
    return whole.sort("value", descending=True, maintain_order=True).to_dicts()


def _importance_scores(tables: Tables) -> DataFrame:
    return tables.scores.filter(col("fold").is_null(), metric=IMPORTANCE_SHARE)


def subject_grid(tables: Tables, model: str) -> Grid:
    """Return subjects in rows, the most important to the experiment's model first, and models in
    columns.
    """
    labels = _importance_scores(tables)["model"].unique(maintain_order=True)
    models = [model, *(label for label in labels if label != model)]
    by_model = [
        {
            each["segment"]: _share_cell(each)
            for each in importances_of_model(tables, label, SUBJECT)
        }
        for label in models
    ]
    inputs = [each["segment"] for each in importances_of_model(tables, model, INPUT)]
    rows = [
        (
            topic_heading(subject),
            _first_inputs([name for name in inputs if input_subject(name) == subject]),
            *(cells.get(subject, "") for cells in by_model),
        )
        for subject in list(by_model[0])[:MOST_SUBJECTS]
    ]
    titles = ("subject", "inputs, the most important first", *models)
    briefs = ("subject", "", *models)
    caption = importance_words(IMPORTANCE_CAPTION, tables, model) if rows else ""
    return grid_of(list(zip(titles, briefs, strict=True)), rows, names=2, caption=caption)


IMPORTANCE_CAPTION = """
What scores are made of: share of the mean absolute contribution over {{ rows | counted("rows") }}
drawn, %;
{% if seeds %}in brackets the lowest and highest of {{ seeds }} of the fit, where they differ
{%- else %}one fit a window{% endif %}
"""
IMPORTANCE_LEGEND = """
bars: mean over {{ rows | counted("rows") }} drawn
{%- if not seeds %}, one fit a window
{%- elif alike %}; under {{ seeds }} of the fit they are the same
{%- else %}; whiskers: lowest and highest of {{ seeds }} of the fit
{%- endif %}
{%- if windows %}; dots: {{ windows | length }} windows{% endif %}
"""


def importance_words(template: str, tables: Tables, model: str, **values: Any) -> str:
    """Return a sentence on the `rows` that shares are taken over, and on the `seeds` of the fit."""
    shares = _importance_scores(tables).filter(col("cutoff").is_null(), model=model)
    method = next(iter(shares["ci_method"].drop_nulls()), "")
    return say(template, rows=shares["n"].max(), seeds=method.removeprefix("range of "), **values)


def _first_inputs(names: Sequence[str]) -> str:
    """Return the first names of some inputs, and how many more there are."""
    more = len(names) - NAMED_INPUTS
    return ", ".join([*names[:NAMED_INPUTS], *([f"{more} more"] if more > 0 else [])])


def _share_cell(importance: Importance) -> str:
    """Return a share with its range, `12.3 (11.0 to 13.4)`; without brackets where seeds agree."""
    low, high = importance["ci_low"], importance["ci_high"]
    ends = "" if low == high else f" ({percent_cell(low)} to {percent_cell(high)})"
    return f"{percent_cell(importance['value'])}{ends}"


# importances.png: what the scores of the experiment's own model are made of, with the spread of
# seeds and of windows.

MOST_IMPORTANCES = 14
"""Bars of a panel."""


def importances_figure(tables: Tables, model: str) -> Figure | None:
    """Draw what the scores of a model are made of: subjects on the left, single inputs on the
    right.
    """
    subjects, inputs = (
        importances_of_model(tables, model, of)[:MOST_IMPORTANCES] for of in (SUBJECT, INPUT)
    )
    if not subjects:
        return None
    figure = new_figure(12.5, 1.5 + 0.32 * max(len(subjects), len(inputs)))
    left, right = figure.subplots(1, 2)
    _draw_importances(left, subjects, [topic_heading(each["segment"]) for each in subjects])
    _draw_importances(right, inputs, [each["segment"] for each in inputs])
    tidy(left, "x", title="all inputs of a subject together")
    tidy(right, "x", title="single inputs")
    headline(figure, f"What the scores of {drawable(model, 40)} are made of")
    legend = importance_words(
        IMPORTANCE_LEGEND,
        tables,
        model,
        alike=all(each["ci_low"] == each["ci_high"] for each in subjects),
        windows=subjects[0]["windows"],
    )
    figure.supxlabel(legend, x=0.01, ha="left", fontsize=8.5, color=GREY)
    return figure


def _draw_importances(axes: Axes, shown: Sequence[Importance], names: Sequence[str]) -> None:
    """Draw a bar for each, the largest on top; whiskers of seeds, a dot for each window."""
    for place, each in enumerate(shown):
        share = 100 * each["value"]
        axes.barh(place, share, height=0.62, color=OWN_COLOUR, alpha=0.85, zorder=2)
        dots = [100 * part for part in each["windows"] or ()]
        axes.scatter(dots, [place] * len(dots), s=11, color=NAIVE_COLOUR, zorder=4, linewidths=0)
        if each["ci_low"] is not None:
            low, high = 100 * each["ci_low"], 100 * each["ci_high"]
            reach = [[max(share - low, 0)], [max(high - share, 0)]]
            axes.errorbar(share, place, xerr=reach, color=INK, elinewidth=1.3, capsize=3, zorder=3)
    name_rows(axes, range(len(shown)), names, 38)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, None)
    tidy(axes, "x", x="share of the mean absolute contribution, %")
