"""Signs of damage in a log: values with checksums, and the words for entries that are not there."""

from __future__ import annotations

import json
import re
from typing import Any
from zlib import crc32

_SUMMED = re.compile("[0-9a-f]{8} ")
"""The beginning of a value with its checksum."""


def with_checksum(name: str, value: Any) -> str:
    """Return a named value as JSON with a checksum in front."""
    content = json.dumps(value)
    return f"{_checksum(name, content)} {content}"


def checked_value(name: str, text: str) -> Any:
    """Return the value that `with_checksum` was given; those of earlier versions have no checksum.

    Raises:
        ValueError: It is damaged.
    """
    checksum, _, content = text.partition(" ") if _SUMMED.match(text) else ("", "", text)
    if checksum and checksum != _checksum(name, content):
        raise ValueError("another checksum")
    return json.loads(content)


def lost(first: int, last: int) -> str:
    """Return `3 acknowledged entries are lost (7 to 9)`."""
    if first == last:
        return f"acknowledged entry {first} is lost"
    return f"{last - first + 1:,} acknowledged entries are lost ({first} to {last})"


def missing(first: int, last: int) -> str:
    """Return `entry 7 is missing`, or `entries 7 to 9 are missing`."""
    return f"entry {first} is missing" if last <= first else f"entries {first} to {last} are missing"


def _checksum(name: str, content: str) -> str:
    return f"{crc32(f'{name} {content}'.encode('utf-8', 'surrogatepass')):08x}"
