"""Champion and challenger: forecasts are kept, scored when rows come, and never made again."""

import json
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.cli.commands.watch import record_of, waiting_cost
from hwds.core.checksums import read_parquet
from hwds.results.folder import RunFolder

from .conftest import months

LINE = (
    "model=forecast/naive rivals=[forecast/theta_light] dataset=file compute=serial"
    " dataset.path=0.csv dataset.roles.series=shop dataset.roles.time=month"
    " dataset.roles.target=units dataset.season=1 protocol=walk_forward protocol.horizon=2"
    " protocol.windows=4 pictures=false"
)
FIRST, LATER, SHOPS = 36, 8, 12


@pytest.fixture
def watched(hwds, once, tmp_path):
    """A run on months that turn up and down: its rival, which smooths, is far better than the last
    value. Each later export has a month more.
    """

    def make():
        rng = np.random.default_rng(0)
        turns = 100 + 20 * (-1.0) ** np.arange(FIRST + LATER)
        rows = pl.concat(
            pl.DataFrame(
                {
                    "shop": f"s{shop:02}",
                    "month": months(date(2020, 1, 1), FIRST + LATER),
                    "units": (turns + rng.normal(0, 5, FIRST + LATER)).round(2),
                }
            )
            for shop in range(SHOPS)
        )
        known = months(date(2020, 1, 1), FIRST + LATER)
        for later in range(LATER + 1):
            end = known[FIRST + later - 1]
            rows.filter(pl.col("month") <= end).write_csv(tmp_path / f"{later}.csv")
        said = hwds(LINE)
        assert said.code == 0, said
        assert hwds("watch adhoc").code == 0

    once(make)
    (folder,) = (tmp_path / "outputs" / "runs" / "adhoc").iterdir()
    return RunFolder(folder)


def test_the_first_call_keeps_forecasts_and_models_of_both(hwds, watched):
    said = hwds("watch adhoc")
    assert (said.code, "no row has come after them" in said.out) == (0, True)
    kept = [read_parquet(path) for path in sorted(watched.watch.glob("*.parquet"))]
    assert [each["model"][0] for each in kept] == ["forecast/naive", "forecast/theta_light"]
    assert {each["cutoff"].max() for each in kept} == {date(2022, 12, 1)}
    assert len(list(watched.watch.glob("*/model/*"))) == 2


def test_kept_forecasts_are_scored_unchanged_and_the_better_rival_is_taken(hwds, watched):
    before = {path: path.read_bytes() for path in watched.watch.rglob("*.parquet")}
    fits = {path: path.read_bytes() for path in watched.watch.glob("*/model/*")}
    for later in range(1, LATER + 1):
        said = hwds(f"watch adhoc --data {later}.csv --json")
        assert said.code == 0, said
    record = json.loads(said.out)
    assert record["verdict"] == "CHANGE"
    assert record["sentence"].startswith("forecast/theta_light is ")
    assert [look["cutoffs"] for look in record["looks"]] == list(range(1, LATER + 1))
    last = record["looks"][-1]
    assert last["low"] < last["fixed_low"] < last["effect"] < last["fixed_high"] < last["high"]
    for path, content in (before | fits).items():
        assert path.read_bytes() == content
    # the mean error of one look, by hand: the last forecast before each month
    kept = pl.concat(read_parquet(path) for path in sorted(watched.watch.glob("*.parquet")))
    came = pl.read_csv(f"{LATER}.csv", try_parse_dates=True).select(
        pl.col("shop").alias("series_id"), time="month", actual="units"
    )
    rows = kept.join(came, on=["series_id", "time"]).filter(pl.col("step") == 1)
    scales = watched.read_tables().predictions.sort("cutoff").unique(["series_id"], keep="last")
    rows = rows.join(scales.select("series_id", "scale_abs"), on="series_id")
    error = ((pl.col("q_0.5") - pl.col("actual")).abs() / pl.col("scale_abs")).mean()
    errors = dict(rows.group_by("model").agg(error.alias("mase")).iter_rows())
    expected = 1 - errors["forecast/theta_light"] / errors["forecast/naive"]
    assert last["effect"] == pytest.approx(expected)


def test_the_same_data_again_are_no_new_look(hwds, watched):
    first = hwds("watch adhoc --data 3.csv --json").out
    assert hwds("watch adhoc --data 3.csv --json").out == first
    assert len(json.loads(first)["looks"]) == 1
    assert len(list(watched.watch.glob("*.parquet"))) == 4


def test_a_watched_run_is_followed_by_its_experiment_and_kept_by_prune(hwds, watched):
    assert hwds(LINE + " seed=1").code == 0
    record = json.loads(hwds("watch adhoc --json").out)
    assert record["run"] == watched.title
    assert "watched" in hwds("prune runs --older-than 0d --yes").out
    assert watched.finished


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("watch adhoc --challenger theta", "--challenger: no rival 'theta' in the run"),
        ("watch nothing", "no run 'nothing'"),
    ],
)
def test_a_mistake_is_a_line(hwds, watched, line, message):
    said = hwds(line)
    assert (said.code, message in said.err) == (2, True)


def look(verdict, until):
    ends = dict.fromkeys(("low", "high", "fixed_low", "fixed_high"), 0.1)
    about = {"cutoffs": 5, "relative": True, "effect": 0.1}
    return {"until": until, "verdict": verdict, **about, **ends}


def test_the_first_sure_look_stands():
    looks = [look("NOT SURE", "1"), look("CHANGE", "2"), look("NOT SURE", "3")]
    record = record_of(["a", "b"], looks, None)
    assert (record["verdict"], "sure since 2" in record["sentence"]) == ("CHANGE", True)


def test_waiting_costs_what_the_decision_says_of_both(hwds, sales, tmp_path):
    line = (
        LINE.replace("0.csv", "sales.csv")
        + " decision=stock 'dataset.roles.series=[shop,region]' size=small"
    )
    assert hwds(line).code == 0
    (folder,) = (tmp_path / "outputs" / "runs" / "adhoc").iterdir()
    run = RunFolder(folder)
    record = pl.read_parquet(folder / "stock_record.parquet")
    cost = dict(record.select("model", "cost").iter_rows())
    found = waiting_cost(run, ["forecast/naive", "forecast/theta_light"])
    series = run.read_tables().predictions["series_id"].n_unique()
    saved = max(cost["forecast/naive"] - cost["forecast/theta_light"], 0) * series
    assert (found["decision"], found["cost"]) == ("stock", pytest.approx(saved))
    assert waiting_cost(run, ["forecast/naive", "forecast/none"]) is None
