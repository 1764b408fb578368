"""The index: the facts of all folders of outputs at once. It can be thrown away, and what has changed since is read again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from hwds.errors import HwdsError
from hwds.hashing import digest, digest_source
from hwds.results import facts, folder, totals
from hwds.results.atomic import write_atomically
from hwds.results.facts import FILES, Facts, Value, facts_of
from hwds.results.totals import totals_of

COLUMNS = {"path": pl.String, "name": pl.String, "number": pl.Float64, "text": pl.String, "better": pl.String}
"""One row a fact of a folder, a number or a text; the row without a name has in `text` the folder's signature."""

KINDS = {"run": "runs", "sweep": "sweeps"}
"""Each kind of folder and what it lies in."""

SETTLED = 2.0
"""Seconds for which a file must not have changed when it is read, or else it is read again the next time: within one tick
of the file system's clock a second change would leave the same signature."""


@dataclass(frozen=True, eq=False)
class RunIndex:
    """What all runs and sweeps below a folder say of themselves.

    Attributes:
        table: See `COLUMNS`.
        root: The outputs folder.
        read: How many folders were read now; the others were known.
    """

    table: pl.DataFrame
    root: Path
    read: int

    @classmethod
    def of(cls, root: Path | None = None) -> Self:
        """The index of an outputs folder (that of the current folder), brought up to date."""
        root = (root or folder.OUTPUTS).resolve()
        file = root / "cache" / f"runs-{_version()}.parquet"
        seen = dict(_signatures(root))
        known = _load(file)
        signed = known.filter(pl.col("name") == "").select("path", "text")
        same = [path for path, said in signed.iter_rows() if seen.get(path) == said]
        kept = known if len(same) == len(signed) else known.filter(pl.col("path").is_in(same))
        missing = sorted(set(seen) - set(same))
        if not missing and kept is known:
            return cls(known, root, 0)
        began = time.time()
        new = _rows(root, {path: seen[path] for path in missing})
        lasting = [path for path in missing if _last_change(seen[path]) < began - SETTLED]
        if lasting or kept is not known:
            _save(file, pl.concat([kept, new.filter(pl.col("path").is_in(lasting))]))
        return cls(pl.concat([kept, new]), root, len(missing))

    @property
    def paths(self) -> list[str]:
        """Each folder, as it lies below the root: `runs/<experiment>/<id>`."""
        return self.table.filter(pl.col("name") == "")["path"].sort().to_list()

    @property
    def names(self) -> list[str]:
        """The names of all facts."""
        return self.table["name"].unique().sort().to_list()[1:] if len(self.table) else []

    def column(self, name: str) -> dict[str, Value]:
        """One fact of each folder that has it."""
        rows = self.table.filter(pl.col("name") == name).select("path", "number", "text")
        return {path: text if number is None else number for path, number, text in rows.iter_rows()}

    def signature(self, path: str) -> str:
        """What a folder was when it was read; see the function of this name. Empty where the index does not know it."""
        found = self.table.filter((pl.col("path") == path) & (pl.col("name") == ""))["text"]
        return str(found[0]) if len(found) else ""

    def better(self, name: str) -> str:
        """Which way is good (`low`, `high`, `none`); empty where a fact is no metric."""
        found = self.table.filter((pl.col("name") == name) & pl.col("better").is_not_null())["better"]
        return str(found[0]) if len(found) else ""

    def facts(self, paths: Iterable[str]) -> dict[str, Facts]:
        """All facts of some folders, in their order."""
        found: dict[str, Facts] = {path: {} for path in paths}
        rows = self.table.filter(pl.col("path").is_in(list(found)) & (pl.col("name") != ""))
        for path, name, number, text in rows.select("path", "name", "number", "text").iter_rows():
            found[path][name] = text if number is None else number
        return found


def _version() -> str:
    """The digest of the modules that decide what an index holds."""
    return digest([digest_source(Path(str(module))) for module in (__file__, facts.__file__, totals.__file__)])[:8]


def _signatures(root: Path) -> Iterator[tuple[str, str]]:
    """Every folder with its signature."""
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
    """Change time (which nobody can set), size and inode of each file that facts are read from."""
    found = []
    for name in FILES:
        try:
            about = os.stat(f"{path}/{name}")
        except OSError:
            continue
        found.append(f"{name}:{about.st_ctime_ns}:{about.st_size}:{about.st_ino}")
    return "|".join(found)


def _last_change(signed: str) -> float:
    return max(int(part.split(":")[1]) for part in signed.split("|")) / 1e9


def _rows(root: Path, signatures: dict[str, str]) -> pl.DataFrame:
    """The rows of folders that are read now."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    kinds = {below: kind for kind, below in KINDS.items()}
    scored = totals_of([root / path for path, signed in signatures.items() if "scores.parquet:" in signed])
    for path, signed in signatures.items():
        kind = kinds[path.partition("/")[0]]
        found, better = facts_of(kind, root / path, scored.get(root / path))
        told = {"": signed} | {name: value for name, value in found.items() if value is not None}
        columns["path"] += [path] * len(told)
        columns["name"] += told
        columns["number"] += [None if isinstance(value, str) else float(value) for value in told.values()]
        columns["text"] += [value if isinstance(value, str) else None for value in told.values()]
        columns["better"] += [better.get(name) for name in told]
    return pl.DataFrame(columns, schema=COLUMNS)


def _load(file: Path) -> pl.DataFrame:
    """What is kept; nothing where there is no file or it is damaged."""
    try:
        table = pl.read_parquet(file)
        return table if dict(table.schema) == COLUMNS else pl.DataFrame(schema=COLUMNS)
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema=COLUMNS)


def _save(file: Path, table: pl.DataFrame) -> None:
    """Keep it where that can be done: a folder that cannot be written is read again each time."""
    try:
        write_atomically(file, lambda part: table.rechunk().write_parquet(part, compression="zstd"))
    except HwdsError:
        return
    for other in file.parent.glob("runs-*.parquet"):
        if other != file:
            other.unlink(missing_ok=True)
