"""The results of a sweep: the tables of trials, scores and timings, and the best trial's predictions and settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from hwds.config.own_space import space_of
from hwds.config.written import as_experiment
from hwds.core.recipe import canonical
from hwds.core.secrets import redact_env
from hwds.results.measure import Measure
from hwds.results.provenance import command_line, now
from hwds.results.tables import SCORES
from hwds.tuning.rungs import FINISHED, TrialRecord, score_lines
from hwds.tuning.search import Search
from hwds.tuning.trial_scores import rows_by_fold

FIXED = {
    "trial": pl.Int64,
    "status": pl.String,
    "windows": pl.Int64,
    "score": pl.Float64,
    "stderr": pl.Float64,
    "error": pl.String,
    "source": pl.String,
}
TIMINGS = {"trial": pl.Int64, "model": pl.String, "units": pl.Int64, "seconds": pl.Float64}
APART = {"seconds": pl.Float64, "cached": pl.Int64, "host": pl.String}
"""Columns that differ from one execution to the next."""


def trials_table(search: Search, records: Sequence[TrialRecord]) -> pl.DataFrame:
    """Return one row a trial: its status, completed windows and score, its settings, and its time."""
    paths = list(dict.fromkeys(leaf.path for leaf in search.leaves))
    rows = pl.DataFrame([_row(record) for record in records], schema=FIXED, orient="row")
    values = [[_value(search, record, path) for record in records] for path in paths]
    settings = [_column(path, values) for path, values in zip(paths, values, strict=True)]
    apart = [(record.seconds, record.cached, record.host) for record in records]
    return rows.hstack(settings).hstack(pl.DataFrame(apart, schema=APART, orient="row"))


def _row(record: TrialRecord) -> tuple[Any, ...]:
    number = (record.score.value, record.score.stderr) if record.score else (None, None)
    return record.trial.number, record.status, record.folds, *number, record.error, record.trial.source


def _value(search: Search, record: TrialRecord, path: str) -> Any:
    """Return a trial's value at a path: drawn, or the experiment's; None where its choices leave it out."""
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
    """Return a column: of one type where all values have it, else of texts as JSON."""
    known = [value for value in values if value is not None]
    for kind in (bool, int, float, str):
        if all(isinstance(value, kind if kind is not float else (int, float)) for value in known):
            if kind in (int, float) and any(isinstance(value, bool) for value in known):
                continue
            return pl.Series(path, values, strict=False)
    return pl.Series(path, [None if value is None else json.dumps(value, ensure_ascii=False) for value in values])


def scores_table(search: Search, records: Sequence[TrialRecord]) -> pl.DataFrame:
    """Return all scores of all trials."""
    return pl.DataFrame(score_lines(search, records), schema=SCORES)


def timings_table(search: Search, records: Sequence[TrialRecord]) -> pl.DataFrame:
    """Return the time of each cell of each trial, by the trial's model; later sweeps are estimated from it."""
    rows = [
        (record.trial.number, record.trial.experiment.model.name, units, seconds)
        for record in records
        if record.trial.experiment
        for units, seconds in record.timings
    ]
    return pl.DataFrame(rows, schema=TIMINGS, orient="row")


def predictions_table(search: Search, record: TrialRecord) -> pl.DataFrame:
    """Return a finished trial's predictions on the inner windows, from its cells."""
    group = search.group_of(record.trial)
    by_fold: dict[int, list[Any]] = {}
    for cell, key in group.cells_of(record.trial).items():
        if outcome := search.cache.get(key, cell):
            by_fold.setdefault(cell.fold.index, []).append(outcome)
    rows = rows_by_fold(group.job, by_fold)
    named = [pl.lit(record.trial.label).alias("model"), pl.all()]
    parts = [part.select(named[0], pl.lit(fold, pl.Int32).alias("fold"), named[1]) for fold, part in rows.items() if len(part)]
    return group.job.protocol.rows_to_keep(pl.concat(parts)) if parts else pl.DataFrame()


def write_results(search: Search, records: Sequence[TrialRecord], best: TrialRecord | None) -> pl.DataFrame:
    """Write all tables and the best settings into the sweep's folder; return the trials table."""
    folder, table = search.folder, trials_table(search, records)
    folder.write_table("trials", table, csv=True)
    folder.write_table("scores", scores_table(search, records))
    folder.write_table("timings", timings_table(search, records))
    if best is not None:
        folder.write_table("predictions", predictions_table(search, best))
        score = best.rungs[best.folds]
        number, metric, settings = best.trial.number, search.measure.name, tree(best.trial.settings)
        content = {"trial": number, metric: score, "windows": best.folds, "settings": settings}
        comment = f"Trial {number} of sweep {folder.title}: {metric} {score:.6g} on {best.folds} inner windows."
        folder.write_best(content, as_experiment(best.trial.data, search.folder.command, comment))
    return table


def tree(settings: Any) -> dict[str, Any]:
    """Return values by path as a tree like the config's; a whole option stands under `name`."""
    root: dict[str, Any] = {}
    for path, value in settings.items():
        keys = path.split(".") if "." in path else [path, "name"]
        node = root
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = value
    return root


def sweep_json(search: Search, records: Sequence[TrialRecord] = (), **results: Any) -> dict[str, Any]:
    """Return the content of `sweep.json`: the search and its settings; with records the results, too."""
    done = [record for record in records if record.status == FINISHED]
    measure: Measure = search.measure
    content = {
        "command": command_line(),
        "when": now(),
        "experiment": search.experiment.experiment,
        "config": redact_env({key: value for key, value in search.data.items() if key != "experiment"}),
        "sweep": canonical(search.sweep) | {"name": search.sweep.name},
        "space": dict(space_of(search.data)),
        "metric": measure.name,
        "better": search.better,
        "windows": [fold.name for fold in search.tuning_split.folds],
        "rungs": list(search.rungs),
        "trials": len(search.trials),
    }
    if records:
        content |= {"finished": len(done), "window_fits": sum(record.folds for record in records)}
        content |= {"rungs_of_trials": {record.trial.label: record.rungs for record in records if record.rungs}}
        content |= {"seconds_of_trials": {record.trial.label: record.took for record in records if record.took}}
    return content | results
