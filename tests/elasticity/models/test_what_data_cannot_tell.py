"""Columns that effects take up, and panels too small for a model: left out or refused in a line."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.elasticity.design import CROSS, DemandDesign, DemandTerms
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.iv import IV
from hwds.elasticity.models.logit_demand import LogitDemand
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.elasticity.rows import identification_remarks
from hwds.elasticity.sweeping import fit_ppml
from hwds.frames.panel import Panel


def sales(skus=4, channels=2, weeks=40, units=20.0):
    """Sales of a family with elasticity -2, and columns of which nothing is left beside others and
    effects.
    """
    rng = stream(0, "cannot_tell")
    shape = (range(skus), range(channels), range(weeks))
    sku, channel, week = (each.ravel() for each in np.meshgrid(*shape, indexing="ij"))
    price, rival = np.exp(0.15 * rng.standard_normal((2, len(sku))))
    cost = price * np.exp(0.1 * rng.standard_normal(len(sku)))
    holiday = (week % 5 == 0).astype(float)
    sold = rng.poisson(units * price**-2.0 * np.exp(0.5 * holiday)).astype(float)
    names = {
        name: [f"{name}{i}" for i in codes] for name, codes in (("sku", sku), ("channel", channel))
    }
    numbers = {
        "week": week,
        "units": sold,
        "price": 100 * price,
        "rival": rival,
        "again": rival,
        "holiday": holiday,
    }
    return pl.DataFrame(
        names
        | {"family": "f"}
        | numbers
        | {"cost": cost, "costs": 2 * cost, "oil": 10.0 + week % 7}
    )


def panel(table=None, known=("price",), **roles):
    keys = {"series": ["sku", "channel"], "time": "week", "target": "units", "frequency": "1i"}
    static = ("sku", "channel", "family")
    return Panel.of(
        sales() if table is None else table,
        known_future=known,
        static=static,
        price="price",
        **keys,
        **roles,
    )


def learn(model, data):
    return model.learn(data, ElasticityContext(0))


@pytest.mark.parametrize(
    "model", [PPML(common="all"), PPML(), Pooled()], ids=["shared", "cell", "pooled"]
)
def test_columns_that_period_effects_or_others_take_up_are_left_out(model):
    wide, plain = (
        learn(model, panel(known=known))
        for known in (("price", "rival", "again", "holiday"), ("price", "rival"))
    )
    assert wide.design.left_out == ("again", "holiday")
    assert wide.effects["name"].to_list() == plain.effects["name"].to_list()
    assert wide.table["elasticity"].to_list() == plain.table["elasticity"].to_list()
    assert wide.table["elasticity"].mean() == pytest.approx(-2, abs=0.25)


def test_a_holiday_is_kept_where_no_period_effects_are_taken_out():
    fitted = learn(PPML(common="all", effects="cell"), panel(known=("price", "holiday")))
    assert dict(fitted.effects.select("name", "value").iter_rows())["holiday"] == pytest.approx(
        0.5, abs=0.1
    )


def test_substitutes_of_one_group_that_holds_all_cells_move_with_the_own_price():
    one = panel(sales(channels=1))
    assert DemandDesign.of(one, DemandTerms(by_period=True)).left_out == (CROSS,)
    assert DemandDesign.of(one, DemandTerms()).left_out == ()
    assert DemandDesign.of(panel(), DemandTerms(by_period=True)).left_out == ()
    left_out = [line for line in identification_remarks(one, Pooled()) if "leaves out" in line]
    assert left_out == [
        f"The model leaves out '{CROSS}': nothing is left of it beside the price, other columns "
        f"and effects."
    ]


def test_instruments_that_repeat_others_or_are_common_to_all_cells_are_left_out():
    data = panel(cost="cost", instrument=("costs", "oil"), past_only=("cost", "costs", "oil"))
    rows = IV().rows(DemandDesign.of(data, IV().terms))
    assert (
        rows.instruments.shape[1] == 4
    )  # of now and of the period before: the log of the cost, and the cost doubled
    doubled = panel(instrument=("cost", "costs", "oil"), past_only=("cost", "costs", "oil"))
    assert IV().rows(DemandDesign.of(doubled, IV().terms)).instruments.shape[1] == 2
    assert learn(LogitDemand(), doubled).estimates.notes["price_slope"] < 0
    with pytest.raises(DataError, match="cost or instrument must be given"):
        IV().rows(DemandDesign.of(panel(instrument="oil", past_only="oil"), IV().terms))


def test_a_price_common_to_all_cells_is_refused_by_a_fit_within_periods():
    table = sales().with_columns(price=pl.col("price").first().over("week"))
    with pytest.raises(DataError, match="combination of others and of cell and period effects"):
        learn(PPML(common="all", lagged_price=False, substitutes_price=False), panel(table))
    week = np.tile(np.arange(10.0), 3)
    units, cell = np.arange(1.0, 31.0), np.repeat(np.arange(3), 10)
    with pytest.raises(DataError, match="combination of others and of cell and period effects"):
        fit_ppml(units, week[:, None], cell, week.astype(int))


@pytest.mark.parametrize("model", [Pooled(), PPML()], ids=["pooled", "cell"])
@pytest.mark.parametrize(
    ("size", "said"),
    [
        ({"skus": 1, "channels": 1}, "dataset: 40 rows for 41 parameters"),
        ({"skus": 2, "channels": 1, "weeks": 4}, "dataset: 6 rows for [67] parameters"),
        ({"skus": 3, "channels": 1, "weeks": 3}, "dataset: 6 rows for [68] parameters"),
        ({"units": 0.0}, "dataset: nothing was sold in any cell"),
    ],
)
def test_panels_that_are_too_small_are_refused_in_a_line(model, size, said):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=said):
            learn(model, panel(sales(**size)))
