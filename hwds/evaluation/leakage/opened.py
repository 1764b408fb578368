"""Files that are not declared, connections and processes that a model opens while it is imported, fitted and predicts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwds.core.audit import is_of_system, opened_files
from hwds.core.hashing import digest_bytes
from hwds.core.numba_cache import cache_root
from hwds.core.outputs import OUTPUTS
from hwds.core.recipe import canonical, texts_in
from hwds.core.source import folder as sources
from hwds.evaluation.leakage.escapes import escapes

PACKAGE = str(Path(__file__).resolve().parents[2]) + os.sep
"""The folder of hwds, whose own files are no data."""

LIBRARIES = (".keras", ".config/matplotlib", ".cache/matplotlib")
"""Settings of libraries in the user's home, which they read when they are imported."""

CODE = (".py", ".pyc")
"""Suffixes of code, which is part of a cell's key and is read to make that."""

PACKAGES = (".egg-info", ".dist-info")
"""Endings of folders that say what is installed."""

_WRITTEN: set[str] = set()
"""All that this process has written while it was watched: whoever reads it later carries something from fit to fit."""


@dataclass(frozen=True)
class Watch:
    """Sees what is opened.

    Attributes:
        data: The files that the dataset was read from: no model may open them, declared or not.
        outputs: Where results and caches lie: nothing there may be opened either.
    """

    data: frozenset[str] = frozenset()
    outputs: str = str(OUTPUTS)

    @contextmanager
    def watching(self, *recipes: Any) -> Iterator[list[str]]:
        """Yield a list that holds in the end what was opened and may not be, in words.

        Args:
            recipes: Settings whose texts may name files: those are declared.
        """
        found: list[str] = []
        declared = {os.path.abspath(text) for recipe in recipes for text in texts_in(canonical(recipe))}
        with opened_files() as opened, escapes() as escaped:
            try:
                yield found
            finally:
                read = sorted(path for path in opened.read if os.path.exists(path) and not _of_library(path))
                found += [reason for path in read if (reason := self._told(path, declared))]
                found += list(dict.fromkeys(escaped))
                _WRITTEN.update(opened.written)

    def _told(self, path: str, declared: set[str]) -> str:
        """Return a file that may not be read, in words; empty for one that may."""
        real = os.path.realpath(path)
        shown = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
        if {path, real} & self.data or (path in declared and _digest(path) in {_digest(own) for own in self.data}):
            return f"reads {shown}, the data's own file"
        if real.startswith(os.path.realpath(self.outputs) + os.sep):
            return f"reads {shown}, what another run left"
        if path in _WRITTEN:
            return f"reads {shown}, which it wrote before"
        lawful = path in declared or path.endswith(CODE) or _of_system(real)
        return "" if lawful else f"reads {shown}, which no setting names"


def _of_system(path: str) -> bool:
    """Return whether a file is Python's, a library's or the system's; a folder of caches is not, nor is memory of a process."""
    private = "__pycache__" in Path(path).parts or path.endswith("/mem")
    return is_of_system(path) and not private


def _digest(path: str) -> str:
    """Return the digest of a file's content; empty for one that is gone."""
    return digest_bytes([Path(path).read_bytes()]) if os.path.isfile(path) else ""


def _of_library(path: str) -> bool:
    """Return whether a file is one of hwds, of a library's settings, or compiled code."""
    homes = tuple(str(Path.home() / name) + os.sep for name in LIBRARIES)
    own = (str(cache_root()) + os.sep, str(sources().absolute()) + os.sep)
    installed = any(part.endswith(PACKAGES) for part in Path(path).parts)
    return installed or path.startswith((PACKAGE, *own, *homes))
