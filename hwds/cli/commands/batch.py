"""Score the rows of a file with a bundle, in parts; the same command resumes.

After a kill, the same command continues. File and folder may be in S3 (s3://BUCKET/KEY). Memory
does not grow with the file. The folder has the scores in parts, and `_SUCCESS` once all are there.
`compute=ray` or `compute=cluster` scores parts on all cores, or nodes, of a Ray cluster, with the
same bytes: `hwds batch market rows.parquet scores compute=ray compute.workers=8`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwds.cli.words import TRUST, WholeNumber, command, number_option
from hwds.core.errors import ConfigError

if TYPE_CHECKING:
    from hwds.evaluation.ray.executor import OnRay


@command(help=__doc__)
@click.argument("folder", metavar="FOLDER")
@click.argument("source", metavar="IN")
@click.argument("out", metavar="OUT")
@click.argument("words", nargs=-1, metavar="[compute=ray] [compute.KEY=VALUE] ...")
@number_option("--rows", WholeNumber(1, 1_000_000), "Rows of a part.", 5000)
@TRUST
def main(
    folder: str, source: str, out: str, words: tuple[str, ...], rows: int, trust: str | None
) -> int:
    """Write the answers."""
    from hwds.results.formatting import counted
    from hwds.serve.batch import on_ray, run_batch, run_far_batch
    from hwds.serve.deploy import SCHEME, aws_refusals, clients_of
    from hwds.serve.services.opening import Bundle

    bundle = Bundle.open(folder, trust)
    service, digest = bundle.service(), bundle.manifest.digest
    answering = on_ray(cluster_of(words), bundle) if words else None
    if any(place.startswith(SCHEME) for place in (source, out)):
        with aws_refusals("batch"):
            count = run_far_batch(service, digest, source, out, rows, clients_of()("s3"), answering)
    else:
        count = run_batch(service, digest, Path(source), Path(out), rows, answering=answering)
    print(f"{counted(count, 'rows')} answered: {out}")
    return 0


def cluster_of(words: Sequence[str]) -> OnRay:
    """Return the cluster that words name.

    Raises:
        ConfigError: They name none, or something else.
    """
    from hwds.core.compose import compose
    from hwds.core.config import build
    from hwds.evaluation.ray.executor import OnRay

    other = next((word for word in words if not word.startswith(("compute=", "compute."))), None)
    if other is not None:
        raise ConfigError(f"batch: must be followed by words of compute alone, got '{other}'.")
    compute = build("compute", "compute", compose([*words])["compute"])
    if not isinstance(compute, OnRay):
        raise ConfigError(
            f"compute: a batch is answered here, or by compute=ray or compute=cluster, got "
            f"'{compute.name}'."
        )
    return compute
