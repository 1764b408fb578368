"""Saved models of demand: stored without pickle, and asked what would be sold at planned prices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.models.dml import DML
from hwds.elasticity.models.logit_demand import LogitDemand
from hwds.elasticity.models.monotone_boosting import MonotoneBoosting
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.elasticity.models.stack import Stack
from hwds.elasticity.protocols.elasticity_estimate import ElasticityEstimate
from hwds.elasticity.protocols.price_change import PriceChange
from hwds.evaluation.protocol import RunContext
from hwds.frames.roles import SERIES, TIME

PROTOCOL = PriceChange(horizon=3)
MODELS = {
    "pooled": Pooled(),
    "pooled_pairs": Pooled(cross="pairs"),
    "ppml": PPML(common="all"),
    "dml": DML(trees=10, folds=2),
    "logit_demand": LogitDemand(instruments="none"),
    "monotone_boosting": MonotoneBoosting(trees=10, fits=2),
    "stack": Stack(members=(Pooled(), PPML(common="all")), windows=1),
}


@pytest.fixture(scope="module")
def panel():
    """Prices of the coming three weeks: those of the last one, the first week a tenth higher."""
    known = PriceSales(skus=7, channels=3, weeks=40).load()
    last = known.table[known.offsets[1:] - 1].select(SERIES, TIME, *known.planned)
    weeks = [last.with_columns(pl.col(TIME).dt.offset_by(f"{week}w")) for week in (1, 2, 3)]
    weeks[0] = weeks[0].with_columns(pl.col("price") * 1.1)
    return replace(known, plan=pl.concat(weeks).sort(SERIES, TIME))


@pytest.fixture(scope="module")
def pooled(panel):
    return PROTOCOL.fit_all(Pooled(), panel, RunContext(0, "final"))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_was_saved_says_the_same_of_planned_prices(name, panel, tmp_path):
    fitted = PROTOCOL.fit_all(MODELS[name], panel, RunContext(0, "final"))
    save_fitted(fitted, tmp_path)
    loaded = load_fitted(tmp_path)
    assert type(loaded) is type(fitted)
    rows = PROTOCOL.predict_new(loaded, panel, RunContext(0, "final"))
    assert rows.equals(PROTOCOL.predict_new(fitted, panel, RunContext(0, "final")))
    assert len(rows) == 3 * panel.n_series
    assert rows["units"].null_count() == 0
    drawn = [each.draws(20, np.random.default_rng(0)) for each in (loaded, fitted)]
    assert np.array_equal(*drawn, equal_nan=True)


def test_demand_follows_the_planned_price(panel, pooled):
    rows = PROTOCOL.predict_new(pooled, panel, RunContext(0, "final"))
    first, second, third = (rows.gather_every(3, offset) for offset in range(3))
    known = pooled.table
    lag = known["lag"].to_numpy()
    # all prices of the first week are a tenth higher; in the second the week before was; the third
    # has today's prices
    own = known["elasticity"].to_numpy() + known["cross"].to_numpy()
    assert np.log(first["units"] / third["units"]).to_numpy() == pytest.approx(
        own * np.log(1.1), abs=1e-9
    )
    assert np.log(second["units"] / third["units"]).to_numpy() == pytest.approx(
        lag * np.log(1.1), abs=1e-9
    )
    assert (rows["units_low"] <= rows["units"]).all()
    assert (rows["units"] <= rows["units_high"]).all()
    highest = panel.table.group_by(SERIES, maintain_order=True).agg(pl.col("price").max())["price"]
    assert first["beyond"].equals((first["price"] > highest).rename("beyond"))


def test_other_cells_and_no_plan_are_refused_in_a_line(panel, pooled):
    context = RunContext(0, "final")
    with pytest.raises(
        DataError,
        match=r"^predict: column 'price' has no value after 2023-10-02; --future FILE plans it\.$",
    ):
        PROTOCOL.predict_new(
            pooled,
            replace(panel, plan=panel.plan.with_columns(price=pl.lit(None, pl.Float64))),
            context,
        )
    fewer = replace(
        panel, table=panel.table.filter(pl.col(SERIES) != panel.series_ids[0]), plan=None
    )
    with pytest.raises(
        DataError, match="is missing; predict needs the cells that the model was fitted to"
    ):
        PROTOCOL.predict_new(pooled, fewer, context)
    other = replace(panel, table=panel.table.with_columns(pl.col(SERIES) + "x"), plan=None)
    with pytest.raises(DataError, match="was not there when the model was fitted"):
        PROTOCOL.predict_new(pooled, other, context)
    with pytest.raises(
        ConfigError,
        match=r"^save_model: protocol '.*' has no model to keep; it must be none, got 'final'\.$",
    ):
        ElasticityEstimate().check_save_model()
