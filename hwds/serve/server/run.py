"""Running the server: workers on one socket, watched by a parent that restarts the dead and hands
on signals.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import ssl
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError
from hwds.serve.server.arms import CANARY, SHADOW, check_arm
from hwds.serve.server.connections import LOOP, HeldConnection, Parent, can_hold
from hwds.serve.server.records import Traces
from hwds.serve.server.settings import TOKENS, VARIABLE, ServerSettings, tokens_of
from hwds.serve.services.base import STATEFUL
from hwds.serve.services.opening import Bundle

APPLICATION = "hwds.serve.server.app:create"

GRACE = 25
"""Seconds that requests have to end after SIGTERM; SageMaker kills after 30."""

BACKLOG = 2048
"""Connections that wait for a worker, also while one is restarted."""

CONNECTIONS = 512
"""Connections of a worker at most; more get 503."""


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
    ).written()
    held = address.certificate is None and can_hold(Path(scrape))
    if not held and address.certificate is None:
        logging.getLogger("hwds.server").warning(
            "a worker that is killed closes its connections: no socket for them fits here."
        )
    config = uvicorn.Config(
        APPLICATION,
        http=HeldConnection if held else "auto",
        loop=LOOP if held else "auto",
        factory=True,
        host=address.host,
        port=address.port,
        workers=workers,
        backlog=BACKLOG,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=30,
        access_log=False,
        server_header=False,
        log_config=_logging(),
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )

    if held:
        Parent(Path(scrape), workers * CONNECTIONS)
    try:
        _supervisor(config).run()
    finally:
        shutil.rmtree(scrape, ignore_errors=True)
    return 0


def _supervisor(config: Any) -> Any:
    """Return the parent of workers that listen where a config says; see `_socket`."""
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

    return Supervisor(config, sockets=[_socket(config)])


def _check_bundle(settings: ServerSettings, address: ServerAddress) -> Bundle:
    """Return the bundle, after all that a worker would fail by; see `serve`."""
    _check_certificate(address)
    bundle = Bundle.open(settings.folder, settings.trust)
    bundle.refuse_store(settings.store)
    if bundle.manifest.kind in STATEFUL:
        bundle.service(Path(settings.store) if settings.store else None).close()
    _check_capture(settings.capture)
    for arm, folder in ((CANARY, settings.canary), (SHADOW, settings.shadow)):
        if folder is not None:
            check_arm(bundle, Bundle.open(folder, settings.trust), arm)
    if traces := Traces.of_environment(os.environ):
        traces.close()
    return bundle


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


def _socket(config: Any) -> Any:
    """Return the listening socket.

    Raises:
        ConfigError: The address is taken, or is none.
    """
    try:
        return config.bind_socket()
    except (SystemExit, OSError) as error:
        raise ConfigError(f"--port: {config.host}:{config.port} cannot be listened on.") from error


def _require_server() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn", "cryptography") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"serve: --http needs {', '.join(missing)}: pip install 'hwds[serve]'.")


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
        said = message if message.startswith("{") else json.dumps(message, ensure_ascii=False)
        trace = (
            f',"trace":{json.dumps(self.formatException(record.exc_info))}'
            if record.exc_info
            else ""
        )
        at = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        head = f'"at":"{at}","level":"{record.levelname}","logger":"{record.name}","pid":{record.process}'
        return f'{{{head},"said":{said}{trace}}}'
