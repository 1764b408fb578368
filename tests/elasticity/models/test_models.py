"""Models of demand against a known world: who recovers elasticities, whose intervals hold them, and
what each refuses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.boosted import log_units, tree_features
from hwds.elasticity.design import DemandDesign
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.instruments import DemandRows
from hwds.elasticity.models.dml import DML
from hwds.elasticity.models.iv import IV
from hwds.elasticity.models.logit_demand import LogitDemand
from hwds.elasticity.models.loglog_ols import LoglogOLS
from hwds.elasticity.models.monotone_boosting import MonotoneBoosting
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.evaluation.trees import load_booster
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

SEEDS = 3
WORLD = PriceSales(skus=20, weeks=80)


class World:
    """A simulated panel and its true elasticities."""

    def __init__(self, dataset):
        self.panel = dataset.load()
        known = self.panel.series_ids.to_frame().join(
            dataset.parameters(), "series_id", "left", maintain_order="left"
        )
        self.true = known["elasticity"].to_numpy()

    def learn(self, model):
        return model.learn(self.panel, ElasticityContext(0))


def errors(fits, worlds):
    """Errors of all cells with an answer, and whether intervals hold the truth."""
    found = []
    for fit, world in zip(fits, worlds, strict=True):
        columns = [
            fit.table[name].fill_null(float("nan")).to_numpy()
            for name in ("elasticity", "ci_low", "ci_high")
        ]
        found.append(
            np.stack(
                [columns[0] - world.true, (columns[1] <= world.true) & (world.true <= columns[2])]
            )
        )
    both = np.concatenate(found, axis=1)
    known = np.isfinite(both[0])
    return both[0][known], both[1][known].astype(bool)


@pytest.fixture(scope="module")
def worlds():
    return [World(replace(WORLD, seed=seed)) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def pooled(worlds):
    return [world.learn(Pooled()) for world in worlds]


@pytest.fixture(scope="module")
def textbook(worlds):
    return [world.learn(LoglogOLS()) for world in worlds]


@pytest.fixture(scope="module")
def own(worlds):
    return [world.learn(PPML()) for world in worlds]


def test_the_pooled_model_recovers_all_cells_and_its_intervals_hold_them(
    worlds, pooled, textbook, own
):
    error, inside = errors(pooled, worlds)
    assert len(error) == SEEDS * 80
    assert np.sqrt(np.mean(error**2)) < 0.62
    assert abs(error.mean()) < 0.25
    assert inside.mean() >= 0.9
    for rival in (textbook, own):
        assert np.sqrt(np.mean(errors(rival, worlds)[0] ** 2)) > 1.4 * np.sqrt(np.mean(error**2))
    assert all((fit.table["elasticity"] < 0).all() for fit in pooled)


def test_the_textbook_leaves_cells_out_in_words_and_is_pulled_towards_zero(worlds, textbook):
    error, _ = errors(textbook, worlds)
    assert error.mean() > 0.25
    table = textbook[0].table
    silent = table.filter(pl.col("elasticity").is_null())
    assert 0.3 < len(silent) / len(table) < 0.7
    assert silent["reason"].str.contains("rows, at least 30 are asked for").all()
    assert (
        silent.select("stderr", "ci_low", "ci_high", "weight_own").null_count().row(0)
        == (len(silent),) * 4
    )


def test_the_textbook_by_product_is_least_squares_with_a_dummy_for_each_cell(worlds):
    world = worlds[0]
    design = world.learn(LoglogOLS(controls=True)).design
    model = LoglogOLS(
        common="sku", controls=True, substitutes_price=True, least_rows=8, cluster="cell"
    )
    fit = world.learn(model)
    product = fit.table["sku"][0]
    own = (fit.table["sku"] == product).to_numpy()[fit.design.cell] & fit.design.used
    dummies = (fit.design.cell[own][:, None] == np.unique(fit.design.cell[own])).astype(float)
    columns = np.column_stack([fit.design.log_price[own], fit.design.x[own], dummies])
    beta = np.linalg.lstsq(columns, np.log1p(fit.design.units[own]))[0]
    rows = fit.table.filter(sku=product)
    assert rows["elasticity"].to_numpy() == pytest.approx(np.full(len(rows), beta[0]))
    m = fit.design.x.shape[1]
    assert m > design.x.shape[1]
    known = fit.estimates
    assert known.theta + known.own_theta[0] == pytest.approx(beta[1 : 1 + m])
    few = world.learn(replace(model, least_rows=100_000)).table
    assert few["elasticity"].null_count() == len(few)
    assert few["reason"].str.contains("rows, at least 100000 are asked for").all()


def test_an_effect_that_one_week_tells_has_no_part_in_the_mean_of_products(worlds):
    panel, model = worlds[0].panel, LoglogOLS(common="sku", controls=True)
    product, week = panel.table["sku"][0], panel.table["time"].unique().sort()[40]
    once = (
        pl.when(sku=product)
        .then((pl.col("time") == week).cast(pl.Float64))
        .otherwise("promotion")
        .alias("promotion")
    )
    tables = panel.table.with_columns(once), panel.table.filter(pl.col("sku") != product)
    whole, others = (
        model.learn(replace(panel, table=table), ElasticityContext(0)).effects for table in tables
    )
    assert whole["name"].to_list() == others["name"].to_list() == ["promotion"]
    assert whole.row(0)[1:] == pytest.approx(others.row(0)[1:])


def test_shared_slopes_are_those_of_the_law(pooled):
    effects = pl.concat([fit.effects for fit in pooled])
    for name, true in (("lagged_price", 0.2), ("substitutes_price", 0.25), ("promotion", 0.3)):
        rows = effects.filter(pl.col("name") == name)
        assert rows["value"].mean() == pytest.approx(
            true, abs=3 * rows["stderr"].mean() / np.sqrt(SEEDS)
        )


def test_the_posterior_is_joint(pooled):
    fit = pooled[0]
    assert fit.estimates.covariance.shape == (80, 80)
    drawn = fit.draws(4000, np.random.default_rng(0))
    assert drawn.mean(axis=0) == pytest.approx(fit.table["elasticity"].to_numpy(), abs=0.07)
    assert np.cov(drawn.T) == pytest.approx(fit.estimates.covariance, abs=0.04)
    same = fit.table["channel"].to_numpy()[:, None] == fit.table["channel"].to_numpy()
    np.fill_diagonal(same, False)
    assert fit.estimates.covariance[same].mean() > 0.01
    assert fit.table["weight_own"].is_between(0, 1).all()


def test_the_effects_of_todays_price_and_the_one_before_are_told_apart_by_the_same_moves(pooled):
    fit = pooled[0]
    own, shared = fit.joint_draws(4000, np.random.default_rng(0))
    assert own == pytest.approx(fit.draws(4000, np.random.default_rng(0)))
    lag = shared[:, fit.design.columns.index("lagged_price")]
    assert lag.mean() == pytest.approx(fit.table["lag"][0], abs=0.01)
    assert lag.std() == pytest.approx(fit.table["lag_stderr"][0], rel=0.05)
    assert np.corrcoef(own.mean(axis=1), lag)[0, 1] < -0.6
    known = fit.estimates
    expected = known.shared_covariance[:, fit.design.columns.index("lagged_price")]
    assert np.cov(own.T, lag)[:-1, -1] == pytest.approx(expected, abs=0.01)
    both = np.block(
        [
            [known.covariance, known.shared_covariance],
            [known.shared_covariance.T, known.theta_covariance],
        ]
    )
    assert np.linalg.eigvalsh(both)[0] > -1e-9


def test_demand_follows_from_prices(worlds, pooled):
    fit, panel = pooled[0], worlds[0].panel
    dear = replace(panel, table=panel.table.with_columns(pl.col("price") * 1.1))
    change = fit.log_demand(dear) - fit.log_demand(panel)
    cell = fit.design.cell
    lag, cross = fit.table["lag"].to_numpy()[cell], fit.table["cross"].to_numpy()[cell]
    expected = fit.table["elasticity"].to_numpy()[cell] + lag + cross
    last = panel.offsets[1:] - 1  # all substitutes are on sale
    assert change[last] == pytest.approx(expected[last] * np.log(1.1), abs=1e-6)


def test_one_slope_for_all_has_clustered_errors_and_an_interval_that_holds_the_mean(worlds):
    inside = 0
    for world in worlds:
        table = world.learn(PPML(common="all")).table
        assert table["elasticity"].n_unique() == 1
        inside += table["ci_low"][0] <= world.true.mean() <= table["ci_high"][0]
    assert inside >= SEEDS - 1
    few = worlds[0].learn(PPML(common="channel", cluster="sku"))
    assert few.estimates.method == "wild cluster bootstrap, 20 clusters"
    assert (
        few.table.group_by("channel").agg(pl.col("elasticity").n_unique())["elasticity"].to_list()
        == [1] * 4
    )
    assert (few.table["ci_low"] < few.table["elasticity"]).all()
    two = worlds[0].learn(PPML(common="all", cluster="sku", second_cluster="period"))
    assert two.table["stderr"][0] > 0


def test_instruments_save_what_prices_that_answer_demand_spoil():
    dataset = PriceSales(skus=20, weeks=80, endogeneity=0.5, pass_through=0.9)
    worlds = [World(replace(dataset, seed=seed)) for seed in range(2)]
    fits = [world.learn(IV()) for world in worlds]
    error, inside = errors(fits, worlds)
    wrong, outside = errors([world.learn(Pooled()) for world in worlds], worlds)
    assert abs(error.mean()) < 0.5 < wrong.mean()
    assert inside.mean() > 0.85
    assert outside.mean() < 0.2
    for fit, world in zip(fits, worlds, strict=True):
        notes = fit.estimates.notes
        assert notes["first_stage_f"] > 100
        assert notes["price_residual_t"] > 4
        assert (
            notes["anderson_rubin_low"] - 0.3
            < world.true.mean()
            < notes["anderson_rubin_high"] + 0.3
        )


def test_the_lagged_price_is_instrumented_if_shocks_last():
    """Demand shocks that last move last week's price, too: taken as it is, it takes up what belongs
    to today's price, and its own effect has the wrong sign.
    """
    dataset = PriceSales(
        skus=20, weeks=80, endogeneity=0.5, pass_through=0.9, shock_persistence=0.8, pull_forward=0
    )
    world = World(dataset)
    fit = world.learn(IV())
    notes = fit.estimates.notes
    assert abs(notes["common_elasticity"] - world.true.mean()) < 2 * notes["common_stderr"]
    assert notes["anderson_rubin_low"] < world.true.mean() < notes["anderson_rubin_high"]
    _error, inside = errors([fit], [world])
    assert inside.mean() > 0.9
    lag, stderr = fit.table.row(0, named=True)["lag"], fit.table["lag_stderr"][0]
    assert abs(lag) < 2 * stderr
    assert stderr > 0.2
    design = DemandDesign.of(world.panel, IV().terms)
    rows = IV().rows(design)
    price = rows.endogenous[:, :1]
    as_it_is = replace(rows, endogenous=price, x=np.column_stack([rows.x, rows.endogenous[:, 1]]))
    wrong, _ = as_it_is.control_function(as_it_is.residuals())
    assert wrong.beta[0] < world.true.mean() - 2 * wrong.stderr[0]


def test_the_errors_of_a_control_function_have_that_of_the_first_stage():
    """The deviation of the common elasticity over worlds of one truth is its mean error; a second
    stage that takes residuals as known says less.
    """
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cell, n = np.repeat(np.arange(20), 40), 800
        cost, shock = 0.1 * rng.standard_normal(n), 0.4 * rng.standard_normal(n)
        price = cost + 0.4 * shock
        units = rng.poisson(np.exp(3 - 2 * price + shock)).astype(float)
        none = np.zeros((n, 0))
        rows = DemandRows(
            units, price[:, None], cost[:, None], none, cell, None, (np.arange(n), cell)
        )
        known, within = rows.control_function(rows.residuals())
        found.append((known.beta[0], known.stderr[0], within[0, 0] ** 0.5))
    slopes, stderr, naive = np.array(found).T
    assert slopes.mean() == pytest.approx(-2, abs=0.05)
    assert stderr.mean() == pytest.approx(slopes.std(), rel=0.25)
    assert naive.mean() < 0.6 * slopes.std()


def test_weak_instruments_are_said_and_none_are_refused(worlds):
    panel = worlds[0].panel
    rng = np.random.default_rng(0)
    noise = pl.Series("noise", rng.standard_normal(len(panel.table)))
    roles = Roles(
        {
            **panel.roles.without("cost"),
            "known_future": ("price", "promotion", "noise"),
            "instrument": ("noise",),
        }
    )
    weak = replace(panel, table=panel.table.with_columns(noise), roles=roles)
    fit = IV().learn(weak, ElasticityContext(0))
    assert fit.estimates.notes["first_stage_f"] < 10
    assert (fit.table["status"] != "identified").all()
    assert (
        fit.estimates.notes["anderson_rubin_low"] == -np.inf
        or fit.estimates.notes["anderson_rubin_high"] == np.inf
    )
    bare = replace(panel, roles=panel.roles.without("cost"))
    with pytest.raises(DataError, match="cost or instrument must be given"):
        IV().learn(bare, ElasticityContext(0))


def test_logit_demand_is_that_of_shares():
    """Units drawn from a logit law: own elasticities are a price (1 - share), cross ones the same
    for all rivals.
    """
    rng = np.random.default_rng(1)
    channels, products, periods, slope = 4, 3, 60, -0.05
    rows = []
    for channel in range(channels):
        for period in range(periods):
            price = 40 + 8 * rng.standard_normal(products)
            utility = np.array([0.5, 1.0, 1.5]) + slope * price
            odds = np.exp(utility)
            share = odds / (1 + odds.sum())
            for product in range(products):
                rows.append((f"p{product}", f"c{channel}", period, share[product], price[product]))
    table = pl.DataFrame(rows, schema=["sku", "channel", "week", "share", "price"], orient="row")
    panel = Panel.of(
        table,
        series=["sku", "channel"],
        time="week",
        target="share",
        frequency="1i",
        known_future="price",
        static=("sku", "channel"),
        price="price",
    )
    fit = LogitDemand().learn(panel, ElasticityContext(0))
    assert fit.estimates.notes["price_slope"] == pytest.approx(slope, rel=1e-6)
    last = table.filter(pl.col("week") == periods - 1).sort("sku", "channel")
    own = slope * last["price"].to_numpy() * (1 - last["share"].to_numpy())
    assert fit.table["elasticity"].to_numpy() == pytest.approx(own)
    part = (last["price"] * last["share"]).to_numpy()
    total = (
        last.with_columns(part=part).select(pl.col("part").sum().over("channel"))["part"].to_numpy()
    )
    assert fit.table["cross"].to_numpy() == pytest.approx(-slope * (total - part))
    assert (fit.table["status"] == "identified").all()


def test_trees_leave_a_slope_near_the_truth(worlds):
    distance = []
    for world in worlds:
        fit = world.learn(DML(trees=60))
        assert 0.2 < fit.estimates.notes["residual_share"] < 0.9
        assert fit.table["elasticity"].n_unique() == 1
        distance.append((fit.table["elasticity"][0] - world.true.mean()) / fit.table["stderr"][0])
    assert abs(np.mean(distance)) < 2
    with pytest.raises(DataError, match="50 folds are too many for 79 periods"):
        worlds[0].learn(DML(folds=50))


def test_a_higher_price_never_sells_more(worlds):
    world = worlds[0]
    fit = world.learn(MonotoneBoosting(trees=60, fits=3))
    assert (fit.table["elasticity"].drop_nulls() <= 0).all()
    assert np.corrcoef(fit.table["elasticity"].to_numpy(), world.true)[0, 1] > 0
    bare = replace(world.panel, table=world.panel.table)
    demand = []
    for factor in (0.8, 0.9, 1.0, 1.1, 1.2):
        dearer = replace(bare, table=bare.table.with_columns(pl.col("price") * factor))
        design = fit.design
        price = np.nan_to_num(design.log_price) + np.log(factor)
        demand.append(
            log_units(
                load_booster(fit.boosters[0], 1),
                tree_features(design),
                price,
                fit.margin[design.cell],
            )
        )
        assert np.isfinite(fit.log_demand(dearer)).all()
    assert (np.diff(demand, axis=0) <= 1e-6).all()
    assert np.std(demand[0] - demand[-1]) > 0
