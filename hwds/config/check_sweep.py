"""What of a sweep can be wrong before the work starts: its space tried in its place, its metric, what it cannot be asked of."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from hwds.config.check import build
from hwds.config.space import START, Leaf, leaves_of, space_of
from hwds.config.spec import Experiment
from hwds.config.trial import applied, conditions
from hwds.errors import ConfigError

INSIDE = 0.381966
"""A place between two bounds that no whole number falls on."""

TRUE = "true_"
"""What a metric's name begins with that is computed against a simulator's truth."""


def check_sweep(data: dict[str, Any], experiment: Experiment) -> None:
    """Refuse a sweep that cannot be.

    Args:
        data: The composed config.
        experiment: The same, typed.

    Raises:
        ConfigError: With the path, the value and the nearest right name.
    """
    sweep: Any = experiment.sweep
    if not sweep.searches:
        if sweep.space:
            raise ConfigError(f"{START}: needs a search, such as sweep=random; sweep={sweep.name} tries nothing.")
        return
    protocol: Any = experiment.protocol
    if why := protocol.unrehearsed():
        raise ConfigError(f"sweep: protocol '{protocol.name}' {why}; '{sweep.name}' would choose on what is scored.")
    if sweep.needs and find_spec(sweep.needs) is None:
        raise ConfigError(f"sweep: '{sweep.name}' needs a package that is not installed: pip install 'hwds[{sweep.needs}]'.")
    if sweep.gpus_per_trial and not hasattr(experiment.compute, "gpus_per_cell"):
        raise ConfigError(f"sweep.gpus_per_trial: compute '{experiment.compute.name}' gives no GPUs out; take compute=ray.")
    if sweep.stops and sweep.windows == 1:
        raise ConfigError(f"sweep.windows: must be > 1 for '{sweep.name}', which stops trials between windows, got 1.")
    _check_metric(sweep, protocol)
    space = space_of(data)
    if not space:
        raise ConfigError(f"sweep: '{experiment.model.name}' has nothing that its class says to tune; give it a {START}.")
    leaves = leaves_of(space, data)
    for leaf in leaves:
        for value in probes(leaf):
            _try(leaf, value, leaves, data, protocol)


def metric_of(sweep: Any, protocol: Any) -> str:
    """The metric that trials are compared by, its short name; of a headline against the truth the one that a label tells."""
    return str(sweep.metric or protocol.headline.removeprefix(TRUE))


def _check_metric(sweep: Any, protocol: Any) -> None:
    metric = metric_of(sweep, protocol)
    if metric.startswith(TRUE):
        raise ConfigError(
            f"sweep.metric: '{metric}' needs a truth that nobody knows who chooses; take '{metric.removeprefix(TRUE)}'."
        )
    try:
        replace(protocol, headline=metric).check_names()
    except ConfigError as error:
        raise ConfigError(str(error).replace("protocol.headline", "sweep.metric", 1)) from error


def probes(leaf: Leaf) -> tuple[Any, ...]:
    """The values of a leaf that are tried in its place: all of a list; of a range its bounds and what may lie between."""
    if leaf.listed:
        return leaf.values
    lower, upper, *step = leaf.values
    if leaf.kind == "randint":
        return lower, upper - 1
    return (lower, lower + step[0], upper) if step else (lower, lower + INSIDE * (upper - lower), upper)


def _try(leaf: Leaf, value: Any, leaves: tuple[Leaf, ...], data: dict[str, Any], protocol: Any) -> None:
    group = leaf.path.partition(".")[0]
    trial = applied(data, conditions(leaf, leaves) | {leaf.path: value})
    recipe = build(group, f"{START}.{group}", trial[group])
    if group == "model" and not isinstance(recipe, protocol.accepts):
        raise ConfigError(
            f"{START}.model: protocol '{protocol.name}' asks a {protocol.accepts.__name__.lower()}, '{recipe.name}' is none."
        )
