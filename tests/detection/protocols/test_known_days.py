"""Whose test rows are left out: entities found by the beginning of the row's day, since an instant
that is asked for.
"""

from datetime import timedelta

import pytest

from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.rows import RowContext
from hwds.frames.features.none import None_
from tests.support.rows import toy_rows

LENGTHS = {
    "windows": 1,
    "train_days": 14,
    "stop_days": 0,
    "calibrate_days": 8,
    "delay_days": 3,
    "test_days": 4,
}


def scored(table, cutoff, **more):
    protocol = Prequential(**LENGTHS, **more)
    assert protocol.split(table)[0].cutoffs[0].at == cutoff
    return (
        protocol.parts(table, cutoff, RowContext(0, "fold", features=None_()))["test"]
        .data["row_id"]
        .to_list()
    )


def wanted(table, cutoff, since):
    """Of each test row: whether its customer has no bad row since then whose label had arrived by
    midnight.
    """
    rows, found = table.data.select("row_id", "time", "customer", "bad").to_dicts(), []
    for row in (row for row in rows if cutoff <= row["time"] < cutoff + timedelta(days=4)):
        midnight = row["time"].replace(hour=0, minute=0, second=0, microsecond=0)
        bad = [
            other
            for other in rows
            if other["customer"] == row["customer"] and other["bad"] and other["time"] >= since
        ]
        known = [other for other in bad if other["time"] < midnight - timedelta(days=3)]
        found += [] if known else [row["row_id"]]
    return found


@pytest.mark.parametrize(("days", "before"), [(0, 25), (6, 6), (40, 40)])
def test_found_entities_are_left_out_since_the_day_that_is_asked_for(days, before):
    table = toy_rows()
    cutoff = Prequential(**LENGTHS).split(table)[0].cutoffs[0].at
    assert scored(table, cutoff, known_days=days) == wanted(
        table, cutoff, cutoff - timedelta(days=before)
    )


def test_fewer_days_leave_out_fewer_rows():
    table = toy_rows()
    cutoff = Prequential(**LENGTHS).split(table)[0].cutoffs[0].at
    every = scored(table, cutoff, known="kept")
    assert len(scored(table, cutoff)) < len(scored(table, cutoff, known_days=6)) < len(every)


def test_a_model_that_stops_by_few_positive_rows_is_said_to():
    table = toy_rows()
    protocol = Prequential(**LENGTHS | {"stop_days": 3, "train_days": 11})
    (line,) = (
        line
        for line in protocol.warnings_before(table, {"x": XGBoost(name="x", folds=0)})
        if "stops growing" in line
    )
    cutoff = protocol.split(table)[0].cutoffs[0]
    end = cutoff.at - timedelta(
        days=LENGTHS["delay_days"]
    )  # the days for calibration are learned from, before those
    bad = [
        row
        for row in table.data.to_dicts()
        if row["bad"] and end - timedelta(days=3) <= row["time"] < end
    ]
    assert line.startswith(
        f"x stops growing by how it ranks {len(bad)} positive rows (in the window with the fewest)"
    )
    crossed = protocol.warnings_before(table, {"x": XGBoost(name="x")})
    assert any(
        f"x has {len(bad)} positive rows (in the window with the fewest) to stop by, and" in line
        for line in crossed
    )
    for other in (XGBoost(name="x"), XGBoost(name="x", patience=0), Logistic(name="x")):
        assert not any(
            "stops growing" in line for line in protocol.warnings_before(table, {"x": other})
        )


def test_what_is_left_out_is_said():
    table = toy_rows()
    protocol = Prequential(**LENGTHS)
    cutoff = protocol.split(table)[0].cutoffs[0].at
    every, kept = scored(table, cutoff, known="kept"), scored(table, cutoff)
    bad = table.data.filter(table.data["row_id"].is_in(every))
    positive, lost = int(bad["bad"].sum()), int(bad.filter(~bad["row_id"].is_in(kept))["bad"].sum())
    said = (
        f"{len(every) - len(kept)} of {len(every)} test rows are not scored, {lost} of "
        f"{positive} positive rows among them"
    )
    assert (
        f"{said}: their entities were found before (protocol.known=removed)."
        in protocol.warnings_before(table, {})
    )
    assert not any(
        "not scored" in line
        for line in Prequential(**LENGTHS, known="kept").warnings_before(table, {})
    )
