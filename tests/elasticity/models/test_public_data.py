"""Published figures of public data: orange juice, cheese, cereals."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.datasets.cheese import Cheese
from hwds.datasets.nevo import Nevo
from hwds.datasets.online_retail import OnlineRetail
from hwds.datasets.orange_juice import PUBLISHED, OrangeJuice
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.logit_demand import LogitDemand
from hwds.elasticity.models.loglog_ols import LoglogOLS
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def juice():
    return OrangeJuice().load()


def test_orange_juice_has_the_elasticities_of_the_textbook(juice):
    """Taddy, Business Data Science, chapter 2: least squares of log units on log price and
    brand.
    """
    rows = juice.table.filter(pl.col("sku").is_in(PUBLISHED)).drop_nulls("target")
    assert len(rows) == 28_947
    y, price = np.log(rows["target"].to_numpy()), np.log(rows["price"].to_numpy())
    brands = np.column_stack([(rows["sku"] == name).to_numpy() for name in PUBLISHED]).astype(float)

    def slopes(columns):
        design = np.column_stack([columns, brands])
        return np.linalg.lstsq(design, y, rcond=None)[0]

    no_control = np.linalg.lstsq(np.column_stack([price, np.ones(len(y))]), y, rcond=None)[0]
    assert no_control[0] == pytest.approx(-1.60, abs=0.01)
    assert slopes(price[:, None])[0] == pytest.approx(-3.14, abs=0.01)
    assert slopes(brands * price[:, None])[:3] == pytest.approx([-2.71, -3.32, -3.38], abs=0.01)


@pytest.mark.parametrize(("weeks", "change"), [(39, 0.82), (26, 0.82), (16, 0.81)])
def test_few_weeks_of_orange_juice_predict_the_next_price_moves(juice, weeks, change):
    """Published bars: errors of moves of .82 and .81, of levels .58, a correlation of .79, no wrong
    sign.
    """
    experiment = check(
        compose(["+experiment=elasticity_orange_juice", f"protocol.sliding={weeks}"])
    )
    model, protocol = experiment.model, experiment.protocol
    (fold,) = protocol.split(juice)
    rows = protocol.evaluate_cell(
        model, juice, Cell(model.name, fold, 0, fold.units), RunContext(0, fold.name)
    )
    found = {score.metric: score.value for score in protocol.score(rows)}
    assert found["moves"] == 9_045
    assert found["change_null"] == pytest.approx(1.334, abs=0.001)
    assert found["level_rmse"] <= 0.58
    assert found["change_rmse"] <= change
    assert found["change_r"] >= 0.79
    assert found["wrong_sign"] == 0


def test_cheese_accounts_are_shrunk_to_each_other():
    panel = Cheese().load()
    table = Pooled(effects="cell", lagged_price=False).learn(panel, ElasticityContext(0)).table
    assert table["elasticity"].mean() == pytest.approx(-2.14, abs=0.1)
    assert table["elasticity"].max() < 0
    own = (
        LoglogOLS(least_rows=8, controls=True, added=1e-6)
        .learn(panel, ElasticityContext(0))
        .table["elasticity"]
    )
    assert own.mean() == pytest.approx(-2.27, abs=0.01)
    assert (own.min(), own.max()) == pytest.approx((-12.65, 2.86), abs=0.01)


def test_cereals_have_the_published_slope():
    """PyBLP's tutorial on Nevo's cereals: -30.05 with instruments (two-step moments).

    Mean own elasticity -3.71.
    """
    panel = Nevo().load()
    fit = LogitDemand().learn(panel, ElasticityContext(0))
    assert fit.estimates.notes["price_slope"] == pytest.approx(-30.05, abs=0.01)
    assert fit.estimates.notes["price_slope_stderr"] == pytest.approx(1.01, abs=0.02)
    assert fit.table["elasticity"].mean() == pytest.approx(-3.71, abs=0.01)
    plain = LogitDemand(instruments="none").learn(panel, ElasticityContext(0))
    assert plain.table["elasticity"].mean() == pytest.approx(-3.57, abs=0.02)


def test_cereals_have_no_instrument_that_is_only_rounding():
    """All 24 cereals are in every market, so that a nest's size is constant within a product."""
    panel = Nevo().load()
    for nests, strength in (
        ("mushy", (18.4, 15.7)),
        ("firm", (22.4, 16.2)),
        ("sugar", (36.6, 12.9)),
    ):
        fit = LogitDemand(nests=nests).learn(panel, ElasticityContext(0))
        notes = fit.estimates.notes
        assert (notes["first_stage_f"], notes["nesting_first_stage_f"]) == pytest.approx(
            strength, abs=0.05
        )
        assert not fit.table["reason"].str.contains("weak").any()


def test_an_online_shop_has_a_week_for_each_week():
    panel = OnlineRetail(series=200).load()
    assert panel.n_series == 200
    assert panel.table.null_count().row(0) == (0,) * panel.table.width
    assert 0.05 < (panel.target == 0).mean() < 0.6
    table = PPML(common="all").learn(panel, ElasticityContext(0)).table
    assert (
        -4 < table["elasticity"][0] < -1.5
    )  # Roemheld's Poisson model of the same shop by day: -2.88
