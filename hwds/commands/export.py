"""Write a run's tables for other programs: `hwds export RUN --to csv|parquet|xlsx [--tables scores] [--out PATH]`.

`--tables scores,predictions` takes some of the tables, `--out PATH` says where to; else it is `outputs/exports/`.
"""

from __future__ import annotations

from pathlib import Path

from hwds.errors import ConfigError, nearest
from hwds.flags import one_run, parsed

FLAGS = ("--to", "--tables", "--out")


def main(words: list[str]) -> int:
    """Write the tables beside each other into a folder, or into one workbook."""
    names, flags = parsed("export", words, FLAGS)
    name = one_run("export", names)
    from hwds.results.export import KINDS, exported, write_export
    from hwds.results.folder import OUTPUTS, RunFolder

    kind = flags.get("--to", "")
    if kind not in KINDS:
        raise ConfigError(f"export: --to must be one of {', '.join(KINDS)}, got '{kind}'{nearest(kind, KINDS)}")
    folder = RunFolder.find(name)
    tables = exported(folder)
    asked = [each for each in flags.get("--tables", "").split(",") if each] or list(tables)
    unknown = next((each for each in asked if each not in tables), None)
    if unknown is not None:
        raise ConfigError(f"export: run {folder.title} has no table '{unknown}'{nearest(unknown, tables)}")
    place = OUTPUTS / "exports" / folder.title.replace("/", "-")
    place = Path(flags["--out"]) if "--out" in flags else place.with_name(f"{place.name}.xlsx") if kind == "xlsx" else place
    paths = write_export({each: tables[each] for each in asked}, kind, place)
    for path in paths:
        print(path)
    return 0


def choices() -> list[str]:
    """The runs that there are, and the flags, for completion."""
    from hwds.results.folder import RunFolder

    return [*RunFolder.names(), *FLAGS]
