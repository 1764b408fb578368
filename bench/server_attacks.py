"""A served bundle under clients that mean harm: `python -m bench.server_attacks FOLDER [hold=75]
[silent=5000] [partial=1200]`.

Each attack is held so many seconds from addresses of its own, and connections that the server
closes are opened again, while four clients ask on connections that stay and four on one for each
request. Their statuses and latency stand beside those of the quiet server, before and after. Then the CPU that a
header of 64 MB and as long a trailer cost, over which worker sixteen clients spread, and the
seconds that SIGTERM takes while all attacks are held. 1 where a client got anything but 200, the
99th percentile under silent connections is more than twice that of the quiet server, a header costs 10 ms or more, all
clients are on one worker, or the server does not end within its grace.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.http_server import cpu_of, good_questions, served
from bench.serving_faults import WORKERS, workers_of

PAUSE = 0.02
"""Seconds that a client waits before it asks again: the machine has room for the attack, too."""

HEADER, GRACE, RATIO = 64 << 20, 28.0, 2.0
"""Bytes of the header, seconds within which SIGTERM ends the server, and the growth of the 99th
percentile that is allowed.
"""

ADDRESSES = 8
"""Addresses of an attack, so that closed connections leave the clients theirs."""

ATTACKS: dict[str, bytes] = {
    "silent": b"",
    "partial": b"POST /invocations HTTP/1.1\r\nhost: here\r\nx-",
    "bodies": b"POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-length: 1000\r\n\r\n{",
    "readers": b"GET /openapi.json HTTP/1.1\r\nhost: here\r\n\r\n" * 500,
}
"""What each connection of an attack sends before it is silent; readers read nothing."""


def attack(port: int, words: list[str]) -> None:
    """Hold connections until killed: `silent=5000 partial=1200`, as many of each kind.

    Those that the server has closed are opened again.
    """
    os.nice(19)  # it stands for another machine
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    wanted = [(kind, int(count)) for kind, _, count in (word.partition("=") for word in words)]
    due = [ATTACKS[kind] for kind, count in wanted for _ in range(count)]
    poll, held, opened = select.epoll(), {}, 0
    while True:
        for sent in due:
            opened += 1
            with contextlib.suppress(OSError):
                connection = _opened(port, opened, sent)
                held[connection.fileno()] = connection, sent
                wakes = select.EPOLLRDHUP | (select.EPOLLIN if sent[:3] != b"GET" else 0)
                poll.register(connection, wakes)
                continue
        lost = [held.pop(number) for number, _ in poll.poll(0.1, 512)]
        for connection, _ in lost:
            connection.close()
        due = [sent for _, sent in lost]


def _opened(port: int, number: int, sent: bytes) -> socket.socket:
    connection = socket.socket()
    if sent[:3] == b"GET":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind((f"127.0.0.{2 + number % ADDRESSES}", 0))
    connection.settimeout(1)
    connection.connect(("127.0.0.1", port))
    connection.setblocking(False)
    if sent:
        connection.send(sent)
    return connection


@contextmanager
def attacked(port: int, *words: str) -> Iterator[None]:
    """Hold an attack from a process of its own."""
    command = [sys.executable, "-m", "bench.server_attacks", "attack", str(port), *words]
    process = subprocess.Popen(command)
    time.sleep(10)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Clients:
    """Eight clients that ask at a steady pace; half of them open a connection for each request."""

    def __init__(self, port: int, body: bytes) -> None:
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self._port, self._body, self._ended = port, body, threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(bool(number % 2),)) for number in range(8)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, stay: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._ended.wait(PAUSE):
            began = time.perf_counter()
            try:
                status = _status(connection, self._body)
            except (OSError, http.client.HTTPException):
                status = 0
            self.statuses[status] += 1
            self.seconds.append(time.perf_counter() - began)
            if not (stay and status):
                connection.close()

    def end(self) -> None:
        """Let all end."""
        self._ended.set()
        for thread in self._threads:
            thread.join()


def _status(connection: http.client.HTTPConnection, body: bytes) -> int:
    connection.request("POST", "/invocations", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def asked_for(port: int, body: bytes, seconds: float) -> Clients:
    """Return what clients got in so many seconds."""
    clients = Clients(port, body)
    time.sleep(seconds)
    clients.end()
    return clients


def facts(*spells: Clients) -> dict[str, Any]:
    """Return the statuses of spells together, and the milliseconds of answers: the median, the 99th
    percentile.
    """
    p50, p99 = 1000 * np.percentile(np.concatenate([each.seconds for each in spells]), [50, 99])
    statuses = sum((each.statuses for each in spells), Counter())
    return {"statuses": dict(statuses), "p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def cpu_of_flood(port: int, parent: int, head: bytes) -> float:
    """Return the CPU milliseconds that the server takes for 64 MB behind the head of a request, the
    mean of ten, less what it takes in as many seconds without a request.
    """
    began, before = time.monotonic(), cpu_of(parent)
    for _ in range(10):
        _flood(port, head)
    seconds, flooded = time.monotonic() - began, cpu_of(parent)
    time.sleep(seconds)
    return round(1000 / 10 * ((flooded - before) - (cpu_of(parent) - flooded)), 1)


def _flood(port: int, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head + b"a" * HEADER)
            connection.sendall(b"\r\n\r\n")
        with contextlib.suppress(OSError):
            connection.recv(1)


def spread(port: int, parent: int) -> list[int]:
    """Return how many of sixteen clients that stay each worker answers."""
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(16)]
    for _ in range(30):
        for client in clients:
            client.request("GET", "/ping")
            client.getresponse().read()
        time.sleep(0.1)
    ports = {client.sock.getsockname()[1] for client in clients if client.sock}
    table = subprocess.run(["ss", "-tnp"], capture_output=True, text=True, check=True).stdout
    taken = Counter(
        pid
        for pid in workers_of(parent)
        for line in table.splitlines()
        if f"pid={pid}," in line and int(line.split()[4].rpartition(":")[2]) in ports
    )
    return [taken[pid] for pid in workers_of(parent)]


def main(words: list[str]) -> int:
    """Print what came of each attack; 1 where one did harm."""
    if words[0] == "attack":
        attack(int(words[1]), words[2:])
    folder, sizes = words[0], dict(word.split("=") for word in words[1:])
    body = json.dumps(good_questions(folder)[0]).encode()
    hold, silent, partial = (
        int(sizes.get(name, usual))
        for name, usual in (("hold", 75), ("silent", 5000), ("partial", 1200))
    )
    failed: list[str] = []
    with served(folder, "--workers", str(WORKERS)) as (port, parent):
        on = spread(port, parent)
        failed += _said("sixteen clients on the workers", on, min(on) > 0)
        asked_for(port, body, 5)
        before = asked_for(port, body, hold / 2)
        with attacked(port, f"silent={silent}", f"partial={partial}"):
            under = facts(asked_for(port, body, hold))
        time.sleep(12)
        quiet = facts(before, asked_for(port, body, hold / 2))
        failed += _said("quiet, before and after", quiet, _is_served(quiet))
        fine = _is_served(under) and under["p99"] <= RATIO * quiet["p99"]
        failed += _said(f"{silent} silent and {partial} partial heads", under, fine)
        for others in ("bodies=1200", "readers=20"):
            with attacked(port, others):
                got = facts(asked_for(port, body, min(hold, 20)))
            failed += _said(others, got, _is_served(got))
        failed += _floods(port, parent)
        with attacked(port, *(f"{kind}=50" for kind in ATTACKS)):
            began = time.monotonic()
            os.kill(parent, signal.SIGTERM)
            with contextlib.suppress(ChildProcessError):
                _wait(lambda: os.waitpid(parent, os.WNOHANG)[0] == parent)
            seconds = round(time.monotonic() - began, 1)
        failed += _said("seconds of SIGTERM under fifty of each", seconds, seconds <= GRACE)
    return int(bool(failed))


def _is_served(got: dict[str, Any]) -> bool:
    return set(got["statuses"]) == {200}


def _floods(port: int, parent: int) -> list[str]:
    head = b"POST /invocations HTTP/1.1\r\nhost: here\r\n"
    chunked = head + b"transfer-encoding: chunked\r\n\r\n0\r\n"
    failed = []
    for name, sent in (("header", head), ("trailer", chunked)):
        cost = cpu_of_flood(port, parent, sent + b"x-long: ")
        failed += _said(f"CPU ms of a {name} of 64 MB", cost, cost < 10)
    return failed


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not done() and time.monotonic() < until:
        time.sleep(0.1)


def _said(what: str, outcome: Any, passed: bool) -> list[str]:
    sys.stdout.write(f"{what}: {outcome}: {'passed' if passed else 'FAILED'}\n")
    sys.stdout.flush()
    return [] if passed else [what]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
