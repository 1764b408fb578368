"""The head node of a cluster: whether it answers, and what is said when it no longer does."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from threading import Thread

from hwds.errors import HwdsError
from hwds.execution.ray_token import admitted

PATIENCE = 5.0
"""Seconds in which the head node must take a connection."""

PAUSE, LOOKS = 2.0, 3
"""So many looks in a row, with a pause of so many seconds before each, that fail mean that it is gone."""

GONE = "hwds: the head node {} is gone. Every finished cell is kept; the same command goes on from there."


def reachable(address: str) -> str:
    """The address, if a head node listens there and takes this process.

    Raises:
        HwdsError: Nothing does, or it does not.
        ConnectionError: `auto`, and this node belongs to no cluster.
    """
    if address != "auto":
        _must_answer(address)
    admitted(address)
    return address


def _must_answer(address: str) -> None:
    try:
        _connect(address)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise HwdsError(f"compute.address: nothing answers at '{address}' ({said}); is the head node up?") from error


def watch_head() -> None:
    """End this process with one line when the head node is gone; Ray would wait a minute, and say it in words of its own."""
    import ray

    address = ray.get_runtime_context().gcs_address
    Thread(target=_watch, args=(address,), daemon=True, name="head node").start()


def _watch(address: str) -> None:
    import ray

    missed = 0
    while missed < LOOKS:
        time.sleep(PAUSE)
        missed = 0 if not ray.is_initialized() or _answers(address) else missed + 1
    with suppress(OSError, ValueError):  # whoever reads it may be gone
        sys.stdout.flush()
    sys.stderr.write(f"\n{GONE.format(address)}\n")
    sys.stderr.flush()
    os._exit(1)  # the thread that waits for Ray would wait on


def _answers(address: str) -> bool:
    try:
        _connect(address)
    except OSError:
        return False
    return True


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), PATIENCE).close()
