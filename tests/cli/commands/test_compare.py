import json
import sys

import polars as pl
import pytest

from hwds.core.checksums import read_json
from hwds.core.keys import modules_in

from .conftest import SALES, run_ids

PAIR = SALES.replace(
    "model=forecast/seasonal_naive", "model=forecast/naive rivals=[forecast/seasonal_naive]"
)


@pytest.fixture
def two(hwds, sales, once, tmp_path):
    """Two runs of one experiment under two seeds."""
    once(lambda: [run(hwds, seed) for seed in (0, 1)])
    return run_ids(tmp_path)


def run(hwds, seed):
    assert hwds(f"{PAIR} seed={seed}").code == 0


def test_runs_are_compared_and_kept(hwds, two, tmp_path):
    said = hwds(f"compare {two[0]} {two[1]} --margin 0.5")
    assert said.code == 0
    assert "2 models on file by mase[m=12] (lower is better), 4 series, 2 seeds\n" in said.out
    assert "forecast/naive against each rival" in said.out
    assert "Only 4 series: intervals are Student's t" in said.out
    folder = next((tmp_path / "outputs/comparisons").iterdir())
    assert f"Comparison: {folder}" in said.out
    page = (folder / "comparison.md").read_text()
    assert f"python -m hwds compare {two[0]} {two[1]} --margin 0.5" in page
    assert pl.read_parquet(folder / "comparison.parquet")["rival"].to_list() == [
        "forecast/seasonal_naive"
    ]
    assert hwds("compare --experiment adhoc --margin=0.5").code == 0
    assert len(list((tmp_path / "outputs/comparisons").iterdir())) == 1, (
        "the same question has one folder"
    )


def test_a_comparison_of_an_earlier_version_is_shown_whole_or_says_what_it_lacks(
    hwds, two, tmp_path
):
    hwds(f"compare {two[0]}")
    (folder,) = (tmp_path / "outputs" / "comparisons").iterdir()
    hwds(f"report {folder.name}")
    whole = (folder / "report.md").read_text()
    assert "at the same cutoffs" in whole
    stored = read_json(folder / "comparison.json")
    earlier = {
        name: value for name, value in stored.items() if name not in ("conditions", "trained")
    }
    (folder / "comparison.json").write_text(json.dumps(earlier))
    hwds(f"report {folder.name}")
    assert (folder / "report.md").read_text() == whole
    (tmp_path / "outputs" / "runs").rename(tmp_path / "gone")
    hwds(f"report {folder.name}")
    assert (
        "an earlier version made it, and without its runs nothing says what they share"
        in (folder / "report.md").read_text()
    )


def test_json_is_all_of_it(hwds, two):
    data = json.loads(hwds(f"compare {two[0]} --json").out)
    assert data["subject"] == "forecast/naive"
    assert data["pairs"][0]["rival"] == "forecast/seasonal_naive"
    assert data["sentence"].startswith("NOT SURE: forecast/naive ")
    assert len(data["leaderboard"]) == 2


METRIC = """
import numpy as np
from hwds.forecast import Metric

typical = Metric("typical_error", lambda a: np.abs(a.actual - a.median), quantile=0.5, meaning="median absolute error")
"""


def test_models_are_compared_by_a_metric_of_ones_own_whose_code_is_in_the_runs_id(
    hwds, sales, tmp_path, monkeypatch
):
    (tmp_path / "own_errors.py").write_text(METRIC)
    monkeypatch.delitem(sys.modules, "own_errors", raising=False)
    words = f"{PAIR} protocol.metrics=[own_errors:typical] protocol.headline=typical_error"
    assert hwds(words).code == 0
    for line in ("compare adhoc", "compare adhoc --metric typical_error"):
        assert "2 models on file by typical_error (lower is better), 4 series" in hwds(line).out
    assert "own_errors" in set(modules_in({"metrics": ["own_errors:typical"]})), (
        "its code is in the run's id"
    )


REFUSALS = [
    ("compare", "compare: must be followed by runs, or by --experiment, --sweep or --study"),
    ("compare adhoc --modell x", "compare: no flag '--modell'; did you mean '--model'?"),
    ("compare adhoc --metric", "compare: --metric must be followed by a value"),
    ("compare adhoc --margin some", "--margin: must be a number, got 'some'"),
    ("compare adhoc --margin 0", "--margin: must be above 0"),
    ("compare adhoc --resamples 5", "--resamples: must be at least 100, got 5"),
    ("compare adhoc --resamples inf", "--resamples: must be a whole number, got 'inf'"),
    ("compare adhoc --metric mace", "has no metric 'mace'; did you mean 'mae'?"),
    ("compare --experiment adhok", "no finished run of 'adhok'; did you mean 'adhoc'?"),
]


def test_what_is_wrong_is_refused_in_one_line(hwds, two):
    for line, said in REFUSALS:
        assert said in hwds(line).line


def test_words_are_completed(hwds, two, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", "hwds compare --m")
    out = hwds("-sc query=bash").out.split()
    assert {"--metric", "--model", "--margin"} <= set(out)
    monkeypatch.setenv("COMP_LINE", f"hwds compare {two[0][:3]}")
    assert two[0] in hwds("-sc query=bash").out.split()


def test_a_run_on_more_cutoffs_is_a_second_look_and_its_tables_are_the_same(hwds, sales, tmp_path):
    line = PAIR.replace("=holdout protocol.horizon=6", "=walk_forward protocol.horizon=2")
    shown = [hwds(f"{line} protocol.windows={windows}").out for windows in (6, 8, 6)]
    assert ["Look 2 at" in each for each in shown] == [False, True, False]
    second = tmp_path / "outputs/runs/adhoc" / run_ids(tmp_path)[0]  # the first one ran last
    assert "the interval holds at all looks" in (second / "conclusion.txt").read_text()
    said = hwds(f"compare {second.name} --json")
    (row,) = json.loads(said.out)["pairs"]
    assert row["low"] < row["fixed_low"] < row["fixed_high"] < row["high"]
    assert "of one" in hwds(f"compare {second.name}").out
    (looks,) = (tmp_path / "outputs" / "looks").iterdir()
    assert len(read_json(looks)["looks"]) == 2
    tables = {name: (second / name).read_bytes() for name in TABLES}
    (tmp_path / "outputs").rename(tmp_path / "before")
    assert "Look" not in hwds(f"{line} protocol.windows=8").out
    again = tmp_path / "outputs/runs/adhoc" / second.name
    assert {name: (again / name).read_bytes() for name in TABLES} == tables


TABLES = ("scores.parquet", "predictions.parquet")
