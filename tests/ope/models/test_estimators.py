"""Each estimator against values that two independent programs agree on, and what its formula
promises.
"""

from dataclasses import replace

import numpy as np
import pytest

from hwds.core.errors import ConfigError
from hwds.ope.estimates import LogEvidence, effective_size
from hwds.ope.models.base import weight_limits
from hwds.ope.models.dm import DM
from hwds.ope.models.dr import DR
from hwds.ope.models.dr_os import DROs
from hwds.ope.models.ipw import IPW
from hwds.ope.models.kernel import Kernel
from hwds.ope.models.replay import Replay
from hwds.ope.models.sndr import SNDR
from hwds.ope.models.snipw import SNIPW
from hwds.ope.models.sub_gaussian import SubGaussian
from hwds.ope.models.switch_dr import SwitchDR

KNOWN = {
    "ipw": (IPW(), 0.733333333333),
    "snipw": (SNIPW(), 0.271047227926),
    "dm": (DM(), 0.3475),
    "dr": (DR(), 0.063611111111),
    "sndr": (SNDR(), 0.242571868583),
    "switch_dr": (SwitchDR(limit=2), 0.641388888889),
    "dr_os": (DROs(shrinkage=2), 0.442110803776),
    "sub_gaussian_ipw": (SubGaussian(form="ipw", strength=0.5), 0.539682539683),
    "sub_gaussian_dr": (SubGaussian(form="dr", strength=0.5), 0.431234783735),
}
TIED = {
    "ipw": IPW(clip="slope"),
    "snipw": SNIPW(clip="slope"),
    "dr": DR(clip="slope"),
    "sndr": SNDR(clip="slope"),
    "switch_dr": SwitchDR(),
    "dr_os": DROs(),
    "sub_gaussian": SubGaussian(),
}


def six_rows() -> LogEvidence:
    """The log."""
    return LogEvidence(
        reward=np.array([1.0, 0, 1, 1, 0, 0]),
        action=np.array([0, 1, 2, 1, 0, 2]),
        propensity=np.array([0.5, 0.3, 0.2, 0.25, 0.6, 0.1]),
        target=np.array(
            [
                [0.2, 0.5, 0.3],
                [0.1, 0.8, 0.1],
                [0.3, 0.3, 0.4],
                [0.25, 0.5, 0.25],
                [0.7, 0.2, 0.1],
                [0.05, 0.15, 0.8],
            ]
        ),
        predicted=np.array(
            [
                [0.3, 0.4, 0.5],
                [0.2, 0.1, 0.6],
                [0.5, 0.5, 0.5],
                [0.4, 0.7, 0.2],
                [0.1, 0.3, 0.2],
                [0.3, 0.2, 0.4],
            ]
        ),
        arms=("a", "b", "c"),
    )


@pytest.fixture
def log() -> LogEvidence:
    """Six rows, three arms."""
    return six_rows()


@pytest.mark.parametrize("name", KNOWN)
def test_values_to_twelve_digits(name, log):
    estimator, value = KNOWN[name]
    assert abs(estimator.estimate(log).value - value) < 1e-12


def test_weights_and_their_effective_size(log):
    assert log.weights == pytest.approx([0.4, 8 / 3, 2, 2, 7 / 6, 8], abs=1e-12)
    assert abs(effective_size(log.weights) - 3.2681861400873657) < 1e-12


def test_replay_is_the_mean_of_the_rows_that_match_where_the_policy_is_certain(log):
    arms = np.array([0, 1, 1, 1, 2, 2])
    certain = replace(log, target=np.eye(3)[arms], propensity=np.full(6, 1 / 3))
    matches = arms == log.action
    assert Replay().estimate(certain).value == pytest.approx(log.reward[matches].mean())
    assert Replay().estimate(certain).value == pytest.approx(SNIPW().estimate(certain).value)


@pytest.mark.parametrize("cls", [IPW, SNIPW, DR, SNDR])
def test_a_clip_above_the_largest_weight_changes_nothing(cls, log):
    assert cls(clip=8).estimate(log).value == cls().estimate(log).value
    assert cls(clip=1).estimate(log).value != cls().estimate(log).value


def test_self_normalised_estimates_move_with_a_shift_of_all_rewards(log):
    shifted = replace(log, reward=log.reward + 10)
    assert SNIPW().estimate(shifted).value == pytest.approx(SNIPW().estimate(log).value + 10)
    assert IPW().estimate(shifted).value != pytest.approx(IPW().estimate(log).value + 10)


def test_doubly_robust_is_exact_where_the_reward_model_is(log):
    perfect = replace(
        log, predicted=np.tile(np.array([[0.2], [0.4], [0.5], [0.6], [0.1], [0.3]]), 3)
    )
    perfect = replace(perfect, reward=perfect.predicted[np.arange(6), log.action])
    for estimator in (
        DR(),
        SNDR(),
        SwitchDR(limit=1),
        DROs(shrinkage=1),
        SubGaussian(strength=0.5),
    ):
        assert estimator.estimate(perfect).value == pytest.approx(
            DM().estimate(perfect).value, abs=1e-12
        )


@pytest.mark.parametrize("name", TIED)
def test_the_limit_of_weights_holds_and_the_choice_is_one_of_the_candidates(name, log):
    estimator = TIED[name]
    parts = estimator.estimate(log)
    fixed = {
        "ipw": "clip",
        "snipw": "clip",
        "dr": "clip",
        "sndr": "clip",
        "switch_dr": "limit",
        "dr_os": "shrinkage",
    }
    field = fixed.get(name, "strength")
    again = type(estimator)(**{field: parts.parameter}).estimate(log)
    assert again.value == parts.value
    assert parts.limit_known
    errors = log.reward if parts.base is None else log.errors
    assert np.all(np.abs(parts.top) <= parts.limit * np.abs(errors) + 1e-12)


def test_candidates_of_ones_own_are_the_only_ones(log):
    assert IPW(clip="slope", candidates=(3.0,)).estimate(log).parameter == 3.0
    assert weight_limits((1.0, 5.0, 2.0), log.weights) == [5.0, 2.0, 1.0]
    assert weight_limits((), np.zeros(4)) == [1.0]


def test_the_least_propensity_bounds_weights_that_nothing_else_does(log):
    assert IPW().estimate(log).limit_known is False
    promised = replace(log, largest_weight=10.0)
    assert (IPW().estimate(promised).limit, IPW().estimate(promised).limit_known) == (10.0, True)
    assert IPW(clip=3).estimate(promised).limit == 3.0


def prices(n=20_000, seed=0):
    """Prices uniform between 50 and 150, revenue price x a line; density 1/100."""
    rng = np.random.default_rng(seed)
    price = rng.uniform(50, 150, n)
    reward = price * (rng.random(n) < 0.6 - 0.004 * (price - 50))
    zeros = np.zeros(n, np.int64)
    ones = np.ones((n, 1))
    return replace(
        six_rows(),
        reward=reward,
        action=zeros,
        target=ones,
        propensity=np.full(n, 0.01),
        price=price,
    )

    return replace(six_rows(), predicted=None)


@pytest.mark.parametrize("shape", ["epanechnikov", "gaussian"])
@pytest.mark.parametrize("normalise", [True, False])
def test_the_kernel_finds_the_revenue_of_a_price(shape, normalise):
    log = replace(prices(), target_price=np.array([[100.0]]))
    parts = Kernel(bandwidth=5, shape=shape, normalise=normalise).estimate(log)
    assert parts.value == pytest.approx(100 * 0.4, abs=3.5)
    assert Kernel(bandwidth=5, shape=shape).weights(log).mean() == pytest.approx(1, abs=0.06)


def test_the_kernel_by_hand():
    log = replace(
        prices(3),
        price=np.array([90.0, 100.0, 120.0]),
        reward=np.array([1.0, 2.0, 4.0]),
        propensity=np.array([0.01, 0.02, 0.01]),
        target_price=np.array([[100.0]]),
    )
    weights = np.array([0.75 * (1 - 0.25) / 20 / 0.01, 0.75 / 20 / 0.02, 0.0])
    assert Kernel(bandwidth=20).weights(log) == pytest.approx(weights)
    value = (weights @ [1.0, 2.0, 4.0]) / weights.sum()
    assert Kernel(bandwidth=20).estimate(log).value == pytest.approx(value)
    assert Kernel(bandwidth=20, normalise=False).estimate(log).value == pytest.approx(
        weights @ [1.0, 2.0, 4.0] / 3
    )


def test_the_kernel_mixes_the_prices_of_arms():
    log = prices()
    mixed = replace(
        log,
        target=np.tile([0.3, 0.7], (len(log.reward), 1)),
        target_price=np.array([[80.0, 120.0]]),
    )
    truth = 0.3 * 80 * 0.48 + 0.7 * 120 * 0.32
    assert Kernel(bandwidth=5).estimate(mixed).value == pytest.approx(truth, abs=3)


def test_slope_takes_a_wider_kernel_where_the_line_is_straight():
    log = replace(prices(3000), target_price=np.array([[100.0]]))
    flat = replace(log, reward=np.random.default_rng(1).normal(10, 1, 3000))
    assert (
        Kernel().estimate(flat).parameter > Kernel(candidates=(1.0, 2.0)).estimate(flat).parameter
    )
    assert Kernel().estimate(flat).value == pytest.approx(10, abs=0.15)


@pytest.mark.parametrize("given", [0, -1, "slop", float("inf"), True])
def test_a_parameter_is_a_number_or_slope(given):
    with pytest.raises(ConfigError, match="must be slope or a number above 0"):
        IPW(clip=given)
    with pytest.raises(ConfigError, match="must be slope or a number above 0 and below 1"):
        SubGaussian(strength=given)
    with pytest.raises(ConfigError, match="must be slope or a number above 0"):
        SwitchDR(limit=None)
