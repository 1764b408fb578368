"""Snapshots: a state filled in again tells the same bits, and is taken for nothing where anything has changed since."""

import json
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from hwds.features.handbook_plus import HandbookPlus
from hwds.features.live import Live
from hwds.features.network import Network
from hwds.features.purchases import Purchases
from hwds.features.recent import Recent
from hwds.features.together import Together
from hwds.serving import snapshot
from hwds.serving.log import Log
from hwds.serving.online import Online
from hwds.serving.plain import Packed, Unkept, Unpacked
from hwds.serving.schema import schema_of, with_arrivals
from hwds.serving.snapshot import Snapshots
from hwds.serving.state import State
from tests.features.moment_rows import order_lines
from tests.features.test_live import ALL
from tests.serving.served import FEATURES, events, fitted, lines, told_of

EVERYTHING = Together(parts=(Recent(length=4), Network(), HandbookPlus(amount="unit_price", terminal="store", days=(2, 7))))


def copied(state, fresh):
    packed = Packed()
    told, tuples = json.loads(json.dumps([packed.changing(state), packed.tuples]))
    arrays = {kind: np.concatenate(parts) for kind, parts in packed.arrays.items()}
    Unpacked(tuples, packed.classes, arrays).fill(fresh, told)
    return fresh


def arrivals(table):
    """Each row's time and arrival in microseconds, its values, and its label's moment."""
    names = ("time", "available_at", "confirmed_at")
    moments = table.data.select(pl.col(name).cast(pl.Datetime("us")).to_physical() for name in names).rows()
    return list(zip(moments, table.data.to_dicts(), strict=True))


@pytest.mark.parametrize("features", [*ALL, EVERYTHING], ids=lambda each: type(each).__name__)
def test_a_state_that_was_filled_in_goes_on_with_the_same_bits_for_all_features(features):
    table = order_lines(3, 160)
    table = replace(table, data=table.data.sort("available_at", maintain_order=True))
    schema = with_arrivals(schema_of(table))
    state, rows = State(features.live(schema)), arrivals(table)
    for place, ((time, arrival, known), values) in enumerate(rows):
        if place == 90:
            other, state = state, copied(state, State(features.live(schema)))
            assert_nothing_else_changed(other, State(features.live(schema)))
        told = state.arrive(time, arrival, dict(values))
        if place >= 90:
            again = other.arrive(time, arrival, dict(values))
            assert [np.array(each, float).tobytes() for each in told] == [np.array(each, float).tobytes() for each in again]
        for each in [state, *([other] if place >= 90 else [])]:
            if known is not None:
                each.label(place, values["confirmed"] == 1, max(known, arrival + 1))


def assert_nothing_else_changed(used, fresh):
    """What is not told to change is as in a new one."""
    for name, value in vars(fresh).items():
        own = getattr(used, name)
        if name in used.changing:
            for part, new in zip(*((each if isinstance(each, tuple) else (each,)) for each in (own, value)), strict=False):
                if hasattr(new, "changing"):
                    assert_nothing_else_changed(part, new)
        elif name not in ("_references", "_spreads", "_step", "_days", "_cost"):
            assert own == value, (type(used).__name__, name)


def test_values_of_columns_come_back_as_they_are():
    values = {"day": date(2024, 3, 1), "at": datetime(2024, 3, 1, 12), ("a", 1): float("nan"), 3: [(1, None), (1, None)]}
    packed = Packed()
    told = packed.packed(values)
    found = Unpacked(packed.tuples, packed.classes, {}).value(told)
    assert repr(found) == repr(values)
    with pytest.raises(Unkept, match="set has no plain form"):
        packed.packed({1})
    with pytest.raises(Unkept, match="'Live' does not say what changes"):
        packed.changing(Live())


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(snapshot, "FEWEST", 60)


def replayed(model, features, table, path, monkeypatch):
    """How many entries are read again when the store is opened."""
    read, entries = [], Log.entries
    monkeypatch.setattr(Log, "entries", lambda self, after=0: (read.append(1) or each for each in entries(self, after)))
    with Online(model, features, table, path) as scorer:
        monkeypatch.setattr(Log, "entries", entries)
        return len(read), scorer.score(events(table)[-1] | {"id": "one more"})


def test_little_is_replayed_and_all_of_it_where_anything_has_changed(tmp_path, often, monkeypatch):
    table, model, path = lines(200, 5, late=0.3), fitted(), tmp_path / "orders.db"
    scorer = Online(model, FEATURES, table, path)
    list(told_of(scorer, table, events(table)[:-20]))
    scorer.snapshot()
    there = scorer._memory.log.last
    list(told_of(scorer, table, events(table)[:-1], len(table.data) - 20))
    last, kept = scorer._memory.log.last, path.with_name("orders.db.state")
    scorer._memory._snapshots.path = None  # as if it had been killed
    scorer.close()
    before = path.read_bytes()
    some, answer = replayed(model, FEATURES, table, path, monkeypatch)
    assert some == last - there > 0
    state = kept.read_bytes()
    for change in ("damaged", "absent", "code"):
        path.write_bytes(before)
        kept.write_bytes(state)
        if change == "damaged":
            kept.write_bytes(state[: len(state) // 2])
        elif change == "absent":
            kept.unlink()
        elif change == "code":
            monkeypatch.setattr(snapshot, "code_digest", lambda recipes: "other")
        monkeypatch.setattr(Snapshots, "write", lambda self, state: None)
        every, again = replayed(model, FEATURES, table, path, monkeypatch)
        assert (every, again.score, again.features) == (last, answer.score, answer.features), change


def test_a_snapshot_of_another_log_is_taken_for_nothing(tmp_path, often, monkeypatch):
    table, model = lines(60, 5), fitted()
    for name in ("one", "other"):
        with Online(model, FEATURES, table, tmp_path / f"{name}.db") as scorer:
            list(told_of(scorer, table, [event | {"store": name} for event in events(table)]))
            entries = scorer._memory.log.last
    (tmp_path / "one.db.state").replace(tmp_path / "other.db.state")
    assert replayed(model, FEATURES, table, tmp_path / "other.db", monkeypatch)[0] == entries


def test_features_that_do_not_say_what_changes_are_replayed(tmp_path, often, monkeypatch):
    table, path = lines(60, 6), tmp_path / "orders.db"
    monkeypatch.setattr("hwds.features.purchase_events.PurchaseEvents.changing", None)
    features = Purchases(days=(7, 30), tiers=(3, 5))
    model = fitted(features=features)
    with Online(model, features, table, path) as scorer:
        list(told_of(scorer, table, events(table)))
    assert not path.with_name("orders.db.state").exists()
    with Online(model, features, table, path) as scorer:
        assert len(list(scorer.answers())) == 60
