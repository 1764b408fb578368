"""Refusals of a table that no classifier can score: labels, times and amounts that cannot be."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.frames.table import Table

TIMES = ("time", "available_at", "label_time")


def check_rows(table: Table) -> None:
    """Refuse labels that are no 0 and 1 or of one kind, times that are missing, mixed or out of order, amounts below 0.

    Raises:
        DataError: With the role, the column and the first row.
    """
    check_labels(table)
    check_facts(table)


def check_facts(table: Table) -> None:
    """Refuse all of that but labels: ids that two rows have, times, amounts and chances that cannot be.

    Raises:
        DataError: With the role, the column and the first row.
    """
    if table.roles.get("id"):
        _check_ids(table)
    if table.roles.get("time"):
        _check_times(table)
    _check_finite(table)
    _check_range(table, "amount", 0.0, np.inf, ">= 0")
    _check_range(table, "label_propensity", np.nextafter(0.0, 1.0), 1.0, "> 0 and <= 1")


def _check_finite(table: Table) -> None:
    """Refuse infinite numbers: no model learns from them, and a mean of them is none."""
    for column in table.data.select(pl.selectors.float()):
        bad = column.is_infinite().fill_null(False).arg_true()
        if len(bad):
            shown = f"row {bad[0] + 1} has {column[bad[0]]}"
            raise DataError(f"dataset: column '{column.name}' must be finite or missing, {shown}.")


def _check_ids(table: Table) -> None:
    """Refuse a row without an id, and two rows of one."""
    ids = table.column("id")
    missing = ids.is_null().arg_true()
    if len(missing):
        raise DataError(f"dataset.roles.id: row {missing[0] + 1} has no value in column '{ids.name}'.")
    again = (~ids.is_first_distinct()).arg_true()
    if len(again):
        first = (ids == ids[again[0]]).arg_true()[0]
        both = f"rows {first + 1} and {again[0] + 1} both have {ids[again[0]]!r}"
        raise DataError(f"dataset.roles.id: {both} in column '{ids.name}'; each row needs an id of its own.")


def check_labels(table: Table) -> None:
    """Refuse labels that are no 0 and 1, or of one kind.

    Raises:
        DataError: With the value and its row, or the one class that is there.
    """
    check_values(table)
    kinds = np.unique(table.column("label").cast(pl.Float64).drop_nulls().to_numpy())
    if len(kinds) < 2:
        seen = f"only {kinds[0]:g}" if len(kinds) else "no label"
        raise DataError(f"dataset.roles.label: column '{table.name('label')}' needs rows of 0 and of 1, it has {seen}.")


def check_values(table: Table) -> None:
    """Refuse labels that are neither 0 nor 1 nor missing.

    Raises:
        DataError: With the value and its row.
    """
    label = table.column("label")
    if not (label.dtype.is_numeric() or label.dtype == pl.Boolean):
        known = label.is_not_null().arg_true()
        shown = f"row {known[0] + 1} has {label[known[0]]!r}" if len(known) else "no row has a value"
        raise DataError(f"dataset.roles.label: column '{label.name}' must hold 0 and 1, {shown}.")
    values = label.cast(pl.Float64)
    bad = (~values.is_in([0.0, 1.0])).fill_null(False).arg_true()
    if len(bad):
        raise DataError(f"dataset.roles.label: must be 0 or 1, row {bad[0] + 1} has {label[bad[0]]}.")


def _check_times(table: Table) -> None:
    """Refuse missing times, mixed kinds of time zones, and labels before their rows or after the data ended."""
    for role in ("time", *(("available_at",) if table.roles.get("available_at") else ())):
        missing = table.column(role).is_null().arg_true()
        if len(missing):
            raise DataError(f"dataset.roles.{role}: row {missing[0] + 1} has no value in column '{table.name(role)}'.")
    columns = {role: table.column(role) for role in TIMES if table.roles.get(role)}
    zones = {role: _zone(column) for role, column in columns.items() if column.dtype.is_temporal()}
    for role, zone in zones.items():
        if (zone is None) != (zones["time"] is None):
            phrases = [f"{'has no time zone' if each is None else f'is in {each}'}" for each in (zone, zones["time"])]
            raise DataError(
                f"dataset.roles.{role}: column '{columns[role].name}' {phrases[0]}, but column '{columns['time'].name}'"
                f" {phrases[1]};"
                f" row 1 has {columns[role][0]} and {columns['time'][0]}."
            )
    if "label_time" in zones:
        _check_label_times(table)


def _check_label_times(table: Table) -> None:
    instants = {
        role: table.column(role).cast(pl.Datetime("us", _zone(table.column(role)))) for role in TIMES if table.roles.get(role)
    }
    known, when, name = table.column("label").is_not_null(), instants["label_time"], table.name("label_time")
    undated = (known & when.is_null()).arg_true()
    if len(undated):
        raise DataError(f"dataset.roles.label_time: row {undated[0] + 1} has a label and no value in column '{name}'.")
    early = (known & (when < instants["time"])).fill_null(False).arg_true()
    if len(early):
        row = early[0]
        happened = table.column("time")[row]
        raise DataError(
            f"dataset.roles.label_time: row {row + 1} was labelled at {table.column('label_time')[row]}, before it happened"
            f" ({happened})."
        )
    last = instants.get("available_at", instants["time"]).max()
    late = known & (when > last)
    if late.sum() == known.sum():
        row = int(known.arg_true()[0])
        problem = f"all labels are later than the data, which ends at {last!s}; row {row + 1} has {when[row]}"
        raise DataError(f"dataset.roles.label_time: {problem}.")


def _check_range(table: Table, role: str, least: float, most: float, wanted: str) -> None:
    if not table.roles.get(role):
        return
    column = table.column(role)
    if not column.dtype.is_numeric():
        raise DataError(f"dataset.roles.{role}: column '{column.name}' holds {str(column.dtype).lower()} values, not numbers.")
    bad = (~column.is_between(least, most)).fill_null(False).arg_true()
    if len(bad):
        raise DataError(
            f"dataset.roles.{role}: row {bad[0] + 1} has {column[bad[0]]} in column '{column.name}'; must be {wanted}."
        )


def _zone(column: pl.Series) -> str | None:
    return getattr(column.dtype, "time_zone", None)
