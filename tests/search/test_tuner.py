"""What becomes of a trial by the reports that Ray Tune has of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hwds.core.errors import ConfigError
from hwds.evaluation.compute.ray import Ray
from hwds.search.drive import TuneReports, _complete, _resources, _without_extras
from hwds.search.rungs import FAILED, STOPPED, WAITING, TrialRecord
from hwds.search.sweeps.random import Random
from hwds.search.trials import Trial

pytest.importorskip("ray")


def test_a_trial_is_told_with_the_host_that_computed_it():
    stops, tuning_split = SimpleNamespace(stops=True), SimpleNamespace(folds=[])
    search: Any = SimpleNamespace(
        cells_of=lambda trial: {}, tuning_split=tuning_split, rungs=(), sweep=stops
    )
    there, here = TrialRecord(Trial(1, {}, {})), TrialRecord(Trial(2, {}, {}))
    own = here.host
    _complete(
        search, there, {"folds": 0, "error": "window 2020-01: no luck", "hostname": "node7"}, set()
    )
    _complete(search, here, None, set())
    assert (there.host, there.status, here.host) == ("node7", FAILED, own)


@pytest.mark.parametrize(("ended", "status"), [(True, STOPPED), (False, WAITING)])
def test_a_trial_that_its_scheduler_ended_is_stopped_and_one_that_the_clock_ended_goes_on_another_time(
    ended, status, monkeypatch
):
    search: Any = SimpleNamespace(
        cells_of=lambda trial: {},
        tuning_split=SimpleNamespace(folds=[1, 2]),
        rungs=(1, 2),
    )
    monkeypatch.setattr("hwds.search.drive.score_record", lambda *_: None)
    record = TrialRecord(Trial(1, {}, {}), outcomes={0: []})
    _complete(search, record, {"folds": 1, "hostname": "node7", "ended": ended}, set())
    assert (record.status, record.outcomes) == (status, {})


@pytest.mark.parametrize(
    ("compute", "sweep", "setting"),
    [
        (Ray(gpus_per_cell=1), Random(), "compute.gpus_per_cell"),
        (Ray(), Random(gpus_per_trial=1), "sweep.gpus_per_trial"),
        (Ray(), Random(cpus_per_trial=5), "sweep.cpus_per_trial"),
    ],
)
def test_what_no_node_has_is_refused_by_the_setting_that_asks_for_it_or_waited_for(
    monkeypatch, capsys, compute, sweep, setting
):
    import ray

    nodes = [
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr("hwds.evaluation.ray.executor._types", lambda: ["node_abc"])
    with pytest.raises(ConfigError, match=rf"^{setting}: must be <= "):
        _resources(compute, sweep)
    assert _resources(Ray(cpus_per_cell=4), Random(cpus_per_trial=2)) == {"cpu": 2, "gpu": 0}
    monkeypatch.setattr("hwds.evaluation.ray.executor._types", lambda: ["node_abc", "cells"])
    capsys.readouterr()
    assert _resources(compute, sweep) == _resources(compute, sweep)
    said = capsys.readouterr().err
    assert said.startswith(f"hwds: {setting}: waiting for a node with ")
    assert said.count("\n") == 1


def test_ray_is_given_no_key_of_this_process_and_loads_no_tracker(monkeypatch):
    from ray.air._internal import usage
    from ray.tune.execution.class_cache import _ActorClassCache

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    _without_extras()
    assert _ActorClassCache().get(TuneReports)._default_options["runtime_env"] == {}
    assert not usage.tag_callbacks([object()])
