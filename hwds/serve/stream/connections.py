"""Connections of a stream: addresses in parts, MQTT brokers, and clients of Amazon's services."""

from __future__ import annotations

import os
import re
import ssl
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hwds.core.errors import ConfigError, HwdsError, nearest
from hwds.core.extras import require_installed
from hwds.core.secrets import without_secrets

# Addresses: `mqtt://user@host:1883/topic?qos=1` in parts, refused in a line where a part is
# wrong.


@dataclass(frozen=True)
class Address:
    """An address in parts.

    Attributes:
        scheme: The text before `://`.
        host: The machine.
        port: The port of the server.
        path: The text after the host, without the first stroke: a topic.
        user: A name, empty for none.
        password: Empty for none.
        options: The options after `?`.
        shown: The whole of it without secrets.
    """

    scheme: str
    host: str
    port: int
    path: str
    user: str
    password: str
    options: dict[str, str]
    shown: str


def parse_address(flag: str, text: str, port: int, options: tuple[str, ...]) -> Address:
    """Return an address in parts.

    Args:
        flag: The flag that gave the address, for a refusal.
        text: The address.
        port: The usual one.
        options: The options that may stand after `?`.

    Raises:
        ConfigError: It has no host or no path, its port is none, or an option is not known.
    """
    shown = without_secrets(text)
    try:
        parts = urlsplit(text)
        given = dict(
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        )
        used = parts.port or port
    except ValueError as error:
        raise ConfigError(f"stream: {flag} {shown}: {error}.") from error
    if not parts.hostname:
        raise ConfigError(f"stream: {flag} {shown}: must have a host.")
    rest = (
        f"#{unquote(parts.fragment)}" if "#" in text else ""
    )  # `plant/#` is a topic, and no part of a page
    topic = unquote(parts.path).removeprefix("/") + rest
    if not topic:
        raise ConfigError(
            f"stream: {flag} {shown}: must have a topic after the host, "
            f"{parts.scheme}://{parts.hostname}/topic."
        )
    for name in given:
        if name not in options:
            raise ConfigError(f"stream: {flag} {shown}: no option '{name}'{nearest(name, options)}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Address(parts.scheme, parts.hostname, used, topic, user, password, given, shown)


# A connection to an MQTT broker: readings in, alerts out, at least once (QoS 1), with TLS, and
# made again when it breaks.

MQTT_PASSWORD = "HWDS_MQTT_PASSWORD"
"""The variable with the password, which need not stand in an address."""

MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}
MQTT_OPTIONS = ("client", "ca", "cert", "key")
"""Options after `?`: the name of the client, a file of authorities, the client's own certificate
and its key.
"""

MQTT_PATIENCE = 30.0
"""Seconds until a first connection has to stand."""

UNACKNOWLEDGED = 2_000
"""The most messages that the broker sends ahead of their acknowledgement."""


def broker_address(flag: str, text: str) -> Address:
    """Return the parts of a broker's address; errors as of `address`."""
    scheme = text.partition("://")[0]
    return parse_address(flag, text, MQTT_PORTS[scheme], MQTT_OPTIONS)


def mqtt_client(where: Address, name: str, *, session: bool) -> Any:
    """Return a client of paho-mqtt that is not connected yet.

    Args:
        where: The broker.
        name: The name by which the broker knows it again.
        session: Whether the broker keeps messages for it while it is away.

    Raises:
        ConfigError: paho-mqtt is not installed, or a file of TLS cannot be read.
    """
    require_installed({"stream: MQTT": ("paho.mqtt",)})
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=where.options.get("client") or name,
        protocol=MQTTv5,
        manual_ack=session,
    )
    if where.user:
        client.username_pw_set(where.user, where.password or os.environ.get(MQTT_PASSWORD))
    if where.scheme == "mqtts":
        _set_tls(client, where)
    client.reconnect_delay_set(1, 10)
    return client


def _set_tls(client: Any, where: Address) -> None:
    files = {name: where.options.get(name) or None for name in ("ca", "cert", "key")}
    try:
        client.tls_set(
            ca_certs=files["ca"],
            certfile=files["cert"],
            keyfile=files["key"],
            tls_version=ssl.PROTOCOL_TLS_CLIENT,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"stream: {where.shown}: the files of TLS cannot be read ({error})."
        ) from error


def connect_mqtt(client: Any, where: Address, *, session: bool) -> None:
    """Connect, and keep the connection up in a thread from then on.

    Raises:
        HwdsError: There is no broker, or it refuses; later on the connection is made again by
            itself.
    """
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    there, refusal = threading.Event(), ["does not answer"]

    further = client.on_connect

    def connected(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        refusal[0] = "" if not reason.is_failure else f"refuses ({reason})"
        if further is not None:
            further(client, data, flags, reason, properties)
        there.set()

    client.on_connect = connected
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0xFFFFFFFF if session else 0
    properties.ReceiveMaximum = UNACKNOWLEDGED
    try:
        client.connect(
            where.host, where.port, keepalive=30, clean_start=not session, properties=properties
        )
    except (OSError, ValueError) as error:
        raise HwdsError(f"stream: {where.shown}: cannot be reached ({error}).") from error
    client.loop_start()
    there.wait(MQTT_PATIENCE)
    if refusal[0]:
        client.loop_stop()
        raise HwdsError(f"stream: {where.shown}: {refusal[0]}.")


# Clients of Amazon's services by the ARN of what is read or sent to; region and account are in
# it, credentials are boto3's.

ARN = re.compile(
    r"arn:aws[a-z-]*:(?P<service>[a-z]+):(?P<region>[a-z0-9-]+):\d{12}:(?P<resource>[\w./-]+)",
    re.ASCII,
)
"""An Amazon resource name."""

RESOURCES = {"kinesis": "stream/", "sns": ""}
"""The beginning of the name of a service's resource."""

AWS_TIMEOUT = 10.0
"""Seconds until an answer has to come."""


@dataclass(frozen=True)
class AwsResource:
    """A stream or a topic, and the client that reaches it.

    Attributes:
        arn: Its Amazon resource name.
        client: The client of boto3.
        errors: The exceptions of a request that failed.
    """

    arn: str
    client: Any
    errors: tuple[type[Exception], ...]


def aws_resource(flag: str, text: str, attempts: int) -> AwsResource:
    """Return what an address such as
    `kinesis://arn:aws:kinesis:eu-central-1:123456789012:stream/readings` names.

    `$AWS_ENDPOINT_URL` leads to another server than Amazon's, as for every program that uses boto3.

    Args:
        flag: The flag that gave the address, for a refusal.
        text: The address.
        attempts: The times that a request is made before it has failed.

    Raises:
        ConfigError: It holds no ARN of its service, or boto3 is not installed.
        HwdsError: boto3 refuses its own settings.
    """
    service, _, arn = text.partition("://")
    parts = ARN.fullmatch(arn)
    if (
        parts is None
        or parts["service"] != service
        or not parts["resource"].startswith(RESOURCES[service])
    ):
        example = f"{service}://arn:aws:{service}:REGION:ACCOUNT:{RESOURCES[service]}NAME"
        raise ConfigError(
            f"stream: {flag}: must be {example}, got '{without_secrets(text)[:200]}'."
        )
    require_installed({f"stream: {flag}: {service}": ("boto3",)})
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(retries=retries, connect_timeout=AWS_TIMEOUT, read_timeout=AWS_TIMEOUT)
    try:
        client = boto3.client(service, region_name=parts["region"], config=config)
    except (BotoCoreError, ValueError) as error:
        raise HwdsError(f"stream: {flag} {text}: {error_line(error)}.") from error
    return AwsResource(arn, client, (BotoCoreError, ClientError))


def error_line(error: Exception) -> str:
    """Return the message of an error in a line, without its full stop."""
    return " ".join(str(error).split()).removesuffix(".")
