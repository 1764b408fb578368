"""A served bundle under wrong bodies and under load: `python -m bench.http_server FOLDER
[fuzz=2000] [seconds=10]`.

Every body gone wrong must get an answer below 500. The load is wrk's (Debian: apt-get install wrk):
one client, then sixteen, each with one small question a request; beside requests and latency stand
the CPU seconds of the workers, which other work on the same machine does not lengthen.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwds.serve.bundle.manifest import PARITY
from hwds.serve.bundle.reference import read_cases
from tests.support.aws_plane.servers import free_port
from tests.support.fuzzed_bodies import bodies

SCRIPT = Path(__file__).with_name("load.lua")
FUZZ, SECONDS = 2000, 10


@contextmanager
def served(folder: str, *words: str) -> Iterator[tuple[int, int]]:
    """Serve a bundle on a free port; yield the port and the process id of the parent."""
    port = free_port()
    with tempfile.TemporaryDirectory() as beside:
        kind = json.loads((Path(folder) / "bundle.json").read_text())["kind"]
        store = ["--store", f"{beside}/events.db"] if kind == "events" else []
        command = [
            sys.executable,
            "-m",
            "hwds",
            "serve",
            folder,
            "--http",
            "--port",
            str(port),
            *store,
            *words,
        ]
        with started(command, port) as process:
            yield port, process


@contextmanager
def started(
    command: list[str], port: int, path: str = "/ping", variables: dict[str, str] | None = None
) -> Iterator[int]:
    """Start a server and end it again; yield its process id once it answers."""
    process = subprocess.Popen(command, env=os.environ | (variables or {}))
    try:
        wait_for(port, process, path)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(port: int, process: subprocess.Popen[bytes], path: str) -> None:
    """Wait until the server answers.

    Raises:
        RuntimeError: It has ended.
    """
    while process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server ended with {process.returncode}")


def good_questions(folder: str) -> list[dict[str, Any]]:
    """Return questions that the bundle answers."""
    return [
        dict(case.question)
        for case in read_cases(Path(folder) / PARITY)[0]
        if "of" not in case.question
    ][:20]


def fuzzed(folder: str, port: int, count: int, seed: int = 1) -> Counter[int]:
    """Send bodies gone wrong to the server; return how many got which status, 0 for none."""
    statuses: Counter[int] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for body, form, accept in bodies(count, seed, good_questions(folder)):
        try:
            headers = {"content-type": form, "accept": accept}
            connection.request(
                "POST", "/invocations", body, {name: text for name, text in headers.items() if text}
            )
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status] += 1
            if answer.status >= 500:
                sys.stderr.write(f"{answer.status}: {form!r} {body[:300]!r}\n")
        except (OSError, http.client.HTTPException) as error:
            sys.stderr.write(f"no answer: {type(error).__name__}: {form!r} {body[:300]!r}\n")
            statuses[0] += 1
            connection.close()
    return statuses


def cpu_of(parent: int) -> float:
    """Return the CPU seconds of a process and all that descend from it."""
    used, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid], used[pid] = (
            int(fields[1]),
            (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        )
    own = {parent}
    while more := {pid for pid, above in parents.items() if above in own} - own:
        own |= more
    return sum(used[pid] for pid in own if pid in used)


def loaded(
    url: str, question: dict[str, Any], parent: int, clients: int, seconds: int
) -> dict[str, Any]:
    """Return what wrk measures with so many clients, and the CPU milliseconds of a request."""
    with tempfile.NamedTemporaryFile() as body:
        Path(body.name).write_text(json.dumps(question))
        before = cpu_of(parent)
        words = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT), url]
        done = subprocess.run(
            words,
            env=os.environ | {"HWDS_LOAD_BODY": body.name},
            capture_output=True,
            text=True,
            check=True,
        )
        used = cpu_of(parent) - before
    text = done.stdout
    requests = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {
        "clients": clients,
        "requests/s": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),  # type: ignore[index]
        "p50": re.search(r"^ +50% +(\S+)", text, re.M)[1],  # type: ignore[index]
        "p99": re.search(r"^ +99% +(\S+)", text, re.M)[1],  # type: ignore[index]
        "refused": int(errors[1]) if errors else 0,
        "cpu_ms": round(1000 * used / max(requests, 1), 3),
        "load": os.getloadavg()[0],
    }


def main(words: list[str]) -> int:
    """Print both tables; return 1 where a body gone wrong got 500 or nothing."""
    folder, sizes = words[0], dict(word.split("=") for word in words[1:])
    count, seconds = int(sizes.get("fuzz", FUZZ)), int(sizes.get("seconds", SECONDS))
    wrong = 0
    with served(folder) as (port, parent):
        if count:
            statuses = fuzzed(folder, port, count)
            wrong = sum(
                number for status, number in statuses.items() if status >= 500 or not status
            )
            sys.stdout.write(f"{count:,} bodies: {dict(sorted(statuses.items()))}\n")
        if seconds and shutil.which("wrk"):
            for clients in (1, 16):
                question = good_questions(folder)[0]
                sys.stdout.write(
                    f"{loaded(f'http://127.0.0.1:{port}/invocations', question, parent, clients, seconds)}\n"
                )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
