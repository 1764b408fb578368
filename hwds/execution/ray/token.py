"""A check that a cluster admits this process, before Ray connects, which would print twenty refusals in twenty seconds."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hwds.core.errors import HwdsError

PATIENCE = 10.0
"""Seconds in which the head node must answer."""

HOW = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to it (or RAY_AUTH_TOKEN_PATH to its file; else ~/.ray/auth_token is read)"


def admitted(address: str) -> None:
    """Check that the head node accepts the token of this process; where Ray lacks the modules for it, Ray itself checks.

    Args:
        address: Of the head node; `auto` is the cluster that this node belongs to.

    Raises:
        HwdsError: The token is missing or wrong, or what answers is no head node of Ray.
        ConnectionError: `auto`, and this node belongs to no cluster.
    """
    try:
        import grpc
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
        from ray.exceptions import AuthenticationError
    except ImportError:
        return
    if address == "auto":
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)  # Ray does so for this address alone
    try:
        _request(address)
    except AuthenticationError as error:
        raise _without("none was given", address) from error
    except grpc.RpcError as error:
        code = error.code()
        if code is not grpc.StatusCode.UNAUTHENTICATED:
            raise HwdsError(f"compute.address: what answers at '{address}' is no head node of Ray ({code.name}).") from error
        raise _without("that of this process is another" if _has_token() else "none was given", address) from error


def _request(address: str) -> None:
    """Send the cheapest request that a head node answers."""
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.services import canonicalize_bootstrap_address

    messages: Any = import_module("ray.core.generated.gcs_service_pb2")  # they have no types
    stubs: Any = import_module("ray.core.generated.gcs_service_pb2_grpc")
    with init_grpc_channel(canonicalize_bootstrap_address(address) or address) as channel:
        stubs.NodeInfoGcsServiceStub(channel).GetClusterId(messages.GetClusterIdRequest(), timeout=PATIENCE)


def _has_token() -> bool:
    """Return whether this process has shown a token."""
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    return bool(is_token_auth_enabled())


def _without(why: str, address: str) -> HwdsError:
    return HwdsError(f"compute.address: the cluster at '{address}' asks for its token, and {why}; {HOW}.")
