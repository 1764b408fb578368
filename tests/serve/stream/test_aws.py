"""Readings from Kinesis and alerts to SNS through a real server of moto: each shard from where it
was, refusals in a line.
"""

import json
import shutil
import threading
from dataclasses import replace

import pytest

from bench.streamed import Until
from hwds.core.errors import ConfigError, HwdsError, ResumeError
from hwds.serve.stream.shard import Shard, open_sink, open_source
from hwds.serve.stream.sources import Batch
from tests.support.aws import moto_server
from tests.support.streams import RULES, messages, scores, streamed, told

REGION, ACCOUNT = "us-east-1", "123456789012"
STREAM = f"kinesis://arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/readings"
TOPIC = f"sns://arn:aws:sns:{REGION}:{ACCOUNT}:alerts"


@pytest.fixture(scope="module")
def clients():
    """Clients of a server."""
    import boto3

    with moto_server():
        yield {service: boto3.client(service) for service in ("kinesis", "sns", "sqs")}


@pytest.fixture
def kinesis(clients):
    clients["kinesis"].create_stream(StreamName="readings", ShardCount=2)
    yield clients["kinesis"]
    clients["kinesis"].delete_stream(StreamName="readings")


def sent(kinesis, lines):
    """Records of a line each, those of a machine in one shard."""
    for first in range(0, len(lines), 500):
        some = lines[first : first + 500]
        records = [
            {"Data": line.encode(), "PartitionKey": f"{json.loads(line)['machine']} "}
            for line in some
        ]
        assert kinesis.put_records(StreamName="readings", Records=records)["FailedRecordCount"] == 0


def followed_until(followed, store, count, left=None):
    """Follow until so many readings have counted, or a minute has gone by.

    `left` becomes the folder as a crash leaves it.
    """
    given_up = threading.Timer(60, (stop := threading.Event()).set)
    given_up.daemon = True
    given_up.start()
    with Shard(followed, store, replace(RULES, batch=70)) as shard:
        source = open_source(STREAM, store, follow=False)
        shard.run(Until(source, shard, count), stop)
        if left is not None:
            shutil.copytree(store, left)
        source.close()
        given_up.cancel()
        return dict(shard.state.totals), shard.state.position["at"]


def test_a_stream_goes_on_in_each_shard_where_it_was_before_a_crash(
    followed, lines, batch, plain, kinesis, tmp_path
):
    sent(kinesis, lines[:301])
    followed_until(followed, tmp_path / "store", 301, left=tmp_path / "left")
    sent(kinesis, lines[301:])
    totals, position = followed_until(followed, tmp_path / "left", len(lines))
    assert totals["duplicates"] == 0
    assert len(position) == 2
    assert scores(tmp_path / "left") == batch
    assert messages(tmp_path / "left") == messages(plain)


def test_a_shard_that_was_split_is_read_to_its_end_before_those_that_it_became(kinesis, tmp_path):
    """By botocore's stub, for moto goes on writing to a shard that was split."""
    from botocore.stub import Stubber

    source = open_source(STREAM, tmp_path, follow=False)
    kept = {"StartingHashKey": "0", "EndingHashKey": "9"}, {"StartingSequenceNumber": "1"}
    shards = [
        {
            "ShardId": name,
            **dict(zip(("HashKeyRange", "SequenceNumberRange"), kept, strict=True)),
            **more,
        }
        for name, more in [
            ("shardId-1", {"ParentShardId": "shardId-0"}),
            ("shardId-0", {"ParentShardId": "shardId-before"}),
        ]
    ]
    arn = STREAM.partition("://")[2]
    with Stubber(source._stream.client) as stub:

        def read(shard, begin, number, further):
            record = {
                "SequenceNumber": str(number),
                "Data": b"line %d" % number,
                "PartitionKey": "m",
            }
            stub.add_response(
                "get_shard_iterator",
                {"ShardIterator": shard},
                {"StreamARN": arn, "ShardId": shard, **begin},
            )
            answer = {"Records": [record], **({"NextShardIterator": further} if further else {})}
            stub.add_response(
                "get_records", answer, {"StreamARN": arn, "ShardIterator": shard, "Limit": 7}
            )

        for page, asked in ((shards[:1], {"StreamARN": arn}), (shards[1:], {"NextToken": "more"})):
            stub.add_response(
                "list_shards",
                {"Shards": page} | ({"NextToken": "more"} if page == shards[:1] else {}),
                asked,
            )
        source._list()
        read(
            "shardId-0",
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "4"},
            5,
            "",
        )
        stub.add_response("list_shards", {"Shards": shards}, {"StreamARN": arn})
        read("shardId-1", {"ShardIteratorType": "TRIM_HORIZON"}, 6, "further")
        batches = source.batches({"shardId-0": "4"}, 7, threading.Event())
        assert [next(batches), next(batches)] == [
            Batch(["line 5"], {"shardId-0": "end"}),
            Batch(["line 6"], {"shardId-0": "end", "shardId-1": "6"}),
        ]
        stub.assert_no_pending_responses()
    source.close()


def test_records_that_were_not_read_and_are_gone_are_refused(kinesis, tmp_path):
    source = open_source(STREAM, tmp_path, follow=False)
    old = {"shardId-000000000008": "end", "shardId-000000000009": "77"}
    with pytest.raises(
        ResumeError,
        match=r"stream/readings: shardId-000000000009 is gone, which was read up to 77\.$",
    ):
        next(source.batches(old, 10, threading.Event()))
    del old["shardId-000000000009"]
    assert next(source.batches(old, 10, threading.Event())).position == {}
    source.close()


def test_alerts_reach_the_subscribers_of_a_topic_once_in_order(followed, lines, clients, tmp_path):
    arn = clients["sns"].create_topic(Name="alerts.fifo", Attributes={"FifoTopic": "true"})[
        "TopicArn"
    ]
    queue = clients["sqs"].create_queue(QueueName="alerts.fifo", Attributes={"FifoQueue": "true"})[
        "QueueUrl"
    ]
    clients["sns"].subscribe(
        TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:alerts.fifo"
    )
    sink = open_sink(f"sns://{arn}", tmp_path)
    streamed(tmp_path, followed, lines, sinks=[sink])
    last = (tmp_path / "alerts.jsonl").read_text().splitlines()[-1]
    sink.send(last, json.loads(last)["id"])  # as after a crash before it was noted
    got = []
    while (
        some := clients["sqs"]
        .receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        .get("Messages")
    ):
        got += [json.loads(each["Body"]) for each in some]
        for each in some:
            clients["sqs"].delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
    assert [json.loads(each["Message"]) for each in got] == told(tmp_path, "alerts")
    assert [each["MessageAttributes"]["id"]["Value"] for each in got] == [
        row["id"] for row in told(tmp_path, "alerts")
    ]


def test_what_amazon_refuses_ends_the_stream_with_a_line(followed, lines, clients, tmp_path):
    with pytest.raises(
        HwdsError,
        match=r"^stream: --to sns://arn:\S+:alerts: alert 1 was not taken \(An error .*; nothing",
    ):
        streamed(tmp_path, followed, lines, sinks=[open_sink(TOPIC, tmp_path)])
    with pytest.raises(
        HwdsError,
        match=r"^stream: --from kinesis://arn:\S+/readings: cannot be read \(An .*not found\)\.$",
    ):
        open_source(STREAM, tmp_path, follow=False)


@pytest.mark.parametrize(
    ("make", "text", "wanted"),
    [
        (open_source, "kinesis://readings", "kinesis://arn:aws:kinesis:REGION:ACCOUNT:stream/NAME"),
        (
            open_source,
            STREAM.replace("stream/", ""),
            "kinesis://arn:aws:kinesis:REGION:ACCOUNT:stream/NAME",
        ),
        (
            open_sink,
            STREAM.replace("kinesis://", "sns://"),
            "sns://arn:aws:sns:REGION:ACCOUNT:NAME",
        ),
    ],
)
def test_an_address_without_its_arn_is_refused_in_a_line(make, text, wanted, tmp_path):
    more = {"follow": False} if make is open_source else {}
    flag = "--from" if make is open_source else "--to"
    with pytest.raises(ConfigError) as refusal:
        make(text, tmp_path, **more)
    assert str(refusal.value) == f"stream: {flag}: must be {wanted}, got '{text}'."
