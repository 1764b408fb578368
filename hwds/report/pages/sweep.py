"""The report of a sweep: the gain of its best settings, every trial, the search space, and the command to repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import yaml

from hwds.core.errors import HwdsError
from hwds.core.outputs import OUTPUTS
from hwds.report.grid import grid_of
from hwds.report.leaderboard import grid
from hwds.report.pages.base import Code, Folded, GridTable, Listing, Page, Part, Section, Text
from hwds.report.pages.picture import Picture
from hwds.report.pages.run import bare, origin_lines
from hwds.report.standings import standings
from hwds.report.sweep.front import front_grid, front_sentence
from hwds.report.sweep.importance import importance_sentence
from hwds.report.sweep.result import SweepResult, from_dict
from hwds.report.sweep.sentence import conclusion, time_sentence
from hwds.report.sweep.space import space_grid
from hwds.report.sweep.tables import trials_grid
from hwds.results.folder import RunFolder
from hwds.results.measure import Measure
from hwds.results.sweep_folder import SweepFolder

CAPTIONS = {
    "sweep.png": "Scores of trials, the running score from window to window, and each setting against the score",
    "parallel.png": "Each trial as a line through its settings to its score",
    "front.png": "The metric against the other objectives: no other trial beats one of the front in all of them",
    "importance.png": "How much of the spread of scores each setting makes, with its interval",
}

AS_IT_STOOD = "Trial 0 is the experiment as it stood, which no search stops."

MEANINGS = (
    "windows: how many inner windows a trial was scored on; they end before the experiment's own windows begin.",
    "finished: scored on all of them; stopped: ended on the way by the scheduler, so that it competes with none of these.",
    "optimism: the best trial's score on the inner windows less that on the final ones, which no trial has seen.",
)


def sweep_page(folder: SweepFolder) -> Page:
    """Return the page of a finished sweep.

    Raises:
        HwdsError: It is not finished.
    """
    data = folder.read_json()
    if "best" not in data:
        raise HwdsError(f"sweep {folder.title} is not finished; the same command goes on with it.")
    result = from_dict(folder.read_trials(), data, Measure(data["metric"], better=data["better"]))
    best = folder.read_best()
    sections = (
        Section("Trials", (*_trials(result, data), Text(f"The best settings are those of trial {result.best}:"), Code(best))),
        *_front(result, data),
        Section("Pictures", tuple(_pictures(folder, data))),
        Section("The best settings on the final windows", tuple(_final(_run_of(data)))),
        Section("What was searched", (GridTable(space_grid(data["space"])), *_how(data))),
        Section("What failed", tuple(_failures(result))),
        Section("What the numbers mean", (Listing((f"`{data['metric']}`: {data['better']}er is better.", *MEANINGS)),)),
        Section("How to have it again", tuple(_repeat(folder, data))),
    )
    trials = f"{data['trials']} trials, {data.get('finished', 0)} of them finished, on {len(data['windows'])} inner windows"
    return Page(
        f"{data['experiment']}: sweep for {result.model}", conclusion(result), f"Sweep {folder.title}: {trials}.", sections
    )


def _trials(result: SweepResult, data: dict[str, Any]) -> Iterator[Part]:
    """Yield the table of trials, and which of them is the baseline."""
    yield GridTable(trials_grid(result))
    if data["sweep"].get("baseline"):
        yield Text(AS_IT_STOOD)


def _front(result: SweepResult, data: dict[str, Any]) -> Iterator[Section]:
    """Yield the section of the Pareto front, where there are several objectives."""
    if front := data.get("front"):
        table = (GridTable(front_grid(front, result.trials)),) if front["trials"] else ()
        yield Section("The Pareto front", (Text(front_sentence(front)), *table))


def _how(data: dict[str, Any]) -> Iterator[Part]:
    settings = yaml.safe_dump(data["sweep"], sort_keys=False, allow_unicode=True)
    yield Folded("The sweep's own settings", (Code(settings),))


def _pictures(folder: SweepFolder, data: dict[str, Any]) -> Iterator[Part]:
    """Yield the pictures of the sweep, and the sentences on importance and time."""
    for path in sorted(folder.path.glob("*.png")):
        yield Picture.of_file(path, CAPTIONS.get(path.name, path.stem.replace("_", " ").capitalize()))
    sentences = (importance_sentence(data.get("importance", {})), time_sentence(data.get("time", {})))
    yield from (Text(sentence) for sentence in sentences if sentence)


def _run_of(data: dict[str, Any]) -> RunFolder | None:
    """Yield the report of the run of the best settings, where it still exists."""
    path = OUTPUTS / "runs" / str(data.get("run"))
    return RunFolder(path.resolve()) if (path / "scores.parquet").is_file() else None


def _final(folder: RunFolder | None) -> Iterator[Part]:
    """Yield its leaderboard."""
    if folder is None:
        return
    config, tables = folder.read_config(), folder.read_tables()
    headline, model = str(config["protocol"].get("headline", "")), config["model"]["name"]
    yield GridTable(bare(grid(standings(tables, headline, model=model))))
    yield Text(f"This is run {folder.title}; hwds report {folder.title} writes its own report.")


def _failures(result: SweepResult) -> Iterator[Part]:
    failed = result.trials.filter(pl.col("error") != "")
    if failed.is_empty():
        yield Text("No trial failed.")
        return
    rows = [[str(row["trial"]), row["status"], row["error"]] for row in failed.to_dicts()]
    yield GridTable(grid_of([(title, title) for title in ("trial", "status", "what went wrong")], rows, names=3))


def _repeat(folder: SweepFolder, data: dict[str, Any]) -> Iterator[Part]:
    yield Code(data["command"])
    yield Text("The best settings alone:")
    yield Code(folder.command)
    run = _run_of(data)
    if run is not None:
        yield Listing(tuple(origin_lines(run.read_provenance())))
    yield Folded("The whole config", (Code(yaml.safe_dump(data["config"], sort_keys=False, allow_unicode=True)),))
