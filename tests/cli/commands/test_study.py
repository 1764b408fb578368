"""A study as a user runs it: planned, run, frozen, decided; and what it refuses."""

import json

import polars as pl
import pytest
import yaml

from .conftest import SALES

PLAN = {
    "question": "Is the naive forecast as good as the seasonal one?",
    "metric": "mase",
    "model": "forecast/naive",
    "rivals": ["forecast/seasonal_naive"],
    "margin": 0.5,
    "seeds": [0, 1],
    "words": ["model=forecast/naive", "rivals=[forecast/seasonal_naive]"],
    "experiments": {"near": ["protocol.horizon=3"], "far": ["protocol.horizon=6"]},
    "rule": [
        {"all": ["alike", "better"], "then": "Take the naive one."},
        {"then": "Unsure in {unsure}, worse in {worse}."},
    ],
}
COMMON = [
    word.strip("'")
    for word in SALES.replace("model=forecast/seasonal_naive", "")
    .replace("protocol.horizon=6", "")
    .split()
    if "compute" not in word
]


TOLD = '''
"""A tracker that notes the group of each record."""
from pathlib import Path
from hwds.track.trackers.base import Tracker


class Told(Tracker):
    def begin(self): ...

    def write(self, records):
        with Path("told.txt").open("a") as file:
            file.writelines(f"{record.group} " for record in records)
        return ["told.txt"]

    def location(self, places):
        return "told"
'''


@pytest.fixture
def planned(tmp_path):
    """Write the plan of the study `which`, with changes."""

    def write(**changes):
        plan = {**PLAN, **changes}
        plan["words"] = [*COMMON, *plan["words"]]
        path = tmp_path / "experiments/which/study.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# python -m hwds study which\n" + yaml.safe_dump(plan, sort_keys=False))
        return path.parent

    return write


def test_a_study_is_run_frozen_and_decided_by_its_rule(hwds, sales, planned, tmp_path):
    folder = planned()
    said = hwds("study which compute=serial")
    assert said.code == 0, said
    assert "Files     experiments/which" in said.out
    assert "Leaderboard" not in said.out, "a study prints no leaderboard of each run"
    contrasts = pl.read_csv(folder / "results/contrasts.csv")
    assert contrasts["contrast"].to_list() == ["near", "far"]
    verdicts = dict(zip(contrasts["contrast"], contrasts["verdict"], strict=True))
    kept = json.loads((folder / "results/study.json").read_text())
    wanted = (
        "Take the naive one." if set(verdicts.values()) <= {"alike", "better"} else "Unsure in "
    )
    assert kept["verdict"].startswith(wanted)
    assert kept["verdict"] in (folder / "report.md").read_text()
    assert "What was decided before" in (folder / "report.html").read_text()
    assert pl.read_csv(folder / "results/scores.csv").height == 2 * 2 * 2, (
        "of each experiment, seed and model"
    )
    runs = sorted((tmp_path / "outputs/runs/which").iterdir())
    assert len(runs) == 4
    written = {path: path.stat().st_mtime_ns for run in runs for path in run.iterdir()}
    frozen = (folder / "results/study.json").read_text()

    again = hwds("study experiments/which compute=serial compute.max_failed=1")
    assert "Every contrast comes to what was frozen." in again.out
    assert {path: path.stat().st_mtime_ns for run in runs for path in run.iterdir()} == written, (
        "nothing is computed twice"
    )
    assert (folder / "results/study.json").read_text() == frozen

    report = hwds("report which")
    assert (report.code, report.out) == (0, again.out), (
        "its report is that of the study, read again"
    )

    each = hwds("compare --study which --margin 0.9")
    assert each.code == 0
    assert "near:\n" in each.out
    assert "2 models on file by mase[m=12] (lower is better), 4 series, 2 seeds\n" in each.out
    assert len(list((tmp_path / "outputs/comparisons").iterdir())) == 2
    assert (
        "compare: --metric is what the study has decided"
        in hwds("compare --study which --metric mae").line
    )


def test_runs_that_were_there_are_mirrored_once_in_the_studys_group_or_another(
    hwds, sales, planned, tmp_path, monkeypatch
):
    monkeypatch.setattr("hwds.track.mirroring.LOCAL_SECONDS", 60.0)
    planned(experiments={"near": ["protocol.horizon=3"]})
    mirror = tmp_path / "conf/tracker"
    mirror.mkdir(parents=True)
    (mirror / "told.yaml").write_text("# hwds tracker=told\nrecipe: told:Told\n")
    (tmp_path / "told.py").write_text(TOLD)
    assert hwds("study which compute=serial").code == 0
    for group, told in (
        ("null", ["which"] * 2),
        ("null", ["which"] * 2),
        ("mine", ["which", "which", "mine", "mine"]),
    ):
        assert hwds(f"study which compute=serial tracker=told tracker.group={group}").code == 0
        assert (tmp_path / "told.txt").read_text().split() == told


def test_a_plan_that_was_changed_after_results_is_refused_or_told(hwds, sales, planned):
    folder = planned()
    assert hwds("study which compute=serial").code == 0
    planned(margin=0.9)
    said = hwds("study which compute=serial").line
    assert "its plan was changed after results were known (margin: 0.9, and before 0.5)" in said
    told = "_The plan was changed after results were known: margin: 0.9, and before 0.5._"
    assert hwds("study which --read --amended").code == 0
    assert told in (folder / "report.md").read_text()
    assert hwds("study which compute=serial --amended").code == 0
    assert hwds("study which compute=serial --renew").code == 0
    assert told in (folder / "report.md").read_text(), "it stays told"


def test_words_that_change_numbers_make_it_a_trial_that_freezes_nothing(
    hwds, sales, planned, tmp_path
):
    folder = planned()
    assert hwds("study which size=small compute=serial").code == 0
    assert not (folder / "results").exists()
    assert len(list(tmp_path.glob("outputs/studies/which-*/results/contrasts.csv"))) == 1
    assert "no finished run here" in hwds("compare --study which").line


def test_seeds_with_worlds_of_their_own_and_a_run_that_fails(hwds, sales, planned, tmp_path):
    rows, _ = sales
    for seed in range(4):
        rows.with_columns(
            units=pl.col("units") * (1 + seed * (pl.int_range(pl.len()) % 5) / 9)
        ).write_csv(tmp_path / f"world-{seed}.csv")
    folder = planned(
        words=[*PLAN["words"], "dataset.path=world-{seed}.csv"],
        seeds=[0, 1, 2, 3, 4],
        experiments={"near": ["protocol.horizon=3"]},
    )
    said = hwds("study which compute=serial")
    assert said.code == 3
    assert "FAILED near, seed 4: dataset.path: " in said.out
    assert (
        hwds("study which --read").line
        == "hwds: study 'which': 1 run is missing; `hwds study which` goes on with it."
    )
    assert "1 of 5 runs failed: no verdict" in said.err
    assert not (folder / "results").exists()
    rows.with_columns(units=pl.col("units") * 2).write_csv(tmp_path / "world-4.csv")
    assert hwds("study which compute=serial").code == 0
    (row,) = pl.read_csv(folder / "results/contrasts.csv").to_dicts()
    assert (row["clusters"], row["method"]) == (5, "t over worlds")
    assert "Only 5 worlds: intervals are Student's t" in (folder / "report.md").read_text()


REFUSALS = [
    ({"margins": 1}, "which/study.yaml: no key 'margins'; did you mean 'margin'?"),
    ({"margin": 0}, "which/study.yaml.margin: must be > 0"),
    ({"seeds": [1, 1]}, "which/study.yaml.seeds: must not repeat 1"),
    (
        {"rule": [{"all": "bettr", "then": "x"}, {"then": "y"}]},
        "which/study.yaml.rule[0].all[0]: must be 'better', 'worse'",
    ),
    (
        {"rule": [{"all": "better", "then": "x"}]},
        "rule[0]: the last clause, and no other, must be without",
    ),
    ({"rule": [{"then": "x {beter}"}]}, "rule[0].then: no list '{beter}'; did you mean 'better'?"),
    (
        {"rivals": ["forecast/seasonal_naiv"]},
        "rivals: no model 'forecast/seasonal_naiv' in experiment 'near'; did you mean",
    ),
    (
        {"experiments": {"near": ["protocol.horizn=3"]}},
        "experiments 'near': protocol: no key 'horizn'; did you mean 'horizon'?",
    ),
    (
        {"experiments": ["lstm_forecats"]},
        "no option 'lstm_forecats'; did you mean 'lstm_forecast'?",
    ),
]


@pytest.mark.parametrize(
    ("changes", "said"), REFUSALS, ids=[str(next(iter(changes))) for changes, _ in REFUSALS]
)
def test_a_wrong_plan_is_refused_before_anything_runs(
    hwds, sales, planned, tmp_path, changes, said
):
    planned(**changes)
    assert said in hwds("study which compute=serial").line
    assert not (tmp_path / "outputs").exists()


def test_a_study_that_is_not_there_is_refused(hwds, planned):
    planned()
    assert "did you mean 'which'?" in hwds("study wich").line
    assert (
        "no run, sweep, study or comparison 'wich'; did you mean 'which'?"
        in hwds("report wich").line
    )
    assert "must be followed by the folder of a study" in hwds("study compute=serial").line
    assert "study: no flag '--raed'; did you mean '--read'?" in hwds("study which --raed").line
