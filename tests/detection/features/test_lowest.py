"""Lowest against a loop over all pairs of rows, and as events arrive."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.detection.features.lowest import Lowest
from hwds.frames.rows import RowEvent
from tests.detection.features.moment_rows import counting, moved_by_order, order_lines, seen_ahead

DAYS = 20
FEATURES = Lowest(columns=("quantity", "unit_price"), days=DAYS)


def slow(table, name):
    found = []
    for place, there, rows in counting(table):
        own = [
            k
            for k in there
            if k == place or rows[k]["customer"] == rows[place]["customer"] is not None
        ]
        near = [k for k in own if rows[place]["time"] - rows[k]["time"] < timedelta(days=DAYS)]
        values = [rows[k][name] for k in near if rows[k][name] is not None]
        found.append(min(values) if values and rows[place]["customer"] is not None else None)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_a_loop_over_all_rows_and_nothing_later_changes_it(seed):
    table = order_lines(seed)
    got = FEATURES.compute(table)
    for name in FEATURES.columns:
        assert got[f"{name}_least_{DAYS}d"].to_list() == slow(table, name)
    assert not seen_ahead(FEATURES, table)
    assert not moved_by_order(FEATURES, table)


def test_usual_columns_may_be_absent_and_others_may_not():
    table = order_lines(0)
    assert Lowest().compute(table).columns == ["quantity_least_90d"]
    with pytest.raises(
        ConfigError, match=r"features\.columns: no column 'quantitie'; did you mean 'quantity'\?"
    ):
        Lowest(columns=("quantitie",)).compute(table)


def test_rows_one_by_one_have_the_bits_of_the_whole_table():
    table = order_lines(3)
    table = replace(table, data=table.data.sort("available_at", maintain_order=True))
    live = FEATURES.live(table)
    moments = table.data.select(pl.col("time", "available_at").dt.epoch("us")).rows()
    rows = table.data.to_dicts()
    answers = [live.arrive(RowEvent(place, *moments[place], row)) for place, row in enumerate(rows)]
    got = pl.DataFrame(answers, schema=dict(live.columns), orient="row")
    assert got.equals(FEATURES.compute(table))
