"""The simulated price test has the effects that it says, and a covariate that tells something."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.ab.sample import Design, Sample, SampleArm, UnitMoments
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_test import PriceTest


def test_each_arm_has_its_conversion_and_the_covariate_is_of_before():
    data = PriceTest(units=200_000).load().data
    arms = (
        data.group_by("group")
        .agg(pl.col("bought", "price", "bought_before").mean(), pl.len())
        .sort("group")
    )
    assert arms["group"].to_list() == ["control", "price_199"]
    assert arms["price"].to_list() == [149, 199]
    assert arms["bought"].to_numpy() == pytest.approx(
        [0.045, 0.036], abs=4 * np.sqrt(0.045 / 100_000)
    )
    assert arms["bought_before"].to_numpy() == pytest.approx([5 * 0.045] * 2, abs=0.02)
    assert data.select(pl.corr("bought", "bought_before")).item() == pytest.approx(0.48, abs=0.03)
    assert data["day"].is_sorted()
    assert set(data["channel"].unique()) == {"online", "partner", "store"}


def test_the_truth_knows_the_effects():
    none = UnitMoments(np.array(1.0), np.zeros(1), np.zeros((1, 1)))
    arms = (SampleArm("control", none), SampleArm("price_199", none))
    truth = PriceTest().truth("ab")
    shown = [truth.compare(Sample(label, arms), Design())[0].value for label in ("", "revenue")]
    assert shown == pytest.approx([-0.009, 0.459])


def test_the_same_settings_give_the_same_visitors():
    assert PriceTest(units=500).load().fingerprint == PriceTest(units=500).load().fingerprint
    assert (
        PriceTest(units=500).load().fingerprint != PriceTest(units=500, start=1).load().fingerprint
    )


def test_a_price_without_a_conversion_is_refused():
    with pytest.raises(
        ConfigError, match=r"dataset.conversions: must have one for each of 3 prices, got 2"
    ):
        PriceTest(prices=(1, 2, 3)).load()
