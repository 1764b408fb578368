"""Frame: what a dataset gives, whatever its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self


class Frame(Protocol):
    """A Panel, a Table or a World: it can be named by its content, and laid where workers read it."""

    @property
    def fingerprint(self) -> str:
        """The digest of the content: part of the key of all that is computed from it."""

    def write(self, folder: Path) -> None:
        """Write it into an empty folder."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote."""
