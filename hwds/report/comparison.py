"""A comparison: its conclusion, its tables, its forest of effects and its mean ranks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import DataFrame, Series, col

from hwds.report.grid import Grid, GridColumn, declared_grid
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    headline,
    new_figure,
    note_row,
    tidy,
)
from hwds.report.words import say, say_lines, word_of
from hwds.results.comparison import LEADERBOARD, PAIRS, Comparison, StudyResult
from hwds.results.formatting import UNBOUNDED, interval, places_of, with_errors
from hwds.results.tables import Column, Declared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The conclusion of a comparison: effects with their intervals, sure differences, and rivals
# that cannot be told apart.

MOST_NAMED = 3
"""The most rivals of one kind that a sentence names."""

CONCLUSION = """
{%- macro amounts(rows) %}
{%- for row in rows %}
{%- set value, ends = amount(row) %}
{{- row.rival }} by {{ value }}
{%- if ends %} ({{ (100 * level) | written("g") }} %: {{ ends }}
{%- if row.p_holm is not none %}, p {{ row.p_holm | p_value }}{% endif %}){% endif %}
{%- if row.verdict.endswith("alike") %}, which is within {{ margin_words }}{% endif %}
{%- if not loop.last %}{{ " and " if loop.revindex == 2 else ", " }}{% endif %}
{%- endfor %}
{%- endmacro %}
{{- word }}: {{ subject }}{% if chosen == "best" %}, the best here,{% endif %}
{% if better | length > most_named %}beats
{{ "all " ~ rows | length if better | length == rows | length else better | length }} rivals, the
closest of them {{ amounts(better[:1]) }}
{%- elif better %}beats {{ amounts(better) }}
{%- endif %}
{%- if better and worse %} and {% endif %}
{%- if worse | length > most_named %}is worse than {{ worse | length }} rivals, most of all
{{ amounts(worse[:1]) }}
{%- elif worse %}is worse than {{ amounts(worse) }}
{%- endif %}
{%- if better or worse %}, sure
{%- if family != 1 %} after correction for {{ family }} comparisons
{%- if chosen == "best" %} of all pairs{% endif %}{% endif %}
{%- if alike or unsure %}; {% endif %}
{%- endif %}
{%- if alike %}is as good as {{ alike | listed(most_named) }} to within {{ margin_words }}
{%- if unsure %}; {% endif %}{% endif %}
{%- if unsure %}cannot be told from {{ unsure | listed(most_named) }}
{%- if methods | length == 1 and methods[0].endswith("cannot tell") %}: {{ methods[0] }}{% endif %}
{%- endif %}."""

TOGETHER = """
{%- if count < 2 -%} {{ row }} is {{ least | written("g") }} by {{ first }}.
{%- else -%}
{{ row }} lies between {{ least | written("g") }} ({{ first }}) and {{ most | written("g") }}
({{ last }}) in {{ count | counted("specifications") }}.

{% if apart %}The {{ percent }} % intervals of {{ first }} and {{ last }} do not meet: these
specifications disagree.{% endif %}
{%- endif %}"""

TITLE = """
{%- if not ranked -%}
{{ specifications["specification"].n_unique() | counted("specifications") }} on
{{ datasets | listed(2) }}
{%- else -%}
{{ leaderboard | length | counted("models") }} on
{{ datasets[0] if datasets | length == 1 else datasets | length ~ " datasets" }} by {{ metric }}
({{ measure.better }}er is better), {{ leaderboard["n"][0] | counted(units) }}
{%- if seeds | length > 1 and units != "worlds" %}, {{ seeds | length | counted("seeds") }}
{%- endif %}
{%- endif %}"""

RANKS = """
Over {{ blocks | counted(called) }} the ranks
{{ "differ" if p_value < alpha else "cannot be told apart" }} (Friedman: chi-square
{{ statistic | written(".1f") }}, p
{{ "< 0.0001" if p_value < 0.0001 else "= " ~ p_value | written(".4f") }}); two mean ranks differ
where they are {{ critical_difference | written(".2f") }} apart (Nemenyi, 5 %)."""


def comparison_sentence(result: Comparison) -> str:
    """Return the subject's result against its rivals: `stack beats theta by 2.1 % (1.2 to 3.0),
    sure after correction ...`.
    """
    if not result.ranked:
        return _together_sentence(result)
    rows = result.pairs.to_dicts()
    better, worse, alike, unsure = (
        [row for row in rows if row["verdict"].startswith(verdict)]
        for verdict in ("better", "worse", "alike", "unsure")
    )
    return say(
        CONCLUSION,
        result,
        word=word_of(row["verdict"] for row in rows),
        rows=rows,
        better=better[::-1],
        worse=worse[::-1],
        alike=[row["rival"] for row in alike],
        unsure=[row["rival"] for row in unsure],
        methods=list({row["method"] for row in rows}),
        amount=partial(effect_amount, result),
        margin_words=margin_text(result.margin, result.relative, result.measure.measured_in),
        most_named=MOST_NAMED,
    )


def _together_sentence(result: Comparison) -> str:
    """Return the reach of the first coefficient over specifications, and whether its ends surely
    differ.
    """
    table = result.specifications
    if table.is_empty():
        return "No specification has an estimate."
    rows = table.filter(row=table["row"][0]).sort("value", maintain_order=True).to_dicts()
    first, last = rows[0], rows[-1]
    places = places_of(first["value"], first["stderr"])
    ends = first["high"], last["low"]
    return "\n".join(
        say_lines(
            TOGETHER,
            row=first["row"],
            count=len(rows),
            first=first["specification"],
            last=last["specification"],
            least=round(first["value"], places),
            most=round(last["value"], places),
            apart=None not in ends and ends[0] < ends[1],
            percent=f"{100 * result.level:g}",
        )
    )


def effect_amount(
    result: Comparison, row: Mapping[str, Any], *, sign: bool = False
) -> tuple[str, str]:
    """Return an effect and its interval: `2.1 %` and `1.2 to 3.0`.

    Both negated where it is below 0 and `sign` is false.
    """
    return row_amount(row, relative=result.relative, unit=result.measure.measured_in, sign=sign)


def row_amount(
    row: Mapping[str, Any], *, relative: bool, unit: str, sign: bool = False
) -> tuple[str, str]:
    """Return the same for a row with `effect`, `low` and `high`.

    Args:
        row: A contrast.
        relative: Whether it is a share.
        unit: The unit of an amount.
        sign: Whether to show the sign.
    """
    value, low, high = row["effect"], row["low"], row["high"]
    direction = -1 if value < 0 and not sign else 1
    ends = (value, value, value) if low is None else (value, low, high)
    value, low, high = (direction * end for end in ends)
    low, high = min(low, high), max(low, high)
    if not relative:
        texts = interval(value, low, high, unit, sign=sign)
    else:
        places = 1 if high - low >= 0.002 or high == low else 2
        plus = "+z" if sign else "z"
        least, most = (f"{100 * end:{plus}.{places}f}" for end in (low, high))
        useless = low < -UNBOUNDED < value or value < UNBOUNDED < high
        reach = "" if useless else f"{least} to {most}"
        texts = f"{100 * value:{plus}.{places}f} %", reach
    return texts[0], "" if row["low"] is None else texts[1]


def margin_text(margin: float | None, relative: bool, unit: str) -> str:
    """Return a margin, a share or an amount, for readers."""
    margin = margin or 0.0
    return f"{100 * margin:g} %" if relative else f"{margin:g} {unit}".strip()


def comparison_title(result: Comparison) -> str:
    """Return `5 models on m3_monthly by mase[m=12], 1,428 series`."""
    return say(TITLE, result, metric=_metric_name(result))


def _metric_name(result: Comparison) -> str:
    """Return the metric's full name where it is the same on all datasets."""
    return result.measure.name if len(set(result.metrics.values())) == 1 else result.measure.short


def rank_sentence(result: Comparison) -> str:
    """Return the result of Friedman's test; empty where it was not made."""
    return "" if result.ranks is None else say(RANKS, result.ranks, alpha=1 - result.level)


# A comparison as tables: for the terminal, and as a Markdown page.

BOARD = """model score median rank win_rate skill set_p best n n_undefined n_failed n_fallback
seconds"""
"""The columns of the leaderboard from left to right."""

ALONG = Declared.of(
    Column("rival", "text", title="rival", brief="rival"),
    Column("series", "count", title="series", brief="series"),
    Column(
        "fewest",
        "made",
        title="origins",
        brief="origins",
        show="{{ fewest }}{% if most != fewest %} to {{ most }}{% endif %}",
    ),
    Column("better_holm", "count", title="better, Holm", brief="better"),
    Column("worse_holm", "count", title="worse, Holm", brief="worse"),
    Column("better", "count", title="better, each alone"),
    Column("worse", "count", title="worse, each alone"),
)
"""Diebold-Mariano tests by rival: in how many series the subject is better, and worse."""

VERDICTS = {"unsure": "not told apart"}
"""The displayed words for verdicts, where they differ."""


def board_grid(result: Comparison) -> Grid:
    """Return the leaderboard on shared rows."""
    board = result.leaderboard
    scores = with_errors(board["mean"].to_list(), board["stderr"].to_list())
    losses: dict[str, Any] = {
        name: board[name].sum() for name in ("n_undefined", "n_failed", "n_fallback")
    }
    return declared_grid(
        LEADERBOARD,
        board.with_columns(score=Series(scores, dtype=pl.String)),
        result,
        columns=BOARD,
        own="{{ subject }}",
        caption="{{ title }}{% if datasets | length > 1 %}; means are over datasets{% endif %}:",
        title=comparison_title(result),
        metric=_metric_name(result),
        **losses,
    )


def with_amounts(rows: DataFrame, unit: str) -> DataFrame:
    """Return effects with their texts and those of their intervals, and verdicts in words.

    Args:
        rows: Pairs or contrasts; `relative` says which effects are shares.
        unit: The unit of the others.
    """
    texts = [
        row_amount(row, relative=row["relative"], unit=unit, sign=True) for row in rows.to_dicts()
    ]
    value, ends = ([text[place] for text in texts] for place in range(2))
    return rows.with_columns(
        Series("value", value, pl.String),
        Series("ends", ends, pl.String),
        col("verdict").replace(VERDICTS),
    )


def pairs_grid(result: Comparison) -> Grid:
    """Return the table of the subject against each rival."""
    rows = result.pairs.with_columns(relative=pl.lit(result.relative))
    names = "rival value ends p_holm p_value alike_holm wins wilcoxon_p independent method verdict"
    rows = with_amounts(rows, result.measure.measured_in)
    if "fixed_low" in rows.columns and rows["fixed_low"].count():
        once = rows.with_columns(low="fixed_low", high="fixed_high")
        rows = rows.with_columns(fixed=with_amounts(once, result.measure.measured_in)["ends"])
        names = names.replace("ends", "ends fixed")
    return declared_grid(
        PAIRS,
        rows,
        result,
        columns=names if result.margin is not None else names.replace("alike_holm ", ""),
        caption="{{ subject }} against each rival (above 0: it is better):",
        percent=f"{100 * result.level:g}",
        one_rival=False,
    )


def along_grid(result: Comparison) -> Grid | None:
    """Return the counts of Diebold-Mariano tests by rival.

    None where no series had enough origins.
    """
    if result.along.is_empty():
        return None
    better, worse = col("statistic") < 0, col("statistic") > 0
    holm, uncorrected = (col(p) < 1 - result.level for p in ("p_holm", "p_value"))
    counts = result.along.group_by("rival", maintain_order=True).agg(
        pl.len().alias("series"),
        col("origins").min().alias("fewest"),
        col("origins").max().alias("most"),
        (better & holm).sum().alias("better_holm"),
        (worse & holm).sum().alias("worse_holm"),
        (better & uncorrected).sum().alias("better"),
        (worse & uncorrected).sum().alias("worse"),
    )
    caption = """Series in which {{ subject }} is surely better or worse over time
    (Diebold-Mariano, Holm):"""
    return declared_grid(ALONG, counts, result, caption=caption)


def specification_grid(result: Comparison) -> Grid | None:
    """Return the table with specifications in columns, coefficients before fit; None if the task
    has none.
    """
    table = result.specifications
    if table.is_empty():
        return None
    names = table["specification"].unique(maintain_order=True).to_list()
    titles, cells = list[str](), list[list[str]]()
    for (title,), rows in table.group_by(["row"], maintain_order=True):
        numbers = with_errors(rows["value"].to_list(), rows["stderr"].to_list())
        by_name = dict(zip(rows["specification"], numbers, strict=True))
        titles.append(str(title))
        cells.append([by_name.get(name, "") for name in names])
    columns = [
        GridColumn(name, name, tuple(column))
        for name, column in zip(names, zip(*cells, strict=True), strict=True)
    ]
    return Grid(
        (GridColumn("estimate", "estimate ±", tuple(titles)), *columns), caption=f"{SPECIFIED}:"
    )


def comparison_grids(result: Comparison) -> Iterator[Grid]:
    """Yield the tables of a ranking, in reading order; none if models are not ranked."""
    if not result.ranked:
        return
    yield from (board_grid(result), pairs_grid(result))
    along = along_grid(result)
    if along is not None:
        yield along


def comparison_markdown(result: Comparison, command: str) -> str:
    """Return the comparison as a Markdown page: conclusion, tables, legend, and the command to
    repeat it.
    """
    sections = [
        f"# {comparison_title(result)}",
        comparison_sentence(result),
        *(f"_{note}_" for note in result.notes),
    ]
    specified = specification_grid(result)
    if specified:
        coefficients = f"![{COEFFICIENTS_CAPTION}](coefficients.png)"
        sections += [f"## {SPECIFIED}", specified.markdown(), coefficients]
    for place, grid in enumerate(comparison_grids(result)):
        sections += [
            f"## {grid.caption.rstrip(':')}" if place else "## Leaderboard",
            grid.markdown(),
        ]
        sections += ["![Effects against each rival](forest.png)"] if place == 1 else []
    picture = "![Mean ranks and the critical difference](critical_difference.png)"
    sections += ["## Ranks", rank_sentence(result), picture] if result.ranks else []
    sections += [
        "## What the columns mean",
        "\n".join(f"- {line}" for line in comparison_legend(result)),
    ]
    sections += ["## How to have it again", f"`{command}`", f"Runs: {', '.join(result.sources)}."]
    return "\n\n".join(sections) + "\n"


SPECIFIED = "Specifications, estimate ± standard error"
COEFFICIENTS_CAPTION = "Each coefficient with its 95 % interval, by specification"

TOGETHER_LEGEND = """
estimate ±: the estimate and one standard error, with the decimals of its row.

{% for row, meaning in meanings %}{{ row }}: {{ meaning }}.

{% endfor %}"""

LEGEND = """
{% if measure.explained %}`{{ measure.name }}`: {{ measure.explained }}.{% endif %}

better by: {{ "the share by which the subject's mean is better than the rival's" if relative
else "the difference of the means" }}, on the rows that all models answered.

interval: {{ (100 * level) | written("g") }} %, by {{ scope }}; in sentences it stands behind the
effect, and p behind it.

±: one standard error of the mean of one model alone, which says little of a difference.

p, Holm: of no difference, corrected for {{ family }} comparisons; the interval is of one
comparison.

{% if margin is not none %}p of a difference that matters: of one of the margin or more (two
one-sided tests), corrected too; small: alike.{% endif %}

{% if along | length %}Diebold-Mariano: with the correction of Harvey, Leybourne and Newbold; p,
Holm: of equal-weighted cosines (Coroneo and Iacone 2020), which hold their level with few origins
too.{% endif %}

{% if "independent" in pairs and pairs["independent"].count() %}worth: how many independent
observations would tell as much; {{ units }} share their
{{ "customers and days" if units == "rows" else "times" }}, so that a shock of one hits many of
them, and their ranks are not tested.{% endif %}

wins: the share of {{ units }} in which the model is the better one, ties half.

may be best: in the model confidence set (Hansen, Lunde and Nason 2011): no other is surely better.

{% if ranks %}rank: the mean over {{ ranks.called }}, 1 the best; ranks say nothing of how much
better.{% endif %}"""

SCOPE = """
{{ methods | join(", ") }}; it speaks of
{% if moments %}other moments of the same series
{%- else %}other {{ "customers and days" if units == "rows" else units }} like these
{%- if times %} and other times like these{% endif %}
{%- if of_seeds %} and other seeds{% endif %}
{%- if conditions %}, {{ conditions }}{% endif %}
{%- if trained is none %}; an earlier version made it, and without its runs nothing says what they
share{% endif %}
{%- if seeds | length == 1 and trained %}; the chance of training is not in it, for there is one
seed{% endif %}
{%- endif %}"""


def comparison_legend(result: Comparison) -> list[str]:
    """Return the meaning of the columns, and the limits of the numbers."""
    table = result.specifications
    meanings = (
        [
            (name, meaning)
            for name, meaning in table.select("row", "meaning")
            .unique(maintain_order=True)
            .iter_rows()
            if meaning
        ]
        if len(table)
        else []
    )
    together = say_lines(TOGETHER_LEGEND, meanings=meanings) if len(table) else []
    if not result.ranked:
        return together
    methods = list(dict.fromkeys(result.pairs["method"]))
    scope = say(
        SCOPE,
        result,
        methods=methods,
        moments=all(
            "over" in each and "origins" in each and result.units not in each for each in methods
        ),
        times=any("origins" in each for each in methods),
        of_seeds=any("seeds" in each for each in methods),
    )
    return [*say_lines(LEGEND, result, scope=scope), *together]


# A forest of effects: each with its interval on one axis, no difference as a line, and the
# margin as a band.

VERDICT_COLOURS = {
    "better": OWN_COLOUR,
    "worse": NAIVE_COLOUR,
    "alike": FLOOR_COLOUR,
    "unsure": GREY,
}
UNSURE_WORDS = {"unsure": "cannot be told"}
MOST_EFFECTS = 40
"""The most effects of a picture."""

LABEL_LINE, LABEL_LETTERS = 48, 140
"""The most letters of a line of a label, and of a label."""

LEAST_REACH = 0.01
"""The least that the axis reaches to each side of no difference, as a share: equal models are not
torn apart.
"""


def forest_of_effects(
    effects: Mapping[str, Mapping[str, Any]],
    title: str,
    *,
    relative: bool,
    unit: str,
    margin: float,
    level: float = 0.95,
) -> Figure:
    """Draw effects below each other.

    Args:
        effects: Rows with `effect`, `low`, `high` and `verdict` by the name of the rival or the
            contrast, from top to bottom; an interval that reaches below -1000 % ends there in an
            arrow.
        title: The title above the picture.
        relative: Whether effects are shares, drawn in percent.
        unit: The unit of effects that are none.
        margin: Half the width of the band within which an effect does not matter; 0 for no band.
        level: The confidence level of the intervals.
    """
    size = 100.0 if relative else 1.0
    labels = ["\n".join(_label_lines(drawable(label, LABEL_LETTERS))) for label in effects]
    figure = new_figure(
        10, 1.6 + 0.34 * len(effects) + 0.16 * sum(label.count("\n") for label in labels)
    )
    axes = figure.subplots()
    axes.axvspan(-size * margin, size * margin, color=LIGHT, alpha=0.5, zorder=0, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=1)
    for place, row in enumerate(effects.values()):
        effect, end, high, verdict = (row[name] for name in ("effect", "low", "high", "verdict"))
        colour = VERDICT_COLOURS[verdict.partition(",")[0]]
        if end is not None and high is not None:
            low = max(end, -UNBOUNDED) if relative and effect > -UNBOUNDED else end
            axes.plot(
                [size * low, size * high],
                [place, place],
                color=colour,
                linewidth=2.2,
                solid_capstyle="butt",
            )
            if low > end:
                axes.plot([size * low], [place], "<", color=colour, markersize=7)
        axes.plot([size * effect], [place], "o", color=colour, markersize=6)
        note_row(axes, place, UNSURE_WORDS.get(verdict, verdict), colour)
    axes.set_yticks(range(len(effects)), labels, parse_math=False, fontsize=9)
    axes.set_ylim(len(effects) - 0.4, -0.6)
    if relative:
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, -size * LEAST_REACH), max(right, size * LEAST_REACH))
    band = "; the band is the margin" if margin else ""
    across = f"better by, {'%' if relative else unit}; {100 * level:g} % intervals{band}"
    tidy(axes, "x", x=drawable(across, 120))
    headline(figure, title, 12)
    return figure


def _label_lines(label: str) -> list[str]:
    """Return a label in lines of at most `LABEL_LINE` letters, broken behind commas."""
    lines = [""]
    for piece in re.split(r"(?<=,)", label):
        lines = (
            [*lines[:-1], lines[-1] + piece]
            if len(lines[-1] + piece) <= LABEL_LINE
            else [*lines, piece]
        )
    return [line for line in lines if line]


def _distinct_labels(labels: Sequence[str]) -> list[str]:
    """Return labels such as `forecast/xgboost(trees=20,depth=6)` without the settings that all of
    the same model share.
    """
    parts = [label.removesuffix(")").partition("(") for label in labels]
    settings = [tuple(rest.split(",")) if rest else () for _, _, rest in parts]
    shown = []
    for (model, _, _), changes in zip(parts, settings, strict=True):
        alike = [
            set(other) for (name, _, _), other in zip(parts, settings, strict=True) if name == model
        ]
        differing = [each for each in changes if not all(each in other for other in alike)]
        shown.append(f"{model}({','.join(differing)})" if differing else model)
    return shown if len(set(shown)) == len(set(labels)) else list(labels)


def comparison_figure(result: Comparison) -> Figure | None:
    """Draw the effects of a comparison's subject against each rival.

    None where no effect is known.
    """
    rows = [row for row in result.pairs.head(MOST_EFFECTS).to_dicts() if row["effect"] is not None]
    if not rows:
        return None
    subject, *rivals = _distinct_labels([result.subject, *(row["rival"] for row in rows)])
    return forest_of_effects(
        dict(zip(rivals, rows, strict=True)),
        f"{drawable(subject, 60)} against each rival by {result.measure.name}",
        relative=result.relative,
        unit=result.measure.measured_in,
        margin=result.margin or 0.0,
        level=result.level,
    )


# coefficients.png: each coefficient of every specification with its interval.

MOST_COEFFICIENTS = 6
"""The most coefficients of a picture, the first ones."""


def coefficients_figure(result: Comparison) -> Figure | None:
    """Draw the coefficients with their intervals, each on an axis of its own; None without any."""
    table = result.specifications
    if table.is_empty():
        return None
    rows = table.filter(~col("is_fit"), col("value").is_not_null(), col("low").is_not_null())
    titles = rows["row"].unique(maintain_order=True).head(MOST_COEFFICIENTS).to_list()
    names = table["specification"].unique(maintain_order=True).head(MOST_EFFECTS).to_list()
    if not titles:
        return None
    figure = new_figure(10, 0.9 + len(titles) * (0.75 + 0.24 * len(names)))
    panels = figure.subplots(len(titles), 1, squeeze=False)[:, 0]
    for axes, title in zip(panels, titles, strict=True):
        _draw_coefficient(axes, rows.filter(row=title), names, result.subject)
        tidy(axes, "x", title=drawable(title, 80))
    headline(figure, f"Coefficients and {100 * result.level:g} % intervals by specification", 12)
    return figure


def _draw_coefficient(axes: Axes, rows: DataFrame, names: Sequence[str], subject: str) -> None:
    axes.axvline(0, color=GREY, linewidth=1)
    for row in rows.filter(col("specification").is_in(names)).to_dicts():
        place = names.index(row["specification"])
        own = row["specification"].partition(", ")[0] == subject
        colour = OWN_COLOUR if own else INK
        ends = [row["low"], row["high"]]
        axes.plot(ends, [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot([row["value"]], [place], "o", color=colour, markersize=6)
    labels = [drawable(name, LABEL_LINE) for name in names]
    axes.set_yticks(range(len(names)), labels, parse_math=False, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)


# contrasts.png: the effect of every contrast with its interval, and the margin within which it
# does not matter.


def contrasts_figure(study: StudyResult) -> Figure | None:
    """Draw the contrasts; None where effects are both shares and amounts."""
    if study.contrasts["relative"].n_unique() != 1:
        return None
    rows = study.contrasts.head(MOST_EFFECTS).to_dicts()
    return forest_of_effects(
        {row["contrast"]: row for row in rows},
        f"{study.plan['model']} by {study.plan['metric']}",
        relative=bool(rows[0]["relative"]),
        unit=study.unit,
        margin=study.plan["margin"],
    )


# critical_difference.png: mean ranks on a line, models that cannot be told apart joined by a
# bar.

MOST_RANKED = 24
"""The most models of a diagram, the best ones."""


def critical_difference_figure(comparison: Comparison) -> Figure | None:
    """Draw the diagram of Demsar (2006); None where there are no ranks."""
    test = comparison.ranks
    if test is None:
        return None
    ranked = sorted(test.ranks.items(), key=lambda item: item[1])[:MOST_RANKED]
    bars = cliques([rank for _, rank in ranked], test.critical_difference)
    rows = max((len(ranked) + 1) // 2, 1)
    figure = new_figure(10, 1.9 + 0.3 * rows + 0.14 * len(bars))
    axes = figure.subplots()
    low, high = max(floor(ranked[0][1]), 1), max(ceil(ranked[-1][1]), floor(ranked[0][1]) + 1)
    _rank_axis(axes, low, high, test.critical_difference)
    depth = 0.55 + 0.28 * len(bars)
    for place, (begin, end) in enumerate(bars):
        y = -0.35 - 0.28 * place
        reach = 0.005 * (high - low)
        span = [ranked[begin][1] - reach, ranked[end][1] + reach]
        axes.plot(span, [y, y], color=INK, linewidth=4, solid_capstyle="butt")
    half = (len(ranked) + 1) // 2
    for place, (model, rank) in enumerate(ranked):
        left = place < half
        y = -depth - 0.42 * (place if left else len(ranked) - 1 - place)
        _draw_model(axes, model, rank, y, (low, high), left=left, bold=model == comparison.subject)
    axes.set_ylim(-depth - 0.42 * rows, 1.25)
    axes.axis("off")
    shown = (
        f", the best {MOST_RANKED} of {len(test.ranks)}" if len(test.ranks) > MOST_RANKED else ""
    )
    text = (
        f"Mean rank over {test.blocks:,} {test.called}{shown}; bars join models that cannot be "
        f"told apart at 5 % (Nemenyi)"
    )
    headline(figure, text, 12)
    return figure


def cliques(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Return the longest runs of models, in the order of ranks, whose ends differ by at most the
    critical difference.
    """
    runs: list[tuple[int, int]] = []
    for begin, rank in enumerate(ranks):
        end = max(place for place in range(len(ranks)) if ranks[place] - rank <= difference)
        if end > begin and (not runs or end > runs[-1][1]):
            runs.append((begin, end))
    return runs


def _rank_axis(axes: Axes, low: float, high: float, difference: float) -> None:
    axes.plot([low, high], [0, 0], color=INK, linewidth=1.2)
    for tick in range(int(low), int(high) + 1):
        axes.plot([tick, tick], [0, 0.12], color=INK, linewidth=1.2)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=9.5, color=INK)
    axes.plot([low, low + difference], [0.75, 0.75], color=GREY, linewidth=2)
    for end in (low, low + difference):
        axes.plot([end, end], [0.68, 0.82], color=GREY, linewidth=2)
    axes.text(
        low + difference,
        0.75,
        f"  critical difference {difference:.2f}",
        va="center",
        fontsize=9.5,
        color=GREY,
    )
    width = high - low
    axes.set_xlim(low - 0.45 * width, high + 0.45 * width)


def _draw_model(
    axes: Axes,
    model: str,
    rank: float,
    y: float,
    ends: tuple[float, float],
    *,
    left: bool,
    bold: bool,
) -> None:
    low, high = ends
    edge = low - 0.04 * (high - low) if left else high + 0.04 * (high - low)
    colour = OWN_COLOUR if bold else GREY
    axes.plot(
        [rank, rank, edge],
        [0, y, y],
        color=colour if bold else LIGHT,
        linewidth=1.6 if bold else 1.2,
        zorder=1,
    )
    axes.plot([rank], [0], "o", color=colour, markersize=5, zorder=3)
    text = f"{drawable(model, 34)}  {rank:.2f}" if left else f"{rank:.2f}  {drawable(model, 34)}"
    weight = "bold" if bold else "normal"
    axes.text(
        edge,
        y,
        f"{text} " if left else f" {text}",
        ha="right" if left else "left",
        va="center",
        fontsize=9.5,
        color=colour if bold else INK,
        fontweight=weight,
        parse_math=False,
    )
