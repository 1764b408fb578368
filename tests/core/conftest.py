"""A command line in this process, and a user's own conf folder."""

import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import hwds.cli
from tests.support.command_line import forget_options


@dataclass
class Outcome:
    """What a command line came to: the exit code, both streams and the experiments that would have
    run.
    """

    code: int
    out: str
    err: str
    experiments: list[Any] = field(default_factory=list)


@pytest.fixture
def run_line(command, monkeypatch):
    """Run one command line up to where the work would start."""
    from hwds.experiment.spec import check

    app: Any = types.ModuleType("hwds.cli.experiment")
    experiments: list[Any] = []

    def main(jobs: list[dict[str, Any]]) -> tuple[int, list[Any]]:
        experiments.extend(map(check, jobs))
        return 0, []

    app.main = main
    monkeypatch.setitem(sys.modules, "hwds.cli.experiment", app)
    monkeypatch.setattr(hwds.cli, "experiment", app, raising=False)

    def run(line: str | list[str]) -> Outcome:
        experiments.clear()
        return Outcome(*command(line), list(experiments))

    return run


@pytest.fixture
def own_conf(tmp_path, run_line):
    """Lay a user's project by path (`conf/model/forecast/mine.yaml`, `mine.py`).

    Its conf/ is in the current folder.
    """

    def lay(**files: str) -> Path:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        forget_options()
        return tmp_path

    return lay
