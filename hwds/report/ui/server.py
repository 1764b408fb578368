"""The server of the local page: on the loopback address alone, reading alone, for this machine's own names alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from markupsafe import Markup

from hwds.core.errors import HwdsError
from hwds.core.secrets import without_secrets
from hwds.report.pages.colours import palettes
from hwds.report.pages.rendering import render
from hwds.report.pages.run import kept_frame, run_page
from hwds.report.pages.sweep import sweep_page
from hwds.report.ui.data import curves_data, folder_of, kept_reports, runs_data
from hwds.results.runs.index import RunIndex
from hwds.results.sweep_folder import SweepFolder

ALONE = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The content security policy of every answer: a browser loads nothing, sends nothing, and shows it in no other page."""

POLICY = f"{ALONE}; connect-src 'self'"
"""That of the page of runs, which asks this server for its data."""

LIGHT = ("#1f6fb4", "#b4530a", "#23764a", "#7a3be0", "#b3263a", "#0b7480", "#7a5c00", "#444f5c")
DARK = ("#6db3ef", "#f0a35e", "#6cc796", "#c3a0ff", "#f58a94", "#5cc9d3", "#d9b84a", "#c3cad3")
"""Colours of the curves; each stands out from its ground by more than 4 to 1."""

ADDRESS = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost")
"""The host names that requests may have; a page elsewhere whose name resolves to this machine (DNS rebinding) has another."""

Query = dict[str, list[str]]

_DRAWING = Lock()
"""Reports are drawn one after the other: matplotlib's settings are the process's."""


def server(port: int) -> ThreadingHTTPServer:
    """The server, not yet running; port 0 takes a free one.

    Raises:
        HwdsError: The port is taken.
    """
    try:
        return ThreadingHTTPServer((ADDRESS, port), Handler)
    except OSError as error:
        raise HwdsError(f"--port: {port} cannot be had: {error.strerror or error}; --port 0 takes a free one.") from error


class Handler(BaseHTTPRequestHandler):
    """Answers one request; it knows the addresses of `ANSWERS`, and writes nothing but the index of runs."""

    server_version, sys_version = "hwds", ""

    def do_GET(self) -> None:
        """Answer, or say in words why not."""
        if self.headers.get("Host", "").partition(":")[0] not in NAMES:
            self._send(403, "text/plain", "Only for this machine.")
            return
        address = urlsplit(self.path)
        answer = ANSWERS.get(address.path)
        if answer is None:
            self._send(404, "text/plain", "Not here.")
            return
        try:
            kind, text = answer(parse_qs(address.query))
            self._send(200, kind, text)
        except HwdsError as error:
            self._send(404, "text/plain", str(error))
        except Exception as error:  # told in the terminal, too
            self._send(500, "text/plain", f"hwds ui: {type(error).__name__}: {error}")
            raise

    def _send(self, status: int, kind: str, text: str) -> None:
        """Answer; a browser that is gone meanwhile is none the worse for it."""
        with suppress(ConnectionError):
            self._answer(status, kind, (without_secrets(text) if kind == "text/plain" else text).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        headers |= {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", POLICY if self.path.split("?")[0] == "/" else ALONE)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is not flooded."""


def _page(query: Query) -> tuple[str, str]:
    return "text/html", ui_page(kept_reports(RunIndex.of().root))


def _runs(query: Query) -> tuple[str, str]:
    return "application/json", json.dumps(runs_data(query.get("q", [""])[0], query.get("sort", [""])[0]))


def _curves(query: Query) -> tuple[str, str]:
    return "application/json", json.dumps(curves_data(query.get("run", [])))


def _report(query: Query) -> tuple[str, str]:
    path, index = query.get("run", [""])[0], RunIndex.of()
    with _DRAWING:
        if path.startswith("sweeps/"):
            return "text/html", sweep_page(SweepFolder(folder_of(index, path, "sweeps").path)).html()
        folder = folder_of(index, path)
        return "text/html", run_page(folder, kept_frame(folder)).html()


def _kept(query: Query) -> tuple[str, str]:
    root, path = RunIndex.of().root, query.get("report", [""])[0]
    if path not in kept_reports(root):
        raise HwdsError(f"no report '{path}'.")
    return "text/html", (root / path).read_text(encoding="utf-8")


ANSWERS: dict[str, Callable[[Query], tuple[str, str]]] = {
    "/": _page,
    "/runs.json": _runs,
    "/curves.json": _curves,
    "/report": _report,
    "/kept": _kept,
}
"""The kind and the text of each address."""


def ui_page(reports: Mapping[str, str]) -> Markup:
    """Return the page.

    Args:
        reports: Titles of the reports of comparisons and studies, by their paths below the outputs folder.
    """
    light, dark = (
        page | {f"s{place}": colour for place, colour in enumerate(curves)}
        for page, curves in zip(palettes(""), (LIGHT, DARK), strict=True)
    )
    return render("ui.html.j2", title="hwds runs", reports=reports, light=light, dark=dark)
