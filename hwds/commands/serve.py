"""Score events as they arrive, JSON lines in and out: `hwds serve RUN [--store FILE] [--key NAME] [--remember] [--power]`.

A line is an event, by column, with its key (`--key`, `id` unless said), or what became of one:
`{"label": 1, "of": "A-17", "at": "2024-03-01T12:00"}`, `{"returned": true, "of": "A-17"}`. Each answer is a line.
`--store FILE` keeps what was seen over `kill -9` (over a power cut with `--power`), `--remember` begins with the run's
own rows.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hwds.errors import DataError
from hwds.flags import one_run, parsed
from hwds.results.wording import counted

if TYPE_CHECKING:
    from hwds.serving.online import Online

WITH_VALUE = ("--store", "--key")
BARE = ("--remember", "--power")
FLAGS = (*WITH_VALUE, *BARE)


def main(words: list[str]) -> int:
    """Answer each line of the standard input, until it ends.

    A line is an event, by column, with its key; or what became of one: `{"label": 1, "of": "A-17", "at": "2024-03-01T12:00"}`,
    `{"returned": true, "of": "A-17"}`. What is wrong with a line is its answer, and the next one is read.
    """
    names, flags = parsed("serve", words, WITH_VALUE, BARE)
    name = one_run("serve", names)
    from hwds.serving.online import KEY, Online

    key, durable = flags.get("--key", KEY), "power" if "--power" in flags else "process"
    with Online.open(name, flags.get("--store"), key=key, durable=durable) as scorer:  # type: ignore[arg-type]
        if "--remember" in flags:
            print(f"{counted(scorer.remember(past(name)), 'rows')} remembered.", file=sys.stderr)
        gc.collect()
        gc.freeze()  # what is there now stays: no event waits while Python looks all of it through
        for answer in answers(scorer, sys.stdin):
            print(answer, flush=True)
        for column, count in scorer.unknown.items():
            print(
                f"{counted(count, 'events')} had a text in '{column}' that the model has not seen, or rarely.", file=sys.stderr
            )
    return 0


def choices() -> list[str]:
    """The runs that there are, and the flags, for completion."""
    from hwds.results.folder import RunFolder

    return [*RunFolder.names(), *FLAGS]


def past(run: str) -> Any:
    """The rows that a run is of, as far as they and their labels had arrived when they end."""
    from hwds.config.check import check
    from hwds.protocols.row_windows import arrivals, as_known
    from hwds.results.folder import RunFolder

    experiment = check(RunFolder.find(run).read_config(secrets=True))
    dataset: Any = experiment.dataset
    protocol: Any = experiment.protocol
    frame = dataset.frame()
    return as_known(frame, arrivals(frame).max(), protocol.delay_days)


def answers(scorer: Online, lines: Iterable[str]) -> Iterable[str]:
    """The answer to each line that is not empty, as JSON."""
    for line in lines:
        if line.strip():
            try:
                yield answered(scorer, line.strip())
            except DataError as error:
                yield json.dumps({"error": str(error)}, ensure_ascii=False)


def answered(scorer: Online, line: str) -> str:
    """The answer to an event, or whether what was told is news.

    Raises:
        DataError: The line is neither.
    """
    if '"of"' in line:
        told = json.loads(line)
        if "of" in told and "label" in told:
            return json.dumps({"of": told["of"], "news": scorer.label(told["of"], told["label"], told.get("at"))})
        if "of" in told and "returned" in told:
            return json.dumps({"of": told["of"], "news": scorer.returned(told["of"], told.get("at"))})
    return scorer.score(line).json()
