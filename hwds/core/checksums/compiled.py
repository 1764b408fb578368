"""The files in which numba caches compiled code, each with a checksum: a flipped bit in machine code computes other numbers."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path
from typing import Any

from hwds.core.atomic import write_bytes
from hwds.core.cache import CHECKSUM
from hwds.core.hashing import digest_bytes


def with_checksums(dispatcher: Any) -> Any:
    """Return a compiled function of which numba writes and reads its files with a checksum; damaged ones are made again."""
    dispatcher._cache._cache_file.__class__ = _checked_files()
    return dispatcher


@cache
def _checked_files() -> type[Any]:
    from numba.core.caching import IndexDataCacheFile

    base: Any = IndexDataCacheFile  # it has no types

    class CheckedFiles(base):  # type: ignore[misc]
        """The index and the data files of one function. Private methods of numba's, of which a test of every release tells."""

        def _load_index(self) -> dict[Any, str]:
            content = checked_content(Path(self._index_path))
            version, stamp, overloads = pickle.loads(content) if content is not None else ("", None, {})
            return dict(overloads) if (version, stamp) == (self._version, self._source_stamp) else {}

        def _save_index(self, overloads: dict[Any, str]) -> None:
            _write(Path(self._index_path), self._dump((self._version, self._source_stamp, overloads)))

        def _load_data(self, name: str) -> Any:
            content = checked_content(Path(self._data_path(name)))
            if content is None:
                raise OSError(f"{name} is damaged")  # of which numba makes a new one
            return pickle.loads(content)

        def _save_data(self, name: str, data: Any) -> None:
            _write(Path(self._data_path(name)), self._dump(data))

    return CheckedFiles


def checked_content(path: Path) -> bytes | None:
    """Return the content of a file without its checksum; None where there is none, or it is damaged."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    checksum, content = data[:CHECKSUM], data[CHECKSUM:]
    return content if digest_bytes([content]).encode() == checksum else None


def _write(path: Path, content: bytes) -> None:
    write_bytes(path, digest_bytes([content]).encode() + content)
