"""Weights & Biases: every record is written offline first, whole, and sent from there where there is a key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from hwds.core.outputs import OUTPUTS
from hwds.core.recipe import Positive
from hwds.core.secrets import without_secrets
from hwds.tracking.preflight import check_early, require_answer, require_installed, require_room
from hwds.tracking.record import Record
from hwds.tracking.trackers.base import Following, Tracker, TrackingError, refusals
from hwds.tracking.wandb.writing import Opened, write_offline

RETRIES = {f"WANDB__{name}_RETRY_MAX": "3" for name in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")}
"""Few retries: a server that is down is reported soon, and unsent folders stay where they are."""

LONGEST = 3600
"""Seconds after which sending is abandoned."""


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
        from hwds.tracking.trackers.wandb import configure

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
        from hwds.tracking.trackers.wandb import WandbFollowing

        return WandbFollowing(root(), self.project, self.entity)

    def there(self, places: Sequence[str]) -> bool:
        """Return whether each folder exists."""
        return all(Path(place).is_dir() for place in places)

    def unsent(self, places: Sequence[str]) -> list[str]:
        """Return the folders that wandb has not marked as sent."""
        return [place for place in places if Path(place).is_dir() and not list(Path(place).glob("*.synced"))]

    def sends(self) -> bool:
        """Return whether a run sends: not without a key, nor where `WANDB_MODE` forbids it."""
        from hwds.tracking.trackers.wandb import has_key

        if self.mode == "offline" or os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
            return False
        return self.mode == "online" or has_key()

    def send(self, places: Sequence[str]) -> None:
        """Send folders by `wandb sync`, after a check that the server answers."""
        from hwds.tracking.trackers.wandb import has_key, sync

        if not has_key():
            raise TrackingError("there is no key: set WANDB_API_KEY, or run `wandb login`.")
        require_answer(self._health_address(), self.patience)
        sync([Path(place) for place in places], root())

    def _health_address(self) -> str:
        from hwds.tracking.trackers.wandb import server

        return f"{server()}/healthz"

    def location(self, places: Sequence[str]) -> str:
        """Return the location of the folders, and the command that sends them."""
        from hwds.tracking.trackers.wandb import server

        left = len(self.unsent(places))
        where = os.path.relpath(places[0]) if len(places) == 1 else f"{len(places)} runs in {os.path.relpath(root())}"
        return f"W&B: {where}; `hwds sync` sends what is unsent." if left else f"W&B: sent to {server()}."


def root() -> Path:
    """Return the folder of the offline folders."""
    return (OUTPUTS / "wandb").resolve()


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


def configure(root: Path) -> None:
    """Set wandb's environment: its caches lie beside its folders, not in the user's home, and it reports no errors."""
    for name in ("DATA", "CACHE", "ARTIFACT"):
        os.environ.setdefault(f"WANDB_{name}_DIR", str(root / ".own"))
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")


def server() -> str:
    """Return the address that wandb sends to: of the environment, or of its own settings."""
    given = os.environ.get("WANDB_BASE_URL")
    if given:
        return given.rstrip("/")
    import wandb

    return str(wandb.setup().settings.base_url).rstrip("/")


def has_key() -> bool:
    """Return whether there is a key: in the environment, or where `wandb login` writes it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return netrc(str(path)).authenticators(str(urlsplit(server()).hostname)) is not None
    except (OSError, NetrcParseError):
        return False


def sync(folders: Sequence[Path], root: Path) -> None:
    """Send folders; each is marked by wandb when the server has all of it, and lines that were sent before are overwritten.

    Raises:
        TrackingError: Some were not sent, with wandb's last message.
    """
    configure(root)
    environment = RETRIES | dict(os.environ) | {"WANDB_MODE": "online", "WANDB_DIR": str(root.parent)}
    words = [sys.executable, "-m", "wandb", "sync", *map(str, folders)]
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired as error:
        raise TrackingError(f"sending took more than {LONGEST} s; what was sent is marked.") from error
    left = [folder for folder in folders if not list(folder.glob("*.synced"))]
    if left:
        raise TrackingError(f"{len(left)} of {len(folders)} were not sent: {last_message(done.stdout + done.stderr)}")


def last_message(output: str) -> str:
    """Return the last meaningful line of the output, without secrets."""
    lines = [line.removeprefix("wandb: ").strip() for line in output.splitlines()]
    messages = [line for line in lines if line and not line.startswith(("Syncing", "[wandb sync]"))]
    errors = [line for line in messages if "ERROR" in line or "rror" in line]
    return without_secrets((errors or messages or ["wandb said nothing"])[-1])[:300]
