"""The data of the local page: runs by a query, curves of some of them, and the existing reports."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.errors import HwdsError
from hwds.report.runs_table import score_text
from hwds.results.folder import RunFolder
from hwds.results.formatting import brief
from hwds.results.measure import short
from hwds.results.runs.fields import RunFields
from hwds.results.runs.index import RunIndex
from hwds.results.runs.progress import as_it_stands
from hwds.results.runs.query import DERIVED, matching, ordered, parsed_condition

MOST = 300
"""Runs that are listed; a narrower query finds the others."""

STANDING = ("status", "reason", "progress", "progress.done", "progress.total")
SHOWN = ("run", "model", "dataset", "seed", "metric", "when", "tags", "note", *STANDING)
"""Facts of a run that the page has; a query may name any."""

READ = ("run", "model", "dataset", "protocol", "tags", "note")
"""Facts that a bare word is looked for in."""

NEWEST = "-modified"
ORDERS = {NEWEST: "newest first", "run": "by name"}
"""Orders that are there whatever was measured."""

AXES = {"step": "step ahead", "fold": "window"}
"""The axes of curves: a column of the scores, and its name."""


def runs_data(query: str, sort: str) -> dict[str, Any]:
    """Return the runs of a query, sorted; `error` is the refusal of a wrong query."""
    index = RunIndex.of()
    every = [path for path in index.paths if path.startswith("runs/")]
    content = {"error": "", "runs": [], "found": 0, "all": len(every), "orders": orders(index), "sweeps": sweeps(index)}
    try:
        paths, further = _matches(index, shlex.split(query), sort or NEWEST) if every else ([], [])
    except (HwdsError, ValueError) as error:
        return content | {"error": str(error)}
    fields = as_it_stands(index, paths[:MOST])
    runs = [
        {"path": path, "shown": score_text(run), "asked": _further(run, further)} | {name: run.get(name) for name in SHOWN}
        for path, run in fields.items()
    ]
    return content | {"runs": runs, "found": len(paths)}


def _matches(index: RunIndex, words: Sequence[str], sort: str) -> tuple[list[str], list[str]]:
    """Return the runs of a query, sorted, and the fields that it names; a bare word may occur in any field of `READ`."""
    conditions = {word: parsed_condition(index, word) for word in words}
    paths = matching(index, [word for word, condition in conditions.items() if condition])
    for word in (word for word, condition in conditions.items() if not condition):
        columns = [index.column(name) for name in READ]
        paths = [path for path in paths if any(word.lower() in str(column.get(path, "")).lower() for column in columns)]
    further = [condition.name for condition in conditions.values() if condition] + [sort.removeprefix("-")]
    return ordered(index, paths, sort), [name for name in dict.fromkeys(further) if name not in (*SHOWN, *DERIVED, "modified")]


def _further(run: RunFields, names: Sequence[str]) -> list[str]:
    """Return the further fields of a run in words, without those that its line shows already."""
    known = [(name, run.get(name)) for name in names if name not in (run.get("metric"), short(str(run.get("metric"))))]
    return [f"{name} {brief(value) if isinstance(value, float) else value}" for name, value in known if value is not None]


def orders(index: RunIndex) -> dict[str, str]:
    """In which orders runs can be had: the headlines of runs first, then every other metric."""
    headlines = sorted({short(str(metric)) for metric in index.column("metric").values()})
    metrics = [name for name in index.names if "[" not in name and index.better(name) and name not in ("score", *headlines)]
    return ORDERS | {name: f"{name}, best first" for name in (*headlines, *metrics)}


def sweeps(index: RunIndex) -> list[dict[str, Any]]:
    """All sweeps, the newest first."""
    paths = ordered(index, [path for path in index.paths if path.startswith("sweeps/")], NEWEST) if index.paths else []
    names = ("run", "model", "metric", *STANDING)
    fields = as_it_stands(index, paths[:MOST])
    return [{"path": path, "shown": score_text(run)} | {name: run.get(name) for name in names} for path, run in fields.items()]


def curves_data(paths: Sequence[str]) -> dict[str, Any]:
    """The curves of the own models of runs, by metric and axis; a run without scores has a `reason`."""
    index = RunIndex.of()
    curves: list[dict[str, Any]] = []
    lacking: dict[str, str] = {}
    for path in paths:
        try:
            folder = folder_of(index, path)
            scores, model = folder.read_scores(), str(folder.read_config()["model"]["name"])
        except HwdsError as error:
            lacking[path] = str(error)
            continue
        curves += [{"path": path, **curve} for curve in _curves(scores.filter(pl.col("model") == model))]
    return {"curves": curves, "lacking": lacking, "axes": AXES}


def _curves(scores: pl.DataFrame) -> list[dict[str, Any]]:
    """One for each metric and axis that has several points: of several aggregates the mean, or else the first."""
    mean = (pl.col("aggregate") != "mean").fill_null(value=True)
    whole = scores.filter(pl.col("segment").is_null() & pl.col("value").is_not_null()).sort(mean, maintain_order=True)
    curves = []
    for axis, other in (("step", "fold"), ("fold", "step")):
        rows = whole.filter(pl.col(axis).is_not_null() & pl.col(other).is_null())
        rows = rows.unique([axis, "metric"], keep="first", maintain_order=True).sort(axis, maintain_order=True)
        for (metric,), part in rows.partition_by("metric", as_dict=True, maintain_order=True).items():
            points = [[at, value] for at, value in part.select(axis, "value").iter_rows() if math.isfinite(value)]
            if len(points) > 1:
                curves.append({"metric": metric, "axis": axis, "points": points})
    return curves


TITLE_WITHIN = 4096
"""Letters from the beginning of a report among which its title stands."""


def folder_of(index: RunIndex, path: str, below: str = "runs") -> RunFolder:
    """The folder of a run, or of what lies below another folder, that the index knows: no other path is opened.

    Raises:
        HwdsError: It is none.
    """
    if path not in index.paths or not path.startswith(f"{below}/"):
        raise HwdsError(f"no run '{path}'.")
    return RunFolder(index.root / path)


def kept_reports(root: Path) -> dict[str, str]:
    """The reports that were written for comparisons and studies: their paths below the outputs folder, and their titles."""
    files = sorted(path for below in ("comparisons", "studies") for path in (root / below).rglob("report.html"))
    return {path.relative_to(root).as_posix(): _title(path) for path in files}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        title = re.search("<title>(.*?)</title>", file.read(TITLE_WITHIN), flags=re.DOTALL)
    return unescape(title[1]) if title else path.parent.name
