"""Every experiment runs at its small size, from the command line, and leaves all that a run
should.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import polars as pl
import pytest
import yaml

from hwds.core.compose import option
from hwds.core.config import build
from hwds.core.registry import options
from hwds.report.pictures import as_svg, gather_figures
from hwds.results.tables import SCORES
from tests.support.command_line import Answer

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "scores.parquet",
    "predictions.parquet",
    "timings.parquet",
    "config.yaml",
    "provenance.json",
    "leaderboard.md",
}
IN_PROCESSES = {"ab_price_test": ["compute.workers=2"], "lstm_forecast": []}
"""These run as a user starts them: in a process of its own, one with two workers; their report
draws their pictures.

The others run here, and their pictures are made; each kind of picture of a protocol is drawn once.
"""

SEEN = set()
"""The pictures that were drawn: the first word of the protocol, and their names."""

FEWER = {
    "boosting_or_network": "protocol.windows=1",
    "fraud_handbook": "protocol.windows=1 protocol.train_days=2 protocol.test_days=2",
    "gray_market_autoencoder": "protocol.windows=1",
    "gray_market_stack": "protocol.windows=1",
    "gray_market_xgboost": "protocol.windows=1",
    "m3_monthly": "dataset.series=3",
    "m3_other": "dataset.series=5",
    "stack_forecast": "dataset.months=40",
}
"""Experiments whose small size takes ten seconds for more of the same."""

UNSHOWN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""Warnings that Python shows to no user."""


@cache
def parts(name):
    """The options that an experiment chooses, without composing it."""
    read = yaml.safe_load(options("experiment")[name].read_text())
    chosen = dict(item for entry in read.pop("defaults") for item in entry.items())
    return {group.removeprefix("override /"): choice for group, choice in chosen.items()}, read


@cache
def lies_in_folder(dataset):
    """Whether a dataset's file lies below $HWDS_DATA."""
    return (
        "$HWDS_DATA" in build("dataset", "dataset", option("dataset", "dataset", dataset)).source()
    )


def needing(name):
    """The experiment, marked where its data lies below $HWDS_DATA."""
    return (
        pytest.param(name, marks=pytest.mark.data)
        if lies_in_folder(parts(name)[0]["dataset"])
        else name
    )


def told_apart():
    """The experiments; of those that ask the same models by the same protocol (M3's four) the first
    alone.
    """
    first = {}
    for name in options("experiment"):
        chosen, rest = parts(name)
        first.setdefault(repr([chosen | {"dataset": None}, rest]), name)
    return list(first.values())


def run(name, command, folder):
    """Run an experiment at its small size."""
    words = [f"+experiment={name}", "size=small", *FEWER.get(name, "").split()]
    if name not in IN_PROCESSES:
        with gather_figures() as figures:
            done = command([*words, "pictures=true"])
        assert {"leaderboard", "effects", "cases"} & set(figures), done.err
        kind = parts(name)[0]["protocol"].partition("_")[0]
        new = {key: figure for each, figure in figures.items() if (key := (kind, each)) not in SEEN}
        SEEN.update(new)
        assert all(as_svg(figure) for figure in new.values())
        return done
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "hwds", *words, *IN_PROCESSES[name]]
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all, as a user has: what two experiments need is computed once."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.parametrize("name", [needing(name) for name in told_apart()])
def test_every_experiment_runs_small(name, command, folder, monkeypatch, recwarn):
    monkeypatch.chdir(folder)
    done = run(name, command, folder)
    assert done.code == 0, done.err
    assert [line for line in done.err.splitlines() if not line.startswith("hwds: after ")] == []
    assert [str(each.message) for each in recwarn if not issubclass(each.category, UNSHOWN)] == []
    (saved,) = folder.glob(f"outputs/runs/{name}/*")
    written = {path.name for path in saved.iterdir()}
    assert written >= FILES
    assert not any(each.endswith((".png", ".svg")) for each in written)
    if name in IN_PROCESSES:
        assert command(["report", name]).code == 0
        first = "effects" if name == "ab_price_test" else "leaderboard"
        assert all((saved / f"{first}.{kind}").is_file() for kind in ("png", "svg"))
        assert "<svg" in (saved / "report.html").read_text()
    scores = pl.read_parquet(saved / "scores.parquet")
    assert dict(scores.schema) == SCORES
    assert not scores["status"].str.starts_with("failed").any()
    assert str(saved.relative_to(folder)) in done.out
    shown = command(["show", name])
    assert shown.code == 0, shown.err
    assert scores["model"][0] in shown.out
