"""PriceSales: weekly sales of simulated devices by channel and price, with known elasticities."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from hwds.datasets.base import Truth
from hwds.datasets.simulated.sales.cells import SalesCells
from hwds.datasets.simulated.sales.settings import SalesSettings
from hwds.datasets.simulated.sales.truth import PriceSalesTruth
from hwds.datasets.simulated.sales.weeks import SalesWeeks
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


class PriceSales(SalesSettings):
    """Weekly units of simulated devices by channel, with prices, costs, promotions and stock-outs, and known elasticities.

    A series is a cell: a device in a channel, sold for the last 10 to 100 weeks. Units are few (negative binomial, 6 a week on
    average). Prices move by spells of four weeks, with the season, with a device's cost, by promotions, and, as `endogeneity`
    says, with demand shocks that nobody else sees. Other generations of the family in the channel are substitutes.
    """

    def load(self) -> Panel:
        """Return the panel."""
        cells, weeks = self.cells(), self.drawn()
        table = _long(cells, weeks, self.weeks)
        return Panel.build(table, Frequency("1w"), roles=ROLES, horizon=self.horizon, unit="units")

    def truth(self, task: str) -> Truth | None:
        """Return the true elasticities, for the protocols that ask for them."""
        return PriceSalesTruth(dataset=self) if task == "elasticity" else None


def _long(cells: SalesCells, weeks: SalesWeeks, count: int) -> pl.DataFrame:
    """Return a row for each cell and week in which it is sold."""
    cell, week = np.nonzero(np.arange(count) >= cells.column("first")[:, None])
    about = cells.table[cell].select("series_id", "sku", "channel", "family", "generation", "list_price")
    monday = pl.Series(np.datetime64(START, "D") + 7 * week).cast(pl.Date)
    price = np.round(about["list_price"].to_numpy() * np.exp(weeks.relative[cell, week]), 1)
    drawn = {name: getattr(weeks, name)[cell, week] for name in ("cost", "promotion", "stock_out", "units")}
    return about.with_columns(
        pl.Series("time", monday), pl.Series("price", price), **{k: pl.Series(v) for k, v in drawn.items()}
    ).rename({"units": "target"})
