"""A user's own rows that are not series."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar, Literal

import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.datasets.base import Dataset
from hwds.datasets.reading.columns import (
    OwnRows,
    RoleNames,
    column_of,
    times_of_column,
)
from hwds.datasets.reading.file_traps import with_cures
from hwds.datasets.reading.leakage import refuse_leaking_inputs, refuse_order_of_labels
from hwds.frames.files import (
    FileSource,
    TextFormat,
    read_files,
    readable,
    require_columns,
    without_line_break,
)
from hwds.frames.roles import ROLES, Roles
from hwds.frames.table import EVENTS_BEFORE, ROW_ID, Frame
from hwds.frames.table import Table as TableFrame

# Events of units that a file of exposures has put into arms: each counts from its first
# exposure on.

EVENTS = "rows"
"""The column that is 1 in an event and 0 in an exposure, so that a unit's sum is the number of its
events.
"""


BEGAN_AT = "__began"


def from_exposure(events: FileSource, exposures: FileSource, roles: Roles) -> DataFrame:
    """Return a row for the first exposure of each unit and one for each of its events from then on.

    A unit without an event counts, with 0 of everything; events of others and those before the
    exposure do not. What the file of exposures says of a unit (its arm, strata, covariates) stands
    in all of its rows, and numbers of events are 0 in the row of the exposure.

    Args:
        events: The events, which have no arm.
        exposures: The units, the arm and the time of each exposure; other columns are those of the
            first one.
        roles: The roles of the columns of both files; `entity` and `time` are in both.

    Raises:
        ConfigError: A role that is needed is not given.
        DataError: A column is missing, the arm stands in both files, a unit is in two arms, or an
            exposure or an event does not say when it was.
    """
    entity, (arm,), (time,) = (_role(roles, name) for name in ("entity", "arm", "time"))
    exposures.must_have([*entity, arm, time])
    events.must_have([*entity, time])
    if arm in events.table.columns:
        raise DataError(
            f"dataset.exposures: the arm '{arm}' stands in '{events.files[0]}', too; rename it "
            f"there."
        )
    keys, ignored = [*entity, time], roles.get("ignore", ())
    own = [name for name in exposures.table.columns if name not in ignored]
    others = [name for name in events.table.columns if name in keys or name not in (*own, *ignored)]
    require_columns(
        [name for name in roles.names if name not in ignored],
        [*own, *others],
        "both files together",
    )
    shown, happened = (
        DataFrame([column_of(file, name, roles) for name in names]).with_columns(
            col(entity).cast(pl.String)
        )
        for file, names in ((exposures, own), (events, others))
    )
    _refuse_missing(shown, (*entity, arm, time), exposures)
    _refuse_missing(happened, (time,), events)
    if shown.schema[time] != happened.schema[time]:
        raise DataError(
            f"dataset.exposures: column '{time}' must hold dates in both files, or instants in "
            f"both."
        )
    _refuse_two_arms(shown, entity, arm)
    first = shown.sort(time, maintain_order=True).unique(entity, keep="first", maintain_order=True)
    began = first.rename({time: BEGAN_AT})
    joined = happened.join(began, on=list(entity), how="inner", maintain_order="left")
    early = col(time) < col(BEGAN_AT)
    before = joined.filter(early).group_by(entity).agg(pl.len().cast(pl.Int64).alias(EVENTS_BEFORE))
    first = first.join(before, on=list(entity), how="left", maintain_order="left").with_columns(
        col(EVENTS_BEFORE).fill_null(0)
    )
    zeros = _zeros(happened, keys, ()) | {EVENTS: pl.lit(0)}
    late = joined.filter(~early).drop(BEGAN_AT)
    once = _zeros(first, keys, roles.names) | {
        EVENTS: pl.lit(1)
    }  # numbers without a role are added up
    return pl.concat([first.with_columns(**zeros), late.with_columns(**once)], how="diagonal")


def _zeros(data: DataFrame, keys: Sequence[str], kept: Collection[str]) -> dict[str, pl.Expr]:
    """Return 0 for each column of numbers that is none of the names."""
    numbers = {
        name: kind for name, kind in data.schema.items() if kind.is_numeric() or kind == pl.Boolean
    }
    return {
        name: pl.lit(0).cast(kind)
        for name, kind in numbers.items()
        if name not in keys and name not in kept
    }


def _role(roles: Roles, name: str) -> tuple[str, ...]:
    if name not in roles:
        raise ConfigError(f"dataset.roles.{name}: must be given with dataset.exposures.")
    return tuple(roles[name])


def _refuse_missing(data: DataFrame, names: Sequence[str], file: FileSource) -> None:
    for name in names:
        if len(missing := data[name].is_null().arg_true()):
            raise DataError(
                f"dataset.exposures: row {missing[0] + 1} of '{file.files[0]}' has no value in "
                f"column '{name}'."
            )


def _refuse_two_arms(shown: DataFrame, entity: tuple[str, ...], arm: str) -> None:
    arms = shown.group_by(entity, maintain_order=True).agg(n=col(arm).n_unique())
    several = arms.filter(col("n") > 1)
    if len(several):
        who = ", ".join(map(str, several.select(entity).row(0)))
        raise DataError(
            f"dataset.exposures: {len(several):,} of {len(arms):,} units are in several arms, "
            f"'{who}' first."
        )


# Labels that came back from reviewers as a file, joined to a table by its ids.

LABEL, WHEN = "label", "reviewed_at"
"""The columns of the file: the label, and when it was given, which may be missing."""


def join_reviewed_labels(
    data: DataFrame, roles: Roles, path: str, form: TextFormat
) -> tuple[DataFrame, Roles]:
    """Return a table with the labels of a file, and its roles.

    The file has the column with the role `id` (or `row_id`, the number of a row from 0, where there
    is none) and `label`: 1, 0 or empty for what has not been reviewed; and, if it says when,
    `reviewed_at`. A label of the file counts beside those of the table; where both have one they
    must agree.

    Args:
        data: The rows.
        roles: Their roles.
        path: The path of the file.
        form: How it is written.

    Raises:
        DataError: With the column, or the row that is not in the table, twice in the file, or
            labelled otherwise.
    """
    source = read_files(path, sha256=None, form=form)
    file = source.table
    key = roles["id"][0] if "id" in roles else ROW_ID
    for name in (key, LABEL):
        if name not in file.columns:
            raise DataError(
                f"dataset.reviewed: '{path}' has no column '{name}'{nearest(name, file.columns)}"
            )
    rows = data if key != ROW_ID else data.with_row_index(ROW_ID)
    if WHEN in file.columns:
        file = file.with_columns(times_of_column(source, WHEN, "label_time").alias(WHEN))
    given = _check_labels(file, key, rows[key], path)
    label = roles["label"][0] if "label" in roles else LABEL
    when = roles["label_time"][0] if "label_time" in roles else ""
    both = (
        rows.select(key)
        .with_columns(col(key).cast(pl.String))
        .join(given, on=key, how="left", maintain_order="left")
    )
    old = (
        data[label].cast(pl.Float64)
        if label in data.columns
        else Series(label, [None] * len(data), dtype=pl.Float64)
    )
    apart = (
        (old.is_not_null() & both[LABEL].is_not_null() & (old != both[LABEL]))
        .fill_null(False)
        .arg_true()
    )
    if len(apart):
        row = apart[0]
        raise DataError(
            f"dataset.reviewed: '{both[key][row]}' is {both[LABEL][row]:g} in '{path}' and "
            f"{old[row]:g} in column '{label}'."
        )
    made = data.with_columns(old.fill_null(both[LABEL]).alias(label))
    if when and WHEN in file.columns:
        made = made.with_columns(_known_instants(data[when], both[WHEN], path))
    return made, roles | {"label": (label,)}


def _known_instants(known: Series, given: Series, path: str) -> Series:
    """Return the moments of a table, and where it has none those of a file.

    Dates and instants together are instants.
    """
    null = pl.Null in (known.dtype, given.dtype)
    if not null and known.dtype.is_temporal() != given.dtype.is_temporal():
        both = f"'{WHEN}' of '{path}' and column '{known.name}'"
        raise DataError(f"dataset.reviewed: {both} must both hold dates, or both numbers.")
    return pl.select(pl.coalesce(known, given).alias(known.name)).to_series()


def _check_labels(file: DataFrame, key: str, ids: Series, path: str) -> DataFrame:
    """Return the labels of a file by id, checked."""
    given = file.filter(col(LABEL).is_not_null()).with_columns(
        col(key).cast(pl.String), col(LABEL).cast(pl.Float64, strict=False)
    )
    bad = (~given[LABEL].is_in([0.0, 1.0])).fill_null(True).arg_true()
    if len(bad):
        raise DataError(
            f"dataset.reviewed: column 'label' of '{path}' must be 1, 0 or empty; "
            f"'{given[key][bad[0]]}' has neither."
        )
    known = ids.cast(pl.String)
    strange = given.filter(~col(key).is_in(known.implode()))[key]
    if len(strange):
        raise DataError(f"dataset.reviewed: no row has the {key} '{strange[0]}' of '{path}'.")
    twice = (
        given.group_by(key, maintain_order=True)
        .agg(n=col(LABEL).n_unique())
        .filter(col("n") > 1)[key]
    )
    if len(twice):
        raise DataError(f"dataset.reviewed: '{twice[0]}' is both 0 and 1 in '{path}'.")
    columns = [key, LABEL, *([WHEN] if WHEN in given.columns else [])]
    return given.select(columns).unique(key, keep="first", maintain_order=True)


# A user's own rows that are not series.


class TableRoles(RoleNames, frame="table"):
    """The columns of a table by what they may be used for; each is a name, or a list of names where
    several make sense.
    """


class Table(OwnRows, Dataset):
    """Your own rows that are not series (units of a test, logs, transactions): CSV, TSV, Parquet or
    Arrow, a glob or a URL.

    Columns without a role are kept, except the columns that `ignore` names. Text files get the
    types that all their values fit. With a label all other columns are inputs; one that alone gives
    the label away is refused until `roles.ignore` or `trust` names it.

    Attributes:
        path: A file, a glob (`logs/*.parquet`) or an http(s) URL.
        roles: The roles of the columns.
        trust: Inputs that may give the label away, because they are known before it. Name the
            column of times here if the order of rows within one instant may follow their labels,
            because they happened in that order.
        unit: The currency of prices, costs and amounts (`EUR`), in which results are reported.
        reviewed: A file of labels that reviewers gave, as `to_review.csv` of
            `decision=review_cases`: the column with the role `id` (or `row_id`), `label`, and if it
            is known `reviewed_at`; null for none.
        exposures: A file of exposures: which unit saw which arm and when (columns with the roles
            `entity`, `arm` and `time`, and columns that describe a unit). The rows of `path` are
            then events without an arm. A unit's events count from its first exposure on; a unit
            without events counts as 0. null for none.
        duplicates: Rows that equal an earlier one in every column: `keep`, or `drop` them.

    Example:
        python -m hwds dataset=table dataset.path=bids.parquet dataset.roles.label=fraud \
            dataset.roles.entity=customer dataset.roles.time=date \
            model=classify/logistic protocol=prequential
    """

    gives = TableFrame
    comparable: ClassVar[tuple[str, ...]] = ("roles",)

    roles: TableRoles = TableRoles()
    unit: str = ""
    reviewed: str | None = None
    exposures: str | None = None
    duplicates: Literal["keep", "drop"] = "keep"

    @with_cures
    def load(self) -> TableFrame:
        """Return the table, in the order of the file.

        Raises:
            ConfigError: No role, or two that do not go together; see `reading.read`.
            DataError: The file cannot be read, a column is missing, a value does not fit its role,
                or a column gives the label away.
        """
        given = self.roles.given()
        source = read_files(self.path, sha256=self.sha256, form=self.text_format)
        ignored, roles = given.get("ignore", ()), given.without("ignore")
        if self.exposures is None:
            source.must_have([*given.names, *self.trust])
            data = DataFrame(
                [
                    column_of(source, name, roles)
                    for name in source.table.columns
                    if name not in ignored
                ]
            )
        else:
            data = from_exposure(source, read_files(self.exposures, form=self.text_format), given)
        if self.duplicates == "drop":
            data = data.unique(keep="first", maintain_order=True)
        if self.reviewed is not None:
            data, roles = join_reviewed_labels(data, roles, self.reviewed, self.text_format)
        if "label" in roles:
            roles = roles if "covariate" in roles else roles | {"covariate": _inputs(data, roles)}
            inputs = [name for name in roles.get("covariate", ()) if name not in self.trust]
            label, time = roles["label"][0], next(iter(roles.get("time", ())), None)
            refuse_leaking_inputs(data, label, inputs, time)
            if time is not None and time not in self.trust:
                refuse_order_of_labels(data, label, time)
        return TableFrame.build(data, roles, self.unit)

    def remarks(self, frame: Frame) -> list[str]:
        """Return that a file may be cut."""
        return [*without_line_break(self.path, self.reviewed, self.exposures, sha256=self.sha256)]

    def source(self) -> str:
        """Return what a user has to give."""
        return f"your own file ({readable()}), a glob or a URL: dataset.path and dataset.roles."


NO_INPUT = (pl.Binary, pl.Object)
"""Types of columns that no model reads, besides lists and structures."""


def _inputs(data: DataFrame, roles: Roles) -> tuple[str, ...]:
    """Return the columns that a model may read where none were named.

    Raises:
        DataError: One of them holds lists, structures, bytes or objects.
    """
    taken = roles.columns(role for role in ROLES if not ROLES[role].is_input)
    inputs = tuple(name for name in data.columns if name not in taken)
    nested = next(
        (name for name in inputs if data.schema[name].is_nested() or data.schema[name] in NO_INPUT),
        None,
    )
    if nested is not None:
        raise DataError(
            f"dataset.roles.ignore: column '{nested}' holds {data.schema[nested]}, no input; name "
            f"it there."
        )
    return inputs
