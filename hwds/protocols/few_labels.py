"""A table in which fewer labels were found than there were: how much the others are worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from hwds.frames.table import ROW_ID, Table
from hwds.protocols.row_windows import arrivals
from hwds.seeds import stream


def few_labels(seen: Table, labels: int, begin: datetime, end: datetime, by: datetime, seed: int) -> Table:
    """The table with so many of the labels that had arrived, those of the least luck, and no others.

    The luck of a row is that of its id, so that more labels contain the fewer.

    Args:
        seen: Labels with the instants of their arrival; see `as_known`.
        labels: How many, at most.
        begin: Rows count that arrived since then,
        end: and before then,
        by: whose labels had arrived by then.
        seed: Of the experiment.
    """
    label, when, times = seen.name("label"), seen.name("label_time"), arrivals(seen)
    data, ids = seen.data, seen.data[ROW_ID].to_numpy()
    known = data[label].is_not_null() & (data[when] <= by).fill_null(False) & (times >= begin) & (times < end)
    places = np.flatnonzero(known.to_numpy())
    luck = stream(seed, "labels").random(int(ids.max(initial=-1)) + 1)[ids[places]]
    kept = np.zeros(len(ids), bool)
    kept[places[np.argsort(luck, kind="stable")[:labels]]] = True
    found = pl.lit(pl.Series(kept))
    return replace(seen, data=data.with_columns(pl.when(found).then(pl.col(name)).alias(name) for name in (label, when)))
