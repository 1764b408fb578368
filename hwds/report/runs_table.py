"""A table of runs that fits the terminal: columns that do not fit are left out, the least needed first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hwds.report.grid import GAP, Column, Grid
from hwds.results.formatting import brief, column
from hwds.results.runs.fields import RunFields

SHORTEST_ID = 8
"""The letters of an id that are shown."""

LONGEST = 34
"""The most letters of a text; the middle of a longer one is left out."""

TEXTS = ("run", "model", "dataset", "protocol", "when", "status", "tags", "note", "metric")
ORDER = (*TEXTS, "score", "asked", "seed")
NEEDED = ("run", "asked", "score", "model", "status", "metric", "tags", "when", "dataset", "protocol", "seed", "note")
"""The columns from left to right, and in the order of need."""


def runs_grid(runs: Sequence[RunFields], more_fields: Sequence[str] = (), width: int = 100) -> Grid:
    """Return the runs as a table of some width.

    Args:
        runs: The fields of each run.
        more_fields: Further fields to show: those that are sorted or filtered by.
        width: The letters of a line.
    """
    made = {name: _column(name, runs) for name in ORDER if name != "asked"}
    if set(made["status"].cells) == {"finished"}:
        made["status"] = replace(made["status"], brief="")
    further = [_column(name, runs) for name in more_fields if name not in made]
    groups = {name: [made[name]] if name in made else further for name in ORDER}
    room, chosen = width, set()
    for name in NEEDED:
        shown = [each for each in groups[name] if each.brief and any(each.cells)]
        need = sum(each.wide + GAP for each in shown)
        if need <= room or name == "run":
            room -= need
            chosen.add(name)
    columns = [replace(each, brief=each.brief if name in chosen else "") for name in ORDER for each in groups[name]]
    return Grid(tuple(columns), names=len(TEXTS))


def left_out(grid: Grid) -> list[str]:
    """Return the titles of columns that did not fit."""
    return [each.title for each in grid.shown if not each.brief and set(each.cells) != {"finished"}]


def _column(name: str, runs: Sequence[RunFields]) -> Column:
    if name == "score":
        cells = tuple(score_text(run) for run in runs)
    elif name == "status":
        cells = tuple(status_text(run) for run in runs)
    elif name == "run":
        cells = tuple(shortened(str(run["run"])) for run in runs)
    else:
        values: list[Any] = [run.get(name) for run in runs]
        cells = _numbers(values) if _numeric(values) else tuple(_cut("" if value is None else str(value)) for value in values)
    return Column(name, name, cells)


def score_text(run: RunFields) -> str:
    """Return the headline with its error; empty where there is none."""
    value, error = run.get("score"), run.get("stderr")
    if not isinstance(value, float):
        return ""
    return brief(value, error if isinstance(error, float) else None)


def status_text(run: RunFields) -> str:
    """Return the status, for an unfinished run with its progress: `running, 12 of 36 cells`, `stopped at 12 of 36 cells`."""
    status, done, total = (run.get(name) for name in ("status", "progress.done", "progress.total"))
    if not isinstance(done, float | int) or not isinstance(total, float | int):
        return str(status)
    return f"{'running,' if status == 'running' else 'stopped at'} {done:.0f} of {total:.0f} cells"


def _numeric(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, float) for value in known)


def _numbers(values: Sequence[float | None]) -> tuple[str, ...]:
    if all(value is None or value == round(value) for value in values):
        return tuple("" if value is None else f"{value:.0f}" for value in values)
    return column(values)


def shortened(title: str) -> str:
    """Return `<experiment>/<the beginning of the id>`, which names the run."""
    experiment, _, run = title.partition("/")
    return f"{_cut(experiment)}/{run[:SHORTEST_ID]}"


def _cut(text: str) -> str:
    text = " ".join(text.split())
    keep = (LONGEST - 1) // 2
    return text if len(text) <= LONGEST else f"{text[:keep]}…{text[-keep:]}"


def as_rows(fields: Mapping[str, RunFields]) -> list[dict[str, Any]]:
    """Return all fields of each folder with its path, for JSON, whole numbers as integers."""
    return [{"path": path, **{name: _plain(value) for name, value in sorted(run.items())}} for path, run in fields.items()]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value == round(value) and abs(value) < 2**53 else value
