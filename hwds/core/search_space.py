"""A sweep's space: a tree like the config's, the class's own changed by it, and a trial's
config.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hwds.core.config import KINDS, LISTS, RANGES
from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import show_value
from hwds.core.registry import resolve_node

# A sweep's space: a tree like the config's whose leaf is a one-key mapping (`choice: [32,
# 64]`), read into leaves.

GROUPS = ("model", "features", "protocol", "dataset")
"""The groups that a sweep may change: of the last two only what leaves the answers and windows that
are scored as they are.
"""

START = "sweep.space"
LABELS = ("name", "recipe")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting that is searched.

    Attributes:
        path: The path of its value (`model.units`); a group alone takes the name of an option.
        kind: One of `KINDS`.
        values: The values of a list, the bounds (and the step) of a range; of `randint` the upper
            one is excluded.
        when: The choices that it depends on, as path and index in the list: with others it has no
            value.
    """

    path: str
    kind: str
    values: tuple[Any, ...]
    when: tuple[tuple[str, int], ...] = ()

    @property
    def listed(self) -> bool:
        """True where its values are a list, not a range."""
        return self.kind in LISTS


def own_space(group: str, node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the default space of a node's class."""
    found: Mapping[str, Any] = resolve_node(group, group, dict(node)).search_space
    return found


def leaves_of(space: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[Leaf, ...]:
    """Return the leaves of a space, those that depend on a choice after it.

    Raises:
        ConfigError: An unknown key, a leaf of no known kind, an empty list, or an empty range.
    """
    found: list[Leaf] = []
    for group, tree in space.items():
        if group not in GROUPS:
            raise ConfigError(
                f"{START}: may search {', '.join(GROUPS)}, got "
                f"'{group}'{nearest(str(group), GROUPS)}"
            )
        if group in ("protocol", "dataset"):
            _require_comparable(group, tree, data[group])
        found += _group(group, tree, data[group], ())
    _refuse_twice(found)
    return tuple(found)


def _require_comparable(group: str, tree: Any, node: Mapping[str, Any]) -> None:
    """Refuse to search what decides on which answers or windows trials are scored.

    Raises:
        ConfigError: With what of the group may be searched.
    """
    lawful = resolve_node(group, group, dict(node)).comparable
    searched = tree if isinstance(tree, Mapping) and not is_leaf(tree, node) else {"": tree}
    wrong = next((key for key in searched if key not in lawful and (key in node or not key)), None)
    if wrong is not None:
        some = f"of '{node['name']}' may be searched: {', '.join(lawful) or 'nothing'}"
        where = f"{START}.{group}.{wrong}".rstrip(".")
        raise ConfigError(
            f"{where}: decides which rows are scored, or in which windows, so trials could not be "
            f"compared; {some}."
        )


def _group(group: str, tree: Any, node: Any, when: tuple[tuple[str, int], ...]) -> Iterator[Leaf]:
    """Yield the leaves of a group: a choice of whole options, each with its own space, or fields of
    the chosen option.
    """
    if not is_leaf(tree, node):
        yield from _tree((group,), tree, node, when)
        return
    from hwds.core.compose import option

    where = f"{START}.{group}"
    ((kind, items),) = tree.items()
    if kind not in LISTS:
        raise ConfigError(f"{where}: must be a choice of options, got {show_value(tree)}.")
    names = option_choices(group, kind, _list(items, f"{where}.{kind}"))
    yield Leaf(group, kind, tuple(name for name, _ in names), when)
    for place, (name, below) in enumerate(names):
        if below:
            chosen = option(group, f"{where}.{kind}[{place}]", name)
            yield from _tree((group,), below, chosen, (*when, (group, place)))


def option_choices(
    group: str, kind: str, items: Sequence[Any]
) -> list[tuple[Any, Mapping[str, Any]]]:
    """Return the options of a choice, each with the space that it brings, or else that of its
    class.

    Raises:
        ConfigError: There is no such option.
    """
    from hwds.core.compose import option

    choices: list[tuple[Any, Mapping[str, Any]]] = []
    for place, (name, brought) in enumerate(map(conditional, items)):
        chosen = option(group, f"{START}.{group}.{kind}[{place}]", name)
        choices.append((name, own_space(group, chosen) if brought is None else brought))
    return choices


def _tree(
    path: tuple[str, ...], tree: Any, node: Any, when: tuple[tuple[str, int], ...]
) -> Iterator[Leaf]:
    """Yield the leaves below a node."""
    where = ".".join((START, *path))
    if not isinstance(tree, Mapping) or not tree or not isinstance(node, Mapping):
        raise ConfigError(
            f"{where}: must be one of {', '.join(KINDS)} with its list, got {show_value(tree)}."
        )
    for key, part in tree.items():
        if key in LABELS or key not in node:
            raise ConfigError(
                f"{where}: no key "
                f"'{key}'{nearest(str(key), [name for name in node if name not in LABELS])}"
            )
        if is_leaf(part, node[key]):
            yield from _leaf(path, key, part, node, when)
        else:
            yield from _tree((*path, key), part, node[key], when)


def _leaf(
    path: tuple[str, ...], key: str, tree: Any, node: Any, when: tuple[tuple[str, int], ...]
) -> Iterator[Leaf]:
    """Yield a leaf and those that depend on its values: `{tweedie: {power: {uniform: [1.1, 1.9]}}}`
    adds `power`.
    """
    ((kind, items),) = tree.items()
    name = ".".join((*path, key))
    if kind in RANGES:
        yield Leaf(name, kind, _range(items, kind, f"{START}.{name}.{kind}"), when)
        return
    values = [conditional(item) for item in _list(items, f"{START}.{name}.{kind}")]
    yield Leaf(name, kind, tuple(value for value, _ in values), when)
    for place, (_, brought) in enumerate(values):
        if brought:
            yield from _tree(path, brought, node, (*when, (name, place)))


def is_leaf(tree: Any, node: Any) -> bool:
    """Return whether a tree is a leaf for a setting or a group of this value.

    A field with the name of a kind is a field.
    """
    if not isinstance(tree, Mapping) or len(tree) != 1:
        return False
    key = next(iter(tree))
    return key in KINDS and not (isinstance(node, Mapping) and key in node)


def conditional(item: Any) -> tuple[Any, Mapping[str, Any] | None]:
    """Return a value of a list and its dependent space.

    A mapping of plain values is itself a value.
    """
    if isinstance(item, Mapping) and len(item) == 1:
        ((value, below),) = item.items()
        if isinstance(below, Mapping) and all(isinstance(part, Mapping) for part in below.values()):
            return value, below
    return item, None


def _list(items: Any, where: str) -> list[Any]:
    if not isinstance(items, list | tuple):
        raise ConfigError(f"{where}: must be a list of values, got {show_value(items)}.")
    if not items:
        raise ConfigError(f"{where}: must have at least 1 item(s), got [].")
    for place, item in enumerate(items):
        if item in items[:place]:
            raise ConfigError(
                f"{where}: must not repeat {show_value(item)}, got {show_value(list(items))}."
            )
    return list(items)


def _range(items: Any, kind: str, where: str) -> tuple[float, ...]:
    if (
        not isinstance(items, list | tuple)
        or len(items) != RANGES[kind].count(",") + 1
        or not all(map(_is_number, items))
    ):
        raise ConfigError(f"{where}: must be {RANGES[kind]}, got {show_value(items)}.")
    lower, upper, *step = items
    if not lower < upper:
        raise ConfigError(f"{where}: lower must be < upper, got {show_value(list(items))}.")
    if kind == "loguniform" and lower <= 0:
        raise ConfigError(f"{where}: lower must be > 0, got {show_value(list(items))}.")
    if kind == "randint" and not (isinstance(lower, int) and isinstance(upper, int)):
        raise ConfigError(f"{where}: must be whole numbers, got {show_value(list(items))}.")
    if step and not 0 < step[0] <= upper - lower:
        raise ConfigError(
            f"{where}: step must be > 0 and fit between the bounds, got {show_value(list(items))}."
        )
    return tuple(items)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refuse_twice(leaves: list[Leaf]) -> None:
    """Refuse a path that two leaves set that may occur together."""
    for leaf, other in combinations(leaves, 2):
        exclusive = any(
            name == theirs and at != their_at
            for name, at in leaf.when
            for theirs, their_at in other.when
        )
        if leaf.path == other.path and not exclusive:
            raise ConfigError(f"{START}.{leaf.path}: is searched twice.")


# The space of a sweep: the own space of the model's class, changed by what the config says,
# setting by setting.


def space_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the space of a composed config, every leaf with its kind.

    It is the own space of the model's class with the settings of `sweep.space` in place of its own,
    or added to it. A list alone keeps the own kind: of a range it is the least and the greatest
    value, of a choice all values. `null` leaves a setting out. With `sweep.only`, and below a
    choice of whole options, nothing is searched but what is given.

    Raises:
        ConfigError: A list without an own leaf to take its kind from, or nothing to leave out.
    """
    given, only = data["sweep"]["space"], bool(data["sweep"].get("only"))
    groups = dict(given) if only else {"model": {}} | dict(given)
    spaces = {
        group: _changed_group(group, tree, data.get(group), only=only)
        for group, tree in groups.items()
    }
    return {group: tree for group, tree in spaces.items() if tree != {}}


def _changed_group(group: str, tree: Any, node: Any, *, only: bool) -> Any:
    if not isinstance(node, Mapping) or not isinstance(tree, Mapping):
        return tree  # refused when it is read
    if not is_leaf(tree, node):
        return _changed_space(
            own_space(group, node), tree, node, group, keep=not only and group == "model"
        )
    ((kind, items),) = tree.items()
    if kind not in LISTS or not isinstance(items, list | tuple):
        return tree
    return {kind: [{name: space} for name, space in option_choices(group, kind, items)]}


def _changed_space(
    own: Mapping[str, Any],
    given: Mapping[str, Any],
    node: Mapping[str, Any],
    path: str,
    *,
    keep: bool,
) -> dict[str, Any]:
    """Return an own space with what is given in its place; without `keep` only what is given."""
    space = dict(own) if keep else {}
    for key, part in given.items():
        where, before = f"{START}.{path}.{key}", own.get(key)
        if part is None:
            if before is None:
                raise ConfigError(f"{where}: is not searched, so null cannot leave it out.")
            space.pop(key, None)
        elif (
            isinstance(part, list | tuple)
            and isinstance(before, Mapping)
            and is_leaf(before, node.get(key))
        ):
            space[key] = _of_its_kind(before, list(part), where)
        elif (
            isinstance(part, Mapping)
            and not is_leaf(part, node.get(key))
            and isinstance(node.get(key), Mapping)
        ):
            space[key] = _changed_space(before or {}, part, node[key], f"{path}.{key}", keep=keep)
        else:
            space[key] = part
    return space


def _of_its_kind(before: Mapping[str, Any], values: list[Any], where: str) -> dict[str, Any]:
    """Return a leaf of the kind of an own one, with a list that was given alone."""
    ((kind, items),) = before.items()
    if kind in LISTS:
        return {kind: values}
    if len(values) != 2:
        raise ConfigError(
            f"{where}: must be [least, greatest], or {{choice: [...]}}, got {show_value(values)}."
        )
    least, greatest = values
    if kind == "randint":
        return {kind: [least, greatest + 1 if isinstance(greatest, int) else greatest]}
    return {kind: [least, greatest, *items[2:]]}  # the step stays


# The config of a trial: the experiment's config with the trial's values, as plain data without
# the sweep.

NO_SWEEP = {"name": "none", "recipe": "none", "space": {}}
"""The node of `sweep=none`."""


def trial_config(data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with values set by path.

    A group's path takes the name of an option and must come first.

    Raises:
        ConfigError: No such option.
    """
    from hwds.core.compose import expand, option

    changed = {
        group: deepcopy(data[group]) for group in {path.partition(".")[0] for path in settings}
    }
    for path, value in settings.items():
        group, *keys = path.split(".")
        if not keys:
            changed[group] = option(group, f"{START}.{group}", value)
            continue
        node = changed[group]
        for key in keys[:-1]:
            node = node[key]
        if "recipe" in node:  # its value may name an option, or a list of them
            value = expand(group, path, {"recipe": node["recipe"], keys[-1]: value})[keys[-1]]  # noqa: PLW2901
        node[keys[-1]] = value
    label = changed["model"]["name"] if "model" in changed else None
    rivals = [
        node for node in data["rivals"] if node["name"] != label
    ]  # a rival that is the model itself is left out
    return {**data, **changed, "rivals": rivals, "sweep": dict(NO_SWEEP)}


def leaf_conditions(leaf: Leaf, leaves: tuple[Leaf, ...]) -> dict[str, Any]:
    """Return the values of the choices that a leaf depends on."""
    values = {other.path: other.values for other in leaves if other.listed}
    return {path: values[path][place] for path, place in leaf.when}
