"""Labels that say what differs: `forecast/xgboost(trees=500)` beside `forecast/xgboost(trees=250)`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwds.compare.source import Source

UNSAID = ("name", "recipe")


def told_apart(named: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Names in the same order, those of one name and other settings with the settings that differ.

    Args:
        named: Names with their settings.
    """
    flat = [(name, dict(_flat(settings))) for name, settings in named]
    told = []
    for name, own in flat:
        namesakes = [other for label, other in flat if label == name]
        keys = dict.fromkeys(key for other in namesakes for key in other)
        differing = [key for key in keys if any(other.get(key) != own.get(key) for other in namesakes)]
        differing = [key for key in keys if len({repr(other.get(key)) for other in namesakes}) > 1] if differing else []
        changes = ",".join(f"{key}={_text(own.get(key))}" for key in differing)
        told.append(f"{name}({changes})" if changes else name)
    return told


def dataset_labels(sources: Sequence[Source]) -> list[str]:
    """The dataset of each source."""
    return told_apart([(str(source.config["dataset"]["name"]), source.config["dataset"]) for source in sources])


def model_labels(sources: Sequence[Source]) -> list[dict[str, str]]:
    """Of each source from its own labels of models to those that tell all apart.

    The same label with the same settings in two sources of the same data and seed is one model where its answers are the same.
    Where they are not, features, code or else the run is what differs, and said.
    """
    asked = [(place, label) for place, source in enumerate(sources) for label in source.models]
    told = told_apart([(label, sources[place].settings(label)) for place, label in asked])
    named = {pair: _short(pair[1], label) for pair, label in zip(asked, told, strict=True)}
    for label in dict.fromkeys(named.values()):
        bearers = [pair for pair, own in named.items() if own == label]
        what = _cause(sources, bearers)
        if what:
            named |= {pair: f"{label}[{what}={_said(sources[pair[0]], what)}]" for pair in bearers}
    return [{label: named[place, label] for label in source.models} for place, source in enumerate(sources)]


def _short(own: str, told: str) -> str:
    """A label that already says its changes does not say them twice."""
    return own if "(" in own and told.startswith(own) else told


def _cause(sources: Sequence[Source], bearers: Sequence[tuple[int, str]]) -> str:
    """What sets sources apart whose model of one label answers the same rows in different ways; empty where none does."""
    first: dict[tuple[Any, ...], tuple[int, str]] = {}
    for place, label in bearers:
        source = sources[place]
        key = source.data, source.seed, repr(source.config["dataset"])
        other = first.setdefault(key, (place, label))
        if other != (place, label) and not source.rows(label).equals(sources[other[0]].rows(other[1])):
            pair = source, sources[other[0]]
            return next((what for what in ("features", "code") if _said(pair[0], what) != _said(pair[1], what)), "run")
    return ""


def _said(source: Source, what: str) -> str:
    if what == "features":
        return str(source.config.get("features", {}).get("name", "none"))
    return source.code[:6] if what == "code" else source.run[:6]


def _flat(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        elif key not in UNSAID:
            yield f"{path}{key}", value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return {True: "true", False: "false", None: "null"}[value] if isinstance(value, bool) or value is None else str(value)
