"""A sweep that is killed at random moments ends with the same command as one that never was."""

from __future__ import annotations

import os
import random
import signal
import time

import polars as pl

from tests.support.slow_project import cells, copy_of, start

KILLS = int(os.environ.get("HWDS_TEST_SWEEP_KILLS", "2"))
SWEEP = [
    "sweep=asha",
    "sweep.trials=5",
    "sweep.space.model.seconds={uniform:[0.02,0.1]}",
    "size=full",
    "sweep.windows=3",
]


def trials(folder):
    (path,) = folder.glob("outputs/sweeps/*/*/trials.parquet")
    return pl.read_parquet(path).drop("seconds", "cached", "host")


def test_killed_at_random_moments_the_trials_are_those_of_a_sweep_never_killed(project, run_here):
    whole = copy_of(project, "whole_sweep")
    assert run_here(whole, *SWEEP, "compute=serial")[0] == 0
    for compute in ("serial", "processes"):
        folder, words, rng, seen = (
            copy_of(project, compute),
            [*SWEEP, f"compute={compute}"],
            random.Random(0),
            {},
        )
        for _ in range(KILLS):
            process = start(folder, *words)
            time.sleep(rng.uniform(1.5, 5.0))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            now = cells(folder)
            assert {
                name: now[name] for name in seen
            } == seen  # nothing that was finished is computed again
            seen = now
        code, _, err = run_here(folder, *words)
        assert (code, err) == (0, "")
        now = cells(folder)
        assert {name: now[name] for name in seen} == seen
        assert trials(folder).equals(trials(whole))
        assert set(now) == set(cells(whole))
        for name in ("best.yaml", "scores.parquet", "predictions.parquet"):
            (one,), (two,) = (each.glob(f"outputs/sweeps/*/*/{name}") for each in (whole, folder))
            assert one.read_bytes() == two.read_bytes()
