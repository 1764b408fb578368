"""Of several processes whose runs share cells one makes each; others take it, or wait for it."""

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pytest

from hwds.core.cache import Cache
from hwds.evaluation.cells import CellCache, CellOutcome
from hwds.evaluation.compute.serial import Serial
from hwds.evaluation.run_cells import MissingCells
from hwds.evaluation.workers import UNLIMITED
from hwds.forecast.models.naive import Naive
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.report.progress import WAITS
from tests.evaluation.test_run import run
from tests.support.processes import wait_until
from tests.support.slow_project import copy_of, finished, project_in, start

WINDOWS = 4
RUNS = {"mine": "rivals=[forecast/seasonal_naive]", "other": "rivals=[forecast/naive]"}
COMPUTES = {
    "serial": ["compute=serial"],
    "processes": ["compute=processes", "compute.workers=2"],
}


def words(name: str, compute: str) -> list[str]:
    """One of two runs that share the cells of the slow model."""
    return [f"+experiment={name}", RUNS[name], *COMPUTES[compute], f"protocol.windows={WINDOWS}"]


def tables_of(folder: Path, name: str) -> dict[str, bytes]:
    """The bytes of the result tables of a run."""
    (run,) = folder.glob(f"outputs/runs/{name}/*")
    return {table: (run / f"{table}.parquet").read_bytes() for table in ("scores", "predictions")}


def fits(folder: Path) -> list[str]:
    """The folds of the fits of the slow model, as they began."""
    path = folder / "fits"
    return path.read_text().split() if path.exists() else []


def locks(folder: Path) -> list[Path]:
    """The lock files of cells."""
    return list(folder.glob("outputs/cache/cells/*/.*.lock"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The project, and what each of the two runs leaves where nobody shares its cells."""
    project = project_in(tmp_path_factory.mktemp("shared") / "project")
    (project / "conf" / "experiment").mkdir()
    for name in RUNS:
        (project / "conf" / "experiment" / f"{name}.yaml").write_text("# @package _global_\n")
    found = {}
    for name in RUNS:
        folder = copy_of(project, f"alone_{name}")
        assert finished(folder, *words(name, "serial"))[0] == 0
        found[name] = tables_of(folder, name)
    return project, found


@pytest.mark.parametrize("compute", COMPUTES)
def test_each_cell_of_two_processes_is_made_by_one_while_the_other_makes_another(alone, compute):
    project, wanted = alone
    folder = copy_of(project, f"two_{compute}")
    at_once = {"serial": 2, "processes": 3}[compute]  # one alone would wait for ever
    variables = {
        "HWDS_TEST_FITS": str(folder / "fits"),
        "HWDS_TEST_FITS_AT_ONCE": str(at_once),
    }
    both = [start(folder, *words(name, compute), environment=variables) for name in RUNS]
    assert [(process.communicate(timeout=200), process.returncode)[1] for process in both] == [0, 0]
    assert len(fits(folder)) == len(set(fits(folder))) == WINDOWS
    assert {name: tables_of(folder, name) for name in RUNS} == wanted
    assert not locks(folder)


@pytest.mark.parametrize("compute", COMPUTES)
def test_who_waits_for_a_cell_makes_it_when_its_owner_is_killed(
    alone, compute, run_here, monkeypatch
):
    project, wanted = alone
    folder = copy_of(project, f"killed_{compute}")
    variables, held = {"HWDS_TEST_FITS": str(folder / "fits")}, {"serial": 1, "processes": 2}
    owner = start(
        folder, *words("mine", compute), environment=variables | {"HWDS_TEST_HANG": "600"}
    )
    try:
        assert wait_until(lambda: len(fits(folder)) == held[compute], 100)
        waiter = start(folder, *words("other", compute), environment=variables)
        assert wait_until(lambda: said(folder, "other") == WAITS, 100)
        assert len(fits(folder)) == len(set(fits(folder))) == WINDOWS
    finally:
        owner.kill()
        owner.communicate()
    assert (waiter.communicate(timeout=100), waiter.returncode)[1] == 0
    assert (
        sorted(Counter(fits(folder)).values())
        == [1] * (WINDOWS - held[compute]) + [2] * held[compute]
    )
    assert tables_of(folder, "other") == wanted["other"]
    monkeypatch.setenv("HWDS_TEST_FITS", variables["HWDS_TEST_FITS"])
    assert run_here(folder, *words("mine", "serial"))[0] == 0
    assert len(fits(folder)) == WINDOWS + held[compute]
    assert tables_of(folder, "mine") == wanted["mine"]
    assert not locks(folder)


def said(folder: Path, name: str) -> str:
    """What a run says beside the numbers of its progress."""
    for path in folder.glob(f"outputs/runs/{name}/*/progress.json"):
        return str(json.loads(path.read_text())["score"])
    return ""


class Counting(Serial):
    """Keeps the cells that it computes."""

    computed: tuple[str, ...] = ()

    def run(self, job, frame, cells, limits=UNLIMITED):
        for outcome in super().run(job, frame, cells, limits):
            object.__setattr__(self, "computed", (*self.computed, outcome.cell.fold.name))
            yield outcome


def test_two_models_of_one_run_that_are_the_same_are_computed_once(tmp_path):
    compute, models = Counting(), {"naive": Naive(), "again": Naive()}
    tables, _ = run(WalkForward(windows=3, horizon=4), models, tmp_path, compute)
    assert len(compute.computed) == len(set(compute.computed)) == 3
    one, other = (tables.predictions.filter(model=name).drop("model") for name in models)
    assert one.equals(other)


class Watch:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def finish_cell(self, error):
        """A cell."""
        self.told.append("finished")

    def take_cell(self):
        """A cell of another process."""
        self.told.append("taken")

    def wait(self):
        """Nothing is left to do."""
        self.told.append("waits")


class Rows(Serial):
    """Makes rows of a cell's name."""

    def run(self, job, frame, cells, limits=UNLIMITED):
        for cell in cells:
            yield CellOutcome(cell, pl.DataFrame({"name": [cell]}), 0.0)


def test_what_others_compute_comes_last_and_is_looked_for_less_and_less(tmp_path, monkeypatch):
    cache, watch, pauses = CellCache(Cache(tmp_path)), Watch(), []
    cells = MissingCells({name: f"{name}-0-1" for name in ("aa", "bb", "cc")}, cache, watch)
    with ExitStack() as others:
        for name in ("aa", "bb"):
            assert others.enter_context(cache.lock(f"{name}-0-1"))

        def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 7:  # one was computed, of the other the process has died
                cache.put("bb-0-1", CellOutcome("bb", pl.DataFrame({"name": ["theirs"]}), 0.0))
                others.close()

        monkeypatch.setattr("hwds.evaluation.run_cells.time.sleep", sleep)
        outcomes = list(cells.outcomes(None, None, Rows()))
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert watch.told == ["finished", *["waits"] * 7, "finished", "taken"]
    assert [(outcome.cell, outcome.rows["name"][0]) for outcome in outcomes] == [
        ("cc", "cc"),
        ("aa", "aa"),
        ("bb", "theirs"),
    ]
    assert not list(tmp_path.rglob(".*"))
