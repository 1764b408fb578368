"""Alerts published to a topic of Amazon SNS."""

from __future__ import annotations

from hwds.core.hashing import digest
from hwds.serving.stream.aws import in_a_line, resource_of
from hwds.serving.stream.sinks.base import NotSent

GROUP = "alerts"
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
        self._topic = resource_of("--to", text, attempts=1)

    def send(self, alert: str, id: str) -> None:
        """Publish it."""
        more = {}
        if self._topic.arn.endswith(".fifo"):
            more = {"MessageGroupId": GROUP, "MessageDeduplicationId": digest([self._store, id])}
        attributes = {"id": {"DataType": "String", "StringValue": id.encode("unicode_escape").decode()}}
        try:
            self._topic.client.publish(TopicArn=self._topic.arn, Message=alert, MessageAttributes=attributes, **more)
        except self._topic.errors as error:
            raise NotSent(in_a_line(error)) from error

    def close(self) -> None:
        """Let the connection go."""
        self._topic.client.close()
