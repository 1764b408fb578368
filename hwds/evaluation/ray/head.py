"""The head node of a cluster: reached, admitted by its token, watched; and a home for one's own."""

from __future__ import annotations

import atexit
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from hwds.core.errors import HwdsError
from hwds.evaluation.ray.cleanup import processes_left

# A check that a cluster admits this process, before Ray connects, which would print twenty
# refusals in twenty seconds.

TOKEN_PATIENCE = 10.0
"""Seconds in which the head node must answer."""

TOKEN_HELP = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to it (or RAY_AUTH_TOKEN_PATH to its "
    "file; else ~/.ray/auth_token is read)"
)


def require_admitted(address: str) -> None:
    """Check that the head node accepts the token of this process.

    Where Ray lacks the modules for it, Ray itself checks.

    Args:
        address: The address of the head node; `auto` is the cluster that this node belongs to.

    Raises:
        HwdsError: The token is missing or wrong, or what answers is no head node of Ray.
        ConnectionError: `auto`, and this node belongs to no cluster.
    """
    try:
        import grpc
        from ray._private.authentication.authentication_token_setup import (
            maybe_enable_token_auth_if_token_available,
        )
        from ray.exceptions import AuthenticationError
    except ImportError:
        return
    if address == "auto":
        maybe_enable_token_auth_if_token_available(
            warn_if_disabled=False
        )  # Ray does so for this address alone
    try:
        _request(address)
    except AuthenticationError as error:
        raise _token_refusal("none was given", address) from error
    except grpc.RpcError as error:
        code = error.code()
        if code is not grpc.StatusCode.UNAUTHENTICATED:
            raise HwdsError(
                f"compute.address: what answers at '{address}' is no head node of Ray "
                f"({code.name})."
            ) from error
        raise _token_refusal(
            "that of this process is another" if _has_token() else "none was given", address
        ) from error


def _request(address: str) -> None:
    """Send the cheapest request that a head node answers."""
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.services import canonicalize_bootstrap_address

    messages: Any = import_module("ray.core.generated.gcs_service_pb2")  # they have no types
    stubs: Any = import_module("ray.core.generated.gcs_service_pb2_grpc")
    with init_grpc_channel(canonicalize_bootstrap_address(address) or address) as channel:
        stubs.NodeInfoGcsServiceStub(channel).GetClusterId(
            messages.GetClusterIdRequest(), timeout=TOKEN_PATIENCE
        )


def _has_token() -> bool:
    """Return whether this process has shown a token."""
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    return bool(is_token_auth_enabled())


def _token_refusal(why: str, address: str) -> HwdsError:
    return HwdsError(
        f"compute.address: the cluster at '{address}' asks for its token, and {why}; {TOKEN_HELP}."
    )


# The head node of a cluster: a check that it answers, and a watch that ends this process when
# it no longer does.

PATIENCE = 5.0
"""Seconds in which the head node must take a connection."""

PAUSE, LOOKS = 2.0, 3
"""Seconds between two looks, and failed looks in a row after which it is gone."""

GONE = "hwds: the head node {} is gone. Every finished cell is kept; the same command continues."


def require_reachable(address: str) -> str:
    """Return the address, after a check that a head node listens there and admits this process.

    Raises:
        HwdsError: Nothing listens there, or it does not admit this process.
        ConnectionError: `auto`, and this node belongs to no cluster.
    """
    if address != "auto":
        _must_answer(address)
    require_admitted(address)
    return address


def _must_answer(address: str) -> None:
    try:
        _connect(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise HwdsError(
            f"compute.address: nothing answers at '{address}' ({reason}); is the head node up?"
        ) from error


def watch_head() -> None:
    """End this process with one line when the head node is gone.

    Ray would wait a minute, and print a traceback.
    """
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


# The folder of Ray's sockets, logs and spilled objects on this machine; no file and no process
# is left behind.

LONGEST_FOLDER = 24
"""The most letters of a folder of temporary files: the paths of Ray's sockets below it may have
107.
"""

VARIABLE = "HWDS_RAY_HOME"
"""The variable that all processes of Ray inherit, and are recognised by."""

KEEP_VARIABLE = "SPT_NOENV"
"""The variable that keeps it readable: a process of Ray would otherwise write its title over its
variables.
"""


TOKEN = "RAY_AUTH_TOKEN"
"""The variable of the token that joining takes. Where none is set Ray leaves one in `~/.ray`, which
locks later clusters.
"""


@cache
def ray_home() -> Path:
    """Return an empty folder that is gone when this process has ended, with all processes of Ray
    that use it.
    """
    temporary = tempfile.gettempdir()
    folder = (
        Path(temporary if len(temporary) <= LONGEST_FOLDER else "/tmp")
        / f"hwds-ray-{getpass.getuser()}"
        / str(os.getpid())
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ |= {VARIABLE: str(folder), KEEP_VARIABLE: "1"}
    os.environ.setdefault(TOKEN, secrets.token_hex(32))
    sweeper = Path(__file__).with_name("cleanup.py")
    command = [sys.executable, "-I", "-S", str(sweeper), str(folder)]
    nowhere = subprocess.DEVNULL
    waiting = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    atexit.register(_clean_up, folder, waiting)
    return folder


def _clean_up(folder: Path, waiting: subprocess.Popen[bytes]) -> None:
    """End Ray, then its processes, then remove the folder: a raylet that had to be killed leaves
    its agents.
    """
    import ray

    ray.shutdown()
    if processes_left(str(folder)):
        waiting.communicate()
    shutil.rmtree(folder, ignore_errors=True)
    waiting.kill()
    waiting.wait()
