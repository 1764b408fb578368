"""Batches: the rows of requests that come together are answered by one call of the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from hwds.production.server.loaded import FAILURES
from hwds.production.services.base import Answer
from hwds.production.services.rows import ReadRow, RowService

MOST = 256
"""Rows of one call; more wait for the next one."""


class Waiting(NamedTuple):
    """The rows of a request, and where its answers are awaited."""

    rows: list[ReadRow]
    future: asyncio.Future[list[Answer]]


class Batches:
    """Collects the rows of concurrent requests.

    What arrives in the same turn of the loop is answered together, so that a request alone never waits. While requests come
    together, the next ones are collected for a stated time at most.

    Args:
        seconds: That a request may wait for others, while they come together; 0 waits for none.
        count: Called with 1 for each call of the model.
    """

    def __init__(self, seconds: float, count: Callable[[float], None]) -> None:
        self._seconds, self._count = seconds, count
        self._waiting: list[Waiting] = []
        self._service: RowService | None = None
        self._rows, self._together = 0, 1

    async def answer(self, service: RowService, rows: list[ReadRow]) -> list[Answer]:
        """Return the answers to the rows of one request, in their order."""
        if self._waiting and (self._service is not service or self._rows + len(rows) > MOST):
            self._flush()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Answer]] = loop.create_future()
        self._waiting.append(Waiting(rows, future))
        self._service, self._rows = service, self._rows + len(rows)
        if len(self._waiting) == 1:
            if self._seconds and self._together > 1:
                loop.call_later(self._seconds, self._flush)
            else:
                loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        """Answer all that wait."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if waiting and self._service is not None:
            self._together = len(waiting)
            self._settle(self._service, waiting)

    def _settle(self, service: RowService, waiting: list[Waiting]) -> None:
        """Answer requests by one call; where it fails, each by its own, so that the rows of one refuse no other."""
        self._count(1)
        try:
            answers = service.scored([row for each in waiting for row in each.rows])
        except FAILURES as error:  # the server says so to whose rows they are
            if len(waiting) > 1:
                for each in waiting:
                    self._settle(service, [each])
            elif not waiting[0].future.done():
                waiting[0].future.set_exception(error)
            return
        at = 0
        for each in waiting:
            if not each.future.done():
                each.future.set_result(answers[at : at + len(each.rows)])
            at += len(each.rows)
