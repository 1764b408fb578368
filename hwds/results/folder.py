"""The folder of a run: its place, its lock, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from hwds.errors import ConfigError, HwdsError, ResumeError, several, unknown
from hwds.hashing import digest_bytes
from hwds.results.atomic import write_atomically, write_text
from hwds.results.holding import alone, reading
from hwds.results.secrets import sealed, unsealed
from hwds.results.tables import Tables
from hwds.results.totals import DAMAGE
from hwds.results.verdict import Verdict

OUTPUTS = Path("outputs")
"""Where everything goes, below the current folder."""

CELLS = "cells.txt"
"""In the folder of a run or a sweep: the keys of its cells, one a line."""


CONFIG, PLAIN = "config.yaml", ".config.json"
"""The config of a run, and the same for programs that read thousands of them."""

NEEDED = ("dataset", "model", "protocol", "seed")
"""What every config has; one that lacks any was cut short."""

TABLES = ("scores", "predictions", "timings", "metrics")
"""What `Tables` holds, a file each; runs of an earlier version lack the last."""


@dataclass(frozen=True)
class RunFolder:
    """`outputs/runs/<experiment>/<run id>/`."""

    path: Path

    @classmethod
    def of(cls, experiment: str, run_id: str) -> RunFolder:
        """The folder of a run, which may not be there yet."""
        return cls((OUTPUTS / "runs" / experiment / run_id).resolve())

    @classmethod
    def find(cls, name: str) -> RunFolder:
        """The run of a path, of an id or its beginning (`<experiment>/<id>` likewise), or the latest of an experiment.

        Raises:
            ConfigError: There is none, or several begin so.
        """
        if (Path(name) / CONFIG).is_file():
            return cls(Path(name).resolve())
        runs = list((OUTPUTS / "runs").glob(f"*/*/{CONFIG}"))
        begun = cls.begun(name)
        if len(begun) > 1:
            raise several("run", name, (path.name for path in begun))
        own = [path for path in runs if path.parent.parent.name == name]
        latest = begun or [path.parent for path in sorted(own, key=lambda path: path.stat().st_mtime)[-1:]]
        if not latest:
            if not runs:
                raise ConfigError(f"no run '{name}': there is none below {OUTPUTS / 'runs'} in {Path.cwd()}.")
            raise unknown("run", name, OUTPUTS / "runs", cls.names(), (path.parent.parent.name for path in runs))
        return cls(latest[0].resolve())

    @staticmethod
    def begun(name: str) -> list[Path]:
        """The folders of the runs whose id begins so; with a slash, `<experiment>/<id>`."""
        return begun(OUTPUTS / "runs", CONFIG, name)

    @staticmethod
    def names() -> list[str]:
        """All that `find` finds below the current folder: each experiment, its runs, and their ids alone."""
        runs = [path.parent for path in (OUTPUTS / "runs").glob("*/*/config.yaml")]
        return sorted({told for run in runs for told in (run.parent.name, f"{run.parent.name}/{run.name}", run.name)})

    @property
    def title(self) -> str:
        """`<experiment>/<run id>`."""
        return f"{self.path.parent.name}/{self.path.name}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder against a second run of the same config; the system frees the lock of a process that dies.

        Raises:
            ResumeError: Another process holds it.
            HwdsError: The folder cannot be made.
        """
        with ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                free = stack.enter_context(alone(self.path))
                stack.enter_context(reading(OUTPUTS / "cache"))
            except OSError as error:
                raise HwdsError(f"{self.path}: cannot be written: {error.strerror or error}.") from error
            if not free:
                raise ResumeError(f"run {self.title} is being computed by another process; wait for it, or stop it.")
            yield

    def write_config(self, data: dict[str, Any]) -> None:
        """The resolved config, which `read_config` gives back: of a secret of the environment the name of its variable."""
        told = sealed(data)
        text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
        write_text(self.path / CONFIG, text)
        plain = json.dumps({"of": _told(text), "config": told}, default=str)
        if json.loads(plain)["config"] == told:  # not where JSON has no such thing, a date
            write_text(self.path / PLAIN, plain)

    def read_config(self, *, secrets: bool = False) -> dict[str, Any]:
        """The config of the run.

        Args:
            secrets: Whether to put the secrets of the environment back in, to compute and not to show.

        Raises:
            HwdsError: It is damaged.
        """
        with undamaged(self.path / CONFIG) as path:
            found = config_of(path)
        return dict(unsealed(found)) if secrets else found

    def write_conclusion(self, said: str) -> None:
        """What the run shows, in a sentence or two."""
        write_text(self.path / "conclusion.txt", f"{said}\n")

    def read_conclusion(self) -> str:
        """What `write_conclusion` wrote; empty where a run of an earlier version has none."""
        path = self.path / "conclusion.txt"
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""

    def write_remarks(self, remarks: Sequence[str]) -> None:
        """What a reader of the numbers is to know besides: units that were not asked, features that nobody used."""
        write_text(self.path / "remarks.txt", "".join(f"{' '.join(remark.split())}\n" for remark in remarks))

    def read_remarks(self) -> list[str]:
        """What `write_remarks` wrote; nothing where a run of an earlier version has none."""
        path = self.path / "remarks.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def write_verdict(self, verdict: Verdict | None, prefix: str = "") -> None:
        """What was decided and its tables, as CSV and Parquet; what an earlier command decided goes.

        Args:
            verdict: What was decided; None for nothing.
            prefix: Of the names of the files (`future_` for what was decided on the months to come).
        """
        for name in (self.read_verdict(prefix) or {}).get("tables", ()):
            for kind in ("csv", "parquet", "png", "svg"):
                (self.path / f"{prefix}{name}.{kind}").unlink(missing_ok=True)
        path = self.path / f"{prefix}decision.json"
        if verdict is None:
            path.unlink(missing_ok=True)
            return
        tables = verdict.tables()
        for name, table in tables.items():
            write_atomically(self.path / f"{prefix}{name}.csv", table.write_csv)
            write_atomically(self.path / f"{prefix}{name}.parquet", table.write_parquet)
        said = verdict.as_dict() | ({"tables": list(tables)} if tables else {})
        write_text(path, json.dumps(said, indent=1, allow_nan=False))

    def read_verdict(self, prefix: str = "") -> dict[str, Any] | None:
        """What `write_verdict` wrote, as plain data; None where nothing was decided."""
        path = self.path / f"{prefix}decision.json"
        found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return found

    def write_cells(self, keys: Iterable[str]) -> None:
        """The keys of the cells that its numbers are made of, which `hwds prune` leaves in the cache."""
        write_text(self.path / CELLS, "".join(f"{key}\n" for key in keys))

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Where the numbers come from."""
        write_text(self.path / "provenance.json", json.dumps(provenance, indent=1))

    def read_provenance(self) -> dict[str, Any]:
        """What `write_provenance` wrote.

        Raises:
            HwdsError: It is damaged.
        """
        with undamaged(self.path / "provenance.json") as path:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return told

    def write_tables(self, tables: Tables) -> None:
        """All tables; scores come last, so that a folder with scores is a finished run."""
        for name in ("predictions", "timings", "metrics", "scores"):
            table: pl.DataFrame = getattr(tables, name)
            write_atomically(self.path / f"{name}.parquet", lambda part, table=table: table.rechunk().write_parquet(part))  # type: ignore[misc]

    def read_tables(self) -> Tables:
        """The tables of a finished run.

        Raises:
            HwdsError: The run is not finished, or a table is damaged.
        """
        self.require_finished()
        return Tables(**{name: read_table(path) for name, path in self._table_paths().items()})

    def read_scores(self) -> pl.DataFrame:
        """The scores of a finished run.

        Raises:
            HwdsError: The run is not finished, or the table is damaged.
        """
        self.require_finished()
        return read_table(self.path / "scores.parquet")

    @classmethod
    def tables_of(cls, folders: Sequence[RunFolder]) -> list[Tables]:
        """The tables of many finished runs, read together.

        Raises:
            HwdsError: See `read_tables`.
        """
        for folder in folders:
            folder.require_finished()
        paths = [folder._table_paths() for folder in folders]
        found: list[dict[str, pl.DataFrame]] = [{} for _ in folders]
        for name in TABLES:
            having = [place for place, own in enumerate(paths) if name in own]
            for place, table in zip(having, read_together([paths[place][name] for place in having]), strict=True):
                found[place][name] = table
        return [Tables(**each) for each in found]

    def require_finished(self) -> None:
        """Refuse a run that is not finished.

        Raises:
            HwdsError: It is not.
        """
        if not (self.path / "scores.parquet").is_file():
            raise HwdsError(f"run {self.title} is not finished; the same command goes on with it.")

    def _table_paths(self) -> dict[str, Path]:
        """The file of each table that is there."""
        return {name: path for name in TABLES if (path := self.path / f"{name}.parquet").is_file()}


def begun(place: Path, mark: str, name: str) -> list[Path]:
    """The folders `<experiment>/<id>` below a place that hold a file, whose id begins so; with a slash in the name both."""
    found = [path.parent for path in place.glob(f"*/*/{mark}")]
    return [path for path in found if (f"{path.parent.name}/{path.name}" if "/" in name else path.name).startswith(name)]


@contextmanager
def undamaged(path: Path) -> Iterator[Path]:
    """A file to be read, which a full disk or a copy may have cut short.

    Raises:
        HwdsError: It is damaged; which, and how.
    """
    try:
        yield path
    except DAMAGE as error:
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise HwdsError(f"{path}: is damaged: {why}; delete it, and the same command makes it again.") from error


def read_table(path: Path) -> pl.DataFrame:
    """A table that was written as Parquet.

    Raises:
        HwdsError: It is damaged.
    """
    with undamaged(path):
        return pl.read_parquet(path)


def read_together(paths: Sequence[Path]) -> list[pl.DataFrame]:
    """Tables that were written as Parquet, in one pass where all have the same columns.

    Raises:
        HwdsError: One is damaged; which.
    """
    try:
        whole = pl.read_parquet(list(paths), glob=False, include_file_paths="") if len(paths) > 1 else pl.DataFrame()
    except (OSError, pl.exceptions.PolarsError):  # other columns, or a damaged one
        whole = pl.DataFrame()
    if whole.is_empty():
        return [read_table(path) for path in paths]
    of = dict(whole[""].rle().struct.unnest().select("value", "len").iter_rows())
    lengths = [of.get(str(path), 0) for path in paths]
    rows, begins = whole.drop(""), accumulate(lengths, initial=0)
    return [rows.slice(begin, length) for begin, length in zip(begins, lengths, strict=False)]


def config_of(path: Path) -> dict[str, Any]:
    """The config that a run wrote as YAML.

    What lies beside it in JSON is read a hundred times as fast, and taken where it is of the very same text.

    Raises:
        ValueError: The file holds something else, or ends early.
    """
    text = path.read_text(encoding="utf-8")
    found = _beside(path.with_name(PLAIN), text) or _parsed(path, text)
    missing = next((key for key in NEEDED if found.get(key) is None), None)
    if missing:
        raise ValueError(f"{path.name} ends early: it has no {missing}")
    return found


def _beside(path: Path, text: str) -> dict[str, Any]:
    """What is kept of this text; nothing where there is no such file, or it is of another text or damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return dict(kept["config"]) if kept["of"] == _told(text) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no config")
    return found


def _told(text: str) -> str:
    return digest_bytes([text.encode()])
