"""Forecasters of statsforecast by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import field
from types import ModuleType
from typing import Any

from numpy import ndarray

from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import ZeroFolds
from hwds.forecast.statistical import Banded, Statistical, library_forecast

Settings = Mapping[str, Any]
"""What the constructor of a library's class is given, by its own names."""


def library_class(module: ModuleType, name: str) -> type[Any]:
    """Return a class of a library, which `model.estimator` names.

    Raises:
        ConfigError: There is none of this name.
    """
    value = getattr(module, name, None)
    if isinstance(value, type):
        return value
    classes = [each for each, one in vars(module).items() if isinstance(one, type)]
    raise ConfigError(
        f"model.estimator: {module.__name__} has no class '{name}'{nearest(name, classes)}"
    )


def accepted(made: type[Any], offered: Settings) -> dict[str, Any]:
    """Return what a class' constructor has parameters for."""
    names = inspect.signature(made).parameters
    return {name: value for name, value in offered.items() if name in names}


class StatsForecast(Statistical):
    """Any model of statsforecast, each series alone: `model.estimator=AutoCES`.

    Quantiles are the library's own, or those of the model's errors from origins inside the history
    (`origins`), which models without intervals need. Seasonal naive as a counted fallback.

    Attributes:
        estimator: A class of `statsforecast.models`.
        settings: Its parameters, by its own names; `season_length` is the dataset's unless given.
        origins: Origins inside the history whose errors make normal intervals; 0 takes the
            library's own.
    """

    imports = ("statsforecast",)
    least = 10

    estimator: str = "AutoTheta"
    settings: Settings = field(default_factory=dict)
    origins: ZeroFolds = 0

    def forecast(
        self, values: ndarray, season: int, steps: int, levels: tuple[float, ...]
    ) -> Banded:
        """Fit and forecast one series."""
        import statsforecast.models

        made = library_class(statsforecast.models, self.estimator)
        library = made(**accepted(made, {"season_length": season}) | dict(self.settings))
        return library_forecast(
            library, values, steps, levels, origins=self.origins, least=self.least
        )
