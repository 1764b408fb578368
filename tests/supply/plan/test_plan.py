"""Supply plans: production before a peak, outages that take capacity, and what runs hand on to each
other.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.checksums import write_json, write_parquet
from hwds.core.errors import ConfigError
from hwds.pricing.contract import law_of_run
from hwds.results.folder import write_config
from hwds.supply.plan import SupplyCase, decide_supply
from hwds.supply.production import (
    OutageLaw,
    SupplyProblem,
    SupplyTerms,
    outages_of_run,
    outcome_of,
    solve_program,
)

TERMS = SupplyTerms(holding=1.0, shortage=9.0, committed=0.1, base=0.5, upside=0.9, least_deals=20)
LAW = OutageLaw(
    slot=5.0,
    planned=(2.0, 0.0),
    failures=(0.5, 1.0),
    planned_downtime=1.0,
    failure_downtime=4.0,
    machines=10,
    long_run=0.02,
    source="run life",
)


def problem(demand, capacity):
    """A problem of one plant whose machines all run, with demand of shape (p, t, n)."""
    deals, steps, n = demand.shape
    return SupplyProblem(
        demand, np.ones((1, n, steps)), np.zeros(deals, int), np.array([capacity]), np.zeros(deals)
    )


def test_a_peak_is_made_before_it_comes_and_no_earlier_than_it_must():
    known = problem(np.array([[[5.0], [5.0], [18.0]]]), 10.0)
    program = solve_program(known, TERMS)
    assert program.production.sum() == pytest.approx(28)
    assert program.stock == pytest.approx(np.array([[3.0, 8.0, 0.0]]))
    made = outcome_of(known, program)
    assert made.served[0, 0] == pytest.approx(28)
    assert not made.unserved.any()


def test_deals_of_one_plant_share_its_capacity_and_what_is_owed_is_told():
    known = problem(np.full((2, 3, 1), 8.0), 12.0)
    program = solve_program(known, TERMS)
    assert program.production.sum(axis=0) == pytest.approx([12, 12, 12])
    made = outcome_of(known, program)
    assert made.served.sum() == pytest.approx(36)
    half = outcome_of(replace(known, running=np.full((1, 1, 3), 0.5)), program)
    assert half.served.sum() == pytest.approx(18)
    assert half.unserved.sum() > made.unserved.sum()


def test_safety_stock_is_kept_where_there_is_room_and_serves_what_costs_ask_for():
    demand = np.random.default_rng(0).normal(100, 10, size=(1, 6, 4000))
    roomy = problem(demand, 1000.0)
    program = solve_program(roomy, TERMS)
    assert program.stock[0] == pytest.approx(np.full(6, 12.8), abs=0.7)
    short = (outcome_of(roomy, program).unserved[0] > 0).mean(axis=1)
    assert short == pytest.approx(np.full(6, 0.1), abs=0.02)


def test_outages_are_spread_over_the_steps_and_go_on_at_the_long_run_share():
    share = LAW.running(3, 8.0, 20_000, np.random.default_rng(1))
    lost = (
        np.array([2 + 4 * 0.5 + (0 + 4 * 1.0) * 3 / 5, 4 * 2 / 5 + 0.02 * 10 * 6, 0.02 * 10 * 8])
        / 80
    )
    assert 1 - share.mean(axis=0) == pytest.approx(lost, rel=0.03)
    assert np.ptp(share[:, 2]) == 0
    worn = replace(LAW, failures=(500.0, 500.0))
    assert worn.running(1, 8.0, 10, np.random.default_rng(1)).max() == 0.0


def case(share, deals=30, shift=0.0):
    rng = np.random.default_rng(2)
    demand = rng.normal(100, 10, size=(deals, 4, 300))
    actual = rng.normal(100 - shift, 10, size=(deals, 4))
    running = np.full((1, 300, 4), share)
    given = SupplyProblem(
        demand, running, np.zeros(deals, int), np.array([100.0 * deals]), np.full(deals, 50.0)
    )
    return SupplyCase("2024-01", [f"d{i:02d}" for i in range(deals)], ["all"], given, actual, True)


def told(*cases, **changes):
    return decide_supply(
        "supply_plan",
        cases,
        cases[-1],
        replace(TERMS, **changes),
        outages="x",
        unit="",
        when="back-test",
    )


def test_outages_lower_what_is_delivered_where_the_plant_is_full():
    whole, ill = told(case(1.0)), told(case(0.8))
    assert (whole.lost, whole.missed) == (0.0, 0.0)
    assert ill.lost == pytest.approx(0.2)
    assert ill.missed > 500
    assert ill.committed < whole.committed
    assert ill.fill < whole.fill
    assert ill.free == pytest.approx(whole.free - 0.2 * 12_000, rel=1e-6)
    assert whole.action == "COMMIT"
    assert "take 20 % of the capacity" in ill.sentence


def test_what_the_record_does_not_bear_is_held():
    assert told(case(1.0, shift=15.0)).rule == "coverage"
    assert told(case(1.0, deals=10)).rule == "few_deals"
    assert told(replace(case(1.0), coupled=False)).rule == "no_backtest"
    unknown = replace(case(1.0), actual=np.full((30, 4), np.nan))
    assert told(unknown).sentence.startswith("HOLD: the back-test has no deal with a known demand")


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The folder of a run whose decision can be written."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "runs" / "life" / "abc"
    folder.mkdir(parents=True)
    write_config(folder / "config.yaml", {"experiment": "life"})
    return folder


def test_outages_are_those_that_a_run_told(finished):
    with pytest.raises(
        ConfigError,
        match=r"^decision\.life_run: run life/abc has no outages; run it with decision=main",
    ):
        outages_of_run("life")
    rows = pl.DataFrame({"planned": [2.0, 0.0], "failures": [0.5, 1.0], "machines": [10, 10]})
    write_parquet(finished / "outages.parquet", rows)
    write_parquet(
        finished / "maintenance_policies.parquet",
        pl.DataFrame({"policy": ["renewal"], "downtime": [0.02]}),
    )
    write_json(finished / "decision.json", {"slot": 5.0})
    with pytest.raises(
        ConfigError, match=r"was decided by another version of hwds; run it again\.$"
    ):
        outages_of_run("life")
    write_json(
        finished / "decision.json", {"slot": 5.0, "planned_downtime": 1.0, "failure_downtime": 4.0}
    )
    assert outages_of_run("life") == replace(LAW, source="run life/abc")
    write_parquet(finished / "outages.parquet", rows.clear())
    with pytest.raises(ConfigError, match=r"has no machine that runs\.$"):
        outages_of_run("life")


def test_a_contract_takes_what_can_be_delivered(finished):
    verdict = told(case(0.7))
    write_parquet(finished / "supply_volumes.parquet", verdict.volumes)
    write_json(finished / "decision.json", verdict.as_dict())
    law = law_of_run("life", "d07")
    row = verdict.volumes.row(by_predicate=pl.col("deal") == "d07", named=True)
    assert (law.committed, law.base, law.upside) == tuple(
        row[f"demand_{band}"] for band in ("committed", "base", "upside")
    )
    assert law.most.base == row["most_base"]
    assert law.most.committed > row["committed"]
    assert law.attainable == law.base
    last = law_of_run(
        "life", verdict.volumes["deal"][-1]
    )  # the deal for which the least capacity is left
    assert last.attainable == last.most.base < 0.7 * last.base
    twice = pl.concat(
        [verdict.volumes, verdict.volumes.with_columns(pl.lit("south").alias("plant"))]
    )
    write_parquet(finished / "supply_volumes.parquet", twice)
    with pytest.raises(
        ConfigError,
        match=r"^decision\.deal: 'd07' is made in 2 plants of run life/abc, which has no law",
    ):
        law_of_run("life", "d07")
    write_parquet(finished / "supply_volumes.parquet", verdict.volumes.drop("most_base"))
    with pytest.raises(
        ConfigError, match=r"was decided by another version of hwds; run it again\.$"
    ):
        law_of_run("life", "d07")


def test_more_of_a_deal_can_be_delivered_from_what_its_plant_does_not_use():
    """By hand: two deals of 8 a step for three steps, of a plant of 20: 48 are made of 60 and the
    first may have 24 + 12.
    """
    roomy = problem(np.full((2, 3, 1), 8.0), 20.0)
    assert outcome_of(roomy, solve_program(roomy, TERMS)).deliverable == pytest.approx(
        np.full((2, 1), 36.0)
    )
    full = problem(np.full((2, 3, 1), 8.0), 12.0)
    made = outcome_of(full, solve_program(full, TERMS))
    assert made.deliverable == pytest.approx(made.served)
