"""Schema: which columns events have and what roles they play, as a table without rows; it is kept beside them."""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO
from typing import Any

import polars as pl

from hwds.core.errors import ResumeError
from hwds.eventlog.log import EventLog
from hwds.frames.roles import Roles
from hwds.frames.table import ROW_ID, Table

UNKNOWN = ("truth", "label_propensity")
"""Roles that no event has, now or later."""


def schema_of(table: Table) -> Table:
    """Return the columns and roles of events like a table's rows; a label has a moment of its own."""
    gone = [name for role in UNKNOWN for name in table.roles.get(role, ())]
    data = table.data.clear().drop(ROW_ID, *gone, strict=False)
    roles = table.roles.without(*UNKNOWN)
    label = table.name("label")
    if label and not roles.get("label_time"):
        roles = roles | {"label_time": f"{label}_time"}
        data = data.with_columns(pl.lit(None, pl.Datetime("us")).alias(f"{label}_time"))
    return Table(data, roles, table.unit)


def schema_in(log: EventLog) -> Table | None:
    """Return the schema of a log's events; None of a new log."""
    schema = log.about("schema")
    if schema is None:
        return None
    data = pl.read_ipc(BytesIO(base64.b64decode(schema["columns"])))
    return Table(data, Roles(schema["roles"]), schema["unit"])


def keep_schema(log: EventLog, schema: Table, key: str) -> None:
    """Write the schema into a new log, or check that it is that of the log's events.

    Raises:
        ResumeError: It is another one, with the first difference.
    """
    stored = schema_in(log)
    if stored is None:
        buffer = BytesIO()
        schema.data.write_ipc(buffer)
        columns = base64.b64encode(buffer.getvalue()).decode()
        log.set_about("schema", {"columns": columns, "roles": dict(schema.roles), "unit": schema.unit, "key": key})
        return
    known_key = log.about("schema")["key"]
    if key != known_key:
        raise ResumeError(f"{log.path}: its events have their key under '{known_key}', not '{key}'.")
    for what, old, new in (("column", _kinds(stored), _kinds(schema)), ("role", stored.roles, schema.roles)):
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                difference = f"is {_written(old.get(name))} there and {_written(new.get(name))} in this run"
                raise ResumeError(f"{log.path}: holds other events: {what} '{name}' {difference}.")


def with_arrivals(schema: Table) -> Table:
    """Return a schema in which a column says when events arrived."""
    if schema.roles.get("available_at"):
        return schema
    name = "available_at" if "available_at" not in schema.data.columns else "__available_at"
    data = schema.data.with_columns(pl.lit(None, pl.Datetime("us")).alias(name))
    return replace(schema, data=data, roles=schema.roles | {"available_at": (name,)})


def _kinds(schema: Table) -> dict[str, Any]:
    return dict(schema.data.schema)


def _written(value: Any) -> str:
    return "absent" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)
