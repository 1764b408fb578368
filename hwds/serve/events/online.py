"""Online: a fitted classifier in production, one event after the other; a crash costs nothing."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.core.files import digest
from hwds.core.questions import Fields, Json, RowRule
from hwds.core.serialization import load_fitted
from hwds.evaluation.serving import Reasons, RowModel, row_model
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.rows import DAY_MICROSECONDS, Value
from hwds.frames.table import BatchSchema, RowBatch, RowScores, Table, Values
from hwds.results.event_log import Durable, EventLog, LogEntry
from hwds.serve.events.reading import ReadEvent, check_same, event_rows, parse_object, shorten_value
from hwds.serve.events.store import WITHDRAWN, EventStore, schema_in, schema_of

if TYPE_CHECKING:
    from hwds.experiment.spec import Experiment
    from hwds.results.folder import RunFolder


# RowScorer: a fitted model that scores a few rows, without a detour over a table where it reads
# numbers and texts.


class RowScorer:
    """Scores and reasons, the same as those of the whole table, for the same code makes them.

    Args:
        model: What asks the model.
        schema: A table of all that it may read, without rows.

    Raises:
        ConfigError: It reads more than that.
    """

    def __init__(self, model: RowModel, schema: Table) -> None:
        for name in model.reads:
            if name not in schema.data.columns:
                raise ConfigError(
                    f"features: the model reads '{name}', which no event bears and no feature "
                    f"makes."
                )
        self._model, self._schema = model, BatchSchema.of(schema)
        self.unknown: Counter[str] = Counter()
        """By column how many rows had a text that the model has no code for: one that it never saw,
        or saw too rarely.
        """

    def score(self, rows: Sequence[Values], reasons: bool) -> tuple[RowScores, list[Reasons]]:
        """Return the scores of rows, and the reasons if they are wanted.

        A text that it has no code for is read as a rare one, and counted.
        """
        for name, codes in self._model.texts.items():
            self.unknown[name] += sum(
                row.get(name) is not None and row[name] not in codes for row in rows
            )
        batch = RowBatch(rows, self._schema)
        scores = self._model.score(batch)
        return scores, self._model.reasons(batch) if reasons else [[] for _ in rows]


# Answers to events, and their form in the log.


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """The answer to an event.

    Attributes:
        id: The event's id.
        score: The higher the more suspicious.
        probability: The probability that the label is 1; None where the model has none.
        p_value: The share of held-out normal rows that are at least as odd; None where none were
            held out.
        reasons: The contributions of main inputs, the largest first: `input`, `value` and `adds`;
            empty where not requested.
        features: The features by column; None where one is not known.
        tier: The action of the run's alert policy: `block`, `review`, `random_review` or `pass`;
            None without a policy.
        expected_gain: The money that the action is expected to save beside letting it pass.
        lacks: Columns that the model reads of an event and that this one did not bear.
        again: Whether the event had been scored before: it counts once, and this is the answer of
            then.
        in_words: Returns reasons as sentences.
    """

    id: str
    score: float
    probability: float | None
    p_value: float | None
    reasons: tuple[Fields, ...]
    features: Mapping[str, Value]
    tier: str | None = None
    expected_gain: float | None = None
    lacks: tuple[str, ...] = ()
    again: bool = False
    in_words: Callable[[Sequence[Fields]], list[str]] = field(
        default=lambda _: [], repr=False, compare=False
    )

    @property
    def words(self) -> list[str]:
        """The reasons as sentences."""
        return self.in_words(self.reasons)

    def json(self) -> str:
        """Return one line for a machine: without the features."""
        scores = {
            "id": self.id,
            "score": self.score,
            "probability": self.probability,
            "p_value": self.p_value,
        }
        policy = (
            {"tier": self.tier, "expected_gain": self.expected_gain}
            if self.tier is not None
            else {}
        )
        lacks = {"lacks": list(self.lacks)} if self.lacks else {}
        return json.dumps(
            scores | policy | {"reasons": self.words} | lacks | {"again": self.again},
            ensure_ascii=False,
        )


class AnswerCodec:
    """The codec between answers of one feature set and entries of a log.

    Args:
        columns: The names of the features and their types.
        log: The log, which stores their names once.
        model: What asks the model.
        rule: What the run's decision says of a row; None where it says nothing.
    """

    def __init__(
        self,
        columns: Fields,
        log: EventLog,
        model: RowModel,
        rule: RowRule | None = None,
    ) -> None:
        self._question_names = tuple(name for name in model.reads if name not in columns)
        self._in_words, self._rule = model.in_words, rule
        self._names = tuple(columns)
        self._shapes = [
            list(kind.shape) if hasattr(kind, "shape") else None for kind in columns.values()
        ]
        layout = [list(self._names), self._shapes]
        self._log, self._layout = log, f"layout {digest(layout)}"
        self._layouts: Json = {self._layout: layout}
        if log.metadata(self._layout) is None:
            log.set_metadata(self._layout, layout)

    def answer(
        self,
        read: ReadEvent,
        scores: RowScores,
        place: int,
        reasons: list[dict[str, object]],
        features: Sequence[Value],
    ) -> EventAnswer:
        """Return the answer to the event at a place among those that were scored."""
        rows = slice(place, place + 1)
        chance = None if scores.probability is None else scores.probability[rows]
        probability = None if chance is None else float(chance[0])
        p_value = None if scores.p_value is None else float(scores.p_value[place])
        named = dict(zip(self._names, features, strict=True))
        tier = None
        if self._rule is not None:
            tier = self._rule.tiers([read.id], chance, [read.values.get(self._rule.amount)])[0]
        lacks = tuple(name for name in self._question_names if read.values.get(name) is None)
        score = float(scores.score[place])
        action, gain = (None, None) if tier is None else tier
        return EventAnswer(
            read.id,
            score,
            probability,
            p_value,
            tuple(reasons),
            named,
            action,
            gain,
            lacks,
            in_words=self._in_words,
        )

    def encode(self, entry: LogEntry, answer: EventAnswer) -> LogEntry:
        """Return the entry of an event with its answer."""
        policy = answer.tier, answer.expected_gain, answer.lacks
        reply = json.dumps(
            [
                self._layout,
                answer.score,
                answer.probability,
                answer.p_value,
                answer.reasons,
                *policy,
            ]
        )
        values = list(answer.features.values())
        if any(self._shapes):
            numbers = np.concatenate([np.ravel(np.asarray(value, float)) for value in values])
        else:
            numbers = np.array(values, float)  # None becomes NaN
        return entry._replace(reply=reply, data=numbers.tobytes())

    def decode(self, entry: LogEntry) -> EventAnswer:
        """Return the answer of an event that was scored before, whatever features it was of."""
        assert entry.id is not None
        assert entry.reply is not None
        assert entry.data is not None
        layout, score, probability, p_value, reasons, *policy = json.loads(entry.reply)
        tier, gain, lacks = policy or (None, None, ())
        if layout not in self._layouts:
            self._layouts[layout] = self._log.metadata(layout)
        features: dict[str, Value] = {}
        flat, at = np.frombuffer(entry.data, float), 0
        for name, shape in zip(*self._layouts[layout], strict=True):
            size = int(np.prod(shape)) if shape else 1
            part = flat[at : at + size]
            features[name] = (
                part.reshape(shape).astype(np.float32)
                if shape
                else None
                if np.isnan(part[0])
                else float(part[0])
            )
            at += size
        return EventAnswer(
            entry.id,
            score,
            probability,
            p_value,
            tuple(reasons),
            features,
            tier,
            gain,
            tuple(lacks),
            again=True,
            in_words=self._in_words,
        )


# Online: a fitted classifier in production, one event after the other, which a crash costs
# nothing.

KEY = "id"
"""The field of an event's id."""


class Online:
    """Scores events as they arrive, in order or late, with the features that a table of them would
    get.

    The order of calls is the order of arrival. An event arrives when it says so (role
    `available_at`), else when it happened, but never before the event of the call before; what it
    may know of others follows from that as in `RowFeatures`. An event that comes again counts once
    and gets the same answer; other values under an id that was there are refused. With a store,
    what was answered is in it before the call returns, so that after `kill -9` the same call to
    `Online` goes on with the same bits; a model fitted since, or other features, may take up the
    store of the ones before. One process uses a store; its threads may share the object.

    A text that no fitted row had is lawful, for a new store or channel is no mistake: features
    count it like any other, the model reads it as one that is rare, and `unknown` says how often
    that was. Only a column that lists its values (polars' `Enum`) refuses others; a number below 0
    is refused in amounts and in what features say is never negative, as in a table.

    A store holds a snapshot of its state too: to open it again only what came after that is
    replayed. It is made at the end, after a long opening and by `snapshot`, never while events
    come, for the next one would wait. The state is the same to the bit; other code, features or
    columns, or a damaged snapshot, replay everything.

    A process that does nothing else may call `gc.freeze()` once all of the past is there, as `hwds
    serve` does: now and then Python looks all of it through for garbage while an event waits, 8 ms
    for every 1,000 rows.

    Args:
        fitted: The model.
        features: Its feature set.
        schema: A table like the rows that it was fitted on; its rows are not read.
        store: A file; None keeps everything in memory.
        key: The field of an event's id; it need not be a column. None takes the column with the
            role `id`, or else `id`.
        tiers: What the run's decision says is to be done with each event; None for nothing.
        durable: Whether an answer outlives the `process`, or a loss of `power` too, which waits for
            the disk each time.
        keep: Days for which events are kept, in memory and, for the longest window of the features
            more, in the store; 0 keeps everything. None takes twice the longest window, 180 days
            at least, and keeps everything where a feature reads all of the past: so no answer is
            another than if everything were kept. Events and labels that come later are refused.

    Raises:
        ConfigError: The features have no live form, the model reads what they do not make, or a
            window is longer than `keep`.
        ResumeError: The store is damaged, in use, or holds other events.

    Example:
        >>> scorer = Online.open("gray_market_xgboost", store="orders.db")  # doctest: +SKIP
        >>> event = {"id": "A-17", "time": "2024-03-01T12:00:00", "quantity": 41}
        >>> scorer.score(event).words  # doctest: +SKIP
        ['bought 41 units in 30 days, its peers buy 3']
    """

    def __init__(
        self,
        fitted: Any,
        features: RowFeatures | None_,
        schema: Table,
        store: str | Path | None = None,
        *,
        key: str | None = None,
        durable: Durable = "process",
        tiers: RowRule | None = None,
        keep: float | None = None,
    ) -> None:
        model = row_model(fitted)
        if model is None:
            raise ConfigError(f"model: a '{type(fitted).__name__}' scores no events.")
        key = key or schema.name("id") or KEY
        schema, self._lock = schema_of(schema), threading.RLock()
        self._store = EventStore(
            features, schema, Path(store) if store is not None else None, key, durable, keep
        )
        try:
            columns = self._store.live.columns
            self._scorer = RowScorer(model, schema.with_inputs(pl.DataFrame(schema=dict(columns))))
            self._codec = AnswerCodec(columns, self._store.log, model, tiers)
        except BaseException:
            self._store.state.close()
            raise

    @classmethod
    def open(
        cls,
        run: str | Path,
        store: str | Path | None = None,
        *,
        key: str | None = None,
        durable: Durable = "process",
        keep: float | None = None,
    ) -> Self:
        """Open the model that a run has saved (`save_model=final`), with the run's features and its
        alert policy.

        Args:
            run: Its folder, id, or the name of its experiment.
            store: A file; None keeps everything in memory.
            key: The field of an event's id; None takes the column with the role `id`, or else `id`.
            durable: The failure that an answer outlives.
            keep: Days for which events are kept.

        Raises:
            DataError: The run has saved no model.
            ConfigError: Its model scores no events.
        """
        from hwds.experiment.spec import check_asked
        from hwds.results.folder import RunFolder

        folder = RunFolder.find(str(run))
        experiment = check_asked(folder.read_config(secrets=True))
        features, fitted = experiment.features, load_fitted(folder.path / "model")
        assert isinstance(features, RowFeatures | None_)
        if row_model(fitted) is None:
            raise ConfigError(f"run {folder.title}: '{experiment.model.name}' scores no events.")
        schema = _schema_in(store)
        if schema is None:
            frame = experiment.dataset.frame()
            assert isinstance(frame, Table)
            schema = frame
        return cls(
            fitted,
            features,
            schema,
            store,
            key=key,
            durable=durable,
            tiers=_rule(experiment, folder, schema),
            keep=keep,
        )

    def score(self, event: Fields | str | bytes, *, reasons: bool = True) -> EventAnswer:
        """Score an event: a dict or JSON, with values by column and its key.

        Raises:
            DataError: It is no event of these columns; it has not arrived.
            HwdsError: The store cannot be written; it has not arrived.
        """
        return self.score_many([event], reasons=reasons)[0]

    def score_many(self, events: Any, *, reasons: bool = False) -> list[EventAnswer]:
        """Score events in the order in which they arrived, all or none: a list, an Arrow table or a
        polars frame.

        Raises:
            DataError: One is no event of these columns; none has arrived.
            HwdsError: The store cannot be written; none has arrived.
        """
        read = [self._store.reader.read(event) for event in event_rows(events)]
        with self._lock:
            first: dict[str, ReadEvent] = {}
            for each in read:
                check_same(first.setdefault(each.id, each), each)
            answers = {
                id: answer
                for id, each in first.items()
                if (answer := self._earlier_answer(each)) is not None
            }
            fresh = self._score_new(
                [each for id, each in first.items() if id not in answers], reasons
            )
            answers |= {answer.id: answer for answer in fresh}
            return [answers[each.id] for each in read]

    def _earlier_answer(self, read: ReadEvent) -> EventAnswer | None:
        """Return the answer to an event that comes again; None where it is new."""
        entry = self._store.log.find("event", read.id)
        if entry is None:
            return None
        if entry.reply is None:
            raise DataError(f"event '{read.id}': is one that was remembered; it was never scored.")
        if entry.body != read.body:
            check_same(self._store.reader.read_stored(entry.body), read)
        return self._codec.decode(entry)

    def _score_new(self, read: list[ReadEvent], reasons: bool) -> list[EventAnswer]:
        """Return the answers to events that come for the first time, when they are in the log."""
        if not read:
            return []
        with self._store.changing(read) as state:
            arrived = [self._store.arrive(state, each) for each in read]
            scores, why = self._scorer.score([each.values for each in read], reasons)
            answers = [
                self._codec.answer(each, scores, place, why[place], features)
                for place, (each, (_, features)) in enumerate(zip(read, arrived, strict=True))
            ]
            self._store.log.append(
                [
                    self._codec.encode(entry, answer)
                    for (entry, _), answer in zip(arrived, answers, strict=True)
                ]
            )
        self._store.drop_old()
        return answers

    def label(
        self, id: str, positive: bool | None, at: str | date | None = None, *, correct: bool = False
    ) -> bool:
        """Report the label of an event that has arrived.

        A corrected label holds from its own moment on; the one before stays in the log, and so do
        the answers that it had a part in. It is taken out of the features of its own entities;
        only features of a user's own without `retract` are made anew from all events, which takes
        as long as to open the store without a snapshot.

        Args:
            id: The event's id.
            positive: Whether it is 1; None withdraws it.
            at: The time from which on it is known, for events that arrive then or later; it is
                never before all that have arrived, which is also what None means.
            correct: Whether it may take the place of another label.

        Returns:
            Whether it is news.

        Raises:
            DataError: There is no such event, or no more, or its label is another and this is no
                correction.
        """
        if positive not in (0, 1, None):
            raise DataError(f"label of '{id}': must be 0 or 1, got {shorten_value(positive)}.")
        body = WITHDRAWN if positive is None else str(int(positive))
        with self._lock:
            return self._store.report("label", id, body, at, correct=correct or positive is None)

    def returned(self, id: str, at: str | date | None = None) -> bool:
        """Report that what an event bought was returned; `at` and the answer as of `label`.

        Raises:
            DataError: There is no such event, or no feature reads it.
        """
        if not self._store.live.returned_at:
            raise DataError(f"return of '{id}': no feature reads returns.")
        with self._lock:
            return self._store.report("returned", id, "", at)

    def backfill(self, rows: Table) -> int:
        """Let rows of the past arrive, with their labels, unscored: those that the model was fitted
        on, say.

        Rows that are there already are passed over. Their key is the column of that name, or else
        the row's number.

        Returns:
            How many were new.

        Raises:
            DataError: A row is no event, or arrived before the last that is there.
        """
        with self._lock:
            return self._store.backfill(rows)

    def history(self) -> Table:
        """Return all events that are kept in the order of arrival with their labels, as a table to
        compute features of or to train on.
        """
        with self._lock:
            return self._store.table()

    @property
    def kept(self) -> str:
        """What is kept for how long, and why, in words."""
        keep, spare, live = self._store.keep, self._store.spare, self._store.live
        if keep is None or spare is None:
            ever = live.columns if live.since_ever is None else live.since_ever
            named = ", ".join(list(ever)[:3]) + (" read" if len(ever) > 1 else " reads")
            why = f", for {named} all of the past" if ever else ""
            return f"every event is kept{why}; --keep DAYS drops those that are older."
        return (
            f"events are kept for {keep / DAY_MICROSECONDS:g} days (--keep); later than "
            f"{spare / DAY_MICROSECONDS:g} days after it happened none is taken."
        )

    @property
    def unknown(self) -> dict[str, int]:
        """The number of events by column, since this was opened, that had a text that the model has
        no code for.
        """
        return {name: count for name, count in self._scorer.unknown.items() if count}

    def answers(self) -> Iterator[EventAnswer]:
        """Yield the answer to each event that was scored, in order."""
        return (
            self._codec.decode(entry)
            for entry in self._store.log.entries()
            if entry.reply is not None
        )

    def snapshot(self) -> None:
        """Write the state into the store, in a quiet hour, so that opening it again replays only
        what comes after.
        """
        with self._lock:
            self._store.state.snapshot()

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            self._store.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _rule(experiment: Experiment, folder: RunFolder, schema: Table) -> RowRule | None:
    """Return what a run's decision says of events; None where these have no amount."""
    amount, verdict = schema.name("amount"), folder.read_verdict()
    return (
        experiment.decision.row_rule(experiment.protocol, verdict, experiment.seed, amount)
        if amount
        else None
    )


def _schema_in(store: str | Path | None) -> Table | None:
    """Return the schema of the events of a store; None where there is no such file."""
    if store is None or not Path(store).is_file():
        return None
    log = EventLog(Path(store))
    try:
        return schema_in(log)
    finally:
        log.close()


# The line protocol of a server of events: one JSON object a line in, one answer a line out,
# whatever the bytes are.

LONGEST = 1 << 20
"""Bytes of a line at most; the rest of a longer one is skipped."""


def answer_lines(scorer: Online, stream: IO[bytes]) -> Iterator[str]:
    """Yield the answer to each line that is not empty, as JSON.

    What is wrong with a line is its answer.

    Args:
        scorer: What scores events and takes their labels.
        stream: Lines of UTF-8.
    """
    for line in _lines(stream):
        try:
            yield answer_line(scorer, _text(line))
        except DataError as error:
            # what is not Unicode can be in a message, but not in an answer
            message = str(error).encode("utf-8", "backslashreplace").decode()
            yield json.dumps({"error": message}, ensure_ascii=False)


def answer_line(scorer: Online, line: str) -> str:
    """Return the answer to an event, or whether a label or a return is new.

    Raises:
        DataError: The line is neither.
    """
    if '"of"' in line:
        message = parse_object(line)
        if "of" in message and ("label" in message or "returned" in message):
            return json.dumps(
                {"of": message["of"], "news": take_report(scorer, message)}, ensure_ascii=False
            )
    return scorer.score(line).json()


def take_report(scorer: Online, message: Fields) -> bool:
    """Take a label or a return, and return whether it is news.

    Raises:
        DataError: The message is neither, or of no event that has arrived.
    """
    of, at = message["of"], message.get("at")
    if isinstance(of, bool) or not isinstance(of, str | int):
        raise DataError(
            f"message: must have the event's id under 'of', a text or a whole number, got {of!r}."
        )
    if not {"label", "returned"} & message.keys():
        raise DataError(f"message of '{of}': must have 'label' or 'returned'.")
    if "label" not in message:
        return scorer.returned(str(of), at)
    return scorer.label(str(of), message["label"], at, correct=message.get("correct") is True)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not empty; of one that is too long its beginning."""
    while line := stream.readline(LONGEST + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(LONGEST)):
            pass
        if line.strip():
            yield line


def _text(line: bytes) -> str:
    if len(line) > LONGEST:
        raise DataError(f"event: must be a line of {LONGEST:,} bytes at most.")
    try:
        return line.decode().strip()
    except UnicodeDecodeError as error:
        raise DataError(f"event: is no UTF-8 ({error}).") from error
