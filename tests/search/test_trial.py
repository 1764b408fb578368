"""A trial on a worker of Ray."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hwds.evaluation.cells import Job
from hwds.evaluation.protocol import Cell, Fold
from hwds.evaluation.ray.executor import MIXED, this_node, unfit
from hwds.search.trial_scores import TrialInput, _cell_computer

NOTHING: Any = None


def test_a_node_of_another_class_of_cpu_computes_no_window_of_a_trial():
    job = Job(
        NOTHING,
        {},
        NOTHING,
        0,
        1,
        "cpu",
        object,
        Path("nowhere"),
        machine="that of the nodes which were asked",
    )
    shared: Any = SimpleNamespace(packages={})
    asked = TrialInput((), {}, "mase", "low", (), NOTHING)
    with _cell_computer(asked, shared, job, {}) as compute:
        outcome = compute(Cell("trial 1", Fold(0, "2020-01", 1), 0, 1))
    assert (outcome.rows, outcome.error) == (None, unfit(job.machine, {}))
    assert "another class of CPU" in outcome.error
    assert [unfit(wanted, {"only-there": "1"}) for wanted in ("", MIXED, this_node().machine)] == [
        "",
        "",
        "",
    ]


def test_a_node_with_other_packages_that_came_late_computes_none_either():
    here = this_node()
    said = unfit(here.machine, here.packages | {"numpy": "1.0"})
    assert said == (
        f"node {here.host} has other versions: numpy {here.packages['numpy']} (here 1.0); install "
        f"the same lock file there"
    )
