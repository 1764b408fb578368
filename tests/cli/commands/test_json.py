"""`--json` and `--quiet`: every command that prints a table prints data, and work can be silent."""

import ast
import inspect
import json
import os
import pty
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from hwds.cli.main import command_files, commands, module_of

from .conftest import SALES

TABLES = {
    "align_columns",
    "print_checks",
    "print_grids",
    "print_plan",
    "print_shown",
    "print_sweep",
    "print_verdict",
    "show_forecasts",
}
"""Functions that print a table."""

NO_TABLE = {
    "batch": "prints one sentence",
    "export": "prints the paths of its files",
    "new": "prints the paths of its files",
    "serve": "prints the addresses that it answers at",
    "report": "writes a page, and prints its path",
    "stream": "prints alerts, each as JSON",
    "sync": "prints a sentence for each mirror",
    "track": "prints a sentence for each mirror",
}
"""Commands that print in a loop, and no table."""

COMPUTE = ("", "check_leakage", "compare", "predict", "study")
"""Commands that compute, the run of an experiment among them."""


def prints_rows(tree: ast.AST) -> bool:
    """Whether code prints in a loop, or calls a function that prints a table."""
    for node in ast.walk(tree):
        called = {
            each.func.id
            for each in ast.walk(node)
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
        }
        if called & TABLES or (isinstance(node, ast.For) and "print" in called):
            return True
    return False


def flags(command) -> set[str]:
    """The flags of a command."""
    return {flag for param in command.params for flag in param.opts}


def test_the_check_finds_a_table():
    assert prints_rows(ast.parse("for row in rows:\n    print(row)"))
    assert prints_rows(ast.parse("def show():\n    print_grids([], (), '')"))
    assert not prints_rows(ast.parse("print('one line')\nfor row in rows:\n    keep(row)"))


@pytest.mark.parametrize("name", commands())
def test_a_command_that_prints_a_table_prints_data_too(name):
    if name in NO_TABLE or not prints_rows(ast.parse(command_files()[name].read_text())):
        return
    main = import_module(module_of(name)).main
    for each in (main, *getattr(main, "commands", {}).values()):
        assert "--json" in flags(each), f"hwds {name} prints a table and has no --json"


def test_no_exception_is_left_over():
    for name in NO_TABLE:
        assert name in commands()


@pytest.mark.parametrize("name", COMPUTE)
def test_a_command_that_computes_can_be_quiet(name):
    from hwds.cli.words import experiment

    command = import_module(module_of(name)).main if name else experiment
    assert {"--quiet", "--json"} <= flags(command)


def test_a_run_prints_nothing_or_data(hwds, sales):
    said = hwds(f"{SALES} --quiet")
    assert (said.code, said.out, said.err) == (0, "", "")
    (run,) = json.loads(hwds(f"{SALES} --json").out)
    assert [row["model"] for row in run["leaderboard"]] == ["forecast/seasonal_naive"]
    assert isinstance(run["leaderboard"][0]["mean"], float)
    assert Path(run["folder"]).is_dir()
    assert json.loads(hwds(f"show {run['run']} --json").out) == run
    forecasts = json.loads(hwds(f"predict {run['run']} --json").out)
    assert len(forecasts["forecasts"]) == 24
    assert forecasts["forecasts"][0]["time"].startswith("2024-01-01")
    assert hwds(f"predict {run['run']} --quiet").out == ""
    several = json.loads(hwds(f"-m {SALES} seed=0,1 --json").out)
    assert len({run["run"] for run in several}) == 2


def test_a_refusal_of_a_quiet_command_is_said_and_the_next_command_speaks(hwds):
    assert "did you mean 'forecast/naive'?" in hwds("model=forecast/nave --quiet").line
    assert "python" in hwds("doctor").out


@pytest.mark.parametrize(
    ("line", "kind", "keys"),
    [
        ("doctor", dict, {"python", "libraries", "cores", "writable"}),
        ("data m3_monthly", list, {"dataset", "presence", "source"}),
        ("prune", list, {"what", "number", "free", "free_bytes", "command"}),
        ("prune cache", dict, {"what", "deletes", "to_delete", "staying"}),
        ("list sweep", dict, {"sweep"}),
    ],
)
def test_data_are_objects(hwds, line, kind, keys):
    data = json.loads(hwds(f"{line} --json").out)
    assert isinstance(data, kind)
    assert keys <= set(data if kind is dict else data[0])


def test_the_leak_check_as_data(hwds, sales):
    said = hwds(f"check-leakage {SALES} --json")
    data = json.loads(said.out)
    assert said.code == 0
    assert {row["subject"] for row in data["checks"]} >= {"forecast/seasonal_naive", "dataset file"}
    assert all(row["leaks"] == [] for row in data["checks"])
    assert data["tried"]


def on_a_terminal(folder, line, **extra):
    """What a command writes to a terminal."""
    root = Path(inspect.getfile(import_module("hwds"))).parents[1]
    environment = {"TERM": "xterm-256color"} | os.environ | {"PYTHONPATH": str(root)} | extra
    leader, follower = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "hwds", *line.split()],
        cwd=folder,
        env=environment,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the end of a terminal
            break
        if not part:
            break
        said += part
    os.close(leader)
    assert done.wait() == 0, said
    return said.decode()


RUN = (
    "model=forecast/seasonal_naive dataset=classics compute=serial protocol=holdout pictures=false"
)


def test_a_terminal_shows_progress_and_colours_only_where_they_are_wanted(tmp_path):
    said = on_a_terminal(tmp_path, RUN, TERM="xterm-256color", NO_COLOR="")
    assert "\r\x1b[K" in said
    assert "cells 0/1" in said
    assert "\x1b[1m" in said, "the experiment's own model is bold"
    for unwanted in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_a_terminal(tmp_path, f"{RUN} seed=1", **unwanted)
    assert on_a_terminal(tmp_path, f"{RUN} seed=2 --quiet") == ""
    said = on_a_terminal(tmp_path, "report adhoc", TERM="xterm-256color", NO_COLOR="")
    assert "pictures 0/" in said
    assert "Report: " in said
