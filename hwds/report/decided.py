"""What a decision adds to a run: its verdict, tables and pictures in the folder, and its words.

A table of a verdict may have a module `hwds.report.<table>` with any of `grid`, what is shown of it, and `draw`, its picture.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hwds.report.grid import Column, Grid
from hwds.report.leaderboard import WIDTH
from hwds.results.atomic import write_text
from hwds.results.folder import RunFolder
from hwds.results.verdict import Verdict

SHOWN = "decision_tables.json"
"""The tables of a verdict as they are read, for the report."""


def keep(folder: RunFolder, verdict: Verdict | None, prefix: str = "") -> None:
    """Write a verdict with its tables and draw its pictures; without one those of an earlier command go.

    Args:
        folder: Of the run.
        verdict: What was decided.
        prefix: Of the names of the files (`future_`).
    """
    folder.write_verdict(verdict, prefix)
    shown = folder.path / f"{prefix}{SHOWN}"
    if verdict is None:
        shown.unlink(missing_ok=True)
    else:
        write_text(shown, json.dumps([asdict(each) for each in _grids(verdict)], indent=1, default=list, ensure_ascii=False))
    for name in verdict.tables() if verdict is not None else ():
        report = _module(name)
        if hasattr(report, "draw"):
            report.draw(verdict, folder.path / f"{prefix}{name}.png")


def kept_grids(folder: Path) -> list[Grid]:
    """The tables that were shown of what was decided; none where nothing was."""
    path = folder / SHOWN
    told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [
        Grid(
            tuple(Column(each["title"], each["brief"], tuple(each["cells"])) for each in grid.pop("columns")),
            **{**grid, "own": frozenset(grid["own"]), "truth": frozenset(grid["truth"])},
        )
        for grid in told
    ]


def captions(kept: dict[str, Any] | None) -> dict[str, str]:
    """What the pictures of a verdict that was kept show, as the docstrings of their `draw` say it, by file."""
    told = {name: getattr(_module(name), "draw", None) for name in (kept or {}).get("tables", ())}
    first = {name: " ".join(str(draw.__doc__ or "").split()).partition(";")[0] for name, draw in told.items() if draw}
    return {f"{name}.png": text.rstrip(".") for name, text in first.items()}


def page(verdict: Verdict) -> str:
    """The sentence and the tables, as Markdown."""
    told = [[each.caption, each.markdown()] if each.caption else [each.markdown()] for each in _grids(verdict)]
    return "\n\n".join([verdict.sentence, *(part for parts in told for part in parts)])


def print_verdict(verdict: Verdict) -> None:
    """The tables and the sentence, on the terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if Console().is_terminal else WIDTH)
    for each in _grids(verdict):
        if each.caption:
            console.print(Text(each.caption))
        console.print(each.rich(console.width))
    print(verdict.sentence)


def _grids(verdict: Verdict) -> list[Grid]:
    reports = [_module(name) for name in verdict.tables()]
    made: list[Grid] = [report.grid(verdict) for report in reports if hasattr(report, "grid")]
    return [each for each in made if len(each)]


def _module(name: str) -> Any:
    path = f"hwds.report.{name}"
    return import_module(path) if find_spec(path) else None
