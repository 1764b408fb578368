"""Skeletons of `hwds new`: each is written once, composes, and passes the test that lies beside
it.
"""

import importlib.util
import shlex
import sys

import numpy as np
import pytest

from hwds.cli.commands.new import GROUPS
from tests.support.command_line import forget_options


@pytest.mark.parametrize("kind", GROUPS)
def test_a_skeleton_composes_and_passes_its_own_test(kind, command, tmp_path):
    done = command(f"new {kind} shop_trend")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    (line,) = (line for line in lines if line.startswith("Run it by "))
    files = lines[: lines.index(line)]
    assert lines[len(files) + 1 :] == [
        f"Test it by `python -m pytest {file}`." for file in files if file.startswith("tests")
    ]
    assert all((tmp_path / file).is_file() for file in files)
    assert len(files) == {"metric": 2, "experiment": 1}.get(kind, 3)
    words = shlex.split(line.split("`")[1])
    planned = command(["plan", *words[1:]])
    assert planned.code == 0, planned.err
    for test in tmp_path.glob("tests/test_*.py"):
        spec = importlib.util.spec_from_file_location(test.stem, test)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        (own,) = (value for name, value in vars(module).items() if name.startswith("test_"))
        own()
    again = command(f"new {kind} shop_trend")
    assert (
        again.line == f"hwds: new: {files[0]} is there; edit or delete it, or choose another name."
    )


@pytest.mark.parametrize("name", ["Shop", "shop-trend", "7days", "class", "../x"])
def test_a_name_that_no_module_can_have_is_refused(name, command, tmp_path):
    assert command(["new", "model", name]).line.startswith(
        "hwds: new: NAME must be small letters, digits and underscores"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_ones_own(command, tmp_path):
    assert command("new dataset stores --package acme").code == 0
    assert (
        (tmp_path / "conf" / "dataset" / "acme" / "stores.yaml")
        .read_text()
        .endswith("recipe: acme.stores:Stores\nproducts: 5\n")
    )


def test_a_name_that_would_hide_one_of_hwds_is_refused(command, tmp_path):
    refused = command("new dataset panel")
    assert (
        refused.line
        == "hwds: new: 'Panel' is a name of hwds, which the skeleton uses; choose another than "
        "'panel'."
    )
    assert list(tmp_path.iterdir()) == []


def test_the_forecaster_keeps_its_season_over_a_gap(command, tmp_path, monkeypatch):
    assert command("new model over_gaps").code == 0
    spec = importlib.util.spec_from_file_location("over_gaps", tmp_path / "mine" / "over_gaps.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "over_gaps", module)
    spec.loader.exec_module(module)
    fitted = module.FittedOverGaps(years=2, season=4, levels=(0.5,))
    values = np.tile(np.arange(4.0), 3)
    values[5] = np.nan
    assert fitted._one(values, 4)[0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert fitted._one(np.full(6, np.nan), 2) == (pytest.approx([0.0, 0.0]), 0.0)


def test_the_words_of_a_run_become_an_experiment(command, tmp_path):
    words = "model=forecast/theta model.form=standard rivals=[forecast/naive] protocol.windows=2"
    assert command(f"new experiment spring {words}").code == 0
    written = (tmp_path / "conf" / "experiment" / "spring.yaml").read_text()
    assert "model:\n  form: standard\n" in written
    forget_options()
    plan, same = command(f"plan {words}"), command("plan +experiment=spring")
    assert same.code == 0, same.err
    cells, of_spring = (each.out.rpartition("\n\n")[0] for each in (plan, same))
    assert cells.partition("\nrun adhoc/")[2] == of_spring.partition("\nrun spring/")[2] != ""


def test_what_belongs_to_a_run_is_named_and_left_out(command, tmp_path):
    said = command(
        "new experiment autumn model=forecast/xgboost sweep=random sweep.trials=4 note=hello"
    )
    assert (
        "No part of an experiment, to be given when it runs: sweep=random sweep.trials=4 "
        "note=hello." in said.out
    )
    assert "sweep" not in (tmp_path / "conf" / "experiment" / "autumn.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "model x model=forecast/naive",
            "new: words of a run, as 'model=forecast/naive', become an experiment, not a model.",
        ),
        (
            "experiment x model=forecast/nave",
            "model: no option 'forecast/nave'; did you mean 'forecast/naive'?",
        ),
        ("experiment x dataset=file", "dataset.path: must be given"),
    ],
)
def test_words_that_are_no_experiment_are_refused(command, tmp_path, words, said):
    assert said in command(f"new {words}").line
    assert not list(tmp_path.iterdir())
