"""The head node of a cluster: a check that it answers, and a watch that ends this process when it no longer does."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from threading import Thread

from hwds.core.errors import HwdsError
from hwds.execution.ray.token import admitted

PATIENCE = 5.0
"""Seconds in which the head node must take a connection."""

PAUSE, LOOKS = 2.0, 3
"""Seconds between two looks, and failed looks in a row after which it is gone."""

GONE = "hwds: the head node {} is gone. Every finished cell is kept; the same command goes on from there."


def reachable(address: str) -> str:
    """Return the address, after a check that a head node listens there and admits this process.

    Raises:
        HwdsError: Nothing listens there, or it does not admit this process.
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
        reason = (error.strerror or str(error)).lower()
        raise HwdsError(f"compute.address: nothing answers at '{address}' ({reason}); is the head node up?") from error


def watch_head() -> None:
    """End this process with one line when the head node is gone; Ray would wait a minute, and print a traceback."""
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
