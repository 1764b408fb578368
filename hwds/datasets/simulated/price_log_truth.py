"""PriceLogTruth: the true value of any policy on a simulated log of prices."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwds.datasets.base import Truth
from hwds.datasets.simulated.price_log import PriceLog
from hwds.metrics.ope import Parts
from hwds.metrics.ope_evidence import Evidence


class PriceLogTruth(Truth):
    """The true mean revenue of the target policy for the customers of the log: what an estimator would say who knew demand.

    Attributes:
        dataset: The simulator's settings.
    """

    task: ClassVar[str] = "ope"
    needs_propensity: ClassVar[bool] = False
    weighs: ClassVar[bool] = False
    asks_price: ClassVar[bool] = False
    learner: ClassVar[None] = None
    name: str = "truth"
    dataset: PriceLog

    def estimate(self, log: Evidence) -> Parts:
        """A mean of true expectations; its standard error is that of the customers who came."""
        prices = np.array([float(arm) for arm in log.arms]) if log.target_price is None else log.target_price
        n = len(log.reward)
        revenue = self.dataset.revenue(log.table, prices)
        return Parts(np.sum(log.target * revenue, axis=1), np.zeros(n), np.ones(n))

    def weights(self, log: Evidence) -> None:
        """It weighs nothing."""
        return
