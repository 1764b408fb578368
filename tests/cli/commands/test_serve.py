"""Serve: events in, answers out, line by line; labels beside them, and a store that goes on."""

import io
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from hwds.serve.events.online import Online
from tests.serve.order_events import events, lines

from .conftest import run_id

ROOT = Path(__file__).resolve().parents[3]
ROLES = (
    "label=confirmed label_time=confirmed_at time=time available_at=available_at "
    "entity=customer amount=at_stake"
)


@pytest.fixture(scope="module")
def table():
    return lines(700, 1, late=0.2)


@pytest.fixture
def run(hwds, table, once, tmp_path):
    """A run that has kept its model."""
    once(lambda: make(hwds, table, tmp_path))
    return run_id(tmp_path)


def make(hwds, table, folder):
    table.data.drop("row_id").write_parquet(folder / "lines.parquet")
    roles = " ".join(f"dataset.roles.{word}" for word in ROLES.split())
    windows = "train_days=20 stop_days=0 calibrate_days=8 delay_days=5 test_days=5 windows=1"
    said = hwds(
        f"dataset=table dataset.path=lines.parquet {roles} features=purchases "
        f"model=classify/xgboost model.calibration=platt"
        f" model.trees=10 protocol=prequential "
        f"{' '.join(f'protocol.{word}' for word in windows.split())}"
        " protocol.resamples=50 compute=serial save_model=final"
    )
    assert said.code == 0, said


def asked(made):
    return "".join(
        json.dumps(event, default=lambda value: value.isoformat()) + "\n" for event in made
    )


def test_a_kept_model_is_served(hwds, run, table, tmp_path, monkeypatch):
    made = [event | {"id": f"new {k}"} for k, event in enumerate(events(table))]
    text = (
        asked(made[:3])
        + '\n{"label": 1, "of": "new 1"}\n{"of": "new 9", "label": 0}\n{"id": "x", "tme": "noon"}\n'
    )
    monkeypatch.setattr(
        sys,
        "stdin",
        io.TextIOWrapper(
            io.BytesIO(
                (
                    text + asked(made[1:2]) + '{"returned": true, "of": "new 2"}\n{"of": 3}\n'
                ).encode()
            )
        ),
    )
    said = hwds(f"serve {run} --store orders.db")
    assert said.code == 0, said
    told = [json.loads(line) for line in said.out.splitlines()]
    assert [each.get("id") for each in told[:3]] == ["new 0", "new 1", "new 2"]
    assert told[3] == {"of": "new 1", "news": True}
    assert told[4] == {"error": "no event 'new 9' has arrived."}
    assert told[5] == {"error": "event 'x': no column 'tme'; did you mean 'time'?"}
    assert told[6] == told[1] | {"again": True}
    assert told[7]["of"] == "new 2"
    assert "must have a text or a whole number under 'id'" in told[8]["error"]
    assert 0 < told[0]["probability"] < 1
    with Online.open(run, "orders.db") as scorer:
        assert [answer.id for answer in scorer.answers()] == ["new 0", "new 1", "new 2"]


def test_the_past_of_the_run_is_remembered(hwds, run, table, monkeypatch):
    last = table.data["available_at"].max()
    event = {"id": "new", "time": str(last), "customer": "c1", "quantity": 2}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(asked([event]).encode())))
    said = hwds(f"serve {run} --remember --key=id")
    assert (said.code, said.err) == (
        0,
        "every event is kept, for tenure_days, order_gap_days read all of the past; --keep DAYS "
        "drops those that are older.\n700 rows remembered.\n",
    )
    assert json.loads(said.out)["id"] == "new"


def test_what_is_older_than_it_is_told_to_keep_is_refused(hwds, run, table, monkeypatch):
    last = table.data["available_at"].max()
    old = [{"id": f"new {days}", "time": str(last - timedelta(days=days))} for days in (3, 40)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(asked(old).encode())))
    said = hwds(f"serve {run} --remember --key=id --keep 105")
    assert said.code == 0, said
    assert said.err.splitlines()[0] == (
        "events are kept for 105 days (--keep); later than 15 days after it happened none is taken."
    )
    answer, refusal = map(json.loads, said.out.splitlines())
    assert answer["id"] == "new 3"
    assert "comes too late from 15 days on (keep)" in refusal["error"]
    assert hwds(f"serve {run} --keep 3").line == (
        "hwds: keep: must be 0 for everything, or at least 90 days, the longest window of the features, "
        "got 3."
    )


def test_a_process_serves_until_its_input_ends(run, table, tmp_path):
    command = [sys.executable, "-m", "hwds", "serve", run]
    done = subprocess.run(
        command,
        input=asked(events(table)[:2]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["line 0", "line 1"]


def environment():
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "serve: must be followed by one run, got 0."),
        ("a b", "serve: must be followed by one run, got 2."),
        ("a --stor x", "serve: no flag '--stor'; did you mean '--store'?"),
        ("a --store", "serve: --store must be followed by a file."),
        ("nothing", "no run 'nothing'"),
        ("nothing --workers 2", "--workers: needs --http."),
        ("nothing --tls-cert own.pem", "--tls-cert: needs --http."),
        ("nothing --power", "--power: needs --store."),
        ("nothing --http --remember", "--remember: needs lines, without --http."),
        ("nothing --http --keep 90", "--keep: needs lines, without --http."),
        ("nothing --keep -1", "--keep: must be from 0 to 36,525, got -1."),
        ("nothing --http --key id", "--key: needs lines, without --http."),
        ("nothing --http --sample .5", "--sample: needs --capture."),
    ],
)
def test_a_wrong_line_is_refused(hwds, words, message):
    assert message in hwds(f"serve {words}").line


def test_a_run_that_kept_no_model_is_refused(hwds, run, tmp_path):
    import shutil

    shutil.rmtree(next(tmp_path.glob("outputs/runs/*/*/model")))
    assert "no saved model" in hwds(f"serve {run}").line


def test_features_of_a_served_event_are_those_of_the_table(run, table):
    with Online.open(run) as scorer:
        answers = scorer.score_many(events(table)[:40])
        features = scorer._store._behaviour.features
        wanted = features.compute(scorer.history())
    for name in wanted.columns:
        found = pl.Series([answer.features[name] for answer in answers], dtype=pl.Float64)
        assert found.fill_null(-1).to_list() == pytest.approx(
            wanted[name].cast(pl.Float64).fill_null(-1).to_list(), rel=1e-9
        )
