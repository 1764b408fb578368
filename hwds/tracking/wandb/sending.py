"""Sending offline folders: wandb's own `wandb sync` in a process of its own, which marks each folder that the server has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import urlsplit

from hwds.core.secrets import without_secrets
from hwds.tracking.trackers.base import TrackingError

RETRIES = {f"WANDB__{name}_RETRY_MAX": "3" for name in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")}
"""Few retries: a server that is down is reported soon, and unsent folders stay where they are."""

LONGEST = 3600
"""Seconds after which sending is abandoned."""


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
