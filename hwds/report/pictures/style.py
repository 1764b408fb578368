"""The look of every picture: colours, a figure without global state, axes, labels that any font can draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwds.core.atomic import write_atomically, write_text
from hwds.core.secrets import without_secrets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK, GREY, LIGHT = "#1f2430", "#7d8590", "#d9dde3"
OWN, NAIVE_COLOUR, FLOOR_COLOUR = "#1f6fb4", "#d9822b", "#2e8b57"
RIVAL_COLOURS = ("#d9822b", "#8e5bb5", "#b5485d", "#6b7280", "#0e8a8a", "#a3821a", "#5b6fb5", "#7a9a3a")
"""Colours of the rivals, in the order of the scores."""

DOTS_PER_INCH = 150
SHORT = 300
"""The ratio of the ends of a log axis up to which decades alone are too few ticks."""

_GATHERED: ContextVar[dict[str, Figure] | None] = ContextVar("gathered", default=None)


@contextmanager
def gathered() -> Iterator[dict[str, Figure]]:
    """Collect the figures that are saved within the block by the names of their files, instead of writing them."""
    figures: dict[str, Figure] = {}
    before = _GATHERED.set(figures)
    try:
        yield figures
    finally:
        _GATHERED.reset(before)


def new_figure(width: float, height: float) -> Figure:
    """Return a new figure of so many inches, outside of pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, grid: str = "y") -> None:
    """Give axes two thin spines, a pale grid behind, and small grey ticks."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LIGHT)
    axes.grid(visible=True, axis="x" if grid == "x" else "y", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9, length=3)


def plain_numbers(axis: Axis) -> None:
    """Format the numbers of an axis as `12,000` or `0.02`; a short log axis has ticks at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(map(abs, axis.get_view_interval()))
    if axis.get_scale() == "log":
        axis.set_minor_formatter(NullFormatter())
        if high < SHORT * low:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    if axis.get_scale() == "log" or high >= 1000:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def drawable(text: str, longest: int = 60) -> str:
    """Return the text with `?` for glyphs that the font lacks; of a long text both ends, which distinguish labels."""
    known = _glyphs()
    shown = "".join(letter if ord(letter) in known else "?" for letter in " ".join(without_secrets(text).split()))
    if len(shown) <= longest:
        return shown
    behind = (longest - 3) // 2
    return f"{shown[: longest - 3 - behind]}...{shown[len(shown) - behind :]}"


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def save_png(figure: Figure | None, path: Path) -> bool:
    """Write the figure as PNG and SVG, or collect it within `gathered`; the same figure gives the same bytes.

    Returns:
        Whether there was one; where there is none no file is written, and an earlier one is deleted.

    Raises:
        HwdsError: The folder cannot be written; nothing is left behind.
    """
    from hwds.report.pictures.vector import as_svg

    figures = _GATHERED.get()
    if figures is not None and figure is not None:
        figures[path.stem] = figure
    elif figure is not None:
        hide_secrets(figure)
        if layout := figure.get_layout_engine():
            layout.execute(figure)
        figure.set_layout_engine(None)  # laid out once for both files, and each drawn once
        options: dict[str, Any] = {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 1}}
        write_atomically(path, lambda part: figure.savefig(part, format="png", **options))
        write_text(path.with_suffix(".svg"), as_svg(figure))
    elif figures is None:
        path.unlink(missing_ok=True)
        path.with_suffix(".svg").unlink(missing_ok=True)
    return figure is not None


def hide_secrets(figure: Figure) -> None:
    """Take the secrets out of the texts of a figure: a unit may be the value of an environment variable."""
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    if without_secrets(together := "\n".join(text.get_text() for text in texts)) == together:
        return
    for text in texts:
        text.set_text(without_secrets(text.get_text()))


def model_colours(labels: Sequence[str], model: str) -> dict[str, str]:
    """Return a colour for each model, the experiment's model first."""
    rivals = [label for label in labels if label != model]
    colours = {model: OWN} if model in labels else {}
    return colours | {label: RIVAL_COLOURS[place % len(RIVAL_COLOURS)] for place, label in enumerate(rivals)}


def label_places(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions for labels side by side, as near as possible to the wanted ones, each at least a gap from the next.

    The least squares under their order: isotonic regression of the places less the gaps below each.

    Args:
        wanted: The wanted position of each label.
        gap: The least distance; smaller where they would not all fit.
        low: The lowest position.
        high: The highest position.

    Returns:
        A place for each, in the order given.
    """
    if not wanted:
        return []
    from scipy.optimize import isotonic_regression

    order = np.argsort(wanted, kind="stable")
    gaps = min(gap, (high - low) / max(len(wanted) - 1, 1)) * np.arange(len(wanted))
    places = np.empty(len(wanted))
    places[order] = np.clip(isotonic_regression(np.asarray(wanted)[order] - gaps).x, low, high - gaps[-1]) + gaps
    return places.tolist()
