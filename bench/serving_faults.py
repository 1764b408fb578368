"""A served bundle through what happens to servers: `python -m bench.serving_faults FOLDER [soak=60]
[pause=0] [kills=3]`.

Four parts, each with a line of figures: examples of Schemathesis (`examples=200`) over the OpenAPI
description; three reloads under eight clients, of which no request may be lost; so many seconds
under sixteen clients, in which memory must stay flat; and so many times SIGKILL of one of two
workers under eight clients, after which those on its connections alone may get nothing: once on
connections that stay, and once with one for each request, where many are being accepted. 1 where
one fails. `soak=1800 pause=20` is the half hour of `docs/measurements/production.md`: each client
waits 20 milliseconds before it asks again, so that the machine has room for other work. Bodies gone
wrong are the job of `bench.http_server`.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.http_server import SCRIPT, good_questions, served

CLIENTS, WORKERS, FLAT = 8, 2, 1.05
"""Clients at once, workers, and the growth of memory over the second half of a soak that still
counts as flat.
"""


class Load:
    """Clients that ask without a pause and count what they get; 0 is no answer.

    Args:
        port: Of the server.
        body: Of each request.
        stay: Whether connections stay, and not one is made for each request.
    """

    def __init__(self, port: int, body: bytes, *, stay: bool = True) -> None:
        self.statuses: Counter[int] = Counter()
        self._headers = {
            "content-type": "application/json",
            "connection": "keep-alive" if stay else "close",
        }
        self._port, self._body, self._ended = port, body, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._ended.is_set():
            try:
                connection.request("POST", "/invocations", self._body, self._headers)
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
            except (OSError, http.client.HTTPException):
                self.statuses[0] += 1
                connection.close()

    def end(self) -> Counter[int]:
        """Return how many requests got which status."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return self.statuses


def workers_of(parent: int) -> list[int]:
    """Return the process ids of a server's workers: those of its children that hold the counts of a
    worker.
    """
    words = ["pgrep", "-f", "-P", str(parent), "spawn_main"]
    return [
        int(pid)
        for pid in subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    ]


def kill_one(parent: int) -> None:
    """Kill a worker, a second after all have laid their counts again, when each listens."""
    counts = Path(tempfile.gettempdir())
    while (
        len(
            [
                pid
                for pid in workers_of(parent)
                if list(counts.glob(f"hwds-server-*/worker-{pid}.counts"))
            ]
        )
        < WORKERS
    ):
        time.sleep(0.2)
    time.sleep(1)
    pids = workers_of(parent)
    os.kill(pids[0], signal.SIGKILL)


def under_load(
    port: int, body: bytes, act: Callable[[], None], times: int, *, stay: bool = True
) -> Counter[int]:
    """Return the statuses of requests while something is done so many times; see `Load`."""
    load = Load(port, body, stay=stay)
    for _ in range(times):
        time.sleep(2)
        act()
    time.sleep(3)
    return load.end()


def described(port: int, examples: int) -> str:
    """Return the failures that Schemathesis finds by the OpenAPI description.

    Empty where it finds none.
    """
    words = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"http://127.0.0.1:{port}/openapi.json",
    ]
    words += [
        "--max-examples",
        str(examples),
        "--no-color",
        "--checks",
        "all",
        "--seed",
        "1",
        "--workers",
        "1",
    ]
    words += ["--exclude-checks", "positive_data_acceptance"]
    with tempfile.TemporaryDirectory() as beside:  # where it keeps what failed
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=beside)
    lines = done.stdout.splitlines()
    sys.stdout.write("\n".join(lines if done.returncode else lines[-8:]) + "\n")
    return "" if done.returncode == 0 else done.stdout


def memory_of(parent: int) -> list[float]:
    """Return the mebibytes that each of a server's workers holds of its own (resident, less what it
    shares).
    """
    held = []
    for pid in workers_of(parent):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        held.append(
            sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024
        )
    return held


def soaked(url: str, body: bytes, parent: int, seconds: int, pause: int) -> list[float]:
    """Return the mebibytes of the workers together, each minute while wrk asks.

    Twenty times where it takes less.
    """
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(body)
        words = ["wrk", "-t1", "-c16", f"-d{seconds}s", "-s", str(SCRIPT), url]
        asked = os.environ | {"HWDS_LOAD_BODY": file.name, "HWDS_LOAD_PAUSE": str(pause)}
        load = subprocess.Popen(words, env=asked, stdout=subprocess.PIPE, text=True)
        held, began = [], time.monotonic()
        while load.poll() is None:
            each = memory_of(parent)
            held.append(sum(each))
            minute = (time.monotonic() - began) / 60
            sys.stdout.write(
                f"minute {minute:.1f}: {' + '.join(f'{size:.1f}' for size in each)} MiB\n"
            )
            sys.stdout.flush()
            time.sleep(min(60, seconds / 20))
        sys.stdout.write(" ".join((load.stdout.read() if load.stdout else "").split()[-8:]) + "\n")
    return held


def main(words: list[str]) -> int:
    """Print what came of each part; 1 where one failed."""
    folder, sizes = words[0], dict(word.split("=") for word in words[1:])
    body = json.dumps(good_questions(folder)[0]).encode()
    failed: list[str] = []
    with served(folder, "--workers", str(WORKERS)) as (port, parent):
        if examples := int(sizes.get("examples", 200)):
            failed += ["schemathesis"] if described(port, examples) else []
        reloads = under_load(port, body, lambda: os.kill(parent, signal.SIGHUP), 3)
        failed += _said("three reloads", reloads, set(reloads) == {200})
        if (seconds := int(sizes.get("soak", 60))) and not shutil.which("wrk"):
            failed += _said(f"soak of {seconds} s", "needs wrk, which is not here", False)
        elif seconds:
            held = soaked(
                f"http://127.0.0.1:{port}/invocations",
                body,
                parent,
                seconds,
                int(sizes.get("pause", 0)),
            )
            growth = float(np.mean(held[-3:]) / np.mean(held[len(held) // 2 : len(held) // 2 + 3]))
            shown = (
                f"{held[0]:.0f} MiB at first, {held[len(held) // 2]:.0f} half way, "
                f"{held[-1]:.0f} at last"
            )
            failed += _said(f"soak of {seconds} s", shown, growth <= FLAT)
        times = int(sizes.get("kills", 3))
        for stay in (True, False):
            kills = under_load(port, body, lambda: kill_one(parent), times, stay=stay)
            # a client that asks again at once may still reach the socket of the killed worker
            passed = set(kills) <= {200, 0} and kills[0] <= 2 * times * CLIENTS
            of = "connections that stay" if stay else "a connection for each request"
            failed += _said(f"{times} times SIGKILL of one of two workers, {of}", kills, passed)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            counts = [
                line
                for line in answer.read().decode().splitlines()
                if line.startswith("hwds_requests_total")
            ]
        sys.stdout.write("\n".join(line for line in counts if not line.endswith(" 0.0")) + "\n")
    return int(bool(failed))


def _said(what: str, outcome: Any, passed: bool) -> list[str]:
    shown = dict(sorted(outcome.items())) if isinstance(outcome, Counter) else outcome
    sys.stdout.write(f"{what}: {shown}: {'passed' if passed else 'FAILED'}\n")
    sys.stdout.flush()
    return [] if passed else [what]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
