"""Purchases that bring amounts: the world's truth, what policies are given, and what that is
worth.
"""

from dataclasses import replace

import numpy as np
import pytest

from hwds.bandit.models.basket_thompson import BasketThompson
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.protocols.bandit_simulation import BanditSimulation, world_arms, world_remarks
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_arms import PriceArms, basket_amounts

SHOP = PriceArms(
    prices=(50.0, 60.0),
    conversion=(0.2, 0.15),
    basket="lognormal",
    basket_spread=1.5,
    basket_lift=(1.0, 1.6),
    horizon=3000,
)


@pytest.mark.parametrize(
    ("law", "spread"), [("gamma", 0.5), ("gamma", 2.0), ("lognormal", 1.5), ("pareto", 1.0)]
)
def test_amounts_have_the_mean_one_and_nearly_the_spread_of_their_law(law, spread):
    amounts = basket_amounts(law, spread)
    assert amounts.mean() == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(amounts) >= 0).all()
    short = 0.45 if law == "pareto" else 0.1  # the tail beyond one in sixteen thousand is cut
    assert spread * (1 - short) < amounts.std() <= spread * 1.01


def played(policy, world, games=40):
    game = Game(world.horizon, 1, (100, world.horizon), estimates=False)
    return play_compiled(policy.kernel(world_arms(world, game)), world, game, 5, 0, games)


@pytest.mark.parametrize("delay", [0.0, 50.0])
def test_who_learns_amounts_finds_the_offer_that_earns_most(delay):
    world = replace(SHOP, delay=delay, window=300 if delay else 0).load()
    assert world.worth.tolist() == [50.0, 96.0]
    assert world.best_fixed_arm(3000) == 1
    learned, priced = (played(policy, world) for policy in (BasketThompson(), PriceThompson()))
    assert learned.pseudo[:, -1].mean() < 0.5 * priced.pseudo[:, -1].mean()
    lost = learned.realised[:, -1] - learned.pseudo[:, -1]
    assert abs(lost.mean()) < 4 * lost.std() / np.sqrt(len(lost))


def test_without_amounts_every_purchase_brings_the_price_and_the_world_is_as_before():
    plain = PriceArms(prices=(50.0, 60.0), conversion=(0.2, 0.15), horizon=500)
    lifted = replace(plain, basket_lift=(1.0, 1.0)).load()
    assert plain.load().fingerprint == lifted.fingerprint
    assert not lifted.brings_amounts
    one, other = (played(BasketThompson(), world, 5) for world in (plain.load(), lifted))
    assert np.array_equal(one.pulls, other.pulls)


def test_who_takes_baskets_for_prices_is_remarked_and_no_price_is_chosen_by_counts():
    world, protocol = SHOP.load(), BanditSimulation(name="bandit_simulation")
    remarks = protocol.warnings_before(
        world, {"price": PriceThompson(), "basket": BasketThompson()}
    )
    assert [
        each
        for each in remarks
        if each.startswith("price: takes each purchase for the arm's value")
    ]
    assert list(world_remarks(world, protocol.game(world))) == []
    with pytest.raises(ConfigError, match="the purchases of this market bring other amounts"):
        protocol.offers(world)
    with pytest.raises(
        ConfigError, match=r"dataset\.basket_lift: must be one for each of the 2 arms, got \[1\.0\]"
    ):
        replace(SHOP, basket_lift=(1.0,)).load()
