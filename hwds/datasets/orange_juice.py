"""OrangeJuice: weekly sales of eleven brands of orange juice in 83 supermarkets, with prices,
features and margins.
"""

from __future__ import annotations

from typing import Annotated

import polars as pl
from annotated_types import Ge, Le
from polars import col

from hwds.core.recipe import Small
from hwds.datasets.base import PanelDataset, PublicFile
from hwds.datasets.reading.columns import without_gaps
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Roles

OUNCES = 64
"""Prices are those of a carton of so many ounces."""

PUBLISHED = ("tropicana_premium_64", "minute_maid_64", "dominicks_64")
"""The brands of the published figures (Taddy, Business Data Science, chapter 2)."""

ROLES = Roles(
    known_future=("price", "promotion", "deal"),
    past_only=("cost",),
    static=("sku", "channel", "family"),
    price="price",
    cost="cost",
    promotion="promotion",
)

FILE = PublicFile(
    file="orange_juice/orange_juice.parquet",
    origin="the R package bayesm on CRAN (Dominick's Finer Foods, Kilts Center, University of "
    "Chicago)",
    licence="GPL (>= 2)",
    columns=(
        "store",
        "brand",
        "brand_name",
        "week",
        "units",
        "logmove",
        "price",
        "deal",
        "feat",
        "profit",
    ),
    rows=106_139,
    sha256="7c08b0a9bfa6b93e934c671c6542496df64f00496e9ad37e44d95e996d9966fc",
)


class OrangeJuice(PanelDataset):
    """Weekly sales of eleven brands of orange juice in 83 stores of Dominick's Finer Foods,
    Chicago, about two years.

    A series is a brand (`sku`) in a store (`channel`). `price` is the price of 64 ounces in
    dollars, `promotion` the share of the brand's volume that was featured, `deal` whether there was
    a coupon or a bonus, `cost` the price minus the gross margin. Weeks that the records lack are
    unknown. Prices are set for the whole chain: errors are to be clustered by week.

    Attributes:
        stores: Stores, in the order of their numbers.
        published: Keep the three brands of the published figures alone.
        horizon: Weeks to predict by default.
    """

    public = FILE

    stores: Annotated[int, Ge(1), Le(83), Small(4)] = 83
    published: bool = False
    horizon: Annotated[int, Ge(1), Le(100)] = 30

    def load(self) -> Panel:
        """Return the panel.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        rows = FILE.read()
        stores = rows["store"].unique().sort().head(self.stores)
        rows = rows.filter(col("store").is_in(stores.implode()))
        if self.published:
            rows = rows.filter(col("brand_name").is_in(PUBLISHED))
        price = col("price") * OUNCES
        table = rows.select(
            pl.format("{}.{}", "brand_name", col("store").cast(pl.String).str.zfill(3)).alias(
                SERIES
            ),
            col("week").cast(pl.Int64).alias(TIME),
            col("units").cast(pl.Float64).alias(TARGET),
            price.alias("price"),
            col("feat").alias("promotion"),
            col("deal").cast(pl.Float64),
            cost=(price * (1 - col("profit") / 100)).clip(0),
            sku="brand_name",
            channel=pl.format("store {}", "store"),
            family=pl.lit("orange juice"),
        )
        frequency = Frequency("1i")
        filled = without_gaps(table, ROLES, frequency, "null")
        return Panel.build(
            filled, frequency, roles=ROLES, season=52, horizon=self.horizon, unit="units"
        )
