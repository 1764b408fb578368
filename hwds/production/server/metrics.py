"""Counts of a server for Prometheus: each worker lays its own into a mapped file, and whoever is asked adds them up."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from mmap import mmap
from pathlib import Path

import numpy as np

from hwds.production.server.draws import ARMS

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STATUSES = (200, 400, 401, 404, 406, 408, 413, 415, 500, 503)
NAMES = (
    *(f"status_{status}" for status in STATUSES),
    *(f"bucket_{place}" for place in range(len(BUCKETS) + 1)),
    "seconds", "rows", "batches", "captured", "reloads", "reload_failures", "waiting",
    *(f"rows_{arm}" for arm in ARMS), "canary_failures", "shadow_failures", "shadow_left_out", "capture_failures",
)  # fmt: skip
PLACES = {name: place for place, name in enumerate(NAMES)}
STATUS_PLACES = {status: PLACES[f"status_{status}"] for status in STATUSES}
FIRST_BUCKET, SECONDS, ROWS = PLACES["bucket_0"], PLACES["seconds"], PLACES["rows"]


class Metrics:
    """The counts of one worker.

    Args:
        folder: Where all workers lay theirs.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        path = folder / f"worker-{os.getpid()}.counts"
        path.write_bytes(bytes(8 * len(NAMES)))
        with path.open("r+b") as file:
            self._counts = memoryview(mmap(file.fileno(), 0)).cast("d")  # a hundredth of the time of an array of numpy

    def add(self, name: str, value: float = 1.0) -> None:
        """Count."""
        self._counts[PLACES[name]] += value

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
        """Return the counts of all workers, those that have ended too; what waits is that of the living."""
        total = np.zeros(len(NAMES))
        for path in sorted(self._folder.glob("worker-*.counts")):
            counts = np.fromfile(path, np.float64)
            if len(counts) == len(NAMES):
                pid = int(path.stem.partition("-")[2])
                counts[PLACES["waiting"]] *= Path(f"/proc/{pid}").exists()
                total += counts
        return dict(zip(NAMES, total.tolist(), strict=True))

    def text(self, bundles: Mapping[str, tuple[str, str]]) -> str:
        """Return the counts in Prometheus' text format.

        Args:
            bundles: By arm the digest of its bundle and the label of its model.
        """
        total = self.total()
        lines = ["# HELP hwds_requests_total Requests by status.", "# TYPE hwds_requests_total counter"]
        lines += [f'hwds_requests_total{{status="{status}"}} {total[f"status_{status}"]:.0f}' for status in STATUSES]
        lines += ["# HELP hwds_request_seconds Seconds from the body to the answer.", "# TYPE hwds_request_seconds histogram"]
        running = 0.0
        for place, edge in enumerate((*BUCKETS, float("inf"))):
            running += total[f"bucket_{place}"]
            lines.append(f'hwds_request_seconds_bucket{{le="{"+Inf" if edge == float("inf") else f"{edge:g}"}"}} {running:.0f}')
        lines += [f"hwds_request_seconds_sum {total['seconds']:.6f}", f"hwds_request_seconds_count {running:.0f}"]
        for name, meaning, kind in (
            ("rows", "Questions that were answered.", "counter"),
            ("batches", "Calls of a model of rows, each for the requests that came together.", "counter"),
            ("captured", "Requests that were captured.", "counter"),
            ("capture_failures", "Requests that could not be captured.", "counter"),
            ("reloads", "Reloads, in all workers.", "counter"),
            ("reload_failures", "Reloads that were refused.", "counter"),
            ("canary_failures", "Requests that main answered because the canary failed.", "counter"),
            ("shadow_failures", "Requests that the shadow could not answer.", "counter"),
            ("shadow_left_out", "Requests that the shadow was not asked, for too many waited.", "counter"),
            ("waiting", "Requests that wait for an answer.", "gauge"),
        ):
            shown = f"hwds_{name}{'_total' if kind == 'counter' else ''}"
            lines += [f"# HELP {shown} {meaning}", f"# TYPE {shown} {kind}", f"{shown} {total[name]:.0f}"]
        lines += ["# HELP hwds_arm_rows_total Questions by the arm that answered.", "# TYPE hwds_arm_rows_total counter"]
        lines += [f'hwds_arm_rows_total{{arm="{arm}"}} {total[f"rows_{arm}"]:.0f}' for arm in bundles]
        lines += ["# HELP hwds_bundle The bundles that answer.", "# TYPE hwds_bundle gauge"]
        for arm, (digest, model) in bundles.items():
            quoted = model.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'hwds_bundle{{arm="{arm}",digest="{digest}",model="{quoted}"}} 1')
        return "\n".join(lines) + "\n"
