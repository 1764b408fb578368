"""The records of a finished run or of a finished sweep, read from its folder alone."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.errors import HwdsError
from hwds.core.hashing import digest_bytes
from hwds.core.outputs import OUTPUTS
from hwds.core.secrets import data_without_secrets, secrets, without_secrets
from hwds.core.serialization import FILE, has_fitted
from hwds.results.files import read_table, undamaged
from hwds.results.folder import RunFolder
from hwds.results.labels import FILE as LABELS
from hwds.results.labels import Labels
from hwds.results.learning import read_learning
from hwds.results.measure import Measure
from hwds.results.sweep_folder import PAGE, SweepFolder
from hwds.results.tables import Tables
from hwds.tracking.curves import WINDOW, Curve, chosen, curves, definitions, plain, summary
from hwds.tracking.record import Record

FURTHER = re.compile(r"inner window|network ([2-9]|1\d)|\(\d+\)$")
"""Names of fits that are left out unless all are chosen: parts of other fits, and networks after the first."""

CELL = ("model", "fold", "start", "fit")


DETERMINED = ("scores.parquet", "predictions.parquet", "metrics.parquet", "decision.json", "best.yaml", f"model/{FILE}")
"""Files of a run or a sweep that do not differ between two executions of it."""

SHOWN = 10_000
"""Rows of a table that a tracker shows; the whole table is among the files."""

APART = ("predictions.parquet", "tracking.json", "progress.json", "report.md", "report.html", "cells.txt", PAGE)
"""Files that are not sent among the others."""

INNER, FINAL = "inner", "final"
"""The windows that trials are compared on, and those that no trial has seen: a score's name says which."""

MARKS = {"experiment", "dataset", "task", "seed"}
"""Columns of the scores that are constant in a run."""


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is a sweep's."""
    return (folder / "sweep.json").is_file()


def finished(folder: Path) -> bool:
    """Return whether a run has all its tables; a sweep needs those of the run of its best settings, too."""
    if not (folder / "scores.parquet").is_file():
        return False
    run = SweepFolder(folder).read_json().get("run", "") if is_sweep(folder) else None
    return run is None or (OUTPUTS / "runs" / run / "scores.parquet").is_file()


def content_of(folder: Path) -> str:
    """Return the digest of the files that do not differ between two executions of the same run."""
    present = [folder / name for name in DETERMINED if (folder / name).is_file()]
    return digest_bytes(part for path in present for part in (path.name.encode(), b"\0", path.read_bytes(), b"\0"))


def records_of(folder: Path, group: str = "", *, every: bool = False) -> list[Record]:
    """Return the one record of a run; for a sweep its own, those of its trials, and that of the run of its best settings.

    Args:
        folder: Of the run or the sweep.
        group: The group of its records; empty for the title of a sweep.
        every: Whether all metrics and losses are mirrored, not a chosen few.

    Raises:
        HwdsError: It is not finished.
    """
    if not finished(folder):
        what = "sweep" if is_sweep(folder) else "run"
        raise HwdsError(f"{what} {folder.parent.name}/{folder.name} is not finished; the same command goes on with it.")
    if is_sweep(folder):
        return _of_sweep(SweepFolder(folder), group, every=every)
    return [_of_run(RunFolder(folder), group, every=every)]


def begun_record(folder: Path, group: str = "", *, every: bool = False) -> Record | None:
    """Return the record of a run or a sweep that is being computed, with its losses so far; None before it has begun.

    Args:
        folder: Of the run or the sweep.
        group: As in `records_of`.
        every: As in `records_of`.
    """
    if is_sweep(folder):
        return _begun_sweep(SweepFolder(folder), group)
    return _begun_run(RunFolder(folder), group, every=every) if (folder / "provenance.json").is_file() else None


def _begun_run(folder: RunFolder, group: str, *, every: bool) -> Record:
    config = data_without_secrets(folder.read_config())
    own = config["model"]["name"]
    return Record(
        **_named(folder.path, "run", own),
        **_tagged(folder.path),
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
        **_named(folder.path, "sweep", "sweep"),
        **_tagged(folder.path),
        group=group or folder.title,
        started=int(1000 * time.time()),
        config=config | {"sweep": content["sweep"]},
        labels=_groups(config) | _sweep_labels(folder.path, content),
    )


def _of_run(folder: RunFolder, group: str, *, every: bool) -> Record:
    config, tables, origin = folder.read_config(), folder.read_tables(), folder.read_provenance()
    path, own = folder.path, config["model"]["name"]
    few = tables if every else chosen(tables, own, str(config["protocol"].get("headline", "")))
    return Record(
        **_named(path, "run", own),
        **_tagged(path),
        **_when(path / "scores.parquet", tables.timings),
        **_kept_files(path),
        group=group,
        config=data_without_secrets(config),
        labels=_labels(config, tables.scores) | {"run": folder.title} | _steps(tables) | _origin(origin),
        curves=[*learning_curves(path, own, every=every), *curves(few, own)],
        summary=summary(few, own) | _counts(tables),
        measures=definitions(few, own),
        tables=_tables(tables),
        data=(config["dataset"]["name"], origin["data"]),
        model=path / "model" if has_fitted(path / "model") else None,
        conclusion=without_secrets("\n\n".join(folder.read_findings())),
    )


def _of_sweep(folder: SweepFolder, group: str, *, every: bool) -> list[Record]:
    content, title = folder.read_json(), group or folder.title
    trials, scores = (read_table(folder.path / f"{name}.parquet") for name in ("trials", "scores"))
    final = _of_run(RunFolder((OUTPUTS / "runs" / content["run"]).resolve()), title, every=every)
    whole = _whole(folder, content, trials, scores, group=title, data=final.data)
    if not every:
        scores = scores.filter(pl.col("metric") == content["metric"])
    return [whole, *(_of_trial(whole, row, scores, content) for row in trials.iter_rows(named=True)), final]


def _whole(folder: SweepFolder, content: Mapping[str, Any], trials: pl.DataFrame, scores: pl.DataFrame, **its: Any) -> Record:
    """Return a sweep's own record."""
    path, config = folder.path, data_without_secrets(content["config"])
    settings = _settings(content, trials)
    facts = _sweep_labels(path, content) | {f"best.{name}": str(value) for name, value in settings.items()}
    return Record(
        **_named(path, "sweep", "sweep"),
        **_tagged(path),
        **_when(path / "trials.parquet", trials),
        **_kept_files(path),
        **its,
        config=config | {"sweep": content["sweep"], "best": settings},
        labels=_labels(config, scores) | facts,
        summary=_best(content),
        measures={f"best/{INNER}/{plain(content['metric'])}": Measure(content["metric"], better=content["better"])},
        tables={"trials": trials.head(SHOWN)},
        page=path / PAGE if (path / PAGE).is_file() else None,
        conclusion=without_secrets(folder.conclusion()),
    )


def _best(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of the best trial and of the experiment as it stood, on both kinds of windows, and the counts."""
    key = plain(content["metric"])
    scores = {
        f"{of}/{windows}/{key}": content.get(of, {}).get(windows) for of in ("best", "untuned") for windows in (INNER, FINAL)
    }
    numbers = {"trials": content["trials"], "finished": content.get("finished", 0), "best/trial": content["best"]["trial"]}
    return {name: float(value) for name, value in (scores | numbers).items() if value is not None}


def _settings(content: Mapping[str, Any], trials: pl.DataFrame) -> dict[str, Any]:
    """Return the best trial's values of what was searched."""
    (row,) = trials.filter(pl.col("trial") == content["best"]["trial"]).to_dicts()
    return {name: value for name, value in row.items() if name.partition(".")[0] in content["config"] and value is not None}


def _sweep_labels(path: Path, content: Mapping[str, Any]) -> dict[str, str]:
    named = {"sweep": f"{path.parent.name}/{path.name}", "metric": content["metric"]}
    return named | {"command": without_secrets(content["command"])}


def _tagged(path: Path) -> dict[str, Any]:
    """Return the tags and the note of the user."""
    with undamaged(path / LABELS):
        labels = Labels.read(path)
    return {"tags": labels.tags, "note": without_secrets(labels.note)}


def _named(path: Path, kind: str, what: str) -> dict[str, Any]:
    """Return the names of the record of a folder."""
    return {
        "id": f"{path.parent.name}-{path.name}",
        "name": f"{what} {path.name[:8]}" if path.parent.name == "adhoc" else f"{path.parent.name}: {what} {path.name[:8]}",
        "kind": kind,
        "experiment": path.parent.name,
    }


def _when(last: Path, rows: pl.DataFrame) -> dict[str, Any]:
    """Return the end, by the file that was written last, and the start, by the seconds of the rows."""
    ended = _milliseconds(last)
    return {"started": ended - int(1000 * (rows["seconds"].sum() or 0)), "ended": ended}


def _kept_files(path: Path) -> dict[str, Any]:
    """Return the files that are mirrored unchanged."""
    return {"pictures": sorted(path.glob("*.png")), "files": _files(path), "predictions": _predictions(path)}


def _of_trial(sweep: Record, row: Mapping[str, Any], scores: pl.DataFrame, data: Mapping[str, Any]) -> Record:
    label = f"trial {row['trial']}"
    own = Tables(scores.filter(pl.col("model") == label), pl.DataFrame(), pl.DataFrame())
    measure = Measure(data["metric"], better=data["better"])
    key = plain(measure.name)
    inner = {f"{INNER}/{name}": value for name, value in summary(own, label).items()}
    rungs = {int(rung): value for rung, value in data.get("rungs_of_trials", {}).get(label, {}).items()}
    points = tuple((rung, {f"{INNER}_by_{WINDOW}/{key}": rungs[rung]}) for rung in sorted(rungs))
    paths = {name: row[name] for name in row if name.partition(".")[0] in sweep.config and row[name] is not None}
    took = int(1000 * (row["seconds"] or 0))
    return Record(
        id=f"{sweep.id}-{row['trial']}",
        name=label,
        kind="trial",
        experiment=sweep.experiment,
        group=sweep.group,
        started=sweep.ended - took,
        ended=sweep.ended,
        config=_with(_without_best(sweep.config), paths),
        labels={**_without_best(sweep.labels), "status": row["status"]} | ({"error": row["error"]} if row["error"] else {}),
        curves=[Curve(WINDOW, points)] if points else [],
        summary=inner | {"windows": float(row["windows"]), "seconds": float(row["seconds"] or 0)},
        measures={f"{INNER}/{key}": measure},
        data=sweep.data,
    )


def _without_best(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name.partition(".")[0] != "best"}


def _with(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with a trial's values at their paths; of a whole option its name."""
    changed = deepcopy(dict(config))
    for path, value in values.items():
        *keys, last = path.split(".") if "." in path else (path, "name")
        node = changed
        for key in keys:
            node = node.setdefault(key, {})
        node[last] = value
    return changed


def _labels(config: Mapping[str, Any], scores: pl.DataFrame) -> dict[str, str]:
    return {"task": next(iter(scores["task"].drop_nulls()), "")} | _groups(config)


def _groups(config: Mapping[str, Any]) -> dict[str, str]:
    groups = ("dataset", "features", "model", "protocol")
    return {"seed": str(config["seed"])} | {group: config[group]["name"] for group in groups}


def _origin(origin: Mapping[str, Any]) -> dict[str, str]:
    git = origin.get("git") or {}
    labels = {"data": origin["data"], "code": origin["code"], "command": without_secrets(origin["command"])}
    labels |= {"commit": git["commit"]} if git else {}
    labels |= {name: str(origin[name]) for name in ("user", "when") if origin.get(name)}
    return labels | {f"version.{name}": version for name, version in origin["versions"].items() if version}


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
    """Return the tables to show: the numbers over all windows, all scores, and the metrics' definitions."""
    whole = pl.all_horizontal(pl.col("fold", "step", "segment").is_null()) & pl.col("value").is_not_null()
    detail = [pl.col(name).is_not_null() for name in ("segment", "step", "fold")]
    narrow = tables.scores.sort(detail, maintain_order=True).drop(MARKS, strict=False)
    board = narrow.filter(whole)
    board = board[[column.name for column in board if column.null_count() < len(board)]]
    return {"leaderboard": board, "scores": narrow.head(SHOWN), "metrics": tables.metrics}


def _files(folder: Path) -> list[Path]:
    """Return all files of results, but for those that are mirrored otherwise, reports, and files with a secret."""
    kinds = (".parquet", ".csv", ".json", ".yaml", ".md", ".txt", ".html")
    named = [path for path in sorted(folder.iterdir()) if path.suffix in kinds and not path.name.startswith((".", "future"))]
    hidden = [value.encode() for value in secrets()]
    return [path for path in named if path.name not in APART and not any(value in path.read_bytes() for value in hidden)]


def _predictions(folder: Path) -> tuple[Path, str] | None:
    path = folder / "predictions.parquet"
    return (path, hashlib.sha256(path.read_bytes()).hexdigest()) if path.is_file() else None


def _milliseconds(path: Path) -> int:
    return path.stat().st_mtime_ns // 1_000_000


def learning_curves(folder: Path, own: str, *, every: bool) -> list[Curve]:
    """Return a curve for each fit of a run, a point an epoch or round: `learning/2023-06-01/network_1/validation`.

    Args:
        folder: Of the run, finished or not.
        own: The label of the experiment's model.
        every: Whether rivals, inner windows and all networks that are averaged have theirs, too.
    """
    fits = read_learning(folder).partition_by(CELL, as_dict=True, maintain_order=True)
    wanted = {cell: rows for cell, rows in fits.items() if every or (cell[0] == own and not FURTHER.search(str(cell[3])))}
    several = len({(model, fold, start) for model, fold, start, _ in wanted}) > len({cell[:2] for cell in wanted})
    return [_curve(_name(cell, own, several=several), rows) for cell, rows in wanted.items()]


def _name(cell: tuple[object, ...], own: str, *, several: bool) -> str:
    """Return the beginning of the names of a fit's losses; with the first unit where a fold has several cells."""
    model, fold, start, fit = map(str, cell)
    parts = ["learning", *(["rivals", model] if model != own else []), fold, *([start] if several else []), plain(fit)]
    return "/".join(parts)


def _curve(name: str, rows: pl.DataFrame) -> Curve:
    points = [
        (int(row["step"]), {f"{name}/{loss}": row[loss] for loss in ("train", "validation") if row[loss] is not None})
        for row in rows.iter_rows(named=True)
    ]
    return Curve(str(rows["axis"][0]), tuple(points))
