"""A user's own rows that are not series."""

from __future__ import annotations

from dataclasses import fields

import polars as pl

from hwds.datasets.asked import Names, listed, refuse_shared
from hwds.datasets.base import Dataset
from hwds.datasets.columns import numbers, times, typed
from hwds.datasets.giveaways import refuse_giveaways
from hwds.datasets.reading import Source, read
from hwds.errors import ConfigError, DataError
from hwds.frames.table import Table as TableFrame
from hwds.recipe import Names as OnceNames
from hwds.recipe import Recipe

_TIMES = ("label_time", "time", "available_at")
_NUMBERS = ("label_propensity", "price", "cost", "propensity", "amount", "count", "mean", "variance")
_TOLD_BY = ("slice", "stratum", "amount", "price", "cost")
"""Roles whose columns are inputs all the same: they say how rows are told and counted."""
_SHARED = ("entity", "group", "time", "arm", "price", "cost", "context", "covariate", "stratum", "slice", "amount")
"""Roles that one column may have together; the others say what must not be read as an input."""


class TableRoles(Recipe):
    """The columns of a table by what they may be used for; each is a name, or a list of names where several make sense.

    Attributes:
        label: What is to be predicted; null where it is not known yet.
        label_time: When the label became known.
        label_propensity: The probability with which the label was looked for; null where it was found otherwise (on suspicion):
            such rows are learned from, but do not count in metrics.
        entity: Who or what a row is about (a customer, a device).
        group: Rows that must stay on one side of a cut.
        time: When a row happened.
        available_at: When a row became known.
        arm: What was chosen (a price, a treatment).
        outcome: What came of it.
        price: The price of a row.
        cost: The cost of a row.
        propensity: The probability with which the arm was chosen.
        context: Inputs of a decision.
        covariate: Inputs of a model; where a label is given and none of these, all columns without a role, and those that a row
            is told or counted by (slice, stratum, amount, price, cost).
        stratum: Within which rows are compared.
        slice: By which scores are shown.
        amount: What a row is worth.
        count: How many units a row sums up, of running sums by time and arm.
        mean: Their mean outcome.
        variance: The variance of their outcomes.
        ignore: Columns to leave out; where a label is given, what is not known before it.
    """

    label: str | None = None
    label_time: str | None = None
    label_propensity: str | None = None
    entity: Names = None
    group: Names = None
    time: str | None = None
    available_at: str | None = None
    arm: str | None = None
    outcome: Names = None
    price: str | None = None
    cost: str | None = None
    propensity: str | None = None
    context: Names = None
    covariate: Names = None
    stratum: Names = None
    slice: Names = None
    amount: str | None = None
    count: str | None = None
    mean: str | None = None
    variance: str | None = None
    ignore: Names = None

    def given(self) -> dict[str, tuple[str, ...]]:
        """Role to names, those that are given.

        Raises:
            ConfigError: None is given, or a column has two roles that do not go together.
        """
        roles = {role: listed(getattr(self, role)) for role in (field.name for field in fields(self)) if role != "name"}
        if not any(roles.values()):
            raise ConfigError(f"dataset.roles: one must be given; roles: {', '.join(roles)}.")
        roles = {role: names for role, names in roles.items() if names}
        refuse_shared(roles, [frozenset((one, other)) for one in _SHARED for other in _SHARED if one != other])
        return roles


class Table(Dataset):
    """Your own rows that are not series (units of a test, logs, transactions): CSV, TSV, Parquet or Arrow, a glob or a URL.

    Columns without a role are kept, but for those that `ignore` names. Text files get the types that all their values fit.
    With a label all other columns are inputs; one that alone gives the label away is refused until `roles.ignore` or `trust`
    names it.

    Attributes:
        path: A file, a glob (`logs/*.parquet`) or an http(s) URL.
        sha256: The digest of the file; needed for a URL.
        roles: What each column may be used for.
        trust: Inputs that may give the label away, because they are known before it.
        encoding: How a CSV or TSV is written (`latin-1`, `cp1252`, `utf-16`).
        separator: Between the fields of a CSV or TSV; by the suffix where nothing is given.
        unit: The currency of prices, costs and amounts (`EUR`), which results are told in.

    Example:
        python -m hwds dataset=table dataset.path=bids.parquet dataset.roles.label=fraud dataset.roles.entity=customer \
            dataset.roles.time=date model=classify/logistic protocol=prequential
    """

    gives = TableFrame
    path: str
    sha256: str | None = None
    roles: TableRoles = TableRoles()
    trust: OnceNames = ()
    encoding: str = "utf-8"
    separator: str | None = None
    unit: str = ""

    def load(self) -> TableFrame:
        """The table, in the order of the file.

        Raises:
            ConfigError: No role, or two that do not go together; see `reading.read`.
            DataError: The file cannot be read, a column is missing, a value does not fit its role, or a column gives the label
                away.
        """
        roles = self.roles.given()
        source = read(self.path, sha256=self.sha256, encoding=self.encoding, separator=self.separator)
        source.must_have([*(name for names in roles.values() for name in names), *self.trust])
        ignored = roles.pop("ignore", ())
        data = source.table.select(_column(source, name, roles) for name in source.table.columns if name not in ignored)
        if "label" in roles:
            roles.setdefault("covariate", _inputs(data, roles))
            refuse_giveaways(data, roles["label"][0], [name for name in roles["covariate"] if name not in self.trust])
        return TableFrame.build(data, roles, self.unit)

    def source(self) -> str:
        """What to give."""
        return "your own file (.csv, .tsv, .parquet, .arrow), a glob or a URL: dataset.path and dataset.roles."


def _inputs(data: pl.DataFrame, roles: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The columns that a model may read where none were named.

    Raises:
        DataError: One of them holds lists or structures.
    """
    taken = {name for role, names in roles.items() if role not in _TOLD_BY for name in names}
    inputs = tuple(name for name in data.columns if name not in taken)
    nested = next((name for name in inputs if data.schema[name].is_nested()), None)
    if nested is not None:
        raise DataError(f"dataset.roles.ignore: column '{nested}' holds {data.schema[nested]}, no input; name it there.")
    return inputs


def _column(source: Source, name: str, roles: dict[str, tuple[str, ...]]) -> pl.Series:
    played = [role for role, names in roles.items() if name in names]
    for role in played:
        if role in _TIMES:
            return times(source, name, role).alias(name)
        if role in _NUMBERS:
            return numbers(source, name).alias(name)
    return typed(source.table[name])
