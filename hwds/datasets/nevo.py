"""Nevo: market shares and prices of 24 breakfast cereals in 47 cities and two quarters, with
instruments.
"""

from __future__ import annotations

import polars as pl
from polars import col

from hwds.datasets.base import PanelDataset, PublicFile
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Roles

INSTRUMENTS = tuple(f"demand_instruments{i}" for i in range(20))

ROLES = Roles(
    known_future=("price", *INSTRUMENTS),
    static=("sku", "channel", "firm", "sugar", "mushy"),
    price="price",
    instrument=INSTRUMENTS,
)

FILE = PublicFile(
    file="nevo/nevo_products.parquet",
    origin="the Python package pyblp (Nevo 2000, A practitioner's guide)",
    licence="MIT",
    columns=(
        "market_ids",
        "city_ids",
        "quarter",
        "product_ids",
        "firm_ids",
        "shares",
        "prices",
        "sugar",
        "mushy",
        *INSTRUMENTS,
    ),
    rows=2_256,
    sha256="4b2cddf53d75966e7d6b2b07348d501ec6879508345b421a9614f310225e12a3",
)


class Nevo(PanelDataset):
    """Shares and prices of 24 breakfast cereals in 47 cities and two quarters (Nevo 2000): demand
    as a choice of one product.

    The target is a product's share of its market, a city in a quarter; what is lacking to 1 bought
    none. Twenty instruments shift prices and not demand. The numbers are simulated from Nevo's
    estimates, as published for teaching.
    """

    public = FILE

    def load(self) -> Panel:
        """Return the panel.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        city = col("city_ids").cast(pl.String).str.zfill(2)
        table = FILE.read().select(
            pl.format("{}.city {}", "product_ids", city).alias(SERIES),
            col("quarter").cast(pl.Int64).alias(TIME),
            col("shares").alias(TARGET),
            col("prices").alias("price"),
            *INSTRUMENTS,
            col("product_ids").alias("sku"),
            pl.format("city {}", city).alias("channel"),
            pl.format("firm {}", "firm_ids").alias("firm"),
            "sugar",
            "mushy",
        )
        return Panel.build(
            table, Frequency("1i"), roles=ROLES, season=1, horizon=1, unit="share of the market"
        )
