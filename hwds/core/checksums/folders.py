"""Sealed folders: written whole or not at all, with the checksum of each of their files, by which damage is noticed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hwds.core.atomic import sync
from hwds.core.errors import HwdsError
from hwds.core.hashing import digest_file
from hwds.core.locks import making

SEAL = "checksums.json"
"""The file in a sealed folder with the checksum of every other one."""


def lay_sealed(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a folder, flush it to disk and seal it; a sound one stays, a damaged one is written again.

    Args:
        folder: The folder.
        fill: Writes its files, without folders among them; where it writes a seal too, that one holds.

    Raises:
        HwdsError: The folder cannot be written.
    """
    if is_sound(folder):
        return
    with making(folder):
        if is_sound(folder):
            return
        beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        try:
            shutil.rmtree(beside, ignore_errors=True)  # of a killed process with the same number, as in a container
            beside.mkdir(parents=True)
            fill(beside)
            _seal(beside)
            _put_in_place(beside, folder)
        except OSError as error:
            raise HwdsError(f"{folder}: cannot be written: {error.strerror or error}.") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def is_sound(folder: Path) -> bool:
    """Return whether a folder has all files of its seal, and each with its checksum."""
    return folder.is_dir() and not _damage(folder)


def require_sound(folder: Path, remedy: str) -> None:
    """Refuse a folder that is damaged.

    Args:
        folder: The folder.
        remedy: What to do about it.

    Raises:
        HwdsError: A file is absent or has another checksum, with its path.
    """
    if path := _damage(folder):
        raise HwdsError(f"{path}: is damaged; {remedy}.")


def _damage(folder: Path) -> Path | None:
    """Return the first file that is absent or has another checksum."""
    try:
        sums = dict(json.loads((folder / SEAL).read_bytes()))
    except (OSError, ValueError, TypeError):
        return folder / SEAL
    for path in (folder / str(name) for name in sums):
        if not path.is_file() or digest_file(path) != sums[path.name]:
            return path
    return None if {path.name for path in folder.iterdir()} == {SEAL, *sums} else folder / SEAL


def _seal(folder: Path) -> None:
    files = sorted(folder.iterdir())
    if folder / SEAL not in files:
        (folder / SEAL).write_text(json.dumps({path.name: digest_file(path) for path in files}))
    for path in (*folder.iterdir(), folder):
        sync(path)


def _put_in_place(beside: Path, folder: Path) -> None:
    """Rename a new folder to its place; a process that has mapped the files of the one before keeps them."""
    before = beside.with_name(f"{beside.name}.before")
    if folder.is_dir():
        folder.rename(before)
    beside.rename(folder)
    sync(folder.parent)
    shutil.rmtree(before, ignore_errors=True)
