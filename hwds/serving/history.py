"""History: a log as a table, which batch features and training read, and a table's rows as entries of a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.eventlog.log import EventLog
from hwds.features.rows.columns import HIDDEN
from hwds.features.rows.live import microseconds
from hwds.frames.table import ROW_ID, Table
from hwds.serving.corrections import CORRECTION, WITHDRAWN
from hwds.serving.reading import Read, Reader
from hwds.serving.schema import with_arrivals


class PastRow(NamedTuple):
    """A row of a table as an event, and its label with the moment from which it holds, where it has one."""

    read: Read
    label: tuple[bool, int] | None


def history(log: EventLog, reader: Reader, schema: Table, returned_at: str) -> Table:
    """Return all events in the order of arrival, with what was reported of them since.

    Raises:
        DataError: There is none.
    """
    rows: list[dict[str, Any]] = []
    schema = with_arrivals(schema)
    names = {role: schema.name(role) for role in ("available_at", "label", "label_time")}
    moments = {names["available_at"], names["label_time"]} - {""}
    for entry in log.entries():
        if entry.kind == "event":
            rows.append(reader.read(entry.body).values | {names["available_at"]: entry.at})
        elif entry.kind in ("label", CORRECTION):
            label = None if entry.body == WITHDRAWN else int(entry.body)
            rows[entry.place] |= {names["label"]: label, names["label_time"]: None if label is None else entry.at}
        else:
            rows[entry.place][returned_at] = entry.at
    made = [_column(name, kind, [row.get(name) for row in rows], name in moments) for name, kind in schema.data.schema.items()]
    return Table.build(pl.DataFrame(made), schema.roles, schema.unit)


def _column(name: str, kind: Any, values: list[Any], moment: bool) -> pl.Series:
    """Return a column; moments are microseconds of the wall clock, whatever type the column had."""
    if moment:
        moments = pl.Series(name, values, pl.Int64).cast(pl.Datetime("us"))
        return moments.dt.replace_time_zone(getattr(kind, "time_zone", None), ambiguous="earliest", non_existent="null")
    if isinstance(kind, pl.Datetime):
        whole = [value if value is None or isinstance(value, int) else microseconds(value) for value in values]
        moments = pl.Series(name, whole, pl.Int64).cast(pl.Datetime("us"))
        return moments.dt.replace_time_zone(kind.time_zone, ambiguous="earliest", non_existent="null").cast(kind)
    return pl.Series(name, values, dtype=kind)


def past_rows(table: Table, reader: Reader) -> Iterator[PastRow]:
    """Yield the rows of a table in the order of their arrival.

    Raises:
        DataError: A row is no event, or has a label and no moment of it.
    """
    role = "available_at" if table.roles.get("available_at") else "time"
    arrived = table.column(role)
    label, when = table.name("label"), table.name("label_time")
    hidden = {name for each in HIDDEN for name in table.roles.get(each, ())}
    plain = [name for name in table.data.columns if name not in hidden and name not in (ROW_ID, reader.key)]
    order = np.argsort(arrived.cast(pl.Datetime("us")).to_physical().to_numpy(), kind="stable")
    ids = table.data[reader.key if reader.key in table.data.columns else ROW_ID]
    for row in table.data.select(*plain, ids.alias("__id"), *hidden)[order].iter_rows(named=True):
        read = reader.read({name: row[name] for name in plain} | {reader.key: row["__id"]})
        positive = row[label] if label else None
        if positive is None:
            yield PastRow(read, None)
            continue
        if not when or row[when] is None:
            raise DataError(f"event '{read.id}': has a label, and '{when or 'label_time'}' does not say since when.")
        yield PastRow(read, (positive == 1, microseconds(row[when])))
