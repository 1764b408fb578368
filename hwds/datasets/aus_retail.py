"""Australian retail turnover by state and industry."""

from __future__ import annotations

from hwds.datasets.base import Dataset
from hwds.datasets.public import PublicFile
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, PanelRoles

_FILE = PublicFile(
    file="aus_retail/aus_retail.parquet",
    origin="the R package tsibbledata on CRAN (Australian Bureau of Statistics, 8501.0)",
    licence="CC BY 4.0",
    columns=("series_id", "state", "industry", "date", "turnover_million_aud"),
    rows=64_532,
    sha256="7c69207fc2a28e56c229dc7b1981c73e1258aeabf882ab8cf963fef917e932fb",
)


class AusRetail(Dataset):
    """Monthly retail turnover in Australia, 152 series by state and industry, 1982 to 2018.

    The hierarchy is state, then industry. Four series end earlier.

    Example:
        python -m hwds dataset=aus_retail
    """

    gives = Panel

    def load(self) -> Panel:
        """The panel.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        table = _FILE.read().rename({"series_id": SERIES, "date": TIME, "turnover_million_aud": TARGET})
        roles = PanelRoles(static=("state", "industry"), level=("state", "industry"))
        return Panel.build(table, Frequency("1mo"), roles=roles, horizon=12, unit="million AUD")

    def source(self) -> str:
        """Where it is to be had."""
        return _FILE.source()
