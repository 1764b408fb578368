"""The law of the rows changes on the days that are named, and on no other."""

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.drift import Drift
from hwds.experiment.spec import check


@pytest.fixture(scope="module")
def rows():
    known = {
        "inputs_at": 0.5,
        "labels_at": 0.75,
        "missing_at": 0.9,
        "missing_share": 0.3,
        "season": 0.0,
    }
    return (
        Drift(daily=400, days=100, **known)
        .load()
        .data.with_columns(day=pl.col("time").dt.ordinal_day() - 1)
    )


def test_each_change_comes_on_its_day(rows):
    changes = (
        rows.group_by("day").agg(pl.col("changes").min(), most=pl.col("changes").max()).sort("day")
    )
    assert (
        changes["changes"].to_list()
        == changes["most"].to_list()
        == [0] * 50 + [1] * 25 + [2] * 15 + [3] * 10
    )
    visits = (
        rows.group_by("changes")
        .agg(pl.col("visits").mean(), missing=pl.col("visits").is_null().mean())
        .sort("changes")
    )
    assert visits["visits"].to_list() == pytest.approx([0, 0.5, 0.5, 0.5], abs=0.07)
    assert visits["missing"].to_list() == pytest.approx([0, 0, 0, 0.3], abs=0.03)


def test_labels_follow_their_chance_and_its_effect_turns(rows):
    share = rows.group_by("changes").agg(
        gap=(pl.col("bad") - pl.col("true_chance")).mean(), n=pl.len()
    )
    assert (share["gap"].abs() * share["n"].sqrt() < 1.5).all()
    odds = rows.with_columns(
        odds=(pl.col("true_chance") / (1 - pl.col("true_chance"))).log()
    ).drop_nulls("visits")
    for changes, effect in ((0, 1.0), (1, 1.0), (2, -1.0), (3, -1.0)):
        part = odds.filter(pl.col("changes") == changes)
        terms = [
            part["visits"],
            part["spent"].log(),
            part["channel"] == "education",
            pl.repeat(1, part.height, eager=True),
        ]
        fitted = np.linalg.lstsq(np.column_stack(terms), part["odds"].to_numpy(), rcond=None)[0]
        assert fitted[:3] == pytest.approx([effect, 1.0, 1.0])


def test_a_week_is_no_change_and_nothing_changes_at_one():
    still = Drift(daily=100, days=70, inputs_at=1, labels_at=1, season=1.0).load().data
    assert still["changes"].max() == 0
    week = still.group_by(pl.col("time").dt.weekday()).agg(pl.col("visits").mean())["visits"]
    assert week.max() > 0.8
    assert still.equals(Drift(daily=100, days=70, inputs_at=1, labels_at=1, season=1.0).load().data)


def test_a_share_of_days_that_is_a_whole_number_is_that_day():
    data = Drift(daily=50, days=25, inputs_at=0.28, labels_at=1).load().data
    assert data.filter(pl.col("changes") == 1)["time"].min().date().isoformat() == "2024-01-08"


def test_more_than_memory_holds_is_refused():
    with pytest.raises(
        ConfigError, match=r"dataset.daily: 10,000,000 orders on 180 days are more than 20,000,000"
    ):
        Drift(daily=10_000_000).load()


def test_a_small_world_has_the_days_that_its_protocol_needs():
    words = ("dataset=drift", "model=classify/logistic", "protocol=prequential", "size=small")
    small = check(compose([*words]))
    assert len(small.protocol.split(small.dataset.load())) == 2
