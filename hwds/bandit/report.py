"""The report of bandits: pictures of regret, arms and posteriors, tables, and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hwds.bandit.simulation.scores import seen_counts
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
from hwds.report.words import say
from hwds.results.formatting import (
    brief,
    column_texts,
    fixed,
    interval,
    places_of,
)
from hwds.results.tables import TRUTH, Tables, row_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    earned = np.einsum("s,msk->mk", world.shares, world.conversions * world.worth)
    overall = np.where(world.present, earned, -np.inf).argmax(axis=1)
    agree = (segments == segments[:, :1]).all()
    if agree:
        return {"": _segment_spells(world, segments[:, 0], horizon)}
    if len(world.segments) > MOST_SEGMENTS:
        return {"everyone": _segment_spells(world, overall, horizon)}
    return {
        name: _segment_spells(world, segments[:, place], horizon)
        for place, name in enumerate(world.segments)
    }


def regret_reference(world: World) -> str:
    """Return in words what regret is measured against."""
    parts = " and ".join(
        [*(["moment"] if world.changes else []), *(["segment"] if len(world.segments) > 1 else [])]
    )
    return f"the best arm of each {parts}" if parts else "the best arm"


def arms_title(world: World) -> str:
    """Return the title of the arms' names: `price, USD` where they are prices."""
    prices = all(
        name == arm_name(float(price)) for name, price in zip(world.arms, world.prices, strict=True)
    )
    return f"price, {world.unit}" if prices else "arm"


def _segment_spells(world: World, best: np.ndarray, horizon: int) -> list[BestSpell]:
    """Return the reigns of one segment, given the best arm of each moment."""
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
    shares = tables.scores.filter(
        (pl.col("metric") == "allocation") & (pl.col("model") == model) & pl.col("fold").is_null()
    ).select("segment", "step", "value")
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
    title = f"Arms chosen by {drawable(model, 44)}; strip: the arm truly best"
    headline(figure, title)
    return figure


def _draw_best_arms(
    axes: Axes, world: World, best: Mapping[str, list[BestSpell]], colours: Mapping[int, str]
) -> None:
    """Draw a row for each segment, in the colour of the arm that is best, with its name where there
    is room.
    """
    for row, segment_reigns in enumerate(best.values()):
        for reign in segment_reigns:
            axes.barh(
                row,
                reign.last - reign.first + 1,
                left=reign.first,
                height=0.8,
                color=colours.get(reign.arm, GREY),
            )
            name, (middle, width) = (
                drawable(world.arms[reign.arm], 24),
                _middle_of_spell(axes, reign),
            )
            if width > LETTER_SHARE * len(name):
                axes.text(
                    middle,
                    row,
                    name,
                    color="white",
                    fontsize=8,
                    ha="center",
                    va="center",
                    parse_math=False,
                )
    names = [drawable(f"best for {segment}" if segment else "best arm", 30) for segment in best]
    axes.set_yticks(range(len(best)), names, fontsize=8.5, color=INK, parse_math=False)
    axes.set_ylim(len(best) - 0.5, -0.5)
    axes.tick_params(length=0, labelbottom=False, which="both")
    for side in axes.spines.values():
        side.set_visible(False)


def _middle_of_spell(axes: Axes, reign: BestSpell) -> tuple[float, float]:
    """Return the step that is seen in the middle of a reign, and the share of the axis that the
    reign takes.
    """
    low, high = axes.get_xlim()
    if axes.get_xscale() == "log":
        return (reign.first * reign.last) ** 0.5, log(reign.last / reign.first) / log(high / low)
    return (reign.first + reign.last) / 2, (reign.last - reign.first) / (high - low)


def _draw_shares(
    axes: Axes, world: World, steps: list[int], bands: list[pl.Series], colours: Mapping[int, str]
) -> None:
    rest = [band for arm, band in enumerate(bands) if arm not in colours]
    stacked = [bands[arm] for arm in colours] + ([sum(rest, start=0 * rest[0])] if rest else [])
    names = [drawable(world.arms[arm], 24) for arm in colours] + (["others"] if rest else [])
    shades = [*colours.values(), GREY][: len(stacked)]
    axes.stackplot(steps, stacked, labels=names, colors=shades, linewidth=0.4, edgecolor="white")
    axes.set_xscale(
        "linear" if world.changes else "log"
    )  # a change late on would be a hair on a log axis
    axes.set_xlim(steps[0], steps[-1])
    plain_numbers(axes.xaxis)
    axes.set_ylim(0, 1)
    tidy(axes)
    axes.set_xlabel(f"customers{'' if world.changes else ', log scale'}", fontsize=9.5, color=INK)
    axes.set_ylabel("share of customers since the checkpoint before", fontsize=9.5, color=INK)


def _arm_colours(bands: list[pl.Series], best: Mapping[str, list[BestSpell]]) -> dict[int, str]:
    """Return the arms that are told apart, in their order: those that are ever best, then those
    chosen most.
    """
    ever = dict.fromkeys(reign.arm for segment_reigns in best.values() for reign in segment_reigns)
    most = sorted(range(len(bands)), key=lambda arm: (arm not in ever, -float(bands[arm].sum())))
    return dict(zip(sorted(most[: len(ARM_COLOURS)]), ARM_COLOURS, strict=False))


def _share_bands(shares: pl.DataFrame, arms: tuple[str, ...]) -> tuple[list[int], list[pl.Series]]:
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

ArmRows = Mapping[str, Mapping[str, Any]]


def arms_grid(tables: Tables, model: str) -> Grid:
    """Return the arms, those chosen most first: true value, share of customers, mean reward of the
    policy's own customers.

    What an arm costs is its customers times what each brings less than the best arm would: it is
    shown where these sums are the policy's regret, as they are where the best arm is one and the
    same.

    Args:
        tables: Of one run.
        model: The policy.
    """
    chosen, measured = (
        _arm_rows(tables, "allocation", model),
        _arm_rows(tables, "arm_value[raw]", model),
    )
    true = {
        arm: row["value"]
        for arm, row in _arm_rows(tables, "arm_value[true]", TRUTH).items()
        if row["value"] is not None
    }
    if not chosen:
        return Grid(())
    unit, steps = tables.measure("pseudo_regret").measured_in, next(iter(chosen.values()))["step"]
    arms = sorted(chosen, key=lambda arm: -chosen[arm]["value"])
    worth = [
        *true.values(),
        *(row["value"] for row in measured.values() if row["value"] is not None),
    ]
    places = places_of(max(map(abs, worth), default=0.0), None, unit)
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
    titles = [
        "arm",
        f"true worth of a customer, {unit}",
        f"less than the best arm, {unit}",
        "share of customers, %",
        "95 %",
    ]
    titles += [f"its customers brought, {unit} each", "95 % of that", f"regret, {unit}"]
    which = f", the {MOST_ARM_ROWS} chosen most" if len(arms) > MOST_ARM_ROWS else ""
    caption = (
        f"Arms under {model}, {steps:,} customers a replication{which}; what was brought is "
        f"biased by the choice"
    )
    return grid_of([(title, title) for title in titles], rows, caption=caption)


def _arm_rows(tables: Tables, metric: str, model: str) -> ArmRows:
    """Return the last score of each arm."""
    rows = tables.scores.filter(
        (pl.col("metric") == metric)
        & (pl.col("model") == model)
        & (pl.col("segment_by") == "arm")
        & pl.col("fold").is_null()
    )
    return {
        row["segment"]: row
        for row in rows.sort("step", nulls_last=True, maintain_order=True).to_dicts()
    }


def _interval_words(row: Mapping[str, Any], scale: float, places: int) -> str:
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
    regret = tables.scores.filter(
        (pl.col("metric") == "pseudo_regret")
        & (pl.col("model") == model)
        & (pl.col("aggregate") == "mean")
        & pl.col("step").is_null()
        & pl.col("fold").is_null()
        & pl.col("segment").is_null()
    )["value"]
    return (
        costs
        if len(regret)
        and isclose(
            sum(costs.values()), regret[0] or 0.0, rel_tol=COST_TOLERANCE, abs_tol=COST_TOLERANCE
        )
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
    rows = tables.predictions.filter(pl.col("model") == model)
    if rows.is_empty():
        return None
    first = rows.row(0, named=True)
    pulls, wins = np.array([seen_counts(first, arm) for arm in world.arms]).T
    shown = np.sort(np.argsort(-pulls, kind="stable")[:MOST_DENSITIES])
    figure = new_figure(9, 1.6 + 0.42 * len(shown))
    axes = figure.subplots()
    for place, arm in enumerate(shown):
        _arm_density(axes, world, arm, int(pulls[arm]), int(wins[arm]), place)
    tidy(axes, grid="x")
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
    title = f"What one play of {drawable(model, 40)} saw of each arm"
    headline(figure, title)
    return figure


def _name_axes(axes: Axes, world: World, arms: list[str]) -> None:
    """Write the labels at, below and beside the arms."""
    axes.set_yticks(range(len(arms)), arms, parse_math=False)
    axes.set_ylim(len(arms) - 0.4, -0.9)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    whole = "; all customers together, though the market changed" if world.changes else ""
    whole = whole or ("; of the customers it was offered to" if len(world.segments) > 1 else "")
    counts = "its offers whose window was over" if world.delay else "how often the arm was chosen"
    axes.set_xlabel(
        f"{drawable(world.unit)} per customer; in brackets {counts}{whole}", fontsize=9.5, color=INK
    )
    axes.set_ylabel(arms_title(world), fontsize=9.5, color=INK)


def _arm_density(axes: Axes, world: World, arm: int, pulls: int, wins: int, place: int) -> None:
    """Draw one arm's posterior as a ridge, and its true value where the world stands still."""
    from scipy.special import betaincinv, xlog1py, xlogy

    low, high = betaincinv(1 + wins, 1 + pulls - wins, [0.001, 0.999])
    conversions = np.linspace(low, high, DENSITY_POINTS)
    logs = xlogy(wins, conversions) + xlog1py(pulls - wins, -conversions)
    heights = np.exp(logs - logs.max())  # the highest point is as high for every arm
    values = world.values[arm] * conversions
    best = arm == world.fixed(world.horizon)
    colour = OWN_COLOUR if best else GREY
    label = "posterior of the best single arm" if best else "posterior of another arm"
    axes.fill_between(
        values, place, place - 0.8 * heights, color=colour, alpha=0.45, linewidth=0, label=label
    )
    axes.plot(values, place - 0.8 * heights, color=colour, linewidth=1.0)
    if not world.changes:
        truth = float(world.shares @ world.conversions[0, :, arm] * world.values[arm])
        label = "truth" if len(world.segments) == 1 else "truth, if offered to everyone"
        axes.plot(
            [truth, truth], [place, place - 0.8], color=FLOOR_COLOUR, linewidth=1.6, label=label
        )


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
    curves = tables.scores.filter(
        (pl.col("metric") == "pseudo_regret")
        & (pl.col("aggregate") == "mean")
        & pl.col("step").is_not_null()
        & pl.col("fold").is_null()
        & pl.col("segment").is_null()
    )
    if curves.is_empty():
        return None
    figure = new_figure(12, 5.2)
    axes = figure.subplots(1, 2)
    colours = model_colours(
        [each for each in curves["model"].unique(maintain_order=True) if each != TRUTH], model
    )
    for place, scale in zip(axes, ("linear", "log"), strict=True):
        place.set_xscale(scale)
        for label, colour in colours.items():
            _draw_curve(
                place, curves.filter(pl.col("model") == label), label, colour, own=label == model
            )
        tidy(place)
        plain_numbers(place.yaxis)
        plain_numbers(place.xaxis)
        if scale == "linear":
            place.locator_params(axis="x", nbins=5)
        place.set_xlabel(
            f"customers{', log scale' if scale == 'log' else ''}", fontsize=9.5, color=INK
        )
    axes[1].set_ylim(axes[1].get_ylim())  # the bound may lie far above all that can be lost so soon
    _label_ends(axes[1], curves, colours, model)
    _draw_bound(axes[1], tables)
    axes[0].set_ylabel(f"regret, {drawable(unit)}", fontsize=9.5, color=INK)
    n = int(curves["n"].max())  # type: ignore[arg-type]
    title = f"Regret against {drawable(against)}, mean of {n:,} replications with 95 % intervals"
    headline(figure, title)
    return figure


def _draw_curve(axes: Axes, points: pl.DataFrame, label: str, colour: str, *, own: bool) -> None:
    points = points.sort("step")
    steps, values = points["step"].to_numpy(), points["value"].to_numpy()
    name = drawable(label, 34)
    axes.plot(
        steps, values, color=colour, linewidth=2.2 if own else 1.5, zorder=3 if own else 2, gid=name
    )
    if points["ci_low"].null_count() < len(points):
        ends = points["ci_low"].to_numpy(), points["ci_high"].to_numpy()
        axes.fill_between(steps, *ends, color=colour, alpha=0.18, linewidth=0, gid=name)


def _label_ends(axes: Axes, curves: pl.DataFrame, colours: dict[str, str], model: str) -> None:
    """Write each policy's name and loss beside the end of its curve, in the order of the losses,
    none on another.
    """
    last = curves.filter(pl.col("step") == pl.col("step").max())
    values = {label: float(last.filter(pl.col("model") == label)["value"][0]) for label in colours}
    low, high = axes.get_ylim()
    heights = [(value - low) / (high - low) for value in values.values()]
    places = label_places(heights, LABEL_GAP, 0.02, 0.98)
    for (label, value), height, place in zip(values.items(), heights, places, strict=True):
        weight = "bold" if label == model else "normal"
        axes.annotate(
            f"{brief(value)}  {drawable(label, 34)}",
            (1.0, height),
            xytext=(1.05, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            fontsize=8.5,
            color=colours[label],
            fontweight=weight,
            va="center",
            annotation_clip=False,
            parse_math=False,
            gid=drawable(label, 34),
            arrowprops={
                "arrowstyle": "-",
                "color": colours[label],
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )


def _draw_bound(axes: Axes, tables: Tables) -> None:
    """Draw C ln t, where the world stands still."""
    bound = tables.scores.filter(pl.col("metric") == "lai_robbins_bound").sort("step")
    if len(bound) and bound["value"].max() > 0:  # type: ignore[operator]
        label = (
            "C ln t: asymptotic lower bound (Lai and Robbins);\na good policy may lose less so soon"
        )
        axes.plot(
            bound["step"],
            bound["value"],
            color=FLOOR_COLOUR,
            linestyle="--",
            linewidth=1.4,
            label=label,
            zorder=1,
        )
        axes.legend(loc="upper left", frameon=False, fontsize=8.5)


# The result of a bandit simulation in a few sentences: money lost, against whom, and who loses
# more than uniform play.

ENOUGH_REPLICATIONS = 20
"""The fewest replications for which the worst 5 % are reported."""


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """The loss of a policy by the end.

    Attributes:
        model: Its label.
        mean, low, high: Over replications, in currency, with its interval.
        worst: The mean of the worst 5 % of the replications.
        worst_low: The lower end of its interval.
        share: Of what the best arms earn.
        skill: 1 - mean / what uniform play loses, with its interval.
    """

    model: str
    mean: float
    low: float | None
    high: float | None
    worst: float | None
    worst_low: float | None
    share: float | None
    skill: tuple[float, float | None, float | None] | None


CONCLUSION = """
{{- model }} loses {{ loss.mean | quoted(loss.low, loss.high, unit) }} to {{ against }}
{%- if oracle and loss.share is not none %}, {{ loss.share | percent }} of
{{ oracle | money(unit) }}{% endif %}
{%- if delay and delay.value is not none %}, of which
{{ delay.value | quoted(delay.ci_low, delay.ci_high, unit) }} is the delay's{% endif %};
{% if loss.skill is none %}uniform play loses nothing here
{%- else %}
{%- set value, low, high = loss.skill %}
{%- if low is not none and high is not none and low <= 0 <= high -%}
no difference from uniform play is shown
{%- else -%}
this is {{ value | quoted_percent(low, high, less=(value <= 0)) }}
{{ "less" if value > 0 else "more" }} than uniform play is expected to lose
{%- endif %}
{%- endif %}
{%- if loss.worst is not none and many >= enough %}; in the worst 5 % of {{ many | count }}
replications it loses {{ loss.worst | money(unit) }} on average{% endif %}.
{% if paired and paired.ci_low is not none %}
{%- if paired.ci_low <= 0 <= paired.ci_high -%}
No difference from {{ paired.segment }}, the rival that loses least, is shown.
{%- else -%}
It loses {{ paired.value | quoted(paired.ci_low, paired.ci_high, unit, less=(paired.value < 0)) }}
{{ "less" if paired.value < 0 else "more" }} than {{ paired.segment }}, the rival that loses least,
with the same customers.
{%- endif %}
{%- endif %}
{% if traps %}{{ traps | join(" and ") }} {{ "loses" if traps | length == 1 else "lose" }} more than
uniform play.{% endif %}
{% if lotteries -%}
Better on average, {% for each in lotteries %}{{ each.model }} ({{ each.worst | money(unit) }})
{%- if not loop.last %} and {% endif %}{% endfor %} lost more than uniform play in
{{ "its" if lotteries | length == 1 else "their" }} worst 5 % of replications.
{%- endif %}
"""


def regret_conclusion(tables: Tables, model: str, unit: str, against: str) -> str:
    """Return what the experiment's own policy lost, beside its rivals.

    Args:
        tables: Of one run.
        model: The label of the experiment's own policy.
        unit: What is lost.
        against: What the loss is counted from (`the best arm of each moment`).
    """
    found = ((label, _loss_of(tables, label)) for label in _policy_labels(tables))
    losses = {label: loss for label, loss in found if loss is not None}
    if model not in losses:
        return "Nothing was scored."
    rivals = [loss for label, loss in losses.items() if label != model]
    played = [loss for label, loss in losses.items() if not label.endswith("uniform_play")]
    uniform = _score_value(tables, TRUTH, "uniform_regret")
    return say(
        CONCLUSION,
        model=model,
        unit=unit,
        against=against,
        loss=losses[model],
        oracle=_score_value(tables, TRUTH, "oracle_reward"),
        delay=_score_row(tables, model, "delay_regret", "mean"),
        many=_replications(tables, model),
        enough=ENOUGH_REPLICATIONS,
        paired=_paired_difference(tables, model, rivals),
        traps=[each.model for each in played if each.model != model and _is_trap(each)],
        lotteries=[each for each in played if _is_lottery(each, uniform)],
    )


def _paired_difference(
    tables: Tables, model: str, rivals: list[PolicyLoss]
) -> Mapping[str, Any] | None:
    """Return the paired difference from the rival that loses least; None where there is none."""
    if not rivals:
        return None
    best = min(rivals, key=lambda rival: rival.mean).model
    whole = tables.scores.filter(pl.col("step").is_null())
    return row_of(whole, metric="difference", model=model, segment=best)


def _is_trap(loss: PolicyLoss) -> bool:
    """Return whether a policy is shown to lose more than uniform play."""
    return loss.skill is not None and loss.skill[2] is not None and loss.skill[2] < 0


def _is_lottery(loss: PolicyLoss, uniform: float | None) -> bool:
    """Return whether a policy is better than uniform play on average, and worse in its worst
    replications.
    """
    return bool(uniform and loss.worst_low and loss.mean < uniform < loss.worst_low)


def _policy_labels(tables: Tables) -> list[str]:
    return [label for label in tables.scores["model"].unique(maintain_order=True) if label != TRUTH]


def _loss_of(tables: Tables, label: str) -> PolicyLoss | None:
    row = _score_row(tables, label, "pseudo_regret", "mean")
    if row is None or row["value"] is None:
        return None
    worst, skill = (
        _score_row(tables, label, "pseudo_regret", "cvar95"),
        _score_row(tables, label, "skill_pseudo_regret", "mean"),
    )
    skill_ends = (
        None
        if skill is None or skill["value"] is None
        else (skill["value"], skill["ci_low"], skill["ci_high"])
    )
    share = _score_value(tables, label, "regret_share")
    tail = (worst["value"], worst["ci_low"]) if worst else (None, None)
    return PolicyLoss(label, row["value"], row["ci_low"], row["ci_high"], *tail, share, skill_ends)


def _score_row(
    tables: Tables, label: str, metric: str, aggregate: str
) -> dict[str, float | None] | None:
    rows = tables.scores.filter(
        (pl.col("model") == label)
        & (pl.col("metric") == metric)
        & (pl.col("aggregate") == aggregate)
        & pl.col("fold").is_null()
        & pl.col("step").is_null()
        & pl.col("segment").is_null()
    )
    return rows.row(0, named=True) if len(rows) else None


def _score_value(tables: Tables, label: str, metric: str) -> float | None:
    row = _score_row(tables, label, metric, "mean")
    return row["value"] if row else None


def _replications(tables: Tables, model: str) -> int:
    row = _score_row(tables, model, "pseudo_regret", "mean")
    return int(row["n"] or 0) if row else 0


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


def bandit_page_grids(tables: Tables, model: str) -> list[Grid]:
    """Return the arms of the experiment's own policy."""
    return [arms_grid(tables, model)]


def bandit_sentence(world: World, tables: Tables, model: str) -> str:
    """Return what the experiment's own policy lost, beside its rivals."""
    return regret_conclusion(tables, model, world.unit, regret_reference(world))


REPORT = TaskReport(
    sentence=bandit_sentence,
    page_grids=bandit_page_grids,
    draw=draw,
    captions={
        "regret.png": "Every policy's regret as it grows",
        "allocation.png": "How customers were shared out among the arms, below the arms that "
        "were truly the best",
        "posterior.png": "What the experiment's own policy believes of each arm in the end",
    },
)


# The result of a replay on a log, in a sentence.


def replay_sentence(table: Table, tables: Tables, model: str) -> str:
    """Return what the experiment's own policy earned on the rows that count, against uniform play
    on the same log.
    """
    by_metric = {row["metric"]: row for row in _whole_scores(tables, model)}
    measure = tables.measure("mean_reward")
    what, unit = measure.subject or "reward", measure.measured_in
    if by_metric.get("mean_reward", {}).get("value") is None:
        return f"No row of the log counts for {model}: it never chose what was logged."
    earned, gain, share = (
        by_metric["mean_reward"],
        by_metric.get("gain_over_uniform"),
        by_metric["counted_share"]["value"],
    )
    rows = (
        f"{earned['n']:,} of {len(table.data):,} rows count, where it chose as the log did "
        f"({100 * share:.1f} %)"
    )
    mean = brief(earned["value"], earned["stderr"], unit)
    text = f"{model} has a mean {what} of {mean} per row on the log; {rows}"
    if gain is None or gain["ci_low"] is None:
        return f"{text}."
    if gain["ci_low"] > 0 or gain["ci_high"] < 0:
        side = "more" if gain["value"] > 0 else "less"
        return f"{text}: {brief(abs(gain['value']), None, unit)} {side} than uniform play on it."
    _, ends = interval(gain["value"], gain["ci_low"], gain["ci_high"], unit, sign=True)
    return f"{text}: no difference from uniform play on it is shown ({ends})."


def _whole_scores(tables: Tables, model: str) -> list[dict[str, Any]]:
    whole = pl.col("fold").is_null() & (pl.col("model") == model)
    return tables.scores.filter(whole).to_dicts()


REPLAY_REPORT = TaskReport(sentence=replay_sentence)
