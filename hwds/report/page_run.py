"""The report of a run: what it found, its tables and pictures, what was lost, and how to have it again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from hwds.report.leaderboard import grid, legend_of, notes
from hwds.report.leaderboard_plot import leaderboard_figure
from hwds.report.page import Code, Listing, Page, Part, Section, Table, Text
from hwds.report.page_picture import Picture
from hwds.report.sentence import conclusion
from hwds.report.standings import Standings, standings
from hwds.report.tasks import page_grids
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables

MOST_FAILURES = 20
"""Failed cells that are named."""


def run_page(folder: RunFolder) -> Page:
    """The page of a finished run.

    Raises:
        HwdsError: It is not finished.
    """
    config, tables = folder.read_config(), folder.read_tables()
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    board = standings(tables, str(config["protocol"].get("headline", "")), model=model)
    verdict = folder.read_verdict()
    said = folder.read_conclusion() or conclusion(board)
    lead = said if verdict is None else f"{verdict['sentence']}\n{said}"
    origin = folder.read_provenance()
    sections = (
        Section("Leaderboard", (*_warnings(board), Table(grid(board)), *_board_picture(board))),
        Section("Results", tuple(_task_tables(tables, board))),
        Section("Pictures", tuple(_pictures(folder, tables))),
        Section("What failed", tuple(_failures(tables))),
        Section("What the columns mean", (Listing(tuple(legend_of(board))),)),
        Section("How to have it again", tuple(_repeat(config, origin))),
    )
    below = f"Run {folder.title}: {model} on {dataset}, protocol {protocol}, seed {config['seed']}."
    return Page(board.title, lead, below, sections)


def _warnings(board: Standings) -> Iterator[Part]:
    yield from (Text(note, note=True) for note in notes(board))


def _board_picture(board: Standings) -> Iterator[Part]:
    figure = leaderboard_figure(board)
    if figure is not None:
        yield Picture.of_figure(figure, f"Each model's {board.headline} with its interval", "leaderboard.png")


def _task_tables(tables: Tables, board: Standings) -> Iterator[Part]:
    """The tables that the task's own report makes; nothing where the leaderboard says it all."""
    report = _report(tables)
    if hasattr(report, "grids") and board.own:
        yield from (Table(each) for each in report.grids(tables, board.own.model) if len(each))
    yield from (Table(each) for each in page_grids(tables, board))


def _pictures(folder: RunFolder, tables: Tables) -> Iterator[Part]:
    """What the run drew, in the words of its task's report where that says them."""
    captions = captions_of(_report(tables))
    for path in sorted(folder.path.glob("*.png")):
        if path.name != "leaderboard.png":
            yield Picture.of_png(path, captions.get(path.name, path.stem.replace("_", " ").capitalize()))


def captions_of(report: Any) -> dict[str, str]:
    """What each picture shows, as the docstring of a report's `draw` says it: "`regret.png`: every policy's regret".

    What follows with `of` or behind a comma is said behind the picture's name: "`reliability.png` of the own model".
    """
    told = " ".join(str(getattr(getattr(report, "draw", None), "__doc__", "") or "").split())
    found = re.findall(r"`(\w+)\.png`((?:: |, | of )[^;`]*?)?(?=[;.] |[;.]?$| `|`|,? and `)", told)
    said = {f"{stem}.png": text[2:] if text.startswith(": ") else f"{stem.replace('_', ' ')}{text}" for stem, text in found}
    return {name: f"{text[:1].upper()}{text[1:]}" for name, text in said.items()}


def _report(tables: Tables) -> Any:
    task = next(iter(tables.scores["task"].drop_nulls()), "")
    name = f"hwds.report.{task}"
    return import_module(name) if task and find_spec(name) else None


def _failures(tables: Tables) -> Iterator[Part]:
    failed = tables.timings.filter(pl.col("status") != "ok")
    if failed.is_empty():
        return
    lines = [f"{row['model']}, fold {row['fold']}: {row['status']}" for row in failed.head(MOST_FAILURES).to_dicts()]
    more = len(failed) - len(lines)
    yield Listing((*lines, *([f"and {more} more"] if more else [])))


def _repeat(config: dict[str, Any], origin: dict[str, Any]) -> Iterator[Part]:
    yield Code(origin["command"])
    git = origin.get("git") or {}
    commit = f"commit `{git['commit'][:12]}`{' with changes' if git.get('changed') else ''}" if git else "no repository"
    yield Listing(
        (
            f"data `{origin['data']}`, code `{origin['code']}`, {commit}",
            f"{origin['machine']['cpu']}, {origin['threads']} thread a cell, device {origin['device']}",
            ", ".join(f"{name} {version}" for name, version in origin["versions"].items() if version),
        )
    )
    yield Code(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "The whole config")


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
