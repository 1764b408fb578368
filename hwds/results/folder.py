"""The folder of a run: its path, its lock, its files, and its config among them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import yaml
from polars import DataFrame

from hwds.core.checksums import read_json, write_json, write_parquet
from hwds.core.errors import ConfigError, HwdsError, ResumeError, ambiguous, unknown
from hwds.core.files import OUTPUTS, digest_bytes, lock_folder, lock_for_reading, write_text
from hwds.core.moved import current_paths
from hwds.core.secrets import redact_env, restore_env, without_secrets
from hwds.core.settings import read_yaml
from hwds.results.files import (
    holds_file,
    last_ran,
    read_json_mapping,
    read_table,
    read_together,
    refuse_damage,
    write_csv,
)
from hwds.results.tables import Tables, Verdict

# The config of a run as a file: YAML to read, and the same as JSON beside it for programs that
# read thousands of them.

CONFIG, CONFIG_JSON = "config.yaml", ".config.json"
"""The file of a run's config, and its copy as JSON."""

CONFIG_KEYS = ("dataset", "model", "protocol", "seed")
"""The keys of every config; a file that lacks one was truncated."""


def write_config(path: Path, data: dict[str, Any]) -> None:
    """Write a resolved config, with the variable's name in place of each secret of the
    environment.
    """
    redacted = redact_env(data)
    text = yaml.safe_dump(redacted, sort_keys=False, allow_unicode=True)
    write_text(path, text)
    plain = json.loads(json.dumps(redacted, default=str))
    copy = (
        {"config": plain} if plain == redacted else {}
    )  # not where JSON has no such thing, a date
    write_json(path.with_name(CONFIG_JSON), {"of": _text_digest(text), **copy}, redacted=True)


def read_config(path: Path) -> dict[str, Any]:
    """Return the config that a run wrote as YAML, with the present paths of moved classes.

    The copy as JSON is read a hundred times as fast; where there is one, the text must be the very
    one that it belongs to.

    Raises:
        ValueError: The file was damaged or edited, holds something else, or ends early.
    """
    text, beside = path.read_text(encoding="utf-8"), path.with_name(CONFIG_JSON)
    copy = read_json(beside) if beside.is_file() else {}
    changed = bool(copy) and copy["of"] != _text_digest(text)
    config = dict((not changed and copy.get("config")) or _parse_config(path, text))
    missing = next((key for key in CONFIG_KEYS if config.get(key) is None), None)
    if missing:
        raise ValueError(f"{path.name} ends early: it has no {missing}")
    if changed:
        raise ValueError(f"{path.name} has changed since the run wrote it")
    return dict(current_paths(config)) if "hwds." in text else config


def _parse_config(path: Path, text: str) -> dict[str, Any]:
    config = read_yaml(text, path.name)
    if not isinstance(config, dict):
        raise ValueError(f"{path.name} holds no config")
    return config


def _text_digest(text: str) -> str:
    return digest_bytes([text.encode()])


# The folder of a run: its path, its lock, and its files.

CELLS = "cells.txt"
"""The file in the folder of a run or a sweep with the keys of its cells, one a line."""

INPUTS = "inputs.json"
"""The file in the folder of a run with the data files that a user's code read for it, besides the
dataset.
"""

UNDRAWN = ".undrawn"
"""The file in the folder of a run that is there until all its pictures are drawn."""

TABLES = ("scores", "predictions", "timings", "metrics")
"""The tables of `Tables`, a file each; runs of an earlier version lack the last."""


@dataclass(frozen=True)
class RunFolder:
    """`outputs/runs/<experiment>/<run id>/`."""

    path: Path

    @classmethod
    def of(cls, experiment: str, run_id: str) -> RunFolder:
        """Return the folder of a run, which need not exist yet."""
        return cls.of_title(f"{experiment}/{run_id}")

    @classmethod
    def of_title(cls, title: str) -> RunFolder:
        """Return the folder of a run by its `title`, which need not exist any more."""
        return cls((OUTPUTS / "runs" / title).resolve())

    @property
    def watch(self) -> Path:
        """The folder with forecasts that `hwds watch` has kept."""
        return self.path / "watch"

    @property
    def finished(self) -> bool:
        """Whether the run has its scores."""
        return (self.path / "scores.parquet").is_file()

    @classmethod
    def find(cls, name: str) -> RunFolder:
        """Return the run of a path, of an id or its beginning (`<experiment>/<id>` likewise), or
        the latest of an experiment.

        Raises:
            ConfigError: There is none, or several begin so.
        """
        if holds_file(name, CONFIG):
            return cls(Path(name).resolve())
        matches = cls.starting_with(name)
        if len(matches) > 1:
            raise ambiguous("run", name, (path.name for path in matches))
        latest = matches or newest_folders(OUTPUTS / "runs", CONFIG, name)
        if not latest:
            runs = list((OUTPUTS / "runs").glob(f"*/*/{CONFIG}"))
            if not runs:
                raise ConfigError(
                    f"no run '{name}': there is none below {OUTPUTS / 'runs'} in {Path.cwd()}."
                )
            raise unknown(
                "run",
                name,
                OUTPUTS / "runs",
                cls.names(),
                (path.parent.parent.name for path in runs),
            )
        return cls(latest[0].resolve())

    @staticmethod
    def starting_with(name: str) -> list[Path]:
        """Return the folders of the runs whose id begins so; with a slash, `<experiment>/<id>`."""
        return folders_starting_with(OUTPUTS / "runs", CONFIG, name)

    @staticmethod
    def names() -> list[str]:
        """Return all names that `find` knows below the current folder: each experiment, its runs,
        and their ids alone.
        """
        runs = [path.parent for path in (OUTPUTS / "runs").glob("*/*/config.yaml")]
        return sorted(
            {
                name
                for run in runs
                for name in (run.parent.name, f"{run.parent.name}/{run.name}", run.name)
            }
        )

    @property
    def title(self) -> str:
        """`<experiment>/<run id>`."""
        return f"{self.path.parent.name}/{self.path.name}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against a second run of the same config.

        The system releases the lock of a process that dies.

        Raises:
            ResumeError: Another process has locked it.
            HwdsError: The folder cannot be made.
        """
        with ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                free = stack.enter_context(lock_folder(self.path))
                stack.enter_context(lock_for_reading(OUTPUTS / "cache"))
            except OSError as error:
                raise HwdsError(
                    f"{self.path}: cannot be written: {error.strerror or error}."
                ) from error
            if not free:
                raise ResumeError(
                    f"run {self.title} is being computed by another process; wait for it, or stop "
                    f"it."
                )
            yield

    def write_config(self, data: dict[str, Any]) -> None:
        """Write the resolved config for `read_config`, with the variable's name in place of each
        secret of the environment.
        """
        write_config(self.path / CONFIG, data)

    def read_config(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return the config of the run.

        Args:
            secrets: Whether to restore the secrets of the environment, for computing and not for
                display.

        Raises:
            HwdsError: It is damaged.
        """
        with refuse_damage(self.path / CONFIG) as path:
            config = read_config(path)
        return dict(restore_env(config)) if secrets else config

    def write_conclusion(self, conclusion: str) -> None:
        """Write the conclusion of the run, a sentence or two."""
        self._write_said("conclusion", [conclusion])

    def read_conclusion(self) -> str:
        """Return the text that `write_conclusion` wrote.

        Empty where a run of an earlier version has none.
        """
        return "\n".join(self._read_texts("conclusion")).strip()

    def read_findings(self) -> list[str]:
        """Return the sentence of the decision's verdict and the conclusion of the run, those of
        them that there are.
        """
        verdict = self.read_verdict() or {}
        decided = str(verdict.get("sentence") or "")
        return [text for text in (decided, self.read_conclusion()) if text]

    def write_remarks(self, remarks: Sequence[str]) -> None:
        """Write the warnings for readers of the numbers: units that were left out, features that no
        model used.
        """
        self._write_said("remarks", [" ".join(remark.split()) for remark in remarks])

    def read_remarks(self) -> list[str]:
        """Return the lines that `write_remarks` wrote.

        None where a run of an earlier version has none.
        """
        return self._read_texts("remarks")

    def _write_said(self, name: str, lines: Sequence[str]) -> None:
        """Write lines as a text for people, and as JSON with a checksum beside it for programs."""
        write_text(
            self.path / f"{name}.txt", "".join(f"{without_secrets(line)}\n" for line in lines)
        )
        write_json(self.path / f".{name}.json", {"lines": list(lines)}, ensure_ascii=False)

    def _read_texts(self, name: str) -> list[str]:
        path = self.path / f".{name}.json"
        if path.is_file():
            return list(map(str, read_json_mapping(path)["lines"]))
        text = self.path / f"{name}.txt"
        return text.read_text(encoding="utf-8").splitlines() if text.is_file() else []

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw all pictures within the block: where it does not end, they are `undrawn`."""
        self.leave_undrawn()
        yield
        (self.path / UNDRAWN).unlink(missing_ok=True)

    @property
    def undrawn(self) -> bool:
        """Whether a picture of the run may be missing.

        Those of its forecasts beyond the data (`future_`) do not count.
        """
        drawn = any(not path.name.startswith("future_") for path in self.path.glob("*.png"))
        return not drawn or (self.path / UNDRAWN).is_file()

    def leave_undrawn(self) -> None:
        """Note that pictures there are an earlier command's, whose report still links them."""
        write_text(self.path / UNDRAWN, "")

    def delete_pictures(self) -> None:
        """Delete the pictures of an earlier command, each with its drawing.

        Others' pictures have none.
        """
        for path in self.path.glob("*.svg"):
            if not path.name.startswith("future_"):
                path.with_suffix(".png").unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def write_verdict(self, verdict: Verdict | None, prefix: str = "") -> None:
        """Write a verdict and its tables, as CSV and Parquet.

        The verdict of an earlier command is deleted.

        Args:
            verdict: The verdict; None where there is none.
            prefix: The prefix of the files' names (`future_` for a decision on forecasts of `hwds
                predict`).
        """
        for name in (self.read_verdict(prefix) or {}).get("tables", ()):
            for kind in ("csv", "parquet", "png", "svg"):
                (self.path / f"{prefix}{name}.{kind}").unlink(missing_ok=True)
            rmtree(self.path / f"{prefix}{name}", ignore_errors=True)
        path = self.path / f"{prefix}decision.json"
        if verdict is None:
            path.unlink(missing_ok=True)
            return
        tables = verdict.tables()
        for name, table in tables.items():
            write_csv(self.path / f"{prefix}{name}.csv", table)
            write_parquet(self.path / f"{prefix}{name}.parquet", table)
        content = verdict.as_dict() | ({"tables": list(tables)} if tables else {})
        write_json(path, content, allow_nan=False)

    def read_verdict(self, prefix: str = "") -> dict[str, Any] | None:
        """Return the verdict that `write_verdict` wrote, as plain data; None where there is none.

        Raises:
            HwdsError: It is damaged.
        """
        path = self.path / f"{prefix}decision.json"
        return read_json_mapping(path) if path.is_file() else None

    def write_inputs(self, inputs: Mapping[str, str]) -> None:
        """Write the digests of the data files that a user's code read for the numbers, besides the
        dataset.
        """
        write_json(self.path / INPUTS, dict(inputs))

    def read_inputs(self) -> dict[str, str]:
        """Return what `write_inputs` wrote; empty where there is none.

        Raises:
            HwdsError: It is damaged.
        """
        return read_json_mapping(self.path / INPUTS) if (self.path / INPUTS).is_file() else {}

    def write_cells(self, keys: Iterable[str]) -> None:
        """Write the keys of the cells that the numbers are made of, which `hwds prune` leaves in
        the cache.
        """
        write_text(self.path / CELLS, "".join(f"{key}\n" for key in keys))

    def write_provenance(self, provenance: dict[str, Any]) -> None:
        """Write the provenance of the numbers."""
        write_json(self.path / "provenance.json", provenance)

    def read_provenance(self) -> dict[str, Any]:
        """Return the provenance that `write_provenance` wrote.

        Raises:
            HwdsError: It is damaged.
        """
        return read_json_mapping(self.path / "provenance.json")

    def write_tables(self, tables: Tables) -> None:
        """Write all tables; scores come last, so that a folder with scores is a finished run."""
        for name in ("predictions", "timings", "metrics", "scores"):
            table: DataFrame = getattr(tables, name)
            write_parquet(self.path / f"{name}.parquet", table)

    def read_tables(self) -> Tables:
        """Return the tables of a finished run.

        Raises:
            HwdsError: The run is not finished, or a table is damaged.
        """
        self.require_finished()
        return Tables(**{name: read_table(path) for name, path in self._table_paths().items()})

    def read_scores(self) -> DataFrame:
        """Return the scores of a finished run.

        Raises:
            HwdsError: The run is not finished, or the table is damaged.
        """
        self.require_finished()
        return read_table(self.path / "scores.parquet")

    @classmethod
    def tables_of(cls, folders: Sequence[RunFolder]) -> list[Tables]:
        """Return the tables of many finished runs, read together.

        Raises:
            HwdsError: See `read_tables`.
        """
        for folder in folders:
            folder.require_finished()
        paths = [folder._table_paths() for folder in folders]
        tables: list[dict[str, DataFrame]] = [{} for _ in folders]
        for name in TABLES:
            having = [place for place, files in enumerate(paths) if name in files]
            for place, table in zip(
                having, read_together([paths[place][name] for place in having]), strict=True
            ):
                tables[place][name] = table
        return [Tables(**each) for each in tables]

    def require_finished(self) -> None:
        """Refuse a run that is not finished.

        Raises:
            HwdsError: It is not.
        """
        if not self.finished:
            raise HwdsError(f"run {self.title} is not finished; the same command goes on with it.")

    def _table_paths(self) -> dict[str, Path]:
        """Return the file of each existing table."""
        return {name: path for name in TABLES if (path := self.path / f"{name}.parquet").is_file()}


def newest_folders(place: Path, mark: str, experiment: str) -> list[Path]:
    """Return the folder with a file `mark` of an experiment that ran last, in a list.

    An empty list where there is none.
    """
    folders = [
        path.parent for path in place.glob(f"*/*/{mark}") if path.parent.parent.name == experiment
    ]
    return [max(folders, key=last_ran)] if folders else []


def folders_starting_with(place: Path, mark: str, name: str) -> list[Path]:
    """Return the folders `<experiment>/<id>` with a file `mark` whose id begins so.

    With a slash the whole name does.

    None begins with the name of an experiment: `d3` is that one, whatever the ids of others.
    """
    paths = [path.parent for path in place.glob(f"*/*/{mark}")]
    if any(path.parent.name == name for path in paths):
        return []
    return [
        path
        for path in paths
        if (f"{path.parent.name}/{path.name}" if "/" in name else path.name).startswith(name)
    ]
