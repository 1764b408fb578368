"""What is said of a cell that failed, and what is done before the first cell that is timed."""

from types import SimpleNamespace

import pytest

from hwds.bandit.models.kernels.base import Kernel
from hwds.bandit.models.kernels.indices import begin_with_zeros as init
from hwds.bandit.models.uniform_play import UniformPlay, select
from hwds.bandit.protocols.bandit_simulation import world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.evaluation.cells import compute_cell, message_of
from hwds.evaluation.protocol import Trying
from tests.evaluation import uncompilable_policies


def test_the_last_line_says_it():
    assert message_of(ValueError("first\nthe reason\n\n")) == "ValueError: the reason"
    assert message_of(ValueError()) == "ValueError: no message"


@pytest.mark.parametrize(
    ("update", "said"),
    [
        (uncompilable_policies.undefined, "name 'undefined_name' is not defined"),
        (
            uncompilable_policies.makes_arrays,
            "uncompilable_policies.py:17: makes_arrays: numba cannot compile 'state[arm] += "
            "np.zeros(3)[0]'",
        ),
    ],
)
def test_of_code_that_does_not_compile_the_innermost_reason_is_told(update, said):
    world, game = PriceArms().load(), Game(10, 1, (10,))
    settings = type(f"Settings_{update.__name__}", (uncompilable_policies.Settings,), {})(2)
    kernel = Kernel(settings, 5, init, select, update)
    assert UniformPlay().kernel(world_arms(world, game)).size == 1
    with pytest.raises(Exception) as failed:  # noqa: PT011
        play_compiled(kernel, world, game, 1, 0, 1)
    assert said in message_of(failed.value)


class Noting(Trying):
    """A protocol that notes what it is asked."""

    def __init__(self):
        self.asked = []

    def try_model(self, model, frame, fold, context):
        self.asked.append(context.fold)
        raise ValueError("too little")

    def try_features(self, features, frame):
        raise AssertionError("the model has none")

    def evaluate_cell(self, model, frame, cell, context):
        self.asked.append(context.fold)


@pytest.mark.parametrize(("ready", "asked"), [(True, ["toy", "a", "b"]), (False, ["a", "b"])])
def test_before_the_first_cell_of_a_class_that_is_timed_it_is_tried_on_toys(
    ready, asked, tmp_path, monkeypatch
):
    monkeypatch.setattr("hwds.evaluation.cells._READY", set())
    protocol, common = (
        Noting(),
        {"seed": 0, "cpus": 1, "device": "cpu", "features": None, "cells_folder": tmp_path},
    )
    job = SimpleNamespace(
        protocol=protocol,
        models={"m": UniformPlay()},
        inputs=None,
        learning=None,
        ready=ready,
        **common,
    )
    for name in "ab":
        fold = SimpleNamespace(name=name)
        assert compute_cell(job, None, SimpleNamespace(model="m", fold=fold, start=0)).error == ""
    assert protocol.asked == asked
