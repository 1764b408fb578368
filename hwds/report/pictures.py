"""The look of every picture, and a figure as SVG whose curves carry their points."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from hwds.core.files import write_atomically, write_text
from hwds.core.secrets import without_secrets
from hwds.results.formatting import brief

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


# A figure as SVG: text stays text, named curves carry their points, and the same figure gives
# the same bytes.
# What a reader points at can be told, and shown or hidden, without knowing what was drawn: an
# artist is part of the curve that its gid names, or else its label. The root's `data-chart` has
# the points; each part's `data-of` the place of its curve's name.

MOST_POINTS = 240
"""The most points of a curve in the data; of more points, evenly spaced ones are taken."""

POINTS_PER_INCH = 72
PART_PREFIX = "hwds-part-"


def as_svg(figure: Figure) -> str:
    """Return the figure as SVG, without a background."""
    import matplotlib as mpl

    parts = [(artist, name) for axes in figure.axes for artist, name in _drawn_artists(axes)]
    names = list(dict.fromkeys(name for _, name in parts))
    before = [artist.get_gid() for artist, _ in parts]
    for artist, name in parts:
        artist.set_gid(f"{PART_PREFIX}{names.index(name)}")
    out = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hwds"}):
        bare = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(out, format="svg", metadata=bare, transparent=True)
    for (artist, _), gid in zip(parts, before, strict=True):
        artist.set_gid(gid)
    text = re.sub(rf'id="{PART_PREFIX}(\d+)"', r'data-of="\1"', _strip_svg(out.getvalue()))
    chart_data = {
        "title": figure.get_suptitle(),
        "names": names,
        "panels": [_panel(axes, names) for axes in figure.axes],
    }
    chart = escape(json.dumps(chart_data, separators=(",", ":"), ensure_ascii=False))
    return text.replace("<svg ", f'<svg data-chart="{chart}" ', 1)


def _strip_svg(text: str) -> str:
    """Return the SVG without comments, metadata and the prolog."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace(
        '<style type="text/css">', '<style type="text/css">text{white-space:pre}', 1
    )
    return re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)


def _drawn_artists(axes: Axes) -> Iterator[tuple[Artist, str]]:
    """Yield the drawn artists, each with the name of its curve, empty where it has none."""
    from matplotlib.container import ErrorbarContainer

    curve_of: dict[Artist, str] = {}
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer) and _curve_name(container.get_label()):
            line, caps, bars = container.lines
            curve_of |= dict.fromkeys(
                [*([line] if line else []), *caps, *bars], str(container.get_label())
            )
    for artist in (*axes.lines, *axes.collections, *axes.texts):
        name = artist.get_gid() or curve_of.get(artist) or artist.get_label()
        if _curve_name(name):
            yield artist, str(name)


def _curve_name(label: object) -> bool:
    return bool(label) and not str(label).startswith("_")


def _panel(axes: Axes, names: list[str]) -> dict[str, Any]:
    """Return the position of a panel, the titles of its axes, and its curves in the coordinates of
    the drawing.
    """
    inches = axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]
    height = POINTS_PER_INCH * float(inches[1])
    box = axes.get_window_extent()
    scale = POINTS_PER_INCH / axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    corners = [box.x0 * scale, height - box.y1 * scale, box.x1 * scale, height - box.y0 * scale]
    curves: list[dict[str, Any]] = []
    for artist, name in _drawn_artists(axes):
        points = _points(axes, artist)
        if points is not None and len(points[0]) > 1:
            curves.append(
                _curve(axes, names.index(name), *points, artist.get_gid() is None, height, scale)
            )
    title = axes.get_title(loc="left") or axes.get_title()
    return {
        "title": title,
        "x": axes.get_xlabel(),
        "box": [round(corner, 1) for corner in corners],
        "curves": curves,
    }


def _points(axes: Axes, artist: Artist) -> tuple[ndarray, ndarray, ndarray | None] | None:
    """Return x, y, and for a band its lower y, in data units.

    None for an artist without points in data units.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D

    if isinstance(artist, Line2D) and artist.get_transform() == axes.transData:
        across, up = (np.asarray(values, float) for values in artist.get_data(orig=False))
        return across, up, None
    if isinstance(artist, PolyCollection) and len(artist.get_paths()) == 1:
        corners = np.asarray(artist.get_paths()[0].vertices)
        many = (len(corners) - 3) // 2
        if many > 1 and len(corners) == 2 * many + 3:
            below, above = corners[1 : many + 1], corners[many + 2 : 2 * many + 2][::-1]
            if np.array_equal(below[:, 0], above[:, 0]):
                return below[:, 0], above[:, 1], below[:, 1]
    return None


def _curve(
    axes: Axes,
    place: int,
    across: ndarray,
    up: ndarray,
    down: ndarray | None,
    stacked: bool,
    height: float,
    scale: float,
) -> dict[str, Any]:
    """Return the data of one curve.

    A band has its ends as values, a layer of a stack its thickness.
    """
    indices = np.flatnonzero(np.isfinite(across) & np.isfinite(up))
    indices = (
        indices[
            np.unique(
                np.linspace(0, len(indices) - 1, min(len(indices), MOST_POINTS)).round().astype(int)
            )
        ]
        if len(indices)
        else indices
    )
    where = axes.transData.transform(np.column_stack([across[indices], up[indices]])) * scale
    says = _across(axes)
    curve = {
        "of": place,
        "x": [round(value, 1) for value in where[:, 0].tolist()],
        "y": [round(height - value, 1) for value in where[:, 1].tolist()],
        "at": [says(value) for value in across[indices].tolist()],
    }
    if down is None:
        return curve | {"is": [brief(value) for value in up[indices].tolist()]}
    ends = list(zip(down[indices].tolist(), up[indices].tolist(), strict=True))
    if stacked:
        return curve | {"is": [brief(high - low) for low, high in ends]}
    return curve | {"is": [f"{brief(low)} to {brief(high)}" for low, high in ends]}


def _as_dates(days: float) -> str:
    from matplotlib.dates import num2date

    return f"{num2date(days):%Y-%m-%d %H:%M}".removesuffix(" 00:00")  # type: ignore[no-untyped-call]


def _across(axes: Axes) -> Any:
    """Return the function that names a position along the axis: a date, a word, or a number."""
    from matplotlib.ticker import FixedFormatter

    formatter = axes.xaxis.get_major_formatter()
    if "Date" in type(axes.xaxis.get_converter()).__name__ or "Date" in type(formatter).__name__:
        return _as_dates
    if isinstance(formatter, FixedFormatter):
        words: Mapping[float, str] = dict(
            zip(axes.get_xticks(), (t.get_text() for t in axes.get_xticklabels()), strict=False)
        )
        return lambda value: words.get(value) or f"{value:,.6g}"
    return lambda value: f"{value:,.10g}" if float(value).is_integer() else f"{value:.4g}"


# The look of every picture: colours, a figure without global state, axes, labels that any font
# can draw.

INK, GREY, LIGHT = "#1f2430", "#7d8590", "#d9dde3"
OWN_COLOUR, NAIVE_COLOUR, FLOOR_COLOUR = "#1f6fb4", "#d9822b", "#2e8b57"
ALARM_COLOUR = "#b3382c"
"""The colour of what fails, is lost, or must not be."""

RIVAL_COLOURS = (
    "#d9822b",
    "#8e5bb5",
    "#b5485d",
    "#6b7280",
    "#0e8a8a",
    "#a3821a",
    "#5b6fb5",
    "#7a9a3a",
)
"""Colours of the rivals, in the order of the scores."""

DOTS_PER_INCH = 150
SHORT_LOG_AXIS = 300
"""The ratio of the ends of a log axis up to which decades alone are too few ticks."""

_FIGURES: ContextVar[dict[str, Figure] | None] = ContextVar("gathered", default=None)


@contextmanager
def gather_figures() -> Iterator[dict[str, Figure]]:
    """Collect the figures that are saved within the block by the names of their files, instead of
    writing them.
    """
    figures: dict[str, Figure] = {}
    before = _FIGURES.set(figures)
    try:
        yield figures
    finally:
        _FIGURES.reset(before)


def new_figure(width: float, height: float) -> Figure:
    """Return a new figure of so many inches, outside of pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    return figure


def headline(figure: Figure, title: str, size: float = 13) -> None:
    """Write the title of a figure, at its left."""
    figure.suptitle(
        drawable(title, 110),
        x=0.01,
        ha="left",
        fontsize=size,
        fontweight="bold",
        color=INK,
        parse_math=False,
    )


def tidy(axes: Axes, grid: str = "y", *, title: str = "", x: str = "", y: str = "") -> None:
    """Give axes two thin spines, a pale grid behind, small grey ticks, and their titles."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LIGHT)
    axes.grid(visible=True, axis="x" if grid == "x" else "y", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=9, length=3)
    name_axes(axes, title=title, x=x, y=y)


def name_axes(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Write the titles of axes that are not empty."""
    style: dict[str, Any] = {"fontsize": 9.5, "color": INK, "parse_math": False}
    if title:
        axes.set_title(title, loc="left", **style)
    if x:
        axes.set_xlabel(x, **style)
    if y:
        axes.set_ylabel(y, **style)


def note_row(axes: Axes, place: float, text: str, colour: str, *, bold: bool = False) -> None:
    """Write a text right of the axes, at the height of a row."""
    axes.text(
        1.02,
        place,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=9.5,
        color=colour,
        fontweight="bold" if bold else "normal",
    )


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """Put the legend of axes below the figure; nothing where they have no labels."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        legend = figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )
        for text in legend.get_texts():
            text.set_parse_math(False)


def legend_above(axes: Axes, columns: int = 4) -> None:
    """Put the legend above the axes, at the right."""
    axes.legend(
        fontsize=8, frameon=False, ncols=columns, loc="lower right", bbox_to_anchor=(1.0, 1.0)
    )


def name_rows(axes: Axes, places: Any, names: Iterable[object], longest: int = 40) -> None:
    """Write a name, at most so long, beside each row."""
    texts = [drawable(str(name), longest) for name in names]
    axes.set_yticks(places, texts, fontsize=8.5, parse_math=False)


def thousands(axis: Axis) -> None:
    """Format the numbers of an axis as `12k`."""
    from matplotlib.ticker import EngFormatter

    axis.set_major_formatter(EngFormatter(sep=""))


def plain_numbers(axis: Axis) -> None:
    """Format the numbers of an axis as `12,000` or `0.02`.

    A short log axis has ticks at 1, 2 and 5 of each decade.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(map(abs, axis.get_view_interval()))
    if axis.get_scale() == "log":
        axis.set_minor_formatter(NullFormatter())
        if high < SHORT_LOG_AXIS * low:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    if axis.get_scale() == "log" or high >= 1000:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def drawable(text: str, longest: int = 60) -> str:
    """Return the text with `?` for glyphs that the font lacks; of a long text both ends, which
    distinguish labels.
    """
    glyphs = _glyphs()
    shown = "".join(
        letter if ord(letter) in glyphs else "?"
        for letter in " ".join(without_secrets(text).split())
    )
    if len(shown) <= longest:
        return shown
    behind = (longest - 3) // 2
    return f"{shown[: longest - 3 - behind]}...{shown[len(shown) - behind :]}"


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def save_png(figure: Figure | None, path: Path) -> bool:
    """Write the figure as PNG and SVG, or collect it within `gather_figures`.

    The same figure gives the same bytes.

    Returns:
        Whether there was one; where there is none no file is written, and an earlier one is
        deleted.

    Raises:
        HwdsError: The folder cannot be written; nothing is left behind.
    """
    figures = _FIGURES.get()
    if figures is not None and figure is not None:
        figures[path.stem] = figure
    elif figure is not None:
        hide_secrets(figure)
        if layout := figure.get_layout_engine():
            layout.execute(figure)
        figure.set_layout_engine(None)  # laid out once for both files, and each drawn once
        options: dict[str, Any] = {
            "metadata": {"Software": None},
            "pil_kwargs": {"compress_level": 1},
        }
        write_atomically(path, lambda part: figure.savefig(part, format="png", **options))
        write_text(path.with_suffix(".svg"), as_svg(figure))
    elif figures is None:
        path.unlink(missing_ok=True)
        path.with_suffix(".svg").unlink(missing_ok=True)
    return figure is not None


def hide_secrets(figure: Figure) -> None:
    """Take the secrets out of the texts of a figure: a unit may be the value of an environment
    variable.
    """
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    if without_secrets(together := "\n".join(text.get_text() for text in texts)) == together:
        return
    for text in texts:
        text.set_text(without_secrets(text.get_text()))


def model_colours(labels: Sequence[str], model: str) -> dict[str, str]:
    """Return a colour for each model, the experiment's model first."""
    rivals = [label for label in labels if label != model]
    colours = {model: OWN_COLOUR} if model in labels else {}
    return colours | {
        label: RIVAL_COLOURS[place % len(RIVAL_COLOURS)] for place, label in enumerate(rivals)
    }


def label_places(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Return positions for labels side by side, as near as possible to the wanted ones, each at
    least a gap from the next.

    The least squares under their order: isotonic regression of the places less the gaps below each.

    Args:
        wanted: The wanted position of each label.
        distance: The least distance; smaller where they would not all fit.
        low: The lowest position.
        high: The highest position.

    Returns:
        A place for each, in the order given.
    """
    if not wanted:
        return []
    from scipy.optimize import isotonic_regression

    order = np.argsort(wanted, kind="stable")
    gaps = min(distance, (high - low) / max(len(wanted) - 1, 1)) * np.arange(len(wanted))
    places = np.empty(len(wanted))
    places[order] = (
        np.clip(isotonic_regression(np.asarray(wanted)[order] - gaps).x, low, high - gaps[-1])
        + gaps
    )
    return places.tolist()
