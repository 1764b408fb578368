"""Table: rows that are not series (units of a test, logged decisions, transactions), with roles for their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.hashing import digest_bytes
from hwds.frames.checks import LARGEST
from hwds.frames.roles import ROLES, Names, Roles

ROW_ID = "row_id"

EVENTS_BEFORE = "events_before"
"""The column with the number of a unit's events before its first exposure, in the row of that exposure; 0 in others."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with roles.

    Attributes:
        data: The rows; `row_id` numbers them from 0 in the order of the source.
        roles: Role to the columns that play it (`Roles(label="returned", covariate=("visits", "spend"))`). `truth` is what
            only a simulator knows: protocols score by it, and no model is given it.
        unit: The currency of prices, costs and amounts; empty where it is not known.
    """

    data: pl.DataFrame
    roles: Roles
    unit: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.roles, Roles):
            object.__setattr__(self, "roles", Roles(self.roles))

    @classmethod
    def build(cls, data: pl.DataFrame, roles: Mapping[str, Names], unit: str = "") -> Table:
        """Return a checked table.

        Raises:
            DataError: No rows, a role's column is missing, a column that is called `row_id`, or a number that is infinite or
                too large to compute with.
        """
        if data.is_empty():
            raise DataError("dataset: no rows.")
        if ROW_ID in data.columns:
            raise DataError(f"dataset: column '{ROW_ID}' is taken by hwds; rename it.")
        columns = Roles(roles)
        for name in (name for names in columns.values() for name in names):
            if name not in data.columns:
                raise DataError(f"dataset: no column '{name}'{nearest(name, data.columns)}")
        _refuse_infinite(data)
        return cls(data.with_row_index(ROW_ID).with_columns(pl.col(ROW_ID).cast(pl.Int64)), columns, unit)

    @classmethod
    def of(cls, data: Any, *, unit: str = "", **roles: Names) -> Table:
        """Return a checked table of a frame of polars or pandas.

        With a label and no covariates, all columns without a role are inputs of models.

        Args:
            data: Rows in any order.
            unit: The currency of prices, costs and amounts.
            **roles: Roles and their columns (`label="returned"`, `entity="customer"`), as in `dataset.roles`.

        Raises:
            DataError: A column is missing or does not hold numbers where it must.

        Example:
            >>> Table.of({"arm": ["a", "b"], "outcome": [1.0, 0.0]}, arm="arm", outcome="outcome").height
            2
        """
        from hwds.frames.conversion import as_polars, numbers

        columns, rows = Roles(roles), as_polars(data)
        if "label" in columns and "covariate" not in columns:
            taken = {name for role, names in columns.items() if not ROLES[role].is_input for name in names}
            columns = columns | {"covariate": tuple(name for name in rows.columns if name not in taken)}
        rows = rows.drop(columns.get("ignore", ()), strict=False)
        names = [name for role in columns if ROLES[role].holds == "numbers" or role == "label" for name in columns[role]]
        known = [numbers(rows[name]) for name in dict.fromkeys(names) if name in rows.columns]
        return cls.build(rows.with_columns(known), columns.without("ignore"), unit)

    def __repr__(self) -> str:
        return f"Table({self.height} rows{'; ' if self.roles else ''}{self.roles.summary})"

    def column(self, role: str) -> pl.Series:
        """Return the one column that plays a role.

        Raises:
            DataError: No column plays it, or several do.
        """
        names = self.roles.get(role, ())
        if len(names) != 1:
            raise DataError(f"dataset.roles.{role}: must name one column, got {list(names)}.")
        return self.data[names[0]]

    def name(self, role: str) -> str:
        """Return the name of the one column that plays a role, empty where none does.

        Raises:
            DataError: Several play it.
        """
        return self.column(role).name if self.roles.get(role) else ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that a model may read of each row: those with the role `covariate`."""
        return self.roles.get("covariate", ())

    @property
    def height(self) -> int:
        """The number of rows."""
        return len(self.data)

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """Return columns as numbers, true and false as 1 and 0, NaN where there is none, shape (n, names)."""
        columns = [self.data[name].cast(pl.Float64).to_numpy() for name in names]
        return np.column_stack(columns) if columns else np.zeros((self.height, 0))

    def codes(self, name: str, known: Mapping[str, int], other: int) -> np.ndarray:
        """Return the code of each text of a column, `other` where there is none or it has none, shape (n,)."""
        if not known:
            return np.full(self.height, other, np.int32)
        texts, codes = pl.Series(list(known)), pl.Series(list(known.values()), dtype=pl.Int32)
        values = self.data[name].cast(pl.String).replace_strict(texts, codes, default=other, return_dtype=pl.Int32)
        return values.fill_null(other).to_numpy()

    def steps(self, name: str) -> np.ndarray:
        """Return a column of arrays as numbers of steps, NaN for what is missing, shape (n, steps, a); one axis is of steps."""
        array = self.data[name].to_numpy().astype(np.float64)
        return array[..., None] if array.ndim == 2 else array

    def texts(self, name: str) -> Sequence[str | None]:
        """Return a column as polars writes it; None throughout for arrays and for a name that no column has."""
        if name not in self.data.columns or self.data.schema[name].is_nested():
            return [None] * self.height
        return self.data[name].cast(pl.String).to_list()

    def filter(self, which: pl.Series | np.ndarray) -> Table:
        """Return the rows for which a mask is true; `row_id` stays what it was."""
        return replace(self, data=self.data.filter(pl.Series(which)))

    def with_inputs(self, columns: pl.DataFrame) -> Table:
        """Return the table with computed columns as inputs beside its own; an input of the same name gives way.

        Raises:
            ConfigError: A column of the same name plays another role, or none.
        """
        if not columns.width:
            return self
        others = self.roles.without("covariate").names
        held = [name for name in self.data.columns if name not in self.inputs or name in others]
        taken = next((name for name in columns.columns if name in held), None)
        if taken:
            raise ConfigError(f"features: make the column '{taken}', which the table has already; rename it in the data.")
        inputs = tuple(dict.fromkeys((*self.inputs, *columns.columns)))
        return replace(self, data=self.data.with_columns(columns.get_columns()), roles=self.roles | {"covariate": inputs})

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the table holds."""
        buffer = BytesIO()
        self.data.rechunk().write_ipc(buffer)
        return digest_bytes([buffer.getvalue(), json.dumps([dict(self.roles), self.unit], sort_keys=True).encode()])

    def write(self, folder: Path) -> None:
        """Write the table as uncompressed Arrow, to be mapped into the memory of workers."""
        self.data.rechunk().write_ipc(folder / "data.arrow")
        (folder / "roles.json").write_text(json.dumps({"roles": dict(self.roles), "unit": self.unit}))

    @classmethod
    def read(cls, folder: Path) -> Table:
        """Return the table that `write` wrote."""
        meta = json.loads((folder / "roles.json").read_text())
        return cls(pl.read_ipc(folder / "data.arrow"), Roles(meta["roles"]), meta["unit"])


def _refuse_infinite(data: pl.DataFrame) -> None:
    """Refuse a column with a number that is infinite or too large to compute with."""
    largest = data.select(pl.col(pl.Float64, pl.Float32).fill_nan(None).abs().max())
    wrong = next((column.name for column in largest if (column[0] or 0.0) > LARGEST), None)
    if wrong is not None:
        row = int((data[wrong].fill_nan(None).abs() > LARGEST).fill_null(False).arg_true()[0])
        raise DataError(f"dataset: column '{wrong}' has {data[wrong][row]} in row {row + 1}, more than {LARGEST:g} in size.")
