"""Moments: when the rows of a table happened and arrived, and when their labels did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.features.rows.columns import NEVER, arrivals, happened, instants
from hwds.frames.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The moments of rows in microseconds, each array of shape (n,).

    Attributes:
        time: When each happened.
        arrival: When each became known; `NEVER` where that is unknown.
        order: The rows in the order of their arrival, those of one instant as they stand in the table.
        place: The place of each row in that order: row j had arrived before row i where `place[j] < place[i]`.
    """

    time: np.ndarray
    arrival: np.ndarray
    order: np.ndarray
    place: np.ndarray

    def first_place(self, at: np.ndarray) -> np.ndarray:
        """Return the place of the first row that arrived at or after each instant; n where there is none."""
        return np.searchsorted(self.arrival[self.order], at, side="left")


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The labels that arrive at all, in the order of their arrival, each array of shape (n_labels,).

    Attributes:
        row: Whose label it is.
        value: 0 or 1.
        time: When it became known, in microseconds.
        enters: The place of the first row that knows it: one that arrived after the label's row, and not before the label.
    """

    row: np.ndarray
    value: np.ndarray
    time: np.ndarray
    enters: np.ndarray


def moments_of(table: Table) -> Moments:
    """Return the moments of a table's rows, by its roles `time` and `available_at` (`time` where that is not played).

    Raises:
        DataError: No column has the role `time`, it holds no instants, or a row has none.
    """
    time, arrival = happened(table), arrivals(table)
    order = np.argsort(arrival, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Moments(time, arrival, order, place)


def labels_of(table: Table, moments: Moments) -> Labels:
    """Return the labels of a table's rows, by its roles `label` and `label_time`.

    Raises:
        ConfigError: No column says when labels arrived.
        DataError: The times are none.
    """
    if not table.roles.get("label_time"):
        raise ConfigError("features: labels that arrive need the role 'label_time'; set dataset.roles.label_time.")
    label = table.column("label").cast(pl.Float64).fill_nan(None)
    when = instants(table.column("label_time"), "dataset.roles.label_time")
    there = np.flatnonzero(label.is_not_null().to_numpy() & (when < NEVER))
    row = there[np.argsort(when[there], kind="stable")]
    time = when[row]
    enters = np.maximum(moments.place[row] + 1, moments.first_place(time))
    return Labels(row, (label.to_numpy()[row] == 1).astype(np.int64), time, enters)
