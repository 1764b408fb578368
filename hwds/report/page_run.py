"""The report of a run: what it found, its tables and pictures, what was lost, and how to have it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from hwds.metrics.base import Measure
from hwds.report.decided import captions, kept_grids
from hwds.report.grid import Grid, grid_of
from hwds.report.leaderboard import grid, legend_of, notes
from hwds.report.page import Code, Definitions, Folded, Listing, Page, Part, Section, Table, Text
from hwds.report.page_picture import Picture
from hwds.report.segments import segment_grids
from hwds.report.sentence import conclusion
from hwds.report.standings import Standings, standings
from hwds.report.tasks import grids_of, module_of, page_grids, sections_of
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables

if TYPE_CHECKING:
    from hwds.frames.panel import Panel

MOST_FAILURES = 20
"""Failed cells that are named."""

LOST = ("undefined", "failed", "fallback")
"""Columns that are shown where any model has some."""

DRAWN = {
    "leaderboard.png": "The headline of each model with its interval",
    "segments.png": "The headline by segment, a dot for each model with its interval",
}
"""Pictures that every task has, which stand beside their tables."""


def run_page(folder: RunFolder, frame: Any = None) -> Page:
    """The page of a finished run.

    Args:
        folder: Of the run.
        frame: Its data, for the history of what is drawn; None where it is not at hand.

    Raises:
        HwdsError: It is not finished.
    """
    config, tables = folder.read_config(), folder.read_tables()
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    board = standings(tables, str(config["protocol"].get("headline", "")), model=model)
    verdict = folder.read_verdict()
    said = folder.read_conclusion() or conclusion(board)
    task = next(iter(tables.scores["task"].drop_nulls()), "")
    decided: tuple[Part, ...] = (
        *map(Table, kept_grids(folder.path)),
        *_pictures(folder, _decision_pictures(verdict), captions(verdict)),
    )
    sections = (
        Section("Leaderboard", (*_warnings(board), Table(bare(grid(board))), *_pictures(folder, ["leaderboard.png"], DRAWN))),
        Section("What was decided", decided if verdict else ()),
        Section("Results", tuple(map(Table, filter(len, [*grids_of(task, tables, board), *page_grids(tables, board)])))),
        Section("Segments", (*_segments(tables, board), *_pictures(folder, ["segments.png"], DRAWN))),
        Section("Pictures", tuple(_task_pictures(folder, task, verdict))),
        *sections_of(task, tables, board, frame),
        Section("What failed or was left out", tuple(_lost(folder, tables, board))),
        Section("What the numbers mean", tuple(_meanings(tables, board))),
        Section("How to have it again", tuple(repeat_parts(config, folder.read_provenance()))),
    )
    below = f"Run {folder.title}: {model} on {dataset}, protocol {protocol}, seed {config['seed']}."
    return Page(board.title, said if verdict is None else f"{verdict['sentence']}\n{said}", below, sections)


def kept_frame(folder: RunFolder) -> Panel | None:
    """The series that a run forecast, as they lie in the cache; None where they are gone, or the run is of other data."""
    from hwds.frames.panel import Panel

    path = folder.path.parents[2] / "cache" / "frames" / str(folder.read_provenance()["data"])
    return Panel.read(path) if (path / "panel.json").is_file() else None


def _warnings(board: Standings) -> Iterator[Part]:
    yield from (Text(note, note=True) for note in notes(board))


def bare(board: Grid) -> Grid:
    """Without counts of what did not happen; the section on what was lost says so."""
    return replace(
        board, columns=tuple(column for column in board.columns if column.title not in LOST or {*column.cells} - {"0"})
    )


def _decision_pictures(verdict: dict[str, Any] | None) -> list[str]:
    return [f"{name}.png" for name in (verdict or {}).get("tables", ())]


def _segments(tables: Tables, board: Standings) -> Iterator[Part]:
    for each, left in segment_grids(tables, board):
        yield Table(each)
        if left:
            yield Text(f"{left} smaller segments are in scores.parquet.")


def _task_pictures(folder: RunFolder, task: str, verdict: dict[str, Any] | None) -> Iterator[Part]:
    """What the run drew besides, in the words of its task's report where that says them."""
    elsewhere = {*DRAWN, *_decision_pictures(verdict)}
    names = [path.name for path in sorted(folder.path.glob("*.png")) if path.name not in elsewhere]
    yield from _pictures(folder, names, captions_of(module_of(task)))


def _pictures(folder: RunFolder, names: Iterable[str], captions: dict[str, str]) -> Iterator[Picture]:
    """Those of the names that there are."""
    for name in names:
        path = folder.path / name
        if path.is_file():
            yield Picture.of_file(path, captions.get(name, path.stem.replace("_", " ").capitalize()))


def captions_of(report: Any) -> dict[str, str]:
    """What each picture shows, as the docstrings of a report's `draw` hooks say it: "`regret.png`: every policy's regret".

    What follows with `of` or behind a comma is said behind the picture's name: "`reliability.png` of the own model".
    """
    said: dict[str, str] = {}
    for hook in ("draw", "draw_scores"):
        told = " ".join(str(getattr(getattr(report, hook, None), "__doc__", "") or "").split())
        found = re.findall(r"`(\w+)\.png`((?:: |, | of )[^;`]*?)?(?=[;.] |[;.]?$| `|`|,? and `)", told)
        for stem, text in found:
            words = text[2:] if text.startswith(": ") else f"{stem.replace('_', ' ')}{text}"
            said[f"{stem}.png"] = f"{words[:1].upper()}{words[1:]}"
    return said


def _lost(folder: RunFolder, tables: Tables, board: Standings) -> Iterator[Part]:
    """Cells that failed, what is undefined or was answered by something simpler, and what the run remarked."""
    told = [*notes(board), *folder.read_remarks()]
    failed = tables.timings.filter(pl.col("status") != "ok")
    yield Listing(tuple(told)) if told else Text("Nothing failed, nothing was left out, no answer is a fallback's.")
    if len(failed):
        yield Table(_failures(failed))


def _failures(failed: pl.DataFrame) -> Grid:
    rows = [[row["model"], str(row["fold"]), row["status"].removeprefix("failed: ")] for row in failed.to_dicts()]
    more = f" (the first {MOST_FAILURES} of {len(rows)})" if len(rows) > MOST_FAILURES else ""
    titles = [(title, title) for title in ("model", "fold", "what went wrong")]
    return grid_of(titles, rows[:MOST_FAILURES], names=3, caption=f"Failed cells{more}")


def _meanings(tables: Tables, board: Standings) -> Iterator[Part]:
    """What the leaderboard's columns mean, and every metric of the run by its definition."""
    yield Listing(tuple(legend_of(board)))
    known = [tables.measure(name) for name in tables.scores["metric"].drop_nulls().unique(maintain_order=True)]
    words = glossary(known)
    if words:
        yield Folded("Glossary: all metrics of scores.parquet", (Definitions(tuple(words.items())),))


def glossary(measures: Iterable[Measure]) -> dict[str, str]:
    """Each metric's name and meaning; those that differ by their definition alone once (`pinball[q=0.1]` for all levels)."""
    found: dict[str, tuple[str, str]] = {}
    for measure in measures:
        if measure.explained:
            found.setdefault(measure.short, (measure.with_unit, measure.explained))
    return dict(sorted(found.values()))


def repeat_parts(config: dict[str, Any], origin: dict[str, Any]) -> Iterator[Part]:
    """The command, where the numbers are from, the whole config."""
    yield Code(origin["command"])
    yield Listing(tuple(origin_lines(origin)))
    yield Folded("The whole config", (Code(yaml.safe_dump(config, sort_keys=False, allow_unicode=True)),))


def origin_lines(origin: dict[str, Any]) -> Iterator[str]:
    """The fingerprints of data and code, the machine, and the versions."""
    git = origin.get("git") or {}
    commit = f"commit `{git['commit'][:12]}`{' with changes' if git.get('changed') else ''}" if git else "no repository"
    yield f"data `{origin['data']}`, code `{origin['code']}`, {commit}"
    yield f"{origin['machine']['cpu']}, {origin['threads']} thread a cell, device {origin['device']}"
    yield ", ".join(f"{name} {version}" for name, version in origin["versions"].items() if version)


def written(page: Page, folder: Path) -> tuple[Path, Path]:
    """The page's two files in a folder: `report.html` and `report.md`.

    Raises:
        HwdsError: The folder cannot be written.
    """
    from hwds.results.atomic import write_text

    paths = folder / "report.html", folder / "report.md"
    write_text(paths[0], page.html())
    write_text(paths[1], page.markdown())
    return paths
