"""One run or one sweep in detail: its conclusion, pictures and labels; trials, space and importance of settings."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.core.errors import ResumeError
from hwds.core.secrets import data_without_secrets
from hwds.report.sweep.result import OWN
from hwds.report.sweep.space import TITLES, space_rows
from hwds.report.ui.actions import draw
from hwds.report.ui.opened import folder_of, pictures_of
from hwds.results.runs.index import RunIndex
from hwds.results.runs.progress import as_it_stands
from hwds.results.sweep_folder import SweepFolder

FACTS = ("run", "name", "tags", "note", "status", "reason", "metric", "score", "stderr", "when", "model", "dataset", "progress")


def run_data(index: RunIndex, path: str) -> dict[str, Any]:
    """Return a run's or a sweep's conclusion and verdict, its facts with its labels, and its pictures where they are drawn.

    Raises:
        HwdsError: There is no such run.
    """
    folder = folder_of(index, path)
    fields = as_it_stands(index, [path])[path]
    if path.startswith("sweeps/"):
        findings = list(filter(None, [SweepFolder(folder.path).conclusion()]))
    else:
        findings = folder.read_findings()
    facts = {name: fields.get(name) for name in FACTS}
    undrawn = path.startswith("runs/") and folder.undrawn
    return {"path": path, **facts, "said": findings, "pictures": [] if undrawn else pictures_of(folder.path)}


def pictures_data(index: RunIndex, path: str) -> dict[str, Any]:
    """Return the pictures of a finished run, which are drawn first where they are not yet, and why they cannot be.

    Raises:
        HwdsError: There is no such run.
    """
    folder = folder_of(index, path, "runs")
    reason = draw(folder) if folder.undrawn else ""
    return {"pictures": pictures_of(folder.path), "reason": reason}


def sweep_data(index: RunIndex, path: str) -> dict[str, Any]:
    """Return a sweep's trials, the best of them, what was searched, and what mattered; without trials where it is not finished.

    Raises:
        HwdsError: There is no such sweep, or it is damaged.
    """
    folder = SweepFolder(folder_of(index, path, "sweeps").path)
    data = data_without_secrets(folder.read_json())
    space = [dict(zip(TITLES, row, strict=True)) for row in space_rows(data["space"])]
    content = {"metric": data["metric"], "better": data["better"], "space": space}
    try:
        trials = folder.read_trials()
    except ResumeError:  # not finished
        return content | {"trials": [], "settings": [], "best": None, "importance": {}}
    return content | {
        "trials": trials.with_columns(pl.col(pl.Float64).fill_nan(None)).to_dicts(),
        "settings": [name for name in trials.columns if name not in OWN],
        "best": data["best"]["trial"],
        "inner": data["best"]["inner"],
        "final": data["best"]["final"],
        "importance": data.get("importance", {}),
    }
