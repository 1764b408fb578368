"""Settings of the world of simulated demand, and the law that it follows."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import polars as pl
from annotated_types import Ge, Le, Lt

from hwds.core.recipe import Positive, PositiveInt, Seed, Small, Steps
from hwds.datasets.base import PanelDataset
from hwds.datasets.simulated.demand.catalogue import CHANNELS, FAMILIES
from hwds.datasets.simulated.demand.law import DemandLaw
from hwds.datasets.simulated.demand.plan import demand_plan, offers_on_sale
from hwds.datasets.simulated.demand.world import HardwareWorld


class DemandSettings(PanelDataset):
    """The settings of a world of devices, of which one or several datasets are made.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        families: Product families, in the order of `catalogue.FAMILIES`.
        channels: Channels, in the order of `catalogue.CHANNELS`.
        months: The months of history of the longest series.
        horizon: Months of the plan, and to forecast by default.
        cannibalisation: The share of demand that a successor takes from its launch on.
        cross: Elasticity to the mean price of the family's other generations on sale in the channel.
        pull_forward: Elasticity to the own price of the month before: a cut brings demand forward.
        noise: Standard deviation of the log of one month's demand.
        drift: Standard deviation of a month's change of a series' own level, in logs.
    """

    seed: Seed = 0
    families: Annotated[PositiveInt, Le(len(FAMILIES)), Small(2)] = 4
    channels: Annotated[PositiveInt, Le(len(CHANNELS)), Small(2)] = 4
    months: Annotated[int, Ge(24), Le(1_200), Small(72)] = 108
    horizon: Steps = 12
    cannibalisation: Annotated[float, Ge(0), Lt(1)] = 0.6
    cross: Annotated[float, Ge(0), Le(5)] = 0.0
    pull_forward: Annotated[float, Ge(0), Le(5)] = 0.0
    noise: Positive = 0.18
    drift: Positive = 0.12

    def world(self) -> HardwareWorld:
        """Return the entities that the demand is about."""
        return HardwareWorld(self.seed, self.months, self.horizon, self.families, self.channels)


@cache
def demand_law(dataset: DemandSettings) -> tuple[pl.DataFrame, DemandLaw]:
    """Return the offers of a dataset, each a series, and their law."""
    world = dataset.world()
    offers = offers_on_sale(world)
    names = ("cannibalisation", "cross", "pull_forward", "noise", "drift")
    return offers, DemandLaw.of(world, offers, **{name: getattr(dataset, name) for name in names})


@cache
def price_effects(dataset: DemandSettings) -> pl.DataFrame:
    """Return what other generations' prices and the month before's add to the log-demand of each month of the plan.

    Columns `series_id`, `time`, `effect`.
    """
    offers, law = demand_law(dataset)
    plan = demand_plan(dataset.world(), offers)
    effect = law.take(plan["offer"].to_numpy()).log_other_effects(plan, offers)
    return plan.select(offers["series_id"].gather(plan["offer"]), "time", pl.Series("effect", effect))
