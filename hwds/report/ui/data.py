"""What the local page shows of runs, sweeps and streams, and the changes that a click makes."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import polars as pl
from polars import col

from hwds.core.checksums import read_json
from hwds.core.errors import ConfigError, HwdsError, ResumeError
from hwds.core.secrets import data_without_secrets, without_secrets
from hwds.report.sweep import SPACE_TITLES, TRIAL_COLUMNS, space_rows
from hwds.results.folder import RunFolder
from hwds.results.index import (
    FieldValue,
    RunIndex,
    current_fields,
    matching_folders,
    order_folders,
    parse_condition,
)
from hwds.results.records import (
    STREAM_ALERTS,
    STREAM_PROGRESS,
    STREAMS_FOLDER,
    Labels,
    read_learning,
)
from hwds.results.sweep_folder import SweepFolder

# The files that the local page may open: folders that the index knows, pictures in them, and
# kept reports.

TITLE_WITHIN = 4096
"""Letters from the beginning of a report among which its title stands."""

COMMON_PICTURES = ("leaderboard.png", "segments.png")
"""Pictures that every task has: those of its own come first."""


def indexed_folder(index: RunIndex, path: str, kind: str = "") -> RunFolder:
    """Return the folder of a run or a sweep that the index knows: no other path is opened.

    Args:
        index: The index of all runs.
        path: Relative to its root.
        kind: `runs` or `sweeps`; empty for both.

    Raises:
        HwdsError: It is none.
    """
    if path not in index.paths or not path.startswith(kind):
        raise HwdsError(f"no run '{path}'.")
    return RunFolder(index.root / path)


def pictures_of(folder: Path) -> list[str]:
    """Return the names of the pictures of a run, those of its task first."""
    names = sorted(path.name for path in folder.glob("*.png"))
    return [name for name in names if name not in COMMON_PICTURES] + [
        name for name in COMMON_PICTURES if name in names
    ]


def read_picture(index: RunIndex, path: str, name: str) -> bytes:
    """Return a picture of a run or a sweep.

    Raises:
        HwdsError: There is none of that name.
    """
    folder = indexed_folder(index, path).path
    if name not in pictures_of(folder):
        raise HwdsError(f"no picture '{name}'.")
    return (folder / name).read_bytes()


def kept_reports(root: Path) -> dict[str, str]:
    """Return the reports that were written for comparisons and studies: their paths below the
    outputs folder, and titles.
    """
    files = sorted(
        path for below in ("comparisons", "studies") for path in (root / below).rglob("report.html")
    )
    return {path.relative_to(root).as_posix(): _report_title(path) for path in files}


def _report_title(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        title = re.search("<title>(.*?)</title>", file.read(TITLE_WITHIN), flags=re.DOTALL)
    return unescape(title[1]) if title else path.parent.name


# The changes that a click in the local page makes: labels of a run, and a comparison that is
# kept. Commands make them, too.

COMPARE_SECONDS = 600
"""Seconds that a comparison may take."""

MOST_COMPARED = 40
"""Runs that one comparison takes."""


def set_labels(index: RunIndex, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set name, tags and note of a run or a sweep, and return them.

    Raises:
        ConfigError: A tag is not a single word, or a value is no text.
        HwdsError: There is no such run.
    """
    path, name, tags, note = (request.get(key, "") for key in ("path", "name", "tags", "note"))
    if not all(isinstance(value, str) for value in (path, name, tags, note)):
        raise ConfigError("labels: path, name, tags and note must be texts.")
    folder = indexed_folder(index, path).path
    labels = Labels().with_tags(tuple(tags.split())).with_note(note).with_name(name)
    labels.write(folder)
    return {"name": labels.name, "tags": " ".join(labels.tags), "note": labels.note}


def compare_by_command(index: RunIndex, request: Mapping[str, Any]) -> dict[str, Any]:
    """Compare runs by `hwds compare`, keep its report, and return where that is.

    Raises:
        HwdsError: The runs cannot be compared; the command's own words say why.
    """
    paths = request.get("runs")
    if not isinstance(paths, list) or not 2 <= len(paths) <= MOST_COMPARED:
        raise ConfigError(f"compare: must be given from 2 to {MOST_COMPARED} runs.")
    folders = [str(indexed_folder(index, str(path), "runs").path) for path in paths]
    printed = _run_command("compare", *folders).stdout
    folder = re.search(r"^Comparison: (.+)$", printed, flags=re.MULTILINE)
    if folder is None:
        raise HwdsError("compare: nothing was kept.")
    _run_command("report", folder[1])
    report = (Path(folder[1]).resolve() / "report.html").relative_to(index.root)
    return {"report": report.as_posix(), "said": printed.splitlines()[0] if printed else ""}


def draw_pictures(folder: RunFolder) -> str:
    """Draw the pictures of a run by `hwds report`, in a process of its own: it loads the data of
    the run.

    Returns:
        The line that says why they cannot be drawn; empty where they are.
    """
    try:
        printed = _run_command("report", str(folder.path)).stderr
    except HwdsError as error:  # the outputs may be for reading alone
        return str(error)
    return next(
        (line for line in printed.splitlines() if line.startswith("hwds: no pictures: ")), ""
    )


def _run_command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of hwds, and return it with what it printed.

    Raises:
        HwdsError: It refuses, or takes too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hwds", *words],
            capture_output=True,
            text=True,
            timeout=COMPARE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HwdsError(f"{words[0]}: took more than {COMPARE_SECONDS} s.") from error
    if done.returncode:
        lines = [line for line in without_secrets(done.stderr).splitlines() if line.strip()]
        raise HwdsError(lines[-1] if lines else f"{words[0]}: ended with code {done.returncode}.")
    return done


# The curves of runs: scores by window and by step, and losses by epoch and by round, those of
# running ones so far.

AXES = {"step": "step ahead", "fold": "window"}
"""The axes of curves: a column of the scores, and its name."""

MOST_FITS = 60
"""Fits of a run whose losses are shown."""


def curves_data(index: RunIndex, paths: Sequence[str]) -> dict[str, Any]:
    """Return the curves of the own models of runs, by metric and axis.

    A run without scores has a `reason`.
    """
    curves: list[dict[str, Any]] = []
    lacking: dict[str, str] = {}
    for path in paths:
        try:
            folder = indexed_folder(index, path, "runs")
            scores, model = folder.read_scores(), str(folder.read_config()["model"]["name"])
        except HwdsError as error:
            lacking[path] = str(error)
            continue
        curves += [{"path": path, **curve} for curve in _score_curves(scores.filter(model=model))]
    return {"curves": curves, "lacking": lacking, "axes": AXES}


def _score_curves(scores: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one for each metric and axis that has several points: of several aggregates the mean,
    or else the first.
    """
    mean = (col("aggregate") != "mean").fill_null(value=True)
    whole = scores.filter(col("segment").is_null() & col("value").is_not_null()).sort(
        mean, maintain_order=True
    )
    curves = []
    for axis, other in (("step", "fold"), ("fold", "step")):
        rows = whole.filter(col(axis).is_not_null() & col(other).is_null())
        rows = rows.unique([axis, "metric"], keep="first", maintain_order=True).sort(
            axis, maintain_order=True
        )
        for (metric,), part in rows.partition_by(
            "metric", as_dict=True, maintain_order=True
        ).items():
            points = [
                [at, value]
                for at, value in part.select(axis, "value").iter_rows()
                if math.isfinite(value)
            ]
            if len(points) > 1:
                curves.append({"metric": metric, "axis": axis, "points": points})
    return curves


def losses_data(index: RunIndex, paths: Sequence[str]) -> dict[str, Any]:
    """Return the losses of fits of runs or sweeps, a row an epoch or round.

    `left` counts fits that are not shown.

    Raises:
        HwdsError: There is no such run.
    """
    rows: list[dict[str, Any]] = []
    left = 0
    for path in paths:
        folder = indexed_folder(index, path)
        fits = read_learning(folder.path).partition_by(
            "model", "fold", "start", "fit", as_dict=True, maintain_order=True
        )
        left += max(len(fits) - MOST_FITS, 0)
        for part in list(fits.values())[-MOST_FITS:]:
            rows += [{"path": path, **row} for row in part.drop("start").to_dicts()]
    return {"losses": rows, "left": left}


# One run or one sweep in detail: its conclusion, pictures and labels; trials, space and
# importance of settings.

DETAIL_FACTS = (
    "run",
    "name",
    "tags",
    "note",
    "status",
    "reason",
    "metric",
    "score",
    "stderr",
    "when",
    "model",
    "dataset",
    "progress",
)


def run_data(index: RunIndex, path: str) -> dict[str, Any]:
    """Return a run's or a sweep's conclusion and verdict, its facts with its labels, and its
    pictures where they are drawn.

    Raises:
        HwdsError: There is no such run.
    """
    folder = indexed_folder(index, path)
    fields = current_fields(index, [path])[path]
    if path.startswith("sweeps/"):
        findings = list(filter(None, [SweepFolder(folder.path).conclusion()]))
    else:
        findings = folder.read_findings()
    facts = {name: fields.get(name) for name in DETAIL_FACTS}
    undrawn = path.startswith("runs/") and folder.undrawn
    return {
        "path": path,
        **facts,
        "said": findings,
        "pictures": [] if undrawn else pictures_of(folder.path),
    }


def pictures_data(index: RunIndex, path: str) -> dict[str, Any]:
    """Return the pictures of a finished run, which are drawn first where they are not yet, and why
    they cannot be.

    Raises:
        HwdsError: There is no such run.
    """
    folder = indexed_folder(index, path, "runs")
    reason = draw_pictures(folder) if folder.undrawn else ""
    return {"pictures": pictures_of(folder.path), "reason": reason}


def sweep_data(index: RunIndex, path: str) -> dict[str, Any]:
    """Return a sweep's trials, the best of them, what was searched, and what mattered.

    Without trials where it is not finished.

    Raises:
        HwdsError: There is no such sweep, or it is damaged.
    """
    folder = SweepFolder(indexed_folder(index, path, "sweeps").path)
    data = data_without_secrets(folder.read_json())
    space = [dict(zip(SPACE_TITLES, row, strict=True)) for row in space_rows(data["space"])]
    content = {"metric": data["metric"], "better": data["better"], "space": space}
    try:
        trials = folder.read_trials()
    except ResumeError:  # not finished
        return content | {"trials": [], "settings": [], "best": None, "importance": {}}
    return content | {
        "trials": trials.with_columns(col(pl.Float64).fill_nan(None)).to_dicts(),
        "settings": [name for name in trials.columns if name not in TRIAL_COLUMNS],
        "best": data["best"]["trial"],
        "inner": data["best"]["inner"],
        "final": data["best"]["final"],
        "importance": data.get("importance", {}),
    }


# Runs and sweeps of a query as columns: facts of every run, and the settings and metrics that
# differ among these.

TABLE_FACTS = {
    "run": (
        "run",
        "status",
        "model",
        "dataset",
        "seed",
        "metric",
        "score",
        "stderr",
        "when",
        "tags",
        "note",
        "name",
    ),
    "sweep": (
        "run",
        "status",
        "model",
        "sweep",
        "metric",
        "score",
        "inner",
        "trials",
        "when",
        "tags",
        "note",
        "name",
    ),
}
"""The facts of every run and every sweep: their columns are always there."""

PROGRESS_FACTS = (
    "status",
    "reason",
    "progress",
    "progress.done",
    "progress.total",
    "progress.learning",
    "progress.memory",
)
"""The facts of what is being computed, or is damaged."""

HIDDEN_FACTS = (
    "kind",
    "experiment",
    "modified",
    "reason",
    "data",
    "code",
    "commit",
    "device",
    "joined",
    "failed",
    "final_run",
    "own_run",
)
"""Fields that are no settings."""

SEARCHED_FACTS = ("run", "name", "model", "dataset", "protocol", "tags", "note")
"""Facts that a bare word is looked for in."""

MOST_SETTINGS = 10
"""The most settings that have a column unless more are chosen."""

FRESH_SECONDS = 1.0
"""Seconds for which an index is taken as it is; an older one is renewed beside the answer."""

RENEWAL_SHARE = 5
"""An index is renewed when it is so many times as old as reading it took."""

PATIENCE_SECONDS = 60.0
"""Seconds after which an answer waits for a new index."""


class Watched:
    """The index of all runs, renewed beside the answers, so that none waits for thousands of
    folders.
    """

    def __init__(self) -> None:
        self._lock, self._read, self._took = Lock(), 0.0, 0.0
        self._index: RunIndex | None = None
        self._renewing: Thread | None = None

    def index(self, *, fresh: bool = False) -> RunIndex:
        """Return the index, not older than `PATIENCE_SECONDS`.

        Args:
            fresh: Whether it is read now, for what was changed a moment ago.
        """
        age = time.monotonic() - self._read
        if fresh or self._index is None or age > PATIENCE_SECONDS:
            return self._renew()
        if age > max(FRESH_SECONDS, RENEWAL_SHARE * self._took) and (
            self._renewing is None or not self._renewing.is_alive()
        ):
            self._renewing = Thread(target=self._renew, daemon=True)
            self._renewing.start()
        return self._index

    def _renew(self) -> RunIndex:
        with self._lock:
            began = time.monotonic()
            new = RunIndex.of()
            if (
                self._index is None or new.signatures != self._index.signatures
            ):  # else the one whose columns are cut already
                new.column("run")
                self._index = new
            self._read, self._took = time.monotonic(), time.monotonic() - began
            return self._index


def table_data(
    index: RunIndex, kind: str, query: str, chosen: Sequence[str] = (), only: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the runs of a query as columns; `error` is the refusal of a wrong query.

    Args:
        index: The index of all runs.
        kind: `run` or `sweep`.
        query: Conditions and words.
        chosen: The chosen further fields that have a column.
        only: The runs to take instead of a query; all settings in which they differ have a column.
    """
    every = [path for path in index.paths if path.startswith(f"{kind}s/")]
    content: dict[str, Any] = {
        "error": "",
        "all": len(every),
        "found": 0,
        "columns": [],
        "known": [],
        "rows": {},
    }
    try:
        found = (
            [path for path in only if path in set(every)]
            if only
            else matches(index, kind, shlex.split(query))
        )
    except (HwdsError, ValueError) as error:
        return content | {"error": str(error)}
    fields = _differing_settings(index, found, whole=len(found) == len(every))
    shown = list(fields["settings"]) if only else fields["settings"][:MOST_SETTINGS]
    names = list(
        dict.fromkeys(
            [*TABLE_FACTS[kind], *shown, *(name for name in chosen if name in index.names)]
        )
    )
    rows = {name: list(map(index.column(name).get, found)) for name in (*names, "reason")}
    rows |= _current_facts(index, found, rows["status"])
    columns = [_fact_column(index, name, fact=name in TABLE_FACTS[kind]) for name in names]
    running = "running" in rows["status"]
    choices = [
        _fact_column(index, name, fact=False) for name in (*fields["settings"], *fields["metrics"])
    ]
    return content | {
        "found": len(found),
        "columns": columns,
        "known": choices,
        "running": running,
        "rows": {"path": found} | rows,
    }


def matches(index: RunIndex, kind: str, words: Sequence[str]) -> list[str]:
    """Return the runs that meet all words, the newest first.

    A bare word may occur in any field of `SEARCHED_FACTS`.

    Raises:
        ConfigError: A word names no field.
    """
    conditions = {word: parse_condition(index, word) for word in words}
    paths = matching_folders(
        index, [word for word, condition in conditions.items() if condition], kind
    )
    for word in (word for word, condition in conditions.items() if not condition):
        columns = [index.column(name) for name in SEARCHED_FACTS]
        paths = [
            path
            for path in paths
            if any(word.lower() in str(column.get(path, "")).lower() for column in columns)
        ]
    return order_folders(index, paths, "-modified") if paths else []


def _differing_settings(
    index: RunIndex, paths: Sequence[str], *, whole: bool
) -> dict[str, list[str]]:
    """Return the settings in which runs differ, those of models first that most runs have, and all
    metrics that they have.
    """
    kind = paths[0].partition("/")[0] if paths else ""
    table = index.table.filter(col("name") != "")
    table = table.filter(
        col("path").str.starts_with(f"{kind}/") if whole else col("path").is_in(list(paths))
    )
    values = table.group_by("name").agg(
        col("number").drop_nulls().n_unique().alias("numbers"),
        col("text").drop_nulls().n_unique().alias("texts"),
        pl.len().alias("count"),
        col("better").is_not_null().any().alias("metric"),
    )
    distinct, absent = col("numbers") + col("texts"), col("count") < len(paths)
    values = values.with_columns(
        col("name").str.starts_with("model.").alias("own"), (distinct > 1).alias("several")
    )
    order = ["several", "own", "count"]
    settings = values.filter(~col("metric"), col("several") | absent).sort(
        [*order, "name"], descending=[True] * len(order) + [False]
    )
    facts = {*TABLE_FACTS["run"], *TABLE_FACTS["sweep"], *HIDDEN_FACTS}
    metrics = values.filter(col("metric") & ~col("name").str.contains("[", literal=True)).sort(
        "name"
    )["name"]
    return {
        "settings": [
            name for name in settings["name"] if name not in facts and not name.endswith(".recipe")
        ],
        "metrics": [name for name in metrics if name not in facts],
    }


def _current_facts(
    index: RunIndex, paths: Sequence[str], status: Sequence[FieldValue]
) -> Mapping[str, list[FieldValue]]:
    """Return the facts of `PROGRESS_FACTS` as they are now."""
    unfinished = [path for path, state in zip(paths, status, strict=True) if state == "unfinished"]
    now = current_fields(index, unfinished)
    columns: dict[str, list[FieldValue]] = {"status": list(status)}
    for name in PROGRESS_FACTS if unfinished else ():
        before = columns.get(name, [None] * len(paths))
        columns[name] = [
            now[path].get(name) if path in now else old
            for path, old in zip(paths, before, strict=True)
        ]
    return columns


def _fact_column(index: RunIndex, name: str, *, fact: bool) -> dict[str, Any]:
    return {"name": name, "better": index.better(name), "fact": fact}


# The streams below the outputs folder as their own files say: how each stands, its machines,
# and its last alerts.

SILENT_SECONDS = 10.0
"""Seconds without a word after which a stream that has not ended is no longer on: it writes once a
second.
"""

MOST_MESSAGES = 50
"""The last messages of alerts that are shown."""

TAIL_BYTES = 1 << 16
"""Bytes at the end of the file of alerts that are read."""

SUMMARY_FIELDS = (
    "at",
    "lines_a_second",
    "lines",
    "readings",
    "refused",
    "anomalous",
    "alerts",
    "machines",
    "open",
)
"""Facts of every stream."""


def streams_data(root: Path, name: str) -> dict[str, Any]:
    """Return all streams, those with the latest word first, and one of them in detail.

    Args:
        root: The outputs folder.
        name: The folder of the stream to show below `streams`; the first one where there is none of
            that name.

    Returns:
        `streams` with a name, a standing (`running`, `ended`, `silent`, `damaged`) and facts each;
        `shown` with all that the file of progress holds and the last messages of alerts, the newest
        first; None where there is no stream.
    """
    folders = sorted(path.parent for path in (root / STREAMS_FOLDER).rglob(STREAM_PROGRESS))
    notes = {
        path.relative_to(root / STREAMS_FOLDER).as_posix(): _stream_progress(path)
        for path in folders
    }
    order = sorted(notes, key=lambda each: -notes[each].get("at", 0.0))
    streams = [
        {"name": each, **{key: notes[each].get(key) for key in ("standing", *SUMMARY_FIELDS)}}
        for each in order
    ]
    chosen = name if name in notes else next(iter(order), None)
    if chosen is None:
        return {"streams": streams, "shown": None}
    messages = _last_messages(root / STREAMS_FOLDER / chosen / STREAM_ALERTS)
    return {"streams": streams, "shown": {"name": chosen, **notes[chosen], "messages": messages}}


def _stream_progress(folder: Path) -> dict[str, Any]:
    """Return what a stream says of itself, and how it stands."""
    try:
        content = dict(read_json(folder / STREAM_PROGRESS))
        running, silence = content["running"], time.time() - content["at"]
    except (OSError, ValueError, TypeError, KeyError):
        return {"standing": "damaged"}
    if not running:
        return {"standing": "ended", **content}
    return {"standing": "running" if silence < SILENT_SECONDS else "silent", **content}


def _last_messages(path: Path) -> list[dict[str, Any]]:
    """Return the last messages of alerts, the newest first.

    A line that is being written is left out.

    Raises:
        HwdsError: A line is damaged.
    """
    if not path.is_file():
        return []
    with path.open("rb") as file:
        begin = max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES)
        file.seek(begin)
        lines = file.read().split(b"\n")[1 if begin else 0 : -1]
    try:
        return [json.loads(line) for line in lines[: -MOST_MESSAGES - 1 : -1]]
    except ValueError as error:
        raise HwdsError(f"{path}: a line is damaged.") from error
