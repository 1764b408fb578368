"""The leaderboard, as Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwds.report.segments import segment_tables
from hwds.report.sentence import conclusion
from hwds.report.standings import Number, Standing, Standings
from hwds.report.wording import column, counted, decimals, duration, fixed
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Columns of a terminal that does not say how wide it is."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, its short title in the terminal (empty where it is not shown there), a cell for each model."""

    title: str
    brief: str
    cells: tuple[str, ...]


def as_markdown(tables: Tables, board: Standings, said: str = "") -> str:
    """The leaderboard as a Markdown page: title, conclusion, table, legend; then the headline by each segment asked for.

    Args:
        tables: Of one run.
        board: Its standings.
        said: What it shows, in a sentence; empty says it from the standings.
    """
    shown = list(columns(board))
    rows = [[entry.title for entry in shown], [":--", *("--:" for _ in shown[1:])]]
    lines = zip(board.all, zip(*(entry.cells for entry in shown), strict=True), strict=True)
    rows += [[_marked(cells[0], line is board.own), *cells[1:]] for line, cells in lines]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    legend = "\n".join(f"- {line}" for line in legend_of(board))
    sections = "".join(f"\n{section}" for section in segment_tables(tables, board))
    return f"# {board.title}\n\n{said or conclusion(board)}\n\n{table}\n\n{legend}\n{sections}"


def print_leaderboard(board: Standings, said: str = "", console: Console | None = None) -> None:
    """Print the leaderboard and what it means, `said`; in colour only where the output is a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console(width=None if Console().is_terminal else WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown = [entry for entry in columns(board) if entry.brief]
    for place, entry in enumerate(shown):
        table.add_column(Text(entry.brief), justify="right" if place else "left", overflow="fold", no_wrap=bool(place))
    for line, cells in zip(board.all, zip(*(entry.cells for entry in shown), strict=True), strict=True):
        style = "bold" if line is board.own else "dim" if line is board.truth else ""
        table.add_row(*map(Text, cells), style=style)
    console.print(table)
    for note in notes(board):
        console.print(Text(note, style="yellow"))
    console.print(Text(said or conclusion(board)))


def columns(board: Standings) -> Iterator[Column]:
    """The columns that have a value for any model."""
    for entry in _all_columns(board):
        if any(entry.cells):
            yield entry


def _all_columns(board: Standings) -> Iterator[Column]:
    yield Column("model", "model", tuple(board.called(line) for line in board.all))
    yield Column(
        f"{board.headline}, mean ± s.e.", _two_lines(f"{board.headline} ±"), _with_errors([line.headline for line in board.all])
    )
    yield Column("median", "", column([line.median.value for line in board.all]))
    yield Column("pooled", "", column([line.pooled.value for line in board.all]))
    for measure in board.beside:
        cells = column([line.beside.get(measure.name, Number()).value for line in board.all])
        yield Column(measure.name, _two_lines(measure.name) if measure.beside == "always" else "", cells)
    yield Column(f"skill against {board.rival}, %", "skill\n%", _percents([line.skill for line in board.all]))
    yield Column(f"way from {board.rival} to the floor, %", "to floor\n%", tuple(_share(board, line) for line in board.all))
    yield _count(board, board.units, lambda line: line.n, board.units)
    yield _count(board, "undefined", lambda line: line.n_undefined)
    yield _count(board, "failed", lambda line: line.n_failed)
    yield _count(board, "fallback", lambda line: line.n_fallback)
    yield Column("time", "time", tuple(duration(line.seconds) for line in board.all))


def _with_errors(numbers: list[Number]) -> tuple[str, ...]:
    places = decimals([number.value for number in numbers])
    errors = ["" if number.stderr is None else f" ± {fixed(number.stderr, places)}" for number in numbers]
    return tuple(f"{fixed(n.value, places)}{error}" or "none" for n, error in zip(numbers, errors, strict=True))


def _percents(numbers: list[Number]) -> tuple[str, ...]:
    return tuple(_percent(number) for number in numbers)


def _percent(number: Number) -> str:
    if not number.value:
        return "" if number.value is None else "0"
    return f"{100 * number.value:+.1f}" + ("" if number.stderr is None else f" ± {100 * number.stderr:.1f}")


def _two_lines(name: str) -> str:
    """`mase` above `[m=12]`: a column need not be as wide as its name."""
    return name.replace("[", "\n[", 1)


def _share(board: Standings, line: Standing) -> str:
    if line is board.truth:
        return "100" if any(other.to_floor is not None for other in board.lines) else ""
    return "" if line.to_floor is None else f"{100 * line.to_floor + 0.0:.0f}"


def _count(board: Standings, title: str, count: Callable[[Standing], int], brief: str = "") -> Column:
    return Column(title, brief, tuple(f"{count(line):,}" for line in board.all))


def legend_of(board: Standings) -> Iterator[str]:
    """What the columns mean and how the standard errors are made."""
    for measure in (board.measure, *board.beside):
        if measure.explained:
            yield f"`{measure.name}`: {measure.explained}."
    if any(line.median.value is not None for line in board.all):
        yield f"mean and median are over {board.units}, each counting once; pooled is the ratio of sums over all rows."
    if board.methods:
        made = "; ".join(f"{name}: {' or '.join(methods)}" for name, methods in board.methods.items())
        yield f"± is one standard error ({made}); 95 % intervals are in `scores.parquet`."
    if any(line.skill.value is not None for line in board.all):
        yield f"skill: {board.measure.as_skill().meaning}; above 0 is better than it."
    if board.truth and board.better != "none":
        known = "the score of the simulator's true distribution given what was known; no model beats it but by chance"
        yield f"{board.called(board.truth)}: {known}."
    yield f"undefined: {board.units} without a value; failed: answers lost to an error; fallback: answered by a simpler one."


def notes(board: Standings) -> Iterator[str]:
    """What the terminal's table leaves out, where there is something: undefined, failed and replaced answers."""
    models: dict[str, list[str]] = {}
    for line in board.all:
        said = [f"{counted(line.n_undefined, board.units)} without a value"] if line.n_undefined else []
        said += [f"{counted(line.n_failed, 'answers')} failed ({line.error})"] if line.n_failed else []
        said += [f"{counted(line.n_fallback, 'answers')} by a fallback"] if line.n_fallback else []
        models.setdefault(", ".join(said), []).append(board.called(line))
    for said_of, names in models.items():
        if said_of:
            yield f"{'every model' if len(names) == len(board.all) else ', '.join(names)}: {said_of}"


def _marked(label: str, own: bool) -> str:
    text = label.replace("|", "\\|")
    return f"**{text}**" if own else text
