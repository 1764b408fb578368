"""Shard: one stream of readings in order, which a crash costs nothing; its source and sinks."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hwds.core.errors import ConfigError, HwdsError, ResumeError, nearest
from hwds.core.files import OUTPUTS, digest
from hwds.core.registry import hook_class
from hwds.core.secrets import without_secrets
from hwds.core.serialization import dumps
from hwds.evaluation.serving import StreamModel
from hwds.results.event_log import Durable, EventLog, LogEntry
from hwds.results.replayed_state import ReplayedState
from hwds.serve.stream.machines import RULES_PATH, ReadingReader, StreamRules
from hwds.serve.stream.sinks import Delivery, Sink
from hwds.serve.stream.sources import Batch, LineSource
from hwds.serve.stream.state import ALERTS, END, LINES, StreamBehaviour, StreamProgress, StreamState

# Opens the folder of a stream, its source and its sinks by the words of a command.

SOURCES, SINKS = (
    ("kafka", "kafkas", "kinesis", "mqtt", "mqtts"),
    ("http", "https", "mqtt", "mqtts", "sns"),
)


def stream_folder(run: str, store: str | None) -> Path:
    """Return the folder of a stream: the one that is named, or that of its run below
    `outputs/streams`.
    """
    from hwds.results.folder import RunFolder
    from hwds.results.records import STREAMS_FOLDER

    return (
        Path(store) if store is not None else OUTPUTS / STREAMS_FOLDER / RunFolder.find(run).title
    )


def open_source(text: str, folder: Path, *, follow: bool) -> LineSource:
    """Return the source of a word.

    Raises:
        ConfigError: It is no file and no address that can be read from.
        HwdsError: It cannot be opened.
    """
    from hwds.serve.stream.sources import JsonLines, Kafka, Kinesis, MqttSource

    scheme, is_address, _ = text.partition("://")
    if is_address:
        _refuse_other("--from", scheme, text, SOURCES)
        if follow:
            raise ConfigError("stream: --follow goes with a file alone.")
        if scheme.startswith("kafka"):
            return Kafka(text)
        return Kinesis(text) if scheme == "kinesis" else MqttSource(text, str(folder.resolve()))
    return JsonLines(None if text == "-" else Path(text), follow=follow)


def open_sink(text: str, folder: Path) -> Sink:
    """Return the sink of a word.

    Raises:
        ConfigError: It is no address that can be sent to.
        HwdsError: It cannot be reached.
    """
    from hwds.serve.stream.sinks import MqttSink, Sns, Webhook

    scheme = text.partition("://")[0]
    _refuse_other("--to", scheme, text, SINKS)
    if scheme.startswith("http"):
        return Webhook(text)
    return (Sns if scheme == "sns" else MqttSink)(text, str(folder.resolve()))


def _refuse_other(flag: str, scheme: str, text: str, schemes: tuple[str, ...]) -> None:
    if scheme not in schemes or "://" not in text:
        addresses = [f"{name}://" for name in schemes]
        near = nearest(f"{scheme}://", addresses)
        raise ConfigError(
            f"stream: {flag}: must begin with {', '.join(addresses)}, got "
            f"'{without_secrets(text)[:80]}'{near}"
        )


# NumberedLines: a file of numbered lines, to which each line is written once, however often the
# process is killed.

BLOCK = 1 << 16


class NumberedLines:
    """A file whose lines are JSON objects that begin with their number, counted from 1 on.

    A line that a crash tore is cut off when the file is opened. A line whose number is there
    already is not written again: who makes the lines anew after a crash need not know how far the
    file had come.

    Args:
        path: The file; it is made when the first line is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self.last = self._cut_torn_line() if path.is_file() else 0

    def write(self, lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Write lines that are not there yet, and return them.

        Raises:
            ResumeError: Lines before them are missing.
            HwdsError: The file cannot be written; it ends with a whole line.
        """
        new = [(number, text) for number, text in lines if number > self.last]
        if not new:
            return []
        if new[0][0] != self.last + 1:
            raise ResumeError(
                f"{self.path}: its lines {self.last + 1} to {new[0][0] - 1} are missing."
            )
        self._append("".join(f"{text}\n" for _, text in new).encode())
        self.last = new[-1][0]
        return new

    def require(self, written: int) -> None:
        """Refuse a file that has other lines than so many were made.

        Raises:
            ResumeError: It has other lines.
        """
        if self.last != written:
            raise ResumeError(
                f"{self.path}: ends with line {self.last}, where {written} were written; take "
                f"another folder."
            )

    def sync(self) -> None:
        """Wait until the disk has all lines."""
        if self._file is not None:
            os.fsync(self._file)

    def lines_after(self, number: int) -> list[tuple[int, str]]:
        """Return the lines after a number."""
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8") as file:
            numbered = ((place, line.rstrip("\n")) for place, line in enumerate(file, 1))
            return [(place, line) for place, line in numbered if place > number]

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            size = os.fstat(self._file).st_size
            written = 0
            while written < len(data):
                written += os.write(self._file, memoryview(data)[written:])
        except OSError as error:
            if self._file is not None:
                os.ftruncate(self._file, size)
            raise HwdsError(
                f"{self.path}: cannot be written: {error.strerror or error}."
            ) from error

    def _cut_torn_line(self) -> int:
        """Cut a torn line off the end; return the number of the last whole one.

        Raises:
            ResumeError: It has no number.
        """
        with self.path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            tail, start = b"", size
            while start > 0 and tail.count(b"\n") < 2:
                step = min(BLOCK, start)
                start -= step
                file.seek(start)
                tail = file.read(step) + tail
            whole = tail.rpartition(b"\n")
            if whole[2]:
                file.truncate(size - len(whole[2]))
        last = whole[0].rpartition(b"\n")[2]
        try:
            return int(json.loads(last)["number"]) if last else 0
        except (ValueError, LookupError, TypeError) as error:
            raise ResumeError(
                f"{self.path}: its last line has no number; take another folder."
            ) from error


# Shard: one stream of readings in order, which a crash costs nothing: log, state, files, and
# what was sent.

FORMAT = 1
LOG = "log.db"
FILES = {name: f"{name}.jsonl" for name in ("alerts", "dead", "scores")}


@dataclass(frozen=True)
class FollowedModel:
    """A model, and the names of the data that it reads.

    Attributes:
        fitted: The model.
        machine: The fields that name a machine.
        cycle: The field of the cycle.
        longest_gap: The readings in a row over which a number is carried on.
        paths: The paths under which an older version stored the classes of the model, by those of
            now: a folder names the model that it follows by its bytes.
    """

    fitted: Any
    machine: tuple[str, ...] = ("entity",)
    cycle: str = "cycle"
    longest_gap: int = 0
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The digest of the model and of what is read of the data."""
        model = dumps(self.fitted, self.paths).hex()
        return digest([FORMAT, model, self.machine, self.cycle, self.longest_gap])

    @classmethod
    def of(cls, run: str | Path) -> Self:
        """Return the kept model of a run (`save_model=final`), and the names of its data.

        Raises:
            DataError: The run has kept no model.
            ConfigError: Its model is none of sensors.
        """
        from hwds.core.serialization import load_fitted, stored_paths
        from hwds.experiment.spec import check_asked
        from hwds.results.folder import RunFolder

        folder = RunFolder.find(str(run))
        experiment = check_asked(folder.read_config(secrets=True))
        stored = folder.path / "model"
        fitted = load_fitted(stored)
        if hook_class(type(fitted), "stream", StreamModel) is None:
            raise ConfigError(
                f"run {folder.title}: '{experiment.model.name}' scores no sensors; `hwds serve` "
                f"takes events."
            )
        roles = getattr(experiment.dataset, "roles", None)
        given = roles.given() if roles is not None else {}
        cycle = given.get("cycle", ("cycle",))[0]
        machine = given.get("entity", ("entity",))
        longest_gap = getattr(experiment.dataset, "longest_gap", 0)
        return cls(fitted, machine, cycle, longest_gap, stored_paths(stored))


class Shard:
    """Readings as they come, scored and turned into alerts, each reading and each alert once.

    Lines are in the log before they are acknowledged. The state follows from them alone, and what
    it says is numbered: after `kill -9` the lines behind the last snapshot are read again, and only
    what the files lack is written. A snapshot drops the lines that it covers. Alerts are sent in
    order from the file that has them all; one that is not taken ends the stream.

    Args:
        followed: The model and the names of its data.
        folder: The folder of the stream, which one process uses.
        rules: The settings.
        sinks: The places to which alerts are sent besides the file.
        durable: Whether what was acknowledged outlives the `process`, or a loss of `power` too.
        patience: The seconds for which an alert is tried.

    Attributes:
        folder: The folder of the stream.

    Raises:
        ConfigError: The model cannot follow a stream.
        ResumeError: The folder is damaged, in use, follows another model, or was stopped amid
            readings under other settings.

    Example:
        >>> followed, folder = Followed.of("skab"), Path("outputs/plant")  # doctest: +SKIP
        >>> with Shard(followed, folder, StreamRules()) as shard:  # doctest: +SKIP
        ...     shard.run(JsonLines(Path("readings.jsonl")))
    """

    def __init__(
        self,
        followed: FollowedModel,
        folder: Path,
        rules: StreamRules,
        sinks: Sequence[Sink] = (),
        *,
        durable: Durable = "process",
        patience: float = 60.0,
    ) -> None:
        live: StreamModel = hook_class(type(followed.fitted), "stream", StreamModel)(
            followed.fitted
        )
        reader = ReadingReader(followed.machine, followed.cycle, live.names)
        self._behaviour = StreamBehaviour(live, reader, rules, followed.longest_gap)
        self._rules, self.folder = rules, folder
        self._log = EventLog(folder / LOG, durable)
        self._files: dict[str, NumberedLines] = {}
        self._deliveries: list[Delivery] = []
        try:
            model = followed.fingerprint
            self._require_same(model)
            self._files = {name: NumberedLines(folder / file) for name, file in FILES.items()}
            self._state: ReplayedState[StreamState] = ReplayedState(
                self._log, self._behaviour, model, drop=True
            )
            self._write()
            for name, file in self._files.items():
                file.require(self.state.written[name])
            self._deliveries = [
                Delivery(sink, folder, self.state.written[ALERTS], patience) for sink in sinks
            ]
        except BaseException:
            self._let_go()
            self._log.close()
            raise
        self._progress = StreamProgress(folder, self.state.totals["lines"], reader.names)

    @property
    def state(self) -> StreamState:
        """The state after all lines that were taken."""
        return self._state.current()

    def alerts(self, source: LineSource, stop: threading.Event) -> Iterator[str]:
        """Take what a source says until it ends or is stopped.

        Yield alerts as JSON when they are in the file and sent.

        Raises:
            HwdsError: An alert was not taken, or a file cannot be written: nothing after it is
                acknowledged.
        """
        self._send([], stop)
        position = self.state.position
        read_to = position["at"] if position and position["source"] == source.name else None
        for batch in source.batches(read_to, self._rules.batch, stop):
            if batch.lines or (
                read_to is not None and batch.position != read_to
            ):  # what was read to its end may be gone tomorrow
                read_to, at = batch.position, {"source": source.name, "at": batch.position}
                yield from self._append(LINES, batch.lines, at, stop, batch)
            self._progress.write(self.state, self._rules)
        if source.ends and not stop.is_set():
            yield from self._append(END, [], self.state.position, stop)
        self._progress.write(self.state, self._rules, last=True)

    def run(self, source: LineSource, stop: threading.Event | None = None) -> list[str]:
        """Take what a source says until it ends, and return the alerts; errors as of `alerts`."""
        return list(self.alerts(source, stop or threading.Event()))

    def close(self) -> None:
        """Keep the state as it is, and let all files go."""
        try:
            self._sync()
            self._state.close()
        finally:
            self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(
        self,
        kind: str,
        lines: list[str],
        position: Any,
        stop: threading.Event,
        batch: Batch | None = None,
    ) -> list[str]:
        """Let lines happen, keep them, acknowledge them, write what follows and send it."""
        entry = LogEntry(kind, None, -1, None, "\n".join([json.dumps(position), *lines]))
        with self._state.changing() as state:
            self._behaviour.apply(state, entry)
            self._log.append([entry])
        if batch is not None:
            batch.acknowledge()
        alerts = self._write()
        self._send(alerts, stop)
        self._snapshot_if_due()
        return [text for _, text in alerts]

    def _write(self) -> list[tuple[int, str]]:
        """Write the messages that the files lack; return the new alerts with their numbers."""
        messages, self._behaviour.messages = self._behaviour.messages, []
        written = {
            name: [(number, text) for file, number, text in messages if file == name]
            for name in self._files
        }
        return {name: file.write(written[name]) for name, file in self._files.items()}[ALERTS]

    def _send(self, alerts: list[tuple[int, str]], stop: threading.Event) -> None:
        """Send the alerts that each sink has not taken, in order: new ones, or those in the file
        where it lacks others too.
        """
        count = self.state.written[ALERTS]
        for delivery in self._deliveries:
            if delivery.sent < count:
                in_turn = alerts and alerts[0][0] == delivery.sent + 1
                for number, alert in (
                    alerts if in_turn else self._files[ALERTS].lines_after(delivery.sent)
                ):
                    delivery.send(number, alert, json.loads(alert)["id"], stop)

    def _snapshot_if_due(self) -> None:
        """Keep the state as it is where enough lines have come since the last snapshot."""
        lines = self.state.totals["lines"]
        if lines - self.state.covered >= self._rules.snapshot_after:
            self.state.covered = lines
            self._sync()
            self._state.snapshot()

    def _sync(self) -> None:
        for file in self._files.values():
            file.sync()

    def _require_same(self, model: str) -> None:
        """Refuse a folder that follows another model, or that lines wait in which were taken under
        other settings.
        """
        followed, lasting = self._log.metadata("model"), self._rules.lasting
        if followed not in (None, model):
            raise ResumeError(f"{self.folder}: follows another model; take another folder.")
        before: Mapping[str, Any] | None = self._log.metadata("rules")
        if before is not None and before != lasting and self._log.first <= self._log.last:
            name = next(name for name in lasting if before.get(name) != lasting[name])
            wanted = (
                f"{RULES_PATH}.{name}: must be {before.get(name)} once more, for it was "
                f"stopped amid readings"
            )
            raise ResumeError(
                f"{wanted}, got {lasting[name]}; once it has ended by itself settings may change."
            )
        self._log.set_metadata("model", model)
        self._log.set_metadata("rules", lasting)

    def _let_go(self) -> None:
        for file in self._files.values():
            file.close()
        for delivery in self._deliveries:
            delivery.close()
