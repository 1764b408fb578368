"""Bad command lines: each is refused with exit code 2 and one line that has the path, the value and
the nearest right name.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAIVE = "forecast/seasonal_naive"

REFUSED = [
    # keys
    ("model.seasn=3", "model: no key 'seasn'", "did you mean 'season'?"),
    ("+model.seasn=3", "model: no key 'seasn'", "did you mean 'season'?"),
    ("++model.seasn=3", "model: no key 'seasn'", "did you mean 'season'?"),
    ("~model.seasn", "model: no key 'seasn'"),
    ("+model.unit=3", "model: no key 'unit'", "known: season."),
    ("model=forecast/xgboost +model.tree=3", "model: no key 'tree'", "did you mean 'trees'?"),
    ("model=forecast/xgboost model.units=64", "model: no key 'units'"),
    ("dataset=file dataset.path=x.csv dataset.roles.seris=x", "dataset.roles: no key 'seris'", "did you mean 'series'?"),
    ("dataset=file dataset.path=x.csv +dataset.roles.seris=x", "dataset.roles: no key 'seris'", "did you mean 'series'?"),
    ("dataset=file dataset.path=x.csv dataset.role.series=x", "dataset: no key 'role'", "did you mean 'roles'?"),
    ("model.season.x=3", "model.season: no key 'x'"),
    ("foo=1", "no key 'foo'; known: compute, dataset, decision, decision_pack, experiment, "
              "features, inputs, model, name, note, pictures, protocol, ..."),
    ("+foo=1", "no key 'foo'; known: compute, dataset, decision, decision_pack, experiment, "
               "features, inputs, model, note, pictures, protocol, rivals, ..."),
    ("sede=1", "no key 'sede'; did you mean 'seed'?"),
    ("+rival=[]", "no key 'rival'; did you mean 'rivals'?"),
    ("~feature", "no key 'feature'; did you mean 'features'?"),
    ("modle=forecast/naive", "no key 'modle'; did you mean 'model'?"),
    ("compute=processes compute.worker=2", "compute: no key 'worker'", "did you mean 'workers'?"),
    ("features=lags features.lag=[3]", "features: no key 'lag'", "did you mean 'lags'?"),
    ("hydra.sweeep.dir=x", "hydra: no key 'sweeep'", "did you mean 'sweep'?"),
    ("hydra/help=x", "hydra: no option 'help/x'"),
    ("hydra.sweeper.params.seed=1", "hydra.sweeper.params.seed: hwds has its own; sweep=random"),
    # types
    ("pictures=maybe", "pictures: must be 'auto' or true or false, got 'maybe'."),
    ("model.season=abc", "model.season: must be a whole number, got 'abc'."),
    ("model.season=1.5", "model.season: must be a whole number, got 1.5."),
    ("model.season=true", "model.season: must be a number, got true."),
    ("model.season=null", "model.season: must be a whole number, got null."),
    ("model.season=[1]", "model.season: must be a whole number, got [1]."),
    ("model.name=3", "model.name: must be text, got 3."),
    ("~model.name", "model.name: must be given"),
    ("model=forecast/xgboost model.learning_rate=inf", "model.learning_rate: must be a finite "
                                                       "number, got inf."),
    ("model=forecast/xgboost model.learning_rate=nan", "model.learning_rate: must be a finite "
                                                       "number, got nan."),
    ("model=forecast/xgboost model.learning_rate=fast", "model.learning_rate: must be a number, "
                                                        "got 'fast'."),
    ("model=forecast/xgboost model.learning_rate=true", "model.learning_rate: must be a number, "
                                                        "got true."),
    ("features=lags features.lags=3", "features.lags: must be a list, got 3."),
    ("features=lags features.lags=[true]", "features.lags[0]: must be a number, got true."),
    ("features=lags features.lags=[2,x]", "features.lags[1]: must be a whole number, got 'x'."),
    ("protocol.segments=channel", "protocol.segments: must be a list, got 'channel'."),
    ("protocol.segments=[channel,channel]", "protocol.segments: must not repeat 'channel'"),
    ("protocol.metrics=mase", "protocol.metrics: must be a list, got 'mase'."),
    ("protocol.levels=0.5", "protocol.levels: must be a list, got 0.5."),
    ("dataset=file dataset.path=x.csv dataset.roles=sku", "dataset.roles: must be a mapping, got "
                                                          "'sku'."),
    ("dataset=file dataset.path=3", "dataset.path: must be text, got 3."),
    ("dataset=file", "dataset.path: must be given."),
    ("seed=a", "seed: must be a whole number, got 'a'."),
    ("seed=true", "seed: must be a number, got true."),
    ("seed=null", "seed: must be a whole number, got null."),
    ("'seed=???'", "seed: must be given."),
    # ranges and choices
    ("model.season=-1", "model.season: must be >= 0, got -1."),
    ("model=forecast/xgboost model.row_share=1.5", "model.row_share: must be <= 1", "got 1.5."),
    ("model=forecast/xgboost model.trees=0", "model.trees: must be >= 1, got 0."),
    ("model=forecast/xgboost model.learning_rate=0", "model.learning_rate: must be > 0", "got 0."),
    ("protocol.windows=-1", "protocol.windows: must be >= 0, got -1."),
    ("protocol.horizon=-3", "protocol.horizon: must be >= 1, got -3."),
    ("protocol=holdout protocol.horizon=0", "protocol.horizon: must be >= 1, got 0."),
    ("protocol.refit=sometimes", "protocol.refit: must be always, never or every_K", "got 'sometimes'."),
    ("protocol.align=ends", "protocol.align: must be 'calendar' or 'end', got 'ends'."),
    ("seed=-1", "seed: must be >= 0, got -1."),
    ("size=smal", "size: must be 'full' or 'small', got 'smal'."),
    ("save_model=last", "save_model: must be 'none' or 'final', got 'last'."),
    ("compute.device=tpu", "compute.device: must be 'auto', 'cpu' or 'gpu', got 'tpu'."),
    ("compute.cpus_per_cell=0", "compute.cpus_per_cell: must be >= 1, got 0."),
    ("compute=processes compute.workers=-1", "compute.workers: must be >= 0, got -1."),
    ("compute=cluster compute.address=here", "compute.address: must be host:port of the head "
                                             "node, or auto on one of its nodes"),
    ("compute=cluster compute.address=ray://here:10001", "compute.address: must be host:port of "
                                                         "the head node, or auto on one of its "
                                                         "nodes"),
    ("dataset=file dataset.path=x.csv dataset.gaps=fill", "dataset.gaps: must be 'error'", "got 'fill'."),
    ("dataset=file dataset.path=x.csv dataset.frequency=monthly", "dataset.frequency: must be", "got 'monthly'."),
    ("features=lags features.lags=[0]", "features.lags[0]: must be >= 1, got 0."),
    # levels and metrics
    ("protocol.levels=[0.5,0.1]", "protocol.levels: must rise, got [0.5, 0.1]."),
    ("protocol.levels=[0.5,0.5]", "protocol.levels: must rise, got [0.5, 0.5]."),
    ("protocol.levels=[0.1,0.9]", "protocol.levels: must have 0.5 among them, got [0.1, 0.9]."),
    ("protocol.levels=[]", "protocol.levels: must have at least 1", "got []."),
    ("protocol.levels=[0.5,1.5]", "protocol.levels[1]: must be < 1", "got 1.5."),
    ("protocol.levels=[a,0.5]", "protocol.levels[0]: must be a number, got 'a'."),
    ("protocol.headline=masse", "protocol.headline: no metric 'masse'", "did you mean 'mase'?"),
    ("protocol.headline=coverage", "protocol.headline: 'coverage' does not order models"),
    ("protocol.metrics=[wqll]", "protocol.metrics[0]: no metric 'wqll'", "did you mean 'wql'?"),
    ("protocol.metrics=[nosuch.module:thing]", "protocol.metrics[0]:", "nosuch"),
    # names of options, experiments, recipes and commands
    ("model=forecast/xgbost", "model: no option 'forecast/xgbost'", "did you mean "
                                                                    "'forecast/xgboost'?"),
    ("model=seasonal_naive", "model: no option 'seasonal_naive'", f"did you mean '{NAIVE}'?"),
    ("model=sesonal_naive", "model: no option 'sesonal_naive'", f"did you mean '{NAIVE}'?"),
    ("dataset=hardwaredemand", "dataset: no option 'hardwaredemand'", "did you mean "
                                                                      "'hardware_demand'?"),
    ("dataset=zzz", "dataset: no option 'zzz'", "known: "),
    ("protocol=walkforward", "protocol: no option 'walkforward'", "did you mean 'walk_forward'?"),
    ("model=forecast/xgboost features=purchases", "features: 'purchases' are computed for a "
                                                  "table,", "gives a panel."),
    ("features=lag", "features: no option 'lag'", "did you mean 'lags'?"),
    ("compute=serail", "compute: no option 'serail'", "did you mean 'serial'?"),
    ("experiment=foo", "experiment: no option 'foo'", "known: ab_peeking, "),
    ("+experiment=lstm_forcast", "experiment: no option 'lstm_forcast'", "did you mean "
                                                                         "'lstm_forecast'?"),
    ("model.recipe=forecast/seasonal", "model: no recipe 'forecast/seasonal'", f"did you mean "
                                                                               f"'{NAIVE}'?"),
    ("model.recipe=no_such_pkg.models:Mine", "model: no recipe 'no_such_pkg.models:Mine'"),
    ("model.recipe=hwds.forecast.models.seasonal_naive:Seasonal", "has no class 'Seasonal'", "SeasonalNaive"),
    ("model.recipe=hwds.core.errors:ConfigError", "model: 'hwds.core.errors:ConfigError' is not a "
                                                  "class that derives from"),
    ("model.recipe=3", "model.recipe: must be the name of a recipe, got 3."),
    ("~model.recipe", "model.recipe: must be the name of a recipe"),
    ("plam", "no command 'plam'; did you mean 'plan'?"),
    ("frobnicate", "no command 'frobnicate'; known: ", "compare"),
    ("model.season", "'model.season': must be given a value"),
    ("--mutirun seed=1", "no flag '--mutirun'; did you mean '--multirun'?"),
    ("--cfg jobb", "--cfg: must be one of job, hydra, all, got 'jobb'; did you mean 'job'?"),
    ("seed=1 --cfg", "--cfg: must be followed by job, hydra, all."),
    ("--config-dir no_such_folder seed=1", "--config-dir: must be followed by a folder, got "
                                           "'no_such_folder'."),
    # no option
    ("model=null", "model: must be an option, got null; options: ", NAIVE),
    ("model=", "model: must be an option, got ''; options: ", NAIVE),
    ("dataset=[classics,file]", "dataset: must be an option, got ['classics', 'file']; options: ", "hardware_demand"),
    ("'protocol={a: 1}'", "protocol: must be an option, got {'a': 1}; options: ", "walk_forward"),
    ("~features", "features: must be an option, got null; options: ", "lags"),
    ("+experiment=null", "experiment: must be an option, got null; options: ", "lstm_forecast"),
    ("+model=forecast/naive", "model: is there already; drop the '+'."),
    ("++model=forecast/naive", "model: '++model=forecast/naive' has a '+' too many"),
    # grammar
    ("a=b=c", "'a=b=c': is not path.to.key=value"),
    ("model.season=[1", "'model.season=[1': is not path.to.key=value"),
    ("model..season=1", "'model..season=1': is not path.to.key=value"),
    ("=3", "'=3': is not path.to.key=value"),
    ("seed=1 model", "'model': is not path.to.key=value"),
    ("'model.season=${sed}'", "model.season: Interpolation key 'sed' not found"),
    ("+model.season=3", "model.season: is there already; drop the '+'."),
    # many at once
    ("seed=1,2", "seed: '1,2' is several values; -m runs each of them"),
    ("-m 'model=glob(nothing/*)'", "nothing to run: a glob or range in the overrides matched no "
                                   "option."),
    ("-m 'seed=range(3,3)'", "nothing to run"),
    ("-m model.season=1,-1", "model.season: must be >= 0, got -1."),
    (f"-m model={NAIVE},forecast/xgbost", "model: no option 'forecast/xgbost'", "did you mean "
                                                                                "'forecast/xgboost'?"),
    # rivals
    ("rivals=forecast/xgboost", "rivals: must be a list of model options, got 'forecast/xgboost'."),
    ("rivals=[3]", "rivals[0]: must be an option", "got 3."),
    ("rivals=[null]", "rivals[0]: must be an option", "got null."),
    ("rivals=[forecast/xgbost]", "rivals[0]: no option 'forecast/xgbost'", "did you mean "
                                                                           "'forecast/xgboost'?"),
    ("rivals=[forecast/xgboost,forecast/xgboost]", "rivals[0]: 'forecast/xgboost' is there twice."),
    ("rivals=[{forecast/xgboost: {trees: 5}},{forecast/xgboost: {trees: 5}}]", "rivals[0]: 'forecast/xgboost(trees=5)' is there twice."),
    ("rivals=[{forecast/xgboost: {tree: 5}}]", "rivals[0]: no key 'tree'", "did you mean 'trees'?"),
    ("rivals=[{forecast/xgboost: {trees: -5}}]", "rivals[0].trees: must be >= 1, got -5."),
    ("rivals=[{forecast/xgboost: {trees: true}}]", "rivals[0].trees: must be a number, got true."),
    ("rivals=[{forecast/xgboost: 5}]", "rivals[0]: must be an option", "got {'forecast/xgboost': "
                                                                       "5}."),
    # parts that cannot go together
    ("dataset=table dataset.path=x.csv dataset.roles.label=y", "dataset: protocol 'walk_forward' "
                                                               "cuts a panel, dataset 'table' "
                                                               "gives a table."),
    ("features.recipe=hwds.evaluation.compute.serial:Serial", "features: 'Serial' is a compute, "
                                                              "not a featureset."),
]  # fmt: skip


def assert_refused(outcome, *fragments):
    assert outcome.code == 2, outcome
    assert not outcome.experiments
    lines = outcome.err.splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("hwds: ")
    assert lines[0].endswith((".", "?", ")", "...")), lines[0]
    assert "Traceback" not in outcome.err + outcome.out
    missing = [fragment for fragment in fragments if fragment not in lines[0]]
    assert not missing, lines[0]


@pytest.mark.parametrize(
    ("line", "fragments"), [(row[0], row[1:]) for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_bad_command_line_is_refused(run_line, line, fragments):
    words = [line] if line.startswith("rivals=[{") else line
    assert_refused(run_line(words), *fragments)


def test_dash_v_shows_the_traceback(run_line):
    from hwds.core.errors import ConfigError

    with pytest.raises(ConfigError, match="no key 'seasn'"):
        run_line("-v model.seasn=3")


NOT_A_FORECASTER = """
from hwds.core.recipe import Recipe

class Classifier(Recipe):
    trees: int = 3

class Forest(Classifier):
    "A classifier."
"""
MINE = "conf/model/mine.yaml"
OWN = [
    ("broken YAML", {MINE: "units: [1, 2\n  x: }{"}, "model=mine", ("mine.yaml", "line")),
    ("one word", {MINE: "hello"}, "model=mine", ("mine",)),
    ("a list", {MINE: "[1, 2]"}, "model=mine", ("model/mine.yaml: must be a mapping, got [1, 2]",)),
    ("a defaults list", {MINE: f"recipe: {NAIVE}\ndefaults: [other]"}, "model=mine", ("model/mine.yaml: an option has no defaults list",)),
    ("an unknown key", {MINE: f"recipe: {NAIVE}\nseasn: 3"}, "model=mine", ("model/mine.yaml: no "
                                                                            "key 'seasn'", "did you mean 'season'?")),
    ("an unknown key in a rival", {MINE: f"recipe: {NAIVE}\nseasn: 3"}, "rivals=[mine]", ("model/mine.yaml: no key 'seasn'", "'season'")),
    ("a bad value", {MINE: f"recipe: {NAIVE}\nseason: soon"}, "model=mine", ("model.season: must "
                                                                             "be a whole number, "
                                                                             "got 'soon'.",)),
    ("no module", {MINE: "recipe: my_models:Forest"}, "model=mine", ("model: no recipe "
                                                                     "'my_models:Forest'",)),
    ("no class", {MINE: "recipe: my_models:Florest", "my_models.py": NOT_A_FORECASTER}, "model=mine",
     ("model: module 'my_models' has no class 'Florest'", "did you mean 'Forest'?")),
    ("a missing library", {MINE: "recipe: my_models:Forest", "my_models.py": "import no_such_library"}, "model=mine",
     ("model: 'my_models:Forest' needs the module 'no_such_library', which is not installed.",)),
    ("a syntax error", {MINE: "recipe: my_models:Forest", "my_models.py": "def f(:"}, "model=mine",
     ("model: module 'my_models' fails: SyntaxError",)),
    ("not a forecaster", {MINE: "recipe: my_models:Forest", "my_models.py": NOT_A_FORECASTER}, "model=mine",
     ("model: protocol 'walk_forward' asks a forecaster, 'mine' is a classifier.",)),
    ("a rival that is not a forecaster", {MINE: "recipe: my_models:Forest", "my_models.py": NOT_A_FORECASTER}, "rivals=[mine]",
     ("rivals[0]: protocol 'walk_forward' asks a forecaster, 'mine' is a classifier.",)),
    ("an option that exists twice", {f"conf/model/{NAIVE}.yaml": "season: 4"}, "seed=1", (f"option '{NAIVE}' of model is also in", "rename it")),
    ("an experiment that exists twice", {"conf/experiment/lstm_forecast.yaml": "# @package _global_"}, "seed=1",
     ("option 'lstm_forecast' of experiment is also in", "rename it")),
    ("an experiment with a callback", {"conf/experiment/e.yaml": "# @package _global_\nhydra: "
                                                                 "{callbacks: {x: {_target_: "
                                                                 "numpy.savetxt}}}"},
     "+experiment=e", ("experiment/e: an experiment may not change 'hydra'",)),
    ("an experiment that is Hydra's", {"conf/experiment/e.yaml": "# @package hydra.callbacks\nx: "
                                                                 "{_target_: numpy.savetxt}"},
     "+experiment=e", ("experiment/e: an experiment may not change 'hydra'",)),
    ("an experiment with a launcher", {"conf/experiment/e.yaml": "# @package _global_\ndefaults: "
                                                                 "[{override /hydra/launcher: "
                                                                 "basic}]"},
     "+experiment=e", ("experiment/e: an experiment may not change 'hydra'",)),
    ("an experiment from elsewhere", {MINE: f"recipe: {NAIVE}"}, "+experiment=../model/mine", ("experiment: no option '../model/mine'",)),
    ("an experiment with a wrong option", {"conf/experiment/e.yaml": "# @package _global_\ndefaults: [override /model: forecast/lstmm]"},
     "+experiment=e", ("model: no option 'forecast/lstmm'", "did you mean 'forecast/lstm'?")),
    ("an experiment with settings of another model", {"conf/experiment/e.yaml": "# @package _global_\ndefaults: [{override /model: forecast/auto}]\nmodel: {budget: 60s, most: 3}"},
     "+experiment=e model=forecast/theta", ("model.budget: conf/experiment/e.yaml sets it for "
                                            "forecast/auto, and forecast/theta has", "~model.budget ~model.most")),
    ("an experiment with a wrong key", {"conf/experiment/e.yaml": "# @package _global_\nsede: 3"}, "+experiment=e", ("no key 'sede'", "'seed'")),
    ("an experiment with a wrong value", {"conf/experiment/e.yaml": "# @package _global_\nseed: x"}, "+experiment=e",
     ("seed: must be a whole number, got 'x'.",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "line", "fragments"), [row[1:] for row in OWN], ids=[row[0] for row in OWN]
)
def test_bad_own_conf_is_refused(run_line, own_conf, files, line, fragments):
    own_conf(**files)
    assert_refused(run_line(line), *fragments)


def test_hwds_conf_that_is_no_folder_is_refused(run_line, own_conf, monkeypatch):
    monkeypatch.setenv("HWDS_CONF", "no_such_folder")
    own_conf()
    assert_refused(run_line("seed=1"), "HWDS_CONF:", "no_such_folder", "is not a folder")


def test_the_table_is_long_enough():
    assert len({row[0] for row in REFUSED}) + len(OWN) >= 60


HEAVY = (
    "tensorflow",
    "keras",
    "xgboost",
    "pandas",
    "matplotlib",
    "sklearn",
    "scipy",
    "statsmodels",
    "pmdarima",
)
PROBE = (
    "import json, sys\nsys.argv = ['hwds', *json.loads(sys.argv[1])]\nfrom hwds.cli.main import "
    "main\ncode = main()\n"
    "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\nsys.exit(code)"
)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["model.seasn=3"], "model: no key 'seasn'; did you mean 'season'?"),
        (["+experiment=lstm_forecast", "model.epochs=0"], "model.epochs: must be >= 1, got 0."),
        (
            ["model=forecast/xgboost", "rivals=[forecast/xgbost]"],
            "rivals[0]: no option 'forecast/xgbost'",
        ),
    ],
)
def test_a_refusal_is_cheap(tmp_path, words, fragment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(words)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert fragment in done.stderr
    assert not set(json.loads(done.stdout)) & set(HEAVY)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
