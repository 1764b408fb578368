"""What a sweep leaves: the trials table, scores, the best one's predictions and settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from hwds.config.space import space_of
from hwds.config.written import as_experiment
from hwds.execution.headline import answered
from hwds.execution.search import Search
from hwds.execution.sweep import FINISHED, Record, score_lines
from hwds.metrics.base import Measure
from hwds.recipe import canonical
from hwds.results.provenance import command_line
from hwds.results.secrets import sealed
from hwds.results.tables import SCORES

FIXED = {
    "trial": pl.Int64,
    "status": pl.String,
    "windows": pl.Int64,
    "score": pl.Float64,
    "stderr": pl.Float64,
    "error": pl.String,
}
TIMINGS = {"trial": pl.Int64, "model": pl.String, "units": pl.Int64, "seconds": pl.Float64}
APART = {"seconds": pl.Float64, "cached": pl.Int64, "host": pl.String}
"""Columns that differ from one execution to the next."""


def trials_table(search: Search, records: Sequence[Record]) -> pl.DataFrame:
    """One row a trial: how far it came, its score there, the values of what is searched, and what it took."""
    paths = list(dict.fromkeys(leaf.path for leaf in search.leaves))
    rows = pl.DataFrame([_row(record) for record in records], schema=FIXED, orient="row")
    told = [[_value(search, record, path) for record in records] for path in paths]
    settings = [_column(path, values) for path, values in zip(paths, told, strict=True)]
    apart = [(record.seconds, record.cached, record.host) for record in records]
    return rows.hstack(settings).hstack(pl.DataFrame(apart, schema=APART, orient="row"))


def _row(record: Record) -> tuple[Any, ...]:
    number = (record.score.value, record.score.stderr) if record.score else (None, None)
    return record.trial.number, record.status, record.folds, *number, record.error


def _value(search: Search, record: Record, path: str) -> Any:
    """What a trial has at a path: drawn, or as the experiment stands; None where its choices leave it without."""
    if path in record.trial.settings:
        return record.trial.settings[path]
    group, *keys = path.split(".")
    if record.trial.settings and all(leaf.when for leaf in search.leaves if leaf.path == path):
        return None
    node: Any = record.trial.data[group]
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node["name"] if isinstance(node, dict) and "name" in node else node


def _column(path: str, values: list[Any]) -> pl.Series:
    """Numbers as numbers where all are; anything else as YAML would write it in one line."""
    known = [value for value in values if value is not None]
    for kind in (bool, int, float, str):
        if all(isinstance(value, kind if kind is not float else (int, float)) for value in known):
            if kind in (int, float) and any(isinstance(value, bool) for value in known):
                continue
            return pl.Series(path, values, strict=False)
    return pl.Series(path, [None if value is None else json.dumps(value, ensure_ascii=False) for value in values])


def scores_table(search: Search, records: Sequence[Record]) -> pl.DataFrame:
    """All scores of all trials."""
    return pl.DataFrame(score_lines(search, records), schema=SCORES)


def timings_table(search: Search, records: Sequence[Record]) -> pl.DataFrame:
    """What each cell of each trial took, by the model that it was a trial of: what later sweeps are foreseen from."""
    rows = [
        (record.trial.number, record.trial.experiment.model.name, units, seconds)
        for record in records
        if record.trial.experiment
        for units, seconds in record.timings
    ]
    return pl.DataFrame(rows, schema=TIMINGS, orient="row")


def predictions_table(search: Search, record: Record) -> pl.DataFrame:
    """What a finished trial said on the inner windows, from its cells."""
    lot = search.lot_of(record.trial)
    by_fold: dict[int, list[Any]] = {}
    for cell, key in lot.cells_of(record.trial).items():
        if outcome := search.cache.get(key, cell):
            by_fold.setdefault(cell.fold.index, []).append(outcome)
    rows = answered(lot.job, by_fold)
    named = [pl.lit(record.trial.label).alias("model"), pl.all()]
    parts = [part.select(named[0], pl.lit(fold, pl.Int32).alias("fold"), named[1]) for fold, part in rows.items() if len(part)]
    return lot.job.protocol.kept(pl.concat(parts)) if parts else pl.DataFrame()


def write_found(search: Search, records: Sequence[Record], best: Record | None) -> pl.DataFrame:
    """All tables and the best settings into the sweep's folder; the trials table."""
    folder, table = search.folder, trials_table(search, records)
    folder.write_table("trials", table, csv=True)
    folder.write_table("scores", scores_table(search, records))
    folder.write_table("timings", timings_table(search, records))
    if best is not None:
        folder.write_table("predictions", predictions_table(search, best))
        score = best.rungs[best.folds]
        number, metric, settings = best.trial.number, search.measure.name, tree(best.trial.settings)
        told = {"trial": number, metric: score, "windows": best.folds, "settings": settings}
        said = f"Trial {number} of sweep {folder.title}: {metric} {score:.6g} on {best.folds} inner windows."
        folder.write_best(told, as_experiment(best.trial.data, search.folder.command, said))
    return table


def tree(settings: Any) -> dict[str, Any]:
    """Values by their paths as a tree like the config's; a whole option stands under `name`."""
    found: dict[str, Any] = {}
    for path, value in settings.items():
        keys = path.split(".") if "." in path else [path, "name"]
        node = found
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = value
    return found


def about(search: Search, records: Sequence[Record] = (), **found: Any) -> dict[str, Any]:
    """What `sweep.json` says: what was searched and how; with records what came of it."""
    done = [record for record in records if record.status == FINISHED]
    measure: Measure = search.measure
    told = {
        "command": command_line(),
        "experiment": search.experiment.experiment,
        "config": sealed({key: value for key, value in search.data.items() if key != "experiment"}),
        "sweep": canonical(search.sweep) | {"name": search.sweep.name},
        "space": dict(space_of(search.data)),
        "metric": measure.name,
        "better": search.better,
        "windows": [fold.name for fold in search.rehearsal.folds],
        "rungs": list(search.rungs),
        "trials": len(search.trials),
    }
    if records:
        told |= {"finished": len(done), "window_fits": sum(record.folds for record in records)}
        told |= {"rungs_of_trials": {record.trial.label: record.rungs for record in records if record.rungs}}
        told |= {"seconds_of_trials": {record.trial.label: record.took for record in records if record.took}}
    return told | found
