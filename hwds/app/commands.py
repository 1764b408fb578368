"""The commands that a notebook needs, as functions: run, sweep, find and compare."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import polars as pl

from hwds.app.notebook import Compared, Run, Sweep, load_run
from hwds.core.errors import CellError, ConfigError, HwdsError
from hwds.report.runs_table import as_rows
from hwds.results.folder import RunFolder
from hwds.results.runs.index import RunIndex
from hwds.results.runs.progress import as_it_stands
from hwds.results.runs.query import matching, ordered
from hwds.results.sweep_folder import SweepFolder
from hwds.statistics.standard_errors import RESAMPLES

SOME_FAILED = 3
"""The exit code of a run of which some cells failed, within the limit."""

ERRORS: dict[int, type[HwdsError]] = {1: CellError, 2: ConfigError}
"""The errors that the other exit codes are raised as."""


def run(*words: str) -> Run:
    """Run an experiment as `python -m hwds` does, and return its results: `run("lstm_forecast", "model.units=32")`.

    It runs in a process of its own, so that an edited module is read anew, and the results are those of the command, byte for
    byte. What it says while it runs goes to the standard error; what it prints is in the run that is returned.

    Args:
        words: The name of an experiment, unless the first word has a `=`; then overrides.

    Raises:
        ConfigError: It is refused.
        CellError: More cells failed than `compute.max_failed`.
        KeyboardInterrupt: It was interrupted; the next call goes on where it stopped.
    """
    return Run(RunFolder(_place(_ran(words), "Results: ")))


def sweep(*words: str) -> Sweep:
    """Search for better settings as `python -m hwds` does: `sweep("hospital", "sweep=random", "sweep.trials=20")`.

    Args:
        words: See `run`; one of them is `sweep=` and a search.

    Raises:
        ConfigError: It is refused, or is no search.
        CellError: No trial finished, or more cells failed than `compute.max_failed`.
    """
    if not any(word.startswith("sweep=") and word != "sweep=none" for word in words):
        raise ConfigError("sweep: must have a search among its words, such as 'sweep=random'.")
    return Sweep(SweepFolder(_place(_ran(words), "Sweep: ")))


def runs(*words: str, sort: str = "-modified", sweeps: bool = False) -> pl.DataFrame:
    """Return the stored runs with their settings and scores, a row each, the newest first.

    Args:
        words: The name of an experiment, the beginning of an id, or conditions: `model=forecast/*`, `mase<0.9`, `age<7d`.
        sort: A field or metric to order by; `-mase` is the largest first.
        sweeps: Return the sweeps instead.

    Raises:
        ConfigError: A word is none of these, with the nearest right one.
    """
    index = RunIndex.of()
    if not index.paths:
        return pl.DataFrame(schema={"path": pl.String})
    found = ordered(index, matching(index, words, "sweep" if sweeps else "run"), sort)
    return pl.DataFrame(as_rows(as_it_stands(index, found)), infer_schema_length=None, strict=False)


def compare_runs(
    *chosen: Run | str | Path, metric: str = "", model: str = "", margin: float | None = None, resamples: int = RESAMPLES
) -> Compared:
    """Compare the models of runs on the rows that all of them answered; see `hwds compare`.

    Args:
        chosen: Runs, or their names.
        metric: Another metric than the headline.
        model: The one that the conclusion is about.
        margin: The share that does not matter, so that "as good as" is a finding.
        resamples: Draws of the bootstrap.

    Raises:
        ConfigError: There is no such run, or they cannot be compared.
    """
    if not chosen:
        raise ConfigError("compare_runs: must be given runs, or their names.")
    first, *others = [each if isinstance(each, Run) else load_run(each) for each in chosen]
    return first.compare(*others, metric=metric, model=model, margin=margin, resamples=resamples)


def _ran(words: Sequence[str]) -> str:
    """Run a command line in a process of its own, and return what it printed."""
    flag = next((word for word in words if word.startswith("-")), None)
    if flag is not None:
        raise ConfigError(f"{flag}: is a flag of the command line; here each call runs one experiment.")
    named = bool(words) and "=" not in words[0]
    line = [f"+experiment={words[0]}", *words[1:]] if named else list(words)
    command = [sys.executable, "-m", "hwds", *line]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    last: list[str] = []
    listener = Thread(target=_pass_on, args=(process, last), daemon=True)
    listener.start()
    assert process.stdout is not None
    try:
        printed = process.stdout.read()
    except KeyboardInterrupt:  # a notebook interrupts its own process alone
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.wait()
        raise
    code = process.wait()
    listener.join()
    if code not in (0, SOME_FAILED):
        raise ERRORS.get(code, HwdsError)((last or ["it ended without a word."])[-1].removeprefix("hwds: "))
    for said in last:
        print(said, file=sys.stderr)
    return printed


def _pass_on(process: subprocess.Popen[str], last: list[str]) -> None:
    """Print the lines of a process's standard error as they come, and leave the last: it may be a refusal."""
    assert process.stderr is not None
    for line in process.stderr:
        for said in last:
            print(said, file=sys.stderr)
        last[:] = [line.rstrip("\n")]


def _place(printed: str, mark: str) -> Path:
    """Return the folder that a command says its results lie in."""
    return Path(next(line for line in reversed(printed.splitlines()) if line.startswith(mark)).removeprefix(mark))
