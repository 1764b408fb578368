"""Families: each one kind of question in one folder, whose `family.py` says what the rest of hwds
needs of it.

What a family offers is named as `package.module:NAME`, so that it is imported when it is first
used: a command that reads no bundle imports nothing that serves one.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from hwds.core.errors import ConfigError, nearest
from hwds.core.registry import conf_dirs, module_name, resolve

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


def offered(cls: type, hook: Literal["rows", "stream", "policies"], kind: type) -> Any:
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
