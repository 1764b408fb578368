"""Running the server: workers, watched by a parent that restarts the dead and hands on signals."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import ssl
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError
from hwds.core.extras import require_installed
from hwds.core.secrets import visible
from hwds.evaluation.serving import STATEFUL
from hwds.serve.server.arms import CANARY, SHADOW, check_arm
from hwds.serve.server.records import Traces
from hwds.serve.server.settings import TOKENS, VARIABLE, ServerSettings, tokens_of
from hwds.serve.services.opening import Bundle

APPLICATION, LOOP = "hwds.serve.server.app:create", "hwds.serve.server.limits:event_loop"

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

    from hwds.serve.server.limits import GRACE, LimitedProtocol

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
        http=LimitedProtocol,
        loop=LOOP,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=30,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        ws="none",
        log_config=_logging(),
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
            until = time.monotonic() + KILL_SECONDS
            for process in self.processes:
                process.process.join(max(until - time.monotonic(), 0))
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


def _logging() -> dict[str, Any]:
    """Return the logging of parent and workers: a line of JSON each, on the standard error."""
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "lines"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "hwds.serve.server.run.JsonLogFormatter"}},
        "handlers": {"lines": handler},
        "loggers": {
            "uvicorn": {"handlers": ["lines"], "level": "WARNING", "propagate": False},
            "uvicorn.error": {"level": "WARNING"},
            "hwds.server": {"handlers": ["lines"], "level": "INFO", "propagate": False},
        },
    }


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
