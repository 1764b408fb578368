"""What the local page shows: runs by a query, curves of some of them, and the reports that there are."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from hwds.errors import HwdsError
from hwds.report.runs_table import score_said
from hwds.results.folder import RunFolder
from hwds.results.run_index import RunIndex
from hwds.results.run_query import matching, ordered

MOST = 300
"""Runs that are listed; a narrower query finds the others."""

SHOWN = ("run", "model", "dataset", "protocol", "seed", "metric", "when", "tags", "note", "status", "reason")
"""Facts of a run that the page has; a query may name any."""

AXES = {"step": "step ahead", "fold": "window"}
"""What a curve runs along: a column of the scores, and its name."""


def runs_data(query: str, sort: str) -> dict[str, Any]:
    """The runs that a query finds, in an order; what is wrong with the query is its `error`."""
    index = RunIndex.of()
    every = [path for path in index.paths if path.startswith("runs/")]
    try:
        words = shlex.split(query)
        found = ordered(index, matching(index, words), sort or "-modified") if every else []
    except (HwdsError, ValueError) as error:
        return {"error": str(error), "runs": [], "found": 0, "all": len(every)}
    facts = index.facts(found[:MOST])
    return {
        "error": "",
        "runs": [
            {"path": path, "shown": score_said(run)} | {name: run.get(name) for name in SHOWN} for path, run in facts.items()
        ],
        "found": len(found),
        "all": len(every),
    }


def curves_data(paths: Sequence[str]) -> dict[str, Any]:
    """The curves of the own models of runs, by metric and axis; a run without scores has a `reason`."""
    index = RunIndex.of()
    curves: list[dict[str, Any]] = []
    lacking: dict[str, str] = {}
    for path in paths:
        try:
            folder = folder_of(index, path)
            tables, model = folder.read_tables(), str(folder.read_config()["model"]["name"])
        except HwdsError as error:
            lacking[path] = str(error)
            continue
        curves += [{"path": path, **curve} for curve in _curves(tables.scores.filter(pl.col("model") == model))]
    return {"curves": curves, "lacking": lacking, "axes": AXES}


def _curves(scores: pl.DataFrame) -> list[dict[str, Any]]:
    """One for each metric and axis that has several points: of several aggregates the mean, or else the first."""
    mean = (pl.col("aggregate") != "mean").fill_null(value=True)
    whole = scores.filter(pl.col("segment").is_null() & pl.col("value").is_not_null()).sort(mean, maintain_order=True)
    found = []
    for axis, other in (("step", "fold"), ("fold", "step")):
        rows = whole.filter(pl.col(axis).is_not_null() & pl.col(other).is_null())
        rows = rows.unique([axis, "metric"], keep="first", maintain_order=True).sort(axis, maintain_order=True)
        for (metric,), part in rows.partition_by("metric", as_dict=True, maintain_order=True).items():
            points = [[at, value] for at, value in part.select(axis, "value").iter_rows() if math.isfinite(value)]
            if len(points) > 1:
                found.append({"metric": metric, "axis": axis, "points": points})
    return found


def folder_of(index: RunIndex, path: str) -> RunFolder:
    """The folder of a run that the index knows: no other path is opened.

    Raises:
        HwdsError: It is none.
    """
    if path not in index.paths or not path.startswith("runs/"):
        raise HwdsError(f"no run '{path}'.")
    return RunFolder(index.root / path)


def kept_reports(root: Path) -> list[str]:
    """The reports that were written for comparisons, sweeps and studies, by their paths below the outputs folder."""
    found = [path for below in ("comparisons", "sweeps", "studies") for path in (root / below).rglob("report.html")]
    return sorted(path.relative_to(root).as_posix() for path in found)
