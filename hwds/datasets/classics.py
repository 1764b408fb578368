"""Classic real series that ship with hwds, so that real data needs no folder and no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl
from polars import DataFrame, Series

from hwds.datasets.base import PanelDataset
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME

VALUES = Path(__file__).with_name("classics.txt")
"""The values of each series after its name, as they are in pmdarima 2.1 (MIT)."""

_SERIES = {
    "monthly": {
        "airpassengers": date(1949, 1, 1),
        "sunspots": date(1749, 1, 1),
        "wineind": date(1980, 1, 1),
    },
    # pmdarima says that austres begins in March 1971; in R, where it comes from, it begins with the
    # second quarter
    "quarterly": {
        "ausbeer": date(1956, 1, 1),
        "austres": date(1971, 4, 1),
        "woolyrnq": date(1965, 1, 1),
    },
    "yearly": {"lynx": date(1821, 1, 1)},
}
_SHAPES = {"monthly": ("1mo", 12), "quarterly": ("3mo", 8), "yearly": ("1y", 6)}


class Classics(PanelDataset):
    """Classic real series that come with hwds: airline passengers, sunspots, wine; beer, residents,
    wool; or lynx.

    Monthly: airpassengers (1949-1960, thousands), sunspots (1749-1983, mean number), wineind
    (1980-1994, bottles sold in Australia). Quarterly: ausbeer (1956-2008, megalitres), austres
    (1971-1993, thousands of residents), woolyrnq (1965-1994, tonnes). Yearly: lynx (1821-1934,
    trapped).

    Attributes:
        frequency: Which of the three groups.

    Example:
        python -m hwds dataset=classics dataset.frequency=quarterly
    """

    frequency: Literal["monthly", "quarterly", "yearly"] = "monthly"

    def load(self) -> Panel:
        """Return the panel of one group."""
        every, horizon = _SHAPES[self.frequency]
        group, values = _SERIES[self.frequency].items(), dict(_values())
        tables = [_series_table(name, start, every, values[name]) for name, start in group]
        return Panel.build(pl.concat(tables), Frequency(every), horizon=horizon)

    def source(self) -> str:
        """Return that nothing has to be fetched."""
        names = ", ".join(name for group in _SERIES.values() for name in group)
        return f"inside hwds, as in the pmdarima package (MIT), nothing to fetch: {names}."


def _values() -> Iterator[tuple[str, list[float]]]:
    """Yield the values of each series by its name."""
    for block in VALUES.read_text(encoding="utf-8").split("\n\n"):
        name, *numbers = block.split()
        yield name, [float(number) for number in numbers]


def _series_table(name: str, start: date, every: str, values: Sequence[float]) -> DataFrame:
    """Return one series from its first date."""
    target = Series(TARGET, values, dtype=pl.Float64)
    end = Frequency(every).after(Series([start]), len(target) - 1)[0]
    times = pl.date_range(start, end, every, eager=True)
    return DataFrame(
        {SERIES: pl.repeat(name, len(target), eager=True), TIME: times, TARGET: target}
    )
