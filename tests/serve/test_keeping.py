"""What is too old is dropped, and nothing but time is another: the same features to the bit, a
store that is as large as its window, labels that are corrected without a replay.
"""

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.serialization import dumps, loads
from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.handbook_plus import HandbookPlus
from hwds.detection.features.lowest import Lowest
from hwds.detection.features.network import Network
from hwds.detection.features.peers import Peers
from hwds.detection.features.purchases import SINCE_EVER, Purchases
from hwds.detection.features.recent import Recent
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.none import None_
from hwds.frames.features.together import Together
from hwds.frames.rows import DAY_MICROSECONDS, Live, LiveNothing
from hwds.results.event_log import EventLog
from hwds.serve.events.online import Online
from hwds.serve.events.store import (
    LEAST_KEPT,
    FeatureState,
    kept_time,
    restore_state,
    schema_of,
    state_changes,
    with_arrivals,
)
from tests.detection.features.moment_rows import order_lines
from tests.detection.features.purchase_tables import bought
from tests.frames.features.test_live import ALL, HANDBOOK, PLUS, RISK
from tests.serve.order_events import events, fitted, lines
from tests.serve.test_snapshot import arrivals

KEEP = 60 * DAY_MICROSECONDS
"""The longest window of `ALL`, the latest row of `order_lines` and its slowest label fit in."""

LOWEST = Lowest(columns=("unit_price",), days=20)
WINDOWED = [each for each in [*ALL, LOWEST] if not isinstance(each, Recent | Network | None_)]


def in_arrival(table):
    return replace(table, data=table.data.sort("available_at", maintain_order=True))


def states_of(features, table, *keeps):
    schema = with_arrivals(schema_of(table))
    return [FeatureState(features.live(schema), keep) for keep in keeps]


def bits(told):
    return [np.array(np.nan if each is None else each, float).tobytes() for each in told]


def told_apart(states, table):
    """What each state says of each row, labels told as they become known."""
    for place, ((time, arrival, known), values) in enumerate(arrivals(table)):
        yield [state.arrive(time, arrival, dict(values)) for state in states]
        for state in states:
            if known is not None:
                state.label(place, values["confirmed"] == 1, max(known, arrival + 1))


@pytest.mark.parametrize("features", WINDOWED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("seed", [3, 4])
def test_features_with_windows_are_the_same_to_the_bit_where_the_past_is_dropped(features, seed):
    table = in_arrival(order_lines(seed, 1500, days=600, customers=60))
    states = states_of(features, table, None, KEEP)
    for whole, kept in told_apart(states, table):
        assert bits(whole) == bits(kept)
    large, small = (len(dumps(state_changes(state))) for state in states)
    assert small < large / 2
    assert states[1].events == states[0].events == 1500


def test_purchases_are_the_same_but_for_what_they_know_since_ever():
    table = in_arrival(order_lines(5, 3000, days=900, customers=60))
    features = Purchases(days=(7, 30), tiers=(3, 5))
    states = states_of(features, table, None, KEEP)
    columns = list(features.live(with_arrivals(schema_of(table))).columns)
    gone = [columns.index(name) for name in SINCE_EVER]
    books, first = states[1]._live._live, 0
    for whole, kept in told_apart(states, table):
        if books._first > first:  # lines have other numbers now, which no stamp of before may be
            first = books._first
            assert (books._shared.late_last == -1).all()
        ours, theirs = (np.array(each, float) for each in (kept, whole))
        np.testing.assert_allclose(np.delete(ours, gone), np.delete(theirs, gone), rtol=1e-9)
        assert not ours[gone[0]] > theirs[gone[0]]
    assert books._first > 1500
    assert len(books._lines.time) < 1024


def test_an_order_and_a_return_are_known_after_lines_were_dropped():
    table = bought(2400, 7, customers=5, late=0.3)
    data = table.data.sort("available_at", maintain_order=True)
    spread = [3 * timedelta(hours=k) for k in range(len(data))]
    table = replace(
        table,
        data=data.with_columns(
            pl.col(name) + pl.Series(spread) for name in ("time", "available_at", "returned_at")
        ),
    )
    features = Purchases(days=(7, 30), tiers=(3, 5))
    states = states_of(features, table, None, 90 * DAY_MICROSECONDS)
    columns = list(features.live(with_arrivals(schema_of(table))).columns)
    gone = [columns.index(name) for name in SINCE_EVER]
    for place, ((time, arrival, _), values) in enumerate(arrivals(table)):
        told = [state.arrive(time, arrival, values | {"returned_at": None}) for state in states]
        whole, kept = (np.array(each, float) for each in told)
        np.testing.assert_allclose(np.delete(whole, gone), np.delete(kept, gone), rtol=1e-9)
        if place % 3 == 2:
            for state in states:
                state.returned(place - 2, arrival + 1)
    assert states[1]._live._live._first > 500


def test_customers_who_are_silent_leave_the_network():
    table = in_arrival(order_lines(6, 900, days=400, customers=20))
    month = pl.col("time").dt.month().cast(pl.String)
    table = replace(table, data=table.data.with_columns(pl.col("customer") + month))
    states = states_of(Network(), table, None, KEEP)
    for whole, kept in told_apart(states, table):
        assert all(
            few is None or few <= many for few, many in zip(kept[:3], whole[:3], strict=True)
        )
    whole, kept = (state._live for state in states)
    assert {*kept._seen} == {*kept._parent} < {*whole._seen}
    again = Network().live(with_arrivals(schema_of(table)))
    again._found = dict(kept._found)
    for customer in kept._seen:
        again._begin(customer)
    for customer, pairs in kept._bears.items():
        for shared, born in pairs.items():
            again._record_identifier(customer, shared, born)
    for name in ("_degree", "_confirmed"):
        ours, theirs = getattr(kept, name), getattr(again, name)
        assert all(ours[customer] == theirs[customer] for customer in kept._seen), name


@pytest.mark.parametrize(
    "features",
    [RISK, HANDBOOK, PLUS, Network(), Together(parts=(RISK, LOWEST, PLUS))],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.parametrize("keep", [None, KEEP])
def test_a_label_that_is_taken_back_was_never_there(features, keep):
    table = in_arrival(order_lines(8, 600, days=200, customers=12))
    states, rng, wrong, compared = (
        states_of(features, table, keep, keep),
        np.random.default_rng(0),
        [],
        0,
    )
    for place, ((time, arrival, known), values) in enumerate(arrivals(table)):
        for label in [*wrong]:
            if rng.random() < 0.5:
                wrong.remove(label)
                states[1].retract(*label)
        if place == 300:
            fresh = states_of(features, table, keep)[0]
            restore_state(fresh, loads(dumps(state_changes(states[1])), "memory"))
            states[1] = fresh
        told = [bits(state.arrive(time, arrival, dict(values))) for state in states]
        if not wrong:
            compared += 1
            assert told[0] == told[1]
        if known is not None:
            for state in states:
                state.label(place, values["confirmed"] == 1, max(known, arrival + 1))
        if rng.random() < 0.3:
            days = int(rng.integers(1, 3)) * DAY_MICROSECONDS // 2
            wrong.append((place, bool(rng.random() < 0.5), arrival + days))
            states[1].label(*wrong[-1])
    assert compared > 200


def test_what_is_kept_follows_from_the_windows():
    schema = with_arrivals(schema_of(order_lines(1)))
    day = DAY_MICROSECONDS
    assert kept_time(RISK.live(schema), None) == LEAST_KEPT
    long = HandbookPlus(amount="unit_price", terminal="store", habit_days=400)
    assert kept_time(long.live(schema), None) == 800 * day
    assert kept_time(LiveNothing(), None) == LEAST_KEPT
    ever = Together(parts=(RISK, Network())).live(schema)
    assert ever.since_ever == tuple(Network().live(schema).columns)
    assert kept_time(ever, None) is None
    assert kept_time(ever, 20) == 20 * day
    assert kept_time(RISK.live(schema), 0) is None
    with pytest.raises(
        ConfigError, match=r"^keep: must be 0 for everything, or at least 14 days, the longest"
    ):
        kept_time(RISK.live(schema), 13)


FEATURES = Together(
    parts=(
        Lowest(columns=("quantity",), days=5),
        Peers(columns=("quantity",), by=("channel",), window=9),
        EntityRisk(by=("store", "customer"), days=(14,)),
    )
)


@pytest.fixture(scope="module")
def model():
    return fitted(features=FEATURES)


@pytest.fixture(scope="module")
def table():
    return lines(900, 5, late=0.3, days=400)


def tell(scorer, table, k):
    row = table.data.row(k, named=True)
    return scorer.label(f"line {k}", row["confirmed"], row["confirmed_at"])


def told_of(scorer, table, begin, end):
    made = events(table)
    for k in range(begin, end):
        yield scorer.score(made[k], reasons=False)
        if k >= 20:
            tell(scorer, table, k - 20)


def test_a_store_that_kept_everything_drops_nothing_unless_it_is_asked_to(model, table, tmp_path):
    path = tmp_path / "orders.db"
    with Online(model, FEATURES, table, path) as scorer:
        assert "events are kept for 180 days" in scorer.kept
    with closing(sqlite3.connect(path)) as older:
        assert older.execute("delete from about where name = 'drops'").rowcount == 1
        older.commit()
    with Online(model, FEATURES, table, path) as scorer:
        assert scorer.kept.startswith("every event is kept")
    with Online(model, FEATURES, table, path, keep=40) as scorer:
        assert "events are kept for 40 days" in scorer.kept


def test_a_store_is_as_large_as_what_it_keeps_and_answers_the_same_bits(model, table, tmp_path):
    path = tmp_path / "orders.db"
    with Online(model, FEATURES, table, keep=0) as scorer:
        whole = list(told_of(scorer, table, 0, 900))
        assert scorer.kept == ("every event is kept; --keep DAYS drops those that are older.")
    scorer = Online(model, FEATURES, table, path, keep=40)
    kept = list(told_of(scorer, table, 0, 500))
    size = path.stat().st_size + path.with_name("orders.db-wal").stat().st_size
    assert scorer.kept.startswith("events are kept for 40 days (--keep); later than 26 days ")
    scorer._store.log.close()  # as if it had been killed: what was dropped is needed for nothing
    with Online(model, FEATURES, table, path, keep=40) as scorer:
        kept += told_of(scorer, table, 500, 900)
        log, history = scorer._store.log, scorer.history()
        assert log.last > 1700
        assert log.last - log.first < 2 * 900 / 400 * (40 + 14 + 40 / 16) + 120
        first = len(table.data) - len(history.data)
        columns = ["time", "quantity", "confirmed"]
        assert history.data[columns].equals(
            table.data[first:].with_columns(
                pl.when(pl.int_range(pl.len()) < len(history.data) - 20)
                .then("confirmed")
                .alias("confirmed")
            )[columns]
        )
        again = scorer.score(events(table)[890])
        assert again.again
    assert path.stat().st_size < 1.5 * size
    assert [answer.score for answer in kept] == [answer.score for answer in whole]
    assert [answer.features for answer in kept] == [answer.features for answer in whole]
    narrow = Lowest(columns=("quantity",), days=5)
    with Online(fitted("logistic", narrow), narrow, table, path, keep=40) as scorer:
        assert scorer.score(events(table)[899] | {"id": "other"}).features


def test_what_comes_too_late_is_refused_in_words(model, table):
    made = events(table)
    with Online(model, FEATURES, table, keep=40) as scorer:
        for event in made[:300]:
            scorer.score(event, reasons=False)
        count = scorer._store.log.last
        with pytest.raises(
            DataError,
            match=r"^event 'line 3': happened 1\d\d(\.\d)? days before the last ones arrived, and "
            r"comes too late from 26 days on \(keep\)\.$",
        ):
            scorer.score(made[3])
        with pytest.raises(
            DataError, match=r"^no event 'line 3' has arrived in the 40 days that are kept\.$"
        ):
            tell(scorer, table, 3)
        last = made[299]["available_at"]
        old = next(k for k in range(300) if made[k]["available_at"] > last - timedelta(days=50))
        with pytest.raises(
            DataError,
            match=rf"^event 'line {old}': what became of it must be told within 40 days of its "
            r"arrival \(keep\)\.$",
        ):
            scorer.label(f"line {old}", 1)
        with pytest.raises(DataError, match="must be told within 40 days"):
            scorer.label("line 299", 1, last + timedelta(days=41))
        assert scorer._store.log.last == count
        assert tell(scorer, table, 290)


def test_one_wrong_clock_drops_nothing(model, table):
    made = events(table)
    with (
        Online(model, FEATURES, table, keep=40) as scorer,
        Online(model, FEATURES, table, keep=0) as whole,
    ):
        for k, event in enumerate(made[:400]):
            wrong = {name: event[name] + timedelta(days=9999) for name in ("time", "available_at")}
            asked = event | wrong if k == 200 else event
            assert scorer.score(asked).features == whole.score(asked).features


def test_rows_that_were_dropped_are_not_remembered_again(model, table, tmp_path):
    for new in (900, 0):
        with Online(model, FEATURES, table, tmp_path / "orders.db", keep=40) as scorer:
            assert scorer.backfill(table) == new
            assert scorer._store.log.first > 1


def test_a_corrected_label_replays_nothing_and_a_snapshot_before_it_is_read(
    model, table, tmp_path, monkeypatch
):
    path, made, read, entries = tmp_path / "orders.db", events(table), [], EventLog.entries
    monkeypatch.setattr(
        EventLog, "entries", lambda self, after=0: read.append(after) or entries(self, after)
    )
    scorer, never = Online(model, FEATURES, table, path), Online(model, FEATURES, table)
    read.clear()
    for k, event in enumerate(made[:120]):
        assert scorer.score(event).features == never.score(event).features
        if k == 60:
            scorer.snapshot()
        if k >= 10:
            right = table.data["confirmed"][k - 10]
            scorer.label(f"line {k - 10}", 1 - right)
            scorer.label(f"line {k - 10}", right, correct=True)
            never.label(f"line {k - 10}", right)
    assert not read
    scorer._store.log.close()  # as if it had been killed
    with Online(model, FEATURES, table, path) as scorer:
        assert len(read) == 1
        assert read[0] > 100
        assert scorer.score(made[120]).features == never.score(made[120]).features
        path.with_name("orders.db-last").unlink()
    monkeypatch.setattr("hwds.serve.events.store.code_digest", lambda *recipes: "other")
    with Online(model, FEATURES, table, path) as scorer:
        assert read[-1] == 0
        assert scorer.score(made[121]).features == never.score(made[121]).features


class LiveMarked(Live):
    """The number of labels so far; it cannot take one back."""

    changing = ("_marked",)

    def __init__(self):
        self._marked, self.columns = 0, {"marked": pl.Float64}

    def arrive(self, event):
        return (float(self._marked),)

    def confirm(self, outcome):
        self._marked += outcome.positive


class Marked(RowFeatures):
    """Features of a user's own."""

    def live(self, schema):
        return LiveMarked()

    def compute(self, table):
        return pl.DataFrame({"marked": np.zeros(len(table.data))})


def test_features_that_cannot_take_a_label_back_are_made_anew(table):
    own, made = Marked(), events(table)
    with Online(fitted("logistic", own), own, table) as scorer:
        assert scorer.kept == (
            "every event is kept, for marked reads all of the past; --keep DAYS drops those that "
            "are older."
        )
        scorer.score(made[0])
        scorer.label("line 0", 1)
        assert scorer.score(made[1]).features == {"marked": 1.0}
        scorer.label("line 0", 0, correct=True)
        assert scorer.score(made[2]).features == {"marked": 0.0}


@contextmanager
def full_at(size):
    """Let no file grow beyond a size, as on a full disk."""
    before = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, before)


def test_a_full_disk_refuses_at_once_and_replays_once_there_is_room(
    model, table, tmp_path, monkeypatch
):
    made, path = events(table), tmp_path / "orders.db"
    with Online(model, FEATURES, table) as never:
        wanted = [never.score(event).score for event in made[:80]]
    scorer = Online(model, FEATURES, table, path)
    told = [scorer.score(event).score for event in made[:40]]
    read, entries = [], EventLog.entries
    monkeypatch.setattr(
        EventLog, "entries", lambda self, after=0: read.append(after) or entries(self, after)
    )
    with full_at(path.with_name("orders.db-wal").stat().st_size):
        for _ in range(3):
            with pytest.raises(HwdsError, match=r"orders\.db: cannot be used: "):
                scorer.score(made[40])
        assert not read
    told += [scorer.score(event).score for event in made[40:60]]
    assert read == [0]
    monkeypatch.setattr("hwds.results.event_log.ROOM", 1 << 62)
    with pytest.raises(
        HwdsError, match=r"orders\.db: cannot be written: no space left on the disk"
    ):
        scorer.score(made[60])
    monkeypatch.setattr("hwds.results.event_log.ROOM", 1)
    told += [scorer.score(event).score for event in made[60:]][:20]
    assert read == [0]
    assert told == wanted
    scorer.close()


def test_a_store_opens_on_a_full_disk(model, table, tmp_path, monkeypatch):
    made, path = events(table), tmp_path / "orders.db"
    with Online(model, FEATURES, table, path) as scorer:
        told = [scorer.score(event).score for event in made[:80]]
    monkeypatch.setattr("hwds.serve.events.store.FEWEST", 0)
    monkeypatch.setattr("hwds.serve.events.store.code_digest", lambda *recipes: "other")
    with full_at(100):
        scorer = Online(model, FEATURES, table, path)
        assert scorer.score(made[7]).score == told[7]
        with pytest.raises(HwdsError, match=r"orders\.db: cannot be used: "):
            scorer.score(made[80])
    assert scorer.score(made[80]).score
    scorer.close()
