"""The loop by batches and the compiled loop: the same customers, the same outcomes, seen at the same time."""

from typing import NamedTuple

import numpy as np
import pytest

from hwds.datasets.simulated.price_arms import PriceArms
from hwds.datasets.simulated.price_demand import PriceDemand
from hwds.models.bandit.kernel import BatchKernel, Kernel, Visit
from hwds.protocols.simulating import Game, play
from hwds.protocols.simulating_batches import play_batches

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
    """An arm that follows from all that was seen, and from the customer, as unforeseeable as a hash."""
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
    compiled = play(Kernel(Settings(arms), 2 * arms, init, select, update), world, game, 11, 2, 5)
    batched = play_batches(BatchKernel(twin.start, twin.select, twin.update), world, game, 11, 2, 5)
    for field in ("pulls", "wins", "visits"):
        assert np.array_equal(getattr(compiled, field), getattr(batched, field)), field
    for field in ("pseudo", "fixed", "realised", "by_segment"):
        assert getattr(compiled, field) == pytest.approx(getattr(batched, field), rel=1e-12, abs=1e-9), field
    assert (compiled.pulls[:, -1] > 0).sum() > 3


def test_an_absent_arm_is_refused():
    world, game = PriceArms(arrives=(0, 500, 0, 0, 0)).load(), Game(10, 5, (10,))
    wrong = BatchKernel(
        lambda seed: None, lambda state, step, segments, *rest: np.ones(len(segments), int), lambda state, *_: state
    )
    with pytest.raises(ValueError, match="absent arm was chosen at step 0"):
        play_batches(wrong, world, game, 0, 0, 1)
