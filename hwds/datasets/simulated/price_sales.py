"""PriceSales: weekly sales of simulated devices by channel and price, with known elasticities."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from hwds.core.recipe import Positive, Seed, Small, Steps, UnitInterval
from hwds.datasets.base import PanelDataset
from hwds.datasets.simulated.demand.catalogue import CHANNELS
from hwds.datasets.simulated.sales.cells import SalesCells, sales_cells
from hwds.datasets.simulated.sales.weeks import SalesLaw, SalesWeeks, sales_weeks
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

START = date(2023, 1, 2)
"""The Monday of the first week."""

ROLES = Roles(
    known_future=("price", "list_price", "cost", "promotion"),
    past_only=("stock_out",),
    static=("sku", "channel", "family", "generation"),
    level=("family", "channel"),
    price="price",
    list_price="list_price",
    cost="cost",
    promotion="promotion",
    stock_out="stock_out",
)


class PriceSales(PanelDataset):
    """Weekly units of simulated devices by channel, with prices, costs, promotions and stock-outs, and known elasticities.

    A series is a cell: a device in a channel, sold for the last 10 to 100 weeks. Units are few (negative binomial, 6 a week on
    average). Prices move by spells of four weeks, with the season, with a device's cost, by promotions, and, as `endogeneity`
    says, with demand shocks that nobody else sees. Other generations of the family in the channel are substitutes.

    Attributes:
        seed: The world's seed; experiments with other seeds share the data.
        skus: Devices, five generations a family.
        channels: Channels, in the order of `catalogue.CHANNELS`.
        weeks: Weeks of the calendar.
        shortest: The fewest weeks for which a cell is sold.
        units: Mean units of a cell in a week at its list price.
        dispersion: The size of the negative binomial law: the variance is mean + mean^2 / size.
        cannibalisation: Cross elasticity to the mean log price of the family's other generations in the channel.
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

    Example:
        python -m hwds model=elasticity/pooled dataset=price_sales protocol=elasticity_recovery
    """

    seed: Seed = 0
    skus: Annotated[int, Ge(2), Le(10_000), Small(10)] = 40
    channels: Annotated[int, Ge(1), Le(len(CHANNELS))] = 4
    weeks: Annotated[int, Ge(10), Le(1_000), Small(60)] = 100
    shortest: Annotated[int, Ge(4), Le(1_000)] = 10
    units: Positive = 5.0
    dispersion: Annotated[float, Gt(0.01), Le(1e6)] = 3.0
    cannibalisation: Annotated[float, Ge(0), Le(5)] = 0.25
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

    def load(self) -> Panel:
        """Return the panel."""
        cells, weeks = self.cells(), self.drawn()
        table = _long(cells, weeks, self.weeks)
        return Panel.build(table, Frequency("1w"), roles=ROLES, horizon=self.horizon, unit="units")

    def cells(self) -> SalesCells:
        """Return the cells with their true parameters."""
        return sales_cells(self.seed, self.skus, self.channels, self.weeks, self.shortest, self.units, self.promotion_lift)

    def drawn(self) -> SalesWeeks:
        """Return what happened in each week."""
        names = SalesLaw.__dataclass_fields__
        return sales_weeks(self.seed, self.cells(), self.weeks, SalesLaw(**{name: getattr(self, name) for name in names}))


def _long(cells: SalesCells, weeks: SalesWeeks, count: int) -> pl.DataFrame:
    """Return a row for each cell and week in which it is sold."""
    cell, week = np.nonzero(np.arange(count) >= cells.column("first")[:, None])
    about = cells.table[cell].select("series_id", "sku", "channel", "family", "generation", "list_price")
    monday = pl.Series(np.datetime64(START, "D") + 7 * week).cast(pl.Date)
    price = np.round(about["list_price"].to_numpy() * np.exp(weeks.relative[cell, week]), 1)
    drawn = {name: getattr(weeks, name)[cell, week] for name in ("cost", "promotion", "stock_out", "units")}
    return about.with_columns(pl.Series("time", monday), pl.Series("price", price), **{k: pl.Series(v) for k, v in drawn.items()}).rename(
        {"units": "target"}
    )
