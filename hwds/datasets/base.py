"""Dataset: the recipe of a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import polars as pl

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Recipe
from hwds.datasets.reading.joining import Join, with_joined
from hwds.datasets.reading.public_holidays import with_holidays
from hwds.frames.base import Frame
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME


class Truth(Recipe):
    """A model that knows what no other can: a simulator's parameters. What it says is not calibrated."""

    local: ClassVar[bool] = False
    true_law: ClassVar[bool] = True


class Dataset(Recipe):
    """The recipe of a Panel, a Table or a World (`gives` says which), chosen by `dataset=`."""

    gives: ClassVar[type] = Frame

    def load(self) -> Frame:
        """Return the frame, checked.

        Raises:
            DataError: The data is absent or wrong.
        """
        raise NotImplementedError(f"{type(self).__name__}.load")

    def frame(self) -> Frame:
        """Return the frame that an experiment cuts: as loaded, with all that the config adds to it.

        Raises:
            ConfigError: What it adds does not go with the frame.
            DataError: The data is absent or wrong.
        """
        return self.load()

    def truth(self, task: str) -> Truth | None:
        """Return the model that knows the right answer to a task, None where the dataset knows none.

        It runs on the same cells as the experiment's models. Its score is the floor that no model can beat but by chance.

        Args:
            task: What the protocol asks for (`forecast`, `ab`, `ope`).
        """
        return None

    def remarks(self, frame: Frame) -> list[str]:
        """Return sentences on what was taken for granted of the frame, for its reader; nothing where all was said."""
        return []

    def source(self) -> str:
        """Return where the data is to be had, for `hwds data`: source, licence, columns and digest in a line or two."""
        return "simulated; nothing to fetch."


class PanelDataset(Dataset):
    """A dataset of series.

    Attributes:
        join: Forecasts of finished runs as known-future columns: `{run: price_forecast, column: mean, as: competitor_price}`.
        unserved: The past-only column with the share of demand that could not be served, if there is one. The target is then
            demand: sales over the share that was served, unknown where none was. Models learn and are scored on demand.
        stock: The past-only column with what was left at the end of a row, if there is one: where nothing was, sales are not
            demand, and the target is unknown: nothing is learned there, and nothing scored.
        country: The country whose public holidays are counted in each row, in the known-future column `holidays`: an ISO code,
            `US` or `DE`, or that of a part of it, `US-CA`. Needs hwds[holidays].
    """

    gives = Panel
    join: tuple[Join, ...] = ()
    unserved: str = ""
    stock: str = ""
    country: str = ""

    def frame(self) -> Panel:
        """Return the panel with what is joined to it, its target demand where the config says what tells it from sales.

        Raises:
            ConfigError: No such run, model or column, or a name that is taken.
            DataError: The data is absent or wrong, or has nothing in common with a run.
        """
        panel = self.load()
        assert isinstance(panel, Panel)
        panel = as_demand(panel, unserved=self.unserved, stock=self.stock) if self.unserved or self.stock else panel
        panel = with_holidays(panel, self.country) if self.country else panel
        return with_joined(panel, self.join) if self.join else panel


def as_demand(panel: Panel, *, unserved: str = "", stock: str = "") -> Panel:
    """Return the panel with demand as its target, unknown (null) where sales do not tell it.

    Args:
        panel: Its target is sales.
        unserved: The past-only column with the share of each row's demand that could not be served: demand is sales over the
            share that could, and unknown where none could; a row without a value was served in full.
        stock: The past-only column with what was left to sell at the end of each row: demand is unknown where nothing was.

    Raises:
        ConfigError: There is no such past-only column.
        DataError: A share is not from 0 to 1.
    """
    demand = pl.col(TARGET)
    if unserved:
        _check_past("unserved", unserved, panel)
        _check_shares(panel, unserved)
        share = pl.col(unserved).fill_null(0.0)
        demand = pl.when(share == 0).then(demand).when(share < 1).then(demand / (1 - share))
    if stock:
        _check_past("stock", stock, panel)
        demand = pl.when((pl.col(stock) > 0) | pl.col(stock).is_null()).then(demand)
    return replace(panel, table=panel.table.with_columns(demand.alias(TARGET)))


def _check_past(field: str, column: str, panel: Panel) -> None:
    if column not in panel.roles.past_only:
        raise ConfigError(f"dataset.{field}: no past-only column '{column}'{nearest(column, panel.roles.past_only)}")


def _check_shares(panel: Panel, column: str) -> None:
    wrong = panel.table.select(~pl.col(column).is_between(0, 1)).to_series().fill_null(False).arg_true()
    if len(wrong):
        row = panel.table.row(wrong[0], named=True)
        where = f"series '{row[SERIES]}' has {row[column]!r} at {row[TIME]}"
        raise DataError(f"dataset.unserved: {where} in column '{column}', not a share from 0 to 1.")
