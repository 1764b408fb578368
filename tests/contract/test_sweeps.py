"""Every experiment can be swept in the space of its model, or says why not; every such space is of
values the model takes.
"""

from functools import cache

import pytest

from hwds.core.compose import compose, option
from hwds.core.config import build
from hwds.core.errors import ConfigError
from hwds.core.registry import options
from hwds.core.search_space import leaf_conditions, leaves_of, own_space, trial_config
from hwds.experiment.spec import check
from hwds.search.sweep import tuning_split_of
from hwds.search.sweeps.base import probes
from tests.contract.test_experiments import needing
from tests.support.composed import composed

REFUSED = {
    "ab_peeking": "a rule that has to be fixed before its data is seen",
    "ab_plan": "a rule whose error rates are set and not found",
    "ab_price_test": "a rule that has to be fixed before its data is seen",
    **dict.fromkeys(
        (
            "elasticity_iv",
            "elasticity_network",
            "elasticity_pooled",
            "oem_commitment",
            "optimal_price",
            "revenue_impact",
        ),
        "is scored against a simulator's truth, on which nobody can choose settings",
    ),
    **dict.fromkeys(
        ("cereal_logit", "cheese_accounts"), "scores no prediction of what is held out"
    ),
    **dict.fromkeys(
        ("cmapss_fd001", "maintenance_schedule", "remaining_life"),
        r"tests every machine, of which protocol\.apart=0\.3 would keep some",
    ),
    **dict.fromkeys(
        ("board_inspection", "pcb_inspection"),
        r"tests every board, of which protocol\.apart=0\.3 would keep some",
    ),
    "ai4i": r"tests every group, of which protocol\.apart=0\.3 would keep some",
    "device_lifetimes": "has no windows before its own to choose settings on",
    "gray_market_review": "has nothing later to choose settings by",
    "quickstart": "has nothing that its class says to tune",
    "ope_open_bandit": "estimates a value that nobody knows",
}


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_is_swept_or_says_why_not(name):
    words = [f"+experiment={name}", "sweep=random", "sweep.trials=2", "size=small"]
    if name in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[name]):
            check(compose(words))
    else:
        assert check(compose(words)).model.search_space


@cache
def loaded(dataset):
    return dataset.frame()


@pytest.mark.parametrize(
    "name", [needing(name) for name in options("experiment") if name not in REFUSED]
)
def test_every_experiment_as_it_stands_has_windows_to_choose_on_or_as_many_as_fit(name):
    experiment = composed(f"+experiment={name}", "sweep=random")
    found = tuning_split_of(
        experiment.protocol, loaded(experiment.dataset), experiment.sweep.windows
    )
    assert 2 <= len(found.folds) <= experiment.sweep.windows
    assert (len(found.folds) < experiment.sweep.windows) == (
        "no more fit before the final ones" in found.remark
    )


def test_every_space_is_of_values_that_its_model_takes():
    spaces = {name: own_space("model", option("model", "model", name)) for name in options("model")}
    assert sum(map(bool, spaces.values())) >= 45
    for name, space in spaces.items():
        data = {"model": option("model", "model", name), "rivals": []}
        leaves = leaves_of({"model": space}, data) if space else ()
        for leaf in leaves:
            for value in probes(leaf):
                build(
                    "model",
                    "model",
                    trial_config(data, leaf_conditions(leaf, leaves) | {leaf.path: value})["model"],
                )


def test_a_model_with_nothing_to_tune_is_told_so():
    with pytest.raises(
        ConfigError,
        match=r"'forecast/naive' has nothing that its class says to tune; give it a sweep\.space\.",
    ):
        check(compose(["+experiment=hospital", "model=forecast/naive", "sweep=random"]))
