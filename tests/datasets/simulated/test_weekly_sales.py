"""Weekly sales: what the panel has, and that one product's draws are its own."""

import numpy as np
import polars as pl
import pytest

from hwds.datasets import WeeklySales
from hwds.frames.roles import SERIES, TIME


@pytest.fixture(scope="module")
def panel():
    return WeeklySales().load()


def test_the_panel_is_that_of_a_retailer(panel):
    assert (panel.n_series, panel.season, panel.horizon) == (150, 52, 8)
    assert panel.roles.known_future == ("price", "promotion")
    assert (panel.lengths == 150).sum() == 130
    young = panel.lengths[panel.lengths < 150]
    assert set(young) <= set(range(10, 91))
    assert 5 <= (young <= 52).sum() <= 15
    assert 0.01 < np.isnan(panel.target).mean() < 0.03


def test_the_plan_holds_the_weeks_to_forecast(panel):
    counts = panel.plan.group_by(SERIES).len()["len"]
    assert counts.to_list() == [8] * 150
    assert panel.plan[TIME].min() > panel.table[TIME].max()
    assert not any(panel.plan[name].null_count() for name in ("price", "promotion"))


def test_promotions_cut_the_price_and_lift_the_units(panel):
    rows = panel.table.drop_nulls().with_columns(
        (pl.col("target") / pl.col("target").mean().over(SERIES)).alias("lift")
    )
    shares = (
        rows.group_by("promotion").agg(pl.col("lift").mean()).sort("promotion")["lift"].to_list()
    )
    assert shares[1] > 1.3 * shares[0]


def test_more_products_change_none(panel):
    more = WeeklySales(series=160, young=0).load()
    old = panel.table.filter(pl.col(SERIES) == "sku-00007")
    assert old.equals(more.table.filter(pl.col(SERIES) == "sku-00007"))


def test_another_seed_is_another_world(panel):
    assert (
        not WeeklySales(seed=1, series=3, young=0)
        .load()
        .table.equals(WeeklySales(series=3, young=0).load().table)
    )
