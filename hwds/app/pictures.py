"""The pictures of a run: drawn with it, or later from its stored tables, when its page is asked for."""

from __future__ import annotations

import sys
from typing import Any

from hwds.core.errors import DataError, HwdsError
from hwds.core.secrets import without_secrets
from hwds.experiment.check import check
from hwds.experiment.spec import Experiment
from hwds.report.hooks import TaskReport, task_report
from hwds.report.pictures.leaderboard import leaderboard_figure
from hwds.report.pictures.segments import segments_figure
from hwds.report.pictures.style import save_png
from hwds.report.standings import Standings, standings
from hwds.report.verdict import draw_verdict
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables
from hwds.results.verdict import Verdict


def report_of(experiment: Experiment) -> TaskReport:
    """Return the report of the task of an experiment's protocol."""
    return task_report(type(experiment.protocol), experiment.protocol.task)


def draw(
    folder: RunFolder, experiment: Experiment, frame: Any, tables: Tables, board: Standings, verdict: Verdict | None
) -> None:
    """Draw the pictures of the verdict and of the task, and the leaderboard's where models are ranked."""
    path, report = folder.path, report_of(experiment)
    with folder.drawing():
        if verdict is not None:
            draw_verdict(folder, type(experiment.decision), verdict)
        if report.ranks:
            save_png(leaderboard_figure(board), path / "leaderboard.png")
        save_png(segments_figure(tables, board), path / "segments.png")
        report.pictures(frame, tables, board, experiment.model.name, path)


def draw_missing(folder: RunFolder, tables: Tables) -> None:
    """Draw the pictures of a finished run, to the bytes that its own command draws with `pictures=true`.

    Raises:
        HwdsError: Its data is not there or has changed; there are no pictures then, not even an earlier command's.
    """
    folder.delete_pictures()
    experiment = check(folder.read_config(secrets=True))
    protocol, model = experiment.protocol, experiment.model.name
    frame = protocol.prepare_frame(experiment.dataset.frame())
    if frame.fingerprint != folder.read_provenance()["data"]:
        raise DataError(f"dataset: has changed since run {folder.title}, whose pictures are not drawn yet.")
    decided = bool((folder.read_verdict() or {}).get("tables"))
    verdict = experiment.decision.decide(tables, frame, model, protocol) if decided else None
    draw(folder, experiment, frame, tables, standings(tables, protocol.headline, model=model), verdict)


def draw_or_say(folder: RunFolder) -> None:
    """Draw the pictures of a run; why they cannot be drawn is a line on the standard error.

    Raises:
        HwdsError: The run is not finished.
    """
    tables = folder.read_tables()
    try:
        draw_missing(folder, tables)
    except HwdsError as error:
        print(f"hwds: no pictures: {without_secrets(str(error))}", file=sys.stderr)


def pictures_line(folder: RunFolder) -> str:
    """Return the line of a run without pictures: the command that draws them."""
    return f"Pictures are drawn when they are asked for: hwds report {folder.title}"
