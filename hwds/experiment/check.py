"""From composed plain data to the typed experiment, whose parts can go together."""

from __future__ import annotations

from typing import Any

from hwds.config.build import BASES, build, check_types, kind, missing_paths, small
from hwds.core.errors import ConfigError, with_article
from hwds.core.messages import shown
from hwds.core.recipe import Recipe, construct, uses_features
from hwds.core.registry import GROUPS, options
from hwds.experiment.spec import Experiment
from hwds.results.labels import Labels


def check(data: dict[str, Any]) -> Experiment:
    """Return the typed experiment of composed plain data.

    Raises:
        ConfigError: A key, type, range or name is wrong, or the parts cannot go together.
    """
    for group in GROUPS:
        if not isinstance(data.get(group), dict):
            raise ConfigError(
                f"{group}: must be an option, got {shown(data.get(group))}; options: {', '.join(options(group))}."
            )
    missing = next(missing_paths({key: value for key, value in data.items() if key not in GROUPS}), None)
    if missing:
        raise ConfigError(f"{missing}: must be given.")
    data = small(data) if data.get("size") == "small" else data
    recipes = {group: build(group, group, data[group]) for group in GROUPS}
    _check_kinds(recipes)
    rivals = tuple(build("model", f"rivals[{i}]", node) for i, node in enumerate(data["rivals"]))
    experiment = construct(Experiment, "", data | recipes | {"rivals": rivals})
    check_types(data, experiment, "")
    _go_together(experiment)
    experiment.sweep.check(data, experiment)
    return experiment


def _go_together(experiment: Experiment) -> None:
    """Refuse parts that cannot be one experiment, in words."""
    protocol, decision = experiment.protocol, experiment.decision
    _check_frame(experiment)
    for place, recipe in enumerate((experiment.model, *experiment.rivals)):
        _check_model(f"rivals[{place - 1}]" if place else "model", recipe, experiment)
    if experiment.save_model == "final":
        protocol.check_save_model()
    decision.check_protocol(protocol)
    decision.check_model(experiment.model)
    decision.check_pack(experiment.decision_pack)
    Labels().tagged(experiment.tags)
    protocol.check_names()


def _check_kinds(recipes: dict[str, Recipe]) -> None:
    """Refuse a recipe that is not of its group."""
    for group, base in BASES.items():
        cls = type(recipes[group])
        if kind(cls) != base:
            raise ConfigError(f"{group}: '{cls.__name__}' is {with_article(kind(cls))}, not {with_article(base)}.")


def _check_frame(experiment: Experiment) -> None:
    """Refuse a dataset that gives another frame than the protocol cuts, or than features that a model uses are computed for."""
    dataset, protocol, features = experiment.dataset, experiment.protocol, experiment.features
    given = f"dataset '{dataset.name}' gives {_frame(dataset.gives)}."
    if not issubclass(dataset.gives, protocol.frame_type):
        raise ConfigError(f"dataset: protocol '{protocol.name}' cuts {_frame(protocol.frame_type)}, {given}")
    if not issubclass(dataset.gives, features.of) and any(map(uses_features, experiment.models.values())):
        raise ConfigError(f"features: '{features.name}' are computed for {_frame(features.of)}, {given}")


def _frame(kind: type) -> str:
    """Return a kind of frame in words: `a panel`, `runs`."""
    word = kind.__name__.lower()
    return word if word.endswith("s") else with_article(word)


def _check_model(path: str, recipe: Recipe, experiment: Experiment) -> None:
    """Refuse a model that the protocol cannot evaluate, or whose label another one bears."""
    protocol = experiment.protocol
    if not isinstance(recipe, protocol.accepts):
        wanted, got = (with_article(word) for word in (protocol.accepts.__name__.lower(), kind(type(recipe))))
        raise ConfigError(f"{path}: protocol '{protocol.name}' asks {wanted}, '{recipe.name}' is {got}.")
    if [other.name for other in (experiment.model, *experiment.rivals)].count(recipe.name) > 1:
        raise ConfigError(f"{path}: '{recipe.name}' is there twice.")
