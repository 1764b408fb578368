"""Dataset: the recipe of a frame."""

from __future__ import annotations

from typing import ClassVar

from hwds.core.recipe import Recipe
from hwds.datasets.reading.censoring import as_demand
from hwds.datasets.reading.joining import Join, with_joined
from hwds.frames.base import Frame
from hwds.frames.panel import Panel


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

        It is asked on the same cells as the experiment's models. Its score is the floor that no model can beat but by chance.

        Args:
            task: What the protocol asks for (`forecast`, `ab`, `ope`).
        """
        return None

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
    """

    gives = Panel
    join: tuple[Join, ...] = ()
    unserved: str = ""
    stock: str = ""

    def frame(self) -> Panel:
        """Return the panel with what is joined to it, its target demand where the config says what tells it from sales.

        Raises:
            ConfigError: No such run, model or column, or a name that is taken.
            DataError: The data is absent or wrong, or has nothing in common with a run.
        """
        panel = self.load()
        assert isinstance(panel, Panel)
        panel = as_demand(panel, unserved=self.unserved, stock=self.stock) if self.unserved or self.stock else panel
        return with_joined(panel, self.join) if self.join else panel
