"""Australian retail turnover by state and industry."""

from __future__ import annotations

from hwds.datasets.base import PublicFile, PublicSeries
from hwds.frames.roles import Roles


class AusRetail(PublicSeries):
    """Monthly retail turnover in Australia, 152 series by state and industry, 1982 to 2018.

    The hierarchy is state, then industry. Four series end earlier.
    """

    public = PublicFile(
        file="aus_retail/aus_retail.parquet",
        origin="the R package tsibbledata on CRAN (Australian Bureau of Statistics, 8501.0)",
        licence="CC BY 4.0",
        columns=("series_id", "state", "industry", "date", "turnover_million_aud"),
        rows=64_532,
        sha256="7c69207fc2a28e56c229dc7b1981c73e1258aeabf882ab8cf963fef917e932fb",
    )
    unit = "million AUD"
    panel_roles = Roles(static=("state", "industry"), level=("state", "industry"))
