"""Traps in the rows of a test: each is found in a world that has it, and not without it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from hwds.ab.intervals import balance_check, leading_unit, share_between
from hwds.ab.models.cuped import Cuped
from hwds.ab.protocols.ab_test import AbTest
from hwds.core.errors import ConfigError, DataError
from hwds.frames.rows import late_weights
from hwds.frames.table import Table

WORLDS = 100


def protocol(**settings):
    return AbTest(**{"name": "ab_test", "replications": 0} | settings)


def visitors(seed, n=2000, by_day=False):
    """Visitors of 28 days that share their days' shocks; arms are drawn by visitor or by day."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, 28, n))
    arm = day % 2 if by_day else rng.permutation(np.arange(n) % 2)
    spent = np.exp(rng.normal(1, 1, n)) + rng.normal(0, 1, 28)[day]
    dates = pl.select(pl.date(2026, 1, 1) + pl.duration(days=pl.Series(day))).to_series()
    before = spent + rng.normal(0, 2, n)
    data = {"arm": np.where(arm, "new", "control"), "day": dates, "spent": spent, "before": before}
    return pl.DataFrame(data)


def table(data):
    roles = {"arm": ("arm",), "outcome": ("spent",), "time": ("day",), "covariate": ("before",)}
    return Table.build(data, roles)


def test_arms_by_day_are_refused_and_clusters_lead_on():
    for seed in range(WORLDS):
        with pytest.raises(DataError, match=r"each day has one arm \(28 in all"):
            protocol().split(table(visitors(seed, by_day=True)))
    (fold,) = protocol(clusters="day").split(table(visitors(0, by_day=True)))
    assert fold.units == 28


def test_worlds_without_traps_raise_no_alarm():
    alarms = 0
    for seed in range(WORLDS):
        frame = table(visitors(seed))
        protocol().split(frame)
        protocol().check_models({"ab/cuped": Cuped(name="ab/cuped")}, frame)
        alarms += len(protocol().warnings_before(frame, {}))
    assert alarms <= 2


def test_a_covariate_that_the_test_moved_is_refused():
    moved = pl.col("before") + 0.6 * (pl.col("arm") == "new") * pl.col("before").std()
    for seed in range(WORLDS):
        frame = table(visitors(seed).with_columns(before=moved))
        with pytest.raises(ConfigError, match="adjusts by 'before', which differs between arms"):
            protocol().check_models({"ab/cuped": Cuped(name="ab/cuped")}, frame)


def test_a_unit_that_carries_the_result_is_named_with_a_cap():
    whale = pl.when(pl.int_range(pl.len()) == 17).then(1e5).otherwise(pl.col("spent"))
    for seed in range(WORLDS):
        (said,) = protocol().warnings_before(table(visitors(seed).with_columns(spent=whale)), {})[
            -1:
        ]
        assert "row 18" in said
        assert "protocol.quantile_caps={spent: 0.99}" in said


def test_the_checks_are_those_of_closed_forms():
    rng = np.random.default_rng(0)
    arm, values = np.repeat([0, 1], [300, 200]), rng.normal(0, 1, 500)
    welch = stats.ttest_ind(values[arm == 1], values[arm == 0], equal_var=False)
    assert balance_check(values, arm).p_value == pytest.approx(welch.pvalue)
    assert share_between(np.tile([0, 1], 50), np.repeat(np.arange(50), 2)) < 0
    assert share_between(np.repeat([0, 1], 50), np.repeat(np.arange(10), 10)) == 1
    spread = np.concatenate([np.tile([-1.0, 1.0], 50), np.tile([-1.0, 1.0], 49), [30.0, -30.0]])
    unit, share = leading_unit(spread, np.repeat([0, 1], 100))
    centred = spread[100:] - spread[100:].mean()
    assert unit in (198, 199)
    assert share == pytest.approx(900 / (centred @ centred + 100))


def test_late_outcomes_have_the_mean_of_all():
    """Rows of 30 days, outcomes five days late: 24 % of them are cut off."""
    means = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        age, delay = rng.uniform(0, 30, 3000), rng.exponential(4, 3000)
        came = (rng.random(3000) < 0.13) & (delay <= age)
        weight, longest = late_weights(age, np.where(came, delay, np.inf))
        means.append([came.mean(), weight.mean()])
        assert longest <= 30
        assert weight.max() <= 20.1
    cut, whole = np.mean(means, axis=0)
    error = np.std(means, axis=0)[1] / np.sqrt(200)
    assert cut < 0.115
    assert whole == pytest.approx(0.13 * (1 - np.exp(-28.5 / 4)), abs=3.5 * error)
