"""One run: from a typed experiment to tables, pictures and a sentence."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.config.spec import Experiment
from hwds.errors import CellError
from hwds.execution.base import Compute
from hwds.execution.prepare import Prepared, lay_frame, prepare, require_asked
from hwds.execution.run import evaluate
from hwds.execution.warm import warm_up
from hwds.recipe import uses_features
from hwds.report.decided import keep, page, print_verdict
from hwds.report.leaderboard import as_markdown
from hwds.report.leaderboard_plot import leaderboard_png
from hwds.report.progress import ProgressLine
from hwds.report.segments_plot import segments_png
from hwds.report.standings import Standings, standings
from hwds.report.tasks import draw_of, draw_scores_of, page_grids, print_run, said_of
from hwds.results.atomic import write_text
from hwds.results.going import ended
from hwds.results.provenance import provenance
from hwds.results.tables import Tables
from hwds.results.verdict import Verdict
from hwds.tracking.beside import mirrored


@dataclass(frozen=True, eq=False)
class Finished:
    """A run whose folder is written.

    Attributes:
        prepared: What it was before its first cell.
        tables: What it computed.
        board: Its leaderboard.
        said: What it shows, in a sentence or two.
        verdict: What was decided; None for nothing.
    """

    prepared: Prepared
    tables: Tables
    board: Standings
    said: str
    verdict: Verdict | None


def executed(experiment: Experiment, data: dict[str, Any], *, mirror: bool = True) -> tuple[Prepared, Tables]:
    """One run, its folder written, its results shown and, with `mirror`, told to its tracker."""
    found = recorded(prepare(experiment), data, mirror=mirror, showing=True)
    return found.prepared, found.tables


def recorded(
    prepared: Prepared,
    data: dict[str, Any],
    progress: ProgressLine | None = None,
    *,
    mirror: bool = True,
    showing: bool = False,
) -> Finished:
    """One run, its folder written and, with `mirror`, told to its tracker; its results are shown only with `showing`."""
    require_asked(prepared)
    with prepared.folder.held(), tracked(prepared.experiment, prepared.folder.path) if mirror else nullcontext():
        prepared.folder.write_config(data)
        prepared.folder.write_provenance(_provenance(prepared))
        prepared.folder.write_cells(prepared.work.cells.values())
        tables = compute(prepared, progress)
        prepared.folder.write_tables(tables)
        ended(prepared.folder.path)
        if prepared.experiment.save_model == "final":
            from hwds.execution.final import save_final

            save_final(prepared)
        found = conclude(prepared, tables)
        if showing:
            show(found)
        executor_of(prepared.experiment).done(prepared.folder.path)
    return found


def tracked(experiment: Experiment, folder: Path) -> AbstractContextManager[None]:
    """What mirrors a folder when the block has written it; a tracker that fails is a line on the standard error."""
    return mirrored(experiment.tracker, folder, print, lambda said: print(f"hwds: {said}", file=sys.stderr))


def compute(prepared: Prepared, progress: ProgressLine | None = None) -> Tables:
    """All cells of a prepared run, and the tables they make."""
    executor = executor_of(prepared.experiment)
    lay_frame(prepared.frame, prepared.job.frame_folder)
    say_warmed(warm_up(prepared))
    progress = progress or ProgressLine()
    progress.within(prepared.folder.path)
    try:
        return evaluate(prepared.job, prepared.frame, prepared.work, executor, prepared.cache, progress)
    finally:
        progress.end()


def say_warmed(took: Mapping[str, float]) -> None:
    """What was compiled before the first cell."""
    if took:
        print(f"Compiled once, and kept: {', '.join(f'{label} {seconds:.1f} s' for label, seconds in took.items())}.")


def executor_of(experiment: Experiment) -> Compute:
    """What computes its cells."""
    assert isinstance(experiment.compute, Compute)
    return experiment.compute


def conclude(prepared: Prepared, tables: Tables) -> Finished:
    """The leaderboard, the pictures and the sentence, in the folder."""
    folder, model = prepared.folder, prepared.experiment.model.name
    board = standings(tables, prepared.job.protocol.headline, model=model)
    said = said_of(prepared.job.protocol.task, prepared.frame, tables, board, model)
    folder.write_conclusion(said)
    verdict = decide(prepared, tables)
    told = said if verdict is None else f"{said}\n\n{page(verdict)}"
    write_text(folder.path / "leaderboard.md", as_markdown(tables, board, told, page_grids(tables, board)))
    folder.write_remarks(remarks(prepared, tables))
    draw(prepared, tables, board)
    return Finished(prepared, tables, board, said, verdict)


def show(found: Finished) -> None:
    """The leaderboard, the sentence, what was decided and what is to be known, on the terminal."""
    print_run(found.tables, found.board, found.said)
    if found.verdict is not None:
        print_verdict(found.verdict)
    for note in notes(found.prepared, found.tables):
        print(note)
    print(f"Results: {found.prepared.folder.path}")


def decide(prepared: Prepared, tables: Tables) -> Verdict | None:
    """What follows from the results, in the folder too; None where nothing is to be decided."""
    experiment: Any = prepared.experiment
    verdict: Verdict | None = experiment.decision.decide(tables, prepared.frame, experiment.model.name, prepared.job.protocol)
    keep(prepared.folder, verdict)
    return verdict


def draw(prepared: Prepared, tables: Tables, board: Standings) -> None:
    """The leaderboard's picture, and those of the task."""
    folder = prepared.folder.path
    leaderboard_png(board, folder / "leaderboard.png")
    segments_png(tables, board, folder / "segments.png")
    draw_of(prepared.job.protocol.task, prepared.frame, tables, prepared.experiment.model.name, folder)
    draw_scores_of(prepared.job.protocol.task, tables, board, folder)


def remarks(prepared: Prepared, tables: Tables) -> list[str]:
    """What a reader of the numbers would want to be told: features that nobody used, units that were not asked."""
    experiment = prepared.experiment
    said = []
    used = any(uses_features(model) for model in experiment.models.values())
    if experiment.features.name != "none" and not used:
        said.append(f"Features '{experiment.features.name}' were not used: no model here reads a feature set.")
    said += prepared.job.protocol.remarks(prepared.frame)
    return said + prepared.job.protocol.notes(prepared.work.folds, tables.predictions)


def notes(prepared: Prepared, tables: Tables) -> list[str]:
    """The remarks, where more is to be read, and failures."""
    said = remarks(prepared, tables)
    if prepared.job.protocol.segments:
        said.append(f"The scores by {', '.join(prepared.job.protocol.segments)} are in leaderboard.md.")
    failed = tables.timings.filter(tables.timings["status"] != "ok")
    return said + [f"FAILED {row['model']}, fold {row['fold']}: {row['status']}" for row in failed.head(5).to_dicts()]


def exit_code(prepared: Prepared, tables: Tables) -> int:
    """0; 3 where some cells failed within the limit.

    Raises:
        CellError: More failed than `compute.max_failed`.
    """
    failed = int((tables.timings["status"] != "ok").sum())
    assert isinstance(prepared.experiment.compute, Compute)
    limit = prepared.experiment.compute.max_failed
    if failed > limit:
        raise CellError(
            f"{failed} of {len(tables.timings)} cells failed; compute.max_failed is {limit}. Finished cells are kept."
        )
    if failed:
        print(f"hwds: {failed} of {len(tables.timings)} cells failed, within compute.max_failed={limit}.", file=sys.stderr)
    return 3 if failed else 0


def _provenance(prepared: Prepared) -> dict[str, Any]:
    job = prepared.job
    told = provenance(data=prepared.frame.fingerprint, code=prepared.code, threads=job.cpus, device=job.device)
    vintages = getattr(prepared.frame, "vintages", None)
    return told | ({"joined": dict(vintages.sources)} if vintages else {})
