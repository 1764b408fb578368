"""A run of MLflow while it is computed: its metrics grow, and it is marked as running."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.tracking.curves import Shown
from hwds.tracking.mlflow.store import Store
from hwds.tracking.record import Record
from hwds.tracking.trackers.base import refusals


class MlflowFollowing:
    """The run of MLflow of a run that is being computed.

    Args:
        address: The store's URI.
        artifacts: The folder of artifacts, for a store that keeps none itself.
    """

    def __init__(self, address: str, artifacts: str) -> None:
        self.address, self.artifacts = address, artifacts
        self.store: Store | None = None
        self.run = ""
        self.logged = Shown()

    def show(self, record: Record) -> None:
        """Log what is new."""
        with refusals():
            if self.store is None:
                self.store = Store(self.address, self.artifacts)
                self.run = self.store.begin(record)
            self.store.log_points(self.run, [self.logged.new(curve) for curve in record.curves])

    def finish(self, records: Sequence[Record]) -> list[str]:
        """Complete the run, and write those of a sweep's trials."""
        return (self.store or Store(self.address, self.artifacts)).write_all(records)

    def abandon(self) -> None:
        """Mark it as ended without results."""
        if self.store is not None:
            self.store.client.set_terminated(self.run, "KILLED")
