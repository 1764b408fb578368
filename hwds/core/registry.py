"""Names to files and classes: options and their modules."""

from __future__ import annotations

import importlib
import os
import re
import sys
from functools import cache
from os.path import isfile
from pathlib import Path
from typing import Any

from hwds.core.cache import noted_inputs
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
        module = _imported(name)
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
    wanted = (class_name or recipe.rsplit("/", 1)[-1]).replace("_", "").lower()
    for attribute, value in vars(module).items():
        if isinstance(value, type) and attribute.replace("_", "").lower() == wanted:
            return _recipe(group, recipe, value)
    classes = [
        each
        for each, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == name
    ]
    missing = class_name or recipe.rsplit("/", 1)[-1]
    raise ConfigError(
        f"{group}: module '{name}' has no class '{missing}'{nearest(missing, classes)}"
    )


def _imported(name: str) -> Any:
    """Return a module; the data files that a user's own module reads when it is imported are
    noted.
    """
    if name.startswith(f"{PACKAGE.name}."):
        return importlib.import_module(name)
    with noted_inputs():
        return importlib.import_module(name)


def resolve_node(group: str, path: str, node: dict[str, Any]) -> type[Any]:
    """Return the class of a composed node; a refusal says where the node is.

    Raises:
        ConfigError: Its `recipe` is not text, or names nothing.
    """
    recipe = node.get("recipe")
    if not isinstance(recipe, str) or not recipe:
        raise ConfigError(f"{path}.recipe: must be the name of a recipe, got {recipe!r}.")
    return resolve(group, recipe)


def _recipe(group: str, name: str, value: Any) -> type[Any]:
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
        with noted_inputs():
            return _recipe(group, recipe, entries[recipe].load())
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
