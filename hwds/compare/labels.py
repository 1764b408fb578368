"""Labels that say what differs: `forecast/xgboost(trees=500)` beside `forecast/xgboost(trees=250)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwds.compare.source import Source
from hwds.core.settings import as_yaml, flatten

UNSAID = ("name", "recipe")
COMMA = ","


def distinct_labels(models: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return names in the same order; equal names with other settings get the settings that differ.

    Args:
        models: Names with their settings.
    """
    flat = [(name, _flat(settings)) for name, settings in models]
    labels = []
    for name, values in flat:
        namesakes = [other for label, other in flat if label == name]
        keys = dict.fromkeys(key for other in namesakes for key in other)
        differing = [key for key in keys if any(other.get(key) != values.get(key) for other in namesakes)]
        differing = [key for key in keys if len({repr(other.get(key)) for other in namesakes}) > 1] if differing else []
        changes = ",".join(f"{key}={as_yaml(values.get(key), COMMA)}" for key in differing)
        labels.append(f"{name}({changes})" if changes else name)
    return labels


def dataset_labels(sources: Sequence[Source]) -> list[str]:
    """Return the dataset of each source."""
    return distinct_labels([(str(source.config["dataset"]["name"]), source.config["dataset"]) for source in sources])


def model_labels(sources: Sequence[Source]) -> list[dict[str, str]]:
    """Return for each source its own labels of models, mapped to labels that distinguish all models.

    The same label with the same settings in two sources of the same data and seed is one model where its answers are the same.
    Where they are not, features, code or else the run is what differs, and said.
    """
    pairs = [(place, label) for place, source in enumerate(sources) for label in source.models]
    labels = distinct_labels([(label, sources[place].settings(label)) for place, label in pairs])
    by_pair = {pair: _short(pair[1], label) for pair, label in zip(pairs, labels, strict=True)}
    for label in dict.fromkeys(by_pair.values()):
        bearers = [pair for pair, name in by_pair.items() if name == label]
        what = _cause(sources, bearers)
        if what:
            by_pair |= {pair: f"{label}[{what}={_value_of(sources[pair[0]], what)}]" for pair in bearers}
    return [{label: by_pair[place, label] for label in source.models} for place, source in enumerate(sources)]


def _short(label: str, distinct: str) -> str:
    """Return a label that already says its changes does not say them twice."""
    return label if "(" in label and distinct.startswith(label) else distinct


def _cause(sources: Sequence[Source], bearers: Sequence[tuple[int, str]]) -> str:
    """Return what separates sources whose model of one label predicts the same rows differently; empty where none does."""
    first: dict[tuple[Any, ...], tuple[int, str]] = {}
    for place, label in bearers:
        source = sources[place]
        key = source.data, source.seed, repr(source.config["dataset"])
        other = first.setdefault(key, (place, label))
        if other != (place, label) and not source.rows(label).equals(sources[other[0]].rows(other[1])):
            pair = source, sources[other[0]]
            return next((what for what in ("features", "code") if _value_of(pair[0], what) != _value_of(pair[1], what)), "run")
    return ""


def _value_of(source: Source, what: str) -> str:
    if what == "features":
        return str(source.config.get("features", {}).get("name", "none"))
    return source.code[:6] if what == "code" else source.run[:6]


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    values = {path: value for path, value in flatten(settings) if path.rpartition(".")[2] not in UNSAID}
    return {path: value for path, value in values.items() if not isinstance(value, Mapping)}
