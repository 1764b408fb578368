"""Peers: equal to a loop over rows, of the past alone, shrunk to larger groups, silent where
nothing varies.
"""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwds.core.errors import ConfigError
from hwds.detection.features.peers import Peers
from hwds.detection.features.purchases import Purchases
from hwds.evaluation.row_folds import corrupt_rows
from hwds.frames.features.together import Together
from hwds.frames.table import Table
from tests.detection.features.peer_tables import DAY, ROLES, START, rows_of

RECIPE = Peers(columns=("amount", "units"), window=5, shrink=3)


def spread(rows, name, deeper, recipe):
    """Median and MAD of the rows, then of those that each test passes, each shrunk to what was
    found before.
    """
    middle = scale = None
    for test in (lambda r: True, *deeper):
        rows = [r for r in rows if test(r)]
        values = [r[name] for r in rows if r[name] is not None]
        median = float(np.median(values)) if values else 0.0
        mad = float(np.median(np.abs(np.array(values) - median))) if values else 0.0
        if middle is None:
            if not values:
                return None, 0.0
            middle, scale = median, mad
            continue
        middle = (len(values) * median + recipe.shrink * middle) / (len(values) + recipe.shrink)
        weight = len(values) if mad > 0 else 0
        alone = mad if len(values) >= recipe.shrink else 0.0
        scale = (
            (weight * mad + recipe.shrink * scale) / (weight + recipe.shrink)
            if scale > 0
            else alone
        )
    return middle, scale


def by_hand(table, recipe):
    """The same columns by a loop over rows."""
    rows, made = table.data.to_dicts(), []
    for own in rows:
        today = own["time"].replace(hour=0)
        end = today - recipe.gap * DAY
        past = [
            r
            for r in rows
            if end - recipe.window * DAY <= r["time"] < end and r["available_at"] < today
        ]
        deeper = [lambda r, own=own, by=by: r[by] == own[by] for by in recipe.by]
        found = {}
        for name in recipe.columns:
            middle, scale = spread(past, name, deeper, recipe)
            z = (
                (own[name] - middle) / (1.4826 * scale)
                if scale > 0 and own[name] is not None
                else None
            )
            found |= {f"{name}_peers": middle, f"{name}_z": z}
        made.append(found)
    return pl.DataFrame(made, infer_schema_length=None).cast(pl.Float64)


def assert_alike(found, wanted):
    assert found.columns == wanted.columns
    for name in wanted.columns:
        assert found[name].is_null().equals(wanted[name].is_null()), name
        np.testing.assert_allclose(
            found[name].to_numpy(), wanted[name].to_numpy(), rtol=1e-9, atol=1e-12, err_msg=name
        )


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 150),
    seed=st.integers(0, 2**32 - 1),
    late=st.sampled_from([0.0, 0.5]),
    gap=st.integers(0, 3),
    window=st.integers(1, 12),
    shrink=st.sampled_from([0.5, 50.0]),
    by=st.sampled_from([(), ("region",), ("customer_kind", "region")]),
)
def test_it_equals_a_loop_over_rows(rows, seed, late, gap, window, shrink, by):
    recipe = Peers(columns=("amount", "units"), gap=gap, window=window, shrink=shrink, by=by)
    table = rows_of(rows, seed, late=late)
    assert_alike(recipe.compute(table), by_hand(table, recipe))


def test_the_rows_of_a_day_are_never_their_own_reference():
    table = rows_of(200, seed=1, late=0)
    today = START + 10 * DAY
    that_day = pl.col("time").is_between(today, today + DAY, closed="left")
    other = Table(
        table.data.with_columns(pl.when(that_day).then(1e6).otherwise("amount").alias("amount")),
        ROLES,
    )
    same = table.data.select(that_day & pl.col("amount").is_not_null()).to_series()
    assert same.sum() > 2
    before, after = (RECIPE.compute(t).filter(same)["amount_peers"] for t in (table, other))
    assert before.equals(after)


def test_what_a_row_is_told_is_the_same_bits_whatever_comes_later():
    table = rows_of(900, seed=2)
    rng, before = np.random.default_rng(0), RECIPE.compute(table)
    for days in (8, 15.5, 24):
        instant = START + days * DAY
        early = (table.data["available_at"] <= instant).to_numpy()
        after = RECIPE.compute(corrupt_rows(table, instant, 3, rng))
        assert after.filter(early).equals(before.filter(early))
        assert not after.filter(~early).equals(before.filter(~early))


def test_a_column_that_does_not_vary_has_no_z():
    table = rows_of(400, seed=3, late=0)
    flat = Table(
        table.data.with_columns(
            pl.when(pl.int_range(pl.len()) % 3 == 0).then(2).otherwise(1).alias("units")
        ),
        ROLES,
    )
    found = Peers(columns=("amount", "units"), window=5).compute(flat)
    assert found["units_z"].null_count() == 400
    assert found["units_peers"].null_count() < 400
    assert found["amount_z"].null_count() < 100


def test_a_large_group_keeps_its_spread_where_all_rows_have_none():
    table = rows_of(600, seed=7, late=0)
    reseller = (pl.col("customer_kind") == "reseller") & (pl.int_range(pl.len()) % 2 == 0)
    flat = Table(
        table.data.with_columns(pl.when(reseller).then("amount").otherwise(2.0).alias("amount")),
        ROLES,
    )
    recipe = Peers(columns=("amount",), by=("customer_kind", "region"), window=20, shrink=20)
    assert_alike(recipe.compute(flat), by_hand(flat, recipe))


def test_a_group_without_a_spread_takes_the_one_of_all():
    table = rows_of(600, seed=4, late=0)
    reseller = pl.col("customer_kind") == "reseller"
    flat = Table(
        table.data.with_columns(pl.when(reseller).then(2.0).otherwise("amount").alias("amount")),
        ROLES,
    )
    shown = Peers(columns=("amount",), by=("customer_kind",), window=20)
    mine = (
        flat.data.select(reseller & (pl.col("time") >= START + 10 * DAY))
        .to_series()
        .fill_null(False)
    )
    assert_alike(shown.compute(flat), by_hand(flat, shown))
    assert shown.compute(flat).filter(mine)["amount_peers"].is_between(1.5, 2.5).all()


def test_it_reads_what_purchases_makes():
    table = rows_of(300, seed=5)
    roles = ROLES | {"entity": ("region",), "amount": ("amount",)}
    both = Together(parts=(Purchases(days=(7,)), Peers(columns=("orders_7d", "amount_7d"))))
    table = Table(table.data.with_columns(pl.col("amount").fill_null(1.0)), roles)
    both.check(table)
    found = both.compute(table)
    alone = Peers(columns=("amount_7d",)).compute(
        table.with_inputs(Purchases(days=(7,)).compute(table))
    )
    assert found["amount_7d_z"].equals(alone["amount_7d_z"])
    assert found["orders_7d_z"].null_count() < 300


def test_a_table_without_kinds_compares_with_all_rows():
    table = rows_of(200, seed=6)
    plain = Table(
        table.data.drop("customer_kind", "region"),
        {"time": ("time",), "available_at": ("available_at",)},
    )
    recipe = Peers(columns=("amount",))
    recipe.check(plain)
    assert_alike(recipe.compute(plain), by_hand(plain, Peers(columns=("amount",), by=())))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"by": ("regoin",)}, "features.by: no column 'regoin'; did you mean 'region'?"),
        ({"columns": ("amont",)}, "features.columns: no column 'amont'; did you mean 'amount'?"),
        (
            {"columns": ("region",)},
            "features.columns: column 'region' must hold numbers, it holds String.",
        ),
        (
            {"columns": ("gray",)},
            "features.columns: 'gray' is label, which is not known at the moment of its row.",
        ),
        (
            {},
            "features.columns: none of quantity_30d, orders_30d, amount_30d, skus_30d is there "
            "(`purchases` makes them); known:"
            " amount, available_at, customer_kind, gray, region, row_id, time, units.",
        ),
    ],
)
def test_names_are_refused_in_words(fields, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Peers(**fields).compute(rows_of(20))


def test_a_table_without_time_is_refused():
    with pytest.raises(ConfigError, match="'peers' needs the role 'time'"):
        RECIPE.check(Table(rows_of(5).data, {}))


@pytest.mark.parametrize(
    "fields", [{"columns": ()}, {"by": ("a", "a")}, {"window": 0}, {"gap": -1}, {"shrink": -1}]
)
def test_fields_are_checked(fields):
    with pytest.raises(ConfigError):
        Peers(**fields)
