"""Answer the rows of a file by a bundle: Parquet or CSV in, Parquet files out; what was killed goes on where it was.

File and folder may be in S3 (s3://BUCKET/KEY). Memory does not grow with the file. The answers lie in parts in the folder,
whose `_SUCCESS` says that all are there.
"""

from __future__ import annotations

from pathlib import Path

import click

from hwds.cli.words import FILE, Whole, command


@command(help=__doc__)
@click.argument("folder", metavar="FOLDER")
@click.argument("source", metavar="IN")
@click.argument("out", metavar="OUT")
@click.option("--rows", type=Whole(1, 1_000_000), metavar="NUMBER", default=5000, show_default=True, help="Rows of a part.")
@click.option("--trust", type=FILE, help="The public keys whose signatures count: a file or a folder.")
def main(folder: str, source: str, out: str, rows: int, trust: str | None) -> int:
    """Write the answers."""
    from hwds.production.batch import run_batch, run_far_batch
    from hwds.production.deploy.endpoint import clients_of, refusals
    from hwds.production.s3 import SCHEME
    from hwds.production.services.opening import Bundle
    from hwds.results.formatting import counted

    bundle = Bundle.open(folder, trust)
    service, digest = bundle.service(), bundle.manifest.digest
    if any(place.startswith(SCHEME) for place in (source, out)):
        with refusals("batch"):
            count = run_far_batch(service, digest, source, out, rows, clients_of()("s3"))
    else:
        count = run_batch(service, digest, Path(source), Path(out), rows)
    print(f"{counted(count, 'rows')} answered: {out}")
    return 0
