"""A command line in this process, from an empty folder, as a user gives it."""

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hwds.core import cache as inputs
from hwds.core import keys, registry

MODULES = (
    keys.read_source,
    keys._next,
    keys.file_of_module,
    keys.is_installed,
    keys._spec,
    keys._digest,
)


class Answer(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of a refusal."""
        assert self.code == 2 or self.code == 1, self
        assert self.err.count("\n") == 1, self
        return self.err.strip()


def forget_options() -> None:
    """Let conf folders and modules be read again: that is done once a process, and a test changes
    them.
    """
    for cached in (registry.conf_dirs, registry.options, registry.resolve, *MODULES):
        cached.cache_clear()


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[[str | list[str]], Answer]]:
    """Run `hwds LINE` in an empty folder."""
    from hydra.core.global_hydra import GlobalHydra

    from hwds.cli import main as cli

    for name in ("HWDS_CONF", "HWDS_CONFIG_ENV", "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "hwds.report.progress.PLAIN", 3600.0
    )  # what a command says depends on no clock
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(inputs, "_READ", {})  # a new process has read nothing
    forget_options()
    before = set(sys.modules)

    def run(line: str | list[str]) -> Answer:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(
            sys, "argv", ["hwds", *(shlex.split(line) if isinstance(line, str) else line)]
        )
        capsys.readouterr()
        code = cli.main()
        return Answer(code, *capsys.readouterr())

    yield run
    GlobalHydra.instance().clear()
    for name in set(sys.modules) - before:  # a user's own
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    forget_options()
