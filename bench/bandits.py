"""Bandit simulations on ten plain arms: hwds, pymab (compiled in Rust), mabwiser in the loop of its documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

from bench.rows import Row, compared, interleaved
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.models.bandit.base import Policy
from hwds.models.bandit.kl_ucb import KLUCB
from hwds.models.bandit.thompson import Thompson
from hwds.models.bandit.ucb1 import UCB1
from hwds.protocols.bandit_simulation import arms_of
from hwds.protocols.simulating import Game, play

NAME = "bandit simulations (ten arms, 10,000 steps; customers shared by all policies)"
MEANS = (0.1, 0.05, 0.05, 0.05, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01)
HORIZON = 10_000
FEW, MANY = 1, 20
WORLD = PriceArms(means=MEANS).load()
GAME = Game(HORIZON, 1, (HORIZON,))
REPEATS = 3

Regret = Callable[[], np.ndarray]


def measure() -> list[Row]:
    """Steps against steps; a rival's mean regret must be ours but for chance, else its row says so."""
    policies: dict[str, Policy] = {"Thompson": Thompson(), "UCB1": UCB1(), "KL-UCB": KLUCB()}
    rows = []
    for name, policy in policies.items():
        _compiled(policy)
        rows += _against(name, policy, "pymab 2 (Rust)", _pymab(name), MANY)
        if name in ("Thompson", "UCB1"):
            rows += _against(name, policy, "mabwiser, one by one", _mabwiser(name), FEW)
    return rows


def _against(name: str, policy: Policy, rival: str, theirs: Regret, replications: int) -> Iterator[Row]:
    ours = _ours(policy, replications)
    seconds = interleaved({"hwds": ours, rival: theirs}, REPEATS)
    what = f"{name}, {replications} x {HORIZON:,}"
    yield compared(what, seconds["hwds"], rival, seconds[rival], _alike(_ours(policy, 400)(), theirs()))


def _alike(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Whether the mean regrets differ by no more than chance; the spread of one replication is taken from ours."""
    spread = ours.std(ddof=1) * np.sqrt(1 / len(ours) + 1 / len(theirs))
    return bool(abs(ours.mean() - theirs.mean()) < 5 * spread)


def _ours(policy: Policy, replications: int) -> Regret:
    kernel = policy.kernel(arms_of(WORLD, GAME))
    return lambda: play(kernel, WORLD, GAME, 1, 0, replications).pseudo[:, -1]


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
        "KL-UCB": lambda: KLUCBPolicy(n_arms=count, c=0.0),
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

    policy = LearningPolicy.ThompsonSampling() if name == "Thompson" else LearningPolicy.UCB1(alpha=np.sqrt(2))
    means = np.array(MEANS)

    def run() -> np.ndarray:
        bandit, luck = MAB(list(range(len(MEANS))), policy, seed=1), np.random.default_rng(1)
        first = list(range(len(MEANS)))
        bandit.fit(first, [int(luck.random() < means[arm]) for arm in first])
        lost = float(np.sum(means.max() - means))
        for _ in range(HORIZON - len(first)):
            arm = bandit.predict()
            bandit.partial_fit([arm], [int(luck.random() < means[arm])])
            lost += means.max() - means[arm]
        return np.array([lost])

    return run
