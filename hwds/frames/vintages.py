"""Vintages: forecasts as a covariate, each of them known from the instant on at which it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from hwds.frames.roles import SERIES, TIME

MADE_AT, COLUMN, VALUE = "made_at", "column", "value"

_ROW, _BY = "__row__", "__by__"


@dataclass(frozen=True, eq=False)
class Vintages:
    """Forecasts of the same instants, made at several earlier ones.

    Attributes:
        table: `series_id`, `time`, `made_at` (the last instant that the forecast knows), `column`, `value`.
        sources: Each column and where its forecasts come from, in words.
    """

    table: pl.DataFrame
    sources: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the panel's columns that are made of them."""
        return tuple(self.sources)

    def until(self, last: pl.DataFrame) -> Vintages:
        """Return the forecasts of some series that were made up to an instant of each.

        Args:
            last: `series_id` and the instant, `time`.
        """
        ends = last.select(SERIES, pl.col(TIME).alias(_BY))
        made = self.table.join(ends, on=SERIES, maintain_order="left").filter(pl.col(MADE_AT) <= pl.col(_BY))
        return replace(self, table=made.drop(_BY))

    def latest(self, rows: pl.DataFrame, by: pl.Series) -> pl.DataFrame:
        """Return the last forecast of each row that was made up to an instant of its own; null where none was.

        Args:
            rows: `series_id` and `time`.
            by: An instant for each row.

        Returns:
            One column for each of `columns`, in the order of the rows.
        """
        wanted = rows.select(SERIES, TIME, by.alias(_BY)).with_row_index(_ROW)
        made = wanted.join(self.table, on=[SERIES, TIME]).filter(pl.col(MADE_AT) <= pl.col(_BY)).sort(_ROW, MADE_AT)
        latest = wanted.select(_ROW)
        for name in self.columns:
            last = made.filter(pl.col(COLUMN) == name).group_by(_ROW).agg(pl.col(VALUE).last().alias(name))
            latest = latest.join(last, on=_ROW, how="left", maintain_order="left")
        return latest.drop(_ROW)

    def corrupted_after(self, last: pl.DataFrame, rng: np.random.Generator) -> Vintages:
        """Return the same with random values for what was made after an instant of each series (`series_id`, `time`)."""
        ends = self.table.select(SERIES, MADE_AT).join(last, on=SERIES, how="left", maintain_order="left")
        rubbish = pl.Series(1e6 * rng.standard_normal(len(ends)))
        later = (ends[MADE_AT] > ends[TIME]).fill_null(False)
        return replace(self, table=self.table.with_columns(pl.when(later).then(rubbish).otherwise(VALUE).alias(VALUE)))

    def write(self, folder: Path) -> None:
        """Write the table and the sources beside a panel."""
        self.table.rechunk().write_ipc(folder / "vintages.arrow")
        (folder / "vintages.json").write_text(json.dumps(dict(self.sources)))

    @classmethod
    def read(cls, folder: Path) -> Vintages | None:
        """Return what `write` wrote, None where it wrote nothing."""
        if not (folder / "vintages.json").exists():
            return None
        return cls(pl.read_ipc(folder / "vintages.arrow"), json.loads((folder / "vintages.json").read_text()))
