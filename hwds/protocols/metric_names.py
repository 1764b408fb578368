"""Levels and metrics as a config names them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

from annotated_types import MinLen
from pydantic import AfterValidator

from hwds.errors import ConfigError, nearest
from hwds.metrics.base import Measure
from hwds.metrics.forecast import Metric, forecast_metrics
from hwds.recipe import Level


def _rising_with_median(levels: tuple[float, ...]) -> tuple[float, ...]:
    if list(levels) != sorted(set(levels)):
        raise ValueError("must rise")
    if 0.5 not in levels:
        raise ValueError("must have 0.5 among them")
    return levels


Levels = Annotated[tuple[Level, ...], MinLen(1), AfterValidator(_rising_with_median)]
MetricNames = tuple[str, ...]


def check_headline(name: str, metrics: Iterable[Measure]) -> None:
    """Refuse a headline, a short name, that is none of a task's metrics or cannot order a leaderboard.

    Raises:
        ConfigError: It is unknown, or neither low nor high is good.
    """
    known = {metric.short: metric for metric in metrics}
    if name not in known:
        raise ConfigError(f"protocol.headline: no metric '{name}'{nearest(name, known)}")
    if known[name].better == "none":
        ordering = ", ".join(short for short, metric in known.items() if metric.better != "none")
        raise ConfigError(f"protocol.headline: '{name}' does not order models; take one of {ordering}.")


def named_metrics(names: MetricNames) -> tuple[Metric, ...]:
    """The user's own metrics, `my_pkg.metrics:my_metric` each.

    Raises:
        ConfigError: There is no such module or metric.
    """
    return tuple(_named(f"protocol.metrics[{i}]", name) for i, name in enumerate(names))


def _named(path: str, name: str) -> Metric:
    known = {metric.short for metric in forecast_metrics(1, (0.1, 0.5, 0.9)).values()}
    module_name, _, attribute = name.partition(":")
    if not attribute:
        hint = (
            "; it is built in and always computed."
            if name in known
            else f"{nearest(name, known)} (your own is 'package.module:name')"
        )
        raise ConfigError(f"{path}: no metric '{name}'{hint}")
    try:
        metric = getattr(import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"{path}: {error}.") from error
    if not isinstance(metric, Metric):
        raise ConfigError(f"{path}: '{name}' is a {type(metric).__name__}, not a hwds.metrics.forecast.Metric.")
    return metric
