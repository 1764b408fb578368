"""Write a run's tables for other programs: CSV, Parquet or a workbook."""

from __future__ import annotations

from pathlib import Path

import click

from hwds.cli.words import ONE_RUN, OneOf, command
from hwds.core.errors import ConfigError, nearest

KINDS = ("csv", "parquet", "xlsx")
"""Formats, as `hwds.results.difference` writes them."""


@command(help=__doc__)
@ONE_RUN
@click.option("--to", "kind", type=OneOf(*KINDS), required=True, help="The format.")
@click.option(
    "--tables", default="", metavar="NAME,NAME", help="Some of the tables: `scores,predictions`."
)
@click.option("--out", metavar="PATH", help="The target; otherwise below outputs/exports/.")
def main(run: str, kind: str, tables: str, out: str | None) -> int:
    """Write the tables beside each other into a folder, or into one workbook."""
    from hwds.core.files import OUTPUTS
    from hwds.results.difference import export_tables, write_export
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(run)
    every = export_tables(folder)
    names = [name for name in tables.split(",") if name] or list(every)
    unknown = next((name for name in names if name not in every), None)
    if unknown is not None:
        raise ConfigError(
            f"export: run {folder.title} has no table '{unknown}'{nearest(unknown, every)}"
        )
    place = OUTPUTS / "exports" / folder.title.replace("/", "-")
    place = Path(out) if out else place.with_name(f"{place.name}.xlsx") if kind == "xlsx" else place
    for path in write_export({name: every[name] for name in names}, kind, place):
        print(path)
    return 0
