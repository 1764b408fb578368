"""When the rows of a table happened and arrived, and from where on their labels count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.errors import ConfigError, DataError, nearest
from hwds.frames.table import Table

NEVER = np.iinfo(np.int64).max
"""A moment that does not come."""

DAY = 86_400_000_000
"""Microseconds."""

HIDDEN = ("truth", "label", "label_time", "label_propensity")
"""Roles of what is not known at a row's own moment."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The moments of rows in microseconds, each array of shape (n,).

    Attributes:
        time: When each happened.
        arrival: When each became known; `NEVER` where that is not said.
        order: The rows in the order of their arrival, those of one instant as they stand in the table.
        place: The place of each row in that order: row j had arrived before row i where `place[j] < place[i]`.
    """

    time: np.ndarray
    arrival: np.ndarray
    order: np.ndarray
    place: np.ndarray

    def first_place(self, at: np.ndarray) -> np.ndarray:
        """The place of the first row that arrived at or after each instant; n where there is none."""
        return np.searchsorted(self.arrival[self.order], at, side="left")


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels that arrive at all, in the order of their arrival, each array of shape (n_labels,).

    Attributes:
        row: Whose label it is.
        value: 0 or 1.
        time: When it became known, in microseconds.
        enters: The place of the first row that knows it: one that arrived after the label's row, and not before the label.
    """

    row: np.ndarray
    value: np.ndarray
    time: np.ndarray
    enters: np.ndarray


def moments_of(table: Table) -> Moments:
    """The moments of a table's rows, by its roles `time` and `available_at` (`time` where that is not played).

    Raises:
        DataError: No column has the role `time`, it holds no instants, or a row has none.
    """
    time, column = _instants(table, "time"), table.column("time")
    if column.null_count():
        row = int(column.is_null().arg_true()[0])
        raise DataError(f"dataset.roles.time: column '{column.name}' has no instant in row {row + 1}.")
    arrival = _instants(table, "available_at") if table.roles.get("available_at") else time
    order = np.argsort(arrival, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Moments(time, arrival, order, place)


def labels_of(table: Table, moments: Moments) -> Labels:
    """The labels of a table's rows, by its roles `label` and `label_time`.

    Raises:
        ConfigError: No column says when labels arrived.
        DataError: The times are none.
    """
    if not table.roles.get("label_time"):
        raise ConfigError("features: labels that arrive need the role 'label_time'; set dataset.roles.label_time.")
    label, when = table.column("label").cast(pl.Float64).fill_nan(None), _instants(table, "label_time")
    there = np.flatnonzero(label.is_not_null().to_numpy() & (when < NEVER))
    row = there[np.argsort(when[there], kind="stable")]
    time = when[row]
    enters = np.maximum(moments.place[row] + 1, moments.first_place(time))
    return Labels(row, (label.to_numpy()[row] == 1).astype(np.int64), time, enters)


def codes_of(values: pl.Series) -> np.ndarray:
    """The values as numbers from 0, in the order of their first appearance; -1 where there is none."""
    frame = pl.DataFrame({"value": values})
    known = frame.drop_nulls().unique(maintain_order=True).with_row_index("code")
    found = frame.join(known, on="value", how="left", maintain_order="left")["code"]
    return np.array(found.cast(pl.Int64).fill_null(-1).to_numpy())


def numbers_of(table: Table, name: str) -> np.ndarray:
    """A column as floats, NaN where there is none."""
    return np.array(table.data[name].cast(pl.Float64).to_numpy())


def must_have(table: Table, field: str, names: Sequence[str]) -> None:
    """Refuse names of columns that are not there, or are not known at the moment of their row.

    Raises:
        ConfigError: With the nearest right name.
    """
    for name in names:
        role = next((role for role in HIDDEN if name in table.roles.get(role, ())), "")
        if role:
            raise ConfigError(f"features.{field}: '{name}' is {role}, which is not known at the moment of its row.")
        if name not in table.data.columns:
            raise ConfigError(f"features.{field}: no column '{name}'{nearest(name, table.data.columns)}")


def must_be_numbers(table: Table, field: str, names: Sequence[str]) -> None:
    """Refuse names of columns that are not there, or hold no numbers.

    Raises:
        ConfigError: With the nearest right name, or what the column holds.
    """
    must_have(table, field, names)
    for name in names:
        kind = table.data.schema[name]
        if not (kind.is_numeric() or kind == pl.Boolean):
            raise ConfigError(f"features.{field}: column '{name}' must hold numbers, it holds {kind}.")


def must_play(table: Table, kind: str, *roles: str) -> None:
    """Refuse a table in which no column plays a role.

    Raises:
        ConfigError: With the role, and the feature set that needs it.
    """
    role = next((role for role in roles if not table.roles.get(role)), "")
    if role:
        raise ConfigError(f"features: '{kind}' needs the role '{role}'; set dataset.roles.{role}.")


def entity_of(table: Table, field: str, name: str | None) -> str:
    """The column that says who a row is of: the one that is named, or else the one with the role `entity`.

    Raises:
        ConfigError: It is not there, or no column is named and none plays the role alone.
    """
    if name is not None:
        must_have(table, field, [name])
        return name
    played = table.roles.get("entity", ())
    if len(played) != 1:
        raise ConfigError(f"features.{field}: must name a column where no single one has the role 'entity', got null.")
    return played[0]


def _instants(table: Table, role: str) -> np.ndarray:
    """The column of a role in microseconds of the clock on the wall, `NEVER` for null."""
    values = table.column(role)
    if not (values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime)):
        raise DataError(f"dataset.roles.{role}: column '{values.name}' must hold dates or instants, it holds {values.dtype}.")
    plain = values.dt.replace_time_zone(None) if isinstance(values.dtype, pl.Datetime) else values
    return np.array(plain.cast(pl.Datetime("us")).cast(pl.Int64).fill_null(NEVER).to_numpy())
