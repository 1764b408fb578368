"""A bundle behind Ray Serve whose node dies: `python -m bench.ray_serve FOLDER TRUSTED h1 h2 h3
[seconds=60]`, as root.

The hosts are network namespaces with addresses of their own (`ip netns`): the head, which takes the
requests and has no replica, and two with one each, where there is room for both on the second. Four
clients ask the head without a pause; after a third of the time every process of the last host gets
SIGKILL. Printed are requests by status (0 for no answer), and after how many seconds the two
replicas were there again. 1 where an answer is wrong, or the second replica does not come back.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.http_server import good_questions

ROOT = Path(__file__).resolve().parents[1]
CLIENTS, ROOMS = 4, (0, 2, 1)
"""Clients at once, and replicas for which each host has room."""

PORT, HTTP = 6379, 8000
WATCH = """
import time
import ray
from ray import serve

ray.init(log_to_driver=False, logging_level="ERROR")
while True:
    known = serve.status().applications.get("hwds")
    deployments = known.deployments.values() if known else ()
    print(sum(each.replica_states.get("RUNNING", 0) for each in deployments), flush=True)
    time.sleep(0.25)
"""
"""What counts the replicas that run."""

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Hosts:
    """A cluster of Ray on namespaces."""

    def __init__(self, names: list[str], variables: Mapping[str, str]) -> None:
        self.names, self._variables = names, dict(os.environ) | dict(variables)
        self.head = address_of(names[0])

    def run(self, host: str, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command on a host."""
        inside = ["ip", "netns", "exec", host, *words]
        return subprocess.Popen(inside, cwd=ROOT, env=self._variables, text=True, **options)

    def begin(self, logs: str) -> None:
        """Start Ray on all hosts."""
        for host, rooms in zip(self.names, ROOMS, strict=True):
            own = ["--node-ip-address", address_of(host), f"--num-cpus={rooms}", "--block"]
            first = ["--head", f"--port={PORT}", f"--temp-dir={logs}", "--include-dashboard=false"]
            joins = first if host == self.names[0] else [f"--address={self.head}:{PORT}"]
            self.run(host, "ray", "start", *joins, *own, **QUIET)
            time.sleep(8)

    def kill(self, host: str) -> None:
        """Send SIGKILL to every process of a host."""
        for pid in subprocess.run(
            ["ip", "netns", "pids", host], capture_output=True, text=True, check=True
        ).stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


class Replicas:
    """The number of replicas that run, as the head knows it."""

    def __init__(self, hosts: Hosts) -> None:
        self.running = 0
        self._process = hosts.run(
            hosts.names[0],
            sys.executable,
            "-c",
            WATCH,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip().isdigit():  # Ray prints its own remarks between
                self.running = int(line)

    def seconds_until(self, count: int, most: float) -> float:
        """Return the seconds until so many run, or all that were given."""
        began = time.monotonic()
        while (took := time.monotonic() - began) < most and self.running != count:
            time.sleep(0.05)
        return took


class Clients:
    """Clients that ask the head for one row each, on a connection of its own."""

    def __init__(self, address: str, question: Mapping[str, Any]) -> None:
        self.counts: Counter[int] = Counter()
        self.wrong, self.slowest = 0, 0.0
        self._address, self._body, self._want = (
            address,
            json.dumps(question).encode(),
            question.get("id"),
        )
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._ended.is_set():
            began, connection = (
                time.monotonic(),
                http.client.HTTPConnection(self._address, HTTP, timeout=60),
            )
            try:
                connection.request(
                    "POST", "/invocations", self._body, {"content-type": "application/json"}
                )
                answer = connection.getresponse()
                said = answer.read()
                self.counts[answer.status] += 1
                self.wrong += answer.status == 200 and json.loads(said)["id"] != self._want
            except (OSError, http.client.HTTPException):
                self.counts[0] += 1
            finally:
                connection.close()
                self.slowest = max(self.slowest, time.monotonic() - began)

    def end(self) -> Counter[int]:
        """Return the requests by status."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        return self.counts


def address_of(host: str) -> str:
    """Return the address of a namespace."""
    words = ["ip", "-n", host, "-4", "-o", "addr", "show", "scope", "global"]
    return (
        subprocess.run(words, capture_output=True, text=True, check=True)
        .stdout.split()[3]
        .partition("/")[0]
    )


def main(words: list[str]) -> int:
    """Print what came of the requests."""
    folder, trusted, *rest = words
    names = [word for word in rest if "=" not in word]
    seconds = int(dict(word.split("=") for word in rest if "=" in word).get("seconds", 60))
    variables = {
        "HWDS_BUNDLE": str(Path(folder).resolve()),
        "HWDS_TRUSTED_KEYS": trusted,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    hosts = Hosts(names, variables | {"RAY_ADDRESS": f"{address_of(names[0])}:{PORT}"})
    with tempfile.TemporaryDirectory(prefix="ray-") as logs:
        try:
            hosts.begin(logs)
            hosts.run(names[0], "serve", "run", "deploy/ray_serve.yaml", **QUIET)
            replicas = Replicas(hosts)
            first = replicas.seconds_until(2, 120)
            if replicas.running < 2:
                raise RuntimeError(f"{replicas.running} of two replicas after {first:.0f} s")
            clients = Clients(hosts.head, good_questions(folder)[0])
            time.sleep(seconds / 3)
            before, killed = dict(clients.counts), time.monotonic()
            hosts.kill(names[-1])
            replicas.seconds_until(1, seconds / 3)
            if replicas.running > 1:
                raise RuntimeError(
                    f"both replicas run after the kill of {names[-1]}: no replica was on it"
                )
            replicas.seconds_until(2, seconds / 3)
            again = time.monotonic() - killed
            time.sleep(seconds / 3)
            counts, after = clients.end(), replicas.running
        finally:
            for host in names:
                hosts.kill(host)
            time.sleep(1)
    print(
        f"two replicas after {first:.0f} s; statuses until the kill {before}, in all "
        f"{dict(counts)}, {clients.wrong} wrong"
    )
    print(
        f"the slowest request took {clients.slowest:.1f} s; two replicas again after {again:.1f} "
        f"s, {after} at the end"
    )
    return int(clients.wrong > 0 or after < 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
