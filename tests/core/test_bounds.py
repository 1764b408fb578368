"""Every number of every option has the bounds that its meaning gives."""

from dataclasses import fields
from typing import get_args, get_type_hints

import pytest
from annotated_types import Ge, Gt, Le, Lt

from hwds.core.recipe import Recipe
from hwds.core.registry import GROUPS, options
from hwds.experiment.spec import Experiment
from tests.support.composed import class_of

OWN = {"shrinkage", "bandwidth", "clip", "strength", "limit"}
"""Numbers or `slope`, whose bounds one function checks."""


def unbounded(hint, low=False, high=False):
    """Yield the numbers of a type that lack a lower or an upper bound."""
    marks = getattr(hint, "__metadata__", ())
    low |= any(isinstance(mark, Ge | Gt) for mark in marks)
    high |= any(isinstance(mark, Le | Lt) for mark in marks)
    if hint in (int, float) and not (low and high):
        yield hint
    for inner in get_args(hint)[: 1 if marks else None]:
        yield from unbounded(inner, low, high)


@pytest.mark.parametrize("group", GROUPS)
def test_every_number_has_a_lower_and_an_upper_bound(group):
    classes = {class_of(group, option) for option in options(group)}
    without = {
        f"{cls.__qualname__}.{field.name}"
        for cls in (*classes, Experiment)
        for field in fields(cls)
        if field.name not in OWN
        and [*unbounded(get_type_hints(cls, include_extras=True)[field.name])]
    }
    assert without == set()


def test_a_recipe_of_a_user_may_have_any_bounds():
    class Mine(Recipe):
        """Mine."""

        size: float = 0.0

    assert Mine(size=1e300).size == 1e300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("protocol.horizon=1000000", "protocol.horizon: must be <= 100000, got 1000000."),
        (
            "protocol.stride=100000000000000000000",
            "protocol.stride: must be <= 100000, got 100000000000000000000.",
        ),
        (
            "seed=9223372036854775808",
            "seed: must be < 9223372036854775808, got 9223372036854775808.",
        ),
        (
            "model=forecast/xgboost model.learning_rate=1e300",
            "model.learning_rate: must be <= 1000000000000.0, got 1e+300.",
        ),
        (
            "model=forecast/xgboost model.learning_rate=5e-324",
            "model.learning_rate: must be >= 1e-12, got 5e-324.",
        ),
        (
            "model=forecast/stack model.members=1e400",
            "model.members: must be a list of model options, got inf.",
        ),
        (
            "dataset=handbook_simulator model=classify/logistic protocol=prequential "
            "dataset.days=36525",
            "dataset.days: 5,000 customers on 36,525 days are more than 20,000,000 customer-days, "
            "each with a payment or two;"
            " lower either.",
        ),
        (
            f"--config-dir {'9' * 400}",
            f"plan: --config-dir must be followed by a folder, got '{'9' * 80}'.",
        ),
    ],
)
def test_what_no_meaning_allows_is_refused(words, said, command):
    line = command(f"plan {words}").line
    assert line.replace("--config-dir:", "plan: --config-dir") == f"hwds: {said}"
