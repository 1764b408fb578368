"""Offers that wait count by the law of the delay."""

from dataclasses import replace

import numpy as np
import pytest

from hwds.bandit.models.delayed_thompson import (
    DelayedThompson,
    init,
    offered,
    update,
    waiting_refusals,
)
from hwds.bandit.models.kernels.base import Arms, Visit
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.evaluation.protocol import Cell, RunContext

ARMS = Arms(("10", "20"), np.array([10.0, 20.0]), np.zeros((1, 0)), 1000, (0.0, 20.0), 50.0, 200.0)


def visit(at):
    return Visit(int(at), 0, ARMS.contexts[0], ARMS.all_active, float(at))


@pytest.mark.parametrize("begin", [0.0, 1.7e9])
def test_offers_that_wait_are_refusals_by_their_age(begin):
    kernel = DelayedThompson().kernel(ARMS)
    settings, state = kernel.settings, np.zeros(kernel.size)
    init(settings, state)
    times = begin + np.arange(0.0, 4000.0, 7.0)
    waiting = {}
    for number, at in enumerate(times):
        offered(settings, state, visit(at), number % 2)
        waiting[number] = at
        old = [each for each, then in waiting.items() if then < at - 200.0 or each % 5 == 0]
        for each in old:
            update(settings, state, visit(waiting.pop(each)), each % 2, 0.0)
    now = times[-1] + 3.0
    for arm in (0, 1):
        ages = now - np.array([at for number, at in waiting.items() if number % 2 == arm])
        expected = np.minimum(np.sum(1 - np.exp(-ages / 50.0)) / (1 - np.exp(-4.0)), len(ages))
        assert waiting_refusals(settings, state, arm, now) == pytest.approx(expected, rel=1e-6)


def test_it_loses_less_than_what_learns_only_what_has_come():
    world = PriceArms(delay=100, window=500, horizon=2000).load()
    game = BanditSimulation(horizon=2000).game(world)
    arms = world_arms(world, game)
    lost = {
        type(p): play_compiled(p.kernel(arms), world, game, 1, 0, 40).pseudo[:, -1]
        for p in (PriceThompson(), DelayedThompson())
    }
    less = lost[PriceThompson] - lost[DelayedThompson]
    assert less.mean() > 5 * less.std(ddof=1) / np.sqrt(len(less))


def test_without_a_delay_it_has_the_law_of_price_thompson():
    world = PriceArms(conversion=(0.3, 0.2), prices=(10.0, 20.0)).load()
    game = Game(12, 1, (12,))
    arms = world_arms(world, game)
    means = [
        play_compiled(p.kernel(arms), world, game, 5, 0, 20_000).pseudo[:, -1]
        for p in (PriceThompson(), DelayedThompson())
    ]
    error = np.hypot(*(each.std() / np.sqrt(len(each)) for each in means))
    assert abs(means[0].mean() - means[1].mean()) < 4 * error


def test_in_production_it_is_the_same_after_a_restart_and_counts_no_offer_without_a_delay(tmp_path):
    plain = replace(ARMS, delay=0.0, window=0.0)
    live = DelayedThompson(delay=50.0).live(plain, tmp_path, seed=1, window=200.0)
    for at in range(60):
        decision = live.decide(at=float(at))
        if at % 3 == 0:
            live.outcome(decision.id, at % 2 == 0, at=float(at))
    state = live._state.policy.state.copy()
    live._store.log.close()
    again = DelayedThompson(delay=50.0).live(plain, tmp_path, seed=1, window=200.0)
    assert np.array_equal(again._state.policy.state, state)
    assert state[4:6].sum() == 40  # offers that wait
    kernel = DelayedThompson().kernel(plain)
    state = np.zeros(kernel.size)
    kernel.init(kernel.settings, state)
    kernel.offered(kernel.settings, state, visit(0), 0)
    assert waiting_refusals(kernel.settings, state, 0, 1e6) == 0


def test_checkpoints_stand_around_a_shift():
    world = PriceArms(horizon=2000, shift_at=1000).load()
    steps = BanditSimulation(horizon=2000, checkpoints=3).game(world).checkpoints
    assert {1000, 1010, 1022, 1046, 1100}.issubset(steps)
    assert BanditSimulation(horizon=900, checkpoints=3).game(world).checkpoints == (
        1,
        2,
        5,
        10,
        22,
        46,
        100,
        215,
        464,
        900,
    )


def test_a_run_says_what_of_its_loss_is_the_delays_and_who_counts_no_offer_that_waits():
    world = PriceArms(delay=100, window=500, horizon=1000).load()
    protocol = BanditSimulation(horizon=1000, replications=20)
    fold = protocol.split(world)[0]
    rows = {
        label: protocol.evaluate_cell(
            policy, world, Cell(label, fold, 0, 20), RunContext(0, fold.name)
        )
        for label, policy in (("plain", PriceThompson()), ("delayed", DelayedThompson()))
    }
    found = {label: {s.metric: s for s in protocol.score(part)} for label, part in rows.items()}
    at_once = protocol.evaluate_cell(
        PriceThompson(),
        replace(world, delay=0.0, window=0),
        Cell("plain", fold, 0, 20),
        RunContext(0, fold.name),
    )
    assert rows["plain"]["at_once"].to_list() == at_once["pseudo_regret"].arr.last().to_list()
    assert found["plain"]["delay_regret"].value > found["delayed"]["delay_regret"].value > 0
    said = protocol.warnings_before(world, {"plain": PriceThompson(), "delayed": DelayedThompson()})
    assert said[-1].startswith("plain: learns what has come, conversions first")
