"""What the module of a task adds to a run's report: `hwds.report.<task>` has any of these hooks.

`sentence(frame, tables, model)`: what the run shows; `grids(tables, model)`: tables beside the leaderboard;
`page_grids(tables, model)`: those of pages alone; `draw(frame, tables, model, folder)`, `draw_scores(tables, board, folder)`:
pictures; `sections(tables, board, frame)`: parts of the report's page, the frame None where the data is gone.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hwds.report.grid import Grid
from hwds.report.leaderboard import grid, notes, print_grids
from hwds.report.sentence import conclusion
from hwds.report.standings import Standings
from hwds.report.style import gathered
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

    from hwds.report.page import Section


def said_of(task: str, frame: Any, tables: Tables, board: Standings, model: str) -> str:
    """What a run shows, in the words of its task, or else as the standings say it."""
    report = module_of(task)
    said: str = report.sentence(frame, tables, model) if hasattr(report, "sentence") else ""
    return said or conclusion(board)


def draw_of(task: str, frame: Any, tables: Tables, model: str, folder: Path) -> None:
    """The pictures and pages of the task."""
    report = module_of(task)
    if hasattr(report, "draw"):
        report.draw(frame, tables, model, folder)


def draw_scores_of(task: str, tables: Tables, board: Standings, folder: Path) -> None:
    """The pictures of the task that need its scores alone."""
    report = module_of(task)
    if hasattr(report, "draw_scores"):
        report.draw_scores(tables, board, folder)


def figures_of(task: str, frame: Any, tables: Tables, board: Standings, model: str) -> dict[str, Figure]:
    """The pictures of the task as figures, by the names of their files; nothing is written."""
    with gathered() as found, TemporaryDirectory() as folder:
        draw_of(task, frame, tables, model, Path(folder))
        draw_scores_of(task, tables, board, Path(folder))
    return found


def sections_of(task: str, tables: Tables, board: Standings, frame: Any) -> list[Section]:
    """What the page of a report has of the task alone."""
    report = module_of(task)
    return list(report.sections(tables, board, frame)) if hasattr(report, "sections") and board.own else []


def print_run(tables: Tables, board: Standings, said: str = "", console: Console | None = None) -> None:
    """Print the tables of the task, or the leaderboard where it has none of its own, and what they mean."""
    task = next(iter(tables.scores["task"].drop_nulls()), "")
    print_grids(grids_of(task, tables, board) or [grid(board)], notes(board), said or conclusion(board), console)


def page_grids(tables: Tables, board: Standings) -> list[Grid]:
    """The tables of the task that stand on pages alone, below the leaderboard; empty ones are left out."""
    report = module_of(next(iter(tables.scores["task"].drop_nulls()), ""))
    made = report.page_grids(tables, board.own.model) if hasattr(report, "page_grids") and board.own else []
    return [each for each in made if len(each)]


def grids_of(task: str, tables: Tables, board: Standings) -> list[Grid]:
    """The tables of the task beside the leaderboard."""
    report = module_of(task)
    return list(report.grids(tables, board.own.model)) if hasattr(report, "grids") and board.own else []


def module_of(task: str) -> Any:
    """The module of the task's report, None where it has none."""
    name = f"hwds.report.{task}"
    return import_module(name) if task and find_spec(name) else None
