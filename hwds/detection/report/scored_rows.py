"""Scored rows of each model, and scores with their intervals, for the pictures and sentences of detection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.detection.metrics.windows import TRUE
from hwds.results.tables import Tables

SIDES = {
    "": ("label", "against the labels that had been found"),
    TRUE: ("truth", "against the truth, which only the simulator knows"),
}
"""Before a metric's name: the column of the rows, and the same in words."""


@dataclass(frozen=True, slots=True)
class Number:
    """A score with its interval."""

    model: str
    value: float
    low: float | None
    high: float | None
    n: int
    method: str = ""

    @property
    def refusal(self) -> str:
        """The reason why it has no interval; empty where it has one."""
        return "" if self.low is not None else self.method

    def holds(self, value: float) -> bool:
        """Return True where a value lies in the interval."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def numbers(tables: Tables, metric: str) -> list[Number]:
    """Return a metric by its full or its short name over all windows of every model that has it, in the order of the scores."""
    rows = tables.scores.filter(
        pl.col("fold").is_null() & pl.col("segment").is_null() & pl.col("step").is_null() & pl.col("value").is_not_null()
        & ((pl.col("metric") == metric) | (pl.col("metric").str.replace(r"\[.*$", "") == metric))
    )  # fmt: skip
    return [
        Number(row["model"], row["value"], row["ci_low"], row["ci_high"], row["n"], row["ci_method"] or "")
        for row in rows.unique("model", keep="first", maintain_order=True).iter_rows(named=True)
    ]


def number(tables: Tables, metric: str, model: str) -> Number | None:
    """Return the score of one model; None where it has none."""
    return next((each for each in numbers(tables, metric) if each.model == model), None)


def scored_rows(tables: Tables) -> pl.DataFrame:
    """Return the test rows of all models; no rows where nothing was predicted."""
    rows = tables.predictions
    return rows.filter(pl.col("part") == "test") if rows.width else rows


def sides(rows: pl.DataFrame) -> Iterator[str]:
    """Yield the sides that rows can be scored against, labels and truth, each where both classes are there."""
    for side, (column, _) in SIDES.items():
        if known_rows(rows, side)[column].n_unique() > 1:
            yield side


def averaged(rows: pl.DataFrame, counted: pl.DataFrame | None = None) -> str:
    """Return `, mean of 4 windows` or `, mean of the 3 of 10 folds with a positive row`; nothing for one.

    Args:
        rows: Scored ones.
        counted: Those of them in windows that the mean is of, where these need not be all.
    """
    cutoffs = rows["cutoff"].unique() if rows.width else pl.Series([], dtype=pl.String)
    if len(cutoffs) < 2:
        return ""
    windows = "windows" if cutoffs.str.to_date("%Y-%m-%d", strict=False).null_count() == 0 else "folds"
    some = len(cutoffs) if counted is None else counted["cutoff"].n_unique()
    if some == len(cutoffs):
        return f", mean of {some} {windows}"
    return f", mean of the {some} of {len(cutoffs)} {windows} with a positive row"


def with_positives(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    """Return the rows of the windows that have a positive one: a ranking is scored in those alone."""
    return rows.filter((pl.col(SIDES[side][0]) == 1).any().over("cutoff")) if rows.width else rows


def known_rows(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    """Return the rows whose label, or truth, is known and that stand for any."""
    known = rows.filter(pl.col(SIDES[side][0]).is_not_null())
    return known if side == TRUE else known.filter(pl.col("weight") > 0)


def weights(rows: pl.DataFrame, side: str) -> np.ndarray:
    """Return how many rows each row stands for: 1 against the truth."""
    return np.ones(len(rows)) if side == TRUE else rows["weight"].to_numpy()
