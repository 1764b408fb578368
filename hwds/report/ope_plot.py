"""estimates.png: what each estimator says of a policy, beside the log and the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwds.report.ope_results import Estimated, Reward, estimates, reward_of, truth_of
from hwds.report.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, save_png, tidy
from hwds.results.tables import TRUTH, Tables
from hwds.results.wording import brief, with_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def estimates_png(tables: Tables, model: str, path: Path) -> bool:
    """Draw the estimates.

    Args:
        tables: Of one run.
        model: The experiment's own model.
        path: The PNG to write.

    Returns:
        Whether there was anything to draw; where no estimator said anything no file is written.

    Raises:
        HwdsError: The folder cannot be written.
    """
    return save_png(estimates_figure(tables, model), path)


def estimates_figure(tables: Tables, model: str) -> Figure | None:
    """The figure that `estimates_png` writes; None where no estimator said anything."""
    found, reward = estimates(tables), reward_of(tables)
    shown = [made for label, made in found.items() if label != TRUTH]
    if not shown:
        return None
    figure = new_figure(9, 1.9 + 0.42 * len(shown))
    axes = figure.subplots()
    texts = with_errors([made.policy.value for made in shown], [made.policy.stderr for made in shown])
    for place, (made, text) in enumerate(zip(shown, texts, strict=True)):
        _draw(axes, made, place, text, own=made.model == model)
    _references(axes, shown[0], truth_of(found), reward)
    _label(axes, shown, model, reward)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
    title = f"What the policy would earn: {reward.title}, from {shown[0].rows:,} rows of another's log"
    figure.suptitle(drawable(title, 90), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw(axes: Axes, made: Estimated, place: int, text: str, *, own: bool) -> None:
    """A dot with its bar; hollow and dashed where the bar leaves the estimator's bias out."""
    colour = OWN if own else GREY
    style = (0, (2, 1.5)) if made.biased else "-"
    axes.plot([made.policy.low, made.policy.high], [place, place], color=colour, linewidth=2.2, linestyle=style, alpha=0.6)
    inside = "white" if made.biased else colour
    axes.plot([made.policy.value], [place], color=colour, marker="o", markersize=8, markerfacecolor=inside, zorder=4)
    weight = "bold" if own else "normal"
    axes.text(
        1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5, color=colour, fontweight=weight
    )


def _references(axes: Axes, first: Estimated, truth: Estimated | None, reward: Reward) -> None:
    """The log's own value and the truth, with its interval as a shade, as lines through all estimators."""
    label = f"the log itself {brief(first.logged.value, None, reward.unit)}"
    axes.axvline(first.logged.value, color=NAIVE_COLOUR, linewidth=1.4, linestyle=":", zorder=1, label=label)
    if truth is not None:
        label = f"what it is worth in truth {brief(truth.policy.value, truth.policy.stderr, reward.unit)}"
        axes.axvline(truth.policy.value, color=FLOOR_COLOUR, linewidth=1.4, linestyle="--", zorder=1, label=label)
        axes.axvspan(truth.policy.low, truth.policy.high, color=FLOOR_COLOUR, alpha=0.10, linewidth=0, zorder=0)


def _label(axes: Axes, shown: list[Estimated], model: str, reward: Reward) -> None:
    tidy(axes, grid="x")
    axes.set_yticks(range(len(shown)), [drawable(made.model, 44) for made in shown], parse_math=False)
    for tick, made in zip(axes.get_yticklabels(), shown, strict=True):
        tick.set_fontweight("bold" if made.model == model else "normal")
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_color(LIGHT)
    axes.margins(x=0.08)
    apart = "; hollow: the estimator's bias is not in its bar" if any(made.biased for made in shown) else ""
    axes.set_xlabel(
        f"{reward.title}; bars: {reward.level} interval, ± one standard error{apart}", fontsize=9.5, color=INK, parse_math=False
    )
