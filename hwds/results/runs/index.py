"""The index of the fields of all runs and sweeps. It is a cache: folders that have changed are read again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from hwds.core.checksums.files import read_parquet, write_parquet
from hwds.core.errors import HwdsError
from hwds.core.hashing import digest_bytes
from hwds.core.outputs import OUTPUTS
from hwds.results import score_totals
from hwds.results.runs import fields as run_fields
from hwds.results.runs.fields import FILES, RunFields, Value, fields_of
from hwds.results.score_totals import totals_of

COLUMNS = {"path": pl.String, "name": pl.String, "number": pl.Float64, "text": pl.String, "better": pl.String}
"""One row a field of a folder, a number or a text; the row without a name has the folder's signature in `text`."""

KINDS = {"run": "runs", "sweep": "sweeps"}
"""Each kind of folder and its parent."""

SETTLED = 2.0
"""Seconds without a change after which a file counts as settled; until then it is read again each time: within one tick
of the file system's clock a second change would leave the same signature."""


@dataclass(frozen=True, eq=False)
class RunIndex:
    """The fields of all runs and sweeps below a folder.

    Attributes:
        table: See `COLUMNS`.
        root: The outputs folder.
        read: The number of folders that were read now; the others were indexed.
    """

    table: pl.DataFrame
    root: Path
    read: int

    @classmethod
    def of(cls, root: Path | None = None) -> Self:
        """Return the up-to-date index of an outputs folder; by default that of the current folder."""
        root = (root or OUTPUTS).resolve()
        file = root / "cache" / f"runs-{_version()}.parquet"
        seen = dict(_signatures(root))
        known = _load(file)
        signed = known.filter(pl.col("name") == "").select("path", "text")
        same = [path for path, old in signed.iter_rows() if seen.get(path) == old]
        unchanged = known if len(same) == len(signed) else known.filter(pl.col("path").is_in(same))
        missing = sorted(set(seen) - set(same))
        if not missing and unchanged is known:
            return cls(known, root, 0)
        began = time.time()
        new = _rows(root, {path: seen[path] for path in missing})
        lasting = [path for path in missing if _last_change(seen[path]) < began - SETTLED]
        if lasting or unchanged is not known:
            _save(file, pl.concat([unchanged, new.filter(pl.col("path").is_in(lasting))]))
        return cls(pl.concat([unchanged, new]), root, len(missing))

    @cached_property
    def signatures(self) -> dict[str, str]:
        """The signature of each folder when it was read."""
        return dict(self.table.filter(pl.col("name") == "").select("path", "text").iter_rows())

    @cached_property
    def paths(self) -> list[str]:
        """The folders, relative to the root: `runs/<experiment>/<id>`."""
        return sorted(self.signatures)

    @cached_property
    def names(self) -> list[str]:
        """The names of all fields."""
        return self.table["name"].unique().sort().to_list()[1:] if len(self.table) else []

    def column(self, name: str) -> dict[str, Value]:
        """Return one field of each folder that has it."""
        if name not in self._columns:
            rows = self._by_name.get((name,), self.table.clear()).select("path", "number", "text")
            self._columns[name] = {path: text if number is None else number for path, number, text in rows.iter_rows()}
        return self._columns[name]

    @cached_property
    def _columns(self) -> dict[str, dict[str, Value]]:
        """The fields that were asked for."""
        return {}

    @cached_property
    def _by_name(self) -> dict[tuple[object, ...], pl.DataFrame]:
        """The rows of each field: cut once, where many fields are asked for."""
        return self.table.partition_by("name", as_dict=True)

    def signature(self, path: str) -> str:
        """Return the signature of a folder when it was read; empty where the index does not know it."""
        return self.signatures.get(path, "")

    def better(self, name: str) -> str:
        """Return which way is good (`low`, `high`, `none`); empty where a field is not a metric."""
        return self._better.get(name, "")

    @cached_property
    def _better(self) -> dict[str, str]:
        metrics = self.table.filter(pl.col("better").is_not_null())
        return dict(metrics.group_by("name").agg(pl.col("better").first()).iter_rows())

    def fields(self, paths: Iterable[str]) -> dict[str, RunFields]:
        """Return all fields of some folders, in their order."""
        fields: dict[str, RunFields] = {path: {} for path in paths}
        rows = self.table.filter(pl.col("path").is_in(list(fields)) & (pl.col("name") != ""))
        for path, name, number, text in rows.select("path", "name", "number", "text").iter_rows():
            fields[path][name] = text if number is None else number
        return fields


def _version() -> str:
    """Return the digest of the modules that determine the content of an index."""
    files = (__file__, run_fields.__file__, score_totals.__file__)
    return digest_bytes(Path(str(file)).read_bytes() for file in files)[:8]


def _signatures(root: Path) -> Iterator[tuple[str, str]]:
    """Yield every folder with its signature."""
    marks = {"run": "config.yaml", "sweep": "sweep.json"}
    for kind, below in KINDS.items():
        for experiment in _folders(root / below):
            for place in _folders(experiment.path):
                signed = signature(place.path)
                if f"{marks[kind]}:" in signed:
                    yield f"{below}/{experiment.name}/{place.name}", signed


def _folders(path: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:  # not there, or gone meanwhile
        return []


def signature(path: Path | str) -> str:
    """Return change time (which cannot be set), size and inode of each file that fields are read from."""
    parts = []
    for name in FILES:
        try:
            about = os.stat(f"{path}/{name}")
        except OSError:
            continue
        parts.append(f"{name}:{about.st_ctime_ns}:{about.st_size}:{about.st_ino}")
    return "|".join(parts)


def _last_change(signed: str) -> float:
    return max(int(part.split(":")[1]) for part in signed.split("|")) / 1e9


def _rows(root: Path, signatures: dict[str, str]) -> pl.DataFrame:
    """Return the rows of folders that are read now."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    kinds = {below: kind for kind, below in KINDS.items()}
    scored = totals_of([root / path for path, signed in signatures.items() if "scores.parquet:" in signed])
    for path, signed in signatures.items():
        kind = kinds[path.partition("/")[0]]
        fields, better = fields_of(kind, root / path, scored.get(root / path))
        values = {"": signed} | {name: value for name, value in fields.items() if value is not None}
        columns["path"] += [path] * len(values)
        columns["name"] += values
        columns["number"] += [None if isinstance(value, str) else float(value) for value in values.values()]
        columns["text"] += [value if isinstance(value, str) else None for value in values.values()]
        columns["better"] += [better.get(name) for name in values]
    return pl.DataFrame(columns, schema=COLUMNS)


def _load(file: Path) -> pl.DataFrame:
    """Return the saved index; an empty one where there is no file or it is damaged."""
    try:
        table = read_parquet(file)
        return table if dict(table.schema) == COLUMNS else pl.DataFrame(schema=COLUMNS)
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema=COLUMNS)


def _save(file: Path, table: pl.DataFrame) -> None:
    """Save the index where that is possible; else all folders are read again each time."""
    try:
        write_parquet(file, table, compression="zstd")
    except HwdsError:
        return
    for other in file.parent.glob("runs-*.parquet"):
        if other != file:
            other.unlink(missing_ok=True)
