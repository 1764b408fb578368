"""The files of a run's folder: read whole, or refused in a line that names the damaged one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.checksums.files import check_parquet, read_json, read_parquet
from hwds.core.errors import HwdsError
from hwds.results.score_totals import DAMAGE


def lies_in(folder: str | Path, name: str) -> bool:
    """Return whether a folder that a user has typed holds a file; a name that no file system takes holds none."""
    try:
        return (Path(folder) / name).is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def undamaged(path: Path) -> Iterator[Path]:
    """Yield the path of a file that is read in the block; a full disk or a copy may have truncated it.

    Raises:
        HwdsError: It is damaged, with its path and the reason.
    """
    try:
        yield path
    except DAMAGE as error:
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise HwdsError(f"{path}: is damaged: {why}; delete it, and the same command makes it again.") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """Return a mapping that was written as JSON.

    Raises:
        HwdsError: It is damaged.
    """
    with undamaged(path):
        return read_json(path)


def moment_of(folder: Path, recorded: Mapping[str, Any]) -> float:
    """Return when a run or sweep last ran, in seconds since 1970: what it recorded, or else when its results were written.

    Args:
        folder: Its folder.
        recorded: Its provenance, or the content of `sweep.json`; those of earlier versions say no time.
    """
    if isinstance(when := recorded.get("when"), str):
        return datetime.fromisoformat(when).timestamp()
    there = (path for mark in ("scores.parquet", "sweep.json", "config.yaml") if (path := folder / mark).exists())
    return next(there, folder).stat().st_mtime


def last_ran(folder: Path) -> float:
    """Return the same of a folder, of which a damaged record counts as none."""
    record = next((path for name in ("provenance.json", "sweep.json") if (path := folder / name).is_file()), None)
    try:
        return moment_of(folder, read_json(record) if record else {})
    except DAMAGE:
        return moment_of(folder, {})


def read_table(path: Path) -> pl.DataFrame:
    """Return a table that was written as Parquet.

    Raises:
        HwdsError: It is damaged.
    """
    with undamaged(path):
        return read_parquet(path)


def read_together(paths: Sequence[Path]) -> list[pl.DataFrame]:
    """Return tables that were written as Parquet, read in one pass where all have the same columns.

    Raises:
        HwdsError: One is damaged, with its path.
    """
    for path in paths if len(paths) > 1 else ():
        with undamaged(path):
            check_parquet(path)
    try:
        whole = pl.read_parquet(list(paths), glob=False, include_file_paths="") if len(paths) > 1 else pl.DataFrame()
    except (OSError, pl.exceptions.PolarsError):  # other columns, or a damaged one of an earlier version
        whole = pl.DataFrame()
    of = dict(whole[""].rle().struct.unnest().select("value", "len").iter_rows()) if len(whole) else {}
    lengths = [of.get(str(path), 0) for path in paths]
    if not sum(lengths) or sum(lengths) < len(whole):
        return [read_table(path) for path in paths]
    rows, begins = whole.drop(""), accumulate(lengths, initial=0)
    return [rows.slice(begin, length) for begin, length in zip(begins, lengths, strict=False)]
