"""Public data sets that are laid below $HWDS_DATA: where each is to be had, what it must look like, how it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import PositiveInt, Small
from hwds.datasets.base import PanelDataset
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.reading.files import read
from hwds.frames.roles import SERIES, TARGET, TIME, Roles


@dataclass(frozen=True, slots=True)
class PublicFile:
    """One Parquet file of a public data set.

    Attributes:
        file: Its place below $HWDS_DATA.
        origin: Who publishes it, for a user who has to fetch it.
        licence: The licence of the data.
        columns: What it holds.
        rows: How many.
        sha256: The digest of the file that this project's figures were made with; the same rows written anew have another.
    """

    file: str
    origin: str
    licence: str
    columns: tuple[str, ...]
    rows: int
    sha256: str

    def source(self) -> str:
        """Return where the file is to be had and where it must lie, in a line."""
        return (
            f"{self.origin} ({self.licence}); lay it at $HWDS_DATA/{self.file} with the columns {', '.join(self.columns)}"
            f" and {self.rows:,} rows (sha256 {self.sha256})."
        )

    def read(self) -> pl.DataFrame:
        """Return the rows, with the columns in order.

        Raises:
            DataError: It is not there, with all that `source` says, or it is not what was published.
        """
        name = Path(self.file).stem
        folder = os.environ.get("HWDS_DATA")
        if not folder:
            raise DataError(f"dataset: {name} is not at hand, for HWDS_DATA names no folder: {self.source()}")
        file = Path(folder).expanduser() / self.file
        if not file.is_file():
            raise DataError(f"dataset: {name} is not at hand, for there is no file '{file}': {self.source()}")
        try:
            table = read(str(file), self.columns).table
        except DataError as error:  # these data sets have no `path` to correct
            raise DataError(str(error).replace("dataset.path:", "dataset:", 1)) from error
        if len(table) != self.rows:
            raise DataError(f"dataset: '{file}' has {len(table):,} rows, the published data {self.rows:,}: {self.source()}")
        return table


SeriesAtMost = Annotated[PositiveInt, Small(30)]
"""The most series of a public data set that are read; under size=small enough of them for every kind to be there."""


def sampled(table: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return the rows of at most so many series, evenly spread over them in their order."""
    names = table[SERIES].unique(maintain_order=True)
    if len(names) <= most:
        return table
    places = np.linspace(0, len(names) - 1, most).round().astype(np.int64)
    return table.filter(pl.col(SERIES).is_in(names.gather(places).implode()))


class PublicSeries(PanelDataset):
    """The base of data sets of one file with the columns `series_id` and `date`, the target last, monthly by default.

    A subclass says what differs; `rows` is its own where the file looks otherwise.

    Attributes:
        series: Series at most; of more an even sample is taken.
    """

    public: ClassVar[PublicFile]
    unit: ClassVar[str]
    every: ClassVar[str] = "1mo"
    horizon: ClassVar[int] = 12
    panel_roles: ClassVar[Roles] = Roles()
    series: SeriesAtMost = 100_000

    def load(self) -> Panel:
        """Return the panel.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        frequency = Frequency(self.every)
        return Panel.build(
            sampled(self.rows(), self.series), frequency, roles=self.panel_roles, horizon=self.horizon, unit=self.unit
        )

    def rows(self) -> pl.DataFrame:
        """Return the rows of the file under the names of a panel."""
        return self.public.read().rename({"date": TIME, self.public.columns[-1]: TARGET})

    def source(self) -> str:
        """Return where it is to be had."""
        return self.public.source()
