"""The CPU time of every experiment at `size=small` over its computing: `python -m bench.tiny_runs >
bench/tiny_runs.txt`.

Each runs in a folder of its own, so that nothing is kept but compiled kernels, by the command as a
user types it; words with a `=` behind are added to each command, others name the experiments. The
total is the user and system time of the process and of all that it started. Computing is the time
within cells, in whatever process, with the data (simulated or read, and cut) and the scores. What
Python imports meanwhile are the libraries of models (TensorFlow, xgboost with pandas and
scikit-learn, statsforecast), told apart. The rest is what hwds adds: other imports, composing,
checks, starting processes, tables, sentences, decisions and pictures.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory, mkdtemp

ROOT = Path(__file__).resolve().parents[1]
BOUND = 2.0
"""Seconds of CPU that the rest may take."""

WATCH = """
import builtins, os, sys, time
from importlib.abc import Loader, MetaPathFinder

LOG = os.environ["HWDS_BENCH_LOG"]
PARTS = {
    "hwds.evaluation.cells": [("cell", "compute_cell")],
    "hwds.experiment.prepare": [("data", "prepare")],
    "hwds.evaluation.run_cells": [("scores", "result_tables"), ("scores", "_report")],
}
outer, within, imported = False, 0, 0.0
plain = builtins.__import__


def importing(name, globals=None, locals=None, fromlist=(), level=0):
    global outer, imported
    if outer or not within:
        return plain(name, globals, locals, fromlist, level)
    outer, began, known = True, time.process_time(), len(sys.modules)
    try:
        return plain(name, globals, locals, fromlist, level)
    finally:
        outer = False
        imported += time.process_time() - began if len(sys.modules) > known else 0.0


builtins.__import__ = importing


def timed(part, function):
    def call(*args, **options):
        global within
        began, before = time.process_time(), imported
        within += 1
        try:
            return function(*args, **options)
        finally:
            within -= 1
            if not within:
                took = time.process_time() - began
                with open(LOG, "a") as log:
                    log.write(f"{part} {took} {imported - before}\\n")
    return call


class Timing(Loader):
    def __init__(self, loader, parts):
        self.loader, self.parts = loader, parts

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        for part, name in self.parts:
            setattr(module, name, timed(part, getattr(module, name)))

    def __getattr__(self, name):
        return getattr(self.loader, name)


class Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in PARTS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = Timing(spec.loader, PARTS[name])
                return spec


sys.meta_path.insert(0, Finder())
"""
"""What every process of a run does first: `sitecustomize`."""

LINE = "{:<28}{:>8}{:>8}{:>8}{:>8}{:>8}{:>8}"


def main(words: list[str]) -> None:
    """Print a row an experiment, and how many keep within the bound.

    Words name experiments or are overrides for all.
    """
    named = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    experiments = named or sorted(
        path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")
    )
    print(f"CPU seconds; {' '.join(overrides)}")
    print(
        LINE.format("experiment", "total", "data", "cells", "scores", "imports", "rest"), flush=True
    )
    rests, whole, kernels = [], [], Path(os.environ.get("NUMBA_CACHE_DIR") or mkdtemp())
    for name in experiments:
        total, parts, code = _kept(kernels, [f"+experiment={name}", "size=small", *overrides])
        taken = {
            part: sum(took - own for name, took, own in parts if name == part)
            for part in ("data", "cell", "scores")
        }
        imports = sum(own for *_, own in parts)
        rest = total - sum(taken.values()) - imports
        rests.append(rest)
        whole.append(rest + imports)
        figures = (total, *taken.values(), imports, rest)
        said = "" if code in (0, 3) else f"  exit code {code}"
        print(LINE.format(name, *(f"{figure:.2f}" for figure in figures)) + said, flush=True)
    kept, with_imports = (sum(each < BOUND for each in figures) for figures in (rests, whole))
    print(
        f"Of {len(rests)}, {kept} take less than {BOUND:.0f} s over their computing, "
        f"{with_imports} with the models' libraries."
    )


def _kept(kernels: Path, words: list[str]) -> tuple[float, list[tuple[str, float, float]], int]:
    """Return what `_run` does of a run that compiles nothing: of the second, where the first has
    compiled.
    """
    for _ in range(2):
        known = len(list(kernels.rglob("*.nbc")))
        with TemporaryDirectory() as folder:
            answer = _run(Path(folder), kernels, words)
        if len(list(kernels.rglob("*.nbc"))) == known:
            break
    return answer


def _run(
    folder: Path, kernels: Path, words: list[str]
) -> tuple[float, list[tuple[str, float, float]], int]:
    """Return the CPU seconds of a run, those of its parts, and its exit code."""
    (folder / "watch").mkdir()
    (folder / "watch" / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    (folder / "work").mkdir()
    log = folder / "log"
    log.touch()
    environment = os.environ | {
        "PYTHONPATH": f"{folder / 'watch'}{os.pathsep}{ROOT}",
        "HWDS_BENCH_LOG": str(log),
    }
    environment["NUMBA_CACHE_DIR"] = str(kernels)
    before = getrusage(RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "hwds", *words]
    code = subprocess.run(
        command,
        cwd=folder / "work",
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode
    after = getrusage(RUSAGE_CHILDREN)
    total = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return total, list(_parts(log)), code


def _parts(log: Path) -> Iterator[tuple[str, float, float]]:
    for line in log.read_text(encoding="utf-8").splitlines():
        part, *seconds = line.split()
        took, imported = map(float, seconds)
        yield part, took, imported


if __name__ == "__main__":
    main(sys.argv[1:])
