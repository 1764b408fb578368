"""Readings from an Amazon Kinesis stream; how far each shard was read is kept with the readings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from hwds.core.errors import HwdsError, ResumeError
from hwds.serving.stream.aws import in_a_line, resource_of
from hwds.serving.stream.sources.base import Batch, lines_of

PAUSE = 0.2
"""Seconds between two reads of a shard at least: the service allows five a second."""

ATTEMPTS = 10
"""Times that a request is made, in a minute or so, before the stream ends."""

MOST = 10_000
"""The most records that the service returns together."""

END = "end"
"""The position in a shard of which all was read, and to which no more will be written."""


class Kinesis:
    """Records of all shards of a stream: those of a shard in their order, and after them those of the shards that it became.

    A machine's readings belong into one shard, by its name as their partition key. The service keeps records for as long as the
    stream's retention says, whoever has read them; nothing is acknowledged, for the position is kept with the readings.

    Args:
        text: `kinesis://arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.

    Raises:
        ConfigError: The address is wrong, or boto3 is not installed.
        HwdsError: The stream cannot be read.
    """

    ends: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self.name = text
        self._stream = resource_of("--from", text, ATTEMPTS)
        self._iterators: dict[str, str] = {}
        try:
            self._list()
        except self._stream.errors as error:
            raise self._failed(error) from error

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
                    records, ended = self._records(shard, read.get(shard), min(most, MOST))
                    if ended:
                        self._list()
                    if records or ended:
                        read = {**read, shard: END if ended else records[-1]["SequenceNumber"]}
                    yield Batch(lines_of(record["Data"] for record in records), read)
                    if stop.is_set():
                        return
                stop.wait(max(0.0, began + PAUSE - time.monotonic()))
        except self._stream.errors as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Take leave."""
        self._stream.client.close()

    def _failed(self, error: Exception) -> HwdsError:
        return HwdsError(f"stream: --from {self.name}: cannot be read ({in_a_line(error)}).")

    def _list(self) -> None:
        """Learn which shards there are, and of which each one came."""
        asked, shards = {"StreamARN": self._stream.arn}, []
        while asked:
            page = self._stream.client.list_shards(**asked)
            shards += page["Shards"]
            asked = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        names = ("ParentShardId", "AdjacentParentShardId")
        self._parents = {shard["ShardId"]: [shard[name] for name in names if shard.get(name)] for shard in shards}

    def _still_there(self, read: dict[str, str]) -> dict[str, str]:
        """Return the positions in shards that are there; those of which all was read may go.

        Raises:
            ResumeError: Another one is gone.
        """
        for shard, at in read.items():
            if shard not in self._parents and at != END:
                raise ResumeError(f"stream: --from {self.name}: {shard} is gone, which was read up to {at}.")
        return {shard: at for shard, at in read.items() if shard in self._parents}

    def _open(self, read: dict[str, str]) -> list[str]:
        """Return the shards of which not all was read, but all of those that they came of."""
        due = [shard for shard in self._parents if read.get(shard) != END]
        return [shard for shard in due if not set(self._parents[shard]) & set(due)]

    def _records(self, shard: str, after: str | None, most: int) -> tuple[list[dict[str, Any]], bool]:
        """Return the next records of a shard, and whether no more will come."""
        client = self._stream.client
        asked = self._iterators.pop(shard, None) or self._iterator(shard, after)
        try:
            answer = client.get_records(StreamARN=self._stream.arn, ShardIterator=asked, Limit=most)
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
        answer = self._stream.client.get_shard_iterator(StreamARN=self._stream.arn, ShardId=shard, **where)
        return str(answer["ShardIterator"])
