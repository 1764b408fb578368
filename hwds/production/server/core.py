"""Core: from the bytes of a request to those of an answer, by the service of a bundle, which may be replaced meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.production.server import kserve
from hwds.production.server.capture import Capture
from hwds.production.server.formats import JSON, accepted, format_of, questions_of, text_of, written
from hwds.production.server.metrics import Metrics
from hwds.production.server.refusals import Refused
from hwds.production.server.settings import ServerSettings
from hwds.production.services.base import Answer, Question, Service, parsed_json
from hwds.production.services.opening import Bundle

LOG = logging.getLogger("hwds.server")

AT_ONCE = 64
"""Rows that stand alone are answered in the loop up to so many: they take less than to hand them to a thread."""

SLOW = 1.0
"""Seconds from which a request is logged."""


class Loaded(NamedTuple):
    """A bundle, its service, and what is known of it."""

    bundle: Bundle
    service: Service
    schema: dict[str, Any]


class Reply(NamedTuple):
    """The bytes of an answer, their type, and how many questions it answers."""

    body: bytes
    form: str
    rows: int


class Core:
    """Answers requests.

    Args:
        settings: Of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.loaded = self._load(self._bundle())
        self.metrics = Metrics(Path(settings.scrape))
        self._capture = self._captured()
        self._threads = ThreadPoolExecutor(1, "answers")  # a model answers one after the other: threads would share one core
        self._waiting = 0
        if self.loaded.service.kind == "rows":  # so that nobody waits for the import of what explains
            self._threads.submit(self.loaded.service.answer, [{}], reasons=True)

    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[list[Question], Callable[..., Reply]]:
        """Return the questions of a body, and what makes a reply of their answers.

        Raises:
            Refused: The body is of no format that is read, or has too many questions.
            DataError: It is not of its format.
        """
        form, parameters = format_of(content_type)
        wanted = accepted(accept, form)
        asked = questions_of(body, form, parameters, self.loaded.schema["properties"], self.settings.most_rows)
        self._refuse_many(asked.questions)

        def reply(answers: list[Answer]) -> Reply:
            shown = JSON if asked.shape in ("one", "list", "predictions") and wanted == form == JSON else wanted
            return Reply(written(answers, asked.shape, shown), shown, len(answers))

        return asked.questions, reply

    def infer(self, body: bytes, name: str) -> tuple[list[Question], Callable[..., Reply]]:
        """Return the same of a request of KServe's protocol."""
        request, loaded = parsed_json(text_of(body)), self.loaded
        questions = kserve.questions_of(request, loaded.schema)
        self._refuse_many(questions)
        flat, version = kserve.is_flat(loaded.schema), loaded.bundle.manifest.digest

        def reply(answers: list[Answer]) -> Reply:
            said = kserve.response(name, version, request.get("id"), answers, flat=flat)
            return Reply(json.dumps(said, ensure_ascii=False).encode(), JSON, len(answers))

        return questions, reply

    async def answer(self, questions: list[Question], *, reasons: bool) -> list[Answer]:
        """Return the answers to questions.

        Raises:
            Refused: 503, too many wait, or it takes too long.
            DataError: A question is none.
        """
        service = self.loaded.service
        if service.kind == "rows" and len(questions) <= AT_ONCE and not reasons:
            answers = service.answer(questions)
        else:
            answers = await self._in_thread(questions, reasons)
        if self._capture is not None and self._capture.keep(questions, answers):
            self.metrics.add("captured")
        return answers

    async def _in_thread(self, questions: list[Question], reasons: bool) -> list[Answer]:
        if self._waiting >= self.settings.waiting:
            raise Refused(503, f"{self._waiting} requests wait already; ask again in a second.")
        self._waiting += 1
        self.metrics.add("waiting")
        try:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._threads, self._answered, questions, reasons)
            return await asyncio.wait_for(work, self.settings.seconds)  # what has not begun by then never does
        except TimeoutError as error:
            raise Refused(503, f"the answer takes longer than {self.settings.seconds:g} s.") from error
        finally:
            self._waiting -= 1
            self.metrics.add("waiting", -1)

    def _answered(self, questions: list[Question], reasons: bool) -> list[Answer]:
        return self.loaded.service.answer(questions, reasons=reasons)

    async def reload(self) -> None:
        """Take up the bundle that lies in the folder now, between two answers; where it is refused the old one stays."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._replace)
        except (HwdsError, OSError) as error:
            self.metrics.add("reload_failures")
            LOG.error(json.dumps({"event": "reload refused", "why": str(error)}))
            return
        self._close_capture()
        self._capture = self._captured()

    def _replace(self) -> None:
        old = self.loaded
        bundle = self._bundle()
        if bundle.manifest.kind != old.bundle.manifest.kind:
            raise ConfigError(f"{bundle.folder}: answers {bundle.manifest.kind}, the server {old.bundle.manifest.kind}.")
        if old.service.stateful:  # one process owns the store, one service at a time
            old.service.close()
        try:
            self.loaded = self._load(bundle)
        except Exception:
            if old.service.stateful:
                self.loaded = old._replace(service=self._service(old.bundle))
            raise
        if not old.service.stateful:
            old.service.close()
        self.metrics.add("reloads")
        LOG.warning(json.dumps({"event": "reloaded", "bundle": bundle.manifest.digest, "before": old.bundle.manifest.digest}))

    def close(self) -> None:
        """End what runs, and close the store."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.loaded.service.close()
        self._close_capture()

    def _bundle(self) -> Bundle:
        return Bundle.open(self.settings.folder, self.settings.trust)

    def _load(self, bundle: Bundle) -> Loaded:
        service = self._service(bundle)
        return Loaded(bundle, service, service.question_schema())

    def _service(self, bundle: Bundle) -> Service:
        settings = self.settings
        store = Path(settings.store) if settings.store else None
        return bundle.service(store, "power" if settings.power else "process")

    def _captured(self) -> Capture | None:
        settings = self.settings
        if settings.capture is None:
            return None
        return Capture(Path(settings.capture), settings.sample, settings.redact, self.loaded.bundle.manifest.digest)

    def _close_capture(self) -> None:
        if self._capture is not None:
            self._capture.close()

    def _refuse_many(self, questions: Sequence[Any]) -> None:
        if not questions:
            raise DataError("body: must have at least one question.")
        if len(questions) > self.settings.most_rows:
            raise Refused(413, f"{len(questions):,} questions in one request; {self.settings.most_rows:,} are allowed.")


def log_request(route: str, status: int, seconds: float, rows: int, why: str, *, every: bool) -> None:
    """Log a request in a line of JSON: each, or those that were refused or slow."""
    if not every and status < 400 and seconds < SLOW:
        return
    said = {"event": "request", "route": route, "status": status, "ms": round(1000 * seconds, 3), "rows": rows}
    if why:
        said["why"] = why
    line = json.dumps({"time": round(time.time(), 3), **said}, ensure_ascii=False)
    LOG.log(logging.ERROR if status >= 500 else logging.INFO, line)
