"""Answers to events, and their form in the log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.hashing import digest
from hwds.detection.models.classify.base import Scored
from hwds.detection.reasons.sentences import in_words
from hwds.eventlog.log import Entry, EventLog
from hwds.features.rows.live import Value


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an event.

    Attributes:
        id: The event's.
        score: The higher the more suspicious.
        probability: Of the label being 1; None where the model has none.
        p_value: The share of held-out normal rows that are at least as odd; None where none were held out.
        reasons: The contributions of main inputs, the largest first: `input`, `value` and `adds`; empty where not asked for.
        features: The features by column; None where one is not known.
        again: Whether the event had been scored before: it counts once, and this is the answer of then.
    """

    id: str
    score: float
    probability: float | None
    p_value: float | None
    reasons: tuple[Mapping[str, Any], ...]
    features: Mapping[str, Value]
    again: bool = False

    @property
    def words(self) -> list[str]:
        """The reasons as sentences."""
        return in_words(self.reasons)

    def json(self) -> str:
        """Return one line for a machine: without the features."""
        scores = {"id": self.id, "score": self.score, "probability": self.probability, "p_value": self.p_value}
        return json.dumps(scores | {"reasons": self.words, "again": self.again}, ensure_ascii=False)


class AnswerCodec:
    """The codec between answers of one feature set and entries of a log.

    Args:
        columns: The names of the features and their types.
        log: The log, which stores their names once.
    """

    def __init__(self, columns: Mapping[str, Any], log: EventLog) -> None:
        self._names = tuple(columns)
        self._shapes = [list(kind.shape) if hasattr(kind, "shape") else None for kind in columns.values()]
        layout = [list(self._names), self._shapes]
        self._log, self._layout = log, f"layout {digest(layout)}"
        self._layouts: dict[str, Any] = {self._layout: layout}
        if log.about(self._layout) is None:
            log.set_about(self._layout, layout)

    def answer(
        self, id: str, scores: Scored, place: int, reasons: list[dict[str, object]], features: Sequence[Value]
    ) -> Answer:
        """Return the answer to the event at a place among those that were scored."""
        probability = None if scores.probability is None else float(scores.probability[place])
        p_value = None if scores.p_value is None else float(scores.p_value[place])
        named = dict(zip(self._names, features, strict=True))
        return Answer(id, float(scores.score[place]), probability, p_value, tuple(reasons), named)

    def encode(self, entry: Entry, answer: Answer) -> Entry:
        """Return the entry of an event with its answer."""
        reply = json.dumps([self._layout, answer.score, answer.probability, answer.p_value, answer.reasons])
        values = list(answer.features.values())
        if any(self._shapes):
            numbers = np.concatenate([np.ravel(np.asarray(value, float)) for value in values])
        else:
            numbers = np.array(values, float)  # None becomes NaN
        return entry._replace(reply=reply, data=numbers.tobytes())

    def decode(self, entry: Entry) -> Answer:
        """Return the answer of an event that was scored before, whatever features it was of."""
        assert entry.id is not None
        assert entry.reply is not None
        assert entry.data is not None
        layout, score, probability, p_value, reasons = json.loads(entry.reply)
        if layout not in self._layouts:
            self._layouts[layout] = self._log.about(layout)
        features: dict[str, Value] = {}
        flat, at = np.frombuffer(entry.data, float), 0
        for name, shape in zip(*self._layouts[layout], strict=True):
            size = int(np.prod(shape)) if shape else 1
            part = flat[at : at + size]
            features[name] = part.reshape(shape).astype(np.float32) if shape else None if np.isnan(part[0]) else float(part[0])
            at += size
        return Answer(entry.id, score, probability, p_value, tuple(reasons), features, again=True)
