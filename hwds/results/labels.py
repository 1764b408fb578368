"""Labels: tags, a note and a name that a user gives a run, in a file beside its tables."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from hwds.core.checksums.files import read_json, write_json
from hwds.core.errors import ConfigError

FILE = "labels.json"

KEEP = "keep"
"""The tag of folders that `hwds prune` never deletes."""


@dataclass(frozen=True, slots=True)
class Labels:
    """A user's labels of a run; no number depends on them.

    Attributes:
        tags: Single words, sorted.
        note: Free text on one line.
        name: Its name in lists in place of its folder; empty for that.
    """

    tags: tuple[str, ...] = ()
    note: str = ""
    name: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the labels of a folder; none where it has no such file.

        Raises:
            ValueError: The file is damaged.
        """
        path = folder / FILE
        data: dict[str, Any] = read_json(path) if path.is_file() else {}
        return cls(tuple(map(str, data.get("tags", ()))), str(data.get("note", "")), str(data.get("name", "")))

    def write(self, folder: Path) -> None:
        """Write them into a folder.

        Raises:
            HwdsError: The folder cannot be written.
        """
        write_json(folder / FILE, asdict(self), ensure_ascii=False)

    def tagged(self, words: tuple[str, ...]) -> Self:
        """Return the labels with tags added, and without those that are prefixed by `-`.

        Raises:
            ConfigError: A tag is not a single word.
        """
        bad = next((word for word in words if not re.fullmatch(r"-?\w[\w.:/-]*", word)), None)
        if bad is not None:
            raise ConfigError(f"tag: must be one word of letters, digits, '.', ':', '/', '_' and '-', got '{bad}'.")
        added = {word for word in words if not word.startswith("-")}
        removed = {word[1:] for word in words if word.startswith("-")}
        return replace(self, tags=tuple(sorted((set(self.tags) | added) - removed)))

    def named(self, text: str) -> Self:
        """Return the labels with another name; an empty one removes it."""
        return replace(self, name=" ".join(text.split()))

    def noted(self, text: str) -> Self:
        """Return the labels with another note; an empty one removes it."""
        return replace(self, note=" ".join(text.split()))
