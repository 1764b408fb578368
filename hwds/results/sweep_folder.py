"""The folder of a sweep: its path, its lock, and its files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from polars import DataFrame

from hwds.core.checksums import write_json, write_parquet
from hwds.core.errors import ConfigError, ResumeError, ambiguous, unknown
from hwds.core.files import OUTPUTS, write_text
from hwds.core.moved import current_paths
from hwds.results.files import holds_file, read_json_mapping, read_table, write_csv, write_markdown
from hwds.results.folder import RunFolder, folders_starting_with, newest_folders

SWEEP, PAGE, EVIDENCE = "sweep.json", "sweep.html", "evidence.json"

PREFIX = "sweeps/"
"""The prefix that marks a name as a sweep's, where a run may have it, too."""
BEST = Path("conf", "experiment", "best.yaml")


def candidates(trials: DataFrame) -> int:
    """Return the number of trials with a score, the experiment as it stood apart."""
    return max(int(trials["score"].count()) - 1, 1)


@dataclass(frozen=True)
class SweepFolder:
    """The folder `outputs/sweeps/<experiment>/<sweep id>/`.

    It holds `sweep.json` (the search, its settings and its result), `trials.parquet` and `.csv`,
    `scores.parquet` (all scores of every trial), `predictions.parquet` (of the best one on the
    inner windows), `timings.parquet` (of every cell), `sweep.html`, and `sweep.md` with its
    pictures `sweep.png`, `parallel.png` and `importance.png`, `best.yaml` to read, and
    `conf/experiment/best.yaml` to run. `evidence.json` has the trials of earlier sweeps that count
    in it.
    """

    path: Path

    @classmethod
    def of(cls, experiment: str, sweep_id: str) -> SweepFolder:
        """Return the folder of a sweep, which need not exist yet."""
        return cls((OUTPUTS / "sweeps" / experiment / sweep_id).resolve())

    @classmethod
    def find_unless_run(cls, name: str) -> SweepFolder | None:
        """Return the sweep of a path, of an id or its beginning (`<experiment>/<id>` likewise), or
        the latest of an experiment.

        A name with the prefix `sweeps/` is a sweep's; without it, a run of that name takes
        precedence and the answer is None.

        Args:
            name: The name that the user typed.

        Raises:
            ConfigError: Several begin so, a run begins so, too, or no sweep has a prefixed name.
        """
        if holds_file(name, SWEEP):
            return cls(Path(name).resolve())
        ours, wanted = name.startswith(PREFIX), name.removeprefix(PREFIX)
        if not ours and name in RunFolder.names():
            return None
        starting_with = cls.starting_with(wanted)
        if len(starting_with) > 1:
            raise ambiguous("sweep", name, (path.name for path in starting_with))
        if starting_with and not ours and (runs := RunFolder.starting_with(name)):
            raise ambiguous_kinds(name, "run", runs, "sweep", starting_with)
        latest = starting_with or newest_folders(OUTPUTS / "sweeps", SWEEP, wanted)
        if ours and not latest:
            raise unknown("sweep", name, OUTPUTS / "sweeps", cls.names())
        return cls(latest[0].resolve()) if latest else None

    @classmethod
    def find(cls, name: str) -> SweepFolder:
        """Return the sweep of a name, with the prefix `sweeps/` or without.

        Raises:
            ConfigError: There is none, or several begin so.
        """
        prefixed = name if holds_file(name, SWEEP) else f"{PREFIX}{name.removeprefix(PREFIX)}"
        folder = cls.find_unless_run(prefixed)
        assert folder is not None  # with the prefix none is an error of its own
        return folder

    @staticmethod
    def starting_with(name: str) -> list[Path]:
        """Return the folders of the sweeps whose id begins so.

        With a slash, `<experiment>/<id>`.
        """
        return folders_starting_with(OUTPUTS / "sweeps", SWEEP, name)

    @classmethod
    def finished(cls) -> list[SweepFolder]:
        """Return all sweeps below the current folder that have a table of trials, by name."""
        return [
            cls(path.parent.resolve())
            for path in sorted((OUTPUTS / "sweeps").glob("*/*/trials.parquet"))
        ]

    @staticmethod
    def names() -> list[str]:
        """Return all names that `find_unless_run` knows below the current folder, with the prefix
        `sweeps/`.
        """
        sweeps = [path.parent for path in (OUTPUTS / "sweeps").glob(f"*/*/{SWEEP}")]
        return sorted(
            {
                f"{PREFIX}{content}"
                for path in sweeps
                for content in (path.parent.name, f"{path.parent.name}/{path.name}")
            }
        )

    @property
    def command(self) -> str:
        """The command that runs the best settings."""
        return (
            f"python -m hwds --config-dir {shlex.quote(str(self.shown / 'conf'))} +experiment=best"
        )

    @property
    def title(self) -> str:
        """`<experiment>/<sweep id>`."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def shown(self) -> Path:
        """The path relative to the current folder, where it is below it."""
        return (
            self.path.relative_to(Path.cwd()) if self.path.is_relative_to(Path.cwd()) else self.path
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against a second process with the same sweep.

        Raises:
            ResumeError: Another process has locked it.
        """
        with RunFolder(self.path).lock():
            yield

    def write_json(self, content: Mapping[str, Any]) -> None:
        """Write `sweep.json`."""
        write_json(self.path / SWEEP, content, allow_nan=False, ensure_ascii=False)

    def read_json(self) -> dict[str, Any]:
        """Return the content that `write_json` wrote, with the present paths of moved classes.

        Raises:
            HwdsError: It is damaged.
        """
        return dict(current_paths(read_json_mapping(self.path / SWEEP)))

    def count_tried(self) -> int:
        """Return the number of its own trials in its table; 0 where it is not finished."""
        return (
            int((self._trials()["source"] == "").sum())
            if (self.path / "trials.parquet").is_file()
            else 0
        )

    def read_evidence(self) -> list[dict[str, Any]] | None:
        """Return the trials of earlier sweeps that count in this one, as they were when it began.

        None before that.

        Raises:
            HwdsError: They are damaged.
        """
        path = self.path / EVIDENCE
        return list(read_json_mapping(path)["trials"]) if path.is_file() else None

    def write_evidence(self, trials: Sequence[Mapping[str, Any]]) -> None:
        """Write the trials of earlier sweeps that count in this one, unless they are there."""
        if not (self.path / EVIDENCE).is_file():
            write_json(
                self.path / EVIDENCE,
                {"trials": [dict(trial) for trial in trials]},
                ensure_ascii=False,
            )

    def read_trials(self) -> DataFrame:
        """Return the trials table.

        Raises:
            ResumeError: The sweep is not finished.
            HwdsError: The table is damaged.
        """
        if not (self.path / "trials.parquet").is_file() or "best" not in self.read_json():
            raise ResumeError(
                f"sweep {self.title} is not finished; the command that began it goes on: "
                f"{self.read_json()['command']}"
            )
        return self._trials()

    def _trials(self) -> DataFrame:
        table = read_table(self.path / "trials.parquet")
        missing = (
            () if "source" in table.columns else (pl.lit("").alias("source"),)
        )  # of a sweep that knew no earlier ones
        return table.with_columns(*missing)

    def write_table(self, name: str, table: DataFrame, *, csv: bool = False) -> None:
        """Write a table as Parquet, and on request as CSV."""
        write_parquet(self.path / f"{name}.parquet", table)
        if csv:
            write_csv(self.path / f"{name}.csv", table)

    def write_best(self, content: Mapping[str, Any], experiment: str) -> None:
        """Write the best settings, to read and to run.

        Args:
            content: The content of `best.yaml`.
            experiment: The text of `conf/experiment/best.yaml`.
        """
        text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120)
        write_text(self.path / "best.yaml", text)
        write_json(self.path / ".best.json", {"text": text}, ensure_ascii=False)
        write_text(self.path / BEST, experiment)

    def read_best(self) -> str:
        """Return the text of `best.yaml`, from its copy with a checksum where there is one.

        Raises:
            HwdsError: It is damaged.
        """
        copy = self.path / ".best.json"
        return (
            str(read_json_mapping(copy)["text"])
            if copy.is_file()
            else (self.path / "best.yaml").read_text(encoding="utf-8")
        )

    def conclusion(self) -> str:
        """Return the conclusion of the sweep, which stands below the title of its page.

        Empty before that is written.
        """
        page = self.path / "sweep.md"
        paragraphs = page.read_text(encoding="utf-8").split("\n\n") if page.is_file() else []
        return paragraphs[1] if len(paragraphs) > 1 else ""

    def write_page(self, text: str) -> None:
        """Write `sweep.md`."""
        write_markdown(self.path / "sweep.md", text)


def ambiguous_kinds(
    name: str, one: str, these: Sequence[Path], other: str, those: Sequence[Path]
) -> ConfigError:
    """Return the refusal of a name that is the beginning of things of two kinds."""
    content = [
        f"{kind} {paths[0].parent.name}/{paths[0].name}"
        for kind, paths in ((one, these), (other, those))
    ]
    return ConfigError(f"'{name}': {' and '.join(content)} begin so; say more of the one you mean.")
