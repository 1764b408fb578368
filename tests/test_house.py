"""What the house promises of its files: names, headers, sizes, documentation."""

import ast
import inspect
import re
import shlex
from dataclasses import fields
from itertools import product
from pathlib import Path

import pytest

from hwds.cli import commands, tidy
from hwds.config.check import BASES, check, kind
from hwds.config.compose import compose
from hwds.recipe import Recipe
from hwds.registry import PACKAGES, options, resolve

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "hwds").rglob("*.py"))
YAMLS = sorted((ROOT / "conf").rglob("*.yaml"))
OPTIONS = [(group, option) for group in PACKAGES for option in options(group)]


def relative(path):
    return path.relative_to(ROOT).as_posix()


def recipe_of(group, option):
    import yaml

    said = yaml.safe_load(options(group)[option].read_text()) or {}
    return said.get("recipe", option)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_an_option_its_module_and_its_class_bear_one_name(group, option):
    recipe = recipe_of(group, option)
    cls = resolve(group, recipe)
    assert issubclass(cls, Recipe)
    assert cls.__module__ == f"hwds.{PACKAGES[group]}.{recipe.replace('/', '.')}"
    assert cls.__name__.replace("_", "").lower() == recipe.rpartition("/")[2].replace("_", "")


@pytest.mark.parametrize("group", PACKAGES)
def test_every_recipe_has_an_option(group):
    import importlib

    configured = {resolve(group, recipe_of(group, option)) for option in options(group)}
    folder = ROOT / "hwds" / PACKAGES[group]
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem == "__init__":
            continue
        wanted = path.stem.replace("_", "")
        for cls in vars(importlib.import_module(name)).values():
            if not isinstance(cls, type) or not issubclass(cls, Recipe) or kind(cls) != BASES.get(group, kind(cls)):
                continue
            if any(issubclass(other, cls) and other is not cls for other in configured):  # a base of others
                continue
            if cls.__module__ == name and cls.__name__.replace("_", "").lower() == wanted:
                assert cls in configured, f"{relative(path)} has no YAML in conf/{group}"


def header(path):
    lines = path.read_text().splitlines()[:2]
    return next((line[2:] for line in lines if line.startswith("# python -m hwds")), None)


@pytest.mark.parametrize("path", YAMLS, ids=relative)
def test_a_yaml_begins_with_a_command_that_works(path):
    command = header(path)
    assert command, f"{relative(path)}: neither of its first two lines is '# python -m hwds ...'"
    words = shlex.split(command)[3:]
    group, _, option = path.relative_to(ROOT / "conf").with_suffix("").as_posix().partition("/")
    if option:
        assert any(word.lstrip("+") == f"{group}={option}" for word in words) or _is_default(group, option, words), command
    data = compose([word for word in tidy(words) if not word.startswith("-")])
    if (group, option) != ("dataset", "table"):  # no protocol cuts a table yet
        check(data)


def swept(path):
    """What a YAML's comments say to run with `-m`: the words of every job."""
    told = " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
    for words in re.findall(r"-m ((?:[a-z_.]+=[^ ;]+[ ;]?)+)", told):
        pairs = [word.rstrip(".;").partition("=") for word in words.split()]
        yield from product(*([f"{name}={value}" for value in values.split(",")] for name, _, values in pairs))


SWEPT = [(path, words) for path in YAMLS for words in swept(path)]


@pytest.mark.parametrize(
    ("path", "words"), SWEPT, ids=lambda value: relative(value) if isinstance(value, Path) else " ".join(value)
)
def test_what_its_comments_say_to_run_with_m_composes(path, words):
    check(compose([*tidy(shlex.split(header(path))[3:]), *words]))


def test_sweeps_in_comments_are_found():
    assert ("protocol.most_labels=1000", "compute.max_failed=8") in [words for _, words in SWEPT]
    assert len(SWEPT) >= 10


def _is_default(group, option, words):
    data = compose(words)
    return data.get(group, {}).get("name") == option if group in PACKAGES else data["experiment"] == option


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_are_small(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 250, f"{relative(path)} has {len(lines)} lines"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_functions_are_short_and_what_is_public_is_documented(path):
    tree = ast.parse(path.read_text())
    if path.stem not in ("__init__",):
        assert ast.get_docstring(tree), f"{relative(path)} has no docstring"
    for node in [*tree.body, *(child for cls in tree.body if isinstance(cls, ast.ClassDef) for child in cls.body)]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            where = f"{relative(path)}:{node.lineno} {node.name}"
            assert node.name.startswith("_") or ast.get_docstring(node), f"{where} has no docstring"
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{where} is too long"
            unsaid = [arg.arg for arg in [*node.args.args, *node.args.kwonlyargs] if not arg.annotation]
            assert not set(unsaid) - {"self", "cls"}, f"{where}: {unsaid} have no annotation"
            assert node.returns is not None, f"{where} says no type of what it returns"


def documented(cls):
    """The names under `Attributes:` of a class and its bases."""
    found = set()
    for base in cls.__mro__:
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
        found |= set(re.findall(r"^    (\w+):", text.partition("\n\n")[0], re.MULTILINE))
    return found


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_field_is_documented(group, option):
    cls = resolve(group, recipe_of(group, option))
    nested = [type(field.default) for field in fields(cls) if isinstance(field.default, Recipe)]
    for recipe in (cls, *nested):
        missing = {field.name for field in fields(recipe)} - documented(recipe)
        assert not missing, f"{recipe.__name__}: {sorted(missing)} are not under Attributes:"
    first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
    assert first.endswith("."), f"{cls.__name__}: its first sentence is what `hwds list` prints"


@pytest.mark.parametrize("group", ["model", "protocol"])
def test_models_and_protocols_have_a_runnable_example(group):
    for option in options(group):
        cls = resolve(group, recipe_of(group, option))
        line = re.search(r"Example:\n\s+python -m hwds (.+)", cls.__doc__ or "")
        assert line, f"{cls.__name__} has no Example:"
        check(compose([word for word in tidy(shlex.split(line[1])) if not word.startswith("-")]))


def test_commands_have_a_sentence_and_a_main():
    for name in commands():
        tree = ast.parse((ROOT / "hwds" / "commands" / f"{name}.py").read_text())
        assert (ast.get_docstring(tree) or "").split("\n")[0].endswith("."), name
        assert any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body), name


@pytest.mark.parametrize("path", [*MODULES, *YAMLS], ids=relative)
def test_nothing_is_left_undone(path):
    text = path.read_text()
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert "filterwarnings" not in text
    assert not re.search(r"np\.random\.(seed|rand|normal|choice|randint)\b", text)
