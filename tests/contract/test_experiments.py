"""Every experiment runs at its small size, from the command line, and leaves all that a run should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from hwds.config.check import check
from hwds.config.compose import compose
from hwds.registry import options
from hwds.results.tables import SCORES

ROOT = Path(__file__).resolve().parents[2]
FILES = {"scores.parquet", "predictions.parquet", "timings.parquet", "config.yaml", "provenance.json", "leaderboard.md"}


def needing(name):
    """The experiment, marked where its data lies below $HWDS_DATA."""
    dataset = check(compose([f"+experiment={name}"])).dataset
    return pytest.param(name, marks=pytest.mark.data) if "$HWDS_DATA" in dataset.source() else name


def told_apart():
    """The experiments; of those that ask the same models by the same protocol (M3's four) the first alone."""
    first = {}
    for name in options("experiment"):
        data = compose([f"+experiment={name}"])
        first.setdefault(repr([data["protocol"], data["model"], data["rivals"], data["decision"]]), name)
    return list(first.values())


@pytest.mark.parametrize("name", [needing(name) for name in told_apart()])
def test_every_experiment_runs_small(name, tmp_path):
    words = [sys.executable, "-m", "hwds", f"+experiment={name}", "size=small"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("hwds: after ")] == []
    (run,) = tmp_path.glob(f"outputs/runs/{name}/*")
    found = {path.name for path in run.iterdir()}
    assert FILES | {"leaderboard.png"} <= found
    scores = pl.read_parquet(run / "scores.parquet")
    assert dict(scores.schema) == SCORES
    assert not scores["status"].str.starts_with("failed").any()
    assert str(run) in done.stdout
    shown = subprocess.run(
        [*words[:3], "show", name], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert scores["model"][0] in shown.stdout
