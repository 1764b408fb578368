"""Refusals of a decision on alerts before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.frames.table import Table
from hwds.splitting.row_windows import arrivals


def check_stakes(frame: Table) -> None:
    """Refuse a row that does not say what is at stake.

    Raises:
        ConfigError: No column does, or a value is missing or negative.
    """
    if not frame.roles.get("amount"):
        raise ConfigError(
            "dataset.roles.amount: must name the column of what is at stake, for decision alert_policy, got none."
        )
    stake = frame.column("amount").cast(pl.Float64)
    bad = (stake.is_null() | ~stake.is_finite() | (stake < 0)).fill_null(True).arg_true()
    if len(bad):
        raise ConfigError(
            f"dataset.roles.amount: must be numbers >= 0 for decision alert_policy, row {bad[0] + 1} of '{stake.name}' has"
            f" {frame.column('amount')[bad[0]]}."
        )


def check_stream(frame: Table, share: float, capacity: int) -> None:
    """Refuse a random stream that fills the capacity of a usual day.

    Raises:
        ConfigError: With the number of reviews.
    """
    days = arrivals(frame).dt.date().n_unique()
    drawn = share * len(frame.data) / days
    if drawn >= capacity:
        raise ConfigError(
            f"decision.random_reviews: {share:g} of {len(frame.data) / days:,.0f} rows a day are {drawn:,.1f} reviews,"
            f" as many as decision.capacity ({capacity}) or more; take less."
        )


def kind_column(frame: Table, kind: str | None) -> str:
    """Return the column of kinds of buyers: the one that is named, or else `true_kind`; empty where there is none."""
    return kind or ("true_kind" if "true_kind" in frame.data.columns else "")


def check_kinds(frame: Table, kind: str | None, guarded: Sequence[str]) -> None:
    """Refuse a column of kinds that is not there, and guarded kinds that are not in it.

    Raises:
        ConfigError: With the nearest name.
    """
    columns = frame.data.columns
    if kind is not None and kind not in columns:
        raise ConfigError(f"decision.kind: no column '{kind}'{nearest(kind, columns)}")
    name = kind_column(frame, kind)
    if not name:
        return
    known = frame.data[name].cast(pl.String).drop_nulls().unique().sort().to_list()
    for value in guarded:
        if value not in known:
            raise ConfigError(f"decision.guarded: no '{value}' in column '{name}'{nearest(value, known)}")
