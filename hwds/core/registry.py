"""Names to files and classes: options, their modules, and the families around them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from os.path import isfile
from pathlib import Path
from typing import Any, Literal, TypeVar

from hwds.core.cache import note_inputs
from hwds.core.errors import ConfigError, nearest
from hwds.core.moved import current_path

# Names to files and classes: `model=forecast/lstm` is conf/model/forecast/lstm.yaml and
# `hwds.forecast.models.lstm:LSTM`.

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of hwds itself."""

GROUPS = {
    "dataset": "datasets",
    "features": "features",
    "model": "models",
    "protocol": "protocols",
    "compute": "evaluation/compute",
    "decision": "decisions",
    "sweep": "search/sweeps",
    "tracker": "track/trackers",
}
"""The config groups whose options are recipes, each with its folder of modules: one in hwds, or one
in each family.
"""

WRITTEN = ("rules",)
"""The config groups whose options are values of a field that is marked `Written`, not recipes."""


@cache
def conf_dirs() -> tuple[Path, ...]:
    """Return the packaged conf/, then the user's: `$HWDS_CONF`, or `conf/` in the current folder.

    The parent of the user's conf/ joins `sys.path`, so that its recipes can be imported; spawned
    workers inherit it.
    """
    packaged = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
    user = Path(os.environ.get("HWDS_CONF", "conf")).resolve()
    if os.environ.get("HWDS_CONF") and not user.is_dir():
        raise ConfigError(f"HWDS_CONF: '{user}' is not a folder.")
    if not user.is_dir() or user == packaged:
        return (packaged,)
    if str(user.parent) not in sys.path:
        sys.path.insert(0, str(user.parent))
    return packaged, user


@cache
def options(group: str) -> dict[str, Path]:
    """Return every option of a config group by name, from all conf folders.

    The same name in two of them is refused.
    """
    files: dict[str, Path] = {}
    for root in conf_dirs():
        for file in sorted((root / group).rglob("*.yaml")):
            name = file.relative_to(root / group).with_suffix("").as_posix()
            if name in files:
                raise ConfigError(
                    f"{file}: option '{name}' of {group} is also in {files[name]}; rename it."
                )
            files[name] = file
    return files


@cache
def option_folders(group: str) -> dict[str, Path]:
    """Return the folders of hwds with the options of a group, by the family that each belongs to
    (`""` for none).
    """
    folder = GROUPS[group]
    shared = {"": PACKAGE / folder} if (PACKAGE / folder).is_dir() else {}
    return shared | {
        path.relative_to(PACKAGE).parts[0]: path
        for path in sorted(PACKAGE.glob(f"*/{folder}"))
        if path.is_dir()
    }


@cache
def module_file(group: str, recipe: str) -> Path | None:
    """Return the file in hwds of a recipe that is named by convention, without importing it.

    None where there is none.

    `forecast/lstm` is `lstm.py` in the models of the family `forecast`, or `forecast/lstm.py` in
    those of any.
    """
    family, _, rest = recipe.partition("/")
    for owner, folder in option_folders(group).items():
        names = [recipe, rest] if rest and owner == family else [recipe]
        for name in names:
            path = folder / f"{name}.py"
            if isfile(path):  # a name too long for a file is none
                return path
    return None


def module_name(group: str, recipe: str) -> str:
    """Return the module of a recipe, `my_pkg.models` of `my_pkg.models:MyModel`.

    Empty where hwds has none of this name.
    """
    if ":" in recipe:
        return current_path(recipe).partition(":")[0]
    path = module_file(group, recipe)
    return ".".join(("hwds", *path.relative_to(PACKAGE).with_suffix("").parts)) if path else ""


@cache
def resolve(group: str, recipe: str) -> type[Any]:
    """Return the class of a recipe; imports that one module only.

    Args:
        group: A config group, one of `GROUPS`.
        recipe: `forecast/lstm` by convention, `my_pkg.models:MyModel` by path, or the name of an
            entry point in the group `hwds.<folder>` (`hwds.models`).

    Raises:
        ConfigError: No such module or class, with the nearest option.
    """
    class_name = current_path(recipe).partition(":")[2]
    name = module_name(group, recipe)
    if not name:
        return _entry_point(group, recipe)
    try:
        module = _import_module(name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{group}: '{recipe}' needs the module '{error.name}', which is not installed."
            ) from error
        return _entry_point(group, recipe)
    except ConfigError:
        raise
    except Exception as error:  # a user's own module may fail in any way
        raise ConfigError(
            f"{group}: module '{name}' fails: {type(error).__name__}: {error} (-v shows where)."
        ) from error
    called = class_name or recipe.rsplit("/", 1)[-1]
    wanted = called.replace("_", "").lower()
    for attribute, value in vars(module).items():
        if isinstance(value, type) and attribute.replace("_", "").lower() == wanted:
            return _require_recipe(group, recipe, value)
    classes = [
        each
        for each, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == name
    ]
    raise ConfigError(f"{group}: module '{name}' has no class '{called}'{nearest(called, classes)}")


def _import_module(name: str) -> Any:
    """Return a module; the data files that a user's own module reads when it is imported are
    noted.
    """
    if name.startswith(f"{PACKAGE.name}."):
        return importlib.import_module(name)
    with _importing_own_code():
        return importlib.import_module(name)


@contextmanager
def _importing_own_code() -> Iterator[None]:
    """Import modules of a user's own in the block."""
    from hwds.core.compiling import own_code_by_digest  # commands that list names do without
    from hwds.core.sealed import fork_early

    fork_early()
    with own_code_by_digest(), note_inputs():
        yield


def resolve_node(group: str, path: str, node: dict[str, Any]) -> type[Any]:
    """Return the class of a composed node; a refusal says where the node is.

    Raises:
        ConfigError: Its `recipe` is not text, or names nothing.
    """
    recipe = node.get("recipe")
    if not isinstance(recipe, str) or not recipe:
        raise ConfigError(f"{path}.recipe: must be the name of a recipe, got {recipe!r}.")
    return resolve(group, recipe)


def _require_recipe(group: str, name: str, value: Any) -> type[Any]:
    from hwds.core.recipe import Recipe  # commands that only list names do without pydantic

    if isinstance(value, type) and issubclass(value, Recipe):
        return value
    raise ConfigError(
        f"{group}: '{name}' is not a class that derives from hwds.core.recipe.Recipe."
    )


def _entry_point(group: str, recipe: str) -> type[Any]:
    from importlib.metadata import entry_points

    entries = entry_points(group=f"hwds.{GROUPS[group].rpartition('/')[2]}")
    if recipe in entries.names:
        with _importing_own_code():
            return _require_recipe(group, recipe, entries[recipe].load())
    option = options(group).get(recipe)
    named = (
        re.search(r"^recipe: *(\S+)", option.read_text(encoding="utf-8"), re.MULTILINE)
        if option
        else None
    )
    if named:
        raise ConfigError(
            f"{group}: no recipe '{recipe}'; the option of this name has '{named[1]}' and "
            f"settings: {option}"
        )
    raise ConfigError(
        f"{group}: no recipe '{recipe}'{nearest(recipe, [*options(group), *entries.names])}"
    )


def no_option(group: str, path: str, name: str) -> ConfigError:
    """Return the refusal of an unknown option.

    It says so where only the YAML of a module is missing.
    """
    module = module_file(group, name) if group in GROUPS else None
    configured = {"base", *(option.rpartition("/")[2] for option in options(group))}
    if module is not None and module.stem not in configured:
        there = module.relative_to(PACKAGE.parent).as_posix()
        return ConfigError(
            f"{path}: no option '{name}': there is {there} but no conf/{group}/{name}.yaml."
        )
    return ConfigError(f"{path}: no option '{name}'{nearest(name, options(group))}")


def source_file(group: str, recipe: str) -> Path | None:
    """Return the file of a recipe's class, without importing it; None where there is none."""
    if ":" not in recipe:
        return module_file(group, recipe)
    below = Path(*module_name(group, recipe).split(".")).with_suffix(".py")
    roots = [PACKAGE.parent, *(folder.parent for folder in conf_dirs()[1:])]
    return next((root / below for root in roots if (root / below).is_file()), None)


# Families: each one kind of question in one folder, whose `family.py` says what the rest of hwds
# needs of it. What a family offers is named as `package.module:NAME`, so that it is imported when
# it is first used: a command that reads no bundle imports nothing that serves one.

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that the protocols of a family evaluate, by its name in the tables.

    Attributes:
        name: The value in the column `task` of the scores.
        frame: The type of data that its protocols split (`Panel`, `Table`, `World`).
        headline: The metric that orders its leaderboards, unless the protocol says otherwise.
        report: A `hwds.report.hooks.TaskReport`; empty for the leaderboard alone.
        comparison: A `hwds.stats.evidence.TaskComparison`; empty for a comparison of headlines.
        comparable: Whether its models can be compared with each other.
        hub_task: The name of its kind of question in the model cards of Hugging Face.
    """

    name: str
    frame: type
    headline: str = ""
    report: str = ""
    comparison: str = ""
    comparable: bool = True
    hub_task: str = "other"


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of question: `FAMILY` of the module `family` in a package, for all that lies in this
    package.

    Attributes:
        name: The name of the family.
        tasks: The tasks that its protocols evaluate.
        tables: The `hwds.report.hooks.TableReport` of each table of its decisions.
        rows: The `hwds.evaluation.serving.RowModel` that asks its fitted models about rows one by
            one; empty where none scores rows.
        stream: The `hwds.evaluation.serving.StreamModel` that lets its fitted models follow
            machines; empty where none does.
        policies: The `hwds.evaluation.serving.Policies` that puts its policies into production;
            empty where it has none.
        single_precision: Whether all its models answer in single precision, whose last bits depend
            on what stands beside a row.
    """

    name: str
    tasks: tuple[Task, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    rows: str = ""
    stream: str = ""
    policies: str = ""
    single_precision: bool = False

    def task(self, name: str) -> Task | None:
        """Return the task of a name; None where it is not one of this family."""
        return next((task for task in self.tasks if task.name == name), None)


def task_of(protocol: type, name: str) -> Task | None:
    """Return the task that a protocol evaluates.

    None where no family of its class or its bases has one of this name.

    Args:
        protocol: The class of the protocol.
        name: The name of the task.

    Raises:
        ConfigError: A family cannot be imported.
    """
    return next((task for family in families_of(protocol) if (task := family.task(name))), None)


def stored_task(recipe: str, name: str) -> Task | None:
    """Return the task of a stored run by the recipe of its protocol; see `task_of`.

    The protocol itself is imported only where its own folder has no such task, as where it derives
    from another family's.

    Raises:
        ConfigError: The protocol, or its family, is not there any more.
    """
    conf_dirs()  # a user's own package lies beside a conf/
    family = family_around(module_name("protocol", recipe))
    task = family.task(name) if family else None
    return task or task_of(resolve("protocol", recipe), name)


def families_of(recipe: type) -> Iterator[Family]:
    """Yield the families of a recipe's class and of its bases, nearest first."""
    modules = dict.fromkeys(base.__module__ for base in recipe.__mro__)
    yield from (family for module in modules if (family := family_around(module)))


def hook_class(cls: type, hook: Literal["rows", "stream", "policies"], kind: type) -> Any:
    """Return the class that the nearest family of a class names for a hook of `Family`.

    None where no family names one.

    Args:
        cls: The class of a model, of a fitted model or of a protocol.
        hook: The field of `Family`.
        kind: The class that the one named must derive from.

    Raises:
        ConfigError: A family, or what it names, cannot be imported, or is of another kind.
    """
    named = next((name for family in families_of(cls) if (name := getattr(family, hook))), None)
    if named is None:
        return None
    offer = load_reference(named, type)
    if not issubclass(offer, kind):
        raise ConfigError(f"family: '{named}' must be a {kind.__name__}.")
    return offer


def family_around(module: str) -> Family | None:
    """Return `FAMILY` of the module `family` in the nearest package around a module.

    None where no package has one.

    Raises:
        ConfigError: It cannot be imported, or has no such family.
    """
    package = module.rpartition(".")[0]
    while package:
        name = f"{package}.family"
        if _exists(name):
            return load_reference(f"{name}:FAMILY", Family)
        package = package.rpartition(".")[0]
    return None


def load_reference(reference: str, kind: type[Kind]) -> Kind:
    """Return the object that `package.module:NAME` names.

    Args:
        reference: The module and the name in it.
        kind: The class that it must be an instance of.

    Raises:
        ConfigError: The module cannot be imported, or has nothing of this kind under this name.
    """
    name, _, attribute = reference.partition(":")
    try:
        module: Any = importlib.import_module(name)
    except Exception as error:  # a user's own module may fail in any way
        raise ConfigError(
            f"family: module '{name}' fails: {type(error).__name__}: {error} (-v shows where)."
        ) from error
    value = vars(module).get(attribute)
    if not isinstance(value, kind):
        named = [each for each, other in vars(module).items() if isinstance(other, kind)]
        raise ConfigError(
            f"family: module '{name}' has no {kind.__name__} "
            f"'{attribute}'{nearest(attribute, named)}"
        )
    return value


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception as error:  # a package around it fails, in any way
        package = module.rpartition(".")[0]
        raise ConfigError(
            f"family: package '{package}' fails: {type(error).__name__}: {error} (-v shows where)."
        ) from error
