"""Labels: tags and a note that a user gives a run, in a file of their own beside its tables."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from hwds.errors import ConfigError
from hwds.results.atomic import write_text

FILE = "labels.json"

KEEP = "keep"
"""The tag of what `hwds prune` never deletes."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What a user calls a run; no number depends on it.

    Attributes:
        tags: Single words, sorted.
        note: Free text on one line.
    """

    tags: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The labels of a folder; none where it has no such file.

        Raises:
            ValueError: The file is damaged.
        """
        path = folder / FILE
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(tuple(map(str, said.get("tags", ()))), str(said.get("note", "")))

    def write(self, folder: Path) -> None:
        """Keep them in a folder.

        Raises:
            HwdsError: The folder cannot be written.
        """
        write_text(folder / FILE, json.dumps(asdict(self), indent=1, ensure_ascii=False))

    def tagged(self, words: tuple[str, ...]) -> Self:
        """With tags added, and without those that a `-` stands before.

        Raises:
            ConfigError: One is no single word.
        """
        bad = next((word for word in words if not re.fullmatch(r"-?\w[\w.:/-]*", word)), None)
        if bad is not None:
            raise ConfigError(f"tag: must be one word of letters, digits, '.', ':', '/', '_' and '-', got '{bad}'.")
        added = {word for word in words if not word.startswith("-")}
        taken = {word[1:] for word in words if word.startswith("-")}
        return replace(self, tags=tuple(sorted((set(self.tags) | added) - taken)))

    def noted(self, text: str) -> Self:
        """With another note; an empty one takes it away."""
        return replace(self, note=" ".join(text.split()))
