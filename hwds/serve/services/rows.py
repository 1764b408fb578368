"""Services of classifiers and detectors: rows that stand alone, and events whose features remember
those before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
from numpy import ndarray

from hwds.core.onnx_graph import GraphScorer
from hwds.core.questions import ID, Fields, Json, RowRule, id_of, tier_fields
from hwds.evaluation.serving import (
    Answer,
    Question,
    RowModel,
    Service,
    column_schema,
    object_schema,
)
from hwds.frames.rows import hidden_columns
from hwds.frames.table import ROW_ID, Table
from hwds.serve.events.online import Online, RowScorer, take_report
from hwds.serve.events.reading import Reader


class ReadRow(NamedTuple):
    """A row as it was read, by column, and its id."""

    id: str
    values: Fields


class RowService(Service):
    """Scores rows that stand alone: by the graph where there is one, else by the model itself.

    Args:
        model: What asks the model.
        schema: A table like the rows that it was fitted on, without rows.
        graph: The same model as a graph, or None.
        rule: What the run's decision says of a row, or None.
    """

    kind = "rows"

    def __init__(
        self,
        model: RowModel,
        schema: Table,
        graph: GraphScorer | None,
        rule: RowRule | None,
    ) -> None:
        self._reader = Reader(schema, ID, timed=False)
        self._model, self._schema, self._graph, self._rule = model, schema, graph, rule
        self._scorer = RowScorer(model, schema)

    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """See `Service`."""
        return self.score(self.read(questions), reasons=reasons)

    def read(self, questions: Sequence[Question]) -> list[ReadRow]:
        """Return the rows of the questions of one request, each with its id.

        Raises:
            DataError: One is no such question, with its id.
        """
        ids = [id_of(question, place) for place, question in enumerate(questions)]
        return [
            ReadRow(id, self._reader.read({**row, ID: id}).values)
            for id, row in zip(ids, questions, strict=True)
        ]

    def score(self, rows: Sequence[ReadRow], *, reasons: bool = False) -> list[Answer]:
        """Return the answers to rows, which may be of several requests."""
        read = [row.values for row in rows]
        if self._graph is None or reasons:
            scored, why = self._scorer.score(read, reasons)
        else:
            scored, why = self._model.from_scores(self._graph.score(read)["score"]), []
        ids = [row.id for row in rows]
        columns = (
            _as_list(each, len(rows)) for each in (scored.score, scored.probability, scored.p_value)
        )
        answers: list[Answer] = [
            {ID: id, "score": score, "probability": chance, "p_value": p_value}
            for id, score, chance, p_value in zip(ids, *columns, strict=True)
        ]
        if self._rule is not None:
            stakes = [row.get(self._rule.amount) for row in read]
            tiers = self._rule.tiers(ids, scored.probability, stakes)
            for answer, tier in zip(answers, tiers, strict=True):
                answer.update(tier_fields(tier))
        if reasons:
            for answer, reason in zip(answers, why, strict=True):
                answer["reasons"] = self._model.in_words(reason)
        return answers

    def question_schema(self) -> Json:
        """See `Service`."""
        return object_schema(question_columns(self._schema), (), "A row")


class EventService(Service):
    """Scores events in the order in which they come, and takes what became of them; what it says
    outlives `kill -9`.

    A question is an event by column, or a message: `{"label": 1, "of": "A-17"}`, `{"returned":
    true, "of": "A-17"}`.

    Args:
        online: The scorer with its store, and the rule of the run's decision.
        schema: A table like the events, without rows.
    """

    kind = "events"
    stateful = True

    def __init__(self, online: Online, schema: Table) -> None:
        self._online, self._schema = online, schema
        self._time, self._key = schema.name("time"), schema.name("id") or ID

    def answer(self, questions: Sequence[Question], *, reasons: bool = False) -> list[Answer]:
        """See `Service`; events of one request are all there or none, messages are taken one by
        one, after them.
        """
        for place, question in enumerate(questions):
            id_of(question, place)
        messages = [
            place
            for place, question in enumerate(questions)
            if "of" in question and "of" not in self._columns
        ]
        events = [
            self._event(question)
            for place, question in enumerate(questions)
            if place not in messages
        ]
        scored = iter(self._online.score_many(events, reasons=reasons))
        answers: list[Answer] = []
        for place, question in enumerate(questions):
            if place in messages:
                answers.append({"of": question["of"], "news": take_report(self._online, question)})
                continue
            event = next(scored)
            answer: Answer = {
                ID: event.id,
                "score": event.score,
                "probability": event.probability,
                "p_value": event.p_value,
            }
            answer |= {
                "tier": event.tier,
                "expected_gain": event.expected_gain,
                "lacks": list(event.lacks),
                "again": event.again,
            }
            answers.append(answer | ({"reasons": event.words} if reasons else {}))
        return answers

    def _event(self, question: Question) -> Question:
        """Return an event under the name that its id has in the data."""
        if self._key == ID or ID not in question:
            return question
        return {name: value for name, value in question.items() if name != ID} | {
            self._key: question[ID]
        }

    @property
    def _columns(self) -> Sequence[str]:
        return self._schema.data.columns

    def question_schema(self) -> Json:
        """See `Service`."""
        return object_schema(question_columns(self._schema), (ID, self._time), "An event")

    def close(self) -> None:
        """Close the store."""
        self._online.close()


def _as_list(column: ndarray | None, rows: int) -> list[float | None]:
    return [None] * rows if column is None else column.tolist()


def question_columns(schema: Table) -> Json:
    """Return the columns that a question may bear, each with its JSON Schema."""
    hidden = {ROW_ID, *hidden_columns(schema)}
    kinds = schema.data.schema.items()
    columns = {
        name: column_schema(kind)
        for name, kind in kinds
        if name not in hidden and not isinstance(kind, pl.Array)
    }
    amounts = [name for name in schema.roles.get("amount", ()) if name in columns]
    return columns | {
        name: columns[name] | {"minimum": 0} for name in amounts
    }  # as `Reader` has it
