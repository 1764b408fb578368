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

from hwds.core.errors import HwdsError
from hwds.core.files import OUTPUTS, digest_bytes
from hwds.core.secrets import data_without_secrets, secrets, without_secrets
from hwds.core.serialization import FILE, has_fitted
from hwds.core.settings import OUTSIDE_NUMBERS, flatten
from hwds.results.files import read_table, undamaged
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


def score_curves(tables: Tables, own: str) -> list[Curve]:
    """Return the scores by window in the order of windows, then those over all windows by step.

    Args:
        tables: The tables of one run.
        own: The label of the experiment's model, whose values are named by the metric alone.
    """
    scores = _keyed_scores(tables.scores, own)
    windows = scores.filter(pl.col("fold").is_not_null() & pl.col("step").is_null())
    steps = scores.filter(pl.col("fold").is_null() & pl.col("step").is_not_null() & pl.col("first"))
    both = [_score_curve(windows, "fold", WINDOW), _score_curve(steps, "step", STEP)]
    return [curve for curve in both if curve.points]


def tables_to_show(tables: Tables, own: str, headline: str) -> Tables:
    """Return the tables with the means of a few metrics: the headline, of the model `own` also
    those of every list.

    Args:
        tables: The tables of one run.
        own: The label of the experiment's model.
        headline: The short name of the metric that orders the leaderboard.
    """
    names = tables.scores["metric"].drop_nulls().unique(maintain_order=True).to_list()
    first = [name for name in names if headline in (name, short(name))]
    always = [
        name for name in names if name not in first and tables.measure(name).beside == "always"
    ]
    ours = [*first, *always][:MOST_METRICS] or names[:MOST_METRICS]
    few = pl.col("metric").is_in(first) | ((pl.col("model") == own) & pl.col("metric").is_in(ours))
    means = (pl.col("aggregate") == "mean").any().over("metric")
    return replace(
        tables, scores=tables.scores.filter(few, ~means | (pl.col("aggregate") == "mean"))
    )


def overall_numbers(tables: Tables, own: str) -> dict[str, float]:
    """Return the numbers over all windows and steps: of the model `own` every aggregate, with error
    and interval of the first.

    All other numbers are in the table of scores.
    """
    whole = pl.col("fold").is_null() & pl.col("step").is_null()
    scores = _keyed_scores(tables.scores, own).filter(
        whole & (pl.col("first") | (pl.col("model") == own))
    )
    numbers = {}
    for row in scores.iter_rows(named=True):
        numbers[row["key"]] = row["value"]
        if row["model"] == own and row["first"]:
            numbers |= {f"{row['key']}_{bound}": row[bound] for bound in BOUNDS}
    return {name: value for name, value in numbers.items() if value is not None}


def metric_definitions(tables: Tables, own: str) -> dict[str, Measure]:
    """Return the measure of each metric of the model `own`, by the name that `overall_numbers`
    gives its first aggregate.
    """
    scores = _keyed_scores(tables.scores.filter(pl.col("model") == own), own).filter("first")
    rows = scores.unique("key", maintain_order=True).iter_rows(named=True)
    return {row["key"]: tables.measure(row["metric"]) for row in rows}


def _keyed_scores(scores: pl.DataFrame, own: str) -> pl.DataFrame:
    """Return the scores that are not of segments, each with its `key`, and whether its aggregate is
    its metric's `first`.

    The mean bears the metric's name, any other aggregate beside it its own name, too.
    """
    whole = scores.filter(
        pl.col("segment").is_null() & pl.col("metric").is_not_null() & pl.col("value").is_not_null()
    )
    several = pl.col("aggregate").drop_nulls().n_unique().over("metric") > 1
    first = pl.col("aggregate").is_null() | (pl.col("aggregate") == "mean") | ~several
    name = pl.col("metric").map_elements(plain_metric_name, return_dtype=pl.String)
    name = pl.when(first).then(name).otherwise(name + "_" + pl.col("aggregate"))
    rival = pl.lit("rivals/") + pl.col("model") + "/" + name
    key = pl.when(pl.col("model") == own).then(name).otherwise(rival)
    return whole.with_columns(key.alias("key"), first.alias("first"))


def _score_curve(scores: pl.DataFrame, column: str, axis: str) -> Curve:
    points: dict[int, dict[str, float]] = {}
    for step, key, value in (
        scores.select(column, "key", "value").sort(column, maintain_order=True).iter_rows()
    ):
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
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
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
        known = {
            key: value
            for key, value in self.config.items()
            if key not in (*OUTSIDE_NUMBERS, "best")
        }
        return dict(flatten(known, items=True))


# The records of a finished run or of a finished sweep, read from its folder alone.

FURTHER_FITS = re.compile(r"inner window|network ([2-9]|1\d)|\(\d+\)$")
"""Names of fits that are left out unless all are chosen: parts of other fits, and networks after
the first.
"""

FIT_COLUMNS = ("model", "fold", "start", "fit")


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
        folder: Of the run or the sweep.
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
        folder: Of the run or the sweep.
        group: As in `folder_records`.
        every: As in `folder_records`.
    """
    if is_sweep(folder):
        return _begun_sweep(SweepFolder(folder), group)
    return (
        _begun_run(RunFolder(folder), group, every=every)
        if (folder / "provenance.json").is_file()
        else None
    )


def _begun_run(folder: RunFolder, group: str, *, every: bool) -> Record:
    config = data_without_secrets(folder.read_config())
    own = config["model"]["name"]
    return Record(
        **_record_names(folder.path, "run", own),
        **_user_labels(folder.path),
        group=group,
        started=int(1000 * time.time()),
        config=config,
        labels=_groups(config) | {"run": folder.title} | _origin(folder.read_provenance()),
        curves=learning_curves(folder.path, own, every=every),
    )


def _begun_sweep(folder: SweepFolder, group: str) -> Record:
    content = folder.read_json()
    config = data_without_secrets(content["config"])
    return Record(
        **_record_names(folder.path, "sweep", "sweep"),
        **_user_labels(folder.path),
        group=group or folder.title,
        started=int(1000 * time.time()),
        config=config | {"sweep": content["sweep"]},
        labels=_groups(config) | _sweep_labels(folder.path, content),
    )


def _of_run(folder: RunFolder, group: str, *, every: bool) -> Record:
    config, tables, origin = folder.read_config(), folder.read_tables(), folder.read_provenance()
    path, own = folder.path, config["model"]["name"]
    few = (
        tables
        if every
        else tables_to_show(tables, own, str(config["protocol"].get("headline", "")))
    )
    return Record(
        **_record_names(path, "run", own),
        **_user_labels(path),
        **_start_and_end(path / "scores.parquet", tables.timings),
        **_kept_files(path),
        group=group,
        config=data_without_secrets(config),
        labels=_trial_labels(config, tables.scores)
        | {"run": folder.title}
        | _steps(tables)
        | _origin(origin),
        curves=[*learning_curves(path, own, every=every), *score_curves(few, own)],
        summary=overall_numbers(few, own) | _counts(tables),
        measures=metric_definitions(few, own),
        tables=_tables(tables),
        data=(config["dataset"]["name"], origin["data"]),
        model=path / "model" if has_fitted(path / "model") else None,
        conclusion=without_secrets("\n\n".join(folder.read_findings())),
    )


def _of_sweep(folder: SweepFolder, group: str, *, every: bool) -> list[Record]:
    content, title = folder.read_json(), group or folder.title
    trials, scores = (read_table(folder.path / f"{name}.parquet") for name in ("trials", "scores"))
    final = _of_run(RunFolder((OUTPUTS / "runs" / content["run"]).resolve()), title, every=every)
    whole = _sweep_record(folder, content, trials, scores, group=title, data=final.data)
    if not every:
        scores = scores.filter(pl.col("metric") == content["metric"])
    return [
        whole,
        *(_of_trial(whole, row, scores, content) for row in trials.iter_rows(named=True)),
        final,
    ]


def _sweep_record(
    folder: SweepFolder,
    content: Mapping[str, Any],
    trials: pl.DataFrame,
    scores: pl.DataFrame,
    **its: Any,
) -> Record:
    """Return a sweep's own record."""
    path, config = folder.path, data_without_secrets(content["config"])
    settings = _settings(content, trials)
    facts = _sweep_labels(path, content) | {
        f"best.{name}": str(value) for name, value in settings.items()
    }
    return Record(
        **_record_names(path, "sweep", "sweep"),
        **_user_labels(path),
        **_start_and_end(path / "trials.parquet", trials),
        **_kept_files(path),
        **its,
        config=config | {"sweep": content["sweep"], "best": settings},
        labels=_trial_labels(config, scores) | facts,
        summary=_best_scores(content),
        measures={
            f"best/{INNER}/{plain_metric_name(content['metric'])}": Measure(
                content["metric"], better=content["better"]
            )
        },
        tables={"trials": trials.head(MOST_ROWS_SHOWN)},
        page=path / PAGE if (path / PAGE).is_file() else None,
        conclusion=without_secrets(folder.conclusion()),
    )


def _best_scores(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of the best trial and of the experiment as it stood, on both kinds of
    windows, and the counts.
    """
    key = plain_metric_name(content["metric"])
    scores = {
        f"{of}/{windows}/{key}": content.get(of, {}).get(windows)
        for of in ("best", "untuned")
        for windows in (INNER, FINAL)
    }
    numbers = {
        "trials": content["trials"],
        "finished": content.get("finished", 0),
        "best/trial": content["best"]["trial"],
    }
    return {name: float(value) for name, value in (scores | numbers).items() if value is not None}


def _settings(content: Mapping[str, Any], trials: pl.DataFrame) -> dict[str, Any]:
    """Return the best trial's values of what was searched."""
    (row,) = trials.filter(pl.col("trial") == content["best"]["trial"]).to_dicts()
    return {
        name: value
        for name, value in row.items()
        if name.partition(".")[0] in content["config"] and value is not None
    }


def _sweep_labels(path: Path, content: Mapping[str, Any]) -> dict[str, str]:
    named = {"sweep": f"{path.parent.name}/{path.name}", "metric": content["metric"]}
    return named | {"command": without_secrets(content["command"])}


def _user_labels(path: Path) -> dict[str, Any]:
    """Return the tags and the note of the user."""
    with undamaged(path / LABELS):
        labels = Labels.read(path)
    return {"tags": labels.tags, "note": without_secrets(labels.note)}


def _record_names(path: Path, kind: str, what: str) -> dict[str, Any]:
    """Return the names of the record of a folder."""
    return {
        "id": f"{path.parent.name}-{path.name}",
        "name": f"{what} {path.name[:8]}"
        if path.parent.name == "adhoc"
        else f"{path.parent.name}: {what} {path.name[:8]}",
        "kind": kind,
        "experiment": path.parent.name,
    }


def _start_and_end(last: Path, rows: pl.DataFrame) -> dict[str, Any]:
    """Return the end, by the file that was written last, and the start, by the seconds of the
    rows.
    """
    ended = _milliseconds(last)
    return {"started": ended - int(1000 * (rows["seconds"].sum() or 0)), "ended": ended}


def _kept_files(path: Path) -> dict[str, Any]:
    """Return the files that are mirrored unchanged."""
    return {
        "pictures": sorted(path.glob("*.png")),
        "files": _result_files(path),
        "predictions": _predictions(path),
    }


def _of_trial(
    sweep: Record, row: Mapping[str, Any], scores: pl.DataFrame, data: Mapping[str, Any]
) -> Record:
    label = f"trial {row['trial']}"
    own = Tables(scores.filter(pl.col("model") == label), pl.DataFrame(), pl.DataFrame())
    measure = Measure(data["metric"], better=data["better"])
    key = plain_metric_name(measure.name)
    inner = {f"{INNER}/{name}": value for name, value in overall_numbers(own, label).items()}
    rungs = {
        int(rung): value for rung, value in data.get("rungs_of_trials", {}).get(label, {}).items()
    }
    points = tuple((rung, {f"{INNER}_by_{WINDOW}/{key}": rungs[rung]}) for rung in sorted(rungs))
    paths = {
        name: row[name]
        for name in row
        if name.partition(".")[0] in sweep.config and row[name] is not None
    }
    took = int(1000 * (row["seconds"] or 0))
    return Record(
        id=f"{sweep.id}-{row['trial']}",
        name=label,
        kind="trial",
        experiment=sweep.experiment,
        group=sweep.group,
        started=sweep.ended - took,
        ended=sweep.ended,
        config=_config_with(_without_best(sweep.config), paths),
        labels={**_without_best(sweep.labels), "status": row["status"]}
        | ({"error": row["error"]} if row["error"] else {}),
        curves=[Curve(WINDOW, points)] if points else [],
        summary=inner | {"windows": float(row["windows"]), "seconds": float(row["seconds"] or 0)},
        measures={f"{INNER}/{key}": measure},
        data=sweep.data,
    )


def _without_best(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name.partition(".")[0] != "best"}


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


def _trial_labels(config: Mapping[str, Any], scores: pl.DataFrame) -> dict[str, str]:
    return {"task": next(iter(scores["task"].drop_nulls()), "")} | _groups(config)


def _groups(config: Mapping[str, Any]) -> dict[str, str]:
    groups = ("dataset", "features", "model", "protocol")
    return {"seed": str(config["seed"])} | {group: config[group]["name"] for group in groups}


def _origin(origin: Mapping[str, Any]) -> dict[str, str]:
    git = origin.get("git") or {}
    labels = {
        "data": origin["data"],
        "code": origin["code"],
        "command": without_secrets(origin["command"]),
    }
    labels |= {"commit": git["commit"]} if git else {}
    labels |= {name: str(origin[name]) for name in ("user", "when") if origin.get(name)}
    return labels | {
        f"version.{name}": version for name, version in origin["versions"].items() if version
    }


def _steps(tables: Tables) -> dict[str, str]:
    """Return the longest horizon of the forecasts; nothing where there are none."""
    horizon = tables.predictions["step"].max() if "step" in tables.predictions.columns else None
    return {} if horizon is None else {"horizon": str(horizon)}


def _counts(tables: Tables) -> dict[str, float]:
    failed = int((tables.timings["status"] != "ok").sum())
    return {
        "seconds": float(tables.timings["seconds"].sum() or 0),
        "cells": float(len(tables.timings)),
        "failed_cells": float(failed),
    }


def _tables(tables: Tables) -> dict[str, pl.DataFrame]:
    """Return the tables to show: the numbers over all windows, all scores, and the metrics'
    definitions.
    """
    whole = (
        pl.all_horizontal(pl.col("fold", "step", "segment").is_null())
        & pl.col("value").is_not_null()
    )
    detail = [pl.col(name).is_not_null() for name in ("segment", "step", "fold")]
    narrow = tables.scores.sort(detail, maintain_order=True).drop(CONSTANT_COLUMNS, strict=False)
    board = narrow.filter(whole)
    board = board[[column.name for column in board if column.null_count() < len(board)]]
    return {"leaderboard": board, "scores": narrow.head(MOST_ROWS_SHOWN), "metrics": tables.metrics}


def _result_files(folder: Path) -> list[Path]:
    """Return all files of results, but for those that are mirrored otherwise, reports, and files
    with a secret.
    """
    kinds = (".parquet", ".csv", ".json", ".yaml", ".md", ".txt", ".html")
    named = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in kinds and not path.name.startswith((".", "future"))
    ]
    hidden = [value.encode() for value in secrets()]
    return [
        path
        for path in named
        if path.name not in SENT_OTHERWISE
        and not any(value in path.read_bytes() for value in hidden)
    ]


def _predictions(folder: Path) -> tuple[Path, str] | None:
    path = folder / "predictions.parquet"
    return (path, hashlib.sha256(path.read_bytes()).hexdigest()) if path.is_file() else None


def _milliseconds(path: Path) -> int:
    return path.stat().st_mtime_ns // 1_000_000


def learning_curves(folder: Path, own: str, *, every: bool) -> list[Curve]:
    """Return a curve for each fit of a run, a point an epoch or round:
    `learning/2023-06-01/network_1/validation`.

    Args:
        folder: Of the run, finished or not.
        own: The label of the experiment's model.
        every: Whether rivals, inner windows and all networks that are averaged have theirs, too.
    """
    fits = read_learning(folder).partition_by(FIT_COLUMNS, as_dict=True, maintain_order=True)
    wanted = {
        cell: rows
        for cell, rows in fits.items()
        if every or (cell[0] == own and not FURTHER_FITS.search(str(cell[3])))
    }
    several = len({(model, fold, start) for model, fold, start, _ in wanted}) > len(
        {cell[:2] for cell in wanted}
    )
    return [
        _loss_curve(_fit_name(cell, own, several=several), rows) for cell, rows in wanted.items()
    ]


def _fit_name(cell: tuple[object, ...], own: str, *, several: bool) -> str:
    """Return the beginning of the names of a fit's losses.

    With the first unit where a fold has several cells.
    """
    model, fold, start, fit = map(str, cell)
    parts = [
        "learning",
        *(["rivals", model] if model != own else []),
        fold,
        *([start] if several else []),
        plain_metric_name(fit),
    ]
    return "/".join(parts)


def _loss_curve(name: str, rows: pl.DataFrame) -> Curve:
    points = [
        (
            int(row["step"]),
            {
                f"{name}/{loss}": row[loss]
                for loss in ("train", "validation")
                if row[loss] is not None
            },
        )
        for row in rows.iter_rows(named=True)
    ]
    return Curve(str(rows["axis"][0]), tuple(points))
