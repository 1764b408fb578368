"""Cases: alerted rows of one entity, or of entities that share an identifier, are one thing to look into."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from hwds.detection.protocols.rows.codes import entities
from hwds.frames.table import ROW_ID, Table

MOST_SHARING = 20
"""Entities that may share a value for it to be a link: what more share is a campus, a forwarder or a default, not an owner."""


def links_of(frame: Table) -> tuple[str, ...]:
    """Return the columns with the role `link`."""
    return frame.roles.get("link", ())


def grouped(rows: pl.DataFrame, frame: Table) -> pl.Series:
    """Return the number of the case of each row, from 0 in the order of the rows.

    Args:
        rows: With `row_id` and `entity`; one without an entity is an entity of its own.
        frame: The table that they are of. Of its columns with the role `link` equal values tie entities, unless more than
            `MOST_SHARING` entities of the whole table share them.
    """
    entity = entities(rows)
    codes = entity.rank("dense").to_numpy().astype(np.int64) - 1
    owner = np.arange(int(codes.max(initial=-1)) + 1)
    for name in links_of(frame):
        for tied in _tied(rows, codes, frame, name):
            _join(owner, tied)
    roots = np.array([_root(owner, code) for code in codes.tolist()], np.int64)
    first = {root: place for place, root in enumerate(dict.fromkeys(roots.tolist()))}
    return pl.Series("case", [first[root] for root in roots.tolist()], dtype=pl.Int64)


def _tied(rows: pl.DataFrame, codes: np.ndarray, frame: Table, name: str) -> list[list[int]]:
    """Return the entities of rows that share a value of a column, a list for each value that few entities share."""
    shared = usable_links(frame, name)
    values = rows.select(ROW_ID).join(frame.data.select(ROW_ID, pl.col(name).alias("value")), on=ROW_ID, how="left")
    both = values.with_columns(pl.Series("entity", codes)).filter(pl.col("value").is_in(shared.implode()))
    tied: pl.Series = both.group_by("value", maintain_order=True).agg(pl.col("entity").unique(maintain_order=True))["entity"]
    return [each for each in tied.to_list() if len(each) > 1]


def usable_links(frame: Table, name: str) -> pl.Series:
    """Return the values of a link that two entities of the table share, and no more than `MOST_SHARING`."""
    entity = pl.col(frame.roles["entity"][0]) if frame.roles.get("entity") else pl.lit(None)
    rows = frame.data.select(ROW_ID, pl.col(name).alias("value"), entity.cast(pl.String).alias("entity"))
    owned = rows.select("value", entities(rows).alias("owner"))
    counts = owned.drop_nulls("value").group_by("value").agg(pl.col("owner").n_unique().alias("owners"))
    return counts.filter(pl.col("owners").is_between(2, MOST_SHARING))["value"]


def _join(owner: np.ndarray, tied: Sequence[int]) -> None:
    first = _root(owner, tied[0])
    for other in tied[1:]:
        owner[_root(owner, other)] = first


def _root(owner: np.ndarray, code: int) -> int:
    while owner[code] != code:
        owner[code] = owner[owner[code]]
        code = int(owner[code])
    return code
