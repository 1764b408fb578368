"""The ends of text files: one that was cut in writing reads like a whole one whose last number is smaller."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hwds.frames.reading.compressed import COMPRESSED, content_of, format_of
from hwds.frames.reading.download import local_files
from hwds.frames.reading.text import TEXT

WIDEST = 4
"""The most bytes that an encoding has for a line break."""


def without_line_break(path: str | None, *others: str | None, sha256: str | None = None) -> Iterator[str]:
    """Yield a remark for each path with text files that do not end with a line break, as one does that was cut in writing.

    Args:
        path: Of files that were read, see `local_files`; None for none.
        others: Paths beside it.
        sha256: The digest of the one file of `path`, if it was given: then it is whole.

    Raises:
        DataError: A file is no longer there.
    """
    for each in (path if sha256 is None else None, *others):
        cut = [file for file in local_files(each) if format_of(file) in TEXT and not _ends_a_line(file)] if each else []
        if cut:
            does = "does" if len(cut) == 1 else f"and {len(cut) - 1:,} more do"
            yield f"'{cut[0]}' {does} not end with a line break: if it was cut in writing, its last value is wrong."


def _ends_a_line(file: Path) -> bool:
    """Return whether the last character is a line break, in any of the encodings that have one byte or more for it."""
    if file.suffix.lower() in COMPRESSED:
        end = content_of(file, str(file))[-WIDEST:]
    else:
        with file.open("rb") as opened:
            opened.seek(-min(WIDEST, file.stat().st_size), os.SEEK_END)
            end = opened.read()
    return end.rstrip(b"\0").endswith((b"\n", b"\r"))
