"""A gate refuses each planted fault, passes what is clean, and keeps the digests of its
evidence.
"""

import hashlib
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.cli.experiment import run_experiment
from hwds.core.checksums import write_json
from hwds.core.compose import compose
from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.experiment.spec import check
from hwds.forecast.metrics import forecast_metrics
from hwds.serve.gate import (
    VERDICTS,
    VERDICTS_PAGE,
    ChampionComparison,
    GateEvidence,
    GateInputs,
    against_of,
    calibration_gap,
    checks_of,
    decide_gate,
    gate_rules,
    gather_evidence,
    leaks_of,
    read_verdicts,
    refuse_gated,
)
from hwds.stats.sources import RunSource
from tests.serve.conftest import CARD

RULES = {
    "bounds": [{"metric": "auroc", "at_least": 0.6}],
    "champion": True,
    "champion_margin": 0.05,
    "calibration_gap": 0.05,
    "slice_gap": 0.5,
    "slice_rows": 100,
    "seeds": 3,
    "seed_range": 0.2,
    "latency_ms": 50.0,
    "leakage": True,
    "explained": 20,
    "card": True,
    "approver": True,
    "drift": True,
}


@pytest.fixture(scope="module")
def rules():
    return gate_rules("approval", RULES)


def score(metric, value, low, high, segment=None):
    return {
        "model": "classify/logistic",
        "metric": metric,
        "aggregate": "pooled",
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "n": 500,
        "segment_by": "channel" if segment else None,
        "segment": segment,
    }


@pytest.fixture
def clean(run):
    """Evidence of a run that is as good as one can be; each test spoils one thing."""
    evidence = GateEvidence.of(run)
    rng = np.random.default_rng(0)
    probability = rng.random(4000) ** 2
    label = (rng.random(4000) < probability).astype(float)
    rows = pl.DataFrame({"probability": probability, "label": label}).with_columns(
        pl.lit("classify/logistic").alias("model"),
        pl.lit("test").alias("part"),
        pl.lit(0).alias("fold"),
        pl.col("probability").alias("score"),
        pl.lit(["spent"]).alias("reasons"),
    )
    scores = [score("auroc", 0.9, 0.85, 0.93), score("aucpr", 0.6, 0.5, 0.7)]
    scores += [
        score("aucpr", value, value - 0.1, value + 0.1, name)
        for name, value in (("online", 0.62), ("retail", 0.5))
    ]
    table = evidence.tables.scores.clear()
    made = pl.DataFrame(
        scores,
        schema_overrides=table.schema,
        schema={name: table.schema[name] for name in scores[0]},
    )
    tables = replace(
        evidence.tables,
        predictions=rows,
        scores=pl.concat([table, made], how="diagonal_relaxed").select(table.columns),
    )
    return replace(
        evidence,
        tables=tables,
        headline="aucpr",
        better="high",
        champion=ChampionComparison("old", 0.02, -0.01, 0.05),
        seeds={0: 0.60, 1: 0.62, 2: 0.58},
        leaks=(),
        card=CARD,
        latency={"p99_ms": 4.0},
        violations=(),
    )


def test_what_is_clean_passes(rules, clean):
    checks = checks_of(rules, clean)
    assert [check for check in checks if not check.passed] == []
    assert {check.name for check in checks} == {
        "failures",
        "bound auroc",
        "champion",
        "calibration",
        "slices",
        "seeds",
        "latency",
        "leakage",
        "explanations",
        "card",
        "approver",
        "drift",
    }


def with_scores(evidence, change):
    return replace(evidence, tables=replace(evidence.tables, scores=change(evidence.tables.scores)))


def with_predictions(evidence, change):
    return replace(
        evidence, tables=replace(evidence.tables, predictions=change(evidence.tables.predictions))
    )


def low_interval(scores):
    return scores.with_columns(
        pl.when(pl.col("metric") == "auroc").then(0.4).otherwise(pl.col("ci_low")).alias("ci_low")
    )


def bad_slice(scores):
    retail = pl.col("segment").eq_missing("retail")
    return scores.with_columns(
        pl.when(retail).then(0.1).otherwise(pl.col("value")).alias("value"),
        pl.when(retail).then(0.15).otherwise(pl.col("ci_high")).alias("ci_high"),
    )


def failed_cells(evidence):
    timings = evidence.tables.timings.with_columns(pl.lit("error: no memory").alias("status"))
    return replace(evidence, tables=replace(evidence.tables, timings=timings))


FAULTS = {
    "a leak": (lambda e: replace(e, leaks=("future: 3 answers changed",)), "leakage"),
    "a canary that was not asked": (lambda e: replace(e, leaks=None), "leakage"),
    "a slice that fails": (lambda e: with_scores(e, bad_slice), "slices"),
    "slices that were not scored": (
        lambda e: with_scores(e, lambda s: s.filter(pl.col("segment").is_null())),
        "slices",
    ),
    "miscalibration": (
        lambda e: with_predictions(
            e, lambda p: p.with_columns((pl.col("probability") * 0.5).alias("probability"))
        ),
        "calibration",
    ),
    "labels that never came": (
        lambda e: with_predictions(
            e, lambda p: p.with_columns(pl.lit(None, pl.Float64).alias("label"))
        ),
        "calibration",
    ),
    "too few labels": (lambda e: with_predictions(e, lambda p: p.head(20)), "calibration"),
    "unstable seeds": (lambda e: replace(e, seeds={0: 0.6, 1: 0.4, 2: 0.7}), "seeds"),
    "one seed": (lambda e: replace(e, seeds={0: 0.6}), "seeds"),
    "a slow model": (lambda e: replace(e, latency={"p99_ms": 80.0}), "latency"),
    "a missing field of the card": (lambda e: replace(e, card=CARD | {"limits": "TODO"}), "card"),
    "no approver": (lambda e: replace(e, card=CARD | {"approver": ""}), "approver"),
    "an owner who approves": (
        lambda e: replace(e, card=CARD | {"approver": CARD["owner"]}),
        "approver",
    ),
    "worse than the champion": (
        lambda e: replace(e, champion=ChampionComparison("old", -0.1, -0.2, 0.0)),
        "champion",
    ),
    "no champion": (lambda e: replace(e, champion=None), "champion"),
    "an interval below the bound": (lambda e: with_scores(e, low_interval), "bound auroc"),
    "a high score without a reason": (
        lambda e: with_predictions(
            e,
            lambda p: p.with_columns(
                pl.when(pl.col("score") < pl.col("score").max()).then("reasons").alias("reasons")
            ),
        ),
        "explanations",
    ),
    "drift": (lambda e: replace(e, violations=({"description": "psi of spent"},)), "drift"),
    "cells that failed": (failed_cells, "failures"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_refused(rules, clean, name):
    spoil, wanted = FAULTS[name]
    refused = {check.name for check in checks_of(rules, spoil(clean)) if not check.passed}
    assert wanted in refused
    assert refused <= {wanted, "card"}


def test_the_decision_is_kept_with_digests_and_stops_a_bundle(
    run, rules, home, tmp_path, monkeypatch
):
    monkeypatch.chdir(home)
    card = tmp_path / "card.yaml"
    card.write_text("owner: Desk\n")
    changed = gate_rules("development", {"card": True, "leakage": False})
    evidence = gather_evidence(run, changed, GateInputs(card=str(card)))
    decision = decide_gate(run, changed, evidence)
    try:
        assert decision["outcome"] == "refused"
        assert decision["evidence"][str(card)] == hashlib.sha256(card.read_bytes()).hexdigest()
        assert "scores.parquet" in decision["evidence"]
        assert read_verdicts(run) == {"development": decision}
        with pytest.raises(HwdsError, match=r"gate 'development' refused run .*: card; mend that"):
            refuse_gated(run)
        passing = gate_rules("development", {"leakage": False})
        assert (
            decide_gate(run, passing, gather_evidence(run, passing, GateInputs()))["outcome"]
            == "passed"
        )
        refuse_gated(run)
    finally:
        forget(run)


def forget(run):
    for name in (VERDICTS, VERDICTS_PAGE):
        (run.path / name).unlink()


def test_a_stage_that_refused_stops_a_bundle_after_another_has_passed(run, clean):
    try:
        production, development = gate_rules("production"), gate_rules("development")
        assert decide_gate(run, production, replace(clean, card={}))["outcome"] == "refused"
        assert decide_gate(run, development, clean)["outcome"] == "passed"
        assert list(read_verdicts(run)) == ["production", "development"]
        assert "## production: refused" in (run.path / VERDICTS_PAGE).read_text()
        with pytest.raises(
            HwdsError, match=r"gate 'production' refused run .*: card, approver; mend that"
        ):
            refuse_gated(run)
        assert decide_gate(run, production, replace(clean, latency=None))["outcome"] == "refused"
        refuse_gated(run)  # what has no bundle yet has no latency
    finally:
        forget(run)


def test_a_champion_of_the_same_name_is_told_apart_and_no_rival_stands_for_it(run):
    good = RunSource.read([run])[0]
    rows = good.tables.predictions
    poor = rows.with_columns(pl.col("score").shuffle(seed=1), pl.col("probability").shuffle(seed=1))
    model = {**good.config["model"], "calibration": "beta"}
    spoilt = replace(
        good,
        title="other/run",
        config={**good.config, "model": model},
        tables=replace(good.tables, predictions=poor),
    )
    worse, better = against_of(spoilt, good, "aucpr"), against_of(good, spoilt, "aucpr")
    assert worse.effect < 0 < better.effect
    assert 1 + worse.effect == pytest.approx(1 / (1 + better.effect))


def test_coverage_is_judged_by_its_name(rules, clean):
    metric = next(
        name for name in forecast_metrics(12, (0.1, 0.5, 0.9)) if name.startswith("coverage")
    )
    covered = score(metric, 0.62, 0.6, 0.64)
    made = clean.tables.scores.clear()
    row = pl.DataFrame([covered], schema={name: made.schema[name] for name in covered})
    spoilt = with_scores(
        clean,
        lambda scores: pl.concat([scores, row], how="diagonal_relaxed").select(scores.columns),
    )
    for gap, passed in ((0.1, False), (0.2, True)):
        checks = checks_of(replace(rules, coverage_gap=gap), spoilt)
        assert [check.passed for check in checks if check.name == "coverage"] == [passed]


def test_the_report_of_a_monitor_is_of_the_bundle(run, bundle, home, tmp_path):
    report, keys = tmp_path / "report.json", str(home / "key.pem.pub")
    named = GateInputs(bundle=str(bundle.folder), monitor=str(report), trust=keys)
    plain = gate_rules("development", {"leakage": False})
    write_json(report, {"bundle": bundle.manifest.digest, "violations": []})
    assert gather_evidence(run, plain, named).violations == []
    write_json(report, {"bundle": "another", "violations": []})
    with pytest.raises(
        ConfigError, match=r"^--monitor: .* is of bundle another, not of [0-9a-f]{16}"
    ):
        gather_evidence(run, plain, named)
    write_json(report, {"violations": []})
    with pytest.raises(ConfigError, match=r"^--monitor: .* is no report\.json"):
        gather_evidence(run, plain, named)


def test_rules_are_checked(rules):
    with pytest.raises(ConfigError, match="no option 'aproval'; did you mean 'approval'"):
        gate_rules("aproval")
    with pytest.raises(ConfigError, match="seed_rnge"):
        gate_rules("approval", {"seed_rnge": 1})
    with pytest.raises(ConfigError, match="must have at_least or at_most"):
        gate_rules("approval", {"bounds": [{"metric": "auroc"}]})
    assert [
        gate_rules(name).stage
        for name in ("development", "validation", "approval", "production", "ongoing")
    ]


def test_a_calibrated_model_has_the_gap_of_chance():
    rng = np.random.default_rng(1)
    probability = rng.random(5000)
    gap, chance = calibration_gap(probability, (rng.random(5000) < probability).astype(float))
    assert gap == pytest.approx(chance, abs=0.008)


def test_a_world_that_is_too_short_when_small_is_asked_at_its_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = compose(
        [
            "dataset=drift",
            "dataset.daily=20",
            "model=classify/rules",
            "protocol=prequential",
            "protocol.delay_days=60",
            "protocol.windows=1",
            "protocol.explained=0",
            "protocol.importance_rows=0",
            "protocol.resamples=20",
            "pictures=false",
            "compute=serial",
        ]
    )
    with pytest.raises(DataError, match=r"1 need \d+ days of data, there are 90"):
        run_experiment(check({**data, "size": "small"}), data)
    run = run_experiment(check(data), data).prepared.folder
    assert leaks_of(run) == ()
