"""A user's project with a slow model, and runs of it in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from hwds.evaluation.workers import READ_ONCE, THREAD_VARIABLES
from tests.support.command_line import Answer, forget_options
from tests.support.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
STOPPED = "hwds: stopped. Every finished cell is kept; the same command continues."
SCALED = '''
@dataclass(frozen=True)
class Scaled(FittedLastValue):
    """The last value times a number."""
    factor: float

    def predict(self, history, future):
        last = super().predict(history, future)
        return Forecasts.of(last.mean * self.factor, last.quantiles * self.factor)
'''
MODEL = (
    '''
import os, subprocess, time
from dataclasses import dataclass
from pathlib import Path
from hwds.frames.panel import Forecasts
from tests.support.panels import FittedLastValue, LastValue

class Slow(LastValue):
    """Takes its time."""
    seconds: float = 0.1
    scale: float = 1.0
    tell: bool = False
    tensorflow: bool = True
    fail: bool = False
    die: bool = False
    hang: bool = False

    def learn(self, history, *, horizon, context):
        if context.fold == "toy":
            return Scaled(context.levels, self.scale)
        begin(context.fold)
        time.sleep(self.seconds)
        if self.fail and context.fold.startswith("2020"):
            raise ValueError("no luck")
        if self.hang:
            subprocess.run(["sleep", "600"])
        if self.die:
            os._exit(9)
        if self.tell:
            raise ValueError(pools(context.cpus, self.tensorflow))
        return Scaled(context.levels, self.scale)

'''
    + SCALED
    + '''
def begin(fold):
    """Add a line to a test's file; wait for others that do so, or to be killed."""
    fits = Path(os.environ.get("HWDS_TEST_FITS", os.devnull))
    with fits.open("a") as file:
        file.write(fold + "\\n")
    wanted = int(os.environ.get("HWDS_TEST_FITS_AT_ONCE", 0)) * len("2020-01-01\\n")
    while fits.stat().st_size < wanted:  # to read it would make it an input
        time.sleep(0.05)
    time.sleep(float(os.environ.get("HWDS_TEST_HANG", 0)))

def pools(cpus, with_tensorflow):
    """The threads that were asked for, and those that each library has; to load TensorFlow takes four seconds."""
    import numba, polars, sklearn, xgboost
    from threadpoolctl import threadpool_info
    held = {library["internal_api"]: library["num_threads"] for library in threadpool_info()}
    held |= {"polars": polars.thread_pool_size(), "numba": numba.config.NUMBA_NUM_THREADS}
    if with_tensorflow:
        import tensorflow
        tensorflow.ones((400, 400)) @ tensorflow.ones((400, 400))
        names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
        held["tf"] = names.count("tf_Compute")
    return f"asked {cpus}, has " + ", ".join(f"{name} {count}" for name, count in sorted(held.items()))
'''
)
PEEKING = """
from pathlib import Path
from tests.support.panels import LastValue
HERE = Path(__file__).parent

class Peeks(LastValue):
    def learn(self, history, *, horizon, context):
        if context.fold != "toy":
            (HERE / "there" / "a.csv").read_text()
        return super().learn(history, horizon=horizon, context=context)
"""
PEEKS = (
    "model=mine/peeks",
    "compute.walls=auto",
    "compute.max_failed=9",
    "protocol.windows=1",
    "rivals=[]",
)
REFUSAL = "failed: a user's own code reads '{}', which no key names"
SEVERAL = """
import json, sys
from hydra.core.global_hydra import GlobalHydra
from hwds.cli.main import main
for words in json.loads(sys.argv.pop(1)):
    sys.argv[1:] = words
    code = main()
    GlobalHydra.instance().clear()
    for stream in (sys.stdout, sys.stderr):
        print(f"\\x1e{code}\\x1e", end="", file=stream, flush=True)
"""


@pytest.fixture
def project(tmp_path):
    """An empty folder with a conf/ and a package."""
    return project_in(tmp_path)


def project_in(folder: Path) -> Path:
    """The same in a folder of one's own."""
    (folder / "conf" / "model" / "mine").mkdir(parents=True)
    (folder / "conf" / "model" / "mine" / "slow.yaml").write_text("recipe: slow_models:Slow\n")
    (folder / "slow_models.py").write_text(MODEL)
    return folder


def let_peek(folder: Path) -> None:
    """Add a model to a project, whose cells read a file that no key names."""
    (folder / "conf" / "model" / "mine" / "peeks.yaml").write_text("recipe: peeking:Peeks\n")
    (folder / "peeking.py").write_text(PEEKING)
    (folder / "there").mkdir()
    (folder / "there" / "a.csv").write_text("1")


def copy_of(project: Path, name: str) -> Path:
    """The project once more, in a folder beside it."""
    folder = project.parent / name
    shutil.copytree(project, folder)
    return folder


@pytest.fixture
def run_here(command, monkeypatch):
    """Run the project of a folder in this process; `finished` does so in a process of its own."""
    path = list(sys.path)

    def run(folder: Path, *words: str) -> Answer:
        monkeypatch.chdir(folder)
        sys.path[:] = [str(folder), *path]
        sys.modules.pop("slow_models", None)
        forget_options()
        return command([*WORDS, *words])

    return run


WORDS = [
    *("model=mine/slow", "dataset=hardware_demand", "size=small", "protocol.horizon=3"),
    *("rivals=[forecast/seasonal_naive]", "pictures=false"),
    "compute.walls=never",  # the model counts in a file of the test
]


def start(
    folder: Path,
    *words: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    group: bool = False,
) -> subprocess.Popen[str]:
    """A run in a process of its own, with variables of its own.

    In a group of its own as a terminal's command is.
    """
    variables = os.environ | environment | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "hwds", *WORDS, *words]
    pipe, own = subprocess.PIPE, 0 if group else None
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=pipe, stderr=pipe, text=True, process_group=own
    )


def without_progress(errors: str) -> str:
    """What a run wrote to stderr but for its progress, which there is after half a minute: on a
    busy machine.
    """
    return "".join(
        line for line in errors.splitlines(keepends=True) if not line.startswith("hwds: after ")
    )


def finished(
    folder: Path, *words: str, environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str, str]:
    """Exit code, output and errors of a run."""
    process = start(folder, *words, environment=environment)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, without_progress(err)


def several(
    folder: Path,
    lines: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    stop: Callable[[], bool] | None = None,
) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of commands one after the other in one process, and so in one
    Ray where they are on Ray.

    The process has no variables of threads, as a user's has none: what its workers have is what
    hwds gave them. It is sent Ctrl-C as soon as `stop` says so, which is to be in the last run.
    """
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in (*THREAD_VARIABLES, *READ_ONCE)
    }
    variables |= environment | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [
        sys.executable,
        "-c",
        SEVERAL,
        json.dumps([words if words[0] == "batch" else [*WORDS, *words] for words in lines]),
    ]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if stop is not None:
        assert wait_until(lambda: stop() or process.poll() is not None, 300)
        process.send_signal(signal.SIGINT)
    out, err = (text.split("\x1e") for text in process.communicate(timeout=600))
    assert len(out) == 2 * len(lines) + 1, (out, err)
    return [
        (int(code), told, without_progress(wrong))
        for told, code, wrong in zip(out[::2], out[1::2], err[::2], strict=False)
    ]


def tables(folder: Path) -> dict[str, bytes]:
    """The bytes of the result tables of the one run in a folder."""
    (run,) = [path.parent for path in folder.glob("outputs/runs/*/*/scores.parquet")]
    return {name: (run / f"{name}.parquet").read_bytes() for name in ("scores", "predictions")}


def cells(folder: Path) -> dict[str, int]:
    """Every finished cell and when it was written."""
    return {
        path.name: path.stat().st_mtime_ns
        for path in folder.glob("outputs/cache/cells/*/*.parquet")
        if path.name[0] != "."
    }
