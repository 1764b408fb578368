"""Online: a fitted classifier in production, one event after the other, which a crash costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from hwds.core.errors import ConfigError, DataError
from hwds.core.serialization import load_fitted
from hwds.detection.decisions.alert_policy import AlertPolicy
from hwds.detection.decisions.alerts.live import AlertTiers
from hwds.detection.models.classify.base import FittedClassifier
from hwds.eventlog.log import Durable, EventLog
from hwds.features.base import RowFeatures
from hwds.features.none import None_
from hwds.frames.table import Table
from hwds.serving.answers import Answer, AnswerCodec
from hwds.serving.corrections import WITHDRAWN
from hwds.serving.event_store import EventStore
from hwds.serving.reading import Read, check_same, rows_of, shortened
from hwds.serving.schema import schema_in, schema_of
from hwds.serving.scorer import RowScorer

if TYPE_CHECKING:
    from hwds.experiment.spec import Experiment
    from hwds.results.folder import RunFolder

KEY = "id"
"""The field of an event's id."""


class Online:
    """Scores events as they arrive, in order or late, with the features that a table of them would get.

    The order of calls is the order of arrival. An event arrives when it says so (role `available_at`), else when it happened,
    but never before the event of the call before; what it may know of others follows from that as in `RowFeatures`. An event
    that comes again counts once and gets the same answer; other values under an id that was there are refused. With a store,
    what was answered is in it before the call returns, so that after `kill -9` the same call to `Online` goes on with the same
    bits; a model fitted since, or other features, may take up the store of the ones before. One process uses a store; its
    threads may share the object.

    A text that no fitted row had is lawful, for a new store or channel is no mistake: features count it like any other, the
    model reads it as one that is rare, and `unknown` says how often that was. Only a column that lists its values (polars'
    `Enum`) refuses others; a number below 0 is refused in amounts and in what features say is never negative, as in a table.

    A store holds a snapshot of its state too: to open it again only what came after that is replayed.
    It is made at the end, after a long opening and by `snapshot`, never while events come, for the next one would wait. The
    state is the same to the bit; other code, features or columns, or a damaged snapshot, replay everything.

    A process that does nothing else may call `gc.freeze()` once all of the past is there, as `hwds serve` does: now and then
    Python looks all of it through for garbage while an event waits, 8 ms for every 1,000 rows.

    Args:
        fitted: The model.
        features: Its feature set.
        schema: A table like the rows that it was fitted on; its rows are not read.
        store: A file; None keeps everything in memory.
        key: The field of an event's id; it need not be a column. None takes the column with the role `id`, or else `id`.
        tiers: The rule of an alert policy, which says what is to be done with each event; None for none.
        durable: Whether an answer outlives the `process`, or a loss of `power` too, which waits for the disk each time.

    Raises:
        ConfigError: The features have no live form, or the model reads what they do not make.
        ResumeError: The store is damaged, in use, or holds other events.

    Example:
        >>> scorer = Online.open("gray_market_xgboost", store="orders.db")  # doctest: +SKIP
        >>> scorer.score({"id": "A-17", "time": "2024-03-01T12:00:00", "quantity": 41}).words  # doctest: +SKIP
        ['bought 41 units in 30 days, its peers buy 3']
    """

    def __init__(
        self,
        fitted: FittedClassifier,
        features: RowFeatures | None_,
        schema: Table,
        store: str | Path | None = None,
        *,
        key: str | None = None,
        durable: Durable = "process",
        tiers: AlertTiers | None = None,
    ) -> None:
        key = key or schema.name("id") or KEY
        schema, self._turn = schema_of(schema), threading.RLock()
        self._store = EventStore(features, schema, Path(store) if store is not None else None, key, durable)
        try:
            columns = self._store.live.columns
            self._scorer = RowScorer(fitted, schema.with_inputs(pl.DataFrame(schema=dict(columns))))
            borne = [name for name in self._scorer.reads if name not in columns]
            self._codec = AnswerCodec(columns, self._store.log, borne, tiers)
        except BaseException:
            self._store.state.close()
            raise

    @classmethod
    def open(
        cls, run: str | Path, store: str | Path | None = None, *, key: str | None = None, durable: Durable = "process"
    ) -> Self:
        """Open the model that a run has saved (`save_model=final`), with the run's features and its alert policy.

        Args:
            run: Its folder, id, or the name of its experiment.
            store: A file; None keeps everything in memory.
            key: The field of an event's id; None takes the column with the role `id`, or else `id`.
            durable: The failure that an answer outlives.

        Raises:
            DataError: The run has saved no model.
            ConfigError: Its model scores no events.
        """
        from hwds.experiment.check import check
        from hwds.results.folder import RunFolder

        folder = RunFolder.find(str(run))
        experiment = check(folder.read_config(secrets=True))
        features, fitted = experiment.features, load_fitted(folder.path / "model")
        assert isinstance(features, RowFeatures | None_)
        if not isinstance(fitted, FittedClassifier):
            raise ConfigError(f"run {folder.title}: '{experiment.model.name}' scores no events.")
        schema = _schema_in(store)
        if schema is None:
            frame = experiment.dataset.frame()
            assert isinstance(frame, Table)
            schema = frame
        return cls(fitted, features, schema, store, key=key, durable=durable, tiers=_tiers(experiment, folder, schema))

    def score(self, event: Mapping[str, Any] | str | bytes, *, reasons: bool = True) -> Answer:
        """Score an event: a dict or JSON, with values by column and its key.

        Raises:
            DataError: It is no event of these columns; it has not arrived.
            HwdsError: The store cannot be written; it has not arrived.
        """
        return self.score_many([event], reasons=reasons)[0]

    def score_many(self, events: Any, *, reasons: bool = False) -> list[Answer]:
        """Score events in the order in which they arrived, all or none: a list, an Arrow table or a polars frame.

        Raises:
            DataError: One is no event of these columns; none has arrived.
            HwdsError: The store cannot be written; none has arrived.
        """
        read = [self._store.reader.read(event) for event in rows_of(events)]
        with self._turn:
            first: dict[str, Read] = {}
            for each in read:
                check_same(first.setdefault(each.id, each), each)
            answers = {id: answer for id, each in first.items() if (answer := self._earlier_answer(each)) is not None}
            fresh = self._score_new([each for id, each in first.items() if id not in answers], reasons)
            answers |= {answer.id: answer for answer in fresh}
            return [answers[each.id] for each in read]

    def _earlier_answer(self, read: Read) -> Answer | None:
        """Return the answer to an event that comes again; None where it is new."""
        entry = self._store.log.find("event", read.id)
        if entry is None:
            return None
        if entry.reply is None:
            raise DataError(f"event '{read.id}': is one that was remembered; it was never scored.")
        if entry.body != read.body:
            check_same(self._store.reader.again(entry.body), read)
        return self._codec.decode(entry)

    def _score_new(self, read: list[Read], reasons: bool) -> list[Answer]:
        """Return the answers to events that come for the first time, when they are in the log."""
        if not read:
            return []
        with self._store.state.changing() as state:
            arrived = [self._store.arrive(state, each) for each in read]
            scores, why = self._scorer.score([each.values for each in read], reasons)
            answers = [
                self._codec.answer(each, scores, place, why[place], features)
                for place, (each, (_, features)) in enumerate(zip(read, arrived, strict=True))
            ]
            self._store.log.append(
                [self._codec.encode(entry, answer) for (entry, _), answer in zip(arrived, answers, strict=True)]
            )
        return answers

    def label(self, id: str, positive: bool | None, at: str | date | None = None, *, correct: bool = False) -> bool:
        """Report the label of an event that has arrived.

        A corrected label holds from its own moment on; the one before stays in the log, and so do the answers that it had a
        part in. Features are made anew from all events, which takes as long as to open the store without a snapshot.

        Args:
            id: The event's.
            positive: Whether it is 1; None withdraws it.
            at: From when on it is known, for events that arrive at or after that; never before all that have arrived, which
                is also what None means.
            correct: Whether it may take the place of another label.

        Returns:
            Whether it is news.

        Raises:
            DataError: There is no such event, or its label is another and this is no correction.
        """
        if positive not in (0, 1, None):
            raise DataError(f"label of '{id}': must be 0 or 1, got {shortened(positive)}.")
        body = WITHDRAWN if positive is None else str(int(positive))
        with self._turn:
            return self._store.report("label", id, body, at, correct=correct or positive is None)

    def returned(self, id: str, at: str | date | None = None) -> bool:
        """Report that what an event bought was returned; `at` and the answer as of `label`.

        Raises:
            DataError: There is no such event, or no feature reads it.
        """
        if not self._store.live.returned_at:
            raise DataError(f"return of '{id}': no feature reads returns.")
        with self._turn:
            return self._store.report("returned", id, "", at)

    def backfill(self, rows: Table) -> int:
        """Let rows of the past arrive, with their labels, unscored: those that the model was fitted on, say.

        Rows that are there already are passed over. Their key is the column of that name, or else the row's number.

        Returns:
            How many were new.

        Raises:
            DataError: A row is no event, or arrived before the last that is there.
        """
        with self._turn:
            return self._store.backfill(rows)

    def history(self) -> Table:
        """Return all events in the order of arrival with their labels, as a table to compute features of or to train on."""
        with self._turn:
            return self._store.table()

    @property
    def unknown(self) -> dict[str, int]:
        """The number of events by column, since this was opened, that had a text that the model has no code for."""
        return {name: count for name, count in self._scorer.unknown.items() if count}

    def answers(self) -> Iterator[Answer]:
        """Yield the answer to each event that was scored, in order."""
        return (self._codec.decode(entry) for entry in self._store.log.entries() if entry.reply is not None)

    def snapshot(self) -> None:
        """Write the state into the store, in a quiet hour, so that opening it again replays only what comes after."""
        with self._turn:
            self._store.state.snapshot()

    def close(self) -> None:
        """Close the store."""
        with self._turn:
            self._store.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tiers(experiment: Experiment, folder: RunFolder, schema: Table) -> AlertTiers | None:
    """Return the rule of a run's alert policy; None where it has none, or events say of no amount."""
    decision, amount = experiment.decision, schema.name("amount")
    if not isinstance(decision, AlertPolicy) or not amount:
        return None
    terms = decision.terms(getattr(experiment.protocol, "wrong_block", None), kinds=False)
    return AlertTiers.chosen(terms, folder.read_verdict(), experiment.seed, amount)


def _schema_in(store: str | Path | None) -> Table | None:
    """Return the schema of the events of a store; None where there is no such file."""
    if store is None or not Path(store).is_file():
        return None
    log = EventLog(Path(store))
    try:
        return schema_in(log)
    finally:
        log.close()
