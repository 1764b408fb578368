"""A kernel that would crash in compiled code is refused in one line before it."""

import re
from typing import NamedTuple

import numpy as np
import pytest

from hwds.bandit import Arms, Kernel, Policy
from hwds.bandit.models.kernels import base as rehearsal
from hwds.bandit.models.kernels.indices import highest
from hwds.bandit.protocols.bandit_simulation import BanditSimulation
from hwds.core.compose import option
from hwds.core.config import build
from hwds.core.errors import ConfigError
from hwds.core.registry import options
from hwds.datasets.simulated.price_arms import PriceArms

ARMS = Arms(
    ("a", "b", "c"),
    np.array([10.0, 20.0, 30.0]),
    np.array([[0.0, 1.0], [1.0, 0.5]]),
    500,
    (0.0, 30.0),
)


class Settings(NamedTuple):
    share: float


def init(settings, state):
    pass


def select(settings, state, visit, stream):
    return highest(state, 0, visit.active, stream)


def update(settings, state, visit, arm, outcome):
    state[arm] += outcome


def by_step(settings, state, visit, arm, outcome):
    state[visit.step] = outcome


def misspelt(settings, state, visit, stream):
    return visit.stop


def log_of_nothing(settings, state):
    state[0] = 1.0 / settings.share


def too_much(settings, state, visit, chances):
    chances[:] = 0.5


def partial(settings, state, visit, chances):
    chances[0] = 1.0


class Mine(Policy):
    size: int = 3
    broken: str = ""

    def kernel(self, arms):
        own = dict(
            zip(
                ("init", "select", "update", "propensity"),
                (init, select, update, None),
                strict=True,
            )
        )
        if self.broken:
            place, _, name = self.broken.partition("=")
            own[place] = globals()[name]
        return Kernel(Settings(0.0), self.size, **own)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"size": 1},
            "select (FILE) fails: IndexError: index 1 is out of bounds for axis 0 with size 1; "
            "its Kernel has size=1.",
        ),
        (
            {"broken": "update=by_step"},
            "by_step (FILE) fails: IndexError: index 3 is out of bounds",
        ),
        (
            {"broken": "update=by_step", "size": 400},
            "by_step (FILE) fails: IndexError: index 499 is out of bounds",
        ),
        (
            {"broken": "select=misspelt"},
            "misspelt (FILE) fails: AttributeError: 'Visit' object has no attribute 'stop'.",
        ),
        (
            {"broken": "propensity=too_much"},
            "too_much (FILE) must write chances >= 0 with the sum 1 for all arms, got 0.5, 0.5",
        ),
        (
            {"broken": "propensity=partial"},
            "partial (FILE) must write chances >= 0 with the sum 1 for all arms, got 1, nan, nan.",
        ),
    ],
)
def test_a_kernel_that_fails_is_refused_before_it_is_compiled(fields, line):
    policy = Mine(name="mine", **fields)
    with pytest.raises(ConfigError) as refused:
        policy.live(ARMS, seed=1)
    pattern = re.escape(f"model: 'mine': {line}").replace("FILE", r"\S*test_rehearsal\.py:\d+")
    assert re.match(pattern, str(refused.value))
    assert "\n" not in str(refused.value)


def test_a_simulation_refuses_it_before_the_game():
    world = PriceArms(conversion=(0.6, 0.3), prices=(10.0, 12.0), horizon=20).load()
    with pytest.raises(
        ConfigError, match=r"model: 'mine': select \(.*test_rehearsal\.py:\d+\) fails: IndexError"
    ):
        BanditSimulation(horizon=20).check_models({"mine": Mine(size=1)}, world)


def test_what_compiled_code_may_do_is_not_refused():
    rehearsal._REHEARSED.clear()
    rehearsal.rehearse("mine", Mine(broken="init=log_of_nothing").kernel(ARMS), ARMS)
    assert set() == rehearsal._REHEARSED  # nor is it taken for one that was played to its end


@pytest.mark.parametrize("name", [name for name in options("model") if name.startswith("bandit/")])
def test_every_policy_is_rehearsed_to_its_end(name):
    kernel = build("model", "model", option("model", "model", name)).kernel(ARMS)
    rehearsal._REHEARSED.clear()
    rehearsal.rehearse(name, kernel, ARMS)
    assert len(rehearsal._REHEARSED) == kernel.compiled
