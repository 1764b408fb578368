"""A table of runs that fits the terminal: what does not fit is left out, the least needed first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hwds.report.grid import GAP, Column, Grid
from hwds.results.facts import Facts
from hwds.results.wording import brief, column

SHORTEST_ID = 8
"""Letters of an id that are shown."""

LONGEST = 34
"""Letters of a text; the middle of a longer one is left out."""

TEXTS = ("run", "model", "dataset", "protocol", "when", "status", "tags", "note", "metric")
ORDER = (*TEXTS, "score", "asked", "seed")
NEEDED = ("run", "asked", "score", "model", "status", "metric", "tags", "when", "dataset", "protocol", "seed", "note")
"""The columns from left to right, and by how much they are needed."""


def runs_grid(runs: Sequence[Facts], asked: Sequence[str] = (), width: int = 100) -> Grid:
    """Runs as a table of so many letters.

    Args:
        runs: The facts of each.
        asked: Further facts to show: those that are sorted or filtered by.
        width: Letters of a line.
    """
    made = {name: _column(name, runs) for name in ORDER if name != "asked"}
    if set(made["status"].cells) == {"finished"}:
        made["status"] = replace(made["status"], brief="")
    more = [_column(name, runs) for name in asked if name not in made]
    groups = {name: [made[name]] if name in made else more for name in ORDER}
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
    """The columns that had no room."""
    return [each.title for each in grid.shown if not each.brief and set(each.cells) != {"finished"}]


def _column(name: str, runs: Sequence[Facts]) -> Column:
    if name == "score":
        cells = tuple(score_said(run) for run in runs)
    elif name == "status":
        cells = tuple(status_said(run) for run in runs)
    elif name == "run":
        cells = tuple(shortened(str(run["run"])) for run in runs)
    else:
        values: list[Any] = [run.get(name) for run in runs]
        cells = _numbers(values) if _numeric(values) else tuple(_cut("" if value is None else str(value)) for value in values)
    return Column(name, name, cells)


def score_said(run: Facts) -> str:
    """The headline with its error; empty where there is none."""
    value, error = run.get("score"), run.get("stderr")
    if not isinstance(value, float):
        return ""
    return brief(value, error if isinstance(error, float) else None)


def status_said(run: Facts) -> str:
    """The status, and of what is not finished how far it came: `running, 12 of 36 cells`, `stopped at 12 of 36 cells`."""
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
    """`<experiment>/<the beginning of the id>`, which finds it."""
    experiment, _, run = title.partition("/")
    return f"{_cut(experiment)}/{run[:SHORTEST_ID]}"


def _cut(text: str) -> str:
    text = " ".join(text.split())
    keep = (LONGEST - 1) // 2
    return text if len(text) <= LONGEST else f"{text[:keep]}…{text[-keep:]}"


def as_rows(facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """All facts of each folder with its path, for JSON: whole numbers as such."""
    return [{"path": path, **{name: _plain(value) for name, value in sorted(found.items())}} for path, found in facts.items()]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value == round(value) and abs(value) < 2**53 else value
