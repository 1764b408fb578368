"""Trials: the configs that a sweep tries, typed, each different from the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hwds.config.check import check
from hwds.config.space import Leaf
from hwds.config.spec import Experiment
from hwds.config.trial import applied
from hwds.errors import ConfigError
from hwds.hashing import digest
from hwds.recipe import canonical

ATTEMPTS = 50
"""Draws for each trial at most until one differs from all before: a small space is exhausted sooner."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One config of a sweep.

    Attributes:
        number: Its place; 0 is the experiment as it stands, where the sweep has that.
        settings: The values it was given, by path.
        data: The composed config without the sweep.
        experiment: The same, typed; None where it was refused.
        refused: Why.
    """

    number: int
    settings: Mapping[str, Any]
    data: Mapping[str, Any] = field(repr=False)
    experiment: Experiment | None = None
    refused: str = ""

    @property
    def label(self) -> str:
        """How it is called in tables."""
        return f"trial {self.number}"


def trials_of(data: Mapping[str, Any], sweep: Any, leaves: Sequence[Leaf]) -> list[Trial]:
    """The trials, so many as are asked for or as the space has; the first ones do not depend on how many.

    Of a search that learns, those before any has a score.

    Args:
        data: The composed config.
        sweep: The search.
        leaves: Of its space.
    """
    return more_trials(data, sweep, (), _settings(sweep, leaves), sweep.at_first)


def more_trials(
    data: Mapping[str, Any], sweep: Any, before: Sequence[Trial], proposed: Iterable[Mapping[str, Any]], count: int
) -> list[Trial]:
    """So many trials after those before, of what is proposed, each different from all others; fewer where it repeats itself."""
    found = {_identity(trial): trial for trial in before}
    seen = {digest(trial.settings) for trial in before}
    for attempt, settings in enumerate(proposed):
        if len(found) == len(before) + count or attempt > ATTEMPTS * count:
            break
        if (drawn := digest(settings)) not in seen:
            seen.add(drawn)
            trial = _trial(len(found) + (not sweep.baseline), settings, data)
            found.setdefault(_identity(trial), trial)
    return list(found.values())[len(before) :]


def _settings(sweep: Any, leaves: Sequence[Leaf]) -> Iterator[dict[str, Any]]:
    if sweep.baseline:
        yield {}
    yield from sweep.settings(leaves)


def _trial(number: int, settings: Mapping[str, Any], data: Mapping[str, Any]) -> Trial:
    changed = applied(data, settings)
    alone = changed | {"rivals": []}
    try:
        return Trial(number, settings, changed, check(alone))
    except ConfigError as error:
        return Trial(number, settings, changed, refused=str(error))


def _identity(trial: Trial) -> str:
    if trial.experiment is None:
        return digest({"refused": trial.settings})
    return digest([canonical(trial.experiment.model), canonical(trial.experiment.features)])
