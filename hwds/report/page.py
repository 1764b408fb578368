"""Page: a report as parts that can be written as one HTML file without a network, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Protocol

from hwds.report.colours import variables
from hwds.report.grid import Grid
from hwds.report.page_script import SCRIPT
from hwds.report.page_style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What a browser may load: nothing that is not in the file."""


MOST_ON_PAPER = 12
"""Columns of a table from which on a printed one has those alone that a terminal has."""

ON_PAPER = "The other columns are on the screen, and in report.md."

LONG_LEAD = 240
"""Letters of a first sentence from which on it is set smaller: it is to be seen whole before anything is scrolled."""

SENTENCE = re.compile(r"(?<=[.]) (?=[A-Z])")
"""Where a sentence ends."""


JOINT = re.compile(r"[/_,=(\[](?=[^ ])")
"""Behind what a long name is broken first."""


class Part(Protocol):
    """Something that a page is made of."""

    def html(self) -> str:
        """As HTML, all text escaped."""

    def markdown(self) -> str:
        """As Markdown."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `note` is to be known before numbers are read."""

    text: str
    note: bool = False

    def html(self) -> str:
        """As HTML."""
        kind = ' class="note"' if self.note else ""
        return f"<p{kind}>{escape(self.text)}</p>"

    def markdown(self) -> str:
        """As Markdown."""
        return f"_{plain(self.text)}_" if self.note else plain(self.text)


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines of a kind."""

    lines: tuple[str, ...]

    def html(self) -> str:
        """As HTML."""
        return f"<ul>{''.join(f'<li>{_coded(line)}</li>' for line in self.lines)}</ul>"

    def markdown(self) -> str:
        """As Markdown."""
        return "\n".join(f"- {plain(line)}" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Definitions:
    """Names, and what they mean."""

    words: tuple[tuple[str, str], ...]

    def html(self) -> str:
        """As HTML."""
        return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(told)}</dd>' for name, told in self.words)}</dl>"

    def markdown(self) -> str:
        """As Markdown."""
        return "\n".join(f"- `{plain(name)}`: {plain(told)}" for name, told in self.words)


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it is to be typed or was read; with a summary it is folded away until asked for."""

    text: str
    summary: str = ""

    def html(self) -> str:
        """As HTML."""
        code = f'<pre tabindex="0"><code>{escape(self.text)}</code></pre>'
        return f"<details><summary>{escape(self.summary)}</summary>{code}</details>" if self.summary else code

    def markdown(self) -> str:
        """As Markdown."""
        above = f"{plain(self.summary)}\n\n" if self.summary else ""
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", self.text))])
        return f"{above}{fence}\n{self.text.rstrip()}\n{fence}"


@dataclass(frozen=True, slots=True)
class Table:
    """A grid; its caption is told above it."""

    grid: Grid

    def html(self) -> str:
        """As HTML: a header for each column and row, the own model's rows marked."""
        shown, caption = self.grid.shown, escape(self.grid.caption.rstrip(":"))
        sides = [f' class="{kind}"' if kind else "" for kind in self._kinds()]
        heads = "".join(f'<th scope="col"{side}>{_name(each.title)}</th>' for each, side in zip(shown, sides, strict=True))
        rows = "".join(self._row(row, sides) for row in range(len(self.grid)))
        label = f' aria-label="{caption}"' if caption else ' aria-label="Table"'
        told = f"<caption>{caption}</caption>" if caption else ""
        table = f"<table>{told}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        rest = f'<p class="paper">{ON_PAPER}</p>' if any("more" in side for side in sides) else ""
        return f'<div class="scroll" role="group" tabindex="0"{label}>{table}{rest}</div>'

    def _kinds(self) -> Iterator[str]:
        """Of each column whether it has numbers, and whether there is no room for it on paper."""
        tight = len(self.grid.shown) > MOST_ON_PAPER
        for place, column in enumerate(self.grid.shown):
            kinds = {"number": place >= self.grid.names, "more": tight and place > 0 and not column.brief}
            yield " ".join(kind for kind, holds in kinds.items() if holds)

    def markdown(self) -> str:
        """As Markdown."""
        caption = f"{plain(self.grid.caption)}\n\n" if self.grid.caption else ""
        return caption + plain(self.grid.markdown())

    def _row(self, row: int, sides: Sequence[str]) -> str:
        first, *rest = (column.cells[row] for column in self.grid.shown)
        kind = ' class="own"' if row in self.grid.own else ' class="truth"' if row in self.grid.truth else ""
        cells = "".join(f"<td{side}>{escape(cell)}</td>" for cell, side in zip(rest, sides[1:], strict=True))
        return f'<tr{kind}><th scope="row">{_name(first)}</th>{cells}</tr>'


def _name(text: str) -> str:
    """A name of a row or a column, to be broken where its parts meet before anywhere else."""
    broken = JOINT.sub(r"\g<0><wbr>", escape(text)).replace(", %", ",&nbsp;%")
    return f"<span>{broken}</span>"


@dataclass(frozen=True, slots=True)
class Folded:
    """Parts that are shown when asked for; Markdown has them as they are."""

    summary: str
    parts: tuple[Part, ...]

    def html(self) -> str:
        """As HTML."""
        return f"<details><summary>{escape(self.summary)}</summary>{''.join(part.html() for part in self.parts)}</details>"

    def markdown(self) -> str:
        """As Markdown."""
        return "\n\n".join([plain(self.summary), *filter(None, (part.markdown() for part in self.parts))])


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    parts: tuple[Part, ...]

    def html(self, anchor: str = "") -> str:
        """As HTML; links lead to the anchor."""
        inside = "".join(part.html() for part in self.parts)
        place = f' id="{anchor}"' if anchor else ""
        return f"<section{place}><h2>{escape(self.title)}</h2>{inside}</section>"

    def markdown(self) -> str:
        """As Markdown."""
        return "\n\n".join([f"## {plain(self.title)}", *filter(None, (part.markdown() for part in self.parts))])


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        title: What it is about.
        lead: What was found: the first that is read.
        below: A line below it: where the numbers are from.
        sections: The rest.
    """

    title: str
    lead: str
    below: str
    sections: tuple[Section, ...] = field(default=())

    def html(self) -> str:
        """One self-contained file: readable without scripts, dark and light, in print and on a phone."""
        shown = {f"part-{place}": section for place, section in enumerate(self.sections) if section.parts}
        links = "".join(f'<a href="#{anchor}">{escape(section.title)}</a> ' for anchor, section in shown.items())
        contents = f'<nav aria-label="Contents">{links}</nav>' if len(shown) > 1 else ""
        body = f"{self._lead()}{contents}{''.join(section.html(anchor) for anchor, section in shown.items())}"
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{escape(self.title)}</title><style>{variables(body)}{STYLE}</style></head>"
            f"<body><main><h1>{escape(self.title)}</h1>{body}</main><script>{SCRIPT}</script></body></html>\n"
        )

    def _lead(self) -> str:
        """The first sentence large, the others below it, then where the numbers are from."""
        first, *others = [line for line in self.lead.split("\n") if line.strip()] or [""]
        head, *rest = SENTENCE.split(first, maxsplit=1)
        small = "".join(f'<p class="rest">{_bound(line)}</p>' for line in (*rest, *others))
        kind = "lead long" if len(head) > LONG_LEAD else "lead"
        return f'<p class="{kind}">{_bound(head)}</p>{small}<p class="below">{_bound(self.below)}</p>'

    def markdown(self) -> str:
        """The same as Markdown, its pictures beside it."""
        sections = [section.markdown() for section in self.sections if section.parts]
        return "\n\n".join([f"# {plain(self.title)}", plain(self.lead), plain(self.below), *sections]) + "\n"


def plain(text: str) -> str:
    """Text in which Markdown sees no HTML."""
    return text.replace("<", "&lt;")


def _bound(text: str) -> str:
    """Text in which no number is parted from its percent sign or its error."""
    return escape(text).replace(" %", "&nbsp;%").replace(" ± ", "&nbsp;±&nbsp;")


def _coded(line: str) -> str:
    """A line whose parts between backticks are code."""
    pieces = escape(line).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
