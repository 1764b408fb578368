"""Sources of lines: a file, the standard input, Kafka, Kinesis, MQTT; batches are acknowledged."""

from __future__ import annotations

import os
import queue
import select
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol
from zlib import crc32

from hwds.core.errors import ConfigError, HwdsError, ResumeError
from hwds.core.extras import require_installed
from hwds.core.files import digest
from hwds.core.questions import Json
from hwds.serve.stream.connections import (
    MQTT_PATIENCE,
    Address,
    aws_resource,
    broker_address,
    connect_mqtt,
    error_line,
    mqtt_client,
    parse_address,
)
from hwds.serve.stream.machines import LONGEST_LINE

# Source: where lines come from, in batches that are acknowledged when they cannot be lost any
# more.


def acknowledge_nothing() -> None:
    """Acknowledge a batch of a source that remembers nothing."""


@dataclass(frozen=True)
class Batch:
    """Lines that came together.

    Attributes:
        lines: The lines, without their ends; no newline is in any.
        position: How far the source was read with them, as JSON can hold it; None where it cannot
            be read again from there.
        acknowledge: Tells the source that they will not be read again.
    """

    lines: list[str]
    position: Any = None
    acknowledge: Callable[[], None] = acknowledge_nothing


class LineSource(Protocol):
    """Lines in their order, from where they were read to.

    Attributes:
        name: Its address or path, without secrets; positions are those of one source.
        ends: Whether no more lines will come once `batches` ends by itself.
    """

    name: str
    ends: ClassVar[bool]

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield batches until the source ends or `stop` is set.

        An empty one now and then where nothing comes.

        Args:
            position: The position of the last batch, from which to begin; None at the beginning.
            most: The most lines of a batch.
            stop: Set when no more are wanted.

        Raises:
            HwdsError: It cannot be read.
        """

    def close(self) -> None:
        """Let it go."""


def plain_lines(payload: bytes) -> list[str]:
    """Return the lines of a message that are not empty, as text whatever the bytes are."""
    text = payload.decode("utf-8", "backslashreplace").replace("\r", "\n").replace("\x00", "\\x00")
    return [line for line in text.split("\n") if line.strip()]


def lines_of_messages(payloads: Iterable[bytes]) -> list[str]:
    """Return the lines of several messages, in their order."""
    return [line for payload in payloads for line in plain_lines(payload)]


# JSON lines of a file, which goes on where it was read to, or of the standard input.

BLOCK = 1 << 18
FILE_PAUSE = 0.2
"""Seconds after which a file that had no more is read again, and a stop is noticed."""

WITNESS = 64
"""Bytes before a position by which a file is known again."""


class JsonLines:
    """Lines of a file or of the standard input.

    A position is a number of bytes. The output of a pipe cannot be read again.

    Args:
        path: The file; None for the standard input.
        follow: Whether to wait for more lines at the end of the file.

    Raises:
        HwdsError: There is no such file.
    """

    ends: ClassVar[bool] = True

    def __init__(self, path: Path | None, *, follow: bool = False) -> None:
        self._path, self._follow = path, follow
        self.name = str(path.resolve()) if path is not None else "-"
        try:
            self._file = 0 if path is None else os.open(path, os.O_RDONLY)
        except OSError as error:
            raise HwdsError(f"stream: --from {path}: {error.strerror}.") from error
        self._regular = stat.S_ISREG(os.fstat(self._file).st_mode)

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield lines as they come; as many together as are there."""
        offset = self._seek(position)
        cutter = _Cutter()
        while not stop.is_set():
            ready = self._regular or bool(select.select([self._file], [], [], FILE_PAUSE)[0])
            data = os.read(self._file, BLOCK) if ready else None
            if data:
                cutter.feed(data)
            ended = data == b"" and not self._follow
            for lines, used in cutter.cut(most, whole=ended):
                offset += used
                yield Batch(lines, self._position(offset))
                if stop.is_set():
                    return
            if ended:
                return
            if not data:
                yield Batch([], self._position(offset))
                if ready:
                    stop.wait(FILE_PAUSE)

    def close(self) -> None:
        """Close the file."""
        if self._path is not None:
            os.close(self._file)

    def _seek(self, position: Any) -> int:
        """Go to a position; return how many bytes are before it.

        Raises:
            ResumeError: The file is not the one that it is a position of.
        """
        if position is None or not self._regular:
            return 0
        offset, witness = position
        if os.fstat(self._file).st_size < offset or self._witness(offset) != witness:
            raise ResumeError(
                f"stream: --from {self._path}: is not the file of which {offset:,} bytes were read."
            )
        os.lseek(self._file, offset, os.SEEK_SET)
        return int(offset)

    def _position(self, offset: int) -> list[int] | None:
        return [offset, self._witness(offset)] if self._regular else None

    def _witness(self, offset: int) -> int:
        first = max(0, offset - WITNESS)
        return crc32(os.pread(self._file, offset - first, first))


class _Cutter:
    """Bytes as lines; of one that is too long the beginning."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipped = 0

    def feed(self, data: bytes) -> None:
        """Let bytes come."""
        self._rest += data
        if len(self._rest) > 2 * LONGEST_LINE + BLOCK and b"\n" not in self._rest[LONGEST_LINE:]:
            kept = self._rest[: LONGEST_LINE + 1]
            self._skipped += len(self._rest) - len(kept)
            self._rest = kept

    def cut(self, most: int, *, whole: bool) -> Iterator[tuple[list[str], int]]:
        """Yield lines that have ended, at most so many together, each time with how many bytes they
        were.

        Args:
            most: The most lines of one batch.
            whole: Whether the rest is a line too.
        """
        *parts, rest = self._rest.split(b"\n")
        if whole and rest:
            parts, rest = [*parts, rest], b""
        ended = len(self._rest) - len(rest)
        self._rest = rest
        for first in range(0, len(parts), most):
            some = parts[first : first + most]
            used = min(sum(map(len, some)) + len(some), ended)
            ended -= used
            if self._skipped:
                used, self._skipped = used + self._skipped, 0
            yield [line for part in some for line in plain_lines(part)], used


# Readings from a topic of a Kafka cluster; how far each partition was read is kept with the
# readings, not by the cluster.

KAFKA_PASSWORD = "HWDS_KAFKA_PASSWORD"
"""The variable with the password, which need not stand in an address."""

KAFKA_PORTS = {"kafka": 9092, "kafkas": 9093}
KAFKA_OPTIONS = ("ca", "cert", "key")
"""Options after `?`, named as kafka-python's `ssl_...file`: authorities, the client's own
certificate and its key.
"""

PAUSE_MS = 200
"""Milliseconds after which a stop is noticed."""

PATIENCE_MS = 10_000
"""Milliseconds until a first connection has to stand."""


class Kafka:
    """Messages of all partitions of a topic, those of a partition in their order.

    A machine's readings belong into one partition, by its name as their key. The cluster keeps
    messages for as long as its own settings say, whoever has read them; nothing is acknowledged,
    for the stream knows how far it was.

    Args:
        text: `kafka://host:9092/topic`, or `kafkas://`; TLS files after `?`.

    Raises:
        ConfigError: The address is wrong, there is no such topic, or kafka-python is not installed.
        HwdsError: There is no cluster.
    """

    ends: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self._where = parse_address(
            "--from", text, KAFKA_PORTS[text.partition("://")[0]], KAFKA_OPTIONS
        )
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
            offsets = self._seek(position or {})
            while not stop.is_set():
                lines: list[str] = []
                for partition, messages in self._consumer.poll(PAUSE_MS, max_records=most).items():
                    lines += lines_of_messages(message.value or b"" for message in messages)
                    offsets = {**offsets, str(partition.partition): messages[-1].offset + 1}
                yield Batch(lines, offsets)
        except KafkaError as error:
            raise HwdsError(f"stream: {self.name}: {' '.join(str(error).split())}.") from error

    def close(self) -> None:
        """Take leave."""
        self._consumer.close()

    def _seek(self, position: dict[str, int]) -> dict[str, int]:
        """Go to a position, to the beginning in partitions that it does not have; return it."""
        from kafka import TopicPartition

        partitions = [TopicPartition(self._where.path, number) for number in self._partitions]
        self._consumer.assign(partitions)
        offsets = {}
        for partition, first in self._consumer.beginning_offsets(partitions).items():
            number = str(partition.partition)
            offsets[number] = next_one = position.get(number, first)
            if next_one < first:
                raise ResumeError(
                    f"stream: {self.name}: offsets {next_one} to {first - 1} of partition "
                    f"{number} are gone."
                )
            self._consumer.seek(partition, next_one)
        return offsets


def _consumer(where: Address) -> Any:
    """Return a consumer that commits nothing.

    Raises:
        ConfigError: kafka-python is not installed.
        HwdsError: There is no cluster, or it refuses.
    """
    require_installed({"stream: Kafka": ("kafka",)})
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    settings: Json = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
    }
    settings["bootstrap_timeout_ms"] = PATIENCE_MS
    protocol = "SSL" if where.scheme == "kafkas" else "PLAINTEXT"
    files = {f"ssl_{name}file": file for name, file in where.options.items()}
    if where.user:
        password = where.password or os.environ.get(KAFKA_PASSWORD, "")
        settings |= {
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": where.user,
            "sasl_plain_password": password,
        }
        protocol = f"SASL_{protocol}"
    settings |= {"bootstrap_servers": f"{where.host}:{where.port}", "security_protocol": protocol}
    try:
        return _begin_consumer(KafkaConsumer, files | settings)
    except (KafkaError, OSError, ValueError, AssertionError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise HwdsError(f"stream: {where.shown}: cannot be reached ({why}).") from error


def _begin_consumer(consumer: type[Any], settings: Json) -> Any:
    """Return a consumer; one that is refused leaves no thread of its client behind, which would
    connect for ever.
    """
    with ExitStack() as opened:

        def client(**options: Any) -> Any:
            opened_client = consumer.DEFAULT_CONFIG["kafka_client"](**options)
            opened.callback(opened_client.close)
            return opened_client

        begun = consumer(kafka_client=client, **settings)
        opened.pop_all()
    return begun


# Readings from an Amazon Kinesis stream; how far each shard was read is kept with the readings.

KINESIS_PAUSE = 0.2
"""Seconds between two reads of a shard at least: the service allows five a second."""

KINESIS_ATTEMPTS = 10
"""Times that a request is made, in a minute or so, before the stream ends."""

KINESIS_MOST = 10_000
"""The most records that the service returns together."""

KINESIS_END = "end"
"""The position in a shard of which all was read, and to which no more will be written."""


class Kinesis:
    """Records of all shards of a stream: those of a shard in their order, and after them those of
    the shards that it became.

    A machine's readings belong into one shard, by its name as their partition key. The service
    keeps records for as long as the stream's retention says, whoever has read them; nothing is
    acknowledged, for the position is kept with the readings.

    Args:
        text: `kinesis://arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.

    Raises:
        ConfigError: The address is wrong, or boto3 is not installed.
        HwdsError: The stream cannot be read.
    """

    ends: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self.name = text
        self._stream = aws_resource("--from", text, KINESIS_ATTEMPTS)
        self._iterators: dict[str, str] = {}
        try:
            self._list()
        except self._stream.errors as error:
            raise self._read_error(error) from error

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield what has come; a position is the last sequence number of each shard.

        Raises:
            ResumeError: Records that were not read are gone.
        """
        read: dict[str, str] = position or {}
        try:
            while not stop.is_set():
                read, began = self._still_there(read), time.monotonic()
                for shard in self._open(read):
                    records, ended = self._records(shard, read.get(shard), min(most, KINESIS_MOST))
                    if ended:
                        self._list()
                    if records or ended:
                        read = {
                            **read,
                            shard: KINESIS_END if ended else records[-1]["SequenceNumber"],
                        }
                    yield Batch(lines_of_messages(record["Data"] for record in records), read)
                    if stop.is_set():
                        return
                stop.wait(max(0.0, began + KINESIS_PAUSE - time.monotonic()))
        except self._stream.errors as error:
            raise self._read_error(error) from error

    def close(self) -> None:
        """Take leave."""
        self._stream.client.close()

    def _read_error(self, error: Exception) -> HwdsError:
        return HwdsError(f"stream: --from {self.name}: cannot be read ({error_line(error)}).")

    def _list(self) -> None:
        """Learn which shards there are, and of which each one came."""
        request, shards = {"StreamARN": self._stream.arn}, []
        while request:
            page = self._stream.client.list_shards(**request)
            shards += page["Shards"]
            request = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        names = ("ParentShardId", "AdjacentParentShardId")
        self._parents = {
            shard["ShardId"]: [shard[name] for name in names if shard.get(name)] for shard in shards
        }

    def _still_there(self, read: dict[str, str]) -> dict[str, str]:
        """Return the positions in shards that are there; those of which all was read may go.

        Raises:
            ResumeError: Another one is gone.
        """
        for shard, at in read.items():
            if shard not in self._parents and at != KINESIS_END:
                raise ResumeError(
                    f"stream: --from {self.name}: {shard} is gone, which was read up to {at}."
                )
        return {shard: at for shard, at in read.items() if shard in self._parents}

    def _open(self, read: dict[str, str]) -> list[str]:
        """Return the shards of which not all was read, but all of those that they came of."""
        due = [shard for shard in self._parents if read.get(shard) != KINESIS_END]
        return [shard for shard in due if not set(self._parents[shard]) & set(due)]

    def _records(self, shard: str, after: str | None, most: int) -> tuple[list[Json], bool]:
        """Return the next records of a shard, and whether no more will come."""
        client = self._stream.client
        iterator = self._iterators.pop(shard, None) or self._iterator(shard, after)
        try:
            answer = client.get_records(
                StreamARN=self._stream.arn, ShardIterator=iterator, Limit=most
            )
        except client.exceptions.ExpiredIteratorException:  # asked for more than five minutes ago
            return [], False
        further = answer.get("NextShardIterator")
        if further:
            self._iterators[shard] = further
        return answer["Records"], not further

    def _iterator(self, shard: str, after: str | None) -> str:
        """Return where to go on in a shard."""
        where = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        answer = self._stream.client.get_shard_iterator(
            StreamARN=self._stream.arn, ShardId=shard, **where
        )
        return str(answer["ShardIterator"])


# Readings from an MQTT broker, each message one or more lines, acknowledged when its readings
# are in the log.

MQTT_PAUSE = 0.2
"""Seconds after which a stop is noticed."""


class MqttMessage(NamedTuple):
    """A message that was not acknowledged yet.

    Attributes:
        connection: The number of the connection that it came by.
        number: Its number there; 0 of one that wants no acknowledgement (QoS 0).
        lines: What it says.
    """

    connection: int
    number: int
    lines: list[str]


class MqttSource:
    """Messages of a topic.

    The broker keeps what was not acknowledged and what comes while nobody listens, as far as its
    own settings let it, and sends it again. It sends no more than so many messages ahead of their
    acknowledgement: that is the back-pressure.

    Args:
        text: `mqtt://host:1883/plant/+/readings`, or `mqtts://`; TLS files after `?`.
        store: The stream's folder, which names the client.

    Raises:
        ConfigError: The address is wrong, or paho-mqtt is not installed.
        HwdsError: There is no broker, or it lets this client not listen to the topic.
    """

    ends: ClassVar[bool] = False

    def __init__(self, text: str, store: str) -> None:
        self._where = broker_address("--from", text)
        self.name = self._where.shown
        self._messages: queue.SimpleQueue[MqttMessage] = queue.SimpleQueue()
        self._connection = 0
        self._client = mqtt_client(
            self._where, f"hwds-{digest([store, self._where.path])[:16]}", session=True
        )
        self._client.on_message = self._came
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._listening, self._refusal = threading.Event(), "does not answer a subscription"
        connect_mqtt(self._client, self._where, session=True)
        self._listening.wait(MQTT_PATIENCE)  # a message that comes before is nobody's
        if self._refusal:
            self.close()
            raise self._refusal_error()

    def batches(self, position: Any, most: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield what has come; messages that came by an earlier connection are not acknowledged:
        they come again.
        """
        while not stop.is_set():
            if self._refusal:
                raise self._refusal_error()
            messages = self._waiting(most)
            lines = [line for message in messages for line in message.lines]

            def acknowledge(messages: list[MqttMessage] = messages) -> None:
                for message in messages:
                    if message.number and message.connection == self._connection:
                        self._client.ack(message.number, 1)

            yield Batch(lines, None, acknowledge)

    def close(self) -> None:
        """Take leave; the broker keeps what comes from now on."""
        self._client.disconnect()
        self._client.loop_stop()

    def _waiting(self, most: int) -> list[MqttMessage]:
        """Return the messages that are there, with so many lines at most but for the last one's.

        Waits for the first.
        """
        messages: list[MqttMessage] = []
        count = 0
        with suppress(queue.Empty):  # that is all for now
            while count < most:
                message = self._messages.get(block=not messages, timeout=MQTT_PAUSE)
                messages.append(message)
                count += len(message.lines)
        return messages

    def _on_connect(
        self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if not reason.is_failure:
            self._connection += 1
            client.subscribe(self._where.path, qos=1)

    def _on_subscribe(
        self, _client: Any, _data: Any, _number: int, reasons: Any, _properties: Any
    ) -> None:
        self._refusal = "".join(
            f"refuses the topic ({reason})" for reason in reasons if reason.is_failure
        )
        self._listening.set()

    def _refusal_error(self) -> HwdsError:
        return HwdsError(f"stream: {self._where.shown}: {self._refusal}.")

    def _came(self, _client: Any, _data: Any, message: Any) -> None:
        number = message.mid if message.qos else 0
        self._messages.put(MqttMessage(self._connection, number, plain_lines(message.payload)))
