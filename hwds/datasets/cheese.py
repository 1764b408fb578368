"""Cheese: weekly volume, price and display of sliced cheese at 88 retail accounts."""

from __future__ import annotations

import polars as pl
from polars import col

from hwds.datasets.base import PanelDataset, PublicFile, SeriesAtMost, limit_series
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Roles

ROLES = Roles(
    known_future=("price", "promotion"),
    static=("channel", "market"),
    price="price",
    promotion="promotion",
)

FILE = PublicFile(
    file="cheese/cheese.parquet",
    origin="the R package bayesm on CRAN (Boatwright, McCulloch and Rossi 1999)",
    licence="GPL (>= 2)",
    columns=("retailer", "volume", "display_share", "price"),
    rows=5_555,
    sha256="c6c533fbcc3b7944e09d99977c0588552a18284bbc32a7e6753c3172e4b86f98",
)


class Cheese(PanelDataset):
    """Weekly volume of sliced cheese at 88 accounts, a retailer in a city, with its price and the
    share on display.

    Weeks have no dates and are numbered within each account, so that periods do not compare
    accounts: models take `effects=cell`. `promotion` is the share of volume sold on display.

    Attributes:
        series: Accounts at most; of more an even sample is taken.
    """

    public = FILE

    series: SeriesAtMost = 100_000

    def load(self) -> Panel:
        """Return the panel.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        account = col("retailer").str.to_titlecase()
        table = FILE.read().select(
            account.alias(SERIES),
            pl.int_range(1, pl.len() + 1).over("retailer").alias(TIME),
            col("volume").cast(pl.Float64).alias(TARGET),
            "price",
            promotion="display_share",
            channel=account,
            market=account.str.split(" - ").list.first(),
        )
        frequency = Frequency("1i")
        return Panel.build(
            limit_series(table, self.series),
            frequency,
            roles=ROLES,
            season=1,
            horizon=8,
            unit="units",
        )
