"""Streams that are killed or long: `python -m bench.streams kills [30]`, `files [30]`, `kinesis
[30]`, `memory [1000000]`.

`kills` sends readings in disorder, some twice, some rubbish, through a real MQTT broker, which is
restarted now and then, to a stream whose process is killed with SIGKILL again and again, and which
posts alerts to a server. `files` is the same from a file that grows, without a broker; `kinesis`
from four shards of a server of moto, with alerts to SNS. In the end every reading must have been
scored once, with the batch's bits, and every alert be there once. `memory` says how large a process
is while so many readings pass. Exit code 1 where something is not as it must be.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from bench.streamed import RULES, Until, World, verdict, world
from hwds.sensors.models.base import SensorContext
from hwds.sensors.models.pca import PCA
from hwds.serve.stream.machines import StreamRules
from hwds.serve.stream.shard import FollowedModel, Shard, open_sink, open_source
from hwds.serve.stream.sources import JsonLines

AHEAD = 20
"""Messages that the sender has under way at once: when they are sent again they are that far out of
order.
"""

PATIENCE = 120.0
"""Seconds for which a process may make no progress."""


def work(
    made: World, store: Path, source: Callable[[], Any], sinks: Callable[[], list[Any]]
) -> None:
    """Follow until every reading has counted."""
    with Shard(made.followed, store, RULES, sinks(), patience=PATIENCE) as shard:
        lines = Until(source(), shard, made.readings)
        shard.run(lines)
        lines.close()


CHILDREN: list[int] = []
"""The processes that were started, of which none outlives this one."""


def forked(job: Callable[[], None]) -> int:
    """Run a job in a process of its own; return its number."""
    child = os.fork()
    if child:
        CHILDREN.append(child)
        return child
    try:
        job()
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def killed(
    kills: int,
    start: Callable[[], int],
    progress: Callable[[], int],
    whole: int,
    amid: Callable[[int], bool],
) -> int:
    """Kill a process again and again amid its work, and let the last one end.

    Return how many kills struck it at work.

    Args:
        kills: How many.
        start: Starts the process.
        progress: Says how far the work is.
        whole: The progress at which it ends.
        amid: Is called with the number of each kill before it; after it returned true the process
            has to go on first.
    """
    rng, struck = random.Random(5), 0
    for number in range(kills):
        child = start()
        _wait(child, progress, (number + 1) * whole // (kills + 2))
        if amid(number):
            _wait(child, progress, progress() + 1)
        time.sleep(rng.uniform(0, 0.05))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            struck += os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        print(
            f"kill {number + 1} of {kills} at {progress():,} of {whole:,} bytes",
            end="\r",
            file=sys.stderr,
            flush=True,
        )
    _, status = os.waitpid(start(), 0)
    if status:
        raise SystemExit("the last process failed")
    return struck


def _wait(child: int, progress: Callable[[], int], target: int) -> None:
    """Wait until the work of a process is so far, or the process has ended."""
    deadline = time.monotonic() + PATIENCE
    while progress() < target and not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            raise SystemExit(f"no progress for {PATIENCE:.0f} seconds")
        time.sleep(0.001)


def size(path: Path) -> int:
    """Return how many bytes a file has."""
    return path.stat().st_size if path.is_file() else 0


def files(kills: int, cycles: int, folder: Path) -> list[str]:
    """Kill a stream that follows a file which grows."""
    made, store, path = world(cycles, folder), folder / "store", folder / "readings.jsonl"
    path.touch()

    def grow() -> None:
        with path.open("a") as file:
            for first in range(0, len(made.sent), 50):
                file.write("".join(f"{line}\n" for line in made.sent[first : first + 50]))
                file.flush()
                time.sleep(0.002)

    writer = forked(grow)
    struck = killed(
        kills,
        lambda: forked(lambda: work(made, store, lambda: JsonLines(path, follow=True), list)),
        lambda: size(store / "scores.jsonl"),
        size(folder / "plain" / "scores.jsonl"),
        lambda _: False,
    )
    os.waitpid(writer, 0)
    print(
        f"{len(made.sent):,} lines of {made.readings:,} readings, {struck} kills, "
        f"{len(made.alerts)} messages of alerts"
    )
    return verdict(made, store)


def broker_kills(kills: int, cycles: int, folder: Path) -> list[str]:
    """Kill a stream of MQTT that posts alerts, and restart the broker before every fifth kill."""
    from tests.support.mosquitto import Mosquitto

    made, store = world(cycles, folder), folder / "store"
    (folder / "broker").mkdir()
    taken = folder / "taken.txt"
    port = receiver_port()
    forked(lambda: receive(port, taken))
    sink = f"http://127.0.0.1:{port}/alerts"
    broker = Mosquitto(folder / "broker")
    broker.start()
    address = f"mqtt://127.0.0.1:{broker.port}/plant/+/readings"
    os.waitpid(
        forked(lambda: open_source(address, store, follow=False).close()), 0
    )  # the broker keeps what comes from now on
    sender = forked(lambda: send(made.sent, broker))
    restarts = 0

    def amid(number: int) -> bool:
        nonlocal restarts
        if number % 5 != 4:
            return False
        broker.stop()
        broker.start()
        restarts += 1
        return True

    struck = killed(
        kills,
        lambda: forked(
            lambda: work(
                made,
                store,
                lambda: open_source(address, store, follow=False),
                lambda: [open_sink(sink, store)],
            )
        ),
        lambda: size(store / "scores.jsonl"),
        size(folder / "plain" / "scores.jsonl"),
        amid,
    )
    _, status = os.waitpid(sender, 0)
    broker.stop()
    got = taken.read_text().split("\n")[:-1]
    print(
        f"{len(made.sent):,} messages of {made.readings:,} readings, {struck} kills, {restarts} "
        f"restarts of the broker,"
        f" {len(made.alerts)} messages of alerts, of which the server was sent "
        f"{len(got) - len(set(got))} again under their ids"
    )
    wrong = verdict(made, store) + (["the sender failed"] if status else [])
    other = sorted(set(got) ^ set(made.alerts))
    return wrong + ([f"the server has {len(other)} other alerts, {other[:3]}"] if other else [])


def send(lines: Sequence[str], broker: Any) -> None:
    """Publish lines in order, one a message, a few under way at once, whatever becomes of the
    broker.
    """
    taken: dict[int, bool] = {}
    client = broker.client("sender", keep=True, ahead=AHEAD)
    client.on_publish = lambda _client, _data, number, _reason, _properties: taken.__setitem__(
        number, True
    )
    for first in range(0, len(lines), AHEAD):
        numbers = [
            client.publish("plant/hall/readings", line, qos=1).mid
            for line in lines[first : first + AHEAD]
        ]
        deadline = time.monotonic() + PATIENCE
        while not all(number in taken for number in numbers):
            if time.monotonic() > deadline:
                raise RuntimeError("messages were not taken")
            time.sleep(0.002)
        taken.clear()
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()


def kinesis_kills(kills: int, cycles: int, folder: Path) -> list[str]:
    """Kill a stream of Kinesis that publishes alerts by SNS, whose subscriber is a queue of SQS."""
    from tests.support.aws import KEYS, moto_server

    made, store = world(cycles, folder), folder / "store"
    port = receiver_port()

    def serve() -> None:
        with moto_server(port):
            time.sleep(3600)

    forked(serve)
    os.environ.update(KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    source, sink, queue = amazon()
    sender = forked(lambda: put(made.sent, source))
    struck = killed(
        kills,
        lambda: forked(
            lambda: work(
                made,
                store,
                lambda: open_source(source, store, follow=False),
                lambda: [open_sink(sink, store)],
            )
        ),
        lambda: size(store / "scores.jsonl"),
        size(folder / "plain" / "scores.jsonl"),
        lambda _: False,
    )
    _, status = os.waitpid(sender, 0)
    got = received(queue)
    print(
        f"{len(made.sent):,} records of {made.readings:,} readings, {struck} kills, "
        f"{len(made.alerts)} messages of alerts,"
        f" of which the queue was sent {len(got) - len(set(got))} again under their ids"
    )
    other = sorted(set(got) ^ set(made.alerts))
    wrong = verdict(made, store) + (["the sender failed"] if status else [])
    return wrong + ([f"the queue has {len(other)} other alerts, {other[:3]}"] if other else [])


def amazon() -> tuple[str, str, str]:
    """Make a stream and a topic, to which a queue listens.

    Return their addresses, when the server answers.
    """
    import boto3
    from botocore.config import Config

    kinesis, sns, sqs = (
        boto3.client(service, config=Config(retries={"mode": "standard", "total_max_attempts": 10}))
        for service in ("kinesis", "sns", "sqs")
    )
    kinesis.create_stream(StreamName="readings", ShardCount=4)
    stream = kinesis.describe_stream_summary(StreamName="readings")["StreamDescriptionSummary"][
        "StreamARN"
    ]
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return f"kinesis://{stream}", f"sns://{topic}", queue


def put(lines: Sequence[str], stream: str) -> None:
    """Write lines to a stream, some together.

    Those of a machine have its number as their key, rubbish has its own.
    """
    import boto3

    kinesis = boto3.client("kinesis")
    for first in range(0, len(lines), AHEAD):
        some = [
            (line, line.partition('"m')[2][:1] or line) for line in lines[first : first + AHEAD]
        ]
        records = [{"Data": line.encode(), "PartitionKey": key} for line, key in some]
        if kinesis.put_records(StreamARN=stream.partition("://")[2], Records=records)[
            "FailedRecordCount"
        ]:
            raise RuntimeError("records were not taken")
        time.sleep(0.01)


def received(queue: str) -> list[str]:
    """Return the ids of the alerts in a queue."""
    import boto3

    sqs, got = boto3.client("sqs"), []
    while some := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        got += [json.loads(each["Body"])["id"] for each in some]
        entries = [
            {"Id": str(place), "ReceiptHandle": each["ReceiptHandle"]}
            for place, each in enumerate(some)
        ]
        sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    return got


def receiver_port() -> int:
    """Return a port that is free."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def receive(port: int, taken: Path) -> None:
    """Take alerts, and write down the id of each."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take one."""
            self.rfile.read(int(self.headers["Content-Length"]))
            with taken.open("a") as file:
                file.write(f"{self.headers['Idempotency-Key']}\n")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


def memory(lines: int, folder: Path) -> list[str]:
    """Let readings of ten machines with eight sensors pass, and print how large the process is on
    the way.
    """
    from bench.sensor_windows import SENSORS as EIGHT
    from bench.sensor_windows import machines_of

    fitted = PCA().fit(machines_of(10_000), context=SensorContext(0, first=400, false_alarms=0.01))
    pipe = folder / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        rng = np.random.default_rng(0)
        with pipe.open("w") as file:
            for cycle in range(1, lines // 10 + 1):
                values = rng.normal(size=(10, 8)).round(4).tolist()
                for machine, row in enumerate(values):
                    named = {
                        "entity": f"m{machine}",
                        "cycle": cycle,
                        **dict(zip(EIGHT, row, strict=True)),
                    }
                    file.write(json.dumps(named) + "\n")

    writer = forked(write)
    sizes: dict[int, float] = {}
    began = time.process_time()
    with Shard(
        FollowedModel(fitted), folder / "store", StreamRules(late=2, snapshot_after=50_000)
    ) as shard:
        source = JsonLines(pipe)
        for part in range(1, 11):
            shard.run(Until(source, shard, part * lines // 10))
            sizes[shard.state.totals["lines"]] = resident()
        source.close()
        seconds, stored = (
            time.process_time() - began,
            sum(map(size, (folder / "store").glob("log.db*"))),
        )
        readings = shard.state.totals["readings"]
    os.waitpid(writer, 0)
    print("  ".join(f"{passed:,}: {mib:.0f} MiB" for passed, mib in sizes.items()))
    rate = (
        f"{readings / seconds:,.0f} lines, {8 * readings / seconds:,.0f} readings of sensors, "
        f"a second of one core"
    )
    print(f"{rate}; the log has {stored:,} bytes")
    first, last = sizes[min(sizes)], sizes[max(sizes)]
    lost = [] if readings == lines else [f"{lines - readings} readings were lost"]
    return lost + (
        [] if last < 1.1 * first else [f"the process grew from {first:.0f} to {last:.0f} MiB"]
    )


def resident() -> float:
    """Return the memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


KINDS: dict[str, Callable[[int, Path], list[str]]] = {
    "kills": lambda number, folder: broker_kills(number, 40 * number + 200, folder),
    "files": lambda number, folder: files(number, 40 * number + 200, folder),
    "kinesis": lambda number, folder: kinesis_kills(number, 40 * number + 200, folder),
    "memory": memory,
}


def main(kind: str, number: int) -> int:
    """Print what happened, and what is not as it must be."""
    folder = Path(tempfile.mkdtemp(prefix="streams-"))
    try:
        wrong = KINDS[kind](number, folder)
    finally:
        for child in CHILDREN:
            with suppress(ProcessLookupError, ChildProcessError):
                if not os.waitpid(child, os.WNOHANG)[0]:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)
    print(
        "\n".join(wrong)
        if wrong
        else "nothing lost, nothing twice"
        if kind != "memory"
        else "the process did not grow"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    words = [*sys.argv[1:], *("kills", "30")[len(sys.argv) - 1 :]]
    sys.exit(main(words[0], int(words[1])))
