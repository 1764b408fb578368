"""The results of a sweep: its tables, its Pareto front, and the time that it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.compose import as_experiment
from hwds.core.files import OUTPUTS
from hwds.core.recipe import canonical
from hwds.core.search_space import space_of
from hwds.core.secrets import redact_env
from hwds.datasets.base import Dataset
from hwds.evaluation.compute.base import Compute
from hwds.evaluation.compute.processes import usable_cores
from hwds.evaluation.protocol import Cell, headline_score
from hwds.experiment.prepare import CellTimes, timed_before, timings_on
from hwds.results.records import command_line, now
from hwds.results.tables import SCORES, Measure
from hwds.search.rungs import FINISHED, TrialRecord, score_lines
from hwds.search.sweep import Search
from hwds.search.sweeps.base import SECONDS, Searching
from hwds.search.trial_scores import as_minimised, rows_by_fold, score_value
from hwds.search.trials import value_below

# The objectives of a sweep beside its metric, and the trials that no other beats in all of
# them.

TIME_MEASURE = Measure(SECONDS, meaning="what the cells of a trial took to fit and to answer")


def front_of(search: Search, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return the objectives, and of each finished trial its values and whether it is in the front.

    Empty for one objective.

    The metric of the sweep comes first. A trial without a value of one of them is left out.
    """
    measures = [search.measure, *map(_measure_of(search).__getitem__, search.sweep.objectives)]
    if len(measures) == 1:
        return {}
    done = [record for record in records if record.status == FINISHED]
    rows = [(record.trial.number, list(_objective_values(record, measures))) for record in done]
    complete = [(number, values) for number, values in rows if len(values) == len(measures)]
    better = [search.better, *(each.better for each in measures[1:])]
    low = [
        [as_minimised(value, side) for value, side in zip(values, better, strict=True)]
        for _, values in complete
    ]
    inside = pareto_front(np.array(low, float).reshape(len(complete), len(measures)))
    trials = [
        {"trial": number, "values": values, "front": bool(here)}
        for (number, values), here in zip(complete, inside, strict=True)
    ]
    named = [
        {"name": each.with_unit, "better": side}
        for each, side in zip(measures, better, strict=True)
    ]
    return {"objectives": named, "trials": trials}


def _measure_of(search: Search) -> Mapping[str, Measure]:
    """Return the measures that an objective may name, by short name: of several (`pinball`) the
    first, whose value it is.
    """
    measures_of_protocol = search.tuning_split.protocol.measures(search.tuning_split.frame)
    return {each.short: each for each in reversed(measures_of_protocol)} | {SECONDS: TIME_MEASURE}


def _objective_values(record: TrialRecord, measures: Sequence[Measure]) -> Iterator[float]:
    """Yield the values of a trial, but for those that are undefined."""
    for measure in measures:
        score = headline_score(record.scores, measure.short)
        value = record.seconds if measure is TIME_MEASURE else score_value(score)
        if value is not None:
            yield value


def pareto_front(values: np.ndarray) -> np.ndarray:
    """Return which rows no other row beats: none is at least as low in every column and lower in
    one, shape (rows,).

    Args:
        values: The lower the better, shape (rows, objectives).
    """
    below = (values[:, None] <= values).all(axis=2) & (values[:, None] < values).any(axis=2)
    return np.asarray(~below.any(axis=0))


# The results of a sweep: the tables of trials, scores and timings, and the best trial's
# predictions and settings.

FIXED_COLUMNS = {
    "trial": pl.Int64,
    "status": pl.String,
    "windows": pl.Int64,
    "score": pl.Float64,
    "stderr": pl.Float64,
    "error": pl.String,
    "source": pl.String,
}
TRIAL_TIMINGS = {"trial": pl.Int64, "model": pl.String, "units": pl.Int64, "seconds": pl.Float64}
EXECUTION_COLUMNS = {"seconds": pl.Float64, "cached": pl.Int64, "host": pl.String}
"""Columns that differ from one execution to the next."""


def trials_table(search: Search, records: Sequence[TrialRecord]) -> DataFrame:
    """Return one row a trial: its status, completed windows and score, its settings, and its
    time.
    """
    paths = list(dict.fromkeys(leaf.path for leaf in search.leaves))
    rows = [
        (
            record.trial.number,
            record.status,
            record.folds,
            record.score.value if record.score else None,
            record.score.stderr if record.score else None,
            record.error,
            record.trial.source,
        )
        for record in records
    ]
    values = [[_trial_value(search, record, path) for record in records] for path in paths]
    settings = [_typed_column(path, values) for path, values in zip(paths, values, strict=True)]
    timings = [(record.seconds, record.cached, record.host) for record in records]
    fixed, execution = (
        DataFrame(part, schema=schema, orient="row")
        for part, schema in ((rows, FIXED_COLUMNS), (timings, EXECUTION_COLUMNS))
    )
    return fixed.hstack(settings).hstack(execution)


def _trial_value(search: Search, record: TrialRecord, path: str) -> Any:
    """Return a trial's value at a path: drawn, or the experiment's.

    None where its choices leave it out.
    """
    if path in record.trial.settings:
        return record.trial.settings[path]
    if record.trial.settings and all(leaf.when for leaf in search.leaves if leaf.path == path):
        return None
    return value_below(record.trial.data, path.split("."))


def _typed_column(path: str, values: list[Any]) -> Series:
    """Return a column: of one type where all values have it, else of texts as JSON."""
    present = [value for value in values if value is not None]
    for kind in (bool, int, float, str):
        if all(isinstance(value, kind if kind is not float else (int, float)) for value in present):
            if kind in (int, float) and any(isinstance(value, bool) for value in present):
                continue
            return Series(path, values, strict=False)
    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return Series(path, texts)


def timings_table(search: Search, records: Sequence[TrialRecord]) -> DataFrame:
    """Return the time of each cell of each trial, by the trial's model.

    Later sweeps are estimated from it.
    """
    rows = [
        (record.trial.number, record.trial.experiment.model.name, units, seconds)
        for record in records
        if record.trial.experiment
        for units, seconds in record.timings
    ]
    return DataFrame(rows, schema=TRIAL_TIMINGS, orient="row")


def predictions_table(search: Search, record: TrialRecord) -> DataFrame:
    """Return a finished trial's predictions on the inner windows, from its cells."""
    group = search.group_of(record.trial)
    by_fold: dict[int, list[Any]] = {}
    for cell, key in group.cells_of(record.trial).items():
        if outcome := search.cache.get(key, cell):
            by_fold.setdefault(cell.fold.index, []).append(outcome)
    rows = rows_by_fold(group.job, by_fold)
    label = pl.lit(record.trial.label).alias("model")
    parts = [
        part.select(label, pl.lit(fold, pl.Int32).alias("fold"), pl.all())
        for fold, part in rows.items()
        if len(part)
    ]
    return group.job.protocol.rows_to_keep(pl.concat(parts)) if parts else DataFrame()


def write_results(
    search: Search, records: Sequence[TrialRecord], best: TrialRecord | None
) -> DataFrame:
    """Write all tables and the best settings into the sweep's folder; return the trials table."""
    folder, table = search.folder, trials_table(search, records)
    folder.write_table("trials", table, csv=True)
    folder.write_table("scores", DataFrame(score_lines(search, records), schema=SCORES))
    folder.write_table("timings", timings_table(search, records))
    if best is not None:
        folder.write_table("predictions", predictions_table(search, best))
        score = best.rungs[best.folds]
        number, metric = best.trial.number, search.measure.name
        content = {
            "trial": number,
            metric: score,
            "windows": best.folds,
            "settings": settings_tree(best.trial.settings),
        }
        comment = (
            f"Trial {number} of sweep {folder.title}: {metric} {score:.6g} on {best.folds} "
            f"inner windows."
        )
        folder.write_best(content, as_experiment(best.trial.data, search.folder.command, comment))
    return table


def settings_tree(settings: Any) -> dict[str, Any]:
    """Return values by path as a tree like the config's; a whole option stands under `name`."""
    root: dict[str, Any] = {}
    for path, value in settings.items():
        keys = path.split(".") if "." in path else [path, "name"]
        node = root
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = value
    return root


def sweep_json(
    search: Search, records: Sequence[TrialRecord] = (), **results: Any
) -> dict[str, Any]:
    """Return the content of `sweep.json`: the search and its settings.

    With records the results, too.
    """
    content = {
        "command": command_line(),
        "when": now(),
        "experiment": search.experiment.experiment,
        "config": redact_env(
            {key: value for key, value in search.data.items() if key != "experiment"}
        ),
        "sweep": canonical(search.sweep) | {"name": search.sweep.name},
        "space": dict(space_of(search.data)),
        "metric": search.measure.name,
        "better": search.better,
        "windows": [fold.name for fold in search.tuning_split.folds],
        "rungs": list(search.rungs),
        "trials": len(search.trials),
    }
    if records:
        content |= {
            "finished": sum(record.status == FINISHED for record in records),
            "window_fits": sum(record.folds for record in records),
            "rungs_of_trials": {each.trial.label: each.rungs for each in records if each.rungs},
            "seconds_of_trials": {each.trial.label: each.took for each in records if each.took},
        }
    return content | results


# The estimate of a sweep's cells and time from earlier timings, and afterwards its comparison
# with the actual time.

UNTRIED_SPREAD = log(2.0)
"""The assumed spread of costs between settings, as a logarithm, where no sweep has timed any."""
LOAD_SPREAD = log(1.25)
"""The assumed spread of the time of the same work between days, as a logarithm."""
ENOUGH_TRIALS = 5
"""The number of timed trials from which the spread between settings is estimated."""
SAMPLED_CELLS = 100
"""The number of cached cells of an interrupted sweep, evenly spaced, whose timings are read."""
Z90 = 1.645

ModelCosts = Mapping[str, tuple[CellTimes, float | None]]
"""The time of each model's cells by size, with the spread of its trials as a logarithm."""


@dataclass(frozen=True, slots=True)
class Span:
    """An expected number of seconds on one core, with its 90 % interval."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SweepEstimate:
    """The expected work of a sweep.

    Attributes:
        cells: All cells of all trials if none were stopped.
        missing: The number of them that are not cached.
        share: The share of windows that is computed where nothing fails: less than 1 where trials
            are stopped.
        core: The time of the missing cells on one core; None where a model was never timed on this
            dataset.
        at_once: Cells that are computed at the same time; None for a cluster that runs already.
    """

    cells: int
    missing: int
    share: float
    core: Span | None
    at_once: int | None

    @property
    def seconds(self) -> float | None:
        """The expected wall time; None where it cannot be known."""
        return (
            None if self.core is None or self.at_once is None else self.core.seconds / self.at_once
        )


def estimate_of(search: Search) -> SweepEstimate:
    """Return the expected work of a sweep, the trials that are still to be proposed included in its
    time.
    """
    names = {
        trial.label: trial.experiment.model.name for trial in search.trials if trial.experiment
    }
    cells = search.cached_cells()
    missing = [cell for cell, cached in cells.items() if not cached]
    share, at_once = (
        share_of_windows(search),
        cells_at_once(search.experiment.compute, search.sweep),
    )
    new = {trial.label for trial in search.trials if not trial.source}
    to_come = max(search.most_trials - len(search.trials), 0)
    computed = {names[cell.model] for cell in missing} | (
        {names[label] for label in new & {*names}} if to_come else set()
    )
    costs = _model_costs(search.experiment.dataset, computed, lambda: timed_here(search, names))
    if costs is None:
        return SweepEstimate(len(cells), len(missing), share, None, at_once)
    new_cells = {cell: cached for cell, cached in cells.items() if cell.model in new}
    shares = expected_windows(search, new_cells)
    seconds = sum(
        shares.get((cell.model, search.place(cell.fold)), 1.0) * _cell_cost(costs, names, cell)
        for cell in missing
    )
    whole = sum(_cell_cost(costs, names, cell) for cell in new_cells) if to_come else 0.0
    seconds += share * whole * to_come / max(len(new & {*names}), 1)
    count = max(len({cell.model for cell in missing}) + to_come, 1)
    reach = max((sum_spread(deviation, count) for _, deviation in costs.values()), default=0.0)
    return SweepEstimate(
        len(cells),
        len(missing),
        share,
        Span(seconds, seconds * exp(-reach), seconds * exp(reach)),
        at_once,
    )


def _cell_cost(costs: ModelCosts, names: Mapping[str, str], cell: Cell) -> float:
    """Return the expected seconds of a cell."""
    return costs[names[cell.model]][0].time(max(cell.stop - cell.start, 1)).seconds


def expected_windows(search: Search, cells: Mapping[Cell, bool]) -> Mapping[tuple[str, int], float]:
    """Return the chance of each window of each trial to be computed if it is missing, by label and
    place.

    A trial whose windows before are all there was stopped where as many as are to go on have this
    one. Of the others nothing is known, and they go on as often as any.

    Args:
        search: The search.
        cells: The cells of its own trials, and whether each is cached.
    """
    cached: dict[tuple[str, int], bool] = {}
    for cell, there in cells.items():
        at = cell.model, search.place(cell.fold)
        cached[at] = cached.get(at, True) and there
    shares = shares_by_place(search)
    alive = {label: 1.0 for label, _ in cached}
    chances: dict[tuple[str, int], float] = {}
    for place, share in enumerate(shares):
        missing = [label for label in alive if not cached.get((label, place), True)]
        unsure = {
            label
            for label in alive
            if not all(cached.get((label, before), True) for before in range(place))
        }
        for label in unsure:
            alive[label] *= share / shares[place - 1]
        waiting = [label for label in missing if label not in unsure]
        taken = (
            len(alive) - len(missing) + sum(alive[label] for label in unsure.intersection(missing))
        )
        left = share * len(alive) - taken
        alive |= dict.fromkeys(waiting, min(max(left, 0.0) / len(waiting), 1.0) if waiting else 0.0)
        chances |= {(label, place): alive[label] for label in missing}
    return chances


def sum_spread(deviation: float | None, trials: int) -> float:
    """Return the half-width of the 90 % interval of a sum over trials, as a logarithm.

    Args:
        deviation: The standard deviation of the logarithm of the trials' times; None where no sweep
            was timed.
        trials: The number of trials.
    """
    return hypot(
        LOAD_SPREAD, UNTRIED_SPREAD if deviation is None else Z90 * deviation / sqrt(trials)
    )


def _model_costs(
    dataset: Dataset,
    models: set[str],
    here: Callable[[], ModelCosts],
) -> ModelCosts | None:
    """Return the time of each model's cells by size, with the spread of its trials.

    None where one was never timed.

    Cells of earlier sweeps are preferred to those of runs: their settings varied, as those of the
    trials will. Where neither timed all models, the cached cells of this sweep, if it was
    interrupted, are read.
    """
    costs: dict[str, tuple[CellTimes, float | None]] = {
        name: (timed, None) for name, timed in timed_before(dataset).items()
    }
    costs |= timed_in_sweeps(dataset)
    if not models <= {*costs}:
        costs |= here()
    return {name: costs[name] for name in models} if models <= {*costs} else None


def timed_here(search: Search, names: Mapping[str, str]) -> ModelCosts:
    """Return the time of a sweep's cached cells, or of a sample of them, by the option of their
    models.

    Args:
        search: The sweep.
        names: The option of each trial's model, by the trial's label.
    """
    cached = [(cell, key) for cell, key in search.cells.items() if search.cache.has(key)]
    sampled = [
        search.cache.get(key, cell)
        for cell, key in cached[:: -(-len(cached) // SAMPLED_CELLS) or 1]
    ]
    rows = DataFrame(
        [
            (
                names[done.cell.model],
                done.cell.model,
                max(done.cell.stop - done.cell.start, 1),
                done.seconds,
            )
            for done in sampled
            if done is not None
        ],
        schema={"model": pl.String, "trial": pl.String, "units": pl.Int64, "seconds": pl.Float64},
        orient="row",
    )
    return _by_model(rows.with_columns(sweep=pl.lit("this")))


def timed_in_sweeps(dataset: Dataset) -> ModelCosts:
    """Return the time of each model's cells in the sweeps on one dataset, with the spread of its
    trials (as a logarithm).
    """
    found = timings_on(dataset, OUTPUTS / "sweeps")
    if not found:
        return {}
    rows = pl.concat(
        timings.with_columns(sweep=pl.lit(str(path))) for path, (_, timings) in found.items()
    )
    typical = (
        rows.filter(col("seconds") > 0)
        .group_by("model", "sweep", "trial", "units")
        .agg(col("seconds").median())
    )
    return _by_model(typical.sort("sweep", "trial", "units"))


def _by_model(rows: DataFrame) -> ModelCosts:
    parts = rows.partition_by("model", as_dict=True)
    return {str(model): (_by_size(part), _log_deviation(part)) for (model,), part in parts.items()}


def _by_size(rows: DataFrame) -> CellTimes:
    """Return the mean over trials of the time of a cell of each size: a mean, because a sum is
    estimated.
    """
    sizes = rows.group_by("units").agg(col("seconds").mean()).sort("units")
    return CellTimes(sizes["units"].to_list(), sizes["seconds"].to_list())


def _log_deviation(rows: DataFrame) -> float | None:
    """Return the standard deviation of the logarithm of trials' times over the mean of cells of
    their size.
    """
    usual = col("seconds").mean().over("units")
    each = (
        rows.with_columns(usual=usual).group_by("sweep", "trial").agg(col("seconds", "usual").sum())
    )
    return (
        float(np.log((each["seconds"] / each["usual"]).to_numpy()).std(ddof=1))
        if len(each) >= ENOUGH_TRIALS
        else None
    )


def cells_at_once(compute: Compute, sweep: Searching) -> int | None:
    """Return the number of a sweep's cells that are computed at the same time.

    None for a cluster that runs already.
    """
    if getattr(compute, "address", None):
        return None
    workers = getattr(compute, "workers", None)
    cpus = sweep.cpus_per_trial or compute.cpus_per_cell
    most = 1 if workers is None else workers or max(usable_cores() // cpus, 1)
    return min(most, sweep.concurrent or most)


def share_of_windows(search: Search) -> float:
    """Return the share of all windows of the sweep's own trials that is computed, whichever of them
    turn out the best.
    """
    shares = shares_by_place(search)
    return sum(shares) / len(shares) if shares else 0.0


def shares_by_place(search: Search) -> list[float]:
    """Return the share of the sweep's own trials that compute each window, in the order of
    computation.
    """
    new = {trial.number for trial in search.trials if trial.experiment and not trial.source}
    folds, active, previous = len(search.tuning_split.folds), new, 0
    shares: list[float] = []
    for rung in search.rungs:
        shares += [len(active) / max(len(new), 1)] * (rung - previous)
        active = (
            search.sweep.survivors(rung, folds, {number: float(number) for number in active})
            if active
            else set()
        )
        previous = rung
    return shares


def time_record(
    estimate: SweepEstimate, records: Sequence[TrialRecord], seconds: float
) -> dict[str, object]:
    """Return the actual and the estimated time for `sweep.json`.

    Empty where nothing was computed now.

    Args:
        estimate: The estimate.
        records: The records of the trials.
        seconds: The wall time.
    """
    core = sum(record.now for record in records)
    cells = sum(len(record.timings) - record.cached for record in records)
    if not cells:
        return {}
    took = {"cells": cells, "core_seconds": core, "seconds": seconds}
    if estimate.core is None:
        return {"took": took}
    span = estimate.core
    expected = {
        "core_seconds": span.seconds,
        "low": span.low,
        "high": span.high,
        "seconds": estimate.seconds,
    }
    return {"foreseen": expected, "took": took}
