"""The folder of a sweep: its place, its lock, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from hwds.results.atomic import write_atomically, write_text
from hwds.results.folder import OUTPUTS, RunFolder

BEST = Path("conf", "experiment", "best.yaml")


@dataclass(frozen=True)
class SweepFolder:
    """`outputs/sweeps/<experiment>/<sweep id>/`.

    It holds `sweep.json` (what was searched, how, and what came of it), `trials.parquet` and `.csv`, `scores.parquet` (all
    scores of every trial), `predictions.parquet` (of the best one on the inner windows), `sweep.md`, `sweep.png`,
    `best.yaml` to read, and `conf/experiment/best.yaml` to run.
    """

    path: Path

    @classmethod
    def of(cls, experiment: str, sweep_id: str) -> SweepFolder:
        """The folder of a sweep, which may not be there yet."""
        return cls((OUTPUTS / "sweeps" / experiment / sweep_id).resolve())

    @property
    def title(self) -> str:
        """`<experiment>/<sweep id>`."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def shown(self) -> Path:
        """The path as one would type it in the current folder."""
        return self.path.relative_to(Path.cwd()) if self.path.is_relative_to(Path.cwd()) else self.path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder against a second process with the same sweep.

        Raises:
            ResumeError: Another process holds it.
        """
        with RunFolder(self.path).held():
            yield

    def write_json(self, told: Mapping[str, Any]) -> None:
        """`sweep.json`."""
        write_text(self.path / "sweep.json", json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False))

    def read_json(self) -> dict[str, Any]:
        """What `write_json` wrote."""
        told: dict[str, Any] = json.loads((self.path / "sweep.json").read_text(encoding="utf-8"))
        return told

    def write_table(self, name: str, table: pl.DataFrame, *, csv: bool = False) -> None:
        """A table as Parquet, and as CSV where it is to be read by people."""
        write_atomically(self.path / f"{name}.parquet", lambda part: table.rechunk().write_parquet(part))
        if csv:
            write_atomically(self.path / f"{name}.csv", table.write_csv)

    def write_best(self, told: Mapping[str, Any], experiment: str) -> None:
        """The best settings, to read and to run.

        Args:
            told: What `best.yaml` says.
            experiment: The text of `conf/experiment/best.yaml`.
        """
        write_text(self.path / "best.yaml", yaml.safe_dump(dict(told), sort_keys=False, allow_unicode=True, width=120))
        write_text(self.path / BEST, experiment)

    def write_page(self, text: str) -> None:
        """`sweep.md`."""
        write_text(self.path / "sweep.md", text)
