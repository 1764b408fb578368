"""Arms: the bundle that answers, a canary that answers some units, a shadow that answers nobody."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Self

import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.questions import ID, Json, id_of
from hwds.evaluation.serving import STATEFUL, Answer, Question, Service
from hwds.serve.bundle.manifest import SCHEMA
from hwds.serve.server.settings import ServerSettings
from hwds.serve.services.opening import Bundle

# Draws: which requests are captured, and which units a canary answers, by a hash of their
# names.

MAIN, CANARY, SHADOW = ARMS = ("main", "canary", "shadow")
"""The bundle that answers, the one that answers a share of the units, and the one that answers for
the record alone.
"""


def share_of(question: Question, unit: str = "", purpose: str = "") -> float:
    """Return a number from 0 to 1 that is always the same for one unit, and uniform over units.

    Args:
        question: Its unit counts; without one its id, or what an event is a message of; without any
            all that it says.
        unit: The field that names the unit; empty where questions have none.
        purpose: Draws of different purposes are independent.
    """
    name = question.get(unit) if unit else None
    for field in (ID, "of"):
        name = question.get(field) if name is None else name
    named = json.dumps(question, sort_keys=True, default=str) if name is None else str(name)
    digest = hashlib.sha256(f"{purpose}{named}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


# Loaded: a bundle with the service that answers by it.

LOG = logging.getLogger("hwds.server")

FAILURES: tuple[type[BaseException], ...] = (Exception, pl.exceptions.PanicException)
"""The exceptions of a service that fails: a panic of polars is no `Exception`."""


class Loaded(NamedTuple):
    """A bundle, its service, and facts of it that every request needs."""

    bundle: Bundle
    service: Service
    schema: Json
    digest: str

    @classmethod
    def of(cls, bundle: Bundle, settings: ServerSettings) -> Self:
        """Return a bundle with its service.

        Raises:
            DataError: It is of another version of hwds.
        """
        store = Path(settings.store) if settings.store else None
        service = bundle.service(store, "power" if settings.power else "process")
        kept, digest = bundle.lighter(), bundle.manifest.digest
        return cls(kept, service, service.question_schema(), digest)


# Arms: bundles beside the one that answers; a canary answers a share of the units, a shadow
# answers nobody.

Deliver = Callable[[list[Answer]], None]

MOST_WAITING, MOST_ROWS = 256, 20_000
"""Requests, and questions of them together, that may wait for the shadow; it leaves out those that
come while it is so far behind: they would take the memory of the bundle that answers.
"""


class RequestPart(NamedTuple):
    """The questions of a request that one arm answers, and their places in it."""

    arm: str
    places: list[int]
    questions: list[Question]


def parts_of(questions: Sequence[Question], share: float, unit: str) -> list[RequestPart]:
    """Return the parts of a request by arm; a unit is always in the same one.

    Args:
        questions: The questions of the request; one without an id gets its place in it.
        share: The share of the units that the canary answers, from 0 to 1.
        unit: The field that names a unit; empty where questions have none.

    Raises:
        DataError: A question is none.
    """
    ids = [id_of(question, place) for place, question in enumerate(questions)]
    parts = [RequestPart(MAIN, [], []), RequestPart(CANARY, [], [])]
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
        raise ConfigError(
            f"--{name}: these answers remember earlier questions, and one bundle owns their store."
        )
    fields, accepted = (set(each.json(SCHEMA)["properties"]) for each in (main, other))
    if lacks := sorted(fields - accepted):
        raise ConfigError(
            f"--{name}: its questions have no '{lacks[0]}', which those of the server have."
        )


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
            LOG.warning(
                json.dumps({"event": "shadow failed", "why": f"{type(error).__name__}: {error}"})
            )
        finally:
            with self._lock:
                self._requests, self._rows = self._requests - 1, self._rows - len(questions)

    def close(self) -> None:
        """Leave out what waits, and end."""
        self._threads.shutdown(wait=True, cancel_futures=True)
