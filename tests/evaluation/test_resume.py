"""Nothing is computed twice, nothing is lost, and no choice of executor shows in the tables."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from hwds.core.files import lock_file
from tests.support.processes import wait_until
from tests.support.slow_project import cells, copy_of, finished, start, tables

KILLS = int(os.environ.get("HWDS_TEST_KILLS", "3"))
"""The full study of 30 is `HWDS_TEST_KILLS=30 make test`."""


def test_serial_and_processes_write_the_same_bytes(project, run_here):
    one, two = copy_of(project, "one"), copy_of(project, "two")
    assert run_here(one, "compute=serial")[0] == 0
    assert run_here(two, "compute=processes", "compute.workers=2")[0] == 0
    assert tables(one) == tables(two)


def test_killed_at_random_moments_the_tables_are_those_of_a_run_never_killed(project, run_here):
    whole = copy_of(project, "whole")
    assert run_here(whole, "compute=serial", "protocol.windows=2")[0] == 0
    rng = random.Random(7)
    for round_ in range(max(1, KILLS // 3)):
        folder = copy_of(project, f"killed{round_}")
        for kill in range(3):
            compute = (
                ("compute=processes", "compute.workers=2") if kill % 2 else ("compute=serial",)
            )
            process = start(folder, "protocol.windows=2", *compute)
            time.sleep(rng.uniform(0.2, 2.5))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kept = cells(folder)
        assert run_here(folder, "protocol.windows=2", "compute=serial")[0] == 0
        after = cells(folder)
        assert {name: after[name] for name in kept} == kept, "a finished cell was computed again"
        assert tables(folder) == tables(whole)


def test_a_second_run_computes_nothing_and_more_windows_only_the_new_ones(project, run_here):
    assert run_here(project, "protocol.windows=1", "compute=serial")[0] == 0
    before = cells(project)
    assert run_here(project, "protocol.windows=1", "compute=serial")[0] == 0
    assert cells(project) == before
    assert run_here(project, "protocol.windows=2", "compute=serial")[0] == 0
    after = cells(project)
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before)


def test_a_run_that_is_being_computed_is_refused_and_a_dead_owner_frees_it(project):
    owner = start(project, "model.seconds=5", "compute=serial")
    deadline = time.time() + 20
    while not list(project.glob("outputs/runs/*/*/provenance.json")) and time.time() < deadline:
        time.sleep(0.05)
    code, _, err = finished(project, "model.seconds=5", "compute=serial")
    assert code == 1
    assert "is being computed by another process" in err
    assert "Traceback" not in err
    owner.kill()
    owner.communicate()
    (lock,) = project.glob("outputs/runs/*/*/.lock")
    with lock_file(lock, 1) as free:
        assert free


def test_ctrl_c_ends_soon_and_says_how_to_go_on(project):
    for compute in ("serial", "processes"):
        own = copy_of(project, f"stopped_{compute}")
        process = start(
            own,
            "model.seconds=30",
            f"compute={compute}",
            "compute.workers=2" if compute == "processes" else "seed=1",
        )
        assert wait_until(lambda own=own: list(own.glob("outputs/runs/*/*/progress.json")), 60)
        began = time.time()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert time.time() - began < 5
        assert process.returncode == 130
        assert "the same command continues" in err
        assert "Traceback" not in err


def test_failed_cells_are_rows_with_their_message_and_set_the_exit_code(project, run_here):
    code, out, err = run_here(
        project, "model.fail=true", "protocol.windows=2", "compute=serial", "protocol.stride=12"
    )
    assert code == 1
    assert "1 of 6 cells failed; compute.max_failed is 0" in err
    assert "FAILED mine/slow" in out
    (run,) = project.glob("outputs/runs/*/*/scores.parquet")
    failed = pl.read_parquet(run).filter(pl.col("status") != "ok")
    assert failed["status"].to_list() == ["failed: ValueError: no luck"]
    assert failed["n_failed"][0] > 0
    code, _, _ = run_here(
        project,
        "model.fail=true",
        "protocol.windows=2",
        "compute=serial",
        "protocol.stride=12",
        "compute.max_failed=1",
    )
    assert code == 3


def test_a_worker_that_dies_fails_its_cell_alone(project, run_here):
    code, _, err = run_here(
        project, "model.die=true", "protocol.windows=2", "compute=processes", "compute.workers=2"
    )
    assert code == 1
    assert "2 of 6 cells failed" in err
    (run,) = project.glob("outputs/runs/*/*/scores.parquet")
    status = pl.read_parquet(run).filter(pl.col("status") != "ok")["status"]
    assert all("worker died with exit code 9" in said for said in status)


def test_a_damaged_cell_is_computed_again(project, run_here):
    assert run_here(project, "protocol.windows=1", "compute=serial")[0] == 0
    wanted = tables(project)
    for path in project.glob("outputs/cache/cells/*/*.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    assert run_here(project, "protocol.windows=1", "compute=serial")[0] == 0
    assert tables(project) == wanted


def test_outputs_that_cannot_be_written_are_one_clear_line(project, run_here):
    (project / "outputs").write_text("a file stands where the folder should be")
    code, _, err = run_here(project, "protocol.windows=1", "compute=serial")
    assert code == 1
    assert "cannot be written" in err
    assert "Traceback" not in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    from hwds.core.errors import HwdsError
    from hwds.core.files import write_atomically

    def fill(part):
        part.write_bytes(b"begun")
        with open("/dev/full", "wb") as full:
            full.write(b"x" * 100000)

    with pytest.raises(HwdsError, match="No space left on device"):
        write_atomically(tmp_path / "table.parquet", fill)
    assert list(tmp_path.iterdir()) == []


def test_features_that_are_not_lawful_are_refused_before_the_first_cell(project, run_here):
    code, _, err = run_here(
        project,
        "model=forecast/xgboost",
        "features=lags",
        "features.step_lags=[1]",
        "protocol.horizon=3",
    )
    assert code == 2
    assert err.startswith("hwds: features.step_lags: 1 is shorter than the horizon 3")
    assert len(err.strip().splitlines()) == 1


SMALL = "dataset=classics model=forecast/damped rivals=[] protocol=holdout size=small"


def run_within(folder, bytes_a_file=None):
    """Run a small experiment in a process whose files may have so many bytes."""

    def limit():
        if bytes_a_file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, bytes_a_file))

    words = [sys.executable, "-m", "hwds", *SMALL.split(), "compute=serial"]
    own = ("HOME", "NUMBA_CACHE_DIR")  # no home, and compiled code below the folder's outputs
    environment = {name: text for name, text in os.environ.items() if name not in own}
    return subprocess.run(
        words,
        cwd=folder,
        env=environment,
        preexec_fn=limit,
        check=False,
        capture_output=True,
        text=True,
    )


def test_code_that_cannot_be_written_fails_the_cell_and_the_same_command_heals(tmp_path):
    assert run_within(tmp_path).returncode == 0
    whole = tables(tmp_path)
    for name in ("cache/cells", "cache/numba", "runs"):
        shutil.rmtree(tmp_path / "outputs" / name)
    failed = run_within(tmp_path, 30_000)  # the tables fit in, the compiled code does not
    assert failed.returncode == 1
    assert "FAILED forecast/damped, fold 0: OSError: [Errno 27] File too large" in failed.stdout
    assert cells(tmp_path) == {}
    assert run_within(tmp_path).returncode == 0
    assert tables(tmp_path) == whole
