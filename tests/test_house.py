"""What the house promises of its files: names, headers, sizes, documentation."""

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from itertools import product
from pathlib import Path

import pytest

from hwds.cli.main import command_files, commands
from hwds.cli.words import as_override
from hwds.core.compose import compose
from hwds.core.recipe import Recipe
from hwds.core.registry import GROUPS, WRITTEN, module_file, module_name, option_folders, options
from hwds.experiment.spec import Experiment
from tests.support.composed import class_of, composed, recipe_of
from tests.support.source import parsed

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "hwds").rglob("*.py"))
YAMLS = sorted((ROOT / "conf").rglob("*.yaml"))
OPTIONS = [(group, option) for group in GROUPS for option in options(group)]


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_an_option_its_module_and_its_class_bear_one_name(group, option):
    recipe = recipe_of(group, option)
    cls = class_of(group, option)
    assert issubclass(cls, Recipe)
    assert cls.__module__ == module_name(group, recipe)
    assert cls.__name__.replace("_", "").lower() == recipe.rpartition("/")[2].replace("_", "")


@pytest.mark.parametrize("group", GROUPS)
def test_an_option_folder_has_options_and_their_base_alone(group):
    configured = {module_file(group, recipe_of(group, option)) for option in options(group)}
    for folder in {path.parent for path in configured}:
        rest = {
            path for path in folder.glob("*.py") if path.stem not in ("__init__", "base")
        } - configured
        assert not rest, f"{[relative(path) for path in sorted(rest)]} have no YAML in conf/{group}"


@pytest.mark.parametrize(
    "group", [group for group in GROUPS if group != "model"]
)  # a model's name has its family's
def test_no_option_has_two_modules(group):
    stems = [path.stem for folder in option_folders(group).values() for path in folder.glob("*.py")]
    own = [stem for stem in stems if stem not in ("base", "__init__")]
    assert len(set(own)) == len(own)


def overrides(words):
    return [as_override(word) for word in words if not word.startswith("-")]


def header(path):
    lines = path.read_text().splitlines()[:2]
    return next((line[2:] for line in lines if line.startswith("# python -m hwds")), None)


@pytest.mark.parametrize("path", YAMLS, ids=relative)
def test_a_yaml_begins_with_a_command_that_works(path):
    command = header(path)
    assert command, f"{relative(path)}: neither of its first two lines is '# python -m hwds ...'"
    words = shlex.split(command)[3:]
    if path.parent.name == "gate":  # rules for a run that is there, and no part of an experiment
        assert words[0] == "gate"
        assert words[words.index("--gate") + 1] == path.stem
        return
    group, _, option = path.relative_to(ROOT / "conf").with_suffix("").as_posix().partition("/")
    if option:
        named = f".{group}={option}" if group in WRITTEN else f"{group}={option}"
        assert any(
            (word.endswith(named) if group in WRITTEN else word.lstrip("+") == named)
            for word in words
        ) or _is_default(group, option, words), command
    if group == "model":
        for package in class_of(group, recipe_of(group, option)).imports:
            pytest.importorskip(package)
    words = overrides(words)
    if (group, option) == ("dataset", "table"):  # no protocol cuts a table yet
        compose(words)
    elif words != [
        f"+experiment={option}"
    ]:  # which tests/core/test_compose.py composes, of every experiment
        composed(*words)


def swept(path):
    """What a YAML's comments say to run with `-m`: the words of every job."""
    told = " ".join(
        line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#")
    )
    for words in re.findall(r"-m ((?:[a-z_.]+=[^ ;]+[ ;]?)+)", told):
        pairs = [word.rstrip(".;").partition("=") for word in words.split()]
        yield from product(
            *([f"{name}={value}" for value in values.split(",")] for name, _, values in pairs)
        )


SWEPT = [(path, words) for path in YAMLS for words in swept(path)]


@pytest.mark.parametrize(
    ("path", "words"),
    SWEPT,
    ids=lambda value: relative(value) if isinstance(value, Path) else " ".join(value),
)
def test_what_its_comments_say_to_run_with_m_composes(path, words):
    found = composed(*overrides(shlex.split(header(path))[3:]), *words)
    assert isinstance(found, Experiment)


def test_sweeps_in_comments_are_found():
    assert ("protocol.most_labels=1000", "compute.max_failed=8") in [words for _, words in SWEPT]
    assert len(SWEPT) >= 10


def _is_default(group, option, words):
    data = compose(words)
    return (
        data.get(group, {}).get("name") == option
        if group in GROUPS
        else data["experiment"] == option
    )


def test_modules_are_small():
    lines = {relative(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > 910} == {}


FOLDERS = sorted({path.parent for path in MODULES})
OPTION_FOLDERS = {folder for group in GROUPS for folder in option_folders(group).values()}
COMMANDS = ROOT / "hwds" / "cli" / "commands"
MOST = 23
"""Modules side by side in a folder; an option folder has one for each option, found by its name,
and may grow.
"""


def test_a_folder_can_be_overlooked():
    counted = [folder for folder in FOLDERS if folder not in OPTION_FOLDERS | {COMMANDS}]
    modules = {
        relative(folder): sum(path.stem != "__init__" for path in folder.glob("*.py"))
        for folder in counted
    }
    crowded = {name: count for name, count in modules.items() if count > MOST}
    assert not crowded, (
        f"{crowded}: more than {MOST} modules; put those of one job into a folder named by what "
        f"they make"
    )


def test_option_folders_alone_may_grow():
    assert ROOT / "hwds" / "bandit" / "models" in OPTION_FOLDERS
    assert ROOT / "hwds" / "bandit" / "models" / "kernels" not in OPTION_FOLDERS


def test_a_name_does_not_repeat_its_folders():
    short = [path for path in MODULES if path.parent.name not in ("analog", "ab", "ope")]
    assert [
        relative(path) for path in short if path.parent.name.rstrip("s") in path.stem.split("_")
    ] == []


def complaints(path):
    """What lacks a docstring, or is too long; annotations are held by ruff and mypy."""
    tree = parsed(path)
    if path.stem != "__init__" and not ast.get_docstring(tree):
        yield f"{relative(path)} has no docstring"
    for node in [
        *tree.body,
        *(child for cls in tree.body if isinstance(cls, ast.ClassDef) for child in cls.body),
    ]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            where = f"{relative(path)}:{node.lineno} {node.name}"
            if not node.name.startswith("_") and not ast.get_docstring(node):
                yield f"{where} has no docstring"
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 105:
            yield f"{where} is too long"


def test_functions_are_short_and_what_is_public_is_documented():
    assert [complaint for path in MODULES for complaint in complaints(path)] == []


def documented(cls):
    """The names under `Attributes:` of a class and its bases."""
    found = set()
    for base in cls.__mro__:
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
        found |= set(re.findall(r"^    (\w+):", text.partition("\n\n")[0], re.MULTILINE))
    return found


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_field_is_documented(group, option):
    cls = class_of(group, option)
    nested = [type(field.default) for field in fields(cls) if isinstance(field.default, Recipe)]
    for recipe in (cls, *nested):
        missing = {field.name for field in fields(recipe)} - documented(recipe)
        assert not missing, f"{recipe.__name__}: {sorted(missing)} are not under Attributes:"
    first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
    assert first.endswith("."), f"{cls.__name__}: its first sentence is what `hwds list` prints"


@pytest.mark.parametrize("group", GROUPS)
def test_examples_in_docstrings_work(group):
    """A docstring has one where it shows more than the command with which the option's YAML
    begins.
    """
    lines = (
        re.search(r"Example:\n\s+python -m hwds (.+)", class_of(group, option).__doc__ or "")
        for option in options(group)
    )
    for line in {line[1] for line in lines if line}:
        assert isinstance(composed(*overrides(shlex.split(line))), Experiment), line


def test_commands_have_a_sentence_and_a_main():
    for name in commands():
        tree = ast.parse(command_files()[name].read_text())
        assert (ast.get_docstring(tree) or "").split("\n\n")[0].endswith("."), name
        assert any(
            isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body
        ), name


UNDONE = re.compile(
    r"\b(TODO|FIXME|XXX)\b|filterwarnings|np\.random\.(seed|rand|normal|choice|randint)\b"
)


def test_nothing_is_left_undone():
    assert [relative(path) for path in [*MODULES, *YAMLS] if UNDONE.search(path.read_text())] == []


def test_no_graph_is_traced_through_rewritten_code():
    """AutoGraph writes what it rewrites into the temporary folder, where its compiled form
    stays.
    """
    trees = [parsed(path) for path in MODULES if "tf.function" in path.read_text()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = [
        node
        for node in nodes
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "tf.function"
    ]
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.func in named]
    assert len(calls) == len(named) > 0
    assert all("autograph=False" in map(ast.unparse, call.keywords) for call in calls)


def test_every_file_of_the_package_is_in_the_wheel():
    shipped = set(re.findall(r'"\*\*/\*(\.\w+)"', (ROOT / "setup.py").read_text())) | {".py"}
    files = [
        path
        for path in (ROOT / "hwds").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {path.suffix for path in files} <= shipped


def test_what_is_said_to_be_slow_is_there():
    names = [line.split()[1] for line in (ROOT / "tests" / "slow.txt").read_text().splitlines()]
    assert [name for name in names if not (ROOT / name).is_file()] == []


SMALL = ("size=small", "compute=serial", "rivals=[]")


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (("dataset=classics", "model=forecast/seasonal_naive", "protocol=holdout"), 65),
        (("+experiment=gray_market_xgboost",), 110),
    ],
    ids=["seasonal_naive", "gray_market"],
)
def test_one_who_follows_a_small_run_opens_few_files(words, most, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.executed", *words, *SMALL],
        check=False,
        cwd=ROOT,
        env=os.environ | {"HWDS_OUTPUTS": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    files = [line for line in done.stderr.splitlines() if line.startswith("executed ")]
    assert 30 < len(files) <= most, done.stderr[-2000:]
