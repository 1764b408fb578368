"""Show the source of each named dataset, and which are here: `hwds data m3_monthly`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from hwds.cli.words import KnownWord, command
from hwds.core.errors import ConfigError, nearest
from hwds.core.registry import options


@command(help=__doc__)
@click.argument("names", nargs=-1, type=KnownWord("dataset", lambda: options("dataset")))
def main(names: tuple[str, ...]) -> int:
    """Print source, licence, columns and digest of the datasets named, or of all."""
    from hwds.core.compose import option
    from hwds.core.config import build

    known = options("dataset")
    for name in names:
        if name not in known:
            raise ConfigError(f"data: no dataset '{name}'{nearest(name, known)}")
    for name in names or known:
        node = option("dataset", "dataset", name)
        node |= {
            key: name for key, value in node.items() if value == "???"
        }  # only asked where it comes from
        dataset = build("dataset", "dataset", node)
        source: str = dataset.source()  # type: ignore[attr-defined]
        here = presence(source)
        print(f"{name}: {f'{here} ' if here else ''}{source}")
    return 0


def presence(source: str) -> str:
    """Return whether the file that a source names below $HWDS_DATA is here.

    Empty where it names none.
    """
    named = re.search(r"\$HWDS_DATA/(\S+)", source)
    if not named:
        return ""
    folder = os.environ.get("HWDS_DATA")
    if not folder:
        return "not here (HWDS_DATA is not set);"
    file = Path(folder).expanduser() / named[1]
    return f"here ({file});" if file.is_file() else f"not here (no file {file});"
