"""A public data set that is laid below $HWDS_DATA: where it is to be had, what it must look like, how it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hwds.datasets.reading import read
from hwds.errors import DataError


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
        """Where the file is to be had and where it must lie, in a line."""
        return (
            f"{self.origin} ({self.licence}); lay it at $HWDS_DATA/{self.file} with the columns {', '.join(self.columns)}"
            f" and {self.rows:,} rows (sha256 {self.sha256})."
        )

    def read(self) -> pl.DataFrame:
        """The rows, with the columns in order.

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
