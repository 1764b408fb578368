"""Arbitrage against a loop over all pairs of rows, and by hand."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.detection.features.arbitrage import Arbitrage
from hwds.frames.table import Table
from tests.detection.features.moment_rows import (
    BEGIN,
    counting,
    moved_by_order,
    order_lines,
    seen_ahead,
)

FREIGHT, DUTY, RISK, SEEN = 4.0, 0.06, 0.03, 20
FIELDS = {"freight": FREIGHT, "duty": DUTY, "risk": RISK, "seen_days": SEEN}


def slow(table, region):
    found = []
    for place, there, rows in counting(table):
        row, last = rows[place], {}
        paid = row["unit_price"]
        if paid is None or row["channel"] is None or row["sku"] is None:
            found.append((None,) * 3)
            continue
        market = (row["channel"], row[region] if region else "")
        for k in there:
            other = (rows[k]["channel"], rows[k][region] if region else "")
            if (
                rows[k]["sku"] == row["sku"]
                and rows[k]["unit_price"] is not None
                and other != market
            ):
                last[other] = k
        since = row["time"] - timedelta(days=SEEN)
        seen = {
            other: rows[k]["unit_price"] for other, k in last.items() if rows[k]["time"] > since
        }
        spreads = [
            price - (paid * (1 + RISK + DUTY * (other[1] != market[1])) + FREIGHT)
            for other, price in seen.items()
        ]
        rank = 1 + sum(price < paid for price in seen.values())
        found.append((max(spreads, default=None), rank, 1 + len(seen)))
    return pl.DataFrame(
        found,
        ["best_pair_spread", "price_rank", "markets_seen"],
        orient="row",
        infer_schema_length=None,
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("region", ["region", None])
def test_other_markets_equal_a_loop_over_all_rows(seed, region):
    table = order_lines(seed)
    if seed % 3 == 0:
        table = replace(
            table,
            data=table.data.with_columns(pl.when(pl.col("row_id") % 7 > 0).then(pl.col("sku"))),
        )
    got, wanted = Arbitrage(region=region, **FIELDS).compute(table), slow(table, region)
    for name in wanted.columns:
        assert np.allclose(
            got[name].to_numpy(), wanted[name].cast(float).to_numpy(), rtol=1e-12, equal_nan=True
        )
    assert got["markets_seen"].max() == (6 if region else 3)


def test_the_spread_to_the_street_is_the_price_there_less_all_costs():
    table = order_lines(0, nulls=False)
    got = Arbitrage(**FIELDS).compute(table)
    paid, street = table.data["unit_price"].to_numpy(), table.data["street_price"].to_numpy()
    spread = street - paid - DUTY * paid - RISK * paid - FREIGHT
    assert np.allclose(got["spread"], spread)
    assert np.allclose(got["spread_share"], spread / paid)
    assert np.allclose(
        got["loss_at_stake"], np.maximum(street - paid, 0) * table.data["quantity"].to_numpy()
    )
    assert np.allclose(got["best_pair_share"], got["best_pair_spread"] / paid, equal_nan=True)


def test_the_last_price_by_time_counts_not_the_last_to_arrive():
    """Online asked 150 on day 3, which is known on day 3.

    That it asked 200 on day 1 is known on day 5.
    """
    lines = {
        "time": [BEGIN + timedelta(days=day) for day in (3, 4, 1, 6, 2, 40)],
        "available_at": [BEGIN + timedelta(days=day) for day in (3, 4, 5, 6, 7, 40)],
        "channel": ["online", "carrier", "online", "carrier", "carrier", "carrier"],
        "unit_price": [150.0, 100.0, 200.0, 100.0, 100.0, 100.0],
    }
    more = {"sku": "a", "quantity": 1, "street_price": 100.0}
    roles = {"time": ("time",), "available_at": ("available_at",)}
    table = Table.build(
        pl.DataFrame(lines | {name: [value] * 6 for name, value in more.items()}), roles
    )
    got = Arbitrage(region=None, freight=0.0, duty=0.5, risk=0.0).compute(table)
    assert got["best_pair_spread"].to_list() == [None, 50.0, None, 50.0, 100.0, None]
    assert got["price_rank"].to_list() == [1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing(seed):
    table = order_lines(seed)
    assert not seen_ahead(Arbitrage(), table)
    assert not moved_by_order(Arbitrage(), table)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sku": "skuu"}, "features.sku: no column 'skuu'; did you mean 'sku'?"),
        ({"region": "regoin"}, "features.region: no column 'regoin'; did you mean 'region'?"),
        (
            {"unit_price": "channel"},
            "features.unit_price: column 'channel' must hold numbers, it holds String.",
        ),
    ],
)
def test_columns_that_cannot_be_are_refused(fields, told):
    with pytest.raises(ConfigError) as caught:
        Arbitrage(**fields).check(order_lines(0))
    assert str(caught.value) == told


@pytest.mark.parametrize(
    "fields", [{"freight": -1.0}, {"duty": 1.5}, {"risk": -0.1}, {"seen_days": 0}]
)
def test_fields_that_cannot_be_are_refused(fields):
    with pytest.raises(ConfigError, match=" must "):
        Arbitrage(**fields)


def test_a_table_without_times_is_refused():
    table = order_lines(0)
    bare = replace(table, roles={"label": ("confirmed",)})
    with pytest.raises(ConfigError, match="role 'time'"):
        Arbitrage().check(bare)
