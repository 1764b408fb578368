"""Finished trials of earlier sweeps that count in a sweep: their settings lie in its space, and all their cells are its own.

A cell's key is made of data, fold, model, features, protocol, seed, code and versions. So a trial is taken only where the very
same cells are in the cache: the same folds of the same data, and the same model but for what is searched.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hwds.config.space import Leaf, leaves_of
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.secrets import redact_env
from hwds.results.formatting import counted
from hwds.results.sweep_folder import SweepFolder
from hwds.tuning.sampling import goes_with

SAME = ("dataset", "seed")
"""The parts of a config that must be equal for cells to be the same; all others are in their keys."""

EDGE = 1e-9
"""The share of a step by which a value may lie beside it, from rounding."""


class Evidence(NamedTuple):
    """A finished trial of an earlier sweep.

    Attributes:
        settings: Its values in the space of this sweep, by path.
        source: The title of the sweep that finished it.
        covers: Whether that sweep's space holds this one: its trials are spread over all of it.
    """

    settings: Mapping[str, Any]
    source: str
    covers: bool = True


def candidates(folder: SweepFolder, data: Mapping[str, Any], leaves: Sequence[Leaf]) -> Iterator[Evidence]:
    """Yield the finished trials of all other sweeps whose settings lie in a space.

    Args:
        folder: That of the sweep itself.
        data: Its composed config.
        leaves: The leaves of its space.
    """
    for other in SweepFolder.finished():
        if other.path == folder.path:
            continue
        try:
            content, table = other.read_json(), other.read_trials()
        except HwdsError:  # a damaged sweep is refused where it is asked for; here it only has nothing to add
            continue
        if all(content["config"].get(part) == redact_env(data[part]) for part in SAME):
            wide = covers(content, leaves)
            for row in table.iter_rows(named=True):
                settings = settings_in(leaves, content["config"], row) if row["status"] == "finished" else None
                if settings:
                    yield Evidence(settings, other.title, wide and not row["source"])


def covers(content: Mapping[str, Any], leaves: Sequence[Leaf]) -> bool:
    """Return whether the space of a stored sweep holds all values of these leaves."""
    try:
        theirs = {(leaf.path, leaf.when): leaf for leaf in leaves_of(content["space"], content["config"])}
    except ConfigError:  # of classes that have other settings now
        return False
    return all((own := theirs.get((leaf.path, leaf.when))) is not None and _holds(own, leaf) for leaf in leaves)


def _holds(wide: Leaf, leaf: Leaf) -> bool:
    if leaf.listed or wide.listed:
        return leaf.listed and all(lies_in(wide, value) for value in leaf.values)
    return bool(wide.values[0] <= leaf.values[0] and leaf.values[1] <= wide.values[1])


def settings_in(leaves: Sequence[Leaf], config: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values of a trial in a space, None where one lies outside of it.

    Args:
        leaves: The leaves of the space.
        config: The config of the trial's sweep.
        row: The trial in its table.
    """
    settings: dict[str, Any] = {}
    places: dict[str, int] = {}
    for leaf in leaves:
        if goes_with(leaf, places):
            try:
                value = _value_at(leaf.path, config, row)
            except ConfigError:  # of an option that is no more
                return None
            if not lies_in(leaf, value):
                return None
            settings[leaf.path] = _as_in(leaf, value)
            if leaf.listed:
                places[leaf.path] = leaf.values.index(settings[leaf.path])
    return settings


def _value_at(path: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """Return a trial's value at a path, from its row or else from its config; of an option its name."""
    if path in row:
        return row[path]
    group, *keys = path.split(".")
    node: Any = config[group]
    if keys and row.get(group) not in (None, node["name"]):
        from hwds.config.compose import option

        node = option(group, group, row[group])
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node["name"] if isinstance(node, Mapping) and "name" in node else node


def lies_in(leaf: Leaf, value: Any) -> bool:
    """Return whether a value, as a table of trials has it, is one that a leaf may have."""
    if leaf.listed:
        return any(_alike(own, value) for own in leaf.values)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    lower, upper, *step = leaf.values
    if leaf.kind == "randint":
        return value == int(value) and lower <= value < upper
    steps = (value - lower) / step[0] if step else 0.0
    return bool(lower <= value <= upper and abs(steps - round(steps)) <= EDGE * max(abs(steps), 1.0))


def _as_in(leaf: Leaf, value: Any) -> Any:
    """Return a value that lies in a leaf as the leaf has it."""
    if leaf.listed:
        return next(own for own in leaf.values if _alike(own, value))
    return int(value) if leaf.kind == "randint" else value


def _alike(own: Any, value: Any) -> bool:
    """Return whether a value of a list is that of a table, which has other things than numbers and words as JSON."""
    if isinstance(own, bool) == isinstance(value, bool) and own == value:
        return True
    return isinstance(value, str) and not isinstance(own, str) and json.dumps(own, ensure_ascii=False) == value


def evidence_sentence(sources: Sequence[str]) -> str:
    """Return how many trials of which sweeps count; empty for none."""
    if not sources:
        return ""
    named = ", ".join(f"{count} of {source}" for source, count in sorted(Counter(sources).items()))
    finished = counted(len(sources), "finished trials")
    verbs = "lies in this space and counts" if len(sources) == 1 else "lie in this space and count"
    return f"{finished} of earlier sweeps ({named}) {verbs}."
