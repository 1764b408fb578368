"""A run and a sweep in both trackers, read back by the trackers' own tools."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from hwds.core.checksums import write_parquet
from hwds.results.index import RunProgress
from hwds.results.records import read_learning
from hwds.track.child import Follower
from hwds.track.mirroring import mirror
from hwds.track.records import Curve, Record, begun_record, plain_metric_name
from hwds.track.trackers.base import TrackingError
from hwds.track.trackers.mlflow import Mlflow
from hwds.track.trackers.wandb import Wandb, require_whole

from .conftest import SALES, run_id

PAIR = SALES.replace(
    "model=forecast/seasonal_naive", "model=forecast/naive rivals=[forecast/seasonal_naive]"
)
WINDOWS = PAIR.replace("protocol=holdout", "protocol=walk_forward protocol.windows=3")
SPACE = "sweep.space={model:{season:{choice:[2,3,4,12]}}}"
SECRETS = {
    "WANDB_API_KEY": "planted0planted1planted2planted3planted4",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-password",
}

LOAD = """
import sys
import time
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"runs:/{sys.argv[2]}/model")
model.predict(pandas.DataFrame()).to_parquet("own.parquet")
rows = pandas.read_csv("sales.csv", parse_dates=["month"])
model.predict(rows[rows["month"] < "2023-07-01"]).to_parquet("earlier.parquet")
"""


def offline(folder):
    """The offline folders of wandb."""
    return sorted(folder.glob("outputs/wandb/offline-run-*"))


def inspected(path, *flags):
    """What wandb's own tool reads from an offline folder."""
    words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *flags, str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def store(tmp_path, empty_store):
    """A client of the store below outputs/."""
    from mlflow import MlflowClient

    path = tmp_path / "outputs" / "mlflow" / "mlflow.db"
    path.parent.mkdir(parents=True)
    shutil.copy(empty_store, path)
    return MlflowClient(f"sqlite:///{path}")


def runs_of(store, experiment, filter_string=""):
    (found,) = [entry for entry in store.search_experiments() if entry.name == experiment]
    return store.search_runs([found.experiment_id], filter_string)


def test_a_run_is_in_both_trackers_once_however_often_it_is_told(
    hwds, sales, own_home, tmp_path, store
):
    for name, value in SECRETS.items():
        own_home.setenv(name, value)
    own_home.setenv("WANDB_MODE", "offline")
    assert hwds(f"{WINDOWS} save_model=final").code == 0
    run = run_id(tmp_path)
    folder = tmp_path / "outputs/runs/adhoc" / run
    said = hwds(f"track {run[:6]} --to both")
    assert (said.code, said.err) == (0, "")
    assert "W&B: outputs/wandb/offline-run-" in said.out
    assert "MLflow: `mlflow ui --backend-store-uri sqlite:///outputs/mlflow/mlflow.db`" in said.out
    before = offline(tmp_path)
    assert hwds(f"track {run} --to both").out == said.out  # all is there: nothing is written
    assert offline(tmp_path) == before
    (folder / "tracking.json").unlink()  # as if it had been killed before it could note what it did
    assert hwds(f"track {run} --to both").code == 0

    scores = pl.read_parquet(folder / "scores.parquet")
    whole = scores.filter(
        pl.all_horizontal(pl.col("fold", "step", "segment").is_null())
        & (pl.col("metric") == "mase[m=12]")
    )
    mase = dict(whole.filter(aggregate="mean").select("model", "value").iter_rows())
    windows = scores.filter(
        pl.col("fold").is_not_null() & pl.col("step").is_null() & pl.col("segment").is_null()
    )
    windows = windows.filter(model="forecast/naive", metric="mase[m=12]", aggregate="mean")[
        "value"
    ].to_list()
    digest = hashlib.sha256((folder / "predictions.parquet").read_bytes()).hexdigest()
    assert len(windows) == 3

    (place,) = offline(tmp_path)
    told = json.loads(inspected(place, "--summary"))
    assert (told["state"], told["run_id"], told["project"]) == ("finished", f"adhoc-{run}", "hwds")
    assert told["config"]["protocol"]["windows"] == 3
    assert told["config"]["metrics"]["mase_m_12"]["name"] == "mase[m=12]"
    assert told["summary"]["mase_m_12"] == mase["forecast/naive"]
    assert (
        told["summary"]["rivals/forecast/seasonal_naive/mase_m_12"]
        == mase["forecast/seasonal_naive"]
    )
    assert told["summary"]["tables/leaderboard"]["_type"] == "table-file"
    records = inspected(place)
    history = [
        json.loads(line)["history"]["item"]
        for line in records.splitlines()
        if '"type":"history"' in line
    ]
    curve = [point for point in history if "by_window/mase_m_12" in point]
    assert [(point["window"], point["by_window/mase_m_12"]) for point in curve] == list(
        enumerate(windows)
    )
    assert [point["_step"] for point in history] == list(range(len(history)))
    assert digest in records

    (found,) = runs_of(
        store, "adhoc", "params.`model.name` = 'forecast/naive' and metrics.mase_m_12 > 0"
    )
    assert found.data.metrics["mase_m_12"] == mase["forecast/naive"]
    assert found.data.tags["hwds.id"] == f"adhoc-{run}"
    history = store.get_metric_history(found.info.run_id, "by_window/mase_m_12")
    assert [(point.step, point.value) for point in history] == list(enumerate(windows))
    origin = json.loads((folder / "provenance.json").read_text())
    (data,) = found.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("file", origin["data"])
    listed = {entry.path for entry in store.list_artifacts(found.info.run_id)}
    assert {"predictions.parquet", "scores.parquet", "config.yaml", "provenance.json"} <= listed
    assert found.data.tags["hwds.predictions.sha256"] == digest

    hwds(f"report {run}")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert not [
                name for name, value in SECRETS.items() if value.encode() in path.read_bytes()
            ], path


def test_mlflow_loads_the_kept_model_in_a_fresh_process_and_it_says_the_same(
    hwds, sales, own_home, tmp_path, store
):
    assert hwds(f"{PAIR} save_model=final").code == 0
    run = run_id(tmp_path)
    assert hwds(f"track {run} --to mlflow").code == 0
    (found,) = runs_of(store, "adhoc")
    words = [
        sys.executable,
        "-c",
        LOAD,
        f"sqlite:///{tmp_path}/outputs/mlflow/mlflow.db",
        found.info.run_id,
    ]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    future = tmp_path / "outputs/runs/adhoc" / run / "future.parquet"
    assert hwds(f"predict {run}").code == 0
    pl.read_parquet(future).to_pandas().to_parquet(tmp_path / "ours.parquet")
    assert (tmp_path / "own.parquet").read_bytes() == (tmp_path / "ours.parquet").read_bytes()
    rows = (
        sales[0]
        .filter(pl.col("month") < pl.date(2023, 7, 1))
        .with_columns(pl.col("month").cast(pl.Datetime("ns")))
    )
    rows.write_parquet(tmp_path / "earlier_rows.parquet")
    assert hwds(f"predict {run} --data earlier_rows.parquet").code == 0
    pl.read_parquet(future).to_pandas().to_parquet(tmp_path / "ours.parquet")
    assert (tmp_path / "earlier.parquet").read_bytes() == (tmp_path / "ours.parquet").read_bytes()


def test_a_sweeps_trials_are_nested_and_grouped_in_the_order_of_their_numbers(
    hwds, sales, own_home, tmp_path, store
):
    own_home.setattr("hwds.cli.sweep.draw_sweep", lambda *_: [])
    assert hwds(f"{SALES} sweep=grid {SPACE}").code == 0
    (sweep,) = tmp_path.glob("outputs/sweeps/adhoc/*")
    assert hwds(f"track {sweep.name[:8]} --to both").code == 0
    trials = pl.read_parquet(sweep / "trials.parquet")
    (parent,) = runs_of(store, "adhoc", "tags.`hwds.kind` = 'sweep'")
    nested = runs_of(store, "adhoc", f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    by_name = {found.info.run_name: found for found in nested}
    for row in trials.to_dicts():
        own = by_name.pop(f"trial {row['trial']}")
        assert own.data.metrics["inner/mase_m_12"] == pytest.approx(row["score"])
        assert "mase_m_12" not in own.data.metrics, (
            "a score of inner windows has another name than one of the final windows"
        )
        assert own.data.params["model.season"] == str(row["model.season"])
    (final,) = by_name.values()
    assert final.data.tags["hwds.kind"] == "run"
    best = trials.sort("score").row(0, named=True)
    assert parent.data.tags["hwds.best.model.season"] == str(best["model.season"])
    assert parent.data.metrics["best/inner/mase_m_12"] == pytest.approx(best["score"])
    assert parent.data.metrics["best/final/mase_m_12"] == final.data.metrics["mase_m_12"]
    assert parent.data.metrics["best/trial"] == best["trial"]
    assert "sweep.html" in {entry.path for entry in store.list_artifacts(parent.info.run_id)}
    told = [json.loads(inspected(place, "--summary")) for place in offline(tmp_path)[:2]]
    assert {entry["state"] for entry in told} == {"finished"}
    assert len(offline(tmp_path)) == len(trials) + 2
    assert f"adhoc/{sweep.name}" in inspected(offline(tmp_path)[1])
    whole = json.loads(
        inspected(
            next(place for place in offline(tmp_path) if place.name.endswith(sweep.name)),
            "--summary",
        )
    )
    assert whole["config"]["best"] == {"model.season": best["model.season"]}
    assert whole["summary"]["best/inner/mase_m_12"] == pytest.approx(best["score"])
    assert whole["summary"]["page"]["_type"] == "html-file"


def test_losses_are_seen_while_a_run_computes_and_are_all_there_when_it_has_ended(
    hwds, sales, own_home, tmp_path, store
):
    boosted = SALES.replace(
        "forecast/seasonal_naive", "forecast/xgboost model.trees=6 rivals=[forecast/seasonal_naive]"
    )
    assert hwds(f"{boosted} name=spring tags=[draft] note='before the launch'").code == 0
    folder = tmp_path / "outputs/runs/spring" / run_id(tmp_path)
    own_home.setenv("WANDB_MODE", "offline")
    scores = (folder / "scores.parquet").read_bytes()
    losses = read_learning(folder)
    fits = losses.partition_by("fit", as_dict=True)
    half = losses.group_by("fit", maintain_order=True).head(2).select(losses.columns)
    write_parquet(folder / "learning.parquet", half)
    (folder / "scores.parquet").unlink()  # as while it computes
    RunProgress(1, 4, 0, 0.0, 3.0, value=0.7, memory=0.5).write(folder)
    trackers = [Wandb(name="wandb", group="launch"), Mlflow(name="mlflow", group="launch")]
    began = int(1000 * time.time())
    followers = [Follower(tracker, folder) for tracker in trackers]
    for _ in range(2):  # what is shown is not shown again
        assert [follower.look() or follower.remark for follower in followers] == ["", ""]
    names = {
        f"learning/{losses['fold'][0]}/{plain_metric_name(fit)}/train": rows
        for (fit,), rows in fits.items()
        if "(2)" not in fit
    }
    (found,) = runs_of(store, "spring")
    assert found.info.status == "RUNNING"
    assert began <= begun_record(folder).started <= 1000 * time.time()
    assert found.data.metrics["progress/score"] == 0.7
    assert all(len(store.get_metric_history(found.info.run_id, name)) == 2 for name in names)

    write_parquet(folder / "learning.parquet", losses)
    (folder / "scores.parquet").write_bytes(scores)
    for tracker, follower in zip(trackers, followers, strict=True):
        mirror(tracker, folder, send=False, following=follower.following)
    (found,) = runs_of(store, "spring")
    assert found.info.status == "FINISHED"
    assert began <= found.info.end_time <= 1000 * time.time()
    assert found.data.tags["mlflow.note.content"].startswith("before the launch\n\n")
    assert (found.data.tags["hwds.tag.draft"], found.data.tags["hwds.group"]) == ("true", "launch")
    (place,) = offline(tmp_path)
    told, records = json.loads(inspected(place, "--summary")), inspected(place)
    history = [
        json.loads(line)["history"]["item"]
        for line in records.splitlines()
        if '"type":"history"' in line
    ]
    assert (told["name"], told["tags"][0]) == (
        f"spring: forecast/xgboost {folder.name[:8]}",
        "draft",
    )
    assert told["notes"].startswith("before the launch\n\n")
    assert '"run_group":"launch"' in records
    for name, rows in names.items():
        curve = [(point["round"], point[name]) for point in history if name in point]
        assert curve == list(rows.select("step", "train").iter_rows())
        assert [
            (point.step, point.value) for point in store.get_metric_history(found.info.run_id, name)
        ] == curve
    assert ("rmse" in told["summary"], "rmse" in found.data.metrics) == (False, False)


def test_what_cannot_be_tracked_is_refused(hwds, sales, own_home, tmp_path):
    hwds(PAIR)
    run = run_id(tmp_path)
    assert "--to must be given" in hwds(f"track {run}").line
    assert "no option 'wandbb'" in hwds(f"track {run} --to wandbb").line
    assert "no run 'x'" in hwds("track x --to wandb").line
    assert (
        "no key 'projekt'; did you mean 'project'?"
        in hwds(f"track {run} --to wandb projekt=x").line
    )
    assert "must hold no password" in hwds(f"track {run} --to mlflow uri=http://me:pass@host").line
    assert "pass" not in hwds(
        f"{PAIR} tracker=mlflow tracker.uri=http://me:pazz@host"
    ).line.replace("password", "")
    assert not (tmp_path / "outputs/wandb").exists()


def test_a_mirror_that_lacks_something_when_it_is_read_back_is_refused(
    own_home, tmp_path, store, monkeypatch
):
    own_home.chdir(tmp_path)
    monkeypatch.setattr("hwds.track.trackers.wandb.IDLE_SECONDS", 1)
    curve = Curve("window", tuple((step, {"by_window/mase": 1.0}) for step in range(3)))
    numbers = {"config": {"seed": 0}, "curves": [curve], "summary": {"mase": 1.0}}
    record = Record("adhoc-1", "naive 1", "run", "adhoc", **numbers)
    tracker = Wandb(name="wandb")
    tracker.begin()
    (place,) = tracker.write([record])
    (log,) = Path(place).glob("*.wandb")
    with pytest.raises(TrackingError, match="is not whole \\(3 of 4 steps\\)"):
        require_whole(Path(place), 4)
    log.write_bytes(log.read_bytes()[:-20])
    with pytest.raises(TrackingError, match="is not whole"):
        require_whole(Path(place), 3)

    tracker = Mlflow(name="mlflow")
    (place,) = tracker.write([record])
    more = replace(record, summary={"wql": 1.0})
    with pytest.raises(TrackingError, match="MLflow has not kept wql"):
        tracker.following().require_whole(place.rpartition("#")[2], more)
