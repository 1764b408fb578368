"""Trials: the configs that a sweep tries, and the finished ones of earlier sweeps that count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.files import digest
from hwds.core.recipe import canonical
from hwds.core.search_space import Leaf, leaves_of, trial_config
from hwds.core.secrets import redact_env
from hwds.experiment.spec import Experiment, check
from hwds.results.formatting import counted
from hwds.results.sweep_folder import SweepFolder
from hwds.search.sweeps.base import Searching, has_value

# Finished trials of earlier sweeps that count in a sweep: their settings lie in its space, and
# all their cells are its own.
# A cell's key is made of data, fold, model, features, protocol, seed, code and versions. So a
# trial is taken only where the very same cells are in the cache: the same folds of the same
# data, and the same model but for what is searched.

EQUAL_PARTS = ("dataset", "seed")
"""The parts of a config that must be equal for cells to be the same; all others are in their keys.
"""

EDGE_SHARE = 1e-9
"""The share of a step by which a value may lie beside it, from rounding."""


class EarlierTrial(NamedTuple):
    """A finished trial of an earlier sweep.

    Attributes:
        settings: Its values in the space of this sweep, by path.
        source: The title of the sweep that finished it.
        covers: Whether that sweep's space holds this one: its trials are spread over all of it.
    """

    settings: Mapping[str, Any]
    source: str
    covers: bool = True


def earlier_trials(
    folder: SweepFolder, data: Mapping[str, Any], leaves: Sequence[Leaf]
) -> Iterator[EarlierTrial]:
    """Yield the finished trials of all other sweeps whose settings lie in a space.

    Args:
        folder: The folder of the sweep itself.
        data: Its composed config.
        leaves: The leaves of its space.
    """
    for other in SweepFolder.finished():
        if other.path == folder.path:
            continue
        try:
            content, table = other.read_json(), other.read_trials()
        except (
            HwdsError
        ):  # a damaged sweep is refused where it is asked for; here it only has nothing to add
            continue
        if all(content["config"].get(part) == redact_env(data[part]) for part in EQUAL_PARTS):
            wide = space_covers(content, leaves)
            for row in table.iter_rows(named=True):
                settings = (
                    settings_in(leaves, content["config"], row)
                    if row["status"] == "finished"
                    else None
                )
                if settings:
                    yield EarlierTrial(settings, other.title, wide and not row["source"])


def space_covers(content: Mapping[str, Any], leaves: Sequence[Leaf]) -> bool:
    """Return whether the space of a stored sweep holds all values of these leaves."""
    try:
        theirs = {
            (leaf.path, leaf.when): leaf for leaf in leaves_of(content["space"], content["config"])
        }
    except ConfigError:  # of classes that have other settings now
        return False
    return all(
        (wide := theirs.get((leaf.path, leaf.when))) is not None and _holds(wide, leaf)
        for leaf in leaves
    )


def _holds(wide: Leaf, leaf: Leaf) -> bool:
    if leaf.listed or wide.listed:
        return leaf.listed and all(lies_in_leaf(wide, value) for value in leaf.values)
    return bool(wide.values[0] <= leaf.values[0] and leaf.values[1] <= wide.values[1])


def settings_in(
    leaves: Sequence[Leaf], config: Mapping[str, Any], row: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the values of a trial in a space, None where one lies outside of it.

    Args:
        leaves: The leaves of the space.
        config: The config of the trial's sweep.
        row: The trial in its table.
    """
    settings: dict[str, Any] = {}
    places: dict[str, int] = {}
    for leaf in leaves:
        if has_value(leaf, places):
            try:
                value = _value_at(leaf.path, config, row)
            except ConfigError:  # of an option that is no more
                return None
            if not lies_in_leaf(leaf, value):
                return None
            settings[leaf.path] = _as_leaf_value(leaf, value)
            if leaf.listed:
                places[leaf.path] = leaf.values.index(settings[leaf.path])
    return settings


def _value_at(path: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """Return a trial's value at a path, from its row or else from its config.

    Of an option its name.
    """
    if path in row:
        return row[path]
    group, *keys = path.split(".")
    node: Any = config[group]
    if keys and row.get(group) not in (None, node["name"]):
        from hwds.core.compose import option

        node = option(group, group, row[group])
    return value_below(node, keys)


def value_below(node: Any, keys: Iterable[str]) -> Any:
    """Return the value at a path below a part of a config, of an option its name; None where there
    is none.
    """
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node["name"] if isinstance(node, Mapping) and "name" in node else node


def lies_in_leaf(leaf: Leaf, value: Any) -> bool:
    """Return whether a value, as a table of trials has it, is one that a leaf may have."""
    if leaf.listed:
        return any(_equal_values(listed, value) for listed in leaf.values)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    lower, upper, *step = leaf.values
    if leaf.kind == "randint":
        return value == int(value) and lower <= value < upper
    steps = (value - lower) / step[0] if step else 0.0
    return bool(
        lower <= value <= upper and abs(steps - round(steps)) <= EDGE_SHARE * max(abs(steps), 1.0)
    )


def _as_leaf_value(leaf: Leaf, value: Any) -> Any:
    """Return a value that lies in a leaf as the leaf has it."""
    if leaf.listed:
        return next(listed for listed in leaf.values if _equal_values(listed, value))
    return int(value) if leaf.kind == "randint" else value


def _equal_values(listed: Any, value: Any) -> bool:
    """Return whether a value of a list is that of a table, which has other things than numbers and
    words as JSON.
    """
    if isinstance(listed, bool) == isinstance(value, bool) and listed == value:
        return True
    return (
        isinstance(value, str)
        and not isinstance(listed, str)
        and json.dumps(listed, ensure_ascii=False) == value
    )


def earlier_trials_sentence(sources: Sequence[str]) -> str:
    """Return how many trials of which sweeps count; empty for none."""
    if not sources:
        return ""
    named = ", ".join(f"{count} of {source}" for source, count in sorted(Counter(sources).items()))
    finished = counted(len(sources), "finished trials")
    verbs = "lies in this space and counts" if len(sources) == 1 else "lie in this space and count"
    return f"{finished} of earlier sweeps ({named}) {verbs}."


# Trials: the configs that a sweep tries, typed, each different from the others.

BASELINE = 0
"""The number of the experiment as it stands, where the sweep has that."""

ATTEMPTS = 50
"""The most draws for a trial until one differs from all before; a small space is exhausted sooner.
"""


@dataclass(frozen=True, eq=False)
class Trial:
    """One config of a sweep.

    Attributes:
        number: Its number; 0 is the experiment as it stands, where the sweep has that.
        settings: Its values, by path.
        data: The composed config without the sweep.
        experiment: The same as a typed experiment; None where it was refused.
        refused: The refusal; empty where it was not refused.
        source: The sweep that has finished it before; empty for a trial of this sweep's own.
        covers: Whether the space of the sweep that drew it holds this one's.
    """

    number: int
    settings: Mapping[str, Any]
    data: Mapping[str, Any] = field(repr=False)
    experiment: Experiment | None = None
    refused: str = ""
    source: str = ""
    covers: bool = True

    @property
    def label(self) -> str:
        """Its name in tables."""
        return f"trial {self.number}"


def sweep_trials(
    data: Mapping[str, Any],
    sweep: Searching,
    leaves: Sequence[Leaf],
    evidence: Sequence[EarlierTrial] = (),
) -> list[Trial]:
    """Return the trials, as many as the sweep or the space has.

    The first ones do not depend on the number.

    The experiment as it stands is the first, then come those that earlier sweeps have finished,
    then the sweep's own. For a search that learns these are the trials before any is proposed.

    Args:
        data: The composed config.
        sweep: The recipe of the search.
        leaves: The leaves of its space.
        evidence: The finished trials of earlier sweeps.
    """
    trials = reused_trials(data, sweep, evidence)
    further = sweep.at_first(sum(trial.covers for trial in trials if trial.source)) - sweep.baseline
    return [*trials, *more_trials(data, sweep, trials, sweep.settings(leaves), further)]


def reused_trials(
    data: Mapping[str, Any], sweep: Searching, evidence: Sequence[EarlierTrial]
) -> list[Trial]:
    """Return the experiment as it stands, where the sweep has that, and the trials of earlier
    sweeps, each only once.
    """
    trials = more_trials(data, sweep, (), [{}], 1) if sweep.baseline else []
    sources = {digest(each.settings): each.source for each in reversed(evidence)}
    spread = {digest(each.settings) for each in evidence if each.covers}
    earlier = more_trials(data, sweep, trials, [each.settings for each in evidence], len(evidence))
    names = [digest(trial.settings) for trial in earlier]
    named = zip(earlier, names, strict=True)
    return [
        *trials,
        *(replace(trial, source=sources[name], covers=name in spread) for trial, name in named),
    ]


def more_trials(
    data: Mapping[str, Any],
    sweep: Searching,
    before: Sequence[Trial],
    proposed: Iterable[Mapping[str, Any]],
    count: int,
) -> list[Trial]:
    """Return so many further trials from proposed settings, each different from all others.

    Fewer where they repeat.
    """
    trials = {_identity(trial): trial for trial in before}
    seen = {digest(trial.settings) for trial in before}
    first = max((trial.number for trial in before), default=BASELINE - sweep.baseline) + 1
    for attempt, settings in enumerate(proposed):
        if len(trials) == len(before) + count or attempt > ATTEMPTS * count:
            break
        if (drawn := digest(settings)) not in seen:
            seen.add(drawn)
            trial = _make_trial(first + len(trials) - len(before), settings, data)
            trials.setdefault(_identity(trial), trial)
    return list(trials.values())[len(before) :]


def _make_trial(number: int, settings: Mapping[str, Any], data: Mapping[str, Any]) -> Trial:
    changed = trial_config(data, settings)
    without_rivals = changed | {"rivals": []}
    try:
        return Trial(number, settings, changed, check(without_rivals))
    except ConfigError as error:
        return Trial(number, settings, changed, refused=str(error))


def _identity(trial: Trial) -> str:
    if trial.experiment is None:
        return digest({"refused": trial.settings})
    parts = trial.experiment
    return digest(
        [canonical(part) for part in (parts.model, parts.features, parts.protocol, parts.dataset)]
    )
