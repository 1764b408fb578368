"""Core: from the bytes of a request to those of an answer, by the bundles of a server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Lock
from typing import Any, NamedTuple, Self
from uuid import uuid4

import polars as pl

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.questions import ID, Json, id_of, parsed_json
from hwds.evaluation.serving import STATEFUL, Answer, Question, Service
from hwds.serve.bundle.manifest import SCHEMA
from hwds.serve.server import formats as kserve
from hwds.serve.server.formats import (
    JSON,
    Refused,
    answer_body,
    answer_format,
    body_format,
    body_questions,
    body_text,
)
from hwds.serve.server.records import (
    CANARY,
    MAIN,
    SHADOW,
    TRACEPARENT,
    Capture,
    CapturedArm,
    Metrics,
    Traces,
    share_of,
)
from hwds.serve.server.settings import ServerSettings
from hwds.serve.services.opening import Bundle, ReadRow, RowService

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


# Batches: the rows of requests that come together are answered by one call of the model.

MOST = 256
"""Rows of one call; more wait for the next one."""


class Waiting(NamedTuple):
    """The rows of a request, and where its answers are awaited."""

    rows: list[ReadRow]
    future: asyncio.Future[list[Answer]]


class Batches:
    """Collects the rows of concurrent requests.

    What arrives in the same turn of the loop is answered together, so that a request alone never
    waits. While requests come together, the next ones are collected for a stated time at most.

    Args:
        seconds: The time that a request may wait for others that come together; 0 waits for none.
        count: Called with 1 for each call of the model.
    """

    def __init__(self, seconds: float, count: Callable[[float], None]) -> None:
        self._seconds, self._count = seconds, count
        self._waiting: list[Waiting] = []
        self._service: RowService | None = None
        self._rows, self._together = 0, 1

    async def answer(self, service: RowService, rows: list[ReadRow]) -> list[Answer]:
        """Return the answers to the rows of one request, in their order."""
        if self._waiting and (self._service is not service or self._rows + len(rows) > MOST):
            self._flush()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Answer]] = loop.create_future()
        self._waiting.append(Waiting(rows, future))
        self._service, self._rows = service, self._rows + len(rows)
        if len(self._waiting) == 1:
            if self._seconds and self._together > 1:
                loop.call_later(self._seconds, self._flush)
            else:
                loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        """Answer all that wait."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if waiting and self._service is not None:
            self._together = len(waiting)
            self._settle(self._service, waiting)

    def _settle(self, service: RowService, waiting: list[Waiting]) -> None:
        """Answer requests by one call.

        Where it fails, each by its own, so that the rows of one refuse no other.
        """
        self._count(1)
        try:
            answers = service.score([row for each in waiting for row in each.rows])
        except FAILURES as error:  # the server says so to whose rows they are
            if len(waiting) > 1:
                for each in waiting:
                    self._settle(service, [each])
            elif not waiting[0].future.done():
                waiting[0].future.set_exception(error)
            return
        at = 0
        for each in waiting:
            if not each.future.done():
                each.future.set_result(answers[at : at + len(each.rows)])
            at += len(each.rows)


# Core: from the bytes of a request to those of an answer, by the service of a bundle, which may
# be replaced meanwhile.

AT_ONCE = 64
"""Rows that stand alone are answered in the loop, up to so many of a request: to hand them to a
thread takes longer.
"""

SLOW = 1.0
"""Seconds from which a request is logged."""


class Reply(NamedTuple):
    """The bytes of an answer, their type, and how many questions it answers."""

    body: bytes
    form: str
    rows: int


class Core:
    """Answers requests.

    Args:
        settings: The settings of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.loaded, self.others = self._load()
        self.metrics = Metrics(Path(settings.scrape))
        self.traces = Traces.of_environment(os.environ)
        self._capture = (
            None
            if settings.capture is None
            else Capture(Path(settings.capture), settings.sample, settings.redact)
        )
        self._threads = ThreadPoolExecutor(
            self.loaded.service.threads, "answers"
        )  # of a model one: they would share a core
        self._other_threads = ThreadPoolExecutor(
            1, "canary"
        )  # so that main's answers do not wait behind a slow canary's
        self._batches = Batches(settings.batch_ms / 1000, self.metrics.counter("batches"))
        self._shadow = Shadow(self.metrics.add) if SHADOW in self.others else None
        self._waiting = 0
        if (
            self.loaded.service.kind == "rows"
        ):  # so that nobody waits for the import of what explains
            self._threads.submit(self.loaded.service.answer, [{}], reasons=True)

    def invoke(
        self, body: bytes, content_type: str, accept: str
    ) -> tuple[list[Question], Callable[..., Reply]]:
        """Return the questions of a body, and what makes a reply of their answers and the digest of
        who answered.

        Raises:
            Refused: The body is of no format that is read, or has too many questions.
            DataError: It is not of its format.
        """
        form, parameters = body_format(content_type)
        wanted = answer_format(accept, form)
        parsed = body_questions(
            body, form, parameters, self.loaded.schema["properties"], self.settings.most_rows
        )
        self._refuse_many(parsed.questions)

        def reply(answers: list[Answer], digest: str) -> Reply:
            shown = (
                JSON
                if parsed.shape in ("one", "list", "predictions") and wanted == form == JSON
                else wanted
            )
            return Reply(answer_body(answers, parsed.shape, shown), shown, len(answers))

        return parsed.questions, reply

    def infer(self, body: bytes, name: str) -> tuple[list[Question], Callable[..., Reply]]:
        """Return the same of a request of KServe's protocol."""
        request, loaded = parsed_json(body_text(body)), self.loaded
        questions = kserve.tensor_questions(request, loaded.schema)
        self._refuse_many(questions)
        flat = kserve.is_flat(loaded.schema)

        def reply(answers: list[Answer], digest: str) -> Reply:
            response = kserve.kserve_response(name, digest, request.get("id"), answers, flat=flat)
            return Reply(json.dumps(response, ensure_ascii=False).encode(), JSON, len(answers))

        return questions, reply

    async def answer(self, questions: list[Question], *, reasons: bool) -> tuple[list[Answer], str]:
        """Return the answers to questions, and the digest of the bundle that answered.

        Of several arms those of all.

        Raises:
            Refused: 503, too many wait, or it takes too long.
            DataError: A question is none.
        """
        until = asyncio.get_running_loop().time() + self.settings.seconds
        if self.others:
            return await self._by_arms(questions, reasons, until)
        digest, answers = await self._by(MAIN, questions, reasons, until)
        self._keep(CapturedArm(MAIN, digest, ""), self._is_drawn(questions), questions, answers)
        return answers, digest

    async def _by_arms(
        self, questions: list[Question], reasons: bool, until: float
    ) -> tuple[list[Answer], str]:
        """Return the answers of main and canary, each with the name of its arm where there is a
        canary, and their digests.
        """
        request, named = uuid4().hex, CANARY in self.others
        answers: list[Answer] = [{}] * len(questions)
        for_shadow, done = list(questions), []
        share = self.settings.canary_share if named else 0.0
        for part in parts_of(questions, share, getattr(self.loaded.service, "unit", "")):
            name, digest, part_answers = await self._of_part(part, reasons, until)
            for place, question, answer in zip(
                part.places, part.questions, part_answers, strict=True
            ):
                answers[place] = answer | {"arm": name} if named else answer
                for_shadow[place] = question
            done.append((CapturedArm(name, digest, request), part.questions, part_answers))
        drawn = self._is_drawn(questions)
        for (
            arm,
            part_asked,
            part_answers,
        ) in done:  # where another part is refused nobody gets these answers
            self._keep(arm, drawn, part_asked, part_answers)
        if self._shadow is not None:
            shadow = self.others[SHADOW]
            self._shadow.offer(
                shadow,
                for_shadow,
                partial(self._keep, CapturedArm(SHADOW, shadow.digest, request), drawn, for_shadow),
            )
        return answers, ", ".join(dict.fromkeys(arm.bundle for arm, _, _ in done))

    async def _of_part(
        self, part: RequestPart, reasons: bool, until: float
    ) -> tuple[str, str, list[Answer]]:
        """Return an arm, its digest and its answers.

        Main's where the canary fails or is slow and main is not.
        """
        if part.arm == MAIN:
            return MAIN, *await self._by(MAIN, part.questions, reasons, until)
        try:
            return CANARY, *await self._by(CANARY, part.questions, reasons, until)
        except FAILURES as error:
            if isinstance(error, Refused) and error.status != 503:
                raise
            by_main = await self._by(MAIN, part.questions, reasons, until)
            self.metrics.add("canary_failures")
            LOG.warning(
                json.dumps({"event": "canary failed", "why": f"{type(error).__name__}: {error}"})
            )
            return MAIN, *by_main

    async def _by(
        self, arm: str, questions: list[Question], reasons: bool, until: float
    ) -> tuple[str, list[Answer]]:
        """Return the digest of the bundle that answers, which may be replaced meanwhile, and its
        answers.
        """
        loaded = self._arm(arm)
        service = loaded.service
        if isinstance(service, RowService) and len(questions) <= AT_ONCE and not reasons:
            return loaded.digest, await self._batches.answer(service, service.read(questions))
        return await self._in_thread(arm, questions, reasons, until)

    def _arm(self, arm: str) -> Loaded:
        return self.loaded if arm == MAIN else self.others[arm]

    def _is_drawn(self, questions: Sequence[Question]) -> bool:
        """Return whether a request is captured, by all arms or none."""
        return self._capture is not None and self._capture.is_drawn(questions)

    def _keep(
        self, arm: CapturedArm, drawn: bool, questions: Sequence[Question], answers: list[Answer]
    ) -> None:
        """Count the answers of an arm, and capture them where their request is drawn."""
        self.metrics.add(f"rows_{arm.name}", len(answers))
        if self._capture is not None and drawn:
            try:
                self._capture.keep(questions, answers, arm)
            except OSError as error:  # a full disk keeps nobody from an answer
                self.metrics.add("capture_failures")
                LOG.error(json.dumps({"event": "capture failed", "why": str(error)}))
            else:
                self.metrics.add("captured")

    async def _in_thread(
        self, arm: str, questions: list[Question], reasons: bool, until: float
    ) -> tuple[str, list[Answer]]:
        if self._waiting >= self.settings.waiting:
            raise Refused(503, f"{self._waiting} requests wait already; ask again in a second.")
        self._waiting += 1
        self.metrics.add("waiting")
        try:
            loop = asyncio.get_running_loop()
            seconds = (until - loop.time()) / (
                1 if arm == MAIN else 2
            )  # main answers where the canary is slow
            threads = self._threads if arm == MAIN else self._other_threads
            work = loop.run_in_executor(threads, self._answer_parts, arm, questions, reasons)
            return await asyncio.wait_for(work, seconds)  # what has not begun by then never does
        except TimeoutError as error:
            raise Refused(
                503, f"the answer takes longer than {self.settings.seconds:g} s."
            ) from error
        finally:
            self._waiting -= 1
            self.metrics.add("waiting", -1)

    def _answer_parts(
        self, arm: str, questions: list[Question], reasons: bool
    ) -> tuple[str, list[Answer]]:
        loaded = self._arm(arm)
        return loaded.digest, loaded.service.answer(questions, reasons=reasons)

    async def reload(self) -> None:
        """Take up the bundle that lies in the folder now, between two answers.

        Where it is refused the old one stays.
        """
        loop, threads = asyncio.get_running_loop(), self.loaded.service.threads
        met = Barrier(
            threads, self._replace
        )  # each thread waits at it, so that none answers meanwhile
        done = await asyncio.gather(
            *(loop.run_in_executor(self._threads, met.wait) for _ in range(threads)),
            return_exceptions=True,
        )
        error = next(
            (
                each
                for each in done
                if isinstance(each, Exception) and not isinstance(each, BrokenBarrierError)
            ),
            None,
        )
        if isinstance(error, HwdsError | OSError):
            self.metrics.add("reload_failures")
            LOG.error(json.dumps({"event": "reload refused", "why": str(error)}))
        elif error is not None:
            raise error

    def _replace(self) -> None:
        old = self.loaded
        if old.service.stateful:
            self._replace_stateful()
        else:
            self.loaded, self.others = self._load(old.bundle.manifest.kind)
            old.service.close()
        self.metrics.add("reloads")
        LOG.warning(
            json.dumps({"event": "reloaded", "bundle": self.loaded.digest, "before": old.digest})
        )

    def _replace_stateful(self) -> None:
        """Replace a bundle whose store one service owns at a time: the old one gives it back first,
        and gets it again.
        """
        old, bundle = (
            self.loaded,
            self._bundle(self.settings.folder, self.loaded.bundle.manifest.kind),
        )
        old.service.close()
        try:
            self.loaded = Loaded.of(bundle, self.settings)
        except Exception:
            self.loaded = Loaded.of(old.bundle, self.settings)
            raise

    def close(self) -> None:
        """End what runs, and close the store."""
        for threads in (self._threads, self._other_threads):
            threads.shutdown(wait=True, cancel_futures=True)
        if self._shadow is not None:
            self._shadow.close()
        for loaded in (self.loaded, *self.others.values()):
            loaded.service.close()
        if self._capture is not None:
            self._capture.close()
        if self.traces is not None:
            self.traces.close()

    def _bundle(self, folder: str, kind: str = "") -> Bundle:
        bundle = Bundle.open(folder, self.settings.trust)
        if kind and bundle.manifest.kind != kind:
            raise ConfigError(
                f"{bundle.folder}: answers {bundle.manifest.kind}, the server {kind}."
            )
        return bundle

    def _load(self, kind: str = "") -> tuple[Loaded, dict[str, Loaded]]:
        """Return the bundle that answers, and those beside it by arm; all or none."""
        main = Loaded.of(self._bundle(self.settings.folder, kind), self.settings)
        arms = {}
        for arm, folder in ((CANARY, self.settings.canary), (SHADOW, self.settings.shadow)):
            if folder is not None:
                bundle = self._bundle(folder)
                check_arm(main.bundle, bundle, arm)
                arms[arm] = Loaded.of(bundle, self.settings)
        return main, arms

    def _refuse_many(self, questions: Sequence[Any]) -> None:
        if not questions:
            raise DataError("body: must have at least one question.")
        if len(questions) > self.settings.most_rows:
            raise Refused(
                413,
                f"{len(questions):,} questions in one request; {self.settings.most_rows:,} are "
                f"allowed.",
            )


def log_request(
    route: str, status: int, seconds: float, rows: int, why: str, *, every: bool
) -> None:
    """Log a request in a line of JSON: each, or those that were refused or slow."""
    if not every and status < 400 and seconds < SLOW:
        return
    facts = {
        "event": "request",
        "route": route,
        "status": status,
        "ms": round(1000 * seconds, 3),
        "rows": rows,
    }
    if why:
        facts["why"] = why
    if parent := TRACEPARENT.get():
        facts["traceparent"] = parent
    line = json.dumps({"time": round(time.time(), 3), **facts}, ensure_ascii=False)
    LOG.log(logging.ERROR if status >= 500 else logging.INFO, line)
