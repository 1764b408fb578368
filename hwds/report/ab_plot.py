"""effects.png: the effect of each arm by each comparison and rule, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwds.report.ab_results import Effect, effects, outcomes, true_effects
from hwds.report.style import FLOOR_COLOUR, GREY, INK, NAIVE_COLOUR, OWN, drawable, new_figure, save_png, tidy
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"always_valid": OWN, "group_sequential": "#7b5ea7", "bayes": INK, "fixed": NAIVE_COLOUR}
"""By rule: how one may look is what tells intervals apart."""

NOTES = {"unregistered": " (unregistered)", "beyond_size": " (beyond size)"}
"""What a line says of itself beside its rule, by status."""

MOST = 40
"""Lines of a panel; more could not be read."""


def effects_png(tables: Tables, path: Path, first: str = "outcome") -> bool:
    """Draw the effects of all outcomes.

    Args:
        tables: Of one run.
        path: The PNG to write.
        first: What the first outcome is called.

    Returns:
        Whether there was anything to draw: no file is written where no effect is shown.

    Raises:
        HwdsError: The folder cannot be written.
    """
    figure = effects_figure(tables, first)
    if figure is None:
        return False
    save_png(figure, path)
    return True


def effects_figure(tables: Tables, first: str = "outcome") -> Figure | None:
    """The figure that `effects_png` writes; None where no effect is shown."""
    every = effects(tables)
    shown = [effect for effect in every if effect.low is not None and effect.model != TRUTH]
    if not shown:
        return None
    panels = {outcome: [e for e in shown if e.outcome == outcome][:MOST] for outcome in outcomes(shown)}
    figure = new_figure(10, 1.2 + sum(0.8 + 0.33 * len(lines) for lines in panels.values()))
    heights = [0.8 + 0.33 * len(lines) for lines in panels.values()]
    grid = figure.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, (outcome, lines) in zip(grid.ravel(), panels.items(), strict=True):
        _draw(axes, lines, true_effects(every))
        axes.set_title(drawable(outcome or first), loc="left", fontsize=11, color=INK, parse_math=False)
    handles = {label: handle for axes in grid.ravel() for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False, fontsize=9.5)
    title = "Effects against the control, with intervals"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _draw(axes: Axes, lines: list[Effect], truth: dict[tuple[str, str], float]) -> None:
    for place, line in enumerate(lines):
        colour = COLOURS.get(line.rule or "", GREY)
        pale = 0.45 if line.status != "ok" else 1.0
        label = f"{(line.rule or '').replace('_', ' ')}{NOTES.get(line.status, '')}"
        axes.hlines(place, line.low or 0.0, line.high or 0.0, color=colour, linewidth=2.4, alpha=pale, label=label)
        axes.plot([line.value or 0.0], [place], "o", color=colour, markersize=5.5, alpha=pale)
        known = truth.get((line.outcome, line.arm))
        if known is not None:
            axes.plot([known], [place], "|", color=FLOOR_COLOUR, markersize=13, markeredgewidth=2, label="truth")
    axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(lines)), [drawable(f"{line.model}: {line.arm}", 40) for line in lines], parse_math=False)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.margins(x=0.06)
    tidy(axes, grid="x")
