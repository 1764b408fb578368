"""Logit demand with nests, from shares drawn by its law with prices that answer demand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.logit_demand import LogitDemand
from hwds.elasticity.rows import cell_rows, demand_estimates_of
from hwds.frames.panel import Panel
from tests.support.price_worlds import nested_shares

NEST, SLOPE, NESTING = np.array([0, 0, 0, 1, 1, 2, 2, 2]), -0.05, 0.6


def shares(nesting=NESTING, channels=6, periods=60, on_sale=0.8):
    """Shares of eight devices of three generations.

    Sellers see part of what buyers like, and price it.
    """
    rng, rows = stream(0, "nests"), []
    liking = rng.standard_normal(8)
    for channel in range(channels):
        for period in range(periods):
            there = rng.random(8) < on_sale
            cost, seen = 30 + 5 * rng.standard_normal(8), 0.5 * rng.standard_normal(8)
            price = 10 + cost + 4 * seen
            utility = np.where(there, 1.0 + liking + SLOPE * price + seen, -np.inf)
            share = np.zeros(8)
            share[there] = nested_shares(
                utility[there], np.unique(NEST[there], return_inverse=True)[1], nesting
            )
            rows += [
                (
                    f"d{j}",
                    f"c{channel}",
                    f"g{NEST[j]}",
                    period,
                    share[j] if there[j] else None,
                    price[j],
                    cost[j],
                )
                for j in range(8)
            ]
    schema = ["sku", "channel", "generation", "week", "share", "price", "cost"]
    return Panel.of(
        pl.DataFrame(rows, schema=schema, orient="row"),
        series=["sku", "channel"],
        time="week",
        target="share",
        frequency="1i",
        known_future=("price", "cost"),
        static=("sku", "channel", "generation"),
        price="price",
        cost="cost",
    )


@pytest.fixture(scope="module")
def panel():
    return shares()


@pytest.fixture(scope="module")
def fit(panel):
    return LogitDemand(nests="generation").learn(panel, ElasticityContext(0))


def test_instruments_find_the_slope_and_the_nesting_parameter(fit, panel):
    notes = fit.estimates.notes
    assert notes["price_slope"] == pytest.approx(SLOPE, abs=3 * notes["price_slope_stderr"])
    assert notes["nesting"] == pytest.approx(NESTING, abs=3 * notes["nesting_stderr"])
    assert notes["nesting_stderr"] < 0.05
    assert min(notes["first_stage_f"], notes["nesting_first_stage_f"]) > 30
    plain = (
        LogitDemand(nests="generation", instruments="none")
        .learn(panel, ElasticityContext(0))
        .estimates.notes
    )
    assert abs(plain["nesting"] - NESTING) > 3 * plain["nesting_stderr"]
    assert "first_stage_f" not in plain


def test_products_of_a_nest_are_closer_substitutes(fit, panel):
    rows = cell_rows(fit, panel, 100, np.random.default_rng(0)).with_columns(
        pl.lit("logit").alias("model")
    )
    evidence = demand_estimates_of(rows, panel, "logit")
    drawn = evidence.sample(100, np.random.default_rng(0))
    assert np.corrcoef(drawn.own[:, 0], drawn.cross[:, 0])[0, 1] < -0.99
    cross = evidence.cross
    assert (cross[cross != 0] > 0).all()
    channel, nest = (
        rows["channel"].to_numpy(),
        NEST[rows["sku"].str.slice(1).cast(pl.Int64).to_numpy()],
    )
    other = channel[:, None] != channel
    assert not cross[other].any()
    same = (nest[:, None] == nest) & ~np.eye(len(nest), dtype=bool) & ~other
    assert cross[same].mean() > 2 * cross[~other & (nest[:, None] != nest)].mean()
    assert (rows["elasticity"] < 0).all()
    assert (rows["status"] == "identified").all()


def test_nests_that_are_no_column_or_without_instruments_are_refused(panel):
    with pytest.raises(
        DataError,
        match=r"^model\.nests: no static column 'generations'; did you mean 'generation'\?",
    ):
        LogitDemand(nests="generations").learn(panel, ElasticityContext(0))


def test_nests_of_one_product_are_refused(panel):
    with pytest.raises(
        DataError, match=r"^model\.nests: 'sku' must be nests of several products, got one in each"
    ):
        LogitDemand(nests="sku").learn(panel, ElasticityContext(0))


def test_the_size_of_nests_that_never_changes_is_no_instrument():
    """Where all products are always on sale, what sweeping leaves of a nest's size is rounding."""
    balanced = LogitDemand(nests="generation").learn(
        shares(on_sale=1.0, channels=3, periods=40), ElasticityContext(0)
    )
    notes = balanced.estimates.notes
    assert min(notes["first_stage_f"], notes["nesting_first_stage_f"]) > 30
    assert notes["nesting"] == pytest.approx(NESTING, abs=3 * notes["nesting_stderr"])
    assert (balanced.table["status"] == "identified").all()


def test_a_nesting_parameter_that_no_buyers_have_is_no_answer():
    apart = shares(nesting=-0.5, channels=3, periods=40)
    table = LogitDemand(nests="generation").learn(apart, ElasticityContext(0)).table
    assert table["elasticity"].null_count() == len(table)
    assert (
        table["reason"]
        .str.contains(
            r"the nesting parameter of all products is -0\.\d\d, and must be between 0 and 0\.99"
        )
        .all()
    )
