"""Sweeps as a user runs them: what they try, what they leave, what they say, and that nothing is
computed twice.
"""

import json
import re
import shlex
import shutil

import polars as pl
import pytest
import yaml

from hwds.evaluation.workers import Worker

from .conftest import SALES

MODEL = '''
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from hwds.frames.panel import Forecasts
from hwds.forecast.models.base import Forecaster
from tests.support.panels import FittedLastValue

ASKED = []


class Shifted(Forecaster):
    """The mean, and something more."""

    local = True
    search_space: ClassVar[Mapping[str, Any]] = {"shift": {"uniform": [-40.0, 40.0]}}

    shift: float = 30.0
    broken: bool = False
    undefined: bool = False
    trouble: str = "none"

    def learn(self, history, *, horizon, context):
        if context.fold == "toy":
            return Mean(context.levels, self.shift)
        ASKED.append((self.shift, context.fold))
        if self.broken or self.trouble == "broken":
            raise ValueError("no luck")
        if self.trouble == "tells":
            import numba
            from threadpoolctl import threadpool_info

            blas = {library["num_threads"] for library in threadpool_info()}
            held = [context.cpus, pl.thread_pool_size(), numba.config.NUMBA_NUM_THREADS, *blas]
            raise ValueError(f"{held} {os.environ['TF_NUM_INTRAOP_THREADS']} {os.environ['TF_NUM_INTEROP_THREADS']}")
        if self.trouble == "hoards":
            ASKED.append(np.ones(2**24))
        while self.trouble == "hangs":
            time.sleep(1)
        while self.trouble == "eats":
            ASKED.append(np.ones(2**24))
        return Mean(context.levels, float("nan") if self.undefined or self.trouble == "undefined" else self.shift)


@dataclass(frozen=True)
class Mean:
    levels: tuple[float, ...]
    shift: float

    def predict(self, history, future):
        ends = history.offsets
        means = [history.target[a:b].mean() + self.shift for a, b in zip(ends[:-1], ends[1:])]
        mean = np.repeat(np.array(means)[:, None], future.lengths[0], axis=1)
        return Forecasts.of(mean, np.repeat(mean[..., None], len(self.levels), axis=2))
'''
APART = ["seconds", "cached", "host"]
RUN = SALES.replace("model=forecast/seasonal_naive", "model=mine/shifted")
OPEN = f"{RUN} compute.walls=never"
"""In this process, where the model tells the test what it was asked."""


@pytest.fixture
def lab(hwds, sales, tmp_path, monkeypatch):
    """A user's project with a model that is best where it shifts nothing."""
    (tmp_path / "conf" / "model" / "mine").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine" / "shifted.yaml").write_text(
        "recipe: lab_models:Shifted\n"
    )
    (tmp_path / "lab_models.py").write_text(MODEL)
    monkeypatch.setattr(
        "hwds.cli.sweep.draw_sweep", lambda *_: []
    )  # it has a test of its own, and takes a second
    import sys

    sys.modules.pop("lab_models", None)
    yield hwds
    sys.modules.pop("lab_models", None)


def asked():
    import sys

    found = list(sys.modules["lab_models"].ASKED)
    sys.modules["lab_models"].ASKED.clear()
    return found


def folder_of(path):
    """The latest sweep."""
    return max(
        path.glob("outputs/sweeps/*/*/sweep.json"), key=lambda found: found.stat().st_mtime_ns
    ).parent


def trials_of(path):
    return pl.read_parquet(folder_of(path) / "trials.parquet")


def in_a_line(said):
    """What a plan says, whose lines are those of a terminal."""
    return " ".join(said.out.split())


def test_a_random_search_finds_what_is_better_and_says_how_much_is_left_of_it(lab, tmp_path):
    said = lab(f"{RUN} sweep=random sweep.trials=6")
    assert (said.code, said.err) == (0, "")
    table = trials_of(tmp_path)
    assert table["trial"].to_list() == list(range(6))
    assert table["status"].unique().to_list() == ["finished"]
    assert table["model.shift"][0] == 30.0
    best = table.sort("score")["trial"][0]
    assert abs(table["model.shift"][best]) == table["model.shift"].abs().min()
    folder = folder_of(tmp_path)
    told = json.loads((folder / "sweep.json").read_text())
    assert told["best"]["trial"] == best
    assert told["best"]["optimism"] == pytest.approx(told["best"]["inner"] - told["best"]["final"])
    assert told["untuned"]["final"] > told["best"]["final"]
    read = yaml.safe_load((folder / "best.yaml").read_text())
    assert read["settings"] == {"model": {"shift": table["model.shift"][best]}}
    assert read["windows"] == 6
    assert {"trials.csv", "scores.parquet", "predictions.parquet", "sweep.md"} <= {
        path.name for path in folder.iterdir()
    }
    assert set(pl.read_parquet(folder / "scores.parquet")["model"]) == {
        f"trial {number}" for number in range(6)
    }
    words = " ".join(said.out.split())
    assert f"Trial {best} is the best of 6 trials on 6 inner windows" in words
    assert "optimism (inner less final)" in words
    effect = f"{100 * told['tuned']['effect']:.1f} % better than as it stood"
    assert f", tuned, is {effect} on the final windows (" in words
    compared = json.loads(lab(f"compare --sweep {folder} --json").out)
    pair = compared["pairs"][0]
    assert {key: pair[key] for key in ("effect", "low", "high", "p_value")} == {
        key: told["tuned"][key] for key in ("effect", "low", "high", "p_value")
    }


def test_the_best_settings_run_by_themselves(lab, tmp_path):
    lab(f"{RUN} sweep=random sweep.trials=4 seed=3 'rivals=[forecast/naive]'")
    told = json.loads((folder_of(tmp_path) / "sweep.json").read_text())
    text = (folder_of(tmp_path) / "conf" / "experiment" / "best.yaml").read_text()
    command = shlex.split(text.splitlines()[1].partition("hwds ")[2])
    assert command[0] == "--config-dir"
    (tmp_path / "conf" / "experiment").mkdir()
    (tmp_path / "conf" / "experiment" / "best.yaml").write_text(text)
    asked()
    assert lab("+experiment=best").code == 0
    assert asked() == []  # the very cells that the sweep has asked
    assert told["run"].rpartition("/")[2] in {
        path.parent.name for path in tmp_path.glob("outputs/runs/best/*/scores.parquet")
    }


def test_the_run_of_the_best_is_the_run_that_one_would_get_by_hand(lab, tmp_path):
    lab(f"{RUN} sweep=random sweep.trials=3")
    shift = trials_of(tmp_path).sort("score")["model.shift"][0]
    before = {path: path.read_bytes() for path in tmp_path.glob("outputs/runs/*/*/scores.parquet")}
    assert len(before) == 2, "that of the best, and that of the experiment as it stood"
    asked()
    lab(f"{RUN} model.shift={shift}")
    assert asked() == []
    assert {
        path: path.read_bytes() for path in tmp_path.glob("outputs/runs/*/*/scores.parquet")
    } == before


def test_the_best_and_the_experiment_as_it_stood_are_compared_on_the_final_windows(lab, tmp_path):
    lab(f"{RUN} sweep=grid sweep.space.model.shift={{choice:[0]}}")
    told = json.loads((folder_of(tmp_path) / "sweep.json").read_text())
    data = json.loads(lab(f"compare --sweep {folder_of(tmp_path).name[:8]} --json").out)
    assert (data["subject"], data["pairs"][0]["rival"]) == (
        "mine/shifted(shift=0)",
        "mine/shifted(shift=30.0)",
    )
    assert data["sources"] == [told["run"], told["own_run"]]
    assert data["pairs"][0]["effect"] > 0
    assert (
        "no sweep 'sweeps/adhok' below outputs/sweeps; did you mean 'sweeps/adhoc'?"
        in lab("compare --sweep adhok").line
    )
    assert "--sweep says which runs; drop x" in lab("compare x --sweep adhoc").line
    lab(f"{RUN} model.shift=0 sweep=grid sweep.space.model.shift={{choice:[90]}}")
    assert (
        "is the experiment as it stands: there is nothing to compare"
        in lab("compare --sweep adhoc").line
    )


def test_the_same_command_computes_nothing_more_trials_only_theirs(lab, tmp_path):
    lab(f"{OPEN} sweep=random sweep.trials=4")
    asked()
    first = trials_of(tmp_path)
    lab(f"{OPEN} sweep=random sweep.trials=4")
    assert asked() == []
    assert trials_of(tmp_path).drop(APART).equals(first.drop(APART))
    assert trials_of(tmp_path)["cached"].to_list() == [6] * 4
    lab(f"{OPEN} sweep=random sweep.trials=6")
    assert len(list(tmp_path.glob("outputs/sweeps/*/*"))) == 1
    more = trials_of(tmp_path)
    assert more.drop(APART).head(4).equals(first.drop(APART))
    inner = [shift for shift, _ in asked() if shift in more["model.shift"][4:].to_list()]
    assert len(inner) in (
        12,
        13,
    )  # six windows each, and the final one where one of them is the best
    fewer = lab(f"{OPEN} sweep=random sweep.trials=2")
    assert "6 trials, not 2: so many were tried before, and they stay." in in_a_line(fewer)
    assert asked() == []
    assert trials_of(tmp_path).drop(APART).equals(more.drop(APART))


def test_no_window_of_a_trial_is_a_final_one(lab, tmp_path):
    lab(f"{RUN} sweep=random sweep.trials=3")
    months = pl.read_csv("sales.csv", try_parse_dates=True)["month"].unique().sort()
    inner = pl.read_parquet(folder_of(tmp_path) / "predictions.parquet")
    assert inner["fold"].n_unique() == 6
    assert inner["time"].max() == months[-7]
    final = pl.concat(
        [pl.read_parquet(path) for path in tmp_path.glob("outputs/runs/*/*/predictions.parquet")]
    )
    assert final["time"].min() == months[-6]


def test_a_sweep_leaves_its_trials_the_history_before_three_cutoffs(lab, tmp_path):
    run = RUN.replace("protocol=holdout", "protocol=walk_forward")
    assert lab(run).code == 0
    (alone,) = tmp_path.glob("outputs/runs/*/*/predictions.parquet")
    assert pl.read_parquet(alone)["cutoff"].n_unique() == 7
    alone.unlink()
    assert lab(f"{run} sweep=random sweep.trials=2 sweep.windows=2").code == 0
    inner = pl.read_parquet(folder_of(tmp_path) / "predictions.parquet")
    final = [
        pl.read_parquet(path) for path in tmp_path.glob("outputs/runs/*/*/predictions.parquet")
    ]
    assert {rows["cutoff"].n_unique() for rows in final} == {3}
    assert inner["time"].max() < min(rows["time"].min() for rows in final)


def test_a_sweep_is_shown_again_and_the_next_one_foreseen(lab, tmp_path):
    sweep = f"{RUN} sweep=random"
    assert "24 to compute: time unknown" in in_a_line(lab(f"plan {sweep} sweep.trials=4"))
    said = lab(f"{sweep} sweep.trials=4").out
    folder = folder_of(tmp_path)
    assert "nothing was foreseen" in (folder / "sweep.md").read_text()
    names = (
        "sweeps/adhoc",
        f"sweeps/adhoc/{folder.name[:6]}",
        folder.name,
        f"outputs/sweeps/adhoc/{folder.name}",
    )
    shown = [lab(f"show {name}").out for name in names]
    assert len(set(shown)) == 1
    title = f"sweep adhoc/{folder.name}: random of mine/shifted on file, holdout, seed 0\n"
    assert title in shown[0]
    assert title in said
    best = next(line for line in said.splitlines() if line.startswith("Note      Trial "))
    assert best in shown[0]
    page = " ".join((folder / "sweep.md").read_text().split())
    assert "4 trials have a score; with 1 setting at least 10 are needed" in page
    assert (
        "no sweep 'sweeps/adhok' below outputs/sweeps; did you mean 'sweeps/adhoc'?"
        in lab("show sweeps/adhok").line
    )
    assert lab("show adhoc").out.startswith("adhoc/")  # a run goes before a sweep of the same name
    ahead = in_a_line(lab(f"plan {sweep} sweep.trials=8"))
    assert "48 cells, 24 to compute: about" in ahead
    assert "by the clock with 1 at once, by earlier timings." in ahead
    lab(f"{sweep} sweep.trials=8")
    time = json.loads((folder / "sweep.json").read_text())["time"]
    assert time["took"]["cells"] == 24
    assert 0 < time["foreseen"]["low"] < time["foreseen"]["core_seconds"] < time["foreseen"]["high"]
    lab(f"{sweep} sweep.trials=8")
    assert json.loads((folder / "sweep.json").read_text())["time"] == time  # nothing was computed


def test_a_changed_space_is_another_sweep_that_finds_finished_windows(lab, tmp_path):
    space = "sweep.space.model.shift"
    lab(f"{OPEN} sweep=grid {space}={{choice:[0,10,20]}}")
    asked()
    changed = f"{OPEN} sweep=grid {space}={{choice:[0,10,20,-10]}}"
    assert "30 cells, 6 to compute" in in_a_line(lab(f"plan {changed}"))
    lab(changed)
    assert {shift for shift, _ in asked()} == {-10.0}
    assert len(list(tmp_path.glob("outputs/sweeps/*/*"))) == 2


def test_a_widened_sweep_goes_on_from_every_lawful_trial_whatever_search_made_it(lab, tmp_path):
    space, sweep = "sweep.space.model.shift", f"{RUN} pictures=false sweep=random sweep.windows=2"
    lab(f"{sweep} sweep.trials=5 {space}=[-10,10]")
    first, narrow = trials_of(tmp_path), folder_of(tmp_path)
    said = (
        f"4 finished trials of earlier sweeps (4 of adhoc/{narrow.name}) lie in this space and "
        f"count."
    )
    assert said in in_a_line(lab(f"plan {sweep} sweep.trials=3"))
    asked()
    widened = lab(f"{sweep} sweep.trials=3")
    assert said in widened.out
    assert "(4 of them of earlier sweeps)" in " ".join(widened.out.split())
    table = trials_of(tmp_path)
    assert table["source"].to_list() == ["", *[f"adhoc/{narrow.name}"] * 4, "", ""]
    assert table["model.shift"].to_list()[:5] == first["model.shift"].to_list()
    assert table["score"].to_list()[:5] == first["score"].to_list()
    assert len(json.loads((folder_of(tmp_path) / "sweep.json").read_text())["rungs_of_trials"]) == 7
    new = set(table["model.shift"][5:])
    assert {shift for shift, fold in asked() if fold != "end"} <= new | {
        table.sort("score")["model.shift"][0]
    }
    lab(f"{sweep} sweep.trials=3")
    assert asked() == []
    assert trials_of(tmp_path).drop(APART).equals(table.drop(APART))
    lawful = {shift for shift in table["model.shift"] if shift >= 0} - {30.0}
    assert f"{len(lawful)} finished trial" in in_a_line(
        lab(f"plan {sweep} sweep.trials=2 {space}=[0,40]")
    )
    for words in ("sweep.reuse=false", "dataset.gaps=zero"):
        assert "earlier sweeps" not in in_a_line(lab(f"plan {sweep} sweep.trials=3 {words}")), (
            "other cells"
        )


def test_settings_of_protocol_and_dataset_are_searched_where_scores_stay_comparable(
    hwds, sales, tmp_path, monkeypatch
):
    monkeypatch.setattr("hwds.cli.sweep.draw_sweep", lambda *_: [])
    words = "sweep=grid sweep.only=true sweep.windows=1 sweep.metric=wql sweep.space.dataset.roles"
    run = SALES.replace(
        "forecast/seasonal_naive",
        "forecast/xgboost model.trees=3 model.max_rows=300 pictures=false",
    )
    said = hwds(
        f"{run} {words}.known_future.choice=[null,promo] "
        f"sweep.space.protocol.intervals.choice=[model,conformal]"
    )
    assert (said.code, said.err) == (0, "")
    assert ", tuned, is " in " ".join(said.out.split())
    assert "compare: " not in said.out, "the best trial is compared with the experiment as it stood"
    assert "compare" not in hwds("compare --sweep adhoc").err
    table = trials_of(tmp_path)
    assert table["status"].to_list() == ["finished"] * 4
    assert table["score"].n_unique() == 4
    said = (
        "trial 1 is refused: what it is scored on differs from that of the other trials, so "
        "that no score can be compared."
    )
    assert said in in_a_line(hwds(f"plan {run} {words}.target.choice=[units,promo]"))


def test_several_objectives_have_a_front_on_the_page_and_change_no_trial(
    lab, tmp_path, monkeypatch
):
    monkeypatch.setattr("hwds.cli.run.draw", lambda *_: None)
    said = lab(f"{RUN} sweep=random sweep.trials=3 sweep.windows=1 sweep.objectives=[seconds,rmse]")
    folder, table = folder_of(tmp_path), trials_of(tmp_path)
    assert (
        "Pareto front of mase and seconds and rmse, which no other trial beats in all of them: "
        "trial" in in_a_line(said)
    )
    assert "## The Pareto front" in (folder / "sweep.md").read_text()
    assert "The Pareto front" in (folder / "sweep.html").read_text()
    front = json.loads((folder / "sweep.json").read_text())["front"]
    assert [each["name"] for each in front["objectives"]] == ["mase[m=12]", "seconds", "rmse"]
    best = table.sort("score")["trial"][0]
    assert next(each["front"] for each in front["trials"] if each["trial"] == best)
    assert (folder / "front.png").is_file()
    assert f" sweep adhoc/{folder.name} " in in_a_line(
        lab(f"plan {RUN} sweep=random sweep.trials=3 sweep.windows=1")
    )


def test_searches_that_learn_or_stop_use_the_trials_of_others(lab, tmp_path):
    run = f"{RUN} pictures=false sweep.windows=2"
    lab(f"{run} sweep=random sweep.trials=8")
    random = trials_of(tmp_path)
    words = "sweep=optuna sweep.startup=6 sweep.batch=2 sweep.trials=5"
    lab(f"{run} {words}")
    table = trials_of(tmp_path)
    own = table.filter((pl.col("source") == "") & (pl.col("trial") > 0))
    assert (len(table), len(own)) == (
        12,
        4,
    )  # no draw at random: seven scores are known, six are enough
    assert own["model.shift"].abs().mean() < random["model.shift"][1:].abs().mean()
    lab(f"{run} sweep=asha sweep.trials=4")
    stopping = trials_of(tmp_path)
    assert set(stopping.filter(pl.col("source") != "")["status"]) == {"finished"}
    assert len(stopping) == 11 + 4
    own = stopping.filter((pl.col("source") == "") & (pl.col("trial") > 0))["status"].to_list()
    assert sorted(own) == ["finished", "finished", "stopped"], (
        "one in three of four goes on, and trials of others take no place"
    )
    lab(f"{run} sweep=asha sweep.trials=4 sweep.cpus_per_trial=2")
    assert len(list(tmp_path.glob("outputs/sweeps/adhoc/*"))) == 4, (
        "of other threads, and so another sweep"
    )


def test_successive_halving_asks_less_and_lists_how_far_the_others_came(lab, tmp_path):
    said = lab(f"{RUN} sweep=asha sweep.trials=9")
    assert said.code == 0
    table = trials_of(tmp_path)
    assert dict(table["windows"].value_counts().iter_rows()) == {
        1: 5,
        3: 1,
        6: 3,
    }  # trial 0 is never stopped
    assert table.filter(pl.col("trial") == 0)["status"].to_list() == ["finished"]
    finished = table.filter(pl.col("status") == "finished")
    assert abs(finished.sort("score")["model.shift"][0]) == table["model.shift"].abs().min()
    assert json.loads((folder_of(tmp_path) / "sweep.json").read_text())["window_fits"] == 5 + 3 + 18
    assert "stopped on the way" in said.out


def test_processes_find_the_same_and_each_of_them_is_started_once(lab, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(
        "hwds.evaluation.workers.Worker", type("Noted", (Worker,), {"__init__": noted_in(started)})
    )
    lab(f"{OPEN} sweep=asha sweep.trials=5")
    one = trials_of(tmp_path)
    for path in [
        *tmp_path.glob("outputs/cache/cells/*/*"),
        *tmp_path.glob("outputs/sweeps/*/*/trials.parquet"),
    ]:
        path.unlink()
    lab(
        f"{OPEN} sweep=asha sweep.trials=5".replace(
            "compute=serial", "compute=processes compute.workers=2"
        )
    )
    assert trials_of(tmp_path)["cached"].sum() == 0
    assert trials_of(tmp_path).drop(APART).equals(one.drop(APART))
    assert [worker.process.is_alive() for worker in started] == [False, False]


def noted_in(started):
    """The constructor of workers, each of which it adds to a list."""

    def begin(worker):
        Worker.__init__(worker)
        started.append(worker)

    return begin


def test_trials_that_fail_are_told_and_the_others_compared(lab, tmp_path):
    model = "sweep.space.model"
    words = f"{model}.broken={{choice:[false,true]}} {model}.undefined={{choice:[false,true]}}"
    said = lab(f"{RUN} sweep=grid sweep.only=true {words}")
    assert said.code == 3
    assert said.err == "hwds: 3 of 4 trials failed; the others were compared.\n"
    table = trials_of(tmp_path)
    assert table["status"].to_list() == ["finished", "failed", "failed", "failed"]
    rows = [line.split() for line in said.out.splitlines() if " failed " in line][:2]
    assert rows == [
        ["mase", "is", "undefined", "after", "6", "windows", "failed", "1", "1"],
        ["ValueError:", "no", "luck", "failed", "2", "2,", "3"],
    ]
    assert (
        "trial 2: window end-6: ValueError: no luck"
        in (folder_of(tmp_path) / "sweep.md").read_text()
    )
    assert "## Failures" in (folder_of(tmp_path) / "sweep.md").read_text()


def test_a_trial_whose_parts_do_not_go_together_is_refused_alone(hwds, sales, tmp_path):
    run = SALES.replace("forecast/seasonal_naive", "forecast/xgboost model.trees=3")
    model = "sweep.space.model"
    both = (
        f"{model}.objective={{choice:[quantile,tweedie]}} "
        f"{model}.strategy={{choice:[direct,recursive]}}"
    )
    said = hwds(f"{run} sweep=grid sweep.only=true sweep.windows=1 {both}")
    assert said.code == 3
    table = trials_of(tmp_path)
    assert table["status"].to_list() == ["finished", "finished", "finished", "refused"]
    assert "strategy 'recursive' feeds back medians" in table["error"][3]


def test_all_trials_failing_fails(lab, tmp_path):
    said = lab(f"{RUN} model.broken=true sweep=random sweep.trials=2")
    assert said.code == 1
    assert "no trial has all windows behind it" in said.err
    assert trials_of(tmp_path)["status"].to_list() == ["failed", "failed"]


def test_without_time_nothing_is_begun_and_more_time_goes_on(lab, tmp_path):
    said = lab(f"{RUN} sweep=random sweep.trials=4 sweep.seconds=1e-9")
    assert said.code == 1
    assert trials_of(tmp_path)["status"].unique().to_list() == ["unfinished"]
    assert lab(f"{RUN} sweep=random sweep.trials=4").code == 0
    assert len(list(tmp_path.glob("outputs/sweeps/*/*"))) == 1


def test_whole_options_compete(lab, tmp_path):
    choice = "sweep.space.model={choice:[mine/shifted,{forecast/theta:{}},{forecast/naive:{}}]}"
    said = lab(f"{RUN} sweep=grid sweep.points=2 {choice}")
    assert said.code == 0
    table = trials_of(tmp_path)
    assert table["model"].to_list() == ["mine/shifted"] * 3 + ["forecast/theta", "forecast/naive"]
    assert table["model.shift"].to_list() == [30.0, -40.0, 40.0, None, None]
    text = (folder_of(tmp_path) / "conf" / "experiment" / "best.yaml").read_text()
    best = table.sort("score")["model"][0]
    assert {"override /model": best} in yaml.safe_load(text)["defaults"]


def test_a_space_that_is_used_up_ends_the_search_and_says_so(lab, tmp_path):
    words = (
        f"{RUN} sweep=random sweep.trials=50 sweep.windows=1 "
        f"sweep.space.model.shift={{choice:[30,1,2]}}"
    )
    told = "3 trials, not 50: the space has no more different settings."
    assert told in in_a_line(lab(f"plan {words}"))
    assert told in lab(words).out
    assert sorted(trials_of(tmp_path)["model.shift"].to_list()) == [1.0, 2.0, 30.0]
    assert (
        "no more different" not in lab(words.replace("random", "grid")).out
    )  # a grid is as large as it is
    assert told in lab(words.replace("random", "optuna") + " sweep.reuse=false").out


def test_without_a_baseline_trials_begin_with_1(lab, tmp_path):
    assert lab(f"{RUN} sweep=random sweep.trials=2 sweep.windows=2 sweep.baseline=false").code == 0
    assert trials_of(tmp_path)["trial"].to_list() == [1, 2]


def test_a_search_for_the_worst_is_refused(lab):
    assert (
        "sweep.mode: of 'mase' the lower is the better; got 'max'."
        in lab(f"{RUN} sweep=random sweep.mode=max").line
    )


def test_as_many_windows_as_fit_are_taken_and_said_and_none_is_refused(lab, tmp_path):
    said = lab(
        f"{RUN} protocol.horizon=15 sweep=random sweep.windows=9 sweep.trials=2 sweep.metric=wape"
    )
    told = "Trials are scored on 6 inner windows, not 9: no more fit before the final ones."
    assert told in " ".join(said.out.split())
    assert told in " ".join((folder_of(tmp_path) / "sweep.md").read_text().split())
    assert (
        "sweep.windows: not even one fits before the final ones: "
        in lab(f"{RUN} protocol.horizon=25 sweep=random").line
    )


def test_a_stopping_search_over_one_fit_is_told_so(lab):
    run = RUN.replace("protocol=holdout", "protocol=walk_forward protocol.windows=1")
    said = lab(f"{run} protocol.refit=never sweep=asha")
    assert (
        "sweep: 'asha' stops trials between fits, and there is only one; take sweep=random"
        in said.line
    )
    assert lab(f"{run} protocol.refit=never sweep=random sweep.trials=2").code == 0


def test_a_search_that_learns_proposes_the_same_after_a_stop_and_in_processes(lab, tmp_path):
    words = f"{RUN} sweep=optuna sweep.windows=2 sweep.startup=4 sweep.batch=3"
    assert lab(f"{words} sweep.trials=12").code == 0
    whole = trials_of(tmp_path)
    assert whole["trial"].to_list() == list(range(12))
    first, proposed = whole["model.shift"][1:4].abs(), whole["model.shift"][4:].abs()
    assert proposed.mean() < first.mean()  # where shifting nothing is best
    for path in [
        *tmp_path.glob("outputs/cache/cells/*/*"),
        *tmp_path.glob("outputs/sweeps/*/*/trials.parquet"),
    ]:
        path.unlink()
    assert lab(f"{words} sweep.trials=6").code == 0
    plan = in_a_line(
        lab(f"plan {words} sweep.trials=12")
    )  # trial 6 follows from what is kept, the others from its score
    assert "7 trials, compared by" in plan
    assert "5 more trials are proposed by the scores of these." in plan
    assert "14 cells, 2 to compute" in plan
    assert (
        lab(
            f"{words} sweep.trials=12".replace(
                "compute=serial", "compute=processes compute.workers=2"
            )
        ).code
        == 0
    )
    assert trials_of(tmp_path).drop(APART).equals(whole.drop(APART))


@pytest.mark.parametrize("compute", ["compute=serial", "compute=processes compute.workers=2"])
def test_the_threads_of_a_trial_reach_every_library(lab, tmp_path, compute):
    words = "sweep.space.model.trouble={choice:[none,tells]} sweep.windows=2 sweep.cpus_per_trial=2"
    assert (
        lab(f"{RUN} sweep=grid sweep.only=true {words}".replace("compute=serial", compute)).code
        == 3
    )
    fine, failed = trials_of(tmp_path)["error"].to_list()
    assert fine == ""
    assert re.fullmatch(
        r"window end-(6|12): ValueError: \[2, 2, 2, 2\] 2 2", failed
    )  # of two at once either fails first
    said = lab(f"{RUN} sweep=grid sweep.only=true {words.replace('trial=2', 'trial=999')}")
    assert "sweep.cpus_per_trial: must be <= " in said.line


def test_limits_end_what_hangs_and_what_eats_and_each_is_told(lab, tmp_path):
    words = (
        "sweep.space.model.trouble={choice:[none,broken,undefined,hangs,eats]} "
        "sweep.windows=2 sweep.memory_per_trial=0.6"
    )
    for compute in ("compute=serial", "compute=processes compute.workers=2"):
        said = lab(
            f"{RUN} sweep=grid sweep.only=true {words} sweep.seconds_per_trial=12".replace(
                "compute=serial", compute
            )
        )
        assert said.code == 3
        assert said.err == "hwds: 4 of 5 trials failed; the others were compared.\n"
        error = dict(
            zip(trials_of(tmp_path)["model.trouble"], trials_of(tmp_path)["error"], strict=True)
        )
        assert error["none"] == ""
        assert re.fullmatch(
            "window end-(6|12): ValueError: no luck", error["broken"]
        )  # of two at once either fails first
        assert error["undefined"] == "mase is undefined after 2 windows"
        assert error["hangs"].startswith("out of time: ")
        assert error["eats"].startswith("out of memory: ")
        rows = [line for line in said.out.splitlines() if " failed " in line]
        assert len(rows) == 8  # in the table of failures and in that of trials
        for path in tmp_path.glob("outputs/cache/cells/*/*"):
            path.unlink()


def test_what_others_have_left_in_a_process_is_not_the_trials_own(lab, tmp_path):
    model = "sweep.space.model"
    words = (
        f"{model}.trouble={{choice:[hoards]}} {model}.shift={{choice:[1,2,3,4,5,6]}} "
        f"sweep.baseline=false sweep.windows=2"
    )
    assert (
        lab(f"{RUN} sweep=grid sweep.only=true {words} sweep.memory_per_trial=0.8").code == 0
    )  # 1.5 GiB together, 0.25 each
    assert trials_of(tmp_path)["status"].to_list() == ["finished"] * 6


def test_no_sweep_leaves_no_trace(lab, tmp_path):
    lab(f"{RUN} sweep=none")
    lab(RUN)
    assert not (tmp_path / "outputs" / "sweeps").exists()
    assert len(list(tmp_path.glob("outputs/runs/*/*/scores.parquet"))) == 1


def test_the_plan_says_what_lies_ahead(lab, tmp_path):
    out = in_a_line(lab(f"plan {RUN} sweep=asha sweep.trials=9"))
    assert not list(tmp_path.glob("outputs/sweeps/*"))
    assert "9 trials, compared by mase[m=12], the lower the better, after 1, 3, 6 windows." in out
    assert (
        "54 cells, 54 to compute, some 33 % of them as trials are stopped early: time unknown"
        in out
    )
    lab(f"{RUN} sweep=random sweep.trials=9")
    assert "54 cells, 0 to compute: nothing to do" in in_a_line(
        lab(f"plan {RUN} sweep=asha sweep.trials=9 sweep.reuse=false")
    )
    assert "60 cells, 6 to compute" in in_a_line(lab(f"plan {RUN} sweep=random sweep.trials=10"))


def test_a_sweep_that_was_killed_is_foreseen_by_the_cells_that_it_has_left(lab, tmp_path):
    lab(f"{RUN} sweep=random sweep.trials=3 sweep.windows=2")
    for name in ("sweeps", "runs"):
        shutil.rmtree(
            tmp_path / "outputs" / name
        )  # a sweep that is killed has told nothing but its cells
    out = in_a_line(lab(f"plan {RUN} sweep=random sweep.trials=6 sweep.windows=2"))
    assert "12 cells, 6 to compute: " in out
    assert "by earlier timings" in out
