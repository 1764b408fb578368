"""The folder of a sweep: its place, its lock, and what it holds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from hwds.errors import ConfigError, ResumeError, several, unknown
from hwds.results.atomic import write_atomically, write_text
from hwds.results.files import read_table, undamaged
from hwds.results.folder import OUTPUTS, RunFolder, begun, newest

SWEEP = "sweep.json"

PREFIX = "sweeps/"
"""Before the name of a sweep, where a run may bear it too."""
BEST = Path("conf", "experiment", "best.yaml")


@dataclass(frozen=True)
class SweepFolder:
    """`outputs/sweeps/<experiment>/<sweep id>/`.

    It holds `sweep.json` (what was searched, how, and what came of it), `trials.parquet` and `.csv`, `scores.parquet` (all
    scores of every trial), `predictions.parquet` (of the best one on the inner windows), `timings.parquet` (of every cell),
    `sweep.md` with its pictures `sweep.png`, `parallel.png` and `importance.png`, `best.yaml` to read, and
    `conf/experiment/best.yaml` to run.
    """

    path: Path

    @classmethod
    def of(cls, experiment: str, sweep_id: str) -> SweepFolder:
        """The folder of a sweep, which may not be there yet."""
        return cls((OUTPUTS / "sweeps" / experiment / sweep_id).resolve())

    @classmethod
    def named(cls, name: str) -> SweepFolder | None:
        """The sweep of a path, of an id or its beginning (`<experiment>/<id>` likewise), or the latest of an experiment.

        With `sweeps/` before it a name is a sweep's alone; without, a run of that name goes before.

        Args:
            name: What a user has typed.

        Raises:
            ConfigError: Several begin so, a run too, or none is called what can only be a sweep's name.
        """
        if (Path(name) / SWEEP).is_file():
            return cls(Path(name).resolve())
        ours, wanted = name.startswith(PREFIX), name.removeprefix(PREFIX)
        if not ours and name in RunFolder.names():
            return None
        begun = cls.begun(wanted)
        if len(begun) > 1:
            raise several("sweep", name, (path.name for path in begun))
        if begun and not ours and (runs := RunFolder.begun(name)):
            raise twofold(name, "run", runs, "sweep", begun)
        latest = begun or newest(OUTPUTS / "sweeps", SWEEP, wanted)
        if ours and not latest:
            raise unknown("sweep", name, OUTPUTS / "sweeps", cls.names())
        return cls(latest[0].resolve()) if latest else None

    @staticmethod
    def begun(name: str) -> list[Path]:
        """The folders of the sweeps whose id begins so; with a slash, `<experiment>/<id>`."""
        return begun(OUTPUTS / "sweeps", SWEEP, name)

    @staticmethod
    def names() -> list[str]:
        """All that `named` finds below the current folder, with `sweeps/` before it."""
        sweeps = [path.parent for path in (OUTPUTS / "sweeps").glob(f"*/*/{SWEEP}")]
        return sorted({f"{PREFIX}{told}" for path in sweeps for told in (path.parent.name, f"{path.parent.name}/{path.name}")})

    @property
    def command(self) -> str:
        """What runs the best settings."""
        return f"python -m hwds --config-dir {shlex.quote(str(self.shown / 'conf'))} +experiment=best"

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
        write_text(self.path / SWEEP, json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False))

    def read_json(self) -> dict[str, Any]:
        """What `write_json` wrote.

        Raises:
            HwdsError: It is damaged.
        """
        with undamaged(self.path / SWEEP) as path:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return told

    def read_trials(self) -> pl.DataFrame:
        """The trials table.

        Raises:
            ResumeError: The sweep is not finished.
            HwdsError: The table is damaged.
        """
        if not (self.path / "trials.parquet").is_file() or "best" not in self.read_json():
            raise ResumeError(
                f"sweep {self.title} is not finished; the command that began it goes on: {self.read_json()['command']}"
            )
        return read_table(self.path / "trials.parquet")

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


def twofold(name: str, one: str, these: Sequence[Path], other: str, those: Sequence[Path]) -> ConfigError:
    """That a name is the beginning of things of two kinds, and how each is told alone."""
    told = [f"{kind} {found[0].parent.name}/{found[0].name}" for kind, found in ((one, these), (other, those))]
    return ConfigError(f"'{name}': {' and '.join(told)} begin so; say more of the one you mean.")
