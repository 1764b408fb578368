"""A table of events as a table of units: what an entity did is added up, and it counts once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from hwds.ab.protocols.analysis.metrics import ROWS_OF_UNIT
from hwds.core.errors import DataError
from hwds.frames.table import ROW_ID, Table


def as_units(table: Table, kept: Sequence[str] = ()) -> Table:
    """Return a row for each entity, at the time of its first event.

    Outcomes, amounts and numbers without a role (the sessions under a ratio) are summed, and are missing where one is missing;
    arm, price, covariates and strata are those of the first row. The column `rows` has the number of its events, unless there
    is such a column.

    Args:
        table: A row for each event.
        kept: Numbers without a role that are names of something, such as that of a region: those of the first row.

    Raises:
        DataError: There is no entity, a row has none, an entity is in two arms, or its price or cost changes.
    """
    keys = list(table.roles.get("entity", ()))
    if not keys:
        raise DataError("dataset.roles.entity: must be given; protocol.rows=events adds up the rows of each.")
    for key in keys:
        if table.data[key].null_count():
            row = int(table.data[ROW_ID][table.data[key].is_null().arg_true()[0]])
            raise DataError(f"dataset.roles.entity: row {row + 1} has no value in column '{key}'.")
    data = table.data.sort(table.column("time").name, maintain_order=True) if table.roles.get("time") else table.data
    _refuse_moved(table, data, keys)
    summed = _summed(table, [*keys, *kept])
    first = [pl.col(name).first() for name in data.columns if name not in (*keys, *summed)]
    sums = [pl.when(pl.col(name).is_null().any()).then(None).otherwise(pl.col(name).sum()).alias(name) for name in summed]
    counted = [] if ROWS_OF_UNIT in data.columns else [pl.len().cast(pl.Int64).alias(ROWS_OF_UNIT)]
    units = data.group_by(keys, maintain_order=True).agg(*first, *sums, *counted)
    return replace(table, data=units.select(*data.columns, *(each.meta.output_name() for each in counted)))


def _summed(table: Table, kept: list[str]) -> list[str]:
    """Return the columns that are added up."""
    roles = table.roles
    added = {name for role in ("outcome", "amount") for name in roles.get(role, ())}
    taken = {name for role, names in roles.items() if role not in ("outcome", "amount") for name in names} | {ROW_ID, *kept}
    numbers = {name for name, kind in table.data.schema.items() if kind.is_numeric() or kind == pl.Boolean}
    return [name for name in table.data.columns if name in added or (name in numbers and name not in taken)]


def _refuse_moved(table: Table, data: pl.DataFrame, keys: list[str]) -> None:
    """Refuse an entity whose arm, price or cost is not the same in all of its rows."""
    for role in ("arm", "price", "cost"):
        for name in table.roles.get(role, ()):
            if name in keys:
                continue
            moved = data.group_by(keys, maintain_order=True).agg(
                pl.col(name).n_unique().alias("__values"), pl.col(name).first()
            )
            several = moved.filter(pl.col("__values") > 1)
            if several.is_empty():
                continue
            who = ", ".join(map(str, several.select(keys).row(0)))
            more = f"{len(several):,} of {len(moved):,} entities have several, '{who}' first"
            last = "a unit is in one arm" if role == "arm" else "give dataset.roles.amount, what each event brought"
            raise DataError(f"dataset.roles.{role}: {more}; {last}.")
