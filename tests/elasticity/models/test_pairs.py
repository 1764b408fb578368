"""Cross elasticities of pairs of substitutes against a world in which nearer generations take
more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.design import MOST_PAIRS, substitute_places
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.report import cross_grids
from hwds.elasticity.rows import cell_rows, demand_estimates_of
from hwds.results.tables import TRUTH, Tables

WORLD = PriceSales(
    skus=10,
    channels=3,
    weeks=80,
    shortest=80,
    units=200,
    dispersion=500,
    nearness=1.5,
    cannibalisation=0.8,
    shared_noise=0.02,
)


@pytest.fixture(scope="module")
def panel():
    return WORLD.load()


@pytest.fixture(scope="module")
def fit(panel):
    return Pooled(cross="pairs").learn(panel, ElasticityContext(0))


@pytest.fixture(scope="module")
def true(fit):
    names = WORLD.cells().table["series_id"].to_list()
    place = [names.index(name) for name in fit.table["series_id"]]
    return WORLD.cross()[np.ix_(place, place)]


@pytest.fixture(scope="module")
def rows(fit, panel):
    truth = WORLD.truth("elasticity").learn(panel, ElasticityContext(0))
    parts = {
        "pairs": cell_rows(fit, panel, 200, np.random.default_rng(0)),
        TRUTH: cell_rows(truth, panel, 0, None),
    }
    return pl.concat(
        [part.with_columns(pl.lit(name).alias("model")) for name, part in parts.items()],
        how="diagonal",
    )


def test_pairs_are_told_apart_where_the_data_do_and_their_intervals_hold_the_truth(fit, true):
    pairs = fit.estimates.pairs
    known = true[pairs.rows, pairs.columns]
    error = pairs.value - known
    common = fit.effects.filter(pl.col("name") == "substitutes_price")["value"][0] / 4
    assert len(error) == 120
    assert np.sqrt(np.mean(error**2)) < 0.4 * np.sqrt(np.mean((common - known) ** 2))
    assert 0.85 < np.mean(np.abs(error) < 1.96 * pairs.stderr) <= 1
    assert fit.table["cross"].mean() == pytest.approx(0.8, abs=0.25)
    assert "substitute_1" not in fit.effects["name"].to_list()


def test_a_product_answers_to_another_alike_in_all_channels(fit):
    pairs, sku = fit.estimates.pairs, fit.table["sku"].to_numpy()
    rows = pl.DataFrame(
        {"row": sku[pairs.rows], "column": sku[pairs.columns], "value": pairs.value}
    )
    within = rows.group_by("row", "column").agg(pl.col("value").std())["value"].mean()
    assert rows.group_by("row", "column").len()["len"].to_list() == [3] * 40
    assert within < 0.2 * rows["value"].std()
    assert fit.estimates.notes["sd_cross_product"] > 3 * fit.estimates.notes["sd_cross_pair"]


def test_shocks_that_a_products_cells_share_make_its_pairs_less_sure():
    fits = [
        Pooled(cross="pairs")
        .learn(replace(WORLD, shared_noise=sd).load(), ElasticityContext(0))
        .estimates
        for sd in (0, 0.6)
    ]
    quiet, shaken = (fit.pairs for fit in fits)
    assert shaken.stderr.mean() > 1.5 * quiet.stderr.mean()
    assert shaken.value.std() < quiet.value.std()


def test_demand_answers_to_one_substitutes_price_as_the_pair_says(fit, panel):
    pairs = fit.estimates.pairs
    row, column = pairs.rows[1], pairs.columns[1]
    name = fit.table["series_id"][int(column)]
    dearer = (
        pl.when(pl.col("series_id") == name).then(pl.col("price") * 1.1).otherwise(pl.col("price"))
    )
    moved = replace(panel, table=panel.table.with_columns(dearer.alias("price")))
    last = panel.offsets[1:] - 1
    change = (fit.log_demand(moved) - fit.log_demand(panel))[last]
    assert change[row] == pytest.approx(pairs.value[1] * np.log(1.1), rel=1e-6)
    family = fit.table["family"].to_numpy()
    assert not change[family != family[column]].any()


def test_decisions_read_the_matrix_and_its_errors(fit, rows, panel, true):
    evidence = demand_estimates_of(rows, panel, "pairs")
    pairs = fit.estimates.pairs
    assert evidence.cross[pairs.rows, pairs.columns] == pytest.approx(pairs.value)
    assert evidence.truth.elasticities[pairs.rows, pairs.columns] == pytest.approx(
        true[pairs.rows, pairs.columns]
    )
    drawn = evidence.sample(200, np.random.default_rng(0)).cross
    place = {tuple(pair): number for number, pair in enumerate(evidence.pairs.tolist())}
    stderr = [drawn[:, place[pair]].std() for pair in zip(pairs.rows, pairs.columns, strict=True)]
    assert np.mean(stderr / pairs.stderr) == pytest.approx(1, abs=0.05)


def test_draws_of_a_cells_cross_elasticity_are_around_its_own(fit, panel):
    """Its pairs' deviations and their own errors are in its draws.

    Decisions read the part that all cells share.
    """
    rows = cell_rows(fit, panel, 2000, np.random.default_rng(1)).with_columns(
        pl.lit("pairs").alias("model")
    )
    drawn = np.stack(rows["cross_draws"].to_list())
    error = rows["cross_stderr"].to_numpy()
    assert np.abs(drawn.mean(axis=1) - rows["cross"].to_numpy()).max() < 0.12 * error.max()
    assert drawn.std(axis=1) / error == pytest.approx(np.ones(len(rows)), abs=0.08)
    common = np.array(rows["cross_common_draws"][0].to_list())
    taken = demand_estimates_of(rows, panel, "pairs").draws_cross
    assert taken == pytest.approx((common - common.mean()) / common.std())
    shared, own = fit.estimates.pairs.total_errors(len(rows))
    together = shared.sum() / np.hypot(shared.sum(), np.sqrt(np.sum(own**2)))
    assert np.corrcoef(drawn.mean(axis=0), taken)[0, 1] == pytest.approx(together, abs=0.05)


def test_the_report_has_a_line_a_family_and_the_strongest_pairs(rows):
    empty = pl.DataFrame()
    families, strongest = cross_grids(Tables(empty, rows, empty), "pairs")
    assert len(families) == 2
    assert families.markdown().count(" of 30 |") == 2
    assert len(strongest) == 12
    assert not list(cross_grids(Tables(empty, rows, empty), "none"))


def test_the_price_of_each_substitute_adds_up_to_their_mean(fit):
    design = fit.design
    mean = design.x[:, design.columns.index("substitutes_price")]
    each = [place for place, name in enumerate(design.columns) if name.startswith("substitute_")]
    assert design.x[:, each].sum(axis=1) == pytest.approx(mean)


def test_too_many_substitutes_are_refused_in_one_line():
    with pytest.raises(
        DataError,
        match=r"^model\.cross: pairs is for at most 40 substitutes of a cell, got 49; name",
    ):
        substitute_places(np.zeros(MOST_PAIRS + 10, int))
    assert substitute_places(np.array([-1, 0, 0, -1, 0])).tolist() == [
        [-1, -1],
        [2, 4],
        [1, 4],
        [-1, -1],
        [1, 2],
    ]
