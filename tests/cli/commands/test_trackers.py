"""A tracker beside a run: one that fails, hangs or is absent leaves the run whole, and says why."""

import os
import shutil
import signal
import socket
import subprocess
import time

import polars as pl
import pytest

from tests.track.wandb_server import KEY

from .conftest import SALES, run_id

TRACKER = '''
import os
import time
from pathlib import Path

from hwds.track.trackers.base import Tracker, TrackingError


class Mine(Tracker):
    """A tracker of the user's own."""

    does: str = "write"

    def begin(self):
        if self.does == "absent":
            raise TrackingError("there is no such store")

    def write(self, records):
        if self.does == "hang":
            Path("pid").write_text(str(os.getpid()))
            time.sleep(3600)
        if self.does == "die":
            print("a last word, " + os.environ["MY_TOKEN"], file=__import__("sys").stderr)
            os._exit(3)
        if self.does == "raise":
            raise ValueError("no luck with " + os.environ["MY_TOKEN"])
        Path("mine.txt").write_text(records[0].id)
        return ["mine.txt"]

    def location(self, places):
        return f"mine: {places[0]}"
'''


@pytest.fixture
def project(hwds, sales, own_home, tmp_path):
    """A user's project with a tracker of its own, and a secret in the environment."""
    (tmp_path / "conf" / "tracker").mkdir(parents=True)
    (tmp_path / "conf" / "tracker" / "mine.yaml").write_text(
        "# hwds tracker=mine\nrecipe: my_trackers:Mine\n"
    )
    (tmp_path / "my_trackers.py").write_text(TRACKER)
    own_home.setenv("MY_TOKEN", "planted-token")
    return hwds


def written(path):
    """Return the text of a file that another process is about to write."""
    until = time.monotonic() + 60
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < until, f"{path.name} was not written"
        time.sleep(0.02)
    return path.read_text()


def tables(folder):
    (run,) = folder.glob("outputs/runs/adhoc/*")
    return {
        name: (run / f"{name}.parquet").read_bytes()
        for name in ("scores", "predictions", "metrics")
    }


def test_a_users_own_tracker_is_one_module_and_one_yaml_and_changes_no_number(project, tmp_path):
    assert project(SALES).code == 0
    before = tables(tmp_path)
    said = project(f"{SALES} tracker=mine")
    assert (said.code, said.err) == (0, "")
    assert said.out.rstrip().endswith("mine: mine.txt")
    assert (tmp_path / "mine.txt").read_text() == f"adhoc-{run_id(tmp_path)}"
    assert tables(tmp_path) == before  # in the same folder: there is one run
    assert "mine: mine.txt" not in project(f"{SALES} tracker=mine").out  # it has all already


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (
            "absent",
            "there is no such store. The run is whole",
        ),
        ("raise", "ValueError: no luck with ***. The run is whole"),
        ("die", "its process ended; tracking_mine.log says more. The run is whole"),
        (
            "hang",
            "the mirror takes too long; it goes on behind the run. The run is whole",
        ),
    ],
)
def test_one_that_fails_is_a_warning_with_the_reason(project, own_home, tmp_path, does, reason):
    if does == "hang":
        own_home.setattr("hwds.track.mirroring.LOCAL_SECONDS", 1.5)
    said = project(f"{SALES} tracker=mine tracker.does={does}")
    if does == "hang":
        os.kill(int(written(tmp_path / "pid")), signal.SIGKILL)
    assert said.code == 0
    assert said.err.startswith(f"hwds: tracker mine: {reason}; `hwds sync`"), said.err
    assert said.err.count("\n") == 1
    assert "Files  " in said.out
    assert len(tables(tmp_path)) == 3
    if does != "hang":
        due = project("sync --dry-run").out
        assert due == f"would write adhoc/{run_id(tmp_path)} to mine\n"
    for path in tmp_path.rglob("outputs/**/*"):
        assert not path.is_file() or b"planted-token" not in path.read_bytes(), path


def test_a_server_that_never_answers_does_not_hold_up_a_run(hwds, sales, own_home, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        own_home.setenv("WANDB_BASE_URL", address)
        own_home.setenv("WANDB_API_KEY", KEY)
        said = hwds(f"{SALES} tracker=both tracker.mlflow.uri={address}")
    assert said.code == 0
    lines = said.err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["tracker wandb", "tracker mlflow"]
    for line in lines:
        assert (
            f"{address} does not answer within 1.5 s" in line or "the server takes too long" in line
        )
        assert "The run is whole" in line
    assert len(list(tmp_path.glob("outputs/wandb/offline-run-*"))) == 1  # what could be written is
    assert len(tables(tmp_path)) == 3


def test_a_folder_that_cannot_be_written_is_told(hwds, sales, own_home, tmp_path):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "wandb").write_text("a file is in the way")
    said = hwds(f"{SALES} tracker=wandb")
    assert said.code == 0
    assert f"{tmp_path}/outputs/wandb: cannot be written: File exists. The run is whole" in said.err
    (tmp_path / "outputs" / "wandb").unlink()
    assert hwds("sync").code == 1  # there is no key; but now it is written
    assert len(list(tmp_path.glob("outputs/wandb/offline-run-*"))) == 1


def test_a_full_disk_is_told(hwds, sales, own_home, tmp_path):
    small = tmp_path / "outputs" / "mlflow"
    small.mkdir(parents=True)
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(small)],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("needs the right to mount a small disk")
    try:
        (small / "fill").write_bytes(b"\0" * (2**20 - 4096))
        said = hwds(f"{SALES} tracker=mlflow")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert said.code == 0
    assert f"tracker mlflow: {small}: " in said.err
    assert (
        "cannot be written: No space left on device" in said.err or "the disk is full" in said.err
    )
    assert pl.read_parquet(next(tmp_path.glob("outputs/runs/adhoc/*/scores.parquet"))).height > 0
