"""What is said of a cell that failed."""

import pytest

from hwds.datasets.simulated.price_arms import PriceArms
from hwds.execution.asking import message_of
from hwds.models.bandit.kernel import Kernel
from hwds.models.bandit.uniform_play import UniformPlay, init, select
from hwds.protocols.bandit_simulation import arms_of
from hwds.protocols.simulating import Game, play
from tests.execution import wrong_policies


def test_the_last_line_says_it():
    assert message_of(ValueError("first\nthe reason\n\n")) == "ValueError: the reason"
    assert message_of(ValueError()) == "ValueError: no message"


@pytest.mark.parametrize(
    ("update", "said"),
    [
        (wrong_policies.undefined, "name 'undefined_name' is not defined"),
        (wrong_policies.makes_arrays, "Only accept returning of array passed into the function"),
    ],
)
def test_of_code_that_does_not_compile_the_innermost_reason_is_told(update, said):
    world, game = PriceArms().load(), Game(10, 1, (10,))
    settings = type(f"Settings_{update.__name__}", (wrong_policies.Settings,), {})(2)
    kernel = Kernel(settings, 5, init, select, update)
    assert UniformPlay().kernel(arms_of(world, game)).size == 1
    with pytest.raises(Exception) as failed:  # noqa: PT011
        play(kernel, world, game, 1, 0, 1)
    assert said in message_of(failed.value)
