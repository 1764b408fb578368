"""Connections that outlive their worker: the parent holds each, and says 503 for killed ones."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from mmap import mmap
from pathlib import Path
from typing import Any

from hwds.serve.server.app import REFUSAL_HEADERS, refusal_body
from hwds.serve.server.arms import LOG
from hwds.serve.server.settings import ServerSettings

# Connections that outlive their worker: the parent holds each beside it, and says 503 where a
# worker is killed.
# A worker passes the descriptor of a connection to the parent as soon as it has it
# (`accepting`), and says when it is lost; both go by a Unix socket. In a file that both have
# mapped stands whether each connection is asked, so that a request costs no system call. Where
# a worker ends, the socket ends too: the parent then says 503 to who was asking and has got
# nothing, by the kernel's own count of bytes, and to who asks on another connection until
# `PATIENCE` is over. Head and body of an answer leave together, so that none is cut between
# them; behind a part of an answer nothing is said. Over TLS the parent could say nothing, and
# holds nothing.

SLOTS, ASKED = 1 << 20, 1
"""Descriptors that a worker may have, and the bit of a state that says that a request has begun to
arrive.

Its other bits are the bytes of all answers before: where more have left, so has its answer; where
fewer have, one of them is still in the worker. Beside it stand the bytes that the worker has taken:
where the kernel gave it more, it was reading one. The third word has the bytes of all answers
before the last: where as many have left, nothing of the last has.
"""

USUAL = 1 << 12
"""Descriptors whose states have their place on the disk from the start: in a mapped file, one that
is full ends the process.
"""

WORDS, WORD_BYTES = 3, 8
"""Numbers of a state, and their bytes."""

TCP_TAKEN, TCP_UNSENT, TCP_SENT, TCP_BYTES = 128, 144, 200, 216
"""Where Linux' `struct tcp_info` has the bytes that have arrived, those to be sent, those sent (and
sent again); its end.
"""

ADDRESS, LONGEST, LONGEST_PATH = "parent", 32, 107
"""The name of the parent's socket in the folder of the server's counts, and the bytes of a message
and of its path at most.
"""

OWN, RESERVE = 1024, 64
"""Descriptors of the parent beside those of connections, and those kept free for the next worker
that it starts.
"""

SEND_SECONDS, PATIENCE = 0.05, 5.0
"""Seconds that a worker waits for a parent that does not read, and that the parent waits for
requests on idle connections.
"""

HEAD, CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100 Continue\r\n\r\n"
"""The beginning of the head of an answer, and what asks for the body of a request."""

BODY = refusal_body("the worker of this connection was killed; ask again.")
REFUSAL = b"".join(
    [
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n",
        b"content-length: %d\r\n" % len(BODY),
        *(name + b": " + text + b"\r\n" for name, text in REFUSAL_HEADERS[503]),
        b"\r\n" + BODY,
    ]
)


def can_hold(folder: Path) -> bool:
    """Return whether this system passes descriptors, message by message, by a socket in a folder:
    Linux, of a short path.
    """
    return sys.platform == "linux" and len(os.fsencode(folder / ADDRESS)) <= LONGEST_PATH


def most_descriptors() -> int:
    """Return the number of descriptors that the parent may have while it holds connections."""
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit

    limit, _ = getrlimit(RLIMIT_NOFILE)
    return SLOTS if limit == RLIM_INFINITY else limit - RESERVE


class Parent:
    """The parent's side: holds the connections of all workers.

    Args:
        folder: Of the server's counts, where the socket and the states are.
        most: Connections of all workers at most, for which the process may need more descriptors
            than it is allowed.
    """

    def __init__(self, folder: Path, most: int) -> None:
        _allow(most + OWN)
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(folder / ADDRESS))
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            line, _ = self._socket.accept()
            threading.Thread(target=self._hold, args=(line,), daemon=True).start()

    def _hold(self, line: socket.socket) -> None:
        """Hold the connections of a worker until it ends."""
        name, held, most = (
            line.recv(LONGEST).decode(),
            dict[int, socket.socket](),
            most_descriptors(),
        )
        if not name:  # killed before it could say
            line.close()
            return
        path = self._folder / name
        states = _mapped(path)
        while True:
            message, descriptors, *_ = socket.recv_fds(line, LONGEST, 1)
            if not message:
                break
            slot = int(message[1:])
            if slot in held:
                held.pop(slot).close()
            if descriptors and descriptors[0] < most:  # the lowest that is free
                held[slot] = socket.socket(fileno=descriptors[0])
            elif descriptors:
                os.close(descriptors[0])
        line.close()
        path.unlink(missing_ok=True)
        if held:
            count = refuse_left(
                {each: _waits(each, *states[WORDS * slot :][:WORDS]) for slot, each in held.items()}
            )
            LOG.warning(
                json.dumps(
                    {"event": "worker ended", "connections": len(held), "answered_503": count}
                )
            )


def refuse_left(held: dict[socket.socket, bool | None], patience: float = PATIENCE) -> int:
    """Say 503 on connections that nobody answers any more, and close them; return how many got it.

    What a client still sends is read until it has closed its side, for bytes that nobody reads
    would take the 503 with them.

    Args:
        held: The connections, each with whether an answer is waited for; None where a part of one
            may have left.
        patience: Seconds that they are listened to.
    """
    poll = select.poll()
    left = {connection.fileno(): connection for connection in held}
    refused = {
        connection.fileno() for connection, waits in held.items() if waits and _end(connection)
    }
    cut = {
        connection.fileno()
        for connection, waits in held.items()
        if waits is None and _end(connection, b"")
    }
    for descriptor in left:
        poll.register(descriptor, select.POLLIN)
    end = time.monotonic() + patience
    while left and (seconds := end - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(1000 * seconds):
            if not _read(left[descriptor]):
                poll.unregister(descriptor)
                left.pop(descriptor).close()
            elif descriptor not in refused | cut and _end(left[descriptor]):
                refused.add(descriptor)
    for connection in left.values():
        connection.close()
    return len(refused)


def _allow(descriptors: int) -> None:
    """Raise the limit of this process's descriptors to so many, as far as it may."""
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit

    soft, hard = getrlimit(RLIMIT_NOFILE)
    most = descriptors if hard == RLIM_INFINITY else min(descriptors, hard)
    if soft != RLIM_INFINITY and soft < most:
        setrlimit(RLIMIT_NOFILE, (most, hard))


def _mapped(path: Path) -> memoryview:
    """Return the states of a worker, shape (SLOTS x WORDS,)."""
    with path.open("r+b") as file:
        return memoryview(mmap(file.fileno(), SLOTS * WORDS * WORD_BYTES)).cast("Q")


def _waits(connection: socket.socket, state: int, taken: int, before: int) -> bool | None:
    """Return whether a client waits for an answer of a worker that has ended, by what the kernel
    has counted.

    Args:
        connection: The client's.
        state: What the worker noted last: bytes of answers, and whether it was asked.
        taken: The bytes that it noted to have taken.
        before: Bytes of the answers before the last.

    Returns:
        None where more has left than those answers, and not the last one whole as it was noted.
    """
    from fcntl import ioctl
    from termios import FIONREAD

    with suppress(
        OSError, AttributeError, struct.error
    ):  # another system counts nothing: who was asking is answered
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_BYTES)
        (arrived,), (unsent,) = (
            struct.unpack_from("Q", info, TCP_TAKEN),
            struct.unpack_from("I", info, TCP_UNSENT),
        )
        sent, again = struct.unpack_from("QQ", info, TCP_SENT)
        (unread,) = struct.unpack("i", ioctl(connection, FIONREAD, bytes(4)))
        more = sent - again + unsent - (state >> 1)
        if more in (0, len(CONTINUE)):
            return bool(state & ASKED) or arrived - unread > taken
        return True if sent - again + unsent == before else None
    return bool(state & ASKED)


def _read(connection: socket.socket) -> bytes:
    """Return bytes that have arrived; none where the client has gone."""
    with suppress(OSError):
        return connection.recv(1 << 16, socket.MSG_DONTWAIT)
    return b""


def _end(connection: socket.socket, words: bytes = REFUSAL) -> bool:
    """Send words as the last of a connection; return whether the client was there."""
    with suppress(OSError):
        connection.send(words, socket.MSG_DONTWAIT)
        connection.shutdown(socket.SHUT_WR)
        return True
    return False


class WorkerLine:
    """A worker's side.

    Args:
        folder: Of the server's counts.
    """

    def __init__(self, folder: Path) -> None:
        name = f"{os.getpid()}.connections"
        with (folder / name).open("w+b") as file:
            os.posix_fallocate(file.fileno(), 0, USUAL * WORDS * WORD_BYTES)
            file.truncate(SLOTS * WORDS * WORD_BYTES)
        self.states = _mapped(folder / name)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(str(folder / ADDRESS))
        self._socket.settimeout(SEND_SECONDS)
        self._socket.send(name.encode())

    def made(self, slot: int) -> None:
        """Pass a connection to the parent; one that cannot be passed ends with this worker."""
        for word in range(WORDS):
            self.states[WORDS * slot + word] = 0
        with suppress(OSError):
            socket.send_fds(self._socket, [b"+%d" % slot], [slot])

    def lost(self, slot: int) -> None:
        """Let the parent close its side."""
        with suppress(OSError):  # of a parent that has ended there is no side
            self._socket.send(b"-%d" % slot)


@cache
def line() -> WorkerLine:
    """Return this worker's line to the parent."""
    return WorkerLine(Path(ServerSettings.of_environment().scrape))


class HeldConnection(asyncio.Protocol):
    """Uvicorn's protocol of a connection, with its state kept where the parent sees it.

    Args:
        settings: As uvicorn gives them to its own protocol.
    """

    def __init__(self, **settings: Any) -> None:
        from uvicorn.protocols.http.auto import AutoHTTPProtocol

        own: Any = AutoHTTPProtocol(**settings)
        self._own, self._states, self._slot, self._taken = own, line().states, 0, 0
        self._complete: Callable[[], None] = own.on_response_complete
        own.on_response_complete = self._answered
        for name in ("eof_received", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(own, name))

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        self._slot = WORDS * transport.get_extra_info("socket").fileno()
        self._whole = CountingTransport(transport, self._note)
        self._own.connection_made(self._whole)

    def _note(self, written: int) -> None:
        """Note an answer before it leaves: where as many bytes have left, the parent may say 503 to
        what is next.
        """
        self._states[self._slot] = written << 1

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        slot = self._slot
        self._taken += len(data)
        self._states[slot + 2] = self._whole.written
        self._states[slot] = self._whole.written << 1 | ASKED
        self._states[slot + 1] = self._taken
        self._own.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        line().lost(self._slot // WORDS)
        self._own.connection_lost(exc)

    def _answered(self) -> None:
        self._whole.flush()
        self._states[self._slot] = self._whole.written << 1 | (
            not self._own.cycle.response_complete
        )  # another was pipelined
        self._complete()


class CountingTransport:
    """A transport that sends the head of an answer with what follows, and counts.

    Args:
        transport: The transport.
        note: Takes the bytes of all answers before the last of them is sent.

    Attributes:
        written: Bytes sent so far.
    """

    def __init__(self, transport: Any, note: Callable[[int], None]) -> None:
        self._transport, self._send, self._note, self._head, self.written = (
            transport,
            transport.write,
            note,
            b"",
            0,
        )

    def write(self, data: bytes) -> None:
        """Send bytes; the head of an answer waits for what follows."""
        if not self._head and data.startswith(HEAD) and not data.startswith(CONTINUE):
            self._head = data
            return
        if self._head:
            data, self._head = self._head + data, b""
        self.written += len(data)
        if not data.startswith(CONTINUE):
            self._note(self.written)
        self._send(data)

    def flush(self) -> None:
        """Send the head of an answer that nothing follows."""
        if self._head:
            head, self._head = self._head, b""
            self.written += len(head)
            self._note(self.written)
            self._send(head)

    def close(self) -> None:
        """Close the transport when all is sent."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


# Accepting: a worker takes one connection at a time and passes it to the parent before anything
# else is done with it.
# A loop that accepts by itself takes all that wait, and makes their protocols in a later turn:
# a worker that is killed meanwhile, as when one has just begun and clients wait for it, would
# leave them without a word.

LOOP = "hwds.serve.server.connections:new_loop"
"""The name by which uvicorn finds the loop."""

FULL, AGAIN = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM), 1.0
"""Errors of a process or system that has no room for a connection now, and seconds until it is
tried again.
"""

Factory = Callable[[], asyncio.BaseProtocol]


class Accepting:
    """A server of one listening socket, as far as uvicorn asks something of it.

    Args:
        loop: The loop.
        factory: Makes the protocol of a connection.
        listening: The socket, which other workers may share.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, factory: Factory, listening: socket.socket
    ) -> None:
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
        except (
            BlockingIOError,
            InterruptedError,
            ConnectionAbortedError,
        ):  # another worker has it, or nobody
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
        opening = self._loop.create_task(
            self._loop.connect_accepted_socket(self._factory, connection)
        )
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
        async def create_server(
            self, protocol_factory: Factory, *, sock: socket.socket, backlog: int, **_: Any
        ) -> Any:
            sock.listen(backlog)
            return Accepting(self, protocol_factory, sock)

    loop: asyncio.AbstractEventLoop = Loop()
    return loop
