"""A forecaster that was fitted in Python, with the history that it was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import Recipe
from hwds.core.serialization import save_fitted
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.splitting.cutoffs import FromEnd, future_of, known_at, series_at


@dataclass(frozen=True, eq=False)
class ForecastModel:
    """The result of `Forecaster.fit`.

    Attributes:
        model: The recipe.
        fitted: What the model learned.
        panel: The history.
        horizon: Steps that it was fitted for.
        levels: The quantile levels that it forecasts.
    """

    model: Recipe
    fitted: Any
    panel: Panel
    horizon: int
    levels: tuple[float, ...]

    def __repr__(self) -> str:
        name = self.model.name or type(self.model).__name__
        return f"ForecastModel({name}, horizon={self.horizon}, levels={self.levels}, panel={self.panel!r})"

    def predict(self, panel: Panel | None = None) -> pl.DataFrame:
        """Forecast the rows after the history.

        Args:
            panel: A longer or another history of the same columns; the one that the model was fitted on where it is not given.

        Returns:
            `series_id, time, step, mean` and a column a quantile level (`q_0.1`), `horizon` rows a series.

        Raises:
            DataError: A column that is known ahead has no value in the rows to forecast (`Panel.of(..., plan=...)`).
        """
        panel = panel or self.panel
        cutoff = FromEnd(0)
        future = future_of(panel, series_at(panel, cutoff), cutoff.ends(panel), self.horizon)
        for name in panel.planned:
            if future.table[name].null_count():
                raise DataError(f"predict: '{name}' must be known for the rows to forecast: Panel.of(..., plan=...) has them.")
        forecasts = self.fitted.predict(known_at(panel, cutoff), future)
        columns = {
            "step": np.tile(np.arange(1, self.horizon + 1, dtype=np.int32), panel.n_series),
            "mean": forecasts.mean.ravel(),
            **{f"q_{level:g}": forecasts.quantiles[..., i].ravel() for i, level in enumerate(self.levels)},
        }
        return future.table.select(SERIES, TIME).with_columns(
            pl.Series(name, values, nan_to_null=True) for name, values in columns.items()
        )

    def save(self, folder: Path | str) -> None:
        """Write what the model learned, without pickle; `hwds.load_fitted(folder)` reads it."""
        save_fitted(self.fitted, Path(folder))
