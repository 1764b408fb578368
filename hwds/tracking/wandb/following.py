"""A run of W&B while it is computed: its offline folder grows; `wandb leet` shows it, `wandb beta sync --live` sends it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwds.tracking.record import Record
from hwds.tracking.trackers.base import refusals
from hwds.tracking.wandb.writing import Opened, write_offline


class WandbFollowing:
    """The offline folder of a run that is being computed.

    Args:
        root: The folder of the offline folders.
        project: The project of W&B.
        entity: Whose project.
    """

    def __init__(self, root: Path, project: str, entity: str) -> None:
        self.root, self.project, self.entity = root, project, entity
        self.opened: Opened | None = None

    def show(self, record: Record) -> None:
        """Log what is new."""
        with refusals():
            self.opened = self.opened or Opened(record, self.root, self.project, self.entity)
            self.opened.log(record.curves)

    def finish(self, records: Sequence[Record]) -> list[str]:
        """Complete the folder, and write those of a sweep's trials."""
        with refusals():
            folders = write_offline(records, self.root, self.project, self.entity, self.opened)
            return [str(folder) for folder in folders]

    def abandon(self) -> None:
        """End the folder as that of a run that failed."""
        if self.opened is not None:
            self.opened.run.finish(exit_code=1)
