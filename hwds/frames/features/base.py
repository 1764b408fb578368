"""FeatureSet: the recipe of columns computed from a frame: of series, of rows, or of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Recipe
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles
from hwds.frames.table import Table

if TYPE_CHECKING:
    from hwds.frames.rows import Live

# Plans of feature sets: which columns they compute, and where each may be read when a forecast
# is made.

At = Literal["origin", "step"]
FeatureScale = Literal["level", "spread", "none"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One computed column.

    A feature of row t is made from the target and past-only columns of rows before t, and from the
    known-future and static columns up to t. So at a cutoff c the first row after it, c + 1, is
    always lawful.

    Attributes:
        name: The column.
        at: `origin`: read at row c + 1, for every step. `step`: read at row c + step, since it
            needs only what is known ahead.
        scale: How it moves with the target: `level` (a + b y), `spread` (b y), or `none`; a model
            that normalises uses it.
    """

    name: str
    at: At
    scale: FeatureScale = "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns that a feature set will compute."""

    features: tuple[Feature, ...]

    def at(self, where: At) -> tuple[Feature, ...]:
        """Return the features that are read at one place, in order."""
        return tuple(feature for feature in self.features if feature.at == where)


# FeatureSet: the recipe of columns computed from a frame: of series, of rows, or of runs.


class FeatureSet(Recipe):
    """The recipe of computed columns, chosen by `features=`; `of` is the kind of frame that it
    computes them for.
    """

    of: ClassVar[type] = object


class PanelFeatures(FeatureSet):
    """Causal columns of a panel, proven causal by the leak check."""

    of: ClassVar[type] = Panel

    def columns(self, roles: Roles, horizon: int) -> Plan:
        """Return the columns that `compute` will add for a panel with these roles.

        Raises:
            ConfigError: A feature reads a column at steps where its role does not allow it.
        """
        raise NotImplementedError(f"{type(self).__name__}.columns")

    def compute(self, panel: Panel) -> Panel:
        """Return the panel with the plan's columns added, all floats.

        Row t may use the target and past-only columns of rows before t, and known-future and static
        columns up to t. Rows after the history have a null target.
        """
        raise NotImplementedError(f"{type(self).__name__}.compute")


class RowFeatures(FeatureSet):
    """Columns of each row of a table as of its own moment, proven so by the leak check.

    The moment of a row is its `time`, and it knows what had arrived by its own arrival
    (`available_at`, or `time` where that role is not played): row j counts for row i where time(j)
    <= time(i), and j arrived before i; of rows that arrived at one instant the earlier in the table
    came first. A row counts for itself. A label counts where its `label_time` is at or before the
    arrival of i, and never the row's own.
    """

    of: ClassVar[type] = Table

    def check(self, table: Table) -> None:
        """Refuse a table that it cannot be computed for; called before the first cell.

        Raises:
            ConfigError: A field names a column that is not there, with the nearest right name.
        """

    def absent(self, table: Table) -> tuple[str, ...]:
        """Return the usual columns that the table lacks, without which it is computed, in the order
        of its fields.
        """
        return ()

    def compute(self, table: Table) -> pl.DataFrame:
        """Return the new columns alone, a row for each row of the table, in its order: numbers,
        texts, or arrays of numbers.
        """
        raise NotImplementedError(f"{type(self).__name__}.compute")

    def live(self, schema: Table) -> Live:
        """Return the live form, which computes the same columns of rows as they arrive, one at a
        time.

        Args:
            schema: A table of the rows' columns and roles, without rows.

        Raises:
            ConfigError: These features are computed of whole tables alone.
        """
        raise ConfigError(
            f"features: '{self.name or type(self).__name__}' has no live form; it cannot be "
            f"computed of events as they arrive."
        )
