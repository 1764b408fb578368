"""Simulated sales by price: the law, its truth, and what more devices leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.datasets.simulated.price_sales import PriceSales

SMALL = PriceSales(skus=10, channels=2, weeks=60)


@pytest.fixture(scope="module")
def panel():
    return SMALL.load()


def test_a_series_is_a_device_in_a_channel_with_the_roles_of_prices(panel):
    assert panel.n_series == 20
    assert panel.lengths.min() >= SMALL.shortest
    assert panel.lengths.max() == SMALL.weeks
    assert panel.roles.one("price") == "price"
    assert set(panel.table["sku"].unique()) == {
        f"{family}-{i}" for family in ("phone", "laptop") for i in range(1, 6)
    }
    assert (panel.table["price"] > panel.table["cost"]).all()
    assert 3 < panel.target.mean() < 10
    assert panel.table["stock_out"].is_between(0, 1).all()
    assert panel.fingerprint == SMALL.load().fingerprint


def test_more_devices_and_channels_change_no_others_parameters():
    few, more = SMALL.parameters(), replace(SMALL, skus=20, channels=4).parameters()
    both = few.join(more, "series_id", "inner", suffix="_more", maintain_order="left")
    assert len(both) == 20
    assert both["elasticity"].to_numpy() == pytest.approx(both["elasticity_more"].to_numpy())
    assert both["list_price"].to_list() == both["list_price_more"].to_list()


def test_the_best_price_is_where_the_true_profit_is_greatest():
    known = SMALL.parameters().filter(pl.col("best_price") < 1.25 * pl.col("list_price"))
    curve = SMALL.profit_curve(tuple(np.arange(0.6, 1.4, 0.001)))
    best = curve.sort("profit").group_by("series_id").last()
    both = known.join(best, "series_id")
    assert len(both) > 10
    inside = both.filter(pl.col("best_price") > 0.62 * pl.col("list_price"))
    assert inside["price"].to_numpy() == pytest.approx(inside["best_price"].to_numpy(), rel=0.002)
    assert known.filter(pl.col("elasticity") > -1)["best_price"].null_count() == len(
        known.filter(pl.col("elasticity") > -1)
    )


def test_units_follow_the_law():
    dataset = replace(SMALL, skus=20, channels=4, weeks=300, stock_outs=0, units=50)
    weeks = dataset.drawn()
    ratio = weeks.units / np.exp(weeks.log_mean)
    assert ratio.mean() == pytest.approx(1, abs=0.01)
    pearson = (weeks.units - np.exp(weeks.log_mean)) ** 2 / (
        np.exp(weeks.log_mean) + np.exp(2 * weeks.log_mean) / 3
    )
    assert pearson.mean() == pytest.approx(1, abs=0.05)


def test_sellers_who_see_demand_charge_for_it():
    def reaction(endogeneity):
        weeks = replace(SMALL, endogeneity=endogeneity, stock_outs=0).drawn()
        shock = np.log((weeks.units + 1) / (np.exp(weeks.log_mean) + 1))
        return np.corrcoef(shock.ravel(), weeks.relative.ravel())[0, 1]

    assert abs(reaction(0.0)) < 0.06
    assert reaction(1.0) > 0.4


def test_only_protocols_of_elasticities_are_told_the_truth():
    assert SMALL.truth("forecast") is None
    assert SMALL.truth("elasticity").dataset == SMALL
