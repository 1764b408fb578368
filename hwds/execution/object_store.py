"""Entries of the cache and result folders in an object store beside the local disk: S3, GCS, HDFS or a mounted folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from hwds.core.atomic import write_bytes
from hwds.core.cache import NO_INPUTS, Cache, Codec, Value
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.outputs import OUTPUTS

BELOW = "cache/cells"
"""The prefix of entries in a store."""


@dataclass(frozen=True)
class MirroredCache(Cache):
    """A cache whose entries lie in an object store too; an entry that is absent or damaged here is fetched from there.

    Attributes:
        url: Of the store, the folder of all outputs.
    """

    url: str

    @cached_property
    def there(self) -> dict[str, str]:
        """The paths in the store by name, as of the first look, and those that this process has stored."""
        return {Path(path).name: path for path in files_below(self.url, BELOW)}

    def has(self, key: str, codec: Codec[Value]) -> bool:
        """Return whether an entry is here or in the store."""
        return super().has(key, codec) or self.path(key, codec).name in self.there

    def keys(self, beginning: str, codec: Codec[Value]) -> list[str]:
        """Return the keys that begin so of entries that are here or in the store."""
        names = (Path(name) for name in self.there if name.startswith(beginning))
        far = {path.stem for path in names if path.suffix == f".{codec.suffix}"}
        return sorted({*super().keys(beginning, codec), *far})

    def load(self, key: str, codec: Codec[Value]) -> Value | None:
        """Return the value of an entry from here, or fetched from the store; one that is damaged there counts as absent."""
        value, path = super().load(key, codec), self.path(key, codec)
        if value is not None or path.name not in self.there:
            return value
        write_bytes(path, fetch(self.url, self.there[path.name]))
        value = super().load(key, codec)
        if value is None:
            del self.there[path.name]
        return value

    def store(self, key: str, codec: Codec[Value], value: Value, inputs: Mapping[str, str] = NO_INPUTS) -> None:
        """Keep a value here, then in the store."""
        super().store(key, codec, value, inputs)
        path = self.path(key, codec)
        self.there[path.name] = send(self.url, f"{BELOW}/{path.parent.name}/{path.name}", path.read_bytes())


def upload(folder: Path, url: str) -> None:
    """Copy a folder of results to the same place below a store's URL, without locks and half-written files."""
    base = OUTPUTS.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            send(url, path.relative_to(base).as_posix(), path.read_bytes())


def files_below(url: str, folder: str) -> list[str]:
    """Return the paths of all files in a folder of a store; none where it is not there."""
    from pyarrow.fs import FileSelector, FileType

    system, base = _opened(url)
    with _one_line(url):
        files = system.get_file_info(FileSelector(f"{base}/{folder}", allow_not_found=True, recursive=True))
    return [info.path for info in files if info.type == FileType.File]


def fetch(url: str, path: str) -> bytes:
    """Return the content of a file of a store."""
    system, _ = _opened(url)
    with _one_line(url), system.open_input_stream(path) as stream:
        content: bytes = stream.read()
    return content


def send(url: str, name: str, content: bytes) -> str:
    """Write a file below a store's URL, whole or not at all, and return its path in the store."""
    from pyarrow.fs import LocalFileSystem

    system, base = _opened(url)
    path = f"{base}/{name}"
    if isinstance(system, LocalFileSystem):  # an object store has no half files, a disk has
        write_bytes(Path(path), content)
        return path
    with _one_line(url), system.open_output_stream(path) as stream:
        stream.write(content)
    return path


@cache
def _opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        ConfigError: The URL is of no known kind.
    """
    import pyarrow
    from pyarrow.fs import FileSystem

    try:
        system, base = FileSystem.from_uri(url)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ConfigError(f"compute.storage: must be a URL such as s3://bucket/path, got '{url}': {error}") from error
    return system, base.rstrip("/")


@contextmanager
def _one_line(url: str) -> Iterator[None]:
    """Raise what a store refuses as an error of one line."""
    try:
        yield
    except OSError as error:
        raise HwdsError(f"compute.storage: '{url}': {str(error).splitlines()[0]}") from error
