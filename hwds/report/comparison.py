"""A comparison: its conclusion, its tables, its forest of effects and its mean ranks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import polars as pl

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
    new_figure,
    tidy,
)
from hwds.results.comparison import Comparison, StudyResult
from hwds.results.formatting import (
    UNBOUNDED,
    column_texts,
    counted,
    duration,
    interval,
    p_value_text,
    with_errors,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The conclusion of a comparison: effects with their intervals, sure differences, and rivals
# that cannot be told apart.

MOST_NAMED = 3
"""The most rivals of one kind that a sentence names."""


def comparison_sentence(result: Comparison) -> str:
    """Return the subject's result against its rivals: `stack beats theta by 2.1 % (1.2 to 3.0),
    sure after correction ...`.
    """
    rows = result.pairs.to_dicts()
    better = [row for row in rows if row["verdict"].startswith("better")][::-1]
    worse = [row for row in rows if row["verdict"].startswith("worse")][::-1]
    parts = [*_beats(result, better, len(rows)), *_loses(result, worse)]
    sure = f", {_sure_phrase(result)}" if parts else ""
    alike = [row["rival"] for row in rows if row["verdict"] == "alike"]
    unsure = [row["rival"] for row in rows if row["verdict"] == "unsure"]
    rest = [f"is as good as {_listed(alike)} to within {_margin_phrase(result)}"] if alike else []
    rest += [f"cannot be told from {_listed(unsure)}{_why_unsure(rows)}"] if unsure else []
    head = f"{result.subject}{', the best here,' if result.chosen == 'best' else ''} "
    return f"{head}{' and '.join(parts)}{sure}{'; ' if parts and rest else ''}{'; '.join(rest)}."


def _why_unsure(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the reason why nothing can be told; empty where something could be."""
    reasons = {row["method"] for row in rows}
    return (
        f": {reasons.pop()}"
        if len(reasons) == 1 and all(reason.endswith("cannot tell") for reason in reasons)
        else ""
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
    turn = -1 if value < 0 and not sign else 1
    ends = (value, value, value) if low is None else (value, low, high)
    value, low, high = (turn * end for end in ends)
    low, high = min(low, high), max(low, high)
    if not relative:
        texts = interval(value, low, high, unit, sign=sign)
    else:
        places = 1 if high - low >= 0.002 or high == low else 2
        plus = "+z" if sign else "z"
        least, most = (f"{100 * end:{plus}.{places}f}" for end in (low, high))
        least = f"below -{100 * UNBOUNDED:.0f}" if low < -UNBOUNDED < value else least
        most = f"above {100 * UNBOUNDED:.0f}" if high > UNBOUNDED > value else most
        texts = f"{100 * value:{plus}.{places}f} %", f"{least} to {most}"
    return texts[0], "" if row["low"] is None else texts[1]


def comparison_title(result: Comparison) -> str:
    """Return `5 models on m3_monthly by mase[m=12], 1,428 series`."""
    datasets = (
        result.datasets[0] if len(result.datasets) == 1 else f"{len(result.datasets)} datasets"
    )
    metric = result.measure.name if len(set(result.metrics.values())) == 1 else result.measure.short
    n = counted(int(result.leaderboard["n"][0]), result.units)
    seeds = (
        f", {counted(len(result.seeds), 'seeds')}"
        if len(result.seeds) > 1 and result.units != "worlds"
        else ""
    )
    models = counted(len(result.leaderboard), "models")
    return f"{models} on {datasets} by {metric} ({result.measure.better}er is better), {n}{seeds}"


def rank_sentence(result: Comparison) -> str:
    """Return the result of Friedman's test; empty where it was not made."""
    test = result.ranks
    if test is None:
        return ""
    p = "< 0.0001" if test.p_value < 0.0001 else f"= {test.p_value:.4f}"
    said = "differ" if test.p_value < 1 - result.level else "cannot be told apart"
    return (
        f"Over {counted(test.blocks, test.called)} the ranks {said} (Friedman: chi-square "
        f"{test.statistic:.1f}, p {p});"
        f" two mean ranks differ where they are {test.critical_difference:.2f} apart (Nemenyi, 5 "
        f"%)."
    )


def _beats(result: Comparison, rows: Sequence[dict[str, Any]], rivals: int) -> list[str]:
    """Return the rivals that it beats, the closest first."""
    if not rows:
        return []
    if len(rows) <= MOST_NAMED:
        return [f"beats {_with_amounts(result, rows)}"]
    whom = f"all {rivals} rivals" if len(rows) == rivals else f"{len(rows)} rivals"
    return [f"beats {whom}, the closest of them {_with_amounts(result, rows[:1])}"]


def _loses(result: Comparison, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rivals that it loses to, the farthest first."""
    if not rows:
        return []
    if len(rows) <= MOST_NAMED:
        return [f"is worse than {_with_amounts(result, rows)}"]
    return [f"is worse than {len(rows)} rivals, most of all {_with_amounts(result, rows[:1])}"]


def _with_amounts(result: Comparison, rows: Sequence[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        value, ends = effect_amount(result, row)
        small = (
            f", which is within {_margin_phrase(result)}"
            if row["verdict"].endswith("alike")
            else ""
        )
        p_value = "" if row["p_holm"] is None else f", p {p_value_text(row['p_holm'])}"
        sure = f" ({100 * result.level:g} %: {ends}{p_value})" if ends else ""
        parts.append(f"{row['rival']} by {value}{sure}{small}")
    return _listed(parts, len(parts))


def _sure_phrase(result: Comparison) -> str:
    if result.family == 1:
        return "sure"
    pairs = " of all pairs" if result.chosen == "best" else ""
    return f"sure after correction for {result.family} comparisons{pairs}"


def _margin_phrase(result: Comparison) -> str:
    margin = result.margin or 0.0
    return (
        f"{100 * margin:g} %"
        if result.relative
        else f"{margin:g} {result.measure.measured_in}".strip()
    )


def _listed(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """`a`, `a and b`, `a, b and 3 more`."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


# A comparison as tables: for the terminal, and as a Markdown page.

VERDICTS = {"unsure": "not told apart"}
"""The displayed words for verdicts, where they differ."""


def board_grid(result: Comparison) -> Grid:
    """Return the leaderboard on shared rows."""
    board = result.leaderboard
    metric = result.measure.name if len(set(result.metrics.values())) == 1 else result.measure.short
    several = len(result.datasets) > 1
    columns = {
        ("model", "model"): board["model"].to_list(),
        (f"{metric}, mean ± s.e.", f"{_two_lines(metric)} ±"): with_errors(
            board["mean"].to_list(), board["stderr"].to_list()
        ),
        ("median", ""): column_texts(board["median"].to_list()),
        (
            f"mean rank over {result.ranks.called if result.ranks else result.units}",
            "rank",
        ): _fixed_texts(board["rank"], 2),
        (f"wins against the others, % of {result.units}", "wins\n%"): _fixed_texts(
            100 * board["win_rate"], 0
        ),
        (f"skill against {result.measure.rival}, %", "skill\n%"): _fixed_texts(
            100 * board["skill"], 1, "+"
        ),
        ("model confidence set, p", ""): [_p_text(p) for p in board["set_p"]],
        ("may be the best", "may be\nbest"): [
            _may_be_best(p, result.level) for p in board["set_p"]
        ],
        (result.units, result.units): [f"{n:,}" for n in board["n"]],
        ("undefined", "undefined" if board["n_undefined"].sum() else ""): _count_texts(
            board["n_undefined"]
        ),
        ("failed", "failed" if board["n_failed"].sum() else ""): _count_texts(board["n_failed"]),
        ("fallback", "fallback" if board["n_fallback"].sum() else ""): _count_texts(
            board["n_fallback"]
        ),
        ("time", "time"): [duration(seconds) for seconds in board["seconds"]],
    }
    rows = list(zip(*columns.values(), strict=True))
    caption = f"{comparison_title(result)}{'; means are over datasets' if several else ''}:"
    return grid_of(list(columns), rows, own=result.subject, caption=caption)


def pairs_grid(result: Comparison) -> Grid:
    """Return the table of the subject against each rival: effect first, then interval, then p."""
    rows = []
    for row in result.pairs.to_dicts():
        value, interval = effect_amount(result, row, sign=True)
        alike = [_p_text(row["alike_holm"])] if result.margin is not None else []
        wins = "" if row["wins"] is None else f"{100 * row['wins']:.0f}"
        verdict = VERDICTS.get(row["verdict"], row["verdict"])
        rows.append(
            [
                row["rival"],
                value,
                interval,
                _p_text(row["p_holm"]),
                _p_text(row["p_value"]),
                *alike,
                wins,
                _p_text(row["wilcoxon_p"]),
                _independent_text(row.get("independent")),
                row["method"],
                verdict,
            ]
        )
    level = f"{100 * result.level:g} %"
    titles = [
        ("rival", "rival"),
        ("better by", "better by"),
        (f"{level} interval", f"{level} interval"),
        ("p, Holm", "p\nHolm"),
    ]
    titles += [("p, alone", "")]
    titles += [("p of a difference that matters, Holm", "")] if result.margin is not None else []
    titles += [
        (f"wins, % of {result.units}", "wins\n%"),
        ("p, Wilcoxon", ""),
        ("worth", ""),
        ("interval by", ""),
        ("verdict", "verdict"),
    ]
    caption = f"{result.subject} against each rival (above 0: it is better):"
    return grid_of(titles, rows, caption=caption)


def _independent_text(independent: float | None) -> str:
    return "" if independent is None else f"{independent:,.0f}"


def along_grid(result: Comparison) -> Grid | None:
    """Return the counts of Diebold-Mariano tests by rival.

    None where no series had enough origins.
    """
    if result.along.is_empty():
        return None
    alpha, rows = 1 - result.level, []
    for (rival,), part in result.along.group_by(["rival"], maintain_order=True):
        origins = dict.fromkeys((part["origins"].min(), part["origins"].max()))
        counts = [_sides(part.filter(pl.col(p) < alpha)) for p in ("p_holm", "p_value")]
        rows.append(
            [str(rival), f"{len(part):,}", " to ".join(map(str, origins)), *counts[0], *counts[1]]
        )
    titles = [(name, name) for name in ("rival", "series", "origins")]
    titles += [
        ("better, Holm", "better"),
        ("worse, Holm", "worse"),
        ("better, each alone", ""),
        ("worse, each alone", ""),
    ]
    caption = (
        f"Series in which {result.subject} is surely better or worse over time "
        f"(Diebold-Mariano, Holm):"
    )
    return grid_of(titles, rows, caption=caption)


def _sides(sure: pl.DataFrame) -> tuple[str, str]:
    """Return the numbers of series in which the subject is better, and worse."""
    return f"{int((sure['statistic'] < 0).sum()):,}", f"{int((sure['statistic'] > 0).sum()):,}"


def comparison_grids(result: Comparison) -> Iterator[Grid]:
    """Yield all tables, in reading order."""
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


def comparison_legend(result: Comparison) -> Iterator[str]:
    """Yield the meaning of the columns, and the limits of the numbers."""
    if result.measure.explained:
        yield f"`{result.measure.name}`: {result.measure.explained}."
    shares = "the share by which the subject's mean is better than the rival's"
    yield (
        f"better by: {shares if result.relative else 'the difference of the means'}, on the "
        f"rows that all models answered."
    )
    yield (
        f"interval: {100 * result.level:g} %, by {_scope(result)}; in sentences it stands "
        f"behind the effect, and p behind it."
    )
    yield "±: one standard error of the mean of one model alone, which says little of a difference."
    yield (
        f"p, Holm: of no difference, corrected for {result.family} comparisons; the interval is "
        f"of one comparison."
    )
    if result.margin is not None:
        yield (
            "p of a difference that matters: of one of the margin or more (two one-sided "
            "tests), corrected too; small: alike."
        )
    if len(result.along):
        cosines = (
            "p, Holm: of equal-weighted cosines (Coroneo and Iacone 2020), which hold their "
            "level with few origins too"
        )
        yield f"Diebold-Mariano: with the correction of Harvey, Leybourne and Newbold; {cosines}."
    if "independent" in result.pairs.columns and result.pairs["independent"].count():
        times = "customers and days" if result.units == "rows" else "times"
        shared = f"{result.units} share their {times}, so that a shock of one hits many of them"
        yield (
            f"worth: how many independent observations would tell as much; {shared}, and their "
            f"ranks are not tested."
        )
    yield f"wins: the share of {result.units} in which the model is the better one, ties half."
    yield (
        "may be best: in the model confidence set (Hansen, Lunde and Nason 2011): no other is "
        "surely better."
    )
    if result.ranks:
        yield (
            f"rank: the mean over {result.ranks.called}, 1 the best; ranks say nothing of how "
            f"much better."
        )


def _scope(result: Comparison) -> str:
    """Return the methods of the intervals, and the population that they speak of."""
    made = list(dict.fromkeys(result.pairs["method"]))
    if all(
        "over" in method and "origins" in method and result.units not in method for method in made
    ):
        return f"{', '.join(made)}; it speaks of other moments of the same series"
    of = (
        [f"other {result.units} like these"]
        if result.units != "rows"
        else ["other customers and days like these"]
    )
    of += ["other times like these"] if any("origins" in method for method in made) else []
    of += ["other seeds"] if any("seeds" in method for method in made) else []
    same = f", {result.conditions}" if result.conditions else ""
    if result.trained is None:
        same += "; an earlier version made it, and without its runs nothing says what they share"
    training = (
        "; the chance of training is not in it, for there is one seed"
        if len(result.seeds) == 1 and result.trained
        else ""
    )
    return f"{', '.join(made)}; it speaks of {' and '.join(of)}{same}{training}"


def _fixed_texts(values: pl.Series, places: int, sign: str = "") -> list[str]:
    return ["" if value is None else f"{value:{sign}.{places}f}" for value in values]


def _count_texts(values: pl.Series) -> list[str]:
    return [f"{value:,}" for value in values]


def _p_text(value: float | None) -> str:
    return "" if value is None else p_value_text(value)


def _may_be_best(p: float | None, level: float) -> str:
    return "" if p is None else "yes" if p > 1 - level else "no"


def _two_lines(metric: str) -> str:
    """Return a title of two lines: `mase` above `[m=12]`."""
    return metric.replace("[", "\n[", 1).replace("@", "\n@", 1)


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


@dataclass(frozen=True)
class ForestEffect:
    """One effect.

    Attributes:
        label: The name of the rival or the contrast.
        effect: The effect, above 0 where the subject is better.
        low: The lower end of its interval; None where there is none.
        high: The upper end.
        verdict: `better`, `worse`, `alike`, `unsure`, or two of them.
    """

    label: str
    effect: float
    low: float | None
    high: float | None
    verdict: str


def forest_of_effects(
    effects: Sequence[ForestEffect],
    title: str,
    *,
    relative: bool,
    unit: str,
    margin: float,
    level: float = 0.95,
) -> Figure:
    """Draw effects below each other.

    Args:
        effects: From top to bottom; an interval that reaches below -1000 % ends there in an arrow.
        title: Above the picture.
        relative: Whether effects are shares, drawn in percent.
        unit: The unit of effects that are none.
        margin: Half the width of the band within which an effect does not matter; 0 for no band.
        level: The confidence level of the intervals.
    """
    size = 100.0 if relative else 1.0
    labels = ["\n".join(_label_lines(drawable(row.label, LABEL_LETTERS))) for row in effects]
    figure = new_figure(
        10, 1.6 + 0.34 * len(effects) + 0.16 * sum(label.count("\n") for label in labels)
    )
    axes = figure.subplots()
    axes.axvspan(-size * margin, size * margin, color=LIGHT, alpha=0.5, zorder=0, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=1)
    for place, row in enumerate(effects):
        colour = VERDICT_COLOURS[row.verdict.partition(",")[0]]
        if row.low is not None and row.high is not None:
            low = max(row.low, -UNBOUNDED) if relative and row.effect > -UNBOUNDED else row.low
            axes.plot(
                [size * low, size * row.high],
                [place, place],
                color=colour,
                linewidth=2.2,
                solid_capstyle="butt",
            )
            if low > row.low:
                axes.plot([size * low], [place], "<", color=colour, markersize=7)
        axes.plot([size * row.effect], [place], "o", color=colour, markersize=6)
        verdict = UNSURE_WORDS.get(row.verdict, row.verdict)
        axes.text(
            1.01,
            place,
            verdict,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
            color=colour,
        )
    axes.set_yticks(range(len(effects)), labels, parse_math=False, fontsize=9)
    axes.set_ylim(len(effects) - 0.4, -0.6)
    if relative:
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, -size * LEAST_REACH), max(right, size * LEAST_REACH))
    band = "; the band is the margin" if margin else ""
    axes.set_xlabel(
        drawable(f"better by, {'%' if relative else unit}; {100 * level:g} % intervals{band}", 120),
        fontsize=9,
        color=INK,
    )
    tidy(axes, "x")
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
    for (model, _, _), own in zip(parts, settings, strict=True):
        alike = [
            set(other) for (name, _, _), other in zip(parts, settings, strict=True) if name == model
        ]
        differing = [each for each in own if not all(each in other for other in alike)]
        shown.append(f"{model}({','.join(differing)})" if differing else model)
    return shown if len(set(shown)) == len(set(labels)) else list(labels)


def comparison_figure(result: Comparison) -> Figure | None:
    """Draw the effects of a comparison's subject against each rival.

    None where no effect is known.
    """
    rows = [row for row in result.pairs.head(MOST_EFFECTS).to_dicts() if row["effect"] is not None]
    effects = [
        ForestEffect(row["rival"], *(row[name] for name in ("effect", "low", "high", "verdict")))
        for row in rows
    ]
    labels = [result.subject, *(each.label for each in effects)]
    called = dict(zip(labels, _distinct_labels(labels), strict=True))
    title = f"{drawable(called[result.subject], 60)} against each rival by {result.measure.name}"
    effects = [replace(each, label=called[each.label]) for each in effects]
    unit, margin = result.measure.measured_in, result.margin or 0.0
    if not effects:
        return None
    return forest_of_effects(
        effects, title, relative=result.relative, unit=unit, margin=margin, level=result.level
    )


# contrasts.png: the effect of every contrast with its interval, and the margin within which it
# does not matter.


def contrasts_figure(study: StudyResult) -> Figure | None:
    """Draw the contrasts; None where effects are both shares and amounts."""
    if study.contrasts["relative"].n_unique() != 1:
        return None
    rows = study.contrasts.head(MOST_EFFECTS).to_dicts()
    effects = [
        ForestEffect(*(row[name] for name in ("contrast", "effect", "low", "high", "verdict")))
        for row in rows
    ]
    title, margin = f"{study.plan['model']} by {study.plan['metric']}", study.plan["margin"]
    return forest_of_effects(
        effects, title, relative=bool(rows[0]["relative"]), unit=study.unit, margin=margin
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
    low, high = _axis_ends([rank for _, rank in ranked])
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
        _draw_model(axes, model, rank, y, (low, high), left=left, own=model == comparison.subject)
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


def _axis_ends(ranks: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis: whole ranks around those shown."""
    return max(floor(min(ranks)), 1), max(ceil(max(ranks)), floor(min(ranks)) + 1)


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
    own: bool,
) -> None:
    low, high = ends
    edge = low - 0.04 * (high - low) if left else high + 0.04 * (high - low)
    colour = OWN_COLOUR if own else GREY
    axes.plot(
        [rank, rank, edge],
        [0, y, y],
        color=colour if own else LIGHT,
        linewidth=1.6 if own else 1.2,
        zorder=1,
    )
    axes.plot([rank], [0], "o", color=colour, markersize=5, zorder=3)
    text = f"{drawable(model, 34)}  {rank:.2f}" if left else f"{rank:.2f}  {drawable(model, 34)}"
    weight = "bold" if own else "normal"
    axes.text(
        edge,
        y,
        f"{text} " if left else f" {text}",
        ha="right" if left else "left",
        va="center",
        fontsize=9.5,
        color=colour if own else INK,
        fontweight=weight,
        parse_math=False,
    )
