"""estimates.png: what each estimator says of a policy, beside the log and the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwds.ope.report.scores import Estimated, Reward, estimates, reward_of, truth_of
from hwds.report.pictures.style import FLOOR_COLOUR, GREY, INK, LIGHT, NAIVE_COLOUR, OWN, drawable, new_figure, tidy
from hwds.results.formatting import brief, with_errors
from hwds.results.tables import TRUTH, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def estimates_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the estimates; None where no estimator has a value."""
    by_label, reward = estimates(tables), reward_of(tables)
    shown = [estimated for label, estimated in by_label.items() if label != TRUTH]
    if not shown:
        return None
    figure = new_figure(9, 1.9 + 0.42 * len(shown))
    axes = figure.subplots()
    texts = with_errors([estimated.policy.value for estimated in shown], [estimated.policy.stderr for estimated in shown])
    for place, (estimated, text) in enumerate(zip(shown, texts, strict=True)):
        _draw(axes, estimated, place, text, own=estimated.model == model)
    _references(axes, shown[0], truth_of(by_label), reward)
    _label(axes, shown, model, reward)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5)
    title = f"What {reward.policy_name} would earn, from {shown[0].rows:,} rows"
    figure.suptitle(drawable(title, 90), x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False)
    return figure


def _draw(axes: Axes, estimated: Estimated, place: int, text: str, *, own: bool) -> None:
    """Draw a dot with its bar; hollow and dashed where the bar leaves the estimator's bias out."""
    colour = OWN if own else GREY
    style = (0, (2, 1.5)) if estimated.biased else "-"
    axes.plot(
        [estimated.policy.low, estimated.policy.high], [place, place], color=colour, linewidth=2.2, linestyle=style, alpha=0.6
    )
    inside = "white" if estimated.biased else colour
    axes.plot([estimated.policy.value], [place], color=colour, marker="o", markersize=8, markerfacecolor=inside, zorder=4)
    weight = "bold" if own else "normal"
    axes.text(
        1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5, color=colour, fontweight=weight
    )


def _references(axes: Axes, first: Estimated, truth: Estimated | None, reward: Reward) -> None:
    """Draw the log's own value, and the truth with its interval as a shade, as lines through all estimators."""
    label = f"the log itself {brief(first.logged.value, None, reward.unit)}"
    axes.axvline(first.logged.value, color=NAIVE_COLOUR, linewidth=1.4, linestyle=":", zorder=1, label=label)
    if truth is not None:
        label = f"what it is worth in truth {brief(truth.policy.value, truth.policy.stderr, reward.unit)}"
        axes.axvline(truth.policy.value, color=FLOOR_COLOUR, linewidth=1.4, linestyle="--", zorder=1, label=label)
        axes.axvspan(truth.policy.low, truth.policy.high, color=FLOOR_COLOUR, alpha=0.10, linewidth=0, zorder=0)


def _label(axes: Axes, shown: list[Estimated], model: str, reward: Reward) -> None:
    tidy(axes, grid="x")
    axes.set_yticks(range(len(shown)), [drawable(estimated.model, 44) for estimated in shown], parse_math=False)
    for tick, estimated in zip(axes.get_yticklabels(), shown, strict=True):
        tick.set_fontweight("bold" if estimated.model == model else "normal")
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_color(LIGHT)
    axes.margins(x=0.08)
    note = "; hollow: the estimator's bias is not in its bar" if any(estimated.biased for estimated in shown) else ""
    axes.set_xlabel(
        f"{reward.title}; bars: {reward.level} interval, ± one standard error{note}", fontsize=9.5, color=INK, parse_math=False
    )
