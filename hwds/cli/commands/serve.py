"""Score events as they arrive, JSON lines in and out.

A line is an event, by column, with its key, or what became of one: `{"label": 1, "of": "A-17", "at": "2024-03-01T12:00"}`,
`{"returned": true, "of": "A-17"}`. A label that was wrong is reported anew with `"correct": true`, or withdrawn with
`"label": null`. Each answer is a line.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import click

from hwds.cli.words import FILE, ONE_RUN, command
from hwds.results.formatting import counted


@command(help=__doc__)
@ONE_RUN
@click.option("--store", type=FILE, help="Keep what was seen in this file, so that it outlives `kill -9`.")
@click.option("--key", metavar="COLUMN", help="The column that names an event: that with the role id, or else id.")
@click.option("--remember", is_flag=True, help="Begin with the run's own rows.")
@click.option("--power", is_flag=True, help="Let the store outlive a power cut, too.")
def main(run: str, store: str | None, key: str | None, remember: bool, power: bool) -> int:
    """Answer each line of the standard input, until it ends; what is wrong with a line is its answer."""
    from hwds.serving.lines import answers
    from hwds.serving.online import Online

    with Online.open(run, store, key=key, durable="power" if power else "process") as scorer:
        if remember:
            print(f"{counted(scorer.backfill(past(run)), 'rows')} remembered.", file=sys.stderr)
        gc.collect()
        gc.freeze()  # what is there now stays: no event waits while Python looks all of it through
        for answer in answers(scorer, sys.stdin.buffer):
            print(answer, flush=True)
        for column, count in scorer.unknown.items():
            print(
                f"{counted(count, 'events')} had a text in '{column}' that the model has not seen, or rarely.", file=sys.stderr
            )
    return 0


def past(run: str) -> Any:
    """The rows that a run is of, as far as they and their labels had arrived when they end."""
    from hwds.detection.protocols.base import Detection
    from hwds.experiment.check import check
    from hwds.frames.table import Table
    from hwds.results.folder import RunFolder
    from hwds.splitting.row_windows import arrivals, as_known

    experiment = check(RunFolder.find(run).read_config(secrets=True))
    frame, protocol = experiment.dataset.frame(), experiment.protocol
    assert isinstance(frame, Table)
    assert isinstance(protocol, Detection)
    return as_known(frame, arrivals(frame).max(), protocol.delay_days)
