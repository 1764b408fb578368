"""Grid: one small table, as Markdown and for the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwds.results.tables import TRUTH

if TYPE_CHECKING:
    from rich.table import Table


CHANGES = re.compile(r"(?<=\S)\(")
"""Where the changes of an option begin in its label: `stack(combine=equal)`."""

GAP = 2
"""Letters between the columns of a terminal."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, its short title in the terminal (empty where it is not shown there), a cell for each row."""

    title: str
    brief: str
    cells: tuple[str, ...]

    @property
    def wide(self) -> int:
        """Letters of its widest line in the terminal."""
        return max(len(line) for text in (self.brief, *self.cells) for line in text.split("\n"))


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns of the same length.

    Attributes:
        columns: The texts of the first so many are aligned to the left: `names`.
        own: The rows of the experiment's own model.
        truth: The rows of what a simulator knows.
        names: Columns of text at the front.
        caption: What stands above it in the terminal; empty where nothing does.
    """

    columns: tuple[Column, ...]
    own: frozenset[int] = frozenset()
    truth: frozenset[int] = frozenset()
    names: int = 1
    caption: str = ""

    def __len__(self) -> int:
        return len(self.columns[0].cells) if self.columns else 0

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns that have a text in any row."""
        return tuple(column for column in self.columns if any(column.cells))

    def cut(self, most: int) -> Grid:
        """The first so many rows, and those of the own model wherever they stand."""
        kept = [row for row in range(len(self)) if row < most or row in self.own]
        columns = tuple(replace(column, cells=tuple(column.cells[row] for row in kept)) for column in self.columns)
        own, truth = (frozenset(kept.index(row) for row in which if row in kept) for which in (self.own, self.truth))
        return replace(self, columns=columns, own=own, truth=truth)

    def markdown(self) -> str:
        """The table, the own model in bold."""
        sides = [":--" if place < self.names else "--:" for place in range(len(self.shown))]
        lines = [[_plain(column.title) for column in self.shown], sides]
        for row, cells in enumerate(zip(*(column.cells for column in self.shown), strict=True)):
            first = f"**{_plain(cells[0])}**" if row in self.own else _plain(cells[0])
            lines.append([first, *map(_plain, cells[1:])])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def rich(self, width: int | None = None) -> Table:
        """The table for a terminal: the own model bold, the truth dim.

        Args:
            width: Letters of a line; where the table is wider, long names are broken before their changes in brackets.
        """
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
        sided = [(column, place < self.names) for place, column in enumerate(self.columns)]
        shown = [(column, name) for column, name in sided if column.brief and any(column.cells)]
        tight = width is not None and sum(column.wide + GAP for column, _ in shown) - GAP > width
        for place, (column, named) in enumerate(shown):
            side = "left" if named else "right"
            table.add_column(Text(column.brief), justify=side, overflow="fold", no_wrap=bool(place))  # type: ignore[arg-type]
        for row, (name, *cells) in enumerate(zip(*(column.cells for column, _ in shown), strict=True)):
            first = CHANGES.sub("\n (", name, count=1) if tight else name
            table.add_row(*map(Text, (first, *cells)), style="bold" if row in self.own else "dim" if row in self.truth else "")
        return table


def grid_of(
    titles: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], *, own: str = "", names: int = 1, caption: str = ""
) -> Grid:
    """A grid of rows.

    Args:
        titles: Of each column the long and the short one.
        rows: A text for each column.
        own: The model in the first column whose rows are the experiment's own.
        names: Columns of text at the front.
        caption: What stands above it in the terminal.
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(titles)
    made = tuple(Column(title, short, tuple(cells)) for (title, short), cells in zip(titles, columns, strict=True))
    bold, dim = (frozenset(place for place, row in enumerate(rows) if row[0] == name) for name in (own, TRUTH))
    return Grid(made, bold, dim, names, caption)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
