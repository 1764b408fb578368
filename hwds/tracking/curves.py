"""Curves: scores by window and by step, and the numbers over all windows, under names that every tracker accepts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from hwds.results.measure import Measure, short
from hwds.results.tables import Tables

WINDOW, STEP = "window", "step"

MOST = 5
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


class Shown:
    """The points of growing curves that were shown already; a curve is known by its axis and its first name."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def new(self, curve: Curve) -> Curve:
        """Return the points of a curve that no earlier call had."""
        key = (curve.axis, next(iter(curve.names), ""))
        points = curve.points[self._counts[key] :]
        self._counts[key] = len(curve.points)
        return replace(curve, points=points)


def plain(name: str) -> str:
    """Return a metric's name in letters, digits and underscores: `mase_m_12` of `mase[m=12]`, `recall_at_9` of `recall@9`."""
    return re.sub(r"\W+", "_", name.replace("@", "_at_")).strip("_")


def curves(tables: Tables, own: str) -> list[Curve]:
    """Return the scores by window in the order of windows, then those over all windows by step.

    Args:
        tables: The tables of one run.
        own: The label of the experiment's model, whose values are named by the metric alone.
    """
    scores = _named(tables.scores, own)
    windows = scores.filter(pl.col("fold").is_not_null() & pl.col("step").is_null())
    steps = scores.filter(pl.col("fold").is_null() & pl.col("step").is_not_null() & pl.col("first"))
    both = [_curve(windows, "fold", WINDOW), _curve(steps, "step", STEP)]
    return [curve for curve in both if curve.points]


def chosen(tables: Tables, own: str, headline: str) -> Tables:
    """Return the tables with the means of a few metrics: the headline, of the model `own` also those of every list.

    Args:
        tables: The tables of one run.
        own: The label of the experiment's model.
        headline: The short name of the metric that orders the leaderboard.
    """
    names = tables.scores["metric"].drop_nulls().unique(maintain_order=True).to_list()
    first = [name for name in names if headline in (name, short(name))]
    always = [name for name in names if name not in first and tables.measure(name).beside == "always"]
    ours = [*first, *always][:MOST] or names[:MOST]
    few = pl.col("metric").is_in(first) | ((pl.col("model") == own) & pl.col("metric").is_in(ours))
    means = (pl.col("aggregate") == "mean").any().over("metric")
    return replace(tables, scores=tables.scores.filter(few, ~means | (pl.col("aggregate") == "mean")))


def summary(tables: Tables, own: str) -> dict[str, float]:
    """Return the numbers over all windows and steps: of the model `own` every aggregate, with error and interval of the first.

    All other numbers are in the table of scores.
    """
    whole = pl.col("fold").is_null() & pl.col("step").is_null()
    scores = _named(tables.scores, own).filter(whole & (pl.col("first") | (pl.col("model") == own)))
    numbers = {}
    for row in scores.iter_rows(named=True):
        numbers[row["key"]] = row["value"]
        if row["model"] == own and row["first"]:
            numbers |= {f"{row['key']}_{bound}": row[bound] for bound in BOUNDS}
    return {name: value for name, value in numbers.items() if value is not None}


def definitions(tables: Tables, own: str) -> dict[str, Measure]:
    """Return the measure of each metric of the model `own`, by the name that `summary` gives its first aggregate."""
    scores = _named(tables.scores.filter(pl.col("model") == own), own).filter("first")
    rows = scores.unique("key", maintain_order=True).iter_rows(named=True)
    return {row["key"]: tables.measure(row["metric"]) for row in rows}


def _named(scores: pl.DataFrame, own: str) -> pl.DataFrame:
    """Return the scores that are not of segments, each with its `key`, and whether its aggregate is its metric's `first`.

    The mean bears the metric's name, any other aggregate beside it its own name, too.
    """
    whole = scores.filter(pl.col("segment").is_null() & pl.col("metric").is_not_null() & pl.col("value").is_not_null())
    several = pl.col("aggregate").drop_nulls().n_unique().over("metric") > 1
    first = pl.col("aggregate").is_null() | (pl.col("aggregate") == "mean") | ~several
    name = pl.col("metric").map_elements(plain, return_dtype=pl.String)
    name = pl.when(first).then(name).otherwise(name + "_" + pl.col("aggregate"))
    rival = pl.lit("rivals/") + pl.col("model") + "/" + name
    key = pl.when(pl.col("model") == own).then(name).otherwise(rival)
    return whole.with_columns(key.alias("key"), first.alias("first"))


def _curve(scores: pl.DataFrame, column: str, axis: str) -> Curve:
    points: dict[int, dict[str, float]] = {}
    for step, key, value in scores.select(column, "key", "value").sort(column, maintain_order=True).iter_rows():
        points.setdefault(step, {})[f"by_{axis}/{key}"] = value
    return Curve(axis, tuple(points.items()))
