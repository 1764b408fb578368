"""Connections of a worker that has ended: who waits gets 503, who has been answered does not, who
asks next does.
"""

import asyncio
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwds.serve.server import connections
from hwds.serve.server import connections as accepting
from hwds.serve.server.connections import (
    ASKED,
    CONTINUE,
    REFUSAL,
    WORDS,
    CountingTransport,
    Parent,
    WorkerLine,
    can_hold,
    refuse_left,
)
from hwds.serve.server.run import _supervisor

pytestmark = pytest.mark.skipif(
    not can_hold(Path()), reason="this system passes no descriptors between processes"
)

REQUEST, ANSWER = b"POST /invocations", b"HTTP/1.1 200 OK"


@pytest.fixture
def pair():
    """A client's end of a connection and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    client.settimeout(10)
    yield client, server
    client.close()
    server.close()


def received(client):
    """All that a client gets until the server has said its last."""
    parts = []
    while part := client.recv(1000):
        parts.append(part)
    return b"".join(parts)


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("noted", "taken", "answered", "want"),
    [
        (
            len(ANSWER) << 1,
            len(REQUEST),
            ANSWER[:9],
            ANSWER[:9],
        ),  # the rest is lost: nothing may follow a part
        (ASKED, len(REQUEST), ANSWER[:9], ANSWER[:9]),
        (
            len(ANSWER) << 1 | ASKED,
            len(REQUEST),
            ANSWER[:9],
            ANSWER[:9],
        ),  # the next was asked meanwhile
        (ASKED, len(REQUEST), CONTINUE, CONTINUE + REFUSAL),
        (ASKED, len(REQUEST), b"", REFUSAL),  # its answer was being made
        (ASKED, len(REQUEST), ANSWER, ANSWER),  # it had left, and was not noted yet
        (0, 0, b"", REFUSAL),  # the worker had taken the request and not noted it yet
        (len(ANSWER) << 1, len(REQUEST), ANSWER, ANSWER),
        (len(ANSWER) << 1, len(REQUEST), b"", REFUSAL),  # noted, and still in the worker
    ],
)
def test_who_has_no_answer_gets_503(pair, tmp_path, monkeypatch, noted, taken, answered, want):
    monkeypatch.setattr(
        "hwds.serve.server.connections.refuse_left", lambda held: refuse_left(held, 0.1)
    )
    client, server = pair
    Parent(tmp_path, 1)
    line = WorkerLine(tmp_path)
    line.made(server.fileno())
    client.sendall(REQUEST)
    assert server.recv(1000) == REQUEST
    if answered:
        server.sendall(answered)
    slot = WORDS * server.fileno()
    line.states[slot], line.states[slot + 1] = noted, taken
    line.states[slot + 2] = noted >> 1 if noted & ASKED else 0
    server.close()
    line._socket.close()
    assert received(client) == want


def test_who_was_answered_and_asks_next_gets_503(pair, tmp_path):
    client, server = pair
    Parent(tmp_path, 1)
    line = WorkerLine(tmp_path)
    line.made(server.fileno())
    client.sendall(REQUEST)
    slot = WORDS * server.fileno()
    line.states[slot], line.states[slot + 1] = ASKED, len(server.recv(1000))
    whole = CountingTransport(
        SimpleNamespace(write=server.sendall),
        lambda written: line.states.__setitem__(slot, written << 1),
    )
    whole.write(ANSWER)
    whole.write(b"!")
    server.close()
    line._socket.close()
    assert client.recv(1000) == b"HTTP/1.1 200 OK!"
    client.sendall(REQUEST)
    assert received(client) == REFUSAL


def test_a_connection_that_a_worker_closes_is_closed(pair, tmp_path):
    client, server = pair
    Parent(tmp_path, 1)
    line = WorkerLine(tmp_path)
    line.made(server.fileno())
    line.lost(server.fileno())
    server.close()
    assert received(client) == b""
    line._socket.close()
    until(lambda: [path.name for path in tmp_path.iterdir()] == ["parent"])


def test_the_parent_keeps_descriptors_for_the_next_worker(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "most_descriptors", lambda: 0)
    client, server = pair
    Parent(tmp_path, 1)
    line = WorkerLine(tmp_path)
    line.made(server.fileno())
    server.close()
    assert received(client) == b"", "the worker's was the only one"
    line._socket.close()


@pytest.mark.filterwarnings("error")
def test_a_worker_that_ends_before_it_says_its_name_is_nothing(tmp_path):
    Parent(tmp_path, 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.connect(str(tmp_path / "parent"))
    line = WorkerLine(tmp_path)
    line._socket.close()
    until(lambda: [path.name for path in tmp_path.iterdir()] == ["parent"])


def test_a_folder_whose_path_is_too_long_for_a_socket_holds_nothing(tmp_path):
    assert not can_hold(tmp_path / ("x" * 120))
    assert can_hold(tmp_path)


def test_states_have_their_place_on_the_disk_before_it_may_be_full(tmp_path):
    Parent(tmp_path, 1)
    line = WorkerLine(tmp_path)
    (states,) = tmp_path.glob("*.connections")
    assert 512 * states.stat().st_blocks >= 8 * WORDS * 4096
    line._socket.close()
    until(lambda: [path.name for path in tmp_path.iterdir()] == ["parent"])


def test_who_asks_next_gets_503_and_who_has_gone_nothing(pair):
    client, server = pair
    client.sendall(REQUEST)
    client.shutdown(socket.SHUT_WR)
    assert refuse_left({server: False}, 5) == 1
    assert received(client) == REFUSAL


class Sink:
    """A transport that keeps what is written."""

    def __init__(self):
        self.written, self.closed = [], False
        self.write = self.written.append

    def close(self):
        self.closed = True


def test_the_head_of_an_answer_leaves_with_its_body():
    sink, noted = Sink(), []
    whole = CountingTransport(sink, lambda written: noted.append((written, len(sink.written))))
    whole.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    whole.write(ANSWER)
    assert sink.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    whole.write(b"{}")
    whole.write(b"more")
    assert sink.written[1:] == [ANSWER + b"{}", b"more"]
    whole.write(ANSWER)
    whole.close()
    assert sink.written[-1] == ANSWER, "an answer without a body"
    assert sink.closed
    assert whole.written == sum(map(len, sink.written))
    assert noted[0] == (len(b"".join(sink.written[:2])), 1), (
        "an answer is noted before it leaves, and a 100 is none"
    )


def test_a_worker_that_is_killed_while_it_is_asked_for_a_sign_of_life_is_not_waited_for(
    monkeypatch,
):
    from uvicorn import Config
    from uvicorn.supervisors.multiprocess import Process

    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    parent = _supervisor(
        Config("no:application", port=0, log_config=None, timeout_worker_healthcheck=30)
    )
    worker = Process(parent.config, [])
    its_own = os.dup(worker.child_conn.fileno())
    monkeypatch.setattr(worker.process, "is_alive", lambda: True)
    monkeypatch.setattr(Process, "start", lambda self: None)
    parent.processes = [worker]
    threading.Timer(0.1, os.close, [its_own]).start()
    began = time.monotonic()
    with pytest.raises(AttributeError):  # it was never started, and is to be killed
        parent.keep_subprocess_alive()
    assert time.monotonic() - began < 10
    parent.sockets[0].close()


def test_a_connection_is_passed_to_the_parent_before_it_has_a_protocol(monkeypatch):
    happened = []
    monkeypatch.setattr(
        accepting,
        "line",
        lambda: SimpleNamespace(made=lambda descriptor: happened.append("passed")),
    )

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            happened.append("made")
            self.write = transport.write

        def data_received(self, data):
            self.write(data)

    async def talk(listening):
        server = await asyncio.get_running_loop().create_server(Echo, sock=listening, backlog=8)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(REQUEST)
        assert await asyncio.wait_for(reader.readexactly(len(REQUEST)), 10) == REQUEST
        writer.close()
        server.close()
        await server.wait_closed()

    with socket.socket() as listening, asyncio.Runner(loop_factory=accepting.new_loop) as runner:
        listening.bind(("127.0.0.1", 0))
        runner.run(talk(listening))
    assert happened == ["passed", "made"]
