"""The server of the local page: on the loopback address, for this machine's own names; what changes
needs the page's token.
"""

from __future__ import annotations

import hmac
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from socket import create_server, socket
from threading import Lock
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from hwds.core.errors import HwdsError
from hwds.core.secrets import without_secrets
from hwds.report.page_parts import palettes, render
from hwds.report.pages import kept_frame, run_page, sweep_page
from hwds.report.ui.data import (
    Watched,
    compare_by_command,
    curves_data,
    draw_pictures,
    indexed_folder,
    kept_reports,
    losses_data,
    pictures_data,
    read_picture,
    run_data,
    set_labels,
    streams_data,
    sweep_data,
    table_data,
)
from hwds.results.index import RunIndex
from hwds.results.sweep_folder import SweepFolder

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.datastructures import Headers, QueryParams
    from starlette.middleware.base import RequestResponseEndpoint
    from starlette.requests import Request
    from starlette.responses import Response

ALONE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy of every answer: a browser loads nothing, sends nothing, and shows it
in no other page.
"""

PAGE_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' "
    "data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The policy of the page of runs, whose scripts, pictures and data are of this server."""

LIGHT = ("#1f6fb4", "#b4530a", "#23764a", "#7a3be0", "#b3263a", "#0b7480", "#7a5c00", "#444f5c")
DARK = ("#6db3ef", "#f0a35e", "#6cc796", "#c3a0ff", "#f58a94", "#5cc9d3", "#d9b84a", "#c3cad3")
"""Colours of the curves; each stands out from its ground by more than 4 to 1."""

ADDRESS = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost")
"""The host names that requests may have; a page elsewhere whose name resolves to this machine (DNS
rebinding) has another.
"""

FILES = {
    "vendor": ("tabulator.js", "tabulator.css", "vega.js", "vega-lite.js", "vega-interpreter.js"),
    "static": ("ui.js", "state.js", "grid.js", "charts.js", "panels.js", "sweeps.js", "streams.js"),
}
"""The files of the page by folder."""

KINDS = {"js": "text/javascript", "css": "text/css"}

LONGEST_BODY = 100_000
"""Bytes of a request's body."""

Answer = tuple[str, str | bytes]
Answering = Callable[[RunIndex, "QueryParams"], Answer]
Action = Callable[[Any, Mapping[str, Any]], dict[str, Any]]

_DRAWING = Lock()
"""Reports are drawn one after the other: matplotlib's settings are the process's."""


class RunsServer:
    """The server, with the index of runs and the token that its own page has.

    Args:
        listening: Its socket.
    """

    def __init__(self, listening: socket) -> None:
        from uvicorn import Config, Server

        self.listening, self.server_port = listening, listening.getsockname()[1]
        self.watched, self.token = Watched(), token_urlsafe(32)
        config = Config(
            application(self),
            log_config=None,  # a notebook that shows the page keeps its own logging
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self.server = Server(config)

    def serve_forever(self) -> None:
        """Answer until `shutdown` or Ctrl-C."""
        self.server.run(sockets=[self.listening])

    def shutdown(self) -> None:
        """End `serve_forever`."""
        self.server.should_exit = True


@contextmanager
def runs_server(port: int) -> Iterator[RunsServer]:
    """Yield the server, not yet running; port 0 takes a free one.

    Raises:
        HwdsError: The port is taken.
    """
    try:
        listening = create_server((ADDRESS, port))
    except OSError as error:
        raise HwdsError(
            f"--port: {port} cannot be had: {error.strerror or error}; --port 0 takes a free one."
        ) from error
    with listening:
        yield RunsServer(listening)


def application(serving: RunsServer) -> Starlette:
    """Return the application; it knows the addresses of `ANSWERS` and `ACTIONS`."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Route

    def page(request: Request) -> Response:
        return _respond(lambda: _page(serving))

    def fetch(answer: Answering, request: Request) -> Response:
        return _respond(lambda: answer(serving.watched.index(), request.query_params))

    async def change(action: Action, request: Request) -> Response:
        refusal = _refusal_of_change(request.headers, serving.token)
        if refusal is not None:
            return refusal
        perform = partial(_perform, serving, action, await request.body())
        return await run_in_threadpool(_respond, perform)

    return Starlette(
        routes=[
            Route("/", page),
            *(Route(path, partial(fetch, answer)) for path, answer in ANSWERS.items()),
            *(Route(path, partial(change, do), methods=["POST"]) for path, do in ACTIONS.items()),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_guard)],
        exception_handlers={404: lambda request, error: _text(404, "Not here.")},
    )


async def _guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Answer requests for this machine's names alone, and say what a browser may do with it."""
    named = request.headers.get("Host", "").partition(":")[0] in NAMES
    response = await call_next(request) if named else _text(403, "Only for this machine.")
    path = request.url.path
    kept = response.status_code == 200 and path.startswith("/vendor/")
    response.headers.update(
        {
            "Cache-Control": "max-age=3600" if kept else "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Content-Security-Policy": PAGE_POLICY if path == "/" else ALONE_POLICY,
        }
    )
    return response


def _refusal_of_change(headers: Headers, token: str) -> Response | None:
    """Refuse a change that the page of this server has not asked for: it alone knows the token."""
    length = headers.get("Content-Length", "")
    if not hmac.compare_digest(headers.get("X-Token", "").encode(), token.encode()):
        return _text(403, "Only for the page of this server.")
    if not (length.isascii() and length.isdigit()):
        return _text(400, "The request must say how long it is.")
    if int(length) > LONGEST_BODY:
        return _text(413, f"The request is longer than {LONGEST_BODY:,} bytes.")
    return None


def _respond(answer: Callable[[], Answer]) -> Response:
    """Answer, or say in words why not."""
    from starlette.responses import Response

    try:
        kind, content = answer()
        return Response(content, media_type=kind)
    except HwdsError as error:
        return _text(404, str(error))
    except Exception as error:
        traceback.print_exc()
        return _text(500, f"hwds ui: {type(error).__name__}: {error}")


def _text(status: int, text: str) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(without_secrets(text), status)


def _perform(serving: RunsServer, action: Action, body: bytes) -> Answer:
    try:
        request = json.loads(body)
    except ValueError as error:
        raise HwdsError("the request is no JSON.") from error
    if not isinstance(request, dict):
        raise HwdsError("the request is no JSON object.")
    answer = action(serving.watched.index(), request)
    serving.watched.index(fresh=True)
    return _json(answer)


def _page(serving: RunsServer) -> Answer:
    index = serving.watched.index(fresh=True)
    return "text/html", ui_page(kept_reports(index.root), serving.token)


def _runs(index: RunIndex, query: QueryParams) -> Answer:
    kind = "sweep" if query.get("kind") == "sweep" else "run"
    return _json(
        table_data(index, kind, query.get("q", ""), query.getlist("column"), query.getlist("run"))
    )


def _json(content: Mapping[str, Any]) -> Answer:
    return "application/json", json.dumps(content, default=str)


def _pictures(index: RunIndex, query: QueryParams) -> Answer:
    with _DRAWING:
        return _json(pictures_data(index, query.get("run", "")))


def _report(index: RunIndex, query: QueryParams) -> Answer:
    path = query.get("run", "")
    with _DRAWING:
        if path.startswith("sweeps/"):
            return "text/html", sweep_page(
                SweepFolder(indexed_folder(index, path, "sweeps").path)
            ).html()
        folder = indexed_folder(index, path, "runs")
        if folder.undrawn and (reason := draw_pictures(folder)):
            print(reason, file=sys.stderr)
        return "text/html", run_page(folder, kept_frame(folder)).html()


def _kept_report(index: RunIndex, query: QueryParams) -> Answer:
    root, path = index.root, query.get("report", "")
    if path not in kept_reports(root):
        raise HwdsError(f"no report '{path}'.")
    return "text/html", (root / path).read_text(encoding="utf-8")


def _file(folder: str, name: str) -> Answering:
    def answer(index: RunIndex, query: QueryParams) -> Answer:
        return KINDS[name.rpartition(".")[2]], Path(__file__).parent.joinpath(
            folder, name
        ).read_bytes()

    return answer


ANSWERS: dict[str, Answering] = {
    "/runs.json": _runs,
    "/curves.json": lambda index, query: _json(curves_data(index, query.getlist("run"))),
    "/losses.json": lambda index, query: _json(losses_data(index, query.getlist("run"))),
    "/run.json": lambda index, query: _json(run_data(index, query.get("run", ""))),
    "/sweep.json": lambda index, query: _json(sweep_data(index, query.get("run", ""))),
    "/streams.json": lambda index, query: _json(streams_data(index.root, query.get("stream", ""))),
    "/picture": lambda index, query: (
        "image/png",
        read_picture(index, query.get("run", ""), query.get("name", "")),
    ),
    "/pictures.json": _pictures,
    "/report": _report,
    "/kept": _kept_report,
    **{
        f"/{folder}/{name}": _file(folder, name)
        for folder, names in FILES.items()
        for name in names
    },
}
"""The answer of each address: its kind and its content."""

ACTIONS: dict[str, Action] = {"/labels": set_labels, "/compare": compare_by_command}
"""The changes that a click may make."""


def ui_page(reports: Mapping[str, str], token: str) -> Markup:
    """Return the page.

    Args:
        reports: Titles of the reports of comparisons and studies, by their paths below the outputs
            folder.
        token: The secret that the page sends with each change.
    """
    light, dark = (
        page | {f"s{place}": colour for place, colour in enumerate(curves)}
        for page, curves in zip(palettes(""), (LIGHT, DARK), strict=True)
    )
    return render(
        "ui.html.j2", title="hwds runs", reports=reports, light=light, dark=dark, token=token
    )
