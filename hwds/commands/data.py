"""Say where each named dataset is to be had, and which are here: `hwds data`, `hwds data m3_monthly`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hwds.errors import ConfigError, nearest
from hwds.registry import options


def main(words: list[str]) -> int:
    """Print source, licence, columns and digest of the datasets named, or of all."""
    from hwds.config.check import build
    from hwds.config.compose import option

    known = options("dataset")
    for word in words:
        if word not in known:
            raise ConfigError(f"data: no dataset '{word}'{nearest(word, known)}")
    for name in words or known:
        node = option("dataset", "dataset", name)
        node |= {key: name for key, value in node.items() if value == "???"}  # only asked where it comes from
        dataset = build("dataset", "dataset", node)
        source: str = dataset.source()  # type: ignore[attr-defined]
        here = found(source)
        print(f"{name}: {f'{here} ' if here else ''}{source}")
    return 0


def choices() -> list[str]:
    """The words it takes, for completion."""
    return list(options("dataset"))


def found(source: str) -> str:
    """Whether the file that a source names below $HWDS_DATA is here; empty where it names none."""
    named = re.search(r"\$HWDS_DATA/(\S+)", source)
    if not named:
        return ""
    folder = os.environ.get("HWDS_DATA")
    if not folder:
        return "not here (HWDS_DATA is not set);"
    file = Path(folder).expanduser() / named[1]
    return f"here ({file});" if file.is_file() else f"not here (no file {file});"
