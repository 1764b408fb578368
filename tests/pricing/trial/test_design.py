"""Price tests: as sure as the formula says, with arms within the guardrails, and handed on as
commands that work.
"""

import shlex

import numpy as np
import pytest

from hwds.cli.words import as_override
from hwds.core.seeds import stream
from hwds.pricing.price_experiment import (
    TrialTerms,
    arm_prices,
    bandit_command,
    beta_counts,
    buying_shares,
    plan_command,
    stderr_after,
    trial_lengths,
)
from hwds.pricing.recommended_prices import PriceGuardrails
from tests.support.composed import composed

PLAIN = {
    "arms": 3,
    "block": 3,
    "washout": 1,
    "clusters": 30,
    "noise": 0.3,
    "correlation": 0.4,
    "longest": 60,
}
PRICES = np.array([90.0, 100.0, 110.0])


def terms(design="switchback", **changes):
    return TrialTerms(design=design, **(PLAIN | changes))


def noises(rng, shape, count):
    """Log units around their mean: chance, and noise that the last axis shares in part."""
    shared, own = rng.standard_normal((*shape[:-1], 1)), rng.standard_normal(shape)
    mixed = 0.4**0.5 * shared + 0.6**0.5 * own
    return 0.3 * mixed + rng.standard_normal(shape) / count**0.5


def slopes(prices, values):
    """The slope of each row of values over the log of its prices."""
    logs = np.log(prices) - np.log(prices).mean(1, keepdims=True)
    return (logs * values).sum(1) / (logs**2).sum(1)


def test_a_switchback_measures_as_well_as_it_says():
    rng, blocks, tests = stream(1, "switchback"), 12, 4000
    price = rng.permuted(np.tile(np.repeat(PRICES, blocks // 3), (tests, 1)), axis=1)
    logs = -2 * np.log(price)[..., None] + noises(rng, (tests, blocks, 2), 50)
    assert slopes(price, logs.mean(2)).std() == pytest.approx(
        stderr_after(50, PRICES, 36, terms()), rel=0.05
    )


def test_clusters_measure_as_well_as_they_say():
    rng, tests, periods = stream(1, "cluster"), 2000, 8
    price = rng.permuted(np.tile(np.repeat(PRICES, 10), (tests, 1)), axis=1)
    logs = -2 * np.log(price)[..., None] + noises(rng, (tests, 30, periods), 300 / 30)
    measured = slopes(price, logs.mean(2)).std()
    assert measured == pytest.approx(stderr_after(300, PRICES, periods, terms("cluster")), rel=0.05)


def test_what_cannot_be_measured_is_infinite():
    assert stderr_after(0.0, PRICES, 36, terms()) == np.inf
    assert stderr_after(50, np.array([100.0, 100.0]), 36, terms()) == np.inf
    assert stderr_after(50, PRICES, 6, terms()) == np.inf  # two blocks for three arms


def test_lengths_are_whole_blocks_with_every_arm():
    assert all(length % 3 == 0 and 9 <= length <= 60 for length in trial_lengths(3, terms()))
    assert trial_lengths(3, terms())[0] == 9
    assert trial_lengths(3, terms(longest=8)) == []
    assert trial_lengths(3, terms("cluster"))[0] == 1


@pytest.mark.parametrize(
    "rails",
    [
        PriceGuardrails(),
        PriceGuardrails(rounding=5, ending=0.01),
        PriceGuardrails(ladder=(89.0, 99.0, 109.0)),
    ],
)
def test_arms_are_todays_price_and_allowed_ones(rails):
    prices = arm_prices(97.0, 85.0, 112.0, 3, rails)
    assert 97.0 in prices
    others = prices[prices != 97.0]
    assert len(others) == 2
    assert ((others >= 85) & (others <= 112)).all()
    if rails.ladder:
        assert np.isin(others, rails.ladder).all()
    if rails.rounding:
        assert np.allclose((others + 0.01) % 5, 0)


def test_a_prior_has_the_mean_and_the_spread_of_what_is_believed():
    draws = stream(1, "prior").beta(8, 92, 200_000)
    assert beta_counts(draws, 1e6) == pytest.approx((8, 92), rel=0.03)
    assert sum(beta_counts(draws, 50)) == pytest.approx(50)
    assert beta_counts(np.full(10, 0.2), 100) == pytest.approx((20, 80))
    elasticities = np.array([-2.0, -1.0])
    assert buying_shares(np.array([50.0, 100.0]), 100.0, elasticities, 0.1).tolist() == [
        [0.4, 0.1],
        [0.2, 0.1],
    ]
    assert buying_shares(np.array([10.0]), 100.0, elasticities, 0.5).max() < 1


def test_the_commands_are_experiments():
    prices, chances = [89.99, 100.0, 110.0], [0.06, 0.05, 0.04]
    plan = shlex.split(plan_command(prices, 1, chances, "EUR"))
    experiment = composed(*(as_override(word) for word in plan[3:]))
    assert experiment.dataset.prices == (100.0, 89.99, 110.0)
    assert experiment.dataset.conversions == (0.05, 0.06, 0.04)
    assert experiment.dataset.load().data["arm"][0] == "control"
    bandit = shlex.split(bandit_command(prices, chances, [(6, 94), (5, 95), (4, 96)], 60.0, "EUR"))
    experiment = composed(*(as_override(word) for word in bandit[3:]))
    assert experiment.model.known == {"89.99": (6, 94), "100": (5, 95), "110": (4, 96)}
    assert (experiment.dataset.cost, experiment.dataset.unit) == (60.0, "EUR")
