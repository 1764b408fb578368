"""Columns of result tables: each is declared once, with all that is ever said of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

Kind = Literal[
    "text", "word", "count", "units", "number", "share", "change", "flag", "p_value", "made"
]

KINDS: dict[Kind, Any] = {
    "text": pl.String,
    "word": pl.String,
    "count": pl.Int64,
    "units": pl.Float64,
    "number": pl.Float64,
    "share": pl.Float64,
    "change": pl.Float64,
    "flag": pl.Boolean,
    "p_value": pl.Float64,
}
"""The types of stored values by the kind of the column. A `word` is shown without underscores, a
number of `units` without decimals, a `share` in percent and a `change` in percent with its sign;
the numbers of a column of kind `number` have the same decimals. What is not here, `made`, is only
shown, and not stored.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result table.

    Attributes:
        name: Its name in Parquet, CSV and Python.
        kind: The kind of its values.
        meaning: A sentence for the reference, empty where the title says it.
        title: Its title on a page, empty where it is not shown; a template, see `say`.
        brief: Its title in the terminal, empty where it is not shown there.
        show: The template of a cell by the names of the row's columns; empty for that of the kind.
        to: The column of the upper end, where this is the lower end of an interval.
        when: The template of a condition, `True` where cells are shown; empty for always.
    """

    name: str
    kind: Kind
    meaning: str = ""
    title: str = ""
    brief: str = ""
    show: str = ""
    to: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """The columns of a result table, in their order."""

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, *columns: Column | Iterable[Column]) -> Declared:
        """Return the table of some columns and groups of columns."""
        flat = [[each] if isinstance(each, Column) else each for each in columns]
        return cls(tuple(column for group in flat for column in group))

    @property
    def schema(self) -> dict[str, Any]:
        """The type of each column."""
        return {each.name: KINDS[each.kind] for each in self.columns if each.kind in KINDS}

    def frame(self, rows: Sequence[Any] | dict[str, Any]) -> pl.DataFrame:
        """Return rows, or columns by name, as a table with these columns."""
        return pl.DataFrame(
            rows, schema=self.schema, orient=None if isinstance(rows, dict) else "row"
        )

    def select(self, names: str = "") -> list[Column]:
        """Return the columns with a title, or those of these names in this order."""
        by_name = {column.name: column for column in self.columns}
        chosen = [by_name[name] for name in names.split()] if names else self.columns
        return [column for column in chosen if column.title]

    def reference(self) -> str:
        """Return the rows of the reference: the name, the type and the meaning of each column."""
        meanings = {each.name: each.meaning or each.title for each in self.columns}
        return "\n".join(
            f"| `{name}` | {kind} | {meanings[name]} |" for name, kind in self.schema.items()
        )


def with_interval(
    column: Column, ends: str = "95 %", brief: str = "", kind: Kind | None = None
) -> tuple[Column, ...]:
    """Return a column with those of its interval, `_low` and `_high`, shown as one.

    Args:
        column: The column of the value.
        ends: The title of the interval; empty where it is not shown.
        brief: Its title in the terminal.
        kind: The kind of the ends where it is another.
    """
    low, high = f"{column.name}_low", f"{column.name}_high"
    end = Column(low, kind or column.kind, title=ends, brief=brief, to=high)
    return column, end, replace(end, name=high, title="", to="")
