"""What arms earn, estimated after adaptive play: raw means are too low, corrected ones are not."""

import numpy as np
import pytest

from hwds.bandit.live.state import chances_of_arms
from hwds.bandit.models.base import Policy
from hwds.bandit.models.epsilon_greedy import EpsilonGreedy
from hwds.bandit.models.kernels.base import BatchKernel, Visit
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.models.ucb1 import UCB1
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, world_arms
from hwds.bandit.simulation.loop import ESTIMATE_METHODS, estimate
from hwds.bandit.simulation.play import Game, play_batches, play_compiled
from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check

HALVES = PriceArms(means=(0.5, 0.5), horizon=500)


def rows_of(protocol, model, world):
    fold = protocol.split(world)[0]
    return protocol.evaluate_cell(
        model, world, Cell("m", fold, 0, fold.units), RunContext(0, fold.name)
    )


def values_of(protocol, model, world):
    scores = protocol.score(rows_of(protocol, model, world))
    return {
        (score.metric, score.segment): score
        for score in scores
        if score.metric.startswith("arm_value")
    }


class Batched(Policy):
    """Thompson in numpy, by batches, with its chances counted in closed form for two arms: uniform
    unless one leads by far.
    """

    def kernel(self, arms):
        def chances(state):
            lead = np.sign(state[0] - state[1])
            return np.array([0.5 + 0.3 * lead, 0.5 - 0.3 * lead])

        def select(state, step, segments, contexts, active, generator):
            return (generator.random(len(segments)) > chances(state)[0]).astype(int)

        def update(state, steps, segments, contexts, chosen, outcomes):
            return state + np.bincount(chosen, 2 * outcomes - 1, minlength=2)

        def propensity(state, step, segments, contexts, active):
            return np.tile(chances(state), (len(segments), 1))

        return BatchKernel(lambda seed: np.zeros(2), select, update, propensity)


def test_means_after_thompson_are_too_low_and_corrected_ones_are_not():
    found = values_of(
        BanditSimulation(replications=4000, estimates="aipw"), Thompson(), HALVES.load()
    )
    for arm in ("arm-1", "arm-2"):
        raw = found["arm_value[raw]", arm]
        assert abs(raw.value - 0.5 + 0.0261) < 4 * raw.stderr  # as measured elsewhere
        assert raw.value < 0.5 - 12 * raw.stderr
        for method in ("ipw", "aipw"):
            score = found[f"arm_value[{method}]", arm]
            assert abs(score.value - 0.5) < 3 * score.stderr
            assert score.stderr < 0.0018
        assert found["arm_value[aipw]", arm].stderr < found["arm_value[ipw]", arm].stderr
        weighted = found["arm_value[aipw_weighted]", arm]
        assert raw.value + 0.008 < weighted.value
        assert weighted.stderr < found["arm_value[aipw]", arm].stderr


@pytest.mark.parametrize(
    ("policy", "dataset", "truth"),
    [
        (Thompson(), PriceArms(means=(0.5, 0.4), horizon=200), (0.5, 0.4)),
        (
            PriceThompson(),
            PriceArms(conversion=(0.3, 0.2), prices=(10.0, 18.0), horizon=100),
            (3.0, 3.6),
        ),
        (EpsilonGreedy(), PriceArms(horizon=100), (6.0, 8.0, 7.5, 6.0, 4.0)),
        (Thompson(), PriceArms(means=(0.5, 0.4), horizon=60, delay=5, window=50), (0.5, 0.4)),
        (Batched(), PriceArms(means=(0.5, 0.4), horizon=60), (0.5, 0.4)),
    ],
)
def test_corrected_values_are_unbiased(policy, dataset, truth):
    replications = 600 if isinstance(policy, Batched) else 2000
    protocol = BanditSimulation(
        replications=replications,
        estimates="aipw",
        batch=5 if isinstance(policy, Batched) else None,
    )
    world = dataset.load()
    found = values_of(protocol, policy, world)
    for arm, value in zip(world.arms, truth, strict=True):
        for method in ("ipw", "aipw"):
            score = found[f"arm_value[{method}]", arm]
            assert abs(score.value - value) < 4 * score.stderr, (arm, method)


def test_compiled_sums_are_those_of_the_log():
    world, steps = PriceArms(conversion=(0.5, 0.3, 0.6), prices=(10.0, 18.0, 9.0)).load(), 15
    kernel = PriceThompson().kernel(world_arms(world, Game(steps, 1, (steps,))))
    tallies = [
        play_compiled(kernel, world, Game(n, 1, (n,), True), 5, 0, 1) for n in range(1, steps + 1)
    ]
    pulls, wins = (
        np.diff([value[0] for value in column], axis=0, prepend=0)
        for column in zip(*map(counts, tallies), strict=True)
    )
    arms, converts = pulls.argmax(axis=1), wins.sum(axis=1) > 0
    state, chances = np.zeros(kernel.size), np.zeros((steps, 3))
    kernel.init(kernel.settings, state)
    for step in range(steps):
        visit = Visit(step, 0, np.zeros(0), np.ones(3, bool))
        chances[step] = chances_of_arms(kernel, state, visit).values
        kernel.update(kernel.settings, state, visit, int(arms[step]), float(converts[step]))
    expected = estimate(arms, converts, world.values, chances, np.ones((steps, 3), bool))
    assert tallies[-1].estimates[0] == pytest.approx(expected, rel=1e-9)


def counts(tally):
    return tally.pulls[:, -1].astype(int), tally.wins.astype(int)


def test_a_log_by_hand():
    """Two steps, chances .5/.5 then .8/.2: guesses 1/2, and after a conversion 2/3."""
    arms, converts = np.array([0, 1]), np.array([True, True])
    chances = np.array([[0.5, 0.5], [0.8, 0.2]])
    found = estimate(arms, converts, np.array([1.0, 10.0]), chances, np.ones((2, 2), bool))
    assert found[0, :, 0] == pytest.approx([(2 + 0) / 2, (0 + 50) / 2])
    first, second = [0.5 + 0.5 / 0.5, 2 / 3], [5.0, 5.0 + 5.0 / 0.2]
    assert found[1, :, 0] == pytest.approx([np.mean(first), np.mean(second)])
    roots = np.sqrt(chances)
    assert found[2, :, 0] == pytest.approx(
        [np.average(first, weights=roots[:, 0]), np.average(second, weights=roots[:, 1])]
    )
    assert found[1, 0, 1] == pytest.approx(np.std(first) / np.sqrt(2))


def test_choices_are_the_same_with_estimates_and_without():
    rows = [
        rows_of(
            BanditSimulation(replications=30, horizon=200, estimates=way),
            PriceThompson(),
            PriceArms().load(),
        )
        for way in ("none", "ipw", "aipw")
    ]
    extra = [set(table.columns) - set(rows[0].columns) for table in rows]
    assert extra[1] == {"value[ipw]", "stderr[ipw]"}
    assert extra[2] == {
        f"{kind}[{method}]" for kind in ("value", "stderr") for method in ESTIMATE_METHODS
    }
    assert rows[0].equals(rows[2].select(rows[0].columns))
    assert rows[1].equals(rows[2].select(rows[1].columns))


def test_an_arm_without_a_chance_has_no_corrected_value():
    found = values_of(
        BanditSimulation(replications=50, horizon=50, estimates="ipw"), UCB1(), HALVES.load()
    )
    score = found["arm_value[ipw]", "arm-1"]
    assert score.value is None
    assert (score.n, score.n_undefined) == (0, 50)
    assert found["arm_value[raw]", "arm-1"].value is not None


def test_a_batched_policy_without_a_formula_has_none():
    class Silent(Batched):
        def kernel(self, arms):
            full = super().kernel(arms)
            return BatchKernel(full.start, full.select, full.update)

    world = PriceArms(means=(0.5, 0.4)).load()
    arms = world_arms(world, Game(20, 5, (20,)))
    tally = play_batches(Silent().kernel(arms), world, Game(20, 5, (20,), True), 1, 0, 3)
    assert np.isnan(tally.estimates).all()
    assert (
        play_batches(Batched().kernel(arms), world, Game(20, 5, (20,)), 1, 0, 3).estimates.size == 0
    )


def test_a_wrong_correction_is_refused():
    with pytest.raises(ConfigError, match=r"protocol\.estimates"):
        check(
            compose(
                [
                    "dataset=price_arms",
                    "protocol=bandit_simulation",
                    "model=bandit/thompson",
                    "protocol.estimates=dr",
                ]
            )
        )
