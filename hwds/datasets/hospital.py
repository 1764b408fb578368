"""Monthly patient counts of a hospital (Hyndman, Koehler, Ord and Snyder 2008, Forecasting with
Exponential Smoothing).
"""

from __future__ import annotations

from hwds.datasets.base import PublicFile, PublicSeries


class Hospital(PublicSeries):
    """Monthly counts of patients for 767 products of a hospital, seven years each; the last 12
    months are forecast.
    """

    public = PublicFile(
        file="hospital/hospital.parquet",
        origin="the R package expsmooth on CRAN",
        licence="GPL-3",
        columns=("series_id", "date", "y"),
        rows=64_428,
        sha256="17d18915746c1c9cf11ab26d1fcc1f50549e4c575bb33ba3d044051c4207be3d",
    )
    unit = "patients"
