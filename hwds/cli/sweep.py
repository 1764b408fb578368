"""One sweep: trials on inner windows, then the winner, the best trial, on the final windows."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from hwds.cli.run import (
    RunResult,
    exit_code,
    label_folder,
    mirroring,
    print_compiled,
    run_experiment,
    run_prepared,
)
from hwds.core.cache import collect_inputs
from hwds.core.errors import CellError, HwdsError
from hwds.core.files import write_text
from hwds.evaluation.cells import lay_frame
from hwds.evaluation.workers import kept_workers, try_own_code
from hwds.experiment.prepare import prepare
from hwds.experiment.spec import Experiment, check
from hwds.report.pages import BASELINE_NOTE, sweep_page
from hwds.report.pictures import save_png
from hwds.report.progress import SweepLine
from hwds.report.standings import ScoreValue, number_of, score_number
from hwds.report.sweep import (
    SweepResult,
    TunedEffect,
    print_failures,
    print_sweep,
    result_as_dict,
    space_grid,
    sweep_markdown,
    time_sentence,
)
from hwds.report.sweep_pictures import (
    draw_sweep,
    front_figure,
    front_page,
    front_sentence,
    importance_of,
    importance_page,
)
from hwds.results.folder import RunFolder
from hwds.results.index import delete_progress
from hwds.results.records import write_learning
from hwds.results.sweep_folder import PAGE, SweepFolder, candidates
from hwds.search.drive import run_trials, warm_up_trials
from hwds.search.results import estimate_of, front_of, sweep_json, time_record, write_results
from hwds.search.rungs import WAITING, TrialRecord, best_trial, run_rounds
from hwds.search.sweep import Search, prepare_search
from hwds.search.trials import BASELINE, earlier_trials_sentence


def run_sweep(experiment: Experiment, data: dict[str, Any]) -> tuple[int, SweepFolder]:
    """Try other settings on the inner windows, which lie before the final ones; then score the
    winner, and the untuned experiment, on the final windows.

    Returns:
        The exit code of the process, 3 where some trials or cells failed; and the folder.

    Raises:
        CellError: No trial finished all windows.
    """
    search = prepare_search(data, experiment)
    with search.folder.lock(), mirroring(experiment, search.folder.path), kept_workers():
        with collect_inputs() as inputs:
            search, records, time_of = run_all_trials(search)
            best = best_trial(search, records)
            table = write_results(search, records, best)
        if inputs:
            RunFolder(search.folder.path).write_inputs(inputs)
        search.folder.write_json(sweep_json(search, records))
        if best is None:
            print_failures(table)
            raise CellError(
                f"sweep {search.folder.title}: {why_none(search, records)}. Finished cells are "
                f"kept."
            )
        result = inner_result(search, records, best, table)
        untuned = run_untuned(search, result)
        run = run_experiment(check(dict(best.trial.data)), dict(best.trial.data), mirror=False)
        untuned_title = (
            (untuned or run).prepared.folder.title if untuned or result.best == BASELINE else ""
        )
        titles = {"run": run.prepared.folder.title, "own_run": untuned_title}
        write_result(search, records, with_final(search, result, run, untuned), titles, time_of)
    failed = int(table["status"].is_in(["failed", "refused"]).sum())
    if failed:
        print(
            f"hwds: {failed} of {len(table)} trials failed; the others were compared.",
            file=sys.stderr,
        )
    return max(exit_code(run), 3 if failed else 0), search.folder


def run_all_trials(search: Search) -> tuple[Search, list[TrialRecord], dict[str, Any]]:
    """Run all trials, and return the time they took beside the estimate.

    The search is in the folder before the first of them.

    Where nothing was computed now, the time is that of an earlier execution, from the folder. The
    search that is returned has the trials that were proposed on the way, too.
    """
    folder, estimate = search.folder, estimate_of(search)
    earlier = folder.read_json().get("time", {}) if (folder.path / "sweep.json").is_file() else {}
    folder.write_evidence([each._asdict() for each in search.evidence])
    folder.write_json(sweep_json(search, time=earlier))
    write_cells(search)
    label_folder(folder.path, search.experiment)
    try_own_trial(search)
    print_compiled(warm_up_trials(search))
    if reused := earlier_trials_sentence(search.sources):
        print(reused)
    line = SweepLine(
        search.most_trials, search.measure.short, search.better, len(search.tuning_split.folds)
    )
    line.record_in(folder.path)
    began = time.monotonic()
    try:
        search, records = run_rounds(search, lambda part: run_trials(part, line))
    finally:
        line.end()
    delete_progress(folder.path)
    write_learning(folder.path)
    write_cells(search)
    return search, records, time_record(estimate, records, time.monotonic() - began) or earlier


def try_own_trial(search: Search) -> None:
    """Try the code of a user's own on toys, as the experiment stands, where that has cells to
    compute.

    Raises:
        ConfigError: It fails, or returns what it must not.
    """
    first = search.trials[0]
    if first.experiment is None:
        return
    if not search.is_cached(first):
        group = search.group_of(first)
        lay_frame(group.frame, group.job.frame_folder)
        try_own_code(group.job, group.frame, search.tuning_split.folds[0], {first.label})


def write_cells(search: Search) -> None:
    """Name the cells of all trials in the folder, so that they are not pruned."""
    RunFolder(search.folder.path).write_cells(search.cells.values())


def why_none(search: Search, records: Sequence[TrialRecord]) -> str:
    """Return why no trial finished all windows."""
    if not all(record.undefined for record in records):
        return "no trial has all windows behind it"
    return (
        f"{search.measure.short} is undefined on the inner windows of every trial, as where the "
        f"history before them is too"
        " short for it; sweep.metric=NAME compares by another metric, and fewer or shorter final "
        "windows leave a longer history"
    )


def write_result(
    search: Search,
    records: Sequence[TrialRecord],
    result: SweepResult,
    titles: dict[str, str],
    time_of: dict[str, Any],
) -> None:
    """Write the sentences, the pictures and the page into the folder, and print the result.

    Args:
        search: The search.
        records: The records of its trials.
        result: Its result.
        titles: The runs on the final windows: the best trial's (`run`), and that of the experiment
            as it stood (`own_run`).
        time_of: The time that the search took, and the estimate.
    """
    folder = search.folder
    runs = {record.trial.label: record.rungs for record in records if record.rungs}
    took = {record.trial.label: record.took for record in records if record.took}
    importance, timed = importance_of(result, runs), time_sentence(time_of)
    remark = search.tuning_split.remark
    front = front_of(search, records)
    logarithmic = [leaf.path for leaf in search.leaves if leaf.kind == "loguniform"]
    drawn = search.experiment.pictures is not False
    first = f"{BASELINE_NOTE}\n\n" if search.sweep.baseline else ""
    space = f"{first}## What was searched\n\n{space_grid(sweep_json(search)['space']).markdown()}"
    pictures = draw_sweep(result, importance, runs, took, logarithmic, folder.path) if drawn else []
    of_front = front_page(
        front,
        result.trials,
        drawn=save_png(
            front_figure(front, result.best) if drawn else None, folder.path / "front.png"
        ),
    )
    parts = (remark, timed, *pictures, of_front, importance_page(importance), space)
    folder.write_page(sweep_markdown(result, f"Sweep {folder.title}", folder.command, parts))
    ends = {
        **result_as_dict(result),
        "importance": importance.as_dict(),
        "time": time_of,
        "front": front,
        **titles,
    }
    folder.write_json(sweep_json(search, records, **ends))
    write_text(folder.path / PAGE, sweep_page(folder).html())
    search.experiment.compute.done(folder.path)
    used_up = search.used_up if WAITING not in result.trials["status"] else ""
    print_sweep(folder, result, [used_up, remark, front_sentence(front)], [timed])


def inner_result(
    search: Search, records: Sequence[TrialRecord], best: TrialRecord, table: pl.DataFrame
) -> SweepResult:
    """Return the result on the inner windows."""
    untuned = score_number(records[BASELINE].score) if search.sweep.baseline else ScoreValue()
    windows, model = len(search.tuning_split.folds), search.experiment.model.name
    result = SweepResult(table, search.measure, search.better, windows, best.trial.number, model)
    return replace(result, inner=score_number(best.score), untuned_inner=untuned)


def run_untuned(search: Search, result: SweepResult) -> RunResult | None:
    """Run the experiment as it stood.

    None where that was not tried, or is the best trial itself.
    """
    first = search.trials[BASELINE]
    if not search.sweep.baseline or first.experiment is None or result.best == BASELINE:
        return None
    return run_prepared(prepare(first.experiment), dict(first.data), mirror=False)


def with_final(
    search: Search, result: SweepResult, run: RunResult, untuned: RunResult | None
) -> SweepResult:
    """Return the result with the scores on the final windows: of the best trial, and of the
    experiment as it stood.
    """

    def final_of(each: RunResult) -> ScoreValue:
        return number_of(each.tables, search.measure.short, each.prepared.experiment.model.name)

    if untuned is not None:
        tuned = tuned_effect(run, untuned, search.measure.short, candidates(result.trials))
        return replace(result, final=final_of(run), untuned_final=final_of(untuned), tuned=tuned)
    same = search.sweep.baseline and result.best == BASELINE
    return replace(
        result, final=final_of(run), untuned_final=final_of(run) if same else ScoreValue()
    )


def tuned_effect(run: RunResult, untuned: RunResult, metric: str, choices: int) -> TunedEffect:
    """Return by how much the best trial is better, as `hwds compare --sweep` says it.

    Args:
        run: The best trial's.
        untuned: The run of the experiment as it stood.
        metric: The short name of the metric that trials were compared by.
        choices: The number of trials that the best was chosen of.

    Returns:
        The reason in place of numbers where the two cannot be compared.
    """
    from hwds.stats.compare import compare
    from hwds.stats.sources import RunSource, model_labels

    try:
        tuned, stood_run = RunSource.read([each.prepared.folder for each in (run, untuned)])
        sources = [tuned.with_config_of(stood_run), stood_run]
        best, stood = (
            labels[source.model]
            for labels, source in zip(model_labels(sources), sources, strict=True)
        )
        found = compare(sources, metric=metric, model=best, remember=True, choices=choices)
    except HwdsError as error:
        return TunedEffect(reason=str(error))
    row = next(row for row in found.pairs.iter_rows(named=True) if row["rival"] == stood)
    reason = row["method"] if row["low"] is None else ""
    return TunedEffect(row["effect"], row["low"], row["high"], row["p_value"], reason)
