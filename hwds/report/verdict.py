"""The report of a verdict: its file, tables and pictures in the run's folder; and the one layout in
which commands show what they found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any

from hwds.core.checksums import read_json, write_json
from hwds.core.files import write_text
from hwds.core.registry import load_reference
from hwds.core.secrets import visible
from hwds.report.grid import Grid, GridColumn
from hwds.report.hooks import DecisionPack, TableReport, stored_table_reports, table_reports
from hwds.report.leaderboard import terminal
from hwds.report.standings import Standings
from hwds.report.words import ESTIMATE, NOT_SURE, sentences_of
from hwds.results.files import refuse_damage
from hwds.results.folder import RunFolder
from hwds.results.formatting import counted, duration
from hwds.results.tables import Verdict

if TYPE_CHECKING:
    from rich.console import Console

VERDICT_TABLES = "decision_tables.json"
"""The file of a verdict's tables as they are shown."""

PACK = "decision_pack"
"""The name of the page and the workbook for those who decide, without its kind."""

TABLES_KEY = "tables"
"""Their key in it."""


def store_verdict(
    folder: RunFolder, decision: type, verdict: Verdict | None, prefix: str = ""
) -> None:
    """Write a verdict with its tables and files.

    Without one those of an earlier command are deleted.

    Args:
        folder: The folder of the run.
        decision: The class of the decision.
        verdict: The verdict; None where there is none.
        prefix: The prefix of the files' names (`future_`).
    """
    folder.write_verdict(verdict, prefix)
    shown = folder.path / f"{prefix}{VERDICT_TABLES}"
    if verdict is None:
        shown.unlink(missing_ok=True)
        return
    grids = [asdict(each) for each in decision_grids(decision, verdict)]
    write_json(shown, {TABLES_KEY: grids}, default=list, ensure_ascii=False)
    for name, report in _verdict_reports(decision, verdict).items():
        if report.write:
            target = folder.path / f"{prefix}{name}"
            rmtree(target, ignore_errors=True)
            target.mkdir()
            report.write(verdict, target)


def draw_verdict(folder: RunFolder, decision: type, verdict: Verdict, prefix: str = "") -> None:
    """Draw the pictures of a verdict; arguments as of `store_verdict`."""
    from hwds.report.pictures import save_png

    for name, report in _verdict_reports(decision, verdict).items():
        if report.figure:
            save_png(report.figure(verdict), folder.path / f"{prefix}{name}.png")


def store_pack(folder: Path, decision: type, verdict: Verdict | None, name: str) -> list[Path]:
    """Write the page and the workbook of a verdict, and return their paths.

    Without a pack, those of before are deleted.

    Args:
        folder: The folder of the run.
        decision: The class of the decision.
        verdict: The verdict; None where there is none.
        name: The name of the pack; `none` for none.

    Raises:
        HwdsError: They cannot be written.
    """
    page, workbook = (folder / f"{PACK}.{kind}" for kind in ("html", "xlsx"))
    if verdict is None or name == "none":
        page.unlink(missing_ok=True)
        workbook.unlink(missing_ok=True)
        return []
    from hwds.results.difference import write_export

    pack = load_reference(getattr(decision, "packs", {})[name], DecisionPack)
    write_text(page, str(pack.page(verdict).html()))
    return [page, *write_export(pack.sheets(verdict), "xlsx", workbook)]


def stored_grids(folder: Path) -> list[Grid]:
    """Return the stored tables of a verdict, those of earlier versions too.

    None where there is none.

    Raises:
        HwdsError: They are damaged.
    """
    path = folder / VERDICT_TABLES
    stored = _read_grids(path) if path.is_file() else []
    return [
        Grid(
            tuple(
                GridColumn(each["title"], each["brief"], tuple(each["cells"]))
                for each in grid.pop("columns")
            ),
            **{**grid, "own": frozenset(grid["own"]), "truth": frozenset(grid["truth"])},
        )
        for grid in stored
    ]


def verdict_captions(
    config: Mapping[str, Any], verdict: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return the captions of a stored verdict's pictures by file.

    Args:
        config: The config of the run.
        verdict: The stored verdict; None for none.
    """
    names = (verdict or {}).get("tables", ())
    reports = stored_table_reports(config, names) if names else {}
    return {f"{name}.png": each.caption for name, each in reports.items() if each.figure}


def verdict_markdown(decision: type, verdict: Verdict) -> str:
    """Return the sentence and the tables, as Markdown."""
    parts = [
        [each.caption, each.markdown()] if each.caption else [each.markdown()]
        for each in decision_grids(decision, verdict)
    ]
    return "\n\n".join([verdict.sentence, *(part for several in parts for part in several)])


def print_verdict(decision: type, verdict: Verdict) -> None:
    """Print the sentence and the first table on the terminal."""
    print_shown(
        Shown(
            decided=verdict.sentence,
            action=verdict.action,
            decision=decision_grids(decision, verdict),
        )
    )


def run_title(config: Mapping[str, Any], board: Standings) -> str:
    """Return the experiment, the data, and how much of it was forecast or tested."""
    size, own = config.get("size", "full"), board.own
    cutoffs, steps = counted(board.cutoffs, "cutoffs"), counted(board.steps, "steps")
    parts = (
        str(config["dataset"]["name"]),
        f"{cutoffs} x {steps}" if board.cutoffs else "",
        counted(own.n, board.units) if own and own.n else "",
        "" if size == "full" else f"size={size}",
    )
    return f"{config['experiment']}   {' · '.join(filter(None, parts))}"


def _read_grids(path: Path) -> list[dict[str, Any]]:
    """Return the tables in a file.

    Earlier versions wrote them as a list without a key and a checksum.
    """
    with refuse_damage(path):
        if path.read_bytes().startswith(b"["):
            return list(json.loads(path.read_bytes()))
        return list(read_json(path)[TABLES_KEY])


def decision_grids(decision: type, verdict: Verdict) -> list[Grid]:
    """Return the tables of a verdict for readers."""
    tables = verdict.tables()
    grids: list[Grid | None] = []
    for name, report in _verdict_reports(decision, verdict).items():
        grids += [report.first(verdict)] if report.first else []
        grids.append(report.grid_of(verdict, tables[name]))
    return [each for each in grids if each is not None and len(each)]


def _verdict_reports(decision: type, verdict: Verdict) -> dict[str, TableReport]:
    return table_reports(decision, verdict.tables())


# What a command shows: title, verdict, one table, notes by weight, the next step, and paths.

LABEL = 10
"""The letters before the text of a line, which begin with its label."""

MOST_ROWS = 10
MOST_NOTES = 3
MOST_NOTE_LINES = 3
MOST_COLUMNS = 8
"""Columns of a table that is read first; a page folds those with more."""

WORD = re.compile(r"(NOT SURE|[A-Z]{3,})[:.]\s*(?=\S)")
"""The word that a verdict begins with."""

COLOURS = {
    "WORSE": "bold red",
    "STOP": "bold red",
    NOT_SURE: "bold yellow",
    "HOLD": "bold yellow",
    ESTIMATE: "bold",
    "Note": "dim",
}
"""The colours of labels; other words in capitals are green."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a command shows of its results.

    Attributes:
        title: Experiment, data and size.
        grids: The tables, of which the first is shown.
        said: The conclusion: the verdict, then notes by weight, a line each.
        decision: The tables of a decision.
        decided: Its sentence, in the same form, which comes first.
        action: Its word.
        notes: Notes that weigh more than those of `said`.
        remarks: Notes that weigh less.
        next: A command that would help.
        report: The command that writes the page.
        files: The folder of the results.
        seconds: The time on the clock.
    """

    title: str = ""
    grids: Sequence[Grid] = ()
    said: str = ""
    decision: Sequence[Grid] = ()
    decided: str = ""
    action: str = ""
    notes: Sequence[str] = ()
    remarks: Sequence[str] = ()
    next: str = ""
    report: str = ""
    files: Path | None = None
    seconds: float | None = None


def verdict_lines(text: str, word: str = "") -> tuple[str, str, list[str]]:
    """Return the word of a verdict, its sentence, and its notes by weight.

    Args:
        text: A line for the verdict, then one for each note.
        word: The word where it is known; the one that the text begins with otherwise, or none.
    """
    first, *others = text.split("\n")
    found = WORD.match(first)
    word = word or (found[1] if found else "")
    sentence, *more = sentences_of(first.removeprefix(word).lstrip(":. ") or first)
    return word, sentence, [*more, *filter(None, others)]


def verdict_and_notes(said: str, decided: str = "") -> tuple[list[str], list[str]]:
    """Return the verdicts of a decision and of the conclusion, the decision's first, and the notes
    of both by weight.
    """
    texts = [each for each in (decided, said) if each]
    parts = [
        (f"{word}: {first}" if word else first, notes)
        for word, first, notes in map(verdict_lines, texts)
    ]
    also, notes = parts[0][1] if len(parts) > 1 else [], parts[-1][1] if parts else []
    return [first for first, _ in parts], [*also[:1], *notes, *also[1:]]


def print_shown(shown: Shown, console: Console | None = None) -> None:
    """Print the results of a command in the layout of all families."""
    from rich.text import Text

    console = console or terminal()
    word, sentence, _ = verdict_lines(shown.said)
    _, notes = verdict_and_notes(shown.said, shown.decided)
    decided, reason, _ = verdict_lines(shown.decided, shown.action)
    if shown.title:
        took = "" if shown.seconds is None else f" · {duration(shown.seconds)}"
        console.print(Text(visible(shown.title) + took, style="bold"))
    for verdict, why, grids in (
        (decided, reason, shown.decision),
        ("", "", shown.grids),
    ):
        if why:
            print_line(console, verdict or "Result", why)
        if grids:
            console.print()
            _print_grid(console, grids[0])
    if shown.grids and shown.said:
        console.print()
    if sentence:
        print_line(console, word or "Result", sentence)
    left = _print_notes(console, [*shown.notes, *notes, *shown.remarks])
    if shown.next:
        print_line(console, "Next", shown.next)
    _print_paths(console, shown, left)


def _print_grid(console: Console, grid: Grid) -> None:
    from rich.text import Text

    if grid.caption:
        console.print(Text(visible(grid.caption)))
    console.print(grid.first(MOST_COLUMNS).cut(MOST_ROWS).rich(console.width))
    if len(grid) > MOST_ROWS:
        console.print(Text(f"and {len(grid) - MOST_ROWS} more rows, on the page", style="dim"))


def print_line(console: Console, label: str, text: str) -> None:
    """Print a label and its text, whose further lines are indented."""
    from rich.text import Text

    lines = wrap(visible(text), _room(console), break_on_hyphens=False) or [""]
    shown = Text(f"{label:<{LABEL}}", style=COLOURS.get(label, "bold green" * label.isupper()))
    shown.append("\n".join([lines[0], *(" " * LABEL + line for line in lines[1:])]), "not bold")
    console.print(shown, soft_wrap=True)


def _room(console: Console) -> int:
    """Return the letters behind a label, enough for a word where a terminal tells no width."""
    return max(console.width - LABEL, 2 * LABEL)


def _print_notes(console: Console, notes: Sequence[str]) -> int:
    """Print the notes that weigh most in at most three lines.

    Return how many were shortened or left out.
    """
    notes = list(dict.fromkeys(filter(None, notes)))
    room, left = _room(console), MOST_NOTE_LINES
    shown: list[str] = []
    for each in notes[:MOST_NOTES]:
        text = shorten(sentences_of(each)[0], 2 * room - 10, placeholder=" ...")
        left -= len(wrap(visible(text), room, break_on_hyphens=False))
        if left < 0 and shown:
            break
        print_line(console, "Note", text)
        shown.append(text)
    whole = sum(text == each for text, each in zip(shown, notes, strict=False))
    return len(notes) - whole


def _print_paths(console: Console, shown: Shown, left: int) -> None:
    """Print the command that writes the page and the folder, in a line where they fit.

    The number of further notes gives way to that.
    """
    from rich.text import Text

    more = f" (+{counted(left, 'notes')})" if left and shown.report else ""
    files = _short_path(shown.files) if shown.files else ""
    named = {"Report": shown.report, "Files": files}
    parts = [f"{name:<{LABEL}}{text}" for name, text in named.items() if text]
    joined = (
        [f"{parts[0]}{each}     Files  {files}" for each in (more, "")] if len(parts) > 1 else []
    )
    fit = [line for line in joined if len(line) <= console.width][:1]
    for line in fit or [*(f"{part}{more}" for part in parts[:1]), *parts[1:]]:
        console.print(Text(line), soft_wrap=True)


def _short_path(path: Path) -> str:
    """Return a path as seen from the current folder, where it lies below that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
