"""effects.png: the effect of each arm by each comparison and rule, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwds.ab.report.scores import Effect, called, control_means, effects, level_of, outcomes, roles_of, true_effects, unit_of
from hwds.ab.report.tables import RULES
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.formatting import brief
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"always_valid": OWN, "group_sequential": "#7b5ea7", "bayes": INK, "fixed": NAIVE_COLOUR}
"""The colour of each rule: intervals of different rules are read differently."""

NOTES = {"unregistered": " (unregistered)", "beyond_size": " (beyond size)"}
"""The note beside the rule of a line, by status."""

MOST = 40
"""Lines of a panel; more could not be read."""


def effects_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the effects of all outcomes for a model's comparison; None where no effect is shown."""
    every = effects(tables)
    effects_shown = [effect for effect in every if effect.low is not None and effect.model != TRUTH]
    if not effects_shown:
        return None
    panels = {outcome: [e for e in effects_shown if e.outcome == outcome][:MOST] for outcome in outcomes(effects_shown)}
    heights = [0.9 + 0.33 * len(lines) for lines in panels.values()]
    figure = new_figure(10, 1.2 + sum(heights))
    grid = figure.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": heights})
    arms = list(dict.fromkeys(effect.arm for effect in effects_shown))
    for axes, (outcome, lines) in zip(grid.ravel(), panels.items(), strict=True):
        _draw(axes, lines, true_effects(every))
        _names(axes, lines, model, len(arms) > 1)
        axes.set_title(_titled(tables, outcome), loc="left", fontsize=11, color=INK, parse_math=False)
    handles = {label: handle for axes in grid.ravel() for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False, fontsize=9.5)
    who = f"Effect of {arms[0]}" if len(arms) == 1 else "Effects"
    level = level_of(tables)
    title = drawable(f"{who} against the control, with {level} intervals", 90)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _titled(tables: Tables, outcome: str) -> str:
    """Return the title of an outcome: `revenue, USD per unit; control 6.71 USD`."""
    unit, mean = unit_of(tables, outcome), control_means(tables).get(outcome)
    plain = not roles_of(tables)  # a metric may be a ratio or a quantile
    has = "the control's mean is" if plain else "the control has"
    beside = "" if mean is None else f"; {has} {brief(mean, None, unit)}"
    return drawable(f"{called(tables, outcome)}{f', {unit}' if unit else ''}{' per unit' if plain else ''}{beside}", 90)


def _draw(axes: Axes, lines: list[Effect], truth: dict[tuple[str, str], float]) -> None:
    for place, line in enumerate(lines):
        colour = COLOURS.get(line.rule or "", GREY)
        pale = 0.45 if line.status != "ok" else 1.0
        label = f"{RULES.get(line.rule or '', '')}{NOTES.get(line.status, '')}"
        axes.hlines(place, line.low or 0.0, line.high or 0.0, color=colour, linewidth=2.4, alpha=pale, label=label)
        axes.plot([line.value or 0.0], [place], "o", color=colour, markersize=5.5, alpha=pale)
        known = truth.get((line.outcome, line.arm))
        if known is not None:
            axes.plot([known], [place], "|", color=FLOOR_COLOUR, markersize=13, markeredgewidth=2, label="truth")
    axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.margins(x=0.06)
    tidy(axes, grid="x")


def _names(axes: Axes, lines: list[Effect], model: str, with_arm: bool) -> None:
    """Write a name where model or arm change, and draw a hairline between models."""
    who = [(line.model, line.arm if with_arm else "") for line in lines]
    names = [
        "" if place and pair == who[place - 1] else drawable(": ".join(filter(None, pair)), 40)
        for place, pair in enumerate(who)
    ]
    axes.set_yticks(range(len(lines)), names, parse_math=False)
    axes.tick_params(axis="y", length=0)
    for place, tick in enumerate(axes.get_yticklabels()):
        tick.set_fontweight("bold" if lines[place].model == model else "normal")
        if place and who[place] != who[place - 1]:
            axes.axhline(place - 0.5, color=LIGHT, linewidth=0.8, zorder=0)
