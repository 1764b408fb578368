"""Containers of SageMaker without their image: a model's archive is unpacked, and a real `hwds
serve` answers by it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import NamedTuple

from hwds.core.errors import DataError, HwdsError
from hwds.serve.deploy import ARCHIVE, Clients, s3_place, unpack_archive

Regions = Callable[[str], Clients]
"""Returns what makes the clients of a region."""

PORT = "SAGEMAKER_BIND_TO_PORT"
"""The variable with the port that a container listens on."""

Headers = Iterable[tuple[str, str]]

START, STOP = 240.0, 30.0
"""Seconds that a container may take until it answers `/ping`, and to end after SIGTERM; see
SageMaker's developer guide.
"""

SHOWN = 500
"""Characters of the log of a server that has ended which are shown."""

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "server", "date"}
"""Headers of one connection, which nobody hands on."""


class Exchange(NamedTuple):
    """An answer by HTTP."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def ask(
    port: int,
    method: str,
    path: str,
    headers: Headers = (),
    body: bytes = b"",
    seconds: float = 60.0,
) -> Exchange:
    """Return the answer of a server on this machine.

    Raises:
        OSError: Nobody answers there, or not in so many seconds.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        given = {
            name: text for name, text in headers if name.lower() not in HOP | {"content-length"}
        }
        connection.request(method, path, body or None, given)
        answer = connection.getresponse()
        handed = [(name, text) for name, text in answer.getheaders() if name.lower() not in HOP]
        return Exchange(answer.status, handed, answer.read())
    except HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


class Server:
    """A `hwds serve` on a free port, with the variables that its container would have.

    Args:
        folder: Where its archive is unpacked and its log is written.
        variables: Beside those of this process.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.port, self._log = free_port(), folder / "server.log"
        given = os.environ | dict(variables) | {PORT: str(self.port)}
        workers = given.get("HWDS_WORKERS", "2")  # as deploy/entrypoint.py has it
        command = [
            sys.executable,
            "-m",
            "hwds",
            "serve",
            str(folder / "model"),
            "--http",
            "--workers",
            workers,
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=given, cwd=folder, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait until it answers.

        Raises:
            HwdsError: It has ended, or takes too long.
        """
        end = time.monotonic() + START
        while time.monotonic() < end:
            if (code := self._process.poll()) is not None:
                said = self._log.read_text(errors="replace").strip()[-SHOWN:]
                raise HwdsError(f"the server ended with {code}: {said}")
            with suppress(OSError):
                if ask(self.port, "GET", "/ping", seconds=2.0).status == 200:
                    return
            time.sleep(0.1)
        self.stop()
        raise HwdsError(f"the server did not answer /ping within {START:g} s")

    def stop(self) -> None:
        """Let requests end, then end it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Servers:
    """Starts servers, and ends them all.

    Args:
        regions: Return the clients of S3 and of SageMaker.
        folder: Where archives are unpacked.
    """

    def __init__(self, regions: Regions, folder: Path) -> None:
        self._regions, self._folder, self._numbers = regions, folder, count()
        self._running: list[Server] = []
        self._closed = False

    def start(self, region: str, model: str, variables: Mapping[str, str] | None = None) -> Server:
        """Return the server of a model, once it answers.

        Args:
            region: Where the model is.
            model: Its name.
            variables: Beside those that the model has.

        Raises:
            HwdsError: It does not come to answer.
        """
        client, folder = self._regions(region), self._folder / f"{next(self._numbers):03d}-{model}"
        with _failures(f"model '{model}'"):
            container = (
                client("sagemaker").describe_model(ModelName=model).get("PrimaryContainer", {})
            )
            if not container.get("ModelDataUrl"):
                raise DataError("its container names no ModelDataUrl")
            folder.mkdir(parents=True)
            bucket, key = s3_place(container["ModelDataUrl"])
            client("s3").download_file(bucket, key, str(folder / ARCHIVE))
            unpack_archive(folder / ARCHIVE, folder / "model")
            server = Server(folder, container.get("Environment", {}) | dict(variables or {}))
            self._running.append(server)
            if self._closed:
                self.stop(server)
            server.wait()
        return server

    def stop(self, server: Server) -> None:
        """End a server that runs."""
        with suppress(ValueError):  # it was ended already
            self._running.remove(server)
            server.stop()

    def close(self) -> None:
        """End all servers, and those that are being started."""
        self._closed = True
        for server in [*self._running]:
            self.stop(server)


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """Say in a line what cannot be had or started."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (HwdsError, ClientError, BotoCoreError, Boto3Error) as error:
        raise HwdsError(f"{what}: {' '.join(str(error).split())}") from error


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
