"""Readings and alerts through a real broker: at least once, over restarts, with TLS; and addresses
refused in a line.
"""

import json
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from bench.streamed import Until
from hwds.core.errors import ConfigError, HwdsError
from hwds.serve.stream.shard import Shard, open_sink, open_source
from hwds.serve.stream.sources import Batch
from tests.support.mosquitto import SECURITY, Mosquitto
from tests.support.streams import RULES, messages, scores

TOPIC = "plant/press/readings"


def published(client, lines, topic=TOPIC):
    for info in [client.publish(topic, line, qos=1) for line in lines]:
        info.wait_for_publish(20)


def left(client):
    client.disconnect()
    client.loop_stop()


def followed_until(shard, source, count):
    """Take readings until so many have counted, or a minute has gone by."""
    stop = threading.Event()
    given_up = threading.Timer(60, stop.set)
    given_up.start()
    shard.run(Until(source, shard, count), stop)
    given_up.cancel()


@pytest.mark.mosquitto
def test_readings_and_alerts_go_through_a_broker_that_restarts(followed, lines, batch, tmp_path):
    where, store = tmp_path / "broker", tmp_path / "store"
    where.mkdir()
    with Mosquitto(where) as broker:
        address = f"mqtt://127.0.0.1:{broker.port}"
        listener = broker.client("listener", keep=True)
        heard = []
        listener.on_message = lambda _client, _data, message: heard.append(
            json.loads(message.payload)
        )
        listener.subscribe("plant/alerts", qos=1)
        sender = broker.client("sender")
        first = open_source(f"{address}/plant/+/readings", store, follow=False)
        first.close()  # from now on the broker keeps what comes
        published(sender, ["\n".join(lines[:50]), *lines[50:300]])
        left(
            sender
        )  # it would connect again by itself, amid what is sent below, and change its order
        broker.stop()
        broker.start()
        sink = open_sink(f"{address}/plant/alerts", store)
        with Shard(followed, store, replace(RULES, batch=40), [sink]) as shard:
            source = open_source(f"{address}/plant/+/readings", store, follow=False)
            followed_until(shard, source, 300)
            sender = broker.client("sender")
            published(sender, lines[250:])  # some come again
            followed_until(shard, source, len(lines))
            source.close()
            assert shard.state.totals["duplicates"] == 50
        deadline = time.monotonic() + 20
        while len(heard) < len(messages(store)) and time.monotonic() < deadline:
            time.sleep(0.01)
        left(sender)
        left(listener)
    assert scores(store) == batch
    assert [row["id"] for row in heard] == [
        row["id"] for row in sorted(heard, key=lambda row: row["number"])
    ]
    assert {row["id"] for row in heard} == {row["id"] for row in messages(store)}


@pytest.mark.mosquitto
def test_messages_that_want_no_acknowledgement_have_none(tmp_path):
    with Mosquitto(tmp_path) as broker:
        source = open_source(
            f"mqtt://127.0.0.1:{broker.port}/readings", tmp_path / "store", follow=False
        )
        sender, stop, heard = broker.client("sender"), threading.Event(), []
        given_up = threading.Timer(10, stop.set)
        given_up.start()
        sender.publish("readings", "0", qos=0)
        for batch in source.batches(None, 1, stop):
            heard += batch.lines
            if batch.lines and len(heard) < 3:
                batch.acknowledge()
                sender.publish("readings", str(len(heard)), qos=0)
            elif batch.lines:
                stop.set()
        given_up.cancel()
        connections = source._connection
        for ended in (source.close, sender.disconnect, sender.loop_stop):
            ended()
    assert (heard, connections) == (["0", "1", "2"], 1)


@pytest.mark.mosquitto
def test_a_broker_with_tls_is_known_by_its_authority(followed, lines, tmp_path):
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    new = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    openssl(
        *new,
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    )
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with Mosquitto(tmp_path, (cert, key, cert)) as broker:
        source = open_source(
            f"mqtts://127.0.0.1:{broker.port}/readings?ca={cert}", tmp_path / "store", follow=False
        )
        sink = open_sink(f"mqtts://127.0.0.1:{broker.port}/readings?ca={cert}", tmp_path / "store")
        sink.send(lines[0], "an alert that is a reading")
        with Shard(followed, tmp_path / "store", RULES) as shard:
            followed_until(shard, source, 1)
            assert shard.state.totals["readings"] == 1
        sink.close()
        source.close()
        with pytest.raises(
            HwdsError,
            match=r"^stream: mqtts://127\.0\.0\.1:\d+/readings: cannot be reached \(.*certificate",
        ):
            open_source(f"mqtts://127.0.0.1:{broker.port}/readings", tmp_path, follow=False)


@pytest.mark.mosquitto
@pytest.mark.skipif(SECURITY is None, reason="this mosquitto has no module of access rights")
def test_a_topic_that_may_not_be_heard_is_said(tmp_path):
    with Mosquitto(tmp_path, closed=True) as broker:
        refusal = (
            r"^stream: mqtt://127\.0\.0\.1:\d+/readings: refuses the topic \(Not authorized\)\.$"
        )
        with pytest.raises(HwdsError, match=refusal):
            open_source(
                f"mqtt://127.0.0.1:{broker.port}/readings", tmp_path / "store", follow=False
            )


@pytest.mark.mosquitto
def test_a_broker_sends_no_more_ahead_than_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("hwds.serve.stream.connections.UNACKNOWLEDGED", 7)
    with Mosquitto(tmp_path) as broker:
        source = open_source(
            f"mqtt://127.0.0.1:{broker.port}/readings", tmp_path / "store", follow=False
        )
        sender = broker.client("sender")
        published(sender, ["a line"] * 30, "readings")
        batches = source.batches(None, 1000, threading.Event())
        got: list[Batch] = []
        while sum(len(batch.lines) for batch in got) < 7:
            got.append(next(batches))
            assert len(got) < 100
        assert next(batches).lines == []  # a fifth of a second without another
        for batch in got:
            batch.acknowledge()
        assert len(next(batches).lines) > 0
        source.close()
        sender.disconnect()
        sender.loop_stop()


@pytest.mark.parametrize(
    ("make", "text", "message"),
    [
        (
            open_sink,
            "htp://a/b",
            "stream: --to: must begin with http://, https://, mqtt://, mqtts://, sns://, got "
            "'htp://a/b'",
        ),
        (
            open_sink,
            "alerts.txt",
            "stream: --to: must begin with http://, https://, mqtt://, mqtts://, sns://, got "
            "'alerts.txt'",
        ),
        (open_sink, "http:///x", "stream: --to http:///x: must have a host."),
        (
            open_sink,
            "http://u:word@h/x",
            "stream: --to http://***@h/x: must have no user; a token is sent if HWDS_WEBHOOK_TOKEN",
        ),
        (
            open_sink,
            "mqtt://h",
            "stream: --to mqtt://h: must have a topic after the host, mqtt://h/topic.",
        ),
        (
            open_sink,
            "mqtt://h/t?cafile=x",
            "stream: --to mqtt://h/t?cafile=x: no option 'cafile'; known: ca, cert, client, key.",
        ),
        (
            open_sink,
            "mqtt://h:x/t",
            "stream: --to mqtt://h:x/t: Port could not be cast to integer value as 'x'.",
        ),
        (
            open_sink,
            "mqtts://h/t?ca=/no/such",
            "stream: mqtts://h/t?ca=/no/such: the files of TLS cannot be read (",
        ),
        (
            open_sink,
            "mqtt://u:word@127.0.0.1:1/t",
            "stream: mqtt://***@127.0.0.1:1/t: cannot be reached (",
        ),
    ],
)
def test_a_wrong_address_is_refused_in_a_line(make, text, message, tmp_path):
    with pytest.raises((ConfigError, HwdsError)) as refusal:
        make(text, tmp_path)
    assert str(refusal.value).startswith(message)
    assert "word" not in str(refusal.value)


def test_a_source_that_is_none_is_refused(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"^stream: --from: must begin with kafka://, kafkas://, kinesis://, mqtt://, "
        r"mqtts://, got 'http://a/b'",
    ):
        open_source("http://a/b", tmp_path, follow=False)
    with pytest.raises(ConfigError, match=r"^stream: --follow goes with a file alone\.$"):
        open_source("mqtt://a/b", tmp_path, follow=True)
    with pytest.raises(HwdsError, match=r"^stream: --from no\.jsonl: No such file or directory\.$"):
        open_source("no.jsonl", tmp_path, follow=False)
