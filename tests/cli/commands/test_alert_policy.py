"""`decision=alert_policy` from the command line, on a small gray market."""

from __future__ import annotations

import json

import polars as pl

DATA = (
    "dataset=gray_market dataset.days=90 features=none protocol=prequential_gray "
    "decision=alert_policy size=small pictures=true"
    " compute=serial"
)


def only(folder, name):
    (path,) = folder.glob(f"outputs/runs/adhoc/*/{name}")
    return path


def test_alerts_costs_and_thresholds_lie_beside_the_run(hwds, tmp_path):
    said = hwds(f"{DATA} model=classify/logistic")
    assert said.code == 0, said.err
    found = json.loads(only(tmp_path, "decision.json").read_text())
    first = found["sentence"].partition("\n")[0].replace(":", "", 1)
    assert first in " ".join(said.out.split())
    assert found["tables"] == ["alerts", "alert_costs", "alert_thresholds", "cases", "case_rows"]
    assert {line["against"] for line in found["record"]} == {"labels", "truth"}
    assert found["wrong_block"] == 500
    alerts = pl.read_parquet(only(tmp_path, "alerts.parquet"))
    assert set(alerts["tier"]) <= {"block", "review", "random_review"}
    assert (alerts.filter(pl.col("tier") == "block")["reasons"] != "").any()
    costs = pl.read_csv(only(tmp_path, "alert_costs.csv"))
    assert costs["policy"].to_list()[:5] == ["alert_policy", "today", "z", "random", "nothing"]
    page = only(tmp_path, "leaderboard.md").read_text()
    assert found["sentence"] in page
    assert "| nothing | truth |" in page
    assert only(tmp_path, "alert_costs.png").read_bytes()[:4] == b"\x89PNG"


def test_scores_that_are_no_probabilities_are_refused_before_the_run(hwds, tmp_path):
    said = hwds(f"{DATA} model=anomaly/robust_z")
    assert said.code == 2
    assert (
        "model.calibration: must be platt, bayes, beta or isotonic for decision 'alert_policy', "
        "got none" in said.err
    )
    assert not list(tmp_path.glob("outputs/runs/*"))
