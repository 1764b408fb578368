"""HardwareElasticities: the true elasticities of simulated devices, as a model of demand."""

from __future__ import annotations

from hwds.datasets.base import Truth
from hwds.datasets.simulated.demand.settings import DemandSettings, demand_law
from hwds.datasets.simulated.sales.truth import known_elasticities
from hwds.elasticity.context import ElasticityContext
from hwds.elasticity.design.columns import CROSS, LAG, Terms
from hwds.elasticity.design.rows import Design
from hwds.elasticity.fitted import FittedElasticities
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES


class HardwareElasticities(Truth):
    """The true elasticities of `hardware_demand`, with no error: own, of other generations' prices, of the month before.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: DemandSettings

    def learn(self, history: Panel, context: ElasticityContext) -> FittedElasticities:
        """Return the truth of the cells of a history; levels are those at which expected units add up to those sold."""
        offers, law = demand_law(self.dataset)
        design = Design.of(history, Terms(), context.controls)
        known = offers.select(SERIES, "promotion").with_columns(elasticity=law.elasticity)
        true = design.names.select(SERIES).join(known, SERIES, "left", maintain_order="left")
        shared = {LAG: self.dataset.pull_forward, CROSS: self.dataset.cross, "promotion": float(true["promotion"].mean())}  # type: ignore[arg-type]
        return known_elasticities(design, true["elasticity"].to_numpy(), shared, context)
