"""Show a run before it runs: its config with origins, its cells, the kept ones, the time.

`hwds plan +experiment=lstm_forecast model.units=64` takes the words of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwds.cli.words import OVERRIDES, command
from hwds.core.secrets import without_secrets
from hwds.core.settings import as_yaml
from hwds.results.formatting import counted, first_few

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwds.experiment.prepare import Prepared, TimeEstimate
    from hwds.search.results import SweepEstimate
    from hwds.search.sweep import Search


@command(help=__doc__)
@OVERRIDES
def main(overrides: tuple[str, ...]) -> int:
    """Print the plan of the experiment that the words compose."""
    from hwds.core.compose import compose
    from hwds.core.config import value_origins
    from hwds.experiment.prepare import prepare
    from hwds.experiment.spec import check
    from hwds.search.sweeps.base import Searching

    data = compose(list(overrides))
    experiment = check(data)
    found = value_origins(data, list(overrides)).items()
    shown = align_columns(
        [(f"{path}:", as_yaml(value), origin) for path, (value, origin) in found if value != {}]
    )
    print(without_secrets(shown))
    if isinstance(experiment.sweep, Searching):
        from hwds.search.rungs import with_cached_trials
        from hwds.search.sweep import prepare_search

        print_search(with_cached_trials(prepare_search(data, experiment)))
    else:
        print_cells(prepare(experiment))
    return 0


def print_search(search: Search) -> None:
    """The sweep, what is kept of each window, and how long the rest may take."""
    from hwds.core.search_space import space_of
    from hwds.report.sweep import SPACE_TITLES, space_rows
    from hwds.search.results import estimate_of
    from hwds.search.trials import earlier_trials_sentence

    print(f"\nsweep {search.folder.title}")
    print(align_columns([SPACE_TITLES, *space_rows(space_of(search.data))]))
    cached, rows = search.cached_cells(), [("inner window", "cells kept")]
    for fold in sorted(search.tuning_split.folds, key=search.place):
        of_window = [there for cell, there in cached.items() if cell.fold.index == fold.index]
        rows.append((fold.name, f"{sum(of_window)} of {len(of_window)}"))
    print(align_columns(rows))
    if search.tuning_split.remark:
        print(search.tuning_split.remark)
    refused = [trial for trial in search.trials if trial.refused]
    for trial in refused:
        print(f"trial {trial.number} is refused: {trial.refused}")
    estimate = estimate_of(search)
    compared = f"{search.measure.name}, the {search.better}er the better"
    after = first_few([str(rung) for rung in search.rungs], 8)
    print(
        f"{counted(len(search.trials), 'trials')}, compared by {compared}, after {after} windows."
    )
    if reused := earlier_trials_sentence(search.sources):
        print(reused)
    if len(search.trials) < search.most_trials:
        more = search.most_trials - len(search.trials)
        print(f"{more} more trials are proposed by the scores of these. The time has them, too.")
    elif search.used_up:
        print(search.used_up)
    print(
        f"{counted(estimate.cells, 'cells')}, {estimate.missing} to compute{search_time(estimate)}."
    )
    print("Then the best trial and the experiment as it stands are scored on the final windows.")


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
        return f"{early_stops}: time unknown, for a model here was never timed on this dataset"
    clock = (
        ""
        if estimate.at_once is None
        else f", {lasting(estimate.seconds)} by the clock with {estimate.at_once} at once"
    )
    return (
        f"{early_stops}: {core_time(estimate.core.seconds, estimate.core.low, estimate.core.high)}"
        f"{clock}, by earlier timings"
    )


def print_cells(prepared: Prepared) -> None:
    """The run, what is kept of each fold and model, and how long the rest may take."""
    from hwds.evaluation.protocol import Foreseeable
    from hwds.experiment.prepare import missing_cells, remarks_before, time_for

    missing = missing_cells(prepared)
    finished = " (finished)" if prepared.folder.finished else ""
    models = list(prepared.job.models)
    print(f"\nrun {prepared.folder.title}{finished}")
    rows = [("fold", "cutoffs", *models)]
    for fold in prepared.work.folds:
        rows.append(
            (
                fold.name,
                str(len(fold.cutoffs)),
                *(cell_state(prepared, missing, fold.index, model) for model in models),
            )
        )
    print(align_columns(rows))
    protocol = prepared.job.protocol
    if isinstance(protocol, Foreseeable) and (words := protocol.cutoff_words(prepared.frame)):
        print(words)
    for column in prepared.work.segments.labels:
        values = prepared.work.segments.values(column)
        print(f"scored by {column} too{': ' if values else ''}{first_few(values, 8)}.")
    for remark in remarks_before(prepared):
        print(remark)
    cells = counted(len(prepared.work.cells), "cells")
    time = time_for(prepared, missing)
    print(f"{cells}, {len(missing)} to compute: {time_words(time, missing)}.")
    if words := quicker_form(prepared, time):
        print(f"For an answer within a minute a window: {words}.")


def cell_state(prepared: Prepared, missing: Sequence[Any], fold: int, model: str) -> str:
    """Return the state of a model's cells in a fold."""
    cells = [
        cell for cell in prepared.work.cells if cell.fold.index == fold and cell.model == model
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


def time_words(time: TimeEstimate | None, missing: Sequence[Any]) -> str:
    """The estimate in words."""
    if not missing:
        return "nothing to do"
    if time is None:
        return "time unknown, for a model here was never timed on this dataset"
    seconds = time.seconds
    text = (
        f"{seconds:.1f} s"
        if seconds < 10
        else f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} minutes"
    )
    about = f"at most about {text}" if time.at_most or time.by_budget else f"about {text}"
    if time.by_budget:
        return (
            f"{about} on one core, by budgets, which need not be used up, and by rows, steps, "
            f"trees and epochs"
        )
    if time.by_work:
        return (
            f"{about} on one core, by rows, steps, trees and epochs and this machine's speed: "
            f"within a factor of two"
        )
    return f"{about} on one core, by earlier timings{' of smaller cells' if time.at_most else ''}"


def align_columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns; a value longer than 40 letters does not widen its column."""
    widths = [
        max((len(cell) for cell in column if len(cell) <= 40), default=0)
        for column in zip(*rows, strict=True)
    ]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)
