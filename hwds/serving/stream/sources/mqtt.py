"""Readings from an MQTT broker, each message one or more lines, acknowledged when its readings are in the log."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from hwds.core.errors import HwdsError
from hwds.core.hashing import digest
from hwds.serving.stream.mqtt import PATIENCE, broker, client_of, connect
from hwds.serving.stream.sources.base import Batch, plain_lines

PAUSE = 0.2
"""Seconds after which a stop is noticed."""


class Message(NamedTuple):
    """A message that was not acknowledged yet.

    Attributes:
        connection: The number of the connection that it came by.
        number: Its number there; 0 of one that wants no acknowledgement (QoS 0).
        lines: What it says.
    """

    connection: int
    number: int
    lines: list[str]


class Mqtt:
    """Messages of a topic.

    The broker keeps what was not acknowledged and what comes while nobody listens, as far as its own settings let it, and sends
    it again. It sends no more than so many messages ahead of their acknowledgement: that is the back-pressure.

    Args:
        text: `mqtt://host:1883/plant/+/readings`, or `mqtts://`; TLS files after `?`.
        store: The stream's folder, which names the client.

    Raises:
        ConfigError: The address is wrong, or paho-mqtt is not installed.
        HwdsError: There is no broker, or it lets this client not listen to the topic.
    """

    ends: ClassVar[bool] = False

    def __init__(self, text: str, store: str) -> None:
        self._where = broker("--from", text)
        self.name = self._where.shown
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._connection = 0
        self._client = client_of(self._where, f"hwds-{digest([store, self._where.path])[:16]}", session=True)
        self._client.on_message = self._came
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._listening, self._refusal = threading.Event(), "does not answer a subscription"
        connect(self._client, self._where, session=True)
        self._listening.wait(PATIENCE)  # a message that comes before is nobody's
        if self._refusal:
            self.close()
            raise self._refused()

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield what has come; messages that came by an earlier connection are not acknowledged: they come again."""
        while not stop.is_set():
            if self._refusal:
                raise self._refused()
            messages = self._waiting(most)
            lines = [line for message in messages for line in message.lines]

            def acknowledge(messages: list[Message] = messages) -> None:
                for message in messages:
                    if message.number and message.connection == self._connection:
                        self._client.ack(message.number, 1)

            yield Batch(lines, None, acknowledge)

    def close(self) -> None:
        """Take leave; the broker keeps what comes from now on."""
        self._client.disconnect()
        self._client.loop_stop()

    def _waiting(self, most: int) -> list[Message]:
        """Return the messages that are there, with so many lines at most but for the last one's; waits for the first."""
        messages: list[Message] = []
        count = 0
        try:
            while count < most:
                message = self._messages.get(block=not messages, timeout=PAUSE)
                messages.append(message)
                count += len(message.lines)
        except queue.Empty:
            pass
        return messages

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            self._connection += 1
            client.subscribe(self._where.path, qos=1)

    def _subscribed(self, _client: Any, _data: Any, _number: int, reasons: Any, _properties: Any) -> None:
        self._refusal = "".join(f"refuses the topic ({reason})" for reason in reasons if reason.is_failure)
        self._listening.set()

    def _refused(self) -> HwdsError:
        return HwdsError(f"stream: {self._where.shown}: {self._refusal}.")

    def _came(self, _client: Any, _data: Any, message: Any) -> None:
        number = message.mid if message.qos else 0
        self._messages.put(Message(self._connection, number, plain_lines(message.payload)))
