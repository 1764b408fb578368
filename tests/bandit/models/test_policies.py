"""What every compiled policy of conf/model/bandit must do; a new one is included by itself."""

from functools import cache

import numpy as np
import pytest

from hwds.bandit.live.state import SeenOutcome, policy_state_of
from hwds.bandit.models.kernels.base import Kernel, Visit
from hwds.bandit.models.neural import Neural
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, SimulationStep, world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.bandit.simulation.scores import tally_rows
from hwds.core.compose import option
from hwds.core.config import build
from hwds.core.registry import options
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.datasets.simulated.price_demand import PriceDemand
from tests.support.composed import class_of

STEPS, TIMES, KEY = 200, 50, 7
PROTOCOL = BanditSimulation(horizon=STEPS, replications=TIMES)
ARRIVES, LEAVES = (0, 0, 60, 0, 0), (0, 120, 0, 0, 0)


@cache
def market():
    """Segments that are seen, arms that come and go."""
    ladder = (0.6, 0.8, 1.0, 1.2, 1.4)
    return PriceDemand(
        channels=2, ladder=ladder, conversion=0.3, horizon=STEPS, arrives=ARRIVES, leaves=LEAVES
    ).load()


def policy(name):
    return build("model", "model", option("model", "model", name))


def played(name, world, start=0, stop=TIMES, threads=1):
    kernel = policy(name).kernel(world_arms(world, PROTOCOL.game(world)))
    assert isinstance(kernel, Kernel), f"{name} decides by batches"
    return play_compiled(kernel, world, PROTOCOL.game(world), KEY, start, stop, threads)


@cache
def usual(name):
    return played(name, market())


POLICIES = [name for name in options("model") if name.startswith("bandit/")]
every = pytest.mark.parametrize("name", POLICIES)
step_by_step = pytest.mark.parametrize(
    "name", [name for name in POLICIES if not issubclass(class_of("model", name), Neural)]
)
"""Those that are compiled; networks decide by batches (tests/bandit/models/test_neural.py)."""


@step_by_step
def test_regret_is_finite_and_below_that_of_the_worst_arm(name):
    world, tally = market(), usual(name)
    gaps = np.where(np.isfinite(world.rewards), world.best[:, :, None] - world.rewards, 0.0)
    assert np.isfinite(tally.pseudo).all()
    assert (np.diff(tally.pseudo, axis=1) >= -1e-9).all()
    assert tally.pseudo[:, -1].max() <= STEPS * gaps.max()
    assert (tally.pulls[:, -1].sum(axis=1) == STEPS).all()


@step_by_step
def test_every_arm_is_tried_while_it_is_there(name):
    world, tally = market(), usual(name)
    steps = np.array(PROTOCOL.game(world).checkpoints)
    assert (tally.pulls[:, -1].sum(axis=0) > 0).all()
    assert (tally.pulls[:, steps <= ARRIVES[2], 2] == 0).all()
    gone = tally.pulls[:, steps >= LEAVES[1], 1]
    assert (gone == gone[:, :1]).all()


@step_by_step
def test_threads_and_later_replications_change_nothing(name):
    world, once = market(), usual(name)
    for other in (played(name, world, threads=2), played(name, world, stop=TIMES + 7)):
        for mine, same in zip(once, other, strict=True):
            np.testing.assert_array_equal(mine, same[:TIMES])
    for mine, same in zip(once, played(name, world, start=40), strict=True):
        np.testing.assert_array_equal(mine[40:], same)


@step_by_step
@pytest.mark.parametrize("step", [30, 150])
def test_what_comes_later_changes_no_choice(name, step):
    world = market()
    rubbish = PROTOCOL.corrupt_after(world, SimulationStep(step), np.random.default_rng(step))
    clean, poisoned = (
        PROTOCOL.predictions_at(
            tally_rows(tally, of, PROTOCOL.game(of), 0), SimulationStep(step), of
        )
        for tally, of in ((usual(name), world), (played(name, rubbish), rubbish))
    )
    assert clean.width > 5
    assert clean.equals(poisoned)
    assert not np.array_equal(usual(name).realised[:, -1], played(name, rubbish).realised[:, -1])


@step_by_step
def test_the_order_of_the_arms_does_not_matter(name):
    times, results = 4000, []
    for conversion, prices in (((0.6, 0.3), (10.0, 12.0)), ((0.3, 0.6), (12.0, 10.0))):
        world = PriceArms(conversion=conversion, prices=prices, horizon=20).load()
        kernel = policy(name).kernel(world_arms(world, Game(20, 1, (20,))))
        assert isinstance(kernel, Kernel), name
        results.append(play_compiled(kernel, world, Game(20, 1, (1, 20)), KEY, 0, times))
    one, other = results
    for place in (1,) if policy(name).begins_in_turn else (0, 1):
        difference = one.pseudo[:, place].mean() - other.pseudo[:, place].mean()
        error = np.hypot(one.pseudo[:, place].std(), other.pseudo[:, place].std()) / times**0.5
        hint = (
            f"{name} depends on the order of the arms; where it begins in turn, set "
            f"begins_in_turn = True in its class"
        )
        assert abs(difference) <= 4 * error + 1e-9, hint


@every
def test_what_the_other_arms_would_have_earned_changes_no_choice(name):
    """Outcomes of arms not played, and all after a step, are rubbish in a second game: up to that
    step nothing differs.
    """
    steps, cut = 80, 60
    world = market()
    arms, rng = world_arms(world, Game(steps, 1, (steps,))), np.random.default_rng(3)
    truth = rng.random((steps, arms.count)) < 0.4
    first = choices(name, arms, truth)
    rubbish = ~truth
    rubbish[np.arange(cut), first[:cut]] = truth[np.arange(cut), first[:cut]]
    assert choices(name, arms, rubbish)[: cut + 1] == first[: cut + 1]


def choices(name, arms, outcomes):
    """The arms that a policy chooses where these are the outcomes of every arm at every step."""
    kernel = policy(name).kernel(arms)
    law, chosen, waiting = policy_state_of(kernel, 11), [], []
    segments = np.random.default_rng(4).integers(0, len(arms.contexts), len(outcomes))
    for step, segment in enumerate(segments.tolist()):
        visit = Visit(step, segment, arms.contexts[segment], arms.all_active)
        arm = law.select(visit)
        waiting.append(SeenOutcome(visit, arm, float(outcomes[step, arm])))
        if isinstance(kernel, Kernel) or step % 20 == 19:
            law.update(waiting)
            waiting = []
        chosen.append(arm)
    return chosen
