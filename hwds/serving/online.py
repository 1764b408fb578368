"""Online: a fitted classifier in production, one event after the other, which a crash costs nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Self

import polars as pl

from hwds.errors import ConfigError, DataError
from hwds.frames.table import Table
from hwds.models.classify.base import FittedClassifier
from hwds.serving.answers import Answer, Keeping
from hwds.serving.judge import Judge
from hwds.serving.log import Durable, Log
from hwds.serving.memory import Memory
from hwds.serving.reading import Read, rows_of
from hwds.serving.schema import kept_schema, schema_of
from hwds.stored import load_fitted

KEY = "id"
"""Under which an event says what tells it from all others."""


class Online:
    """Scores events as they arrive, in order or late, with the features that a table of them would get.

    The order of calls is the order of arrival. An event arrives when it says so (role `available_at`), else when it happened,
    but never before the event of the call before; what it may know of others follows from that as in `RowFeatures`. An event
    that comes again counts once and gets the same answer. With a store, what was answered is in it before the call returns, so
    that after `kill -9` the same call to `Online` goes on with the same bits; a model fitted since, or other features, may take
    up the store of the ones before. One process uses a store; its threads may share the object.

    A text that no fitted row had is lawful, for a new store or channel is no mistake: features count it like any other, the
    model reads it as one that is rare, and `unknown` says how often that was. Only a column that lists its values (polars'
    `Enum`) refuses others; a number below 0 is refused in amounts and in what features say is never negative, as in a table.

    A store keeps a snapshot of its state beside it (`<store>.state`): to open it again only what came after that is replayed.
    It is made at the end, after a long opening and by `snapshot`, never while events come, for the next one would wait. The
    state is the same to the bit; other code, features or columns, or a damaged file, replay everything.

    A process that does nothing else may call `gc.freeze()` once all of the past is there, as `hwds serve` does: now and then
    Python looks all of it through for garbage while an event waits, 8 ms for every 1,000 rows.

    Args:
        fitted: The model.
        features: Its feature set.
        schema: A table like the rows that it was fitted on; its rows are not read.
        store: A file; None keeps everything in memory.
        key: Under which an event says what tells it from all others; it need not be a column.
        durable: Whether an answer outlives the `process`, or a loss of `power` too, which waits for the disk each time.

    Raises:
        ConfigError: The features have no live form, or the model reads what they do not make.
        ResumeError: The store is damaged, in use, or holds other events.

    Example:
        >>> scorer = Online.open("gray_market_xgboost", store="orders.db")  # doctest: +SKIP
        >>> scorer.score({"id": "A-17", "time": "2024-03-01T12:00:00", "quantity": 41}).words  # doctest: +SKIP
        ['bought 41 units in 30 days; its peers buy 3']
    """

    def __init__(
        self,
        fitted: FittedClassifier,
        features: Any,
        schema: Table,
        store: str | Path | None = None,
        *,
        key: str = KEY,
        durable: Durable = "process",
    ) -> None:
        schema, self._turn = schema_of(schema), threading.RLock()
        self._memory = Memory(features, schema, Path(store) if store is not None else None, key, durable)
        try:
            columns = self._memory.live.columns
            self._judge = Judge(fitted, schema.with_inputs(pl.DataFrame(schema=dict(columns))))
            self._keeping = Keeping(columns, self._memory.log)
        except BaseException:
            self._memory.close()
            raise

    @classmethod
    def open(cls, run: str | Path, store: str | Path | None = None, *, key: str = KEY, durable: Durable = "process") -> Self:
        """The model that a run has kept (`save_model=final`), with the run's features.

        Args:
            run: Its folder, id, or the name of its experiment.
            store: A file; None keeps everything in memory.
            key: Under which an event says what tells it from all others.
            durable: What an answer outlives.

        Raises:
            DataError: The run has kept no model.
            ConfigError: Its model scores no events.
        """
        from hwds.config.check import check
        from hwds.results.folder import RunFolder

        folder = RunFolder.find(str(run))
        experiment = check(folder.read_config(secrets=True))
        fitted = load_fitted(folder.path / "model")
        if not isinstance(fitted, FittedClassifier):
            raise ConfigError(f"run {folder.title}: '{experiment.model.name}' scores no events.")
        schema = _schema_in(store)
        if schema is None:
            dataset: Any = experiment.dataset
            schema = dataset.frame()
        return cls(fitted, experiment.features, schema, store, key=key, durable=durable)

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
        read = [self._memory.reader.read(event) for event in rows_of(events)]
        with self._turn:
            known = {each.id: self._before(each.id) for each in read}
            fresh = {each.id: each for each in reversed(read) if known[each.id] is None}
            made = self._answered([each for each in read if fresh.pop(each.id, None) is not None], reasons)
            found: dict[str, Answer] = {id: answer for id, answer in known.items() if answer is not None}
            found |= {answer.id: answer for answer in made}
            return [found[each.id] for each in read]

    def _before(self, id: str) -> Answer | None:
        """What was said of an event that comes again."""
        kept = self._memory.log.find("event", id)
        if kept is not None and kept.answer is None:
            raise DataError(f"event '{id}': is one that was remembered; it was never scored.")
        return self._keeping.read(kept) if kept is not None else None

    def _answered(self, read: list[Read], reasons: bool) -> list[Answer]:
        """The answers to events that come for the first time, when they are in the log."""
        if not read:
            return []
        with self._memory.changing() as state:
            arrived = [self._memory.arrive(state, each) for each in read]
            rows = [each.values for each in read]
            said, why = self._judge.judge(rows, reasons)
            made = [self._keeping.made(entry.id, said, place, why[place], told) for place, (entry, told) in enumerate(arrived)]
            self._memory.log.append(self._keeping.kept(entry, answer) for (entry, _), answer in zip(arrived, made, strict=True))
        return made

    def label(self, id: str, positive: bool, at: str | date | None = None) -> bool:
        """Tell the label of an event that has arrived.

        Args:
            id: The event's.
            positive: Whether it is 1.
            at: From when on it is known, for events that arrive at or after that; never before all that have arrived, which
                is also what None means.

        Returns:
            Whether it is news.

        Raises:
            DataError: There is no such event, or its label is another.
        """
        if positive not in (0, 1):
            raise DataError(f"label of '{id}': must be 0 or 1, got {positive!r}.")
        with self._turn:
            return self._memory.tell("label", id, str(int(positive)), at)

    def returned(self, id: str, at: str | date | None = None) -> bool:
        """Tell that what an event bought was returned; `at` and the answer as of `label`.

        Raises:
            DataError: There is no such event, or no feature reads it.
        """
        if not self._memory.live.returned_at:
            raise DataError(f"return of '{id}': no feature reads returns.")
        with self._turn:
            return self._memory.tell("returned", id, "", at)

    def remember(self, rows: Table) -> int:
        """Let rows of the past arrive, with their labels, unscored: those that the model was fitted on, say.

        Rows that are there already are passed over. Their key is the column of that name, or else the row's number.

        Returns:
            How many were new.

        Raises:
            DataError: A row is no event, or arrived before the last that is there.
        """
        with self._turn:
            return self._memory.remember(rows)

    def history(self) -> Table:
        """All events in the order of arrival with their labels, as a table to compute features of or to train on."""
        with self._turn:
            return self._memory.table()

    @property
    def unknown(self) -> dict[str, int]:
        """By column how many events, since this was opened, had a text that the model has no code for."""
        return {name: count for name, count in self._judge.unknown.items() if count}

    def answers(self) -> Iterator[Answer]:
        """What was said of each event that was scored, in order."""
        return (self._keeping.read(entry) for entry in self._memory.log.entries() if entry.answer is not None)

    def snapshot(self) -> None:
        """Keep the state beside the store, in a quiet hour, so that opening it again replays only what comes after."""
        with self._turn:
            self._memory.snapshot()

    def close(self) -> None:
        """Let the store go."""
        with self._turn:
            self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _schema_in(store: str | Path | None) -> Table | None:
    """The schema of the events of a store; None where there is no such file."""
    if store is None or not Path(store).is_file():
        return None
    log = Log(Path(store))
    try:
        return kept_schema(log)
    finally:
        log.close()
