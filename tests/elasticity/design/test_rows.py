"""The rows of a model of demand: columns, what is left out, what prices identify, and what is
refused.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.elasticity.design import CROSS, LAG, DemandDesign, DemandTerms, identify
from hwds.frames.panel import Panel

SKUS, CHANNELS, WEEKS = 3, 2, 20


def sales(**columns):
    """Sales of three products of one family in two channels; columns may be replaced."""
    rng = stream(0, "rows")
    sku, channel, week = (
        each.ravel()
        for each in np.meshgrid(range(SKUS), range(CHANNELS), range(WEEKS), indexing="ij")
    )
    price = np.round(100 * np.exp(0.1 * rng.standard_normal(len(sku))), 2)
    table = pl.DataFrame(
        {
            "sku": [f"sku {i}" for i in sku],
            "channel": [f"channel {i}" for i in channel],
            "family": "all",
            "week": week,
            "units": rng.poisson(20, len(sku)).astype(float),
            "price": price,
            "promotion": (rng.random(len(sku)) < 0.2).astype(float),
            "trend": rng.standard_normal(len(sku)),
            "out": np.zeros(len(sku)),
        }
    )
    return table.with_columns(**columns)


def panel(table=None, **roles):
    known = {"price": "price", "promotion": "promotion", "stock_out": "out"} | roles
    return Panel.of(
        sales() if table is None else table,
        series=["sku", "channel"],
        time="week",
        target="units",
        frequency="1i",
        known_future=("price", "promotion", "trend"),
        past_only="out",
        static=("sku", "channel", "family"),
        **known,
    )


def test_columns_are_those_of_the_price_before_of_substitutes_and_of_what_is_known_ahead():
    data = panel()
    design = DemandDesign.of(data, DemandTerms())
    assert design.columns == (LAG, CROSS, "promotion", "trend")
    assert design.promotion == 2
    log_price = np.log(data.values("price")).reshape(SKUS, CHANNELS, WEEKS)
    log_price -= log_price.mean(axis=2, keepdims=True)
    assert design.log_price == pytest.approx(log_price.ravel())
    others = (log_price.sum(axis=0, keepdims=True) - log_price) / (SKUS - 1)
    assert design.x[:, 1] == pytest.approx(others.ravel())
    assert design.x[1:WEEKS, 0] == pytest.approx(log_price[0, 0, :-1])
    assert np.isnan(design.x[0, 0])
    assert design.rows.tolist() == [WEEKS - 1] * 6
    assert design.crossed.names == ("sku", "channel")


def test_stock_outs_and_what_is_unknown_are_left_out():
    table = sales(
        out=pl.when(pl.col("week") == 5).then(0.4).otherwise(0.0),
        units=pl.when(pl.col("week") == 7).then(None).otherwise(pl.col("units")),
    )
    design = DemandDesign.of(panel(table), DemandTerms(lagged_price=False))
    assert design.rows.tolist() == [WEEKS - 2] * 6


def test_a_panel_to_predict_takes_columns_and_means_of_the_one_that_was_learned_from():
    first = DemandDesign.of(panel(sales().filter(pl.col("week") < 12)), DemandTerms())
    later = DemandDesign.of(panel(sales(units=pl.lit(None, pl.Float64))), DemandTerms(), like=first)
    assert later.columns == first.columns
    assert later.centres == pytest.approx(first.centres)
    assert later.log_price[:12] == pytest.approx(first.log_price[:12])


def status(table, **kwargs):
    known = identify(DemandDesign.of(panel(table), DemandTerms(**kwargs)), by_period=True)
    return dict(
        zip(known["series_id"], zip(known["status"], known["reason"], strict=True), strict=True)
    )


def test_every_cell_has_a_status_and_a_reason():
    first = (pl.col("sku") == "sku 0") & (pl.col("channel") == "channel 0")
    second = (pl.col("sku") == "sku 1") & (pl.col("channel") == "channel 0")
    third = (pl.col("sku") == "sku 2") & (pl.col("channel") == "channel 0")
    table = sales(
        price=pl.when(first)
        .then(100.0)
        .when(third & (pl.col("week") < 19))
        .then(90.0)
        .otherwise(pl.col("price")),
        units=pl.when(second).then(0.0).otherwise(pl.col("units") * 100),
    )
    known = status(table)
    assert known["sku 0|channel 0"] == ("no_variation", "it had one price")
    assert known["sku 1|channel 0"][0] == "no_variation"
    assert known["sku 1|channel 0"][1].startswith("nothing was sold in 19 periods")
    assert known["sku 2|channel 0"] == ("weak", "1 price changes")
    assert known["sku 0|channel 1"] == ("identified", "")


def test_prices_that_follow_demand_are_suspected():
    rng = stream(1, "rows")
    demand = rng.standard_normal(SKUS * CHANNELS * WEEKS)
    price = 100 * np.exp(0.1 * np.concatenate([[0.0], demand[:-1]]))
    table = sales(units=pl.Series(np.round(1000 * np.exp(0.3 * demand))), price=pl.Series(price))
    known = status(table, lagged_price=False, substitutes_price=False)
    assert sum(each == "endogenous?" for each, _ in known.values()) >= 4
    assert "its next price follows its demand" in next(
        why for each, why in known.values() if each == "endogenous?"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"price": pl.lit(0.0)},
            "dataset.roles.price: series 'sku 0|channel 0' has 0 at 0; must be > 0.",
        ),
        (
            {"price": pl.lit(5.0)},
            "dataset.roles.price: no cell's price ever changes, so that nothing can be said of",
        ),
        (
            {"units": pl.lit(-1.0)},
            "dataset.roles.target: series 'sku 0|channel 0' has -1 at 0; must be >= 0.",
        ),
    ],
)
def test_impossible_prices_and_units_are_refused_in_a_line(changed, message):
    with pytest.raises(DataError) as error:
        DemandDesign.of(panel(sales(**changed)), DemandTerms())
    assert str(error.value).startswith(message)


def test_a_panel_without_a_price_or_the_named_column_is_refused():
    bare = Panel.of(
        sales(),
        series=["sku", "channel"],
        time="week",
        target="units",
        frequency="1i",
        known_future="price",
    )
    with pytest.raises(DataError, match=r"dataset\.roles\.price: must be given"):
        DemandDesign.of(bare, DemandTerms())
    with pytest.raises(DataError, match=r"model\.sku: no static column 'skuu'"):
        DemandDesign.of(panel(), DemandTerms(sku="skuu"))
