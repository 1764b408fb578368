"""Weights & Biases: every record is written offline first, whole, and sent from there where there
is a key.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from hwds.core.files import OUTPUTS
from hwds.core.recipe import Positive
from hwds.track.preflight import check_early, require_answer, require_installed, require_room
from hwds.track.records import Record
from hwds.track.trackers.base import Following, Tracker, TrackingError, tracking_errors


class Wandb(Tracker):
    """A mirror in Weights & Biases: offline without a login where there is no key, and `hwds sync`
    sends it later.

    Attributes:
        project: The project of W&B that runs are sent to.
        entity: Whose project; the user's own where empty.
        mode: `online` and `auto` send at the end of a run, `auto` only where there is a key;
            `offline` never does.
        patience: Seconds that a server may take to answer before a run leaves what it wrote to
            `hwds sync`.
    """

    library: ClassVar[str] = "wandb"
    service: ClassVar[bool] = True
    project: str = "hwds"
    entity: str = ""
    mode: Literal["auto", "online", "offline"] = "auto"
    patience: Positive = 1.5

    def begin(self) -> None:
        """Import it and start its service; its caches go below `outputs/wandb`, too."""
        from hwds.track.wandb import configure_wandb

        require_installed("wandb", "wandb")
        require_room(wandb_root())
        configure_wandb(wandb_root())
        import wandb

        if self.sends():
            check_early(self._health_address(), self.patience)
        if not hasattr(wandb, "Artifact"):
            raise TrackingError(
                f"wandb is not itself: {getattr(wandb, '__file__', wandb)} has no Artifact."
            )
        from hwds.track.wandb import warm_service

        with tracking_errors():
            warm_service(wandb_root())

    def write(self, records: Sequence[Record]) -> list[str]:
        """Write an offline folder for each record, as `wandb.init(mode="offline")` does."""
        from hwds.track.wandb import write_offline

        with tracking_errors():
            return [
                str(folder)
                for folder in write_offline(records, wandb_root(), self.project, self.entity)
            ]

    def following(self) -> Following:
        """Return the offline folder that grows while the run computes."""
        from hwds.track.wandb import WandbFollowing

        return WandbFollowing(wandb_root(), self.project, self.entity)

    def there(self, places: Sequence[str]) -> bool:
        """Return whether each folder exists."""
        return all(Path(place).is_dir() for place in places)

    def unsent(self, places: Sequence[str]) -> list[str]:
        """Return the folders that wandb has not marked as sent."""
        return [
            place
            for place in places
            if Path(place).is_dir() and not list(Path(place).glob("*.synced"))
        ]

    def sends(self) -> bool:
        """Return whether a run sends: not without a key, nor where `WANDB_MODE` forbids it."""
        from hwds.track.wandb import has_key

        if self.mode == "offline" or os.environ.get("WANDB_MODE") in (
            "offline",
            "disabled",
            "dryrun",
        ):
            return False
        return self.mode == "online" or has_key()

    def send(self, places: Sequence[str]) -> None:
        """Send folders by `wandb sync`, after a check that the server answers."""
        from hwds.track.wandb import has_key, send_folders

        if not has_key():
            raise TrackingError("there is no key: set WANDB_API_KEY, or run `wandb login`.")
        require_answer(self._health_address(), self.patience)
        send_folders([Path(place) for place in places], wandb_root())

    def _health_address(self) -> str:
        from hwds.track.wandb import server_address

        return f"{server_address()}/healthz"

    def location(self, places: Sequence[str]) -> str:
        """Return the location of the folders, and the command that sends them."""
        from hwds.track.wandb import server_address

        left = len(self.unsent(places))
        where = (
            os.path.relpath(places[0])
            if len(places) == 1
            else f"{len(places)} runs in {os.path.relpath(wandb_root())}"
        )
        return (
            f"W&B: {where}; `hwds sync` sends what is unsent."
            if left
            else f"W&B: sent to {server_address()}."
        )


def wandb_root() -> Path:
    """Return the folder of the offline folders."""
    return (OUTPUTS / "wandb").resolve()
