"""OnlineRetail: weekly sales by product and country of a British online shop, made of its
invoices.
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
from annotated_types import Ge, Le
from polars import col

from hwds.datasets.base import PanelDataset, PublicFile, SeriesAtMost, limit_series
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Roles

ROLES = Roles(known_future=("price",), static=("sku", "channel"), price="price")

FILE = PublicFile(
    file="online_retail/online_retail.parquet",
    origin="the UCI repository, Online Retail (Chen, Sain and Guo 2012)",
    licence="CC BY 4.0",
    columns=(
        "InvoiceNo",
        "StockCode",
        "Description",
        "Quantity",
        "InvoiceDate",
        "UnitPrice",
        "CustomerID",
        "Country",
    ),
    rows=541_909,
    sha256="71189f4c2fab4f7a2f75515853efd44e4c3bea46059c2445e111ab6d791b17fa",
)


class OnlineRetail(PanelDataset):
    """Weekly units and prices of a British online shop for gifts, by product (`sku`) and country
    (`channel`), 2010 and 2011.

    A series goes from the first to the last week in which a product was sold in a country. A week
    without an invoice has 0 units at the price before it. `price` is revenue over units of a week
    in pounds: large orders have lower prices, so a part of an elasticity comes from the size of
    orders. Cancelled invoices and charges without a price are left out.

    Attributes:
        least_weeks: The fewest weeks with a sale of a series that is kept.
        series: Series at most; of more an even sample is taken.
        horizon: Weeks to predict by default.
    """

    public = FILE

    least_weeks: Annotated[int, Ge(2), Le(53)] = 20
    series: SeriesAtMost = 100_000
    horizon: Annotated[int, Ge(1), Le(52)] = 8

    def load(self) -> Panel:
        """Return the panel.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        sold = FILE.read().filter((col("Quantity") > 0) & (col("UnitPrice") > 0))
        sold = sold.filter(~col("InvoiceNo").str.starts_with("C"))
        week = col("InvoiceDate").dt.truncate("1w").dt.date().alias(TIME)
        name = pl.format("{}.{}", "StockCode", "Country").alias(SERIES)
        weekly = sold.group_by(
            name, week, col("StockCode").alias("sku"), col("Country").alias("channel")
        ).agg(
            col("Quantity").sum().alias(TARGET),
            revenue=(col("Quantity") * col("UnitPrice")).sum(),
        )
        kept = weekly.filter(pl.len().over(SERIES) >= self.least_weeks)
        table = _fill_weeks(limit_series(kept.sort(SERIES, TIME), self.series))
        return Panel.build(table, Frequency("1w"), roles=ROLES, horizon=self.horizon, unit="units")


def _fill_weeks(weekly: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with one for each week between the first and the last sale of a series."""
    spans = weekly.group_by(SERIES, "sku", "channel", maintain_order=True).agg(
        pl.date_ranges(col(TIME).min(), col(TIME).max(), "1w").first().alias(TIME)
    )
    grid = spans.explode(TIME)
    both = grid.join(
        weekly.select(SERIES, TIME, TARGET, "revenue"),
        [SERIES, TIME],
        "left",
        maintain_order="left",
    )
    price = (col("revenue") / col(TARGET)).forward_fill().over(SERIES)
    return both.with_columns(price.alias("price"), col(TARGET).fill_null(0.0)).drop("revenue")
