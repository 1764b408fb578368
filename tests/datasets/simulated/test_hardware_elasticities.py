"""The true elasticities of simulated devices: own, of other generations' prices, of the month
before.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.datasets.simulated.hardware_demand import HardwareDemand
from hwds.datasets.simulated.worlds.hardware import demand_law, price_effects
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.protocols.elasticity_recovery import ElasticityRecovery
from hwds.evaluation.protocol import Cell, RunContext
from tests.datasets.simulated.test_demand_truth import CONTEXT, CUTOFF

WORLD = HardwareDemand(
    families=4, channels=3, months=84, cross=0.6, pull_forward=0.4, noise=0.06, drift=0.03
)


@pytest.fixture(scope="module")
def panel():
    return WORLD.load()


def test_prices_of_others_and_of_the_month_before_move_demand_as_the_law_says(panel):
    """The same draws without these effects: the logs of units differ by the effects alone."""
    plain = replace(WORLD, cross=0.0, pull_forward=0.0).load()
    known = panel.table.join(price_effects(WORLD), ["series_id", "time"], maintain_order="left")
    difference = np.log(panel.target / plain.target)
    big = np.minimum(panel.target, plain.target) > 500
    assert big.mean() > 0.5
    assert difference[big] == pytest.approx(known["effect"].to_numpy()[big], abs=0.003)
    offers, _ = demand_law(WORLD)
    own = panel.table.join(
        offers.select("series_id", "street_price"), "series_id", maintain_order="left"
    )
    own = own.with_columns(x=(pl.col("price") / pl.col("street_price")).log())
    row = own.filter(pl.col("series_id") == "phone-2.retail").row(5, named=True)
    same = (
        (pl.col("family") == row["family"])
        & (pl.col("channel") == row["channel"])
        & (pl.col("time") == row["time"])
    )
    others = own.filter(same & (pl.col("series_id") != row["series_id"]))["x"].mean()
    before = own.filter(pl.col("series_id") == row["series_id"])["x"][4]
    effect = price_effects(WORLD).filter(
        (pl.col("series_id") == row["series_id"]) & (pl.col("time") == row["time"])
    )["effect"][0]
    assert effect == pytest.approx(0.6 * (others or 0.0) + 0.4 * before)


def test_the_truth_has_the_elasticity_of_every_series(panel):
    fit = WORLD.truth("elasticity").learn(panel, ElasticityContext(0))
    known = panel.series_ids.to_frame().join(
        WORLD.parameters(), "series_id", "left", maintain_order="left"
    )
    assert fit.table["elasticity"].to_list() == known["elasticity"].to_list()
    assert set(fit.table["lag"]) == {0.4}
    assert set(fit.table["cross"]) == {0.6, 0.0} or set(fit.table["cross"]) == {0.6}
    assert WORLD.truth("bandit") is None


def test_a_model_of_demand_is_held_against_it(panel):
    protocol = ElasticityRecovery(draws=20)
    (fold,) = protocol.split(panel)
    models = {"pooled": Pooled(), "truth": WORLD.truth("elasticity")}
    rows = {
        name: protocol.evaluate_cell(
            model, panel, Cell(name, fold, 0, fold.units), RunContext(0, fold.name)
        )
        for name, model in models.items()
    }
    scores = {
        (label, score.metric): score.value
        for label, score in protocol.contrasts(rows)
        if score.segment is None
    }
    assert scores["truth", "elasticity_rmse"] == 0
    assert abs(scores["pooled", "elasticity_bias"]) < 0.2
    table = rows["pooled"]
    assert table["lag"][0] == pytest.approx(0.4, abs=3 * table["lag_stderr"][0])


def test_forecasts_of_the_truth_know_these_effects(cut):
    """Half of what is sold lies below the median, which a truth that left strong effects out would
    miss by far.
    """
    world = HardwareDemand(families=8, cross=1.5, pull_forward=1.0, noise=0.02, drift=0.01)
    history, future, actual = cut(world.load(), CUTOFF)
    answer = (
        world.truth("forecast").learn(history, horizon=12, context=CONTEXT).predict(history, future)
    )
    without = replace(world, cross=0.0, pull_forward=0.0).truth("forecast")
    wrong = without.learn(history, horizon=12, context=CONTEXT).predict(history, future)
    middle = CONTEXT.levels.index(0.5)
    error, missed = (
        np.abs(np.log(actual / each.quantiles[..., middle]))[:, 0] for each in (answer, wrong)
    )
    assert np.median(error) < 0.04 < np.median(missed)
