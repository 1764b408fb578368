"""Alerts published to an MQTT broker."""

from __future__ import annotations

from typing import Any

from hwds.core.hashing import digest
from hwds.serving.stream.mqtt import broker, client_of, connect
from hwds.serving.stream.sinks.base import NotSent

TIMEOUT = 10.0


class Mqtt:
    """A topic to which each alert is published with QoS 1, until the broker has acknowledged it.

    Args:
        text: `mqtt://host:1883/plant/alerts`, or `mqtts://`; TLS files after `?`.
        store: The stream's folder, which names the client.

    Raises:
        ConfigError: The address is wrong, or paho-mqtt is not installed.
        HwdsError: There is no broker.
    """

    def __init__(self, text: str, store: str) -> None:
        self._where = broker("--to", text)
        self.name = self._where.shown
        self._client = client_of(self._where, f"hwds-to-{digest([store, self._where.path])[:16]}", session=False)
        self._sent: tuple[str, Any] | None = None
        connect(self._client, self._where, session=False)

    def send(self, alert: str, id: str) -> None:
        """Publish it once; where the connection breaks the client itself does so again."""
        if self._sent is None or self._sent[0] != id:
            if not self._client.is_connected():
                raise NotSent("there is no connection")
            self._sent = id, self._client.publish(self._where.path, alert.encode(), qos=1)
        message = self._sent[1]
        try:
            message.wait_for_publish(TIMEOUT)
        except (RuntimeError, ValueError) as error:
            raise NotSent(str(error)) from error
        if not message.is_published():
            raise NotSent("the broker has not acknowledged it")

    def close(self) -> None:
        """Take leave."""
        self._client.disconnect()
        self._client.loop_stop()
