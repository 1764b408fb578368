"""Protocols of elasticities: recovery, held-out price moves, placebo, windows and samples; leaks,
evidence and refusals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.registry import options
from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.metrics import score_changes
from hwds.elasticity.models.base import ElasticityModel
from hwds.elasticity.models.loglog_ols import LoglogOLS
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.models.ppml import PPML
from hwds.elasticity.protocols.elasticity_estimate import ElasticityEstimate
from hwds.elasticity.protocols.elasticity_recovery import ElasticityRecovery
from hwds.elasticity.protocols.placebo import Placebo
from hwds.elasticity.protocols.price_change import PriceChange
from hwds.elasticity.protocols.stability import Stability
from hwds.elasticity.protocols.subsample_recovery import SubsampleRecovery
from hwds.elasticity.rows import change_rows
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.pricing.demand_evidence import DemandEvidence
from hwds.results.tables import TRUTH, Tables
from tests.support.composed import composed

DATASET = PriceSales(skus=10, channels=3, weeks=60)


@pytest.fixture(scope="module")
def panel():
    return DATASET.load()


def asked(protocol, model, panel):
    """The rows of all folds."""
    parts = []
    for fold in protocol.split(panel):
        cell = Cell(model.name, fold, 0, fold.units)
        parts.append(protocol.evaluate_cell(model, panel, cell, RunContext(0, fold.name)))
    return pl.concat(parts)


def scored(scores):
    return {(score.metric, score.segment): score.value for score in scores}


@pytest.fixture(scope="module")
def recovered(panel):
    """The rows of three models and the truth."""
    protocol = ElasticityRecovery(draws=50)
    models = {"pooled": Pooled(), "textbook": LoglogOLS(), TRUTH: DATASET.truth("elasticity")}
    return protocol, {label: asked(protocol, model, panel) for label, model in models.items()}


def test_recovery_compares_every_answer_with_the_truth(recovered):
    protocol, rows = recovered
    found = {}
    for label, score in protocol.contrasts(rows):
        found.setdefault(label, {})[(score.metric, score.segment)] = score.value
    known = rows["pooled"].join(rows[TRUTH].select("series_id", true="elasticity"), "series_id")
    error = (known["elasticity"] - known["true"]).to_numpy()
    assert found["pooled"][("elasticity_rmse", None)] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert found["pooled"][("elasticity_bias", None)] == pytest.approx(error.mean())
    assert found[TRUTH][("elasticity_rmse", None)] == 0
    assert found[TRUTH][("elasticity_coverage", None)] == 1
    assert ("elasticity_rmse", "below 30") in found["pooled"]
    assert ("elasticity_rmse", "below 30") not in found["textbook"] or found["textbook"][
        ("elasticity_rmse", "below 30")
    ] is None
    own = scored(protocol.score(rows["textbook"]))
    assert 0.2 < own[("answered", None)] < 0.8
    assert scored(protocol.score(rows["pooled"]))[("answered", None)] == 1


def test_every_cell_has_a_row_with_its_offer_and_what_its_prices_identify(recovered, panel):
    for rows in recovered[1].values():
        assert rows["series_id"].to_list() == panel.series_ids.to_list()
        assert (
            rows.select("status", "reason", "price", "cost", "units", "low", "high", "sd_net")
            .null_count()
            .row(0)
            == (0,) * 8
        )
        assert ((rows["low"] <= rows["price"]) & (rows["price"] <= rows["high"])).all()
    units = recovered[1]["pooled"]["units"].to_numpy()
    recent = (
        panel.last(10)
        .table.group_by("series_id", maintain_order=True)
        .agg(pl.col("target").mean())["target"]
        .to_numpy()
    )
    assert np.corrcoef(np.log(units), np.log(recent + 0.5))[0, 1] > 0.7


def test_decisions_read_draws_cross_effects_and_the_truth(recovered, panel):
    protocol, rows = recovered
    assert isinstance(protocol, DemandEvidence)
    predictions = pl.concat(
        [own.select(pl.lit(label).alias("model"), pl.all()) for label, own in rows.items()],
        how="diagonal",
    )
    empty = pl.DataFrame()
    evidence = protocol.demand_evidence(Tables(empty, predictions, empty), panel, "pooled")
    assert len(evidence) == 30
    assert evidence.draws.shape == evidence.draws_lag.shape == (50, 30)
    drawn = evidence.sample(50, np.random.default_rng(0))
    assert np.corrcoef(drawn.own.mean(axis=1), drawn.lag[:, 0])[0, 1] < -0.4
    assert drawn.cross.shape == (50, len(evidence.pairs))
    beside = np.stack(rows["pooled"]["cross_draws"].to_list(), axis=1)
    error = (beside[:, 0] - beside[:, 0].mean()) / beside[:, 0].std()
    assert evidence.draws_cross == pytest.approx(error)
    taken = drawn.cross[:, evidence.pairs[:, 0] == 0].sum(axis=1)
    assert np.sort(taken) == pytest.approx(
        np.sort(rows["pooled"]["cross"][0] + rows["pooled"]["cross_stderr"][0] * error)
    )
    assert evidence.period == "week"
    assert evidence.truth.elasticities.shape == (30, 30)
    own = DATASET.parameters()
    true = pl.DataFrame({"series_id": evidence.names}).join(
        own, "series_id", maintain_order="left"
    )["elasticity"]
    assert np.diag(evidence.truth.elasticities) == pytest.approx(true.to_numpy())
    row, beside = evidence.cross[0], evidence.cells["family"] == evidence.cells["family"][0]
    assert (row != 0).sum() == 4
    assert row.sum() == pytest.approx(rows["pooled"]["cross"][0])
    assert not row[~beside.to_numpy()].any()
    silent = protocol.demand_evidence(Tables(empty, predictions, empty), panel, "textbook")
    assert 0 < silent.known.sum() < 30
    assert protocol.demand_evidence(Tables(empty, predictions, empty), panel, "none") is None


@pytest.fixture(scope="module")
def moves(panel):
    protocol = PriceChange(horizon=10, threshold=0.05)
    return protocol, {
        label: asked(protocol, model, panel)
        for label, model in {"pooled": Pooled(), "own": PPML()}.items()
    }


def test_price_moves_are_held_out_and_predicted_from_prices_alone(moves, panel):
    _, rows = moves
    own = rows["pooled"]
    last = panel.table["time"].unique().sort()[-10]
    assert own["time"].min() == last
    both = own.join(
        panel.table.select("series_id", "time", "price", "target"), ["series_id", "time"]
    )
    first = both.filter(pl.col("time") == last)
    assert not first["move"].any(), "a move is between two held-out periods"
    later = both.filter(pl.col("move"))
    assert (later["price_change"].abs() > 0.05).all()
    known = later.drop_nulls("actual")
    assert known["actual"].to_numpy() == pytest.approx(
        np.log(known["units"] / known["units_before"]).to_numpy()
    )
    assert later.filter(pl.col("units") == 0)["actual"].null_count() == len(
        later.filter(pl.col("units") == 0)
    )


def test_periods_of_a_gap_are_not_scored(moves, panel):
    protocol, rows = moves
    later = asked(replace(protocol, horizon=7, gap=3), Pooled(), panel)
    whole = rows["pooled"]
    assert later.equals(whole.filter(pl.col("time") >= whole["time"].unique().sort()[3]))


def test_scores_of_changes(moves):
    protocol, rows = moves
    found = scored(protocol.score(rows["pooled"]))
    moved = rows["pooled"].filter(pl.col("move")).drop_nulls(["predicted", "actual"])
    error = (moved["predicted"] - moved["actual"]).to_numpy()
    assert found[("change_rmse", None)] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert found[("change_null", None)] == pytest.approx(np.sqrt((moved["actual"] ** 2).mean()))
    assert found[("change_r", None)] == pytest.approx(
        np.corrcoef(moved["predicted"], moved["actual"])[0, 1]
    )
    own = scored(protocol.score(rows["own"]))
    assert own[("answered", None)] < found[("answered", None)] == 1
    assert own[("change_null", None)] == pytest.approx(found[("change_null", None)], abs=0.1)
    perfect = rows["pooled"].with_columns(
        predicted=pl.when((pl.col("units") > 0) & (pl.col("units_before") > 0)).then(
            (pl.col("units") / pl.col("units_before")).log()
        )
    )
    assert scored(score_changes(perfect))[("change_skill", None)] == pytest.approx(1)
    nothing = rows["pooled"].with_columns(predicted=pl.lit(0.0))
    assert scored(score_changes(nothing))[("change_skill", None)] == pytest.approx(0)


MODELS = [name for name in options("model") if name.startswith("elasticity/")]


@pytest.mark.parametrize("name", MODELS)
def test_no_model_leaks(name, panel):
    if name == "elasticity/hierarchical_bayes":
        pytest.importorskip("numpyro", reason="numpyro is not installed: hwds[bayes]")
    words = [f"model={name}", "dataset=price_sales", "size=small"]
    few = PriceSales(skus=5, channels=2, weeks=40, shortest=20).load()
    moved = composed(*words, "protocol=price_change", "protocol.horizon=4", "protocol.windows=2")
    found = list(check_leaks(moved.protocol, name, moved.model, few, RunContext(0)))
    assert len(found) == 2
    assert [leak for leak in found if leak] == []


def test_a_protocol_that_fits_on_what_it_scores_is_caught(panel):
    class Careless(PriceChange):
        """Cuts nothing."""

        def evaluate_cell(self, model, frame, cell, context):
            known = replace(frame, table=frame.table.with_columns(pl.col("target").abs()))
            fitted = model.learn(known, ElasticityContext(0))
            return change_rows(
                fitted, frame, frame, cell.fold.cutoffs[0], self.steps(frame), self.threshold
            )

    found = list(
        check_leaks(Careless(horizon=5), "careless", PPML(common="all"), panel, RunContext(0))
    )
    assert [leak for leak in found if leak]


def test_a_price_to_come_has_no_effect_in_a_world_where_it_has_none_and_one_where_prices_answer_demand(
    panel,
):
    protocol = Placebo(ahead=1)
    rows = asked(protocol, PPML(common="all"), panel)
    row = rows.filter(pl.col("effect") == "future_price")
    assert row["p_value"][0] > 0.01
    assert scored(protocol.score(rows))[("placebo_z", None)] == pytest.approx(
        abs(row["value"][0] / row["stderr"][0])
    )
    assert row.select("identified", "weak", "no_variation", "endogenous?").sum_horizontal()[0] == 30
    spoiled = panel.table.with_columns(  # today's units follow what the price will be
        (
            pl.col("target")
            * (
                pl.col("price").shift(-1).over("series_id")
                / pl.col("price").mean().over("series_id")
            )
            ** 3
        )
        .fill_null(0)
        .round()
        .alias("target")
    )
    wrong = asked(protocol, PPML(common="all"), replace(panel, table=spoiled))
    assert wrong.filter(pl.col("effect") == "future_price")["p_value"][0] < 1e-4


def test_windows_and_samples_compare_a_model_with_itself(panel):
    rows = asked(Stability(windows=2, draws=0), Pooled(), panel)
    assert rows.group_by("window").len()["len"].max() <= 30
    found = {
        score.metric: score for _, score in Stability().contrasts({"pooled": rows, TRUTH: rows})
    }
    first, second = (
        part.select("series_id", "elasticity")
        for part in rows.partition_by("window", maintain_order=True)
    )
    change = second.join(first, "series_id", suffix="_before")
    shift = (change["elasticity"] - change["elasticity_before"]).mean()
    assert found["window_shift"].value == pytest.approx(shift)
    assert found["window_z"].value < 2
    samples = SubsampleRecovery(samples=2, share=0.5, draws=0)
    rows = asked(samples, PPML(common="all"), panel)
    assert rows["sample"].unique(maintain_order=True).to_list() == [
        "all rows",
        "sample 1",
        "sample 2",
    ]
    counts = (
        rows.group_by("sample", maintain_order=True).agg(pl.col("rows").sum())["rows"].to_list()
    )
    assert 0.4 < counts[1] / counts[0] < 0.6
    assert counts[1] != counts[2]
    found = {score.metric: score.value for _, score in samples.contrasts({"common": rows})}
    assert 0 < found["sample_rmse"] < 1.5


def test_settings_are_chosen_before_the_first_cutoff(panel):
    protocol = PriceChange(horizon=6)
    inner = protocol.tuning_split(panel, 2)
    assert inner.frame.table["time"].max() == protocol.split(panel)[0].cutoffs[0].instant
    assert len(inner.folds) == 2
    assert inner.protocol.why_not_tunable() == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "dataset=classics protocol=elasticity_recovery",
            "dataset: 'classics' knows no truth, by which protocol 'elasticity_recovery' scores.",
        ),
        (
            "dataset=price_sales protocol=elasticity_recovery protocol.headline=elasticity_rms",
            "protocol.headline: no metric 'elasticity_rms'; did you mean 'elasticity_rmse'?",
        ),
        (
            "dataset=price_sales protocol=elasticity_recovery sweep=random",
            "sweep: protocol 'elasticity_recovery' is scored against a simulator's truth, on "
            "which nobody can choose settings;"
            " 'random' would choose on the scored rows.",
        ),
        (
            "dataset=classics protocol=price_change",
            "dataset.roles.price: must be given: an elasticity relates units to a price.",
        ),
        (
            "dataset=price_sales dataset.weeks=12 protocol=stability",
            "protocol.windows: 3 windows of at least 6 periods are more than the panel's 12.",
        ),
        (
            "dataset=price_sales size=small protocol=elasticity_estimate "
            "protocol.segments=[channl]",
            "protocol.segments: no static column 'channl'; did you mean 'channel'?",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(words, said, command):
    line = command(f"plan model=elasticity/pooled {words}").line
    assert line == f"hwds: {said}"


def test_estimates_need_no_truth_and_models_say_so():
    assert not ElasticityEstimate().needs_truth
    with pytest.raises(NotImplementedError):
        ElasticityModel().estimate(None, None, None)
    with pytest.raises(ConfigError):
        PPML(common="brand")
    with pytest.raises(DataError, match="leave no rows"):
        Placebo(ahead=60).split(DATASET.load())


def test_a_plan_names_the_cells_that_no_price_identifies(command, tmp_path, panel):
    first = pl.col("series_id") == "laptop-1.carrier"
    table = panel.table.with_columns(price=pl.when(first).then(900.0).otherwise(pl.col("price")))
    table.rename({"target": "sold"}).write_parquet(tmp_path / "sales.parquet")
    roles = (
        "dataset.roles.series=series_id dataset.roles.time=time dataset.roles.target=sold "
        "dataset.roles.price=price"
        " dataset.roles.known_future=[price] dataset.roles.static=[sku,channel,family]"
    )
    words = (
        f"model=elasticity/pooled dataset=file dataset.path=sales.parquet {roles} "
        f"protocol=elasticity_estimate"
    )
    done = command(f"plan {words}")
    assert done.code == 0, done.err
    out = " ".join(done.out.split())
    assert "Of 30 cells prices identify " in out
    assert (
        "Prices say nothing of the elasticity of 1 cell (laptop-1.carrier: it had one price)."
        in out
    )
