"""From a fitted classifier and rows to what scoring needs of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from hwds.frames.table import ROW_ID, Table
from hwds.models.classify.base import Contributions, FittedClassifier
from hwds.results.reasons import companions

REASONS = pl.List(pl.Struct({"input": pl.String, "value": pl.String, "adds": pl.Float64}))
"""What of a row's score each of its main inputs adds, the largest first."""

TOLD = 5
"""Inputs that a row's reasons name."""


def judged(fitted: FittedClassifier, asked: Table, source: Table, part: str, explained: int) -> pl.DataFrame:
    """One row for each row asked: what it is about, what became of it, and what the model says.

    Args:
        fitted: The model.
        asked: The rows with all inputs; its labels are not read.
        source: The whole table, for what became of them.
        part: Which window they are of.
        explained: Rows, those of the highest scores, that get reasons.
    """
    said = fitted.judge(asked)
    own = asked.data.select(ROW_ID).join(source.data, on=ROW_ID, how="left", maintain_order="left")
    return pl.DataFrame(
        {
            ROW_ID: own[ROW_ID],
            "part": pl.Series([part]).new_from_index(0, len(own)),
            "time": own[source.name("time")] if source.roles.get("time") else _nulls(len(own), pl.Datetime("us")),
            "entity": _first(source, own, "entity").cast(pl.String),
            "label": own[source.name("label")].cast(pl.Float64),
            "truth": (own[truth] if (truth := truth_of(source)) else _nulls(len(own), pl.Float64)).cast(pl.Float64),
            "weight": _weights(source, own),
            "amount": _first(source, own, "amount").cast(pl.Float64),
            "score": said.score,
            "probability": _numbers(said.probability, len(own)),
            "probability_low": _numbers(said.reach[0] if said.reach is not None else None, len(own)),
            "probability_high": _numbers(said.reach[1] if said.reach is not None else None, len(own)),
            "p_value": _numbers(said.p_value, len(own)),
            "reasons": _reasons(fitted, asked, said.score, explained),
        }
    )


def truth_of(table: Table) -> str:
    """The column of what a simulator knows; empty where there is none, or it says no more than the labels do."""
    names = table.roles.get("truth", ())
    if not names or table.column("label").cast(pl.Float64).eq_missing(table.data[names[0]].cast(pl.Float64)).all():
        return ""
    return names[0]


def _first(source: Table, own: pl.DataFrame, role: str) -> pl.Series:
    names = source.roles.get(role, ())
    return own[names[0]] if names else _nulls(len(own), pl.Float64)


def _nulls(n: int, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    return pl.Series([None], dtype=kind).new_from_index(0, n)


def _numbers(values: np.ndarray | None, n: int) -> pl.Series:
    return _nulls(n, pl.Float64) if values is None else pl.Series(values, dtype=pl.Float64)


def _weights(source: Table, own: pl.DataFrame) -> pl.Series:
    """How many rows each labelled one stands for: one over the chance that its label was looked for.

    0 where that chance is not known: who is investigated on suspicion stands for nobody. 1 where the data has no such role.
    """
    if not source.roles.get("label_propensity"):
        return pl.Series([1.0]).new_from_index(0, len(own))
    return (1 / _first(source, own, "label_propensity").cast(pl.Float64)).fill_null(0.0)


def _reasons(fitted: FittedClassifier, asked: Table, score: np.ndarray, explained: int) -> pl.Series:
    """Of the rows with the highest scores; null for all others."""
    found: list[list[dict[str, object]] | None] = [None] * len(score)
    top = np.sort(np.argsort(-score, kind="stable")[:explained])
    if len(top):
        mask = np.zeros(len(score), bool)
        mask[top] = True
        rows = asked.take(mask)
        for place, told in zip(top.tolist(), main_inputs(fitted.explain(rows), rows), strict=True):
            found[place] = told
    return pl.Series("reasons", found, dtype=REASONS)


def main_inputs(found: Contributions, rows: Table) -> list[list[dict[str, object]]]:
    """For each row the inputs that add the most to its score, the largest first, with their values as text.

    Those that make one of them readable come behind, whatever they add: what peers do, and what they are compared with.
    """
    order = np.argsort(-found.values, axis=1, kind="stable")[:, :TOLD]
    places, texts = {name: place for place, name in enumerate(found.names)}, cache(rows.texts)
    told = []
    for row, first in enumerate(order.tolist()):
        main = [found.names[place] for place in first if found.values[row, place] > 0]
        beside = (other for name in main for other in companions(name) if other in places)
        adds = {name: float(found.values[row, places[name]]) for name in (*main, *beside)}
        told.append([{"input": name, "value": texts(name)[row], "adds": share} for name, share in adds.items()])
    return told
