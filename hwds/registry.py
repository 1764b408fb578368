"""Names to files and classes: `model=forecast/lstm` is conf/model/forecast/lstm.yaml and `hwds.models.forecast.lstm:LSTM`."""

import importlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from hwds.errors import ConfigError, nearest

PACKAGES = {
    "dataset": "datasets",
    "features": "features",
    "model": "models",
    "protocol": "protocols",
    "compute": "execution",
    "decision": "decisions",
    "sweep": "sweeps",
    "tracker": "tracking",
}
"""The config groups whose options are recipes, and the package that has a module for each option."""


@cache
def conf_dirs() -> tuple[Path, ...]:
    """The packaged conf/ first, then the user's own: `$HWDS_CONF`, or `conf/` in the current folder.

    The parent of the user's conf/ joins `sys.path`, so that its recipes can be imported; spawned workers inherit it.
    """
    here = Path(__file__).resolve().parent
    packaged = here / "conf" if (here / "conf").is_dir() else here.parent / "conf"
    own = Path(os.environ.get("HWDS_CONF", "conf")).resolve()
    if os.environ.get("HWDS_CONF") and not own.is_dir():
        raise ConfigError(f"HWDS_CONF: '{own}' is not a folder.")
    if not own.is_dir() or own == packaged:
        return (packaged,)
    if str(own.parent) not in sys.path:
        sys.path.insert(0, str(own.parent))
    return packaged, own


@cache
def options(group: str) -> dict[str, Path]:
    """Every option of a config group by name, from all conf folders; the same name in two of them is refused."""
    found: dict[str, Path] = {}
    for root in conf_dirs():
        for file in sorted((root / group).rglob("*.yaml")):
            name = file.relative_to(root / group).with_suffix("").as_posix()
            if name in found:
                raise ConfigError(f"{file}: option '{name}' of {group} is also in {found[name]}; rename it.")
            found[name] = file
    return found


@cache
def resolve(group: str, recipe: str) -> type[Any]:
    """The class of a recipe; imports that one module only.

    Args:
        group: A config group, one of `PACKAGES`.
        recipe: `forecast/lstm` by convention, `my_pkg.models:MyModel` by path, or the name of an entry point in
            the group `hwds.<package>` (`hwds.models`).

    Raises:
        ConfigError: No such module or class, with the nearest option.
    """
    module_name, _, class_name = recipe.partition(":")
    if not class_name:
        module_name = f"hwds.{PACKAGES[group]}.{recipe.replace('/', '.')}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not error.name or not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(f"{group}: '{recipe}' needs the module '{error.name}', which is not installed.") from error
        return _entry_point(group, recipe)
    except ConfigError:
        raise
    except Exception as error:  # a user's own module may fail in any way
        raise ConfigError(
            f"{group}: module '{module_name}' fails: {type(error).__name__}: {error} (-v shows where)."
        ) from error
    wanted = (class_name or recipe.rsplit("/", 1)[-1]).replace("_", "").lower()
    for name, value in vars(module).items():
        if isinstance(value, type) and name.replace("_", "").lower() == wanted:
            return _recipe(group, recipe, value)
    classes = [name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module_name]
    name = class_name or recipe.rsplit("/", 1)[-1]
    raise ConfigError(f"{group}: module '{module_name}' has no class '{name}'{nearest(name, classes)}")


def resolve_node(group: str, path: str, node: dict[str, Any]) -> type[Any]:
    """The class of a composed node; a refusal says where the node is.

    Raises:
        ConfigError: Its `recipe` is no text, or names nothing.
    """
    recipe = node.get("recipe")
    if not isinstance(recipe, str) or not recipe:
        raise ConfigError(f"{path}.recipe: must be the name of a recipe, got {recipe!r}.")
    return resolve(group, recipe)


def _recipe(group: str, name: str, found: Any) -> type[Any]:
    from hwds.recipe import Recipe  # pydantic is not for those who only list names

    if isinstance(found, type) and issubclass(found, Recipe):
        return found
    raise ConfigError(f"{group}: '{name}' is not a class that derives from hwds.recipe.Recipe.")


def _entry_point(group: str, recipe: str) -> type[Any]:
    from importlib.metadata import entry_points

    found = entry_points(group=f"hwds.{PACKAGES[group]}")
    if recipe in found.names:
        return _recipe(group, recipe, found[recipe].load())
    raise ConfigError(f"{group}: no recipe '{recipe}'{nearest(recipe, [*options(group), *found.names])}")


def source_file(group: str, recipe: str) -> Path | None:
    """The file that a recipe's class stands in, found without importing it; None where there is none."""
    module = recipe.partition(":")[0] if ":" in recipe else f"hwds.{PACKAGES[group]}.{recipe.replace('/', '.')}"
    roots = [Path(__file__).resolve().parent.parent, *(folder.parent for folder in conf_dirs()[1:])]
    candidates = (root / Path(*module.split(".")).with_suffix(".py") for root in roots)
    return next((path for path in candidates if path.is_file()), None)
