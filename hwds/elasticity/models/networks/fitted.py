"""FittedNetwork: the elasticities of an ensemble, with the networks that predict demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import FittedElasticities
from hwds.elasticity.models.networks.inputs import Scaling, examples
from hwds.elasticity.models.networks.training import Ensemble
from hwds.frames.panel import Panel


@dataclass(frozen=True, eq=False)
class FittedNetwork(FittedElasticities):
    """Elasticities, with the networks that predict demand.

    Attributes:
        networks: Of which the mean of the logs is the prediction.
        scaling: Of their inputs.
        outlook: What is expected of the next period's prices; see `heads.outlook`.
    """

    networks: Ensemble
    scaling: Scaling
    outlook: pl.DataFrame

    def further_columns(self) -> pl.DataFrame:
        """Return `price_gap` and `arbitrage_risk` of the next period."""
        return self.outlook

    def log_demand(self, panel: Panel) -> np.ndarray:
        """Return the log of expected units of each row, NaN where the model has no answer, shape (rows,)."""
        design = Design.of(panel, self.terms, self.controls, like=self.design)
        base = self.estimates.level[design.cell] + self.estimates.other_effects(np.nan_to_num(design.x), design.cell)
        inputs = examples(design, np.nan_to_num(base), self.scaling).inputs
        said = self.networks.answers(inputs).log_mean.mean(axis=0)
        return np.where(np.isfinite(design.log_price) & np.isfinite(base), said, np.nan)
