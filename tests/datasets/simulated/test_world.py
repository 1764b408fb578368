from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hwds.datasets.simulated.worlds.hardware import OUTAGE_ODDS, OUTAGE_SHARES, HardwareWorld

WORLD = HardwareWorld()
TABLES = ("families", "skus", "channels", "offers", "customers", "plants")


@pytest.mark.parametrize("table", TABLES)
def test_same_seed_same_table_and_another_seed_another(table):
    mine, again, other = (
        getattr(world, table) for world in (WORLD, HardwareWorld(), HardwareWorld(seed=1))
    )
    assert_frame_equal(mine, again)
    assert not mine.equals(other)


@pytest.mark.parametrize(
    "more",
    [
        {"n_families": 7},
        {"n_channels": 6},
        {"n_customers": 5_000},
        {"n_plants": 12},
        {"months": 140},
        {"ahead": 30},
    ],
)
def test_more_entities_or_months_change_no_earlier_draw(more):
    larger = replace(WORLD, **more)
    for table, key in zip(
        TABLES,
        (["family"], ["sku"], ["channel"], ["sku", "channel"], ["customer"], ["plant"]),
        strict=True,
    ):
        mine = getattr(WORLD, table)
        assert_frame_equal(
            getattr(larger, table).join(
                mine.select(key), on=key, how="semi", maintain_order="left"
            ),
            mine,
        )
    assert (larger.outages[: WORLD.n_plants, : WORLD.months] == WORLD.outages).all()


def test_generations_follow_each_other():
    for seed in range(5):
        skus = HardwareWorld(seed=seed).skus.sort("family", "generation")
        gaps = skus.select(pl.col("launch_month").diff().over("family"))[
            "launch_month"
        ].drop_nulls()
        assert gaps.is_between(18, 24).all()
        assert (skus["end_month"] - skus["launch_month"]).is_between(46, 58).all()
        first = skus.filter(pl.col("generation") == 1)
        assert (first["launch_month"] <= 0).all()
        assert first["predecessor"].null_count() == len(first)
        assert (
            skus.filter(pl.col("generation") > 1)["predecessor"].is_in(skus["sku"].to_list()).all()
        )


def test_the_four_prices_are_a_business():
    offers = HardwareWorld(n_families=8, n_channels=6).offers
    assert (offers["cost"] + offers["subsidy"] < offers["list_price"]).all()
    assert (offers["street_price"] <= offers["list_price"]).all()
    assert (offers["street_price"] > offers["cost"]).all()
    spread = offers.group_by("sku").agg(
        pl.col("street_price").max() / pl.col("street_price").min()
    )["street_price"]
    assert spread.min() > 1.2, "nothing to gain between channels"
    assert (offers["elasticity"] < -0.5).all()


def test_customers_are_mostly_consumers_and_enterprises_buy_most():
    units = WORLD.customers.group_by("kind").agg(pl.len(), pl.col("units").median())
    consumer, enterprise = (
        units.row(by_predicate=pl.col("kind") == kind, named=True)
        for kind in ("consumer", "enterprise")
    )
    assert consumer["len"] > 0.85 * WORLD.n_customers
    assert enterprise["units"] > 100 * consumer["units"]


def test_outages_follow_their_chain():
    world = HardwareWorld(months=40_000, n_plants=2)
    for (_, _, start, stay), shares in zip(world.plants.iter_rows(), world.outages, strict=True):
        out = shares > 0
        assert out[1:][~out[:-1]].mean() == pytest.approx(
            start, abs=4 * np.sqrt(start / (~out).sum())
        )
        assert out[1:][out[:-1]].mean() == pytest.approx(stay, abs=4 * np.sqrt(0.25 / out.sum()))
        for share, odds in zip(OUTAGE_SHARES, OUTAGE_ODDS, strict=True):
            assert (shares[out] == share).mean() == pytest.approx(odds, abs=0.03)


def test_dates_count_from_the_start():
    assert WORLD.dates(np.array([-1, 0, 13])).dt.to_string().to_list() == [
        "2015-12-01",
        "2016-01-01",
        "2017-02-01",
    ]
