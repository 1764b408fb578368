"""Files on this machine for a `dataset.path` (a file, a glob, a URL), downloaded where need be, their digest checked."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tempfile
from pathlib import Path

from hwds.core.atomic import sync
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.outputs import OUTPUTS

DOWNLOADS = OUTPUTS / "cache" / "downloads"
"""A file there bears its digest as its name."""

_TIMEOUT = 60


def local_files(path: str, sha256: str | None = None) -> tuple[Path, ...]:
    """Return the files that a path means, in the order of their names.

    Args:
        path: A file, a glob (`sales/*.parquet`, `**` for nested folders) or an http(s) URL.
        sha256: The digest that the one file must have; needed for a URL.

    Raises:
        ConfigError: A URL without a digest, a digest for a glob, or a digest that is none.
        DataError: No such file, nothing matched, not fetched, or another digest.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigError(f"dataset.sha256: must be 64 hexadecimal digits, got '{sha256}'.")
    if re.match(r"https?://", path):
        return (_fetched(path, sha256),)
    file = Path(path).expanduser()
    if glob.has_magic(path) and not file.exists():
        return _matched(str(file), sha256)
    _must_be_a_file(path, file)
    if sha256 is not None:
        _must_match(path, _digest(file), sha256)
    return (file,)


def suffix(file: Path) -> str:
    """Return the suffix that says the format, in small letters."""
    return file.suffix.lower()


def _matched(pattern: str, sha256: str | None) -> tuple[Path, ...]:
    if sha256 is not None:
        raise ConfigError(f"dataset.sha256: names one file, but dataset.path is the glob '{pattern}'.")
    files = tuple(Path(name) for name in sorted(glob.glob(pattern, recursive=True)) if os.path.isfile(name))
    if not files:
        raise DataError(f"dataset.path: no file matches '{pattern}' (current folder: {Path.cwd()}).")
    return files


def _must_be_a_file(path: str, file: Path) -> None:
    if file.is_file():
        return
    if file.is_dir():
        raise DataError(f"dataset.path: '{path}' is a folder; give a file, or a glob such as '{file / '*.parquet'}'.")
    if not file.parent.is_dir():
        raise DataError(f"dataset.path: no file '{path}': there is no folder '{file.parent}' (current folder: {Path.cwd()}).")
    there = [entry.name for entry in file.parent.iterdir() if entry.is_file()]
    raise DataError(f"dataset.path: no file '{path}'{nearest(file.name, there)}")


def _fetched(url: str, sha256: str | None) -> Path:
    from urllib.parse import urlsplit

    if sha256 is None:
        raise ConfigError(f"dataset.sha256: must be given for a URL ('{url}').")
    file = DOWNLOADS / f"{sha256.lower()}{''.join(Path(urlsplit(url).path).suffixes[-2:])}"
    if not (file.is_file() and _digest(file) == sha256.lower()):
        data = _download(url)
        _must_match(url, hashlib.sha256(data).hexdigest(), sha256)
        _write(file, data)
    return file


def _download(url: str) -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_TIMEOUT) as response:
            data: bytes = response.read()
    except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
        raise DataError(f"dataset.path: '{url}' cannot be fetched ({error}).") from error
    return data


def _write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all: another run may read it at the same time."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            part.write(data)
        sync(Path(part.name))
        os.replace(part.name, file)
        sync(file.parent)
    except OSError as error:
        raise DataError(f"dataset.path: the download cannot be kept in '{file.parent}' ({error.strerror}).") from error


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"dataset.path: '{file}' cannot be read ({error.strerror}).") from error


def _must_match(path: str, actual: str, wanted: str) -> None:
    if actual != wanted.lower():
        raise DataError(f"dataset.sha256: '{path}' has the digest {actual}, not {wanted.lower()}.")
