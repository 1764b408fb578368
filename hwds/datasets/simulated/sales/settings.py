"""Settings of a world of sales by price, and the truth about it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from hwds.core.recipe import Positive, Seed, Small, Steps, UnitInterval
from hwds.datasets.base import PanelDataset
from hwds.datasets.simulated.demand.catalogue import CHANNELS
from hwds.datasets.simulated.sales.cells import SalesCells, sales_cells
from hwds.datasets.simulated.sales.weeks import SalesLaw, SalesWeeks, sales_weeks

MULTIPLES = tuple(float(value) for value in np.round(np.arange(0.7, 1.31, 0.05), 2))
"""The multiples of the list price at which the true profit is given."""


class SalesSettings(PanelDataset):
    """The settings of a world of sales by price.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        skus: Devices, five generations a family.
        channels: Channels, in the order of `catalogue.CHANNELS`.
        weeks: The number of weeks of the calendar.
        shortest: The fewest weeks for which a cell is sold.
        units: Mean units of a cell in a week at its list price.
        dispersion: The size of the negative binomial law: the variance is mean + mean^2 / size.
        cannibalisation: Cross elasticity to the mean log price of the family's other generations in the channel.
        nearness: How much more a generation takes from a nearer one: a pair's part of `cannibalisation` is as
            exp(-nearness x the generations between them); 0 for equal parts.
        pull_forward: Elasticity to the own price of the week before: a cut brings demand forward.
        season: Half the range of the log of demand in a year.
        seasonal_pricing: The log price that sellers add for a log-unit of season: what confounds price with season.
        promotion_share: The share of weeks that are promoted at the middle of the season; none at its lowest.
        promotion_lift: The mean log-lift of a promoted week at an unchanged price.
        shared_noise: The standard deviation of the log-demand that a device shares in all channels of a week.
        endogeneity: How much of demand shocks sellers see and price; 0 for not at all.
        pass_through: The share of a cost's change that goes into the price.
        stock_outs: The share of weeks with a stock-out.
        horizon: Weeks to predict by default.
    """

    seed: Seed = 0
    skus: Annotated[int, Ge(2), Le(10_000), Small(10)] = 40
    channels: Annotated[int, Ge(1), Le(len(CHANNELS))] = 4
    weeks: Annotated[int, Ge(10), Le(1_000), Small(60)] = 100
    shortest: Annotated[int, Ge(4), Le(1_000)] = 10
    units: Positive = 5.0
    dispersion: Annotated[float, Gt(0.01), Le(1e6)] = 3.0
    cannibalisation: Annotated[float, Ge(0), Le(5)] = 0.25
    nearness: Annotated[float, Ge(0), Le(5)] = 0.0
    pull_forward: Annotated[float, Ge(0), Le(5)] = 0.2
    season: Annotated[float, Ge(0), Le(2)] = 0.5
    seasonal_pricing: Annotated[float, Ge(-1), Le(1)] = 0.1
    promotion_share: UnitInterval = 0.15
    promotion_lift: Annotated[float, Ge(0), Le(3)] = 0.3
    shared_noise: Annotated[float, Ge(0), Le(2)] = 0.1
    endogeneity: UnitInterval = 0.0
    pass_through: UnitInterval = 0.5
    stock_outs: UnitInterval = 0.03
    horizon: Steps = 8

    def parameters(self) -> pl.DataFrame:
        """Return the true parameters of each cell.

        Columns: `series_id`, `sku`, `channel`, `family`, `list_price`, `cost` (at their mean), `elasticity`, `promotion` (the
        log-lift of a promoted week), `pull_forward` and `cannibalisation` (elasticities to the own price of the week before
        and to the mean price of substitutes), `units` (expected a week at the list price), `best_price` (of greatest profit,
        other prices as they are: cost e / (1 + e); null where e is -1 or above, where profit grows with the price for ever).
        """
        table = self.cells().table
        elasticity = pl.col("elasticity")
        best = pl.when(elasticity < -1).then(pl.col("cost") * elasticity / (1 + elasticity))
        names = ("series_id", "sku", "channel", "family", "list_price", "cost", "elasticity", "promotion")
        return table.select(
            *names,
            pl.lit(self.pull_forward).alias("pull_forward"),
            pl.lit(self.cannibalisation).alias("cannibalisation"),
            pl.col("base").exp().alias("units"),
            best.alias("best_price"),
        )

    def profit_curve(self, multiples: tuple[float, ...] = MULTIPLES) -> pl.DataFrame:
        """Return the true mean profit a week of each cell at multiples of its list price, other prices as they are.

        Returns:
            Columns `series_id`, `price`, `units`, `profit`.
        """
        grid = self.parameters().join(pl.DataFrame({"multiple": multiples}), how="cross")
        units = pl.col("units") * pl.col("multiple") ** pl.col("elasticity")
        price = pl.col("list_price") * pl.col("multiple")
        profit = (price - pl.col("cost")) * units
        return grid.select("series_id", price.alias("price"), units.alias("units"), profit.alias("profit"))

    def cross(self) -> np.ndarray:
        """Return the true cross elasticities, of a row's cell to the price of a column's, with all on sale, shape (K, K)."""
        parts = self.cells().parts(self.nearness)
        return np.asarray(self.cannibalisation * parts / np.maximum(parts.sum(axis=1, keepdims=True), 1e-300))

    def cells(self) -> SalesCells:
        """Return the cells with their true parameters."""
        return sales_cells(self.seed, self.skus, self.channels, self.weeks, self.shortest, self.units, self.promotion_lift)

    def drawn(self) -> SalesWeeks:
        """Return what happened in each week."""
        names = SalesLaw.__dataclass_fields__
        return sales_weeks(self.seed, self.cells(), self.weeks, SalesLaw(**{name: getattr(self, name) for name in names}))
