"""Pictures inside a report: drawings in the colours of the page with their numbers, and photographs of what has no drawing."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hwds.hashing import digest
from hwds.report.grid import Grid, grid_of
from hwds.report.page import Folded, Table, plain
from hwds.report.style import INK, LIGHT
from hwds.report.vector import as_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUNDS = {INK: "var(--ink)", LIGHT: "var(--line)", "#ffffff": "var(--paper)"}
"""What becomes a colour of the page itself; any other is made readable on it."""

MOST_NUMBERS = 40
"""Rows of a picture's table; of more, so many evenly spaced."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with the words, and the numbers, for who cannot see it.

    Attributes:
        caption: What it shows.
        inside: Its HTML, without any address.
        file: Beside the page, for Markdown.
        numbers: What was drawn, as tables.
    """

    caption: str
    inside: str
    file: str
    numbers: tuple[Grid, ...] = ()

    @classmethod
    def of_figure(cls, figure: Figure, caption: str, file: str) -> Self:
        """An inline drawing: sharp at any size, its text can be searched."""
        return cls.of_svg(as_svg(figure), caption, file)

    @classmethod
    def of_svg(cls, text: str, caption: str, file: str) -> Self:
        """The same from what `as_svg` made."""
        return cls(caption, svg(text, caption), file, tuple(numbers_of(chart_of(text))))

    @classmethod
    def of_png(cls, path: Path, caption: str) -> Self:
        """A PNG inside the page."""
        data = b64encode(path.read_bytes()).decode()
        return cls(caption, f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">', path.name)

    @classmethod
    def of_file(cls, path: Path, caption: str) -> Self:
        """What a run drew: its drawing where there is one beside the PNG."""
        drawing = path.with_suffix(".svg")
        if drawing.is_file():
            return cls.of_svg(drawing.read_text(encoding="utf-8"), caption, path.name)
        return cls.of_png(path, caption)

    def html(self) -> str:
        """As HTML; a wide one scrolls in a box of its own."""
        box = f'<div class="drawing" role="group" tabindex="0" aria-label="{escape(self.caption)}">{self.inside}</div>'
        told = Folded("The numbers", tuple(map(Table, self.numbers))).html() if self.numbers else ""
        return f"<figure>{box}<figcaption>{escape(self.caption)}</figcaption>{told}</figure>"

    def markdown(self) -> str:
        """As Markdown."""
        return f"![{plain(self.caption)}]({self.file})"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Many small ones in rows, as many beside each other as there is room for; Markdown leaves them out."""

    pictures: tuple[Picture, ...]

    def html(self) -> str:
        """As HTML."""
        each = "".join(
            f"<figure>{picture.inside}<figcaption>{escape(picture.caption)}</figcaption></figure>" for picture in self.pictures
        )
        return f'<div class="many">{each}</div>'

    def markdown(self) -> str:
        """As Markdown."""
        return ""


def svg(text: str, caption: str) -> str:
    """A drawing as part of a page: its colours those of the page, its ids its own, its words behind the caption."""
    for colour, name in GROUNDS.items():
        text = text.replace(colour, name)
    text = re.sub(r"(fill|stroke|stop-color)(: |=\")#([0-9a-f]{6})", r"\1\2var(--c\3)", text)
    own = f"p{digest(text)[:6]}-"
    text = re.sub(r'\bid="', f'id="{own}', text)
    text = re.sub(r"url\(#", f"url(#{own}", text)
    text = re.sub(r'href="#', f'href="#{own}', text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    told = ". ".join(filter(None, (caption.rstrip("."), str(chart_of(text).get("title", "")))))
    least = re.search(r'viewBox="0 0 ([\d.]+)', text)
    style = f' style="min-width:{0.8 * float(least[1]):.0f}px"' if least else ""
    label = f'<svg role="img" aria-label="{escape(told)}"{style}'
    return re.sub(r' xmlns(:xlink)?="[^"]*"', "", text.replace("<svg", label, 1)).replace("xlink:href", "href").strip()


def chart_of(text: str) -> dict[str, Any]:
    """What a drawing knows of its curves; see `vector`."""
    found = re.search(r'data-chart="([^"]*)"', text)
    chart: dict[str, Any] = json.loads(unescape(found[1])) if found else {}
    return chart


def numbers_of(chart: dict[str, Any]) -> Iterator[Grid]:
    """The points of each panel as a table: where along the axis, and what each curve is there."""
    names = chart.get("names", [])
    for panel in chart.get("panels", []):
        rows: dict[str, tuple[float, dict[int, list[str]]]] = {}
        for curve in panel["curves"]:
            for across, at, said in zip(curve["x"], curve["at"], curve["is"], strict=True):
                rows.setdefault(at, (across, {}))[1].setdefault(curve["of"], []).append(said)
        places = list(dict.fromkeys(curve["of"] for curve in panel["curves"]))
        cells = [[at, *("; ".join(found.get(of, [])) for of in places)] for at, (_, found) in _in_order(rows)]
        if len(cells) > 1:
            step = max(len(cells) / MOST_NUMBERS, 1)
            kept = [cells[int(place * step)] for place in range(min(len(cells), MOST_NUMBERS))]
            titles = [panel["x"] or "at", *(names[of] for of in places)]
            yield grid_of([(title, title) for title in titles], kept, caption=panel["title"] or chart["title"])


def _in_order(rows: dict[str, tuple[float, dict[int, list[str]]]]) -> list[tuple[str, tuple[float, dict[int, list[str]]]]]:
    return sorted(rows.items(), key=lambda row: row[1][0])
