"""The server of the local page: on the loopback address, for this machine's own names; what changes
needs the page's token.
"""

from __future__ import annotations

import hmac
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
from hwds.results.sweep_folder import SweepFolder

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

Query = dict[str, list[str]]
Answer = tuple[str, str | bytes]

_DRAWING = Lock()
"""Reports are drawn one after the other: matplotlib's settings are the process's."""


class RunsServer(ThreadingHTTPServer):
    """The server, with the index of runs and the token that its own page has.

    Args:
        port: The port; 0 takes a free one.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__((ADDRESS, port), Handler)
        self.watched, self.token = Watched(), token_urlsafe(32)


def runs_server(port: int) -> RunsServer:
    """Return the server, not yet running; port 0 takes a free one.

    Raises:
        HwdsError: The port is taken.
    """
    try:
        return RunsServer(port)
    except OSError as error:
        raise HwdsError(
            f"--port: {port} cannot be had: {error.strerror or error}; --port 0 takes a free one."
        ) from error


class Handler(BaseHTTPRequestHandler):
    """Answers one request; it knows the addresses of `ANSWERS` and `ACTIONS`."""

    server_version, sys_version = "hwds", ""
    server: RunsServer

    def do_GET(self) -> None:
        """Answer, or say in words why not."""
        address = urlsplit(self.path)
        answer = ANSWERS.get(address.path)
        self._answered(answer and partial(answer, self.server, parse_qs(address.query)))

    def do_POST(self) -> None:
        """Make the change that a click asks for.

        Only the page that this server has given knows the token.
        """
        action = ACTIONS.get(urlsplit(self.path).path)
        length = self.headers.get("Content-Length", "")
        if not hmac.compare_digest(
            self.headers.get("X-Token", "").encode(), self.server.token.encode()
        ):
            self._send(403, "text/plain", "Only for the page of this server.")
        elif not (length.isascii() and length.isdigit()):
            self._send(400, "text/plain", "The request must say how long it is.")
        elif int(length) > LONGEST_BODY:
            self._send(413, "text/plain", f"The request is longer than {LONGEST_BODY:,} bytes.")
        else:
            self._answered(
                action and partial(_perform, self.server, action, self.rfile.read(int(length)))
            )

    def _answered(self, answer: Callable[[], Answer] | None) -> None:
        if self.headers.get("Host", "").partition(":")[0] not in NAMES:
            self._send(403, "text/plain", "Only for this machine.")
            return
        if answer is None:
            self._send(404, "text/plain", "Not here.")
            return
        try:
            kind, content = answer()
            self._send(200, kind, content)
        except HwdsError as error:
            self._send(404, "text/plain", str(error))
        except Exception as error:  # its traceback is in the terminal
            self._send(500, "text/plain", f"hwds ui: {type(error).__name__}: {error}")
            raise

    def _send(self, status: int, kind: str, content: str | bytes) -> None:
        """Answer; a browser that is gone meanwhile is none the worse for it."""
        if isinstance(content, str):
            content = (without_secrets(content) if kind == "text/plain" else content).encode()
        with suppress(ConnectionError):
            self._write(status, kind, content)

    def _write(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        charset = "" if kind.startswith("image/") else "; charset=utf-8"
        kept = kind in KINDS.values() and "/vendor/" in self.path
        headers = {"Content-Type": f"{kind}{charset}", "Content-Length": str(len(body))}
        headers |= {
            "Cache-Control": "max-age=3600" if kept else "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        headers |= {"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header(
            "Content-Security-Policy",
            PAGE_POLICY if self.path.split("?")[0] == "/" else ALONE_POLICY,
        )
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is not flooded."""


def _perform(
    serving: RunsServer, action: Callable[[Any, Mapping[str, Any]], dict[str, Any]], body: bytes
) -> Answer:
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise HwdsError("the request is no JSON.") from error
    if not isinstance(asked, dict):
        raise HwdsError("the request is no JSON object.")
    answer = action(serving.watched.index(), asked)
    serving.watched.index(fresh=True)
    return _json(answer)


def _page(serving: RunsServer, query: Query) -> Answer:
    index = serving.watched.index(fresh=True)
    return "text/html", ui_page(kept_reports(index.root), serving.token)


def _runs(serving: RunsServer, query: Query) -> Answer:
    kind = "sweep" if query.get("kind") == ["sweep"] else "run"
    index = serving.watched.index()
    return _json(
        table_data(
            index, kind, query.get("q", [""])[0], query.get("column", []), query.get("run", [])
        )
    )


def _json(content: Mapping[str, Any]) -> Answer:
    return "application/json", json.dumps(content, default=str)


def _curves(serving: RunsServer, query: Query) -> Answer:
    return _json(curves_data(serving.watched.index(), query.get("run", [])))


def _losses(serving: RunsServer, query: Query) -> Answer:
    return _json(losses_data(serving.watched.index(), query.get("run", [])))


def _run(serving: RunsServer, query: Query) -> Answer:
    return _json(run_data(serving.watched.index(), query.get("run", [""])[0]))


def _sweep(serving: RunsServer, query: Query) -> Answer:
    return _json(sweep_data(serving.watched.index(), query.get("run", [""])[0]))


def _streams(serving: RunsServer, query: Query) -> Answer:
    return _json(streams_data(serving.watched.index().root, query.get("stream", [""])[0]))


def _picture(serving: RunsServer, query: Query) -> Answer:
    return "image/png", read_picture(
        serving.watched.index(), query.get("run", [""])[0], query.get("name", [""])[0]
    )


def _pictures(serving: RunsServer, query: Query) -> Answer:
    with _DRAWING:
        return _json(pictures_data(serving.watched.index(), query.get("run", [""])[0]))


def _report(serving: RunsServer, query: Query) -> Answer:
    path, index = query.get("run", [""])[0], serving.watched.index()
    with _DRAWING:
        if path.startswith("sweeps/"):
            return "text/html", sweep_page(
                SweepFolder(indexed_folder(index, path, "sweeps").path)
            ).html()
        folder = indexed_folder(index, path, "runs")
        if folder.undrawn and (reason := draw_pictures(folder)):
            print(reason, file=sys.stderr)
        return "text/html", run_page(folder, kept_frame(folder)).html()


def _kept_report(serving: RunsServer, query: Query) -> Answer:
    root, path = serving.watched.index().root, query.get("report", [""])[0]
    if path not in kept_reports(root):
        raise HwdsError(f"no report '{path}'.")
    return "text/html", (root / path).read_text(encoding="utf-8")


def _file(folder: str, name: str) -> Callable[[RunsServer, Query], Answer]:
    def answer(serving: RunsServer, query: Query) -> Answer:
        return KINDS[name.rpartition(".")[2]], Path(__file__).parent.joinpath(
            folder, name
        ).read_bytes()

    return answer


ANSWERS: dict[str, Callable[[RunsServer, Query], Answer]] = {
    "/": _page,
    "/runs.json": _runs,
    "/curves.json": _curves,
    "/losses.json": _losses,
    "/run.json": _run,
    "/sweep.json": _sweep,
    "/streams.json": _streams,
    "/picture": _picture,
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

ACTIONS: dict[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "/labels": set_labels,
    "/compare": compare_by_command,
}
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
