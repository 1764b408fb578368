"""Accepting: a worker takes one connection at a time and passes it to the parent before anything else is done with it.

A loop that accepts by itself takes all that wait, and makes their protocols in a later turn: a worker that is killed meanwhile,
as when one has just begun and clients wait for it, would leave them without a word.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from hwds.production.server.connections import line

LOOP = "hwds.production.server.accepting:new_loop"
"""The name by which uvicorn finds the loop."""

FULL, AGAIN = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM), 1.0
"""Errors of a process or system that has no room for a connection now, and seconds until it is tried again."""

Factory = Callable[[], asyncio.BaseProtocol]


class Accepting:
    """A server of one listening socket, as far as uvicorn asks something of it.

    Args:
        loop: The loop.
        factory: Makes the protocol of a connection.
        listening: The socket, which other workers may share.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, factory: Factory, listening: socket.socket) -> None:
        self._loop, self._factory, self._listening = loop, factory, listening
        self._opening: set[asyncio.Task[Any]] = set()
        self._waiting: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker has it, or nobody
            return
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._loop.remove_reader(self._listening)
            self._waiting = self._loop.call_later(AGAIN, self._listen)
            return
        line().made(connection.fileno())
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opening = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._listening)
        if self._waiting is not None:
            self._waiting.cancel()

    async def wait_closed(self) -> None:
        """Wait until what was accepted has its protocol."""
        if self._opening:
            await asyncio.wait(self._opening)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose servers accept so: uvloop's, or else that of asyncio."""
    base: Any
    try:
        from uvloop import Loop as base
    except ImportError:
        from asyncio import SelectorEventLoop as base

    class Loop(base):  # type: ignore[misc]
        async def create_server(self, protocol_factory: Factory, *, sock: socket.socket, backlog: int, **_: Any) -> Any:
            sock.listen(backlog)
            return Accepting(self, protocol_factory, sock)

    loop: asyncio.AbstractEventLoop = Loop()
    return loop
