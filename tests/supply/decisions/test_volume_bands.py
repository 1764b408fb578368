"""What a decision on volumes learns from, refuses, costs and says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.forecast.models.naive import Naive
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.roles import Roles
from hwds.results.folder import RunFolder
from hwds.stats.distributions import interpolate_quantiles, ranks_of, scores_of_levels
from hwds.stats.estimates import clustered_wilson
from hwds.supply.decisions.volume_bands import VolumeBands
from hwds.supply.volume_bands import band_record
from hwds.supply.volumes import VolumeTerms, deciding_names, last_deals, share_short

from .volume_worlds import STEPS, TIMES, Autoregression, autoregressions, panel_of, run, told

ANY = VolumeBands(name="volume_bands", floor=None, draws=1000)
PROTOCOL = WalkForward(windows=4)
TRUE = Autoregression(phi=0.6)
TERMS = VolumeTerms(0.1, 0.5, 0.9, 1.0, 3.0, None, 1000, 20, 20)


@pytest.fixture(scope="module")
def world():
    panel = panel_of(autoregressions(40, 80, 0.6, seed=5))
    return panel, run(panel, TRUE, PROTOCOL)


def bands(verdict):
    names = ["deal", "cutoff", "committed", "base", "upside", "optimal", "vectors"]
    return verdict.deals.select(names).sort("cutoff", "deal")


def test_a_deal_learns_from_windows_that_had_ended_at_its_cutoff_alone(world):
    panel, tables = world
    plain = bands(told(tables, panel, PROTOCOL, ANY))
    cutoffs = plain["cutoff"].unique().sort().to_list()
    counted = (
        plain.group_by("cutoff")
        .agg(pl.col("vectors").unique().first(), pl.col("base").null_count())
        .sort("cutoff")
    )
    assert counted["vectors"].to_list() == [0, 40, 80, 120]
    assert counted["base"].to_list() == [40, 0, 0, 0]
    after = pl.col("time") > cutoffs[2]
    rubbish = tables.predictions.with_columns(
        pl.when(after).then(pl.col("actual") * -1e6).otherwise("actual").alias("actual")
    )
    spoiled = bands(told(replace(tables, predictions=rubbish), panel, PROTOCOL, ANY))
    early = pl.col("cutoff") <= cutoffs[2]
    assert spoiled.filter(early).equals(plain.filter(early))
    assert not spoiled.filter(~early).equals(plain.filter(~early))


def test_overlapping_windows_wait_until_they_are_known(world):
    panel, _ = world
    protocol = WalkForward(windows=6, stride=2)
    deals = told(run(panel, TRUE, protocol), panel, protocol, ANY).deals
    assert deals.group_by("cutoff").agg(pl.col("vectors").first()).sort("cutoff")[
        "vectors"
    ].to_list() == [0, 0, 0, 40, 80, 120]


def test_what_became_available_late_is_learned_late(world):
    panel, tables = world
    late = panel.table.with_columns(pl.col("time").dt.offset_by("3mo").alias("out"))
    slow = replace(panel, table=late, roles=Roles(available_at="out"))
    deals = told(tables, slow, PROTOCOL, ANY).deals
    assert deals.group_by("cutoff").agg(pl.col("vectors").first()).sort("cutoff")[
        "vectors"
    ].to_list() == [0, 0, 40, 80]
    with pytest.raises(ConfigError, match=r"protocol\.align: must be calendar"):
        ANY.check_data(slow, WalkForward(align="end"))


def test_cutoffs_counted_from_the_end_are_one_clock(world):
    panel, _ = world
    shifted = replace(
        panel,
        table=panel.table.filter(~((pl.col("series_id") == "s000") & (pl.col("time") > TIMES[70]))),
    )
    protocol = WalkForward(windows=4, align="end")
    verdict = told(run(shifted, TRUE, protocol), shifted, protocol, ANY)
    assert verdict.deals.filter(pl.col("deal") == "s000").sort("cutoff")["vectors"].to_list() == [
        0,
        40,
        80,
        120,
    ]
    assert verdict.n_deals == len(last_deals(verdict.deals)) == 40, (
        "the one that ends earlier has a last deal, too"
    )


def test_a_holdout_has_bounds_and_holds(world):
    panel, _ = world
    protocol = Holdout()
    verdict = told(run(panel, TRUE, protocol), panel, protocol, ANY)
    assert (verdict.action, verdict.rule, verdict.coupling, verdict.record) == (
        "HOLD",
        "no_backtest",
        "none",
        (),
    )
    assert verdict.deals["base"].null_count() == len(verdict.deals) == 40
    assert (verdict.deals["committed_together"] < verdict.deals["committed_independent"]).all()
    assert "if a deal's steps move as one" in verdict.sentence
    own = told(
        run(panel, Naive(), replace(protocol, paths=100)), panel, replace(protocol, paths=100), ANY
    )
    assert own.coupling == "paths"
    assert own.of("committed").deals == 40


def test_series_of_a_deal_move_together_as_they_did():
    n, static = 60, {"pair": [f"p{i // 3:02d}" for i in range(60)]}
    for shared, low, high in ((0.0, 0.85, 1.1), (0.8, 1.35, 1.75)):
        panel = panel_of(autoregressions(n, 100, 0.6, seed=6, shared=shared), static=static)
        protocol = WalkForward(windows=9)
        deals = told(run(panel, TRUE, protocol), panel, protocol, ANY, deal=("pair",)).deals
        last = deals.filter(pl.col("cutoff") == deals["cutoff"].max())
        assert last["series"].to_list() == [3] * 20
        alone = told(run(panel, TRUE, protocol), panel, protocol, ANY).deals
        alone = alone.filter(pl.col("cutoff") == alone["cutoff"].max())
        width = (last["upside"] - last["committed"]).mean() / (
            np.sqrt(3) * (alone["upside"] - alone["committed"]).mean()
        )
        assert low < width < high, shared  # exactly sqrt(1 + 2 x shared): 1 and 1.61
        assert last["actual"].sum() == pytest.approx(alone["actual"].sum())


def test_a_pool_of_shared_shocks_gives_series_that_move_together_with_paths_too():
    static = {"pair": [f"p{i // 3:02d}" for i in range(60)]}
    panel = panel_of(autoregressions(60, 100, 1.0, seed=7, shared=0.8), static=static)
    protocol = WalkForward(windows=9, paths=500)
    tables = run(panel, Naive(), protocol)
    widths = {}
    for deal in ((), ("pair",)):
        deals = told(tables, panel, protocol, ANY, deal=deal).deals
        last = deals.filter(pl.col("cutoff") == deals["cutoff"].max())
        widths[deal] = (last["upside"] - last["committed"]).mean()
    assert 1.35 < widths[("pair",)] / (np.sqrt(3) * widths[()]) < 1.75


def test_months_and_gap_choose_the_steps(world):
    panel, _ = world
    protocol = WalkForward(windows=3, gap=2, horizon=4)
    tables = run(panel, TRUE, protocol)
    whole, part = (
        told(tables, panel, protocol, ANY),
        told(tables, panel, protocol, ANY, months=(4, 5)),
    )
    assert (whole.steps, part.steps) == ((3, 6), (4, 5))
    assert (whole.deals["steps"].unique().to_list(), part.deals["steps"].unique().to_list()) == (
        [4],
        [2],
    )
    row = part.deals.row(-1, named=True)
    own = panel.table.filter(
        pl.col("series_id") == row["deal"], pl.col("time").is_between(row["first"], row["last"])
    )
    assert row["actual"] == pytest.approx(own["target"].sum())
    for months, said in (((2, 5), "within the steps 3 to 6"), ((3, 9), "within the steps 3 to 6")):
        with pytest.raises(ConfigError, match=said):
            replace(ANY, months=months).check_data(panel, protocol)


def test_a_series_that_ends_has_a_shorter_deal_and_one_with_a_hole_is_not_scored(world):
    panel, _ = world
    gone = (pl.col("series_id") == "s001") & (pl.col("time") > TIMES[76])
    hole = (pl.col("series_id") == "s002") & (pl.col("time") == TIMES[77])
    table = panel.table.filter(~gone).with_columns(
        pl.when(hole).then(None).otherwise("target").alias("target")
    )
    short = replace(panel, table=table)
    verdict = told(run(short, TRUE, PROTOCOL), short, PROTOCOL, ANY)
    last = {
        row["deal"]: row
        for row in verdict.deals.filter(pl.col("cutoff") == TIMES[73]).iter_rows(named=True)
    }
    assert (last["s001"]["steps"], last["s000"]["steps"]) == (3, 6)
    assert last["s001"]["last"] == TIMES[76]
    assert last["s002"]["actual"] is None
    assert verdict.of("base").deals == 3 * 40 - 1


def test_the_cost_optimal_level_costs_least_and_says_who_pays():
    assert TERMS.optimal == 0.75
    assert TERMS.cost(np.array([10.0, 10.0]), np.array([7.0, 12.0])).tolist() == [3.0, 6.0]
    demand = np.random.default_rng(0).gamma(4, 25, 20_000)
    levels = np.linspace(0.05, 0.95, 19)
    mean = [
        TERMS.cost(np.full(len(demand), np.quantile(demand, level)), demand).mean()
        for level in levels
    ]
    assert levels[int(np.argmin(mean))] == pytest.approx(0.75)


def test_the_record_is_what_a_hand_computes():
    deals = pl.DataFrame(
        {
            "deal": ["a", "a", "b"],
            "committed": [8.0, 8.0, 20.0],
            "base": [10.0, 10.0, 25.0],
            "upside": [12.0, 12.0, 30.0],
            "optimal": [11.0, 11.0, 28.0],
            "naive": [9.0, 9.0, 40.0],
            "actual": [7.0, 11.0, 26.0],
        }
        | {
            f"{band}_{how}": [0.0] * 3
            for band in ("committed", "upside")
            for how in ("independent", "together")
        }
    )
    record = {line.band: line for line in band_record(deals, TERMS)}
    assert (record["committed"].below, record["committed"].deals, record["committed"].clusters) == (
        pytest.approx(1 / 3),
        3,
        2,
    )
    assert record["committed"].cost == pytest.approx((1 + 9 + 18) / 3)
    assert record["naive"].cost == pytest.approx((2 + 6 + 14) / 3)
    assert record["optimal"].saving == pytest.approx(1 - (4 + 0 + 2) / 22)
    assert record["naive"].saving is None
    assert clustered_wilson(0.5, 100, 100, 0.05) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert clustered_wilson(0.0, 400, 20, 0.0) == pytest.approx((0, 0.1611), abs=1e-4)
    assert clustered_wilson(0.5, 100, 25, 0.1) == pytest.approx(clustered_wilson(0.5, 25, 25, 0.1))


def test_a_quantile_function_is_exact_for_a_normal_law_and_ranks_are_a_permutation():
    levels = np.array([0.1, 0.5, 0.9])
    told_at = scores_of_levels(np.array([0.01, 0.3, 0.975]))
    assert interpolate_quantiles(
        levels, 5 + 2 * scores_of_levels(levels), told_at
    ) == pytest.approx(5 + 2 * told_at)
    assert (
        interpolate_quantiles(
            levels, np.array([0.0, 0.0, 3.0]), scores_of_levels(np.array([0.05, 0.5]))
        )[0]
        == 0
    )
    ranks = ranks_of(np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), np.random.default_rng(0))
    assert ranks[:, 0].tolist() == [2, 0, 1]
    assert sorted(ranks[:, 1].tolist()) == [0, 1, 2]


def test_a_commitment_that_is_too_high_holds(world):
    panel, tables = world
    high = tables.predictions.with_columns(pl.col("^q_.*$") + 3.0)
    verdict = told(replace(tables, predictions=high), panel, PROTOCOL, ANY)
    assert (verdict.action, verdict.rule) == ("HOLD", "coverage")
    assert "is too high: demand was below it" in verdict.sentence
    few = told(tables, panel, PROTOCOL, ANY, least_deals=1000)
    assert (few.action, few.rule) == ("HOLD", "few_deals")
    none = told(tables, panel, PROTOCOL, ANY, least_vectors=1000)
    assert (none.rule, none.excluded["few_vectors"][0]) == ("few_vectors", "2004-08-01")


def test_the_months_to_come_are_judged_by_the_back_test(world):
    panel, tables = world
    from hwds.evaluation.protocol import RunContext

    ahead = PROTOCOL.predict_new(
        PROTOCOL.fit_all(TRUE, panel, RunContext(0, "final")), panel, RunContext(0, "final")
    )
    verdict = ANY.foresee(ahead, tables, panel, "own", PROTOCOL)
    assert (verdict.when, verdict.n_deals, verdict.n_banded, verdict.vectors) == (
        "future",
        40,
        40,
        160,
    )
    assert verdict.record == told(tables, panel, PROTOCOL, ANY).record
    assert verdict.deals["actual"].null_count() == 40
    assert verdict.deals["first"].unique().to_list() == [date(2006, 9, 1)]
    last = panel.table.filter(pl.col("time") == pl.col("time").max())["target"].to_numpy()
    wanted = last * (0.6 ** np.arange(1, STEPS + 1)).sum()
    assert np.abs(verdict.deals["base"].to_numpy() - wanted).max() < 1


def test_the_floor_holds_and_is_refused_where_demand_goes_below(world):
    panel, tables = world
    with pytest.raises(ConfigError, match=r"decision\.floor: is 0, but the data goes down to -"):
        VolumeBands(name="volume_bands").check_data(panel, PROTOCOL)
    deals = told(tables, panel, PROTOCOL, ANY, floor=0.0).deals.drop_nulls("base")
    assert deals["committed"].min() >= 0
    assert deals["committed_together"].min() >= 0


WRONG = {
    "decision.base: must lie between committed and upside, got 0.1, 0.05, 0.9": {"base": 0.05},
    "decision.months: must be the first and the last step": {"months": (4, 2)},
    "protocol.paths: must be at least 1": {"coupling": "paths"},
}


def test_what_cannot_be_is_refused_before_the_work(world):
    panel, _ = world
    for said, changes in WRONG.items():
        with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
            replace(ANY, **changes).check_protocol(PROTOCOL)
    with pytest.raises(ConfigError, match=r"protocol\.levels: must have a level below"):
        ANY.check_protocol(WalkForward(levels=(0.5,)))
    named = replace(
        panel,
        table=panel.table.with_columns(pl.lit("x").alias("channel")),
        roles=Roles(static=("channel",)),
    )
    with pytest.raises(
        ConfigError,
        match=r"decision\.deal: no static or level column 'chanel'; did you mean 'channel'",
    ):
        replace(ANY, deal=("chanel",)).check_data(named, PROTOCOL)


def test_a_verdict_is_plain_and_another_decision_leaves_no_file_of_it(world, tmp_path):
    panel, tables = world
    verdict = told(tables, panel, PROTOCOL, ANY)
    folder = RunFolder(tmp_path)
    folder.write_verdict(verdict)
    assert json.loads((tmp_path / "decision.json").read_text())["levels"]["optimal"] == 0.75
    assert (
        len(pl.read_csv(tmp_path / "volume_bands.csv"))
        == len(pl.read_parquet(tmp_path / "volume_bands.parquet"))
        == 160
    )
    (tmp_path / "volume_bands.png").touch()
    folder.write_verdict(None)
    assert not list(tmp_path.iterdir())


def test_the_same_run_decides_the_same_to_the_last_bit(world):
    panel, tables = world
    assert told(tables, panel, PROTOCOL, ANY).deals.equals(told(tables, panel, PROTOCOL, ANY).deals)
    other = replace(tables, scores=tables.scores.with_columns(pl.lit(4, pl.Int64).alias("seed")))
    assert not told(other, panel, PROTOCOL, ANY).deals.equals(
        told(tables, panel, PROTOCOL, ANY).deals
    )


def test_paths_couple_calibrated_quantiles_and_keep_their_law():
    panel = panel_of(autoregressions(30, 80, 1.0, seed=8))
    own, wide = (
        WalkForward(windows=3, paths=1000),
        WalkForward(windows=3, paths=1000, intervals="conformal"),
    )
    tables = run(panel, Naive(), own)
    plain = told(tables, panel, own, ANY).deals
    kept = told(tables, panel, wide, ANY).deals
    spread = (plain["upside"] - plain["committed"]).to_numpy()
    assert (kept["upside"] - kept["committed"]).to_numpy() / spread == pytest.approx(1, abs=0.12)
    wider = [pl.col(name) * 2 - pl.col("q_0.5") for name in ("q_0.1", "q_0.9")]
    doubled = tables.predictions.with_columns(wider)
    twice = told(replace(tables, predictions=doubled), panel, wide, ANY).deals
    assert (twice["upside"] - twice["committed"]).to_numpy() / spread == pytest.approx(2, abs=0.24)


def test_a_series_without_a_forecast_leaves_its_deal_without_volumes():
    panel = panel_of(
        autoregressions(30, 80, 0.6, seed=9), static={"pair": [f"p{i // 2:02d}" for i in range(30)]}
    )
    tables = run(panel, TRUE, PROTOCOL)
    lost = pl.col("series_id") == "s004"
    bare = [
        pl.when(lost).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("q_0.1", "q_0.5", "q_0.9")
    ]
    holed = tables.predictions.with_columns(bare)
    deals = told(replace(tables, predictions=holed), panel, PROTOCOL, ANY, deal=("pair",)).deals
    last = deals.filter(pl.col("cutoff") == deals["cutoff"].max())
    assert last.filter(pl.col("base").is_null())["deal"].to_list() == ["p02"]
    assert last.filter(pl.col("deal") == "p02")["committed_together"].to_list() == [None]


def test_deals_of_one_cluster_are_drawn_together(world):
    panel, tables = world
    alone = told(tables, panel, PROTOCOL, ANY)
    family = pl.col("series_id").rank("dense") % 5
    rows = tables.predictions.with_columns(cluster=family.cast(pl.String))
    together = told(replace(tables, predictions=rows), panel, PROTOCOL, ANY)
    assert (alone.of("committed").clusters, together.of("committed").clusters) == (40, 5)
    assert together.of("committed").below == alone.of("committed").below
    assert together.of("committed").cost_stderr != alone.of("committed").cost_stderr
    assert "cluster" not in alone.deals.columns


def test_the_few_names_that_forbid_to_commit_are_named():
    rng = np.random.default_rng(0)
    names = [f"d{each:02d}" for each in range(20) for _ in range(10)]
    short = rng.random(200) < 0.13
    short[30:40] = True
    deals = pl.DataFrame({"deal": names})
    assert share_short(deals, short)[1] > 0.1
    assert deciding_names(deals, short, 0.1) == ["d03"]
    assert deciding_names(deals, short, 0.5) == []
    assert deciding_names(deals, np.ones(200, bool), 0.1) == []
