from dataclasses import replace

import numpy as np
import pytest

from hwds.bandit.live.state import chances_of_arms
from hwds.bandit.models.kernels import beta_thompson
from hwds.bandit.models.kernels.base import Arms, BatchKernel, Visit
from hwds.bandit.models.thompson import beta_kernel
from hwds.bandit.models.uniform_play import UniformPlay
from hwds.core.compiling import compiled

DRAWS = 1_000_000

CASES = {
    "two alike": ([1, 1], [3, 10], [5, 4], (1, 1)),
    "two alike, many outcomes": ([1, 1], [300, 250], [700, 720], (1, 1)),
    "more outcomes than terms": ([1, 1], [2600, 2550], [7400, 7500], (1, 1)),
    "prices": ([10, 20], [3, 10], [5, 40], (1, 1)),
    "a ladder of prices": ([10, 20, 30, 40, 50], [60, 40, 25, 15, 8], [40, 60, 75, 85, 92], (1, 1)),
    "prices of which nothing is known": ([10, 20, 40], [0, 0, 0], [0, 0, 0], (1, 1)),
    "a prior of halves": ([10, 20, 30, 40, 50], [0, 4, 0, 1, 0], [0, 6, 2, 8, 3], (0.5, 0.5)),
    "a prior with poles": ([1, 1], [0, 3], [4, 0], (0.3, 0.3)),
    "a prior of fractions": ([1, 2, 3], [10, 5, 4], [2, 6, 7], (2.5, 1.5)),
    "one sharp, one flat": ([1, 1.001], [1000, 0], [9000, 0], (1, 1)),
    "losses only": ([-1, -2], [3, 3], [4, 9], (1, 1)),
    "no value": ([0, 0, -1], [3, 3, 1], [4, 9, 1], (1, 1)),
    "ten": (
        [1] * 10,
        [10, 5, 5, 5, 2, 2, 2, 1, 1, 1],
        [90, 95, 95, 95, 98, 98, 98, 99, 99, 99],
        (1, 1),
    ),
}


def offered(active, context=()):
    return Visit(0, 0, np.array(context, float), active)


def at(values, wins, losses, prior):
    kernel = beta_kernel(
        np.array(values, float), *(np.full(len(values), float(count)) for count in prior)
    )
    state = np.zeros(kernel.size)
    kernel.init(kernel.settings, state)
    learn, customer = (
        compiled(kernel.update, *kernel.functions),
        offered(np.ones(len(values), bool)),
    )
    for arm, (won, lost) in enumerate(zip(wins, losses, strict=True)):
        for outcome in [1.0] * won + [0.0] * lost:
            learn(kernel.settings, state, customer, arm, outcome)
    return kernel, state


def drawn(values, wins, losses, prior, active):
    rng = np.random.default_rng(1)
    best, chosen = np.full(DRAWS, -np.inf), np.zeros(DRAWS, np.int8)
    for arm in np.flatnonzero(active):
        own = values[arm] * rng.beta(prior[0] + wins[arm], prior[1] + losses[arm], DRAWS)
        chosen[own > best] = arm
        best = np.maximum(best, own)
    return np.bincount(chosen, minlength=len(values)) / DRAWS


@pytest.mark.parametrize("case", CASES)
def test_the_chances_of_thompson_are_those_of_a_million_draws(case):
    values, wins, losses, prior = CASES[case]
    kernel, state = at(*CASES[case])
    for active in (np.ones(len(values), bool), np.arange(len(values)) != 1):
        chances = chances_of_arms(kernel, state, offered(active)).values
        off = chances - drawn(values, wins, losses, prior, active)
        assert abs(off / np.sqrt(np.maximum(chances * (1 - chances), 1e-6) / DRAWS)).max() < 4.5
        assert chances.sum() == pytest.approx(1, abs=1e-12)
        assert (chances[~active] == 0).all()


@pytest.mark.parametrize(
    ("wins", "losses"),
    [
        ((3, 10), (5, 4)),
        ((300, 250), (700, 720)),
        ((0, 0), (0, 0)),
        ((50, 20), (450, 480)),
        ((5, 1), (0, 80)),
        ((30, 90), (9, 70)),
    ],
)
def test_the_sum_is_exact_and_the_sweep_agrees(wins, losses):
    from scipy import integrate, stats

    kernel, state = at([1, 1], wins, losses, (1, 1))
    both = np.ones(2, bool)
    first, second = (stats.beta(won + 1, lost + 1) for won, lost in zip(wins, losses, strict=True))
    whole = {
        "points": [first.mean(), second.mean()],
        "epsabs": 1e-13,
        "epsrel": 1e-11,
        "limit": 400,
    }
    exact = integrate.quad(lambda x: first.pdf(x) * second.cdf(x), 0, 1, **whole)[0]
    summed = chances_of_arms(kernel, state, offered(both)).values
    assert summed[0] == pytest.approx(exact, abs=1e-11)
    swept = chances_of_arms(
        replace(kernel, settings=kernel.settings._replace(screened=False)), state, offered(both)
    ).values
    assert swept == pytest.approx(summed, abs=1e-6)
    assert swept == pytest.approx(summed, rel=2e-4)


def test_an_arm_that_lost_long_ago_keeps_a_chance_above_0():
    kernel, state = at([1, 1], (5, 900), (995, 100), (1, 1))
    chances = chances_of_arms(kernel, state, offered(np.ones(2, bool))).values
    assert chances[0] == pytest.approx(beta_thompson.LOWEST_CHANCE, rel=1e-3)
    assert chances.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("case", ["two alike", "a ladder of prices"])
def test_counted_chances_are_those_of_the_formula(case):
    kernel, state = at(*CASES[case])
    active = np.ones(len(kernel.settings.values), bool)
    exact, before = chances_of_arms(kernel, state, offered(active)), state.copy()
    counted = chances_of_arms(kernel, state, offered(active), draws=200_000, key=5, formula=False)
    assert (exact.draws, counted.draws) == (0, 200_000)
    assert abs(counted.values - exact.values).max() < 4 * np.sqrt(0.25 / 200_000)
    assert (state == before).all()


def test_counts_are_smoothed_so_that_no_chance_is_0():
    kernel, state = at([1, 1, 1], (0, 300, 5), (500, 10, 5), (1, 1))
    active = np.array([True, True, False])
    counted = chances_of_arms(kernel, state, offered(active), draws=98, formula=False)
    assert counted.values.tolist() == [0.01, 0.99, 0]


def test_a_batched_kernel_is_asked_or_counted():
    def select(state, step, segments, contexts, active, generator):
        return (generator.random(len(segments)) < contexts[:, 0]).astype(int)

    def propensity(state, step, segments, contexts, active):
        return np.stack([1 - contexts[:, 0], contexts[:, 0]], axis=1)

    kernel = BatchKernel(lambda seed: None, select, lambda state, *seen: state, propensity)
    asked = offered(np.ones(2, bool), [0.3])
    own = chances_of_arms(kernel, None, asked)
    assert own.values.tolist() == [0.7, 0.3]
    counted = chances_of_arms(replace(kernel, propensity=None), None, asked, draws=4000)
    assert abs(counted.values - own.values).max() < 4 * np.sqrt(0.21 / 4000)


def test_a_policys_own_formula_is_used():
    arms = Arms(("a", "b", "c"), np.ones(3), np.zeros((1, 0)))
    kernel = UniformPlay().kernel(arms)
    chances = chances_of_arms(kernel, np.zeros(kernel.size), offered(np.array([True, False, True])))
    assert chances.values.tolist() == [0.5, 0, 0.5]
    assert chances.draws == 0
