"""A figure as SVG: text stays text, named curves carry their points, and the same figure gives the same bytes.

What a reader points at can be told, and shown or hidden, without knowing what was drawn: an artist is part of the curve that
its gid names, or else its label. The root's `data-chart` has the points; each part's `data-of` the place of its curve's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from hwds.results.formatting import brief

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 240
"""The most points of a curve in the data; of more points, evenly spaced ones are taken."""

POINTS_PER_INCH = 72
PREFIX = "hwds-part-"


def as_svg(figure: Figure) -> str:
    """Return the figure as SVG, without a background."""
    import matplotlib as mpl

    parts = [(artist, name) for axes in figure.axes for artist, name in _parts(axes)]
    names = list(dict.fromkeys(name for _, name in parts))
    before = [artist.get_gid() for artist, _ in parts]
    for artist, name in parts:
        artist.set_gid(f"{PREFIX}{names.index(name)}")
    out = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hwds"}):
        bare = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(out, format="svg", metadata=bare, transparent=True)
    for (artist, _), gid in zip(parts, before, strict=True):
        artist.set_gid(gid)
    text = re.sub(rf'id="{PREFIX}(\d+)"', r'data-of="\1"', _bare(out.getvalue()))
    chart_data = {"title": figure.get_suptitle(), "names": names, "panels": [_panel(axes, names) for axes in figure.axes]}
    chart = escape(json.dumps(chart_data, separators=(",", ":"), ensure_ascii=False))
    return text.replace("<svg ", f'<svg data-chart="{chart}" ', 1)


def _bare(text: str) -> str:
    """Return the SVG without comments, metadata and the prolog."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace('<style type="text/css">', '<style type="text/css">text{white-space:pre}', 1)
    return re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)


def _parts(axes: Axes) -> Iterator[tuple[Artist, str]]:
    """Yield the drawn artists, each with the name of its curve, empty where it has none."""
    from matplotlib.container import ErrorbarContainer

    held: dict[Artist, str] = {}
    for container in axes.containers:
        if isinstance(container, ErrorbarContainer) and _shown(container.get_label()):
            line, caps, bars = container.lines
            held |= dict.fromkeys([*([line] if line else []), *caps, *bars], str(container.get_label()))
    for artist in (*axes.lines, *axes.collections, *axes.texts):
        name = artist.get_gid() or held.get(artist) or artist.get_label()
        if _shown(name):
            yield artist, str(name)


def _shown(label: object) -> bool:
    return bool(label) and not str(label).startswith("_")


def _panel(axes: Axes, names: list[str]) -> dict[str, Any]:
    """Return the position of a panel, the titles of its axes, and its curves in the coordinates of the drawing."""
    inches = axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]
    height = POINTS_PER_INCH * float(inches[1])
    box = axes.get_window_extent()
    scale = POINTS_PER_INCH / axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    corners = [box.x0 * scale, height - box.y1 * scale, box.x1 * scale, height - box.y0 * scale]
    curves: list[dict[str, Any]] = []
    for artist, name in _parts(axes):
        points = _points(axes, artist)
        if points is not None and len(points[0]) > 1:
            curves.append(_curve(axes, names.index(name), *points, artist.get_gid() is None, height, scale))
    title = axes.get_title(loc="left") or axes.get_title()
    return {"title": title, "x": axes.get_xlabel(), "box": [round(corner, 1) for corner in corners], "curves": curves}


def _points(axes: Axes, artist: Artist) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
    """Return x, y, and for a band its lower y, in data units; None for an artist without points in data units."""
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
    across: np.ndarray,
    up: np.ndarray,
    down: np.ndarray | None,
    stacked: bool,
    height: float,
    scale: float,
) -> dict[str, Any]:
    """Return the data of one curve; a band has its ends as values, a layer of a stack its thickness."""
    indices = np.flatnonzero(np.isfinite(across) & np.isfinite(up))
    indices = (
        indices[np.unique(np.linspace(0, len(indices) - 1, min(len(indices), MOST)).round().astype(int))]
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


def _dated(days: float) -> str:
    from matplotlib.dates import num2date

    return f"{num2date(days):%Y-%m-%d %H:%M}".removesuffix(" 00:00")  # type: ignore[no-untyped-call]


def _across(axes: Axes) -> Any:
    """Return the function that names a position along the axis: a date, a word, or a number."""
    from matplotlib.ticker import FixedFormatter

    formatter = axes.xaxis.get_major_formatter()
    if "Date" in type(axes.xaxis.get_converter()).__name__ or "Date" in type(formatter).__name__:
        return _dated
    if isinstance(formatter, FixedFormatter):
        words: Mapping[float, str] = dict(zip(axes.get_xticks(), (t.get_text() for t in axes.get_xticklabels()), strict=False))
        return lambda value: words.get(value) or f"{value:,.6g}"
    return lambda value: f"{value:,.10g}" if float(value).is_integer() else f"{value:.4g}"
