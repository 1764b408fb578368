"""What a sweep's trials compare by: the scores after the fewest windows, and the settings that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from hwds.report.sweep import OWN, Found

Runs = Mapping[str, Mapping[int, float]]
"""The running scores of each trial by the windows behind it."""

UNUSED = "not used"
"""What a setting is called of a trial whose choices leave it out."""


def first_scores(found: Found, runs: Runs) -> pl.DataFrame:
    """The trials with their score (`first`) after the fewest windows that any has behind it (`compared`): there all compare."""
    common = min((min(scores) for scores in runs.values()), default=found.windows)
    rows = [(int(label.removeprefix("trial ")), scores[common]) for label, scores in runs.items() if common in scores]
    first = pl.DataFrame(rows, schema={"trial": pl.Int64, "first": pl.Float64}, orient="row")
    return found.trials.join(first, on="trial", maintain_order="left").with_columns(compared=pl.lit(common))


def varied(table: pl.DataFrame) -> list[str]:
    """The settings that differ between the trials that have a score."""
    scored = table.filter(pl.col("score").is_not_null())
    extra = {*OWN, "first", "compared"}
    return [name for name in scored.columns if name not in extra and scored[name].n_unique() > 1]


def places(values: pl.Series) -> tuple[np.ndarray, list[str]]:
    """Numbers as they are (nan where unused) and no names; words by their places, with their names, `UNUSED` among them."""
    if values.dtype.is_numeric():
        return values.cast(pl.Float64).fill_null(float("nan")).to_numpy(), []
    texts = values.cast(pl.String).fill_null(UNUSED)
    names = [text for text in texts.unique().sort() if text != UNUSED]
    names += [UNUSED] * bool(values.null_count())
    return np.array([names.index(text) for text in texts], float), names


def numbers_of(table: pl.DataFrame, names: list[str]) -> np.ndarray:
    """The settings as a forest reads them, shape (trials, settings): one that is unused lies below all others."""
    columns: list[Any] = []
    for name in names:
        where, _ = places(table[name])
        known = where[~np.isnan(where)]
        columns.append(np.nan_to_num(where, nan=float(known.min(initial=0.0)) - 1.0))
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))
