"""The HTTP server of a bundle: SageMaker's contract, MLflow's and KServe's protocols, health, metrics and a page of it all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import signal
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import polars as pl

from hwds.core.errors import DataError, HwdsError
from hwds.production.server import kserve
from hwds.production.server.core import LOG, Core, Reply, log_request
from hwds.production.server.formats import JSON
from hwds.production.server.openapi import description, page
from hwds.production.server.refusals import Refused
from hwds.production.server.settings import ServerSettings
from hwds.production.services.base import Answer, Question

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

Ask = Callable[[bytes], tuple[list[Question], Callable[[list[Answer]], Reply]]]


def create() -> Starlette:
    """Return the application of a worker, by the settings in its environment."""
    return application(Core(ServerSettings.of_environment()))


def application(core: Core) -> Starlette:
    """Return the application of a core."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    faces = Faces(core)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with_reload(core)
        try:
            yield
        finally:
            core.close()

    routes = [
        Route("/invocations", faces.invocations, methods=["POST"]),
        Route("/ping", faces.ping, methods=["GET"]),
        Route("/execution-parameters", faces.execution_parameters, methods=["GET"]),
        Route("/metrics", faces.metrics, methods=["GET"]),
        Route("/openapi.json", faces.openapi, methods=["GET"]),
        Route("/docs", faces.docs, methods=["GET"]),
        Route("/version", faces.version, methods=["GET"]),
        Route("/health", faces.ping, methods=["GET"]),
        Route("/v2", faces.server, methods=["GET"]),
        Route("/v2/health/live", faces.ping, methods=["GET"]),
        Route("/v2/health/ready", faces.ping, methods=["GET"]),
        Route("/v2/models/{name}", faces.model, methods=["GET"]),
        Route("/v2/models/{name}/ready", faces.ready, methods=["GET"]),
        Route("/v2/models/{name}/infer", faces.infer, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def with_reload(core: Core) -> None:
    """Let a hang-up signal reload the bundle, where signals can be taken."""
    pending: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.get_running_loop().create_task(core.reload())
        pending.add(task)
        task.add_done_callback(pending.discard)

    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    except (RuntimeError, ValueError, NotImplementedError):  # not the main thread, or another system
        LOG.debug("no reload by signal here")


class Faces:
    """The routes of a server.

    Args:
        core: Answers.
    """

    def __init__(self, core: Core) -> None:
        self._core, self._settings = core, core.settings

    async def invocations(self, request: Request) -> Response:
        """Answer questions."""
        reasons = request.query_params.get("reasons", "").lower() in ("1", "true")
        headers = request.headers
        content_type, accept = headers.get("content-type", JSON), headers.get("accept", "")

        def ask(body: bytes) -> tuple[list[Question], Callable[[list[Answer]], Reply]]:
            return self._core.invoke(body, content_type, accept)

        return await self._answered(request, "/invocations", ask, reasons)

    async def infer(self, request: Request) -> Response:
        """Answer questions in KServe's protocol."""

        def ask(body: bytes) -> tuple[list[Question], Callable[[list[Answer]], Reply]]:
            self._refuse_name(request.path_params["name"])
            return self._core.infer(body, request.path_params["name"])

        return await self._answered(request, "/v2/infer", ask, reasons=False)

    async def _answered(self, request: Request, route: str, ask: Ask, reasons: bool) -> Response:
        from starlette.responses import Response

        begin, rows, why = perf_counter(), 0, ""
        try:
            self._refuse_stranger(request)
            questions, reply = ask(await self._body(request))
            answers = await self._core.answer(questions, reasons=reasons)
            body, form, rows = reply(answers)
            digest = self._core.loaded.bundle.manifest.digest
            response = Response(body, 200, {"x-hwds-bundle": digest}, media_type=form)
        except Refused as error:
            why = error.reason
            response = refusal(error.status, why)
        except DataError as error:
            why = str(error)
            response = refusal(400, why)
        except HwdsError as error:
            why = str(error)
            response = refusal(503, why)
        except (Exception, pl.exceptions.PanicException) as error:
            why = f"{type(error).__name__}: {error}"
            LOG.error(json.dumps({"event": "failure", "why": why, "where": traceback.format_exc()}))
            response = refusal(500, "the server failed; the log of its operator says why.")
        seconds = perf_counter() - begin
        self._core.metrics.request(response.status_code, seconds, rows)
        log_request(route, response.status_code, seconds, rows, why, every=self._settings.log == "all")
        return response

    async def _body(self, request: Request) -> bytes:
        """Return the body of a request.

        Raises:
            Refused: 413, it is too large; 408, it does not arrive; 415, it is compressed.
        """
        most = self._settings.most_bytes
        encoding = request.headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            raise Refused(415, f"content encoding '{encoding[:40]}' is not read here.")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > most:
            raise Refused(413, f"the body has {int(length):,} bytes; {most:,} are allowed.")
        try:
            return await asyncio.wait_for(_received(request, most), self._settings.read_seconds)
        except TimeoutError as error:
            raise Refused(408, f"the body did not arrive within {self._settings.read_seconds:g} s.") from error

    def _refuse_stranger(self, request: Request) -> None:
        """Refuse who bears no token, where there are some.

        Raises:
            Refused: 401, he does not.
        """
        if not self._settings.tokens:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(token.strip().encode()).hexdigest()
        known = [hmac.compare_digest(given, one) for one in self._settings.tokens]
        if scheme.lower() != "bearer" or not any(known):
            raise Refused(401, "a token must be given: `Authorization: Bearer TOKEN`.")

    def _refuse_name(self, name: str) -> None:
        if name != self._name:
            raise Refused(404, f"no model '{name[:80]}'; this server has '{self._name}'.")

    @property
    def _name(self) -> str:
        return self._core.loaded.bundle.manifest.model.replace("/", "-")

    async def _shown(self, request: Request, content: Callable[[], Any], form: str = JSON) -> Response:
        """Return plain values as JSON, or a text of another form, to whoever may ask."""
        from starlette.responses import JSONResponse, Response

        try:
            self._refuse_stranger(request)
            return JSONResponse(content()) if form == JSON else Response(content(), media_type=form)
        except Refused as error:
            return refusal(error.status, error.reason)

    async def ping(self, request: Request) -> Response:
        """Say that the server can answer: an empty 200, without a token, which who looks whether a server lives has not."""
        from starlette.responses import Response

        return Response(b"", 200)

    async def execution_parameters(self, request: Request) -> Response:
        """Return what a batch transform may ask at once."""
        settings = self._settings
        megabytes = int(settings.most_megabytes) if settings.most_megabytes >= 1 else settings.most_megabytes
        said = {"MaxConcurrentTransforms": settings.concurrent, "BatchStrategy": settings.strategy, "MaxPayloadInMB": megabytes}
        return await self._shown(request, lambda: said)

    async def metrics(self, request: Request) -> Response:
        """Return the counts of all workers for Prometheus."""
        manifest = self._core.loaded.bundle.manifest
        text = partial(self._core.metrics.text, manifest.digest, manifest.model)
        return await self._shown(request, text, "text/plain; version=0.0.4")

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI description."""
        return await self._shown(request, self._description)

    async def docs(self, request: Request) -> Response:
        """Return the description as a page."""
        return await self._shown(request, lambda: page(self._description()), "text/html")

    def _description(self) -> dict[str, Any]:
        loaded = self._core.loaded
        return description(loaded.schema, loaded.bundle.manifest.model, loaded.bundle.manifest.digest, self._name)

    async def version(self, request: Request) -> Response:
        """Return the bundle that answers."""
        manifest = self._core.loaded.bundle.manifest
        return await self._shown(request, lambda: {"bundle": manifest.digest, "model": manifest.model, "run": manifest.run})

    async def server(self, request: Request) -> Response:
        """Return the metadata of the server (KServe)."""
        return await self._shown(request, lambda: {"name": "hwds", "version": "2", "extensions": []})

    async def model(self, request: Request) -> Response:
        """Return the metadata of the model (KServe)."""

        def content() -> Any:
            self._refuse_name(request.path_params["name"])
            loaded = self._core.loaded
            return kserve.metadata(self._name, loaded.bundle.manifest.digest, loaded.schema)

        return await self._shown(request, content)

    async def ready(self, request: Request) -> Response:
        """Say whether the model can answer (KServe)."""

        def content() -> Any:
            self._refuse_name(request.path_params["name"])
            return {"name": self._name, "ready": True}

        return await self._shown(request, content)


async def _received(request: Request, most: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"the body is larger than {most:,} bytes.")
        parts.append(part)
    return b"".join(parts)


def refusal(status: int, reason: str) -> Response:
    """Return an answer that says why there is none; what cannot be written as text is escaped."""
    from starlette.responses import Response

    shown = reason.encode("utf-8", "backslashreplace").decode()[:2000]
    body = json.dumps({"error": shown}, ensure_ascii=False).encode()
    headers = {503: {"retry-after": "1"}, 401: {"www-authenticate": "Bearer"}}.get(status, {})
    return Response(body, status, headers, media_type=JSON)
