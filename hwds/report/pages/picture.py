"""Pictures inside a report: SVG drawings in the colours of the page with their numbers, or PNG where there is no drawing."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from markupsafe import Markup

from hwds.core.hashing import digest
from hwds.report.grid import Grid, grid_of
from hwds.report.pages.base import Folded, GridTable, Part, plain
from hwds.report.pages.rendering import render_part
from hwds.report.pictures.style import INK, LIGHT
from hwds.report.pictures.vector import as_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUNDS = {INK: "var(--ink)", LIGHT: "var(--line)", "#ffffff": "var(--paper)"}
"""The colours that become colours of the page itself; any other is made readable on it."""

MOST_NUMBERS = 40
"""The most rows of a picture's table; of more rows, evenly spaced ones are shown."""


@dataclass(frozen=True, slots=True)
class Picture(Part):
    """A picture with a caption, and its numbers for readers who cannot see it.

    Attributes:
        caption: The caption.
        inside: Its HTML, without external addresses.
        file: The name of its file beside the page, for Markdown.
        numbers: The drawn numbers, as tables.
    """

    caption: str
    inside: Markup
    file: str
    numbers: tuple[Grid, ...] = ()

    @classmethod
    def of_figure(cls, figure: Figure, caption: str, file: str) -> Self:
        """Return a figure as inline SVG: sharp at any size, with searchable text."""
        return cls.of_svg(as_svg(figure), caption, file)

    @classmethod
    def of_svg(cls, text: str, caption: str, file: str) -> Self:
        """Return the same from the text that `as_svg` made."""
        return cls(caption, svg(text, caption), file, tuple(numbers_of(chart_of(text))))

    @classmethod
    def of_png(cls, path: Path, caption: str) -> Self:
        """Return a PNG inside the page."""
        return cls(caption, render_part("photograph", caption, b64encode(path.read_bytes()).decode()), path.name)

    @classmethod
    def of_file(cls, path: Path, caption: str) -> Self:
        """Return a picture of a run: the SVG where there is one beside the PNG."""
        drawing = path.with_suffix(".svg")
        if drawing.is_file():
            return cls.of_svg(drawing.read_text(encoding="utf-8"), caption, path.name)
        return cls.of_png(path, caption)

    @property
    def table(self) -> Folded:
        """Its numbers, collapsed."""
        return Folded("The numbers", tuple(map(GridTable, self.numbers)))

    def markdown(self) -> str:
        """Return a link to its file."""
        return f"![{plain(self.caption)}]({self.file})"


@dataclass(frozen=True, slots=True)
class Pictures(Part):
    """Many small pictures in rows, as many in a row as fit; Markdown leaves them out."""

    pictures: tuple[Picture, ...]

    def markdown(self) -> str:
        """Return nothing."""
        return ""


def svg(text: str, caption: str) -> Markup:
    """Return a drawing as part of a page: its colours are the page's, its ids are unique there, the caption is its label.

    Args:
        text: The text that `as_svg` made.
        caption: The caption.
    """
    for colour, name in GROUNDS.items():
        text = text.replace(colour, name)
    text = re.sub(r"(fill|stroke|stop-color)(: |=\")#([0-9a-f]{6})", r"\1\2var(--c\3)", text)
    prefix = f"p{digest(text)[:6]}-"
    for before in (r'\bid="', r"url\(#", r'href="#'):
        text = re.sub(f"({before})", rf"\g<1>{prefix}", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    label = ". ".join(filter(None, (caption.rstrip("."), str(chart_of(text).get("title", "")))))
    size = re.search(r'viewBox="0 0 ([\d.]+)', text)
    width = f"{0.8 * float(size[1]):.0f}" if size else ""
    rest = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text.partition("<svg")[2]).replace("xlink:href", "href").strip()
    return render_part("drawing", label, width, Markup(rest))


def chart_of(text: str) -> dict[str, Any]:
    """Return the data of a drawing's curves; see `vector`."""
    match = re.search(r'data-chart="([^"]*)"', text)
    chart: dict[str, Any] = json.loads(unescape(match[1])) if match else {}
    return chart


def numbers_of(chart: dict[str, Any]) -> Iterator[Grid]:
    """Yield the points of each panel as a table: the position along the axis, and the value of each curve there."""
    names = chart.get("names", [])
    for panel in chart.get("panels", []):
        rows: dict[str, tuple[float, dict[int, list[str]]]] = {}
        for curve in panel["curves"]:
            for across, at, value in zip(curve["x"], curve["at"], curve["is"], strict=True):
                rows.setdefault(at, (across, {}))[1].setdefault(curve["of"], []).append(value)
        places = list(dict.fromkeys(curve["of"] for curve in panel["curves"]))
        cells = [[at, *("; ".join(values.get(of, [])) for of in places)] for at, (_, values) in _in_order(rows)]
        if len(cells) > 1:
            step = max(len(cells) / MOST_NUMBERS, 1)
            shown = [cells[int(place * step)] for place in range(min(len(cells), MOST_NUMBERS))]
            titles = [panel["x"] or "at", *(names[of] for of in places)]
            yield grid_of([(title, title) for title in titles], shown, caption=panel["title"] or chart["title"])


def _in_order(rows: dict[str, tuple[float, dict[int, list[str]]]]) -> list[tuple[str, tuple[float, dict[int, list[str]]]]]:
    return sorted(rows.items(), key=lambda row: row[1][0])
