"""Alerts published to an MQTT broker."""

from __future__ import annotations

import threading
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
        self._sent: tuple[str, int] | None = None
        self._answers: dict[int, str] = {}
        self._answered = threading.Condition()
        self._client.on_publish = self._taken
        connect(self._client, self._where, session=False)

    def send(self, alert: str, id: str) -> None:
        """Publish it once; where the connection breaks the client itself does so again."""
        if self._sent is None or self._sent[0] != id:
            self._publish(alert, id)
        assert self._sent is not None
        number = self._sent[1]
        with self._answered:
            if not self._answered.wait_for(lambda: number in self._answers, TIMEOUT):
                raise NotSent("the broker has not acknowledged it")
            refused = self._answers[number]
        if refused:
            self._sent = None
            raise NotSent(refused)

    def _publish(self, alert: str, id: str) -> None:
        if not self._client.is_connected():
            raise NotSent("there is no connection")
        with self._answered:
            self._answers.clear()
            self._sent = id, self._client.publish(self._where.path, alert.encode(), qos=1).mid

    def _taken(self, _client: Any, _data: Any, number: int, reason: Any, _properties: Any) -> None:
        with self._answered:
            self._answers[number] = str(reason) if reason.is_failure else ""
            self._answered.notify_all()

    def close(self) -> None:
        """Take leave."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.loop_stop()
