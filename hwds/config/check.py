"""Plain data in, typed recipes out; every refusal has a path, the value and the nearest right name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from hwds.config.messages import refused, shown
from hwds.config.spec import Experiment
from hwds.errors import ConfigError
from hwds.recipe import Recipe, Small, uses_features
from hwds.registry import PACKAGES, options, resolve_node

BASES = {
    "dataset": "dataset",
    "features": "featureset",
    "protocol": "evaluation",
    "compute": "compute",
    "decision": "decision",
    "sweep": "sweep",
    "tracker": "tracker",
}
"""What the recipe of each group must be (`kind`); the protocol says what its models must be."""


def check(data: dict[str, Any]) -> Experiment:
    """The typed experiment of composed plain data.

    Raises:
        ConfigError: A key, type, range or name is wrong, or the parts cannot go together.
    """
    for group in PACKAGES:
        if not isinstance(data.get(group), dict):
            raise ConfigError(
                f"{group}: must be an option, got {shown(data.get(group))}; options: {', '.join(options(group))}."
            )
    missing = next(_missing({key: value for key, value in data.items() if key not in PACKAGES}), None)
    if missing:
        raise ConfigError(f"{missing}: must be given.")
    data = small(data) if data.get("size") == "small" else data
    values = data | {group: build(group, group, data[group]) for group in PACKAGES}
    values["rivals"] = tuple(build("model", f"rivals[{i}]", node) for i, node in enumerate(data["rivals"]))
    try:
        experiment = Experiment(**values)
    except ValidationError as error:
        raise refused(Experiment, "", error) from error
    _same_types(data, experiment, "")
    _go_together(experiment)
    if data["sweep"]["recipe"] != "none" or data["sweep"]["space"]:
        from hwds.config.check_sweep import check_sweep

        check_sweep(data, experiment)
    return experiment


def build(group: str, path: str, node: dict[str, Any]) -> Recipe:
    """One node as its recipe."""
    cls = resolve_node(group, path, node)
    values = {key: _members(group, f"{path}.{key}", value) for key, value in node.items() if key != "recipe"}
    missing = next(_missing(values), None)
    if missing:
        raise ConfigError(f"{path}.{missing}: must be given.")
    try:
        recipe: Recipe = cls(**values)
    except ValidationError as error:
        raise refused(cls, path, error) from error
    _same_types(node, recipe, path)
    return recipe


def _missing(values: dict[str, Any], path: str = "") -> Any:
    for key, value in values.items():
        if isinstance(value, str) and value == "???":
            yield f"{path}{key}"
        elif isinstance(value, dict):
            yield from _missing(value, f"{path}{key}.")


def _members(group: str, path: str, value: Any) -> Any:
    """A composed node, or a list of them (a stack's members), as recipes."""
    if isinstance(value, dict) and "recipe" in value:
        return build(group, path, value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "recipe" in value[0]:
        return tuple(build(group, f"{path}[{i}]", node) for i, node in enumerate(value))
    return value


def _same_types(node: dict[str, Any], recipe: Recipe, path: str) -> None:
    """Refuse `true` for 1, which pydantic would take."""
    for field in fields(recipe):  # type: ignore[arg-type]
        given, built = node.get(field.name), getattr(recipe, field.name)
        where = f"{path}.{field.name}".lstrip(".")
        if isinstance(built, Recipe) and isinstance(given, dict) and field.name not in PACKAGES:
            _same_types(given, built, where)
        _refuse_true(given, built, where)


def _refuse_true(given: Any, built: Any, where: str) -> None:
    if isinstance(given, bool) and not isinstance(built, bool):
        raise ConfigError(f"{where}: must be a number, got {shown(given)}.")
    if isinstance(given, list) and isinstance(built, list | tuple):
        for i, (item, made) in enumerate(zip(given, built, strict=False)):
            _refuse_true(item, made, f"{where}[{i}]")


def _go_together(experiment: Experiment) -> None:
    """Refuse parts that cannot be one experiment, in words."""
    protocol: Any = experiment.protocol
    decision: Any = experiment.decision
    _check_kinds(experiment)
    _check_frame(experiment)
    for place, recipe in enumerate((experiment.model, *experiment.rivals)):
        _check_model(f"rivals[{place - 1}]" if place else "model", recipe, experiment)
    if experiment.save_model == "final" and not protocol.fits_all:
        raise ConfigError(f"save_model: protocol '{protocol.name}' has no model to keep; it must be none, got 'final'.")
    decision.check_protocol(protocol)
    decision.check_model(experiment.model)
    protocol.check_names()


def _check_kinds(experiment: Experiment) -> None:
    """The recipe of each group is one of that group's."""
    for group, base in BASES.items():
        found = type(getattr(experiment, group))
        if kind(found) != base:
            raise ConfigError(f"{group}: '{found.__name__}' is {_with_article(kind(found))}, not {_with_article(base)}.")


def _check_frame(experiment: Experiment) -> None:
    """The dataset gives what the protocol cuts, and what the features, where any model uses them, are computed for."""
    dataset: Any = experiment.dataset
    protocol: Any = experiment.protocol
    features: Any = experiment.features
    given = f"dataset '{dataset.name}' gives a {dataset.gives.__name__.lower()}."
    if not issubclass(dataset.gives, protocol.cuts):
        raise ConfigError(f"dataset: protocol '{protocol.name}' cuts a {protocol.cuts.__name__.lower()}, {given}")
    if not issubclass(dataset.gives, features.of) and any(map(uses_features, experiment.models.values())):
        raise ConfigError(f"features: '{features.name}' are computed for a {features.of.__name__.lower()}, {given}")


def _check_model(path: str, recipe: Recipe, experiment: Experiment) -> None:
    """The protocol can ask it, and no other bears its label."""
    protocol: Any = experiment.protocol
    if not isinstance(recipe, protocol.accepts):
        wanted, got = (_with_article(word) for word in (protocol.accepts.__name__.lower(), kind(type(recipe))))
        raise ConfigError(f"{path}: protocol '{protocol.name}' asks {wanted}, '{recipe.name}' is {got}.")
    if [other.name for other in (experiment.model, *experiment.rivals)].count(recipe.name) > 1:
        raise ConfigError(f"{path}: '{recipe.name}' is there twice.")


def _with_article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def kind(cls: type) -> str:
    """What a recipe is, in a word: the name of its base (`forecaster`, `classifier`, `policy`)."""
    return next(
        (base for base in reversed(cls.__mro__) if issubclass(base, Recipe) and base is not Recipe), cls
    ).__name__.lower()


def small(data: dict[str, Any]) -> dict[str, Any]:
    """The data under `size=small`: every field that says `Small(n)` is at most n."""
    shrunk = {group: _shrink(group, data[group]) for group in PACKAGES}
    return data | shrunk | {"rivals": [_shrink("model", node) for node in data["rivals"]]}


def _shrink(group: str, node: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(resolve_node(group, group, node), include_extras=True)
    caps = {key: cap for key, hint in hints.items() if (cap := _cap(hint)) is not None}
    shrunk = {key: min(value, caps[key]) if key in caps and isinstance(value, int) else value for key, value in node.items()}
    members: dict[str, Any] = {
        key: [_shrink(group, item) for item in value] for key, value in node.items() if _are_nodes(value)
    }
    members |= {key: _shrink(group, value) for key, value in node.items() if _are_nodes([value])}
    return shrunk | members


def _are_nodes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "recipe" in item for item in value)


def _cap(hint: Any) -> int | None:
    marks = getattr(hint, "__metadata__", ())
    own = next((mark.most for mark in marks if isinstance(mark, Small)), None)
    inner = (_cap(arg) for arg in get_args(hint)) if own is None and not marks else iter(())
    return own if own is not None else next((cap for cap in inner if cap is not None), None)
