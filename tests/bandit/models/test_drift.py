"""Policies for markets that change: what they remember, what they find out, what it costs."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hwds.bandit.models import change_point, discounted_thompson, sliding_ucb
from hwds.bandit.models.change_point import (
    BUCKET_SIZES,
    BUCKETS_OF_SIZE,
    GLR_SIZE,
    SIZE_BLOCK,
    ChangePoint,
    glr_add,
    glr_forget,
    glr_statistic,
    glr_threshold,
)
from hwds.bandit.models.discounted_thompson import DiscountedThompson
from hwds.bandit.models.kernels.base import Arms, Visit
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.models.sliding_ucb import SlidingUCB
from hwds.bandit.protocols.bandit_simulation import world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.core.compose import compose
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.experiment.spec import check
from tests.support.two_armed_regret import expected_regret

CG10 = (0.1, *(0.05,) * 3, *(0.02,) * 3, *(0.01,) * 3)
EVERY = np.ones(3, bool)
ARMS = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.zeros((1, 0)), 1000, (0.0, 30.0))
ALL = (
    DiscountedThompson(),
    SlidingUCB(window=500, exploration=0.1),
    ChangePoint(),
    ChangePoint(restart="arm"),
)


def played(policy, world, horizon, replications, batch=1):
    game = Game(horizon, batch, (horizon,))
    return play_compiled(policy.kernel(world_arms(world, game)), world, game, 5, 0, replications)


def visit(step, active=EVERY):
    return Visit(step, 0, np.zeros(0), active)


def begun(kernel):
    state = np.zeros(kernel.size)
    kernel.init(kernel.settings, state)
    return state


def choices(module, kernel, state, stream, n):
    with np.errstate(over="ignore"):
        return [module.select(kernel.settings, state, visit(300), stream) for _ in range(n)]


def outcomes_of(n, arms=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(arms, size=n), (rng.random(n) < 0.3).astype(float)


def kl(p, q):
    parts = [a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0]
    return sum(parts)


def likelihood_ratios(row):
    n, sums = len(row), np.cumsum(row)
    mean = sums[-1] / n
    return {
        s: s * kl(sums[s - 1] / s, mean) + (n - s) * kl((sums[-1] - sums[s - 1]) / (n - s), mean)
        for s in range(1, n)
    }


@pytest.mark.parametrize("conversions", [(0.3, 0.1), (0.3, 0.2)])
def test_without_a_discount_it_is_price_thompson(conversions):
    world = PriceArms(conversion=conversions, prices=(10, 20)).load()
    lost = played(DiscountedThompson(discount=1.0), world, 12, 200_000).pseudo[:, -1]
    exact = expected_regret("thompson", np.array(conversions), 12, np.array([10.0, 20.0]))[-1]
    assert abs(lost.mean() - exact) < 4 * lost.std() / 200_000**0.5


def test_counts_fade_by_the_discount_with_every_outcome():
    kernel = DiscountedThompson(discount=0.9).kernel(ARMS)
    state = begun(kernel)
    arms, outcomes = outcomes_of(200)
    for step, (arm, outcome) in enumerate(zip(arms, outcomes, strict=True)):
        discounted_thompson.update(kernel.settings, state, visit(step), arm, outcome)
    age = 0.9 ** np.arange(199, -1, -1)
    for arm in range(3):
        assert state[arm] == pytest.approx((age * outcomes * (arms == arm)).sum())
        assert state[3 + arm] == pytest.approx((age * (1 - outcomes) * (arms == arm)).sum())


@pytest.mark.parametrize(
    ("discount", "lost", "error"), [(0.9995, 278, 2), (0.999, 353, 2), (0.995, 568, 1)]
)
def test_the_known_regrets_of_a_discount_after_a_shift(discount, lost, error):
    own = played(
        DiscountedThompson(discount=discount),
        PriceArms(means=CG10, shift_at=5000).load(),
        10_000,
        100,
    ).pseudo[:, -1]
    assert abs(own.mean() - lost) < 4 * math.hypot(own.std() / 10, error)


def test_what_is_in_the_window():
    kernel = SlidingUCB(window=50).kernel(ARMS)
    state = begun(kernel)
    arms, outcomes = outcomes_of(333)
    for step, (arm, outcome) in enumerate(zip(arms, outcomes, strict=True)):
        sliding_ucb.update(kernel.settings, state, visit(step), arm, outcome)
        last = slice(max(0, step - 49), step + 1)
        assert state[:3].tolist() == np.bincount(arms[last], minlength=3).tolist()
        assert state[3:6].tolist() == np.bincount(arms[last], outcomes[last], minlength=3).tolist()
    pulls, means = state[:3], state[3:6] / state[:3]
    index = ARMS.values * means + 30 * np.sqrt(0.6 * math.log(50) / pulls)
    chances = np.zeros(3)
    sliding_ucb.propensity(kernel.settings, state, visit(333), chances)
    assert chances[np.argmax(index)] == 1
    sliding_ucb.propensity(
        kernel.settings, state, visit(333, np.arange(3) != np.argmax(index)), chances
    )
    assert chances[np.argmax(index)] == 0


def test_an_arm_that_left_the_window_is_tried_at_once():
    kernel = SlidingUCB(window=10).kernel(ARMS)
    state, stream = begun(kernel), np.ones(4, np.uint64)
    for step, arm in enumerate([0, *([1, 2] * 6)]):
        sliding_ucb.update(kernel.settings, state, visit(step), arm, 1.0)
    assert sliding_ucb.select(kernel.settings, state, visit(13), stream) == 0


def test_the_statistic_of_few_outcomes_is_the_highest_ratio_of_all_points():
    for seed in range(20):
        row = (np.random.default_rng(seed).random(BUCKETS_OF_SIZE) < 0.4).astype(float)
        state = np.zeros(GLR_SIZE)
        for n, outcome in enumerate(row, 1):
            glr_add(state, 0, outcome)
            exact = max(likelihood_ratios(row[:n]).values(), default=0.0)
            assert glr_statistic(state, 0) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("change", [None, 300, 550])
def test_the_statistic_of_many_outcomes_is_the_highest_ratio_where_buckets_end(change):
    rng = np.random.default_rng(3)
    means = np.where(np.arange(600) < (change or 600), 0.1, 0.4)
    row = (rng.random(600) < means).astype(float)
    state = np.zeros(GLR_SIZE + 7)
    for outcome in row:
        glr_add(state, 7, outcome)
    blocks = state[9:].reshape(BUCKET_SIZES, SIZE_BLOCK)
    sizes = [2**level for level in range(BUCKET_SIZES) for _ in range(int(blocks[level, 0]))]
    wins = [w for block in blocks for w in block[int(block[0]) : 0 : -1]]
    ends = len(row) - np.cumsum(sizes)
    assert ends[-1] == 0
    assert wins == [row[a:b].sum() for a, b in zip(ends, [600, *ends[:-1]], strict=True)]
    exact = likelihood_ratios(row)
    assert glr_statistic(state, 7) == pytest.approx(max(exact[end] for end in ends[:-1]), abs=1e-9)
    assert glr_statistic(state, 7) > 0.9 * max(exact.values()) - 0.2
    glr_forget(state, 7)
    assert glr_statistic(state, 7) == 0


def test_a_change_is_found_soon_and_a_steady_arm_seldom_suspected():
    rng = np.random.default_rng(1)
    alarms, delays = 0, []
    for _ in range(40):
        state = np.zeros(GLR_SIZE)
        for n in range(1, 801):
            glr_add(state, 0, float(rng.random() < (0.3 if n <= 500 else 0.6)))
            if n % 5 == 0 and glr_statistic(state, 0) >= glr_threshold(n, 0.05):
                alarms, delays = alarms + (n <= 500), [*delays, n - 500]
                break
    assert alarms <= 2
    assert len(delays) == 40
    assert np.median(delays) < 120


@pytest.mark.parametrize(("restart", "kept"), [("all", 0), ("arm", 30)])
def test_what_is_forgotten_at_a_change(restart, kept):
    kernel = ChangePoint(restart=restart).kernel(ARMS)
    state = begun(kernel)
    for step in range(330):
        arm = 1 if step < 30 else 0
        change_point.update(kernel.settings, state, visit(step), arm, float(step >= 130))
        if state[0] == 0 and step > 130:
            break
    assert 130 < step < 200
    assert state[GLR_SIZE] == kept


def test_a_share_explores():
    kernel = ChangePoint(explore=0.3).kernel(ARMS)
    state, stream = begun(kernel), np.arange(1, 5).astype(np.uint64)
    for step in range(300):
        change_point.update(
            kernel.settings, state, visit(step), step % 3, float(step % 3 == 2 and step % 2)
        )
    chosen = choices(change_point, kernel, state, stream, 3000)
    assert abs(np.mean(np.array(chosen) != 2) - 0.2) < 4 * math.sqrt(0.16 / 3000)


def test_after_a_shift_a_restart_costs_less_than_trust_and_little_where_nothing_changes():
    shift, steady = PriceArms(means=CG10, shift_at=5000).load(), PriceArms(means=CG10).load()
    lost = {
        (type(policy).__name__, world is shift): played(policy, world, 10_000, 60)
        .pseudo[:, -1]
        .mean()
        for policy in (ChangePoint(), PriceThompson(), DiscountedThompson(discount=0.999))
        for world in (shift, steady)
    }
    assert lost["ChangePoint", True] < 0.65 * lost["PriceThompson", True]
    assert lost["ChangePoint", False] < 1.3 * lost["PriceThompson", False]
    assert lost["DiscountedThompson", False] == pytest.approx(326, rel=0.05)
    assert lost["PriceThompson", False] == pytest.approx(81, rel=0.1)


@pytest.fixture(scope="module")
def market():
    """The experiment that is shown, and its world: prices in USD, of which another is the best
    after a shift.
    """
    experiment = check(compose(["+experiment=price_bandit_drift"]))
    return experiment, experiment.dataset.load()


def test_in_money_those_that_forget_or_find_out_lose_less_than_trust_after_the_shift(market):
    experiment, world = market
    game = Game(world.horizon, 1, (10_000, world.horizon))
    rivals = {model.name: model for model in (experiment.model, *experiment.rivals)}
    lost = {
        name: play_compiled(m.kernel(world_arms(world, game)), world, game, 3, 0, 160).pseudo
        for name, m in rivals.items()
    }
    after = {name: (values[:, 1] - values[:, 0]).mean() for name, values in lost.items()}
    before = {name: values[:, 0].mean() for name, values in lost.items()}
    trust = "bandit/price_thompson"
    for name in ("bandit/change_point", "bandit/discounted_thompson", "bandit/sliding_ucb_rare"):
        assert after[name] < 0.7 * after[trust], name
        assert before[trust] < 1.1 * before[name], name
        assert after[name] + before[name] < 0.9 * (after[trust] + before[trust]), name
    assert (
        before["bandit/change_point"] < 0.9 * before["bandit/discounted_thompson"]
    )  # nothing is forgotten until it is found


@pytest.mark.parametrize(
    "policy", [*ALL, PriceThompson()], ids=lambda policy: f"{type(policy).__name__}"
)
def test_a_currency_changes_no_choice(policy, market):
    _, world = market
    dear = replace(world, values=1024 * world.values, prices=1024 * world.prices)
    one, two = (played(policy, each, 12_000, 5) for each in (world, dear))
    assert np.array_equal(one.pulls, two.pulls)
    assert two.pseudo == pytest.approx(1024 * one.pseudo)


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: f"{type(policy).__name__}")
def test_absent_arms_are_not_offered_and_late_outcomes_are_learned(policy):
    leaving = PriceArms(arrives=(0, 300, 0, 0, 0), leaves=(700, 0, 0, 800, 0), horizon=1000).load()
    assert (
        played(policy, leaving, 1000, 50).pulls[:, -1].sum() == 50_000
    )  # `play` refuses an absent arm
    late = PriceArms(means=(0.6, 0.2), delay=20, window=80).load()
    for batch in (1, 50):
        lost = played(policy, late, 2000, 50, batch).pseudo[:, -1].mean()
        assert lost < 0.8 * 2000 * 0.2


def test_arms_that_earn_nothing_are_ties():
    arms = Arms(("a", "b", "c"), np.zeros(3), np.zeros((1, 0)), 10, (0.0, 1.0))
    for policy, module in (
        (DiscountedThompson(), discounted_thompson),
        (ChangePoint(), change_point),
    ):
        kernel = policy.kernel(arms)
        state, stream = begun(kernel), np.arange(1, 5).astype(np.uint64)
        chosen = choices(module, kernel, state, stream, 600)
        assert np.bincount(chosen, minlength=3).min() > 140
