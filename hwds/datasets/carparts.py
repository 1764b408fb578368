"""Monthly demand for spare parts of cars (Hyndman, Koehler, Ord and Snyder 2008, Forecasting with
Exponential Smoothing).
"""

from __future__ import annotations

import polars as pl

from hwds.datasets.base import PublicFile, PublicSeries
from hwds.frames.roles import SERIES, TARGET


class Carparts(PublicSeries):
    """Intermittent monthly demand for 2,509 spare parts of cars, 51 months each, 75 % zeros; the
    last 12 months are forecast.

    The published set has 2,674 parts; the 165 with a missing month are left out, as in the
    published comparisons.
    """

    public = PublicFile(
        file="carparts/carparts.parquet",
        origin="the R package expsmooth on CRAN",
        licence="GPL-3",
        columns=("series_id", "date", "y"),
        rows=136_374,
        sha256="4d1e37dc3a0251f05a37f58444a07ac0d846d52914905481b4424ab55be040d7",
    )
    unit = "parts"

    def rows(self) -> pl.DataFrame:
        """Return the rows of the complete series."""
        return super().rows().filter((pl.col(TARGET).null_count() == 0).over(SERIES))
