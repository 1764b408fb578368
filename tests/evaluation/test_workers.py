"""Ctrl-C goes to all processes of a terminal, and one of them answers it."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.processes import processes, wait_until
from tests.support.slow_project import start

LIMITED = [
    "sweep=grid",
    "sweep.space.model.seconds={choice:[0.1,0.2]}",
    "sweep.windows=3",
    "sweep.seconds_per_trial=10",
]


def workers(process):
    return [
        worker
        for worker, parent, title in processes()
        if parent == process.pid and "spawn_main" in title
    ]


@pytest.mark.parametrize(
    "words", [["compute=processes", "compute.workers=2"], [*LIMITED, "compute=serial"]]
)
def test_ctrl_c_while_workers_load_is_one_line_and_leaves_nothing(project, words):
    process = start(project, "protocol.windows=16", "size=full", "rivals=[]", *words, group=True)
    assert wait_until(lambda: workers(process) or process.poll() is not None)
    loading = workers(process)
    assert loading
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "hwds: stopped. Every finished cell is kept; the same command continues."
    assert not {number for number, *_ in processes()} & set(loading)
