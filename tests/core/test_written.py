"""What is written back composes to the very config it was written from."""

import pytest
import yaml

from hwds.core.compose import as_experiment, compose, option_of
from hwds.core.registry import options
from hwds.core.search_space import trial_config


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["+experiment=lstm_forecast"], {"model.units": 96, "model.learning_rate": 0.00321}),
        (
            ["+experiment=xgboost_forecast", "seed=4", "size=small"],
            {"model.depth": 3, "features": "none"},
        ),
        (
            ["+experiment=stack_forecast"],
            {"model.members": ["forecast/naive", {"forecast/theta": {"origins": 3}}]},
        ),
        (["+experiment=gray_market_xgboost"], {"model.depth": 3}),
        (["+experiment=price_bandit"], {"model": "bandit/ucb1", "model.exploration": 0.3}),
        (["model=forecast/xgboost", "protocol.windows=5", "dataset.seed=3"], {}),
        (
            [
                "model=forecast/xgboost",
                "size=small",
                "sweep=random",
                "sweep.space.model.trees.choice=[77,88]",
            ],
            {"model.trees": 77},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_best_of_a_sweep_composes_to_itself(own_conf, words, settings):
    own_conf()
    data = trial_config(compose(words), settings)
    text = as_experiment(data, "python -m hwds +experiment=mine", "A line.")
    assert text.startswith("# @package _global_\n# python -m hwds +experiment=mine\n# A line.\n")
    own_conf(**{"conf/experiment/mine.yaml": text})
    assert "mine" in options("experiment")
    again = compose(["+experiment=mine"])
    assert again.pop("experiment") == "mine"
    assert again == {key: value for key, value in data.items() if key != "experiment"}


def test_only_what_differs_is_written():
    data = compose(["model=forecast/xgboost", "model.depth=3"])
    text = yaml.safe_load(as_experiment(data, "python -m hwds +experiment=mine"))
    assert text["model"] == {"depth": 3}
    assert set(text) == {"defaults", "model"}
    assert option_of("model", {"name": "forecast/xgboost(trees=500)"}) == "forecast/xgboost"
