"""The network of demand: no path on which a higher price sells more, heads that see nothing of each
other, honest errors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.serialization import load_fitted, save_fitted
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.design import DemandDesign, identify
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.base import RECENT_ROWS
from hwds.elasticity.models.network import Network, demand_without_price, pooled_opinion
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.networks import (
    DemandShape,
    HeldOutPredictions,
    OutputColumns,
    PriceScaling,
    RelativePrices,
    demand_examples,
    held_out_error,
)
from hwds.evaluation.networks import initial_weights, on_device, predict_network

MODEL = Network(epochs=3, seeds=2, folds=2, least_steps=10, steps=3)
SHAPE = DemandShape(3, 4, (7, 3, 2), 8, 0.1)
"""The shape of the model's networks in the world below: one graph for all tests."""

SCALING = PriceScaling(3, 0.1, 0.1, -1.0, -1.0, 0.1, 0.1)


@pytest.fixture(scope="module")
def world():
    dataset = PriceSales(skus=7, channels=3, weeks=40)
    panel = dataset.load()
    known = panel.series_ids.to_frame().join(
        dataset.parameters(), "series_id", "left", maintain_order="left"
    )
    return panel, known["elasticity"].to_numpy()


@pytest.fixture(scope="module")
def fit(world):
    return MODEL.learn(world[0], ElasticityContext(0))


def random_inputs(rng, n):
    """Inputs of any size, and codes that there are."""
    history, market = rng.normal(0, 3, (n, 3, 4)), rng.normal(0, 3, (n, 2))
    codes = np.stack([rng.integers(0, many, n) for many in SHAPE.many], axis=1)
    constants = np.column_stack(
        [rng.normal(0, 2, n), rng.normal(-1, 2, n), rng.normal(-1, 1, n), np.full(n, 0.1)]
    )
    parts = (history, market, codes, rng.normal(0, 3, (n, 1)), constants)
    return [part.astype(np.int32 if part is codes else np.float32) for part in parts]


def random_weights(rng, size):
    """Weights that no training has made."""
    return [
        (size * rng.standard_normal(part.shape)).astype(np.float32)
        for part in initial_weights(SHAPE, 0)
    ]


def asked(weights, inputs):
    with on_device("cpu", 1):
        return OutputColumns(*predict_network(SHAPE, weights, inputs).T.astype(np.float64))


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_no_weights_and_no_inputs_make_demand_rise_with_the_price(size):
    rng = np.random.default_rng(int(10 * size))
    for _ in range(5):
        weights, inputs = random_weights(rng, size), random_inputs(rng, 200)
        prices = np.sort(rng.normal(0, 4, 5))
        answers = []
        for price in prices:
            inputs[3][:] = price
            answers.append(asked(weights, inputs))
        means = np.array([answer.log_mean for answer in answers])
        assert all((answer.slope <= 0).all() for answer in answers)
        assert (np.diff(means, axis=0) <= 1e-5 * (1 + np.abs(means[1:]))).all()
        assert np.isfinite(means).all()


def test_the_slope_is_the_gradient_of_the_demand():
    rng = np.random.default_rng(1)
    weights, inputs = random_weights(rng, 0.5), random_inputs(rng, 200)
    middle, step = asked(weights, inputs), 0.05
    inputs[3] = inputs[3] - np.float32(step)
    low = asked(weights, inputs)
    inputs[3] = inputs[3] + np.float32(2 * step)
    high = asked(weights, inputs)
    numeric = (high.log_mean - low.log_mean) / (2 * step)
    assert middle.slope == pytest.approx(numeric, abs=2e-3 * (1 + np.abs(middle.slope).max()))
    assert middle.slope.std() > 0.01


def test_what_one_head_says_is_no_input_of_another():
    rng = np.random.default_rng(2)
    weights, inputs = random_weights(rng, 1.0), random_inputs(rng, 100)
    before = asked(weights, inputs)
    market = [*inputs]
    market[1] = inputs[1] + np.float32(1)
    priced = [*inputs]
    priced[3], priced[4] = inputs[3] + np.float32(1), inputs[4] + np.float32(1)
    other, dear = asked(weights, market), asked(weights, priced)
    assert np.array_equal(before.log_mean, other.log_mean)
    assert np.array_equal(before.slope, other.slope)
    assert not np.isclose(before.gap, other.gap).all()
    for head in ("gap", "risk"):
        assert np.array_equal(getattr(before, head), getattr(dear, head))
    assert not np.isclose(before.log_mean, dear.log_mean).all()


def test_inputs_hold_no_units_and_nothing_of_later_periods(world):
    panel, _ = world
    design = DemandDesign.of(panel, MODEL.terms)
    base = np.zeros(len(design.cell))
    before = demand_examples(design, base, SCALING)
    sold = demand_examples(replace(design, units=design.units + 7), base, SCALING)
    assert all(np.array_equal(a, b) for a, b in zip(before.inputs, sold.inputs, strict=True))
    assert np.array_equal(before.target[:, 1:], sold.target[:, 1:], equal_nan=True)
    cut = 30
    later = design.period > cut
    dear = replace(design, log_price=design.log_price + np.where(later, 0.3, 0.0))
    moved = demand_examples(dear, base, SCALING)
    for a, b in zip(before.inputs, moved.inputs, strict=True):
        assert np.array_equal(a[~later], b[~later])
    same = design.period < cut
    assert np.array_equal(before.target[same], moved.target[same], equal_nan=True)
    now = (design.period == cut) & np.isfinite(before.target[:, 1])
    alone = replace(
        design,
        log_price=design.log_price
        + np.where(later & (design.cell == design.cell[now][0]), 0.3, 0.0),
    )
    assert not np.array_equal(
        before.target[now, 1], demand_examples(alone, base, SCALING).target[now, 1]
    )


def test_gaps_are_those_to_the_other_channels_of_the_product(world):
    panel, _ = world
    design = DemandDesign.of(panel, MODEL.terms)
    market, code = RelativePrices.of(design), design.codes("sku")
    logs = np.full(market.gap.shape, np.nan)
    logs[design.cell, design.period] = np.log(design.price)
    cell, period = 4, design.periods - 1
    others = [other for other in np.flatnonzero(code == code[cell]) if other != cell]
    assert market.gap[cell, period] == pytest.approx(
        logs[cell, period] - np.nanmean(logs[others, period])
    )
    assert market.excess[cell, period] == pytest.approx(
        logs[cell, period] - np.nanmin(logs[others, period])
    )
    history = demand_examples(design, np.zeros(len(design.cell)), SCALING).inputs.history
    row = int(np.flatnonzero((design.cell == cell) & (design.period == period))[0])
    assert history[row, :, 0] == pytest.approx(
        design.log_price[row - 3 : row] / SCALING.price, rel=1e-5
    )


def test_every_cell_has_an_answer_that_is_not_above_zero_and_demand_follows_it(world, fit):
    panel, _ = world
    assert (fit.table["elasticity"] < 0).all()
    assert (fit.table["stderr"] > 0.1).all()
    dear = replace(panel, table=panel.table.with_columns(pl.col("price") * 1.001))
    change = (fit.log_demand(dear) - fit.log_demand(panel)) / np.log(1.001)
    cell, design = fit.design.cell, fit.design
    others = fit.table["lag"].to_numpy()[cell] + fit.table["cross"].to_numpy()[cell]
    last = panel.offsets[1:] - 1
    own = fit.table["elasticity"].to_numpy()[cell]
    assert change[last] - others[last] == pytest.approx(own[last], abs=0.25)
    expected, sold = np.exp(fit.log_demand(panel)), panel.target
    recent = design.used & (design.period >= design.periods - 20)
    assert expected[recent].sum() == pytest.approx(sold[recent].sum(), rel=0.15)
    assert fit.outlook["arbitrage_risk"].is_between(0, 1).all()


def test_demand_at_the_last_prices_is_what_each_cell_sold(world, fit):
    """The level is where expected units add up to the sold ones in the last rows of every cell."""
    design, expected = fit.design, np.exp(fit.log_demand(world[0]))
    for cell in range(len(design)):
        rows = np.flatnonzero(design.used & (design.cell == cell))[-RECENT_ROWS:]
        assert expected[rows].sum() == pytest.approx(design.units[rows].sum(), rel=1e-4), cell
    assert np.abs(fit.estimates.other_effects(design.x, design.cell)[design.used]).max() > 0.1


def test_the_same_seed_has_the_same_bits(world, fit):
    again = MODEL.learn(world[0], ElasticityContext(0))
    assert again.table.equals(fit.table)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(again.networks.weights, fit.networks.weights, strict=True)
    )


def test_a_network_that_was_saved_expects_the_same_demand(world, fit, tmp_path):
    save_fitted(fit, tmp_path)
    loaded = load_fitted(tmp_path)
    assert np.array_equal(loaded.log_demand(world[0]), fit.log_demand(world[0]))
    assert loaded.outlook.equals(fit.outlook)


def test_an_answer_that_the_pooled_interval_excludes_is_flagged(world):
    design = DemandDesign.of(world[0], MODEL.terms)
    identification = identify(design, by_period=True)
    beside = Pooled().estimate(design, identification, ElasticityContext(0))
    agreeing = pooled_opinion(beside, beside, identification)
    assert agreeing.notes["outside_pooled"] == 0
    assert agreeing.statuses == list(
        zip(identification["status"], identification["reason"], strict=True)
    )
    slopes = beside.slopes.copy()
    slopes[3] -= 4 * beside.stderr[3]
    one = pooled_opinion(
        replace(beside, slopes=slopes),
        beside,
        identification.with_columns(status=pl.lit("identified")),
    )
    assert one.statuses[3][0] == "weak"
    assert "the interval of elasticity/pooled" in one.statuses[3][1]
    assert [status for status, _ in one.statuses].count("weak") == 1
    assert one.doubt == ""
    all_of_them = pooled_opinion(replace(beside, slopes=beside.slopes + 3), beside, identification)
    assert "standard errors from that of elasticity/pooled" in all_of_them.doubt


def test_what_is_missed_is_told_by_rows_that_were_held_out():
    totals, real = [], []
    for seed in range(3):
        dataset = PriceSales(skus=25, weeks=100, seed=seed, shared_noise=0.0)
        panel = dataset.load()
        design = DemandDesign.of(panel, MODEL.terms)
        known = Pooled().estimate(design, identify(design, by_period=True), ElasticityContext(0))
        parameters = panel.series_ids.to_frame().join(
            dataset.parameters(), "series_id", "left", maintain_order="left"
        )
        true = parameters["elasticity"].to_numpy()
        rows = np.flatnonzero(design.used)
        price, cell = design.log_price[rows], design.cell[rows]
        base = demand_without_price(design, replace(known, slopes=true), by_period=True)[rows]
        fold = np.random.default_rng(seed).integers(0, 2, len(rows))
        for slopes in (np.full(len(true), true.mean()), true):
            answer = OutputColumns(base + slopes[cell] * price, *np.zeros((5, len(rows))))
            lacks = held_out_error(
                design,
                HeldOutPredictions(answer, fold),
                known.notes["overdispersion"],
                0.0,
                by_period=True,
            )
            totals.append(float(np.sqrt(np.diag(lacks.covariance)).mean()))
            real.append(float(np.sqrt(np.mean((slopes - true) ** 2))))
    common, exact = np.array(totals).reshape(3, 2).T
    assert 0.9 < common.mean() / np.mean(real[::2]) < 1.6  # few groups: rather more than there is
    assert exact.mean() < 0.75 * common.mean()
