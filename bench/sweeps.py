"""What a trial costs beside its windows: a sweep of a model that does nothing, against bare Ray
Tune with the same reports.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from bench.rows import Row
from hwds.core.compose import compose
from hwds.evaluation.ray.executor import join_ray
from hwds.evaluation.workers import process_bytes
from hwds.experiment.spec import check
from hwds.forecast.models.base import FittedForecaster, ForecastContext, Forecaster
from hwds.forecast.models.naive import Naive
from hwds.frames.panel import Panel
from hwds.search.drive import run_trials
from hwds.search.rungs import FINISHED
from hwds.search.sweep import Search, prepare_search

NAME = "sweeps (trials of one window that do nothing, on Ray with two CPUs; seconds a trial)"
SIZE = 40
"""Trials."""

CPUS = 2
MIB = 2**20
WORDS = [
    "model=forecast/naive",
    "dataset=hardware_demand",
    "dataset.families=1",
    "protocol=holdout",
    "protocol.horizon=3",
    "compute=ray",
    f"compute.workers={CPUS}",
    "rivals=[]",
    "sweep=random",
    "sweep.windows=1",
    "sweep.baseline=false",
]
SPACE = {"model": {"shift": {"uniform": [0.0, 1.0]}}}


class Trivial(Forecaster):
    """The last value, whatever it is asked to be shifted by.

    Attributes:
        shift: Nothing.
    """

    local = True
    shift: float = 0.0

    def learn(self, history: Panel, *, horizon: int, context: ForecastContext) -> FittedForecaster:
        """That of the naive forecast."""
        return Naive().learn(history, horizon=horizon, context=context)


class Watching:
    """Counts trials and keeps what this process holds in memory after each."""

    def __init__(self) -> None:
        self.held: list[int] = []

    def begin(self, cells: int, cached: int) -> None:
        """Nothing."""

    def finish_cell(self, error: str) -> None:
        """Nothing."""

    def trial(
        self, label: str, status: str, folds: int, value: float | None, cells_saved: int
    ) -> None:
        """One has reported."""
        self.held.append(process_bytes(os.getpid()))


def measure(trials: int = SIZE) -> list[Row]:
    """One comparison, on one cluster; both have run before, so that its workers are there."""
    with _somewhere():
        _bare(CPUS)
        _ours(_search(CPUS, 1))
        bare_s = _timed(lambda: _bare(trials))
        watch = Watching()
        search = _search(trials, 0)
        began = perf_counter()
        ended = _ours(search, watch)
        ours_s = perf_counter() - began
    warm, last = watch.held[len(watch.held) // 5], watch.held[-1]
    note = (
        f"overhead {(ours_s - bare_s) / trials:.3f} s a trial; the driver holds {warm / MIB:.0f} "
        f"MiB after a fifth of"
        f" {trials:,} trials, {last / MIB:.0f} MiB after all; load {os.getloadavg()[0]:.1f}"
    )
    return [
        Row(
            f"{trials:,} trials",
            ours_s / trials,
            "bare Ray Tune",
            bare_s / trials,
            bare_s / ours_s,
            ended == trials,
            note,
        )
    ]


def _search(trials: int, seed: int) -> Search:
    data = compose([*WORDS, f"sweep.trials={trials}", f"sweep.seed={seed}"])
    data["model"] = {"name": "trivial", "recipe": "bench.sweeps:Trivial", "shift": 0.0}
    data["sweep"]["space"] = SPACE
    return prepare_search(data, check(data))


def _ours(search: Search, watch: Watching | None = None) -> int:
    """How many trials have finished."""
    records = run_trials(search, watch or Watching())
    return sum(record.status == FINISHED for record in records)


def _bare(trials: int) -> None:
    """The same number of trials and reports, as anyone would write it."""
    from ray import tune

    def trivial(config: dict[str, Any]) -> None:
        tune.report({"score": config["shift"]})

    join_ray(cast("Any", _search(1, 2).experiment.compute))
    tune.Tuner(
        tune.with_resources(trivial, {"cpu": 1}),
        param_space={"shift": tune.uniform(0.0, 1.0)},
        tune_config=tune.TuneConfig(
            metric="score", mode="min", num_samples=trials, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name=f"bare {trials}", storage_path=str(Path.cwd() / "bare"), verbose=0
        ),
    ).fit()


def _timed(work: Any) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


@contextmanager
def _somewhere() -> Iterator[None]:
    """An empty folder, so that nothing is kept from before.

    Workers find this package from it too.
    """
    root = Path(__file__).resolve().parents[1]
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in (str(root), before) if path)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        yield
