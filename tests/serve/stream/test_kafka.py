"""Readings through a real broker of Kafka's protocol: from where each partition was read, and
refusals in a line.
"""

import gc
import json
import logging
import threading
from dataclasses import replace

import pytest

from bench.streamed import Until
from hwds.core.errors import ConfigError, HwdsError, ResumeError
from hwds.serve.stream import sources as kafka
from hwds.serve.stream.shard import Shard, open_source
from tests.support.streams import RULES, messages, scores
from tests.support.tansu import Tansu


@pytest.mark.kafka
def test_a_stream_goes_on_in_each_partition_where_it_was(followed, lines, batch, plain, tmp_path):
    from kafka import KafkaProducer
    from kafka.admin import KafkaAdminClient, NewTopic

    with Tansu(tmp_path) as broker:
        where, store = f"127.0.0.1:{broker.port}", tmp_path / "store"
        admin = KafkaAdminClient(bootstrap_servers=where)
        admin.create_topics([NewTopic("readings", 2, 1)])
        admin.close()
        sender = KafkaProducer(bootstrap_servers=where)

        def sent(some):
            for line in some:
                sender.send("readings", line.encode(), key=json.loads(line)["machine"].encode())
            sender.flush(20)

        for first, last in ((0, 301), (301, len(lines))):
            sent(lines[first:last])
            with Shard(followed, store, replace(RULES, batch=70)) as shard:
                source = open_source(f"kafka://{where}/readings", store, follow=False)
                given_up = threading.Timer(60, (stop := threading.Event()).set)
                given_up.start()
                shard.run(Until(source, shard, last), stop)
                given_up.cancel()
                assert shard.state.totals["duplicates"] == 0
                assert sum(shard.state.position["at"].values()) == last
                source.close()
        with pytest.raises(
            ConfigError, match=r"^stream: --from kafka://127\.0\.0\.1:\d+/no: no topic 'no'\.$"
        ):
            open_source(f"kafka://{where}/no", store, follow=False)
        gone = open_source(f"kafka://{where}/readings", store, follow=False)
        with pytest.raises(ResumeError, match=r"offsets -3 to -1 of partition 1 are gone\.$"):
            next(gone.batches({"1": -3}, 10, threading.Event()))
        gone.close()
        sender.close()
    assert scores(store) == batch
    assert messages(store) == messages(plain)


def test_a_cluster_that_is_not_there_is_refused_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(kafka, "PATIENCE_MS", 100)
    monkeypatch.setattr(
        logging.getLogger("kafka"), "propagate", False
    )  # records would hold errors with their sockets
    before = set(threading.enumerate())
    with pytest.raises(HwdsError) as refusal:
        open_source("kafka://me:secret-word@127.0.0.1:1/readings", tmp_path, follow=False)
    assert str(refusal.value).startswith(
        "stream: kafka://***@127.0.0.1:1/readings: cannot be reached ("
    )
    assert "\n" not in str(refusal.value)
    assert set(threading.enumerate()) <= before, "none that goes on connecting"
    del refusal
    # kafka-python closes no socket that was refused: else a later test finds it, to which a warning
    # is an error
    gc.collect()
    with pytest.raises(
        ConfigError,
        match=r"^stream: --from kafka://a: must have a topic after the host, kafka://a/topic\.$",
    ):
        open_source("kafka://a", tmp_path, follow=False)
