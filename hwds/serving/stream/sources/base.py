"""Source: where lines come from, in batches that are acknowledged when they cannot be lost any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol


def nothing() -> None:
    """Acknowledge a batch of a source that remembers nothing."""


@dataclass(frozen=True)
class Batch:
    """Lines that came together.

    Attributes:
        lines: Without their ends; no newline is in any.
        position: How far the source was read with them, as JSON can hold it; None where it cannot be read again from there.
        acknowledge: Tells the source that they will not be read again.
    """

    lines: list[str]
    position: Any = None
    acknowledge: Callable[[], None] = nothing


class Source(Protocol):
    """Lines in their order, from where they were read to.

    Attributes:
        name: Its address or path, without secrets; positions are those of one source.
        ends: Whether no more lines will come once `batches` ends by itself.
    """

    name: str
    ends: ClassVar[bool]

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield batches until the source ends or `stop` is set; an empty one now and then where nothing comes.

        Args:
            position: Where to begin, of the last batch; None at the beginning.
            most: The most lines of a batch.
            stop: Set when no more are wanted.

        Raises:
            HwdsError: It cannot be read.
        """

    def close(self) -> None:
        """Let it go."""


def plain_lines(payload: bytes) -> list[str]:
    """Return the lines of a message that are not empty, as text whatever the bytes are."""
    text = payload.decode("utf-8", "backslashreplace").replace("\r", "\n").replace("\x00", "\\x00")
    return [line for line in text.split("\n") if line.strip()]


def lines_of(payloads: Iterable[bytes]) -> list[str]:
    """Return the lines of several messages, in their order."""
    return [line for payload in payloads for line in plain_lines(payload)]
