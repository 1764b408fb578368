"""Events of units that a file of exposures has put into arms: each counts from its first exposure on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.datasets.reading.role_names import column_of
from hwds.frames.reading.files import FileSource
from hwds.frames.reading.text import must_have
from hwds.frames.roles import Roles
from hwds.frames.table import EVENTS_BEFORE

ROWS = "rows"
"""The column that is 1 in an event and 0 in an exposure, so that a unit's sum is the number of its events."""


BEGAN = "__began"


def from_exposure(events: FileSource, exposures: FileSource, roles: Roles) -> pl.DataFrame:
    """Return a row for the first exposure of each unit and one for each of its events from then on.

    A unit without an event counts, with 0 of everything; events of others and those before the exposure do not. What the file
    of exposures says of a unit (its arm, strata, covariates) stands in all of its rows, and numbers of events are 0 in the
    row of the exposure.

    Args:
        events: The events, which have no arm.
        exposures: The units, the arm and the time of each exposure; other columns are those of the first one.
        roles: Of the columns of both files; `entity` and `time` are in both.

    Raises:
        ConfigError: A role that is needed is not given.
        DataError: A column is missing, the arm stands in both files, a unit is in two arms, or an exposure or an event does
            not say when it was.
    """
    entity, (arm,), (time,) = (_role(roles, name) for name in ("entity", "arm", "time"))
    exposures.must_have([*entity, arm, time])
    events.must_have([*entity, time])
    if arm in events.table.columns:
        raise DataError(f"dataset.exposures: the arm '{arm}' stands in '{events.files[0]}', too; rename it there.")
    keys, ignored = [*entity, time], roles.get("ignore", ())
    own = [name for name in exposures.table.columns if name not in ignored]
    others = [name for name in events.table.columns if name in keys or name not in (*own, *ignored)]
    must_have([name for name in roles.names if name not in ignored], [*own, *others], "both files together")
    shown, happened = (
        pl.DataFrame([column_of(file, name, roles) for name in names]).with_columns(pl.col(entity).cast(pl.String))
        for file, names in ((exposures, own), (events, others))
    )
    _refuse_missing(shown, (*entity, arm, time), exposures)
    _refuse_missing(happened, (time,), events)
    if shown.schema[time] != happened.schema[time]:
        raise DataError(f"dataset.exposures: column '{time}' must hold dates in both files, or instants in both.")
    _refuse_two_arms(shown, entity, arm)
    first = shown.sort(time, maintain_order=True).unique(entity, keep="first", maintain_order=True)
    began = first.rename({time: BEGAN})
    joined = happened.join(began, on=list(entity), how="inner", maintain_order="left")
    early = pl.col(time) < pl.col(BEGAN)
    before = joined.filter(early).group_by(entity).agg(pl.len().cast(pl.Int64).alias(EVENTS_BEFORE))
    first = first.join(before, on=list(entity), how="left", maintain_order="left").with_columns(
        pl.col(EVENTS_BEFORE).fill_null(0)
    )
    zeros = _zeros(happened, keys, ()) | {ROWS: pl.lit(0)}
    late = joined.filter(~early).drop(BEGAN)
    once = _zeros(first, keys, roles.names) | {ROWS: pl.lit(1)}  # numbers without a role are added up
    return pl.concat([first.with_columns(**zeros), late.with_columns(**once)], how="diagonal")


def _zeros(data: pl.DataFrame, keys: Sequence[str], kept: Collection[str]) -> dict[str, pl.Expr]:
    """Return 0 for each column of numbers that is none of the names."""
    numbers = {name: kind for name, kind in data.schema.items() if kind.is_numeric() or kind == pl.Boolean}
    return {name: pl.lit(0).cast(kind) for name, kind in numbers.items() if name not in keys and name not in kept}


def _role(roles: Roles, name: str) -> tuple[str, ...]:
    if name not in roles:
        raise ConfigError(f"dataset.roles.{name}: must be given with dataset.exposures.")
    return tuple(roles[name])


def _refuse_missing(data: pl.DataFrame, names: Sequence[str], file: FileSource) -> None:
    for name in names:
        if len(missing := data[name].is_null().arg_true()):
            raise DataError(f"dataset.exposures: row {missing[0] + 1} of '{file.files[0]}' has no value in column '{name}'.")


def _refuse_two_arms(shown: pl.DataFrame, entity: tuple[str, ...], arm: str) -> None:
    arms = shown.group_by(entity, maintain_order=True).agg(pl.col(arm).n_unique().alias("n"))
    several = arms.filter(pl.col("n") > 1)
    if len(several):
        who = ", ".join(map(str, several.select(entity).row(0)))
        raise DataError(f"dataset.exposures: {len(several):,} of {len(arms):,} units are in several arms, '{who}' first.")
