"""Refused: an HTTP answer that says what the client did wrong, or why the server cannot answer now."""

from __future__ import annotations


class Refused(Exception):
    """A request that gets no answer.

    Attributes:
        status: The HTTP status: 4xx for what the client did, 503 where the server is not able now.
        reason: In words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
