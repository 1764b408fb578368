"""Evaluation: the one interface of every protocol, and the units of its work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import polars as pl

from hwds.context import Context, Features
from hwds.errors import ConfigError
from hwds.metrics.base import Measure
from hwds.protocols.score import Score
from hwds.recipe import Names, Recipe

if TYPE_CHECKING:
    from hwds.protocols.rehearsal import Rehearsal

__all__ = ["Cell", "Evaluation", "Fold", "Score"]

Model = TypeVar("Model")
Data = TypeVar("Data")


@dataclass(frozen=True, slots=True)
class Fold:
    """One rung: one fit and all that is asked of it. Made from the data alone, so it is the same for every rival.

    Attributes:
        index: Its place in the order of folds.
        name: What it may know, in words (`2023-12-01`, `replications 0-999`): random streams are named by it, so that
            asking for more folds changes none of those that were there.
        units: Series, replications or rows: what may be worked on apart.
        cutoffs: The instants that it is asked from; the first is the last that `fit` may know.
        inner: Windows before the first cutoff whose forecasts its cells carry beside their own, for `settle` to learn from.
    """

    index: int
    name: str
    units: int
    cutoffs: tuple[Any, ...] = ()
    inner: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """The unit of work, caching and failure: a model, a fold and a run of its units (`start` to `stop`, excluded)."""

    model: str
    fold: Fold
    start: int
    stop: int

    @property
    def title(self) -> str:
        """How it is called in a message."""
        units = "" if (self.start, self.stop) == (0, self.fold.units) else f", units {self.start}-{self.stop - 1}"
        return f"{self.model} at {self.fold.name}{units}"


class Evaluation(Recipe, Generic[Model, Data]):
    """Cuts the data, asks a model, scores the answers; the only code that sees past a cutoff.

    Class attributes: `accepts`, the kind of model it can ask; `cuts`, the kind of frame it can cut; `task`, which names
    the module of its pictures; `keys`, the columns that name a row of its predictions after model and fold; `unit`, the
    one of them that names a unit; `fits_all`, whether a model can be kept (`fit_all`, `foresee`); `block`, units in a cell of
    a model that may be cut (a constant, never taken from the number of cores); `outside_cells`, fields that choose cells or
    scores but change no cell.

    Attributes:
        headline: The metric that orders the leaderboard.
        segments: Columns whose values are scored apart too, beside the total.
    """

    accepts: ClassVar[type] = Recipe
    cuts: ClassVar[type] = object
    task: ClassVar[str] = ""
    keys: ClassVar[tuple[str, ...]] = ()
    unit: ClassVar[str] = ""
    fits_all: ClassVar[bool] = False
    block: ClassVar[int] = 1000
    outside_cells: ClassVar[tuple[str, ...]] = ("headline", "segments")

    headline: str = ""
    segments: Names = ()

    def framed(self, frame: Data) -> Data:
        """What is cut and asked of a dataset's frame: itself, or one with more units made of it, which no truth knows.

        Raises:
            ConfigError: It cannot be made of this one.
        """
        return frame

    def split(self, frame: Data) -> Sequence[Fold]:
        """The folds, oldest first.

        Raises:
            DataError: The data does not suffice for them.
        """
        raise NotImplementedError(f"{type(self).__name__}.split")

    def unrehearsed(self) -> str:
        """Why no settings can be chosen before it, in words that follow its name; empty where they can (`rehearsal`)."""
        return "has no windows before its own to choose settings on"

    def rehearsal(self, frame: Data, windows: int) -> Rehearsal:
        """Other windows, on which a sweep may choose settings without a look at these; simulations play other replications.

        Args:
            frame: As the dataset gives it (`framed` is called within).
            windows: How many; all that happens in them was known before the first cutoff of this protocol.

        Raises:
            DataError: The data before it does not suffice.
        """
        raise NotImplementedError(f"{type(self).__name__}.rehearsal")

    def ask(self, model: Model, frame: Data, cell: Cell, context: Context) -> pl.DataFrame:
        """Cut, fit, predict: the rows of one cell, with all that scoring needs."""
        raise NotImplementedError(f"{type(self).__name__}.ask")

    @property
    def settles_across(self) -> bool:
        """Whether `settle` reads earlier folds for a later one."""
        return False

    def settle(self, rows: pl.DataFrame) -> pl.DataFrame:
        """From what the cells of one model have answered to what is scored and kept.

        Here what needs all units at once is done (intervals pooled over series), so that how they were cut never shows.

        Args:
            rows: All rows of one model, of one fold or of all, oldest first, with the number of each one's `fold`.

        Returns:
            The rows with their `fold`, in the same order; those of inner windows are gone.
        """
        return rows

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """The scores of all rows of one model and one fold, or of all its folds."""
        raise NotImplementedError(f"{type(self).__name__}.score")

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Scores that need the rows of several models (paired differences) or of all folds, each with its model's label.

        Args:
            rows: All rows of each model, the experiment's own first.
        """
        return iter(())

    def facts(self, frame: Data) -> list[Score]:
        """What a simulator knows of itself: scores that bear the label of the truth."""
        return []

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What the predictions table keeps of one model's rows."""
        return rows

    def notes(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """What a user would want to be told of what was asked."""
        return []

    def remarks(self, frame: Data) -> list[str]:
        """What a user would want to be told of a frame that is asked so, known before the first cell; one sentence each."""
        return []

    def warm_up(self, model: Model, frame: Data) -> None:
        """Do once what each cell of a model would do first (compile a policy): timed apart from the cells."""

    def units_in_cell(self, model: Model, frame: Data) -> int:
        """How many units a cell of a model has that may be cut."""
        return self.block

    def measures(self, frame: Data) -> Sequence[Measure]:
        """What each metric of `score` says of itself; one that is not here has its name alone."""
        return ()

    def labels(self, frame: Data, column: str) -> pl.DataFrame | None:
        """The `segment` of every `unit`, one row a unit in their order.

        Where a unit has parts in several segments, those of its parts, named by further columns of the rows (see `Segments`);
        None where the rows bear the column themselves (a replication's customers).

        Raises:
            ConfigError: The frame has no such column, with the nearest right name.
        """
        raise ConfigError(f"protocol.segments: protocol '{self.name}' has no segments, got '{column}'.")

    def poisoned(self, frame: Data, cutoff: Any, luck: np.random.Generator) -> Data:
        """The frame with rubbish for all that is not known at a cutoff: what the canary asks from."""
        raise NotImplementedError(f"{type(self).__name__}.poisoned")

    def answers(self, rows: pl.DataFrame, cutoff: Any, frame: Data) -> pl.DataFrame:
        """The part of the rows that was asked at a cutoff, without what happened: what the canary compares."""
        raise NotImplementedError(f"{type(self).__name__}.answers")

    def fit_all(self, model: Model, frame: Data, context: Context) -> Any:
        """The model fitted on all rows, for use after the last one."""
        raise NotImplementedError(f"{type(self).__name__}.fit_all")

    def foresee(self, fitted: Any, frame: Data, context: Context) -> pl.DataFrame:
        """What a fitted model says of what comes after the frame.

        Raises:
            DataError: A planned column is missing.
        """
        raise NotImplementedError(f"{type(self).__name__}.foresee")

    def check_features(self, features: Features, frame: Data) -> None:
        """Refuse features that are not lawful at every step asked of this frame; called before the first cell.

        Raises:
            ConfigError: A feature reads a column where its role does not allow it.
        """

    def check_models(self, models: Mapping[str, Model], frame: Data) -> None:
        """Refuse models that cannot be asked of this frame; called before the first cell.

        Raises:
            ConfigError: A model needs what the frame does not have.
        """

    def check_names(self) -> None:
        """Refuse names (of metrics) that this protocol does not know; called before the data is loaded.

        Raises:
            ConfigError: With the nearest right name.
        """
