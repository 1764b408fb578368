"""Connections that are silent, slow or too many keep nobody from an answer, and end with the server."""

import asyncio
import hashlib
import http.client
import json
import logging
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import numpy as np
import pytest

from hwds.serve.server.records import NAMES, PLACES
from tests.serve.test_server import ROW, ask

uvicorn = pytest.importorskip("uvicorn")
limits = pytest.importorskip("hwds.serve.server.run")

HEAD = b"POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
PING = b"GET /ping HTTP/1.1\r\nhost: here\r\n\r\n"


@pytest.fixture
def listen(serve, monkeypatch):
    """Begin a server within limits, on a port of its own, in a thread."""

    @contextmanager
    def begin(app=None, **changes):
        core = serve(**changes).core
        connections = limits.Connections(core.settings, core.metrics)
        monkeypatch.setattr(limits.LimitedProtocol, "limits", connections, raising=False)
        config = uvicorn.Config(
            app or serve(**changes).app,
            http=limits.PROTOCOL,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=limits.GRACE,
        )
        server = uvicorn.Server(config)
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        port = listening.getsockname()[1]
        try:
            yield SimpleNamespace(port=port, server=server, thread=thread, of=connections)
        finally:
            server.should_exit = True
            thread.join(60)

    return begin


def opened(here, sent=b""):
    connection = socket.create_connection(("127.0.0.1", here.port), timeout=30)
    connection.sendall(sent)
    return connection


def rest(connection):
    """Return all that comes until the server closes."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def status(here, method="GET", path="/ping", **fields):
    client = http.client.HTTPConnection("127.0.0.1", here.port, timeout=30)
    client.request(method, path, **fields)
    return client.getresponse().status


def test_too_many_silent_connections_make_room_for_who_asks(listen):
    with listen(connections=20) as here:
        stays = opened(here, PING)
        assert stays.recv(1 << 16).startswith(b"HTTP/1.1 200")
        silent = [opened(here, sent) for sent in (b"", HEAD) * 30]
        assert [status(here) for _ in range(5)] == [200] * 5
        assert rest(silent[0]) == b""
        assert here.of.count <= 20
        stays.sendall(PING)
        assert stays.recv(1 << 16).startswith(b"HTTP/1.1 200"), (
            "who has asked goes after the silent"
        )


def test_silence_and_half_a_head_have_their_time(listen):
    with listen(head_seconds=0.2) as here:
        assert rest(opened(here)) == b""
        said = rest(opened(here, HEAD))
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"the head did not arrive within 0.2 s" in said
        slow, sent = opened(here), 0
        with suppress(ConnectionError):  # a byte now and then does not begin the time anew
            for place in range(60):
                slow.sendall(HEAD[place : place + 1])
                sent += 1
                time.sleep(0.1)
        assert sent < 60


@pytest.mark.parametrize(
    "sent",
    [b"GET /ping HTTP/1.1\r\nx: " + b"a" * 40_000, HEAD + b"x: a\r\n" * 101 + b"\r\n"],
    ids=["bytes", "fields"],
)
def test_a_large_head_is_refused_before_it_has_arrived(listen, sent):
    with listen() as here:
        assert rest(opened(here, sent)).startswith(b"HTTP/1.1 431 ")
        assert status(here) == 200


def test_an_endless_trailer_is_cut_and_is_no_part_of_the_head(listen):
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            while (await receive()).get("more_body"):
                pass
            seen.append(dict(scope["headers"]))
            head = {"type": "http.response.start", "status": 200, "headers": []}
            await send(head)
            await send({"type": "http.response.body", "body": b"fine"})

    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n"
    with listen(app) as here:
        whole = opened(here, chunked + b"authorization: Bearer stolen\r\n\r\n")
        assert b"200 OK" in whole.recv(1 << 16)
        assert b"authorization" not in seen[0]
        endless = opened(here, chunked)
        with pytest.raises(ConnectionError):
            endless.sendall(b"x: " + b"a" * 50_000_000)


def test_a_token_is_asked_for_before_the_body_has_arrived(listen):
    with listen(tokens=(hashlib.sha256(b"secret").hexdigest(),)) as here:
        stranger = opened(here, HEAD + b"content-length: 1000\r\n\r\n")
        assert stranger.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


def test_a_body_that_never_comes_gets_408(listen):
    with listen(read_seconds=0.2) as here:
        said = rest(opened(here, HEAD + b"content-length: 1000\r\n\r\n{"))
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not arrive within 0.2 s" in said


def test_bodies_that_arrive_slowly_do_not_fill_the_memory(listen, monkeypatch):
    monkeypatch.setattr(limits, "BODIES", 1)
    with listen(most_megabytes=1.0) as here:
        slow = [opened(here, HEAD + b"content-length: 1000000\r\n\r\n") for _ in range(4)]
        for each in slow:
            with suppress(OSError):
                each.sendall(b" " * 900_000)
        assert rest(slow[0]) == b""
        assert here.of.body_bytes <= 1 << 20


def test_health_is_told_when_the_server_is_full(listen, monkeypatch):
    monkeypatch.setattr(limits, "REQUESTS", 0)
    with listen() as here:
        assert status(here) == 200
        assert status(here, "POST", "/invocations", body=b"{}") == 503


def test_who_does_not_read_is_cut(listen, monkeypatch):
    monkeypatch.setattr(limits, "WRITE_SECONDS", 0.2)

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(2000):
                await send(
                    {"type": "http.response.body", "body": b" " * 100_000, "more_body": True}
                )

    with listen(app, seconds=60) as here:
        reader = opened(here, PING)
        while here.of.count or not here.of.metrics.total()["timed_out"]:
            time.sleep(0.05)
        assert len(rest(reader)) < 200_000_000


def test_a_worker_with_more_than_its_share_lets_clients_connect_anew(listen, tmp_path):
    with listen(workers=2) as here:
        idle = np.zeros(len(NAMES))
        (tmp_path / "counts" / "worker-1.counts").write_bytes(idle.tobytes())
        clients = [opened(here, PING) for _ in range(16)]
        while not here.of.to_move:
            time.sleep(0.05)
        assert here.of.metrics.of_living("clients") in ([0, 16], [16, 0])
        moved = 0
        for each in clients:
            each.recv(1 << 16)
            each.sendall(PING)
            moved += b"connection: close" in each.recv(1 << 16)
        assert moved == 7, "of 16 where the mean is 8, and a tenth more is even"
        idle[PLACES["clients"]] = 9
        (tmp_path / "counts" / "worker-1.counts").write_bytes(idle.tobytes())
        while here.of.to_move:
            time.sleep(0.05)


def test_the_server_ends_whatever_clients_do_and_says_nothing_of_it(listen, caplog):
    with listen() as here, caplog.at_level(logging.WARNING):
        held = [
            opened(here, sent)
            for sent in (b"", HEAD, HEAD + b"content-length: 9\r\n\r\n{", PING * 500, PING * 500)
        ]
        assert status(here) == 200
        held.pop().close()  # with answers on their way
        here.server.should_exit = True
        here.thread.join(limits.LAST_SECONDS + 12)
        assert not here.thread.is_alive()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_who_leaves_before_several_answers_leaves_no_traceback(listen, caplog):
    begun, left = threading.Event(), threading.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            begun.set()
            await asyncio.to_thread(left.wait, 30)
            await asyncio.sleep(0.2)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"fine"})

    with listen(app) as here:
        client = opened(here, PING * 3)
        assert begun.wait(30)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        while here.of.count:
            time.sleep(0.05)
        left.set()
        while here.server.server_state.tasks:
            time.sleep(0.05)
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_answers_are_those_of_the_bundle(listen, client):
    with listen() as here:
        body, fields = json.dumps(ROW).encode(), {"content-type": "application/json"}
        asked = http.client.HTTPConnection("127.0.0.1", here.port, timeout=30)
        for _ in range(3):
            asked.request("POST", "/invocations", body, fields)
            assert asked.getresponse().read() == ask(client, body).content
