"""Table: rows that are not series, with roles for their columns; and a few rows as they arrive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series

from hwds.core.errors import ConfigError, DataError, with_article
from hwds.core.files import Displayed, Readable, digest_bytes
from hwds.frames.columns import (
    LARGEST,
    as_polars,
    ipc_bytes,
    read_arrow,
    refuse_absent,
    to_float_column,
)
from hwds.frames.roles import ROLES, Names, Roles

# Frame: the data of a dataset, whatever its kind.


class Frame(Protocol):
    """A Panel, a Table or a World: it can be named by its content, and laid where workers read
    it.
    """

    @property
    def fingerprint(self) -> str:
        """The digest of the content: part of the key of all that is computed from it."""

    def write(self, folder: Path) -> None:
        """Write it into an empty folder."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what `write` wrote."""


def check_frame(call: str, frame: Any, wanted: type, taker: object) -> None:
    """Refuse a frame of another kind than is taken, in what is called from Python.

    Args:
        call: The function that was called: `evaluate`, `fit`.
        frame: Its argument.
        wanted: The kind that is taken.
        taker: The protocol or model that takes it.

    Raises:
        ConfigError: With both kinds.
    """
    if not isinstance(frame, wanted):
        given, kind = with_article(type(frame).__name__), with_article(wanted.__name__)
        hint = f" (made by hwds.{wanted.__name__}.of)" if hasattr(wanted, "of") else ""
        raise ConfigError(
            f"{call}: the frame is {given}; {type(taker).__name__} takes {kind}{hint}."
        )


class RowReader(Protocol):
    """Rows as models read them: a `Table`, or a `RowBatch` of a few that have just arrived."""

    @property
    def data(self) -> DataFrame:
        """The rows as a frame; of a batch it is made for whoever asks."""

    @property
    def height(self) -> int:
        """The number of rows."""

    def numbers(self, names: Sequence[str]) -> ndarray:
        """Return columns as numbers, true and false as 1 and 0, NaN where there is none, shape (n,
        names).
        """

    def codes(self, name: str, codes: Mapping[str, int], other: int) -> ndarray:
        """Return the code of each text of a column, `other` where there is none or it has none,
        shape (n,).
        """

    def steps(self, name: str) -> ndarray:
        """Return a column of arrays as numbers of steps, NaN for what is not there, shape (n,
        steps, a).
        """

    def texts(self, name: str) -> Sequence[str | None]:
        """Return a column as polars writes it.

        Nothing of arrays, and of a name that no column has.
        """


@dataclass(frozen=True, eq=False)
class RowScores:
    """Scores, probabilities and p-values that a model gives rows.

    Attributes:
        score: The higher the more suspicious, shape (n,): it orders rows, and means no more than
            that.
        probability: The probability of the label being 1, shape (n,); None where no labels were
            learned from.
        p_value: The share of held-out normal rows that are at least as odd, shape (n,); None where
            none were held out.
        interval: The 95 % interval of the probability, shape (2, n); None where it is taken for
            certain.
    """

    score: ndarray
    probability: ndarray | None = None
    p_value: ndarray | None = None
    interval: ndarray | None = None


# Table: rows that are not series (units of a test, logged decisions, transactions), with roles
# for their columns.

ROW_ID = "row_id"

EVENTS_BEFORE = "events_before"
"""The column with the number of a unit's events before its first exposure, in the row of that
exposure; 0 in others.
"""


@dataclass(frozen=True, eq=False)
class Table(Displayed):
    """Rows with roles.

    Attributes:
        data: The rows; `row_id` numbers them from 0 in the order of the source.
        roles: Role to the columns that play it (`Roles(label="returned", covariate=("visits",
            "spend"))`). `truth` is what only a simulator knows: protocols score by it, and no model
            is given it.
        unit: The currency of prices, costs and amounts; empty where it is not known.
    """

    data: DataFrame
    roles: Roles
    unit: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.roles, Roles):
            object.__setattr__(self, "roles", Roles(self.roles))

    @classmethod
    def build(cls, data: DataFrame, roles: Mapping[str, Names], unit: str = "") -> Table:
        """Return a checked table.

        Raises:
            DataError: No rows, a role's column is missing, a column that is called `row_id`, or a
                number that is infinite or too large to compute with.
        """
        if data.is_empty():
            raise DataError("dataset: no rows.")
        if ROW_ID in data.columns:
            raise DataError(f"dataset: column '{ROW_ID}' is taken by hwds; rename it.")
        columns = Roles(roles)
        refuse_absent("dataset", chain.from_iterable(columns.values()), data.columns)
        _refuse_infinite(data)
        return cls(
            data.with_row_index(ROW_ID).with_columns(pl.col(ROW_ID).cast(pl.Int64)), columns, unit
        )

    @classmethod
    def of(cls, data: Any, *, unit: str = "", **roles: Names) -> Table:
        """Return a checked table of a frame of polars or pandas.

        With a label and no covariates, all columns without a role are inputs of models.

        Args:
            data: Rows in any order.
            unit: The currency of prices, costs and amounts.
            **roles: Roles and their columns (`label="returned"`, `entity="customer"`), as in
                `dataset.roles`.

        Raises:
            DataError: A column is missing or does not hold numbers where it must.

        Example:
            >>> data = {"arm": ["a", "b"], "outcome": [1.0, 0.0]}
            >>> Table.of(data, arm="arm", outcome="outcome").height
            2
        """
        columns, rows = Roles(roles), as_polars(data)
        if "label" in columns and "covariate" not in columns:
            taken = columns.columns(role for role in columns if not ROLES[role].is_input)
            inputs = tuple(name for name in rows.columns if name not in taken)
            columns = columns | {"covariate": inputs}
        rows = rows.drop(columns.get("ignore", ()), strict=False)
        names = columns.columns(
            role for role in columns if ROLES[role].holds == "numbers" or role == "label"
        )
        numbers = [to_float_column(rows[name]) for name in names if name in rows.columns]
        return cls.build(rows.with_columns(numbers), columns.without("ignore"), unit)

    def __repr__(self) -> str:
        return f"Table({self.height} rows{'; ' if self.roles else ''}{self.roles.summary})"

    def column(self, role: str) -> Series:
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

    def numbers(self, names: Sequence[str]) -> ndarray:
        """Return columns as numbers, true and false as 1 and 0, NaN where there is none, shape (n,
        names).
        """
        columns = [self.data[name].cast(pl.Float64).to_numpy() for name in names]
        return np.column_stack(columns) if columns else np.zeros((self.height, 0))

    def codes(self, name: str, codes: Mapping[str, int], other: int) -> ndarray:
        """Return the code of each text of a column, `other` where there is none or it has none,
        shape (n,).
        """
        if not codes:
            return np.full(self.height, other, np.int32)
        texts, mapped = Series(list(codes)), Series(list(codes.values()), dtype=pl.Int32)
        values = (
            self.data[name]
            .cast(pl.String)
            .replace_strict(texts, mapped, default=other, return_dtype=pl.Int32)
        )
        return values.fill_null(other).to_numpy()

    def steps(self, name: str) -> ndarray:
        """Return a column of arrays as numbers of steps, NaN for what is missing, shape (n, steps,
        a); one axis is of steps.
        """
        array = self.data[name].to_numpy().astype(np.float64)
        return array[..., None] if array.ndim == 2 else array

    def texts(self, name: str) -> Sequence[str | None]:
        """Return a column as polars writes it.

        None throughout for arrays and for a name that no column has.
        """
        if name not in self.data.columns or self.data.schema[name].is_nested():
            return [None] * self.height
        return self.data[name].cast(pl.String).to_list()

    def filter(self, which: Series | ndarray) -> Table:
        """Return the rows for which a mask is true; `row_id` stays what it was."""
        return replace(self, data=self.data.filter(Series(which)))

    def with_inputs(self, columns: DataFrame) -> Table:
        """Return the table with computed columns as inputs beside its own.

        An input of the same name gives way.

        Raises:
            ConfigError: A column of the same name plays another role, or none.
        """
        if not columns.width:
            return self
        others = self.roles.without("covariate").names
        fixed = [name for name in self.data.columns if name not in self.inputs or name in others]
        taken = next((name for name in columns.columns if name in fixed), None)
        if taken:
            raise ConfigError(
                f"features: make the column '{taken}', which the table has already; rename it in "
                f"the data."
            )
        inputs = tuple(dict.fromkeys((*self.inputs, *columns.columns)))
        return replace(
            self,
            data=self.data.with_columns(columns.get_columns()),
            roles=self.roles | {"covariate": inputs},
        )

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the table holds."""
        about = json.dumps([dict(self.roles), self.unit], sort_keys=True)
        return digest_bytes([ipc_bytes(self.data), about.encode()])

    def write(self, folder: Path) -> None:
        """Write the table as uncompressed Arrow, to be mapped into the memory of workers."""
        self.data.rechunk().write_ipc(folder / "data.arrow")
        (folder / "roles.json").write_text(
            json.dumps({"roles": dict(self.roles), "unit": self.unit})
        )

    @classmethod
    def read(cls, folder: Readable) -> Table:
        """Return the table that `write` wrote."""
        meta = json.loads((folder / "roles.json").read_bytes())
        return cls(read_arrow(folder / "data.arrow"), Roles(meta["roles"]), meta["unit"])


def _refuse_infinite(data: DataFrame) -> None:
    """Refuse a column with a number that is infinite or too large to compute with."""
    largest = data.select(pl.col(pl.Float64, pl.Float32).fill_nan(None).abs().max())
    wrong = next((column.name for column in largest if (column[0] or 0.0) > LARGEST), None)
    if wrong is not None:
        row = int((data[wrong].fill_nan(None).abs() > LARGEST).fill_null(False).arg_true()[0])
        raise DataError(
            f"dataset: column '{wrong}' has {data[wrong][row]} in row {row + 1}, more than "
            f"{LARGEST:g} in size."
        )


# RowBatch: a few rows as values by column, which models read without a detour over a table.

Values = Mapping[str, Any]
"""A row: values by column, as `hwds.serve.events.reading` makes them; what is not there is null."""


@dataclass(frozen=True)
class BatchSchema:
    """The columns of a batch and their types.

    Attributes:
        table: One with these columns and roles.
        plain: The columns whose values are numbers as they stand.
        single: The columns among them that are held in single precision.
        written: The form in which polars writes a value of each column that is no array.
    """

    table: Table
    plain: frozenset[str]
    single: frozenset[str]
    written: Mapping[str, Callable[[Any], str | None]]

    @classmethod
    def of(cls, table: Table) -> Self:
        """Return the schema of a table."""
        kinds = table.data.schema.items()
        plain = frozenset(
            name
            for name, kind in kinds
            if kind.is_float() or kind.is_integer() or kind == pl.Boolean
        )
        single = frozenset(name for name, kind in kinds if kind == pl.Float32)
        return cls(
            table,
            plain,
            single,
            {name: _writer(kind) for name, kind in kinds if not kind.is_nested()},
        )


class RowBatch:
    """Rows by column (a `RowReader`), with the numbers, codes and steps of a table of them, to the
    bit.

    Args:
        values: The rows.
        schema: What their columns are.
    """

    def __init__(self, values: Sequence[Values], schema: BatchSchema) -> None:
        self._values, self._schema = values, schema
        self._numbers: dict[tuple[str, ...], ndarray] = {}

    @cached_property
    def table(self) -> Table:
        """The rows as a table, which is made when somebody asks for it."""
        schema = self._schema.table
        columns = [
            Series(name, [row.get(name) for row in self._values], kind)
            for name, kind in schema.data.schema.items()
        ]
        return Table(DataFrame(columns), schema.roles, schema.unit)

    @property
    def data(self) -> DataFrame:
        """See `RowReader`."""
        return self.table.data

    @property
    def height(self) -> int:
        """See `RowReader`."""
        return len(self._values)

    def numbers(self, names: Sequence[str]) -> ndarray:
        """See `RowReader`; they are made once, and only to be read."""
        if not self._schema.plain.issuperset(names):
            return self.table.numbers(names)
        key = tuple(names)
        if key not in self._numbers:
            numbers = np.array([[*map(row.get, key)] for row in self._values], float).reshape(
                self.height, len(key)
            )
            for place in (place for place, name in enumerate(key) if name in self._schema.single):
                numbers[:, place] = numbers[:, place].astype(np.float32)
            numbers.flags.writeable = False
            self._numbers[key] = numbers
        return self._numbers[key]

    def codes(self, name: str, codes: Mapping[str, int], other: int) -> ndarray:
        """See `RowReader`."""
        return np.array([codes.get(row.get(name), other) for row in self._values], np.int32)  # type: ignore[arg-type]

    def steps(self, name: str) -> ndarray:
        """See `RowReader`."""
        shape = self._schema.table.data.schema[name].shape  # type: ignore[attr-defined]
        nothing = np.full(shape, np.nan)
        steps = np.array(
            [nothing if (value := row.get(name)) is None else value for row in self._values], float
        )
        return steps.reshape(self.height, shape[0], int(np.prod(shape[1:])))

    def texts(self, name: str) -> Sequence[str | None]:
        """See `RowReader`."""
        write = self._schema.written.get(name)
        values = [row.get(name) if write else None for row in self._values]
        return [None if value is None or write is None else write(value) for value in values]


def _writer(kind: Any) -> Callable[[Any], str | None]:
    """Return how polars writes a value of a column."""
    if kind in (pl.String, pl.Categorical) or isinstance(kind, pl.Enum) or kind.is_integer():
        return str
    if kind == pl.Boolean:
        return lambda value: str(value).lower()
    if kind == pl.Float64:
        return lambda value: (
            str(float(value))
            if 1e-4 <= abs(value) < 1e15 or value == 0
            else _polars_value(value, kind)
        )
    return lambda value: _polars_value(value, kind)


def _polars_value(value: Any, kind: Any) -> str | None:
    text: str | None = Series([value], dtype=kind).cast(pl.String)[0]
    return text


# Names of arms, and the unit of the outcomes of a table's rows.


def arm_name(value: object) -> str:
    """Return `99` for the price 99.0 and all digits of any other, so that two numbers never have
    one name.
    """
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value)


def outcome_unit(table: Table) -> str:
    """Return the currency of the first outcome where it is money, empty where it counts something.

    It is money where the table's currency is known, and its values are not 0 and 1, and no role
    says otherwise: with `amount` the money is there, and with `price` it is money only where each
    sale brings its price.
    """
    names = table.roles.get("outcome", ())
    if not names or not table.unit or table.roles.get("amount"):
        return ""
    values = table.data[names[0]].cast(pl.Float64)
    if values.is_in([0.0, 1.0]).all():
        return ""
    if not table.roles.get("price"):
        return table.unit
    price = table.column("price").cast(pl.Float64)
    return table.unit if ((values == 0) | (values == price)).all() else ""
