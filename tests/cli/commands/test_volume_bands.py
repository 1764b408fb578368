"""`decision=volume_bands` from the command line, on a back-test and on the months to come."""

from __future__ import annotations

import json

import polars as pl

SMALL = (
    "+experiment=volume_commitment size=small pictures=true compute=serial rivals=[] "
    "features=none protocol.windows=2"
)
RUN = f"{SMALL} model=forecast/seasonal_naive protocol=walk_forward_paths protocol.paths=100"


def only(folder, name):
    (path,) = folder.glob(f"outputs/runs/volume_commitment/*/{name}")
    return path


def test_a_run_and_its_forecast_are_decided_on(hwds, tmp_path):
    said = hwds(RUN)
    assert said.code == 0, said.err
    found = json.loads(only(tmp_path, "decision.json").read_text())
    assert (found["coupling"], found["when"], found["levels"]["optimal"]) == (
        "paths",
        "back-test",
        0.75,
    )
    assert f"\n{found['action']:<10}" in said.out
    deals = pl.read_parquet(only(tmp_path, "volume_bands.parquet"))
    scored = deals.drop_nulls("actual")
    record = {line["band"]: line for line in found["record"]}
    assert record["committed"]["below"] == (scored["actual"] < scored["committed"]).mean()
    over, under = (
        (scored["base"] - scored["actual"]).clip(0),
        (scored["actual"] - scored["base"]).clip(0),
    )
    assert abs(record["base"]["cost"] - (over + 3 * under).mean()) < 1e-6 * record["base"]["cost"]
    page = only(tmp_path, "leaderboard.md").read_text()
    assert found["sentence"] in page
    assert "| committed |" in page
    assert only(tmp_path, "volume_bands.png").read_bytes()[:4] == b"\x89PNG"

    ahead = hwds("predict volume_commitment")
    assert ahead.code == 0, ahead.err
    future = json.loads(only(tmp_path, "future_decision.json").read_text())
    assert (future["when"], future["record"]) == ("future", found["record"])
    assert f"\n{future['action']:<10}" in ahead.out
    volumes = pl.read_csv(only(tmp_path, "future_volume_bands.csv"))
    assert volumes["actual"].null_count() == len(volumes) == future["n_deals"]
    assert (volumes["committed"] <= volumes["upside"]).all()
    assert "paths" in pl.read_parquet(only(tmp_path, "future.parquet")).columns
    assert "paths" not in pl.read_csv(only(tmp_path, "future.csv")).columns
    assert only(tmp_path, "future_volume_bands.png").is_file()


def test_other_terms_compute_nothing_and_no_decision_leaves_no_file(hwds, tmp_path):
    assert hwds(RUN).code == 0
    before = json.loads(only(tmp_path, "decision.json").read_text())
    again = hwds(
        f"{RUN} decision.deal=[sku] decision.months=[1,6] decision.under=1 decision.coupling=errors"
    )
    assert again.code == 0, again.err
    assert pl.read_parquet(only(tmp_path, "timings.parquet"))["cached"].all()
    found = json.loads(only(tmp_path, "decision.json").read_text())
    assert (found["levels"]["optimal"], found["steps"]) == (0.5, [1, 6])
    assert found["n_deals"] < before["n_deals"]
    assert hwds(f"{RUN} decision=none").code == 0
    assert not list(tmp_path.glob("outputs/runs/*/*/volume_bands*"))
    assert not list(tmp_path.glob("outputs/runs/*/*/decision.json"))


def test_mistakes_are_refused_on_one_line(hwds):
    assert hwds(f"{RUN} decision.deal=[skus]").line.startswith(
        "hwds: decision.deal: no static or level column 'skus'; did you mean 'sku'"
    )
    assert (
        "decision.months: must lie within the steps 1 to 12, got [1, 18]"
        in hwds(f"{RUN} decision.months=[1,18]").line
    )
    assert (
        "decision: 'volume_bands' decides from a task of forecast"
        in hwds("+experiment=price_bandit decision=volume_bands").line
    )
