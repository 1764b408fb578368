"""Peers as rows arrive: the same bits as of the whole table."""

import numpy as np
import polars as pl
import pytest

from hwds.detection.features.peers import PeerReference, Peers
from hwds.frames.table import Table
from tests.detection.features.peer_tables import rows_of


@pytest.mark.parametrize("by", [(), ("customer_kind", "region")])
@pytest.mark.parametrize(("seed", "late"), [(0, 0.0), (1, 0.4)])
def test_rows_one_by_one_are_told_what_the_whole_table_is(by, seed, late):
    recipe = Peers(columns=("amount", "units"), window=6, shrink=4, by=by)
    made = rows_of(1500, seed, late=late)
    table = Table(made.data.sort("available_at", maintain_order=True), made.roles)
    live = PeerReference(
        recipe.reference, len(recipe.compared(table)), len(recipe.grouped_by(table))
    )
    when = table.data.select(pl.col("time", "available_at").dt.epoch("us")).rows()
    values = table.data.select(pl.col(recipe.columns).cast(pl.Float64).fill_null(np.nan)).rows()
    groups = table.data.select(by).rows() if by else [()] * len(when)
    told = [
        live.arrive(*at, own, group) for at, own, group in zip(when, values, groups, strict=True)
    ]
    wanted = recipe.compute(table)
    for k, name in enumerate(recipe.columns):
        for part, kind in enumerate(("peers", "z")):
            found = pl.Series([row[part][k] for row in told], dtype=pl.Float64).fill_nan(None)
            assert found.equals(wanted[f"{name}_{kind}"])
            assert name == "units" or found.null_count() < 700
