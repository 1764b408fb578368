"""A served policy that is killed: `python -m bench.live_server FOLDER [kills=10]`, with the bundle
of a bandit's run.

Sixteen clients ask for decisions and report outcomes, each with ids of its own, while the server
and its worker are killed by SIGKILL so many times and begun again on the same store. Afterwards
each acknowledged decision must be answered as it was, and each acknowledged outcome must be known.
1 where one is not.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import tempfile
import threading
import time
from typing import Any

from bench.http_server import good_questions, started
from bench.serving_faults import workers_of
from tests.support.aws_plane.servers import free_port

CLIENTS, LEAST = 16, 200
"""Clients at once, and outcomes that are acknowledged between two kills at least."""

LABELS = ("id", "at")
"""Fields of a question that the clients name themselves."""


class Clients:
    """Clients of one policy, and what was acknowledged to them: decisions by id, and the ids whose
    outcome is known.
    """

    def __init__(self, port: int, question: dict[str, Any]) -> None:
        self.decisions: dict[str, Any] = {}
        self.outcomes: set[str] = set()
        self.question = {name: value for name, value in question.items() if name not in LABELS}
        self._port, self._ended = port, threading.Event()
        self._threads = [
            threading.Thread(target=self._live, args=(number,)) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, question: dict[str, Any]) -> Any:
        """Return an answer.

        Raises:
            OSError, http.client.HTTPException: There is none.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request(
            "POST", "/invocations", json.dumps(question), {"content-type": "application/json"}
        )
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status != 200:
            raise http.client.HTTPException(said)
        return said

    def _live(self, number: int) -> None:
        place = 0
        while not self._ended.is_set():
            id = f"{number}-{place}"
            try:
                self.decisions[id] = self.ask(self.question | {"id": id})
                self.ask({"of": id, "converted": place % 3 == 0})
                self.outcomes.add(id)
                place += 1
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)

    def end(self) -> None:
        """Let all end."""
        self._ended.set()
        for thread in self._threads:
            thread.join()


def main(words: list[str]) -> int:
    """Print what was acknowledged, and what of it was lost."""
    folder, sizes = words[0], dict(word.split("=") for word in words[1:])
    kills, port = int(sizes.get("kills", 10)), free_port()
    with tempfile.TemporaryDirectory() as store:
        command = [
            sys.executable,
            "-m",
            "hwds",
            "serve",
            folder,
            "--http",
            "--port",
            str(port),
            "--store",
            f"{store}/log",
        ]
        clients = None
        for _ in range(kills):
            with started(command, port) as parent:
                clients = clients or Clients(port, good_questions(folder)[0])
                before = len(clients.outcomes)
                while len(clients.outcomes) < before + LEAST:
                    time.sleep(0.05)
                for pid in (parent, *workers_of(parent)):
                    os.kill(pid, signal.SIGKILL)
        assert clients is not None
        with started(command, port):
            time.sleep(1)
            clients.end()
            lost = [
                id for id, said in clients.decisions.items() if not _is_known(clients, id, said)
            ]
            unknown = [
                id
                for id in clients.outcomes
                if clients.ask({"of": id, "converted": True})["status"] != "repeated"
            ]
    acknowledged = (
        f"{len(clients.decisions):,} decisions and {len(clients.outcomes):,} outcomes acknowledged"
    )
    sys.stdout.write(
        f"{kills} kills: {acknowledged}; {len(lost)} and {len(unknown)} of them lost\n"
    )
    return int(bool(lost or unknown))


def _is_known(clients: Clients, id: str, said: dict[str, Any]) -> bool:
    return bool(clients.ask(clients.question | {"id": id}) == said | {"again": True})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
