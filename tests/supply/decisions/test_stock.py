"""`decision=stock` from forecasts: the joint law of the steps, the record of held-out windows, and
refusals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from hwds.core.errors import ConfigError
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.roles import Roles
from hwds.report.verdict import draw_verdict, store_verdict, verdict_markdown
from hwds.results.folder import RunFolder
from hwds.supply.decisions.stock import Stock

from .volume_worlds import LEVEL, Demand, autoregressions, panel_of, psi_sums, run, told

PHI = 0.6
PROTOCOL = WalkForward(windows=4)
STOCK = Stock(name="stock", whole=False, lead=1, draws=250)


@pytest.fixture(scope="module")
def world():
    panel = panel_of(LEVEL + autoregressions(40, 60, PHI, seed=5))
    own, naive = (
        run(panel, each, PROTOCOL, label)
        for each, label in ((Demand(phi=PHI), "own"), (SeasonalNaive(), "naive"))
    )
    return panel, replace(
        own, predictions=pl.concat([own.predictions, naive.predictions], how="diagonal")
    )


def test_steps_are_coupled_by_past_errors_and_cost_what_the_joint_law_says(world):
    panel, tables = world
    verdict = told(tables, panel, PROTOCOL, STOCK)
    assert verdict.levels["source"].unique().to_list() == ["errors"]
    deviation = np.sqrt((psi_sums(PHI, 2) ** 2).sum())
    last = (
        panel.table.filter(pl.col("time") == pl.lit(verdict.cutoff).str.to_date())
        .sort("series_id")["target"]
        .to_numpy()
        - LEVEL
    )
    mean = 2 * LEVEL + last * (PHI + PHI**2)
    levels = verdict.levels.sort("series")
    assert levels["upto"].to_numpy() == pytest.approx(mean + norm.ppf(0.9) * deviation, abs=0.3)
    assert levels["cost"].mean() == pytest.approx(
        10 * deviation * norm.pdf(norm.ppf(0.9)), rel=0.05
    )
    own, naive = verdict.of("own"), verdict.of("naive")
    assert own["service"] == pytest.approx(0.9, abs=0.05)
    assert (verdict.action, verdict.base) == ("STOCK", "naive")
    assert own["saving_low"] > 0.1
    assert own["cost"] < naive["cost"]
    textbook = next(row for row in verdict.record.to_dicts() if row["model"].startswith("own["))
    assert (
        textbook["service"] < own["service"] - 0.03
    )  # errors of months move together, which the textbook leaves out


def test_levels_of_the_months_to_come_and_the_report(world, tmp_path):
    panel, tables = world
    forecasts = tables.predictions.filter((pl.col("model") == "own") & (pl.col("fold") == 3)).drop(
        "actual", "model", "fold"
    )
    coming = STOCK.foresee(forecasts, tables, panel, "own", PROTOCOL)
    assert (coming.when, coming.n_series) == ("future", 40)
    assert coming.levels.equals(told(tables, panel, PROTOCOL, STOCK).levels)
    store_verdict(RunFolder(tmp_path), Stock, coming)
    draw_verdict(RunFolder(tmp_path), Stock, coming)
    assert all((tmp_path / f"stock_{name}.png").is_file() for name in ("record", "levels"))
    assert "**own**" in verdict_markdown(Stock, coming)


def test_without_past_errors_months_are_independent_and_it_is_said(world):
    panel, tables = world
    alone = told(tables, panel, PROTOCOL, STOCK, coupling="independent")
    assert "as if months had nothing to do with each other" in alone.sentence
    assert alone.of("own")["service"] < told(tables, panel, PROTOCOL, STOCK).of("own")["service"]


def test_an_order_that_costs_is_made_less_often(world):
    panel, tables = world
    each = told(tables, panel, PROTOCOL, STOCK)
    seldom = told(tables, panel, PROTOCOL, STOCK, policy="reorder_point", order=60.0)
    assert seldom.of("own")["orders"] < 0.5 * each.of("own")["orders"]
    assert (seldom.levels["reorder"] < seldom.levels["upto"]).all()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"order": 3.0}, "decision.order: must be 0 with policy=base_stock, got 3."),
        (
            {"policy": "reorder_point"},
            "decision.order: must be above 0 with policy=reorder_point, got 0.",
        ),
        (
            {"policy": "two_echelons", "depot_holding": 1.0},
            "decision.depot_holding: must be below decision.holding, 1, got 1.",
        ),
        (
            {"coupling": "paths"},
            "protocol.paths: must be at least 1 for decision 'stock' with coupling=paths, got 0.",
        ),
    ],
)
def test_mistakes_are_one_line(fields, said):
    with pytest.raises(ConfigError) as refusal:
        Stock(name="stock", **fields).check_protocol(PROTOCOL)
    assert str(refusal.value) == said


def test_a_depot_saves_what_the_store_would_hold(world):
    panel, tables = world
    verdict = told(tables, panel, PROTOCOL, STOCK, policy="two_echelons", depot_holding=0.3)
    alone = next(row for row in verdict.record.to_dicts() if row["model"].startswith("own["))
    assert verdict.of("own")["cost"] < alone["cost"]
    assert (verdict.levels["store"] < verdict.levels["upto"]).all()
    assert "no depot" in verdict.sentence
    with pytest.raises(
        ConfigError,
        match=r"^decision\.lead: and decision\.depot_lead together must be below the 6 steps",
    ):
        replace(STOCK, policy="two_echelons", lead=4).check_data(panel, PROTOCOL)


def test_data_that_does_not_fit_is_refused(world):
    panel, _ = world
    with pytest.raises(
        ConfigError, match=r"^decision\.lead: must be below the 6 steps that are forecast"
    ):
        replace(STOCK, lead=6).check_data(panel, PROTOCOL)
    with pytest.raises(
        ConfigError, match=r"^dataset: demand must be >= 0 for decision 'stock', got -"
    ):
        STOCK.check_data(panel_of(autoregressions(2, 40, 0.5, seed=1)), PROTOCOL)
    late = replace(
        panel, table=panel.table.with_columns(out=pl.col("time")), roles=Roles(available_at="out")
    )
    with pytest.raises(ConfigError, match=r"^protocol\.align: must be calendar"):
        STOCK.check_data(late, WalkForward(align="end"))
