"""Page: a report as parts, written as one self-contained HTML file and as Markdown."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from hwds.report.grid import Grid
from hwds.report.pages.colours import palettes
from hwds.report.pages.rendering import render, render_part

MOST_ON_PAPER = 12
"""The number of columns above which a printed table has only those of the terminal."""

LONG_LEAD = 240
"""The letters above which a first sentence is set smaller, so that it is visible without scrolling."""

SENTENCE = re.compile(r"(?<=[.]) (?=[A-Z])")
"""The end of a sentence."""


class Part(ABC):
    """A piece of a page."""

    __slots__ = ()

    def html(self) -> Markup:
        """Return it as HTML: the macro of `parts.html.j2` that bears the name of its class."""
        return render_part(type(self).__name__.lower(), self)

    @abstractmethod
    def markdown(self) -> str:
        """Return it as Markdown, empty where Markdown leaves it out."""


@dataclass(frozen=True, slots=True)
class Text(Part):
    """A paragraph; a `note` is a warning to read before the numbers."""

    text: str
    note: bool = False

    def markdown(self) -> str:
        """Return the paragraph, a note in italics."""
        return f"_{plain(self.text)}_" if self.note else plain(self.text)


@dataclass(frozen=True, slots=True)
class Listing(Part):
    """A list of lines; text between backticks is code."""

    lines: tuple[str, ...]

    def markdown(self) -> str:
        """Return a list."""
        return "\n".join(f"- {plain(line)}" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Definitions(Part):
    """Names and their meanings."""

    words: tuple[tuple[str, str], ...]

    def markdown(self) -> str:
        """Return a list, the names as code."""
        return "\n".join(f"- `{plain(name)}`: {plain(meaning)}" for name, meaning in self.words)


@dataclass(frozen=True, slots=True)
class Code(Part):
    """Verbatim text; with a summary it is collapsed until it is opened."""

    text: str
    summary: str = ""

    def markdown(self) -> str:
        """Return the summary, and the text within a fence longer than any in it."""
        above = f"{plain(self.summary)}\n\n" if self.summary else ""
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", self.text))])
        return f"{above}{fence}\n{self.text.rstrip()}\n{fence}"


@dataclass(frozen=True, slots=True)
class GridTable(Part):
    """A grid below its caption: each column and row has a header, the rows of the own model are marked."""

    grid: Grid

    @property
    def caption(self) -> str:
        """The grid's caption as a title."""
        return self.grid.caption.rstrip(":")

    @property
    def kinds(self) -> list[str]:
        """The classes of each column: `number`, `words` (text behind numbers), `more` where paper has no room for it."""
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
        caption = f"{plain(self.grid.caption)}\n\n" if self.grid.caption else ""
        return caption + plain(self.grid.markdown())


@dataclass(frozen=True, slots=True)
class Folded(Part):
    """Parts that are collapsed until they are opened; Markdown has them in full."""

    summary: str
    parts: tuple[Part, ...]

    def markdown(self) -> str:
        """Return the summary, then the parts."""
        return "\n\n".join([plain(self.summary), *filter(None, (part.markdown() for part in self.parts))])


@dataclass(frozen=True, slots=True)
class Section(Part):
    """A heading and the parts below it; `anchor` is the target of links."""

    title: str
    parts: tuple[Part, ...]
    anchor: str = ""

    def markdown(self) -> str:
        """Return the heading, then the parts."""
        return "\n\n".join([f"## {plain(self.title)}", *filter(None, (part.markdown() for part in self.parts))])


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
        """Return one self-contained file: readable without scripts, light and dark, in print and on a phone."""
        shown = [replace(section, anchor=f"part-{place}") for place, section in enumerate(self.sections) if section.parts]
        sections = [(section.anchor, section.title, section.html()) for section in shown]
        first, *others = [line for line in self.lead.split("\n") if line.strip()] or [""]
        first, *rest = SENTENCE.split(first, maxsplit=1)
        light, dark = palettes("".join(html for _, _, html in sections))
        return render(
            "report.html.j2", title=self.title, first=first, others=[*rest, *others], long_lead=LONG_LEAD, below=self.below,
            sections=sections, light=light, dark=dark,
        )  # fmt: skip

    def markdown(self) -> str:
        """Return the same as Markdown, its pictures beside it."""
        sections = [section.markdown() for section in self.sections if section.parts]
        return "\n\n".join([f"# {plain(self.title)}", plain(self.lead), plain(self.below), *sections]) + "\n"


def fragment(lead: str, grids: Iterable[Grid], below: str = "", notes: Iterable[str] = ()) -> Markup:
    """Return the HTML of a result for a notebook, in the colours of the surrounding page.

    Args:
        lead: The conclusion.
        grids: Tables below it.
        below: The origin of the numbers.
        notes: Warnings to read before the numbers.
    """
    lines = [line for line in lead.splitlines() if line.strip()]
    return render("fragment.html.j2", lead=lines, notes=notes, tables=[GridTable(grid) for grid in grids], below=below)


def plain(text: str) -> str:
    """Return text in which Markdown recognises no HTML."""
    return text.replace("<", "&lt;")
