"""The report of bandits: pictures of regret, arms and posteriors, tables, words; comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose, log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.bandit.simulation.scores import seen_counts
from hwds.core.questions import Fields, Json
from hwds.frames.table import Table, arm_name
from hwds.frames.world import World
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    OWN_COLOUR,
    drawable,
    headline,
    label_places,
    model_colours,
    new_figure,
    plain_numbers,
    save_png,
    tidy,
)
from hwds.report.words import say, say_lines, verdict_word
from hwds.results.formatting import (
    brief,
    column_texts,
    fixed,
    places_of,
)
from hwds.results.tables import TRUTH, Tables, row_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from collections.abc import Sequence

from hwds.core.errors import ConfigError, nearest
from hwds.stats.contrasts import Matrix
from hwds.stats.evidence import TaskComparison, UnitEvidence, long_table
from hwds.stats.sources import ModelRows, shared_rows

# The best arm of a world at each time, by segment.

MOST_SEGMENTS = 8
"""Segments that are told apart; of more, all customers together are told."""


@dataclass(frozen=True, slots=True)
class BestSpell:
    """An arm that is best from one customer to another, both included and counted from 1."""

    arm: int
    first: int
    last: int


def best_spells(world: World, horizon: int) -> dict[str, list[BestSpell]]:
    """Return the best arms in their order, by segment: '' where segments agree, `everyone` where
    they are many.
    """
    segments = world.rewards.argmax(axis=2)
    best = dict(zip(world.segments, segments.T, strict=True))
    if (segments == segments[:, :1]).all():
        best = {"": segments[:, 0]}
    elif len(best) > MOST_SEGMENTS:
        earned = np.einsum("s,msk->mk", world.shares, world.conversions * world.worth)
        best = {"everyone": np.where(world.present, earned, -np.inf).argmax(axis=1)}
    return {name: _segment_spells(world, arms, horizon) for name, arms in best.items()}


def regret_reference(world: World) -> str:
    """Return in words what regret is measured against."""
    apart = {"moment": world.changes, "segment": len(world.segments) > 1}
    parts = " and ".join(name for name, differs in apart.items() if differs)
    return f"the best arm of each {parts}" if parts else "the best arm"


def arms_title(world: World) -> str:
    """Return the title of the arms' names: `price, USD` where they are prices."""
    prices = all(
        name == arm_name(float(price)) for name, price in zip(world.arms, world.prices, strict=True)
    )
    return f"price, {world.unit}" if prices else "arm"


def _segment_spells(world: World, best: np.ndarray, horizon: int) -> list[BestSpell]:
    """Return the spells of one segment, given the best arm of each moment."""
    rounds = range(0, horizon, world.cycle) if world.cycle else range(1)
    starts = np.concatenate([world.starts + begin for begin in rounds])
    arms = np.tile(best, len(rounds))
    arms, starts = arms[starts < horizon], starts[starts < horizon]
    changes = np.flatnonzero(np.append(True, np.diff(arms) != 0))
    ends = np.append(starts[changes[1:]], horizon)
    return [
        BestSpell(int(arms[at]), int(starts[at]) + 1, int(end))
        for at, end in zip(changes, ends, strict=True)
    ]


# allocation.png: which arms a policy chooses as customers come, below the arms that were truly
# the best.

ARM_COLOURS = (
    "#1f6fb4",
    "#d9822b",
    "#2e8b57",
    "#8e5bb5",
    "#b5485d",
    "#0e8a8a",
    "#a3821a",
    "#5b6fb5",
    "#7a9a3a",
    "#c0739c",
)
"""The colours of the arms that are shown apart; the others are one grey band."""

LETTER_SHARE = 0.012
"""The share of the strip's length that a letter takes."""


def allocation_figure(world: World, tables: Tables, model: str) -> Figure | None:
    """Draw the share of steps between checkpoints that each arm had under the experiment's own
    model; None where unknown.
    """
    allocation = tables.scores.filter(col("fold").is_null(), metric="allocation", model=model)
    shares = allocation.select("segment", "step", "value")
    if shares["step"].n_unique() < 2:
        return None
    steps, bands = _share_bands(shares, world.arms)
    best = best_spells(world, steps[-1])
    colours = _arm_colours(bands, best)
    figure = new_figure(10, 4.6 + 0.22 * len(best))
    top, below = figure.subplots(
        2, sharex=True, gridspec_kw={"height_ratios": [0.3 + 0.22 * (len(best) - 1), 4.0]}
    )
    _draw_shares(below, world, steps, bands, colours)
    _draw_best_arms(top, world, best, colours)
    handles, labels = below.get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        title=arms_title(world),
    )
    headline(figure, f"Arms chosen by {drawable(model, 44)}; strip: the arm truly best")
    return figure


def _draw_best_arms(
    axes: Axes, world: World, best: Mapping[str, list[BestSpell]], colours: Mapping[int, str]
) -> None:
    """Draw a row for each segment, in the colour of the arm that is best, with its name where there
    is room.
    """
    for row, spells in enumerate(best.values()):
        for spell in spells:
            length, colour = spell.last - spell.first + 1, colours.get(spell.arm, GREY)
            axes.barh(row, length, left=spell.first, height=0.8, color=colour)
            name, (middle, width) = drawable(world.arms[spell.arm], 24), _middle(axes, spell)
            if width > LETTER_SHARE * len(name):
                text = axes.text(middle, row, name, color="white", fontsize=8, parse_math=False)
                text.set(ha="center", va="center")
    names = [drawable(f"best for {segment}" if segment else "best arm", 30) for segment in best]
    axes.set_yticks(range(len(best)), names, fontsize=8.5, color=INK, parse_math=False)
    axes.set_ylim(len(best) - 0.5, -0.5)
    axes.tick_params(length=0, labelbottom=False, which="both")
    for side in axes.spines.values():
        side.set_visible(False)


def _middle(axes: Axes, spell: BestSpell) -> tuple[float, float]:
    """Return the step that is seen in the middle of a spell, and the share of the axis that the
    spell takes.
    """
    low, high = axes.get_xlim()
    first, last = spell.first, spell.last
    if axes.get_xscale() == "log":
        return (first * last) ** 0.5, log(last / first) / log(high / low)
    return (first + last) / 2, (last - first) / (high - low)


def _draw_shares(
    axes: Axes, world: World, steps: list[int], bands: list[Series], colours: Mapping[int, str]
) -> None:
    rest = [band for arm, band in enumerate(bands) if arm not in colours]
    stacked = [bands[arm] for arm in colours] + ([sum(rest, start=0 * rest[0])] if rest else [])
    names = [drawable(world.arms[arm], 24) for arm in colours] + (["others"] if rest else [])
    shades = [*colours.values(), GREY][: len(stacked)]
    axes.stackplot(steps, stacked, labels=names, colors=shades, linewidth=0.4, edgecolor="white")
    # a change late on would be a hair on a log axis
    axes.set_xscale("linear" if world.changes else "log")
    axes.set_xlim(steps[0], steps[-1])
    plain_numbers(axes.xaxis)
    axes.set_ylim(0, 1)
    title = "customers" if world.changes else "customers, log scale"
    tidy(axes, x=title, y="share of customers since the checkpoint before")


def _arm_colours(bands: list[Series], best: Mapping[str, list[BestSpell]]) -> dict[int, str]:
    """Return the arms that are told apart, in their order: those that are ever best, then those
    chosen most.
    """
    ever = {spell.arm for spells in best.values() for spell in spells}
    most = sorted(range(len(bands)), key=lambda arm: (arm not in ever, -float(bands[arm].sum())))
    return dict(zip(sorted(most[: len(ARM_COLOURS)]), ARM_COLOURS, strict=False))


def _share_bands(shares: DataFrame, arms: tuple[str, ...]) -> tuple[list[int], list[Series]]:
    """Return the steps, and the share of each arm between each checkpoint and the one before."""
    wide = shares.pivot(on="segment", index="step", values="value").sort("step")
    steps = wide["step"].cast(pl.Float64)
    lengths = steps.diff().fill_null(steps[0])
    counts = ((wide[arm].fill_null(0.0) * steps) for arm in arms)
    return wide["step"].to_list(), [count.diff().fill_null(count[0]) / lengths for count in counts]


# The arms of a bandit simulation: what each is worth, how often it was chosen, and what its
# choice has cost.

MOST_ARM_ROWS = 30
"""Arms that are shown: those that were chosen most."""

COST_TOLERANCE = 1e-6
"""To this relative error what arms cost must sum to the policy's regret; else the best arm changes,
and no arm has a cost.
"""

ArmRows = Mapping[str, Fields]


def arms_grid(tables: Tables, model: str) -> Grid:
    """Return the arms, those chosen most first: true value, share of customers, mean reward of the
    policy's own customers.

    What an arm costs is its customers times what each brings less than the best arm would: it is
    shown where these sums are the policy's regret, as they are where the best arm is one and the
    same.

    Args:
        tables: The tables of one run.
        model: The label of the policy.
    """
    chosen = _arm_rows(tables, "allocation", model)
    if not chosen:
        return Grid(())
    measured, truth = (
        {arm: row for arm, row in _arm_rows(tables, *which).items() if row["value"] is not None}
        for which in (("arm_value[raw]", model), ("arm_value[true]", TRUTH))
    )
    true = {arm: row["value"] for arm, row in truth.items()}
    unit, steps = tables.measure("pseudo_regret").measured_in, next(iter(chosen.values()))["step"]
    arms = sorted(chosen, key=lambda arm: -chosen[arm]["value"])
    worth = [abs(row["value"]) for rows in (truth, measured) for row in rows.values()]
    places = places_of(max(worth, default=0.0), None, unit)
    costs = _arm_costs(tables, model, chosen, true)
    shown = arms[:MOST_ARM_ROWS]
    regrets = dict(zip(shown, column_texts([costs.get(arm) for arm in shown]), strict=True))
    rows = [
        [
            arm,
            fixed(true.get(arm), places),
            fixed(max(true.values()) - true[arm], places) if arm in true else "",
            fixed(100 * chosen[arm]["value"], 1),
            _interval_words(chosen[arm], 100, 1),
            fixed(measured[arm]["value"], places) if arm in measured else "",
            _interval_words(measured[arm], 1, places) if arm in measured else "",
            regrets[arm],
        ]
        for arm in shown
    ]
    titles = (
        "arm",
        f"true worth of a customer, {unit}",
        f"less than the best arm, {unit}",
        "share of customers, %",
        "95 %",
        f"its customers brought, {unit} each",
        "95 % of that",
        f"regret, {unit}",
    )
    which = f", the {MOST_ARM_ROWS} chosen most" if len(arms) > MOST_ARM_ROWS else ""
    caption = (
        f"Arms under {model}, {steps:,} customers a replication{which}; what was brought is "
        f"biased by the choice"
    )
    return grid_of([(title, title) for title in titles], rows, caption=caption)


def _arm_rows(tables: Tables, metric: str, model: str) -> ArmRows:
    """Return the last score of each arm."""
    rows = tables.scores.filter(col("fold").is_null(), metric=metric, model=model, segment_by="arm")
    ordered = rows.sort("step", nulls_last=True, maintain_order=True)
    return {row["segment"]: row for row in ordered.to_dicts()}


def _interval_words(row: Fields, scale: float, places: int) -> str:
    if row["ci_low"] is None or row["ci_high"] is None:
        return ""
    low, high = (
        min(max(row[end] * scale, 0.0), 100.0) if scale == 100 else row[end]
        for end in ("ci_low", "ci_high")
    )
    return f"{fixed(low, places)} to {fixed(high, places)}"


def _arm_costs(
    tables: Tables, model: str, chosen: ArmRows, true: Mapping[str, float]
) -> dict[str, float]:
    """Return the cost of each arm; nothing where that does not sum to the regret."""
    if set(true) < set(chosen):
        return {}
    best = max(true.values())
    costs = {arm: row["value"] * row["step"] * (best - true[arm]) for arm, row in chosen.items()}
    regret = _total(tables, model, "pseudo_regret")["value"]
    return (
        costs
        if regret is not None
        and isclose(sum(costs.values()), regret, rel_tol=COST_TOLERANCE, abs_tol=COST_TOLERANCE)
        else {}
    )


# posterior.png: what one play of a policy leaves known of each arm, beside the truth.

MOST_DENSITIES = 20
"""Arms that are drawn: those chosen most."""

DENSITY_POINTS = 400
"""The points at which a density is drawn."""


def posterior_figure(world: World, tables: Tables, model: str) -> Figure | None:
    """Draw, for the first replication, the posterior of a customer's mean value under each arm.

    Beta(1 + conversions, 1 + refusals) times the arm's value. A world that changes with time has no
    one truth to draw. None where the model played nothing, and where counts alone do not say what
    an arm earns.
    """
    if tables.predictions.is_empty() or world.brings_amounts:
        return None
    rows = tables.predictions.filter(model=model)
    if rows.is_empty():
        return None
    first = rows.row(0, named=True)
    pulls, wins = np.array([seen_counts(first, arm) for arm in world.arms]).T
    shown = np.sort(np.argsort(-pulls, kind="stable")[:MOST_DENSITIES])
    figure = new_figure(9, 1.6 + 0.42 * len(shown))
    axes = figure.subplots()
    for place, arm in enumerate(shown):
        _arm_density(axes, world, arm, int(pulls[arm]), int(wins[arm]), place)
    _name_axes(axes, world, [f"{drawable(world.arms[arm], 24)}  ({pulls[arm]:,})" for arm in shown])
    handles, labels = axes.get_legend_handles_labels()
    legend = dict(sorted(zip(labels, handles, strict=True), key=lambda pair: pair[0], reverse=True))
    figure.legend(
        legend.values(),
        legend.keys(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9.5,
    )
    headline(figure, f"What one play of {drawable(model, 40)} saw of each arm")
    return figure


def _name_axes(axes: Axes, world: World, arms: list[str]) -> None:
    """Write the labels at, below and beside the arms."""
    whole = ""
    if world.changes:
        whole = "; all customers together, though the market changed"
    elif len(world.segments) > 1:
        whole = "; of the customers it was offered to"
    counts = "its offers whose window was over" if world.delay else "how often the arm was chosen"
    title = f"{drawable(world.unit)} per customer; in brackets {counts}{whole}"
    tidy(axes, "x", x=title, y=arms_title(world))
    axes.set_yticks(range(len(arms)), arms, parse_math=False)
    axes.set_ylim(len(arms) - 0.4, -0.9)
    axes.tick_params(axis="y", length=0, labelsize=9.5)


def _arm_density(axes: Axes, world: World, arm: int, pulls: int, wins: int, place: int) -> None:
    """Draw one arm's posterior as a ridge, and its true value where the world stands still."""
    from scipy.special import betaincinv, xlog1py, xlogy

    low, high = betaincinv(1 + wins, 1 + pulls - wins, [0.001, 0.999])
    conversions = np.linspace(low, high, DENSITY_POINTS)
    logs = xlogy(wins, conversions) + xlog1py(pulls - wins, -conversions)
    heights = np.exp(logs - logs.max())  # the highest point is as high for every arm
    values = world.values[arm] * conversions
    best = arm == world.best_fixed_arm(world.horizon)
    colour = OWN_COLOUR if best else GREY
    label = "posterior of the best single arm" if best else "posterior of another arm"
    axes.fill_between(
        values, place, place - 0.8 * heights, color=colour, alpha=0.45, linewidth=0, label=label
    )
    axes.plot(values, place - 0.8 * heights, color=colour, linewidth=1.0)
    if not world.changes:
        truth = float(world.shares @ world.conversions[0, :, arm] * world.values[arm])
        label = "truth" if len(world.segments) == 1 else "truth, if offered to everyone"
        ends = [truth, truth], [place, place - 0.8]
        axes.plot(*ends, color=FLOOR_COLOUR, linewidth=1.6, label=label)


# regret.png: what policies lose as customers come.

LABEL_GAP = 0.05
"""The gap between two labels at the ends of curves, as a share of the height."""


def regret_figure(
    tables: Tables, model: str, unit: str, against: str = "the best arm"
) -> Figure | None:
    """Draw the mean regret of every policy at the checkpoints, with 95 % intervals and the
    asymptotic bound.

    Args:
        tables: Of one run.
        model: The experiment's own model.
        unit: Of what is lost.
        against: What the regret is counted from.

    Returns:
        The figure; None where no policy was scored.
    """
    whole = col("fold").is_null() & col("segment").is_null()
    curves = tables.scores.filter(
        whole, col("step").is_not_null(), metric="pseudo_regret", aggregate="mean"
    )
    if curves.is_empty():
        return None
    figure = new_figure(12, 5.2)
    axes = figure.subplots(1, 2)
    labels = [each for each in curves["model"].unique(maintain_order=True) if each != TRUTH]
    colours = model_colours(labels, model)
    for place, scale in zip(axes, ("linear", "log"), strict=True):
        place.set_xscale(scale)
        for label, colour in colours.items():
            _draw_curve(place, curves.filter(model=label), label, colour, own=label == model)
        tidy(place, x="customers, log scale" if scale == "log" else "customers")
        plain_numbers(place.yaxis)
        plain_numbers(place.xaxis)
    axes[0].locator_params(axis="x", nbins=5)
    axes[1].set_ylim(axes[1].get_ylim())  # the bound may lie far above all that can be lost so soon
    _label_ends(axes[1], curves, colours, model)
    _draw_bound(axes[1], tables)
    tidy(axes[0], y=f"regret, {drawable(unit)}")
    n = int(curves["n"].max())  # type: ignore[arg-type]
    title = f"Regret against {drawable(against)}, mean of {n:,} replications with 95 % intervals"
    headline(figure, title)
    return figure


def _draw_curve(axes: Axes, points: DataFrame, label: str, colour: str, *, own: bool) -> None:
    points = points.sort("step")
    steps, values = points["step"].to_numpy(), points["value"].to_numpy()
    name, (width, order) = drawable(label, 34), (2.2, 3) if own else (1.5, 2)
    axes.plot(steps, values, color=colour, linewidth=width, zorder=order, gid=name)
    if points["ci_low"].null_count() < len(points):
        ends = points["ci_low"].to_numpy(), points["ci_high"].to_numpy()
        axes.fill_between(steps, *ends, color=colour, alpha=0.18, linewidth=0, gid=name)


def _label_ends(axes: Axes, curves: DataFrame, colours: dict[str, str], model: str) -> None:
    """Write each policy's name and loss beside the end of its curve, in the order of the losses,
    none on another.
    """
    last = curves.filter(step=col("step").max())
    values = {label: float(last.filter(model=label)["value"][0]) for label in colours}
    low, high = axes.get_ylim()
    heights = [(value - low) / (high - low) for value in values.values()]
    places = label_places(heights, LABEL_GAP, 0.02, 0.98)
    for (label, value), height, place in zip(values.items(), heights, places, strict=True):
        colour, name = colours[label], drawable(label, 34)
        arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0}
        axes.annotate(
            f"{brief(value)}  {name}",
            (1.0, height),
            xytext=(1.05, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            fontsize=8.5,
            color=colour,
            fontweight="bold" if label == model else "normal",
            va="center",
            annotation_clip=False,
            parse_math=False,
            gid=name,
            arrowprops=arrow,
        )


def _draw_bound(axes: Axes, tables: Tables) -> None:
    """Draw C ln t, where the world stands still."""
    bound = tables.scores.filter(metric="lai_robbins_bound").sort("step")
    if len(bound) and bound["value"].max() > 0:  # type: ignore[operator]
        label = (
            "C ln t: asymptotic lower bound (Lai and Robbins);\na good policy may lose less so soon"
        )
        curve = bound["step"], bound["value"]
        axes.plot(*curve, "--", color=FLOOR_COLOUR, linewidth=1.4, label=label, zorder=1)
        axes.legend(loc="upper left", frameon=False, fontsize=8.5)


# The result of a bandit simulation in a few sentences: money lost, against whom, and who loses
# more than uniform play.

ENOUGH_REPLICATIONS = 20
"""The fewest replications for which the worst 5 % are reported."""


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """The loss of a policy by the end, as rows of the scores.

    Attributes:
        model: Its label.
        total: The mean over replications, in currency.
        worst: The mean of the worst 5 % of the replications; None where it is not known.
        skill: 1 - mean / what uniform play loses; None where it loses nothing.
        share: Of what the best arms earn.
    """

    model: str
    total: Fields
    worst: Fields | None
    skill: Fields | None
    share: float | None

    @property
    def is_trap(self) -> bool:
        """True where the policy is shown to lose more than uniform play."""
        high = self.skill["ci_high"] if self.skill else None
        return high is not None and high < 0

    def is_lottery(self, uniform: float | None) -> bool:
        """Return whether the policy is better than uniform play on average, and worse in its worst
        replications.
        """
        worst = self.worst["ci_low"] if self.worst else None
        return bool(uniform and worst and self.total["value"] < uniform < worst)


CONCLUSION = """
{%- set lost, skill = loss.total, loss.skill -%}
{%- macro against_uniform() %}
{%- if skill is none %}uniform play loses nothing here
{%- elif verdict_word(skill.ci_low, skill.ci_high) == "NOT SURE" -%}
no difference from uniform play is shown
{%- else -%}
this is {{ skill.value | quoted_percent(skill.ci_low, skill.ci_high, less=(skill.value <= 0)) }}
{{ "less" if skill.value > 0 else "more" }} than uniform play is expected to lose
{%- endif %}
{%- endmacro %}
{%- macro lost_words() -%}
loses {{ lost.value | quoted(lost.ci_low, lost.ci_high, unit) }} to {{ against }}
{%- if oracle and loss.share is not none %}, {{ loss.share | percent }} of
{{ oracle | money(unit) }}{% endif %}
{%- if delay and delay.value is not none %}, of which
{{ delay.value | quoted(delay.ci_low, delay.ci_high, unit) }} is the delay's{% endif %};
{{ against_uniform() }}.
{%- endmacro %}
{%- if paired and paired.ci_low is not none %}
{%- set less, low, high = paired.value < 0, paired.ci_low, paired.ci_high %}
{%- set size, _, ends = (paired.value | quoted(low, high, unit, less=less)).partition(" (") %}
{%- set word = verdict_word(-high, -low) %}
{{- word }}: {{ loss.model.rpartition("/")[2] }} loses {{ size }} {{ "less" if less else "more" }}
than {{ paired.segment.rpartition("/")[2] }}, the best rival
{%- if word == "NOT SURE" %}, so far{% endif %} ({{ ends | replace(" " ~ unit ~ ")", ")") }}.
{%- elif skill is none -%}
{{ loss.model }} {{ lost_words() }}
{%- else -%}
{{ verdict_word(skill.ci_low, skill.ci_high) }}: {{ loss.model }} {{ lost_words() }}
{%- endif %}

{% if traps %}{{ traps | join(" and ") }} {{ "loses" if traps | length == 1 else "lose" }} more than
uniform play.{% endif %}

{% if loss.worst and (lost.n or 0) >= enough -%}
In the worst 5 % of {{ lost.n | count }} replications it loses {{ loss.worst.value | money(unit) }}
on average.
{%- endif %}

{% if lotteries -%}
Better on average,
{% for each in lotteries %}{{ each.model }} ({{ each.worst.value | money(unit) }})
{%- if not loop.last %} and {% endif %}{% endfor %} lost more than uniform play in
{{ "its" if lotteries | length == 1 else "their" }} worst 5 % of replications.
{%- endif %}

{% if paired and paired.ci_low is not none %}It {{ lost_words() }}{% endif %}
"""


def regret_conclusion(tables: Tables, model: str, unit: str, against: str) -> str:
    """Return what the experiment's own policy lost, beside its rivals.

    Args:
        tables: Of one run.
        model: The label of the experiment's own policy.
        unit: What is lost.
        against: What the loss is counted from (`the best arm of each moment`).
    """
    labels = [each for each in tables.scores["model"].unique(maintain_order=True) if each != TRUTH]
    losses = [loss for loss in (_loss_of(tables, label) for label in labels) if loss is not None]
    own = next((loss for loss in losses if loss.model == model), None)
    if own is None:
        return "Nothing was scored."
    rivals = [loss for loss in losses if loss is not own]
    played = [loss for loss in losses if not loss.model.endswith("uniform_play")]
    paired = None
    if rivals:
        best = min(rivals, key=lambda rival: rival.total["value"]).model
        at_end = tables.scores.filter(col("step").is_null())
        paired = row_of(at_end, metric="difference", model=model, segment=best)
    uniform = _total(tables, TRUTH, "uniform_regret")["value"]
    lines = say_lines(
        CONCLUSION,
        verdict_word=verdict_word,
        unit=unit,
        against=against,
        loss=own,
        oracle=_total(tables, TRUTH, "oracle_reward")["value"],
        delay=_total(tables, model, "delay_regret"),
        enough=ENOUGH_REPLICATIONS,
        paired=paired,
        traps=[each.model for each in played if each is not own and each.is_trap],
        lotteries=[each for each in played if each.is_lottery(uniform)],
    )
    return "\n".join(lines)


def _loss_of(tables: Tables, label: str) -> PolicyLoss | None:
    total, skill = (
        _total(tables, label, name) for name in ("pseudo_regret", "skill_pseudo_regret")
    )
    if total["value"] is None:
        return None
    worst = _total(tables, label, "pseudo_regret", "cvar95")
    return PolicyLoss(
        label,
        total,
        worst if worst["value"] is not None else None,
        skill if skill["value"] is not None else None,
        _total(tables, label, "regret_share")["value"],
    )


def _total(tables: Tables, label: str, metric: str, aggregate: str = "mean") -> Json:
    """Return a score over all folds by the end; without a value where there is none."""
    whole = tables.scores.filter(pl.all_horizontal(col("fold", "step", "segment").is_null()))
    found = row_of(whole, model=label, metric=metric, aggregate=aggregate)
    return found or dict.fromkeys(("value", "ci_low", "ci_high", "n"))


# The pictures and the words of a bandit simulation.


def draw(world: World, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures that have something to show.

    `regret.png`: every policy's regret as it grows; `allocation.png`: how customers were shared out
    among the arms, below the arms that were truly the best; `posterior.png`: what the experiment's
    own policy believes of each arm in the end.
    """
    save_png(
        regret_figure(tables, model, world.unit, regret_reference(world)), folder / "regret.png"
    )
    save_png(allocation_figure(world, tables, model), folder / "allocation.png")
    save_png(posterior_figure(world, tables, model), folder / "posterior.png")


def bandit_sentence(world: World, tables: Tables, model: str) -> str:
    """Return what the experiment's own policy lost, beside its rivals."""
    return regret_conclusion(tables, model, world.unit, regret_reference(world))


REPORT = TaskReport(
    sentence=bandit_sentence,
    page_grids=lambda tables, model: [arms_grid(tables, model)],
    draw=draw,
    captions={
        "regret.png": "Every policy's regret as it grows",
        "allocation.png": "How customers were shared out among the arms, below the arms that "
        "were truly the best",
        "posterior.png": "What the experiment's own policy believes of each arm in the end",
    },
)


# The result of a replay on a log, in a sentence.


REPLAY = """
{%- set word = verdict_word(gain.ci_low, gain.ci_high) if gain else "" %}
{{- word ~ ": " if word }}{{ model }} has a mean {{ subject }} of {{ mean }} per row on the log
{%- if gain and gain.ci_low is not none -%}
, {{ (gain.value | abs) | money(unit) }} {{ "more" if gain.value > 0 else "less" }} than
uniform play ({{ gain.value | ends(gain.ci_low, gain.ci_high, unit, sign=True) }})
{%- endif %}.
{{ earned.n | count }} of {{ rows | count }} rows count, where it chose as the log did
({{ (100 * share) | written(".1f") }} %).
"""


def replay_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return what the experiment's own policy earned on the rows that count, against uniform play
    on the same log.
    """
    scores = tables.scores.filter(col("fold").is_null(), model=model)
    by_metric = {row["metric"]: row for row in scores.to_dicts()}
    earned = by_metric.get("mean_reward", {})
    if earned.get("value") is None:
        return f"No row of the log counts for {model}: it never chose what was logged."
    measure = tables.measure("mean_reward")
    return say(
        REPLAY,
        verdict_word=verdict_word,
        model=model,
        subject=measure.subject or "reward",
        unit=measure.measured_in,
        mean=brief(earned["value"], earned["stderr"], measure.measured_in),
        earned=earned,
        rows=len(table.data),
        share=by_metric["counted_share"]["value"],
        gain=by_metric.get("gain_over_uniform"),
    )


REPLAY_REPORT = TaskReport(sentence=replay_sentence)


# Evidence of bandits: what each policy lost in each replication, under the same customers as its

REGRET_COLUMNS = {
    "pseudo_regret": "pseudo_regret",
    "pseudo_regret[fixed]": "fixed_regret",
    "realised_regret": "realised_regret",
}
"""The column of each metric that is one of a replication."""


def regret_evidence(
    answers: Sequence[ModelRows], metric: str, resamples: int
) -> tuple[UnitEvidence, int]:
    """Return the evidence of answers, and how many replications were left out because some policy
    lacks them.

    Replications of one number meet the same customers under every policy (common random numbers),
    so that differences are paired; those of another seed are other ones.

    Args:
        answers: The answers of every policy, world and seed.
        metric: The name of the metric.
        resamples: The number of resamples of each bootstrap.

    Raises:
        ConfigError: The metric is not one of a replication.
    """
    if metric not in REGRET_COLUMNS:
        raise ConfigError(
            f"--metric: policies cannot be compared by '{metric}'{nearest(metric, REGRET_COLUMNS)}"
        )
    tables, lost = [], 0
    for seed in dict.fromkeys(answer.seed for answer in answers):
        kept, left_out = shared_rows(
            [answer for answer in answers if answer.seed == seed], ["replication"]
        )
        lost += left_out
        tables += [_values(answer, REGRET_COLUMNS[metric]) for answer in kept]
    return UnitEvidence(Matrix.of(pl.concat(tables), nested=True), "replications", resamples), lost


def _values(answer: ModelRows, column: str) -> pl.DataFrame:
    return long_table([answer], answer.rows["replication"], [answer.rows[column].to_numpy()])


COMPARISON = TaskComparison(evidence=regret_evidence, trained=False)
