"""Purchases: equal to a loop over rows whatever arrives late, blind to what comes later, natural on
plain tables.
"""

import re
from datetime import datetime
from statistics import median

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwds.core.errors import ConfigError, DataError
from hwds.detection.features.purchases import Purchases
from hwds.evaluation.row_folds import corrupt_rows
from hwds.frames.table import Table
from tests.detection.features.purchase_tables import DAY, START, bought

RECIPE = Purchases(days=(30, 1, 7), tiers=(3, 5))


def by_hand(table, recipe):
    """The same columns by a loop over rows."""
    rows = table.data.to_dicts()
    return pl.DataFrame([one(rows, i, recipe) for i in range(len(rows))], infer_schema_length=None)


def one(rows, i, recipe):
    own, made = rows[i], {}
    known = [
        r
        for j, r in enumerate(rows)
        if (r["available_at"], j) < (own["available_at"], i) and r["time"] <= own["time"]
    ]
    known = [r for r in known if r["customer"] is not None and r["customer"] == own["customer"]]
    for days in sorted(recipe.days):
        before = [r for r in known if r["time"] > own["time"] - days * DAY]
        held = [*before, own]
        made[f"quantity_{days}d"] = float(sum(r["quantity"] or 0 for r in held))
        orders = [r["order"] for r in held]
        made[f"orders_{days}d"] = float(len({o for o in orders if o}) + orders.count(None))
        made[f"amount_{days}d"] = float(
            sum((r["quantity"] or 0) * (r["unit_price"] or 0) for r in held)
        )
        for name in ("sku", "store", "channel"):
            made[f"{name}s_{days}d"] = float(len({r[name] for r in held if r[name]}))
    return made | longest(own, before, held, days, recipe) | ever(own, known)


def longest(own, before, held, days, recipe):
    def share(test):
        return sum(bool(test(r)) for r in held) / len(held)

    def ratio(value):
        values = [value(r) for r in before if value(r) is not None]
        return (
            value(own) / median(values)
            if values and median(values) and value(own) is not None
            else None
        )

    def over(r):
        return r["quantity"] and any(
            tier <= r["quantity"] and 10 * r["quantity"] < 11 * tier for tier in recipe.tiers
        )

    def ends(r):
        following = [datetime(2024, month, 1) for month in (1, 4, 7, 10)] + [datetime(2025, 1, 1)]
        midnight = r["time"].replace(hour=0, minute=0)
        return (min(q for q in following if q > midnight) - midnight).days <= recipe.quarter_end

    units = {}
    for r in held:
        if r["sku"] and r["quantity"] is not None:
            units[r["sku"]] = units.get(r["sku"], 0) + r["quantity"]
    total = sum(units.values())
    made = {
        "cross_channel": float(len({r["channel"] for r in held if r["channel"]}) > 1),
        "promoted_share": share(lambda r: r["promotion"]),
        "weekend_share": share(lambda r: r["time"].weekday() >= 5),
        "over_tier_share": share(over),
        "quarter_end_share": share(ends),
        "return_rate": share(
            lambda r: r["returned_at"] and r["returned_at"] <= own["available_at"]
        ),
        "sku_concentration": sum(u * u for u in units.values()) / total**2 if total else None,
        "quantity_ratio": ratio(lambda r: r["quantity"]),
        "amount_ratio": ratio(
            lambda r: (
                None
                if None in (r["quantity"], r["unit_price"])
                else r["quantity"] * r["unit_price"]
            )
        ),
    }
    return {f"{name}_{days}d": value for name, value in made.items()}


def ever(own, known):
    others = [r["time"] for r in known if own["order"] is None or r["order"] != own["order"]]
    return {
        "tenure_days": (own["time"] - min([own["time"], *(r["time"] for r in known)])) / DAY,
        "order_gap_days": (own["time"] - max(others)) / DAY if others else None,
    }


def assert_alike(found, wanted):
    assert found.columns == wanted.columns
    for name in wanted.columns:
        ours, theirs = (
            frame[name].cast(pl.Float64).fill_null(-1e300).to_numpy() for frame in (found, wanted)
        )
        exact = (
            name.startswith(("orders", "quantity_", "skus", "stores", "channels", "cross"))
            and "ratio" not in name
        )
        np.testing.assert_allclose(ours, theirs, rtol=0 if exact else 1e-9, atol=0, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 90),
    seed=st.integers(0, 2**32 - 1),
    late=st.sampled_from([0.0, 0.1, 1.0]),
    grain=st.sampled_from([60, 6 * 3600, 3 * 86400]),
    holes=st.sampled_from([0.0, 0.3]),
)
def test_it_equals_a_loop_over_rows(rows, seed, late, grain, holes):
    table = bought(rows, seed, late=late, grain=grain, holes=holes)
    assert_alike(RECIPE.compute(table), by_hand(table, RECIPE))


@pytest.mark.parametrize("late", [0.0, 0.2])
def test_it_equals_a_loop_over_rows_of_one_busy_entity(late):
    table = bought(600, seed=3, customers=1, late=late, grain=60, days=200)
    assert_alike(RECIPE.compute(table), by_hand(table, RECIPE))


def test_what_a_line_knows_is_the_same_bits_whatever_comes_later():
    table = bought(800, seed=1)
    rng, before = np.random.default_rng(0), RECIPE.compute(table)
    for days in (10, 33, 59):
        instant = START + days * DAY
        early = (table.data["available_at"] <= instant).to_numpy()
        assert 0 < early.sum() < len(early)
        after = RECIPE.compute(corrupt_rows(table, instant, 3, rng))
        assert after.filter(early).equals(before.filter(early))
        assert not after.filter(~early).equals(before.filter(~early))


def test_lines_that_have_not_arrived_are_as_good_as_absent():
    table = bought(300, seed=2)
    instant = START + 30 * DAY
    early = table.filter(table.data["available_at"] <= instant)
    whole = RECIPE.compute(table).filter(table.data["available_at"] <= instant)
    assert RECIPE.compute(early).equals(whole)


def test_a_return_is_known_from_its_moment_on_alone():
    table = bought(300, seed=4)
    instant = START + 30 * DAY
    early = table.data["available_at"] < instant
    later = (
        pl.when(pl.col("returned_at") > instant)
        .then(None)
        .otherwise(pl.col("returned_at"))
        .alias("returned_at")
    )
    other = Table(table.data.with_columns(later), table.roles)
    assert RECIPE.compute(other).filter(early).equals(RECIPE.compute(table).filter(early))
    assert not RECIPE.compute(other).equals(RECIPE.compute(table))


def test_large_amounts_that_left_a_window_leave_nothing_behind():
    amounts = [1e15, 0.1, 1e-3, 7e14, 0.2, 0.3]
    times = [START + DAY * d for d in (0, 0.5, 2, 3, 6, 6.5)]
    table = Table.build(
        pl.DataFrame({"t": times, "who": 1, "paid": amounts}), {"time": ("t",), "entity": ("who",)}
    )
    found = Purchases(days=(1,), amount="paid").compute(table)["amount_1d"].to_list()
    assert found == pytest.approx([1e15, 1e15 + 0.1, 1e-3, 7e14, 0.2, 0.5], rel=1e-12)


def test_a_plain_table_gets_what_it_suffices_for():
    data = pl.DataFrame(
        {
            "t": [START, START + DAY / 2, START + 2 * DAY],
            "who": [7, 7, 7],
            "paid": [10.0, 30.0, 50.0],
        }
    )
    table = Table.build(data, {"time": ("t",), "entity": ("who",), "amount": ("paid",)})
    recipe = Purchases(days=(1, 7))
    recipe.check(table)
    assert recipe.compute(table).to_dict(as_series=False) == {
        "orders_1d": [1, 2, 1],
        "amount_1d": [10, 40, 50],
        "orders_7d": [1, 2, 3],
        "amount_7d": [10, 40, 90],
        "weekend_share_7d": [0, 0, 0],
        "quarter_end_share_7d": [0, 0, 0],
        "amount_ratio_7d": [None, 3.0, 2.5],
        "tenure_days": [0, 0.5, 2],
        "order_gap_days": [None, 0.5, 1.5],
    }


def test_a_line_without_an_entity_knows_itself_alone():
    data = pl.DataFrame({"t": [START] * 3, "who": [None, "a", None], "paid": [1.0, 2.0, 3.0]})
    table = Table.build(data, {"time": ("t",), "entity": ("who",), "amount": ("paid",)})
    assert Purchases(days=(1,)).compute(table)["amount_1d"].to_list() == [1, 2, 3]


def test_a_line_that_never_arrives_counts_for_no_other():
    table = bought(80, seed=6, customers=1)
    lost = pl.int_range(pl.len()) % 4 == 0
    some = Table(
        table.data.with_columns(pl.when(~lost).then(pl.col("available_at")).alias("available_at")),
        table.roles,
    )
    there = table.data.select(~lost).to_series()
    found = RECIPE.compute(some)
    assert found.filter(there).equals(RECIPE.compute(table.filter(there)))
    assert found.filter(~there)["return_rate_30d"].max() < 1


def test_dates_and_zones_are_read_as_the_clock_on_the_wall():
    table = bought(60, late=0, grain=86400)
    plain = {"time": ("time",), "entity": ("customer",)}
    dates = Table(table.data.with_columns(pl.col("time").cast(pl.Date)), plain)
    zoned = Table(
        table.data.with_columns(pl.col("time").dt.replace_time_zone("Europe/Berlin")), plain
    )
    wanted = RECIPE.compute(Table(table.data, plain))
    assert RECIPE.compute(dates).equals(wanted)
    assert RECIPE.compute(zoned).equals(wanted)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"quantity": "quantityy"},
            "features.quantity: no column 'quantityy'; did you mean 'quantity'?",
        ),
        (
            {"sku": "confirmed"},
            "features.sku: 'confirmed' is label, which is not known at the moment of its row.",
        ),
        (
            {"quantity": "sku"},
            "features.quantity: column 'sku' must hold numbers, it holds String.",
        ),
        (
            {"returned_at": "quantity"},
            "features.returned_at: column 'quantity' must hold dates or instants, it holds Int64.",
        ),
    ],
)
def test_names_are_refused_in_words(fields, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Purchases(**fields).check(bought(5))


@pytest.mark.parametrize("role", ["entity", "time"])
def test_a_table_without_entity_or_time_is_refused(role):
    table = bought(5)
    roles = {name: columns for name, columns in table.roles.items() if name != role}
    with pytest.raises(ConfigError, match=f"'purchases' needs the role '{role}'"):
        RECIPE.check(Table(table.data, roles))


def test_a_row_without_a_time_is_refused():
    table = bought(5)
    with pytest.raises(DataError, match="no instant in row 3"):
        RECIPE.check(
            Table(
                table.data.with_columns(pl.col("time").replace(table.data["time"][2], None)),
                table.roles,
            )
        )


@pytest.mark.parametrize(
    "fields", [{"days": ()}, {"days": (7, 7)}, {"days": (0,)}, {"tiers": (0,)}, {"quarter_end": 0}]
)
def test_fields_are_checked(fields):
    with pytest.raises(ConfigError):
        Purchases(**fields)


def test_a_quantity_below_0_is_refused_with_its_row():
    table = bought(50, seed=4)
    quantity = (
        pl.when(pl.int_range(pl.len()) == 7)
        .then(-2)
        .otherwise(pl.col("quantity"))
        .alias("quantity")
    )
    with pytest.raises(DataError) as refused:
        RECIPE.check(Table(table.data.with_columns(quantity), table.roles))
    assert str(refused.value) in (
        "features.quantity: column 'quantity' must be >= 0, row 8 has -2.",
        "features.quantity: column 'quantity' must be >= 0, row 8 has -2.0.",
    )
