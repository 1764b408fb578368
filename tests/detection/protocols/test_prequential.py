"""Prequential windows: which rows lie where, what is known in each, who is found already."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError, DataError
from hwds.datasets.fraud_handbook import FraudHandbook
from hwds.detection.models.anomaly.isolation_forest import IsolationForest
from hwds.detection.models.base import Classifier
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import Cell
from hwds.experiment.spec import check
from hwds.frames.features.none import None_
from hwds.frames.roles import ROLES
from hwds.frames.table import Table

BEGIN = datetime(2024, 1, 1)


CONTEXT = RowContext(0, "fold", features=None_())
LENGTHS = {
    "train_days": 6,
    "stop_days": 2,
    "calibrate_days": 2,
    "decide_days": 2,
    "delay_days": 3,
    "test_days": 4,
}
PROTOCOL = Prequential(**LENGTHS, windows=2, resamples=10)


def table(days=30, per_day=20, **columns):
    """Rows at each hour; every tenth is bad; customers come round again."""
    n = days * per_day
    when = [BEGIN + timedelta(days=i // per_day, minutes=60 * (i % per_day)) for i in range(n)]
    rng = np.random.default_rng(0)
    bad = (np.arange(n) % 10 == 0).astype(float)
    told = {
        "when": when,
        "customer": [f"c{i % 37}" for i in range(n)],
        "bad": bad,
        "x": rng.normal(size=n) + bad,
    }
    roles = {"time": ("when",), "entity": ("customer",), "label": ("bad",), "covariate": ("x",)}
    more = {role: (role,) for role in columns if role in ROLES}
    return Table.build(pl.DataFrame(told | columns), roles | more)


def parts_of(protocol, frame, window=0):
    cutoff = protocol.split(frame)[window].cutoffs[0].at
    return cutoff, protocol.parts(frame, cutoff, CONTEXT)


def asked(protocol, frame, window=0, model=None):
    fold = protocol.split(frame)[window]
    return protocol.evaluate_cell(
        model or Logistic(), frame, Cell("m", fold, 0, fold.units), CONTEXT
    )


@pytest.mark.data
def test_the_handbook_s_window_has_the_published_counts(data_folder):
    protocol = check(
        compose(
            ["dataset=fraud_handbook", "model=classify/logistic", "protocol=prequential_handbook"]
        )
    ).protocol
    frame = FraudHandbook().load()
    (fold,) = protocol.split(frame)
    assert fold.name == "2018-08-08"
    parts = protocol.parts(frame, fold.cutoffs[0].at, CONTEXT)
    test = frame.data.join(parts["test"].data.select("row_id"), on="row_id", how="semi")
    assert (len(parts["train"].data), parts["train"].data["tx_fraud"].sum()) == (67_240, 598)
    assert (len(test), test["tx_fraud"].sum()) == (58_264, 385)
    assert all(parts[name].data.is_empty() for name in ("stop", "calibrate", "decide"))


def test_windows_follow_one_another_and_the_last_ends_with_the_data():
    frame = table()
    folds = PROTOCOL.split(frame)
    assert [fold.name for fold in folds] == ["2024-01-23", "2024-01-27"]
    assert [fold.units for fold in folds] == [80, 80]
    cutoff, parts = parts_of(PROTOCOL, frame)
    spans = [parts[name].data["when"] for name in ("train", "stop", "calibrate", "decide", "test")]
    assert [len(span) // 20 for span in spans[:4]] == [6, 2, 2, 2]
    for earlier, later in pairwise(spans):
        assert earlier.max() < later.min()
    assert cutoff - spans[3].max() > timedelta(days=3)  # the delay
    assert spans[4].min() >= cutoff


def test_strides_and_too_little_data():
    assert [
        fold.name for fold in Prequential(**LENGTHS, windows=2, stride_days=1).split(table())
    ] == [
        "2024-01-26",
        "2024-01-27",
    ]
    with pytest.raises(
        DataError, match=r"^protocol\.windows: 5 need 35 days of data, there are 30; 3 fit\.$"
    ):
        Prequential(**LENGTHS, windows=5).split(table())


def test_labels_count_once_they_have_arrived():
    """Labels take so long that those of the last days before the test are not there: rows stay,
    their labels are null.
    """
    frame = table(label_time=[BEGIN + timedelta(days=i // 20 + 8) for i in range(600)])
    cutoff, parts = parts_of(PROTOCOL, frame)
    for name in ("train", "stop", "calibrate", "decide"):
        rows = parts[name].data
        arrived = rows["when"].dt.truncate("1d") + timedelta(days=8) <= cutoff
        assert rows["bad"].is_not_null().to_list() == arrived.to_list()
    assert parts["decide"].data["bad"].null_count() == len(parts["decide"].data)
    assert parts["test"].data["bad"].null_count() == len(parts["test"].data)


def test_without_times_of_their_own_labels_take_the_delay():
    _, parts = parts_of(PROTOCOL, table())
    assert all(
        parts[name].data["bad"].null_count() == 0
        for name in ("train", "stop", "calibrate", "decide")
    )
    assert parts["test"].data["bad"].null_count() == len(parts["test"].data)


def test_a_late_row_belongs_to_the_window_in_which_it_arrives():
    when = table().data["when"]
    late = when[-1] - timedelta(hours=2)
    frame = table(available_at=pl.Series([late, *when[1:]]))
    tested = asked(Prequential(**LENGTHS, windows=1, known="kept"), frame).filter(
        pl.col("part") == "test"
    )
    row = tested.filter(pl.col("row_id") == 0)
    assert row["time"].to_list() == [BEGIN]
    assert row["day"].to_list() == [3]  # it is looked at when it comes
    assert set(tested["day"]) == {0, 1, 2, 3}


class Learns(Classifier):
    """Keeps the labels that it was given."""

    def learn(self, train, *, stop, context):
        GIVEN.append(train.data["bad"].to_list())
        return Logistic().learn(train, stop=stop, context=context)


GIVEN: list = []


def test_old_rows_without_a_label_are_honest_only_if_it_is_said():
    holed = np.where(np.arange(600) % 7 == 0, np.nan, np.arange(600) % 10 == 0)
    frame = table(bad=pl.Series(holed, nan_to_null=True))
    GIVEN.clear()
    asked(PROTOCOL, frame, model=Learns())
    asked(replace(PROTOCOL, unlabelled="negative"), frame, model=Learns())
    excluded, negative = GIVEN
    assert None in excluded
    assert negative == [0.0 if label is None else label for label in excluded]


def test_rows_whose_labels_may_still_come_are_honest_to_nobody():
    """`negative` is for rows older than the delay: labels of these take eight days, and no window
    is younger than the delay.
    """
    frame = table(label_time=[BEGIN + timedelta(days=i // 20 + 8) for i in range(600)])
    GIVEN.clear()
    asked(replace(PROTOCOL, unlabelled="negative"), frame, model=Learns())
    assert None not in GIVEN[0]


def test_known_entities_leave_the_test_day_by_day():
    """c1 is found in training; c2 on a test day, and its label arrives two days later."""
    n = 30 * 20
    bad = np.zeros(n)
    customer = np.array([f"c{i % 37}" for i in range(n)], object)
    train, cutoff = 12 * 20, 26 * 20  # rows of day 12 and 26
    customer[[train + 1, cutoff + 5, cutoff + 45]] = "found"
    bad[train + 1] = 1
    customer[[cutoff + 2, cutoff + 30, cutoff + 50, cutoff + 61, cutoff + 79]] = "caught"
    bad[[cutoff + 2, train + 3]] = 1
    when = table().data["when"]
    found = when.dt.truncate("1d") + timedelta(days=2)
    frame = table(customer=customer.tolist(), bad=bad, label_time=found)
    tested = asked(Prequential(**LENGTHS, windows=1), frame).filter(pl.col("part") == "test")
    assert tested.filter(pl.col("entity") == "found").is_empty()
    assert tested.filter(pl.col("entity") == "caught")["row_id"].to_list() == [
        cutoff + 2,
        cutoff + 30,
    ]  # days 0 and 1
    kept = asked(Prequential(**LENGTHS, windows=1, known="kept"), frame).filter(
        pl.col("part") == "test"
    )
    assert len(kept) == 80


def test_rows_are_flagged_on_the_day_of_their_arrival():
    rows = asked(PROTOCOL, table()).with_columns(fold=pl.lit(0, pl.Int32))
    settled = replace(PROTOCOL, card_k=3).postprocess(rows)
    test = settled.filter(pl.col("part") == "test")
    assert settled.filter(pl.col("part") == "decide")["flagged"].null_count() == 40
    assert (
        test.filter("flagged").group_by("day").agg(pl.col("entity").n_unique())["entity"].to_list()
        == [3] * 4
    )
    for day in test.partition_by("day"):
        highest = day.group_by("entity").agg(pl.col("score").max()).top_k(3, by="score")["entity"]
        assert set(day.filter("flagged")["entity"]) == set(highest)


def test_texts_are_one_reason_each():
    frame = table(kind=[("a", "b", "c")[i % 3] for i in range(600)])
    frame = replace(frame, roles=frame.roles | {"covariate": ("x", "kind")})
    rows = asked(PROTOCOL, frame)
    told = rows["reasons"].explode().drop_nulls().struct.unnest()
    assert set(told["input"]) <= {"x", "kind"}
    assert set(told.filter(pl.col("input") == "kind")["value"]) <= {"a", "b", "c"}


def test_calibration_needs_a_window():
    with pytest.raises(ConfigError, match=r"protocol\.calibrate_days: must be > 0"):
        Prequential(calibrate_days=0).check_models(
            {"m": Logistic(name="m", calibration="platt")}, table()
        )


class Watched(Learns):
    """Tells the fold that it is fitted in, too."""

    def learn(self, train, *, stop, context):
        FOLDS.append(context.fold)
        return super().learn(train, stop=stop, context=context)


FOLDS: list = []


@pytest.mark.parametrize(
    ("refit", "fits"),
    [("always", [0, 1, 2, 3]), ("never", [0, 0, 0, 0]), ("every_2", [0, 0, 2, 2])],
)
def test_a_model_that_is_not_fitted_anew_is_that_of_an_earlier_window(refit, fits):
    protocol, frame = Prequential(**LENGTHS | {"test_days": 2}, windows=4), table()
    names = [fold.name for fold in protocol.split(frame)]
    GIVEN.clear()
    FOLDS.clear()
    found = [asked(protocol, frame, window, Watched(refit=refit)) for window in range(4)]
    longer = replace(
        protocol, train_days=protocol.train_days + protocol.calibrate_days, calibrate_days=0
    )  # it calibrates nothing
    own = [parts_of(longer, frame, window)[1]["train"].data["bad"].to_list() for window in range(4)]
    assert [own[window] for window in fits] == GIVEN
    assert [names[window] for window in fits] == FOLDS  # its luck, too
    assert [rows["cutoff"].unique().to_list() for rows in found] == [[name] for name in names]


def test_days_for_calibration_are_learned_from_where_nothing_is_calibrated():
    plain, mapped = Logistic(name="plain"), Logistic(name="mapped", calibration="platt")
    assert PROTOCOL.for_model(mapped) is PROTOCOL is PROTOCOL.for_model(IsolationForest())
    days = PROTOCOL.for_model(plain).lengths
    assert (days.train, days.calibrate) == (PROTOCOL.train_days + PROTOCOL.calibrate_days, 0)
    assert days.before == PROTOCOL.lengths.before
    said = PROTOCOL.warnings_before(table(), {"plain": plain, "mapped": mapped})
    assert (
        f"plain calibrates nothing and learns from the {PROTOCOL.calibrate_days} days of "
        f"protocol.calibrate_days too." in said
    )


def test_fewer_labels_are_among_more_and_features_see_no_others():
    class Counting(None_):
        def compute(self, table):
            return pl.DataFrame(
                {
                    "labels": pl.Series([table.data["bad"].count()]).new_from_index(
                        0, len(table.data)
                    )
                }
            )

    def few(count):
        protocol = replace(PROTOCOL, most_labels=count)
        cutoff = protocol.split(frame)[1].cutoffs[0].at
        parts = protocol.parts(frame, cutoff, replace(CONTEXT, features=Counting()))
        learned = pl.concat([parts[name].data for name in ("train", "stop", "calibrate", "decide")])
        return parts["test"].data, learned.filter(pl.col("bad").is_not_null())

    frame = table()
    (tested, less), (_, more), (_, none), (all_tested, every) = few(10), few(100), few(0), few(None)
    assert (len(less), len(more), len(none), len(every)) == (10, 100, 0, 240)
    assert set(less["row_id"]) < set(more["row_id"]) < set(every["row_id"])
    assert set(tested["labels"]) == {10}
    assert tested["row_id"].to_list() == all_tested["row_id"].to_list()
