"""What lies beside a run's tables: labels of the user, losses of fits, provenance, streams."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import polars as pl
from polars import DataFrame

from hwds.core.checksums import read_json, read_parquet, write_json, write_parquet
from hwds.core.errors import ConfigError
from hwds.core.secrets import without_secrets

# Labels: tags, a note and a name that a user gives a run, in a file beside its tables.

LABELS_FILE = "labels.json"

KEEP = "keep"
"""The tag of folders that `hwds prune` never deletes."""


@dataclass(frozen=True, slots=True)
class Labels:
    """A user's labels of a run; no number depends on them.

    Attributes:
        tags: Single words, sorted.
        note: Free text on one line.
        name: Its name in lists in place of its folder; empty for that.
    """

    tags: tuple[str, ...] = ()
    note: str = ""
    name: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the labels of a folder; none where it has no such file.

        Raises:
            ValueError: The file is damaged.
        """
        path = folder / LABELS_FILE
        data: dict[str, Any] = read_json(path) if path.is_file() else {}
        return cls(
            tuple(map(str, data.get("tags", ()))),
            str(data.get("note", "")),
            str(data.get("name", "")),
        )

    def write(self, folder: Path) -> None:
        """Write them into a folder.

        Raises:
            HwdsError: The folder cannot be written.
        """
        write_json(folder / LABELS_FILE, asdict(self), ensure_ascii=False)

    def with_tags(self, words: tuple[str, ...]) -> Self:
        """Return the labels with tags added, and without those that are prefixed by `-`.

        Raises:
            ConfigError: A tag is not a single word.
        """
        bad = next((word for word in words if not re.fullmatch(r"-?\w[\w.:/-]*", word)), None)
        if bad is not None:
            raise ConfigError(
                f"tag: must be one word of letters, digits, '.', ':', '/', '_' and '-', got "
                f"'{bad}'."
            )
        added = {word for word in words if not word.startswith("-")}
        removed = {word[1:] for word in words if word.startswith("-")}
        return replace(self, tags=tuple(sorted((set(self.tags) | added) - removed)))

    def with_name(self, text: str) -> Self:
        """Return the labels with another name; an empty one removes it."""
        return replace(self, name=" ".join(text.split()))

    def with_note(self, text: str) -> Self:
        """Return the labels with another note; an empty one removes it."""
        return replace(self, note=" ".join(text.split()))


# The losses of a run's or a sweep's fits by epoch or round: files of cells while they are
# computed, one table at the end.

LEARNING_FOLDER, LEARNING_FILE = "learning", "learning.parquet"
"""The folder of the cells' files, and the table that they end in. Neither is part of the results.
"""

LOSS_CELL = {"model": pl.String, "fold": pl.String, "start": pl.Int64}
"""The columns that name a cell."""

LOSS_COLUMNS = LOSS_CELL | {
    "fit": pl.String,
    "axis": pl.String,
    "step": pl.Int64,
    "train": pl.Float64,
    "validation": pl.Float64,
}
"""One row an epoch or round of a fit: the mean loss on the rows that are learned from, and on those
that are not.
"""


def read_learning(folder: Path) -> DataFrame:
    """Return all losses so far, see `LOSS_COLUMNS`: of each cell its fits in the order in which
    they began; empty for none.
    """
    new = DataFrame(list(_loss_files(folder / LEARNING_FOLDER)), schema=LOSS_COLUMNS, orient="row")
    before = DataFrame(schema=LOSS_COLUMNS)
    with suppress(
        OSError, ValueError, pl.exceptions.PolarsError
    ):  # damaged, or absent: it is no result
        before = read_parquet(folder / LEARNING_FILE)
    kept = before.join(
        new.select(list(LOSS_CELL)).unique(), on=list(LOSS_CELL), how="anti", maintain_order="left"
    )
    return pl.concat([kept, new]).sort(list(LOSS_CELL), maintain_order=True)


def write_learning(folder: Path) -> None:
    """Write the table of all losses, and delete the files that it is made of.

    Nothing where there are none.

    Raises:
        HwdsError: The folder cannot be written.
    """
    if (folder / LEARNING_FOLDER).is_dir():
        write_parquet(folder / LEARNING_FILE, read_learning(folder))
        shutil.rmtree(folder / LEARNING_FOLDER)


def latest_losses(folder: Path) -> dict[str, Any]:
    """Return the last point that was reported, with its cell, see `LOSS_COLUMNS`.

    Empty where no fit reports.
    """
    latest = max((folder / LEARNING_FOLDER).glob("*.jsonl"), key=_last_written, default=None)
    rows = [] if latest is None else list(_of_file(latest))
    return dict(zip(LOSS_COLUMNS, rows[-1], strict=True)) if rows else {}


def _last_written(path: Path) -> int:
    """Return when a file was written last, in nanoseconds.

    0 where its cell has begun anew meanwhile.
    """
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _loss_files(folder: Path) -> Iterator[tuple[Any, ...]]:
    for path in sorted(folder.glob("*.jsonl")):
        yield from _of_file(path)


def _of_file(path: Path) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a file.

    A last line that is being written, or was not written to its end, is left out.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:  # settled, or begun anew, meanwhile
        return
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines:
        return
    cell = json.loads(lines[0])
    for line in lines[1:]:
        row = cell | json.loads(line)
        yield tuple(row.get(name) for name in LOSS_COLUMNS)


# Provenance: the command, the code, the machine and the data behind the numbers.

LIBRARIES = (
    "numpy",
    "polars",
    "hydra-core",
    "pydantic",
    "keras",
    "tensorflow",
    "xgboost",
    "pmdarima",
    "matplotlib",
)


def provenance(*, data: str, code: str, threads: int, device: str) -> dict[str, Any]:
    """Return all that is needed to reproduce the numbers.

    Args:
        data: The fingerprint of the frame.
        code: The fingerprint of the source.
        threads: The threads of each cell.
        device: The device of Keras and XGBoost.
    """
    return {
        "command": command_line(),
        "when": now(),
        "user": user_name(),
        "git": git_state(),
        "data": data,
        "code": code,
        "threads": threads,
        "device": device,
        "versions": {
            "python": platform.python_version(),
            **{name: installed_version(name) for name in LIBRARIES},
        },
        "machine": {"system": platform.platform(), "cpu": cpu_name(), "cores": os.cpu_count()},
    }


def now() -> str:
    """Return the time in UTC, as `2026-11-28T09:30:00.123456+00:00`: lists are ordered by it,
    wherever files are copied.
    """
    return datetime.now(UTC).isoformat(timespec="microseconds")


def command_line() -> str:
    """Return the command line of this process, without secrets and flags of the output."""
    words = [word for word in sys.argv[1:] if word not in ("--json", "--quiet")]
    return without_secrets(shlex.join(["python", "-m", "hwds", *words]))


@cache
def installed_version(name: str) -> str | None:
    """Return the version of a distribution or of its build for CPUs, None where neither is
    installed.
    """
    for distribution in (name, f"{name}-cpu"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def cpu_name() -> str:
    """Return the model of the CPU."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def user_name() -> str:
    """Return the name of who runs it: the system's; empty where there is none."""
    try:
        return without_secrets(getpass.getuser())
    except (KeyError, OSError):  # a process of a user without a name
        return ""


def git_state() -> dict[str, Any] | None:
    """Return the commit of the current folder and whether there are uncommitted changes.

    None outside a repository.
    """
    commit = _git("rev-parse", "HEAD")
    return (
        None
        if commit is None
        else {"commit": commit, "changed": bool(_git("status", "--porcelain"))}
    )


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=10, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


# Names of the folder of streams, and of those of a stream's files that pages read while it
# runs.

STREAMS_FOLDER = "streams"
"""The folder of all streams below the outputs folder."""

STREAM_PROGRESS, STREAM_ALERTS = "progress.json", "alerts.jsonl"
"""Files of a stream: how it stands, and all messages of its alerts."""
