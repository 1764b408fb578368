"""Events one at a time: features, one score with reasons, micro-batches; beside the same of whole
tables.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice
from time import perf_counter, thread_time
from typing import Any, cast

import numpy as np
import polars as pl

from bench.rows import Row, compared
from hwds.datasets.simulated.gray_market import GrayMarket
from hwds.detection.features.arbitrage import Arbitrage
from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.network import Network
from hwds.detection.features.peers import Peers
from hwds.detection.features.purchases import Purchases
from hwds.detection.models.anomaly.autoencoder import Autoencoder
from hwds.detection.models.anomaly.isolation_forest import IsolationForest
from hwds.detection.models.anomaly.robust_z import RobustZ
from hwds.detection.models.base import Classifier, FittedClassifier
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.mlp import MLP
from hwds.detection.models.classify.random_forest import RandomForest
from hwds.detection.models.classify.stack import Stack
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.predictions import main_inputs
from hwds.detection.rows import RowContext
from hwds.frames.features.together import Together
from hwds.frames.rows import HIDDEN_ROLES, microseconds
from hwds.frames.table import Table
from hwds.serve.events.online import Online
from hwds.serve.events.reading import Reader
from hwds.serve.events.store import FeatureState, schema_of

NAME = "online (features of the gray market as events arrive; XGBoost of 200 trees)"
SIZE = 10_000
"""Events; as many again are scored."""

BATCH = 100
TOLERANCE = 1e-9
BOOSTING = XGBoost(trees=200, patience=0)
FOREST, LINE, SHORT = RandomForest(), Logistic(), {"epochs": 1, "least_steps": 1}
OTHERS: dict[str, Classifier] = {
    "a line": LINE,
    "a forest of 100 trees": FOREST,
    "a stack of these, XGBoost and a robust z": Stack(members=(BOOSTING, FOREST, LINE, RobustZ())),
    "3 networks of dense layers": MLP(**SHORT),
    "a robust z": RobustZ(),
    "an isolation forest of 200 trees": IsolationForest(),
    "3 autoencoders": Autoencoder(**SHORT),
}
"""What the time of an event is told of besides; how well they were trained does not matter."""

FEATURES = Together(parts=(Purchases(), Peers(), Arbitrage(), EntityRisk(), Network()))


def measure(events: int = SIZE) -> list[Row]:
    """Three comparisons, all in memory; what is compiled is compiled before."""
    table = _in_arrival(cast("Table", GrayMarket().frame()), 2 * events)
    FEATURES.compute(table.filter(np.arange(len(table.data)) < 100))
    columns, whole_s = _timed(lambda: FEATURES.compute(table))
    began = thread_time()
    told, seconds = _timed(lambda: _one_by_one(table))
    note = _rate(len(told), seconds, thread_time() - began)
    what = f"{len(told):,} events, {columns.width} columns"
    rows = [
        replace(
            compared(what, [seconds], "the whole table at once", [whole_s], _equal(told, columns)),
            note=note,
        )
    ]
    fitted = _fitted(table, columns)
    return [*rows, *_scored(table, columns, fitted, events), *_others(table, columns, events // 10)]


def _others(table: Table, columns: pl.DataFrame, events: int) -> list[Row]:
    """An event scored with reasons by other models."""
    rows, wide = [], table.with_inputs(columns)
    for what, model in OTHERS.items():
        fitted, asked = _fitted(table, columns, model), iter(_events(table))
        with Online(fitted, FEATURES, table) as scorer:
            scorer.score_many(
                list(islice(asked, events)), reasons=True
            )  # what is compiled is compiled before
            rows.append(
                _single(f"the same, {what}", scorer, wide, fitted, list(islice(asked, events)))
            )
    return rows


def _scored(
    table: Table, columns: pl.DataFrame, fitted: FittedClassifier, events: int
) -> list[Row]:
    """One event with reasons, and micro-batches without."""
    wide, asked = table.with_inputs(columns), iter(_events(table))
    with Online(fitted, FEATURES, table) as scorer:
        for event in islice(asked, events // 10):
            scorer.score(event)
        one = _single(
            "an event scored, with reasons", scorer, wide, fitted, list(islice(asked, events // 10))
        )
        portion, began = list(islice(asked, events)), thread_time()
        batches, batches_s = _timed(lambda: _batches(scorer, portion))
        note = _rate(len(batches), batches_s, thread_time() - began)
    judged = fitted.score_rows(wide).score[events // 5 : events // 5 + len(batches)].tolist()
    a_row = batches_s / len(batches)
    what = f"an event in a micro-batch of {BATCH}"
    return [
        one,
        Row(
            what,
            a_row,
            "one from a table",
            one.rival_s,
            one.rival_s / a_row,
            batches == judged,
            note,
        ),
    ]


def _single(
    what: str, scorer: Online, wide: Table, fitted: Any, events: list[dict[str, Any]]
) -> Row:
    """Events one by one, and score and reasons alone from tables of one row where the features are
    there already, in turns.
    """
    ours, theirs, busy, equal = [], [], [], True
    for begin in range(0, len(events), BATCH):
        part, answers = events[begin : begin + BATCH], []
        for event in part:
            began = thread_time()
            answer, seconds = _timed(lambda event=event: scorer.score(event))
            busy.append(thread_time() - began)
            ours.append(seconds)
            answers.append(answer)
        for event, answer in zip(part, answers, strict=True):
            row = replace(wide, data=wide.data[int(event["id"]) : int(event["id"]) + 1])
            (score, reasons), seconds = _timed(lambda row=row: _from_table(fitted, row))
            theirs.append(seconds)
            equal &= answer.score == score and [each["adds"] for each in answer.reasons] == [
                each["adds"] for each in reasons
            ]
    within, cpu = (1e3 * float(np.quantile(each, 0.99)) for each in (ours, busy))
    note = f"99 % within {within:.2f} ms, within {cpu:.2f} ms of CPU; load {os.getloadavg()[0]:.1f}"
    return replace(compared(what, ours, "score and reasons from a table", theirs, equal), note=note)


def _from_table(fitted: Any, row: Table) -> tuple[float, list[dict[str, object]]]:
    return float(fitted.score_rows(row).score[0]), main_inputs(
        fitted.explain(row), row, fitted.usual
    )[0]


def _rate(events: int, seconds: float, cpu: float) -> str:
    return (
        f"{events / seconds:,.0f} events/s, {events / cpu:,.0f} in a second of CPU; load "
        f"{os.getloadavg()[0]:.1f}"
    )


def _batches(scorer: Online, events: list[dict[str, Any]]) -> list[float]:
    portions = (events[begin : begin + BATCH] for begin in range(0, len(events), BATCH))
    return [answer.score for portion in portions for answer in scorer.score_many(portion)]


def _in_arrival(table: Table, events: int) -> Table:
    """Without labels, which are told apart from events."""
    label, when = table.name("label"), table.name("label_time")
    data = table.data.sort("available_at", maintain_order=True).head(events)
    return replace(
        table,
        data=data.with_columns(
            pl.lit(None, data.schema[name]).alias(name) for name in (label, when)
        ),
    )


def _events(table: Table) -> list[dict[str, Any]]:
    gone = [name for role in HIDDEN_ROLES for name in table.roles.get(role, ())]
    return [row | {"id": k} for k, row in enumerate(table.data.drop("row_id", *gone).to_dicts())]


def _one_by_one(table: Table) -> list[Any]:
    """The features of each event, reading included; returns are those of the table."""
    schema = schema_of(table)
    reader, state, told = Reader(schema, "id"), FeatureState(FEATURES.live(schema)), []
    for k, row in enumerate(table.data.select(schema.data.columns).iter_rows(named=True)):
        read = reader.read(row | {"id": k})
        told.append(state.arrive(read.time, microseconds(row["available_at"]), read.values))
    return told


def _fitted(table: Table, columns: pl.DataFrame, model: Classifier = BOOSTING) -> FittedClassifier:
    """On labels by chance, which cost as much to score by as good ones."""
    label = pl.Series(
        table.name("label"), np.random.default_rng(0).random(len(table.data)) < 0.1
    ).cast(pl.Float64)
    wide = table.with_inputs(columns)
    wide = replace(wide, data=wide.data.with_columns(label))
    return model.fit(wide, stop=wide, calibrate=wide, context=RowContext(0))


def _timed(work: Any) -> tuple[Any, float]:
    start = perf_counter()
    made = work()
    return made, perf_counter() - start


def _equal(told: list[Any], columns: pl.DataFrame) -> bool:
    ours = np.array([[np.nan if value is None else value for value in row] for row in told], float)
    theirs = columns.select(pl.all().cast(pl.Float64).fill_null(np.nan)).to_numpy()
    return np.allclose(ours, theirs, rtol=TOLERANCE, atol=0, equal_nan=True)
