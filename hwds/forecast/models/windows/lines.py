"""Lines: what the theta method and a damped trend forecast from each origin, which a global model then corrects."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hwds.forecast.models.damped import Damped
from hwds.forecast.models.statistical.base import WILD, Statistical, scale_of
from hwds.forecast.models.theta import Theta

if TYPE_CHECKING:
    from hwds.forecast.models.windows.cut import Origins
    from hwds.forecast.models.windows.source import WindowSource

MIDDLE = (0.5,)
"""The only level that is asked."""


def lines(source: WindowSource, origins: Origins, steps: int, base: np.ndarray) -> np.ndarray:
    """Return the forecasts of theta and of a damped trend, shape (2, n, steps), `base` where one of them has none.

    Each is fitted to the rows of its series before its origin alone, as `forecast/theta` and `forecast/damped` fit them.

    Args:
        source: The panel.
        origins: The places to forecast from.
        steps: Steps of a forecast.
        base: The seasonal naive forecasts, shape (n, steps).
    """
    forecasts = np.stack([base, base])
    starts, first = source.panel.offsets[:-1], source.first
    for place, (series, end) in enumerate(zip(origins.series.tolist(), origins.ends.tolist(), strict=True)):
        values = source.whole[first[series] : starts[series] + end]
        both = [_line(model, values[-model.longest :], source.windowing.season, steps) for model in _methods()]
        if all(line is not None for line in both):
            forecasts[:, place] = both
    return forecasts


@cache
def _methods() -> tuple[Statistical, ...]:
    return Theta(origins=0), Damped(origins=0)


def _line(model: Statistical, values: np.ndarray, season: int, steps: int) -> np.ndarray | None:
    """Return the forecast after a series without holes, shape (steps,); None where it cannot be fitted, or is wild."""
    if not model.suits(values):
        return None
    scale = scale_of(values)
    with np.errstate(all="ignore"):  # a forecast that overflows is none
        mean = model.forecast(values / scale, season, steps, MIDDLE)[0] * scale
    if not (np.abs(mean) <= WILD * np.abs(values).max()).all():
        return None
    return np.maximum(mean, 0.0) if values.min() >= 0 else mean
