"""A report as parts: tables, texts, pictures; written as one HTML file and as Markdown."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from markupsafe import Markup

from hwds.core.files import digest
from hwds.core.secrets import without_secrets
from hwds.report.grid import Grid, grid_of
from hwds.report.pictures import INK, LIGHT, as_svg
from hwds.report.words import SENTENCE_END

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure


# The colours of a page, light and dark, and colours of pictures adjusted to contrast with
# either background.

LIGHT_COLOURS = {
    "paper": "#ffffff",
    "ink": "#1f2430",
    "grey": "#59616b",
    "line": "#d9dde3",
    "own": "#1f6fb4",
    "naive": "#a85c14",
    "soft": "#f4f6f8",
    "note": "#fff6e5",
}
DARK_COLOURS = {
    "paper": "#14171c",
    "ink": "#e6e9ee",
    "grey": "#a5adb8",
    "line": "#3a414b",
    "own": "#6db3ef",
    "naive": "#e8a25c",
    "soft": "#1d2127",
    "note": "#33290f",
}
"""The least contrast of text with its background."""

ENOUGH_CONTRAST = 4.5
"""To 1: what text needs (WCAG 2.2, 1.4.3, level AA)."""


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours `#rrggbb`, 1 to 21 (WCAG 2.2)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def readable_colour(colour: str, ground: str) -> str:
    """Return the colour, moved away from the background by as little as makes text readable."""
    end = 0 if _luminance(ground) > 0.18 else 255
    parts = _channels(colour)
    for step in range(21):
        moved = "#" + "".join(f"{round(part + (end - part) * step / 20):02x}" for part in parts)
        if contrast(moved, ground) >= ENOUGH_CONTRAST:
            return moved
    return moved


def palettes(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the colours of a page by the names of their variables, light and dark.

    Args:
        text: HTML; each `var(--c1f6fb4)` in it gets a variable, readable on the background.
    """
    read = sorted(set(re.findall(r"var\(--c([0-9a-f]{6})\)", text)))
    light, dark = (
        page | {f"c{colour}": readable_colour(f"#{colour}", page["paper"]) for colour in read}
        for page in (LIGHT_COLOURS, DARK_COLOURS)
    )
    return light, dark


def _luminance(colour: str) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (p / 255 for p in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


# Templates of pages, filled by Jinja2 with every value escaped, and the scripts and styles that
# they hold.

NAME_JOINT = re.compile(r"(?<=[/_,=])(?=[^ ])|(?<=[^ ][(\[])(?=[^ ])")
"""The places where a long name is broken first."""


def render(template: str, **values: Any) -> Markup:
    """Return a template of `templates/` filled with values."""
    return Markup(_templates().get_template(template).render(values))


def render_part(macro: str, *values: Any) -> Markup:
    """Return a macro of `parts.html.j2` filled with values."""
    return getattr(_templates().get_template("parts.html.j2").module, macro)(*values)


def static(path: str) -> Markup:
    """Return the text of a script or a style by its path below `hwds/report`."""
    return Markup((Path(__file__).parent / path).read_text(encoding="utf-8"))


def keep_together(text: str) -> str:
    """Return the text with no-break spaces between a number and its percent sign or its error."""
    return text.replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")


def name_pieces(text: str) -> list[str]:
    """Return the pieces of a name between which it may be broken."""
    return [piece.replace(", %", ",\u00a0%") for piece in NAME_JOINT.split(text)]


def _without_secrets(value: Any) -> Any:
    """Return a value of a page without secrets.

    Parts that are rendered already had theirs taken out.
    """
    return (
        without_secrets(value)
        if isinstance(value, str) and not isinstance(value, Markup)
        else value
    )


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=_without_secrets,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static
    environment.filters |= {"keep_together": keep_together, "name_pieces": name_pieces}
    return environment


# Page: a report as parts, written as one self-contained HTML file and as Markdown.

MOST_ON_PAPER = 12
"""The number of columns above which a printed table has only those of the terminal."""

LONG_LEAD = 240
"""The letters above which a first sentence is set smaller, so that it is visible without scrolling.
"""


class PagePart(ABC):
    """A piece of a page."""

    __slots__ = ()

    def html(self) -> Markup:
        """Return it as HTML: the macro of `parts.html.j2` that bears the name of its class."""
        return render_part(type(self).__name__.lower(), self)

    @abstractmethod
    def markdown(self) -> str:
        """Return it as Markdown, empty where Markdown leaves it out."""


@dataclass(frozen=True, slots=True)
class Text(PagePart):
    """A paragraph; a `note` is a warning to read before the numbers."""

    text: str
    note: bool = False

    def markdown(self) -> str:
        """Return the paragraph, a note in italics."""
        return f"_{without_html(self.text)}_" if self.note else without_html(self.text)


@dataclass(frozen=True, slots=True)
class Listing(PagePart):
    """A list of lines; text between backticks is code."""

    lines: Sequence[str]

    def markdown(self) -> str:
        """Return a list."""
        return "\n".join(f"- {without_html(line)}" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Definitions(PagePart):
    """Names and their meanings."""

    words: tuple[tuple[str, str], ...]

    def markdown(self) -> str:
        """Return a list, the names as code."""
        return "\n".join(
            f"- `{without_html(name)}`: {without_html(meaning)}" for name, meaning in self.words
        )


@dataclass(frozen=True, slots=True)
class Code(PagePart):
    """Verbatim text; with a summary it is collapsed until it is opened."""

    text: str
    summary: str = ""

    def markdown(self) -> str:
        """Return the summary, and the text within a fence longer than any in it."""
        above = f"{without_html(self.summary)}\n\n" if self.summary else ""
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", self.text))])
        return f"{above}{fence}\n{self.text.rstrip()}\n{fence}"


@dataclass(frozen=True, slots=True)
class GridTable(PagePart):
    """A grid below its caption: each column and row has a header, the rows of the own model are
    marked.
    """

    grid: Grid

    @property
    def caption(self) -> str:
        """The grid's caption as a title."""
        return self.grid.caption.rstrip(":")

    @property
    def kinds(self) -> list[str]:
        """The classes of each column: `number`, `words` (text behind numbers), `more` where paper
        has no room for it.
        """
        wide = len(self.grid.shown) > MOST_ON_PAPER
        kinds = []
        for place, (column, text) in enumerate(zip(self.grid.shown, self.grid.texts, strict=True)):
            classes = {
                "number": not text,
                "words": text and place >= self.grid.names,
                "more": wide and place > 0 and not column.brief,
            }
            kinds.append(" ".join(name for name, holds in classes.items() if holds))
        return kinds

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells of each row."""
        return list(zip(*(column.cells for column in self.grid.shown), strict=True))

    def markdown(self) -> str:
        """Return the caption and the table."""
        caption = f"{without_html(self.grid.caption)}\n\n" if self.grid.caption else ""
        return caption + without_html(self.grid.markdown())


@dataclass(frozen=True, slots=True)
class Folded(PagePart):
    """Parts that are collapsed until they are opened; Markdown has them in full."""

    summary: str
    parts: tuple[PagePart, ...]

    def markdown(self) -> str:
        """Return the summary, then the parts."""
        return "\n\n".join(
            [without_html(self.summary), *filter(None, (part.markdown() for part in self.parts))]
        )


@dataclass(frozen=True, slots=True)
class Section(PagePart):
    """A heading and the parts below it; `anchor` is the target of links."""

    title: str
    parts: tuple[PagePart, ...]
    anchor: str = ""

    def markdown(self) -> str:
        """Return the heading, then the parts."""
        return "\n\n".join(
            [
                f"## {without_html(self.title)}",
                *filter(None, (part.markdown() for part in self.parts)),
            ]
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        title: The title.
        lead: The conclusion, which is read first.
        below: A line below it, with the origin of the numbers.
        sections: The sections; those without parts are left out.
    """

    title: str
    lead: str
    below: str
    sections: tuple[Section, ...] = field(default=())

    def html(self) -> Markup:
        """Return one self-contained file: readable without scripts, light and dark, in print and on
        a phone.
        """
        shown = [
            replace(section, anchor=f"part-{place}")
            for place, section in enumerate(self.sections)
            if section.parts
        ]
        sections = [(section.anchor, section.title, section.html()) for section in shown]
        first, *others = [line for line in self.lead.split("\n") if line.strip()] or [""]
        first, *rest = SENTENCE_END.split(first, maxsplit=1)
        light, dark = palettes("".join(html for _, _, html in sections))
        return render(
            "report.html.j2",
            title=self.title,
            first=first,
            others=[*rest, *others],
            long_lead=LONG_LEAD,
            below=self.below,
            sections=sections,
            light=light,
            dark=dark,
        )

    def markdown(self) -> str:
        """Return the same as Markdown, its pictures beside it."""
        sections = [section.markdown() for section in self.sections if section.parts]
        return (
            "\n\n".join(
                [
                    f"# {without_html(self.title)}",
                    without_html(self.lead),
                    without_html(self.below),
                    *sections,
                ]
            )
            + "\n"
        )


def fragment(
    lead: str,
    grids: Iterable[Grid],
    below: str = "",
    notes: Iterable[str] = (),
    pictures: Iterable[Picture] = (),
) -> Markup:
    """Return the HTML of a result for a notebook, in the colours of the surrounding page.

    Args:
        lead: The conclusion.
        grids: Tables below it.
        below: The origin of the numbers.
        notes: Warnings to read before the numbers.
        pictures: Pictures below the tables, light and dark.
    """
    lines = [line for line in lead.splitlines() if line.strip()]
    drawn = [picture.html() for picture in pictures]
    return render(
        "fragment.html.j2",
        lead=lines,
        notes=notes,
        tables=[GridTable(grid) for grid in grids],
        below=below,
        pictures=drawn,
        palettes=palettes("".join(drawn)),
    )


def without_html(text: str) -> str:
    """Return text in which Markdown recognises no HTML."""
    return text.replace("<", "&lt;")


# Pictures inside a report: SVG drawings in the colours of the page with their numbers, or PNG
# where there is no drawing.

GROUNDS = {INK: "var(--ink)", LIGHT: "var(--line)", "#ffffff": "var(--paper)"}
"""The colours that become colours of the page itself; any other is made readable on it."""

MOST_NUMBERS = 40
"""The most rows of a picture's table; of more rows, evenly spaced ones are shown."""


@dataclass(frozen=True, slots=True)
class Picture(PagePart):
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
        return cls(caption, svg(text, caption), file, tuple(chart_tables(chart_of(text))))

    @classmethod
    def of_png(cls, path: Path, caption: str) -> Self:
        """Return a PNG inside the page."""
        return cls(
            caption,
            render_part("photograph", caption, b64encode(path.read_bytes()).decode()),
            path.name,
        )

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
        return f"![{without_html(self.caption)}]({self.file})"


@dataclass(frozen=True, slots=True)
class Pictures(PagePart):
    """Many small pictures in rows, as many in a row as fit; Markdown leaves them out."""

    pictures: tuple[Picture, ...]

    def markdown(self) -> str:
        """Return nothing."""
        return ""


def svg(text: str, caption: str) -> Markup:
    """Return a drawing as part of a page: its colours are the page's, its ids are unique there, the
    caption is its label.

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
    rest = (
        re.sub(r' xmlns(:xlink)?="[^"]*"', "", text.partition("<svg")[2])
        .replace("xlink:href", "href")
        .strip()
    )
    return render_part("drawing", label, width, Markup(rest))


def chart_of(text: str) -> dict[str, Any]:
    """Return the data of a drawing's curves; see `vector`."""
    match = re.search(r'data-chart="([^"]*)"', text)
    chart: dict[str, Any] = json.loads(unescape(match[1])) if match else {}
    return chart


def chart_tables(chart: dict[str, Any]) -> Iterator[Grid]:
    """Yield the points of each panel as a table: the position along the axis, and the value of each
    curve there.
    """
    names = chart.get("names", [])
    for panel in chart.get("panels", []):
        rows: dict[str, tuple[float, dict[int, list[str]]]] = {}
        for curve in panel["curves"]:
            for across, at, value in zip(curve["x"], curve["at"], curve["is"], strict=True):
                rows.setdefault(at, (across, {}))[1].setdefault(curve["of"], []).append(value)
        places = list(dict.fromkeys(curve["of"] for curve in panel["curves"]))
        cells = [
            [at, *("; ".join(values.get(of, [])) for of in places)]
            for at, (_, values) in sorted(rows.items(), key=lambda row: row[1][0])
        ]
        if len(cells) > 1:
            step = max(len(cells) / MOST_NUMBERS, 1)
            shown = [cells[int(place * step)] for place in range(min(len(cells), MOST_NUMBERS))]
            titles = [panel["x"] or "at", *(names[of] for of in places)]
            yield grid_of(titles, shown, caption=panel["title"] or chart["title"])
