"""Composition: every experiment and swap, rivals, caps, flags, a user's own conf, and what is the
same experiment.
"""

import pickle
from functools import cache

import pytest

from hwds.core.compose import compose, option
from hwds.core.errors import ConfigError
from hwds.core.recipe import canonical
from hwds.core.registry import GROUPS, options, resolve, resolve_node
from hwds.experiment.spec import check
from hwds.forecast.models.base import Forecaster
from hwds.frames.panel import Panel
from hwds.pricing.decisions.base import DemandDecision
from hwds.pricing.decisions.price_choice import PriceChoice
from tests.support.composed import composed

NAIVE = "forecast/seasonal_naive"
GIVEN = {
    "file": {"path": "x.csv", "roles": {"time": "t", "target": "y"}},
    "table": {"path": "x.csv", "roles": {"label": "y"}},
}


def of_forecasts(group, cls):
    """Whether a part can go together with a forecast."""
    if group == "model":
        return issubclass(cls, Forecaster)
    if group == "dataset":
        return issubclass(cls.gives, Panel)
    if group == "features":
        return issubclass(Panel, cls.of)
    if group == "decision":
        return not issubclass(cls, (PriceChoice, DemandDecision)) and (
            not cls.tasks or "forecast" in cls.tasks
        )
    return group != "protocol" or cls.accepts is Forecaster


def swaps():
    return [(group, option) for group in GROUPS for option in options(group)]


@pytest.mark.parametrize("size", ["full", "small"])
@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_composes_and_checks(name, size):
    experiment = composed(f"+experiment={name}", f"size={size}")
    assert experiment.experiment == name
    assert experiment.size == size
    assert pickle.loads(pickle.dumps(experiment)) == experiment, "workers take it"


@cache
def lstm_forecast():
    return compose(["+experiment=lstm_forecast", "rivals=[]"])


@pytest.mark.parametrize("group", GROUPS)
def test_a_swapped_option_is_the_option_itself(group):
    name = list(options(group))[-1]
    changed = {group: option(group, group, name)}
    assert (
        compose(["+experiment=lstm_forecast", "rivals=[]", f"{group}={name}"])
        == lstm_forecast() | changed
    )


@pytest.mark.parametrize(("group", "name"), swaps())
def test_every_option_swaps_into_lstm_forecast(group, name):
    given = GIVEN.get(name, {}) if group == "dataset" else {}
    data = lstm_forecast() | {group: option(group, group, {name: given} if given else name)}
    if of_forecasts(group, resolve_node(group, group, data[group])):
        assert getattr(check(data), group).name.startswith(name)
    else:
        told = (
            r" asks an? \w+, .* is an? | (cuts|for) (an? )?\w+, .* gives | decides from a task "
            r"of .* is of |must be given"
        )
        with pytest.raises(ConfigError, match=told):
            check(data)


def test_the_line_of_ones_own_file_composes():
    experiment = composed(
        "+experiment=lstm_forecast",
        "model=forecast/xgboost",
        "dataset=file",
        "dataset.path=sales.parquet",
        "dataset.roles.series=series_id",
        "dataset.roles.time=date",
        "dataset.roles.target=y",
        "dataset.roles.split=split",
        "dataset.season=4",
        "protocol=holdout",
        "protocol.horizon=8",
    )
    assert experiment.dataset.roles.split == "split"
    assert experiment.protocol.horizon == 8


@pytest.mark.parametrize(
    "words",
    [("model={m}", "+experiment=lstm_forecast"), ("+experiment=lstm_forecast", "model={m}")],
)
def test_the_command_line_wins_on_either_side(words):
    experiment = composed(*(word.format(m=NAIVE) for word in words))
    assert experiment.model.name == NAIVE
    assert experiment.experiment == "lstm_forecast"


def test_experiment_needs_no_plus(run_line):
    outcome = run_line("experiment=lstm_forecast seed=3")
    assert outcome.code == 0, outcome.err
    assert [(one.experiment, one.seed) for one in outcome.experiments] == [("lstm_forecast", 3)]


@pytest.mark.parametrize(
    "line",
    [
        "--cfg job -p model model.season=4",
        "model.season=4 --cfg job -p model",
        "model.season=4 --package model -c job",
        "--cfg=job model.season=4 -p=model",
    ],
)
def test_flags_go_anywhere(run_line, line):
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    assert "season: 4" in outcome.out
    assert "protocol" not in outcome.out
    assert not outcome.experiments


def test_cfg_shows_every_field(run_line):
    out = run_line("--cfg job").out
    assert all(f"\n  {name}: " in out for name in ("windows", "stride", "align", "cpus_per_cell"))


def test_completion_of_nested_options(run_line, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "hwds model=forecast/")
    monkeypatch.setenv("COMP_POINT", "20")
    assert f"model={NAIVE}" in run_line("-sc query=bash").out.split()


def test_multirun_runs_each(run_line):
    outcome = run_line("-m seed=1,2,3")
    assert [one.seed for one in outcome.experiments] == [1, 2, 3]


def test_multirun_globs_nested_options(run_line):
    outcome = run_line("-m 'model=glob(forecast/seasonal*)'")
    assert [one.model.name for one in outcome.experiments] == [NAIVE]


def test_multirun_checks_all_before_the_first(run_line):
    outcome = run_line("-m protocol.windows=2,-1")
    assert outcome.code == 2
    assert not outcome.experiments


def test_a_rival_with_changes_bears_them_in_its_label():
    experiment = composed("rivals=[{forecast/seasonal_naive: {season: 4}}]")
    assert list(experiment.models) == [NAIVE, f"{NAIVE}(season=4)"]
    assert experiment.rivals[0].season == 4
    assert experiment.model.season == 0


def test_a_rival_that_is_the_model_is_left_out():
    assert composed(f"rivals=[{NAIVE}]").rivals == ()


def test_lstm_forecast_keeps_its_other_rivals_when_the_model_is_one_of_them():
    before = composed("+experiment=lstm_forecast")
    after = composed("+experiment=lstm_forecast", f"model={NAIVE}")
    assert [rival.name for rival in after.rivals] == [
        rival.name for rival in before.rivals if rival.name != NAIVE
    ]


def test_no_rivals_may_be_null():
    assert composed("rivals=null").rivals == ()


@pytest.mark.parametrize("value", ["Größe", "[sku,Größe]", "straße/größe.csv"])
def test_letters_beyond_ascii_need_no_quotes(value):
    given = compose(
        [
            "dataset=file",
            f"dataset.roles.static={value}",
            "dataset.path=x.csv",
            "dataset.roles.time=t",
        ]
    )
    assert given["dataset"]["roles"]["static"] == (
        ["sku", "Größe"] if value.startswith("[") else value
    )


def test_small_caps_what_says_so_and_nothing_else():
    small = composed("size=small", "+experiment=lstm_forecast")
    assert (small.protocol.windows, small.model.epochs, small.compute.workers) == (2, 2, 1)
    assert composed("size=small", "compute=processes").compute.workers == 0, "they are not one"
    assert not small.draws
    assert all(
        composed("size=small", word).draws
        for word in ("pictures=true", "size=full", "tracker=mlflow")
    )
    assert not composed("pictures=false").draws
    assert composed("+experiment=lstm_forecast").protocol.windows == 0
    assert composed("size=small", "+experiment=lstm_forecast").protocol.horizon == 3


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("protocol.windows=9", lambda small: small.protocol.windows),
        ("model.trees=99", lambda small: small.model.trees),
        ("sweep.trials=9", lambda small: small.sweep.trials),
        ("compute.workers=9", lambda small: small.compute.workers),
        ("rivals=[{forecast/mlp: {epochs: 9}}]", lambda small: small.rivals[0].epochs),
    ],
)
def test_what_is_typed_wins_over_small(word, values):
    words = ("model=forecast/xgboost", "sweep=random", "size=small", "rivals=[forecast/mlp]")
    typed = values(composed(*words, word))
    assert values(composed(*words)) < typed in (9, 99)
    data = compose([*words, word])
    assert values(check(data | {"uncapped": []})) < typed, (
        "an earlier run, which does not say what was typed, is capped as it was"
    )


def test_the_trials_of_a_typed_space_keep_their_values():
    words = ["model=forecast/xgboost", "sweep=random", "size=small"]
    typed = compose([*words, "sweep.space.model.trees.choice=[100,200]"])
    assert typed["uncapped"] == ["model.trees", "sweep.space.model.trees.choice"]
    assert compose(words)["uncapped"] == []


def test_a_small_study_is_capped_where_its_own_words_set_a_value():
    assert (
        check(compose(["protocol.windows=9", "size=small"], typed=["size=small"])).protocol.windows
        == 2
    )


def test_small_has_two_cutoffs_where_the_data_would_give_the_number():
    small = check(compose(["size=small"])).protocol
    assert (small.windows, small.shares_fits) == (2, False)
    assert check(compose(["size=small", "protocol.windows=0"])).protocol.windows == 0, "typed"


CAPPED = """
from typing import Annotated
from hwds.forecast.models.base import Forecaster
from hwds.core.recipe import PositiveInt, Small

class Mine(Forecaster):
    '''My own.'''
    epochs: Annotated[PositiveInt, Small(2)] = 20
    width: PositiveInt = 8
"""


def test_small_caps_rivals_too(own_conf):
    own_conf(**{"conf/model/mine.yaml": "recipe: mine_capped:Mine", "mine_capped.py": CAPPED})
    small = composed("size=small", "rivals=[mine,{mine: {epochs: 1}},{mine: {epochs: 7}}]")
    assert [(rival.epochs, rival.width) for rival in small.rivals] == [(2, 8), (1, 8), (7, 8)], (
        "what is typed wins"
    )


def test_own_conf_adds_options_and_experiments(run_line, own_conf):
    folder = own_conf(**{
        "conf/model/forecast/mine.yaml": "recipe: mine_own:Mine\nwidth: 16",
        "conf/experiment/ours.yaml": "# @package _global_\ndefaults: [override /model: "
                                     "forecast/mine]\nseed: 5",
        "mine_own.py": CAPPED,
    })  # fmt: skip
    outcome = run_line("+experiment=ours model.epochs=3")
    assert outcome.code == 0, outcome.err
    (experiment,) = outcome.experiments
    assert (experiment.seed, experiment.model.width, experiment.model.epochs) == (5, 16, 3)
    assert experiment.model.name == "forecast/mine"
    assert type(experiment.model).__module__ == "mine_own"
    assert (folder / "mine_own.py").is_file()


@pytest.mark.parametrize(
    "flag", ["--config-dir elsewhere/conf", "--config-dir=elsewhere/conf", "-cd elsewhere/conf"]
)
def test_config_dir_is_ones_own_conf(run_line, own_conf, flag):
    own_conf(
        **{
            "elsewhere/conf/model/mine.yaml": "recipe: mine_there:Mine",
            "elsewhere/mine_there.py": CAPPED,
        }
    )
    outcome = run_line(f"model=mine {flag}")
    assert outcome.code == 0, outcome.err
    assert outcome.experiments[0].model.epochs == 20


def test_a_users_config_yaml_is_not_read(run_line, own_conf):
    own_conf(**{"conf/config.yaml": "seed: 77", "conf/model/mine.yaml": f"recipe: {NAIVE}"})
    assert run_line("model=mine").experiments[0].seed == 0


def identity(*words):
    return canonical(composed(*words))


def test_one_and_one_point_zero_are_one_experiment():
    assert identity("model.season=4", "protocol.levels=[0.25,0.5]") == identity(
        "model.season=4.0", "protocol.levels=[0.25,0.50]"
    )
    assert identity("model.season=4") != identity("model.season=5")


def test_the_label_is_no_part_of_the_identity():
    assert identity("model.name=other") == identity()


def test_saying_a_default_changes_nothing():
    assert identity("model.season=0", "protocol.stride=null", "rivals=[]") == identity()


@pytest.mark.parametrize(("group", "option"), swaps())
def test_an_option_is_a_delta(group, option):
    """What YAML says differs from the default of the class: copies of defaults would drift."""
    from dataclasses import fields

    import yaml

    said = yaml.safe_load(options(group)[option].read_text()) or {}
    default = {
        field.name: field.default for field in fields(resolve(group, said.pop("recipe", option)))
    }
    assert set(said) <= set(default)
    assert not [key for key, value in said.items() if value == default[key]]
