"""Importances: the mean absolute contribution of each input to scores, under several seeds of the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.core.seeds import stream, stream_key
from hwds.detection.context import RowContext
from hwds.detection.models.classify.base import Contributions, FittedClassifier
from hwds.detection.reasons.sentences import subject
from hwds.evaluation.score import Score
from hwds.frames.table import ROW_ID, Table

COLUMN = "importances"
"""A column of scored rows: the result of `importances` for their window, in its first row."""

IMPORTANCES = pl.List(pl.Struct({"seed": pl.Int32, "of": pl.String, "name": pl.String, "adds": pl.Float64, "n": pl.Int64}))
"""The mean absolute contribution over n rows of each input, and of all inputs of one subject (`of`), by the seed of the fit."""

INPUT, SUBJECT = "input", "subject"
WHOLE, SHARE = "importance", "importance_share"

Fit = Callable[[RowContext], FittedClassifier]


def importances(
    fit: Fit, first: FittedClassifier, rows: Table, context: RowContext, *, seeds: int, most: int
) -> list[dict[str, object]] | None:
    """Return the mean absolute contributions of inputs over rows; None where there are no rows.

    Args:
        fit: Fits the model anew under a context's seed.
        first: The model that scored the rows.
        rows: The rows with their inputs.
        context: Of the first fit.
        seeds: Fits, the first one included.
        most: Rows that the mean is over, drawn by their ids: the same for every model.
    """
    shown = drawn(rows, most, context.seed)
    return list(_by_seed(fit, first, shown, context, seeds)) if len(shown.data) else None


def with_importances(rows: pl.DataFrame, values: list[dict[str, object]] | None) -> pl.DataFrame:
    """Return scored rows with a column for importances, filled in the first of them."""
    borne = [values, *[None] * (len(rows) - 1)][: len(rows)]
    return rows.with_columns(pl.Series(COLUMN, borne, dtype=IMPORTANCES))


def drawn(rows: Table, most: int, seed: int) -> Table:
    """Return so many of the rows at most, drawn at random by their ids, in their order."""
    ids = rows.data[ROW_ID].to_numpy()
    random = stream(seed, "importances").random(int(ids.max(initial=-1)) + 1)[ids]
    chosen = np.zeros(len(ids), bool)
    chosen[np.argsort(random, kind="stable")[:most]] = True
    return rows.filter(chosen)


def _by_seed(fit: Fit, first: FittedClassifier, rows: Table, context: RowContext, seeds: int) -> Iterator[dict[str, object]]:
    """Yield importances by seed; a model whose second fit equals the first to the bit is fitted no more."""
    parts = [first.explain(rows)]
    for seed in range(1, seeds):
        if seed == 2 and np.array_equal(parts[0].values, parts[1].values):
            parts += [parts[0]] * (seeds - 2)
            break
        seeded = replace(context, seed=stream_key(context.seed, "importances", seed) % 2**31)
        parts.append(fit(seeded).explain(rows))
    for seed, contributions in enumerate(parts):
        for of, part in ((INPUT, contributions), (SUBJECT, by_subject(contributions))):
            for name, adds in zip(part.names, np.abs(part.values).mean(axis=0).tolist(), strict=True):
                yield {"seed": seed, "of": of, "name": name, "adds": adds, "n": len(part.values)}


def by_subject(contributions: Contributions) -> Contributions:
    """Return contributions by subject: those of inputs that share one sentence of reasons as one."""
    subjects = [subject(name) for name in contributions.names]
    names = tuple(dict.fromkeys(subjects))
    place = {name: i for i, name in enumerate(names)}
    values = np.zeros((len(contributions.values), len(names)))
    for i, each in enumerate(subjects):
        values[:, place[each]] += contributions.values[:, i]
    return Contributions(names, contributions.base, values)


def importance_scores(rows: pl.DataFrame) -> Iterator[Score]:
    """Yield the mean absolute contribution of each input, and its share of the sum: over all windows, then of each.

    The interval is the lowest and the highest of the seeds, each the mean over its windows: it says how far importances
    depend on the seed of a fit, and nothing about other rows.

    Args:
        rows: The test rows of one model, of all its windows.
    """
    column = rows.get_column(COLUMN, default=None)
    if column is None or not column.count():
        return
    each = (
        pl.DataFrame({"window": rows["cutoff"], "importance": column}).drop_nulls().explode("importance").unnest("importance")
    )
    share = (pl.col("adds") / pl.col("adds").sum().over("window", "seed", "of")).fill_nan(0.0).alias("share")
    shared = each.with_columns(share)
    windows = shared.partition_by("window", as_dict=True, maintain_order=True)
    yield from _scores(shared, len(windows), None)
    if len(windows) > 1:
        for (window,), part in windows.items():
            yield from _scores(part, 1, str(window))


def _scores(rows: pl.DataFrame, windows: int, cutoff: str | None) -> Iterator[Score]:
    """Yield the scores of windows; an input that a window does not have adds nothing there."""
    seeds = rows["seed"].n_unique()
    sums = rows.group_by("of", "name", "seed", maintain_order=True).agg(
        pl.col("adds", "share").sum() / windows, pl.col("n").sum()
    )
    for (of, name), part in sums.partition_by("of", "name", as_dict=True, maintain_order=True).items():
        fields = {"n": int(part["n"].max()), "segment_by": str(of), "segment": str(name), "cutoff": cutoff}  # type: ignore[arg-type]
        for metric, column in ((WHOLE, "adds"), (SHARE, "share")):
            yield _score(metric, [*part[column].to_list(), *[0.0] * (seeds - len(part))], fields)


def _score(metric: str, values: Sequence[float], fields: dict[str, Any]) -> Score:
    mean = float(np.mean(values)) if min(values) < max(values) else values[0]
    if len(values) == 1:
        return Score(metric, "mean", mean, **fields)
    return Score(
        metric, "mean", mean, ci_low=min(values), ci_high=max(values), ci_method=f"range of {len(values)} seeds", **fields
    )
