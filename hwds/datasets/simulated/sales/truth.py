"""PriceSalesTruth: the true elasticities of simulated sales, as a model of demand."""

from __future__ import annotations

import numpy as np

from hwds.datasets.base import Truth
from hwds.datasets.simulated.sales.settings import SalesSettings
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.columns import CROSS, LAG, Terms
from hwds.elasticity.design.identification import identify
from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import CrossPairs, Estimates, FittedElasticities
from hwds.elasticity.models.base import levels
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES


class PriceSalesTruth(Truth):
    """The true elasticities of the cells of `price_sales`, with no error: what a model would say who knew demand.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: SalesSettings

    def learn(self, history: Panel, context: ElasticityContext) -> FittedElasticities:
        """Return the truth of the cells of a history; levels are those at which expected units add up to those sold."""
        known = self.dataset.parameters()
        terms = Terms()
        design = Design.of(history, terms, context.controls)
        true = design.names.select(SERIES).join(known, SERIES, "left", maintain_order="left")
        slopes = true["elasticity"].to_numpy()
        shared = {LAG: true["pull_forward"][0], CROSS: true["cannibalisation"][0], "promotion": true["promotion"].mean()}
        theta = np.array([float(shared.get(name, 0.0)) for name in design.columns])
        none, cells = np.zeros(len(design)), len(design)
        estimates = Estimates(
            slopes,
            none,
            np.full(cells, 1.96),
            levels(design, slopes, theta),
            theta,
            np.zeros(len(theta)),
            np.full(cells, np.nan),
            np.ones(cells),
            method="truth",
            pairs=self._pairs(design) if self.dataset.nearness else None,
        )
        return FittedElasticities.of(design, terms, estimates, identify(design, by_period=True), context)

    def _pairs(self, design: Design) -> CrossPairs:
        """Return the true cross elasticities of pairs."""
        names = self.dataset.cells().table[SERIES].to_list()
        place = [names.index(name) for name in design.names[SERIES]]
        cross = self.dataset.cross()[np.ix_(place, place)]
        rows, columns = np.nonzero(cross)
        none = np.zeros(len(rows))
        return CrossPairs(rows, columns, cross[rows, columns], none, none)
