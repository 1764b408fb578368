"""Put a bundle behind a SageMaker endpoint: a canary first, and back on an alarm.

It needs only boto3, which finds its credentials and region by itself. `--dry-run` prints the calls
and makes none. The same deployment again changes nothing. Deploying an older bundle restores it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hwds.cli.words import TRUST, NumberWithin, WholeNumber, command, number_option
from hwds.core.errors import ConfigError

ENDPOINT = (
    click.option("--name", required=True, metavar="NAME", help="The endpoint."),
    click.option(
        "--image", required=True, metavar="URI", help="The image that serves (deploy/Dockerfile)."
    ),
    click.option(
        "--role", required=True, metavar="ARN", help="The role that SageMaker runs it as."
    ),
    click.option(
        "--bucket", required=True, metavar="s3://BUCKET/PREFIX", help="The bundle's folder in S3."
    ),
    click.option(
        "--instance",
        default="ml.m5.large",
        show_default=True,
        metavar="TYPE",
        help="The type of the machines.",
    ),
    number_option("--count", WholeNumber(1, 1000), "How many.", 2),
    number_option(
        "--canary",
        WholeNumber(1, 50),
        "The share of the capacity that a new version gets first.",
        10,
        metavar="PERCENT",
    ),
    number_option(
        "--bake", WholeNumber(0, 3600), "The watch of the canary.", 600, metavar="SECONDS"
    ),
    number_option(
        "--errors",
        WholeNumber(1, 1_000_000),
        "Answers of 500 and above in a minute that bring the old version back.",
        5,
    ),
    number_option(
        "--latency-ms",
        NumberWithin(0.1, 60_000),
        "Milliseconds of the median answer that do so.",
        1000.0,
    ),
    number_option(
        "--capture", WholeNumber(0, 100), "Requests that SageMaker keeps.", 0, metavar="PERCENT"
    ),
    click.option(
        "--group",
        default="",
        metavar="NAME",
        help="Make it a version of this group in SageMaker's registry.",
    ),
    click.option("--region", metavar="REGION", help="The region of AWS; otherwise boto3's own."),
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
@TRUST
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
    from hwds.serve.gate import refuse_gated_bundle, verdict_tags, verdicts_of
    from hwds.serve.services.opening import Bundle

    settings = Deployment(**options)
    with tempfile.TemporaryDirectory() as scratch:
        if folder.endswith(".tar.gz"):
            unpack_archive(Path(folder), Path(scratch) / "bundle")
            folder = f"{scratch}/bundle"
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
        archive = Path(scratch) / ARCHIVE
        plan = plan_of(
            settings,
            bundle.manifest.digest,
            str(archive),
            verdict_tags(verdicts_of(bundle.manifest.run)),
        )
        if dry_run:
            print(json.dumps([call._asdict() for call in plan], indent=1))
            return 0
        bundle.copy_to(Path(scratch) / "checked")
        write_archive(Path(scratch) / "checked", archive)
        carry_out(plan, clients_of(region), print)
    print(f"Endpoint {settings.name} answers by bundle {bundle.manifest.digest}.")
    return 0
