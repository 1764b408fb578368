"""Grid: one small table, as Markdown and for the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwds.core.secrets import visible
from hwds.results.formatting import column_texts
from hwds.results.tables import TRUTH

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table

    from hwds.results.tables import Column, Declared

JOINTS = tuple(map(re.compile, (r"(?<=\S)(?=\()", r"(?<=/)(?=.)", r"(?<=[_, ])(?=[^ ])")))
"""The places where a name may be broken, best first: before the changes of an option, after its
group, between words.
"""

GAP = 2
"""Letters between the columns of a terminal."""

HEAD_ROOMS = (24, 16, 12, 9, 0)
"""The least letters of a line of a title that is broken; the first that fit are taken."""


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A column: its title, its short title in the terminal (empty where it is not shown there), a
    cell for each row.
    """

    title: str
    brief: str
    cells: tuple[str, ...]

    @property
    def wide(self) -> int:
        """The letters of its widest line in the terminal."""
        return _wide(self.brief, *self.cells)

    def narrow(self, room: int) -> GridColumn:
        """Return the column for a terminal with so many letters for it: title and cells in lines
        that end where parts meet.
        """
        return replace(
            self,
            brief=break_lines(self.brief, room),
            cells=tuple(break_lines(cell, room) for cell in self.cells),
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of the same length.

    Attributes:
        columns: The columns, of which the first `names` are aligned to the left.
        own: The rows of the experiment's model.
        truth: The rows of the simulator's truth.
        names: The number of columns of text at the front.
        caption: The line above it in the terminal; empty for none.
        words: The number of columns of text at the back, aligned to the left, too.
    """

    columns: tuple[GridColumn, ...]
    own: frozenset[int] = frozenset()
    truth: frozenset[int] = frozenset()
    names: int = 1
    caption: str = ""
    words: int = 0

    def __len__(self) -> int:
        return len(self.columns[0].cells) if self.columns else 0

    @property
    def shown(self) -> tuple[GridColumn, ...]:
        """The columns that have text in any row."""
        return tuple(column for column in self.columns if any(column.cells))

    @property
    def texts(self) -> tuple[bool, ...]:
        """True for each of `shown` that is a column of text."""
        last = len(self.columns) - self.words
        return tuple(
            not self.names <= place < last
            for place, column in enumerate(self.columns)
            if any(column.cells)
        )

    def first(self, most: int) -> Grid:
        """Return the first columns of those that a terminal shows."""
        kept = [column for column in self.shown if column.brief][:most]
        places = {id(column): place for place, column in enumerate(self.columns)}
        names = sum(places[id(column)] < self.names for column in kept)
        words = sum(places[id(column)] >= len(self.columns) - self.words for column in kept)
        return replace(self, columns=tuple(kept), names=names, words=words)

    def cut(self, most: int) -> Grid:
        """Return the first rows, and those of the experiment's model wherever they stand."""
        rows = [row for row in range(len(self)) if row < most or row in self.own]
        columns = tuple(
            replace(column, cells=tuple(column.cells[row] for row in rows))
            for column in self.columns
        )
        own, truth = (
            frozenset(rows.index(row) for row in which if row in rows)
            for which in (self.own, self.truth)
        )
        return replace(self, columns=columns, own=own, truth=truth)

    def markdown(self) -> str:
        """Return the table as Markdown, the experiment's model in bold."""
        sides = [":--" if text else "--:" for text in self.texts]
        lines = [[_without_markup(column.title) for column in self.shown], sides]
        for row, cells in enumerate(zip(*(column.cells for column in self.shown), strict=True)):
            first = (
                f"**{_without_markup(cells[0])}**" if row in self.own else _without_markup(cells[0])
            )
            lines.append([first, *map(_without_markup, cells[1:])])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def rich(self, width: int | None = None) -> Table:
        """Return the table for a terminal: the experiment's model bold, the truth dim.

        Args:
            width: The letters of a line. In a wider table, titles and names are broken where their
                parts meet; the last columns that still do not fit are left out and named below it.
        """
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, caption_justify="left")
        shown = [
            (column, text)
            for column, text in zip(self.shown, self.texts, strict=True)
            if column.brief
        ]
        columns = _fit_columns([column for column, _ in shown], width)
        for place, (column, (_, text)) in enumerate(zip(columns, shown, strict=False)):
            title, flat = Text(visible(column.brief)), bool(place)
            table.add_column(
                title, justify="left" if text else "right", overflow="fold", no_wrap=flat
            )
        for row, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
            table.add_row(
                *(Text(visible(cell)) for cell in cells),
                style="bold" if row in self.own else "dim" if row in self.truth else "",
            )
        if hidden := [" ".join(column.brief.split()) for column, _ in shown[len(columns) :]]:
            table.caption = Text(f"On the page: {', '.join(hidden)}")
        return table


def _fit_columns(columns: list[GridColumn], width: int | None) -> list[GridColumn]:
    """Return the columns that fit into the width: if necessary without the good side in titles,
    with broken titles and names, the last ones left out.
    """
    if width is None or not columns or sum(column.wide + GAP for column in columns) - GAP <= width:
        return columns
    columns = [replace(column, brief=SIDE.sub("", column.brief)) for column in columns]
    if sum(column.wide + GAP for column in columns) - GAP <= width:
        return columns
    for least in HEAD_ROOMS:
        first, *others = [
            replace(column, brief=break_lines(column.brief, max(_wide(*column.cells), least)))
            for column in columns
        ]
        if sum(column.wide + GAP for column in (first, *others)) - GAP <= width:
            break
    while (
        len(others) > 1
        and first.narrow(1).wide + sum(column.wide + GAP for column in others) > width
    ):
        others.pop()
    return [first.narrow(width - sum(column.wide + GAP for column in others)), *others]


SIDE = re.compile(r" \((low|high)er is better\)$")
"""The good side of a score in a title; its rows begin with the best."""


def _wide(*texts: str) -> int:
    return max(len(line) for text in texts for line in text.split("\n"))


def break_lines(text: str, room: int) -> str:
    """Return a text in lines of at most `room` letters: broken before changes in brackets, then
    where its parts meet.

    A part that is longer than the room is left whole.
    """
    return "\n".join(part for line in text.split("\n") for part in _lines(line, room))


def _lines(line: str, room: int) -> list[str]:
    if len(line) <= room:
        return [line]
    first, *rest = _pack(line, room - 1, JOINTS)
    return [first, *(f" {part}" for part in rest)]


def _pack(text: str, room: int, joints: Sequence[re.Pattern[str]]) -> list[str]:
    """Return the lines of a text, each with as many pieces as fit.

    A piece that is too long is broken itself.
    """
    if len(text) <= room or not joints:
        return [text]
    lines = [""]
    for piece in joints[0].split(text):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > room:
            lines.append("")
        lines[-1] += piece
    return [part for line in lines for part in _pack(line.rstrip(), room, joints[1:])]


def grid_of(
    titles: Sequence[str | tuple[str, str]],
    rows: Sequence[Sequence[str]],
    *,
    own: str = "",
    names: int = 1,
    caption: str = "",
    words: int = 0,
) -> Grid:
    """Return the grid of some rows.

    Args:
        titles: The long and the short title of each column, or one text that is both.
        rows: The rows, with a text for each column.
        own: The label in the first column of the experiment's model.
        names: The number of columns of text at the front.
        caption: The line above it in the terminal.
        words: The number of columns of text at the back.
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(titles)
    both = [(title, title) if isinstance(title, str) else title for title in titles]
    made = tuple(
        GridColumn(title, short, tuple(cells))
        for (title, short), cells in zip(both, columns, strict=True)
    )
    bold, dim = (
        frozenset(place for place, row in enumerate(rows) if row[0] == name)
        for name in (own, TRUTH)
    )
    return Grid(made, bold, dim, names, caption, words)


def declared_grid(
    table: Declared,
    frame: pl.DataFrame,
    about: Any = None,
    *,
    columns: str = "",
    own: str = "",
    names: int = 1,
    caption: str = "",
    words: int = 0,
    **values: Any,
) -> Grid:
    """Return the grid of some rows of a declared table.

    Args:
        table: The declaration of the columns.
        frame: The rows.
        about: What titles, captions and cells may name besides `values`, see `say`.
        columns: The names of the columns in the order of the grid; empty for all that have a title.
        own: The text in the first column that marks the rows of the experiment's model; a template.
        names: The number of columns of text at the front.
        caption: The line above it in the terminal; a template.
        words: The number of columns of text at the back.
        values: Other values that templates name.
    """
    from hwds.report.words import fill, say

    plain = frame.to_dicts()
    shown = table.select(columns)
    made = [
        GridColumn(
            say(each.title, about, **values),
            "\n".join(map(str.strip, fill(each.brief, about, **values).split("\n"))),
            _cells(each, plain, about, values),
        )
        for each in shown
    ]
    mark = say(own, about, **values)
    bold, dim = (
        frozenset(place for place, cell in enumerate(made[0].cells) if cell == name)
        for name in (mark, TRUTH)
    )
    return Grid(tuple(made), bold, dim, names, say(caption, about, **values), words)


def _cells(
    column: Column, rows: list[dict[str, Any]], about: Any, values: dict[str, Any]
) -> tuple[str, ...]:
    """Return the text of each cell of a column."""
    from hwds.report.words import say

    if column.when and say(column.when, about, **values) != "True":
        return ("",) * len(rows)
    if column.show:
        return tuple(say(column.show, about, **{**values, **row}) for row in rows)
    lows = [row.get(column.name) for row in rows]
    if not column.to:
        return _texts(column, lows)
    texts = _texts(column, [*lows, *(row[column.to] for row in rows)])
    pairs = zip(texts[: len(lows)], texts[len(lows) :], strict=True)
    return tuple(f"{low} to {high}" if low else "" for low, high in pairs)


def _texts(column: Column, values: list[Any]) -> tuple[str, ...]:
    from hwds.report.words import FILTERS

    if column.kind == "number":
        return column_texts(values)
    write = FILTERS.get(column.kind, str)
    return tuple("" if value is None else write(value) for value in values)


def _without_markup(text: str) -> str:
    return text.replace("|", "\\|")
