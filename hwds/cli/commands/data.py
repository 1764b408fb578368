"""Show the source of each dataset, and which datasets are here.

`hwds data m3_monthly` is about one of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from hwds.cli.words import AS_JSON, KnownWord, command, print_json
from hwds.core.errors import ConfigError, nearest
from hwds.core.registry import options


@command(help=__doc__)
@click.argument("names", nargs=-1, type=KnownWord("dataset", lambda: options("dataset")))
@AS_JSON
def main(names: tuple[str, ...], as_json: bool) -> int:
    """Print source, licence, columns and digest of the datasets named, or of all."""
    from hwds.core.compose import option
    from hwds.core.config import build

    known = options("dataset")
    for name in names:
        if name not in known:
            raise ConfigError(f"data: no dataset '{name}'{nearest(name, known)}")
    rows = []
    for name in names or known:
        node = option("dataset", "dataset", name)
        node |= {
            key: name for key, value in node.items() if value == "???"
        }  # only asked where it comes from
        dataset = build("dataset", "dataset", node)
        source: str = dataset.source()  # type: ignore[attr-defined]
        rows.append({"dataset": name, "presence": presence(source).rstrip(";"), "source": source})
    if as_json:
        print_json(rows)
        return 0
    for row in rows:
        here = row["presence"]
        print(f"{row['dataset']}: {f'{here}; ' if here else ''}{row['source']}")
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
