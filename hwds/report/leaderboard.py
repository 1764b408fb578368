"""The leaderboard, as Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from hwds.report.grid import Column, Grid
from hwds.report.segments import segment_grids
from hwds.report.sentence import conclusion
from hwds.report.standings import Number, Standing, Standings
from hwds.results.formatting import column, counted, duration, with_errors
from hwds.results.measure import Measure
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""The assumed width of a terminal of unknown width."""


def as_markdown(tables: Tables, board: Standings, sentence: str = "", more: Iterable[Grid] = ()) -> str:
    """Return the leaderboard as a Markdown page: title, conclusion, table, legend; then the headline by segments.

    Args:
        tables: The tables of one run.
        board: Its standings.
        sentence: The conclusion; where empty it is made from the standings.
        more: Further tables of the task.
    """
    legend = "\n".join(f"- {line}" for line in legend_of(board))
    sections = "".join(
        f"\n## {each.caption}\n\n{each.markdown()}\n{_rest(left)}" for each, left in segment_grids(tables, board)
    )
    below = "".join(f"\n{each.caption}\n\n{each.markdown()}\n" for each in more)
    return f"# {board.title}\n\n{sentence or conclusion(board)}\n\n{grid(board).markdown()}\n\n{legend}\n{sections}{below}"


def _rest(left: int) -> str:
    return f"\n{left} smaller segments are in `scores.parquet`.\n" if left else ""


def print_grids(grids: Iterable[Grid], noted: Iterable[str], sentence: str, console: Console | None = None) -> None:
    """Print tables, notes and the conclusion."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console(width=None if Console().is_terminal else WIDTH)
    for place, each in enumerate(grids):
        if place:
            console.print()
        if each.caption:
            console.print(Text(each.caption))
        console.print(each.rich(console.width))
    for note in noted:
        console.print(Text(note, style="yellow"))
    console.print(Text(sentence))


def grid(board: Standings) -> Grid:
    """Return the leaderboard as a table."""
    own, truth = (frozenset(i for i, line in enumerate(board.all) if line is which) for which in (board.own, board.truth))
    return Grid(tuple(_columns(board)), own, truth)


def _columns(board: Standings) -> Iterator[Column]:
    yield Column("model", "model", tuple(board.called(line) for line in board.all))
    headlines = with_errors(*_values([line.headline for line in board.all]))
    yield Column(f"{board.called_in}, mean ± s.e.", _two_lines(board.measure, " ± s.e."), headlines)
    yield Column("median", "", column([line.median.value for line in board.all]))
    yield Column("pooled", "", column([line.pooled.value for line in board.all]))
    for measure in board.beside:
        cells = column([line.beside.get(measure.name, Number()).value for line in board.all])
        yield Column(measure.with_unit, _two_lines(measure) if measure.beside == "always" else "", cells)
    yield Column(f"skill against {board.rival}, %", "skill\n%", _percents([line.skill for line in board.all]))
    yield Column(f"way from {board.rival} to the floor, %", "to floor\n%", tuple(_share(board, line) for line in board.all))
    yield _count(board, board.units, lambda line: line.n, board.units)
    yield _count(board, "undefined", lambda line: line.n_undefined)
    yield _count(board, "failed", lambda line: line.n_failed)
    yield _count(board, "fallback", lambda line: line.n_fallback)
    yield Column("time", "time", tuple(duration(line.seconds) for line in board.all))


def _values(numbers: list[Number]) -> tuple[list[float | None], list[float | None]]:
    return [number.value for number in numbers], [number.stderr for number in numbers]


def _percents(numbers: list[Number]) -> tuple[str, ...]:
    return tuple(_percent(number) for number in numbers)


def _percent(number: Number) -> str:
    if not number.value:
        return "" if number.value is None else "0"
    return f"{100 * number.value:+.1f}" + ("" if number.stderr is None else f" ± {100 * number.stderr:.1f}")


def _two_lines(measure: Measure, more: str = "") -> str:
    """Return a title of two lines, `mase` above `[m=12]`, `card_precision` above `@100`, or a name above its unit."""
    unit = f"\n{measure.measured_in}" if measure.measured_in else ""
    definition = measure.name.removeprefix(measure.short)
    return f"{measure.short}\n{definition}{more}{unit}" if definition else f"{measure.name}{more}{unit}"


def _share(board: Standings, line: Standing) -> str:
    if line is board.truth:
        return "100" if any(other.to_floor is not None for other in board.lines) else ""
    return "" if line.to_floor is None else f"{100 * line.to_floor + 0.0:.0f}"


def _count(board: Standings, title: str, count: Callable[[Standing], int], brief: str = "") -> Column:
    return Column(title, brief, tuple(f"{count(line):,}" for line in board.all))


def legend_of(board: Standings) -> Iterator[str]:
    """Yield the meaning of the columns and the method of the standard errors."""
    for measure in (board.measure, *board.beside):
        if measure.explained:
            yield f"`{measure.name}`: {measure.explained}."
    if any(line.median.value is not None for line in board.all):
        yield f"mean and median are over {board.units}, each counting once; pooled is the ratio of sums over all rows."
    if board.methods:
        made = "; ".join(f"{name}: {' or '.join(methods)}" for name, methods in board.methods.items())
        level = f"{100 * board.measure.confidence:g} %"
        yield f"± is one standard error ({made}); sentences quote {level} intervals, those of `scores.parquet`."
    if any(line.skill.value is not None for line in board.all):
        yield f"skill: {board.measure.as_skill().meaning}; above 0 is better than it."
    if board.truth and board.better != "none":
        known = "the score of the simulator's true distribution given what was known; no model beats it but by chance"
        yield f"{board.called(board.truth)}: {known}."
    yield f"undefined: {board.units} without a value; failed: answers lost to an error; fallback: answered by a simpler one."


def notes(board: Standings) -> Iterator[str]:
    """Yield the counts of undefined, failed and replaced predictions, where there are any."""
    models: dict[str, list[str]] = {}
    for line in board.all:
        counts = [f"{counted(line.n_undefined, board.units)} without a value"] if line.n_undefined else []
        counts += [f"{counted(line.n_failed, 'answers')} failed ({line.error})"] if line.n_failed else []
        counts += [f"{counted(line.n_fallback, 'answers')} by a fallback"] if line.n_fallback else []
        counts += [line.error] if line.error and not line.n_failed else []
        models.setdefault(", ".join(counts), []).append(board.called(line))
    for said_of, names in models.items():
        if said_of:
            yield f"{'every model' if len(names) == len(board.all) else ', '.join(names)}: {said_of}"
