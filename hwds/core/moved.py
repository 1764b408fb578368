"""The paths of modules and classes that have moved: what older versions stored and users import.

`moved.yaml` beside this module has a line for each. It is consulted where a stored path is read,
and nowhere else. It is read once, at the first path of hwds, line by line: of 1,200 lines that
takes 4 ms, where the import of `yaml` and its parser take 33.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

TABLE = Path(__file__).with_suffix(".yaml")
"""The file of the table. The code digest leaves it out: what is computed has the paths of now."""

LOADED_BY_OTHERS = (
    "hwds.bandit.live.guardrails",
    "hwds.experiment.mlflow_pyfunc",
    "hwds.production.aws_lambda",
    "hwds.serving.online",
    "hwds.tracking.trackers.base",
)
"""Modules that others import by an old path: MLflow, with each stored model, a Lambda, and the code
of users to whom the documents named it.
"""

_LINE = re.compile(r"(hwds[.]\w[\w.]*)(:\w[\w.]*)?: (hwds[.]\w[\w.]*)(:\w[\w.]*)?")


def current_path(path: str) -> str:
    """Return the present path of what an older version of hwds stored as `path`.

    A path that has not moved, or is not one of hwds, is returned as it is.

    Args:
        path: `package.module:Class`, `package.module:Class.Inner`, or `package.module` alone.

    Raises:
        HwdsError: The table is damaged.

    Example:
        >>> current_path("my_project.models:Drift")
        'my_project.models:Drift'
    """
    if not path.startswith("hwds."):
        return path
    table = moved(TABLE)
    while (following := _follow(path, table)) != path:
        path = following
    return path


def current_paths(value: Any) -> Any:
    """Return plain data with the present path in place of each text `module:Name`."""
    if isinstance(value, Mapping):
        return {key: current_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(current_paths(item) for item in value)
    return current_path(value) if isinstance(value, str) and ":" in value else value


@cache
def moved(file: Path) -> Mapping[str, str]:
    """Return the table of a file: old path to new path.

    Raises:
        HwdsError: It cannot be read, a line is no such pair, a path moves twice, or comes back.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(_lines(file), 1):
        if not line or line.startswith("#"):
            continue
        parts = _LINE.fullmatch(line)
        if parts is None or (parts[2] is None) != (parts[4] is None):
            wanted = "must be 'hwds.old: hwds.new', or 'hwds.old:A: hwds.new:B'"
            raise _table_error(file, f"line {number} {wanted}")
        old = parts[1] + (parts[2] or "")
        if old in table:
            raise _table_error(file, f"line {number} moves '{old}' again; let its new path move")
        table[old] = parts[3] + (parts[4] or "")
    returning = next((old for old in table if _returns(old, table)), None)
    if returning:
        raise _table_error(file, f"'{returning}' comes back to itself")
    return table


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _table_error(file, f"cannot be read ({type(error).__name__})") from error


def _follow(path: str, table: Mapping[str, str]) -> str:
    """Return the path one move later: of the name, of the class around it, or of its module."""
    module, _, name = path.partition(":")
    around, inner = name, ""
    while around:
        if new := table.get(f"{module}:{around}"):
            return new + inner
        around, dot, last = around.rpartition(".")
        inner = f"{dot}{last}{inner}"
    return path.replace(module, table.get(module, module), 1)


def _returns(old: str, table: Mapping[str, str]) -> bool:
    """Return whether the moves of a path end in a circle."""
    path, passed = table[old], {old}
    while path not in passed:
        passed.add(path)
        following = _follow(path, table)
        if following == path:
            return False
        path = following
    return True


def _table_error(file: Path, why: str) -> Exception:
    from hwds.core.errors import HwdsError  # `import hwds` alone does without

    return HwdsError(f"{file}: {why}.")


class MovedModules:
    """The last finder of imports: of a module that has moved it says where to.

    A package that is gone is found, empty, so that the import goes on to the module inside it.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _: Any = None) -> ModuleSpec | None:
        """Return no spec, but for a package that is gone, and a module that others load.

        Raises:
            ImportError: The module has moved.
        """
        if path is None or not name.startswith("hwds."):
            return None
        olds = moved(TABLE)
        if any(old.startswith(f"{name}.") for old in olds):
            return ModuleSpec(name, None, is_package=True)
        new = {current_path(old).partition(":")[0] for old in olds if old.partition(":")[0] == name}
        if new and name in LOADED_BY_OTHERS:
            return ModuleSpec(name, _Alias())  # type: ignore[arg-type]  # it does what is needed
        if new:
            places = " and ".join(sorted(f"'{place}'" for place in new))
            raise ImportError(f"there is no '{name}' any more: it has moved to {places}", name=name)
        return None


class _Alias:
    """The loader of an old module, which gets all names of the present one."""

    @staticmethod
    def create_module(_: ModuleSpec) -> None:
        """Leave it to Python."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Fill the old module."""
        from importlib import import_module

        names = vars(import_module(current_path(module.__name__)))
        vars(module).update({key: value for key, value in names.items() if key[:2] != "__"})
