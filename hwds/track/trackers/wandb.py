"""Weights & Biases: every record is written offline first, whole, and sent from there by `wandb
sync` where there is a key.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import polars as pl

from hwds.core.files import OUTPUTS
from hwds.core.recipe import Positive
from hwds.core.secrets import without_secrets
from hwds.results.tables import Measure
from hwds.track.records import Curve, Record, ShownPoints
from hwds.track.trackers.base import (
    Tracker,
    TrackingError,
    require_answer,
    require_room,
)

RETRIES = {f"WANDB__{name}_RETRY_MAX": "3" for name in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")}
"""Few retries: a server that is down is reported soon, and unsent folders stay where they are."""

SENDING_SECONDS = 3600
"""Seconds after which sending is abandoned."""

PLAIN = (str, int, float, type(None))
"""Types of values that JSON has."""

READERS = 4
"""Offline folders that are read back at the same time."""

IDLE_SECONDS = 10
"""Seconds without a new line after which a log is taken to end."""

READING_SECONDS = 60
"""Seconds that reading back a folder may take."""


class Wandb(Tracker):
    """Mirror in Weights & Biases; without a key the mirror stays offline until `hwds sync` sends
    it.

    Attributes:
        project: The project of W&B that runs are sent to.
        entity: The owner of the project; the user where empty.
        mode: `online` and `auto` send at the end of a run, `auto` only where there is a key;
            `offline` never does.
        patience: Seconds that a server may take to answer before a run leaves what it wrote to
            `hwds sync`.
    """

    imports = ("wandb",)
    service: ClassVar[bool] = True
    project: str = "hwds"
    entity: str = ""
    mode: Literal["auto", "online", "offline"] = "auto"
    patience: Positive = 1.5

    def begin(self) -> None:
        """Import it and start its service; its caches go below `outputs/wandb`, too."""
        require_room(wandb_root())
        for name in ("DATA", "CACHE", "ARTIFACT"):
            os.environ.setdefault(f"WANDB_{name}_DIR", str(wandb_root() / ".own"))
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        wandb.setup(settings=_settings())

    def write(self, records: Sequence[Record]) -> list[str]:
        """Write an offline folder for each record, as `wandb.init(mode="offline")` does."""
        return self.following().finish(records)

    def following(self) -> OfflineRuns:
        """Return the offline folder that grows while the run computes."""
        return OfflineRuns(self.project, self.entity)

    def exist(self, places: Sequence[str]) -> bool:
        """Return whether each folder exists."""
        return all(Path(place).is_dir() for place in places)

    def unsent(self, places: Sequence[str]) -> list[str]:
        """Return the folders that `wandb sync` has not marked: it marks one when the server has
        all of it.
        """
        return [
            place
            for place in places
            if Path(place).is_dir() and not list(Path(place).glob("*.synced"))
        ]

    def sends(self) -> bool:
        """Return whether a run sends: not without a key, nor where `WANDB_MODE` forbids it."""
        refused = os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun")
        if refused or self.mode == "offline":
            return False
        return self.mode == "online" or has_key()

    def send(self, places: Sequence[str]) -> None:
        """Send folders by `wandb sync`; lines that were sent before are overwritten."""
        if not has_key():
            raise TrackingError("there is no key: set WANDB_API_KEY, or run `wandb login`.")
        require_answer(f"{server_address()}/healthz", self.patience)
        root = {"WANDB_MODE": "online", "WANDB_DIR": str(wandb_root().parent)}
        printed = _wandb(
            "sync", *places, seconds=SENDING_SECONDS, env=RETRIES | dict(os.environ) | root
        )
        if left := self.unsent(places):
            errors = [line for line in printed.splitlines() if "ERROR" in line]
            reason = without_secrets((errors or ["wandb said nothing"])[-1])[:300]
            raise TrackingError(f"{len(left)} of {len(places)} were not sent: {reason}")

    def location(self, places: Sequence[str]) -> str:
        """Return the location of the folders, and the command that sends them."""
        if not self.unsent(places):
            return f"W&B: sent to {server_address()}."
        root = os.path.relpath(wandb_root())
        where = os.path.relpath(places[0]) if len(places) == 1 else f"{len(places)} runs in {root}"
        return f"W&B: {where}; `hwds sync` sends what is unsent."


def wandb_root() -> Path:
    """Return the folder of the offline folders."""
    return (OUTPUTS / "wandb").resolve()


def server_address() -> str:
    """Return the address that wandb sends to: of the environment, or of its own settings."""
    import wandb

    address = os.environ.get("WANDB_BASE_URL") or wandb.setup().settings.base_url
    return str(address).rstrip("/")


def has_key() -> bool:
    """Return whether there is a key: in the environment, or where `wandb login` writes it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return netrc(str(path)).authenticators(str(urlsplit(server_address()).hostname)) is not None
    except (OSError, NetrcParseError):
        return False


def _wandb(*words: str, seconds: float, env: dict[str, str] | None = None) -> str:
    """Return what a command of wandb prints."""
    command = [sys.executable, "-m", "wandb", *words]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=seconds, check=False
    )
    return done.stdout + done.stderr


class OfflineRuns:
    """The offline folders of a run, or of a sweep and its trials; the first grows while it
    computes: `wandb leet` shows it, `wandb beta sync --live` sends it.

    Args:
        project: The project of W&B.
        entity: The owner of the project.
    """

    def __init__(self, project: str, entity: str) -> None:
        self.project, self.entity = project, entity
        self.opened: OfflineRun | None = None

    def show(self, record: Record) -> None:
        """Log what is new."""
        self.opened = self.opened or OfflineRun(record, self.project, self.entity)
        self.opened.log(record.curves)

    def finish(self, records: Sequence[Record]) -> list[str]:
        """Complete the folder, write those of a sweep's trials, and read all of them back.

        Raises:
            TrackingError: A folder is not complete when it is read back.
        """
        import wandb

        folders = []
        for record in records:
            run = self.opened or OfflineRun(record, self.project, self.entity)
            self.opened = None
            folders.append(run.finish(record))
        steps = [sum(len(curve.points) for curve in record.curves) for record in records]
        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(require_whole, folders, steps))
        wandb.teardown()  # not before: it cuts off what its service has not written yet
        return [str(folder) for folder in folders]

    def abandon(self) -> None:
        """End the folder as that of a run that failed."""
        if self.opened is not None:
            self.opened.run.finish(exit_code=1)


class OfflineRun:
    """One record as an offline folder that is being written.

    Args:
        record: The run as far as it is known. An earlier folder of its id, half-written or sent,
            is deleted.
        project: The project of W&B.
        entity: The owner of the project.
    """

    def __init__(self, record: Record, project: str, entity: str) -> None:
        import wandb

        name = safe_id(record.id)
        for before in wandb_root().glob(f"offline-run-????????_??????-{name}"):
            shutil.rmtree(before)
        self.run = wandb.init(
            project=project,
            entity=entity or None,
            id=name,
            group=record.group or None,
            job_type=record.kind,
            settings=_settings(),
            reinit="create_new",
        )
        self.logged, self.defined = ShownPoints(), set[str]()
        self._label(record)

    def _label(self, record: Record) -> None:
        self.run.name, self.run.notes = record.name, record.notes or None
        self.run.tags = tags_of(record)
        labelled = {**record.config, "hwds": dict(record.labels)}
        self.run.config.update(labelled, allow_val_change=True)

    def log(self, curves: Sequence[Curve]) -> None:
        """Log the points of curves that are not logged yet."""
        for curve in map(self.logged.new, curves):
            for name in (name for name in curve.names if name not in self.defined):
                self.run.define_metric(curve.axis, hidden=True, summary="none")
                self.run.define_metric(name, step_metric=curve.axis, summary="none")
                self.defined.add(name)
            for step, values in curve.points:
                self.run.log({curve.axis: step, **values})

    def finish(self, record: Record) -> Path:
        """Write all of a record that is not written yet, and end the folder."""
        try:
            self._label(record)
            self.log(record.curves)
            self._show(record)
            self.run.summary.update(dict(record.summary))
            self._add_artifacts(record)
        finally:
            self.run.finish()
        return Path(self.run.settings.sync_dir)

    def _show(self, record: Record) -> None:
        """Log tables, pictures, the page, and the definitions of metrics."""
        import wandb

        tables = {name: table for name, table in record.tables.items() if len(table)}
        shown = {f"tables/{name}": _table(table) for name, table in tables.items()}
        shown |= {f"pictures/{path.stem}": wandb.Image(str(path)) for path in record.pictures}
        shown |= {"page": wandb.Html(str(record.page))} if record.page else {}
        if shown:
            self.run.log(shown)
        if record.measures:
            metrics = {key: _definition(measure) for key, measure in record.measures.items()}
            self.run.config.update({"metrics": metrics})

    def _add_artifacts(self, record: Record) -> None:
        if record.predictions:
            path, digest = record.predictions
            rows = pl.scan_parquet(path).select(pl.len()).collect().item()
            facts = {"sha256": digest, "rows": rows, "data": record.labels.get("data", "")}
            self._add(record, "predictions", [path], facts)
        if record.files:
            self._add(record, "results", record.files, {})

    def _add(self, record: Record, what: str, paths: Iterable[Path], facts: dict[str, Any]) -> None:
        """Log files as they lie in the run's folder: wandb copies them when they are sent."""
        import wandb

        artifact = wandb.Artifact(f"{safe_id(record.id)}-{what}", type=what, metadata=facts)
        for path in paths:
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
        self.run.log_artifact(artifact)


def safe_id(name: str) -> str:
    """Return an id that W&B accepts."""
    return re.sub(r"[^\w-]", "-", name)[:128]


def tags_of(record: Record) -> list[str]:
    """Return the user's tags, and the labels that are searched for."""
    groups = [record.labels.get(key, "") for key in ("task", "dataset", "model", "protocol")]
    return [tag[:64] for tag in dict.fromkeys([*record.tags, *groups]) if tag]


def _settings() -> Any:
    """Return settings under which wandb prints nothing, asks nothing, and records nothing of the
    machine; the user and the commit that are recorded are those of the run.
    """
    import wandb

    return wandb.Settings(
        mode="offline",
        root_dir=str(wandb_root().parent),
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        host="hwds",
    )


def _definition(measure: Measure) -> dict[str, str]:
    definition = {
        "name": measure.name,
        "meaning": measure.explained,
        "better": measure.better,
        "taken over": measure.units,
    }
    return definition | ({"measured in": measure.measured_in} if measure.measured_in else {})


def _table(table: pl.DataFrame) -> Any:
    """Return a table of values that JSON has; others become text."""
    import wandb

    rows = [[v if isinstance(v, PLAIN) else str(v) for v in row] for row in table.rows()]
    return wandb.Table(columns=table.columns, data=rows, allow_mixed_types=True)


def require_whole(folder: Path, steps: int) -> None:
    """Refuse a folder that a full disk has truncated: wandb itself reports nothing.

    `wandb leet inspect` reads the log until the end that wandb's service writes.

    Raises:
        TrackingError: The log ends before the run does.
    """
    flags = ("--json", "--follow", "--idle-timeout", f"{IDLE_SECONDS}s")
    printed = _wandb("leet", "inspect", *flags, str(folder), seconds=READING_SECONDS)
    kinds = [json.loads(line)["type"] for line in printed.splitlines() if line.startswith('{"num"')]
    if "exit" not in kinds or kinds.count("history") < steps:
        count = f"{kinds.count('history')} of {steps} steps"
        raise TrackingError(f"{folder}: is not whole ({count}), perhaps the disk is full.")
