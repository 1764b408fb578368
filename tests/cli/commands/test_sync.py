"""`hwds sync` against a stand-in for the W&B server, killed, repeated and rehearsed."""

import os
import signal
import subprocess
import sys

import pytest

from hwds.core.checksums import read_json, write_json
from tests.track.wandb_server import KEY, StandIn

from .conftest import SALES, run_id

WINDOWS = SALES.replace("protocol=holdout", "protocol=walk_forward protocol.windows=4")


@pytest.fixture
def server(own_home):
    """The stand-in, and a key for it."""
    found = StandIn()
    own_home.setenv("WANDB_BASE_URL", found.url)
    own_home.setenv("WANDB_API_KEY", KEY)
    yield found
    found.close()


@pytest.fixture
def unsent(hwds, sales, server, tmp_path):
    """The id of a run whose offline folder is whole and was not sent."""
    assert hwds(WINDOWS).code == 0
    said = hwds(f"track {run_id(tmp_path)} --to wandb mode=offline")
    assert (said.code, server.requests) == (0, 0)
    return f"adhoc-{run_id(tmp_path)}"


def places(folder):
    return sorted(folder.glob("outputs/wandb/offline-run-*"))


def test_what_is_unsent_is_sent_once_and_a_dry_run_sends_nothing(hwds, server, unsent, tmp_path):
    assert hwds("sync --dry-run").out == f"would send adhoc/{run_id(tmp_path)} to wandb\n"
    assert server.requests == 0
    said = hwds("sync")
    assert (said.code, said.out) == (0, f"adhoc/{run_id(tmp_path)}: W&B: sent to {server.url}.\n")
    steps = server.steps(unsent)
    assert steps == list(range(len(steps)))
    assert len(steps) >= 4
    assert {artifact["artifactTypeName"] for artifact in server.artifacts} >= {
        "predictions",
        "results",
    }
    assert server.uploads["/predictions.parquet"] == 1
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    asked = server.requests
    assert hwds("sync").out == "Nothing is due: every run that was to be mirrored is.\n"
    assert hwds(f"track {run_id(tmp_path)} --to wandb mode=offline").code == 0
    assert server.requests == asked

    (
        tmp_path / "outputs/runs/adhoc" / run_id(tmp_path) / "tracking.json"
    ).unlink()  # nobody knows of it any more
    assert hwds(f"track {run_id(tmp_path)} --to wandb").code == 0
    assert server.steps(unsent) == steps  # the same id, the same lines
    assert list(server.runs) == [unsent]


def test_killed_while_it_sends_the_next_one_ends_with_every_step_once(
    hwds, server, unsent, tmp_path
):
    words = [sys.executable, "-m", "hwds", "sync"]
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server.on_stream = lambda: (
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
    )
    assert process.wait(60) == -signal.SIGKILL
    server.on_stream = lambda: None
    assert "would send" in hwds("sync --dry-run").out
    assert hwds("sync").code == 0
    steps = server.steps(unsent)
    assert steps == list(range(len(steps)))
    assert len(steps) >= 4


def test_a_folder_that_was_being_written_is_written_again_whole(hwds, server, unsent, tmp_path):
    (place,) = places(tmp_path)
    (log,) = place.glob("*.wandb")
    log.write_bytes(log.read_bytes()[:500])
    path = tmp_path / "outputs/runs/adhoc" / run_id(tmp_path) / "tracking.json"
    told = read_json(path)
    told["wandb"] |= {"state": "asked", "places": []}
    write_json(path, told)
    assert "would write and send" in hwds("sync --dry-run").out
    assert hwds("sync").code == 0
    (again,) = places(tmp_path)
    assert next(again.glob("*.wandb")).stat().st_size > 500, (
        "in place of the old one, in the same second or later"
    )
    assert len(server.steps(unsent)) >= 4


def test_a_damaged_ledger_is_said_and_the_others_are_sent(hwds, server, unsent, tmp_path):
    first = run_id(tmp_path)
    assert hwds(f"{WINDOWS} seed=1").code == 0
    second = next(
        path for path in (tmp_path / "outputs/runs/adhoc").iterdir() if path.name != first
    )
    (second / "tracking.json").write_text('{"wandb": {"state"')
    for command, told in (
        ("sync --dry-run", f"would send adhoc/{first} to wandb"),
        ("sync", f"adhoc/{first}: W&B: sent to"),
    ):
        said = hwds(command)
        assert (said.code, said.out.startswith(told)) == (3, True)
        (line,) = (line for line in said.err.splitlines() if line.startswith("hwds: "))
        assert f"hwds: adhoc/{second.name}: {second}/tracking.json: is damaged: " in line
    assert hwds("sync").code == 1, "the damaged one is all there is"
    again = hwds(f"{WINDOWS} seed=1 tracker=wandb")
    assert again.code == 0, "a run goes on without its tracker"
    assert "tracking.json: is damaged" in again.err


def test_without_a_key_or_a_server_it_stays_due(hwds, server, unsent, own_home, tmp_path):
    server.close()
    said = hwds("sync")
    assert said.code == 1
    assert "cannot be reached: Connection refused" in said.err
    own_home.delenv("WANDB_API_KEY")
    assert "there is no key: set WANDB_API_KEY" in hwds("sync").err
    assert "would send" in hwds("sync --dry-run").out
    assert "takes no words, got 'x'" in hwds("sync x").line
