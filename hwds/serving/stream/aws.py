"""Clients of Amazon's services by the ARN of what is read or sent to; region and account are in it, credentials are boto3's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.secrets import without_secrets

ARN = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z]+):(?P<region>[a-z0-9-]+):\d{12}:(?P<resource>[\w./-]+)", re.ASCII)
"""An Amazon resource name."""

RESOURCES = {"kinesis": "stream/", "sns": ""}
"""The beginning of the name of a service's resource."""

TIMEOUT = 10.0
"""Seconds until an answer has to come."""


@dataclass(frozen=True)
class Resource:
    """A stream or a topic, and the client that reaches it.

    Attributes:
        arn: Its Amazon resource name.
        client: Of boto3.
        errors: The exceptions of a request that failed.
    """

    arn: str
    client: Any
    errors: tuple[type[Exception], ...]


def resource_of(flag: str, text: str, attempts: int) -> Resource:
    """Return what an address such as `kinesis://arn:aws:kinesis:eu-central-1:123456789012:stream/readings` names.

    `$AWS_ENDPOINT_URL` leads to another server than Amazon's, as for every program that uses boto3.

    Args:
        flag: Where the address was given, for a refusal.
        text: The address.
        attempts: The times that a request is made before it has failed.

    Raises:
        ConfigError: It holds no ARN of its service, or boto3 is not installed.
        HwdsError: boto3 refuses its own settings.
    """
    service, _, arn = text.partition("://")
    parts = ARN.fullmatch(arn)
    if parts is None or parts["service"] != service or not parts["resource"].startswith(RESOURCES[service]):
        example = f"{service}://arn:aws:{service}:REGION:ACCOUNT:{RESOURCES[service]}NAME"
        raise ConfigError(f"stream: {flag}: must be {example}, got '{without_secrets(text)[:200]}'.")
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError as error:
        raise ConfigError("stream: Kinesis and SNS need boto3, which is not installed: pip install 'hwds[aws]'.") from error
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(retries=retries, connect_timeout=TIMEOUT, read_timeout=TIMEOUT)
    try:
        client = boto3.client(service, region_name=parts["region"], config=config)
    except (BotoCoreError, ValueError) as error:
        raise HwdsError(f"stream: {flag} {text}: {in_a_line(error)}.") from error
    return Resource(arn, client, (BotoCoreError, ClientError))


def in_a_line(error: Exception) -> str:
    """Return the message of an error in a line, without its full stop."""
    return " ".join(str(error).split()).removesuffix(".")
