"""Policies that look at the customer: their algebra against numpy's, and what looking is worth."""

from dataclasses import replace

import numpy as np
import pytest

from hwds.bandit.live.state import chances_of_arms
from hwds.bandit.models import linear_thompson, linucb
from hwds.bandit.models.kernels.base import Arms, Visit
from hwds.bandit.models.kernels.indices import ridge_block, ridge_leverage, ridge_mean, ridge_total
from hwds.bandit.models.linear_thompson import LinearThompson
from hwds.bandit.models.linucb import LinUCB
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.models.segments import Segments
from hwds.bandit.protocols.bandit_simulation import world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.datasets.simulated.price_demand import PriceDemand

CONTEXTS = np.array([[1.0, 0.0, 0.5], [1.0, 1.0, -0.2], [0.0, 1.0, 2.0]])
ARMS = Arms(("10", "20", "40"), np.array([10.0, 20.0, 40.0]), CONTEXTS, 1000, (0.0, 40.0))
ACTIVE = np.ones(3, bool)
HORIZON = 20_000


def played(policy, world, horizon=HORIZON, replications=30, batch=1000):
    game = Game(horizon, batch, (horizon // 2, horizon))
    return play_compiled(policy.kernel(world_arms(world, game)), world, game, 3, 0, replications)


def share_lost(policy, world, **how):
    """Regret over what the oracle by segment earns, over all steps."""
    lost = played(policy, world, **how).pseudo[:, -1]
    return lost.mean() / (world.best[0] @ world.shares) / HORIZON


def history(n=400, seed=0):
    rng = np.random.default_rng(seed)
    segments, arms = rng.integers(3, size=n), rng.integers(3, size=n)
    return segments, arms, (rng.random(n) < 0.2 + 0.2 * (segments == arms)).astype(float)


def visit(segment=0, step=0, active=ACTIVE):
    return Visit(step, segment, CONTEXTS[segment], active)


def learned(module, kernel, n=400, arms=range(3)):
    """The state after a history, without the outcomes of other arms."""
    state = np.zeros(kernel.size)
    module.init(kernel.settings, state)
    for step, (segment, arm, outcome) in enumerate(zip(*history(n), strict=True)):
        if arm in arms:
            module.update(kernel.settings, state, visit(segment, step), arm, outcome)
    return state


def regression(arm, y_of, ridge):
    """Inverse and coefficients of one arm, by numpy."""
    segments, arms, outcomes = history()
    x = np.column_stack([CONTEXTS[segments], np.ones(len(segments))])[arms == arm]
    precision = ridge * np.eye(4) + x.T @ x
    return np.linalg.inv(precision), np.linalg.solve(precision, x.T @ y_of(outcomes[arms == arm]))


@pytest.mark.parametrize("ridge", [0.1, 1.0, 10.0])
def test_the_inverse_kept_is_numpys(ridge):
    kernel = LinearThompson(ridge=ridge).kernel(ARMS)
    state = learned(linear_thompson, kernel)
    for arm in range(3):
        inverse, coefficients = regression(arm, lambda y: y, ridge)
        block = state[arm * ridge_block(3) :][: ridge_block(3)]
        assert block[1:17].reshape(4, 4) == pytest.approx(inverse, rel=1e-9, abs=1e-12)
        assert block[21:25] == pytest.approx(coefficients, rel=1e-9)
        assert ridge_total(state, arm, 3) == history()[2][history()[1] == arm].sum()
        for context in CONTEXTS:
            x = np.append(context, 1)
            assert ridge_mean(state, arm, context) == pytest.approx(x @ coefficients)
            assert ridge_leverage(state, arm, context) == pytest.approx(x @ inverse @ x)


def test_linucb_takes_the_highest_bound_in_units_of_the_range():
    kernel = LinUCB(exploration=0.7, ridge=2.0).kernel(ARMS)
    state = learned(linucb, kernel)
    for segment, context in enumerate(CONTEXTS):
        x = np.append(context, 1)
        fits = [
            regression(arm, lambda y, arm=arm: y * ARMS.values[arm] / 40, 2.0) for arm in range(3)
        ]
        best = int(np.argmax([x @ b + 0.7 * np.sqrt(x @ inverse @ x) for inverse, b in fits]))
        assert (
            linucb.select(kernel.settings, state, visit(segment, 400), np.ones(4, np.uint64))
            == best
        )
        assert chances_of_arms(kernel, state, visit(segment, 400)).values[best] == 1


def test_linucb_tries_an_arm_never_offered_and_wants_a_range():
    kernel = LinUCB().kernel(ARMS)
    state = learned(linucb, kernel, arms=(0, 2))
    assert linucb.select(kernel.settings, state, visit(0, 400), np.ones(4, np.uint64)) == 1
    without = chances_of_arms(kernel, state, visit(active=np.array([True, False, True]))).values
    assert without[1] == 0
    with pytest.raises(ConfigError, match="range"):
        LinUCB().kernel(replace(ARMS, range=None))


@pytest.mark.parametrize("segment", range(3))
def test_one_draw_for_the_customer_is_a_draw_of_all_coefficients(segment):
    kernel = LinearThompson().kernel(ARMS)
    state, x = learned(linear_thompson, kernel, 60), np.append(CONTEXTS[segment], 1)
    found = chances_of_arms(kernel, state, visit(segment), draws=100_000).values
    segments, arms, outcomes = history(60)
    rng, worth = np.random.default_rng(5), []
    for arm in range(3):
        rows = np.column_stack([CONTEXTS[segments], np.ones(60)])[arms == arm]
        precision, y = np.eye(4) + rows.T @ rows, outcomes[arms == arm]
        p = (y.sum() + 1) / (len(y) + 2)
        covariance = p * (1 - p) * np.linalg.inv(precision)
        drawn = (
            rng.multivariate_normal(np.linalg.solve(precision, rows.T @ y), covariance, 100_000) @ x
        )
        worth.append(ARMS.values[arm] * np.clip(drawn, 0, 1))
    expected = np.bincount(np.argmax(worth, axis=0), minlength=3) / 100_000
    assert found == pytest.approx(expected, abs=4 * np.sqrt(2 * 0.25 / 100_000))


def test_one_segment_is_price_thompson_bit_by_bit():
    world = PriceArms(horizon=500).load()
    one, other = (played(policy, world, 500, 20, 1) for policy in (Segments(), PriceThompson()))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_segments_learn_nothing_from_each_other():
    kernel = Segments().kernel(ARMS)
    from hwds.bandit.models import segments as module

    state = learned(module, kernel)
    plain = PriceThompson().kernel(ARMS)
    assert kernel.size == 3 * plain.size
    rows, arms, outcomes = history()
    for segment in range(3):
        own = np.zeros(plain.size)
        plain.init(plain.settings, own)
        for arm, outcome in zip(arms[rows == segment], outcomes[rows == segment], strict=True):
            plain.update(plain.settings, own, visit(), arm, outcome)
        assert np.array_equal(state[segment * plain.size : (segment + 1) * plain.size], own)
        chances = chances_of_arms(kernel, state, visit(segment))
        assert chances.values == pytest.approx(chances_of_arms(plain, own, visit()).values)
        assert chances.draws == 0


def test_looking_at_the_customer_earns_more_than_one_price_can():
    """By 20,000 customers in batches of 1,000.

    The best single price earns 88.5 % of what the best by segment do.
    """
    world = PriceDemand().load()
    lost = {
        type(p).__name__: share_lost(p, world)
        for p in (PriceThompson(), Segments(), LinUCB(exploration=0.3), LinearThompson())
    }
    assert lost["LinearThompson"] < 0.1
    assert lost["LinUCB"] < 0.1
    assert lost["LinearThompson"] < lost["Segments"] < lost["PriceThompson"]
    assert lost["PriceThompson"] > 0.115


@pytest.mark.parametrize(
    "policy", [Segments(), LinUCB(), LinearThompson()], ids=lambda policy: type(policy).__name__
)
def test_absent_arms_are_not_offered_and_late_outcomes_are_learned(policy):
    moving = PriceDemand(
        arrives=(0, 0, 300, 0, 0, 400, 0), leaves=(500, 0, 0, 600, 0, 0, 0), horizon=1000
    ).load()
    assert (
        played(policy, moving, 1000, 20, 1).pulls[:, -1].sum() == 20_000
    )  # `play` refuses an absent arm
    late = PriceDemand(delay=50, window=300).load()
    for batch in (1, 200):
        lost = played(policy, late, 4000, 20, batch).pseudo
        assert lost[:, 1].mean() < 1.9 * lost[:, 0].mean()


def test_without_context_the_linear_ones_still_find_the_best_arm():
    world = PriceArms(means=(0.2, 0.6, 0.3)).load()
    for policy in (LinUCB(), LinearThompson()):
        pulls = played(policy, world, 2000, 30, 1).pulls[:, -1].mean(axis=0)
        assert pulls[1] > 1700
