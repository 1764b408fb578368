"""The curves of runs: scores by window and by step, and losses by epoch and by round, those of running ones so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from hwds.core.errors import HwdsError
from hwds.report.ui.opened import folder_of
from hwds.results.learning import read_learning
from hwds.results.runs.index import RunIndex

AXES = {"step": "step ahead", "fold": "window"}
"""The axes of curves: a column of the scores, and its name."""

MOST = 60
"""Fits of a run whose losses are shown."""


def curves_data(index: RunIndex, paths: Sequence[str]) -> dict[str, Any]:
    """Return the curves of the own models of runs, by metric and axis; a run without scores has a `reason`."""
    curves: list[dict[str, Any]] = []
    lacking: dict[str, str] = {}
    for path in paths:
        try:
            folder = folder_of(index, path, "runs")
            scores, model = folder.read_scores(), str(folder.read_config()["model"]["name"])
        except HwdsError as error:
            lacking[path] = str(error)
            continue
        curves += [{"path": path, **curve} for curve in _curves(scores.filter(pl.col("model") == model))]
    return {"curves": curves, "lacking": lacking, "axes": AXES}


def _curves(scores: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one for each metric and axis that has several points: of several aggregates the mean, or else the first."""
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


def losses_data(index: RunIndex, paths: Sequence[str]) -> dict[str, Any]:
    """Return the losses of fits of runs or sweeps, a row an epoch or round; `left` counts fits that are not shown.

    Raises:
        HwdsError: There is no such run.
    """
    rows: list[dict[str, Any]] = []
    left = 0
    for path in paths:
        folder = folder_of(index, path)
        fits = read_learning(folder.path).partition_by("model", "fold", "start", "fit", as_dict=True, maintain_order=True)
        left += max(len(fits) - MOST, 0)
        for part in list(fits.values())[-MOST:]:
            rows += [{"path": path, **row} for row in part.drop("start").to_dicts()]
    return {"losses": rows, "left": left}
