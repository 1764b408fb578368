"""Settings of a server: limits, authentication, capture; handed to its workers as one text."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from hwds.core.errors import ConfigError

VARIABLE = "HWDS_SERVER"
"""The variable of the environment in which workers find the settings."""

TOKENS = "HWDS_SERVE_TOKENS"
"""The variable with the tokens, separated by blanks, that may ask; none lets everybody ask."""

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class ServerSettings:
    """Settings of a server.

    Attributes:
        folder: The bundle.
        trust: Where the trusted public keys are; None for the default place.
        store: Where events are kept; None for a folder beside the bundle.
        power: Whether an answer to an event outlives a loss of power.
        workers: Processes that answer.
        most_megabytes: The size of a body at most.
        most_rows: Questions of a request at most.
        waiting: Requests that may wait for an answer in a worker; more are refused with 503.
        batch_ms: Milliseconds that a row may wait for those of other requests, while requests come
            together.
        seconds: Seconds that an answer may take; then 503.
        read_seconds: Seconds that a body may take to arrive; then 408.
        head_seconds: Seconds that the head of a request may take to arrive, and a new connection
            may be silent.
        idle_seconds: Seconds that a connection stays between two requests.
        connections: Connections of a worker; where there are more, the one that is waited for
            longest makes room.
        canary: The folder of a bundle that answers a share of the units; None for none.
        canary_share: The share of the units that it answers.
        shadow: The folder of a bundle that answers every question for the record alone; None for
            none.
        capture: The folder of captured requests; None captures nothing.
        sample: The share of requests that are captured, by their ids.
        redact: Fields whose values are captured as `***`.
        log: What is logged: `all` requests, or `errors` and slow ones.
        tokens: SHA-256 of the tokens that may ask; none lets everybody ask.
        batch: Whether SageMaker's batch transform asks.
        strategy: Its strategy.
        concurrent: Its concurrent requests.
        scrape: The folder where workers lay their counts.
    """

    folder: str
    trust: str | None = None
    store: str | None = None
    power: bool = False
    workers: int = 2
    most_megabytes: float = 6.0
    most_rows: int = 10_000
    waiting: int = 64
    batch_ms: float = 0.0
    seconds: float = 55.0
    read_seconds: float = 30.0
    head_seconds: float = 10.0
    idle_seconds: float = 65.0
    connections: int = 4096
    canary: str | None = None
    canary_share: float = 0.0
    shadow: str | None = None
    capture: str | None = None
    sample: float = 1.0
    redact: tuple[str, ...] = ()
    log: str = "errors"
    tokens: tuple[str, ...] = field(default=(), repr=False)
    batch: bool = False
    strategy: str = "MULTI_RECORD"
    concurrent: int = 8
    scrape: str = ""

    @property
    def most_bytes(self) -> int:
        """The bytes of a body at most."""
        return int(self.most_megabytes * MEGABYTE)

    def with_platform(self, variables: Mapping[str, str]) -> Self:
        """Return the settings with what SageMaker's variables say.

        See its developer guide, "Use your own inference code".

        Raises:
            ConfigError: One is no number, or an unknown strategy.
        """
        changes: dict[str, Any] = {"batch": variables.get("SAGEMAKER_BATCH", "").lower() == "true"}
        if size := variables.get("SAGEMAKER_MAX_PAYLOAD_IN_MB"):
            changes["most_megabytes"] = _number("SAGEMAKER_MAX_PAYLOAD_IN_MB", size, 1024)
        if count := variables.get("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"):
            changes["concurrent"] = int(
                _number("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", count, 10_000)
            )
        if strategy := variables.get("SAGEMAKER_BATCH_STRATEGY", "").upper():
            if strategy not in ("SINGLE_RECORD", "MULTI_RECORD"):
                raise ConfigError(
                    f"SAGEMAKER_BATCH_STRATEGY: must be SINGLE_RECORD or MULTI_RECORD, got "
                    f"{strategy!r}."
                )
            changes["strategy"] = strategy
        return replace(self, **changes)

    def to_text(self) -> str:
        """Return the settings as text."""
        return json.dumps(asdict(self))

    @classmethod
    def of_environment(cls) -> Self:
        """Return the settings that the parent process has left."""
        stored = json.loads(os.environ[VARIABLE])
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in stored.items()
        }
        return cls(**given)


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the SHA-256 of tokens, which are separated by blanks."""
    return tuple(hashlib.sha256(token.encode()).hexdigest() for token in text.split())


def canary_of(text: str) -> tuple[str, float]:
    """Return the folder and the share of `FOLDER=PERCENT%`.

    Raises:
        ConfigError: It is not so written, or the share is not above 0 % and up to 100 %.
    """
    folder, _, share = text.rpartition("=")
    try:
        percent = float(share.removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not folder or not share.endswith("%") or not 0 < percent <= 100:
        raise ConfigError(f"--canary: must be a folder and a share, such as new=5%, got {text!r}.")
    return folder, percent / 100


def port_of(variables: Mapping[str, str]) -> int:
    """Return the port that SageMaker's variable names, 8080 where it names none.

    Raises:
        ConfigError: It is no port.
    """
    name = "SAGEMAKER_BIND_TO_PORT"
    return int(_number(name, variables.get(name) or "8080", 65_535))


def _number(name: str, text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= most:
        raise ConfigError(f"{name}: must be a number above 0 and up to {most:g}, got {text!r}.")
    return value
