"""A connection to an MQTT broker: readings in, alerts out, at least once (QoS 1), with TLS, and made again when it breaks."""

from __future__ import annotations

import os
import ssl
import threading
from typing import Any

from hwds.core.errors import ConfigError, HwdsError
from hwds.serving.stream.addresses import Address, address

PASSWORD = "HWDS_MQTT_PASSWORD"
"""The variable with the password, which need not stand in an address."""

PORTS = {"mqtt": 1883, "mqtts": 8883}
OPTIONS = ("client", "ca", "cert", "key")
"""Options after `?`: the name of the client, a file of authorities, the client's own certificate and its key."""

PATIENCE = 30.0
"""Seconds until a first connection has to stand."""

UNACKNOWLEDGED = 2_000
"""The most messages that the broker sends ahead of their acknowledgement."""


def broker(flag: str, text: str) -> Address:
    """Return the parts of a broker's address; errors as of `address`."""
    scheme = text.partition("://")[0]
    return address(flag, text, PORTS[scheme], OPTIONS)


def client_of(where: Address, name: str, *, session: bool) -> Any:
    """Return a client of paho-mqtt that is not connected yet.

    Args:
        where: The broker.
        name: By which the broker knows it again.
        session: Whether the broker keeps messages for it while it is away.

    Raises:
        ConfigError: paho-mqtt is not installed, or a file of TLS cannot be read.
    """
    try:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion
    except ModuleNotFoundError as error:
        raise ConfigError("stream: MQTT needs paho-mqtt, which is not installed: pip install 'hwds[stream]'.") from error
    made = Client(
        CallbackAPIVersion.VERSION2,
        client_id=where.options.get("client") or name,
        protocol=MQTTv5,
        manual_ack=session,
    )
    if where.user:
        made.username_pw_set(where.user, where.password or os.environ.get(PASSWORD))
    if where.scheme == "mqtts":
        _secure(made, where)
    made.reconnect_delay_set(1, 10)
    return made


def _secure(client: Any, where: Address) -> None:
    files = {name: where.options.get(name) or None for name in ("ca", "cert", "key")}
    try:
        client.tls_set(ca_certs=files["ca"], certfile=files["cert"], keyfile=files["key"], tls_version=ssl.PROTOCOL_TLS_CLIENT)
    except (OSError, ValueError) as error:
        raise ConfigError(f"stream: {where.shown}: the files of TLS cannot be read ({error}).") from error


def connect(client: Any, where: Address, *, session: bool) -> None:
    """Connect, and keep the connection up in a thread from then on.

    Raises:
        HwdsError: There is no broker, or it refuses; later on the connection is made again by itself.
    """
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    there, said = threading.Event(), ["does not answer"]

    further = client.on_connect

    def connected(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        said[0] = "" if not reason.is_failure else f"refuses ({reason})"
        if further is not None:
            further(client, data, flags, reason, properties)
        there.set()

    client.on_connect = connected
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0xFFFFFFFF if session else 0
    properties.ReceiveMaximum = UNACKNOWLEDGED
    try:
        client.connect(where.host, where.port, keepalive=30, clean_start=not session, properties=properties)
    except (OSError, ValueError) as error:
        raise HwdsError(f"stream: {where.shown}: cannot be reached ({error}).") from error
    client.loop_start()
    there.wait(PATIENCE)
    if said[0]:
        client.loop_stop()
        raise HwdsError(f"stream: {where.shown}: {said[0]}.")
