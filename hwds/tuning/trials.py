"""Trials: the configs that a sweep tries, typed, each different from the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hwds.config.space import Leaf
from hwds.config.trial import applied
from hwds.core.errors import ConfigError
from hwds.core.hashing import digest
from hwds.core.recipe import canonical
from hwds.experiment.check import check
from hwds.experiment.spec import Experiment
from hwds.tuning.evidence import Evidence
from hwds.tuning.search_settings import Searching

BASELINE = 0
"""The number of the experiment as it stands, where the sweep has that."""

ATTEMPTS = 50
"""The most draws for a trial until one differs from all before; a small space is exhausted sooner."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One config of a sweep.

    Attributes:
        number: Its number; 0 is the experiment as it stands, where the sweep has that.
        settings: Its values, by path.
        data: The composed config without the sweep.
        experiment: The same, typed; None where it was refused.
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


def trials_of(
    data: Mapping[str, Any], sweep: Searching, leaves: Sequence[Leaf], evidence: Sequence[Evidence] = ()
) -> list[Trial]:
    """Return the trials, as many as the sweep or the space has; the first ones do not depend on the number.

    The experiment as it stands is the first, then come those that earlier sweeps have finished, then the sweep's own. For a
    search that learns these are the trials before any is proposed.

    Args:
        data: The composed config.
        sweep: The recipe of the search.
        leaves: The leaves of its space.
        evidence: The finished trials of earlier sweeps.
    """
    trials = reused_trials(data, sweep, evidence)
    own = sweep.at_first(sum(trial.covers for trial in trials if trial.source)) - sweep.baseline
    return [*trials, *more_trials(data, sweep, trials, sweep.settings(leaves), own)]


def reused_trials(data: Mapping[str, Any], sweep: Searching, evidence: Sequence[Evidence]) -> list[Trial]:
    """Return the experiment as it stands, where the sweep has that, and the trials of earlier sweeps, each only once."""
    trials = more_trials(data, sweep, (), [{}], 1) if sweep.baseline else []
    sources = {digest(each.settings): each.source for each in reversed(evidence)}
    spread = {digest(each.settings) for each in evidence if each.covers}
    earlier = more_trials(data, sweep, trials, [each.settings for each in evidence], len(evidence))
    names = [digest(trial.settings) for trial in earlier]
    named = zip(earlier, names, strict=True)
    return [*trials, *(replace(trial, source=sources[name], covers=name in spread) for trial, name in named)]


def more_trials(
    data: Mapping[str, Any], sweep: Searching, before: Sequence[Trial], proposed: Iterable[Mapping[str, Any]], count: int
) -> list[Trial]:
    """Return so many further trials from proposed settings, each different from all others; fewer where they repeat."""
    trials = {_identity(trial): trial for trial in before}
    seen = {digest(trial.settings) for trial in before}
    first = max((trial.number for trial in before), default=BASELINE - sweep.baseline) + 1
    for attempt, settings in enumerate(proposed):
        if len(trials) == len(before) + count or attempt > ATTEMPTS * count:
            break
        if (drawn := digest(settings)) not in seen:
            seen.add(drawn)
            trial = _trial(first + len(trials) - len(before), settings, data)
            trials.setdefault(_identity(trial), trial)
    return list(trials.values())[len(before) :]


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
    parts = trial.experiment
    return digest([canonical(part) for part in (parts.model, parts.features, parts.protocol, parts.dataset)])
