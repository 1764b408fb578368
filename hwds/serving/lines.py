"""The line protocol of a server of events: one JSON object a line in, one answer a line out, whatever the bytes are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from hwds.core.errors import DataError
from hwds.serving.reading import parsed

if TYPE_CHECKING:
    from hwds.serving.online import Online

LONGEST = 1 << 20
"""Bytes of a line at most; the rest of a longer one is skipped."""


def answers(scorer: Online, stream: IO[bytes]) -> Iterator[str]:
    """Yield the answer to each line that is not empty, as JSON; what is wrong with a line is its answer.

    Args:
        scorer: What scores events and takes their labels.
        stream: Lines of UTF-8.
    """
    for line in _lines(stream):
        try:
            yield answer(scorer, _text(line))
        except DataError as error:
            # what is not Unicode can be in a message, but not in an answer
            message = str(error).encode("utf-8", "backslashreplace").decode()
            yield json.dumps({"error": message}, ensure_ascii=False)


def answer(scorer: Online, line: str) -> str:
    """Return the answer to an event, or whether a label or a return is new.

    Raises:
        DataError: The line is neither.
    """
    if '"of"' in line:
        message = parsed(line)
        if "of" in message and ("label" in message or "returned" in message):
            return json.dumps({"of": message["of"], "news": news(scorer, message)}, ensure_ascii=False)
    return scorer.score(line).json()


def news(scorer: Online, message: Mapping[str, Any]) -> bool:
    """Take a label or a return, and return whether it is news.

    Raises:
        DataError: The message is neither, or of no event that has arrived.
    """
    of, at = message["of"], message.get("at")
    if isinstance(of, bool) or not isinstance(of, str | int):
        raise DataError(f"message: must have the event's id under 'of', a text or a whole number, got {of!r}.")
    if not {"label", "returned"} & message.keys():
        raise DataError(f"message of '{of}': must have 'label' or 'returned'.")
    if "label" not in message:
        return scorer.returned(str(of), at)
    return scorer.label(str(of), message["label"], at, correct=message.get("correct") is True)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not empty; of one that is too long its beginning."""
    while line := stream.readline(LONGEST + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(LONGEST)):
            pass
        if line.strip():
            yield line


def _text(line: bytes) -> str:
    if len(line) > LONGEST:
        raise DataError(f"event: must be a line of {LONGEST:,} bytes at most.")
    try:
        return line.decode().strip()
    except UnicodeDecodeError as error:
        raise DataError(f"event: is no UTF-8 ({error}).") from error
