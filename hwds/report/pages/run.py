"""The report of a run: its conclusion, tables and pictures, failures, and the command to repeat it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TaskReport, stored_report
from hwds.report.leaderboard import grid, legend_of, notes
from hwds.report.pages.base import Code, Definitions, Folded, GridTable, Listing, Page, Part, Section, Text
from hwds.report.pages.picture import Picture
from hwds.report.segments import segment_grids
from hwds.report.sentence import conclusion
from hwds.report.standings import Standings, standings
from hwds.report.verdict import captions, stored_grids
from hwds.results.folder import RunFolder
from hwds.results.measure import Measure
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from hwds.frames.panel import Panel

MOST_FAILURES = 20
"""The most failed cells that are named."""

MOST_BEFORE_PICTURES = 30
"""Rows of a table that stands before the pictures; longer ones follow them."""

LOST = ("undefined", "failed", "fallback")
"""The columns that are shown only where any model has some."""

DRAWN = {
    "leaderboard.png": "The headline of each model, and its interval where it has one",
    "segments.png": "The headline by segment, a dot for each model, and its interval where it has one",
}
"""Pictures that every task has, which stand beside their tables."""


def run_page(folder: RunFolder, frame: Any = None) -> Page:
    """Return the page of a finished run.

    Args:
        folder: The folder of the run.
        frame: The data of the run, for the history in pictures; None where it is not available.

    Raises:
        HwdsError: It is not finished.
    """
    config, tables = folder.read_config(), folder.read_tables()
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    board = standings(tables, str(config["protocol"].get("headline", "")), model=model)
    verdict = folder.read_verdict()
    sentence = folder.read_conclusion() or conclusion(board)
    report = stored_report(config, tables)
    results = [*filter(len, report.terminal_tables(tables, board)), *report.page_tables(tables, board)]
    long = [each for each in results if len(each) > MOST_BEFORE_PICTURES]
    decided: tuple[Part, ...] = (
        *map(GridTable, stored_grids(folder.path)),
        *_pictures(folder, _decision_pictures(verdict), captions(config, verdict)),
    )
    warnings = [Text(note, note=True) for note in report.notes(board)]
    drawn = _pictures(folder, ["leaderboard.png"] if report.ranks else [], DRAWN)
    ranking = Section("Leaderboard", (*warnings, GridTable(bare(grid(board))), *drawn))
    found = (
        Section("Results", tuple(GridTable(each) for each in results if len(each) <= MOST_BEFORE_PICTURES)),
        Section("Segments", (*_segments(tables, board), *_pictures(folder, ["segments.png"], DRAWN))),
        Section("Pictures", tuple(_task_pictures(folder, report, verdict))),
        Section("In detail", tuple(map(GridTable, long))),
    )
    decision = Section("What was decided", decided if verdict else ())
    sections = (
        *((ranking, decision, *found) if report.ranks else (decision, *found, ranking)),
        *report.page_sections(tables, board, frame),
        Section("Remarks, and what failed or was left out", tuple(_lost(folder, tables, board))),
        Section("What the numbers mean", tuple(_meanings(tables, board))),
        Section("How to have it again", tuple(repeat_parts(config, folder.read_provenance()))),
    )
    below = f"Run {folder.title}: {model} on {dataset}, protocol {protocol}, seed {config['seed']}."
    return Page(board.title, sentence if verdict is None else f"{verdict['sentence']}\n{sentence}", below, sections)


def kept_frame(folder: RunFolder) -> Panel | None:
    """Return the series of a run from the cache; None where they are gone or damaged, or the run is of other data."""
    from hwds.core.checksums.folders import is_sound
    from hwds.frames.panel import Panel

    path = folder.path.parents[2] / "cache" / "frames" / str(folder.read_provenance()["data"])
    return Panel.read(path) if (path / "panel.json").is_file() and is_sound(path) else None


def bare(board: Grid) -> Grid:
    """Return the table without columns of zero counts; the section on failures reports them."""
    return replace(
        board, columns=tuple(column for column in board.columns if column.title not in LOST or {*column.cells} - {"0"})
    )


def _decision_pictures(verdict: dict[str, Any] | None) -> list[str]:
    return [f"{name}.png" for name in (verdict or {}).get("tables", ())]


def _segments(tables: Tables, board: Standings) -> Iterator[Part]:
    for each, left in segment_grids(tables, board):
        yield GridTable(each)
        if left:
            yield Text(f"{left} smaller segments are in scores.parquet.")


def _task_pictures(folder: RunFolder, report: TaskReport, verdict: dict[str, Any] | None) -> Iterator[Part]:
    """Yield the other pictures of the run: those that its task's report describes in that order, then the rest by name."""
    elsewhere, known = {*DRAWN, *_decision_pictures(verdict)}, captions_of(report)
    others = (path.name for path in sorted(folder.path.glob("*.png")) if path.name not in elsewhere)
    yield from _pictures(folder, dict.fromkeys([*(name for name in known if name not in elsewhere), *others]), known)


def _pictures(folder: RunFolder, names: Iterable[str], captions: dict[str, str]) -> Iterator[Picture]:
    """Yield the pictures of these names that exist."""
    for name in names:
        path = folder.path / name
        if path.is_file():
            yield Picture.of_file(path, captions.get(name, path.stem.replace("_", " ").capitalize()))


def captions_of(report: TaskReport) -> dict[str, str]:
    """Return the caption of each picture, from the docstrings of the `draw` hooks: "`regret.png`: every policy's regret".

    Text after `of` or a comma may follow the picture's name directly: "`reliability.png` of the own model".
    """
    captions: dict[str, str] = {}
    for hook in (report.draw, report.draw_scores):
        docstring = " ".join(str(hook.__doc__ or "").split()) if hook else ""
        matches = re.findall(r"`(\w+)\.png`((?:: |, | of )[^;`]*?)?(?=[;.] |[;.]?$| `|`|,? and `)", docstring)
        for stem, text in matches:
            words = text[2:] if text.startswith(": ") else f"{stem.replace('_', ' ')}{text}"
            captions[f"{stem}.png"] = f"{words[:1].upper()}{words[1:]}"
    return captions


def _lost(folder: RunFolder, tables: Tables, board: Standings) -> Iterator[Part]:
    """Yield the failed cells, the counts of undefined values and fallbacks, and the remarks of the run."""
    lines = [*notes(board), *folder.read_remarks()]
    failed = tables.timings.filter(pl.col("status") != "ok")
    yield Listing(tuple(lines)) if lines else Text("Nothing failed, nothing was left out, no answer is a fallback's.")
    if len(failed):
        yield GridTable(_failures(failed))


def _failures(failed: pl.DataFrame) -> Grid:
    rows = [[row["model"], str(row["fold"]), row["status"].removeprefix("failed: ")] for row in failed.to_dicts()]
    more = f" (the first {MOST_FAILURES} of {len(rows)})" if len(rows) > MOST_FAILURES else ""
    titles = [(title, title) for title in ("model", "fold", "what went wrong")]
    return grid_of(titles, rows[:MOST_FAILURES], names=3, caption=f"Failed cells{more}")


def _meanings(tables: Tables, board: Standings) -> Iterator[Part]:
    """Yield the meaning of the leaderboard's columns, and the definition of every metric of the run."""
    yield Listing(tuple(legend_of(board)))
    known = [tables.measure(name) for name in tables.scores["metric"].drop_nulls().unique(maintain_order=True)]
    words = glossary(known)
    if words:
        yield Folded("Glossary: all metrics of scores.parquet", (Definitions(tuple(words.items())),))


def glossary(measures: Iterable[Measure]) -> dict[str, str]:
    """Return each metric's name and meaning; those that differ in parameters alone once (`pinball[q=0.1]` for all levels)."""
    meanings: dict[str, tuple[str, str]] = {}
    for measure in measures:
        if measure.explained:
            meanings.setdefault(measure.short, (measure.with_unit, measure.explained))
    return dict(sorted(meanings.values()))


def repeat_parts(config: dict[str, Any], origin: dict[str, Any]) -> Iterator[Part]:
    """Yield the command, the provenance, and the whole config."""
    yield Code(origin["command"])
    yield Listing(tuple(origin_lines(origin)))
    yield Folded("The whole config", (Code(yaml.safe_dump(config, sort_keys=False, allow_unicode=True)),))


def origin_lines(origin: dict[str, Any]) -> Iterator[str]:
    """Return the fingerprints of data and code, the machine, and the versions."""
    git = origin.get("git") or {}
    commit = f"commit `{git['commit'][:12]}`{' with changes' if git.get('changed') else ''}" if git else "no repository"
    when = f"run at {origin['when'][:16].replace('T', ' ')} UTC, " if "when" in origin else ""
    yield f"{when}data `{origin['data']}`, code `{origin['code']}`, {commit}"
    yield f"{origin['machine']['cpu']}, {origin['threads']} thread a cell, device {origin['device']}"
    yield ", ".join(f"{name} {version}" for name, version in origin["versions"].items() if version)


def written(page: Page, folder: Path) -> tuple[Path, Path]:
    """Write the page's two files into a folder: `report.html` and `report.md`.

    Raises:
        HwdsError: The folder cannot be written.
    """
    from hwds.core.atomic import write_text
    from hwds.results.markdown import write_markdown

    paths = folder / "report.html", folder / "report.md"
    write_text(paths[0], page.html())
    write_markdown(paths[1], page.markdown())
    return paths
