"""Bandit simulations on ten plain arms: hwds, pymab (compiled in Rust), mabwiser in the loop of its
documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

from bench.rows import Row, compared, interleaved
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import (
    Visit,
    call_init,
    call_select,
    call_update,
    register_kernel,
)
from hwds.bandit.models.kernels.draws import key_below, seed_stream, uniform
from hwds.bandit.models.kl_ucb import KLUCB
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.models.ucb1 import UCB1
from hwds.bandit.protocols.bandit_simulation import world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.core.compiling import compiled
from hwds.datasets.simulated.price_arms import PriceArms

NAME = "bandit simulations (ten arms, 10,000 steps; customers shared by all policies)"
MEANS = (0.1, 0.05, 0.05, 0.05, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01)
HORIZON = 10_000
FEW, MANY = 1, 20
WORLD = PriceArms(means=MEANS).load()
GAME = Game(HORIZON, 1, (HORIZON,))
REPEATS = 3

Regret = Callable[[], np.ndarray]


def measure() -> list[Row]:
    """Steps against steps; a rival's mean regret must be ours but for chance, else its row says
    so.
    """
    policies: dict[str, Policy] = {"Thompson": Thompson(), "UCB1": UCB1(), "KL-UCB": KLUCB()}
    rows = []
    for name, policy in policies.items():
        _compiled(policy)
        rows += _against(name, policy, "pymab 2 (Rust)", _pymab(name), MANY)
        if name in ("Thompson", "UCB1"):
            rows += _against(name, policy, "mabwiser, one by one", _mabwiser(name), FEW)
    return rows


def alone(
    settings: Any,
    state: np.ndarray,
    stream: np.ndarray,
    values: tuple[np.ndarray, np.ndarray, np.ndarray, float],
    horizon: int,
    key: np.uint64,
    regret: np.ndarray,
) -> None:
    """The kernel alone: customers of the policy's own stream, not shared with rivals, and nothing
    kept but regret.
    """
    means, context, active, best = values
    for row in range(regret.size):
        seed_stream(stream, key_below(key, row))
        state[:] = 0.0
        call_init(settings, state)
        lost = 0.0
        for step in range(horizon):
            visit = Visit(step, 0, context, active)
            arm = call_select(settings, state, visit, stream)
            call_update(settings, state, visit, arm, 1.0 if uniform(stream) < means[arm] else 0.0)
            lost += best - means[arm]
        regret[row] = lost


def _alone(policy: Policy, replications: int) -> Regret:
    kernel = register_kernel(policy.kernel(world_arms(WORLD, GAME)))
    run = compiled(alone, *kernel.functions)
    state, stream = np.zeros(kernel.size), np.zeros(4, np.uint64)
    values = np.array(MEANS), np.zeros(0), np.ones(len(MEANS), bool), max(MEANS)

    def play_alone() -> np.ndarray:
        regret = np.zeros(replications)
        run(kernel.settings, state, stream, values, HORIZON, np.uint64(1), regret)
        return regret

    play_alone()
    return play_alone


def _against(
    name: str, policy: Policy, rival: str, theirs: Regret, replications: int
) -> Iterator[Row]:
    ours = {"": _ours, ", kernel alone": _alone} if replications == MANY else {"": _ours}
    work = {added: make(policy, replications) for added, make in ours.items()}
    seconds = interleaved({**work, rival: theirs}, REPEATS)
    for added, make in ours.items():
        alike = _alike(make(policy, 400)(), theirs())
        yield compared(
            f"{name}, {replications} x {HORIZON:,}{added}",
            seconds[added],
            rival,
            seconds[rival],
            alike,
        )


def _alike(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether the mean regrets differ by no more than chance.

    The spread of one replication is taken from ours.
    """
    spread = ours.std(ddof=1) * np.sqrt(1 / len(ours) + 1 / len(theirs))
    return bool(abs(ours.mean() - theirs.mean()) < 5 * spread)


def _ours(policy: Policy, replications: int) -> Regret:
    kernel = policy.kernel(world_arms(WORLD, GAME))
    return lambda: play_compiled(kernel, WORLD, GAME, 1, 0, replications).pseudo[:, -1]


def _compiled(policy: Policy) -> float:
    """Compile, or read what was compiled before; seconds."""
    began = perf_counter()
    _ours(policy, 1)()
    return perf_counter() - began


def _pymab(name: str) -> Regret:
    from pymab import BanditEnvironment, BernoulliReward, Experiment, ExperimentConfig
    from pymab.policies import BernoulliThompsonSamplingPolicy, KLUCBPolicy, UCBPolicy

    count = len(MEANS)
    policy: Any = {
        "Thompson": lambda: BernoulliThompsonSamplingPolicy(n_arms=count),
        "UCB1": lambda: UCBPolicy(n_arms=count, c=2.0),
        "KL-UCB": lambda: KLUCBPolicy(n_arms=count, c=1e-9),
    }[name]()
    experiment = Experiment(
        environment=BanditEnvironment(means=np.array(MEANS), reward_model=BernoulliReward()),
        policies={"own": policy},
        config=ExperimentConfig(horizon=HORIZON, n_replicates=MANY, seed=1, backend="rust"),
    )

    def run() -> np.ndarray:
        regret: np.ndarray = experiment.run().cumulative_regret_by_replicate
        return regret[:, -1, 0]

    return run


def _mabwiser(name: str) -> Regret:
    from mabwiser.mab import MAB, LearningPolicy

    policy = (
        LearningPolicy.ThompsonSampling()
        if name == "Thompson"
        else LearningPolicy.UCB1(alpha=np.sqrt(2))
    )
    means = np.array(MEANS)

    def run() -> np.ndarray:
        bandit, rng = MAB(list(range(len(MEANS))), policy, seed=1), np.random.default_rng(1)
        first = list(range(len(MEANS)))
        bandit.fit(first, [int(rng.random() < means[arm]) for arm in first])
        lost = float(np.sum(means.max() - means))
        for _ in range(HORIZON - len(first)):
            arm = bandit.predict()
            bandit.partial_fit([arm], [int(rng.random() < means[arm])])
            lost += means.max() - means[arm]
        return np.array([lost])

    return run
