"""Print, create or run a pipeline: train, evaluate, gate, register, deploy.

The words are an experiment's overrides, and `card.FIELD=text`. The definition is printed.
`--create` sends it to SageMaker, which runs it on request. `--local FOLDER` runs its steps on this
machine against the API of AWS_ENDPOINT_URL. A refused model is neither registered nor deployed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from hwds.cli.commands.deploy import endpoint_options
from hwds.cli.commands.gate import gates
from hwds.cli.words import FILE, KnownWord, command
from hwds.core.errors import ConfigError

ADDRESS = "AWS_ENDPOINT_URL"


@command(help=__doc__)
@click.argument("words", nargs=-1, required=True, metavar="path.to.key=value ...")
@endpoint_options
@click.option(
    "--data",
    required=True,
    metavar="s3://BUCKET/PREFIX",
    help="The rows, one file or several of one kind.",
)
@click.option(
    "--key",
    required=True,
    metavar="s3://BUCKET/PREFIX",
    help="The folder of signing.pem and signing.pem.pub.",
)
@click.option(
    "--gate",
    type=KnownWord("gate", gates),
    default="production",
    show_default=True,
    help="The rules to pass.",
)
@click.option(
    "--train-instance",
    default="ml.m5.xlarge",
    show_default=True,
    metavar="TYPE",
    help="The machine of training.",
)
@click.option(
    "--create",
    is_flag=True,
    help="Give the definition to SageMaker, in place of an older one of this name.",
)
@click.option("--local", type=FILE, metavar="FOLDER", help="Run the steps here.")
def main(
    words: tuple[str, ...],
    data: str,
    key: str,
    gate: str,
    train_instance: str,
    create: bool,
    local: str | None,
    region: str | None,
    **options: Any,
) -> int:
    """Print, create or run the pipeline."""
    from hwds.cli.train import check_given
    from hwds.serve.deploy import Deployment, clients_of, put_pipeline
    from hwds.serve.pipeline import (
        CHANNEL,
        KEYS,
        LocalPipeline,
        Retraining,
        definition_of,
        hyperparameters_of,
    )

    given = hyperparameters_of(list(words))
    check_given(given, (CHANNEL, KEYS))
    deployment = Deployment(**options)
    definition = definition_of(Retraining(deployment, given, data, key, gate, train_instance))
    if local is not None and not os.environ.get(ADDRESS):
        raise ConfigError(f"--local: needs {ADDRESS}, the address of a stand-in for AWS.")
    if create or local is not None:
        print(
            put_pipeline(
                deployment.name, deployment.role, definition, clients_of(region)("sagemaker")
            )
        )
    if local is not None:
        LocalPipeline(deployment.name, definition, clients_of(region), Path(local), print).run()
    elif not create:
        print(json.dumps(definition, indent=1))
    return 0
