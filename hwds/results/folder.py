"""The folder of a run: its place, its lock, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from hwds.errors import ConfigError, HwdsError, ResumeError, several, unknown
from hwds.results.atomic import write_atomically, write_text
from hwds.results.files import read_table, read_together, undamaged
from hwds.results.holding import alone, reading
from hwds.results.run_config import CONFIG, config_of, write_config
from hwds.results.secrets import unsealed
from hwds.results.tables import Tables
from hwds.results.verdict import Verdict

OUTPUTS = Path("outputs")
"""Where everything goes, below the current folder."""

CELLS = "cells.txt"
"""In the folder of a run or a sweep: the keys of its cells, one a line."""


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
        begun = cls.begun(name)
        if len(begun) > 1:
            raise several("run", name, (path.name for path in begun))
        latest = begun or newest(OUTPUTS / "runs", CONFIG, name)
        if not latest:
            runs = list((OUTPUTS / "runs").glob(f"*/*/{CONFIG}"))
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
        write_config(self.path / CONFIG, data)

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


def newest(place: Path, mark: str, experiment: str) -> list[Path]:
    """The folder of an experiment below a place that holds the youngest file of a name; none where none does."""
    own = [path for path in place.glob(f"*/*/{mark}") if path.parent.parent.name == experiment]
    return [path.parent for path in sorted(own, key=lambda path: path.stat().st_mtime)[-1:]]


def begun(place: Path, mark: str, name: str) -> list[Path]:
    """The folders `<experiment>/<id>` below a place that hold a file, whose id begins so; with a slash in the name both."""
    found = [path.parent for path in place.glob(f"*/*/{mark}")]
    return [path for path in found if (f"{path.parent.name}/{path.name}" if "/" in name else path.name).startswith(name)]
