"""Pictures of a sweep: trials, rungs, the Pareto front, and the importance of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.extras import install_command, missing_modules
from hwds.report.grid import Grid, declared_grid, grid_of
from hwds.report.pictures import (
    GREY,
    INK,
    LIGHT,
    OWN_COLOUR,
    drawable,
    headline,
    name_rows,
    new_figure,
    plain_numbers,
    save_png,
    tidy,
)
from hwds.report.sweep import (
    RunningScores,
    SweepResult,
    axis_places,
    first_scores,
    setting_cell,
    setting_titles,
    settings_matrix,
    varied_settings,
)
from hwds.report.words import say
from hwds.results.formatting import brief, column_texts, counted
from hwds.results.tables import Column, Declared, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The share of the spread of scores that each setting explains: functional analysis of variance
# of a forest.

TREES = 200
SHARES_LEVEL = 0.9
"""The level of the intervals, which are taken over the trees: each was grown on other trials."""
OUTLYING = 3.0
"""Quartile distances above the median beyond which a bad score counts as no worse: a trial that
diverged is one trial.
"""


@dataclass(frozen=True, slots=True, eq=False)
class VarianceShares:
    """The variance shares that a forest gives the settings.

    Attributes:
        share: The share of the variance of the scores that each setting explains alone, shape
            (settings,);
            the rest is of several.
        low: The lower ends of their intervals.
        high: The upper ends.
        fit: The share of the variance that the forest explains of trials that a tree has not seen
            (out of bag); 1 is all.
    """

    share: ndarray
    low: ndarray
    high: ndarray
    fit: float


def setting_shares(settings: ndarray, scores: ndarray) -> VarianceShares:
    """Return the main effects of settings on scores.

    After Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing hyperparameter
    importance". A setting's values count as often as they were tried, whatever the others were, so
    that words, logarithms and unused ones need no care.

    Args:
        settings: Numbers, of words their places, shape (trials, settings).
        scores: The lower the better, shape (trials,).
    """
    from sklearn.ensemble import RandomForestRegressor

    middle, quarter, most = np.quantile(scores, [0.5, 0.25, 0.75])
    capped = np.minimum(scores, middle + OUTLYING * (most - quarter))
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, oob_score=True, random_state=0)
    forest.fit(settings, capped)
    found = np.array([_main_effects(tree.tree_, settings) for tree in forest.estimators_])
    low, high = np.quantile(found, [(1 - SHARES_LEVEL) / 2, (1 + SHARES_LEVEL) / 2], axis=0)
    return VarianceShares(found.mean(axis=0), low, high, float(forest.oob_score_))


def _main_effects(tree: Any, settings: ndarray) -> ndarray:
    """Return the share of a tree's variance that each setting explains alone, shape (settings,).

    0 for a tree of one leaf.
    """
    counted = [np.unique(column, return_counts=True) for column in settings.T]
    weights = [counts / len(settings) for _, counts in counted]
    leaves = list(_leaves(tree, [values for values, _ in counted]))
    values = np.array([value for value, _ in leaves])
    inside = [
        np.array([boxes[place] for _, boxes in leaves]) for place in range(len(counted))
    ]  # (leaves, values)
    parts = np.array(
        [box @ weight for box, weight in zip(inside, weights, strict=True)]
    )  # (settings, leaves)
    volume = parts.prod(axis=0)
    mean = volume @ values
    whole = volume @ (values - mean) ** 2
    if whole <= 0:
        return np.zeros(len(counted))
    marginal = [
        (values * volume / part) @ box - mean for box, part in zip(inside, parts, strict=True)
    ]
    return (
        np.array([weight @ effect**2 for weight, effect in zip(weights, marginal, strict=True)])
        / whole
    )


def _leaves(tree: Any, points: list[ndarray]) -> Iterator[tuple[float, list[ndarray]]]:
    """Yield the value of each leaf, and which of the known values of each setting lead to it."""
    waiting = [(0, [np.ones(len(values), bool) for values in points])]
    while waiting:
        node, boxes = waiting.pop()
        if tree.children_left[node] < 0:
            yield float(tree.value[node].ravel()[0]), boxes
            continue
        place = tree.feature[node]
        below = points[place] <= tree.threshold[node]
        for child, side in ((tree.children_left[node], below), (tree.children_right[node], ~below)):
            waiting.append((child, [*boxes[:place], boxes[place] & side, *boxes[place + 1 :]]))


# The importance of a sweep's settings, in words and as a table; or the reason why it cannot be
# estimated.

LEAST_TRIALS = 10
"""The least number of trials with a score for an estimate."""
TRIALS_A_SETTING = 4
"""The least number of trials for each setting."""


@dataclass(frozen=True, slots=True, eq=False)
class SettingsImportance:
    """The importance of each setting.

    Attributes:
        shares: A row a setting, the most important first: `setting`, its `share` in the spread of
            scores, and the ends of its interval, `low` and `high`; None where there is no estimate.
        fit: The share of the spread that the forest foretells of trials that it has not seen.
        windows: The number of windows after which trials were compared.
        refused: The reason why there is no estimate; empty where there is one.
    """

    shares: DataFrame | None = None
    fit: float = 0.0
    windows: int = 0
    refused: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the plain values for `sweep.json`."""
        if self.shares is None:
            return {"refused": self.refused}
        settings = {row.pop("setting"): row for row in self.shares.to_dicts()}
        return {"settings": settings, "explained": self.fit, "windows": self.windows}


def importance_of(result: SweepResult, runs: RunningScores) -> SettingsImportance:
    """Return the share of each setting in the spread of the scores after the first rung, which all
    trials have reached.
    """
    table = first_scores(result, runs).filter(col("first").is_not_null())
    names = varied_settings(table)
    if not names:
        return SettingsImportance(
            refused="No setting differs between the trials that have a score."
        )
    least = max(LEAST_TRIALS, TRIALS_A_SETTING * len(names))
    if len(table) < least:
        needed = (
            f"with {counted(len(names), 'settings')} at least {least} are needed to say "
            f"which mattered"
        )
        return SettingsImportance(
            refused=f"{counted(len(table), 'trials')} have a score; {needed}."
        )
    if missing_modules(("sklearn",)):
        return SettingsImportance(
            refused=f"Which setting mattered is told by a forest of scikit-learn: "
            f"{install_command(('sklearn',))}."
        )
    sign = -1.0 if result.better == "high" else 1.0
    shares = setting_shares(settings_matrix(table, names), sign * table["first"].to_numpy())
    windows = int(table["compared"][0])
    if shares.fit <= 0:
        return SettingsImportance(
            refused=f"The settings do not foretell the scores after {windows} windows of trials "
            f"that were left out of the fit"
            f" (R² {shares.fit:.2f}), so that none can be said to matter."
        )
    parts = {"setting": names, "share": shares.share, "low": shares.low, "high": shares.high}
    rows = DataFrame(parts).sort("share", descending=True, maintain_order=True)
    return SettingsImportance(rows, shares.fit, windows)


IMPORTANCE = """
{%- if settings is defined %}Shares in the spread of scores:
{% for name, of in settings.items() -%}
{{ name }} {{ of.share | share(0) }} % ({{ of.low | share(0) }} to {{ of.high | share(0) }})
{{- ", " if not loop.last }}
{%- endfor %}; a forest foretells {{ explained | share(0) }} % of it.
{%- else %}{{ refused | default("") }}{% endif %}"""

SHARES = Declared.of(
    Column("setting", "text", title="setting", brief="setting"),
    Column(
        "share", "made", title="share of the spread", brief="share", show="{{ share | share(0) }} %"
    ),
    Column(
        "ends",
        "made",
        title="{{ level | share(0) }} % of the trees",
        brief="90 % of trees",
        show="{{ low | share(0) }} to {{ high | share(0) }} %",
    ),
)


def importance_sentence(data: Mapping[str, Any]) -> str:
    """Return the importance in one sentence, from the values of `as_dict`."""
    return say(IMPORTANCE, data)


def settings_importance_grid(importance: SettingsImportance) -> Grid:
    """Return the shares as a table."""
    assert importance.shares is not None
    return declared_grid(SHARES, importance.shares, level=SHARES_LEVEL)


def importance_page(importance: SettingsImportance) -> str:
    """Return the section of the Markdown page."""
    if importance.shares is None:
        return f"## What mattered\n\n{importance.refused}\n"
    left = max(1 - float(importance.shares["share"].sum()), 0.0)
    windows = f"{importance.windows} windows" if importance.windows > 1 else "the first window"
    text = (
        f"Of the spread of scores after {windows}, by a forest that foretells "
        f"{100 * importance.fit:.0f} % of it for"
        f" trials it has not seen; {100 * left:.0f} % comes of several settings together."
    )
    table = settings_importance_grid(importance).markdown()
    return f"## What mattered\n\n{text}\n\n![importance](importance.png)\n\n{table}\n"


# front.png, and the trials of a Pareto front as a table and in words.

FRONT_WIDTH = 8.0
"""The ratio of the largest to the smallest positive value from which an axis is logarithmic."""


FRONT = """
{%- if objectives is defined %}
{%- if not inside -%}
No Pareto front: no finished trial has a value of all of {{ names | join(" and ") }}.
{%- else -%}
Pareto front of {{ names | join(" and ") }}, which no other trial beats in all of them:
{{ "trial" if inside | length == 1 else "trials" }} {{ inside | listed }} ({{ inside | length }} of
{{ trials | length }}).
{%- endif %}
{%- endif %}"""


def front_sentence(front: Mapping[str, Any]) -> str:
    """Return which trials are in the front; empty where there is none."""
    return say(
        FRONT,
        front,
        names=[short(each["name"].partition(",")[0]) for each in front.get("objectives", ())],
        inside=[str(each["trial"]) for each in _sort_front(front)] if front else [],
    )


def front_grid(front: Mapping[str, Any], trials: DataFrame) -> Grid:
    """Return the trials of the front with their objectives and settings, the best by the first
    objective on top.
    """
    inside, settings = _sort_front(front), varied_settings(trials)
    rows = {row["trial"]: row for row in trials.to_dicts()}
    values = zip(
        *(
            column_texts(column)
            for column in zip(*(each["values"] for each in inside), strict=True)
        ),
        strict=True,
    )
    table = [
        [
            str(each["trial"]),
            *texts,
            *(setting_cell(rows[each["trial"]][name], brief) for name in settings),
        ]
        for each, texts in zip(inside, values, strict=True)
    ]
    titles = [("trial", "#"), *(each["name"] for each in front["objectives"])]
    return grid_of([*titles, *map(setting_titles, settings)], table)


def front_page(front: Mapping[str, Any], trials: DataFrame, *, drawn: bool) -> str:
    """Return the section of the Markdown page, with the picture where that was drawn.

    Empty where there is no front.
    """
    if not front:
        return ""
    picture = "![front](front.png)\n\n" if drawn else ""
    table = f"{front_grid(front, trials).markdown()}\n" if front["trials"] else ""
    return f"## The Pareto front\n\n{front_sentence(front)}\n\n{picture}{table}"


def front_figure(front: Mapping[str, Any], best: int) -> Figure | None:
    """Draw the first objective against each other one.

    None where fewer than two trials have all of them.
    """
    if len(front.get("trials", ())) < 2:
        return None
    others = len(front["objectives"]) - 1
    figure = new_figure(max(6.5, 5.0 * others), 4.6)
    for place in range(1, others + 1):
        _front_panel(figure.add_subplot(1, others, place), front, place, best)
    title = (
        f"{front['objectives'][0]['name']} against "
        f"{', '.join(each['name'] for each in front['objectives'][1:])}"
    )
    headline(figure, title)
    return figure


def _front_panel(axes: Axes, front: Mapping[str, Any], place: int, best: int) -> None:
    trials = front["trials"]
    across, up = (np.array([each["values"][at] for each in trials]) for at in (place, 0))
    inside = np.array([each["front"] for each in trials])
    axes.scatter(
        across[~inside],
        up[~inside],
        s=22,
        color=LIGHT,
        edgecolors=GREY,
        linewidths=0.6,
        label="beaten by another trial",
    )
    order = np.argsort(across[inside], kind="stable")
    steps = "steps-post" if front["objectives"][place]["better"] == "low" else "steps-pre"
    line: dict[str, Any] = (
        {"drawstyle": steps, "linewidth": 1.2}
        if len(front["objectives"]) == 2
        else {"linewidth": 0}
    )
    axes.plot(
        across[inside][order],
        up[inside][order],
        marker="o",
        markersize=5,
        color=OWN_COLOUR,
        label="Pareto front",
        **line,
    )
    for each, x, y in zip(trials, across, up, strict=True):
        if each["front"] or each["trial"] in (0, best):
            words = (
                f"{each['trial']}{', as it stood' if each['trial'] == 0 else ''}"
                f"{', best' if each['trial'] == best else ''}"
            )
            side = "right" if x == across.max() and len(words) > 3 else "left"
            place_of = (-5 if side == "right" else 5, 5)
            axes.annotate(
                words,
                (x, y),
                place_of,
                textcoords="offset points",
                fontsize=8.5,
                color=INK,
                ha=side,
            )
    if across.min() > 0 and across.max() > FRONT_WIDTH * across.min():
        axes.set_xscale("log")
    x, y = (drawable(front["objectives"][at]["name"]) for at in (place, 0))
    tidy(axes, x=x, y=y)
    axes.margins(0.12)
    plain_numbers(axes.xaxis)
    axes.legend(frameon=False, fontsize=8)


def _sort_front(front: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the trials of the front, the best by the first objective first."""
    sign = -1.0 if front["objectives"][0]["better"] == "high" else 1.0
    return sorted(
        (each for each in front["trials"] if each["front"]),
        key=lambda each: (sign * each["values"][0], each["trial"]),
    )


# parallel.png: each trial as a line through its settings to its score.

MOST_AXES = 9
"""The most settings that have an axis."""
GOOD_SHARE = 0.25
"""The share of the trials, the best, that is drawn in a stronger colour."""


def parallel_figure(
    result: SweepResult, runs: RunningScores, logarithmic: Sequence[str] = ()
) -> Figure | None:
    """Draw the trials through their settings.

    Args:
        result: The result of the sweep.
        runs: The running scores of each trial.
        logarithmic: The settings that were drawn on the scale of their logarithm.

    Returns:
        The figure; None where no setting differs.
    """
    table = first_scores(result, runs).filter(col("first").is_not_null())
    names = varied_settings(table)[:MOST_AXES]
    if not names:
        return None
    width = max(9.0, 1.7 * (len(names) + 1))
    figure = new_figure(width, 5)
    axes = figure.add_subplot()
    heights = [
        _setting_axis(axes, place, name, table[name], name in logarithmic)
        for place, name in enumerate(names)
    ]
    heights.append(_score_axis(axes, len(names), result, table))
    _trial_lines(axes, np.stack(heights, axis=1), result, table)
    axes.set_xlim(-0.2, len(names) + 0.45)
    axes.set_ylim(-0.13, 1.09)
    axes.axis("off")
    windows = table["compared"][0]
    title = (
        f"{result.model}: settings and {result.measure.short} after {windows} of "
        f"{result.windows} windows"
    )
    headline(figure, title)
    meaning = (
        f"A line is a trial. Blue: trial {result.best}, which was chosen; dark: the best "
        f"fourth there."
    )
    axes.text(0, -0.09, meaning, fontsize=9, color=GREY, ha="left", va="top")
    return figure


def _setting_axis(axes: Axes, place: int, name: str, values: Series, logarithmic: bool) -> ndarray:
    """Draw one upright axis with its ends, of words all.

    Return where each trial meets it, 0 to 1.
    """
    where, words = axis_places(values)
    if words:
        height = where / max(len(words) - 1, 1)
        ticks = [(spot / max(len(words) - 1, 1), word) for spot, word in enumerate(words)]
    else:
        scaled = np.log(where) if logarithmic else where
        low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
        height = (scaled - low) / ((high - low) or 1.0)
        ticks = [(0.0, f"{np.nanmin(where):.4g}"), (1.0, f"{np.nanmax(where):.4g}")]
    _upright(axes, place, name.partition(".")[2].replace(".", " ") or name, ticks)
    return height


def _score_axis(axes: Axes, place: int, result: SweepResult, table: DataFrame) -> ndarray:
    """Draw the last axis, the good end up; return where each trial meets it."""
    score = table["first"].to_numpy()
    low, high = float(score.min()), float(score.max())
    rising = (score - low) / ((high - low) or 1.0)
    ends = [(0.0, brief(low)), (1.0, brief(high))]
    if result.better == "low":
        rising, ends = 1 - rising, [(0.0, brief(high)), (1.0, brief(low))]
    _upright(axes, place, result.measure.short, ends)
    return rising


def _upright(axes: Axes, place: int, title: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([place, place], [0, 1], color=GREY, linewidth=1.0, zorder=2)
    for height, text in ticks:
        ending: dict[str, Any] = {"va": "center"}
        across, up = place + 0.03, height
        if height in (0, 1):  # beyond the end, where no line crosses it
            across, up = place, (-0.015, 1.01)[int(height)]
            ending = {"va": ("top", "bottom")[int(height)], "ha": "center"}
        axes.text(
            across,
            up,
            drawable(text, 14),
            fontsize=8.5,
            color=INK,
            zorder=5,
            parse_math=False,
            **ending,
        )
    axes.text(
        place,
        1.06,
        drawable(title, 24),
        fontsize=9.5,
        color=INK,
        ha="center",
        va="bottom",
        parse_math=False,
    )


def _trial_lines(axes: Axes, heights: ndarray, result: SweepResult, table: DataFrame) -> None:
    """Draw each trial's line: the best fourth in ink, the best one in colour, the others pale.

    Past unused settings.
    """
    good = np.quantile(heights[:, -1], 1 - GOOD_SHARE)
    for line, trial in zip(heights, table["trial"], strict=True):
        style: dict[str, Any] = {"color": LIGHT, "linewidth": 1.0, "zorder": 1}
        if line[-1] >= good:
            style = {"color": INK, "linewidth": 1.0, "zorder": 3, "alpha": 0.7}
        if trial == result.best:
            style = {"color": OWN_COLOUR, "linewidth": 2.4, "zorder": 4}
        used = np.flatnonzero(~np.isnan(line))
        axes.plot(used, line[used], marker="o", markersize=3, **style)


# sweep.png: scores by trial, by time and by rung, and each setting against the score.

MOST_PANELS = 6
"""The most settings that have a panel."""


def sweep_figure(
    result: SweepResult, runs: RunningScores, took: RunningScores, logarithmic: Sequence[str] = ()
) -> Figure | None:
    """Draw a sweep.

    Args:
        result: The result of the sweep.
        runs: The running scores of each trial by completed windows.
        took: The seconds of each trial by completed windows.
        logarithmic: The settings that were drawn on the scale of their logarithm.

    Returns:
        The figure; None where no trial has a score.
    """
    scored = result.trials.filter(col("score").is_not_null())
    if scored.is_empty():
        return None
    settings = varied_settings(scored)[:MOST_PANELS]
    first = first_scores(result, runs)
    rows = 1 + -(-len(settings) // 3)
    figure = new_figure(11, 3.2 * rows)
    grid = figure.add_gridspec(rows, 6)
    done = scored.filter(status="finished").sort("trial")
    _by_trial(
        figure.add_subplot(grid[0, :2]), result, done, scored.filter(col("status") != "finished")
    )
    _by_time(figure.add_subplot(grid[0, 2:4]), result, done, took)
    _by_rung(figure.add_subplot(grid[0, 4:]), result, runs)
    for place, name in enumerate(settings):
        axes = figure.add_subplot(grid[1 + place // 3, 2 * (place % 3) : 2 * (place % 3) + 2])
        _by_setting(axes, result, first, name, logarithmic=name in logarithmic)
    title = (
        f"{result.model}: {result.measure.name} on {result.windows} inner windows, the "
        f"{result.better}er the better"
    )
    headline(figure, title)
    return figure


def _by_trial(axes: Axes, result: SweepResult, done: DataFrame, rest: DataFrame) -> None:
    """Draw trials with all windows, and the best so far as a line.

    The others have no comparable score and lie on the axis.
    """
    from matplotlib.ticker import MaxNLocator

    if len(done):
        axes.step(
            done["trial"],
            _best_so_far(result, done),
            where="post",
            color=OWN_COLOUR,
            linewidth=1.2,
            label="best so far",
        )
    axes.scatter(done["trial"], done["score"], s=22, color=INK, zorder=3, label="all windows")
    if len(rest):
        at = axes.get_xaxis_transform()
        axes.plot(
            rest["trial"],
            [0.0] * len(rest),
            "|",
            transform=at,
            color=GREY,
            markersize=9,
            label="stopped before",
        )
    tidy(axes, x="trial", y=drawable(result.measure.name))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)


def _best_so_far(result: SweepResult, done: DataFrame) -> ndarray:
    """Return the best score of each trial and those before it."""
    best = done["score"].cum_min() if result.better == "low" else done["score"].cum_max()
    return best.to_numpy()


def _by_time(axes: Axes, result: SweepResult, done: DataFrame, took: RunningScores) -> None:
    """Draw the same against the time of all windows up to the end of each trial, rung by rung."""
    spent = time_spent(took)
    ends = np.array([spent.get((number, result.windows), np.nan) for number in done["trial"]])
    unit, size = ("minutes", 60) if np.nanmax(ends, initial=0.0) >= 120 else ("seconds", 1)
    if np.isfinite(ends).all() and len(ends):
        order = np.argsort(ends, kind="stable")
        at = ends[order] / size
        axes.step(
            at, _best_so_far(result, done[order]), where="post", color=OWN_COLOUR, linewidth=1.2
        )
        axes.scatter(at, done["score"].to_numpy()[order], s=22, color=INK, zorder=3)
        axes.set_xlim(0, 1.05 * at[-1])
    tidy(axes, x=f"{unit} of one core, all trials together")


def time_spent(took: RunningScores) -> dict[tuple[int, int], float]:
    """Return the total seconds of all trials when each reached each rung, where one rung is done
    before the next begins.
    """
    steps = [
        (
            rung,
            int(label.removeprefix("trial ")),
            seconds
            - max((earlier for at, earlier in seconds_at.items() if at < rung), default=0.0),
        )
        for label, seconds_at in took.items()
        for rung, seconds in seconds_at.items()
    ]
    total, spent = 0.0, {}
    for rung, number, seconds in sorted(steps):
        total += seconds
        spent[number, rung] = total
    return spent


def _by_rung(axes: Axes, result: SweepResult, runs: RunningScores) -> None:
    """Draw the running score of each trial, the best one's in colour.

    Below each rung the number of trials that reached it.
    """
    for label, scores in runs.items():
        best = label == f"trial {result.best}"
        windows = sorted(scores)
        style: dict[str, Any] = {
            "color": OWN_COLOUR if best else LIGHT,
            "linewidth": 2.0 if best else 1.0,
            "zorder": 3 if best else 1,
        }
        axes.plot(
            windows, [scores[window] for window in windows], marker="o", markersize=4, **style
        )
    rungs = sorted({window for scores in runs.values() for window in scores})
    here = [sum(rung in scores for scores in runs.values()) for rung in rungs]
    axes.set_xticks(
        rungs,
        [f"{rung}\n{counted(count, 'trials')}" for rung, count in zip(rungs, here, strict=True)],
    )
    tidy(axes, x=f"windows behind it (best: trial {result.best})")


def _by_setting(
    axes: Axes, result: SweepResult, first: DataFrame, name: str, *, logarithmic: bool
) -> None:
    """Draw the score after the first rung against one setting; each text has a position."""
    from matplotlib.ticker import MaxNLocator

    with_setting = first.filter(col(name).is_not_null())
    best = (with_setting["trial"] == result.best).to_numpy()
    where, names = axis_places(with_setting[name])
    if logarithmic:
        axes.set_xscale("log")
    if names:
        axes.set_xticks(range(len(names)), [drawable(text, 14) for text in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
    score = with_setting["first"].to_numpy()
    axes.scatter(where[~best], score[~best], s=18, color=INK)
    axes.scatter(where[best], score[best], s=40, color=OWN_COLOUR, zorder=3)
    windows = first["compared"][0] if len(first) else result.windows
    tidy(axes, x=drawable(name, 40), y=f"after {windows} of {result.windows} windows")
    if not names:
        if not logarithmic and (where == where.round()).all():
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain_numbers(axes.xaxis)
        axes.tick_params(axis="x", labelsize=8)


def draw_sweep(
    result: SweepResult,
    importance: SettingsImportance,
    runs: RunningScores,
    took: RunningScores,
    logarithmic: Sequence[str],
    folder: Path,
) -> list[str]:
    """Draw all pictures of a sweep.

    Args:
        result: The result of the sweep.
        importance: The importance of the settings.
        runs: The running scores of each trial by completed windows.
        took: The seconds of each trial by completed windows.
        logarithmic: The settings that were drawn on the scale of their logarithm.
        folder: The folder of the pictures.

    Returns:
        The Markdown of the pictures without a section of their own.
    """
    save_png(sweep_figure(result, runs, took, logarithmic), folder / "sweep.png")
    save_png(parallel_figure(result, runs, logarithmic), folder / "parallel.png")
    save_png(importance_figure(result, importance), folder / "importance.png")
    return [
        f"![{name}]({name}.png)"
        for name in ("sweep", "parallel")
        if (folder / f"{name}.png").is_file()
    ]


def importance_figure(result: SweepResult, importance: SettingsImportance) -> Figure | None:
    """Draw the importance; None where there is no estimate of it."""
    if importance.shares is None:
        return None
    share, low, high = (
        100 * importance.shares[name].to_numpy() for name in ("share", "low", "high")
    )
    places, whiskers = np.arange(len(share)), np.abs(np.stack([low, high]) - share)
    figure = new_figure(8, 1.6 + 0.42 * len(places))
    axes = figure.add_subplot()
    axes.barh(places, share, height=0.6, color=OWN_COLOUR)
    axes.errorbar(share, places, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=1.1, capsize=3)
    name_rows(axes, places, importance.shares["setting"], 40)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    level = f"{100 * SHARES_LEVEL:.0f} % of the forest's trees"
    tidy(axes, "x", x=f"share of the spread of scores, %; whiskers: {level}")
    headline(figure, f"What mattered for {result.measure.name}: {result.model}")
    return figure
