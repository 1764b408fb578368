"""Families: each one kind of question in one folder, with its tasks and the reports and comparisons that they name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hwds.core.errors import ConfigError, nearest
from hwds.core.registry import conf_dirs, module_name, resolve

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that the protocols of a family evaluate, by its name in the tables.

    Reports and comparisons are named as `package.module:NAME`, so that they are imported when they are first used.

    Attributes:
        name: The value in the column `task` of the scores.
        frame: The type of data that its protocols split (`Panel`, `Table`, `World`).
        headline: The metric that orders its leaderboards, unless the protocol says otherwise.
        report: A `hwds.report.hooks.TaskReport`; empty for the leaderboard alone.
        comparison: A `hwds.compare.hooks.TaskComparison`; empty for a comparison of headlines.
        comparable: Whether its models can be compared with each other.
    """

    name: str
    frame: type
    headline: str = ""
    report: str = ""
    comparison: str = ""
    comparable: bool = True


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of question: `FAMILY` of the module `family` in a package, for all that lies in this package.

    Attributes:
        name: The name of the family.
        tasks: The tasks that its protocols evaluate.
        tables: The `hwds.report.hooks.TableReport` of each table of its decisions, as `package.module:NAME`.
    """

    name: str
    tasks: tuple[Task, ...]
    tables: Mapping[str, str] = field(default_factory=dict)

    def task(self, name: str) -> Task | None:
        """Return the task of a name; None where it is not one of this family."""
        return next((task for task in self.tasks if task.name == name), None)


def task_of(protocol: type, name: str) -> Task | None:
    """Return the task that a protocol evaluates; None where no family of its class or its bases has one of this name.

    Args:
        protocol: The class of the protocol.
        name: The name of the task.

    Raises:
        ConfigError: A family cannot be imported.
    """
    return next((task for family in families_of(protocol) if (task := family.task(name))), None)


def stored_task(recipe: str, name: str) -> Task | None:
    """Return the task of a stored run by the recipe of its protocol; see `task_of`.

    The protocol itself is imported only where its own folder has no such task, as where it derives from another family's.

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


def family_around(module: str) -> Family | None:
    """Return `FAMILY` of the module `family` in the nearest package around a module; None where no package has one.

    Raises:
        ConfigError: It cannot be imported, or has no such family.
    """
    package = module.rpartition(".")[0]
    while package:
        name = f"{package}.family"
        if _exists(name):
            return load(f"{name}:FAMILY", Family)
        package = package.rpartition(".")[0]
    return None


def load(reference: str, kind: type[Kind]) -> Kind:
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
        raise ConfigError(f"family: module '{name}' fails: {type(error).__name__}: {error} (-v shows where).") from error
    value = vars(module).get(attribute)
    if not isinstance(value, kind):
        named = [each for each, other in vars(module).items() if isinstance(other, kind)]
        raise ConfigError(f"family: module '{name}' has no {kind.__name__} '{attribute}'{nearest(attribute, named)}")
    return value


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception as error:  # a package around it fails, in any way
        package = module.rpartition(".")[0]
        raise ConfigError(f"family: package '{package}' fails: {type(error).__name__}: {error} (-v shows where).") from error
