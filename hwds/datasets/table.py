"""A user's own rows that are not series."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import Names
from hwds.datasets.base import Dataset
from hwds.datasets.reading.exposures import from_exposure
from hwds.datasets.reading.reviewed import with_reviewed
from hwds.datasets.reading.role_names import RoleNames, column_of
from hwds.datasets.reading.target_leakage import refuse_leaking_inputs, refuse_order_of_labels
from hwds.frames.base import Frame
from hwds.frames.reading.endings import without_line_break
from hwds.frames.reading.files import read
from hwds.frames.reading.text import Decimal, TextFormat
from hwds.frames.roles import ROLES, Roles
from hwds.frames.table import Table as TableFrame


class TableRoles(RoleNames, frame="table"):
    """The columns of a table by what they may be used for; each is a name, or a list of names where several make sense."""


class Table(Dataset):
    """Your own rows that are not series (units of a test, logs, transactions): CSV, TSV, Parquet or Arrow, a glob or a URL.

    Columns without a role are kept, but for those that `ignore` names. Text files get the types that all their values fit.
    With a label all other columns are inputs; one that alone gives the label away is refused until `roles.ignore` or `trust`
    names it.

    Attributes:
        path: A file, a glob (`logs/*.parquet`) or an http(s) URL.
        sha256: The digest of the file; needed for a URL.
        roles: The roles of the columns.
        trust: Inputs that may give the label away, because they are known before it; and the column of times, where rows of
            one instant may stand in the order of their labels, because they happened in it.
        encoding: The encoding of a CSV or TSV (`latin-1`, `cp1252`, `utf-16`).
        separator: Between the fields of a CSV or TSV: one character, or `comma`, `semicolon`, `tab`, `pipe`; by the suffix
            where nothing is given.
        decimal: The sign before the decimals of a CSV or TSV, `point` or `comma`; with `comma`, `1.234,5` is 1234.5.
        unit: The currency of prices, costs and amounts (`EUR`), in which results are reported.
        reviewed: A file of labels that reviewers gave, as `to_review.csv` of `decision=review_cases`: the column with the role
            `id` (or `row_id`), `label`, and if it is known `reviewed_at`; null for none.
        exposures: A file of who was shown which arm and when (columns with the roles `entity`, `arm` and `time`, and ones that
            describe a unit); the rows of `path` are then events without an arm, of which each unit's count from its first
            exposure on, and units without an event count as 0; null for none.

    Example:
        python -m hwds dataset=table dataset.path=bids.parquet dataset.roles.label=fraud dataset.roles.entity=customer \
            dataset.roles.time=date model=classify/logistic protocol=prequential
    """

    gives = TableFrame
    comparable: ClassVar[tuple[str, ...]] = ("roles",)

    path: str
    sha256: str | None = None
    roles: TableRoles = TableRoles()
    trust: Names = ()
    encoding: str = "utf-8"
    separator: str | None = None
    decimal: Decimal = "point"
    unit: str = ""
    reviewed: str | None = None
    exposures: str | None = None

    def load(self) -> TableFrame:
        """Return the table, in the order of the file.

        Raises:
            ConfigError: No role, or two that do not go together; see `reading.read`.
            DataError: The file cannot be read, a column is missing, a value does not fit its role, or a column gives the label
                away.
        """
        given = self.roles.given()
        source = read(self.path, sha256=self.sha256, form=self.text_format)
        ignored, roles = given.get("ignore", ()), given.without("ignore")
        if self.exposures is None:
            source.must_have([*given.names, *self.trust])
            data = pl.DataFrame([column_of(source, name, roles) for name in source.table.columns if name not in ignored])
        else:
            data = from_exposure(source, read(self.exposures, form=self.text_format), given)
        if self.reviewed is not None:
            data, roles = with_reviewed(data, roles, self.reviewed, self.text_format)
        if "label" in roles:
            roles = roles if "covariate" in roles else roles | {"covariate": _inputs(data, roles)}
            inputs = [name for name in roles.get("covariate", ()) if name not in self.trust]
            refuse_leaking_inputs(data, roles["label"][0], inputs)
            if "time" in roles and roles["time"][0] not in self.trust:
                refuse_order_of_labels(data, roles["label"][0], roles["time"][0])
        return TableFrame.build(data, roles, self.unit)

    def remarks(self, frame: Frame) -> list[str]:
        """Return that a file may be cut."""
        return [*without_line_break(self.path, self.reviewed, self.exposures, sha256=self.sha256)]

    @property
    def text_format(self) -> TextFormat:
        """The format of its CSV or TSV."""
        return TextFormat(self.encoding, self.separator, self.decimal)

    def source(self) -> str:
        """Return what a user has to give."""
        return (
            "your own file (.csv or .tsv, also .gz or .zst, .parquet, .arrow), a glob or a URL: dataset.path and dataset.roles."
        )


NO_INPUT = (pl.Binary, pl.Object)
"""Types of columns that no model reads, besides lists and structures."""


def _inputs(data: pl.DataFrame, roles: Roles) -> tuple[str, ...]:
    """Return the columns that a model may read where none were named.

    Raises:
        DataError: One of them holds lists, structures, bytes or objects.
    """
    taken = roles.columns(role for role in ROLES if not ROLES[role].is_input)
    inputs = tuple(name for name in data.columns if name not in taken)
    nested = next((name for name in inputs if data.schema[name].is_nested() or data.schema[name] in NO_INPUT), None)
    if nested is not None:
        raise DataError(f"dataset.roles.ignore: column '{nested}' holds {data.schema[nested]}, no input; name it there.")
    return inputs
