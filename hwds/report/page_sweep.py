"""The report of a sweep: what its best settings are worth, every trial, what was searched, and how to have it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import yaml

from hwds.errors import HwdsError
from hwds.metrics.base import Measure
from hwds.report.grid import Grid, grid_of
from hwds.report.leaderboard import grid
from hwds.report.page import Code, Folded, Listing, Page, Part, Section, Table, Text
from hwds.report.page_picture import Picture
from hwds.report.page_run import bare, origin_lines
from hwds.report.standings import standings
from hwds.report.sweep import Found, conclusion, from_dict, trials_grid
from hwds.report.sweep_importance import importance_sentence
from hwds.report.sweep_time import time_sentence
from hwds.results.folder import OUTPUTS, RunFolder
from hwds.results.sweep_folder import SweepFolder

CAPTIONS = {
    "sweep.png": "Scores of trials, the running score from window to window, and each setting against the score",
    "parallel.png": "Each trial as a line through its settings to its score",
    "importance.png": "How much of the spread of scores each setting makes, with its interval",
}

MEANINGS = (
    "windows: how many inner windows a trial was scored on; they end before the experiment's own windows begin.",
    "finished: scored on all of them; stopped: ended on the way by the scheduler, so that it competes with none of these.",
    "optimism: the best trial's score on the inner windows less that on the final ones, which no trial has seen.",
)


def sweep_page(folder: SweepFolder) -> Page:
    """The page of a sweep that came to an end.

    Raises:
        HwdsError: It did not.
    """
    told = folder.read_json()
    if "best" not in told:
        raise HwdsError(f"sweep {folder.title} is not finished; the same command goes on with it.")
    found = from_dict(folder.read_trials(), told, Measure(told["metric"], better=told["better"]))
    best = (folder.path / "best.yaml").read_text(encoding="utf-8")
    sections = (
        Section("Trials", (Table(trials_grid(found)), Text(f"The best settings are those of trial {found.best}:"), Code(best))),
        Section("Pictures", tuple(_pictures(folder, told))),
        Section("The best settings on the final windows", tuple(_final(_run_of(told)))),
        Section("What was searched", (Table(space_grid(told["space"])), *_how(told))),
        Section("What failed", tuple(_failures(found))),
        Section("What the numbers mean", (Listing((f"`{told['metric']}`: {told['better']}er is better.", *MEANINGS)),)),
        Section("How to have it again", tuple(_repeat(folder, told))),
    )
    trials = f"{told['trials']} trials, {told.get('finished', 0)} of them finished, on {len(told['windows'])} inner windows"
    return Page(
        f"{told['experiment']}: sweep for {found.model}", conclusion(found), f"Sweep {folder.title}: {trials}.", sections
    )


def space_grid(space: dict[str, Any]) -> Grid:
    """What was searched: each setting with the values or the range that it was drawn from."""
    rows = [[path, kind, _values(values)] for path, kind, values in leaves(space)]
    return grid_of([(title, title) for title in ("setting", "drawn", "from")], rows, names=3)


def leaves(space: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, Any]]:
    """The leaves of a space: where, how it is drawn, and from what; a leaf is a mapping of one key to a list."""
    for key, node in space.items():
        below = f"{path}.{key}" if path else str(key)
        if isinstance(node, dict) and len(node) == 1 and isinstance(next(iter(node.values())), list):
            kind, values = next(iter(node.items()))
            yield below, str(kind), values
        elif isinstance(node, dict):
            yield from leaves(node, below)


def _values(values: Any) -> str:
    return ", ".join(next(iter(value)) if isinstance(value, dict) else str(value) for value in values)


def _how(told: dict[str, Any]) -> Iterator[Part]:
    settings = yaml.safe_dump(told["sweep"], sort_keys=False, allow_unicode=True)
    yield Folded("The sweep's own settings", (Code(settings),))


def _pictures(folder: SweepFolder, told: dict[str, Any]) -> Iterator[Part]:
    """What the sweep drew, and what it says of the settings and of the time."""
    for path in sorted(folder.path.glob("*.png")):
        yield Picture.of_file(path, CAPTIONS.get(path.name, path.stem.replace("_", " ").capitalize()))
    said = (importance_sentence(told.get("importance", {})), time_sentence(told.get("time", {})))
    yield from (Text(sentence) for sentence in said if sentence)


def _run_of(told: dict[str, Any]) -> RunFolder | None:
    """The run that the best settings made, where it is still there."""
    path = OUTPUTS / "runs" / str(told.get("run"))
    return RunFolder(path.resolve()) if (path / "scores.parquet").is_file() else None


def _final(folder: RunFolder | None) -> Iterator[Part]:
    """Its leaderboard."""
    if folder is None:
        return
    config, tables = folder.read_config(), folder.read_tables()
    headline, model = str(config["protocol"].get("headline", "")), config["model"]["name"]
    yield Table(bare(grid(standings(tables, headline, model=model))))
    yield Text(f"This is run {folder.title}; hwds report {folder.title} writes its own report.")


def _failures(found: Found) -> Iterator[Part]:
    failed = found.trials.filter(pl.col("error") != "")
    if failed.is_empty():
        yield Text("No trial failed.")
        return
    rows = [[str(row["trial"]), row["status"], row["error"]] for row in failed.to_dicts()]
    yield Table(grid_of([(title, title) for title in ("trial", "status", "what went wrong")], rows, names=3))


def _repeat(folder: SweepFolder, told: dict[str, Any]) -> Iterator[Part]:
    yield Code(told["command"])
    yield Text("The best settings alone:")
    yield Code(folder.command)
    run = _run_of(told)
    if run is not None:
        yield Listing(tuple(origin_lines(run.read_provenance())))
    yield Folded("The whole config", (Code(yaml.safe_dump(told["config"], sort_keys=False, allow_unicode=True)),))
