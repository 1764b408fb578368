"""Placebo: prices that are still to come must have no effect on today's demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.elasticity.design import log_prices, price_column
from hwds.elasticity.family import PLACEBO
from hwds.elasticity.fitted import ElasticityContext
from hwds.elasticity.models.base import ElasticityModel
from hwds.evaluation.panel_folds import AtTime
from hwds.evaluation.protocol import Cell, Evaluation, Fold, RunContext, Score
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME
from hwds.pricing.demand_evidence import CELL_STATUSES
from hwds.results.tables import Measure

FUTURE_PRICE = "future_price"
"""The name of the column of prices to come."""


class Placebo(Evaluation[ElasticityModel, Panel]):
    """Give a model the price of a later period with today's price: the later one must have no
    effect.

    An effect says that something moves both: prices that answer demand, a season that the model
    leaves out, a promotion that is announced. Its p-value is only as good as the model's errors:
    independent ones reject a true null far too often.

    Attributes:
        ahead: Periods from today to the price.
        headline: The metric that orders the leaderboard.
    """

    accepts: ClassVar[type] = ElasticityModel
    frame_type: ClassVar[type] = PLACEBO.frame
    task: ClassVar[str] = PLACEBO.name
    keys: ClassVar[tuple[str, ...]] = ("effect",)
    unit: ClassVar[str] = "effect"
    untunable: ClassVar[str] = "tests a model, and scores no prediction"

    headline: str = PLACEBO.headline
    ahead: Annotated[int, Ge(1), Le(1000)] = 4

    def split(self, frame: Panel) -> Sequence[Fold]:
        """Return one fold, which may know all of the panel.

        Raises:
            DataError: There is no price, or no series has so many rows.
        """
        price_column(frame)
        if int(frame.lengths.max()) <= self.ahead + 2:
            raise DataError(
                f"protocol.ahead: {self.ahead} periods ahead leave no rows; the longest series "
                f"has {frame.lengths.max()}."
            )
        last = frame.table[TIME].max()
        return [Fold(0, "all", 1, (AtTime(last),))]  # type: ignore[arg-type]

    def evaluate_cell(
        self, model: ElasticityModel, frame: Panel, cell: Cell, context: RunContext
    ) -> pl.DataFrame:
        """Fit with the price to come, and return every effect that all cells share."""
        panel = with_future_price(frame, self.ahead)
        fitted = model.learn(
            panel, ElasticityContext(**context.shared_fields(), controls=(FUTURE_PRICE,))
        )
        if FUTURE_PRICE not in fitted.effects["name"].to_list():
            raise DataError(
                f"protocol: the price {self.ahead} periods ahead does not vary beside today's."
            )
        rows = int(fitted.design.used.sum())
        status = fitted.table["status"]
        counts = [pl.lit(int((status == name).sum())).alias(name) for name in CELL_STATUSES]
        return fitted.effects.rename({"name": "effect"}).with_columns(
            pl.lit(rows).alias("rows"), *counts
        )

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return the effect of the price to come, with its test."""
        (row,) = rows.filter(effect=FUTURE_PRICE).to_dicts()
        value, stderr, p_value = row["value"], row["stderr"], row["p_value"]
        if value is None or stderr is None:
            return []
        low, high = row["ci_low"], row["ci_high"]
        return [
            Score(
                "placebo_z",
                "mean",
                abs(value / stderr) if stderr else None,
                p_value=p_value,
                n=row["rows"],
            ),
            Score(
                "placebo_effect",
                "mean",
                value,
                stderr,
                low,
                high,
                "the model's errors",
                p_value,
                n=row["rows"],
            ),
        ]

    def measures(self, frame: Panel) -> Sequence[Measure]:
        """Return the metrics of a placebo."""
        return placebo_measures()

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        known = [measure.name for measure in placebo_measures()]
        if self.headline not in known:
            raise ConfigError(
                f"protocol.headline: no metric '{self.headline}'{nearest(self.headline, known)}"
            )


def placebo_measures() -> tuple[Measure, ...]:
    """Return the metrics of a placebo."""
    effect = "elasticity of today's demand to a price that is still to come, which must be 0"
    return (
        Measure(
            "placebo_z", meaning=f"absolute z statistic of the {effect}", better="low", units="rows"
        ),
        Measure("placebo_effect", meaning=effect, better="none", units="rows", beside="always"),
    )


def with_future_price(panel: Panel, ahead: int) -> Panel:
    """Return the panel with the log price, less its cell's mean, of a later period: null where it
    is not known.
    """
    logs, _ = log_prices(panel, None, np.ones(len(panel.table), bool))
    future = pl.Series(FUTURE_PRICE, logs).fill_nan(None).shift(-ahead)
    same = (panel.table[SERIES] == panel.table[SERIES].shift(-ahead)).fill_null(False)
    return replace(
        panel,
        table=panel.table.with_columns(
            pl.when(same).then(future).otherwise(None).alias(FUTURE_PRICE)
        ),
    )
