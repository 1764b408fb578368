"""Counts of a server for Prometheus: each worker lays its own into a mapped file, and whoever is asked adds them up."""

from __future__ import annotations

import os
from bisect import bisect_left
from pathlib import Path

import numpy as np

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STATUSES = (200, 400, 401, 404, 406, 408, 413, 415, 500, 503)
NAMES = (
    *(f"status_{status}" for status in STATUSES),
    *(f"bucket_{place}" for place in range(len(BUCKETS) + 1)),
    "seconds", "rows", "captured", "reloads", "reload_failures", "waiting",
)  # fmt: skip
PLACES = {name: place for place, name in enumerate(NAMES)}


class Metrics:
    """The counts of one worker.

    Args:
        folder: Where all workers lay theirs.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        path = folder / f"worker-{os.getpid()}.counts"
        self._counts = np.memmap(path, np.float64, "w+", shape=(len(NAMES),))

    def add(self, name: str, value: float = 1.0) -> None:
        """Count."""
        self._counts[PLACES[name]] += value

    def request(self, status: int, seconds: float, rows: int) -> None:
        """Count a request and its answer."""
        self.add(f"status_{status}")
        self.add(f"bucket_{bisect_left(BUCKETS, seconds)}")
        self.add("seconds", seconds)
        self.add("rows", rows)

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

    def text(self, bundle: str, model: str) -> str:
        """Return the counts in Prometheus' text format.

        Args:
            bundle: The digest of the bundle.
            model: The label of its model.
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
            ("captured", "Requests that were captured.", "counter"),
            ("reloads", "Reloads, in all workers.", "counter"),
            ("reload_failures", "Reloads that were refused.", "counter"),
            ("waiting", "Requests that wait for an answer.", "gauge"),
        ):
            shown = f"hwds_{name}{'_total' if kind == 'counter' else ''}"
            lines += [f"# HELP {shown} {meaning}", f"# TYPE {shown} {kind}", f"{shown} {total[name]:.0f}"]
        quoted = model.replace("\\", "\\\\").replace('"', '\\"')
        lines += ["# HELP hwds_bundle The bundle that answers.", "# TYPE hwds_bundle gauge"]
        lines.append(f'hwds_bundle{{digest="{bundle}",model="{quoted}"}} 1')
        return "\n".join(lines) + "\n"
