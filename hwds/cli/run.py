"""One run: from a typed experiment to tables, pictures and a sentence."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.cache import collect_inputs
from hwds.core.errors import CellError, DataError, HwdsError
from hwds.core.extras import NOT_INSTALLED
from hwds.core.secrets import without_secrets
from hwds.evaluation.cells import lay_frame
from hwds.evaluation.protocol import KnowsTruth, Segmentable, SkillTested
from hwds.evaluation.run_cells import evaluate_cells
from hwds.evaluation.workers import kept_workers, try_own_code
from hwds.experiment.prepare import (
    Prepared,
    missing_cells,
    prepare,
    remarks_before,
    require_asked,
    warm_up,
)
from hwds.experiment.spec import Experiment, check_stored
from hwds.frames.roles import TIME
from hwds.report.hooks import TaskReport, task_report
from hwds.report.leaderboard import leaderboard_figure, leaderboard_markdown, segments_figure
from hwds.report.pictures import save_png
from hwds.report.progress import ProgressLine
from hwds.report.standings import Standings, standings
from hwds.report.words import NOT_SURE, verdict_word
from hwds.results.files import refuse_damage, write_markdown
from hwds.results.folder import RunFolder
from hwds.results.index import delete_progress
from hwds.results.records import LABELS_FILE, Labels, provenance, write_learning
from hwds.results.tables import BY_FALLBACK, Tables, Verdict

# The pictures of a run: drawn with it, or later from its stored tables, when its page is asked
# for.


def report_of(experiment: Experiment) -> TaskReport:
    """Return the report of the task of an experiment's protocol."""
    return task_report(type(experiment.protocol), experiment.protocol.task)


def draw(
    folder: RunFolder,
    experiment: Experiment,
    frame: Any,
    tables: Tables,
    board: Standings,
    verdict: Verdict | None,
) -> None:
    """Draw the pictures of the verdict and of the task, and the leaderboard's where models are
    ranked.
    """
    from hwds.report.verdict import draw_verdict

    path, report = folder.path, report_of(experiment)
    with folder.drawing():
        if verdict is not None:
            draw_verdict(folder, type(experiment.decision), verdict)
        if report.ranks:
            save_png(leaderboard_figure(board), path / "leaderboard.png")
        save_png(segments_figure(tables, board), path / "segments.png")
        report.pictures(frame, tables, board, experiment.model.name, path)


def draw_missing(folder: RunFolder, tables: Tables) -> None:
    """Draw the pictures of a finished run, to the bytes that its own command draws with
    `pictures=true`.

    Raises:
        HwdsError: Its data is not there or has changed; there are no pictures then, not even an
            earlier command's.
    """
    folder.delete_pictures()
    experiment = check_stored(folder.read_config(secrets=True))
    protocol, model = experiment.protocol, experiment.model.name
    frame = protocol.prepare_frame(experiment.dataset.frame())
    if frame.fingerprint != folder.read_provenance()["data"]:
        raise DataError(
            f"dataset: has changed since run {folder.title}, so its pictures cannot be drawn."
        )
    decided = bool((folder.read_verdict() or {}).get("tables"))
    verdict = experiment.decision.decide(tables, frame, model, protocol) if decided else None
    draw(
        folder,
        experiment,
        frame,
        tables,
        standings(tables, protocol.headline, model=model),
        verdict,
    )


def drawn_run(name: str) -> RunFolder:
    """Return a run whose pictures are drawn where they are not yet; why they cannot be drawn is a
    line on the standard error.

    Raises:
        ConfigError: There is no such run.
        HwdsError: The run is not finished.
    """
    folder = RunFolder.find(name)
    if folder.undrawn:
        tables = folder.read_tables()
        try:
            draw_missing(folder, tables)
        except HwdsError as error:
            print(f"hwds: no pictures: {without_secrets(str(error))}", file=sys.stderr)
    return folder


# One run: from a typed experiment to tables, pictures and a sentence.


@dataclass(frozen=True, eq=False)
class RunResult:
    """A run whose folder is written.

    Attributes:
        prepared: The run before its first cell.
        tables: Its result tables.
        standings: Its leaderboard.
        conclusion: What it shows, in a sentence or two.
        verdict: The verdict of its decision; None for none.
    """

    prepared: Prepared
    tables: Tables
    standings: Standings
    conclusion: str
    verdict: Verdict | None


def run_experiment(
    experiment: Experiment, data: dict[str, Any], *, mirror: bool = True
) -> RunResult:
    """Run an experiment, write its folder and print its results.

    With `mirror`, mirror it to its tracker.
    """
    return run_prepared(prepare(experiment), data, mirror=mirror, show=True)


def run_prepared(
    prepared: Prepared,
    data: dict[str, Any],
    progress: ProgressLine | None = None,
    *,
    mirror: bool = True,
    show: bool = False,
) -> RunResult:
    """Run what is prepared and write its folder.

    `mirror` mirrors it to its tracker, and `show` prints its results.
    """
    require_asked(prepared)
    began = time.perf_counter()
    if show and hasattr(prepared.experiment.dataset, "accept"):  # a user's own rows
        say_findings(prepared)
    with (
        prepared.folder.lock(),
        mirroring(prepared.experiment, prepared.folder.path) if mirror else nullcontext(),
    ):
        prepared.folder.write_config(data)
        prepared.folder.write_provenance(_provenance(prepared))
        prepared.folder.write_cells(prepared.work.cells.values())
        label_folder(prepared.folder.path, prepared.experiment)
        with collect_inputs() as inputs, kept_workers():
            try_missing(prepared)
            tables = compute_tables(prepared, progress)
        require_no_worse(prepared.folder, tables)
        if found := {**(prepared.job.inputs or {}), **inputs}:
            prepared.folder.write_inputs(found)
        write_learning(prepared.folder.path)
        prepared.folder.write_tables(tables)
        delete_progress(prepared.folder.path)
        if prepared.experiment.save_model == "final":
            from hwds.experiment.final_model import save_final

            save_final(prepared)
        result = conclude_run(prepared, tables, look=show)
        if show:
            print_result(result, time.perf_counter() - began)
        prepared.experiment.compute.done(prepared.folder.path)
    return result


def say_findings(prepared: Prepared) -> None:
    """Print what the data cannot bear, in at most three lines on the standard error."""
    from hwds.datasets.reading.traps import first_lines

    for line in first_lines(prepared.experiment.dataset, prepared.frame):
        print(line, file=sys.stderr)


def label_folder(folder: Path, experiment: Experiment) -> None:
    """Give a run or a sweep the tags and the note of its config, beside the tags that it has."""
    with refuse_damage(folder / LABELS_FILE):
        before = Labels.read(folder)
    labels = before.with_tags(experiment.tags)
    labels = labels.with_note(experiment.note) if experiment.note else labels
    if labels != before:
        labels.write(folder)


def require_no_worse(folder: RunFolder, tables: Tables) -> None:
    """Refuse to overwrite the results of an earlier run of the same config in which fewer cells
    failed.

    Raises:
        CellError: It has such results.
    """
    try:
        before = failures(folder.read_tables().timings)
    except HwdsError:  # not finished, or damaged
        return
    if (now := failures(tables.timings)) > before:
        earlier = f"the earlier results of {folder.title}, with {before or 'no'} failures, are kept"
        raise CellError(f"{now} of {len(tables.timings)} cells failed; {earlier}.")


def failures(timings: pl.DataFrame) -> int:
    """Return the number of cells that failed."""
    return int((timings["status"] != "ok").sum())


def mirroring(experiment: Experiment, folder: Path) -> AbstractContextManager[None]:
    """Return a block after which a folder is mirrored.

    A tracker that fails is a line on the standard error.
    """
    if not experiment.tracker.parts():
        return nullcontext()
    from hwds.track.mirroring import mirroring_processes

    return mirroring_processes(
        experiment.tracker,
        folder,
        print,
        lambda message: print(f"hwds: {message}", file=sys.stderr),
    )


def compute_tables(prepared: Prepared, progress: ProgressLine | None = None) -> Tables:
    """Compute the cells of a prepared run that are missing, and return the tables of all."""
    lay_frame(prepared.frame, prepared.job.frame_folder)
    print_compiled(warm_up(prepared))
    progress = progress or ProgressLine()
    progress.record_in(prepared.folder.path)
    try:
        return evaluate_cells(
            prepared.job,
            prepared.frame,
            prepared.work,
            prepared.experiment.compute,
            prepared.cache,
            progress,
        )
    finally:
        progress.end()


def try_missing(prepared: Prepared) -> None:
    """Try the code of a user's own that has cells to compute on toys.

    Raises:
        ConfigError: It fails, or returns what it must not.
    """
    labels = {cell.model for cell in missing_cells(prepared)}
    if labels:
        lay_frame(prepared.frame, prepared.job.frame_folder)
        try_own_code(prepared.job, prepared.frame, prepared.work.folds[0], labels)


def print_compiled(seconds: Mapping[str, float]) -> None:
    """Print the seconds that compiling took before the first cell, by model."""
    if seconds:
        print(
            f"Compiled once, and kept: "
            f"{', '.join(f'{label} {took:.1f} s' for label, took in seconds.items())}."
        )


def conclude_run(prepared: Prepared, tables: Tables, *, look: bool) -> RunResult:
    """Write the leaderboard, the pictures, the conclusion and the verdict into the folder, and
    return the result.

    Args:
        prepared: The run.
        tables: Its tables.
        look: Whether its conclusion is shown, which counts as a look at the model.
    """
    from hwds.report.verdict import verdict_markdown

    folder, model = prepared.folder, prepared.experiment.model.name
    board = standings(tables, prepared.job.protocol.headline, model=model)
    report = report_of(prepared.experiment)
    shown, note = at_this_look(prepared, tables, board) if look else (board, "")
    doubts, config = _doubts(prepared, tables, shown), folder.read_config()
    said = report.conclusion(prepared.frame, tables, shown, model, config, doubts)
    conclusion = "\n".join([said, *note])
    folder.write_conclusion(conclusion)
    verdict = decide_run(prepared, tables)
    text = (
        conclusion
        if verdict is None
        else f"{conclusion}\n\n{verdict_markdown(type(prepared.experiment.decision), verdict)}"
    )
    write_markdown(
        folder.path / "leaderboard.md",
        leaderboard_markdown(tables, board, text, report.page_tables(tables, board)),
    )
    folder.write_remarks(run_remarks(prepared, tables))
    if prepared.experiment.draws:
        draw(folder, prepared.experiment, prepared.frame, tables, board, verdict)
    else:
        folder.leave_undrawn()
    return RunResult(prepared, tables, board, conclusion, verdict)


def at_this_look(
    prepared: Prepared, tables: Tables, board: Standings
) -> tuple[Standings, list[str]]:
    """Return the standings for the sentence, from the second look at the model on with an interval
    that holds at all looks, and the note on it.
    """
    own, protocol = board.own, prepared.job.protocol
    if own is None or own.skill.low is None or not isinstance(protocol, SkillTested):
        return board, []
    found = protocol.skill_at_all_looks(tables.predictions)
    if found is None:
        return board, []
    from hwds.stats.sources import look_note, look_number, looked_model

    skill, seen = found
    config, reference = prepared.folder.read_config(), board.measure.reference
    models = [looked_model(config, own.model, config["model"], reference), [reference]]
    number = look_number(config, board.headline, models, seen)
    if number == 1:
        return board, []
    wide = replace(own, skill=replace(own.skill, low=skill.low, high=skill.high))
    return replace(board, own=wide), [look_note(number, own.skill.low, own.skill.high)]


def _doubts(prepared: Prepared, tables: Tables, board: Standings) -> list[str]:
    """Return what the difference of the run's model from the reference rests on."""
    protocol, own = prepared.job.protocol, board.own
    if not isinstance(protocol, Segmentable) or own is None:
        return []
    sure = verdict_word(own.skill.low, own.skill.high) != NOT_SURE
    return list(protocol.doubts(prepared.frame, tables.predictions, sure=sure))


PACK_WORDS = "decision_pack.html and decision_pack.xlsx are for those who decide"


def print_result(result: RunResult, seconds: float | None = None) -> None:
    """Print the results of a run, which took so many seconds."""
    from hwds.report.verdict import decision_grids

    prepared, verdict = result.prepared, result.verdict
    tables, experiment = result.tables, prepared.experiment
    show_stored(
        prepared.folder,
        tables,
        result.standings,
        report_of(experiment),
        said=result.conclusion,
        decided=verdict.sentence if verdict else "",
        action=verdict.action if verdict else "",
        decision=decision_grids(type(experiment.decision), verdict) if verdict else (),
        remarks=run_remarks(prepared, tables),
        seconds=seconds,
        report=f"hwds report {prepared.folder.title.partition('/')[0]}",
        **({} if experiment.decision_pack == "none" else {"next": PACK_WORDS}),
    )


def show_stored(
    folder: RunFolder, tables: Tables, board: Standings, task: TaskReport, **said: Any
) -> None:
    """Print the results of a run whose folder is written.

    Args:
        folder: Its folder.
        tables: Its tables.
        board: Its standings.
        task: The report of its task.
        said: Other fields of `Shown`, `remarks` among them.
    """
    from hwds.report.verdict import Shown, print_shown, run_title

    config = folder.read_config()
    failed = tables.timings.filter(tables.timings["status"] != "ok").head(5).to_dicts()
    lost = [f"FAILED {row['model']}, fold {row['fold']}: {row['status']}" for row in failed]
    weighty = (BY_FALLBACK, NOT_INSTALLED)
    lost += [each for each in said["remarks"] if any(words in each for words in weighty)]
    print_shown(
        Shown(
            title=run_title(config, board),
            grids=task.first_tables(tables, board),
            notes=[*lost, *task.notes(board, said["remarks"])],
            files=folder.path,
            **{"next": task.next(config, board) if task.next and board.own else "", **said},
        )
    )


def decide_run(prepared: Prepared, tables: Tables) -> Verdict | None:
    """Write the verdict on the results into the folder, and return it.

    None where nothing is to be decided.
    """
    experiment = prepared.experiment
    verdict = experiment.decision.decide(
        tables, prepared.frame, experiment.model.name, prepared.job.protocol
    )
    if verdict is None and prepared.folder.read_verdict() is None:
        return None
    from hwds.report.verdict import store_pack, store_verdict

    store_verdict(prepared.folder, type(experiment.decision), verdict)
    store_pack(prepared.folder.path, type(experiment.decision), verdict, experiment.decision_pack)
    return verdict


def run_remarks(prepared: Prepared, tables: Tables) -> list[str]:
    """Return what a reader of the numbers should know: features that no model used, units that were
    not evaluated.
    """
    protocol = prepared.job.protocol
    after = protocol.warnings_after(prepared.work.folds, tables.predictions)
    if isinstance(protocol, KnowsTruth):
        after += protocol.warnings_by_truth(prepared.frame, tables.predictions)
    return [*remarks_before(prepared), *after]


def failed_cells(result: RunResult) -> int:
    """Return how many cells failed.

    Raises:
        CellError: They are more than `compute.max_failed`.
    """
    timings, limit = result.tables.timings, result.prepared.experiment.compute.max_failed
    failed = failures(timings)
    if failed > limit:
        raise CellError(
            f"{failed} of {len(timings)} cells failed; compute.max_failed is {limit}. Finished "
            f"cells are kept."
        )
    return failed


def exit_code(result: RunResult) -> int:
    """Return 0, or 3 where some cells failed within the limit, which is printed to the standard
    error.

    Raises:
        CellError: More failed than `compute.max_failed`.
    """
    failed, limit = failed_cells(result), result.prepared.experiment.compute.max_failed
    if failed:
        print(
            f"hwds: {failed} of {len(result.tables.timings)} cells failed, within "
            f"compute.max_failed={limit}.",
            file=sys.stderr,
        )
    return 3 if failed else 0


def _provenance(prepared: Prepared) -> dict[str, Any]:
    job = prepared.job
    facts = provenance(
        data=prepared.frame.fingerprint, code=prepared.code, threads=job.cpus, device=job.device
    )
    facts |= {} if job.inputs is None else {"walls": job.sealed}
    facts |= {"extent": _extent(prepared.frame)}
    vintages = getattr(prepared.frame, "vintages", None)
    return facts | ({"joined": dict(vintages.sources)} if vintages else {})


def _extent(frame: Any) -> dict[str, Any]:
    """Return the number of rows of data, and its first and last time; less if it has none."""
    table = getattr(frame, "table", getattr(frame, "data", None))
    if not isinstance(table, pl.DataFrame):
        return {}
    named = getattr(frame, "roles", {}).get("time", ()) if TIME not in table.columns else (TIME,)
    times = table[named[0]].drop_nulls() if named else pl.Series()
    ends = {"first": str(times.min()), "last": str(times.max())} if len(times) else {}
    return {"rows": len(table)} | ends
