"""On Ray a sweep and a run come to what they come to in this process; one cluster for all of it."""

from __future__ import annotations

import re

import polars as pl
import pytest

from .conftest import finished
from .test_resume import copy_of

pytest.importorskip("ray")
SPACE = ["sweep.space.model.hang={choice:[false,true]}", "sweep.space.model.fail={choice:[false,true]}"]
SWEEP = ["sweep=grid", "sweep.windows=3", "protocol.windows=16", "size=full", "sweep.seconds_per_trial=10", *SPACE]
TOOK = re.compile(r"(< )?[\d.]+ (ms|s|min)$")
APART = ["seconds", "cached", "host"]


def one(folder, name):
    (path,) = folder.glob(f"outputs/{name}")
    return path


def test_ray_tune_finds_what_the_serial_search_finds_and_its_cells_write_the_same_bytes(project):
    alone, together = copy_of(project, "ray_alone"), copy_of(project, "ray_together")
    code, out, err = finished(alone, *SWEEP, "compute=serial")
    assert code == 3, err
    code, out_of_ray, err_of_ray = finished(together, *SWEEP, "compute=ray", "compute.workers=2")
    assert (code, err_of_ray) == (3, err)  # no chatter
    tables = [pl.read_parquet(one(folder, "sweeps/*/*/trials.parquet")) for folder in (alone, together)]
    assert set(tables[0]["status"]) == {"finished", "failed"}
    assert tables[0].drop(APART).equals(tables[1].drop(APART))
    for name in ("sweeps/*/*/best.yaml", "sweeps/*/*/scores.parquet", "sweeps/*/*/predictions.parquet"):
        assert one(alone, name).read_bytes() == one(together, name).read_bytes()
    for name in ("runs/*/*/scores.parquet", "runs/*/*/predictions.parquet"):
        assert one(alone, name).read_bytes() == one(together, name).read_bytes()
    assert not list(together.glob("outputs/sweeps/*/*/tune"))
    lines = [[TOOK.sub("", line).split() for line in text.splitlines() if " failed " in line] for text in (out, out_of_ray)]
    assert lines[0] == lines[1] != []
