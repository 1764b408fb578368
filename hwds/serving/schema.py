"""Schema: which columns events have and what roles they play, as a table without rows; it is kept beside them."""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO
from typing import Any

import polars as pl

from hwds.errors import ResumeError
from hwds.frames.table import ROW_ID, Table
from hwds.serving.log import Log

UNKNOWN = ("truth", "label_propensity")
"""Roles that no event plays, and nobody ever tells of it."""


def schema_of(table: Table) -> Table:
    """The columns and roles of events like a table's rows; a label has a moment of its own."""
    gone = [name for role in UNKNOWN for name in table.roles.get(role, ())]
    data = table.data.clear().drop(ROW_ID, *gone, strict=False)
    roles = {role: names for role, names in table.roles.items() if role not in UNKNOWN}
    label = table.name("label")
    if label and not roles.get("label_time"):
        roles["label_time"] = (f"{label}_time",)
        data = data.with_columns(pl.lit(None, pl.Datetime("us")).alias(f"{label}_time"))
    return Table(data, roles, table.unit)


def kept_schema(log: Log) -> Table | None:
    """The schema of a log's events; None of a new log."""
    told = log.about("schema")
    if told is None:
        return None
    data = pl.read_ipc(BytesIO(base64.b64decode(told["columns"])))
    return Table(data, {role: tuple(names) for role, names in told["roles"].items()}, told["unit"])


def keep_schema(log: Log, schema: Table, key: str) -> None:
    """Write the schema into a new log, or see that it is that of the log's events.

    Raises:
        ResumeError: It is another one, with the first difference.
    """
    kept = kept_schema(log)
    if kept is None:
        buffer = BytesIO()
        schema.data.write_ipc(buffer)
        columns = base64.b64encode(buffer.getvalue()).decode()
        log.tell("schema", {"columns": columns, "roles": schema.roles, "unit": schema.unit, "key": key})
        return
    known_key = log.about("schema")["key"]
    if key != known_key:
        raise ResumeError(f"{log.path}: its events have their key under '{known_key}', not '{key}'.")
    for what, old, new in (("column", _kinds(kept), _kinds(schema)), ("role", kept.roles, schema.roles)):
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                said = f"is {_said(old.get(name))} there and {_said(new.get(name))} in this run"
                raise ResumeError(f"{log.path}: holds other events: {what} '{name}' {said}.")


def with_arrivals(schema: Table) -> Table:
    """A schema in which a column says when events arrived."""
    if schema.roles.get("available_at"):
        return schema
    name = "available_at" if "available_at" not in schema.data.columns else "__available_at"
    data = schema.data.with_columns(pl.lit(None, pl.Datetime("us")).alias(name))
    return replace(schema, data=data, roles=schema.roles | {"available_at": (name,)})


def _kinds(schema: Table) -> dict[str, Any]:
    return dict(schema.data.schema)


def _said(value: Any) -> str:
    return "absent" if value is None else ", ".join(value) if isinstance(value, tuple) else str(value)
