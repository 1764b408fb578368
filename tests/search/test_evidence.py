"""Which trials of other sweeps lie in a space."""

import pytest

from hwds.core.search_space import Leaf
from hwds.search.trials import earlier_trials_sentence, lies_in_leaf, settings_in, space_covers

KIND = Leaf("model.kind", "choice", ("a", "b"))
POWER = Leaf("model.power", "uniform", (1.0, 2.0), (("model.kind", 1),))
DEPTH = Leaf("model.depth", "randint", (2, 5))
CONFIG = {"model": {"name": "forecast/mine", "kind": "b", "power": 1.5, "depth": 3, "form": None}}


@pytest.mark.parametrize(
    ("leaf", "inside", "outside"),
    [
        (DEPTH, (2, 4, 4.0), (1, 5, 2.5, True, "3", None)),
        (Leaf("a", "loguniform", (0.01, 1.0)), (0.01, 0.5, 1), (0.001, 1.1)),
        (Leaf("a", "quniform", (0.0, 1.0, 0.1)), (0.0, 0.3, 0.7, 1.0), (0.35, 1.1)),
        (
            Leaf("a", "choice", (1, True, None, (1, 2))),
            (1, 1.0, True, None, "[1, 2]"),
            (0, False, "1 2"),
        ),
    ],
)
def test_a_value_lies_in_a_leaf_or_not(leaf, inside, outside):
    assert all(lies_in_leaf(leaf, value) for value in inside)
    assert not any(lies_in_leaf(leaf, value) for value in outside)


def test_what_was_searched_is_in_the_row_and_the_rest_in_the_config():
    row = {"trial": 3, "model.power": 1.9}
    assert settings_in((KIND, POWER, DEPTH), CONFIG, row) == {
        "model.kind": "b",
        "model.power": 1.9,
        "model.depth": 3,
    }
    assert settings_in((KIND, POWER, DEPTH), CONFIG, row | {"model.depth": 7}) is None
    assert settings_in((KIND, POWER), CONFIG, row | {"model.kind": "a", "model.power": None}) == {
        "model.kind": "a"
    }
    assert settings_in((Leaf("model.form", "choice", ("x", None)),), CONFIG, row) == {
        "model.form": None
    }


def test_of_another_option_the_settings_are_its_own():
    model = Leaf("model", "choice", ("forecast/theta", "forecast/xgboost"))
    trees = Leaf("model.trees", "randint", (100, 200), (("model", 1),))
    config = {"model": {"name": "forecast/theta"}}
    assert settings_in((model, trees), config, {"model": "forecast/xgboost"}) == {
        "model": "forecast/xgboost",
        "model.trees": 150,
    }
    assert settings_in((model, trees), config, {}) == {"model": "forecast/theta"}
    assert (
        settings_in(
            (Leaf("model.trees", "randint", (100, 200)),), config, {"model": "forecast/nowhere"}
        )
        is None
    )


def test_the_sentence_counts_trials_by_their_sweep():
    assert earlier_trials_sentence(()) == ""
    assert (
        earlier_trials_sentence(["a/1"])
        == "1 finished trial of earlier sweeps (1 of a/1) lies in this space and counts."
    )
    assert (
        earlier_trials_sentence(["b/2", "a/1", "b/2"])
        == "3 finished trials of earlier sweeps (1 of a/1, 2 of b/2) lie in this space and count."
    )


@pytest.mark.parametrize(
    ("space", "held"),
    [
        ({"depth": {"randint": [2, 9]}, "kind": {"choice": ["a", "b", "c"]}}, True),
        ({"depth": {"randint": [2, 9]}}, False),
        ({"depth": {"randint": [3, 9]}, "kind": {"choice": ["a", "b", "c"]}}, False),
        ({"depth": {"randint": [2, 9]}, "kind": {"choice": ["a"]}}, False),
        ({"depht": {"randint": [2, 9]}}, False),
    ],
)
def test_trials_of_a_narrower_space_are_not_spread_over_a_wider_one(space, held):
    leaves = (DEPTH, Leaf("model.kind", "choice", ("a", "b")))
    assert space_covers({"space": {"model": space}, "config": CONFIG}, leaves) == held
