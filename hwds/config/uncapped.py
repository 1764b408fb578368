"""The settings that `size=small` leaves as they are, because the command line says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwds.config.draws import KINDS
from hwds.core.settings import flatten

SPACE = "sweep.space"

WORKERS = "compute.workers"
"""What `compute=processes` says itself: they are not one."""


def typed_paths(data: Mapping[str, Any], words: Sequence[str]) -> tuple[str, ...]:
    """Return the paths of the settings that words of a command line set, sorted.

    The changes of an option within a list stand below its label: `rivals.forecast/xgboost(trees=500).trees`. A setting whose
    space is typed counts too, so that its trials keep their values.

    Args:
        data: The composed config, before the options in its lists are filled in.
        words: The overrides.
    """
    keys = [word.lstrip("+").partition("=")[0] for word in words if "=" in word and not word.startswith(("-", "~"))]
    paths = {path for key in keys if key == "rivals" or "." in key for path in _below(key, _value(data, key))}
    paths |= {WORKERS} if "compute" in keys and _value(data, WORKERS) is not None else set()
    return tuple(sorted(paths | set(_searched(data, keys))))


def changed_label(name: str, changes: Mapping[str, Any]) -> str:
    """Return the label of an option with changes: `forecast/xgboost(trees=500)`."""
    listed = ",".join(f"{key}={value}" for key, value in sorted(changes.items()))
    return f"{name}({listed})" if listed else name


def _value(data: Mapping[str, Any], key: str) -> Any:
    node: Any = data
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _below(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, list):
        yield from (inner for inner, _ in flatten(value, path))
        return
    yield path
    for item in value:
        if isinstance(item, Mapping) and len(item) == 1:
            ((name, changes),) = item.items()
            if isinstance(changes, Mapping):
                label = changed_label(str(changes.get("name", name)), changes)
                yield from (f"{path}.{label}.{key}" for key in changes)


def _searched(data: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    typed = [key for key in keys if key == SPACE or key.startswith(f"{SPACE}.")]
    for leaf, values in flatten(_value(data, SPACE) or {}, SPACE) if typed else ():
        if values and any(f"{leaf}.".startswith(f"{key}.") or key.startswith(f"{leaf}.") for key in typed):
            path, _, kind = leaf.removeprefix(f"{SPACE}.").rpartition(".")
            yield path if kind in KINDS else f"{path}.{kind}"
