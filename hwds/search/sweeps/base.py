"""Searching: the settings that all searches share, and values for the leaves of a space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np

from hwds.core.config import build
from hwds.core.errors import ConfigError
from hwds.core.extras import require_installed
from hwds.core.recipe import (
    Folds,
    Names,
    NonNegative,
    Positive,
    Seed,
    Small,
    Trials,
    Workers,
    package_needs,
)
from hwds.core.search_space import START, Leaf, leaf_conditions, leaves_of, space_of, trial_config
from hwds.core.seeds import stream
from hwds.evaluation.protocol import Evaluation
from hwds.evaluation.ray.executor import OnRay
from hwds.experiment.spec import Experiment, Sweep

# Values for the leaves of a space: random draws, or every combination. Each leaf has a random
# stream named by its path.

VALUE_DIGITS = 4
"""Significant digits of a number drawn from a range."""


def draw_settings(leaves: Sequence[Leaf], seed: int, number: int) -> dict[str, Any]:
    """Return the values of draw `number`, by path; a leaf whose choice was not drawn has none.

    Draws take the values of `grid` leaves in turn: every combination of them sees the same values
    of all others.
    """
    sizes = [len(leaf.values) for leaf in leaves if leaf.kind == "grid" and not leaf.when]
    number, combination = divmod(number, prod(sizes))
    settings: dict[str, Any] = {}
    places: dict[str, int] = {}
    for leaf in leaves:
        if not has_value(leaf, places):
            continue
        rng = stream(seed, "sweep", number, leaf.path)
        if leaf.listed:
            count = len(leaf.values)
            place = int(rng.integers(count))
            if leaf.kind == "grid" and not leaf.when:
                combination, place = divmod(combination, count)
            places[leaf.path] = place
            settings[leaf.path] = leaf.values[place]
        else:
            settings[leaf.path] = value_at_share(leaf, float(rng.random()))
    return settings


def value_at_share(leaf: Leaf, share: float) -> float:
    """Return the value of a range at a share of its length, 0 to 1, in its logarithm for
    `loguniform`.
    """
    lower, upper, *step = leaf.values
    if leaf.kind == "randint":
        return int(min(lower + math.floor(share * (upper - lower)), upper - 1))
    if leaf.kind == "quniform":
        steps = math.floor((upper - lower) / step[0] + 1e-9)
        value = lower + step[0] * min(math.floor(share * (steps + 1)), steps)
        return round_within(value, lower, upper) if isinstance(value, float) else int(value)
    if leaf.kind == "loguniform":
        return round_within(
            math.exp(math.log(lower) + share * (math.log(upper) - math.log(lower))), lower, upper
        )
    return round_within(lower + share * (upper - lower), lower, upper)


def round_within(value: float, lower: float, upper: float) -> float:
    """Return a number with few digits, within its bounds."""
    return float(min(max(float(f"{value:.{VALUE_DIGITS}g}"), lower), upper))


def grid_combinations(leaves: Sequence[Leaf], points: int) -> Iterator[dict[str, Any]]:
    """Yield every combination, the last leaf changing fastest.

    `points` values of each range, or all integers if fewer.
    """
    yield from _combinations(tuple(leaves), points, {}, {})


def _combinations(
    leaves: tuple[Leaf, ...], points: int, settings: dict[str, Any], places: dict[str, int]
) -> Iterator[dict[str, Any]]:
    if not leaves:
        yield settings
        return
    first, rest = leaves[0], leaves[1:]
    if not has_value(first, places):
        yield from _combinations(rest, points, settings, places)
        return
    for place, value in enumerate(leaf_grid(first, points)):
        yield from _combinations(
            rest, points, settings | {first.path: value}, places | {first.path: place}
        )


def leaf_grid(leaf: Leaf, points: int) -> list[Any]:
    """Return the values of a leaf in a grid."""
    if leaf.listed:
        return list(leaf.values)
    if leaf.kind == "randint":
        whole = np.unique(
            np.rint(np.linspace(leaf.values[0], leaf.values[1] - 1, points)).astype(int)
        )
        return [int(value) for value in whole]
    shares = np.linspace(0, 1, points) if points > 1 else [0.5]
    return list(dict.fromkeys(value_at_share(leaf, float(share)) for share in shares))


def has_value(leaf: Leaf, places: Mapping[str, int]) -> bool:
    """Return whether a leaf has a value, by the indices of the choices that were drawn."""
    return all(places.get(path) == place for path, place in leaf.when)


# The settings that all searches share.

INSIDE_SHARE = 0.381966
"""A place between two bounds that no whole number falls on."""

SECONDS = "seconds"
"""The objective that is what a trial's cells took, as they were timed when they were computed."""

TRUTH_PREFIX = "true_"
"""The beginning of the name of a metric that is computed against a simulator's truth."""


class TrialScores(NamedTuple):
    """The input of a search that learns.

    Attributes:
        settings: A trial's values by path.
        rungs: Its score after each rung, the lower the better.
        covers: Whether it was drawn from a space that holds the one that is searched.
    """

    settings: Mapping[str, Any]
    rungs: Mapping[int, float]
    covers: bool = True


class Searching(Sweep):
    """A search: trials are scored on windows before the experiment's own, and the best alone on
    those.

    Class attributes: `stops`, whether trials are stopped between windows; `every`, whether the
    space alone says how many trials there are, and `trials` the most; `learns`, whether settings
    are proposed by the scores of those before.

    Attributes:
        only: Whether nothing but `space` is searched, and not what the model's class says to tune
            besides.
        metric: The metric that compares trials, by its short name; empty takes the protocol's
            headline. If that is measured against the truth, the same metric against labels is
            taken, because a real search does not know the truth.
        objectives: Further objectives: other metrics, or `seconds`, the time of a trial's cells;
            before its first trial of a model class, a process fits a toy, so no trial pays for
            imports and compiling. The trials that no other beats in all of them, the Pareto front,
            are a table and a picture. The metric alone still chooses the best trial.
        mode: Which side of it is good; `auto` takes what the metric says of itself.
        trials: The number of different settings that are tried. A larger number later continues
            after the trials that exist.
        windows: The most inner windows, all of which end before the first cutoff of the
            experiment's own; each is a rung. They overlap where the history is too short to lie
            side by side, and where it is shorter still there are fewer, which is said.
        seconds: After which no new trial is begun; null for no limit. An unfinished sweep continues
            when it is given more seconds.
        seconds_per_trial: The most seconds of all windows of a trial, earlier executions included.
            A trial that takes more is stopped and has failed. Null for no limit.
        memory_per_trial: GiB that a trial may hold resident, libraries included (TensorFlow alone
            takes half a GiB); one that takes more is ended too. Null for no limit.
        cpus_per_trial: Threads of each trial, XGBoost, TensorFlow, BLAS, polars and numba alike;
            null takes `compute.cpus_per_cell`.
        gpus_per_trial: GPUs of each, or a part of one; null takes `compute.gpus_per_cell`. Ray
            alone gives them out.
        concurrent: The most trials at once; null for as many as there are CPUs for.
        reuse: Whether the finished trials of earlier sweeps count that lie in the space: same data,
            windows and model but for what is searched. They are added to `trials`, and must exist
            when the sweep begins. A search that learns uses their scores, too.
        baseline: Whether trial 0 is the experiment as it stands; it is never stopped, and scored on
            the final windows too.
        seed: Names the random draws of the search.
    """

    searches: ClassVar[bool] = True
    stops: ClassVar[bool] = False
    every: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    only: bool = False
    metric: str = ""
    objectives: Names = ()
    mode: Literal["auto", "min", "max"] = "auto"
    trials: Annotated[Trials, Small(3)] = 20
    windows: Annotated[Folds, Small(2)] = 6
    seconds: Positive | None = None
    seconds_per_trial: Positive | None = None
    memory_per_trial: Positive | None = None
    cpus_per_trial: Workers | None = None
    gpus_per_trial: NonNegative | None = None
    concurrent: Workers | None = None
    reuse: bool = True
    baseline: bool = True
    seed: Seed = 0

    def check(self, data: Mapping[str, Any], experiment: Experiment) -> None:
        """Refuse an experiment that it cannot search; see `Sweep.check`."""
        protocol, compute = experiment.protocol, experiment.compute
        protocol.check_sweep(self.name)
        if self.gpus_per_trial and not isinstance(compute, OnRay):
            raise ConfigError(
                f"sweep.gpus_per_trial: compute '{compute.name}' gives no GPUs out; take "
                f"compute=ray."
            )
        if self.stops and self.windows == 1:
            raise ConfigError(
                f"sweep.windows: must be > 1 for '{self.name}', which stops trials between "
                f"windows, got 1."
            )
        check_metric(self.metric_for(protocol), protocol)
        for place, name in enumerate(self.objectives):
            if name == self.metric_for(protocol):
                raise ConfigError(
                    f"sweep.objectives[{place}]: '{name}' is the metric that trials are compared "
                    f"by."
                )
            if name != SECONDS:
                check_metric(name, protocol, f"sweep.objectives[{place}]")
        check_space(data, protocol)

    def metric_for(self, protocol: Evaluation[Any, Any]) -> str:
        """Return the short name of the metric that trials are compared by.

        Of a headline against the truth it is the same metric against labels.
        """
        return self.metric or protocol.headline.removeprefix(TRUTH_PREFIX)

    def settings(self, leaves: Sequence[Leaf]) -> Iterator[dict[str, Any]]:
        """Yield settings, values by path; the first ones do not depend on the number of trials."""
        number = 0
        while True:
            yield draw_settings(leaves, self.seed, number)
            number += 1

    def at_first(self, earlier: int) -> int:
        """Return the number of trials before any is proposed, where so many of earlier sweeps lie
        all over the space.
        """
        return self.trials

    @property
    def at_once(self) -> int:
        """The number of settings that are proposed by the same scores."""
        return self.trials

    def proposals(
        self, leaves: Sequence[Leaf], scored: Sequence[TrialScores], folds: int
    ) -> Iterator[dict[str, Any]]:
        """Yield settings, values by path, from the scores of earlier trials.

        A finished trial has `folds` windows.
        """
        raise NotImplementedError(f"{type(self).__name__}.proposals")

    def rungs(self, folds: int) -> tuple[int, ...]:
        """Return the numbers of folds after which trials are compared; the last is all of them."""
        return (folds,)

    def scheduler(self, folds: int) -> tuple[str, dict[str, Any]]:
        """Return the scheduler of Ray Tune that does the same without waiting, and its settings.

        It counts `folds`.
        """
        return "FIFOScheduler", {}

    def survivors(self, rung: int, folds: int, scores: Mapping[int, float]) -> set[int]:
        """Return the numbers of the trials that continue from a rung.

        Args:
            rung: Completed folds.
            folds: All folds.
            scores: The running score of each trial that is left, the lower the better.
        """
        return set(scores)


def check_metric(metric: str, protocol: Evaluation[Any, Any], path: str = "sweep.metric") -> None:
    """Refuse a metric that the protocol does not know, or that only a simulator can compute.

    Raises:
        ConfigError: With the nearest right name.
    """
    if metric.startswith(TRUTH_PREFIX):
        raise ConfigError(
            f"{path}: '{metric}' needs the truth, which a real search does not know; take "
            f"'{metric.removeprefix(TRUTH_PREFIX)}'."
        )
    try:
        replace(protocol, headline=metric).check_names()
    except ConfigError as error:
        raise ConfigError(str(error).replace("protocol.headline", path, 1)) from error


def check_space(data: Mapping[str, Any], protocol: Evaluation[Any, Any]) -> None:
    """Refuse a space that is empty, or has a value that is refused in its place.

    Raises:
        ConfigError: With the path and the value.
    """
    space = space_of(data)
    if not space and data["sweep"].get("only"):
        raise ConfigError(f"sweep.only: searches {START} alone, which is empty.")
    if not space:
        raise ConfigError(
            f"sweep: '{data['model']['name']}' has nothing that its class says to tune; give it a "
            f"{START}."
        )
    leaves = leaves_of(space, data)
    for leaf in leaves:
        for value in probes(leaf):
            _check_value(leaf, value, leaves, data, protocol)


def probes(leaf: Leaf) -> tuple[Any, ...]:
    """Return the values of a leaf to try in its place: all of a list.

    Of a range its bounds and a value between them.
    """
    if leaf.listed:
        return leaf.values
    lower, upper, *step = leaf.values
    if leaf.kind == "randint":
        return lower, upper - 1
    return (
        (lower, lower + step[0], upper)
        if step
        else (lower, lower + INSIDE_SHARE * (upper - lower), upper)
    )


def _check_value(
    leaf: Leaf,
    value: Any,
    leaves: tuple[Leaf, ...],
    data: Mapping[str, Any],
    protocol: Evaluation[Any, Any],
) -> None:
    group = leaf.path.partition(".")[0]
    trial = trial_config(data, leaf_conditions(leaf, leaves) | {leaf.path: value})
    recipe = build(group, f"{START}.{group}", trial[group])
    require_installed(dict(package_needs(f"{START}.{group}", recipe)))
    if group == "model" and not isinstance(recipe, protocol.accepts):
        raise ConfigError(
            f"{START}.model: protocol '{protocol.name}' asks a "
            f"{protocol.accepts.__name__.lower()}, '{recipe.name}' is none."
        )
