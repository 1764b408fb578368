"""Spans of requests go to OpenTelemetry where it is asked for, and a client's `traceparent` is
passed on either way.
"""

import json
import logging
import sys

import pytest

from hwds.core.errors import ConfigError
from hwds.serve.server.records import TRACEPARENT, Traces, pass_on
from tests.serve.test_arms import until_done
from tests.serve.test_server import ROW

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_span_is_a_child_of_the_clients(serve):
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    client = serve()
    client.core.traces = Traces(provider)
    client.post("/invocations", json=[ROW, ROW], headers={"traceparent": PARENT})
    client.post("/invocations", content=b"{")
    first, second = spans.get_finished_spans()
    assert (first.name, first.kind.name) == ("POST /invocations", "SERVER")
    assert f"{first.context.trace_id:032x}-{first.parent.span_id:016x}" == PARENT[3:52]
    assert (first.attributes["http.response.status_code"], first.attributes["hwds.rows"]) == (
        200,
        2,
    )
    assert (second.parent, second.attributes["http.response.status_code"]) == (None, 400)


def test_without_a_collector_a_traceparent_is_in_log_and_capture(serve, bundle, tmp_path, caplog):
    client = serve(capture=str(tmp_path / "cap"), log="all", shadow=str(bundle.folder))
    assert client.core.traces is None
    with caplog.at_level(logging.INFO, "hwds.server"):
        client.post("/invocations", json=ROW, headers={"traceparent": PARENT})
        client.post("/invocations", json=ROW, headers={"traceparent": "00-zz"})
    until_done(client.core._shadow)
    said = [json.loads(record.message).get("traceparent") for record in caplog.records]
    lines = [
        json.loads(line)
        for path in (tmp_path / "cap").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert said == [PARENT, None]
    for arm in ("main", "shadow"):
        facts = [line["eventMetadata"] for line in lines if line["eventMetadata"]["arm"] == arm]
        assert [each["traceparent"] for each in facts] == [PARENT, ""]


def test_a_request_on_the_same_connection_has_another_traceparent():
    pass_on({b"traceparent": PARENT.encode()})
    assert TRACEPARENT.get() == PARENT
    pass_on({})
    assert TRACEPARENT.get() == ""


def test_a_collector_without_opentelemetry_is_refused(monkeypatch):
    assert Traces.of_environment({}) is None
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(
        ConfigError,
        match=r"ENDPOINT needs opentelemetry-sdk: pip install 'hwds\[trace\]'",
    ):
        Traces.of_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"})
