"""What a sweep searches: trees read into leaves, values in their places, refusals that say what is
wrong.
"""

import sys

import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.core.search_space import Leaf, _changed_space, leaves_of, space_of, trial_config
from hwds.experiment.spec import check
from hwds.forecast.models.xgboost import XGBoost
from hwds.search.sweeps.base import Searching, probes


def data_of(*words):
    return compose(["model=forecast/xgboost", *words])


def read(space, *words):
    return leaves_of(space, data_of(*words))


def test_the_space_of_a_class_is_what_is_searched_where_none_is_given():
    data = data_of("sweep=random")
    assert space_of(data) == {"model": XGBoost.search_space}
    assert [leaf.path for leaf in leaves_of(space_of(data), data)] == [
        f"model.{name}" for name in XGBoost.search_space
    ]


def space(*words):
    """The space of gradient boosting's class under overrides of `sweep.space.model`."""
    data = data_of("sweep=random", *(f"sweep.space.model.{word}" for word in words))
    return space_of(data)["model"]


def test_a_line_changes_one_setting_of_the_own_space_and_leaves_the_others():
    own = XGBoost.search_space
    assert space("learning_rate=[0.001,0.5]") == own | {
        "learning_rate": {"loguniform": [0.001, 0.5]}
    }
    assert space("depth=[2,12]") == own | {"depth": {"randint": [2, 13]}}, (
        "a list names the greatest value, randint one beyond"
    )
    assert space("depth.randint=[2,12]") == own | {"depth": {"randint": [2, 12]}}
    assert space("depth=null") == {name: leaf for name, leaf in own.items() if name != "depth"}
    assert space("trees={choice:[1,2]}") == own | {"trees": {"choice": [1, 2]}}
    features = data_of("sweep=random", "sweep.space.features.choice=[lags,none]")
    assert set(space_of(features)) == {"model", "features"}


def test_a_list_alone_keeps_the_kind_of_a_choice_and_the_step_of_a_range():
    data = compose(["model=forecast/lstm", "sweep=random", "sweep.space.model.units=[8,16]"])
    assert space_of(data)["model"]["units"] == {"choice": [8, 16]}
    stepped = {"share": {"quniform": [0.5, 1.0, 0.25]}}
    assert _changed_space(stepped, {"share": [0.25, 1.0]}, {"share": 0.5}, "model", keep=True) == {
        "share": {"quniform": [0.25, 1.0, 0.25]}
    }


def test_the_own_space_is_replaced_where_that_is_said():
    only = ("sweep=random", "sweep.only=true")
    assert space_of(data_of(*only, "sweep.space.model.trees.choice=[1,2]")) == {
        "model": {"trees": {"choice": [1, 2]}}
    }
    assert space_of(data_of(*only, "sweep.space.model.depth=[3,4]")) == {
        "model": {"depth": {"randint": [3, 5]}}
    }


def test_an_option_of_a_choice_has_its_space_beside_it():
    data = data_of(
        "sweep=random", "sweep.space.model.choice=[forecast/xgboost,{forecast/naive:{}}]"
    )
    assert space_of(data) == {
        "model": {"choice": [{"forecast/xgboost": XGBoost.search_space}, {"forecast/naive": {}}]}
    }


def test_a_value_may_bring_others():
    objective = {"choice": ["quantile", {"tweedie": {"power": {"uniform": [1.1, 1.9]}}}]}
    assert read({"model": {"objective": objective}}) == (
        Leaf("model.objective", "choice", ("quantile", "tweedie")),
        Leaf("model.power", "uniform", (1.1, 1.9), (("model.objective", 1),)),
    )


def test_a_value_may_be_a_mapping():
    (leaf,) = read({"model": {"monotone": {"choice": [{}, {"price": -1}]}}})
    assert leaf.values == ({}, {"price": -1})


def test_whole_options_have_spaces_of_their_own():
    space = {
        "model": {
            "choice": [
                {"forecast/naive": {}},
                "forecast/theta",
                {"forecast/lstm": {"units": {"choice": [8, 16]}}},
            ]
        }
    }
    leaves = read(space)
    assert leaves[0] == Leaf(
        "model", "choice", ("forecast/naive", "forecast/theta", "forecast/lstm")
    )
    assert {leaf.path for leaf in leaves if leaf.when == (("model", 1),)} == {
        "model.form",
        "model.decomposition",
    }
    assert [leaf.path for leaf in leaves if leaf.when == (("model", 2),)] == ["model.units"]


def test_values_reach_their_places_and_labels_stay():
    data = data_of("sweep=random")
    trial = trial_config(data, {"model.depth": 3, "features": "lags"})
    assert trial["model"] == data["model"] | {"depth": 3}
    assert trial["features"]["name"] == "lags"
    assert trial["sweep"]["recipe"] == "none"
    assert data["model"]["depth"] == 6
    whole = trial_config(data, {"model": "forecast/lstm", "model.units": 8})
    assert (whole["model"]["name"], whole["model"]["units"]) == ("forecast/lstm", 8)


def test_a_member_is_composed_from_its_name():
    data = compose(["model=forecast/stack"])
    trial = trial_config(
        data, {"model.members": ["forecast/naive", {"forecast/theta": {"origins": 3}}]}
    )
    assert [member["name"] for member in trial["model"]["members"]] == [
        "forecast/naive",
        "forecast/theta(origins=3)",
    ]


@pytest.mark.parametrize(
    ("leaf", "tried"),
    [
        (Leaf("a", "choice", (1, 2)), (1, 2)),
        (Leaf("a", "randint", (1, 5)), (1, 4)),
        (Leaf("a", "quniform", (0, 10, 2)), (0, 2, 10)),
    ],
)
def test_what_is_tried(leaf, tried):
    assert probes(leaf) == tried


SPACE = "sweep.space.model"
REFUSED = [
    (f"{SPACE}.dept={{choice:[3]}}", "sweep.space.model: no key 'dept'; did you mean 'depth'?"),
    (f"{SPACE}.name={{choice:[a,b]}}", "sweep.space.model: no key 'name'"),
    (f"{SPACE}.depth={{choice:[3,0]}}", "sweep.space.model.depth: must be >= 1, got 0."),
    (
        f"{SPACE}.depth={{uniform:[3,9]}}",
        "sweep.space.model.depth: must be a whole number, got 5.29",
    ),
    (f"{SPACE}.depth={{choise:[3]}}", "sweep.space.model.depth: must be one of choice, grid, "),
    (
        f"{SPACE}.depth={{choice:[]}}",
        "sweep.space.model.depth.choice: must have at least 1 item(s), got [].",
    ),
    (
        f"{SPACE}.depth={{choice:3}}",
        "sweep.space.model.depth.choice: must be a list of values, got 3.",
    ),
    (
        f"{SPACE}.depth={{choice:[3,3]}}",
        "sweep.space.model.depth.choice: must not repeat 3, got [3, 3].",
    ),
    (f"{SPACE}.trees=[3,4]", "sweep.space.model.trees: must be one of choice, "),
    (
        f"{SPACE}.depth=[3,4,5]",
        "sweep.space.model.depth: must be [least, greatest], or {choice: [...]}, got [3, 4, 5].",
    ),
    (f"{SPACE}.depth=[9,2]", "sweep.space.model.depth.randint: lower must be < upper, got [9, 3]."),
    (
        f"{SPACE}.learning_rate=[0,1]",
        "sweep.space.model.learning_rate.loguniform: lower must be > 0, got [0, 1].",
    ),
    (
        f"{SPACE}.trees=null",
        "sweep.space.model.trees: is not searched, so null cannot leave it out.",
    ),
    ("sweep.only=true", "sweep.only: searches sweep.space alone, which is empty."),
    (
        "sweep=none sweep.only=true",
        "sweep.only: needs a search, such as sweep=random; sweep=none tries nothing.",
    ),
    (f"{SPACE}.depth={{choice:[3],grid:[4]}}", "sweep.space.model.depth: must be one of choice, "),
    (
        f"{SPACE}.depth={{randint:[3,3]}}",
        "sweep.space.model.depth.randint: lower must be < upper, got [3, 3].",
    ),
    (
        f"{SPACE}.depth={{randint:[3,4.5]}}",
        "sweep.space.model.depth.randint: must be whole numbers, got [3, 4.5].",
    ),
    (f"{SPACE}.depth={{randint:[0,4]}}", "sweep.space.model.depth: must be >= 1, got 0."),
    (
        f"{SPACE}.learning_rate={{uniform:[0.3,0.1]}}",
        "learning_rate.uniform: lower must be < upper, got [0.3, 0.1].",
    ),
    (
        f"{SPACE}.learning_rate={{uniform:[0.3]}}",
        "learning_rate.uniform: must be [lower, upper], got [0.3].",
    ),
    (
        f"{SPACE}.learning_rate={{uniform:[a,b]}}",
        "learning_rate.uniform: must be [lower, upper], got ['a', 'b'].",
    ),
    (
        f"{SPACE}.learning_rate={{loguniform:[0,1]}}",
        "learning_rate.loguniform: lower must be > 0, got [0, 1].",
    ),
    (
        f"{SPACE}.learning_rate={{uniform:[-1,1]}}",
        "sweep.space.model.learning_rate: must be > 0.0, got -1.",
    ),
    (
        f"{SPACE}.row_share={{quniform:[0.5,1,0.7]}}",
        "row_share.quniform: step must be > 0 and fit between the bounds",
    ),
    (
        f"{SPACE}.objective={{choice:[quantile,tweedy]}}",
        "model.objective: must be 'quantile', 'tweedie' or 'poisson'",
    ),
    (
        f"{SPACE}.objective={{choice:[{{tweedie:{{power:{{uniform:[1,2.5]}}}}}}]}}",
        "space.model.power: must be > 1.0, got 1.",
    ),
    (f"{SPACE}.monotone={{prise:{{choice:[1]}}}}", "sweep.space.model.monotone: no key 'prise'"),
    (
        f"{SPACE}={{choice:[forecast/xgbost]}}",
        "sweep.space.model.choice[0]: no option 'forecast/xgbost'",
    ),
    (
        f"{SPACE}={{choice:[classify/xgboost]}}",
        "protocol 'walk_forward' asks a forecaster, 'classify/xgboost' is none.",
    ),
    (
        "sweep.space.modl={units:{choice:[1]}}",
        "sweep.space: may search model, features, protocol, dataset, got 'modl'",
    ),
    (
        "sweep.space.protocol.windows={choice:[1,2]}",
        "sweep.space.protocol.windows: decides which rows are scored, or in which",
    ),
    (
        "sweep.space.protocol.windows={choice:[1,2]}",
        "of 'walk_forward' may be searched: intervals, calibration, sliding.",
    ),
    (
        "sweep.space.protocol={choice:[holdout]}",
        "sweep.space.protocol: decides which rows are scored, or in which windows",
    ),
    (
        "sweep.space.dataset.families={choice:[1,2]}",
        "of 'hardware_demand' may be searched: nothing.",
    ),
    (
        "sweep.space.protocol.intervls={choice:[model]}",
        "sweep.space.protocol: no key 'intervls'; did you mean 'intervals'?",
    ),
    ("sweep.metric=mse", "sweep.metric: no metric 'mse'"),
    ("sweep.metric=bias", "sweep.metric: 'bias' does not order models"),
    ("sweep.objectives=[second]", "sweep.objectives[0]: no metric 'second'"),
    (
        "sweep.objectives=[mase]",
        "sweep.objectives[0]: 'mase' is the metric that trials are compared by.",
    ),
    ("sweep.mode=up", "sweep.mode: must be 'auto', 'min' or 'max', got 'up'."),
    ("sweep.trials=0", "sweep.trials: must be >= 1, got 0."),
    ("sweep.trails=3", "sweep: no key 'trails'; did you mean 'trials'?"),
    ("sweep.windows=0", "sweep.windows: must be >= 1, got 0."),
    (
        "model=forecast/seasonal_naive",
        "sweep: 'forecast/seasonal_naive' has nothing that its class says to tune",
    ),
    (
        "sweep=none sweep.space.model.depth={choice:[1]}",
        "needs a search, such as sweep=random; sweep=none tries nothing.",
    ),
    (
        "sweep=asha sweep.windows=1",
        "sweep.windows: must be > 1 for 'asha', which stops trials between windows, got 1.",
    ),
    ("sweep.seconds_per_trial=0", "sweep.seconds_per_trial: must be > 0.0, got 0."),
    ("sweep.memory_per_trial=-1", "sweep.memory_per_trial: must be > 0.0, got -1."),
    ("sweep.cpus_per_trial=0", "sweep.cpus_per_trial: must be >= 1, got 0."),
    ("sweep.concurrent=0", "sweep.concurrent: must be >= 1, got 0."),
    (
        "sweep.gpus_per_trial=1 compute=serial",
        "sweep.gpus_per_trial: compute 'serial' gives no GPUs out; take compute=ray.",
    ),
    ("sweep=pbt", "sweep: no option 'pbt'"),
    ("sweep=asha sweep.reduction=1", "sweep.reduction: must be >= 2, got 1."),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_what_cannot_be_is_refused(line, said):
    words = line.split()
    chosen = [] if any(word.startswith("sweep=") for word in words) else ["sweep=random"]
    with pytest.raises(ConfigError) as refusal:
        check(data_of(*chosen, *words))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("search", ["optuna", "bohb"])
def test_a_package_that_is_absent_is_named(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if it could not be found
    with pytest.raises(
        ConfigError,
        match=rf"^sweep\.recipe: '{search}' needs optuna: pip install 'hwds\[optuna\]'\.$",
    ):
        check(data_of(f"sweep={search}"))


def test_what_is_searched_twice_is_refused():
    space = {
        "model": {
            "depth": {"choice": [3, 4]},
            "objective": {"choice": [{"tweedie": {"depth": {"choice": [5]}}}]},
        }
    }
    with pytest.raises(ConfigError, match=r"sweep\.space\.model\.depth: is searched twice"):
        read(space)


def test_nobody_chooses_by_the_truth():
    with pytest.raises(
        ConfigError, match="needs the truth, which a real search does not know; take 'aucpr'"
    ):
        check(
            compose(["+experiment=gray_market_xgboost", "sweep=random", "sweep.metric=true_aucpr"])
        )
    check(compose(["+experiment=gray_market_xgboost", "sweep=random"]))


@pytest.mark.parametrize(
    "line",
    ["-m seed=1,2 sweep=random", "--multirun model=forecast/theta,forecast/xgboost sweep=random"],
)
def test_a_multirun_of_sweeps_is_refused(run_line, line):
    outcome = run_line(f"{line} {'model=forecast/xgboost' if 'model=' not in line else ''}")
    assert outcome.code == 2
    assert "--multirun: cannot go with sweep=random" in outcome.err
    assert not outcome.experiments


@pytest.mark.parametrize(
    "model",
    ["forecast/xgboost", "forecast/lstm", "forecast/mlp", "forecast/theta", "forecast/sarima"],
)
@pytest.mark.parametrize(
    "search", ["random", "grid", "asha", "hyperband", "median", "optuna", "bohb"]
)
def test_every_space_of_a_class_is_lawful(model, search):
    assert isinstance(check(compose([f"model={model}", f"sweep={search}"])).sweep, Searching)


@pytest.mark.parametrize(
    "words",
    [
        ["+experiment=price_bandit"],
        ["+experiment=price_bandit", "model=bandit/ucb1"],
        ["+experiment=price_bandit", "model=bandit/epsilon_greedy"],
        ["+experiment=gray_market_xgboost"],
    ],
)
def test_so_is_that_of_policies_and_classifiers(words):
    check(compose([*words, "sweep=random", "rivals=[]"]))


def test_a_rival_that_becomes_the_model_is_no_rival():
    data = compose(["+experiment=price_bandit"])
    trial = trial_config(data, {"model": "bandit/ucb1"})
    assert [node["name"] for node in trial["rivals"]] == ["bandit/thompson", "bandit/uniform_play"]
    assert check(trial).model.name == "bandit/ucb1"
