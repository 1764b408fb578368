"""Run the command lines that stdin names, in this process, and answer what each came to."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any

MEMORY = 6 << 30
"""Bytes of addresses; what asks for more traces back here, and would be killed elsewhere."""


class StoppedError(BaseException):
    """A command line took too much CPU."""


def stop(*_: object) -> None:
    """Stop what runs."""
    raise StoppedError


def run(words: list[str], limit: float) -> dict[str, Any]:
    """Run one command line."""
    from hydra.core.global_hydra import GlobalHydra

    from hwds.cli import main as cli

    GlobalHydra.instance().clear()
    sys.argv = ["hwds", *words]
    said = StringIO()
    code, raised, begun = None, "", time.process_time()
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(said):
            code = cli.main()
    except StoppedError:
        code = None
    except BaseException as error:
        code, raised = 1, "".join(traceback.format_exception(error)[-4:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    lines = said.getvalue().strip().splitlines()
    last = " | ".join(raised.split("\n")) if raised else lines[-1] if lines else ""
    return {"code": code, "seconds": time.process_time() - begun, "raised": raised, "last": last}


def leaves(words: list[str]) -> list[tuple[str, Any]]:
    """Return every value of a composed experiment with its path."""
    from hwds.core.compose import compose
    from hwds.core.settings import flatten

    data = compose(words)
    left = ("name", "recipe", "experiment")
    return [
        (path, value)
        for path, value in flatten(data)
        if path.rpartition(".")[2] not in left and path != "rivals"
    ]


def flags() -> dict[str, list[tuple[str, bool]]]:
    """Return the flags of every command, and whether each takes a word."""
    import click

    from hwds.cli.main import commands, module_of

    found = {}
    for name in commands():
        main = import_module(module_of(name)).main
        options = [param for param in main.params if isinstance(param, click.Option)]
        found[name.replace("_", "-")] = [
            (max(param.opts, key=len), not param.is_flag) for param in options
        ]
    return found


def answered(question: dict[str, Any]) -> Any:
    """Return the answer to a line of stdin."""
    if "flags" in question:
        return flags()
    return (
        leaves(question["leaves"])
        if "leaves" in question
        else run(question["words"], question["limit"])
    )


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    sys.stdin, lines = open(os.devnull), sys.stdin  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, stop)
    for line in lines:
        answers.write(json.dumps(answered(json.loads(line)), default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
