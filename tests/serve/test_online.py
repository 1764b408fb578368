"""Scores of events as they arrive: equal to those of the whole table, once for each event, and
refused in words.
"""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError, HwdsError, ResumeError
from hwds.detection.alerts.tiers import AlertTiers
from hwds.detection.decisions.alert_policy import AlertPolicy
from hwds.detection.features.arbitrage import Arbitrage
from hwds.detection.features.purchases import Purchases
from hwds.detection.features.recent import Recent
from hwds.detection.models.classify.positive_unlabelled import PositiveUnlabelled
from hwds.detection.predictions import main_inputs
from hwds.frames.features.base import RowFeatures
from hwds.frames.features.together import Together
from hwds.serve.events.online import Online
from hwds.serve.events.reading import Reader
from tests.serve.order_events import (
    FEATURES,
    MODELS,
    UNKNOWN,
    assert_as_batch,
    events,
    fitted,
    lines,
    tell,
    told_of,
)


@pytest.fixture(scope="module")
def model():
    return fitted()


@pytest.fixture
def scorer(model):
    with Online(model, FEATURES, lines(10)) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "arrivals"), [("xgboost", True), ("xgboost", False), ("logistic", True)]
)
def test_events_one_by_one_get_what_the_table_of_them_would(name, arrivals):
    model, table = fitted(name), lines(300, 1, late=0.4)
    with Online(model, FEATURES, table) as scorer:
        answers = list(told_of(scorer, table, events(table, arrivals)))
        assert_as_batch(answers, scorer, model)
        history = scorer.history()
        assert history.data["confirmed"].null_count() < 120
        assert (
            history.data["returned_at"].null_count() < table.data["returned_at"].null_count() + 100
        )
        assert history.data["available_at"].is_sorted()
        whole = history.with_inputs(FEATURES.compute(history))
        reasons = main_inputs(model.explain(whole), whole, model.usual)
        for answer, wanted in list(zip(answers, reasons, strict=True))[::3]:
            assert [(r["input"], r["adds"]) for r in answer.reasons] == [
                (r["input"], r["adds"]) for r in wanted
            ]
            assert [number(r["value"]) for r in answer.reasons] == pytest.approx(
                [number(r["value"]) for r in wanted], rel=1e-9
            )
        assert not any(answer.reasons for answer in answers[1::3])


def number(text):
    """A value of a reason as a number that can be compared."""
    try:
        return float({"true": "1", "false": "0", None: "-1"}.get(text, text))
    except ValueError:
        return float(sum(map(ord, text)))


def test_reasons_are_told_in_words(scorer):
    table = lines(80, 2)
    answers = [scorer.score(event) for event in events(table)]
    said = next(answer for answer in answers[40:] if answer.words)
    assert all(isinstance(sentence, str) for sentence in said.words)
    told = json.loads(said.json())
    assert told["reasons"] == said.words
    assert told["score"] == said.score


def test_micro_batches_of_dicts_json_arrow_and_frames_are_the_same(model):
    table = lines(120, 3)
    made = events(table)
    texts = [json.dumps(event, default=lambda value: value.isoformat()) for event in made]
    frame = pl.DataFrame(
        made, schema_overrides=dict(table.data.drop(UNKNOWN).schema), infer_schema_length=None
    )
    found = []
    for given in (made, texts, frame.to_arrow(), frame):
        with Online(model, FEATURES, table) as scorer:
            portions = [given[begin : begin + 17] for begin in range(0, len(made), 17)]
            found.append([answer for portion in portions for answer in scorer.score_many(portion)])
    with Online(model, FEATURES, table) as scorer:
        found.append([scorer.score(event, reasons=False) for event in made])
    assert all(each == found[0] for each in found[1:])


def test_an_event_that_comes_again_counts_once(scorer, model):
    made = events(lines(60, 4))
    first = [scorer.score(event) for event in made[:50]]
    again = [scorer.score(event) for event in made[:50]]
    assert [replace(answer, again=False) for answer in again] == first
    assert all(answer.again for answer in again)
    twice = scorer.score_many([made[50], made[3], made[50], made[51]])
    assert twice[0] == twice[2]
    assert [answer.again for answer in twice] == [False, True, False, False]
    assert len(scorer.history().data) == 52
    assert_as_batch([replace(answer, again=False) for answer in scorer.answers()], scorer, model)


def test_other_values_under_an_id_that_was_there_are_refused(scorer):
    made = events(lines(20, 4))
    first = [scorer.score(event) for event in made[:10]]
    other = made[3] | {"quantity": 99}
    with pytest.raises(
        DataError,
        match=r"^event 'line 3': has come before with other values: 'quantity' was \d+, and is "
        r"now 99\.$",
    ):
        scorer.score(other)
    with pytest.raises(DataError, match="has come before with other values"):
        scorer.score_many([made[11], made[11] | {"channel": "moon"}])
    assert scorer.score(made[3] | {"available_at": made[9]["available_at"]}) == replace(
        first[3], again=True
    )  # sent later
    assert len(scorer.history().data) == 10


def test_rows_that_are_remembered_are_the_past_of_those_that_come(model):
    table = lines(300, 5)
    past, made = table.filter(np.arange(300) < 200), events(table)
    with Online(model, FEATURES, table) as scorer:
        assert scorer.backfill(past) == 200
        assert scorer.backfill(past) == 0
        answers = [scorer.score(event) for event in made[200:]]
        history = scorer.history()
        assert history.data["confirmed"][:200].to_list() == past.data["confirmed"].to_list()
        assert history.data["confirmed_at"][:200].to_list() == past.data["confirmed_at"].to_list()
        late = FEATURES.compute(history)[200:]
        for name in late.columns:
            told = pl.Series([answer.features[name] for answer in answers], dtype=pl.Float64)
            np.testing.assert_allclose(
                told.fill_null(-1),
                late[name].cast(pl.Float64).fill_null(-1),
                rtol=1e-9,
                err_msg=name,
            )
        with pytest.raises(
            DataError, match=r"^event '7': is one that was remembered; it was never scored\.$"
        ):
            scorer.score(made[7] | {"id": "7"})
        with pytest.raises(DataError, match="arrived before the last that is there"):
            scorer.backfill(
                replace(past, data=past.data.with_columns(row_id=pl.int_range(pl.len()) + 1000))
            )
        assert len(scorer.history().data) == 300


def test_a_store_goes_on_with_another_model_and_other_features(model, tmp_path):
    table = lines(150, 6)
    made = events(table)
    with Online(model, FEATURES, table, tmp_path / "orders.db") as scorer:
        old = list(told_of(scorer, table, made[:100]))
    more = Together(parts=(Purchases(days=(3,)), Recent(inputs=("quantity",), length=3)))
    narrow = Purchases(days=(3,))
    other = fitted("logistic", narrow)
    with Online(other, more, table, tmp_path / "orders.db") as scorer:
        assert replace(scorer.score(made[42]), again=False) == replace(
            old[42], reasons=scorer.score(made[42]).reasons
        )
        new = [scorer.score(event) for event in made[100:]]
        assert (
            scorer.score(made[120]).features["recent"].tolist()
            == new[20].features["recent"].tolist()
        )
        history = scorer.history()
        assert other.score_rows(history.with_inputs(narrow.compute(history))).score[
            100:
        ].tolist() == [a.score for a in new]
    assert set(new[0].features) == {*narrow.compute(history).columns, "recent"}


def test_a_store_of_other_events_is_refused(model, tmp_path):
    table, store = lines(20), tmp_path / "orders.db"
    Online(model, FEATURES, table, store).close()
    wide = replace(table, data=table.data.with_columns(pl.lit("x").alias("shelf")))
    with pytest.raises(
        ResumeError,
        match=r"holds other events: column 'shelf' is absent there and String in this run\.$",
    ):
        Online(model, FEATURES, wide, store)
    with pytest.raises(ResumeError, match="its events have their key under 'id', not 'line'"):
        Online(model, FEATURES, table, store, key="line")
    with Online(model, FEATURES, table, store) as held:
        with pytest.raises(ResumeError, match="another process uses it"):
            Online(model, FEATURES, table, store)
        held.score(events(table)[0])


def test_what_was_not_kept_has_not_arrived(scorer, model, monkeypatch):
    made = events(lines(40, 7))
    first = [scorer.score(event) for event in made[:20]]
    append = scorer._store.log.append

    def full(entries):
        list(entries)
        raise HwdsError("the disk is full")

    monkeypatch.setattr(scorer._store.log, "append", full)
    with pytest.raises(HwdsError, match="the disk is full"):
        scorer.score(made[20])
    monkeypatch.setattr(scorer._store.log, "append", append)
    with pytest.raises(DataError):
        scorer.score_many([made[20], {"id": "no time"}])
    rest = [scorer.score(event) for event in made[20:]]
    assert_as_batch(first + rest, scorer, model)


def test_a_label_is_told_once_and_counts_from_then_on(scorer):
    table = lines(60, 8)
    made = events(table)
    for event in made[:30]:
        scorer.score(event)
    assert scorer.label("line 3", 1)
    assert not scorer.label("line 3", 1)
    assert scorer.label("line 4", True, made[0]["time"])  # long ago, but nobody knew it
    assert scorer.label("line 5", 0, made[40]["available_at"] + timedelta(days=1))
    with pytest.raises(
        DataError, match=r"^event 'line 3': its label was reported as 1, and now as 0; set "
    ):
        scorer.label("line 3", 0)
    with pytest.raises(DataError, match=r"^no event 'line 77' has arrived\.$"):
        scorer.label("line 77", 1)
    with pytest.raises(DataError, match=r"^label of 'line 6': must be 0 or 1, got 2\.$"):
        scorer.label("line 6", 2)
    with pytest.raises(
        DataError,
        match=r"^event 'line 6': 'time' must be an instant such as 2024-03-01T12:00:00, got 'noon'",
    ):
        scorer.label("line 6", 1, "noon")
    history = scorer.history().data
    known = history["confirmed_at"].to_list()
    assert known[3] == known[4] == history["available_at"][29] + timedelta(microseconds=1)
    assert known[5] == made[40]["available_at"] + timedelta(days=1)
    assert history["confirmed"].drop_nulls().to_list() == [1, 1, 0]


def test_a_label_is_corrected_and_withdrawn_and_what_follows_is_of_the_table(model, tmp_path):
    table = lines(90, 12)
    made = events(table)
    with Online(model, FEATURES, table, tmp_path / "orders.db") as scorer:
        for event in made[:40]:
            scorer.score(event)
        for k in range(0, 30, 2):
            scorer.label(f"line {k}", k % 4 == 0)
        for event in made[40:50]:
            scorer.score(event)
        with pytest.raises(DataError, match=r"^event 'line 3': has no label to be withdrawn\.$"):
            scorer.label("line 3", None)
        assert scorer.label("line 4", 0, correct=True)
        assert scorer.label("line 8", None)
        assert not scorer.label("line 8", None)
        assert scorer.label("line 12", 0, correct=True)
        assert scorer.label("line 12", 1, correct=True)
        later = [scorer.score(event) for event in made[50:70]]
    with Online(model, FEATURES, table, tmp_path / "orders.db") as scorer:
        later += [scorer.score(event) for event in made[70:]]
        history = scorer.history()
        assert history.data["confirmed"].to_list()[:14:2] == [1, 0, 0, 0, None, 0, 1]
        columns = FEATURES.compute(history)[50:]
        for name in columns.columns:
            ours = np.array(
                [np.nan if each.features[name] is None else each.features[name] for each in later],
                float,
            )
            theirs = columns[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, err_msg=name)
        kinds = [entry.kind for entry in scorer._store.log.entries()]
        assert kinds.count("label") == 15
        assert kinds.count("correction") == 4


def test_an_answer_says_what_the_policy_does_and_what_the_event_lacked(model):
    table = lines(40, 13)
    made = events(table)
    policy = AlertPolicy(wrong_block=50.0, review_cost=5.0, random_reviews=0.0)
    tiers = AlertTiers.chosen(policy.terms(None, kinds=False), None, 0, "unit_price")
    with Online(model, FEATURES, table, tiers=tiers) as scorer:
        answers = [scorer.score(event) for event in made]
        again = scorer.score(made[7])
        bare = scorer.score({"id": "bare", "time": made[-1]["time"], "customer": "a"})
    for answer, event in zip(answers, made, strict=True):
        probability, stake = answer.probability, event["unit_price"]
        if stake is None:
            assert answer.tier is None
            continue
        gains = {
            "pass": 0.0,
            "block": probability * stake - (1 - probability) * 50,
            "review": 0.9 * probability * stake - 5,
        }
        assert answer.tier == max(gains, key=gains.get)
        assert answer.expected_gain == pytest.approx(gains[answer.tier])
    assert (again.tier, again.lacks) == (answers[7].tier, answers[7].lacks)
    assert bare.tier is None
    assert set(json.loads(bare.json())["lacks"]) == {"channel", "quantity", "promotion"}


def test_a_return_is_told_once(scorer, model):
    table = lines(60, 9)
    made = events(table)
    for event in made[:50]:
        scorer.score(event)
    there = next(k for k, event in enumerate(made[:50]) if event["returned_at"])
    open_ = next(k for k, event in enumerate(made[:50]) if not event["returned_at"])
    assert not scorer.returned(f"line {there}", made[50]["time"])
    assert scorer.returned(f"line {open_}", made[0]["time"])
    assert not scorer.returned(f"line {open_}")
    answers = [*scorer.answers()] + [scorer.score(event) for event in made[50:]]
    assert_as_batch(answers, scorer, model)
    narrow, unlabelled = Purchases(days=(3,), returned_at=""), ("label", "label_time")
    with Online(fitted("logistic", narrow), narrow, table.filter(np.arange(60) < 9)) as other:
        other.score(made[0])
        with pytest.raises(DataError, match=r"^return of 'line 0': no feature reads returns\.$"):
            other.returned("line 0")
    bare = replace(
        table, roles={role: names for role, names in table.roles.items() if role not in unlabelled}
    )
    with Online(fitted("logistic", narrow), narrow, bare) as other:
        other.score(made[0])
        with pytest.raises(
            DataError,
            match=r"^event 'line 0': events have no label here; set dataset\.roles\.label\.$",
        ):
            other.label("line 0", 1)


WRONG = [
    ({"id": None}, "event: must have a text or a whole number under 'id', got None."),
    ({"time": None}, "event 'a': must have a time under 'time'."),
    (
        {"time": "noon"},
        "event 'a': 'time' must be an instant such as 2024-03-01T12:00:00, got 'noon'.",
    ),
    (
        {"time": "2024-03-01T12:00:00Z"},
        "event 'a': 'time' must not have a time zone, got '2024-03-01T12:00:00Z'.",
    ),
    ({"quantity": "3"}, "event 'a': 'quantity' must be a finite number, got '3'."),
    ({"quantity": 3.5}, "event 'a': 'quantity' must be a whole number, got 3.5."),
    ({"unit_price": float("nan")}, "event 'a': 'unit_price' must be a finite number, got nan."),
    ({"channel": 7}, "event 'a': 'channel' must be a text, got 7."),
    ({"promotion": 1}, "event 'a': 'promotion' must be true or false, got 1."),
    ({"at_stake": -2.0}, "event 'a': 'at_stake' must be >= 0, got -2.0."),
    ({"quantity": -2}, "event 'a': 'quantity' must be >= 0, got -2."),
    ({"chanel": "x"}, "event 'a': no column 'chanel'; did you mean 'channel'?"),
    ({"confirmed": 1}, "event 'a': 'confirmed' is label, which is told later, by `label`."),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_no_event_is_refused_in_words(scorer, change, message):
    event = {"id": "a", "time": "2024-03-01T12:00:00", "quantity": 2, "customer": "c1"}
    with pytest.raises(DataError) as caught:
        scorer.score(event | change)
    assert str(caught.value) == message
    with pytest.raises(DataError):
        scorer.score_many(
            [event, event | change | {"id": "b" if change.get("id", "") is not None else None}]
        )
    assert not list(scorer.answers())
    assert scorer.score(json.dumps(event)).features["quantity_7d"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "must be a JSON object, got list"),
        ('{"id": "a", "id": "b"}', "the key 'id' stands twice"),
    ],
)
def test_text_that_is_no_event_is_refused(scorer, text, message):
    with pytest.raises(DataError, match=message):
        scorer.score(text)


def test_zoned_times_are_read_as_the_clock_on_the_wall_and_one_of_few_texts_is_asked_for(model):
    table = lines(60, 2)
    zoned = table.data.with_columns(
        pl.col("time", "available_at", "returned_at").dt.replace_time_zone("Europe/Berlin"),
        pl.col("channel").cast(pl.Enum(["h0", "h1"])),
    )
    plain, made = lines(60, 2), events(table)
    with Online(model, FEATURES, plain) as scorer:
        wanted = [scorer.score(event) for event in made]
    with Online(model, FEATURES, replace(table, data=zoned)) as scorer:
        found = [scorer.score(event) for event in events(replace(table, data=zoned))]
        assert [answer.features for answer in found] == [answer.features for answer in wanted]
        with pytest.raises(DataError, match="'channel' must be one of h0, h1, got 'h2'"):
            scorer.score({"id": "x", "time": "2024-03-01T12:00:00+01:00", "channel": "h2"})
        with pytest.raises(DataError, match="'time' must have a time zone"):
            scorer.score({"id": "x", "time": "2024-03-01T12:00:00"})
        assert scorer.history().data["time"].to_list() == zoned["time"].to_list()


def test_features_and_models_that_cannot_be_served_are_refused(model):
    class Still(RowFeatures):
        """No live form."""

    table = lines(20)
    with pytest.raises(ConfigError, match="'Still' has no live form"):
        Online(model, Still(), table)
    with pytest.raises(
        ConfigError, match=r"^features: the model reads 'quantity_7d', which no event bears"
    ):
        Online(model, Purchases(days=(1,)), table)
    with pytest.raises(ConfigError, match=r"features\.street_price: no column 'street_price'"):
        Online(model, Arbitrage(region=None), table)


def test_a_detector_of_few_labels_is_served_like_any_other():
    table = lines(400, 11)
    whole = table.with_inputs(FEATURES.compute(table))
    whole = replace(whole, data=whole.data.with_columns(pl.col("confirmed").cast(pl.Float64)))
    from hwds.detection.rows import RowContext

    wrapped = PositiveUnlabelled(member=MODELS["xgboost"]).fit(
        whole, stop=whole, calibrate=whole, context=RowContext(0)
    )
    with Online(wrapped, FEATURES, table) as scorer:
        answers = list(told_of(scorer, table, events(table)[:60]))
        assert_as_batch(answers, scorer, wrapped)


def test_threads_may_share_a_scorer(scorer, model):
    from concurrent.futures import ThreadPoolExecutor

    table = lines(80, 12)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(scorer.score, events(table)))
    tell(scorer, table, 1)
    assert_as_batch(list(scorer.answers()), scorer, model)


def test_a_closed_scorer_says_so(model):
    table = lines(20)
    scorer = Online(model, FEATURES, table)
    scorer.close()
    scorer.close()
    with pytest.raises(HwdsError):
        scorer.score(events(table)[0])


@pytest.mark.parametrize("name", ["xgboost", "logistic"])
def test_a_text_that_was_never_seen_is_read_as_a_rare_one_and_counted(name):
    model, table = fitted(name), lines(60, 2)
    told = [
        event | {"channel": "moon"} if k == 50 else event for k, event in enumerate(events(table))
    ]
    with Online(model, FEATURES, table) as scorer:
        assert scorer.unknown == {}
        answers = [scorer.score(event) for event in told]
        assert scorer.unknown == {"channel": 1}
        assert_as_batch(answers, scorer, model)


def test_an_event_that_an_older_version_took_with_a_key_twice_is_read_from_its_store():
    event = events(lines(1))[0]
    text = json.dumps(event, default=lambda moment: moment.isoformat())
    reader = Reader(lines(1), "id")
    twice = text[:-1] + ', "id": "line 7"}'
    with pytest.raises(DataError, match="stands twice"):
        reader.read(twice)
    assert reader.read_stored(twice).id == "line 7"
