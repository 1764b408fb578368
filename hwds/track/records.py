"""Records: what a tracker is given of one run, one trial or one sweep, read from its folder."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
from polars import DataFrame, col

from hwds.core.errors import HwdsError
from hwds.core.files import OUTPUTS, digest_bytes
from hwds.core.secrets import data_without_secrets, secrets, without_secrets
from hwds.core.serialization import FILE, has_fitted
from hwds.core.settings import OUTSIDE_NUMBERS, flatten
from hwds.results.files import read_table, refuse_damage
from hwds.results.folder import RunFolder
from hwds.results.records import LABELS_FILE as LABELS
from hwds.results.records import Labels, read_learning
from hwds.results.sweep_folder import PAGE, SweepFolder
from hwds.results.tables import Measure, Tables, short

# Curves: scores by window and by step, and the numbers over all windows, under names that every
# tracker accepts.

WINDOW, STEP = "window", "step"

MOST_METRICS = 5
"""Metrics of the model that are mirrored unless all are chosen; of rivals the headline alone is."""

BOUNDS = ("stderr", "ci_low", "ci_high")
"""The columns that stand beside a value."""


@dataclass(frozen=True)
class Curve:
    """Values in the order of their steps.

    Attributes:
        axis: The meaning of a step: `window`, `step`, `epoch`, `round` or `seconds`.
        points: Each step with its values by name, each step once.
    """

    axis: str
    points: tuple[tuple[int, Mapping[str, float]], ...]

    @property
    def names(self) -> list[str]:
        """The names of all values."""
        return list(dict.fromkeys(name for _, values in self.points for name in values))


class ShownPoints:
    """The points of growing curves that were shown already; a curve is known by its axis and its
    first name.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def new(self, curve: Curve) -> Curve:
        """Return the points of a curve that no earlier call had."""
        key = (curve.axis, next(iter(curve.names), ""))
        points = curve.points[self._counts[key] :]
        self._counts[key] = len(curve.points)
        return replace(curve, points=points)


def plain_metric_name(name: str) -> str:
    """Return a metric's name in letters, digits and underscores: `mase_m_12` of `mase[m=12]`,
    `recall_at_9` of `recall@9`.
    """
    return re.sub(r"\W+", "_", name.replace("@", "_at_")).strip("_")


def score_curves(tables: Tables, label: str) -> list[Curve]:
    """Return the scores by window in the order of windows, then those over all windows by step.

    Args:
        tables: The tables of one run.
        label: The label of the experiment's model, whose values are named by the metric alone.
    """
    scores = _keyed_scores(tables.scores, label)
    fold, step = col("fold"), col("step")
    windows = scores.filter(fold.is_not_null() & step.is_null()).sort(fold, maintain_order=True)
    steps = scores.filter(fold.is_null() & step.is_not_null() & col("first"))
    axes = {
        WINDOW: windows["fold", "key", "value"],
        STEP: steps.sort(step, maintain_order=True)["step", "key", "value"],
    }
    return [_score_curve(axis, rows) for axis, rows in axes.items() if len(rows)]


def tables_to_show(tables: Tables, label: str, headline: str) -> Tables:
    """Return the tables with the means of a few metrics: the headline, of the model `label` also
    those of every list.

    Args:
        tables: The tables of one run.
        label: The label of the experiment's model.
        headline: The short name of the metric that orders the leaderboard.
    """
    names = tables.scores["metric"].drop_nulls().unique(maintain_order=True).to_list()
    first = [name for name in names if headline in (name, short(name))]
    always = [
        name for name in names if name not in first and tables.measure(name).beside == "always"
    ]
    ours = [*first, *always][:MOST_METRICS] or names[:MOST_METRICS]
    few = col("metric").is_in(first) | ((col("model") == label) & col("metric").is_in(ours))
    means = (col("aggregate") == "mean").any().over("metric")
    return replace(tables, scores=tables.scores.filter(few, ~means | (col("aggregate") == "mean")))


def overall_numbers(tables: Tables, label: str) -> dict[str, float]:
    """Return the numbers over all windows and steps: of the model `label` every aggregate, with
    error and interval of the first.

    All other numbers are in the table of scores.
    """
    whole = col("fold").is_null() & col("step").is_null()
    scores = _keyed_scores(tables.scores, label).filter(
        whole & (col("first") | (col("model") == label))
    )
    numbers = {}
    for row in scores.iter_rows(named=True):
        numbers[row["key"]] = row["value"]
        if row["model"] == label and row["first"]:
            numbers |= {f"{row['key']}_{bound}": row[bound] for bound in BOUNDS}
    return {name: value for name, value in numbers.items() if value is not None}


def metric_definitions(tables: Tables, label: str) -> dict[str, Measure]:
    """Return the measure of each metric of the model `label`, by the name that `overall_numbers`
    gives its first aggregate.
    """
    scores = _keyed_scores(tables.scores.filter(model=label), label).filter("first")
    rows = scores.unique("key", maintain_order=True).iter_rows(named=True)
    return {row["key"]: tables.measure(row["metric"]) for row in rows}


def _keyed_scores(scores: DataFrame, label: str) -> DataFrame:
    """Return the scores that are not of segments, each with its `key`, and whether its aggregate is
    its metric's `first`.

    The mean bears the metric's name, any other aggregate beside it its own name, too.
    """
    whole = scores.filter(
        col("segment").is_null() & col("metric").is_not_null() & col("value").is_not_null()
    )
    several = col("aggregate").drop_nulls().n_unique().over("metric") > 1
    first = col("aggregate").is_null() | (col("aggregate") == "mean") | ~several
    name = col("metric").map_elements(plain_metric_name, return_dtype=pl.String)
    name = pl.when(first).then(name).otherwise(name + "_" + col("aggregate"))
    rival = pl.lit("rivals/") + col("model") + "/" + name
    key = pl.when(col("model") == label).then(name).otherwise(rival)
    return whole.with_columns(key.alias("key"), first.alias("first"))


def _score_curve(axis: str, rows: DataFrame) -> Curve:
    points: dict[int, dict[str, float]] = {}
    for step, key, value in rows.iter_rows():
        points.setdefault(step, {})[f"by_{axis}/{key}"] = value
    return Curve(axis, tuple(points.items()))


# Record: the input of a tracker for one run, one trial or one sweep, read from its folder.


@dataclass(frozen=True, eq=False)
class Record:
    """One run in a tracker.

    Attributes:
        id: The id in every mirror, made of the run's id.
        name: The displayed name.
        kind: The kind of record.
        experiment: The name of the experiment.
        group: The group of records that it belongs to; empty for none.
        started: The start, in milliseconds since 1970.
        ended: The end, in milliseconds since 1970.
        config: The resolved config.
        labels: Short facts: task, dataset, fingerprints, versions.
        curves: Values by window and by step, and losses by epoch and by round.
        summary: Numbers over all windows.
        measures: The measure of each of those.
        tables: Tables to look at.
        pictures: PNG files.
        files: Other files.
        predictions: The file of predictions, and its digest.
        data: The dataset's name and fingerprint.
        model: The folder of the saved model.
        conclusion: The conclusion, in a sentence.
        tags: The user's tags.
        note: The user's note.
        page: A page to look at, as HTML.
    """

    id: str
    name: str
    kind: Literal["run", "trial", "sweep"]
    experiment: str
    group: str = ""
    started: int = 0
    ended: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    curves: Sequence[Curve] = ()
    summary: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    tables: Mapping[str, DataFrame] = field(default_factory=dict)
    pictures: Sequence[Path] = ()
    files: Sequence[Path] = ()
    predictions: tuple[Path, str] | None = None
    data: tuple[str, str] = ("", "")
    model: Path | None = None
    conclusion: str = ""
    tags: Sequence[str] = ()
    note: str = ""
    page: Path | None = None

    @property
    def notes(self) -> str:
        """The user's note, and the conclusion below it."""
        return "\n\n".join(filter(None, (self.note, self.conclusion)))

    @property
    def parameters(self) -> dict[str, Any]:
        """The config's values by path, without those on which no number depends, and without the
        results of a sweep.
        """
        config = {
            key: value
            for key, value in self.config.items()
            if key not in (*OUTSIDE_NUMBERS, "best")
        }
        return dict(flatten(config, items=True))


# The records of a finished run or of a finished sweep, read from its folder alone.

FURTHER_FITS = re.compile(r"inner window|network ([2-9]|1\d)|\(\d+\)$")
"""Names of fits that are left out unless all are chosen: parts of other fits, and networks after
the first.
"""

FIT_COLUMNS = ("model", "fold", "start", "fit")
LOSSES = ("train", "validation")

DETERMINED = (
    "scores.parquet",
    "predictions.parquet",
    "metrics.parquet",
    "decision.json",
    "best.yaml",
    f"model/{FILE}",
)
"""Files of a run or a sweep that do not differ between two executions of it."""

MOST_ROWS_SHOWN = 10_000
"""Rows of a table that a tracker shows; the whole table is among the files."""

SENT_OTHERWISE = (
    "predictions.parquet",
    "tracking.json",
    "progress.json",
    "report.md",
    "report.html",
    "cells.txt",
    PAGE,
)
"""Files that are not sent among the others."""

RESULT_KINDS = (".parquet", ".csv", ".json", ".yaml", ".md", ".txt", ".html")
"""Kinds of files that are sent."""

INNER, FINAL = "inner", "final"
"""The windows that trials are compared on, and those that no trial has seen: a score's name says
which.
"""

CONSTANT_COLUMNS = {"experiment", "dataset", "task", "seed"}
"""Columns of the scores that are constant in a run."""


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is a sweep's."""
    return (folder / "sweep.json").is_file()


def is_finished(folder: Path) -> bool:
    """Return whether a run has all its tables.

    A sweep needs those of the run of its best settings, too.
    """
    if not (folder / "scores.parquet").is_file():
        return False
    run = SweepFolder(folder).read_json().get("run", "") if is_sweep(folder) else None
    return run is None or (OUTPUTS / "runs" / run / "scores.parquet").is_file()


def content_digest(folder: Path) -> str:
    """Return the digest of the files that do not differ between two executions of the same run."""
    present = [folder / name for name in DETERMINED if (folder / name).is_file()]
    return digest_bytes(
        part for path in present for part in (path.name.encode(), b"\0", path.read_bytes(), b"\0")
    )


def folder_records(folder: Path, group: str = "", *, every: bool = False) -> list[Record]:
    """Return the one record of a run.

    For a sweep its own, those of its trials, and that of the run of its best settings.

    Args:
        folder: The folder of the run or the sweep.
        group: The group of its records; empty for the title of a sweep.
        every: Whether all metrics and losses are mirrored, not a chosen few.

    Raises:
        HwdsError: It is not finished.
    """
    if not is_finished(folder):
        what = "sweep" if is_sweep(folder) else "run"
        raise HwdsError(
            f"{what} {folder.parent.name}/{folder.name} is not finished; the same command goes on "
            f"with it."
        )
    if is_sweep(folder):
        return _of_sweep(SweepFolder(folder), group, every=every)
    return [_of_run(RunFolder(folder), group, every=every)]


def begun_record(folder: Path, group: str = "", *, every: bool = False) -> Record | None:
    """Return the record of a run or a sweep that is being computed, with its losses so far.

    None before it has begun.

    Args:
        folder: The folder of the run or the sweep.
        group: The group of its record; see `folder_records`.
        every: Whether all losses are mirrored; see `folder_records`.
    """
    if is_sweep(folder):
        return _begun_sweep(SweepFolder(folder), group)
    begun = (folder / "provenance.json").is_file()
    return _begun_run(RunFolder(folder), group, every=every) if begun else None


def _begun_run(folder: RunFolder, group: str, *, every: bool) -> Record:
    config, origin = data_without_secrets(folder.read_config()), folder.read_provenance()
    label = config["model"]["name"]
    return Record(
        **_record_names(folder.path, "run", label),
        group=group,
        config=config,
        labels=_option_names(config) | {"run": folder.title} | _origin(origin),
        curves=learning_curves(folder.path, label, every=every),
        data=(config["dataset"]["name"], origin["data"]),
    )


def _of_run(folder: RunFolder, group: str, *, every: bool) -> Record:
    begun, tables, path = _begun_run(folder, group, every=every), folder.read_tables(), folder.path
    label, protocol = begun.config["model"]["name"], begun.config["protocol"]
    few = tables if every else tables_to_show(tables, label, str(protocol.get("headline", "")))
    return replace(
        begun,
        **_start_and_end(path / "scores.parquet", tables.timings),
        **_kept_files(path),
        labels={**begun.labels, **_task(tables.scores), **_steps(tables)},
        curves=[*begun.curves, *score_curves(few, label)],
        summary=overall_numbers(few, label) | _counts(tables.timings),
        measures=metric_definitions(few, label),
        tables=_tables(tables),
        model=path / "model" if has_fitted(path / "model") else None,
        conclusion=without_secrets("\n\n".join(folder.read_findings())),
    )


def _begun_sweep(folder: SweepFolder, group: str) -> Record:
    content = folder.read_json()
    config = data_without_secrets(content["config"])
    named = {"sweep": folder.title, "metric": content["metric"]}
    return Record(
        **_record_names(folder.path, "sweep", "sweep"),
        group=group or folder.title,
        config=config | {"sweep": content["sweep"]},
        labels=_option_names(config) | named | {"command": without_secrets(content["command"])},
    )


def _of_sweep(folder: SweepFolder, group: str, *, every: bool) -> list[Record]:
    content, begun, path = folder.read_json(), _begun_sweep(folder, group), folder.path
    trials, scores = (read_table(path / f"{name}.parquet") for name in ("trials", "scores"))
    final = RunFolder((OUTPUTS / "runs" / content["run"]).resolve())
    best = _of_run(final, begun.group, every=every)
    took = _start_and_end(path / "trials.parquet", trials)
    begun = replace(begun, **took, labels={**begun.labels, **_task(scores)}, data=best.data)
    if not every:
        scores = scores.filter(metric=content["metric"])
    rows = trials.iter_rows(named=True)
    each = [_of_trial(begun, row, scores, content) for row in rows]
    return [_sweep_record(begun, folder, content, trials), *each, best]


def _sweep_record(
    begun: Record, folder: SweepFolder, content: Mapping[str, Any], trials: DataFrame
) -> Record:
    """Return a sweep's own record: its best settings, and the scores of the best trial and of the
    experiment as it stood, on both kinds of windows.
    """
    path, key = folder.path, plain_metric_name(content["metric"])
    (row,) = trials.filter(trial=content["best"]["trial"]).to_dicts()
    settings = _searched_values(row, content["config"])
    scores = {
        f"{of}/{windows}/{key}": content.get(of, {}).get(windows)
        for of in ("best", "untuned")
        for windows in (INNER, FINAL)
    }
    counts = {name: content.get(name, 0) for name in ("trials", "finished")}
    numbers = scores | counts | {"best/trial": content["best"]["trial"]}
    measure = Measure(content["metric"], better=content["better"])
    return replace(
        begun,
        **_kept_files(path),
        config={**begun.config, "best": settings},
        labels={**begun.labels} | {f"best.{name}": str(best) for name, best in settings.items()},
        summary={name: float(value) for name, value in numbers.items() if value is not None},
        measures={f"best/{INNER}/{key}": measure},
        tables={"trials": trials.head(MOST_ROWS_SHOWN)},
        page=path / PAGE if (path / PAGE).is_file() else None,
        conclusion=without_secrets(folder.conclusion()),
    )


def _searched_values(trial: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's values of what was searched, by path."""
    return {
        path: value
        for path, value in trial.items()
        if path.partition(".")[0] in config and value is not None
    }


def _of_trial(
    sweep: Record, row: Mapping[str, Any], scores: DataFrame, content: Mapping[str, Any]
) -> Record:
    label, key = f"trial {row['trial']}", plain_metric_name(content["metric"])
    of_trial = Tables(scores.filter(model=label), DataFrame(), DataFrame())
    inner = {f"{INNER}/{name}": value for name, value in overall_numbers(of_trial, label).items()}
    rungs = content.get("rungs_of_trials", {}).get(label, {})
    by_rung = sorted((int(rung), value) for rung, value in rungs.items())
    points = tuple((rung, {f"{INNER}_by_{WINDOW}/{key}": value}) for rung, value in by_rung)
    seconds, ended = float(row["seconds"] or 0), sweep.ended
    return replace(
        sweep,
        id=f"{sweep.id}-{row['trial']}",
        name=label,
        kind="trial",
        started=ended - int(1000 * seconds),
        config=_config_with(sweep.config, _searched_values(row, content["config"])),
        labels={**sweep.labels, "status": row["status"]}
        | ({"error": row["error"]} if row["error"] else {}),
        curves=[Curve(WINDOW, points)] if points else [],
        summary=inner | {"windows": float(row["windows"]), "seconds": seconds},
        measures={f"{INNER}/{key}": Measure(content["metric"], better=content["better"])},
        tags=(),
        note="",
    )


def _config_with(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with a trial's values at their paths; of a whole option its name."""
    changed = deepcopy(dict(config))
    for path, value in values.items():
        *keys, last = path.split(".") if "." in path else (path, "name")
        node = changed
        for key in keys:
            node = node.setdefault(key, {})
        node[last] = value
    return changed


def _record_names(path: Path, kind: str, what: str) -> dict[str, Any]:
    """Return the names of the record of a folder, with the tags and the note of the user."""
    with refuse_damage(path / LABELS):
        labels = Labels.read(path)
    short_name = f"{what} {path.name[:8]}"
    experiment = path.parent.name
    return {
        "id": f"{experiment}-{path.name}",
        "name": short_name if experiment == "adhoc" else f"{experiment}: {short_name}",
        "kind": kind,
        "experiment": experiment,
        "started": int(1000 * time.time()),
        "tags": labels.tags,
        "note": without_secrets(labels.note),
    }


def _start_and_end(last: Path, rows: DataFrame) -> dict[str, Any]:
    """Return the end, by the file that was written last, and the start, by the seconds of the
    rows.
    """
    ended = last.stat().st_mtime_ns // 1_000_000
    return {"started": ended - int(1000 * (rows["seconds"].sum() or 0)), "ended": ended}


def _kept_files(path: Path) -> dict[str, Any]:
    """Return the files that are mirrored unchanged."""
    predictions = path / "predictions.parquet"
    digest = hashlib.sha256(predictions.read_bytes()).hexdigest() if predictions.is_file() else ""
    return {
        "pictures": sorted(path.glob("*.png")),
        "files": _result_files(path),
        "predictions": (predictions, digest) if digest else None,
    }


def _result_files(folder: Path) -> list[Path]:
    """Return all files of results, but for those that are mirrored otherwise, reports, and files
    with a secret.
    """
    hidden = [value.encode() for value in secrets()]
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in RESULT_KINDS
        and not path.name.startswith((".", "future"))
        and path.name not in SENT_OTHERWISE
        and not any(value in path.read_bytes() for value in hidden)
    ]


def _option_names(config: Mapping[str, Any]) -> dict[str, str]:
    groups = ("dataset", "features", "model", "protocol")
    return {"seed": str(config["seed"])} | {group: config[group]["name"] for group in groups}


def _task(scores: DataFrame) -> dict[str, str]:
    return {"task": next(iter(scores["task"].drop_nulls()), "")}


def _origin(origin: Mapping[str, Any]) -> dict[str, str]:
    named = {name: origin[name] for name in ("data", "code")}
    named |= {"command": without_secrets(origin["command"])}
    named |= {"commit": (origin.get("git") or {}).get("commit")}
    named |= {name: origin.get(name) for name in ("user", "when")}
    named |= {f"version.{name}": version for name, version in origin["versions"].items()}
    return {name: str(value) for name, value in named.items() if value}


def _steps(tables: Tables) -> dict[str, str]:
    """Return the longest horizon of the forecasts; nothing where there are none."""
    horizon = tables.predictions["step"].max() if "step" in tables.predictions.columns else None
    return {} if horizon is None else {"horizon": str(horizon)}


def _counts(timings: DataFrame) -> dict[str, float]:
    return {
        "seconds": float(timings["seconds"].sum() or 0),
        "cells": float(len(timings)),
        "failed_cells": float((timings["status"] != "ok").sum()),
    }


def _tables(tables: Tables) -> dict[str, DataFrame]:
    """Return the tables to show: the numbers over all windows, all scores, and the metrics'
    definitions.
    """
    detail = [col(name).is_not_null() for name in ("segment", "step", "fold")]
    narrow = tables.scores.sort(detail, maintain_order=True).drop(CONSTANT_COLUMNS, strict=False)
    board = narrow.filter(~pl.any_horizontal(detail), col("value").is_not_null())
    board = board[[column.name for column in board if column.null_count() < len(board)]]
    return {"leaderboard": board, "scores": narrow.head(MOST_ROWS_SHOWN), "metrics": tables.metrics}


def learning_curves(folder: Path, label: str, *, every: bool) -> list[Curve]:
    """Return a curve for each fit of a run, a point an epoch or round:
    `learning/2023-06-01/network_1/validation`; with the first unit where a fold has several cells.

    Args:
        folder: The folder of the run, finished or not.
        label: The label of the experiment's model.
        every: Whether rivals, inner windows and all networks that are averaged have theirs, too.
    """
    fits = read_learning(folder).partition_by(FIT_COLUMNS, as_dict=True, maintain_order=True)
    wanted = {
        tuple(map(str, cell)): rows
        for cell, rows in fits.items()
        if every or (cell[0] == label and not FURTHER_FITS.search(str(cell[3])))
    }
    several = len({cell[:3] for cell in wanted}) > len({cell[:2] for cell in wanted})
    curves = []
    for (model, fold, start, fit), rows in wanted.items():
        rival = ["rivals", model] if model != label else []
        parts = ["learning", *rival, fold, *([start] if several else []), plain_metric_name(fit)]
        curves.append(_loss_curve("/".join(parts), rows))
    return curves


def _loss_curve(name: str, rows: DataFrame) -> Curve:
    losses = [
        {
            f"{name}/{loss}": value
            for loss, value in zip(LOSSES, values, strict=True)
            if value is not None
        }
        for values in rows.select(LOSSES).iter_rows()
    ]
    return Curve(str(rows["axis"][0]), tuple(zip(rows["step"], losses, strict=True)))
