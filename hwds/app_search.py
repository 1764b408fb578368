"""One search: trials on windows before the experiment's own, then the best of them alone on those."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from hwds.app_run import Finished, executed, executor_of, exit_code, recorded, say_warmed, tracked
from hwds.config.check import check
from hwds.config.spec import Experiment
from hwds.errors import CellError
from hwds.execution.prepare import Prepared, prepare
from hwds.execution.rounds import in_rounds
from hwds.execution.search import Search, prepare_search
from hwds.execution.search_estimate import ahead_of, time_told
from hwds.execution.search_tables import about, write_found
from hwds.execution.sweep import BASELINE, WAITING, Record, best_of
from hwds.execution.warm import warm_up_trials
from hwds.report.standings import Number, number, number_of
from hwds.report.sweep import Found, as_dict, as_page, conclusion, print_trials
from hwds.report.sweep_failures import print_failures
from hwds.report.sweep_importance import importance_of, importance_page
from hwds.report.sweep_line import SweepLine
from hwds.report.sweep_pictures import draw_sweep
from hwds.report.sweep_time import time_sentence
from hwds.results.folder import RunFolder
from hwds.results.going import ended
from hwds.results.tables import Tables


def search(experiment: Experiment, data: dict[str, Any]) -> int:
    """Try other settings on windows before the experiment's own, then run the best of them alone on those."""
    found = prepare_search(data, experiment)
    with found.folder.held(), tracked(experiment, found.folder.path):
        found, records, time_of = tried(found)
        best = best_of(found, records)
        table = write_found(found, records, best)
        found.folder.write_json(about(found, records))
        print_failures(table)
        if found.used_up and WAITING not in table["status"]:
            print(found.used_up)
        if best is None:
            raise CellError(f"sweep {found.folder.title}: no trial has all windows behind it. Finished cells are kept.")
        told = found_of(found, records, best, table)
        print_trials(told)
        own = untuned(found, told)
        prepared, tables = executed(check(dict(best.trial.data)), dict(best.trial.data), mirror=False)
        own_run = (own.prepared if own else prepared).folder.title if own or told.best == BASELINE else ""
        told, final = with_final(found, told, prepared, tables, own), {"run": prepared.folder.title, "own_run": own_run}
        show_found(found, records, told, final, time_of)
    failed = int(table["status"].is_in(["failed", "refused"]).sum())
    if failed:
        print(f"hwds: {failed} of {len(table)} trials failed; the others were compared.", file=sys.stderr)
    return max(exit_code(prepared, tables), 3 if failed else 0)


def tried(found: Search) -> tuple[Search, list[Record], dict[str, Any]]:
    """All trials, and the time they took beside what was foreseen; what is searched is in the folder before the first of them.

    Where nothing was computed now, the time is what the folder says of an earlier execution. The search that is returned has
    the trials that were proposed on the way, too.
    """
    folder, ahead = found.folder, ahead_of(found)
    earlier = folder.read_json().get("time", {}) if (folder.path / "sweep.json").is_file() else {}
    folder.write_json(about(found, time=earlier))
    keep_cells(found)
    say_warmed(warm_up_trials(found))
    line = SweepLine(found.most_trials, found.measure.short, found.better, len(found.rehearsal.folds))
    line.within(folder.path)
    began = time.monotonic()
    try:
        found, records = in_rounds(found, lambda part: executor_of(part.experiment).search(part, line))
    finally:
        line.end()
    ended(folder.path)
    keep_cells(found)
    foreseen = replace(ahead, core=None) if found.sweep.learns else ahead  # that was of the trials before any had a score
    return found, records, time_told(foreseen, records, time.monotonic() - began) or earlier


def keep_cells(found: Search) -> None:
    """Name the cells of all trials in the folder, so that they are not pruned."""
    RunFolder(found.folder.path).write_cells(key for lot in found.lots for key in lot.cells.values())


def show_found(found: Search, records: Sequence[Record], told: Found, final: dict[str, str], time_of: dict[str, Any]) -> None:
    """The sentences, the pictures and the page, in the folder and on the terminal.

    Args:
        found: The search.
        records: Of its trials.
        told: What came of it.
        final: The runs on the final windows: the best trial's (`run`), and that of the experiment as it stood (`own_run`).
        time_of: What the search took, and what was foreseen.
    """
    folder = found.folder
    runs = {record.trial.label: record.rungs for record in records if record.rungs}
    took = {record.trial.label: record.took for record in records if record.took}
    mattered, timed = importance_of(told, runs), time_sentence(time_of)
    remark = found.rehearsal.remark
    print("\n".join(line for line in (conclusion(told), remark, timed) if line))
    logarithmic = [leaf.path for leaf in found.leaves if leaf.kind == "loguniform"]
    pictures = draw_sweep(told, mattered, runs, took, logarithmic, folder.path)
    folder.write_page(
        as_page(told, f"Sweep {folder.title}", folder.command, (remark, timed, *pictures, importance_page(mattered)))
    )
    ends = {**as_dict(told), "importance": mattered.as_dict(), "time": time_of, **final}
    folder.write_json(about(found, records, **ends))
    executor_of(found.experiment).done(folder.path)
    print(f"Sweep: {folder.path}\nThe best settings run by `{folder.command}`.")


def found_of(found: Search, records: Sequence[Record], best: Record, table: pl.DataFrame) -> Found:
    """What the inner windows say."""
    own = number(records[BASELINE].score) if found.sweep.baseline else Number()
    windows, model = len(found.rehearsal.folds), found.experiment.model.name
    told = Found(table, found.measure, found.better, windows, best.trial.number, model)
    return replace(told, inner=number(best.score), own_inner=own)


def untuned(found: Search, told: Found) -> Finished | None:
    """The run of the experiment as it stood; None where that was not tried, or is the best trial itself."""
    first = found.trials[BASELINE]
    if not found.sweep.baseline or first.experiment is None or told.best == BASELINE:
        return None
    return recorded(prepare(first.experiment), dict(first.data), mirror=False)


def with_final(found: Search, told: Found, prepared: Prepared, tables: Tables, own: Finished | None) -> Found:
    """What the final windows say of the best trial, and of the experiment as it stood."""
    metric = found.measure.short
    final = number_of(tables, metric, prepared.experiment.model.name)
    if own is None:
        same = bool(found.sweep.baseline) and told.best == BASELINE
        return replace(told, final=final, own_final=final if same else Number())
    return replace(told, final=final, own_final=number_of(own.tables, metric, own.prepared.experiment.model.name))
