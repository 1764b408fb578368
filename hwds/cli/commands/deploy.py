"""Put a bundle behind an endpoint of SageMaker: a canary of the new version first, and back where
an alarm is raised.

Nothing but boto3 is needed, which finds its credentials and region by itself. `--dry-run` prints
the calls that would be made, and makes none. The same deployment again makes nothing new; that of
an older bundle brings it back.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hwds.cli.words import FILE, NumberWithin, WholeNumber, command
from hwds.core.errors import ConfigError


def _number(
    name: str, kind: click.ParamType[Any], default: float, metavar: str, meaning: str
) -> Callable[..., Any]:
    """Return an option of a number, whose default is shown."""
    return click.option(
        name, type=kind, default=default, show_default=True, metavar=metavar, help=meaning
    )


ENDPOINT = (
    click.option("--name", required=True, metavar="NAME", help="The endpoint."),
    click.option(
        "--image", required=True, metavar="URI", help="The image that serves (deploy/Dockerfile)."
    ),
    click.option(
        "--role", required=True, metavar="ARN", help="The role that SageMaker runs it as."
    ),
    click.option(
        "--bucket", required=True, metavar="s3://BUCKET/PREFIX", help="Where the bundle is laid."
    ),
    click.option(
        "--instance",
        default="ml.m5.large",
        show_default=True,
        metavar="TYPE",
        help="The type of the machines.",
    ),
    _number("--count", WholeNumber(1, 1000), 2, "NUMBER", "How many."),
    _number(
        "--canary",
        WholeNumber(1, 50),
        10,
        "PERCENT",
        "Of the capacity, which a new version gets first.",
    ),
    _number("--bake", WholeNumber(0, 3600), 600, "SECONDS", "The watch of the canary."),
    _number(
        "--errors",
        WholeNumber(1, 1_000_000),
        5,
        "NUMBER",
        "Answers of 500 and above in a minute that bring the old version back.",
    ),
    _number(
        "--latency-ms",
        NumberWithin(0.1, 60_000),
        1000.0,
        "NUMBER",
        "Milliseconds of the median answer that do so.",
    ),
    _number("--capture", WholeNumber(0, 100), 0, "PERCENT", "Requests that SageMaker keeps."),
    click.option(
        "--group",
        default="",
        metavar="NAME",
        help="Make it a version of this group in SageMaker's registry.",
    ),
    click.option("--region", metavar="REGION", help="Of AWS; else boto3's own."),
)
"""The options of an endpoint, which pipelines have too."""


def endpoint_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of an endpoint."""
    for option in reversed(ENDPOINT):
        function = option(function)
    return function


@command(help=__doc__)
@click.argument("folder", metavar="FOLDER|model.tar.gz")
@endpoint_options
@click.option("--dry-run", is_flag=True, help="Print the calls, and make none.")
@click.option(
    "--trust", type=FILE, help="The public keys whose signatures count: a file or a folder."
)
def main(folder: str, trust: str | None, dry_run: bool, region: str | None, **options: Any) -> int:
    """Deploy a bundle that is signed and that no gate refused."""
    from hwds.serve.deploy import (
        ARCHIVE,
        Deployment,
        carry_out,
        clients_of,
        plan_of,
        unpack_archive,
        write_archive,
    )
    from hwds.serve.services.opening import Bundle
    from hwds.serve.verdicts import refuse_gated_bundle, verdict_tags, verdicts_of

    settings = Deployment(**options)
    with tempfile.TemporaryDirectory() as beside:
        if folder.endswith(".tar.gz"):
            unpack_archive(Path(folder), Path(beside) / "bundle")
            folder = f"{beside}/bundle"
        bundle = Bundle.open(folder, trust)
        if bundle.manifest.kind == "policy":
            raise ConfigError(
                "deploy: an endpoint's disk does not outlive it, as the log of a policy must: "
                "serve it by `hwds serve --http`."
            )
        if not refuse_gated_bundle(bundle.manifest.run, "deploy"):
            print(
                f"Run {bundle.manifest.run} is not here: what gates said of it is not known.",
                file=sys.stderr,
            )
        archive = Path(beside) / ARCHIVE
        plan = plan_of(
            settings,
            bundle.manifest.digest,
            str(archive),
            verdict_tags(verdicts_of(bundle.manifest.run)),
        )
        if dry_run:
            print(json.dumps([call._asdict() for call in plan], indent=1))
            return 0
        write_archive(bundle.folder, archive)
        carry_out(plan, clients_of(region), print)
    print(f"Endpoint {settings.name} answers by bundle {bundle.manifest.digest}.")
    return 0
