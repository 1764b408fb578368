"""Thompson sampling on what baskets bring, in laws with known truth: `python -m bench.baskets
[games]`.

Five offers, of whose expected baskets the shop knows a guess: it takes the fourth for the best, and
the fifth is. One in ten to seventeen buys, for amounts of five laws, from a mild one to a power
tail, in markets that tell at once and 200 customers late. Every policy meets the same customers.
Then the posterior itself: after so many customers of each offer, how often 90 % of it holds what
the offer truly earns, and how often the offer that it takes for the best with a probability is the
best. Five minutes of a core for 200 games.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from hwds.bandit.live.state import chances_of_arms
from hwds.bandit.models.base import Policy
from hwds.bandit.models.basket_thompson import BasketThompson
from hwds.bandit.models.delayed_thompson import DelayedThompson
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit, register_kernel
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.models.uniform_play import UniformPlay
from hwds.bandit.protocols.bandit_simulation import world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.core.compiling import compiled
from hwds.core.seeds import stream
from hwds.datasets.simulated.price_arms import BasketLaw, PriceArms, basket_amounts
from hwds.frames.world import World

GAMES, HORIZON, POSTERIORS = 200, 20_000, 2_000
OFFERS = PriceArms(
    prices=(40.0, 50.0, 60.0, 70.0, 80.0),
    conversion=(0.10, 0.09, 0.08, 0.07, 0.06),
    basket_lift=(0.8, 1.0, 1.1, 0.9, 1.3),
    horizon=HORIZON,
)
LAWS: tuple[tuple[BasketLaw, float], ...] = (
    ("gamma", 0.5),
    ("gamma", 1.0),
    ("lognormal", 1.5),
    ("lognormal", 3.0),
    ("pareto", 2.0),
)
SEEN = (100, 500, 2_500, 12_500)
"""Customers of each offer after which posteriors are looked at."""

DRAWN = 1_000
"""Draws of a posterior."""

POLICIES: Mapping[str, Policy] = {
    "basket": BasketThompson(),
    "price": PriceThompson(),
    "delayed": DelayedThompson(),
    "conversion": Thompson(),
    "uniform": UniformPlay(),
}


def regrets(world: World, games: int) -> dict[str, np.ndarray]:
    """Return the pseudo regret of each game by policy."""
    game = Game(world.horizon, 1, (world.horizon,))
    lost = {}
    for name, policy in POLICIES.items():
        kernel = policy.kernel(world_arms(world, game))
        assert isinstance(kernel, Kernel)
        lost[name] = play_compiled(kernel, world, game, 7, 0, games).pseudo[:, -1]
    return lost


def posteriors(
    law: BasketLaw, spread: float, seen: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield for many shops draws of what each offer earns, what it truly earns, and the probability
    that it is the best.

    Conversions and mean baskets differ from shop to shop as the prior of the policy says less than
    one knows: a tenth buys on average, for what the shop expects, give or take a third.
    """
    rng = stream(seen, "bench", "baskets", law, str(spread))
    amounts = basket_amounts(law, spread)
    for _ in range(POSTERIORS):
        conversion, lift = rng.beta(10, 90, 5), np.exp(rng.normal(0, 0.3, 5))
        arms = Arms(tuple("abcde"), np.full(5, 50.0), np.zeros((1, 0)))
        kernel = BasketThompson().kernel(arms)
        state = np.zeros(kernel.size)
        compiled(kernel.init, *register_kernel(kernel).functions)(kernel.settings, state)
        for arm in range(5):
            brought = (
                lift[arm]
                * amounts[rng.integers(0, len(amounts), rng.binomial(seen, conversion[arm]))]
            )
            state[arm::5][:4] += (
                len(brought),
                seen - len(brought),
                brought.sum(),
                np.square(brought).sum(),
            )
        visit = Visit(0, 0, np.zeros(0), arms.all_active)
        chances = chances_of_arms(
            kernel, state, visit, draws=1_000, key=int(rng.integers(2**62))
        ).values
        yield drawn_values(kernel, state, rng), 50.0 * conversion * lift, chances


def drawn_values(kernel: Kernel, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return draws of what each offer earns, shape (DRAWN, 5): the law that `select` draws from,
    written again.
    """
    settings = kernel.settings
    wins, losses, sums, squares = state[:20].reshape(4, 5)
    n = wins - settings.wins + settings.orders
    mean = sums / n
    deviation = np.sqrt(np.maximum(squares / n - mean**2, 0) / n)
    amounts = mean + deviation * rng.standard_normal((DRAWN, 5))
    return np.asarray(settings.values * amounts * rng.beta(wins, losses, (DRAWN, 5)))


def main(games: int) -> None:
    """Print both tables."""
    print(
        f"python -m bench.baskets {games}: regret of {HORIZON:,} customers, mean of {games} games "
        f"+- a standard error\n"
    )
    print(
        f"{'amounts (spread over mean), delay':36}{''.join(f'{name:>18}' for name in POLICIES)}   "
        f"less than price"
    )
    for law, spread in LAWS:
        for delay in (0.0, 200.0):
            world = replace(
                OFFERS, basket=law, basket_spread=spread, delay=delay, window=1_000 if delay else 0
            ).load()
            lost = regrets(world, games)
            cells = "".join(
                f"{f'{each.mean():,.0f} +- {each.std(ddof=1) / np.sqrt(games):,.0f}':>18}"
                for each in lost.values()
            )
            less = 100 * (1 - lost["basket"].mean() / lost["price"].mean())
            print(f"{f'{law} ({spread:g}), {delay:g}':36}{cells}   {less:.0f} %", flush=True)
    print(
        f"\nposteriors of {POSTERIORS:,} shops of five offers, percent: 90 % of it holds the "
        f"truth; the best is named"
    )
    print(
        f"{'amounts, customers of each offer':36}{'covers 90':>12}{'said best':>12}{'is best':>12}"
        f"{'error':>12}"
    )
    for law, spread in LAWS:
        for seen in SEEN:
            print(
                f"{f'{law} ({spread:g}), {seen:,}':36}{calibration(law, spread, seen)}", flush=True
            )


def calibration(law: BasketLaw, spread: float, seen: int) -> str:
    """Return coverage, the mean probability of the offer taken for the best, how often it is, and
    the error by tenths.
    """
    covers, said, right = [], [], []
    for draws, truth, chances in posteriors(law, spread, seen):
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        covers.append((low <= truth) & (truth <= high))
        said.append(chances)
        right.append(np.arange(5) == truth.argmax())
    chance, best = np.array(said), np.array(right)
    first = chance.argmax(axis=1)
    places = np.arange(len(chance)), first
    tenths = np.minimum((10 * chance.ravel()).astype(int), 9)
    gaps = [
        abs(chance.ravel()[tenths == tenth].mean() - best.ravel()[tenths == tenth].mean())
        * (tenths == tenth).mean()
        for tenth in np.unique(tenths)
    ]
    numbers = 100 * np.array(
        [np.mean(covers), chance[places].mean(), best[places].mean(), np.sum(gaps)]
    )
    return "".join(f"{number:12.1f}" for number in numbers)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else GAMES)
