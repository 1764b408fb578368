"""PriceSalesTruth: the true elasticities of simulated sales, as a model of demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
        design = Design.of(history, Terms(), context.controls)
        true = design.names.select(SERIES).join(known, SERIES, "left", maintain_order="left")
        shared = {LAG: true["pull_forward"][0], CROSS: true["cannibalisation"][0], "promotion": true["promotion"].mean()}
        pairs = self._pairs(design) if self.dataset.nearness else None
        return known_elasticities(design, true["elasticity"].to_numpy(), shared, context, pairs)

    def _pairs(self, design: Design) -> CrossPairs:
        """Return the true cross elasticities of pairs."""
        names = self.dataset.cells().table[SERIES].to_list()
        place = [names.index(name) for name in design.names[SERIES]]
        cross = self.dataset.cross()[np.ix_(place, place)]
        rows, columns = np.nonzero(cross)
        none = np.zeros(len(rows))
        return CrossPairs(rows, columns, cross[rows, columns], none, none)


def known_elasticities(
    design: Design,
    slopes: np.ndarray,
    shared: Mapping[str, Any],
    context: ElasticityContext,
    pairs: CrossPairs | None = None,
) -> FittedElasticities:
    """Return a model of demand that knows the elasticities.

    Args:
        design: The rows.
        slopes: Own elasticities, shape (K,).
        shared: The slopes of other columns by name, 0 for those that are not named.
        context: Of the run.
        pairs: Cross elasticities, where they differ by pair.
    """
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
        pairs=pairs,
    )
    return FittedElasticities.of(design, Terms(), estimates, identify(design, by_period=True), context)
