"""Finished cells and result folders in an object store beside the local disk: S3, GCS, HDFS or a mounted folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from hwds.errors import ConfigError, HwdsError
from hwds.execution.cache import CellCache
from hwds.execution.job import Outcome
from hwds.protocols.base import Cell
from hwds.results.atomic import write_atomically
from hwds.results.folder import OUTPUTS


@dataclass(frozen=True)
class MirroredCells(CellCache):
    """A cell cache whose files lie in an object store too: what is not here is fetched from there.

    Attributes:
        url: Of the store, the folder of all outputs.
    """

    url: str

    @cached_property
    def there(self) -> dict[str, str]:
        """Paths in the store by name, as they were when it was first looked; what this process puts is added."""
        return {Path(path).name: path for path in files_below(self.url, "cache/cells")}

    def has(self, key: str) -> bool:
        """Whether a cell is here or there."""
        return super().has(key) or f"{key}.parquet" in self.there

    def runs(self, fold: str) -> list[tuple[int, int]]:
        """Start and stop of every finished run of units, here or there."""
        names = [name for name in self.there if name.startswith(f"{fold}-")]
        far = {(int(start), int(stop)) for _, start, stop in (Path(name).stem.rsplit("-", 2) for name in names)}
        return sorted({*super().runs(fold), *far})

    def get(self, key: str, cell: Cell) -> Outcome | None:
        """A cell from here, or fetched from there."""
        name = f"{key}.parquet"
        if not super().has(key) and name in self.there:
            write_atomically(self.path(key), partial(_fill, fetch(self.url, self.there[name])))
        return super().get(key, cell)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keep one here, then there."""
        super().put(key, outcome)
        if outcome.rows is not None:
            path = self.path(key)
            self.there[path.name] = send(self.url, f"cache/cells/{key[:2]}/{path.name}", path.read_bytes())


def upload(folder: Path, url: str) -> None:
    """A folder of results to the same place below a store's URL; locks and what is half written stay."""
    base = OUTPUTS.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            send(url, path.relative_to(base).as_posix(), path.read_bytes())


def files_below(url: str, folder: str) -> list[str]:
    """The paths of all files in a folder of a store; none where it is not there."""
    from pyarrow.fs import FileSelector, FileType

    system, base = _opened(url)
    with _told(url):
        found = system.get_file_info(FileSelector(f"{base}/{folder}", allow_not_found=True, recursive=True))
    return [info.path for info in found if info.type == FileType.File]


def fetch(url: str, path: str) -> bytes:
    """The content of a file of a store."""
    system, _ = _opened(url)
    with _told(url), system.open_input_stream(path) as stream:
        content: bytes = stream.read()
    return content


def send(url: str, name: str, content: bytes) -> str:
    """Write a file below a store's URL, whole or not at all; its path in the store."""
    from pyarrow.fs import LocalFileSystem

    system, base = _opened(url)
    path = f"{base}/{name}"
    if isinstance(system, LocalFileSystem):  # an object store has no half files, a disk has
        write_atomically(Path(path), partial(_fill, content))
        return path
    with _told(url), system.open_output_stream(path) as stream:
        stream.write(content)
    return path


def _fill(content: bytes, part: Path) -> None:
    part.write_bytes(content)


@cache
def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        ConfigError: It is none that is known.
    """
    import pyarrow
    from pyarrow.fs import FileSystem

    try:
        system, base = FileSystem.from_uri(url)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ConfigError(f"compute.storage: must be a URL such as s3://bucket/path, got '{url}': {error}") from error
    return system, base.rstrip("/")


@contextmanager
def _told(url: str) -> Iterator[None]:
    """What a store refuses, in one line."""
    try:
        yield
    except OSError as error:
        raise HwdsError(f"compute.storage: '{url}': {str(error).splitlines()[0]}") from error
