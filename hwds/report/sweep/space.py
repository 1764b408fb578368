"""The searched settings as rows: how each is drawn, from which values, and with which others alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwds.config.draws import KINDS, LISTS
from hwds.config.space import conditional
from hwds.core.settings import as_yaml
from hwds.report.grid import Grid, grid_of

TITLES = ("setting", "drawn", "from")


def space_rows(space: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the path, the kind and the values of each setting of a stored space, those that come with a value after it."""
    return list(_rows(space, "", ""))


def space_grid(space: Mapping[str, Any]) -> Grid:
    """Return the searched settings as a table."""
    return grid_of([(title, title) for title in TITLES], [list(row) for row in space_rows(space)], names=3)


def _rows(tree: Mapping[str, Any], path: str, when: str) -> Iterator[tuple[str, str, str]]:
    for key, part in tree.items():
        if not isinstance(part, Mapping):
            continue
        where = f"{path}.{key}" if path else key
        kind, values = next(iter(part.items()), ("", None))
        if len(part) != 1 or kind not in KINDS or not isinstance(values, list | tuple):
            yield from _rows(part, where, when)
            continue
        yield where, kind, _values(kind, values) + when
        for value, below in map(conditional, values if kind in LISTS else ()):
            yield from _rows(below or {}, path or where, f", where {where}={value}")


def _values(kind: str, values: Any) -> str:
    if kind in LISTS:
        return ", ".join(as_yaml(conditional(value)[0]) for value in values)
    lower, upper, *step = values
    last = upper - 1 if kind == "randint" else upper
    return f"{lower:g} to {last:g}" + "".join(f" by {size:g}" for size in step)
