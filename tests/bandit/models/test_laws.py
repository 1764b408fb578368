"""The laws of the policies, asked one decision at a time: the functions are plain Python before
they are compiled.
"""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import betaincc, betaincinv, betaln
from scipy.stats import norm

from hwds.bandit.models import exp3, monotone_thompson
from hwds.bandit.models.epsilon_greedy import share_of_chance
from hwds.bandit.models.kernels.base import Arms, Visit
from hwds.bandit.models.kernels.indices import beta_tail, beta_upper, kl_upper
from hwds.core.compose import option
from hwds.core.config import build
from hwds.core.errors import ConfigError
from hwds.core.registry import options

VALUES = np.array([10.0, 20.0, 20.0, 30.0])
ARMS = Arms(("a", "b", "c", "d"), VALUES, np.zeros((1, 0)), 1000, (0.0, 30.0))
BELOW = replace(ARMS, values=np.array([-5.0, 20.0, 20.0, 30.0]), range=(-5.0, 30.0))
ALL = np.ones(4, bool)
SOME = np.array([True, True, True, False])
INDEX = ["greedy", "ucb1", "kl_ucb", "price_kl_ucb", "bayes_ucb", "moss", "ucb_tuned"]


@pytest.fixture(autouse=True)
def _words_wrap_around():
    with np.errstate(over="ignore"):
        yield


def kernel_of(name, arms=ARMS, **fields):
    given = {f"bandit/{name}": fields} if fields else f"bandit/{name}"
    return build("model", "model", option("model", "model", given)).kernel(arms)


APART = replace(
    ARMS, values=np.array([10.0, 20.0, 25.0, 30.0])
)  # every policy takes arms of different prices
POLICIES = [name.removeprefix("bandit/") for name in options("model") if name.startswith("bandit/")]
KERNELS = {name: kernel_of(name, APART) for name in POLICIES}
EXACT = [
    name for name, kernel in KERNELS.items() if kernel.compiled and kernel.propensity is not None
]
"""The policies that say their own chances, but for those by batches, which `test_neural` tests."""


def visit(step, active=ALL):
    return Visit(step, 0, np.zeros(0), active)


def state_after(kernel, outcomes):
    """The state after (arm, outcome) one by one."""
    state = np.zeros(kernel.size)
    kernel.init(kernel.settings, state)
    for step, (arm, outcome) in enumerate(outcomes):
        kernel.update(kernel.settings, state, visit(step), arm, float(outcome))
    return state


def chances_of(kernel, state, step, active=ALL):
    chances = np.full(4, np.nan)
    kernel.propensity(kernel.settings, state, visit(step, active), chances)
    return chances


def drawn(kernel, state, step, times, active=ALL, seed=0):
    stream = np.random.default_rng(seed).integers(1, 2**63, 4).astype(np.uint64)
    ask = partial(kernel.select, kernel.settings, state, visit(step, active), stream)
    return np.bincount([ask() for _ in range(times)], minlength=4)


def histories(count, most, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        arms = rng.choice(4, int(rng.integers(5, most)), p=rng.dirichlet(np.ones(4)))
        yield [
            *((arm, arm % 2) for arm in range(4)),
            *zip(arms, rng.random(len(arms)) < rng.random() ** 2, strict=True),
        ]


def test_policies_with_chances_of_their_own_are_found():
    assert {"thompson", "linucb", "ab_then_commit", *INDEX} <= set(EXACT) < set(POLICIES)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("active", [ALL, SOME])
def test_propensities_are_the_frequencies_of_choices(name, active):
    ties = [(0, 1), (0, 0), (1, 1), (2, 1), (1, 0), (2, 0), (3, 0)]
    for outcomes, step in (([], 0), ([(1, 1)], 4001), (ties, 4001), (ties, 7), (ties * 20, 4001)):
        kernel = kernel_of(name)
        state = state_after(kernel, outcomes)
        chances, times = chances_of(kernel, state, step, active), 600
        assert chances.sum() == pytest.approx(1)
        assert (chances[~active] == 0).all()
        shares = drawn(kernel, state, step, times, active) / times
        assert (
            np.abs(shares - chances) <= 4.5 * np.sqrt(chances * (1 - chances) / times) + 1e-9
        ).all()


@pytest.mark.parametrize("name", INDEX)
@pytest.mark.parametrize("arms", [ARMS, BELOW], ids=["above", "below"])
def test_screening_never_changes_the_choice(name, arms):
    for seed, outcomes in enumerate(histories(40, 300)):
        kernel = kernel_of(name, arms)
        state = state_after(kernel, outcomes)
        for active in (ALL, SOME):
            chosen = drawn(kernel, state, len(outcomes), 1, active, seed).argmax()
            assert chances_of(kernel, state, len(outcomes), active)[chosen] > 0


@pytest.mark.parametrize("name", [*INDEX, "softmax", "gaussian_thompson"])
def test_an_arm_never_tried_comes_first(name):
    kernel = kernel_of(name)
    state = state_after(kernel, [(0, 1)] * 30 + [(3, 1)] * 30)
    counts = drawn(kernel, state, 60, 400)
    assert counts[0] == counts[3] == 0
    assert abs(counts[1] - 200) < 45


@pytest.mark.parametrize(
    "name", ["ucb1", "kl_ucb", "moss", "ucb_tuned", "softmax", "exp3", "gaussian_thompson"]
)
def test_a_reward_without_a_range_is_refused(name):
    with pytest.raises(ConfigError, match=f"bandit/{name}' needs the range of the reward"):
        kernel_of(name, replace(ARMS, range=None))


@pytest.mark.parametrize(
    ("name", "fields"), [("moss", {}), ("exp3", {}), ("bayes_ucb", {"exploration": 5.0})]
)
def test_an_unknown_horizon_is_refused(name, fields):
    with pytest.raises(ConfigError, match="horizon"):
        kernel_of(name, replace(ARMS, horizon=0), **fields)


def test_a_given_spread_or_share_needs_neither():
    unknown = replace(ARMS, range=None)
    assert kernel_of("gaussian_thompson", unknown, sd=3.0).settings.sd == 3
    assert kernel_of("exp3", replace(ARMS, horizon=0), gamma=0.2).settings.gamma == 0.2


def test_arms_of_one_price_have_no_order():
    with pytest.raises(ConfigError, match="'b' and 'c' earn the same"):
        kernel_of("monotone_thompson")


def test_the_bernoulli_bound_solves_its_equation():
    rng = np.random.default_rng(0)

    def divergence(mean, q):
        return mean * math.log(mean / q) + (1 - mean) * math.log((1 - mean) / (1 - q))

    for _ in range(500):
        pulls = int(10 ** rng.uniform(0.5, 5))
        mean = rng.integers(1, pulls) / pulls
        level = rng.uniform(0.1, 12) / pulls
        wanted = brentq(
            lambda q, m=mean, d=level: divergence(m, q) - d, mean, 1 - 1e-15, xtol=1e-15
        )
        assert kl_upper(mean, level) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert kl_upper(0.0, 0.5) == pytest.approx(1 - math.exp(-0.5))
    assert kl_upper(1.0, 0.5) == 1
    assert kl_upper(0.3, 0.0) == 0.3


@pytest.mark.parametrize("least", [0.2, 1.0])
def test_the_beta_quantile(least):
    rng = np.random.default_rng(1)
    for _ in range(300):
        a, b = least + 10 ** rng.uniform(-1, 4), least + 10 ** rng.uniform(-1, 4)
        tail = 10 ** rng.uniform(-6, -0.01)
        x = beta_upper(a, b, betaln(a, b), tail)
        if x > 1 - 1e-9:
            continue  # floats are too coarse there for a check by the tail
        assert betaincc(a, b, x) == pytest.approx(tail, rel=1e-5)
        assert beta_tail(a, b, betaln(a, b), x) == pytest.approx(tail, rel=1e-5)


def test_bayes_ucb_takes_the_quantile_of_the_posterior():
    kernel = kernel_of("bayes_ucb", exploration=1.0)
    outcomes = next(iter(histories(1, 300, seed=3)))
    state, step = state_after(kernel, outcomes), 500
    counts = np.zeros((2, 4))
    for arm, outcome in outcomes:
        counts[int(outcome), arm] += 1
    wanted = VALUES * betaincinv(counts[1] + 1, counts[0] + 1, 1 - 1 / (step * math.log(1000)))
    assert chances_of(kernel, state, step)[wanted.argmax()] == 1
    np.testing.assert_allclose(state[16:20], wanted, rtol=1e-8)


def test_the_index_of_ucb_tuned():
    kernel = kernel_of("ucb_tuned")
    state, step = (
        state_after(kernel, [(arm, i < 3 + arm) for arm in range(4) for i in range(10)]),
        40,
    )
    chances_of(kernel, state, step)
    conversion, part = np.array([0.3, 0.4, 0.5, 0.6]), math.log(step) / 10
    variance = (VALUES / 30) ** 2 * conversion * (1 - conversion) + math.sqrt(2 * part)
    wanted = VALUES * conversion + 30 * np.sqrt(part * np.minimum(0.25, variance))
    np.testing.assert_allclose(state[12:16], wanted)


def test_the_index_of_moss_ends_with_the_arms_share_of_the_horizon():
    kernel = kernel_of("moss")
    state = state_after(kernel, [(0, 1)] * 250 + [(1, 0)] * 100 + [(2, 0), (3, 0)])
    chances_of(kernel, state, 352)
    assert state[12] == 10
    assert state[13] == pytest.approx(30 * math.sqrt(math.log(2.5) / 100))


def test_the_chances_of_softmax():
    kernel = kernel_of("softmax", temperature=0.2)
    state = state_after(kernel, [(arm, i < 2) for arm in range(4) for i in range(4)])
    weights = np.exp(VALUES * 0.5 / 6)
    np.testing.assert_allclose(chances_of(kernel, state, 16), weights / weights.sum())


def test_the_share_of_chance_falls_as_one_over_time():
    kernel = kernel_of("epsilon_greedy", gap=0.2, pace=0.5)
    pace = 0.5 * 4 / 0.04
    assert [
        share_of_chance(kernel.settings.epsilon, kernel.settings.pace, step)
        for step in (0, 40, 500)
    ] == pytest.approx([1, 1, pace / 500])


def test_gaussian_draws_choose_by_the_normal_law():
    kernel = kernel_of("gaussian_thompson", sd=12.0)
    outcomes = [(1, i < 10) for i in range(20)] + [(3, i < 3) for i in range(10)]
    counts = drawn(
        kernel, state_after(kernel, outcomes), 30, 2000, np.array([False, True, False, True])
    )
    wanted = norm.cdf((10 - 9) / (12 * math.sqrt(1 / 20 + 1 / 10)))
    assert abs(counts[1] / 2000 - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 2000)


def test_exp3_divides_a_reward_by_its_chance():
    kernel = kernel_of("exp3", gamma=0.1)
    state = state_after(kernel, [(3, 1)])
    assert state[3] == pytest.approx(0.1)
    chance = 0.9 * 1 / (3 + math.exp(0.1)) + 0.1 / 4
    assert chances_of(kernel, state, 1)[0] == pytest.approx(chance)
    kernel.update(kernel.settings, state, visit(1), 0, 1.0)
    assert state[0] == pytest.approx(0.1 * (10 / 30) / (chance * 4))
    assert exp3.Exp3(name="x").kernel(ARMS).settings.gamma == pytest.approx(
        math.sqrt(4 * math.log(4) / ((math.e - 1) * 1000))
    )


def test_what_comes_after_the_test_moves_no_winner():
    kernel = kernel_of("ab_then_commit", per_arm=2)
    state = state_after(kernel, [(arm, arm == 1) for arm in range(4)] * 2)
    for step in range(8, 60):
        kernel.update(kernel.settings, state, visit(step), 3, 1.0)
    assert chances_of(kernel, state, 60).tolist() == [0, 1, 0, 0]
    assert [chances_of(kernel, state, step).argmax() for step in range(4)] == [0, 1, 2, 3]
    assert chances_of(kernel_of("ab_then_commit", in_turn=False), state, 3).tolist() == [0.25] * 4


def test_drawn_conversions_are_projected_on_falling_demand():
    rng = np.random.default_rng(4)
    for _ in range(50):
        order = rng.permutation(6)
        state = np.concatenate([rng.integers(1, 50, 12).astype(float), rng.random(6), np.zeros(18)])
        values, weights = state[12:18][order], (state[:6] + state[6:12])[order]
        monotone_thompson.project_falling(order, state)

        def mean(first, last, values=values, weights=weights):
            return np.average(values[first : last + 1], weights=weights[first : last + 1])

        wanted = [min(max(mean(s, t) for t in range(i, 6)) for s in range(i + 1)) for i in range(6)]
        np.testing.assert_allclose(state[12:18][order], wanted)


def test_an_exploration_beyond_all_numbers_is_refused():
    policy = build(
        "model", "model", option("model", "model", {"bandit/bayes_ucb": {"exploration": 1e5}})
    )
    with pytest.raises(
        ConfigError, match=r"^model\.exploration: is too much for 10,000 steps, got 100000\.$"
    ):
        policy.kernel(Arms(("a", "b"), np.ones(2), 0, 10_000, (0.0, 1.0)))
