"""Snapshots: a state filled in again tells the same bits, and is taken for nothing where anything
has changed since.
"""

import sqlite3
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.serialization import Unserializable, dumps, loads
from hwds.detection.features.handbook_plus import HandbookPlus
from hwds.detection.features.network import Network
from hwds.detection.features.purchases import Purchases
from hwds.detection.features.recent import Recent
from hwds.frames.features.together import Together
from hwds.frames.rows import Live
from hwds.results.event_log import EventLog
from hwds.serve.events import store as event_store
from hwds.serve.events.online import Online
from hwds.serve.events.store import (
    FeatureState,
    restore_state,
    schema_of,
    state_changes,
    with_arrivals,
)
from tests.detection.features.moment_rows import order_lines
from tests.frames.features.test_live import ALL
from tests.serve.order_events import FEATURES, events, fitted, lines, told_of

EVERYTHING = Together(
    parts=(
        Recent(length=4),
        Network(),
        HandbookPlus(amount="unit_price", terminal="store", days=(2, 7)),
    )
)


def copied(state, fresh):
    restore_state(fresh, loads(dumps(state_changes(state)), "memory"))
    return fresh


def arrivals(table):
    """Each row's time and arrival in microseconds, its values, and its label's moment."""
    names = ("time", "available_at", "confirmed_at")
    moments = table.data.select(
        pl.col(name).cast(pl.Datetime("us")).to_physical() for name in names
    ).rows()
    return list(zip(moments, table.data.to_dicts(), strict=True))


@pytest.mark.parametrize("features", [*ALL, EVERYTHING], ids=lambda each: type(each).__name__)
def test_a_state_that_was_filled_in_goes_on_with_the_same_bits_for_all_features(features):
    table = order_lines(3, 160)
    table = replace(table, data=table.data.sort("available_at", maintain_order=True))
    schema = with_arrivals(schema_of(table))
    state, rows = FeatureState(features.live(schema)), arrivals(table)
    for place, ((time, arrival, known), values) in enumerate(rows):
        if place == 90:
            other, state = state, copied(state, FeatureState(features.live(schema)))
            assert_nothing_else_changed(other, FeatureState(features.live(schema)))
        told = state.arrive(time, arrival, dict(values))
        if place >= 90:
            again = other.arrive(time, arrival, dict(values))
            assert [np.array(each, float).tobytes() for each in told] == [
                np.array(each, float).tobytes() for each in again
            ]
        for each in [state, *([other] if place >= 90 else [])]:
            if known is not None:
                each.label(place, values["confirmed"] == 1, max(known, arrival + 1))


def assert_nothing_else_changed(used, fresh):
    """What is not told to change is as in a new one."""
    for name, value in vars(fresh).items():
        own = getattr(used, name)
        if name in used.changing:
            for part, new in zip(
                *((each if isinstance(each, tuple) else (each,)) for each in (own, value)),
                strict=False,
            ):
                if hasattr(new, "changing"):
                    assert_nothing_else_changed(part, new)
        elif name not in ("_references", "_spreads", "_step", "_days", "_cost"):
            assert own == value, (type(used).__name__, name)


def test_features_that_do_not_say_what_changes_have_no_state():
    class Silent(Live):
        def arrive(self, event):
            return ()

    with pytest.raises(Unserializable, match="'Silent' does not say what changes"):
        state_changes(Silent())


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(event_store, "FEWEST", 60)


def replayed(model, features, table, path, monkeypatch):
    """How many entries are read again when the store is opened."""
    read, entries = [], EventLog.entries
    monkeypatch.setattr(
        EventLog,
        "entries",
        lambda self, after=0: (read.append(1) or each for each in entries(self, after)),
    )
    with Online(model, features, table, path) as scorer:
        monkeypatch.setattr(EventLog, "entries", entries)
        return len(read), scorer.score(events(table)[-1] | {"id": "one more"})


def test_little_is_replayed_and_all_of_it_where_anything_has_changed(tmp_path, often, monkeypatch):
    table, model, path = lines(200, 5, late=0.3), fitted(), tmp_path / "orders.db"
    scorer = Online(model, FEATURES, table, path)
    list(told_of(scorer, table, events(table)[:-20]))
    scorer.snapshot()
    there = scorer._store.log.last
    list(told_of(scorer, table, events(table)[:-1], len(table.data) - 20))
    last = scorer._store.log.last
    scorer._store.log.close()  # as if it had been killed
    before = path.read_bytes()
    some, answer = replayed(model, FEATURES, table, path, monkeypatch)
    assert some == last - there > 0
    changes = {
        "damaged": "update snapshot set data = zeroblob(999)",
        "absent": "delete from snapshot",
        "code": None,
    }
    for change, statement in changes.items():
        path.write_bytes(before)
        path.with_name("orders.db-last").unlink()
        if statement is None:
            monkeypatch.setattr(event_store, "code_digest", lambda *recipes: "other")
        else:
            with sqlite3.connect(path) as db:
                db.execute(statement)
            db.close()
        every, again = replayed(model, FEATURES, table, path, monkeypatch)
        assert (every, again.score, again.features) == (last, answer.score, answer.features), change


def test_features_that_do_not_say_what_changes_are_replayed(tmp_path, often, monkeypatch):
    table, path = lines(60, 6), tmp_path / "orders.db"
    monkeypatch.setattr("hwds.detection.features.purchases.PurchaseEvents.changing", None)
    features = Purchases(days=(7, 30), tiers=(3, 5))
    model = fitted(features=features)
    with Online(model, features, table, path) as scorer:
        list(told_of(scorer, table, events(table)))
    log = EventLog(path)
    assert log.read_snapshot() is None
    log.close()
    with Online(model, features, table, path) as scorer:
        assert len(list(scorer.answers())) == 60
