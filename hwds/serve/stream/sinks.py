"""Sinks of alerts besides their file, in order and at least once: MQTT, SNS, webhooks."""

from __future__ import annotations

import os
import threading
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener
from zlib import crc32

from hwds.core.errors import ConfigError, HwdsError, ResumeError
from hwds.core.files import digest
from hwds.core.secrets import without_secrets
from hwds.serve.stream.connections import (
    aws_resource,
    broker_address,
    connect_mqtt,
    error_line,
    mqtt_client,
)

# Sink: where alerts are sent besides the file that has all of them, one after the other and at
# least once.

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before the second attempt, and at most before a later one."""

NOTE_SIZE = 30
"""Bytes of a note of how many alerts were taken."""


class NotSent(Exception):
    """An alert that was not taken, and why; it is tried again."""


class Sink(Protocol):
    """A place where alerts are sent.

    Attributes:
        name: Its address, without secrets.
    """

    name: str

    def send(self, alert: str, id: str) -> None:
        """Send an alert, and return when it was taken.

        Args:
            alert: A JSON object.
            id: The name by which the receiver knows it again when it comes twice.

        Raises:
            NotSent: It was not taken.
        """

    def close(self) -> None:
        """Let it go."""


class Delivery:
    """A sink, and how many alerts it has taken, which outlives the process.

    Args:
        sink: The sink.
        folder: The folder of the stream.
        written: The alerts that there are; a new sink begins after them.
        patience: The seconds for which an alert is tried.

    Raises:
        ResumeError: The note of how many it has taken is damaged.
    """

    def __init__(self, sink: Sink, folder: Path, written: int, patience: float) -> None:
        self._sink, self._patience = sink, patience
        path = folder / f"sent-{digest([sink.name])[:16]}"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        note = os.read(self._file, NOTE_SIZE)
        self.sent = written if not note else int(note[:20]) if note[:20].isdigit() else -1
        if note and note != _note_text(self.sent):
            os.close(self._file)
            raise ResumeError(
                f"{path}: is damaged; if you delete it, {sink.name} gets what comes from now on."
            )
        self._note()

    def send(self, number: int, alert: str, id: str, stop: threading.Event) -> None:
        """Send an alert, again and again until it is taken or patience ends.

        Raises:
            HwdsError: It is not taken; the stream has to end, for alerts after it must not overtake
                it.
        """
        pause, waited = FIRST_PAUSE, 0.0
        while True:
            try:
                self._sink.send(alert, id)
            except NotSent as why:
                if waited >= self._patience or stop.wait(pause):
                    refused = (
                        f"stream: --to {self._sink.name}: alert {number} was not taken ({why})"
                    )
                    raise HwdsError(
                        f"{refused}; nothing is lost, and the same command sends it again."
                    ) from why
                waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)
            else:
                self.sent = number
                self._note()
                return

    def close(self) -> None:
        """Let the sink go."""
        self._sink.close()
        os.close(self._file)

    def _note(self) -> None:
        os.pwrite(self._file, _note_text(self.sent), 0)


def _note_text(number: int) -> bytes:
    """Return a number with its checksum."""
    text = b"%020d" % number
    return b"%b %08x\n" % (text, crc32(text))


# Alerts published to an MQTT broker.

MQTT_TIMEOUT = 10.0


class MqttSink:
    """A topic to which each alert is published with QoS 1, until the broker has acknowledged it.

    Args:
        text: `mqtt://host:1883/plant/alerts`, or `mqtts://`; TLS files after `?`.
        store: The stream's folder, which names the client.

    Raises:
        ConfigError: The address is wrong, or paho-mqtt is not installed.
        HwdsError: There is no broker.
    """

    def __init__(self, text: str, store: str) -> None:
        self._where = broker_address("--to", text)
        self.name = self._where.shown
        self._client = mqtt_client(
            self._where, f"hwds-to-{digest([store, self._where.path])[:16]}", session=False
        )
        self._sent: tuple[str, int] | None = None
        self._answers: dict[int, str] = {}
        self._answered = threading.Condition()
        self._client.on_publish = self._taken
        connect_mqtt(self._client, self._where, session=False)

    def send(self, alert: str, id: str) -> None:
        """Publish it once; where the connection breaks the client itself does so again."""
        if self._sent is None or self._sent[0] != id:
            self._publish(alert, id)
        assert self._sent is not None
        number = self._sent[1]
        with self._answered:
            if not self._answered.wait_for(lambda: number in self._answers, MQTT_TIMEOUT):
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


# Alerts published to a topic of Amazon SNS.

SNS_GROUP = "alerts"
"""The message group of alerts in a FIFO topic: their order is that of the stream."""


class Sns:
    """A topic to which each alert is published as JSON, its id in the attribute `id`.

    A FIFO topic drops by itself what is sent again within five minutes.

    Args:
        text: `sns://arn:aws:sns:REGION:ACCOUNT:TOPIC`.
        store: The stream's folder, which tells its alerts from those of others in a FIFO topic.

    Raises:
        ConfigError: The address is wrong, or boto3 is not installed.
    """

    def __init__(self, text: str, store: str) -> None:
        self.name, self._store = text, store
        self._topic = aws_resource("--to", text, attempts=1)

    def send(self, alert: str, id: str) -> None:
        """Publish it."""
        more = {}
        if self._topic.arn.endswith(".fifo"):
            more = {
                "MessageGroupId": SNS_GROUP,
                "MessageDeduplicationId": digest([self._store, id]),
            }
        attributes = {
            "id": {"DataType": "String", "StringValue": id.encode("unicode_escape").decode()}
        }
        try:
            self._topic.client.publish(
                TopicArn=self._topic.arn, Message=alert, MessageAttributes=attributes, **more
            )
        except self._topic.errors as error:
            raise NotSent(error_line(error)) from error

    def close(self) -> None:
        """Let the connection go."""
        self._topic.client.close()


# Alerts posted to an address of the web.

WEBHOOK_TOKEN = "HWDS_WEBHOOK_TOKEN"
"""The variable with a token, which is sent as `Authorization: Bearer`."""

WEBHOOK_TIMEOUT = 10.0


class _NoRedirect(HTTPRedirectHandler):
    """Refuses to be sent elsewhere: a POST would become a GET."""

    def redirect_request(self, *_: object) -> None:
        """Return nothing, which makes it an error."""


class Webhook:
    """An address that takes each alert as JSON by POST, and answers with a code of 200 to 299.

    `Idempotency-Key` is the alert's id, by which a second time can be told.

    Args:
        text: `https://host/path`.

    Raises:
        ConfigError: It has no host, or names a user.
    """

    def __init__(self, text: str) -> None:
        self.name, self._address = without_secrets(text), text
        if not urlsplit(text).hostname:
            raise ConfigError(f"stream: --to {self.name}: must have a host.")
        if urlsplit(text).username is not None:
            raise ConfigError(
                f"stream: --to {self.name}: must have no user; a token is sent if "
                f"{WEBHOOK_TOKEN} holds one."
            )
        self._opener = build_opener(_NoRedirect)

    def send(self, alert: str, id: str) -> None:
        """Post it."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": id.encode("unicode_escape").decode(),
        }
        if token := os.environ.get(WEBHOOK_TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        try:
            with self._opener.open(
                Request(self._address, alert.encode(), headers, method="POST"),
                timeout=WEBHOOK_TIMEOUT,
            ) as answer:
                answer.read(1 << 16)
        except HTTPError as error:
            raise NotSent(f"the answer was {error.code}") from error
        except (OSError, HTTPException) as error:
            raise NotSent(" ".join(str(error).split())) from error

    def close(self) -> None:
        """Nothing is held."""
