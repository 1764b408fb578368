"""A user's project with a slow model, and runs of it in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = '''
import os, time
from tests.toys import LastValue

class Slow(LastValue):
    """Takes its time."""
    seconds: float = 0.1
    fail: bool = False
    die: bool = False
    hang: bool = False

    def fit(self, history, *, horizon, context):
        time.sleep(self.seconds)
        if self.fail and context.fold.startswith("2020"):
            raise ValueError("no luck")
        while self.hang:
            time.sleep(1)
        if self.die:
            os._exit(9)
        return super().fit(history, horizon=horizon, context=context)
'''


@pytest.fixture
def project(tmp_path):
    """An empty folder with a conf/ and a package."""
    (tmp_path / "conf" / "model" / "mine").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine" / "slow.yaml").write_text("recipe: slow_models:Slow\n")
    (tmp_path / "slow_models.py").write_text(MODEL)
    return tmp_path


WORDS = ["model=mine/slow", "dataset=hardware_demand", "size=small", "protocol.horizon=3", "rivals=[forecast/seasonal_naive]"]


def start(
    folder: Path, *words: str, environment: Mapping[str, str] = MappingProxyType({}), group: bool = False
) -> subprocess.Popen[str]:
    """A run in a process of its own, with variables of its own; in a group of its own as a terminal's command is."""
    variables = os.environ | environment | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "hwds", *WORDS, *words]
    pipe, own = subprocess.PIPE, 0 if group else None
    return subprocess.Popen(command, cwd=folder, env=variables, stdout=pipe, stderr=pipe, text=True, process_group=own)


def finished(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a run."""
    process = start(folder, *words)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def tables(folder: Path) -> dict[str, bytes]:
    """The bytes of the result tables of the one run in a folder."""
    (run,) = [path.parent for path in folder.glob("outputs/runs/*/*/scores.parquet")]
    return {name: (run / f"{name}.parquet").read_bytes() for name in ("scores", "predictions")}


def cells(folder: Path) -> dict[str, int]:
    """Every finished cell and when it was written."""
    return {
        path.name: path.stat().st_mtime_ns for path in folder.glob("outputs/cache/cells/*/*.parquet") if path.name[0] != "."
    }
