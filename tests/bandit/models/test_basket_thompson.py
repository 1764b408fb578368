"""Amounts of purchases are learned from."""

import numpy as np
import pytest

from hwds.bandit.models.basket_thompson import BasketThompson
from hwds.bandit.models.kernels.base import Arms
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.core.errors import DataError

ARMS = Arms(("old", "new"), np.array([50.0, 50.0]), np.zeros((1, 0)))
MEANS = {"old": 40.0, "new": 60.0}


def sold(live, customers):
    """Offer to customers of whom three in ten buy, in either arm.

    The share that was offered the larger baskets.
    """
    rng, shown = np.random.default_rng(4), []
    for _ in range(customers):
        decision = live.decide(at=0.0)
        shown.append(decision.arm == "new")
        bought = rng.random() < 0.3
        live.outcome(
            decision.id,
            bought,
            amount=MEANS[decision.arm] * float(np.exp(rng.normal(-0.32, 0.8))) if bought else None,
        )
    return np.mean(shown[-300:])


def test_the_arm_with_the_larger_baskets_is_found_and_the_log_has_the_amounts(tmp_path):
    assert sold(BasketThompson().live(ARMS, seed=1), 1200) > 0.8
    live = BasketThompson().live(ARMS, tmp_path, seed=1, propensities=True, lose=1000.0)
    sold(live, 40)
    log = live.log()
    state, sums = live._state.policy.state, {}
    for place, arm in enumerate(ARMS.names):
        rewards = log.filter(arm=arm)["reward"].to_numpy()
        sums[arm] = rewards[rewards > 0]
        assert state[4 + place] == pytest.approx(1 + sums[arm].sum() / 50)
        assert state[6 + place] == pytest.approx(2 + np.sum((sums[arm] / 50) ** 2))
    live._store.log.close()
    again = BasketThompson().live(ARMS, tmp_path, seed=1, propensities=True)
    assert np.array_equal(again._state.policy.state, state)


@pytest.mark.parametrize(
    ("converted", "amount"), [(True, -1.0), (True, float("nan")), (False, 5.0), (True, "x")]
)
def test_an_amount_is_a_number_of_a_conversion(converted, amount):
    live = BasketThompson().live(ARMS, seed=1)
    with pytest.raises(DataError, match="amount: must be a number above 0"):
        live.outcome(live.decide().id, converted, amount=amount)


def test_a_policy_of_conversions_takes_no_amount():
    live = PriceThompson().live(ARMS, seed=1)
    with pytest.raises(DataError, match="learns from conversions alone"):
        live.outcome(live.decide().id, True, amount=5.0)
