"""RowSplitting: which rows of a table are learned from and which are scored, by any task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import Recipe, ZeroDays
from hwds.frames.table import Table
from hwds.splitting.row_windows import arrivals


class RowSplitting(Recipe):
    """Cut the rows of a table into parts.

    Attributes:
        delay_days: Days that labels take to arrive; where a column says when each did (role `label_time`), it counts.
    """

    delay_days: ZeroDays = 7


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The groups (or boards) that a fold tests, whose labels nothing may depend on.

    Attributes:
        fold: Its number.
    """

    fold: int

    @property
    def label(self) -> str:
        """The name in messages."""
        return f"fold {self.fold + 1}"


def between(rows: Table, edges: Mapping[str, tuple[datetime, datetime]]) -> dict[str, Table]:
    """Return the rows that arrived between the edges of each part, its end excluded."""
    times: pl.Series = arrivals(rows)
    return {name: rows.filter((times >= begin) & (times < stop)) for name, (begin, stop) in edges.items()}


def groups_of(frame: Table) -> pl.Series:
    """Return the group of each row.

    Raises:
        DataError: No role names the groups, or a row has none.
    """
    names = frame.column("group" if frame.roles.get("group") else "entity").cast(pl.String)
    missing = names.is_null().arg_true()
    if len(missing):
        raise DataError(f"dataset.roles: row {missing[0] + 1} has no group in column '{names.name}'.")
    return names


def hash_of(name: str, purpose: bytes = b"") -> int:
    """Return a number below 2**64 that follows from a name; another one for another purpose."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=purpose).digest())
