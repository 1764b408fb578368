"""The cost of late outcomes, with and without offers that wait in the posterior: `python -m
bench.late_outcomes [games]`.

Five prices, of which 20 x .4 is the best, 4,000 customers a game; conversions come 200 customers
late on average by six laws, and offers count as refused after 1,000. `price_thompson` learns what
has come, `delayed_thompson` counts what waits by an exponential law with the mean delay, with twice
and with half of it. All of them meet the same customers. Three minutes of a core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from heapq import heappop, heappush

import numpy as np

from hwds.bandit.models.base import Policy
from hwds.bandit.models.delayed_thompson import DelayedThompson
from hwds.bandit.models.kernels.base import Arms, Kernel, Visit, register_kernel
from hwds.bandit.models.kernels.draws import seed_stream
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.core.compiling import compiled
from hwds.core.seeds import stream

GAMES, HORIZON, MEAN, WINDOW = 100, 4_000, 200.0, 1_000
PRICES, CONVERSION = (
    np.array([10.0, 20.0, 30.0, 40.0, 50.0]),
    np.array([0.6, 0.4, 0.25, 0.15, 0.08]),
)
ARMS = Arms(tuple(f"{price:g}" for price in PRICES), PRICES, np.zeros((1, 0)), HORIZON, (0.0, 50.0))

Law = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

LAWS: dict[str, Law] = {
    "exponential": lambda rng, shape: rng.exponential(MEAN, shape),
    "always 200": lambda rng, shape: np.full(shape, MEAN),
    "log-normal, 1.5": lambda rng, shape: MEAN * np.exp(rng.normal(-(1.5**2) / 2, 1.5, shape)),
    "Weibull, .5": lambda rng, shape: MEAN / 2 * rng.weibull(0.5, shape),
    "half at once, half at 400": lambda rng, shape: np.where(
        rng.random(shape) < 0.5, 0.0, 2 * MEAN
    ),
    "a third never, others exponential": lambda rng, shape: np.where(
        rng.random(shape) < 1 / 3, 1e9, rng.exponential(MEAN, shape)
    ),
    "exponential, 20": lambda rng, shape: rng.exponential(MEAN / 10, shape),
    "exponential, 1,000": lambda rng, shape: rng.exponential(5 * MEAN, shape),
}
MEANS = {"exponential, 20": MEAN / 10, "exponential, 1,000": 5 * MEAN}


def played(kernel: Kernel, drawn: np.ndarray, waits: np.ndarray, key: int) -> float:
    """Return the pseudo regret of one game.

    Args:
        kernel: Of the policy.
        drawn: A uniform number of each customer and arm, shape (T, K).
        waits: The delay of a conversion of each customer and arm, shape (T, K).
        key: Names the policy's own draws.
    """
    functions = register_kernel(kernel).functions
    run = {
        name: compiled(getattr(kernel, name), *functions) for name in ("init", "select", "update")
    }
    offered = None if kernel.offered is None else compiled(kernel.offered, *functions)
    state, words = np.zeros(kernel.size), np.zeros(4, np.uint64)
    compiled(seed_stream)(words, np.uint64(key))
    run["init"](kernel.settings, state)
    context, lost, best = np.zeros(0), 0.0, float((PRICES * CONVERSION).max())
    due: list[tuple[float, int, int, float]] = []
    for step in range(HORIZON):
        while due and due[0][0] <= step:
            _, then, arm, outcome = heappop(due)
            run["update"](
                kernel.settings,
                state,
                Visit(then, 0, context, ARMS.all_active, float(then)),
                arm,
                outcome,
            )
        visit = Visit(step, 0, context, ARMS.all_active, float(step))
        arm = int(run["select"](kernel.settings, state, visit, words))
        if offered is not None:
            offered(kernel.settings, state, visit, arm)
        lost += best - PRICES[arm] * CONVERSION[arm]
        seen = bool(drawn[step, arm] < CONVERSION[arm] and waits[step, arm] <= WINDOW)
        heappush(due, (step + (waits[step, arm] if seen else WINDOW), step, arm, float(seen)))
    return lost


def main(games: int) -> None:
    """Print the mean regret of each policy by each law, and how much less the one that counts what
    waits loses.
    """
    print(
        f"python -m bench.late_outcomes {games}: regret of {HORIZON:,} customers, mean of {games} "
        f"games +- a standard error\n"
    )
    names = ("price_thompson", "delayed", "delay x 2", "delay / 2")
    print(f"{'delay':36}{''.join(f'{name:>18}' for name in names)}   less, paired")
    for law, waits_of in LAWS.items():
        mean, window = MEANS.get(law, MEAN), float(WINDOW)
        policies: tuple[Policy, ...] = (
            PriceThompson(),
            *(DelayedThompson(delay=mean * factor, window=window) for factor in (1.0, 2.0, 0.5)),
        )
        lost = np.empty((len(policies), games))
        for game in range(games):
            rng = stream(game, "bench", "late", law)
            drawn, waits = rng.random((HORIZON, len(PRICES))), waits_of(rng, (HORIZON, len(PRICES)))
            for place, policy in enumerate(policies):
                lost[place, game] = played(policy.kernel(ARMS), drawn, waits, game)
        cells = [f"{each.mean():,.0f} +- {each.std(ddof=1) / np.sqrt(games):,.0f}" for each in lost]
        less = [lost[0] - each for each in lost[1:]]
        worst = min(each.mean() / (each.std(ddof=1) / np.sqrt(games)) for each in less)
        shares = ", ".join(f"{100 * each.mean() / lost[0].mean():.0f} %" for each in less)
        print(
            f"{law:36}{''.join(f'{cell:>18}' for cell in cells)}   {shares} (z {worst:.1f} at "
            f"least)",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else GAMES)
