"""Lines: what the theta method and a damped trend forecast from each origin, which a global model then corrects."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from hwds.forecast.models.damped import Damped
from hwds.forecast.models.statistical.base import WILD, Statistical, scale_of
from hwds.forecast.models.theta import Theta
from hwds.forecast.models.windows.cut import OriginForecasts

MIDDLE = (0.5,)
"""The only level that is asked."""


class ThetaAndDamped(OriginForecasts):
    """The theta method and a damped trend."""

    def forecasts(self, histories: Iterable[np.ndarray], season: int, base: np.ndarray) -> np.ndarray:
        """Return both, shape (2, n, steps), `base` where one of them has none; see `OriginForecasts.forecasts`."""
        forecasts = np.stack([base, base])
        for place, values in enumerate(histories):
            both = [_line(model, values[-model.longest :], season, base.shape[1]) for model in _methods()]
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
