"""All cutoffs of a fit in one pass, where the fitted model can do so and the past looks the same from each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel
from hwds.models.forecast.base import FittedForecaster, WalkingForecaster
from hwds.protocols.cutting import Cutoff, future_of, select


def all_cutoffs(
    fitted: FittedForecaster, panel: Panel, cutoffs: Sequence[Cutoff], horizon: int, sliding: int | None
) -> Sequence[Forecasts | None]:
    """The forecasts of the series that are asked at each cutoff; None for each where they must be asked for one by one.

    Args:
        fitted: Is asked.
        panel: The whole data.
        cutoffs: Those that the fit serves.
        horizon: Steps.
        sliding: Rows of history that may be seen at most.
    """
    if len(cutoffs) < 2 or sliding or not isinstance(fitted, WalkingForecaster) or not _one_past(panel):
        return [None] * len(cutoffs)
    ends = np.stack([_asked_ends(panel, cutoff) for cutoff in cutoffs], 1)
    reach = ends.max(1)
    series = np.flatnonzero(reach)
    if not len(series):
        return [None] * len(cutoffs)
    known = replace(select(panel, series).until(reach[series]), plan=None)
    return fitted.predict_at(known.followed_by(future_of(panel, series, reach, horizon)), ends[series], horizon)


def _one_past(panel: Panel) -> bool:
    """Whether a row is the same at every cutoff that knows it: no revisions or vintages, and no plan that fills holes."""
    planned = panel.roles.known_future if panel.plan is not None else ()
    revised = panel.roles.available_at or panel.vintages
    return not revised and not any(panel.table[name].null_count() for name in planned)


def _asked_ends(panel: Panel, cutoff: Cutoff) -> np.ndarray:
    """How many rows of each series are known, 0 where it is not asked."""
    ends = cutoff.ends(panel)
    return np.where(cutoff.alive(panel, ends), ends, 0)
