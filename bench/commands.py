"""The CPU time of light commands and of a tiny run, beside a process that only imports the
libraries that each needs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

from bench.rows import Row, compared

NAME = "commands (a process each, user and system time)"
SIZE = 9
"""Repeats."""

ROOT = Path(__file__).resolve().parents[1]
RUN = "+experiment=lstm_forecast model=forecast/theta rivals=[] size=small compute=serial"
COMMANDS = {
    "--help": "click",
    "list": "click, yaml",
    "runs": "click, yaml, polars, rich.table",
    "plan +experiment=lstm_forecast": "click, hydra, polars, pydantic.dataclasses",
    RUN: "click, hydra, polars, pydantic.dataclasses, scipy.special, rich.table",
    f"{RUN} pictures=true": "click, hydra, polars, pydantic.dataclasses, scipy.special, "
    "rich.table, matplotlib.figure",
}
"""What a command needs; of the run all cells are kept, so that what it takes is all but its
computing.
"""


def measure(size: int = SIZE) -> list[Row]:
    """Return a row a command.

    Raises:
        CalledProcessError: A command fails.
    """
    with TemporaryDirectory() as folder:
        return [_row(folder, size, line, libraries) for line, libraries in COMMANDS.items()]


def _row(folder: str, repeats: int, line: str, libraries: str) -> Row:
    ours, theirs = ["-m", "hwds", *line.split()], ["-c", f"import {libraries}"]
    for words in (ours, theirs):
        _seconds(folder, words)  # compiles every module and reads every file
    rounds = [(_seconds(folder, ours), _seconds(folder, theirs)) for _ in range(repeats)]
    return compared(
        line, [own for own, _ in rounds], "imports alone", [rival for _, rival in rounds], True
    )


def _seconds(folder: str, words: list[str]) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
