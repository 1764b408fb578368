"""Alerts posted to a real server: in order, with an id, again where it was busy, never
elsewhere.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hwds.core.errors import HwdsError
from hwds.serve.stream.shard import open_sink
from tests.support.streams import messages, streamed


@pytest.fixture
def receiver():
    """A server that answers with the codes that it is given, 200 where none is left, and what it
    was sent.
    """
    got, codes = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((body, self.headers["Idempotency-Key"], self.headers["Authorization"]))
            code = codes.pop(0) if codes else 200
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/alerts", got, codes
        server.shutdown()
        thread.join()


def test_each_alert_is_posted_once_in_order_with_its_id(
    followed, lines, receiver, tmp_path, monkeypatch
):
    address, got, _ = receiver
    monkeypatch.setenv("HWDS_WEBHOOK_TOKEN", "a-long-token")
    streamed(tmp_path, followed, lines, sinks=[open_sink(address, tmp_path)])
    assert [body["number"] for body, _, _ in got] == list(range(1, len(messages(tmp_path)) + 1))
    assert all(key == body["id"] and token == "Bearer a-long-token" for body, key, token in got)


@pytest.mark.parametrize("code", [500, 302])
def test_an_answer_that_is_no_yes_ends_the_stream_after_patience(
    followed, lines, receiver, tmp_path, code
):
    address, got, codes = receiver
    codes += [200, code]
    with pytest.raises(
        HwdsError,
        match=rf"^stream: --to {address}: alert 2 was not taken \(the answer was {code}\); nothing",
    ):
        streamed(tmp_path, followed, lines, sinks=[open_sink(address, tmp_path)])
    streamed(tmp_path, followed, lines, sinks=[open_sink(address, tmp_path)])
    assert [body["number"] for body, _, _ in got] == [1, 2, *range(2, len(messages(tmp_path)) + 1)]


def test_the_id_of_a_machine_with_an_odd_name_is_a_lawful_header(receiver, tmp_path):
    address, got, _ = receiver
    open_sink(address, tmp_path).send("{}", "m\nX-Other: ä@5#1")
    assert [key for _, key, _ in got] == [r"m\nX-Other: \xe4@5#1"]
