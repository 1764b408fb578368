"""Readings from a topic of a Kafka cluster; how far each partition was read is kept with the readings, not by the cluster."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

from hwds.core.errors import ConfigError, HwdsError, ResumeError
from hwds.serving.stream.addresses import Address, address
from hwds.serving.stream.sources.base import Batch, lines_of

PASSWORD = "HWDS_KAFKA_PASSWORD"
"""The variable with the password, which need not stand in an address."""

PORTS = {"kafka": 9092, "kafkas": 9093}
OPTIONS = ("ca", "cert", "key")
"""Options after `?`, named as kafka-python's `ssl_...file`: authorities, the client's own certificate and its key."""

PAUSE_MS = 200
"""Milliseconds after which a stop is noticed."""

PATIENCE_MS = 10_000
"""Milliseconds until a first connection has to stand."""


class Kafka:
    """Messages of all partitions of a topic, those of a partition in their order.

    A machine's readings belong into one partition, by its name as their key. The cluster keeps messages for as long as its own
    settings say, whoever has read them; nothing is acknowledged, for the stream knows how far it was.

    Args:
        text: `kafka://host:9092/topic`, or `kafkas://`; TLS files after `?`.

    Raises:
        ConfigError: The address is wrong, there is no such topic, or kafka-python is not installed.
        HwdsError: There is no cluster.
    """

    ends: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self._where = address("--from", text, PORTS[text.partition("://")[0]], OPTIONS)
        self.name = self._where.shown
        self._consumer = _consumer(self._where)
        self._partitions = sorted(self._consumer.partitions_for_topic(self._where.path) or ())
        if not self._partitions:
            self._consumer.close()
            raise ConfigError(f"stream: --from {self.name}: no topic '{self._where.path}'.")

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield what has come; a position is the next offset of each partition.

        Raises:
            ResumeError: Messages that were not read are gone.
        """
        from kafka.errors import KafkaError

        try:
            offsets = self._sought(position or {})
            while not stop.is_set():
                lines: list[str] = []
                for partition, messages in self._consumer.poll(PAUSE_MS, max_records=most).items():
                    lines += lines_of(message.value or b"" for message in messages)
                    offsets = {**offsets, str(partition.partition): messages[-1].offset + 1}
                yield Batch(lines, offsets)
        except KafkaError as error:
            raise HwdsError(f"stream: {self.name}: {' '.join(str(error).split())}.") from error

    def close(self) -> None:
        """Take leave."""
        self._consumer.close()

    def _sought(self, position: dict[str, int]) -> dict[str, int]:
        """Go to a position, to the beginning in partitions that it does not have; return it."""
        from kafka import TopicPartition

        partitions = [TopicPartition(self._where.path, number) for number in self._partitions]
        self._consumer.assign(partitions)
        offsets = {}
        for partition, first in self._consumer.beginning_offsets(partitions).items():
            number = str(partition.partition)
            offsets[number] = next_one = position.get(number, first)
            if next_one < first:
                raise ResumeError(f"stream: {self.name}: offsets {next_one} to {first - 1} of partition {number} are gone.")
            self._consumer.seek(partition, next_one)
        return offsets


def _consumer(where: Address) -> Any:
    """Return a consumer that commits nothing.

    Raises:
        ConfigError: kafka-python is not installed.
        HwdsError: There is no cluster, or it refuses.
    """
    try:
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError
    except ModuleNotFoundError as error:
        raise ConfigError("stream: Kafka needs kafka-python, which is not installed: pip install 'hwds[stream]'.") from error
    settings: dict[str, Any] = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "none"}
    settings["bootstrap_timeout_ms"] = PATIENCE_MS
    protocol = "SSL" if where.scheme == "kafkas" else "PLAINTEXT"
    files = {f"ssl_{name}file": file for name, file in where.options.items()}
    if where.user:
        password = where.password or os.environ.get(PASSWORD, "")
        settings |= {"sasl_mechanism": "PLAIN", "sasl_plain_username": where.user, "sasl_plain_password": password}
        protocol = f"SASL_{protocol}"
    settings |= {"bootstrap_servers": f"{where.host}:{where.port}", "security_protocol": protocol}
    try:
        return _begun(KafkaConsumer, files | settings)
    except (KafkaError, OSError, ValueError, AssertionError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise HwdsError(f"stream: {where.shown}: cannot be reached ({why}).") from error


def _begun(consumer: type[Any], settings: dict[str, Any]) -> Any:
    """Return a consumer; one that is refused leaves no thread of its client behind, which would connect for ever."""
    with ExitStack() as opened:

        def client(**known: Any) -> Any:
            made = consumer.DEFAULT_CONFIG["kafka_client"](**known)
            opened.callback(made.close)
            return made

        begun = consumer(kafka_client=client, **settings)
        opened.pop_all()
    return begun
