"""The HTTP application of a bundle: routes of SageMaker, MLflow and KServe, and a page of them."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import os
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing import parent_process
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hwds.core.errors import DataError, HwdsError
from hwds.core.questions import ID, Fields, Json
from hwds.core.settings import read_beside
from hwds.evaluation.serving import Answer, Question
from hwds.serve.server import formats as kserve
from hwds.serve.server.core import FAILURES, LOG, Core, Loaded, Reply, log_request
from hwds.serve.server.formats import JSON, REFUSAL_HEADERS, TIMED_BODY, Refused, refusal_body
from hwds.serve.server.records import MAIN, Headers, pass_on
from hwds.serve.server.settings import ServerSettings

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


# Answering: the routes that take questions, as bare ASGI applications, for whom each
# microsecond of a request counts.

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asked = tuple[list[Question], Callable[[list[Answer], str], Reply]]
"""The questions of a body, and what makes a reply of their answers and the digest of the bundle
that answered.
"""

Ask = Callable[[Scope, Headers, bytes], Asked]

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
        pass_on(headers)
        traces = self._core.traces
        span = traces.begin(self._route, headers) if traces is not None else None
        try:
            refuse_stranger(
                headers.get(b"authorization", b"").decode("latin-1"), self._settings.tokens
            )
            body = await self._body(scope, headers, receive)
            begin = perf_counter()  # how long a client sends is not the server's time
            reply, digest = await self._reply(scope, headers, body)
            extra = [(b"x-hwds-bundle", digest.encode())]
        except Refused as error:
            status, why = error.status, error.reason
        except DataError as error:
            status, why = 400, str(error)
        except HwdsError as error:
            status, why = 503, str(error)
        except asyncio.CancelledError:  # SIGTERM, and its grace is over
            status, why = 503, "the server ends; ask again."
        except FAILURES as error:
            status, why = 500, f"{type(error).__name__}: {error}"
            LOG.error(json.dumps({"event": "failure", "why": why, "where": traceback.format_exc()}))
        if status != 200:
            shown = (
                why
                if status < 500 or status == 503
                else "the server failed; the log of its operator says why."
            )
            reply, extra = Reply(refusal_body(shown), JSON, 0), REFUSAL_HEADERS.get(status, [])
        await _respond(send, status, reply, extra)
        seconds = perf_counter() - begin
        self._core.metrics.request(status, seconds, reply.rows)
        if traces is not None:
            traces.end(span, status, reply.rows, why)
        logged = without_values(why, self._settings.redact) if status < 500 else why
        log_request(
            self._route, status, seconds, reply.rows, logged, every=self._settings.log == "all"
        )

    async def _reply(self, scope: Scope, headers: Headers, body: bytes) -> tuple[Reply, str]:
        """Return the reply to a body, and the digest of the bundle that made it."""
        questions, reply = self._ask(scope, headers, body)
        answers, digest = await self._core.answer(
            questions, reasons=wants_reasons(scope["query_string"])
        )
        return reply(answers, digest), digest

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            Refused: 413, it is too large; 408, it does not arrive; 415, it is compressed.
        """
        most = self._settings.most_bytes
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding != b"identity":
            raise Refused(
                415, f"content encoding '{encoding[:40].decode('latin-1')}' is not read here."
            )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            raise Refused(413, f"the body has {int(length):,} bytes; {most:,} are allowed.")
        if scope.get("extensions") is TIMED_BODY:
            return await _receive_body(receive, most)
        try:
            async with asyncio.timeout(self._settings.read_seconds):
                return await _receive_body(receive, most)
        except TimeoutError as error:
            raise Refused(
                408, f"the body did not arrive within {self._settings.read_seconds:g} s."
            ) from error


async def _receive_body(receive: Receive, most: int) -> bytes:
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
    headers = [
        (b"content-type", form.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def wants_reasons(query: bytes) -> bool:
    """Return whether a query asks for reasons.

    Raises:
        Refused: 400, it says neither yes nor no.
    """
    if not query:
        return False
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("reasons", ["false"])
    if len(values) > 1 or values[0].lower() not in YES_OR_NO:
        raise Refused(400, f"reasons: must be true or false, got {', '.join(values)[:80]!r}.")
    return YES_OR_NO[values[0].lower()]


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
    matches = [hmac.compare_digest(given, one) for one in tokens]
    if scheme.lower() != "bearer" or not any(matches):
        raise Refused(401, "a token must be given: `Authorization: Bearer TOKEN`.")


def without_values(why: str, redact: Sequence[str]) -> str:
    """Return a reason for the log, without what a client sent where fields are not to be
    written.
    """
    if not redact:
        return why
    return "not logged, for it names an id" if ID in redact else why.partition(", got ")[0]


# The OpenAPI description of a server, and the page that shows it.


SHOWN_ROUTES = {
    "/ping": "Whether the server can answer: an empty 200.",
    "/execution-parameters": "What a batch transform may ask at once.",
    "/metrics": "Counts for Prometheus.",
    "/version": "The bundle that answers.",
    "/v2": "The server's metadata.",
    "/v2/health/live": "Whether the server lives.",
    "/v2/health/ready": "Whether it can answer.",
    "/v2/models/{name}": "The model's metadata.",
    "/v2/models/{name}/ready": "Whether the model can answer.",
}
"""What the routes without a body show."""


def openapi_description(schema: Fields, model: str, digest: str, name: str) -> Json:
    """Return the description of a server.

    Args:
        schema: The JSON Schema of a question.
        model: The label of the model.
        digest: The digest of the bundle.
        name: The model's name in KServe's paths.
    """
    described: Json = read_beside(__file__, "openapi.yaml")
    described["info"] |= {"title": model, "version": digest}
    invocations, infer = (each["post"] for each in described["paths"].values())
    question = {key: value for key, value in schema.items() if key != "$schema"}
    one = {"oneOf": [question, {"type": "array", "items": question, "minItems": 1}]}
    invocations["requestBody"]["content"][JSON]["schema"] = one
    tensors = infer["requestBody"]["content"][JSON]["schema"]["properties"]["inputs"]
    flat = kserve.is_flat(schema)
    names = [*schema["properties"]] if flat else [kserve.QUESTION_TENSOR]
    tensors["items"]["properties"] |= {
        "name": {"enum": names},
        "datatype": {"enum": [*kserve.DATATYPES]},
    }
    refused = {"401": invocations["responses"]["401"]}
    described["paths"] |= {
        path: {"get": {"summary": what, "responses": {"200": {"description": what}, **refused}}}
        for path, what in SHOWN_ROUTES.items()
    }
    named = {path.replace("{name}", name): facts for path, facts in described["paths"].items()}
    return {**described, "paths": named}


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{{ info.title }}</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
body{color:#1f2430}h2{font-size:1rem;margin:1.6rem 0 .2rem}td{padding:.1rem .8rem .1rem 0}
h2 b{background:#1f6fb4;color:#fff;padding:.1rem .4rem;border-radius:.2rem}
pre{background:#f4f5f7;padding:.7rem;overflow:auto;max-height:24rem;font-size:.8rem}
</style></head><body><h1>{{ info.title }}</h1>
<p>Bundle {{ info.version }}; <a href="openapi.json">openapi.json</a></p>
{% for path, methods in paths.items() %}{% for method, facts in methods.items() %}
<section><h2><b>{{ method | upper }}</b> {{ path }}</h2><p>{{ facts.summary }}</p>
{% if facts.requestBody %}
<pre>{{ written(facts.requestBody.content["application/json"].schema) }}</pre>
{% endif %}<table>{% for status, answer in facts.responses.items() %}
<tr><td>{{ status }}</td><td>{{ answer.description }}</td></tr>
{% endfor %}</table></section>{% endfor %}{% endfor %}</body></html>
"""


def openapi_page(described: Fields) -> str:
    """Return a page of the description; it loads nothing from elsewhere."""
    from jinja2 import Environment

    written = partial(json.dumps, indent=1, ensure_ascii=False)
    page = Environment(autoescape=True).from_string(PAGE)
    return page.render(described, written=written)


# The HTTP server of a bundle: SageMaker's contract, MLflow's and KServe's protocols, health,
# metrics and a page of it all.

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Endpoint = Callable[["Request"], Awaitable["Response"]]


def create() -> Application:
    """Return the application of a worker, by the settings in its environment."""
    from hwds.serve.server.run import Connections, LimitedProtocol

    end_with_parent()
    core = Core(ServerSettings.of_environment())
    LimitedProtocol.limits = Connections(core.settings, core.metrics)
    gc.collect()
    gc.freeze()  # what is there now stays: no request waits while Python looks all of it through
    return application(core)


def end_with_parent() -> None:
    """End this worker as SIGTERM does once its parent is gone, however that was killed: it would
    keep the port.
    """
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

    handlers = Routes(core)
    invocations = Answering(core, "/invocations", handlers.ask)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        with_reload(core)
        try:
            yield
        finally:
            core.close()

    infer = Answering(core, "/v2/infer", handlers.ask_kserve)
    routes = [
        Route("/invocations", invocations, methods=["POST"]),
        Route("/v2/models/{name}/infer", infer, methods=["POST"]),
        Route("/ping", ping),
        Route("/health", ping),
        Route("/v2/health/live", health),
        Route("/v2/health/ready", health),
        *(Route(path, handlers.endpoint(*page)) for path, page in handlers.pages().items()),
    ]
    others = Starlette(routes=routes, lifespan=lifespan)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        """Hand what is asked most to where it is answered, past the search for its route."""
        straight = (
            scope["type"] == "http"
            and scope["path"] == "/invocations"
            and scope["method"] == "POST"
        )
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
    except (
        RuntimeError,
        ValueError,
        NotImplementedError,
    ):  # not the main thread, or another system
        LOG.debug("no reload by signal here")


class Routes:
    """The routes of a server.

    Args:
        core: Answers.
    """

    def __init__(self, core: Core) -> None:
        self._core, self._settings = core, core.settings
        self._described: tuple[Loaded, Json] | None = None

    def ask(self, scope: Scope, headers: Headers, body: bytes) -> Asked:
        """Return the questions of a body, and what makes a reply of their answers."""
        content_type, accept = (
            headers.get(name, b"").decode("latin-1") for name in (b"content-type", b"accept")
        )
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

    def endpoint(self, content: Callable[..., Any], form: str = JSON) -> Endpoint:
        """Return what shows plain values as JSON, or a text of another form, to whoever may ask."""
        from starlette.responses import JSONResponse, Response

        async def endpoint(request: Request) -> Response:
            try:
                refuse_stranger(request.headers.get("authorization", ""), self._settings.tokens)
                page = content(**request.path_params)
            except Refused as error:
                return refusal_response(error.status, error.reason)
            return JSONResponse(page) if form == JSON else Response(page, media_type=form)

        return endpoint

    def pages(self) -> dict[str, tuple[Any, ...]]:
        """Return by path what shows the server: a function, and the form of its text."""
        return {
            "/execution-parameters": (self._execution_parameters,),
            "/metrics": (self._metrics, "text/plain; version=0.0.4"),
            "/openapi.json": (self._description,),
            "/docs": (lambda: openapi_page(self._description()), "text/html"),
            "/version": (self._version,),
            "/v2": (lambda: {"name": "hwds", "version": "2", "extensions": []},),
            "/v2/models/{name}": (self._model,),
            "/v2/models/{name}/ready": (self._ready,),
        }

    def _execution_parameters(self) -> Json:
        """Return what a batch transform may ask at once."""
        settings, most = self._settings, self._settings.most_megabytes
        return {
            "MaxConcurrentTransforms": settings.concurrent,
            "BatchStrategy": settings.strategy,
            "MaxPayloadInMB": int(most) if most >= 1 else most,
        }

    def _metrics(self) -> str:
        """Return the counts of all workers for Prometheus."""
        arms = {MAIN: self._core.loaded, **self._core.others}
        return self._core.metrics.text(
            {arm: (each.digest, each.bundle.manifest.model) for arm, each in arms.items()}
        )

    def _description(self) -> Json:
        loaded = self._core.loaded
        if self._described is None or self._described[0] is not loaded:
            manifest = loaded.bundle.manifest
            described = openapi_description(
                loaded.schema, manifest.model, manifest.digest, self._name
            )
            self._described = loaded, described  # made once: it takes milliseconds
        return self._described[1]

    def _version(self) -> Json:
        manifest = self._core.loaded.bundle.manifest
        return {"bundle": manifest.digest, "model": manifest.model, "run": manifest.run}

    def _model(self, name: str) -> Json:
        """Return the metadata of the model (KServe)."""
        self._refuse_name(name)
        loaded = self._core.loaded
        return kserve.kserve_metadata(name, loaded.bundle.manifest.digest, loaded.schema)

    def _ready(self, name: str) -> Json:
        """Say whether the model can answer (KServe)."""
        self._refuse_name(name)
        return {"name": name, "ready": True}


async def ping(request: Request) -> Response:
    """Say that the server can answer: an empty 200, without a token, which who looks whether a
    server lives has not.
    """
    from starlette.responses import Response

    return Response(b"", 200)


async def health(request: Request) -> Response:
    """Say that the server lives, or is ready, in the words that KServe's client reads; without a
    token, as `ping`.
    """
    from starlette.responses import JSONResponse

    return JSONResponse({request.url.path.rpartition("/")[2]: True})


def refusal_response(status: int, reason: str) -> Response:
    """Return an answer that says why there is none."""
    from starlette.responses import Response

    headers = {name.decode(): value.decode() for name, value in REFUSAL_HEADERS.get(status, [])}
    return Response(refusal_body(reason), status, headers, media_type=JSON)
