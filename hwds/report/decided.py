"""What a decision adds to a run: its verdict, tables and pictures in the folder, and its words.

A table of a verdict may have a module `hwds.report.<table>` with any of `grid`, what is shown of it, and `draw`, its picture.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from hwds.report.grid import Grid
from hwds.report.leaderboard import WIDTH
from hwds.results.folder import RunFolder
from hwds.results.verdict import Verdict


def keep(folder: RunFolder, verdict: Verdict | None, prefix: str = "") -> None:
    """Write a verdict with its tables and draw its pictures; without one those of an earlier command go.

    Args:
        folder: Of the run.
        verdict: What was decided.
        prefix: Of the names of the files (`future_`).
    """
    folder.write_verdict(verdict, prefix)
    for name in verdict.tables() if verdict is not None else ():
        report = _module(name)
        if hasattr(report, "draw"):
            report.draw(verdict, folder.path / f"{prefix}{name}.png")


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
        console.print(each.rich())
    print(verdict.sentence)


def _grids(verdict: Verdict) -> list[Grid]:
    reports = [_module(name) for name in verdict.tables()]
    made: list[Grid] = [report.grid(verdict) for report in reports if hasattr(report, "grid")]
    return [each for each in made if len(each)]


def _module(name: str) -> Any:
    path = f"hwds.report.{name}"
    return import_module(path) if find_spec(path) else None
