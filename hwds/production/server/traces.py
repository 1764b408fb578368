"""Traces of requests by OpenTelemetry, where its variables name a collector; W3C's `traceparent` is passed on either way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

from hwds.core.errors import ConfigError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables of the environment that name the collector; without one no span is made."""

PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""The form of a `traceparent` (W3C, "Trace Context", 2021)."""

TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")
"""The `traceparent` of the request that is being answered: that of its span, or else the client's own."""

Headers = Mapping[bytes, bytes]


class Traces:
    """Makes a span of each request.

    Args:
        provider: Makes tracers; it is OpenTelemetry's.
    """

    def __init__(self, provider: Any) -> None:
        self._provider, self._tracer = provider, provider.get_tracer("hwds")

    @classmethod
    def of_environment(cls, variables: Mapping[str, str]) -> Traces | None:
        """Return the traces that the variables ask for; None where they name no collector.

        Raises:
            ConfigError: They name one, and OpenTelemetry is not installed.
        """
        endpoint = next((name for name in ENDPOINTS if variables.get(name)), None)
        if endpoint is None:
            return None
        if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
            raise ConfigError(f"{endpoint}: needs OpenTelemetry: pip install 'hwds[trace]'.")
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=Resource.create({"service.name": variables.get("OTEL_SERVICE_NAME", "hwds")}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def begin(self, route: str, headers: Headers) -> Any:
        """Return the span of a request, a child of the client's where that names one."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items() if name.startswith(b"trace")
        }
        parent = TraceContextTextMapPropagator().extract(carrier)
        attributes = {"http.request.method": "POST", "http.route": route}
        span = self._tracer.start_span(f"POST {route}", context=parent, kind=SpanKind.SERVER, attributes=attributes)
        known = span.get_span_context()
        TRACEPARENT.set(f"00-{known.trace_id:032x}-{known.span_id:016x}-{int(known.trace_flags):02x}")
        return span

    def end(self, span: Any, status: int, rows: int, why: str) -> None:
        """End a span with what came of the request."""
        from opentelemetry.trace import StatusCode

        span.set_attributes({"http.response.status_code": status, "hwds.rows": rows})
        if status >= 500:
            span.set_status(StatusCode.ERROR, why)
        span.end()

    def close(self) -> None:
        """Send what is not sent yet."""
        self._provider.shutdown()


def passed_on(headers: Headers) -> None:
    """Note the `traceparent` of a client, where it is one, for the log and the capture of its request."""
    given = headers.get(b"traceparent", b"").decode("latin-1")
    TRACEPARENT.set(given if PARENT.fullmatch(given) else "")  # one that came on the same connection has another
