"""Checks that runs can be compared: same task, data, protocol and metrics."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.compare.source import Source
from hwds.core.errors import ConfigError, DataError, nearest

FREE = (
    "name",
    "recipe",
    "headline",
    "segments",
    "metrics",
    "paths",
    "resamples",
    "explained",
    "importance_rows",
    "importance_seeds",
    "checkpoints",
    "replications",
)
"""Fields of a protocol that change no row, or how many of them there are: only rows that all share count anyway."""


def check_sources(sources: Sequence[Source], datasets: Sequence[str]) -> None:
    """Refuse sources that were not evaluated on the same rows.

    Args:
        sources: One at least.
        datasets: The label of each one's dataset.

    Raises:
        DataError: Tasks, data or protocols differ; which, and how.
    """
    if not sources:
        raise DataError("compare: no finished run to compare.")
    first = sources[0]
    for source, dataset in zip(sources, datasets, strict=True):
        if source.task != first.task:
            raise DataError(f"compare: run {first.title} is of task '{first.task}' and {source.title} of '{source.task}'.")
        twin = next(other for other, label in zip(sources, datasets, strict=True) if label == dataset)
        if source.data != twin.data:
            raise DataError(
                f"compare: runs {twin.title} and {source.title} are both of dataset '{dataset}', but its data differ"
                f" (fingerprints {twin.data[:8]} and {source.data[:8]}); run one of them again."
            )
        _same_protocol(first, source)


def _same_protocol(first: Source, source: Source) -> None:
    left, right = (dict(each.config["protocol"]) for each in (first, source))
    recipes = left.get("recipe", left["name"]), right.get("recipe", right["name"])
    if recipes[0] != recipes[1]:
        raise DataError(
            f"compare: run {first.title} is of protocol '{recipes[0]}' and {source.title} of '{recipes[1]}';"
            " only answers to one protocol can be compared."
        )
    for key in (key for key in left if key in right and key not in FREE):
        if left[key] != right[key]:
            values = ["null" if value is None else value for value in (left[key], right[key])]
            raise DataError(
                f"compare: protocol.{key} is {values[0]} in run {first.title} and {values[1]} in {source.title};"
                " only answers to one protocol can be compared."
            )


def metric_of(sources: Sequence[Source], asked: str) -> str:
    """Return the short or full name of the metric to compare by: the one asked for, or the headline that all sources have.

    Raises:
        ConfigError: It is not scored, with the nearest name, or the headlines differ.
    """
    names = {name for source in sources for name in source.metrics}
    if asked:
        missing = next((source for source in sources if source.metric(asked) not in source.metrics), None)
        if missing:
            raise ConfigError(f"--metric: run {missing.title} has no metric '{asked}'{nearest(asked, names)}")
        return asked
    headlines = list(dict.fromkeys(str(source.config["protocol"]["headline"]) for source in sources))
    if len(headlines) > 1:
        raise ConfigError(f"--metric: must be given, the runs have several headlines: {', '.join(headlines)}.")
    return headlines[0]


def check_definitions(sources: Sequence[Source], datasets: Sequence[str], metric: str) -> None:
    """Refuse a metric that is not defined alike in all sources of a dataset.

    Raises:
        DataError: The definitions differ.
    """
    first_by_dataset: dict[str, tuple[str, Source]] = {}
    for source, dataset in zip(sources, datasets, strict=True):
        full, other = first_by_dataset.setdefault(dataset, (source.metric(metric), source))
        if source.metric(metric) != full:
            raise DataError(
                f"compare: '{metric}' is {full} in run {other.title} and {source.metric(metric)} in {source.title}."
            )
