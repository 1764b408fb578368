"""Arms: bundles beside the one that answers; a canary answers a share of the units, a shadow answers nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import NamedTuple

from hwds.core.errors import ConfigError
from hwds.production.bundle.manifest import SCHEMA
from hwds.production.server.draws import CANARY, MAIN, share_of
from hwds.production.server.loaded import FAILURES, LOG, Loaded
from hwds.production.services.base import STATEFUL, Answer, Question
from hwds.production.services.opening import Bundle
from hwds.serving.ids import ID, id_of

Deliver = Callable[[list[Answer]], None]

MOST_WAITING, MOST_ROWS = 256, 20_000
"""Requests, and questions of them together, that may wait for the shadow; it leaves out those that come while it is so far
behind: they would take the memory of the bundle that answers."""


class Part(NamedTuple):
    """The questions of a request that one arm answers, and their places in it."""

    arm: str
    places: list[int]
    questions: list[Question]


def parts_of(questions: Sequence[Question], share: float, unit: str) -> list[Part]:
    """Return the parts of a request by arm; a unit is always in the same one.

    Args:
        questions: Of the request; those without an id get their place in it.
        share: Of the units that the canary answers, from 0 to 1.
        unit: The field that names a unit; empty where questions have none.

    Raises:
        DataError: A question is none.
    """
    ids = [id_of(question, place) for place, question in enumerate(questions)]
    parts = [Part(MAIN, [], []), Part(CANARY, [], [])]
    for place, (id, question) in enumerate(zip(ids, questions, strict=True)):
        part = parts[share_of(question, unit, "canary ") < share]
        part.places.append(place)
        part.questions.append({**question, ID: id})
    return [part for part in parts if part.places]


def check_arm(main: Bundle, other: Bundle, name: str) -> None:
    """Refuse a bundle that cannot answer beside another.

    Args:
        main: The bundle that answers.
        other: The one beside it.
        name: Its arm.

    Raises:
        ConfigError: It answers other questions, or questions whose answers depend on earlier ones.
    """
    kinds = main.manifest.kind, other.manifest.kind
    if kinds[0] != kinds[1]:
        raise ConfigError(f"--{name}: answers {kinds[1]}, the server {kinds[0]}.")
    if kinds[0] in STATEFUL:
        raise ConfigError(f"--{name}: these answers remember earlier questions, whose store one bundle owns.")
    fields, known = (set(each.json(SCHEMA)["properties"]) for each in (main, other))
    if lacks := sorted(fields - known):
        raise ConfigError(f"--{name}: its questions have no '{lacks[0]}', which those of the server have.")


class Shadow:
    """Answers what was answered already, in a thread of its own, and hands its answers on.

    Args:
        add: Counts by name.
    """

    def __init__(self, add: Callable[[str], None]) -> None:
        self._add = add
        self._threads = ThreadPoolExecutor(1, "shadow")
        self._lock = Lock()
        self._requests = self._rows = 0  # that wait

    def offer(self, loaded: Loaded, questions: Sequence[Question], deliver: Deliver) -> None:
        """Take up a request, or leave it out where too many wait; its answers are delivered."""
        with self._lock:
            if self._requests >= MOST_WAITING or self._rows + len(questions) > MOST_ROWS:
                self._add("shadow_left_out")
                return
            self._requests, self._rows = self._requests + 1, self._rows + len(questions)
        self._threads.submit(copy_context().run, self._answer, loaded, questions, deliver)

    def _answer(self, loaded: Loaded, questions: Sequence[Question], deliver: Deliver) -> None:
        try:
            deliver(loaded.service.answer(questions))
        except FAILURES as error:  # a shadow fails for nobody
            self._add("shadow_failures")
            LOG.warning(json.dumps({"event": "shadow failed", "why": f"{type(error).__name__}: {error}"}))
        finally:
            with self._lock:
                self._requests, self._rows = self._requests - 1, self._rows - len(questions)

    def close(self) -> None:
        """Leave out what waits, and end."""
        self._threads.shutdown(wait=True, cancel_futures=True)
