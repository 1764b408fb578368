"""Network against a search over all pairs of rows."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.detection.features.network import COLUMNS, Network
from tests.detection.features.moment_rows import (
    BEGIN,
    counting,
    knows,
    moved_by_order,
    order_lines,
    seen_ahead,
)

BY = ("address", "payment", "contact")


def slow(table):
    found = []
    for place, there, rows in counting(table):
        own = rows[place]["customer"]
        if own is None:
            found.append((None,) * 4)
            continue
        bears, reached = {}, {own}
        for k in there:
            if rows[k]["customer"] is not None:
                marks = {(name, rows[k][name]) for name in BY if rows[k][name] is not None}
                bears.setdefault(rows[k]["customer"], set()).update(marks)
        linked = {other for other, marks in bears.items() if other != own and marks & bears[own]}
        while True:
            more = {
                other
                for other, marks in bears.items()
                if any(marks & bears[one] for one in reached)
            } - reached
            if not more:
                break
            reached |= more
        confirmed = {
            rows[k]["customer"]
            for k in there
            if knows(rows, place, k) and rows[k]["confirmed"] == 1
        } & linked
        share = len(confirmed) / len(linked) if linked else 0.0
        found.append((len(linked), len(reached), len(confirmed), share))
    return pl.DataFrame(found, COLUMNS, orient="row")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("customers", "late"), [(60, 0.3), (25, 0.9), (8, 0.3)])
def test_it_equals_a_search_over_all_rows(seed, customers, late):
    table = order_lines(seed, count=100, customers=customers, late=late)
    got = Network().compute(table)
    assert got.to_dicts() == slow(table).to_dicts()
    assert got["network_degree"].max() > 1
    assert got["network_confirmed"].max() > 0


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing(seed):
    table = order_lines(seed, customers=30)
    assert not seen_ahead(Network(), table)
    assert not moved_by_order(Network(), table)


def test_a_ring_grows_link_by_link():
    """a and b share an address, b and c a payment.

    C is found on day 3, as b and then a come to know.
    """
    days = [0, 1, 2, 3, 4, 5, 6]
    lines = {
        "time": [BEGIN + timedelta(days=day) for day in days],
        "customer": ["a", "b", "c", "b", "a", "d", "a"],
        "address": ["x", "x", "y", "x", "x", "z", "x"],
        "payment": ["1", "2", "2", "2", "1", "3", "1"],
        "confirmed": [0, 0, 1, 1, None, 0, None],
        "confirmed_at": [
            None,
            None,
            BEGIN + timedelta(days=3),
            BEGIN + timedelta(days=5),
            None,
            None,
            None,
        ],
    }
    roles = {
        "time": ("time",),
        "entity": ("customer",),
        "label": ("confirmed",),
        "label_time": ("confirmed_at",),
    }
    table = order_lines(0)
    table = type(table).build(pl.DataFrame(lines), roles)
    got = Network(by=("address", "payment")).compute(table)
    assert got["network_degree"].to_list() == [0, 1, 1, 2, 1, 0, 1]
    assert got["network_size"].to_list() == [1, 2, 3, 3, 3, 1, 3]
    assert got["network_confirmed"].to_list() == [0, 0, 0, 1, 0, 0, 1]
    assert got["network_confirmed_share"].to_list() == [0, 0, 0, 0.5, 0, 0, 1]


def test_values_of_two_columns_are_never_the_same_and_nulls_link_nobody():
    table = order_lines(0, count=4)
    same = table.data.with_columns(
        pl.Series("customer", ["a", "b", "c", "d"]),
        pl.Series("address", ["x", None, None, "y"]),
        pl.Series("payment", [None, "x", None, None]),
        pl.lit(None, pl.String).alias("contact"),
    )
    assert Network().compute(replace(table, data=same))["network_size"].to_list() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"by": ("adress",)}, "features.by: no column 'adress'; did you mean 'address'?"),
        (
            {"customer": "custmer"},
            "features.customer: no column 'custmer'; did you mean 'customer'?",
        ),
    ],
)
def test_columns_that_are_not_there_are_refused(fields, told):
    with pytest.raises(ConfigError) as caught:
        Network(**fields).check(order_lines(0))
    assert str(caught.value) == told


def test_a_table_without_a_customer_or_labels_is_refused():
    table = order_lines(0)
    for role, told in (
        ("entity", "features.customer: must name"),
        ("label", "role 'label'"),
        ("label_time", "'label_time'"),
    ):
        bare = replace(
            table, roles={name: value for name, value in table.roles.items() if name != role}
        )
        with pytest.raises(ConfigError, match=told):
            Network().compute(bare)
