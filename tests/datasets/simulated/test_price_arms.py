"""Prices given one by one: what a shift does to them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.experiment.spec import check


def shown(*words):
    return check(compose(["+experiment=price_bandit_drift", *words])).dataset


def test_a_shift_gives_the_arms_other_conversions():
    world = PriceArms(
        prices=(10, 20), conversion=(0.5, 0.4), shift_at=300, after_shift=(0.5, 0.1)
    ).load()
    assert world.starts.tolist() == [0, 300]
    assert world.conversions[:, 0].tolist() == [[0.5, 0.4], [0.5, 0.1]]
    assert np.argmax(world.rewards[:, 0], axis=1).tolist() == [1, 0]


def test_without_them_the_arms_change_places():
    world = PriceArms(prices=(10, 20), conversion=(0.5, 0.4), shift_at=300).load()
    assert world.conversions[1, 0].tolist() == [0.4, 0.5]


def test_a_walk_begins_at_the_shifted_conversions():
    world = PriceArms(
        conversion=(0.5, 0.4), prices=(10, 20), shift_at=5000, after_shift=(0.3, 0.2), drift=1e-9
    ).load()
    late = world.starts >= 5000
    assert world.conversions[late][:, 0] == pytest.approx(
        np.tile([0.3, 0.2], (late.sum(), 1)), abs=1e-6
    )
    assert world.conversions[~late][:, 0] == pytest.approx(
        np.tile([0.5, 0.4], ((~late).sum(), 1)), abs=1e-6
    )


def test_the_market_that_is_shown_falls_with_price_and_earns_money_before_and_after():
    world = shown().load()
    assert world.unit == "USD"
    assert (np.diff(world.prices) > 0).all()
    assert (np.diff(world.conversions[:, 0], axis=1) < 0).all()
    assert (world.conversions[1] < world.conversions[0]).all()
    best = np.argmax(world.rewards[:, 0], axis=1)
    assert [world.arms[arm] for arm in best] == ["249", "149"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["dataset.after_shift=[.1,.2]"],
            r"dataset.after_shift: must be one for each of the 5 arms, got \[0.1, 0.2\].",
        ),
        (
            ["dataset.shift_at=null"],
            "dataset.shift_at: must be given if dataset.after_shift is, got null.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        shown(*words).load()
