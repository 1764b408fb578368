"""Levels and metrics as a config names them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import numpy as np
from annotated_types import MinLen
from pydantic import AfterValidator, PlainValidator

from hwds.core.errors import ConfigError, nearest, with_article
from hwds.core.moved import current_path
from hwds.core.recipe import Level
from hwds.forecast.metrics.ratios import ForecastArrays, Metric, Part, forecast_arrays, forecast_metrics
from hwds.forecast.metrics.scores import forecast_measures


def _rising_with_median(levels: tuple[float, ...]) -> tuple[float, ...]:
    if list(levels) != sorted(set(levels)):
        raise ValueError("must rise")
    if 0.5 not in levels:
        raise ValueError("must have 0.5 among them")
    return levels


Levels = Annotated[tuple[Level, ...], MinLen(1), AfterValidator(_rising_with_median)]


def _name_or_metric(value: object) -> object:
    if not isinstance(value, str | Metric):
        raise ValueError("must be 'package.module:name' or a hwds.Metric")
    return value


Metrics = tuple[Annotated[str | Metric, PlainValidator(_name_or_metric)], ...]


def named_metrics(names: Metrics) -> tuple[Metric, ...]:
    """Return the user's own metrics, `my_pkg.metrics:my_metric` each, or, from Python, the metric itself.

    Raises:
        ConfigError: There is no such module or metric.
    """
    return tuple(_named(_place(i), name) for i, name in enumerate(names))


def check_metrics(names: Metrics, levels: Sequence[float]) -> tuple[Metric, ...]:
    """Return `named_metrics`, each tried on a few made-up rows, before any data is loaded.

    Raises:
        ConfigError: As `named_metrics`; a name is taken, or a function fails or does not return one number a row.
    """
    metrics, taken = named_metrics(names), {measure.short for measure in forecast_measures(1, tuple(levels))}
    rows = _made_up(levels)
    for i, metric in enumerate(metrics):
        if metric.short in taken or metric.name in {other.name for other in metrics[:i]}:
            raise ConfigError(f"{_place(i)}: there is a metric '{metric.short}' already; rename it.")
        if metric.quantile is not None and not 0 < metric.quantile < 1:
            raise ConfigError(f"{_place(i)}: the quantile of '{metric.name}' must be > 0 and < 1, got {metric.quantile}.")
        for part in ("numerator", "denominator"):
            _check_part(f"{_place(i)}: the {part} of '{metric.name}'", getattr(metric, part), rows)
    return metrics


def _check_part(what: str, part: Part, rows: ForecastArrays) -> None:
    shape = rows.actual.shape
    wanted = f"must return an array of one number a row, shape {shape}"
    given = f"; given were {len(rows.actual)} made-up rows, actual {np.array2string(rows.actual, separator=', ')}"
    try:
        with np.errstate(all="ignore"):
            values = part(rows)
    except Exception as error:  # a user's own function may fail in any way
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(f"{what} fails: {said}; it {wanted}{given} (-v shows where).") from error
    if not isinstance(values, np.ndarray):
        raise ConfigError(f"{what} {wanted}, got {with_article(type(values).__name__)}{given}.")
    if values.shape != shape or values.dtype.kind not in "biuf":
        raise ConfigError(f"{what} {wanted}, got {values.dtype} of shape {values.shape}{given}.")


def _made_up(levels: Sequence[float]) -> ForecastArrays:
    """Return two forecasts of three steps; no two columns are equal, and none is 0."""
    actual = np.array([10.0, 12, 9, 14, 11, 15])
    columns = {"step": np.array([1, 2, 3] * 2), "actual": actual, "mean": actual + 1, "seasonal_naive": actual - 2}
    columns |= {f"q_{level:g}": actual + 1 + level for level in levels}
    scales = {"scale_abs": np.full(6, 3.0), "scale_sq": np.full(6, 9.5)}
    return forecast_arrays(columns | scales, levels, 1)


def _place(index: int) -> str:
    return f"protocol.metrics[{index}]"


def _named(path: str, name: str | Metric) -> Metric:
    if isinstance(name, Metric):
        return name
    known = {metric.short for metric in forecast_metrics(1, (0.1, 0.5, 0.9)).values()}
    module_name, _, attribute = current_path(name).partition(":")
    if name in known:
        raise ConfigError(f"{path}: '{name}' is built in and always computed; protocol.headline={name} orders models by it.")
    if not attribute:
        raise ConfigError(f"{path}: no metric '{name}'{nearest(name, known)} Your own is 'package.module:name'.")
    try:
        metric = getattr(import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"{path}: {error}.") from error
    except Exception as error:  # a user's own module may fail in any way
        raise ConfigError(f"{path}: module '{module_name}' fails: {type(error).__name__}: {error} (-v shows where).") from error
    if not isinstance(metric, Metric):
        raise ConfigError(f"{path}: '{name}' is {with_article(type(metric).__name__)}, not a hwds.Metric.")
    return metric
