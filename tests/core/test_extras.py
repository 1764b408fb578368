"""Extras: the table beside pyproject.toml, what each option imports, and hwds without them."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import hwds
from hwds.cli.commands.list import imports_of
from hwds.core import extras
from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.core.extras import PACKAGES, extras_of, install_command, missing_modules
from hwds.core.registry import GROUPS, options
from hwds.experiment.spec import check
from tests.support.composed import class_of

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
WHOLE = {"all", "dev"}
"""The extras that are made of others."""

UNTESTED = {"bayes"}
"""The extras that the lock does not have: jaxlib is 350 MB."""
SITE = {"docs"}
"""The extra that builds the documentation; the package imports none of it."""

TOPS = {module.partition(".")[0] for module in PACKAGES}


def names_in(requirements):
    return {re.split(r"[\[>=<;, ]", line, maxsplit=1)[0].lower() for line in requirements}


def test_the_table_agrees_with_pyproject():
    for package in PACKAGES.values():
        assert package.name.lower() in names_in(EXTRAS[package.extra]), package
    assert {package.extra for package in PACKAGES.values()} == set(EXTRAS) - WHOLE - SITE
    assert not names_in(PROJECT["dependencies"]) & {each.name.lower() for each in PACKAGES.values()}


def test_all_has_every_extra_and_dev_all_that_the_lock_has():
    parts = {
        whole: set(re.search(r"hwds\[(.*)\]", " ".join(EXTRAS[whole]))[1].split(","))
        for whole in WHOLE
    }
    assert parts["all"] == set(EXTRAS) - WHOLE - SITE
    assert parts["dev"] == parts["all"] - UNTESTED | SITE
    locked = names_in((ROOT / "requirements.lock").read_text().splitlines())
    wanted = names_in(
        line for name in parts["dev"] for line in (*EXTRAS[name], *PROJECT["dependencies"])
    )
    assert wanted <= locked


def test_what_is_missing_is_one_command():
    assert extras_of(["xgboost", "sklearn", "keras"]) == ("boosting", "networks")
    assert (
        install_command(["xgboost", "keras", "lightgbm"])
        == "pip install 'hwds[boosting,networks]' lightgbm"
    )


def test_the_version_says_which_extras_are_installed(monkeypatch, command):
    monkeypatch.setattr(extras, "_is_installed", lambda module: module not in ("keras", "numpyro"))
    done = command("--version")
    assert done.code == 0
    first, present, missing = done.out.splitlines()
    assert first.startswith(f"hwds {hwds.__version__}, Python 3.")
    assert "boosting" in present
    assert not {"networks", "bayes"} & set(re.findall(r"\w+", present))
    assert missing == "missing: bayes, networks; add one by pip install 'hwds[NAME]'"
    monkeypatch.setattr(extras, "_is_installed", lambda module: True)
    assert len(command("--version").out.splitlines()) == 2


def test_a_mere_folder_of_the_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "no_such_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert missing_modules(["no_such_package", "no.such.one", "json"]) == (
        "no_such_package",
        "no.such.one",
    )


# What each option imports: all names that its class refers to, and those that they do.


@cache
def read_module(module):
    """Return the definition of each name of a module, and what it imports from hwds by name."""
    base = ROOT.joinpath(*module.split("."))
    files = [each for each in (base.with_suffix(".py"), base / "__init__.py") if each.is_file()]
    tree = ast.parse(files[0].read_text() if files else "")
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hwds.")
        for alias in node.names
    }
    return {name: node for node in tree.body for name in defined_names(node)}, imported


def defined_names(node):
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    stored = ast.walk(node) if isinstance(node, ast.Assign | ast.AnnAssign) else ()
    return [
        each.id for each in stored if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    ]


@cache
def uses(module, name):
    """Return the packages that a definition imports, and what it refers to but in annotations."""
    definitions, imported = read_module(module)
    node = definitions.get(name, ast.Pass())
    notes = [
        note
        for each in ast.walk(node)
        for note in (getattr(each, "annotation", None), getattr(each, "returns", None))
        if note is not None
    ]
    skipped = {id(each) for note in notes for each in ast.walk(note)}
    packages, names = set(), set()
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in each.names}
        elif isinstance(each, ast.ImportFrom):
            packages.add((each.module or "").partition(".")[0])
        elif isinstance(each, ast.Name) and id(each) not in skipped:
            names.add(each.id)
    return packages & TOPS, [imported.get(each, (module, each)) for each in names]


def packages_of(cls):
    """Return the packages that a class imports, itself or by what it refers to."""
    seen, left, found = set(), [(cls.__module__, cls.__name__)], set()
    while left:
        place = left.pop()
        if place in seen or not place[0].startswith("hwds."):
            continue
        seen.add(place)
        packages, places = uses(*place)
        found |= packages
        left += places
    return found


OF_A_SETTING = {"dataset": {"holidays"}, "protocol": {"xgboost"}, "sweep": {"ray"}}
"""What a group may import where another setting asks for it: a country, a reward model, a
compute.
"""


@pytest.mark.parametrize("group", GROUPS)
def test_each_option_declares_what_it_imports(group):
    for option, file in options(group).items():
        cls = class_of(group, option)
        declared = {name.partition(".")[0] for name in (*cls.imports, *cls.may_import)}
        imported = packages_of(cls)
        assert imported - declared <= OF_A_SETTING.get(group, set()), option
        assert declared - imported <= {"grpc"}, option
        assert set(cls.imports) <= imports_of(group, file), option


def test_the_list_reads_members_too():
    assert imports_of("model", options("model")["forecast/stack"]) == {
        "keras",
        "tensorflow",
        "xgboost",
    }


# hwds as `pip install hwds` leaves it: what extras have cannot be found, nor pandas, which comes
# with them.

LIGHT = f"""
import json, sys
HIDDEN = {sorted(TOPS | {"pandas", "joblib", "patsy"})!r}

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *rest):
        hidden = name.partition(".")[0] in HIDDEN
        return None if hidden else self.finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Hiding, sys.meta_path)
from hwds.cli.main import main
for line in json.loads(sys.argv[1]):
    sys.argv = ["hwds", *line.split()]
    code = main()
    print(f"== {{code}}", file=sys.stderr, flush=True)
"""

OWN = (
    "dataset=file dataset.path=sales.csv dataset.roles.series=sku dataset.roles.time=month "
    "dataset.roles.target=units protocol.horizon=2 protocol.windows=2 compute=serial size=small"
)

REFUSED = [
    (
        "model=forecast/xgboost",
        "model.recipe: 'forecast/xgboost' needs xgboost",
        "boosting",
    ),
    (
        "rivals=[forecast/lstm]",
        "rivals[0].recipe: 'forecast/lstm' needs keras and tensorflow",
        "networks",
    ),
    (
        "model=forecast/ces",
        "model.recipe: 'forecast/ces' needs statsforecast",
        "classical",
    ),
    (
        "model=forecast/stack",
        "model.members[2].recipe: 'forecast/xgboost' needs xgboost; "
        "model.members[3].recipe: 'forecast/mlp' needs keras and tensorflow",
        "boosting,networks",
    ),
    (
        "model=forecast/auto model.members=[forecast/ets,forecast/tsb]",
        "model.members[1].recipe: 'forecast/tsb' needs statsforecast",
        "classical",
    ),
    (
        "compute=ray",
        "compute.recipe: 'ray' needs grpcio and ray",
        "ray",
    ),
    (
        "sweep=optuna",
        "sweep.recipe: 'optuna' needs optuna",
        "optuna",
    ),
    (
        "sweep=asha_forecasters",
        "sweep.space.model.recipe: 'forecast/xgboost' needs xgboost",
        "boosting",
    ),
    (
        "tracker=both",
        "tracker.recipe: 'both' needs mlflow and wandb",
        "mlflow,wandb",
    ),
    (
        "dataset.country=US",
        "dataset.country: 'US' needs holidays",
        "holidays",
    ),
    (
        "+experiment=gray_market_xgboost model=classify/rules_gray rivals=[]",
        "model.propose: 3 needs scikit-learn",
        "boosting",
    ),
    (
        "+experiment=oem_commitment decision_pack=oem",
        "decision_pack: 'oem' needs XlsxWriter",
        "xlsx",
    ),
    (
        "+experiment=ope_open_bandit",
        "protocol.recipe: 'off_policy_columns' needs scikit-learn",
        "boosting",
    ),
    (
        "+experiment=device_lifetimes model=lifetime/cox rivals=[]",
        "model.recipe: 'lifetime/cox' needs lifelines",
        "survival",
    ),
]
"""Words, what they need, and the extras that have it."""


def light(folder, *lines):
    """Return output, and error and code of each line, of a process that finds no extra."""
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, json.dumps(lines)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    *parts, rest = re.split(r"^== (\d+)\n", done.stderr, flags=re.MULTILINE)
    assert rest == ""
    return done.stdout, [
        (int(code), error) for error, code in zip(parts[::2], parts[1::2], strict=True)
    ]


@pytest.fixture
def sales(tmp_path):
    rows = [
        f"{sku},{2019 + i // 12}-{i % 12 + 1:02}-01,{100 + 7 * (i % 12) + i}"
        for sku in "ab"
        for i in range(48)
    ]
    (tmp_path / "sales.csv").write_text("\n".join(["sku,month,units", *rows]) + "\n")
    return tmp_path


def test_the_core_forecasts_lists_and_plans_without_any_extra(sales):
    out, ends = light(
        sales,
        f"{OWN} model=forecast/theta rivals=[forecast/seasonal_naive]",
        f"{OWN} model=forecast/auto model.budget=20u",
        "list model",
        f"plan {OWN} model=forecast/ets",
        "dataset=classics model=forecast/naive protocol=holdout size=small compute=serial",
    )
    assert ends == [(0, "")] * 5
    assert out.count("Files  ") == 3
    assert (
        "'forecast/auto' does without keras, statsforecast, tensorflow and xgboost, not installed: "
        "pip install 'hwds[boosting,classical,networks]'." in " ".join(out.split())
    )
    listed = " ".join(out.split())
    assert re.search(r" forecast/xgboost [^/]*\[needs hwds\[boosting\]\]", listed)
    assert re.search(r" forecast/stack [^/]*\[needs hwds\[boosting,networks\]\]", listed)
    assert not re.search(r" forecast/theta [^/]*\[needs", listed)


def test_what_is_missing_is_refused_in_a_line_before_any_work(sales):
    lines = [words if words.startswith("+") else f"{OWN} {words}" for words, *_ in REFUSED]
    _, ends = light(sales, *lines)
    assert ends == [
        (2, f"hwds: {need}: pip install 'hwds[{extras}]'.\n") for _, need, extras in REFUSED
    ]
    assert not (sales / "outputs" / "runs").exists()


def test_a_rival_that_needs_what_the_model_needs_is_told_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ConfigError, match=r"^model\.recipe: 'forecast/xgboost' needs xgboost: "):
        check(compose(["model=forecast/xgboost", "rivals=[forecast/xgboost_recursive]"]))
