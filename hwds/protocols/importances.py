"""How much each input adds to the scores of a window's rows on the average, and how far that depends on the luck of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.frames.table import ROW_ID, Table
from hwds.models.classify.base import Contributions, FittedClassifier
from hwds.protocols.score import Score
from hwds.results.reasons import subject
from hwds.seeds import stream, stream_key

COLUMN = "importances"
"""Of judged rows: what `importances` tells of their window, borne by its first row."""

IMPORTANCES = pl.List(pl.Struct({"seed": pl.Int32, "of": pl.String, "name": pl.String, "adds": pl.Float64, "n": pl.Int64}))
"""The mean absolute contribution over n rows of each input, and of all inputs of one subject (`of`), by the seed of the fit."""

INPUT, SUBJECT = "input", "subject"
WHOLE, SHARE = "importance", "importance_share"

Fit = Callable[[Context], FittedClassifier]


def importances(
    fit: Fit, first: FittedClassifier, asked: Table, context: Context, *, seeds: int, most: int
) -> list[dict[str, object]] | None:
    """What inputs add on the average over rows; None where there are none.

    Args:
        fit: Fits the model anew under a context's luck.
        first: The model as it judged.
        asked: The rows with their inputs.
        context: Of the first fit.
        seeds: Fits, the first one included.
        most: Rows that the mean is over, drawn by their ids: the same for every model.
    """
    shown = drawn(asked, most, context.seed)
    return list(_told(fit, first, shown, context, seeds)) if len(shown.data) else None


def bearing(rows: pl.DataFrame, told: list[dict[str, object]] | None) -> pl.DataFrame:
    """Judged rows with a column for importances, which the first of them bears."""
    borne = [told, *[None] * (len(rows) - 1)][: len(rows)]
    return rows.with_columns(pl.Series(COLUMN, borne, dtype=IMPORTANCES))


def drawn(rows: Table, most: int, seed: int) -> Table:
    """So many of the rows at most, those of the least luck, in their order."""
    ids = rows.data[ROW_ID].to_numpy()
    luck = stream(seed, "importances").random(int(ids.max(initial=-1)) + 1)[ids]
    kept = np.zeros(len(ids), bool)
    kept[np.argsort(luck, kind="stable")[:most]] = True
    return rows.take(kept)


def _told(fit: Fit, first: FittedClassifier, rows: Table, context: Context, seeds: int) -> Iterator[dict[str, object]]:
    """By seed; where the second fit comes to the bits of the first the model has no luck, and is fitted no more."""
    parts = [first.explain(rows)]
    for seed in range(1, seeds):
        if seed == 2 and np.array_equal(parts[0].values, parts[1].values):
            parts += [parts[0]] * (seeds - 2)
            break
        own = replace(context, seed=stream_key(context.seed, "importances", seed) % 2**31)
        parts.append(fit(own).explain(rows))
    for seed, found in enumerate(parts):
        for of, told in ((INPUT, found), (SUBJECT, by_subject(found))):
            for name, adds in zip(told.names, np.abs(told.values).mean(axis=0).tolist(), strict=True):
                yield {"seed": seed, "of": of, "name": name, "adds": adds, "n": len(told.values)}


def by_subject(found: Contributions) -> Contributions:
    """The contributions of inputs that make one sentence of reasons as one."""
    subjects = [subject(name) for name in found.names]
    names = tuple(dict.fromkeys(subjects))
    place = {name: i for i, name in enumerate(names)}
    values = np.zeros((len(found.values), len(names)))
    for i, own in enumerate(subjects):
        values[:, place[own]] += found.values[:, i]
    return Contributions(names, found.base, values)


def importance_scores(rows: pl.DataFrame) -> Iterator[Score]:
    """What each input adds on the average, in units of the score, and its share of the sum: over all windows, then of each.

    The interval is the lowest and the highest of the seeds, each the mean over its windows: it tells how far importances
    depend on the luck of a fit, and nothing of other rows.

    Args:
        rows: The test rows of one model, of all its windows.
    """
    told = rows.get_column(COLUMN, default=None)
    if told is None or not told.count():
        return
    each = pl.DataFrame({"window": rows["cutoff"], "told": told}).drop_nulls().explode("told").unnest("told")
    share = (pl.col("adds") / pl.col("adds").sum().over("window", "seed", "of")).fill_nan(0.0).alias("share")
    shared = each.with_columns(share)
    windows = shared.partition_by("window", as_dict=True, maintain_order=True)
    yield from _scores(shared, len(windows), None)
    if len(windows) > 1:
        for (window,), part in windows.items():
            yield from _scores(part, 1, str(window))


def _scores(told: pl.DataFrame, windows: int, cutoff: str | None) -> Iterator[Score]:
    """A name that a window does not have adds nothing there."""
    seeds = told["seed"].n_unique()
    sums = told.group_by("of", "name", "seed", maintain_order=True).agg(
        pl.col("adds", "share").sum() / windows, pl.col("n").sum()
    )
    for (of, name), part in sums.partition_by("of", "name", as_dict=True, maintain_order=True).items():
        own = {"n": int(part["n"].max()), "segment_by": str(of), "segment": str(name), "cutoff": cutoff}  # type: ignore[arg-type]
        for metric, column in ((WHOLE, "adds"), (SHARE, "share")):
            yield _score(metric, [*part[column].to_list(), *[0.0] * (seeds - len(part))], own)


def _score(metric: str, values: Sequence[float], own: dict[str, Any]) -> Score:
    mean = float(np.mean(values)) if min(values) < max(values) else values[0]
    if len(values) == 1:
        return Score(metric, "mean", mean, **own)
    return Score(
        metric, "mean", mean, ci_low=min(values), ci_high=max(values), ci_method=f"range of {len(values)} seeds", **own
    )
