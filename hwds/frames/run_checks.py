"""Checks of runs when they are built; every refusal names the run and the rows of the source."""

from __future__ import annotations

import logging

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.checks import LARGEST
from hwds.frames.roles import ROLES, Roles

ENTITY, CYCLE = "entity", "cycle"
"""The names that these two columns have in all runs, whatever they were called in the user's file."""

ROW = "__row__"
STEADY = 0.9
"""The share of a sensor's rows that have one and the same value, from which on it tells nothing of wear."""

_LOG = logging.getLogger(__name__)


def checked_rows(data: pl.DataFrame, roles: Roles, longest_gap: int) -> pl.DataFrame:
    """Return the rows by run, `entity` and `cycle` under these names, short gaps of sensors filled by the last number.

    Raises:
        ConfigError: A column with a role has the name that the machine or the cycle gets.
        DataError: As `Runs.build` says.
    """
    if data.is_empty():
        raise DataError("dataset: no rows.")
    _refuse_absent(data, roles)
    names = [pl.col(name).cast(pl.String) for name in roles[ENTITY]]
    rows = data.with_row_index(ROW).with_columns(
        pl.concat_str(names, separator="|").alias(ENTITY), pl.col(roles[CYCLE][0]).cast(pl.Float64).alias(CYCLE)
    )
    for name in (ENTITY, CYCLE):
        bad = rows[name].is_null().arg_true()
        if len(bad):
            raise DataError(f"dataset: row {bad[0] + 1} has no {name}.")
    order = rows.group_by(ENTITY, maintain_order=True).agg(pl.first(ROW).alias("__first__"))
    rows = rows.join(order, ENTITY, maintain_order="left").sort("__first__", maintain_order=True)
    _refuse_falling(rows)
    return _filled(rows.drop("__first__"), roles, longest_gap)


def ends_of(rows: pl.DataFrame, roles: Roles) -> pl.DataFrame:
    """Return how each run ends; columns as `Runs.ends` says.

    Raises:
        DataError: A run fails twice or goes on after its failure, what is one of a run changes within it, its split is neither
            `train` nor `test`, or it lasts less than 0 beyond its last row, or beyond its failure.
    """
    event = roles.one("event")
    if event:
        _refuse_failures(rows, event)
    for role in ("split", "start", "remaining", "static"):
        for name in roles.get(role, ()):
            _refuse_changing(rows, name, role)
    split = pl.col(roles["split"][0]).cast(pl.String).first() if roles.get("split") else pl.lit("train")
    tests = split == "test"
    columns = {
        "age": pl.col(CYCLE).last(),
        "event": (pl.col(event).cast(pl.Float64).last() == 1).fill_null(False) if event else ~tests,
        "remaining": _first(roles, "remaining"),
        "split": split,
        "start": _first(roles, "start"),
    }
    ends = rows.group_by(ENTITY, maintain_order=True).agg(value.alias(name) for name, value in columns.items())
    wrong = ends.filter(~pl.col("split").is_in(["train", "test"]).fill_null(False))
    if len(wrong):
        raise DataError(f"dataset: run '{wrong[ENTITY][0]}' has split {wrong['split'][0]!r}; it must say 'train' or 'test'.")
    _refuse_remaining(ends)
    known = pl.when(pl.col("event")).then(0.0).otherwise(pl.col("remaining"))
    return ends.with_columns(known.alias("remaining"))


def refuse_marks(rows: pl.DataFrame, roles: Roles, marks: tuple[str, ...]) -> None:
    """Refuse a label or a change point that is neither 0 nor 1.

    Raises:
        DataError: With its row in the source.
    """
    for role in marks:
        for name in roles.get(role, ()):
            if not (rows[name].dtype.is_numeric() or rows[name].dtype in (pl.Boolean, pl.Null)):
                raise DataError(f"dataset.roles.{role}: column '{name}' must hold 0 and 1, row 1 has {rows[name][0]!r}.")
            odd = rows.filter(~pl.col(name).cast(pl.Float64).is_in([0.0, 1.0]))
            if len(odd):
                raise DataError(
                    f"dataset.roles.{role}: row {odd[ROW][0] + 1} has {odd[name][0]} in column '{name}'; must be 0 or 1."
                )


def informative(rows: pl.DataFrame, ends: pl.DataFrame, roles: Roles) -> Roles:
    """Return the roles without the sensors that hardly change in the runs to learn from; a warning names them.

    No label is looked at. Where no sensor changes, as in a few rows of new machines, all of them are kept.
    """
    train = rows.join(ends.filter(pl.col("split") == "train").select(ENTITY), ENTITY, "semi")
    sensors = roles.get("sensor", ())
    left = [name for name in sensors if is_steady(train[name])]
    if len(left) == len(sensors):
        return roles
    if left:
        _LOG.warning("dataset: %d of %d sensors hardly change and are left out: %s.", len(left), len(sensors), ", ".join(left))
    return roles | {"sensor": tuple(name for name in sensors if name not in left)}


def is_steady(values: pl.Series) -> bool:
    """Return whether one value makes up `STEADY` of the rows of a sensor."""
    most = values.value_counts(sort=True, name=ROW)
    return len(most) < 2 or float(most[ROW][0]) / len(values) >= STEADY


def _first(roles: Roles, role: str) -> pl.Expr:
    return pl.col(roles[role][0]).cast(pl.Float64).fill_nan(None).first() if roles.get(role) else pl.lit(None, pl.Float64)


def _refuse_absent(data: pl.DataFrame, roles: Roles) -> None:
    for role in (ENTITY, CYCLE):
        if not roles.get(role):
            raise DataError(f"dataset.roles.{role}: must be given.")
    for role, names in roles.items():
        for name in names:
            if role not in (ENTITY, CYCLE, "ignore") and name in (ENTITY, CYCLE):
                raise ConfigError(
                    f"dataset.roles.{role}: hwds gives the name '{name}' to another column; rename it in the data."
                )
            if name not in data.columns:
                raise DataError(f"dataset: no column '{name}'{nearest(name, data.columns)}")
            column = data[name]
            if ROLES[role].holds == "numbers" and not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
                raise DataError(f"dataset: column '{name}' must hold numbers, row 1 has {column[0]!r}.")
            if column.dtype.is_float() and (column.fill_nan(None).abs() > LARGEST).any():
                row = (column.abs() > LARGEST).arg_true()[0] + 1
                raise DataError(f"dataset: column '{name}' has {column[row - 1]} in row {row}.")


def _refuse_falling(rows: pl.DataFrame) -> None:
    same = rows[ENTITY] == rows[ENTITY].shift(1)
    bad = (same & (rows[CYCLE] <= rows[CYCLE].shift(1))).fill_null(False).arg_true()
    if len(bad):
        before, row = rows.row(bad[0] - 1, named=True), rows.row(bad[0], named=True)
        raise DataError(
            f"dataset: run '{row[ENTITY]}' has cycle {row[CYCLE]:g} after cycle {before[CYCLE]:g} (row {row[ROW] + 1}); cycles"
            " must rise."
        )


def _refuse_failures(rows: pl.DataFrame, event: str) -> None:
    odd = rows.filter(~pl.col(event).cast(pl.Float64).is_in([0.0, 1.0]))
    if len(odd):
        raise DataError(f"dataset.roles.event: row {odd[ROW][0] + 1} has {odd[event][0]} in column '{event}'; must be 0 or 1.")
    failed = rows.with_row_index("__at__").filter(pl.col(event).cast(pl.Float64) == 1)
    twice = failed.filter(pl.col(ENTITY) == pl.col(ENTITY).shift(1))
    if len(twice):
        own = failed.filter(pl.col(ENTITY) == twice[ENTITY][0])[ROW]
        raise DataError(f"dataset: run '{twice[ENTITY][0]}' fails twice (rows {own[0] + 1} and {own[1] + 1}).")
    last = rows.with_row_index("__at__").group_by(ENTITY).agg(pl.last("__at__").alias("__last__"))
    early = failed.join(last, ENTITY, maintain_order="left").filter(pl.col("__at__") < pl.col("__last__"))
    if len(early):
        raise DataError(f"dataset: run '{early[ENTITY][0]}' goes on after its failure in row {early[ROW][0] + 1}.")


def _refuse_remaining(ends: pl.DataFrame) -> None:
    below = ends.filter(pl.col("remaining") < 0)
    if len(below):
        name, left = below[ENTITY][0], below["remaining"][0]
        raise DataError(f"dataset.roles.remaining: run '{name}' has {left:g}; must be >= 0.")
    failed = ends.filter(pl.col("event") & (pl.col("remaining") > 0))
    if len(failed):
        name, left = failed[ENTITY][0], failed["remaining"][0]
        raise DataError(
            f"dataset.roles.remaining: run '{name}' has {left:g}, but failed in its last row; dataset.roles.event says which"
            " runs failed: without it all did but those of the test."
        )


def _refuse_changing(rows: pl.DataFrame, name: str, role: str) -> None:
    same = rows[ENTITY] == rows[ENTITY].shift(1)
    bad = (same & rows[name].ne_missing(rows[name].shift(1))).fill_null(False).arg_true()
    if len(bad):
        row = rows.row(bad[0], named=True)
        raise DataError(f"dataset.roles.{role}: column '{name}' changes in run '{row[ENTITY]}' (row {row[ROW] + 1}).")


def _filled(rows: pl.DataFrame, roles: Roles, longest_gap: int) -> pl.DataFrame:
    """Carry the last number of a run over short gaps; refuse longer ones, and a run that begins without a number."""
    names = roles.columns(("sensor", "setting"))
    numbers = rows.with_columns(pl.col(names).cast(pl.Float64).fill_nan(None)) if names else rows
    runs, inside = rows[ENTITY].to_numpy(), np.arange(len(rows))
    begins = np.concatenate([[True], runs[1:] != runs[:-1]])
    for name in names:
        gone = numbers[name].is_null().to_numpy()
        if not gone.any():
            continue
        last = np.maximum.accumulate(np.where(~gone, inside, -1))
        first = np.maximum.accumulate(np.where(begins, inside, 0))
        length = np.where(gone, inside - np.maximum(last, first - 1), 0)
        bad = np.flatnonzero((length > longest_gap) | (gone & (last < first)))
        if len(bad):
            _refuse_gap(numbers, name, int(bad[0]), gone, begins, longest_gap)
    return numbers.with_columns(pl.col(names).forward_fill().over(ENTITY)) if names else numbers


def _refuse_gap(rows: pl.DataFrame, name: str, bad: int, gone: np.ndarray, begins: np.ndarray, longest_gap: int) -> None:
    start, stop = bad, bad + 1
    while not begins[start] and gone[start - 1]:
        start -= 1
    while stop < len(gone) and gone[stop] and not begins[stop]:
        stop += 1
    run, first, last = rows[ENTITY][bad], rows[ROW][start] + 1, rows[ROW][stop - 1] + 1
    if begins[start]:
        raise DataError(f"dataset: run '{run}' begins without a number in column '{name}' (row {first}).")
    raise DataError(
        f"dataset: run '{run}' has no number in column '{name}' in {stop - start} rows in a row (rows {first} to {last}), more"
        f" than dataset.longest_gap={longest_gap}."
    )
