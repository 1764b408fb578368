"""The loop by batches and the compiled loop: the same customers, the same outcomes, seen at the
same time.
"""

from typing import NamedTuple

import numpy as np
import pytest

from hwds.bandit.models.kernels.base import BatchKernel, Kernel, Visit
from hwds.bandit.simulation.play import Game, play_batches, play_compiled
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.datasets.simulated.price_demand import PriceDemand

MOVING = {"arrives": (0, 0, 150, 0, 0, 333, 0), "leaves": (410, 0, 0, 0, 500, 0, 0)}
WORLDS = {
    "one segment": PriceArms(),
    "segments": PriceDemand(),
    "delays": PriceDemand(delay=20, window=70),
    "cycles": PriceDemand(season=200),
    "drift": PriceDemand(drift=2.0, horizon=700),
    "coming and going": PriceDemand(**MOVING),
    "a shift, late": PriceArms(means=(0.7, 0.4, 0.2), shift_at=333, delay=5, window=9),
}


class Settings(NamedTuple):
    """Arms."""

    arms: int


def init(settings, state):
    """Nothing was seen."""


def select(settings, state, visit, stream):
    """An arm that follows from all that was seen, and from the customer, as unforeseeable as a
    hash.
    """
    best, chosen = -1.0, 0
    for arm in range(settings.arms):
        told = 7 * state[arm] + 31 * state[settings.arms + arm] + 5 * visit.segment + 11 * arm
        for i in range(visit.context.size):
            told += (3 + i) * visit.context[i]
        told = (told * told) % 101
        if visit.active[arm] and told > best:
            best, chosen = told, arm
    return chosen


def update(settings, state, visit, arm, outcome):
    """Counts, and when and for whom they were."""
    state[arm] += 1.0
    state[settings.arms + arm] += outcome * (1.0 + visit.step % 13 + visit.segment)


class Twin:
    """The same rule by batches."""

    def __init__(self, arms):
        self.settings = Settings(arms)

    def start(self, seed):
        return np.zeros(2 * self.settings.arms)

    def select(self, state, step, segments, contexts, active, generator):
        visits = [Visit(step, *seen, active) for seen in zip(segments, contexts, strict=True)]
        return np.array([select(self.settings, state, visit, None) for visit in visits])

    def update(self, state, steps, segments, contexts, arms, outcomes):
        for *seen, arm, outcome in zip(steps, segments, contexts, arms, outcomes, strict=True):
            update(self.settings, state, Visit(*seen, None), arm, outcome)
        return state


@pytest.mark.parametrize("batch", [1, 30, 128])
@pytest.mark.parametrize("name", WORLDS)
def test_the_same_choices_leave_the_same_tally(name, batch):
    world, game = WORLDS[name].load(), Game(700, batch, (1, 30, 333, 700))
    arms = len(world.arms)
    twin = Twin(arms)
    compiled = play_compiled(
        Kernel(Settings(arms), 2 * arms, init, select, update), world, game, 11, 2, 5
    )
    batched = play_batches(BatchKernel(twin.start, twin.select, twin.update), world, game, 11, 2, 5)
    for field in ("pulls", "wins", "closed", "closed_wins", "visits"):
        assert np.array_equal(getattr(compiled, field), getattr(batched, field)), field
    for field in ("pseudo", "fixed", "realised", "by_segment"):
        assert getattr(compiled, field) == pytest.approx(
            getattr(batched, field), rel=1e-12, abs=1e-9
        ), field
    assert (compiled.pulls[:, -1] > 0).sum() > 3


@pytest.mark.parametrize("batch", [1, 30])
def test_what_is_closed_is_what_a_policy_could_have_seen(batch):
    """An offer is closed when its window is over and its batch is full.

    Only conversions in the window count.
    """
    world = PriceArms(means=(0.5, 0.3), delay=20, window=40).load()
    closing = 700 - 700 % batch - 40
    game = Game(700, batch, (closing, 700))
    heard = []

    def start(seed):
        heard.append(np.zeros(4))
        return heard[-1]

    def told(state, steps, segments, contexts, arms, outcomes):
        early = steps < closing
        np.add.at(state, arms[early], 1.0)
        np.add.at(state, 2 + arms[early], outcomes[early])
        return state

    def choose(state, step, segments, *rest):
        return (step + np.arange(len(segments))) % 2

    tally = play_batches(BatchKernel(start, choose, told), world, game, 3, 0, 4)
    assert np.array_equal(tally.closed, tally.pulls[:, 0])
    assert np.array_equal(np.hstack([tally.closed, tally.closed_wins]), np.array(heard))
    assert (tally.closed_wins < tally.wins).all()
    open_ended = play_batches(
        BatchKernel(start, choose, told), world, Game(30, batch, (30,)), 3, 0, 1
    )
    assert open_ended.wins.sum() > 0
    assert not open_ended.closed.any()
    assert not open_ended.closed_wins.any()


def test_without_a_delay_all_is_closed_but_an_unfinished_batch():
    world = PriceArms().load()
    arms = len(world.arms)
    kernel = Kernel(Settings(arms), 2 * arms, init, select, update)
    whole, cut = (
        play_compiled(kernel, world, Game(700, batch, (680, 700)), 11, 0, 3) for batch in (1, 40)
    )
    assert np.array_equal(whole.closed, whole.pulls[:, -1])
    assert np.array_equal(whole.closed_wins, whole.wins)
    assert np.array_equal(cut.closed, cut.pulls[:, 0])
    assert (cut.closed_wins <= cut.wins).all()


def test_an_absent_arm_is_refused():
    world, game = PriceArms(arrives=(0, 500, 0, 0, 0)).load(), Game(10, 5, (10,))
    wrong = BatchKernel(
        lambda seed: None,
        lambda state, step, segments, *rest: np.ones(len(segments), int),
        lambda state, *_: state,
    )
    with pytest.raises(ValueError, match="absent arm was chosen at step 0"):
        play_batches(wrong, world, game, 0, 0, 1)
