"""`decision=supply_plan` from forecasts: deals, plants, the steps to come, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.report.verdict import draw_verdict, store_verdict, verdict_markdown
from hwds.results.folder import RunFolder
from hwds.supply.decisions.supply_plan import SupplyPlan
from hwds.supply.volumes import Deals, DealWindows, VolumeTerms

from .volume_worlds import LEVEL, Demand, autoregressions, panel_of, run, told

PROTOCOL = WalkForward(windows=3)
PLAN = SupplyPlan(name="supply_plan", draws=300, headroom=1.2)


@pytest.fixture(scope="module")
def world():
    static = {"plant": ["north", "south"] * 15, "sku": [f"k{i // 2}" for i in range(30)]}
    panel = panel_of(LEVEL + autoregressions(30, 60, 0.6, seed=5), static=static)
    return panel, run(panel, Demand(phi=0.6), PROTOCOL)


def test_each_series_is_a_deal_and_bands_are_those_of_its_demand_where_there_is_room(world):
    panel, tables = world
    verdict = told(tables, panel, PROTOCOL, PLAN)
    assert (verdict.n_deals, verdict.steps, verdict.tested) == (30, 6, 60)
    assert verdict.action == "COMMIT"
    assert verdict.volumes["committed"].sum() == pytest.approx(
        verdict.volumes["demand_committed"].sum(), rel=0.01
    )
    assert verdict.fill > 0.97
    assert "decision.life_run names a run that says which do not" in verdict.sentence


def test_plants_have_their_own_capacity_and_deals_are_summed(world, tmp_path):
    panel, tables = world
    small = {"north": 0.8 * 15 * LEVEL}
    verdict = told(tables, panel, PROTOCOL, PLAN, plant="plant", capacity=small, deal=("sku",))
    by_plant = (
        verdict.plan.group_by("plant")
        .agg(pl.col("fill").mean(), pl.col("capacity").first())
        .sort("plant")
    )
    assert by_plant["capacity"][0] == small["north"]
    assert by_plant["fill"][0] < 0.9 < by_plant["fill"][1]
    assert verdict.tightest.endswith("of north")
    assert verdict.n_deals == 30  # the two series of a sku are made in two plants
    store_verdict(RunFolder(tmp_path), SupplyPlan, verdict)
    draw_verdict(RunFolder(tmp_path), SupplyPlan, verdict)
    assert all((tmp_path / f"supply_{name}.png").is_file() for name in ("plan", "volumes"))
    assert "| north |" in verdict_markdown(SupplyPlan, verdict)
    assert told(tables, panel, PROTOCOL, PLAN, deal=("sku",)).n_deals == 15


def test_series_without_a_plant_are_in_one_of_their_own(world):
    panel, tables = world
    part = panel.table.with_columns(pl.when(pl.col("plant") == "north").then("plant"))
    verdict = told(
        tables, replace(panel, table=part), PROTOCOL, PLAN, plant="plant", capacity={"(none)": 3.0}
    )
    assert sorted(verdict.plan["plant"].unique()) == ["(none)", "north"]
    assert verdict.n_deals == 30


def test_the_steps_to_come_are_planned_by_the_record_of_the_back_test(world):
    panel, tables = world
    forecasts = tables.predictions.filter(pl.col("fold") == 2).drop("actual", "model", "fold")
    coming = PLAN.foresee(forecasts, tables, panel, "own", PROTOCOL)
    now = told(tables, panel, PROTOCOL, PLAN)
    assert (coming.when, coming.tested) == ("future", 60)
    assert coming.volumes["committed"].to_list() == now.volumes["committed"].to_list()
    assert coming.volumes["served"].null_count() == 30


def checked(decision, panel):
    decision.check_protocol(PROTOCOL)
    decision.check_data(panel, PROTOCOL)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"base": 0.05},
            "decision.base: must lie between committed and upside, got 0.1, 0.05, 0.9.",
        ),
        (
            {"ailing": "north"},
            "decision.ailing: needs decision.life_run, the run with the machines.",
        ),
        (
            {"plant": "plnt"},
            "decision.plant: no static or level column 'plnt'; did you mean 'plant'?",
        ),
        (
            {"deal": ("skuu",)},
            "decision.deal: no static or level column 'skuu'; did you mean 'sku'?",
        ),
        (
            {"plant": "plant", "capacity": {"nort": 5.0}},
            "decision.capacity: no plant 'nort'; did you mean 'north'?",
        ),
        ({"capacity": {"north": 5.0}}, "decision.capacity: no plant 'north'; known: all."),
    ],
)
def test_mistakes_are_one_line(world, fields, said):
    with pytest.raises(ConfigError) as refusal:
        checked(replace(PLAN, **fields), world[0])
    assert str(refusal.value) == said


def shocked(paths, least):
    """Two series whose shock is one and the same, at 31 cutoffs of three steps, and the joint draws
    of the last.
    """
    rng = np.random.default_rng(0)
    moments = np.repeat(np.arange(31), 2)
    shock = np.repeat(10 * rng.normal(size=31), 2)[:, None]
    actual = 100 + shock + 0.5 * rng.normal(size=(62, 3))
    rows = {
        "series_id": ["a", "b"] * 31,
        "cutoff": moments,
        "moment": moments,
        "deal": ["d"] * 62,
        "first": moments,
        "last": moments + 3,
    }
    laws = np.tile([100 - 12.8, 100, 100 + 12.8], (62, 3, 1))
    draws = (
        100 + 10 * rng.normal(size=(62, 1, 1000)) + 0.5 * rng.normal(size=(62, 3, 1000))
        if paths
        else None
    )
    known = np.repeat(np.where(moments < 30, moments, 10**9)[:, None], 3, axis=1)
    windows = DealWindows(
        pl.DataFrame(rows), np.array([0.1, 0.5, 0.9]), laws, draws, actual, actual, moments, known
    )
    deals = Deals(windows, windows, VolumeTerms(0.1, 0.5, 0.9, 1.0, 1.0, 0.0, 1000, least, 1), 0)
    return deals, *deals.joint_draws(np.array([60, 61]))


@pytest.mark.parametrize("paths", [True, False])
def test_series_that_share_a_shock_are_drawn_together(paths):
    """The P10 of the deal is that of volume_bands.

    That of independent series is 600 - 1.28 * 30 * sqrt(2), which is 546.
    """
    deals, draws, source = shocked(paths, 20)
    assert source == ("paths" if paths else "errors")
    assert np.corrcoef(draws.sum(axis=1))[0, 1] > 0.95
    committed = deals.table().filter(pl.col("cutoff") == 30)["committed"][0]
    assert np.quantile(draws.sum(axis=(0, 1)), 0.1) == pytest.approx(committed, abs=0.5)
    assert committed == pytest.approx(600 - 1.2816 * 60, abs=12)


@pytest.mark.parametrize("paths", [True, False])
def test_series_of_which_too_little_is_known_are_independent(paths):
    _, draws, source = shocked(paths, 10**6)
    assert source == "independent"
    assert abs(np.corrcoef(draws.sum(axis=1))[0, 1]) < 0.1
