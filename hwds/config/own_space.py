"""The space of a sweep: the own space of the model's class, changed by what the config says, setting by setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwds.config.draws import LISTS
from hwds.config.space import START, is_leaf, option_choices, own_space
from hwds.core.errors import ConfigError
from hwds.core.messages import shown


def space_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the space of a composed config, every leaf with its kind.

    It is the own space of the model's class with the settings of `sweep.space` in place of its own, or added to it. A list
    alone keeps the own kind: of a range it is the least and the greatest value, of a choice all values. `null` leaves a
    setting out. With `sweep.only`, and below a choice of whole options, nothing is searched but what is given.

    Raises:
        ConfigError: A list without an own leaf to take its kind from, or nothing to leave out.
    """
    given, only = data["sweep"]["space"], bool(data["sweep"].get("only"))
    groups = dict(given) if only else {"model": {}} | dict(given)
    spaces = {group: _group(group, tree, data.get(group), only=only) for group, tree in groups.items()}
    return {group: tree for group, tree in spaces.items() if tree != {}}


def _group(group: str, tree: Any, node: Any, *, only: bool) -> Any:
    if not isinstance(node, Mapping) or not isinstance(tree, Mapping):
        return tree  # refused when it is read
    if not is_leaf(tree, node):
        return _changed(own_space(group, node), tree, node, group, keep=not only and group == "model")
    ((kind, items),) = tree.items()
    if kind not in LISTS or not isinstance(items, list | tuple):
        return tree
    return {kind: [{name: space} for name, space in option_choices(group, kind, items)]}


def _changed(
    own: Mapping[str, Any], given: Mapping[str, Any], node: Mapping[str, Any], path: str, *, keep: bool
) -> dict[str, Any]:
    """Return an own space with what is given in its place; without `keep` only what is given."""
    space = dict(own) if keep else {}
    for key, part in given.items():
        where, before = f"{START}.{path}.{key}", own.get(key)
        if part is None:
            if before is None:
                raise ConfigError(f"{where}: is not searched, so that null has nothing to leave out.")
            space.pop(key, None)
        elif isinstance(part, list | tuple) and isinstance(before, Mapping) and is_leaf(before, node.get(key)):
            space[key] = _of_its_kind(before, list(part), where)
        elif isinstance(part, Mapping) and not is_leaf(part, node.get(key)) and isinstance(node.get(key), Mapping):
            space[key] = _changed(before or {}, part, node[key], f"{path}.{key}", keep=keep)
        else:
            space[key] = part
    return space


def _of_its_kind(before: Mapping[str, Any], values: list[Any], where: str) -> dict[str, Any]:
    """Return a leaf of the kind of an own one, with a list that was given alone."""
    ((kind, items),) = before.items()
    if kind in LISTS:
        return {kind: values}
    if len(values) != 2:
        raise ConfigError(f"{where}: must be [least, greatest], or {{choice: [...]}}, got {shown(values)}.")
    least, greatest = values
    if kind == "randint":
        return {kind: [least, greatest + 1 if isinstance(greatest, int) else greatest]}
    return {kind: [least, greatest, *items[2:]]}  # the step stays
