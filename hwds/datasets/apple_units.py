"""Units of Apple's product lines."""

from __future__ import annotations

import polars as pl

from hwds.datasets.base import PublicFile, PublicSeries
from hwds.frames.roles import SERIES, TARGET, TIME

_PRODUCTS = ("iPhone", "iPad", "iPod", "Mac")


class AppleUnits(PublicSeries):
    """Quarterly sales of iPhone, iPad, iPod and Mac in millions of units, 1998 to 2018: launches,
    growth and an end of life.

    Quarters are those of the calendar (the iPhone was launched in the second of 2007). A series
    begins at its launch and ends with its last published quarter.
    """

    public = PublicFile(
        file="device/apple_units.parquet",
        origin="github.com/kjhealy/apple (from Apple's quarterly reports)",
        licence="no licence stated",
        columns=("Time", *_PRODUCTS),
        rows=78,
        sha256="151b21cd242a2c3a7a03d648c8adfdea08820687c2ae01cd3c4683d093d91dd8",
    )
    unit = "million units"
    every = "3mo"
    horizon = 4

    def rows(self) -> pl.DataFrame:
        """Return the rows of each product line, which has a column in the file."""
        wide = self.public.read().select(
            _quarter().alias(TIME), *(pl.col(name).cast(pl.Float64) for name in _PRODUCTS)
        )
        return wide.unpivot(
            _PRODUCTS, index=TIME, variable_name=SERIES, value_name=TARGET
        ).drop_nulls(TARGET)


def _quarter() -> pl.Expr:
    """Return `Q4/98` as the first day of that quarter.

    Years run from 1998, so that 70 and above are of the last century.
    """
    parts = pl.col("Time").str.extract_groups(r"^Q([1-4])/(\d{2})$").struct
    year = parts.field("2").cast(pl.Int32)
    month = parts.field("1").cast(pl.Int32) * 3 - 2
    return pl.date(pl.when(year >= 70).then(1900 + year).otherwise(2000 + year), month, 1)
