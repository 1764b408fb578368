"""Records as offline folders of wandb, while they are computed too; and sending them."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from hwds.core.secrets import without_secrets
from hwds.track.records import Curve, Record, ShownPoints
from hwds.track.trackers.base import TrackingError, tracking_errors

# Sending offline folders: wandb's own `wandb sync` in a process of its own, which marks each
# folder that the server has.

RETRIES = {f"WANDB__{name}_RETRY_MAX": "3" for name in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")}
"""Few retries: a server that is down is reported soon, and unsent folders stay where they are."""

SENDING_SECONDS = 3600
"""Seconds after which sending is abandoned."""


def configure_wandb(root: Path) -> None:
    """Set wandb's environment: its caches lie beside its folders, not in the user's home, and it
    reports no errors.
    """
    for name in ("DATA", "CACHE", "ARTIFACT"):
        os.environ.setdefault(f"WANDB_{name}_DIR", str(root / ".own"))
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")


def server_address() -> str:
    """Return the address that wandb sends to: of the environment, or of its own settings."""
    given = os.environ.get("WANDB_BASE_URL")
    if given:
        return given.rstrip("/")
    import wandb

    return str(wandb.setup().settings.base_url).rstrip("/")


def has_key() -> bool:
    """Return whether there is a key: in the environment, or where `wandb login` writes it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return netrc(str(path)).authenticators(str(urlsplit(server_address()).hostname)) is not None
    except (OSError, NetrcParseError):
        return False


def send_folders(folders: Sequence[Path], root: Path) -> None:
    """Send folders; each is marked by wandb when the server has all of it, and lines that were sent
    before are overwritten.

    Raises:
        TrackingError: Some were not sent, with wandb's last message.
    """
    configure_wandb(root)
    environment = (
        RETRIES | dict(os.environ) | {"WANDB_MODE": "online", "WANDB_DIR": str(root.parent)}
    )
    words = [sys.executable, "-m", "wandb", "sync", *map(str, folders)]
    try:
        done = subprocess.run(
            words,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SENDING_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TrackingError(
            f"sending took more than {SENDING_SECONDS} s; what was sent is marked."
        ) from error
    left = [folder for folder in folders if not list(folder.glob("*.synced"))]
    if left:
        raise TrackingError(
            f"{len(left)} of {len(folders)} were not sent: "
            f"{last_message(done.stdout + done.stderr)}"
        )


def last_message(output: str) -> str:
    """Return the last meaningful line of the output, without secrets."""
    lines = [line.removeprefix("wandb: ").strip() for line in output.splitlines()]
    messages = [line for line in lines if line and not line.startswith(("Syncing", "[wandb sync]"))]
    errors = [line for line in messages if "ERROR" in line or "rror" in line]
    return without_secrets((errors or messages or ["wandb said nothing"])[-1])[:300]


# One record as an offline folder of wandb: config, history, summary, tables, pictures,
# artifacts.

BLOCK, HEADER = 32_768, struct.Struct("<IHB")
FULL, LAST = 1, 4
"""Types of a chunk that a record ends with."""
WRITING_SECONDS = 1.0
"""Seconds that wandb's service has to write the end of a log; on a full disk it never does."""


class OfflineFolder:
    """An offline folder that is being written.

    Args:
        record: The run as far as it is known.
        root: The folder of the offline folders; an earlier one of the same id, half-written or
            sent, is deleted.
        project: The project of W&B.
        entity: Whose project.
    """

    def __init__(self, record: Record, root: Path, project: str, entity: str) -> None:
        for before in folders_of(record.id, root):
            shutil.rmtree(before)
        self.run = _begin_run(record, root, project, entity)
        self.logged, self.defined = ShownPoints(), set[str]()

    def log(self, curves: Sequence[Curve]) -> None:
        """Log the points of curves that are not logged yet."""
        for curve in map(self.logged.new, curves):
            self._define(curve)
            for step, values in curve.points:
                self.run.log({curve.axis: step, **values})

    def _define(self, curve: Curve) -> None:
        """Draw names that are new by the axis of their curve."""
        new = [name for name in curve.names if name not in self.defined]
        if new and curve.axis not in self.defined:
            self.run.define_metric(curve.axis, hidden=True, summary="none")
        for name in new:
            self.run.define_metric(name, step_metric=curve.axis, summary="none")
        self.defined |= {curve.axis, *new}

    def finish(self, record: Record) -> Path:
        """Write all of a record that is not written yet, and end the folder."""
        try:
            self.run.name, self.run.notes, self.run.tags = (
                record.name,
                record.notes or None,
                tags_of(record),
            )
            self.run.config.update(
                {**record.config, "hwds": dict(record.labels)}, allow_val_change=True
            )
            self.log(record.curves)
            _fill(self.run, record)
        finally:
            self.run.finish()
        return self.folder

    @property
    def folder(self) -> Path:
        """The offline folder."""
        return Path(self.run.settings.sync_dir)


def write_offline(
    records: Sequence[Record],
    root: Path,
    project: str,
    entity: str,
    opened: OfflineFolder | None = None,
) -> list[Path]:
    """Write a folder for each record.

    Args:
        records: Of a run, or of a sweep and its trials.
        root: The folder of the offline folders.
        project: The project of W&B.
        entity: Whose project.
        opened: The folder of the first record, where it is begun already.

    Raises:
        TrackingError: A folder is not complete when it is read back.
    """
    import wandb

    first, *others = records
    folders = [(opened or OfflineFolder(first, root, project, entity)).finish(first)]
    folders += [OfflineFolder(record, root, project, entity).finish(record) for record in others]
    for folder in folders:
        _await_end(folder)
    wandb.teardown()
    for folder, record in zip(folders, records, strict=True):
        require_whole(folder, sum(len(curve.points) for curve in record.curves))
    return folders


def _await_end(folder: Path) -> None:
    """Wait for the end of a log: wandb's service writes it after `finish` returns, and a teardown
    cuts it off.
    """
    deadline, pause = time.monotonic() + WRITING_SECONDS, 0.01
    while time.monotonic() < deadline and "exit" not in _log(folder):
        time.sleep(pause)
        pause *= 2


def warm_service(root: Path) -> None:
    """Start wandb's service and import what its tables and pictures need, so that a run does not
    wait for it at its end.
    """
    import PIL.Image  # noqa: F401
    import wandb

    wandb.setup(settings=quiet_settings(root))
    wandb.Table(columns=["value"], data=[["any"]])


def _begin_run(record: Record, root: Path, project: str, entity: str) -> Any:
    """Return a new run of wandb; the user and the commit that are recorded are those of the run."""
    import wandb

    return wandb.init(
        project=project,
        entity=entity or None,
        id=safe_id(record.id),
        name=record.name,
        group=record.group or None,
        job_type=record.kind,
        notes=record.notes or None,
        tags=tags_of(record),
        config={**record.config, "hwds": dict(record.labels)},
        settings=quiet_settings(root),
        reinit="create_new",
    )


def folders_of(name: str, root: Path) -> list[Path]:
    """Return the offline folders of one id."""
    pattern = re.compile(rf"offline-run-\d{{8}}_\d{{6}}-{re.escape(safe_id(name))}")
    return [path for path in root.glob("offline-run-*") if pattern.fullmatch(path.name)]


def safe_id(name: str) -> str:
    """Return an id that W&B accepts."""
    return re.sub(r"[^\w-]", "-", name)[:128]


def tags_of(record: Record) -> list[str]:
    """Return the user's tags, and the labels that are searched for."""
    groups = [record.labels.get(key, "") for key in ("task", "dataset", "model", "protocol")]
    return [tag[:64] for tag in dict.fromkeys([*record.tags, *groups]) if tag]


def quiet_settings(root: Path) -> Any:
    """Return settings under which wandb prints nothing, asks nothing, and records nothing of the
    machine.
    """
    import wandb

    return wandb.Settings(
        mode="offline",
        root_dir=str(root.parent),
        console="off",
        silent=True,
        save_code=False,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        host="hwds",
    )


def _fill(run: Any, record: Record) -> None:
    """Log tables, pictures, the page, the summary and the files."""
    import wandb

    shown = {
        f"tables/{name}": _table(table, wandb)
        for name, table in record.tables.items()
        if len(table)
    }
    shown |= {f"pictures/{path.stem}": wandb.Image(str(path)) for path in record.pictures}
    shown |= {"page": wandb.Html(str(record.page))} if record.page else {}
    if shown:
        run.log(shown)
    run.summary.update(dict(record.summary))
    metrics = {key: _definition(measure) for key, measure in record.measures.items()}
    if metrics:
        run.config.update({"metrics": metrics})
    _artifacts(run, record, wandb)


def _definition(measure: Any) -> dict[str, str]:
    definition = {
        "name": measure.name,
        "meaning": measure.explained,
        "better": measure.better,
        "taken over": measure.units,
    }
    return definition | ({"measured in": measure.measured_in} if measure.measured_in else {})


def _table(table: pl.DataFrame, wandb: Any) -> Any:
    """Return a table of values that JSON has; others become text."""
    plain = table.select(
        column if _is_plain(column.dtype) else _as_text(column) for column in table
    )
    return wandb.Table(
        columns=plain.columns, data=[list(row) for row in plain.rows()], allow_mixed_types=True
    )


def _is_plain(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in (pl.Boolean, pl.String)


def _as_text(column: pl.Series) -> pl.Series:
    return pl.Series(
        column.name, [None if value is None else str(value) for value in column], dtype=pl.String
    )


def _artifacts(run: Any, record: Record, wandb: Any) -> None:
    """Log the files as they lie in the run's folder: wandb copies them when they are sent, not
    before.
    """
    if record.predictions:
        path, digest = record.predictions
        rows = pl.scan_parquet(path).select(pl.len()).collect().item()
        metadata = {"sha256": digest, "rows": rows, "data": record.labels.get("data", "")}
        _add(
            run,
            wandb.Artifact(
                f"{safe_id(record.id)}-predictions", type="predictions", metadata=metadata
            ),
            [path],
        )
    if record.files:
        _add(run, wandb.Artifact(f"{safe_id(record.id)}-results", type="results"), record.files)


def _add(run: Any, artifact: Any, paths: Any) -> None:
    for path in paths:
        artifact.add_file(str(path), policy="immutable", skip_cache=True)
    run.log_artifact(artifact)


def require_whole(folder: Path, steps: int) -> None:
    """Refuse a folder that a full disk has truncated: wandb itself reports nothing.

    Raises:
        TrackingError: Its log ends before the run does.
    """
    records = _log(folder)
    if "exit" not in records:
        raise TrackingError(f"{folder}: is not whole, perhaps the disk is full.")
    if records.count("history") < steps:
        raise TrackingError(f"{folder}: has {records.count('history')} of {steps} steps.")


def _log(folder: Path) -> list[str]:
    """Return the types of the records that a folder's log holds so far."""
    return [kind for path in folder.glob("*.wandb") for kind in record_kinds(path)]


def record_kinds(path: Path) -> Iterator[str]:
    """Yield the type of each record: `run`, `history`, `summary`, ..., `exit` last where the log is
    complete.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    for data in _records(path.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        yield str(record.WhichOneof("record_type"))


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a log of LevelDB's: blocks of 32 KiB, in them chunks with a header of
    checksum, length and type.

    A record is one chunk or several
    (https://github.com/google/leveldb/blob/main/doc/log_format.md); wandb puts 7 bytes of its own
    before the first.
    """
    at, parts = HEADER.size, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:  # the end of a block that has no room for a header
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        at += HEADER.size
        parts += data[at : at + length]
        if at + length > len(data):
            return
        at += length
        if kind in (FULL, LAST):
            yield parts
            parts = b""


# A run of W&B while it is computed: its offline folder grows; `wandb leet` shows it, `wandb
# beta sync --live` sends it.


class WandbFollowing:
    """The offline folder of a run that is being computed.

    Args:
        root: The folder of the offline folders.
        project: The project of W&B.
        entity: Whose project.
    """

    def __init__(self, root: Path, project: str, entity: str) -> None:
        self.root, self.project, self.entity = root, project, entity
        self.opened: OfflineFolder | None = None

    def show(self, record: Record) -> None:
        """Log what is new."""
        with tracking_errors():
            self.opened = self.opened or OfflineFolder(record, self.root, self.project, self.entity)
            self.opened.log(record.curves)

    def finish(self, records: Sequence[Record]) -> list[str]:
        """Complete the folder, and write those of a sweep's trials."""
        with tracking_errors():
            folders = write_offline(records, self.root, self.project, self.entity, self.opened)
            return [str(folder) for folder in folders]

    def abandon(self) -> None:
        """End the folder as that of a run that failed."""
        if self.opened is not None:
            self.opened.run.finish(exit_code=1)
