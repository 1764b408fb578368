"""A command line in this process, and a user's own conf folder."""

import shlex
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import hwds
from hwds import registry


@dataclass
class Outcome:
    """What a command line came to: the exit code, both streams and the experiments that would have run."""

    code: int
    out: str
    err: str
    experiments: list[Any] = field(default_factory=list)


def forget() -> None:
    """The registry reads conf folders once a process; a test changes them."""
    for cached in (registry.conf_dirs, registry.options, registry.resolve):
        cached.cache_clear()


@pytest.fixture
def run_line(monkeypatch, capsys, tmp_path):
    """Run one command line up to where the work would start."""
    from hydra.core.global_hydra import GlobalHydra

    from hwds import cli
    from hwds.config.check import check

    for name in ("HWDS_CONF", "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    app: Any = types.ModuleType("hwds.app")
    experiments: list[Any] = []

    def main(data: dict[str, Any]) -> int:
        experiments.append(check(data))
        return 0

    app.main = main
    monkeypatch.setitem(sys.modules, "hwds.app", app)
    monkeypatch.setattr(hwds, "app", app, raising=False)

    def run(line: str | list[str]) -> Outcome:
        GlobalHydra.instance().clear()
        experiments.clear()
        words = shlex.split(line) if isinstance(line, str) else line
        monkeypatch.setattr(sys, "argv", ["hwds", *words])
        capsys.readouterr()
        code = cli.main()
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err, list(experiments))

    yield run
    GlobalHydra.instance().clear()


@pytest.fixture
def own_conf(monkeypatch, tmp_path, run_line):
    """Lay a user's project by path (`conf/model/forecast/mine.yaml`, `mine.py`); its conf/ is in the current folder."""
    before = set(sys.modules)

    def lay(**files: str) -> Path:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        forget()
        return tmp_path

    monkeypatch.setattr(sys, "path", list(sys.path))
    yield lay
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    forget()
