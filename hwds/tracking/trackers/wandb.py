"""Weights & Biases: every record is written offline first, whole, and sent from there where there is a key."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from hwds.core.outputs import OUTPUTS
from hwds.core.recipe import Positive
from hwds.tracking.preflight import check_early, require_answer, require_installed, require_room
from hwds.tracking.record import Record
from hwds.tracking.trackers.base import Following, Tracker, TrackingError, refusals


class Wandb(Tracker):
    """A mirror in Weights & Biases: offline without a login where there is no key, and `hwds sync` sends it later.

    Attributes:
        project: The project of W&B that runs are sent to.
        entity: Whose project; the user's own where empty.
        mode: `online` and `auto` send at the end of a run, `auto` only where there is a key; `offline` never does.
        patience: Seconds that a server may take to answer before a run leaves what it wrote to `hwds sync`.
    """

    library: ClassVar[str] = "wandb"
    service: ClassVar[bool] = True
    project: str = "hwds"
    entity: str = ""
    mode: Literal["auto", "online", "offline"] = "auto"
    patience: Positive = 1.5

    def begin(self) -> None:
        """Import it and start its service; its caches go below `outputs/wandb`, too."""
        from hwds.tracking.wandb.sending import configure

        require_installed("wandb", "wandb")
        require_room(root())
        configure(root())
        import wandb

        if self.sends():
            check_early(self._health_address(), self.patience)
        if not hasattr(wandb, "Artifact"):
            raise TrackingError(f"wandb is not itself: {getattr(wandb, '__file__', wandb)} has no Artifact.")
        from hwds.tracking.wandb.writing import warmed

        with refusals():
            warmed(root())

    def write(self, records: Sequence[Record]) -> list[str]:
        """Write an offline folder for each record, as `wandb.init(mode="offline")` does."""
        from hwds.tracking.wandb.writing import write_offline

        with refusals():
            return [str(folder) for folder in write_offline(records, root(), self.project, self.entity)]

    def following(self) -> Following:
        """Return the offline folder that grows while the run computes."""
        from hwds.tracking.wandb.following import WandbFollowing

        return WandbFollowing(root(), self.project, self.entity)

    def there(self, places: Sequence[str]) -> bool:
        """Return whether each folder exists."""
        return all(Path(place).is_dir() for place in places)

    def unsent(self, places: Sequence[str]) -> list[str]:
        """Return the folders that wandb has not marked as sent."""
        return [place for place in places if Path(place).is_dir() and not list(Path(place).glob("*.synced"))]

    def sends(self) -> bool:
        """Return whether a run sends: not without a key, nor where `WANDB_MODE` forbids it."""
        from hwds.tracking.wandb.sending import has_key

        if self.mode == "offline" or os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
            return False
        return self.mode == "online" or has_key()

    def send(self, places: Sequence[str]) -> None:
        """Send folders by `wandb sync`, after a check that the server answers."""
        from hwds.tracking.wandb.sending import has_key, sync

        if not has_key():
            raise TrackingError("there is no key: set WANDB_API_KEY, or run `wandb login`.")
        require_answer(self._health_address(), self.patience)
        sync([Path(place) for place in places], root())

    def _health_address(self) -> str:
        from hwds.tracking.wandb.sending import server

        return f"{server()}/healthz"

    def location(self, places: Sequence[str]) -> str:
        """Return the location of the folders, and the command that sends them."""
        from hwds.tracking.wandb.sending import server

        left = len(self.unsent(places))
        where = os.path.relpath(places[0]) if len(places) == 1 else f"{len(places)} runs in {os.path.relpath(root())}"
        return f"W&B: {where}; `hwds sync` sends what is unsent." if left else f"W&B: sent to {server()}."


def root() -> Path:
    """Return the folder of the offline folders."""
    return (OUTPUTS / "wandb").resolve()
