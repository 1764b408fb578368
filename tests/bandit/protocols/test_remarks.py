"""Games that cannot be meant are refused, and what hardly can be is said."""

import numpy as np
import pytest

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, seen_share, world_arms
from hwds.bandit.simulation.play import play_batches
from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.datasets.simulated.price_demand import PriceDemand
from hwds.experiment.spec import check


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["protocol.batch=2000", "protocol.horizon=1000"],
            "protocol.batch: must be <= the 1,000 steps that are played, got 2000.",
        ),
        (
            ["protocol.batch=20000"],
            "protocol.batch: must be <= the 10,000 steps that are played, got 20000.",
        ),
        (
            ["dataset=price_arms_batches", "protocol.horizon=50"],
            "dataset.batch: must be <= the 50 steps that are played, got 1000",
        ),
    ],
)
def test_a_batch_that_ends_after_the_game_is_refused(words, said):
    experiment = check(compose(["+experiment=price_bandit", *words]))
    with pytest.raises(ConfigError) as refused:
        experiment.protocol.check_models({"m": Thompson()}, experiment.dataset.load())
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("dataset", "protocol", "said"),
    [
        (
            PriceArms(delay=1000, window=10),
            {},
            "1.1 % of conversions are ever seen: they come after 1000 steps on average",
        ),
        (
            PriceArms(delay=5, window=500),
            {"horizon": 100},
            "No refusal is ever seen: it takes 500 steps",
        ),
        (
            PriceArms(),
            {"batch": 100, "horizon": 100},
            "Nothing is learned: the first outcomes are seen after a batch of 100",
        ),
        (
            PriceArms(shift_at=900),
            {"horizon": 100},
            "The world stands still: it changes first at step 900 and 100 are played.",
        ),
        (
            PriceArms(means=(0.1, 0.2), arrives=(0, 300)),
            {"horizon": 100},
            "arm-2: never on offer in the 100 steps",
        ),
        (
            PriceArms(means=(0.2, 0.2)),
            {},
            "All arms on offer are worth the same: no policy can lose anything.",
        ),
        (PriceArms(means=(0.0, 0.0)), {}, "No arm earns anything"),
        (
            PriceArms(window=5),
            {},
            "dataset.window is not used: dataset.delay is 0, so all is seen at once.",
        ),
        (PriceArms(), {}, ""),
        (PriceArms(delay=5, window=60), {}, ""),
        (PriceDemand(delay=200, window=1000), {}, ""),
        (PriceDemand(drift=0.5), {"batch": 100}, ""),
    ],
)
def test_what_teaches_little_is_said(dataset, protocol, said):
    found = BanditSimulation(**protocol).warnings_before(dataset.load(), {})
    assert bool(found) == bool(said)
    assert not said or found[0].startswith(said)


def test_the_share_that_is_seen_is_that_of_the_game():
    world = PriceArms(means=(1.0, 1.0), delay=30, window=20, horizon=4000).load()
    wins = np.zeros(1)

    def update(state, steps, segments, contexts, arms, outcomes):
        wins[0] += outcomes.sum()
        return state

    class Counts(Policy):
        """Counts the conversions that it is told of."""

        def kernel(self, arms):
            return BatchKernel(
                lambda seed: None,
                lambda state, step, segments, *_: np.zeros(len(segments), int),
                update,
            )

    protocol = BanditSimulation(replications=5, batch=10)
    play_batches(
        Counts().kernel(world_arms(world, protocol.game(world))),
        world,
        protocol.game(world),
        1,
        0,
        5,
    )
    told = 5 * (4000 - 20)  # but for a few of the last, which were still waited for
    assert wins[0] / told == pytest.approx(seen_share(world), abs=0.02)
