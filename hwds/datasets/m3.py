"""The series of the M3 competition (Makridakis and Hibon 2000, International Journal of Forecasting
16).
"""

from __future__ import annotations

from typing import Literal

from hwds.datasets.base import PanelDataset, PublicFile, SeriesAtMost, limit_series
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Roles


def _m3(subset: str, time: str, rows: int, sha256: str) -> PublicFile:
    origin = "the R package Mcomp on CRAN (the M3 competition)"
    return PublicFile(
        f"m3/m3_{subset}.parquet",
        origin,
        "GPL-3",
        ("series_id", time, "y", "split", "category"),
        rows,
        sha256,
    )


_FILES = {
    "monthly": _m3(
        "monthly",
        "date",
        167_562,
        "5068b2aed5596bd881d6ff5f32774ff5f92089911d97fb2a4ba7148d4e9f12f8",
    ),
    "quarterly": _m3(
        "quarterly",
        "date",
        37_004,
        "9e87dcbf8baef0c995e712ab740539ddfac312975c6871ed2eed74ab0a5cd8b8",
    ),
    "yearly": _m3(
        "yearly", "date", 18_319, "76399b470e027460e9887c6c583060a3cfcda757b3e63d74a46ec4089739b41e"
    ),
    "other": _m3(
        "other", "step", 13_325, "a686196a3679fa1493886b5077772264ab92be99fdacc26d73f79ab465a2765c"
    ),
}
_SHAPES = {"monthly": ("1mo", 18), "quarterly": ("3mo", 8), "yearly": ("1y", 6), "other": ("1i", 8)}


class M3(PanelDataset):
    """The M3 competition: 3,003 series of business and economics in four subsets, with the
    competition's own split.

    Monthly: 1,428 series, season 12, 18 steps; quarterly: 756, season 4, 8 steps; yearly: 645,
    season 1, 6 steps; other: 174, numbered without dates, season 1, 8 steps. `category` is static.

    Attributes:
        subset: Which of the four parts of M3: monthly, quarterly, yearly or other.
        series: Series at most; of more an even sample is taken.
    """

    subset: Literal["monthly", "quarterly", "yearly", "other"] = "monthly"
    series: SeriesAtMost = 100_000

    def load(self) -> Panel:
        """Return one subset.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        file = _FILES[self.subset]
        every, horizon = _SHAPES[self.subset]
        table = file.read().rename({file.columns[1]: TIME, "y": TARGET, "series_id": SERIES})
        roles = Roles(static=("category",), split="split")
        return Panel.build(
            limit_series(table, self.series), Frequency(every), roles=roles, horizon=horizon
        )

    def source(self) -> str:
        """Return where it is to be had."""
        return _FILES[self.subset].source()
