"""Digests of settings and bytes, of which cache keys and the names of run folders are made."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def digest(data: Any) -> str:
    """Return the digest of plain data (16 hexadecimal digits); the order of keys does not matter."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def digest_bytes(parts: Iterable[bytes | memoryview]) -> str:
    """Return the digest of a sequence of byte strings (32 hexadecimal digits)."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def digest_file(path: Path) -> str:
    """Return the digest of the content of a file, as of `digest_bytes`, without loading all of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
