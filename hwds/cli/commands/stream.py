"""Follow machines by their readings: lines, MQTT, Kafka, Kinesis in, alerts out.

A reading is `{"entity": "pump 1", "cycle": 17, "flow": 5.1, ...}`, or has the names of the run's
data. Settings follow the run, such as `raise_after=5`.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from hwds.cli.words import FILE, RUN, NumberWithin, command
from hwds.core.errors import ConfigError
from hwds.results.formatting import counted

if TYPE_CHECKING:
    from hwds.serve.stream.shard import Shard

FROM = (
    "A file of JSON lines, - for the standard input, mqtt://host/topic or kafka://host/topic "
    "(mqtts://, kafkas:// for TLS), or"
    " kinesis:// and the ARN of a stream."
)
PATIENCE = NumberWithin(0, 1_000_000)
TO = (
    "Send alerts to https://..., mqtt://host/topic or sns:// and the ARN of a topic, too; may be "
    "given several times."
)


@command(help=__doc__)
@click.argument("words", nargs=-1, type=RUN, metavar="RUN [SETTING=VALUE]...")
@click.option("--from", "source", default="-", show_default=True, metavar="SOURCE", help=FROM)
@click.option("--to", "sinks", multiple=True, metavar="SINK", help=TO)
@click.option(
    "--store", type=FILE, help="The stream's folder; outputs/streams/RUN unless it is given."
)
@click.option("--follow", is_flag=True, help="Wait for more lines at the end of the file.")
@click.option(
    "--patience",
    type=PATIENCE,
    default=60.0,
    help="Seconds for which an alert is tried before the stream ends.",
)
@click.option("--power", is_flag=True, help="Acknowledged readings survive a power cut, too.")
def main(
    words: tuple[str, ...],
    source: str,
    sinks: tuple[str, ...],
    store: str | None,
    follow: bool,
    patience: float,
    power: bool,
) -> int:
    """Take readings until they end or the process is stopped.

    Print each alert, and at the end what all came to.
    """
    from hwds.serve.stream.machines import stream_rules
    from hwds.serve.stream.shard import FollowedModel, Shard, open_sink, open_source, stream_folder

    rules, run = stream_rules(word for word in words if "=" in word), run_word(words)
    followed, folder = FollowedModel.of(run), stream_folder(run, store)
    with stopped_by_signals() as stop, ExitStack() as stack:
        opened = [open_sink(each, folder) for each in sinks]
        shard = stack.enter_context(
            Shard(
                followed,
                folder,
                rules,
                opened,
                durable="power" if power else "process",
                patience=patience,
            )
        )
        lines = open_source(source, folder, follow=follow)
        stack.callback(lines.close)
        for alert in shard.alerts(lines, stop):
            print(alert, flush=True)
        print(stream_summary(shard), file=sys.stderr)
    return 0


def run_word(words: tuple[str, ...]) -> str:
    """Return the word that names the run.

    Raises:
        ConfigError: There is none, or several.
    """
    runs = [word for word in words if "=" not in word]
    if len(runs) != 1:
        raise ConfigError(f"stream: must be followed by one run, got {len(runs)}.")
    return runs[0]


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that an interrupt or a termination sets, so that what is under way is finished
    first.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda *_: stop.set()) for each in signals}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def stream_summary(shard: Shard) -> str:
    """Return what all lines came to, in a sentence."""
    totals, alerts = shard.state.totals, shard.state.written["alerts"]
    parts = [
        f"{counted(totals['lines'], 'lines')}: {counted(totals['readings'], 'readings')} of"
        f" {counted(len(shard.state.machines), 'machines')}",
        f"{totals['scored']:,} scored",
        f"{totals['anomalous']:,} anomalous",
        f"{totals['duplicates']:,} came again",
        f"{totals['refused']:,} refused ({totals['late']:,} of them late)",
        counted(alerts, "messages of alerts"),
    ]
    return f"{', '.join(parts)}: {shard.folder}"
