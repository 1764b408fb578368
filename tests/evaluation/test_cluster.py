"""Three raylets on this machine come to what this process comes to, whatever of them is killed."""

from __future__ import annotations

import getpass
import os
import random
import re
import signal
import socket
import tempfile
from pathlib import Path

import polars as pl
import pytest

from tests.evaluation.three_nodes import ThreeNodes, kill
from tests.support.processes import marked, wait_until
from tests.support.slow_project import (
    PEEKS,
    STOPPED,
    cells,
    copy_of,
    finished,
    let_peek,
    start,
    tables,
    without_progress,
)

pytest.importorskip("ray")
ROUNDS = int(os.environ.get("HWDS_TEST_CLUSTER_KILLS", "0"))
"""The study of each victim alone is `HWDS_TEST_CLUSTER_KILLS=5 make test
ARGS=tests/evaluation/test_cluster.py`.
"""

SWEEP = [
    "sweep=random",
    "sweep.trials=5",
    "sweep.windows=3",
    "sweep.space.model.seconds={uniform:[0.1,0.5]}",
    "size=full",
]
SWEEP += ["protocol.windows=2", "rivals=[]"]
RUN = ["protocol.windows=16", "model.seconds=0.4", "size=full", "rivals=[]"]
HOMES = Path(tempfile.gettempdir(), f"hwds-ray-{getpass.getuser()}")
VICTIMS = (("worker", 1), ("raylet", 3), ("driver", 7))
"""Each with the number of finished cells after which it is killed."""

AMONG_CELLS = (1, 3, 5, 8, 12)
"""Finished cells after which something is killed; what is under way then is left to chance."""

RAYS_OWN = r"\[[^\]]+\] task_manager\.cc:\d+: Failed to push error to driver for task \w+\n?"
"""A line that Ray's core writes where a task fails as its driver leaves; no setting of Ray's holds
back it alone.
"""


def found(folder):
    """What a sweep has found: all of it but times and hosts."""
    (path,) = folder.glob("outputs/sweeps/*/*/trials.parquet")
    names = ("best.yaml", "scores.parquet", "predictions.parquet")
    return pl.read_parquet(path).drop("seconds", "cached", "host").to_dicts(), [
        next(path.parent.glob(name)).read_bytes() for name in names
    ]


def killed(folder, process, cluster, victim, after):
    """Kill it once so many cells are finished.

    The cells that were there then. None where the process has ended before.
    """
    assert wait_until(lambda: len(cells(folder)) >= after or process.poll() is not None, 240)
    if process.poll() is not None:
        return None
    rng = random.Random(after)
    if victim == "driver":
        process.send_signal(signal.SIGKILL)
    elif victim == "worker":
        assert wait_until(lambda: cluster.workers("ray::ImplicitFunc"))
        os.kill(rng.choice(cluster.workers("ray::ImplicitFunc")), signal.SIGKILL)
    else:
        kill(cluster.nodes[{"raylet": rng.choice([1, 2]), "head": 0}[victim]])
    return cells(folder)


def test_worker_raylet_and_driver_are_killed_and_the_sweep_ends_as_one_never_killed(
    project, run_here
):
    whole, broken = copy_of(project, "cluster_whole"), copy_of(project, "cluster_broken")
    assert run_here(whole, *SWEEP, "compute=serial")[0] == 0
    with ThreeNodes() as cluster:
        process = start(broken, *SWEEP, *cluster.words, environment=cluster.token)
        seen = [killed(broken, process, cluster, victim, after) for victim, after in VICTIMS]
        process.communicate()
        goes_on(broken, cluster)
        now = cells(broken)
        for before in seen:
            assert before
            assert {
                name: now[name] for name in before
            } == before  # nothing that was finished is computed again
        assert set(now) == set(cells(whole))
        assert found(broken) == found(whole)
        (run,) = broken.glob("outputs/runs/*/*/scores.parquet")
        (same,) = whole.glob("outputs/runs/*/*/scores.parquet")
        assert run.read_bytes() == same.read_bytes()

        computes_behind_walls(project, run_here, cluster)

        alone, lost = copy_of(project, "head_alone"), copy_of(project, "head_lost")
        assert run_here(alone, *RUN, "compute=serial")[0] == 0
        refused_without_token(lost, cluster)
        before = stopped(lost, cluster, 1)
        process = start(lost, *RUN, *cluster.words, environment=cluster.token)
        kept = killed(lost, process, cluster, "head", len(before) + 1)
        _, err = process.communicate(timeout=240)
        assert process.returncode == 1
        assert "is gone. Every finished cell is kept; the same command continues." in err
        assert {name: kept[name] for name in before} == before != {}
    assert run_here(lost, *RUN, "compute=serial")[0] == 0
    now = cells(lost)
    assert {name: now[name] for name in kept} == kept
    assert tables(lost) == tables(alone)


def goes_on(folder, cluster):
    """The same command once more, which ends well and says nothing else."""
    process = start(folder, *SWEEP, *cluster.words, environment=cluster.token)
    _, err = process.communicate(timeout=600)
    assert (process.returncode, without_progress(err)) == (0, "")


def computes_behind_walls(project, run_here, cluster):
    """Nodes compute behind walls what this process does, and their cells read nothing that no key
    names.
    """
    here, there = copy_of(project, "walls_here"), copy_of(project, "walls_there")
    words = ["protocol.windows=4", "rivals=[]", "compute.walls=auto"]
    assert run_here(here, *words, "compute=serial")[0] == 0
    code, _, err = finished(there, *words, *cluster.words, environment=cluster.token)
    assert (code, err) == (0, "")
    assert tables(there) == tables(here)
    peeks = copy_of(project, "peeks")
    let_peek(peeks)
    finished(peeks, *PEEKS, *cluster.words, environment=cluster.token)
    (scores,) = peeks.glob("outputs/runs/*/*/scores.parquet")
    told = pl.read_parquet(scores)["status"]
    assert any("there/a.csv', which no key names" in line for line in told), told


def stopped(folder, cluster, after):
    """Ctrl-C in a terminal once so many cells are finished: a line, and nothing of the driver is
    left; the cells there were.
    """
    mine = cluster.token | {"HWDS_TEST_MARK": str(folder)}
    process = start(folder, *RUN, *cluster.words, environment=mine, group=True)
    assert wait_until(lambda: len(cells(folder)) >= after or process.poll() is not None, 240)
    seen = cells(folder)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    said = re.sub(RAYS_OWN, "", without_progress(err)).strip()
    assert (process.returncode, said) == (130, STOPPED)
    assert wait_until(lambda: not marked(mine), 20), marked(mine)
    return seen


def refused_without_token(folder, cluster):
    """One line, before anything is computed."""
    code, out, err = finished(folder, *RUN, *cluster.words)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert (
        f"the cluster at '{cluster.address}' asks for its token, and none was given; set "
        f"RAY_AUTH_MODE=token and" in err
    )


@pytest.mark.skipif(
    not ROUNDS, reason="a study of a quarter of an hour: set HWDS_TEST_CLUSTER_KILLS"
)
@pytest.mark.parametrize("victim", ["driver", "worker", "raylet", "head"])
def test_each_is_killed_so_many_times(project, run_here, victim):
    whole = copy_of(project, f"{victim}_whole")
    assert run_here(whole, *SWEEP, "compute=serial")[0] == 0
    rng = random.Random(victim)
    for round_ in range(ROUNDS):
        folder = copy_of(project, f"{victim}_{round_}")
        with ThreeNodes() as cluster:
            process = start(folder, *SWEEP, *cluster.words, environment=cluster.token)
            seen = killed(folder, process, cluster, victim, rng.choice(AMONG_CELLS))
            assert seen
            process.communicate(timeout=600)
            print(f"{victim} {round_}: killed after {len(seen)} cells, exit {process.returncode}")
            if victim == "driver":
                goes_on(folder, cluster)
        if victim == "head":
            with ThreeNodes() as cluster:
                goes_on(folder, cluster)
        now = cells(folder)
        assert {name: now[name] for name in seen} == seen
        assert set(now) == set(cells(whole))
        assert found(folder) == found(whole)


def test_nothing_of_ray_is_left_when_the_driver_is_killed(project):
    mine = {"HWDS_TEST_MARK": str(project), "HOME": str(project)}  # what Ray starts inherits it
    process = start(project, *RUN, "compute=ray", "compute.workers=1", environment=mine)
    assert wait_until(lambda: len(cells(project)) >= 1 or process.poll() is not None, 240)
    assert wait_until(
        lambda: any(title.startswith("ray::") for _, title in marked(mine))
    )  # those with a title are seen, too
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -9, err
    assert wait_until(lambda: not marked(mine), 30), marked(mine)
    assert not (project / ".ray").exists()  # Ray would leave a token there
    assert not (HOMES / str(process.pid)).exists()


def test_an_address_where_nothing_answers_is_one_line(project):
    with socket.socket() as taken:
        taken.bind(
            ("127.0.0.1", 0)
        )  # bound and not listened at: nothing else takes it, and it refuses
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = finished(project, "compute=cluster", f"compute.address={address}")
    assert (code, out) == (1, "")
    assert f"nothing answers at '{address}' (connection refused); is the head node up?" in err
    assert len(err.strip().splitlines()) == 1


def test_other_versions_are_one_line():
    from hwds.core.errors import ConfigError
    from hwds.evaluation.ray.executor import join_refusal

    rays = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.50.1\n    Python: "
        "3.12.1\nThis process on node 10.0.0.1"
    )
    told = join_refusal(
        "head:6379", rays + " was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    assert isinstance(told, ConfigError)
    assert str(told) == (
        "compute.address: 'head:6379' runs Ray 2.50.1 on Python 3.12.1, this process Ray 2.60.0 "
        "on Python 3.11.7;"
        " both must be the same."
    )


def test_nodes_that_differ_are_told_apart(monkeypatch):
    from hwds.core.errors import ConfigError
    from hwds.evaluation.ray import executor as ray_nodes

    here = ray_nodes.this_node()
    fast = ray_nodes.Node("fast", "another class", here.packages)
    old = ray_nodes.Node(
        "old", here.machine, here.packages | {"numpy": "1.0", "polars": "0.1", "only-there": "1"}
    )
    monkeypatch.setattr(ray_nodes, "_nodes", lambda cpus: [here, fast])
    with pytest.raises(
        ConfigError, match=r"^compute: the nodes \(.*fast.*\) have 2 classes of CPU"
    ):
        ray_nodes.cpu_of_nodes(1, mixed=False)
    assert ray_nodes.cpu_of_nodes(1, mixed=True) == ray_nodes.MIXED
    monkeypatch.setattr(ray_nodes, "_nodes", lambda cpus: [here, old])
    with pytest.raises(
        ConfigError,
        match=r"^compute: node old has other versions: numpy 1.0 \(here .*\), polars 0.1 \(here ",
    ):
        ray_nodes.cpu_of_nodes(1, mixed=True)
    monkeypatch.setattr(ray_nodes, "_nodes", lambda cpus: [here, here])
    assert ray_nodes.cpu_of_nodes(1, mixed=False) == here.machine
