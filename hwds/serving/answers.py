"""Answers to events, and their form in the log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.core.hashing import digest
from hwds.detection.decisions.alerts.live import AlertTiers
from hwds.detection.models.classify.base import Scored
from hwds.detection.reasons.sentences import in_words
from hwds.eventlog.entry import Entry
from hwds.eventlog.log import EventLog
from hwds.features.rows.live import Value
from hwds.serving.reading import Read


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an event.

    Attributes:
        id: The event's.
        score: The higher the more suspicious.
        probability: Of the label being 1; None where the model has none.
        p_value: The share of held-out normal rows that are at least as odd; None where none were held out.
        reasons: The contributions of main inputs, the largest first: `input`, `value` and `adds`; empty where not requested.
        features: The features by column; None where one is not known.
        tier: The action of the run's alert policy: `block`, `review`, `random_review` or `pass`; None without a policy.
        expected_gain: The money that the action is expected to save beside letting it pass.
        lacks: Columns that the model reads of an event and that this one did not bear.
        again: Whether the event had been scored before: it counts once, and this is the answer of then.
    """

    id: str
    score: float
    probability: float | None
    p_value: float | None
    reasons: tuple[Mapping[str, Any], ...]
    features: Mapping[str, Value]
    tier: str | None = None
    expected_gain: float | None = None
    lacks: tuple[str, ...] = ()
    again: bool = False

    @property
    def words(self) -> list[str]:
        """The reasons as sentences."""
        return in_words(self.reasons)

    def json(self) -> str:
        """Return one line for a machine: without the features."""
        scores = {"id": self.id, "score": self.score, "probability": self.probability, "p_value": self.p_value}
        policy = {"tier": self.tier, "expected_gain": self.expected_gain} if self.tier is not None else {}
        lacks = {"lacks": list(self.lacks)} if self.lacks else {}
        return json.dumps(scores | policy | {"reasons": self.words} | lacks | {"again": self.again}, ensure_ascii=False)


class AnswerCodec:
    """The codec between answers of one feature set and entries of a log.

    Args:
        columns: The names of the features and their types.
        log: The log, which stores their names once.
        borne: The columns that the model reads of an event itself.
        tiers: The rule of an alert policy; None without one.
    """

    def __init__(
        self, columns: Mapping[str, Any], log: EventLog, borne: Sequence[str] = (), tiers: AlertTiers | None = None
    ) -> None:
        self._borne, self._tiers = tuple(borne), tiers
        self._names = tuple(columns)
        self._shapes = [list(kind.shape) if hasattr(kind, "shape") else None for kind in columns.values()]
        layout = [list(self._names), self._shapes]
        self._log, self._layout = log, f"layout {digest(layout)}"
        self._layouts: dict[str, Any] = {self._layout: layout}
        if log.about(self._layout) is None:
            log.set_about(self._layout, layout)

    def answer(
        self,
        read: Read,
        scores: Scored,
        place: int,
        reasons: list[dict[str, object]],
        features: Sequence[Value],
    ) -> Answer:
        """Return the answer to the event at a place among those that were scored."""
        probability = None if scores.probability is None else float(scores.probability[place])
        p_value = None if scores.p_value is None else float(scores.p_value[place])
        named = dict(zip(self._names, features, strict=True))
        stake = None if self._tiers is None else read.values.get(self._tiers.amount)
        tier = None if self._tiers is None else self._tiers.tier(read.id, probability, stake)
        lacks = tuple(name for name in self._borne if read.values.get(name) is None)
        score = float(scores.score[place])
        action, gain = (None, None) if tier is None else tier
        return Answer(read.id, score, probability, p_value, tuple(reasons), named, action, gain, lacks)

    def encode(self, entry: Entry, answer: Answer) -> Entry:
        """Return the entry of an event with its answer."""
        policy = answer.tier, answer.expected_gain, answer.lacks
        reply = json.dumps([self._layout, answer.score, answer.probability, answer.p_value, answer.reasons, *policy])
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
        layout, score, probability, p_value, reasons, *policy = json.loads(entry.reply)
        tier, gain, lacks = policy or (None, None, ())
        if layout not in self._layouts:
            self._layouts[layout] = self._log.about(layout)
        features: dict[str, Value] = {}
        flat, at = np.frombuffer(entry.data, float), 0
        for name, shape in zip(*self._layouts[layout], strict=True):
            size = int(np.prod(shape)) if shape else 1
            part = flat[at : at + size]
            features[name] = part.reshape(shape).astype(np.float32) if shape else None if np.isnan(part[0]) else float(part[0])
            at += size
        return Answer(entry.id, score, probability, p_value, tuple(reasons), features, tier, gain, tuple(lacks), again=True)
