"""Answers: what is said of an event, and how it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.features.live import Value
from hwds.hashing import digest
from hwds.models.classify.base import Judged
from hwds.results.reasons import in_words
from hwds.serving.log import Entry, Log


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of an event.

    Attributes:
        id: The event's.
        score: The higher the more suspicious.
        probability: Of the label being 1; None where the model tells none.
        p_value: The share of held-out normal rows that are at least as odd; None where none were held out.
        reasons: What of the score its main inputs add, the largest first: `input`, `value` and `adds`; empty where not asked.
        features: What the features were, by column; None where nothing is known.
        again: Whether the event had been scored before: it counts once, and this is what was said then.
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
        """One line for a machine: without the features."""
        told = {"id": self.id, "score": self.score, "probability": self.probability, "p_value": self.p_value}
        return json.dumps(told | {"reasons": self.words, "again": self.again}, ensure_ascii=False)


class Keeping:
    """How answers of one feature set become entries of a log, and entries answers.

    Args:
        columns: The names of the features and their types.
        log: Which is told what they are called, once.
    """

    def __init__(self, columns: Mapping[str, Any], log: Log) -> None:
        self._names = tuple(columns)
        self._shapes = [list(kind.shape) if hasattr(kind, "shape") else None for kind in columns.values()]
        told = [list(self._names), self._shapes]
        self._log, self._layout = log, f"layout {digest(told)}"
        self._layouts: dict[str, Any] = {self._layout: told}
        if log.about(self._layout) is None:
            log.tell(self._layout, told)

    def made(self, id: str, said: Judged, place: int, reasons: list[dict[str, object]], told: Sequence[Value]) -> Answer:
        """The answer to the event at a place among those that were judged."""
        probability = None if said.probability is None else float(said.probability[place])
        p_value = None if said.p_value is None else float(said.p_value[place])
        features = dict(zip(self._names, told, strict=True))
        return Answer(id, float(said.score[place]), probability, p_value, tuple(reasons), features)

    def kept(self, entry: Entry, answer: Answer) -> Entry:
        """The entry of an event with its answer."""
        said = json.dumps([answer.score, answer.probability, answer.p_value, answer.reasons])
        values = list(answer.features.values())
        if any(self._shapes):
            parts = [np.ravel(np.asarray(value, float)) for value in values]
            packed = np.concatenate(parts)
        else:
            packed = np.array(values, float)  # None becomes NaN
        return entry._replace(answer=said, layout=self._layout, features=packed.tobytes())

    def read(self, entry: Entry) -> Answer:
        """The answer of an event that is kept, whatever features it was of."""
        assert entry.answer is not None
        assert entry.layout is not None
        assert entry.features is not None
        score, probability, p_value, reasons = json.loads(entry.answer)
        if entry.layout not in self._layouts:
            self._layouts[entry.layout] = self._log.about(entry.layout)
        features: dict[str, Value] = {}
        flat, at = np.frombuffer(entry.features, float), 0
        for name, shape in zip(*self._layouts[entry.layout], strict=True):
            size = int(np.prod(shape)) if shape else 1
            part = flat[at : at + size]
            features[name] = part.reshape(shape).astype(np.float32) if shape else None if np.isnan(part[0]) else float(part[0])
            at += size
        return Answer(entry.id, score, probability, p_value, tuple(reasons), features, again=True)
