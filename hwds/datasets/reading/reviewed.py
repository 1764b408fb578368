"""Labels that came back from reviewers as a file, joined to a table by its ids."""

from __future__ import annotations

import polars as pl

from hwds.core.errors import DataError, nearest
from hwds.datasets.reading.columns import times
from hwds.frames.reading.files import read
from hwds.frames.reading.text import TextFormat
from hwds.frames.roles import Roles
from hwds.frames.table import ROW_ID

LABEL, WHEN = "label", "reviewed_at"
"""The columns of the file: the label, and when it was given, which may be missing."""


def with_reviewed(data: pl.DataFrame, roles: Roles, path: str, form: TextFormat) -> tuple[pl.DataFrame, Roles]:
    """Return a table with the labels of a file, and its roles.

    The file has the column with the role `id` (or `row_id`, the number of a row from 0, where there is none) and `label`: 1, 0
    or empty for what has not been reviewed; and, if it says when, `reviewed_at`. A label of the file counts beside those of the
    table; where both have one they must agree.

    Args:
        data: The rows.
        roles: Their roles.
        path: Of the file.
        form: How it is written.

    Raises:
        DataError: With the column, or the row that is not in the table, twice in the file, or labelled otherwise.
    """
    source = read(path, sha256=None, form=form)
    file = source.table
    key = roles["id"][0] if "id" in roles else ROW_ID
    for name in (key, LABEL):
        if name not in file.columns:
            raise DataError(f"dataset.reviewed: '{path}' has no column '{name}'{nearest(name, file.columns)}")
    rows = data if key != ROW_ID else data.with_row_index(ROW_ID)
    if WHEN in file.columns:
        file = file.with_columns(times(source, WHEN, "label_time").alias(WHEN))
    given = _given(file, key, rows[key], path)
    label = roles["label"][0] if "label" in roles else LABEL
    when = roles["label_time"][0] if "label_time" in roles else ""
    both = rows.select(key).with_columns(pl.col(key).cast(pl.String)).join(given, on=key, how="left", maintain_order="left")
    old = data[label].cast(pl.Float64) if label in data.columns else pl.Series(label, [None] * len(data), dtype=pl.Float64)
    apart = (old.is_not_null() & both[LABEL].is_not_null() & (old != both[LABEL])).fill_null(False).arg_true()
    if len(apart):
        row = apart[0]
        raise DataError(
            f"dataset.reviewed: '{both[key][row]}' is {both[LABEL][row]:g} in '{path}' and {old[row]:g} in column '{label}'."
        )
    made = data.with_columns(old.fill_null(both[LABEL]).alias(label))
    if when and WHEN in file.columns:
        made = made.with_columns(_moments(data[when], both[WHEN], path))
    return made, roles | {"label": (label,)}


def _moments(known: pl.Series, given: pl.Series, path: str) -> pl.Series:
    """Return the moments of a table, and where it has none those of a file; dates and instants together are instants."""
    null = pl.Null in (known.dtype, given.dtype)
    if not null and known.dtype.is_temporal() != given.dtype.is_temporal():
        both = f"'{WHEN}' of '{path}' and column '{known.name}'"
        raise DataError(f"dataset.reviewed: {both} must both hold dates, or both numbers.")
    return pl.select(pl.coalesce(known, given).alias(known.name)).to_series()


def _given(file: pl.DataFrame, key: str, ids: pl.Series, path: str) -> pl.DataFrame:
    """Return the labels of a file by id, checked."""
    given = file.filter(pl.col(LABEL).is_not_null()).with_columns(
        pl.col(key).cast(pl.String), pl.col(LABEL).cast(pl.Float64, strict=False)
    )
    bad = (~given[LABEL].is_in([0.0, 1.0])).fill_null(True).arg_true()
    if len(bad):
        raise DataError(
            f"dataset.reviewed: column 'label' of '{path}' must be 1, 0 or empty; '{given[key][bad[0]]}' has neither."
        )
    known = ids.cast(pl.String)
    strange = given.filter(~pl.col(key).is_in(known.implode()))[key]
    if len(strange):
        raise DataError(f"dataset.reviewed: no row has the {key} '{strange[0]}' of '{path}'.")
    twice = given.group_by(key, maintain_order=True).agg(pl.col(LABEL).n_unique().alias("n")).filter(pl.col("n") > 1)[key]
    if len(twice):
        raise DataError(f"dataset.reviewed: '{twice[0]}' is both 0 and 1 in '{path}'.")
    columns = [key, LABEL, *([WHEN] if WHEN in given.columns else [])]
    return given.select(columns).unique(key, keep="first", maintain_order=True)
