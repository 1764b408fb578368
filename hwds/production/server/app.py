"""The HTTP server of a bundle: SageMaker's contract, MLflow's and KServe's protocols, health, metrics and a page of it all."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

from hwds.production.server import kserve
from hwds.production.server.answering import EXTRA, Answering, Asked, Receive, Scope, Send, refusal_body, refuse_stranger
from hwds.production.server.core import Core
from hwds.production.server.draws import MAIN
from hwds.production.server.formats import JSON
from hwds.production.server.loaded import LOG
from hwds.production.server.openapi import description, page
from hwds.production.server.refusals import Refused
from hwds.production.server.settings import ServerSettings
from hwds.production.server.traces import Headers

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def create() -> Application:
    """Return the application of a worker, by the settings in its environment."""
    end_with_parent()
    core = Core(ServerSettings.of_environment())
    gc.collect()
    gc.freeze()  # what is there now stays: no request waits while Python looks all of it through
    return application(core)


def end_with_parent() -> None:
    """End this worker as SIGTERM does once its parent is gone, however that was killed: it would keep the port."""
    parent = parent_process()

    def wait() -> None:
        assert parent is not None
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    if parent is not None:
        threading.Thread(target=wait, daemon=True).start()


def application(core: Core) -> Application:
    """Return the application of a core."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    faces = Faces(core)
    invocations = Answering(core, "/invocations", faces.ask)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with_reload(core)
        try:
            yield
        finally:
            core.close()

    routes = [
        Route("/invocations", invocations, methods=["POST"]),
        Route("/ping", faces.ping, methods=["GET"]),
        Route("/execution-parameters", faces.execution_parameters, methods=["GET"]),
        Route("/metrics", faces.metrics, methods=["GET"]),
        Route("/openapi.json", faces.openapi, methods=["GET"]),
        Route("/docs", faces.docs, methods=["GET"]),
        Route("/version", faces.version, methods=["GET"]),
        Route("/health", faces.ping, methods=["GET"]),
        Route("/v2", faces.server, methods=["GET"]),
        Route("/v2/health/live", faces.health, methods=["GET"]),
        Route("/v2/health/ready", faces.health, methods=["GET"]),
        Route("/v2/models/{name}", faces.model, methods=["GET"]),
        Route("/v2/models/{name}/ready", faces.ready, methods=["GET"]),
        Route("/v2/models/{name}/infer", Answering(core, "/v2/infer", faces.ask_kserve), methods=["POST"]),
    ]
    others = Starlette(routes=routes, lifespan=lifespan)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        """Hand what is asked most to where it is answered, past the search for its route."""
        straight = scope["type"] == "http" and scope["path"] == "/invocations" and scope["method"] == "POST"
        await (invocations if straight else others)(scope, receive, send)

    return front


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

    def ask(self, scope: Scope, headers: Headers, body: bytes) -> Asked:
        """Return the questions of a body, and what makes a reply of their answers."""
        content_type, accept = (headers.get(name, b"").decode("latin-1") for name in (b"content-type", b"accept"))
        return self._core.invoke(body, content_type or JSON, accept)

    def ask_kserve(self, scope: Scope, headers: Headers, body: bytes) -> Asked:
        """Return the same of a request in KServe's protocol."""
        name = scope["path_params"]["name"]
        self._refuse_name(name)
        return self._core.infer(body, name)

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
            refuse_stranger(request.headers.get("authorization", ""), self._settings.tokens)
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
        arms = {MAIN: self._core.loaded, **self._core.beside}
        named = {arm: (each.digest, each.bundle.manifest.model) for arm, each in arms.items()}
        text = partial(self._core.metrics.text, named)
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

    async def health(self, request: Request) -> Response:
        """Say that the server lives, or is ready, in the words that KServe's client reads; without a token, as `ping`."""
        from starlette.responses import JSONResponse

        return JSONResponse({request.url.path.rpartition("/")[2]: True})

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


def refusal(status: int, reason: str) -> Response:
    """Return an answer that says why there is none."""
    from starlette.responses import Response

    headers = {name.decode(): value.decode() for name, value in EXTRA.get(status, [])}
    return Response(refusal_body(reason), status, headers, media_type=JSON)
