"""Records of requests: counts for Prometheus, traces by OpenTelemetry, captures for a monitor."""

from __future__ import annotations

import hashlib
import json
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from mmap import mmap
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import numpy as np

from hwds.core.extras import require_installed
from hwds.core.questions import ID
from hwds.evaluation.serving import Answer, Question

if TYPE_CHECKING:
    from prometheus_client import Metric

# Draws: which requests are captured, and which units a canary answers, by a hash of their
# names.

MAIN, CANARY, SHADOW = ARMS = ("main", "canary", "shadow")
"""The bundle that answers, the one that answers a share of the units, and the one that answers for
the record alone.
"""


def share_of(question: Question, unit: str = "", purpose: str = "") -> float:
    """Return a number from 0 to 1 that is always the same for one unit, and uniform over units.

    Args:
        question: Its unit counts; without one its id, or what an event is a message of; without any
            all that it says.
        unit: The field that names the unit; empty where questions have none.
        purpose: Draws of different purposes are independent.
    """
    name = question.get(unit) if unit else None
    for field in (ID, "of"):
        name = question.get(field) if name is None else name
    named = json.dumps(question, sort_keys=True, default=str) if name is None else str(name)
    digest = hashlib.sha256(f"{purpose}{named}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


# Counts of a server for Prometheus: each worker lays its own into a mapped file, and whoever is
# asked adds them up.

TRACING = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
"""The modules that traces need."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STATUSES = (200, 400, 401, 404, 406, 408, 413, 415, 431, 500, 503)
COUNTERS = {
    "rows": "Questions that were answered.",
    "batches": "Calls of a model of rows, each for the requests that came together.",
    "captured": "Requests that were captured.",
    "capture_failures": "Requests that could not be captured.",
    "timed_out": "Connections that were closed because they took too long.",
    "made_room": "Connections that were closed because there were too many.",
    "reloads": "Reloads, in all workers.",
    "reload_failures": "Reloads that were refused.",
    "canary_failures": "Requests that main answered because the canary failed.",
    "shadow_failures": "Requests that the shadow could not answer.",
    "shadow_left_out": "Requests that the shadow was not asked, for too many waited.",
}
NAMES = (
    *(f"status_{status}" for status in STATUSES),
    *(f"bucket_{place}" for place in range(len(BUCKETS) + 1)),
    "seconds",
    "waiting",
    "clients",
    *(f"rows_{arm}" for arm in ARMS),
    *COUNTERS,
)
PLACES = {name: place for place, name in enumerate(NAMES)}
STATUS_PLACES = {status: PLACES[f"status_{status}"] for status in STATUSES}
FIRST_BUCKET, SECONDS, ROWS = PLACES["bucket_0"], PLACES["seconds"], PLACES["rows"]


class Metrics:
    """The counts of one worker.

    Args:
        folder: The folder in which all workers write their counts.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        path = folder / f"worker-{os.getpid()}.counts"
        path.write_bytes(bytes(8 * len(NAMES)))
        with path.open("r+b") as file:
            self._counts = memoryview(mmap(file.fileno(), 0)).cast(
                "d"
            )  # a hundredth of the time of an array of numpy

    def add(self, name: str, value: float = 1.0) -> None:
        """Count."""
        self._counts[PLACES[name]] += value

    def set(self, name: str, value: float) -> None:
        """Note a number that is no count."""
        self._counts[PLACES[name]] = value

    def of_living(self, name: str) -> list[float]:
        """Return the number of each worker that lives."""
        return [float(counts[PLACES[name]]) for counts, lives in self._of_workers() if lives]

    def counter(self, name: str) -> Callable[[float], None]:
        """Return the function that adds to a count."""
        return partial(self.add, name)

    def request(self, status: int, seconds: float, rows: int) -> None:
        """Count a request and its answer."""
        counts = self._counts
        counts[STATUS_PLACES[status]] += 1
        counts[FIRST_BUCKET + bisect_left(BUCKETS, seconds)] += 1
        counts[SECONDS] += seconds
        counts[ROWS] += rows

    def total(self) -> dict[str, float]:
        """Return the counts of all workers, those that have ended too.

        What waits is that of the living.
        """
        total = np.zeros(len(NAMES))
        for counts, lives in self._of_workers():
            counts[PLACES["waiting"]] *= lives
            total += counts
        return dict(zip(NAMES, total.tolist(), strict=True))

    def _of_workers(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Yield the counts of each worker, and whether it lives."""
        for path in sorted(self._folder.glob("worker-*.counts")):
            counts = np.fromfile(path, np.float64)
            if len(counts) == len(NAMES):
                yield counts, Path(f"/proc/{path.stem.partition('-')[2]}").exists()

    def text(self, bundles: Mapping[str, tuple[str, str]]) -> str:
        """Return the counts in Prometheus' text format.

        Args:
            bundles: The digest of the bundle and the label of the model, by arm.
        """
        from prometheus_client import generate_latest

        registry: Any = SimpleNamespace(collect=partial(_families, self.total(), bundles))
        return generate_latest(registry).decode()


def _families(
    total: Mapping[str, float], bundles: Mapping[str, tuple[str, str]]
) -> Iterator[Metric]:
    from prometheus_client import core

    def counter(name: str, meaning: str, label: str, values: Mapping[Any, float]) -> Metric:
        family = core.CounterMetricFamily(name, meaning, labels=[label])
        for value, count in values.items():
            family.add_metric([str(value)], count)
        return family

    by_status = {status: total[f"status_{status}"] for status in STATUSES}
    yield counter("hwds_requests", "Requests by status.", "status", by_status)
    edges = [*(f"{edge:g}" for edge in BUCKETS), "+Inf"]
    counts = accumulate(total[f"bucket_{place}"] for place in range(len(edges)))
    buckets, seconds = list(zip(edges, counts, strict=True)), total["seconds"]
    meaning = "Seconds from the body to the answer."
    yield core.HistogramMetricFamily("hwds_request_seconds", meaning, buckets, seconds)
    for name, meaning in COUNTERS.items():
        yield core.CounterMetricFamily(f"hwds_{name}", meaning, total[name])
    yield core.GaugeMetricFamily(
        "hwds_waiting", "Requests that wait for an answer.", total["waiting"]
    )
    by_arm = {arm: total[f"rows_{arm}"] for arm in bundles}
    yield counter("hwds_arm_rows", "Questions by the arm that answered.", "arm", by_arm)
    answering = core.GaugeMetricFamily(
        "hwds_bundle", "The bundles that answer.", labels=["arm", "digest", "model"]
    )
    for arm, names in bundles.items():
        answering.add_metric([arm, *names], 1)
    yield answering


# Traces of requests by OpenTelemetry, where its variables name a collector; W3C's `traceparent`
# is passed on either way.

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables of the environment that name the collector; without one no span is made."""

TRACEPARENT_FORM = re.compile(
    r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
"""The form of a `traceparent` (W3C, "Trace Context", 2021)."""

TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")
"""The `traceparent` of the request that is being answered: that of its span, or else the client's
own.
"""

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
        require_installed({endpoint: TRACING})
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(
            resource=Resource.create({"service.name": variables.get("OTEL_SERVICE_NAME", "hwds")})
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def begin(self, route: str, headers: Headers) -> Any:
        """Return the span of a request, a child of the client's where that names one."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in headers.items()
            if name.startswith(b"trace")
        }
        parent = TraceContextTextMapPropagator().extract(carrier)
        attributes = {"http.request.method": "POST", "http.route": route}
        span = self._tracer.start_span(
            f"POST {route}", context=parent, kind=SpanKind.SERVER, attributes=attributes
        )
        context = span.get_span_context()
        TRACEPARENT.set(
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        )
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


def pass_on(headers: Headers) -> None:
    """Note the `traceparent` of a client, where it is one, for the log and the capture of its
    request.
    """
    given = headers.get(b"traceparent", b"").decode("latin-1")
    TRACEPARENT.set(
        given if TRACEPARENT_FORM.fullmatch(given) else ""
    )  # one that came on the same connection has another


# Capture of requests and answers for a monitor, in the shape of SageMaker's data capture: a
# file an hour and worker.

HIDDEN = "***"


class CapturedArm(NamedTuple):
    """An arm that has answered: its name, the digest of its bundle, and the id of the request."""

    name: str
    bundle: str
    request: str


class Capture:
    """Writes a sample of questions with their answers.

    Args:
        folder: The folder to write to.
        sample: The share of requests that are kept; which ones follows from the id of their first
            question, or else from what it says.
        redact: Fields whose values are not written; nor are reasons then, which may say them in
            words.
    """

    def __init__(self, folder: Path, sample: float, redact: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._sample, self._redact = folder, sample, frozenset(redact)
        self._lock = Lock()  # a shadow answers in a thread of its own
        self._file: IO[str] | None = None
        self._hour = ""

    def is_drawn(self, questions: Sequence[Question]) -> bool:
        """Return whether a request is in the sample."""
        return bool(questions) and share_of(questions[0]) < self._sample

    def keep(
        self, questions: Sequence[Question], answers: Sequence[Answer], arm: CapturedArm
    ) -> None:
        """Write the questions of a request that an arm has answered.

        Args:
            questions: The questions of the arm.
            answers: The answers to them.
            arm: Its name, its bundle, and the id that the arms of one request share.
        """
        now = datetime.now(UTC)
        shown = [self._hide_fields(question) for question in questions]
        line = {
            "captureData": {
                "endpointInput": _part("INPUT", shown),
                "endpointOutput": _part("OUTPUT", [self._silent(answer) for answer in answers]),
            },
            "eventMetadata": {
                "eventId": str(uuid4()),
                "inferenceId": arm.request,
                "inferenceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "arm": arm.name,
                "bundle": arm.bundle,
                "traceparent": TRACEPARENT.get(),
            },
            "eventVersion": "0",
        }
        with self._lock:
            file = self._open(now.strftime("%Y-%m-%d-%H"))
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, hour: str) -> IO[str]:
        if self._file is None or hour != self._hour:
            self.close()
            self._hour = hour
            self._file = (self._folder / f"{hour}-{os.getpid()}.jsonl").open("a", encoding="utf-8")
        return self._file

    def _silent(self, answer: Answer) -> Any:
        """Return an answer without what a reason may say of a field that is not written."""
        return self._hide_fields(
            answer | {"reasons": HIDDEN} if self._redact and "reasons" in answer else answer
        )

    def _hide_fields(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {
                name: HIDDEN if name in self._redact else self._hide_fields(value)
                for name, value in node.items()
            }
        return [self._hide_fields(item) for item in node] if isinstance(node, list) else node


def _part(mode: str, rows: Sequence[Any]) -> dict[str, Any]:
    data = "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
    return {
        "observedContentType": "application/jsonlines",
        "mode": mode,
        "data": data,
        "encoding": "JSON",
    }
