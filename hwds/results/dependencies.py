"""The runs and cells that other runs, sweeps, studies and comparisons depend on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hwds.results.files import read_mapping
from hwds.results.folder import CELLS
from hwds.results.runs.index import KINDS, RunIndex


def needed_runs(index: RunIndex, gone: Iterable[str]) -> dict[str, str]:
    """Return the folders to be deleted (`runs/<experiment>/<id>`) that a remaining one needs, each with the reason.

    A run needs those whose forecasts its data was joined with, a sweep the run of its best trial and that of the experiment as
    it stands, a study and a comparison all of their runs.
    """
    leaving, joined = set(gone), joins(index)
    needed: dict[str, str] = {}
    for path, why in (*_of_sweeps(index), *_of_studies(index.root), *_of_comparisons(index.root)):
        if path in leaving:
            needed.setdefault(path, why)
    pending = [path for path in joined if path not in leaving] + list(needed)
    while pending:
        path = pending.pop()
        for other in joined.get(path, ()):
            if other in leaving and other not in needed:
                needed[other] = f"joined by {path.removeprefix('runs/')}"
                pending.append(other)
    return needed


def joins(index: RunIndex) -> dict[str, set[str]]:
    """Return for each run with joined forecasts the runs that it reads: by its provenance, and by its config."""
    latest = _latest(index)
    others_of: dict[str, set[str]] = {}
    for path, text in index.column("joined").items():
        others_of.setdefault(path, set()).update(f"runs/{title}" for title in re.findall(r"of run (\S+/[^\s,;]+)", str(text)))
    for path, text in index.column("dataset.join").items():
        for name in re.findall(r'"run": "([^"]+)"', str(text)):
            others_of.setdefault(path, set()).add(latest.get(name, f"runs/{'/'.join(Path(name).parts[-2:])}"))
    return {path: others - {path} for path, others in others_of.items()}


def needed_cells(index: RunIndex) -> set[str]:
    """Return the keys of the cells of all runs and sweeps, so that repeating a command computes nothing."""
    runs: set[str] = set()
    for below in KINDS.values():
        for file in (index.root / below).glob(f"*/*/{CELLS}"):
            runs.update(file.read_text(encoding="utf-8", errors="replace").split())
    return runs


def _latest(index: RunIndex) -> dict[str, str]:
    """Return the latest finished run of each experiment, which the experiment's name alone refers to."""
    status, experiments, modified = (index.column(name) for name in ("status", "experiment", "modified"))
    order = sorted((path for path in status if path.startswith("runs/")), key=lambda path: float(modified[path] or 0))
    return {str(experiments[path]): path for path in order}


def _of_sweeps(index: RunIndex) -> Iterator[tuple[str, str]]:
    for fact, what in (("final_run", "the best of"), ("own_run", "the experiment as it stands in")):
        for path, run in index.column(fact).items():
            yield f"runs/{run}", f"{what} sweep {path.removeprefix('sweeps/')}"


def _of_studies(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the runs that a study's state names, by title or by id."""
    ids = {path.name: path for path in (root / "runs").glob("*/*")}
    for file in (root / "studies").glob("*/state.json"):
        for name in _texts(read_mapping(file).get("runs", {})):
            run = ids.get(name.rpartition("/")[2])
            if run is not None:
                yield f"runs/{run.parent.name}/{run.name}", f"study {file.parent.name}"


def _of_comparisons(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the runs that were compared."""
    for file in sorted((root / "comparisons").glob("*/comparison.json")):
        for title in _texts(read_mapping(file).get("sources", [])):
            yield f"runs/{title}", f"comparison {file.parent.name}"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for item in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _texts(item)
