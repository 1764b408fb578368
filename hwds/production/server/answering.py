"""Answering: the routes that take questions, as bare ASGI applications, for whom each microsecond of a request counts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs

from hwds.core.errors import DataError, HwdsError
from hwds.production.server.core import Core, Reply, log_request
from hwds.production.server.formats import JSON
from hwds.production.server.loaded import FAILURES, LOG
from hwds.production.server.refusals import Refused
from hwds.production.server.traces import Headers, passed_on
from hwds.production.services.base import Answer, Question
from hwds.serving.ids import ID

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asked = tuple[list[Question], Callable[[list[Answer], str], Reply]]
"""The questions of a body, and what makes a reply of their answers and the digest of the bundle that answered."""

Ask = Callable[[Scope, Headers, bytes], Asked]

EXTRA: dict[int, list[tuple[bytes, bytes]]] = {503: [(b"retry-after", b"1")], 401: [(b"www-authenticate", b"Bearer")]}
"""Headers of refusals."""

YES_OR_NO = {"true": True, "1": True, "false": False, "0": False}


class Answering:
    """The application of one route: a body in, a body out, and a reason for what gets none.

    Args:
        core: Answers.
        route: The name of the route in the log.
        ask: Returns the questions of a body, and the function that makes a reply of their answers.
    """

    def __init__(self, core: Core, route: str, ask: Ask) -> None:
        self._core, self._route, self._ask, self._settings = core, route, ask, core.settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begin, why = perf_counter(), ""
        reply = Reply(b"", JSON, 0)
        headers, status, extra = dict(scope["headers"]), 200, []
        passed_on(headers)
        traces = self._core.traces
        span = traces.begin(self._route, headers) if traces is not None else None
        try:
            refuse_stranger(headers.get(b"authorization", b"").decode("latin-1"), self._settings.tokens)
            body = await self._body(headers, receive)
            begin = perf_counter()  # how long a client sends is not the server's time
            reply, digest = await self._reply(scope, headers, body)
            extra = [(b"x-hwds-bundle", digest.encode())]
        except Refused as error:
            status, why = error.status, error.reason
        except DataError as error:
            status, why = 400, str(error)
        except HwdsError as error:
            status, why = 503, str(error)
        except FAILURES as error:
            status, why = 500, f"{type(error).__name__}: {error}"
            LOG.error(json.dumps({"event": "failure", "why": why, "where": traceback.format_exc()}))
        if status != 200:
            said = why if status < 500 or status == 503 else "the server failed; the log of its operator says why."
            reply, extra = Reply(refusal_body(said), JSON, 0), EXTRA.get(status, [])
        await _respond(send, status, reply, extra)
        seconds = perf_counter() - begin
        self._core.metrics.request(status, seconds, reply.rows)
        if traces is not None:
            traces.end(span, status, reply.rows, why)
        logged = without_values(why, self._settings.redact) if status < 500 else why
        log_request(self._route, status, seconds, reply.rows, logged, every=self._settings.log == "all")

    async def _reply(self, scope: Scope, headers: Headers, body: bytes) -> tuple[Reply, str]:
        """Return the reply to a body, and the digest of the bundle that made it."""
        questions, reply = self._ask(scope, headers, body)
        answers, digest = await self._core.answer(questions, reasons=wants_reasons(scope["query_string"]))
        return reply(answers, digest), digest

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            Refused: 413, it is too large; 408, it does not arrive; 415, it is compressed.
        """
        most = self._settings.most_bytes
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding != b"identity":
            raise Refused(415, f"content encoding '{encoding[:40].decode('latin-1')}' is not read here.")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            raise Refused(413, f"the body has {int(length):,} bytes; {most:,} are allowed.")
        try:
            async with asyncio.timeout(self._settings.read_seconds):
                return await _received(receive, most)
        except TimeoutError as error:
            raise Refused(408, f"the body did not arrive within {self._settings.read_seconds:g} s.") from error


async def _received(receive: Receive, most: int) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(408, "the connection was closed before the body had arrived.")
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
        if size > most:
            raise Refused(413, f"the body is larger than {most:,} bytes.")
    return b"".join(parts)


async def _respond(send: Send, status: int, reply: Reply, extra: list[tuple[bytes, bytes]]) -> None:
    form = reply.form if reply.form.startswith("application/") else f"{reply.form}; charset=utf-8"
    headers = [(b"content-type", form.encode()), (b"content-length", b"%d" % len(reply.body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def wants_reasons(query: bytes) -> bool:
    """Return whether a query asks for reasons.

    Raises:
        Refused: 400, it says neither yes nor no.
    """
    if not query:
        return False
    said = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("reasons", ["false"])
    if len(said) > 1 or said[0].lower() not in YES_OR_NO:
        raise Refused(400, f"reasons: must be true or false, got {', '.join(said)[:80]!r}.")
    return YES_OR_NO[said[0].lower()]


def refuse_stranger(authorization: str, tokens: tuple[str, ...]) -> None:
    """Refuse who bears no token, where there are some.

    Args:
        authorization: The header.
        tokens: SHA-256 of the tokens that may ask.

    Raises:
        Refused: 401, he bears none.
    """
    if not tokens:
        return
    scheme, _, token = authorization.partition(" ")
    given = hashlib.sha256(token.strip().encode()).hexdigest()
    known = [hmac.compare_digest(given, one) for one in tokens]
    if scheme.lower() != "bearer" or not any(known):
        raise Refused(401, "a token must be given: `Authorization: Bearer TOKEN`.")


def without_values(why: str, redact: Sequence[str]) -> str:
    """Return a reason for the log, without what a client sent where fields are not to be written."""
    if not redact:
        return why
    return "not logged, for it names an id" if ID in redact else why.partition(", got ")[0]


def refusal_body(reason: str) -> bytes:
    """Return the JSON that says why there is no answer; what cannot be written as text is escaped."""
    shown = reason.encode("utf-8", "backslashreplace").decode()[:2000]
    return json.dumps({"error": shown}, ensure_ascii=False).encode()
