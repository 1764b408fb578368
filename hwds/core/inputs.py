"""Input files: the data files that a user's own code reads while it is imported or computes, each with its digest.

A key can be made before the files are known. So what was computed is stored with the files that it came from, and it counts as
absent once one of them has another content.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from hwds.core.audit import opened_files, unseen
from hwds.core.hashing import digest_bytes, digest_file
from hwds.core.outputs import OUTPUTS

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
CODE = (".py", ".pyc", ".pyi", ".so")
"""Suffixes of code, which is in the keys otherwise."""

HOME = (".keras", ".config", ".cache", ".matplotlib", ".triton", ".nv")
"""Folders in the user's home where libraries keep settings and caches."""

Inputs = dict[str, str]
"""The digest of each file by its path, relative to the current folder where it lies below it; empty of one that is absent."""

CHANGED = "changed while it was used"

"""Stands for a digest that no content has."""

_READ: Inputs = {}
"""All that this process has noted: code may keep what it has read for the next cell."""

_COLLECTING: list[Inputs] = []
"""The mappings of the blocks that collect now."""

_RECORDING: list[bool] = []
"""One item for each block that records now."""


@contextmanager
def collected_inputs() -> Iterator[Inputs]:
    """Yield a mapping that holds in the end all that `note` added in the block."""
    collected: Inputs = {}
    _COLLECTING.append(collected)
    try:
        yield collected
    finally:
        _COLLECTING.remove(collected)


@contextmanager
def noted_inputs() -> Iterator[None]:
    """Note the data files that are read in the block."""
    _RECORDING.append(True)
    try:
        with opened_files() as opened:
            yield
    finally:
        _RECORDING.pop()
        note(digests(_relative(path) for path in sorted(opened.data_read()) if _is_data(path)))


def noting() -> bool:
    """Return whether a block notes what is read."""
    return bool(_RECORDING)


def note(inputs: Mapping[str, str]) -> None:
    """Add files to all that this process has noted, and to the blocks that collect now."""
    for known in (_READ, *_COLLECTING):
        known.update(inputs)


def read_so_far() -> Inputs:
    """Return all files that this process has noted; the content of one that has changed since is not known."""
    return {path: digest if _digest(path) == digest else CHANGED for path, digest in _READ.items()}


def digests(paths: Iterable[str]) -> Inputs:
    """Return files with their digests now."""
    return {path: _digest(path) for path in paths}


def unchanged(inputs: Mapping[str, str]) -> bool:
    """Return whether files have the digests that they had."""
    return all(_digest(path) == digest for path, digest in inputs.items())


def digest_of_changes(inputs: Mapping[str, str]) -> str:
    """Return a digest of the present content of files, by which runs of one config are told apart."""
    return digest_bytes(repr(pair).encode() for pair in sorted(digests(inputs).items()))


def _digest(path: str) -> str:
    try:
        about = os.stat(path)
        return _of_content(path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)
    except OSError:  # absent, or a folder
        return ""


@lru_cache(maxsize=4096)
def _of_content(path: str, *_: Any) -> str:
    with unseen():
        return digest_file(Path(path))


def _relative(path: str) -> str:
    here = os.getcwd() + os.sep
    return path.removeprefix(here)


def _is_data(path: str) -> bool:
    """Return whether a file is an input: no code, and nothing of hwds, of its caches or of a library's settings."""
    if path.endswith(CODE) or path.startswith(PACKAGE) or os.path.isdir(path):
        return False
    homes = tuple(str(Path.home() / name) + os.sep for name in HOME)
    caches = (str((OUTPUTS / "cache").absolute()) + os.sep, os.environ.get("NUMBA_CACHE_DIR", "\0") + os.sep)
    return not path.startswith((*homes, *caches))
