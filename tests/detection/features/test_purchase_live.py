"""Purchases as they arrive: the same bits as of the whole table, in whatever portions."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.detection.features.purchases import PurchaseBooks, Purchases, lines_without_codes
from hwds.detection.kernels.order_lines import OrderLines
from hwds.frames.table import Table
from tests.detection.features.purchase_tables import DAY, START, bought

RECIPE = Purchases(days=(30, 1, 7), tiers=(3, 5))


def arrive(live, rows):
    """The features of each of some lines at its arrival."""
    lines = lines_without_codes(rows, live.columns, live.windows.rules)
    codes = [
        rows.data[name].to_list() if name else [None] * rows.height
        for name in live.columns.code_columns
    ]
    told = [
        live.append(OrderLines(*(part[line : line + 1] for part in lines)), who, values)
        for line, (who, *values) in enumerate(zip(rows.column("entity"), *codes, strict=True))
    ]
    return live.windows.frame(live.columns, np.stack(told))


def in_arrival(table):
    return Table(table.data.sort("available_at", maintain_order=True), table.roles)


@pytest.mark.parametrize(("seed", "late"), [(0, 0.0), (1, 0.3), (2, 1.0)])
@pytest.mark.parametrize("most", [1, 40])
def test_lines_one_by_one_and_in_portions_are_told_what_the_whole_table_is(seed, late, most):
    table = in_arrival(bought(400, seed, late=late))
    live, rng, told, begin = (
        PurchaseBooks(RECIPE.windows, RECIPE.read_of(table)),
        np.random.default_rng(seed),
        [],
        0,
    )
    while begin < len(table.data):
        end = begin + int(rng.integers(1, most + 1))
        told.append(arrive(live, Table(table.data[begin:end], table.roles)))
        begin = end
    assert pl.concat(told).equals(RECIPE.compute(table))


def test_returns_may_be_told_when_they_happen():
    table = in_arrival(bought(300, seed=5, late=0.3))
    known = pl.when(pl.col("returned_at") <= pl.col("available_at")).then(pl.col("returned_at"))
    bare = Table(table.data.with_columns(known.alias("returned_at")), table.roles)
    live, told, noted = PurchaseBooks(RECIPE.windows, RECIPE.read_of(table)), [], 0
    for line, own in enumerate(table.data.to_dicts()):
        for before, row in enumerate(table.data[:line].to_dicts()):
            if row["returned_at"] is not None and row["returned_at"] <= own["available_at"]:
                live.returned(
                    row["customer"],
                    before,
                    (row["returned_at"] - datetime(1970, 1, 1)) // timedelta(microseconds=1),
                )
                noted += 1
        told.append(arrive(live, Table(bare.data[line : line + 1], table.roles)))
    assert noted > 1000
    assert pl.concat(told).equals(RECIPE.compute(table))


def test_a_plain_table_does_as_well():
    times, who = [START, START + DAY / 2, START + 2 * DAY], ["a", "b", "a"]
    data = pl.DataFrame({"t": times, "who": who, "paid": [10.0, 30.0, 50.0]})
    table = Table.build(data, {"time": ("t",), "entity": ("who",), "amount": ("paid",)})
    live = PurchaseBooks(RECIPE.windows, RECIPE.read_of(table))
    assert arrive(live, table).equals(RECIPE.compute(table))


def test_a_line_from_before_what_is_known_is_refused():
    table = in_arrival(bought(50, customers=1, holes=0))
    live = PurchaseBooks(RECIPE.windows, RECIPE.read_of(table))
    arrive(live, Table(table.data[10:], table.roles))
    with pytest.raises(DataError, match="a line of 'c0' that arrived later is there already"):
        arrive(live, Table(table.data[:1], table.roles))
