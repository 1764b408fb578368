"""On Ray a sweep and a run come to what they come to in this process; one cluster for all of it."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

import polars as pl
import pytest

from hwds.serve.batch import run_batch
from tests.serve import conftest as production
from tests.support.processes import marked, wait_until
from tests.support.rows import toy_rows
from tests.support.slow_project import (
    PEEKS,
    REFUSAL,
    STOPPED,
    cells,
    copy_of,
    let_peek,
    project_in,
    several,
)

pytest.importorskip("ray")
GRID = "sweep.space.model.hang={choice:[false,true]} sweep.space.model.fail={choice:[false,true]}"
LIMITED = (
    f"+experiment=limited sweep=grid {GRID} sweep.windows=3 sweep.seconds_per_trial=10 "
    f"protocol.windows=8 size=full"
)
SCALE = (
    "sweep.space.model.scale={uniform:[0.8,1.3]} sweep.windows=2 protocol.windows=2 size=full "
    "rivals=[]"
)
LEARNS = f"+experiment=learns sweep=optuna {SCALE} sweep.trials=4 sweep.startup=2 sweep.batch=2"
TELLS = "+experiment=tells model.tell=true protocol.windows=1 rivals=[]"
TELL = (
    "model.tensorflow=false sweep.space.model.tell={choice:[true]} sweep.windows=1 "
    "protocol.windows=1 rivals=[]"
)
APART = f"+experiment=apart sweep=grid {TELL} sweep.cpus_per_trial=2"
WITHOUT_GPUS = f"{TELLS} compute.gpus_per_cell=1"
SLOW = (
    "sweep.space.model.seconds={uniform:[0.5,0.9]} sweep.trials=6 sweep.windows=3 "
    "protocol.windows=2 size=full"
)
INTERRUPTED = f"+experiment=interrupted sweep=random {SLOW} rivals=[]"
WALLED, OPEN = (
    f"+experiment={name} protocol.windows=2 compute.walls={walls}"
    for name, walls in (("walled", "auto"), ("open", "never"))
)
PEEKING = f"+experiment=peeks {' '.join(PEEKS)}"
POOLS = "asked {0}, has numba {0}, openblas {0}, openmp {0}, polars {0}"
TOOK = re.compile(r"(< )?[\d.]+ (ms|s|min)$")
ELSEWHERE = ["seconds", "cached", "host"]
MARK = {"HWDS_TEST_MARK": f"on-ray-{os.getpid()}"}
"""The variable that all processes inherit, those that trials start too."""


home, run, bundle = production.home, production.run, production.bundle


@pytest.fixture(scope="module")
def temporary():
    """An empty folder of temporary files, whose path is short enough for Ray."""
    with tempfile.TemporaryDirectory(prefix="hw", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def both(tmp_path_factory, temporary, bundle, home):
    """What each command said and left: without Ray, and on one Ray for all of them, the last of
    which Ctrl-C ends.
    """
    project = project_in(tmp_path_factory.mktemp("ray") / "project")
    (project / "conf" / "experiment").mkdir()
    let_peek(project)
    names = ("limited", "learns", "tells", "apart", "walled", "open", "peeks", "interrupted")
    for name in names:
        (project / "conf" / "experiment" / f"{name}.yaml").write_text("# @package _global_\n")
    alone, together = copy_of(project, "alone"), copy_of(project, "together")
    lines = (LIMITED, LEARNS, WALLED, OPEN)
    said = several(alone, [f"{words} compute=serial".split() for words in lines], MARK)
    commands = (LIMITED, LEARNS, TELLS, APART, WITHOUT_GPUS, WALLED, OPEN, PEEKING, INTERRUPTED)
    toy_rows(95).data.select("spent", "quantity", "channel", "visits").write_parquet(
        home / "asked.parquet"
    )
    batch = (
        f"batch {bundle.folder} {home / 'asked.parquet'} {together / 'answers'} --rows 10 "
        f"--trust {home / 'key.pem.pub'}"
    )
    on_ray = [f"{words} compute=ray compute.workers=2".split() for words in (batch, *commands)]
    own = MARK | {"HOME": str(together), "TMPDIR": str(temporary)}
    _, *said_on_ray = several(together, on_ray, own, cells_are_added_by(together, "interrupted"))
    run_batch(
        bundle.service(), bundle.manifest.digest, home / "asked.parquet", alone / "answers", 10
    )
    return (alone, said), (together, said_on_ray)


def cells_are_added_by(folder, experiment):
    """A function that returns whether a window of the experiment's sweep is finished."""
    before = set()

    def added():
        if any(folder.glob(f"outputs/sweeps/{experiment}/*")):
            return bool(cells(folder).keys() - before)
        before.update(cells(folder))
        return False

    return added


def one(folder, name):
    (path,) = folder.glob(f"outputs/{name}")
    return path


def trials(folder, name):
    return pl.read_parquet(one(folder, f"sweeps/{name}/*/trials.parquet")).drop(ELSEWHERE)


def test_ray_tune_finds_what_the_serial_search_finds_and_its_cells_write_the_same_bytes(both):
    (alone, said), (together, said_on_ray) = both
    (code, out, err), (code_on_ray, out_of_ray, err_of_ray) = said[0], said_on_ray[0]
    assert (code, code_on_ray, err_of_ray) == (3, 3, err)  # no chatter
    assert set(trials(alone, "limited")["status"]) == {"finished", "failed"}
    assert trials(alone, "limited").equals(trials(together, "limited"))
    for name in ("best.yaml", "scores.parquet", "predictions.parquet"):
        assert (
            one(alone, f"sweeps/limited/*/{name}").read_bytes()
            == one(together, f"sweeps/limited/*/{name}").read_bytes()
        )
    for name in ("scores.parquet", "predictions.parquet"):
        assert (
            one(alone, f"runs/limited/*/{name}").read_bytes()
            == one(together, f"runs/limited/*/{name}").read_bytes()
        )
    assert not list(together.glob("outputs/sweeps/*/*/tune"))
    lines = [
        [TOOK.sub("", line).split() for line in text.splitlines() if " failed " in line]
        for text in (out, out_of_ray)
    ]
    assert lines[0] == lines[1] != []


def test_what_optuna_proposes_is_the_same_on_ray(both):
    pytest.importorskip("optuna")
    (alone, said), (together, said_on_ray) = both
    assert (said[1][0], said_on_ray[1][0]) == (0, 0), said_on_ray[1]
    assert len(set(trials(alone, "learns")["model.scale"])) == 4
    assert trials(alone, "learns").equals(trials(together, "learns"))


def test_each_library_has_the_threads_that_were_asked_for(both):
    _, (together, said) = both
    assert (said[2][0], said[3][0]) == (1, 3)
    status = pl.read_parquet(one(together, "runs/tells/*/scores.parquet"))["status"]
    assert f"failed: ValueError: {POOLS.format(1)}, tf 1" in status.to_list()  # in Ray's own worker
    assert (
        f"ValueError: {POOLS.format(2)}" in trials(together, "apart")["error"][1]
    )  # in a process beside it


def test_walls_change_no_byte_in_serial_in_processes_and_on_ray(both):
    (alone, _), (together, _) = both
    spread = copy_of(alone.parent / "project", "spread")
    on_two = [f"{words} compute=processes compute.workers=2".split() for words in (WALLED, OPEN)]
    assert [code for code, *_ in several(spread, on_two, {})] == [0, 0]
    for table in ("scores", "predictions"):
        read = [
            pl.read_parquet(one(folder, f"runs/{name}/*/{table}.parquet"))
            for folder in (alone, spread, together)
            for name in ("walled", "open")
        ]
        plain = [each.drop("experiment", strict=False) for each in read]
        assert all(each.equals(plain[0]) for each in plain[1:])
    walls = [
        json.loads(one(folder, f"runs/{name}/*/provenance.json").read_text())["walls"]
        for folder in (alone, spread, together)
        for name in ("walled", "open")
    ]
    assert walls == [True, False] * 3


def test_a_cell_on_ray_reads_nothing_that_no_key_names(both):
    _, (together, _) = both
    status = pl.read_parquet(one(together, "runs/peeks/*/scores.parquet"))["status"]
    assert any(line.startswith(REFUSAL.format("there/a.csv")) for line in status)


def test_gpus_that_no_node_has_are_one_line(both):
    _, (_, said) = both
    assert said[4] == (
        2,
        "",
        "hwds: compute.gpus_per_cell: must be <= 0, what the largest node has, got 1.\n",
    )


def test_ctrl_c_ends_a_sweep_with_one_line_and_leaves_nothing_of_ray(both, temporary):
    _, (together, said) = both
    assert (said[-1][0], said[-1][2].strip()) == (130, STOPPED)
    assert wait_until(lambda: not marked(MARK), 30), marked(
        MARK
    )  # nor what a trial has started that was ended
    assert not list(temporary.glob("hwds-ray-*/*"))
    assert not (together / ".ray").exists()  # Ray would leave a token there


def test_a_batch_has_the_same_bytes_on_ray(both):
    (alone, _), (together, _) = both
    answers = sorted(path.name for path in (alone / "answers").iterdir())
    assert len(answers) == 12
    assert answers == sorted(path.name for path in (together / "answers").iterdir())
    for name in answers:
        assert (together / "answers" / name).read_bytes() == (alone / "answers" / name).read_bytes()
