"""Rows in the order of a panel: the order of a sort by both keys, ties as they came."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwds.frames.columns import in_order

KEYS = st.lists(
    st.tuples(st.sampled_from(["", "b", "B", "é", "a10", "a9", "ab"]), st.integers(-5, 5)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(KEYS)
def test_equals_a_stable_sort_by_both_keys(keys):
    table = pl.DataFrame(keys, schema=["series_id", "time"], orient="row").with_row_index("row")
    assert in_order(table).equals(table.sort("series_id", "time", maintain_order=True))
    assert in_order(in_order(table)).equals(in_order(table))


@pytest.mark.parametrize("first", [date(1950, 1, 1), datetime(1950, 1, 1), 3])
def test_any_kind_of_time(first):
    step = 1 if first == 3 else timedelta(days=1)
    times = [first + i * step for i in (4, 0, 2, 3, 1)]
    ordered = in_order(pl.DataFrame({"series_id": ["b", "a", "b", "a", "b"], "time": times}))
    assert ordered["time"].to_list() == [first + i * step for i in (0, 3, 1, 2, 4)]


def test_times_of_a_zone():
    times = pl.Series([datetime(2024, 1, 2), datetime(2024, 1, 1)]).dt.replace_time_zone(
        "Europe/Berlin"
    )
    assert in_order(pl.DataFrame({"series_id": ["a", "a"], "time": times}))["time"].is_sorted()


def test_more_pairs_of_keys_than_32_bits_can_number():
    n = 70_000
    table = pl.DataFrame(
        {
            "series_id": pl.int_range(n, eager=True).reverse().cast(pl.String).str.zfill(6),
            "time": pl.int_range(n, eager=True),
        }
    )
    assert in_order(table).equals(table.reverse())


def test_rows_in_order_are_left_as_they_are():
    table = pl.DataFrame(
        {"series_id": ["a", "a", "a", "b"], "time": [1, 2, 2, 0], "row": [4, 3, 2, 1]}
    )
    assert in_order(table) is table
    assert in_order(table[[0, 2, 1, 3]])["row"].to_list() == [4, 2, 3, 1]
    assert in_order(table[[1, 0, 2, 3]])["row"].to_list() == [4, 3, 2, 1]
