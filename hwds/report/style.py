"""The look of every picture: colours, a figure without global state, axes, labels that any font can draw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hwds.results.atomic import write_atomically, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK, GREY, LIGHT = "#1f2430", "#7d8590", "#d9dde3"
OWN, NAIVE_COLOUR, FLOOR_COLOUR = "#1f6fb4", "#d9822b", "#2e8b57"
DOTS_PER_INCH = 150
SHORT = 300
"""The ratio of the ends of a log axis up to which decades alone would leave it bare."""

_GATHERED: ContextVar[dict[str, Figure] | None] = ContextVar("gathered", default=None)


@contextmanager
def gathered() -> Iterator[dict[str, Figure]]:
    """What is saved within the block is gathered by the name of its file, and not written."""
    found: dict[str, Figure] = {}
    before = _GATHERED.set(found)
    try:
        yield found
    finally:
        _GATHERED.reset(before)


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that belongs to nobody else."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, grid: str = "y") -> None:
    """Two thin spines, a pale grid behind, small grey ticks."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LIGHT)
    axes.grid(visible=True, axis="x" if grid == "x" else "y", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9, length=3)


def plain_numbers(axis: Axis) -> None:
    """Numbers along an axis as people write them: `12,000`, `0.02`; on a short log axis 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(map(abs, axis.get_view_interval()))
    if axis.get_scale() == "log":
        axis.set_minor_formatter(NullFormatter())
        if high < SHORT * low:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    if axis.get_scale() == "log" or high >= 1000:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def drawable(text: str, longest: int = 60) -> str:
    """The text with `?` for what the font lacks; of one that is too long both ends, which tell labels apart."""
    known = _glyphs()
    shown = "".join(letter if ord(letter) in known else "?" for letter in " ".join(text.split()))
    if len(shown) <= longest:
        return shown
    behind = (longest - 3) // 2
    return f"{shown[: longest - 3 - behind]}...{shown[len(shown) - behind :]}"


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def save_png(figure: Figure | None, path: Path) -> bool:
    """Write the figure, and beside it the same as SVG, or give it to who gathers them; the same figure gives the same bytes.

    Returns:
        Whether there was one; no file is written where there is none.

    Raises:
        HwdsError: The folder cannot be written; nothing is left behind.
    """
    from hwds.report.vector import as_svg

    found = _GATHERED.get()
    if found is not None and figure is not None:
        found[path.stem] = figure
    elif figure is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once for both files
        write_atomically(path, lambda part: figure.savefig(part, format="png", metadata={"Software": None}))
        write_text(path.with_suffix(".svg"), as_svg(figure))
    return figure is not None
