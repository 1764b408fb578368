"""A table of logged decisions as arrays, each value checked against its role."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import Amount
from hwds.frames.outcomes import arm_name
from hwds.frames.table import ROW_ID, Table

Reward = Literal["outcome", "revenue"]
Range = tuple[Amount, Amount]


@dataclass(frozen=True, eq=False)
class Log:
    """Logged decisions.

    Attributes:
        table: The frame they come from.
        reward: Shape (n,).
        arms: The names of the arms that were logged, numbers by size.
        action: The number of the logged arm, shape (n,).
        propensity: With which the arm was chosen, shape (n,); None where the table has no such role.
        price: Shape (n,); None where the table has no such role.
        context: The columns that a reward model reads.
        group: The number of the draw that a row belongs to, shape (n,); None where each row is one.
    """

    table: Table
    reward: np.ndarray
    arms: tuple[str, ...]
    action: np.ndarray
    propensity: np.ndarray | None
    price: np.ndarray | None
    context: pl.DataFrame
    group: np.ndarray | None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.reward)

    @property
    def day(self) -> pl.Series | None:
        """The day of each row as a number, which rows share; None where the table has no time, or not of every row."""
        times = self.table.column("time") if self.table.roles.get("time") else None
        if times is None or times.null_count() or times.dtype.base_type() not in (pl.Date, pl.Datetime):
            return None
        return times.cast(pl.Date).to_physical()

    def rows(self, which: np.ndarray) -> Log:
        """Return some of the rows, with all arms; groups are numbered anew."""
        some = replace(self.table, data=self.table.data.filter(pl.Series(which)))
        return replace(
            self,
            table=some,
            reward=self.reward[which],
            action=self.action[which],
            propensity=None if self.propensity is None else self.propensity[which],
            price=None if self.price is None else self.price[which],
            context=self.context.filter(pl.Series(which)) if self.context.width else self.context,
            group=None if self.group is None else np.unique(self.group[which], return_inverse=True)[1],
        )


def read_log(table: Table, reward: Reward, within: Range | None) -> Log:
    """Return the log of a table.

    The arm is the role `arm`, or else the role `price`: with neither, nothing was chosen.

    Args:
        table: With the roles `outcome`, `arm` or `price`, and by need `propensity`, `context`, `group`.
        reward: `outcome`, or `revenue`, which is price times outcome.
        within: The least and the largest reward there can be, where that is declared.

    Raises:
        DataError: A role is missing, or a value does not fit its role, with the row.
    """
    if not (table.roles.get("arm") or table.roles.get("price")):
        raise DataError("dataset.roles.arm: must be given, or else dataset.roles.price: what the log chose.")
    price = _numbers(table, "price") if table.roles.get("price") else None
    arms, action = _arms(table)
    names = [name for name in table.roles.get("context", ()) if name != ROW_ID]
    return Log(
        table,
        _rewards(table, reward, price, within),
        arms,
        action,
        _propensities(table),
        price,
        table.data.select(names) if names else pl.DataFrame(),
        _groups(table),
    )


def _rewards(table: Table, kind: Reward, price: np.ndarray | None, within: Range | None) -> np.ndarray:
    values = _numbers(table, "outcome")
    if kind == "revenue":
        if price is None:
            raise DataError("dataset.roles.price: must be given, for protocol.reward is revenue.")
        sold = values != 0
        if sold.any() and np.array_equal(values[sold], price[sold]) and not (price[sold] == 1).all():
            raise DataError("protocol.reward: must be outcome, got revenue: the outcome of every sale is its price already.")
        values = values * price
    if within:
        bad = np.flatnonzero((values < within[0]) | (values > within[1]))
        if len(bad):
            where = f"row {bad[0] + 1} has a reward of {values[bad[0]]:g}"
            raise DataError(f"protocol.reward_range: {where}, outside of {within[0]:g} to {within[1]:g}.")
    return values


def _numbers(table: Table, role: str) -> np.ndarray:
    column = table.column(role)
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(f"dataset.roles.{role}: column '{column.name}' holds {column.dtype}, not numbers.")
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise DataError(f"dataset.roles.{role}: row {bad[0] + 1} has no finite value in column '{column.name}'.")
    return values


def _arms(table: Table) -> tuple[tuple[str, ...], np.ndarray]:
    role = "arm" if table.roles.get("arm") else "price"
    column = table.column(role)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    _refuse_null(column, role)
    if not column.dtype.is_numeric():
        column = column.cast(pl.String)
    distinct = column.unique().sort()
    values = [float(str(value)) for value in distinct.to_numpy()] if distinct.dtype == pl.Float32 else distinct.to_list()
    return tuple(arm_name(value) for value in values), distinct.search_sorted(column).to_numpy().astype(np.int64)


def _refuse_null(column: pl.Series, role: str) -> None:
    if column.null_count():
        missing = column.is_null().arg_true()[0]
        raise DataError(f"dataset.roles.{role}: row {missing + 1} has no value in column '{column.name}'.")


def _propensities(table: Table) -> np.ndarray | None:
    if not table.roles.get("propensity"):
        return None
    column = table.column("propensity")
    if not column.dtype.is_numeric():
        raise DataError(f"dataset.roles.propensity: column '{column.name}' holds {column.dtype}, not numbers.")
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        value = column[int(bad[0])]
        raise DataError(f"dataset.roles.propensity: row {bad[0] + 1} has {value}; what was logged had a propensity above 0.")
    return values


def _groups(table: Table) -> np.ndarray | None:
    if not table.roles.get("group"):
        return None
    column = table.column("group")
    _refuse_null(column, "group")
    return column.rank("dense").to_numpy().astype(np.int64) - 1
