"""Scored rows: the predictions of a fitted classifier, with all that metrics need."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl

from hwds.detection.metrics.days import flagged
from hwds.detection.metrics.rule_scores import COLUMN as RULES
from hwds.detection.models.classify.base import REST, Contributions, FittedClassifier
from hwds.detection.models.inputs.usual import Usual
from hwds.detection.protocols.rows.codes import entities, numbered
from hwds.detection.reasons.sentences import companions
from hwds.frames.base import RowReader
from hwds.frames.table import ROW_ID, Table

REASONS = pl.List(
    pl.Struct({"input": pl.String, "value": pl.String} | dict.fromkeys(("adds", "below", "above", "share"), pl.Float64))
)
"""The contributions of a row's main inputs to its score, the largest first; see `reasons.sentences.Fact`."""

MOST_INPUTS = 5
"""Inputs that a row's reasons name."""


def prediction_rows(fitted: FittedClassifier, rows: Table, source: Table, part: str, explained: int) -> pl.DataFrame:
    """Return one row for each scored row: its number, id, time and entity, its outcome, and its predictions.

    Args:
        fitted: The model.
        rows: The rows with all inputs; its labels are not read.
        source: The whole table, for their outcomes.
        part: The name of their window.
        explained: Rows, those of the highest scores, that get reasons.
    """
    scored = fitted.score_rows(rows)
    facts = rows.data.select(ROW_ID).join(source.data, on=ROW_ID, how="left", maintain_order="left")
    return pl.DataFrame(
        {
            ROW_ID: facts[ROW_ID],
            "id": _first(source, facts, "id").cast(pl.String),
            "part": pl.Series([part]).new_from_index(0, len(facts)),
            "time": facts[source.name("time")] if source.roles.get("time") else _nulls(len(facts), pl.Datetime("us")),
            "entity": _first(source, facts, "entity").cast(pl.String),
            "label": facts[source.name("label")].cast(pl.Float64),
            "truth": (facts[truth] if (truth := truth_of(source)) else _nulls(len(facts), pl.Float64)).cast(pl.Float64),
            "weight": _weights(source, facts),
            "amount": _first(source, facts, "amount").cast(pl.Float64),
            "score": scored.score,
            "probability": _numbers(scored.probability, len(facts)),
            "probability_low": _numbers(scored.interval[0] if scored.interval is not None else None, len(facts)),
            "probability_high": _numbers(scored.interval[1] if scored.interval is not None else None, len(facts)),
            "p_value": _numbers(scored.p_value, len(facts)),
            "reasons": _reasons(fitted, rows, scored.score, explained),
            RULES: _rules(fitted.scorer, rows),
        }
    )


def _rules(scorer: Any, rows: Table) -> pl.Series:
    """Return the rules that each row meets, of a scorer or of the members of a stack; null where there are none."""
    ruled = [each for each in (scorer, *(member.scorer for member in getattr(scorer, "members", ()))) if hasattr(each, "hits")]
    if not ruled:
        return _nulls(rows.height, pl.List(pl.String))
    parts = [each.hits(rows) for each in ruled]
    return pl.Series([[name for part in row for name in part] for row in zip(*parts, strict=True)], dtype=pl.List(pl.String))


def with_flags(rows: pl.DataFrame, k: int) -> pl.DataFrame:
    """Return the rows with `flagged`: true for test rows of one of the k entities with the highest scores of their day.

    Labelled or not, all rows of a fold compete; those of the deciding window are null.

    Args:
        rows: Scored rows of one model, of one fold or of several, with the number of each one's `fold`.
        k: Entities that can be looked at on a day.
    """
    test = (rows["part"] == "test").to_numpy()
    flags, tested = np.zeros(len(rows), bool), rows.filter(test)
    if len(tested):
        day = tested.select(pl.struct("fold", pl.col("day").fill_null(0))).to_series()
        flags[test] = flagged(tested["score"].to_numpy(), numbered(entities(tested)), numbered(day), k)
    return rows.with_columns(pl.when(pl.col("part") == "test").then(pl.Series("flagged", flags)).alias("flagged"))


def truth_of(table: Table) -> str:
    """Return the column of the truth; empty where there is none, or where it equals the labels."""
    names = table.roles.get("truth", ())
    if not names or table.column("label").cast(pl.Float64).eq_missing(table.data[names[0]].cast(pl.Float64)).all():
        return ""
    return names[0]


def _first(source: Table, rows: pl.DataFrame, role: str) -> pl.Series:
    names = source.roles.get(role, ())
    return rows[names[0]] if names else _nulls(len(rows), pl.Float64)


def _nulls(n: int, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    return pl.Series([None], dtype=kind).new_from_index(0, n)


def _numbers(values: np.ndarray | None, n: int) -> pl.Series:
    return _nulls(n, pl.Float64) if values is None else pl.Series(values, dtype=pl.Float64)


def _weights(source: Table, rows: pl.DataFrame) -> pl.Series:
    """Return how many rows each labelled one stands for: one over the chance that its label was looked for.

    0 where that chance is not known: a row investigated on suspicion stands for no other. 1 where the data has no such role.
    """
    if not source.roles.get("label_propensity"):
        return pl.Series([1.0]).new_from_index(0, len(rows))
    return (1 / _first(source, rows, "label_propensity").cast(pl.Float64)).fill_null(0.0)


def _reasons(fitted: FittedClassifier, table: Table, score: np.ndarray, explained: int) -> pl.Series:
    """Return the reasons of the rows with the highest scores; null for all others."""
    reasons: list[list[dict[str, object]] | None] = [None] * len(score)
    top = np.sort(np.argsort(-score, kind="stable")[:explained])
    if len(top):
        mask = np.zeros(len(score), bool)
        mask[top] = True
        rows = table.filter(mask)
        for place, inputs in zip(top.tolist(), main_inputs(fitted.explain(rows), rows, fitted.usual), strict=True):
            reasons[place] = inputs
    return pl.Series("reasons", reasons, dtype=REASONS)


def main_inputs(contributions: Contributions, rows: RowReader, usual: Usual) -> list[list[dict[str, object]]]:
    """Return for each row the inputs that add the most to its score, the largest first, with their values as text.

    Those that make one of them readable come behind, whatever they add: what peers do, and what they are compared with.

    Args:
        contributions: Of the inputs of each row.
        rows: The rows.
        usual: Quantiles and shares of the inputs among the rows that were learned from.
    """
    numbers = rows.numbers(usual.names)
    columns = {name: place for place, name in enumerate(usual.names)}
    order = np.argsort(-contributions.values, axis=1, kind="stable")[:, :MOST_INPUTS]
    places, texts = {name: place for place, name in enumerate(contributions.names)}, cache(rows.texts)
    reasons: list[list[dict[str, object]]] = []
    for row, first in enumerate(order.tolist()):
        main = [
            contributions.names[place]
            for place in first
            if contributions.values[row, place] > 0 and contributions.names[place] != REST
        ]
        beside = (other for name in main for other in companions(name) if other in places or name in contributions.records)
        adds = {name: float(contributions.values[row, places[name]]) if name in places else 0.0 for name in (*main, *beside)}
        reasons.append([])
        for name, added in adds.items():
            text = contributions.records.get(name, texts(name)[row])
            number = columns.get(name)
            below, above = (None, None) if number is None else usual.ranks(name, numbers[row, number])
            share, above = usual.text_shares(name, text) if number is None else (None, above)
            said = {"input": name, "value": text, "adds": added, "below": below, "above": above, "share": share}
            reasons[-1].append(said)
    return reasons
