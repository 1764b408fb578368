"""Show what a run would do: cells, kept ones, time, and settings with origins.

`hwds plan +experiment=lstm_forecast model.units=64` takes the words of a run.
"""

from __future__ import annotations

from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from hwds.cli.words import JSON_ALONE, OVERRIDES, command, print_json
from hwds.core.secrets import without_secrets
from hwds.core.settings import as_yaml
from hwds.results.formatting import WIDTH, counted, first_few

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from hwds.evaluation.protocol import Cell
    from hwds.experiment.prepare import Prepared, TimeEstimate
    from hwds.search.results import SweepEstimate
    from hwds.search.sweep import Search


@command(help=__doc__)
@OVERRIDES
@click.option("--all", "every", is_flag=True, help="Show the settings that are defaults, too.")
@JSON_ALONE
def main(overrides: tuple[str, ...], every: bool, as_json: bool) -> int:
    """Print the plan of the experiment that the words compose."""
    from hwds.core.compose import compose
    from hwds.experiment.prepare import prepare
    from hwds.experiment.spec import check
    from hwds.search.sweeps.base import Searching

    data = compose(list(overrides))
    experiment = check(data)
    if isinstance(experiment.sweep, Searching):
        from hwds.search.rungs import with_cached_trials
        from hwds.search.sweep import prepare_search

        record = print_search(with_cached_trials(prepare_search(data, experiment)))
    else:
        record = print_cells(prepare(experiment))
    settings = setting_rows(data, overrides)
    print_settings(settings, every=every)
    if as_json:
        print_json({**record, "settings": settings})
    return 0


def setting_rows(data: dict[str, Any], words: Sequence[str]) -> list[dict[str, Any]]:
    """Return every setting with its value, its origin, and whether that is a default."""
    from hwds.core.config import ROOT_FILE, value_origins

    return [
        {
            "setting": path,
            "value": value,
            "origin": origin,
            "default": origin in ("default", ROOT_FILE) or path.endswith(".recipe"),
        }
        for path, (value, origin) in value_origins(data, list(words)).items()
        if value != {}
    ]


def print_settings(settings: Sequence[dict[str, Any]], *, every: bool) -> None:
    """Print the settings that are no defaults, or all, and how many are left out."""
    shown = [row for row in settings if every or not row["default"]]
    cells = [(f"{row['setting']}:", as_yaml(row["value"]), row["origin"]) for row in shown]
    print(without_secrets(f"\n{align_columns(cells)}"))
    if len(shown) < len(settings):
        print(f"{counted(len(settings) - len(shown), 'defaults')}: --all")


def compared_words(model: str, rivals: Sequence[str], dataset: str) -> str:
    """Return what a run compares: `forecast/lstm with 2 rivals on hospital`."""
    named = rivals[0] if len(rivals) == 1 else f"{len(rivals)} rivals"
    return f"{model}{f' with {named}' if rivals else ''} on {dataset}"


def print_wrapped(text: str) -> None:
    """Print a sentence in lines of a terminal."""
    print("\n".join(wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False)))


def print_search(search: Search) -> dict[str, Any]:
    """Print the sweep, the kept cells of each window, and the time that the rest may take.

    Returns:
        The same as plain data.
    """
    from hwds.core.search_space import space_of
    from hwds.report.sweep import SPACE_TITLES, space_rows
    from hwds.search.results import estimate_of

    estimate = estimate_of(search)
    named = {group: search.data[group]["name"] for group in ("sweep", "model", "dataset")}
    trials = counted(len(search.trials), "trials")
    print_wrapped(f"{named['sweep']} of {named['model']} on {named['dataset']}: {trials}.")
    print_wrapped(
        f"{counted(estimate.cells, 'cells')}, {estimate.missing} to compute{search_time(estimate)}."
    )
    print(f"sweep {search.folder.title}\n")
    print(align_columns([SPACE_TITLES, *space_rows(space_of(search.data))]))
    rows = window_rows(search)
    kept = [(row["window"], f"{row['kept']} of {row['cells']}") for row in rows]
    print(align_columns([("inner window", "cells kept"), *kept]))
    refused = {trial.number: trial.refused for trial in search.trials if trial.refused}
    for sentence in search_sentences(search, refused):
        print_wrapped(sentence)
    core = None if estimate.core is None else asdict(estimate.core)
    times = {"core_seconds": core, "seconds": estimate.seconds}
    counts = {"cells": estimate.cells, "missing": estimate.missing, "windows": rows}
    return {"sweep": search.folder.title, **counts, **times, "refused": refused}


def window_rows(search: Search) -> list[dict[str, Any]]:
    """Return the cells of each inner window, and how many of them are kept."""
    cached, rows = search.cached_cells(), list[dict[str, Any]]()
    for fold in sorted(search.tuning_split.folds, key=search.place):
        of_window = [there for cell, there in cached.items() if cell.fold.index == fold.index]
        rows.append({"window": fold.name, "cells": len(of_window), "kept": sum(of_window)})
    return rows


def search_sentences(search: Search, refused: Mapping[int, str]) -> Iterator[str]:
    """Yield what is odd about a sweep, how its trials are compared, and what comes after them."""
    from hwds.search.trials import earlier_trials_sentence

    if search.tuning_split.remark:
        yield search.tuning_split.remark
    yield from (f"trial {number} is refused: {why}" for number, why in refused.items())
    after = first_few([str(rung) for rung in search.rungs], 8)
    measure = f"{search.measure.name}, the {search.better}er the better"
    trials = counted(len(search.trials), "trials")
    yield f"{trials}, compared by {measure}, after {after} windows."
    if reused := earlier_trials_sentence(search.sources):
        yield reused
    if len(search.trials) < search.most_trials:
        more = search.most_trials - len(search.trials)
        yield f"{more} more trials are proposed by the scores of these. The time includes them."
    elif search.used_up:
        yield search.used_up
    yield "Then the best trial and the untuned experiment are scored on the final windows."


def search_time(estimate: SweepEstimate) -> str:
    """Return the expected time of the missing cells, in words."""
    from hwds.report.sweep import core_time
    from hwds.results.formatting import duration as lasting

    early_stops = (
        f", some {100 * estimate.share:.0f} % of them as trials are stopped early"
        if estimate.share < 1
        else ""
    )
    if not estimate.missing:
        return ": nothing to do"
    if estimate.core is None:
        return f"{early_stops}: time unknown, because a model was never timed on this dataset"
    clock = (
        ""
        if estimate.at_once is None
        else f", {lasting(estimate.seconds)} by the clock with {estimate.at_once} at once"
    )
    return (
        f"{early_stops}: {core_time(estimate.core.seconds, estimate.core.low, estimate.core.high)}"
        f"{clock}, by earlier timings"
    )


def print_cells(prepared: Prepared) -> dict[str, Any]:
    """Print what is compared, the kept cells of each fold and model, and the time that the rest may
    take.

    Returns:
        The same as plain data.
    """
    from hwds.experiment.prepare import missing_cells, time_for

    missing, every = missing_cells(prepared), prepared.work.cells
    experiment, time = prepared.experiment, time_for(prepared, missing)
    rivals = [rival.name for rival in experiment.rivals]
    compared = compared_words(experiment.model.name, rivals, experiment.dataset.name)
    seconds = None if time is None else time.seconds
    bound = "at most " if time and (time.at_most or time.by_budget) else ""
    print_wrapped(
        f"{compared}: {counted(len(every), 'cells')}, {len(every) - len(missing)} kept; "
        f"{rest_words(len(missing), seconds, bound)}."
    )
    if missing:
        print_wrapped(time_basis(time))
    run, finished = prepared.folder.title, prepared.folder.finished
    print(f"run {run}{' (finished)' if finished else ''}\n")
    print(cells_table(prepared, missing))
    remarks = planned_remarks(prepared, time)
    for remark in remarks:
        print_wrapped(remark)
    facts = {"run": run, "finished": finished, "compared": compared, "seconds": seconds}
    return facts | {"cells": cell_rows(every, missing), "remarks": remarks}


def planned_remarks(prepared: Prepared, time: TimeEstimate | None) -> list[str]:
    """Return the sentences of a plan: its segments and cutoffs, what is odd, a quicker form."""
    from hwds.evaluation.protocol import Foreseeable
    from hwds.experiment.prepare import remarks_before

    labels = prepared.work.segments
    remarks = [
        f"Scores by {column}, too{': ' if values else ''}{first_few(values, 8)}."
        for column, values in ((column, labels.values(column)) for column in labels.labels)
    ]
    protocol = prepared.job.protocol
    if isinstance(protocol, Foreseeable) and (words := protocol.cutoff_words(prepared.frame)):
        remarks.append(words)
    remarks += remarks_before(prepared)
    if words := quicker_form(prepared, time):
        remarks.append(f"For a forecast within a minute per window: {words}.")
    return remarks


def cell_rows(cells: Iterable[Cell], missing: Container[Cell]) -> list[dict[str, Any]]:
    """Return the cells of a run as plain data, with whether each is kept."""
    names = ("model", "start", "stop")
    return [
        {"fold": cell.fold.name}
        | {name: getattr(cell, name) for name in names}
        | {"kept": cell not in missing}
        for cell in cells
    ]


def cells_table(prepared: Prepared, missing: Sequence[Any]) -> str:
    """Return the state of each model's cells by fold, or of all folds where that is too wide."""
    models, folds = list(prepared.job.models), prepared.work.folds
    rows = [
        (
            fold.name,
            str(len(fold.cutoffs)),
            *(cell_state(prepared, missing, [fold.index], model) for model in models),
        )
        for fold in folds
    ]
    table = align_columns([("fold", "cutoffs", *models), *rows])
    if max(map(len, table.splitlines())) <= WIDTH:
        return table
    every = [fold.index for fold in folds]
    states = [(model, cell_state(prepared, missing, every, model)) for model in models]
    return align_columns([("model", f"{len(folds)} folds"), *states])


def cell_state(prepared: Prepared, missing: Sequence[Any], folds: Sequence[int], model: str) -> str:
    """Return the state of a model's cells in folds."""
    cells = [
        cell for cell in prepared.work.cells if cell.fold.index in folds and cell.model == model
    ]
    left = sum(cell in missing for cell in cells)
    if not left:
        return "kept" if cells else "nothing to ask"
    return "to compute" if left == len(cells) else f"{len(cells) - left} of {len(cells)} kept"


LONG = 120.0
"""Seconds of a run from which its plan offers a shorter form."""

BUDGET = 60.0
"""Seconds of a fit in that form: it is offered to what would take more."""


def quicker_form(prepared: Prepared, time: TimeEstimate | None) -> str:
    """The words of the same experiment within a budget.

    Empty where it is short, or has one already.
    """
    from hwds.evaluation.protocol import Foreseeable

    protocol, model = prepared.job.protocol, prepared.experiment.model
    if time is None or not isinstance(protocol, Foreseeable) or hasattr(model, "budget"):
        return ""
    return (
        ""
        if time.seconds < max(LONG, BUDGET * len(prepared.work.folds))
        else protocol.budget_words(BUDGET)
    )


def rest_words(missing: int, seconds: float | None, bound: str = "") -> str:
    """Return how long the missing cells may take."""
    if not missing:
        return "nothing is left to compute"
    if seconds is None:
        return "the time for the rest is unknown"
    text = (
        f"{seconds:.1f} s"
        if seconds < 10
        else f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} minutes"
    )
    return f"the rest takes {bound}about {text}"


def time_basis(time: TimeEstimate | None) -> str:
    """Return what an estimate of time is made of."""
    if time is None:
        return "A model here was never timed on this dataset."
    if time.by_budget:
        return (
            "The time is on one core, by budgets, which need not be used up, and by rows, steps, "
            "trees and epochs."
        )
    if time.by_work:
        return (
            "The time is on one core, by rows, steps, trees, epochs and this machine's speed: "
            "within a factor of two."
        )
    smaller = " of smaller cells" if time.at_most else ""
    return f"The time is on one core, by earlier timings{smaller}."


def align_columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text in columns.

    A value longer than 40 letters does not widen its column, and goes on below itself where the
    line would be too long.
    """
    widths = [
        max((len(cell) for cell in column if len(cell) <= 40), default=0)
        for column in zip(*rows, strict=True)
    ]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    below = " " * (widths[0] + 2)
    return "\n".join(
        part
        for line in lines
        for part in wrap(line, WIDTH, subsequent_indent=below, break_on_hyphens=False) or [""]
    )
