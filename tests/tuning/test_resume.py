"""A sweep that is killed at random moments ends with the same command as one that never was."""

from __future__ import annotations

import os
import random
import signal
import time

import polars as pl
import pytest

from tests.support.slow_project import cells, copy_of, start

KILLS = int(os.environ.get("HWDS_TEST_SWEEP_KILLS", "2"))
SWEEP = ["sweep=asha", "sweep.trials=5", "sweep.space.model.seconds={uniform:[0.02,0.1]}", "size=full", "sweep.windows=3"]


def trials(folder):
    (path,) = folder.glob("outputs/sweeps/*/*/trials.parquet")
    return pl.read_parquet(path).drop("seconds", "cached", "host")


@pytest.mark.parametrize("compute", ["serial", "processes"])
def test_killed_at_random_moments_the_trials_are_those_of_a_sweep_never_killed(project, run_here, compute):
    words = [*SWEEP, f"compute={compute}"]
    whole, killed = copy_of(project, f"sweep_whole_{compute}"), copy_of(project, f"sweep_killed_{compute}")
    assert run_here(whole, *words)[0] == 0
    rng, seen = random.Random(0), {}
    for _ in range(KILLS):
        process = start(killed, *words)
        time.sleep(rng.uniform(1.5, 5.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = cells(killed)
        assert {name: now[name] for name in seen} == seen  # nothing that was finished is computed again
        seen = now
    code, _, err = run_here(killed, *words)
    assert (code, err) == (0, "")
    now = cells(killed)
    assert {name: now[name] for name in seen} == seen
    assert trials(killed).equals(trials(whole))
    assert set(now) == set(cells(whole))
    for name in ("best.yaml", "scores.parquet", "predictions.parquet"):
        (one,), (two,) = (folder.glob(f"outputs/sweeps/*/*/{name}") for folder in (whole, killed))
        assert one.read_bytes() == two.read_bytes()
