"""Score events as they arrive, as JSON lines, or serve a bundle by HTTP.

A line is an event, by column, with its key, or the outcome of an event: `{"label": 1, "of": "A-17",
"at": "2024-03-01T12:00"}`, `{"returned": true, "of": "A-17"}`. Report a wrong label again with
`"correct": true`, or withdraw it with `"label": null`. Each answer is a line.

With `--http` the word is the folder of a bundle (`hwds bundle`), and the server keeps the contract
of SageMaker. All other flags except `--store` and `--power` need it; `--key`, `--keep` and
`--remember` are for lines only. SIGTERM lets requests end. SIGHUP loads the bundle that is then in
the folder. Clients need one of the tokens of the variable HWDS_SERVE_TOKENS; without this variable,
everybody has access.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hwds.cli.words import (
    FILE,
    ONE_RUN,
    TRUST,
    NumberWithin,
    OneOf,
    WholeNumber,
    command,
    flag_of,
    number_option,
)
from hwds.core.errors import ConfigError
from hwds.results.formatting import counted

if TYPE_CHECKING:
    from hwds.results.event_log import Durable


@command(help=__doc__)
@ONE_RUN
@click.option("--http", is_flag=True, help="Answer by HTTP from the bundle in this folder.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@number_option(
    "--port", WholeNumber(1, 65_535), "The port (default: SAGEMAKER_BIND_TO_PORT, or 8080)."
)
@number_option("--workers", WholeNumber(1, 64), "Processes that answer.", 2)
@TRUST
@number_option("--most-mb", NumberWithin(0.001, 1024), "Megabytes of a body at most.", 6.0)
@number_option("--seconds", NumberWithin(0.01, 3600), "Seconds of an answer at most.", 55.0)
@number_option(
    "--connections", WholeNumber(16, 1_000_000), "Connections of a worker at most.", 4096
)
@number_option("--head-seconds", NumberWithin(0.1, 3600), "Seconds of a head, or of silence.", 10.0)
@number_option("--body-seconds", NumberWithin(0.1, 3600), "Seconds that a body may take.", 30.0)
@number_option("--idle-seconds", NumberWithin(0.1, 3600), "Seconds between two requests.", 65.0)
@number_option(
    "--batch-ms",
    NumberWithin(0, 1000),
    "Milliseconds that a row waits for other requests, while requests come together.",
    0.0,
)
@click.option(
    "--canary",
    metavar="FOLDER=PERCENT%",
    help="Let this bundle answer a share of the units, such as new=5%.",
)
@click.option(
    "--shadow", type=FILE, help="Let this bundle answer all questions for the record alone."
)
@click.option(
    "--capture", type=FILE, help="Keep requests and answers in this folder, for `hwds monitor`."
)
@number_option("--sample", NumberWithin(0, 1), "The share that is kept.", 1.0)
@click.option(
    "--redact",
    default="",
    metavar="FIELD,FIELD",
    help="Fields that are kept as ***, and not logged.",
)
@click.option(
    "--log",
    type=OneOf("all", "errors"),
    default="errors",
    show_default=True,
    help="Requests that are logged.",
)
@click.option("--tls-cert", type=FILE, help="The certificate to speak TLS with.")
@click.option("--tls-key", type=FILE, help="Its key.")
@click.option(
    "--store", type=FILE, help="The file that stores events, or the folder of a policy's log."
)
@click.option(
    "--key",
    metavar="COLUMN",
    help="The column that names an event (default: the role id, or the column id).",
)
@number_option(
    "--keep",
    NumberWithin(0, 36_525),
    "Days to keep events, 0 for ever (default: twice the longest window of features).",
)
@click.option("--remember", is_flag=True, help="Begin with the run's own rows.")
@click.option("--power", is_flag=True, help="Let the store outlive a power cut, too.")
def main(
    run: str,
    store: str | None,
    key: str | None,
    remember: bool,
    keep: float | None,
    power: bool,
    http: bool,
    **options: Any,
) -> int:
    """Answer each line of the standard input, until it ends.

    What is wrong with a line is its answer.

    Raises:
        ConfigError: A flag would do nothing.
    """
    refuse_idle(
        {"key", "remember", "keep"} if http else {*options},
        "lines, without --http" if http else "--http",
    )
    refuse_idle(set() if http or store else {"power"}, "--store")
    refuse_idle(set() if options["capture"] else {"sample"}, "--capture")
    if http:
        return serve_bundle(run, store, power, options)
    from hwds.serve.events.online import Online, answer_lines

    durable: Durable = "power" if power else "process"
    with Online.open(run, store, key=key, durable=durable, keep=keep) as scorer:
        print(scorer.kept, file=sys.stderr)
        if remember:
            print(
                f"{counted(scorer.backfill(rows_to_remember(run)), 'rows')} remembered.",
                file=sys.stderr,
            )
        gc.collect()
        gc.freeze()  # what is there now stays: no event waits while Python looks all of it through
        for answer in answer_lines(scorer, sys.stdin.buffer):
            print(answer, flush=True)
        for column, count in scorer.unknown.items():
            print(
                f"{counted(count, 'events')} had a text in '{column}' that the model has not "
                f"seen, or rarely.",
                file=sys.stderr,
            )
    return 0


def refuse_idle(names: set[str], needed: str) -> None:
    """Refuse flags that do nothing here, where they are given.

    Raises:
        ConfigError: One is given.
    """
    context = click.get_current_context()
    for param in context.command.params:
        given = context.get_parameter_source(param.name or "") == ParameterSource.COMMANDLINE
        if given and param.name in names:
            raise ConfigError(f"{flag_of(param)}: needs {needed}.")


def serve_bundle(folder: str, store: str | None, power: bool, options: dict[str, Any]) -> int:
    """Answer by HTTP from a bundle, until a signal ends it."""
    from hwds.serve.server.run import ServerAddress, serve
    from hwds.serve.server.settings import ServerSettings, canary_of, port_of

    host, port, *tls = (options.pop(name) for name in ("host", "port", "tls_cert", "tls_key"))
    canary_share = options.pop("canary")
    canary, share = canary_of(canary_share) if canary_share else (None, 0.0)
    settings = ServerSettings(
        folder,
        store=store,
        power=power,
        most_megabytes=options.pop("most_mb"),
        read_seconds=options.pop("body_seconds"),
        canary=canary,
        canary_share=share,
        redact=tuple(filter(None, options.pop("redact").split(","))),
        **options,
    )
    return serve(settings, ServerAddress(host, port or port_of(os.environ), *tls))


def rows_to_remember(run: str) -> Any:
    """The rows that a run is of, as far as they and their labels had arrived when they end."""
    from hwds.experiment.spec import check_stored
    from hwds.frames.table import Table
    from hwds.results.folder import RunFolder
    from hwds.serve.bundle.content import known_at_end

    experiment = check_stored(RunFolder.find(run).read_config(secrets=True))
    frame = experiment.dataset.frame()
    assert isinstance(frame, Table)
    return known_at_end(experiment, frame)
