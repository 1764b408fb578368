"""Running the server: a parent that watches its workers, and the limits of their connections."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import shutil
import signal
import socket
import ssl
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Sized
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from hwds.core.errors import ConfigError
from hwds.core.extras import require_installed
from hwds.core.secrets import visible
from hwds.core.settings import read_beside
from hwds.evaluation.serving import STATEFUL
from hwds.serve.server.core import check_arm
from hwds.serve.server.formats import REFUSAL_HEADERS, TIMED_BODY, refusal_body
from hwds.serve.server.records import CANARY, SHADOW, Metrics, Traces
from hwds.serve.server.settings import TOKENS, VARIABLE, ServerSettings, tokens_of
from hwds.serve.services.opening import Bundle

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
else:
    HttpToolsProtocol = object  # uvicorn is imported where a server runs

APPLICATION = "hwds.serve.server.app:create"
PROTOCOL, LOOP = "hwds.serve.server.run:protocol", "hwds.serve.server.run:event_loop"

BACKLOG = 2048
"""Connections that wait for a worker, also while one is restarted."""

KILL_SECONDS = 28
"""Seconds after SIGTERM from which the parent kills a worker that computes still."""


@dataclass(frozen=True)
class ServerAddress:
    """The address on which a server listens, and its certificate and key, where it speaks TLS."""

    host: str
    port: int
    certificate: str | None = None
    key: str | None = None


def serve(settings: ServerSettings, address: ServerAddress) -> int:
    """Serve until a signal ends it: SIGTERM lets requests end, SIGHUP takes up the bundle that lies
    in the folder then.

    Raises:
        ConfigError: The address cannot be taken, certificate, key or the folder of captured
            requests cannot be used, a store is named for a bundle that remembers nothing, or
            another bundle cannot stand beside this one.
        DataError: The bundle is refused.
        ResumeError: Its store is in use, damaged, or of another bundle.
    """
    _require_server()
    import uvicorn

    bundle, workers = _check_bundle(settings, address), settings.workers
    if bundle.manifest.kind in STATEFUL and workers > 1:
        workers = 1
        logging.getLogger("hwds.server").warning(
            "answers remember earlier ones, in a store that one process owns: 1 worker."
        )
    scrape = tempfile.mkdtemp(prefix="hwds-server-")
    tokens = tokens_of(os.environ.pop(TOKENS, ""))
    platform = settings.with_platform(os.environ)
    os.environ[VARIABLE] = replace(
        platform, workers=workers, scrape=scrape, tokens=tokens
    ).to_text()
    config = uvicorn.Config(
        APPLICATION,
        factory=True,
        host=address.host,
        port=address.port,
        workers=workers,
        backlog=BACKLOG,
        http=PROTOCOL,
        loop=LOOP,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=30,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        ws="none",
        log_config=read_beside(__file__, "logging.yaml"),
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )
    try:
        _supervisor(config).run()
    finally:
        shutil.rmtree(scrape, ignore_errors=True)
    return 0


def _supervisor(config: Any) -> Any:
    """Return the parent of workers that listen where a config says.

    Raises:
        ConfigError: The address is taken, or is none.
    """
    from uvicorn.supervisors.multiprocess import Multiprocess

    class Supervisor(Multiprocess):
        """The parent: a hang-up goes to the workers, who replace the bundle without closing a
        connection.
        """

        def handle_hup(self) -> None:
            for process in self.processes:
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGHUP)

        def keep_subprocess_alive(self) -> None:
            for process in (
                self.processes
            ):  # with a second owner of its end, who is killed while it is asked is waited for
                process.child_conn.close()
            super().keep_subprocess_alive()

        def join_all(self) -> None:
            until = monotonic() + KILL_SECONDS
            for process in self.processes:
                process.process.join(max(until - monotonic(), 0))
                if process.process.is_alive():
                    process.process.kill()
            super().join_all()

    return Supervisor(config, sockets=[_listening(config)])


@dataclass(frozen=True)
class WorkerSocket:
    """Stands for a socket: unpickled in a worker it is one of the worker's own, so that the kernel
    spreads connections evenly. Workers of one socket take as many as they are quick.
    """

    family: int
    address: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the function that binds the socket, and its arguments."""
        return _bind, (self.family, self.address)


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(address)
    return bound


def _listening(config: Any) -> Any:
    """Return the socket of all workers, or what each makes its own of; of one worker the first,
    where connections wait while the worker is restarted.

    Raises:
        ConfigError: The address is taken, or is none.
    """
    try:
        bound = config.bind_socket()
    except (SystemExit, OSError) as error:
        raise ConfigError(f"--port: {config.host}:{config.port} cannot be listened on.") from error
    if config.workers == 1 or not hasattr(socket, "SO_REUSEPORT"):
        return bound
    with bound:
        return WorkerSocket(bound.family, bound.getsockname())


def _check_bundle(settings: ServerSettings, address: ServerAddress) -> Bundle:
    """Return the bundle, after all that a worker would fail by; see `serve`."""
    _check_certificate(address)
    bundle = Bundle.open(settings.folder, settings.trust)
    bundle.refuse_store(settings.store)
    if settings.power and bundle.manifest.kind != "events":
        raise ConfigError("--power: needs a bundle that answers events.")
    if bundle.manifest.kind in STATEFUL:
        bundle.service(Path(settings.store) if settings.store else None).close()
    _check_capture(settings.capture)
    for arm, folder in ((CANARY, settings.canary), (SHADOW, settings.shadow)):
        if folder is not None:
            check_arm(bundle, Bundle.open(folder, settings.trust), arm)
    if traces := Traces.of_environment(os.environ):
        traces.close()
    return bundle.lighter()


def _check_certificate(address: ServerAddress) -> None:
    """Refuse a certificate or a key that cannot be used, before a worker fails by it.

    Raises:
        ConfigError: One is missing, no file, or they do not belong together.
    """
    if address.certificate is None:
        if address.key is not None:
            raise ConfigError("--tls-key: needs --tls-cert.")
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            address.certificate, address.key
        )
    except OSError as error:
        raise ConfigError(
            f"--tls-cert: {address.certificate} and its key cannot be used: "
            f"{error.strerror or error}."
        ) from error


def _check_capture(folder: str | None) -> None:
    """Make the folder of captured requests, before a worker fails by it.

    Raises:
        ConfigError: It cannot be made or written.
    """
    if folder is None:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"--capture: {folder} cannot be written: {error.strerror or error}."
        ) from error


def _require_server() -> None:
    require_installed({"serve: --http": ("starlette", "uvicorn", "httptools", "prometheus_client")})


class JsonLogFormatter(logging.Formatter):
    """Formats a record as one line of JSON; a message that is JSON already stands as it is."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        facts = {"at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname}
        head = json.dumps(facts | {"logger": record.name, "pid": record.process})
        text = message if message.startswith("{") else json.dumps(message, ensure_ascii=False)
        where = record.exc_info and json.dumps(self.formatException(record.exc_info))
        trace = f', "trace": {where}' if where else ""
        return visible(f'{head[:-1]}, "said": {text}{trace}}}')


# Limits of connections: how many there may be, how large a head, and how long each step takes.
# The HTTP itself is uvicorn's. What is added: a connection is always in one step (its request
# arrives, is answered, ...), each step has its time, and where there are too many connections the
# one that is waited for longest makes room. So nobody who holds connections keeps others out.

HEAD_BYTES = 32 << 10
"""Bytes of a request's head at most, and of what is no body after it: then 431."""

HEAD_FIELDS = 100
"""Fields of a head at most; then 431."""

REQUESTS = 512
"""Requests that a worker answers at once; more get 503. Those whose body arrives still do not
count.
"""

BODIES = 64
"""Bodies of the largest size that a worker holds while they arrive; beyond, the one that is waited
for longest makes room.
"""

RESERVE = 64
"""Requests that are no POST (`/ping`, `/metrics`) and connections beyond the limits: health is told
when the server is full.
"""

WRITE_SECONDS = 30.0
"""Seconds that a client may leave an answer unread."""

LEAVE_SECONDS = 1.0
"""Seconds that a client has to read why it is refused, before its connection is cut."""

HANDSHAKE_SECONDS = 10.0
"""Seconds that a TLS handshake may take."""

OWN_FILES = 256
"""File descriptors of a worker beside those of its connections."""

GRACE = 25
"""Seconds that requests have to end after SIGTERM; SageMaker kills after 30."""

LAST_SECONDS = 3.0
"""Seconds that a body has to arrive, and an answer to be read, after SIGTERM."""

SWEEP_SECONDS, AT_ONCE = 0.05, 8
"""Seconds between two looks at the clock, and connections that one look closes at most: nobody
waits while thousands are closed, and opened again. Their number is limited by who makes room.
"""

UNEVEN = 1.1
"""Clients of a worker over the mean of all workers, from which some are asked to connect anew."""


class Step(NamedTuple):
    """A step of connections, the longest in it first.

    Attributes:
        since: The connections in it, and when each began it.
        seconds: The seconds that it may take.
        last: The seconds that it may take after SIGTERM.
    """

    since: dict[LimitedProtocol, float]
    seconds: float
    last: float

    @property
    def oldest(self) -> LimitedProtocol | None:
        """The connection that is in it longest."""
        return next(iter(self.since), None)


class Connections:
    """The connections of a worker, by step.

    Args:
        settings: The times, and the number of connections.
        metrics: Counts those that are closed.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self.most = min(settings.connections, max(allowed_files() - OWN_FILES - RESERVE, RESERVE))
        self.heads = Step({}, settings.head_seconds, 0.0)
        self.idle = Step({}, settings.idle_seconds, 0.0)
        self.bodies = Step({}, settings.read_seconds, LAST_SECONDS)
        self.asked = Step({}, settings.seconds + WRITE_SECONDS, GRACE - LAST_SECONDS)
        self.unread = Step({}, WRITE_SECONDS, LAST_SECONDS)
        self.leaving = Step({}, LEAVE_SECONDS, LEAVE_SECONDS)
        self.count, self.body_bytes, self.to_move = 0, 0, 0
        self.metrics = metrics
        self._most_body_bytes = BODIES * settings.most_bytes
        self._workers = settings.workers
        self._steps = (
            self.heads, self.idle, self.bodies, self.asked, self.unread, self.leaving,
        )  # fmt: skip
        self._sweep: asyncio.TimerHandle | None = None
        self._looks, self._ends = 0, math.inf

    def enter(self, connection: LimitedProtocol) -> None:
        """Count a new connection; where there are too many the oldest that waits makes room."""
        self.count += 1
        if self._sweep is None:
            self._sweep = connection.loop.call_later(SWEEP_SECONDS, self.sweep)
        if self.count <= self.most:
            return
        waiting = (self.heads.oldest, self.idle.oldest, self.bodies.oldest)
        oldest = next((each for each in waiting if each not in (None, connection)), None)
        if oldest is None and self.count > self.most + RESERVE:
            oldest = connection
        if oldest is not None:
            self.metrics.add("made_room")
            oldest.cut()

    def is_full(self, requests: Sized, method: bytes) -> bool:
        """Return whether there are too many requests for one more.

        Args:
            requests: Those that have begun.
            method: The method of the next one.
        """
        more = 0 if method == b"POST" else RESERVE
        return len(requests) - len(self.bodies.since) >= REQUESTS + more

    def hold(self, size: int) -> None:
        """Count bytes of bodies that arrive; of too many the oldest body makes room."""
        self.body_bytes += size
        oldest = self.bodies.oldest
        if self.body_bytes > self._most_body_bytes and oldest is not None:
            self.metrics.add("made_room")
            oldest.cut()

    def sweep(self) -> None:
        """Close connections whose step has taken too long."""
        now, ends = monotonic(), self._ends < math.inf
        for step in self._steps:
            left = self.count if ends else AT_ONCE
            while left and (oldest := step.oldest) is not None:
                begun = step.since[oldest]
                if now < min(begun + step.seconds, max(begun, self._ends) + step.last):
                    break
                self.metrics.add("timed_out")
                oldest.expire()
                left -= 1
        self._looks += 1
        if self._workers > 1 and self._looks % round(1 / SWEEP_SECONDS) == 0:
            self._even_out()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self.sweep)

    def end(self) -> None:
        """Shorten the time of each step: the server ends."""
        self._ends = min(self._ends, monotonic())

    def _even_out(self) -> None:
        """Let some clients connect anew, where this worker has more than its share of those that
        stay: a kernel draws the worker of a connection, and one that begins has none.
        """
        mine = len(self.idle.since) + len(self.asked.since)
        self.metrics.set("clients", mine)
        all_workers = self.metrics.of_living("clients")
        share = math.ceil(UNEVEN * sum(all_workers) / max(len(all_workers), 1))
        self.to_move = max(mine - share, 0)


def allowed_files() -> int:
    """Return the number of files that this process may have open, after it was raised as far as it
    may be.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 1 << 20
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class LimitedProtocol(HttpToolsProtocol):
    """A connection within limits: uvicorn's, which is told when its step is over (`protocol`)."""

    limits: ClassVar[Connections]
    """The connections of this process."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._of = self.limits
        self._step: Step | None = None
        self._application = self.app
        self._unread = 0  # bytes since the last head or piece of a body
        self._arrived = True  # whether all is there of the request whose head was last
        self._held = 0  # bytes of a body that arrives
        self._asked: deque[RequestResponseCycle] = deque()  # requests without an answer yet
        self._last = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin: the first head has its time from here on."""
        super().connection_made(transport)
        self._begin(self._of.heads)
        self._of.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, never more than one head may have in a row."""
        while data and not (self.transport.is_closing() or self._step is self._of.leaving):
            piece, data = data[: HEAD_BYTES - self._unread], data[HEAD_BYTES - self._unread :]
            self._unread += len(piece)
            super().data_received(piece)
            if self._unread >= HEAD_BYTES:
                self._refuse(431, f"a head has {HEAD_BYTES:,} bytes at most.")
            self._move()

    def on_headers_complete(self) -> None:
        """Begin to answer, or to refuse."""
        self._unread, self._arrived = 0, False
        self.app = self._application
        if len(self.headers) > HEAD_FIELDS:
            self.app = refusing(431, f"a head has {HEAD_FIELDS} fields at most.", self._of.metrics)
        elif len(self.tasks) >= REQUESTS and self._of.is_full(self.tasks, self.parser.get_method()):
            self.app = refusing(503, "too many requests at once; ask again.", self._of.metrics)
        self.scope["extensions"] = TIMED_BODY
        super().on_headers_complete()
        self.headers = []  # fields after the body are none of the head
        self._asked.append(self.cycle)
        if self._of.to_move:
            self._of.to_move -= 1
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._unread = 0
        if self._step is self._of.bodies:  # what comes in one piece with its head is not held
            self._held += len(body)
            self._of.hold(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._arrived, self._unread = True, 0
        if self._held:
            self._release()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer; the connection waits for the next request in its own step."""
        self._asked.popleft()
        if self._last:
            self.transport.close()
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            self._unset_keepalive_if_required()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        self._move()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        self._of.unread.since.setdefault(self, monotonic())
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on, for the client has read."""
        self._of.unread.since.pop(self, None)
        super().resume_writing()

    def shutdown(self) -> None:
        """Let the request that is answered end, in less time, and close what has none."""
        self._of.end()
        if self._step in (self._of.heads, self._of.idle):
            self.cut()
            return
        self._last = True
        self.pipeline.clear()
        if self._asked:
            self._asked[0].keep_alive = False
        else:
            self.transport.close()

    def expire(self) -> None:
        """Close the connection because its step has taken too long."""
        if self in self._of.unread.since:
            self.cut()
        elif self._step is self._of.heads and self._unread:
            self._refuse(408, f"the head did not arrive within {self._step.seconds:g} s.")
        elif self._step is self._of.bodies:
            self._refuse(408, f"the body did not arrive within {self._step.seconds:g} s.")
        else:
            self.cut()

    def cut(self) -> None:
        """Close the connection at once."""
        self._leave()
        self.transport.abort()

    def _refuse(self, status: int, reason: str) -> None:
        """Say why in the place of the answer that is due, read nothing more, and close."""
        due = self._asked[0] if self._asked else None
        if self.transport.is_closing() or (due and (due.response_started or not due.more_body)):
            self.cut()
            return
        if due:  # it waits for its body, and hears that there is none
            due.disconnected = True
            due.message_event.set()
        else:
            self._of.metrics.add(f"status_{status}")
        self.flow.pause_reading()
        self.transport.write(refusal(status, reason))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._begin(self._of.leaving)

    def _move(self) -> None:
        """Note the step, where it is another one now."""
        if self._step is None or self._step is self._of.leaving:
            return
        step = self._current()
        if step is not self._step:
            self._begin(step)

    def _current(self) -> Step:
        if self._asked and (self._arrived or len(self._asked) > 1):
            return self._of.asked
        if not self._arrived:
            return self._of.bodies
        return self._of.heads if self._unread or self.cycle is None else self._of.idle

    def _begin(self, step: Step) -> None:
        if self._step is not None:
            del self._step.since[self]
        step.since[self] = monotonic()
        self._step = step

    def _release(self) -> None:
        self._of.body_bytes -= self._held
        self._held = 0

    def _leave(self) -> None:
        for each in self._asked:  # uvicorn tells the last one alone, and the others would write
            each.disconnected = True
        if self._step is not None:
            self._release()
            del self._step.since[self]
            self._of.unread.since.pop(self, None)
            self._of.count -= 1
            self._step = None


def protocol(**settings: Any) -> asyncio.Protocol:
    """Return the protocol of a new connection, as uvicorn asks for it."""
    made: asyncio.Protocol = _protocol_class()(**settings)
    return made


@cache
def _protocol_class() -> Any:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    return type("Protocol", (LimitedProtocol, HttpToolsProtocol), {})


Application = Callable[[Any, Any, Any], Awaitable[None]]


def refusing(status: int, reason: str, metrics: Metrics) -> Application:
    """Return an application that refuses a request, whose body it does not read."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        metrics.add(f"status_{status}")
        body = refusal_body(reason)
        headers = [*_headers(status, body), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse


def refusal(status: int, reason: str) -> bytes:
    """Return the bytes of an answer that refuses and ends its connection."""
    body = refusal_body(reason)
    lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%s: %s" % field for field in _headers(status, body)]
    return b"\r\n".join([*lines, b"connection: close", b"", body])


def _headers(status: int, body: bytes) -> list[tuple[bytes, bytes]]:
    more = REFUSAL_HEADERS.get(status, [])
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *more,
    ]


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of a worker, uvicorn's choice, in which a TLS handshake has its time."""
    from uvicorn.loops.auto import auto_loop_factory

    loop = auto_loop_factory()()
    listen: Any = loop.create_server

    def create_server(*args: Any, ssl: Any = None, **settings: Any) -> Any:
        limit = {"ssl_handshake_timeout": HANDSHAKE_SECONDS} if ssl else {}
        return listen(*args, ssl=ssl, **limit, **settings)

    loop.create_server = create_server  # type: ignore[method-assign]
    return loop
