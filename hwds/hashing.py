"""Digests of settings, bytes and source: what cache keys and run folders are made of."""

import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


def digest(data: Any) -> str:
    """The digest of plain data (16 hexadecimal digits); equal data in another order of keys gives the same."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def digest_bytes(parts: Iterable[bytes | memoryview]) -> str:
    """The digest of a sequence of byte strings (32 hexadecimal digits)."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def package_of(module: str) -> Path:
    """The folder of a module's top package, or the module's own file where it stands alone.

    A folder without `__init__.py` is a package too: it has no file, but places.
    """
    top = sys.modules[module.partition(".")[0]]
    file = getattr(top, "__file__", None)
    if file is None:
        places = [Path(place) for place in getattr(top, "__path__", ())]
        return places[0].resolve() if places else Path(sys.modules[module].__file__ or "").resolve()
    path = Path(file).resolve()
    return path.parent if path.name == "__init__.py" else path


@cache
def digest_source(folder: Path) -> str:
    """The digest of every Python file below a folder, or of one file: names and contents."""
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]
    return digest_bytes(part for file in files for part in (file.name.encode(), b"\0", file.read_bytes(), b"\0"))
