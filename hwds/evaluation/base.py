"""Evaluation: the one interface of every protocol, and the units of its work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Names, Recipe
from hwds.evaluation.context import RunContext
from hwds.evaluation.score import Score
from hwds.results.measure import Measure
from hwds.splitting.fold import Fold

__all__ = ["Cell", "Evaluation", "Score"]

Model = TypeVar("Model")
Data = TypeVar("Data")


@dataclass(frozen=True, slots=True)
class Cell:
    """The unit of work, caching and failure: a model, a fold and a run of its units (`start` to `stop`, excluded)."""

    model: str
    fold: Fold
    start: int
    stop: int

    @property
    def title(self) -> str:
        """The name in messages."""
        units = "" if (self.start, self.stop) == (0, self.fold.units) else f", units {self.start}-{self.stop - 1}"
        return f"{self.model} at {self.fold.name}{units}"


class Evaluation(Recipe, Generic[Model, Data]):
    """The core of every protocol: cut the data, evaluate a model, score its rows; the only code that sees past a cutoff.

    What only some protocols can do is an ability (`abilities`) that they inherit.

    Class attributes: `accepts`, the kind of model it evaluates; `frame_type`, the kind of frame it cuts; `task`, the name of
    its question; `keys`, the columns that name a row of its predictions after model and fold; `unit`, the one of them that
    names a unit; `block`, units in a cell of a model that may be cut (a constant, never taken from the number of cores);
    `fields_not_in_key`, fields that choose cells or scores, or are in a cell's key by its cutoffs and settings alone;
    `untunable`, why no settings are chosen for a protocol that is not `Tunable`, in words that follow its name; `needs_truth`,
    whether it scores by what only a simulator knows.

    Attributes:
        headline: The metric that orders the leaderboard.
        segments: Columns whose values are scored apart too, beside the total.
    """

    accepts: ClassVar[type] = Recipe
    frame_type: ClassVar[type] = object
    task: ClassVar[str] = ""
    keys: ClassVar[tuple[str, ...]] = ()
    unit: ClassVar[str] = ""
    block: ClassVar[int] = 1000
    fields_not_in_key: ClassVar[tuple[str, ...]] = ("headline", "segments")
    untunable: ClassVar[str] = "has no windows before its own to choose settings on"
    needs_truth: ClassVar[bool] = False

    headline: str = ""
    segments: Names = ()

    def prepare_frame(self, frame: Data) -> Data:
        """Return the frame to cut, made of a dataset's: itself, or one with more units, which no truth knows.

        Raises:
            ConfigError: It cannot be made of this one.
        """
        return frame

    def split(self, frame: Data) -> Sequence[Fold]:
        """Return the folds, oldest first.

        Raises:
            DataError: The data does not suffice for them.
        """
        raise NotImplementedError(f"{type(self).__name__}.split")

    def evaluate_cell(self, model: Model, frame: Data, cell: Cell, context: RunContext) -> pl.DataFrame:
        """Cut, fit and predict; return the rows of one cell, with all that scoring needs."""
        raise NotImplementedError(f"{type(self).__name__}.evaluate_cell")

    def fold_settings(self, fold: Fold) -> Any:
        """Return plain data that decides the rows of a fold's cells besides the protocol, the fold's name and its cutoffs."""
        return None

    @property
    def postprocess_needs_earlier_folds(self) -> bool:
        """True where `postprocess` reads earlier folds for a later one."""
        return False

    def postprocess(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Turn the rows of one model's cells into those that are scored and kept.

        Here what needs all units at once is done (intervals pooled over series), so that how they were cut never shows.

        Args:
            rows: All rows of one model, of one fold or of all, oldest first, with the number of each one's `fold`.

        Returns:
            The rows with their `fold`, in the same order; those of inner windows are gone.
        """
        return rows

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return the scores of all rows of one model and one fold, or of all its folds."""
        raise NotImplementedError(f"{type(self).__name__}.score")

    def rows_to_keep(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the part of one model's rows that the predictions table keeps."""
        return rows

    def measures(self, frame: Data) -> Sequence[Measure]:
        """Return a description of each metric of `score`; one that is not here has its name alone."""
        return ()

    def warnings_before(self, frame: Data, models: Mapping[str, Model]) -> list[str]:
        """Return warnings about a frame, and what models make of it, before the first cell; one sentence each."""
        return []

    def warnings_after(self, folds: Sequence[Fold], predictions: pl.DataFrame) -> list[str]:
        """Return warnings about the predictions; one sentence each."""
        return []

    def check_features(self, features: Any, frame: Data) -> None:
        """Refuse features that are not lawful at every step on this frame; called before the first cell.

        Raises:
            ConfigError: A feature reads a column where its role does not allow it.
        """

    def check_models(self, models: Mapping[str, Model], frame: Data) -> None:
        """Refuse models that cannot work on this frame; called before the first cell.

        Raises:
            ConfigError: A model needs what the frame does not have.
        """

    def check_inputs(self, models: Mapping[str, Model], features: Any, frame: Data) -> None:
        """Refuse models that name an input which neither the frame nor the features have; called before the first cell.

        Raises:
            ConfigError: With the nearest name.
        """

    def check_names(self) -> None:
        """Refuse names (of metrics) that this protocol does not know; called before the data is loaded.

        Raises:
            ConfigError: With the nearest right name.
        """

    def check_sweep(self, sweep: str) -> None:
        """Refuse to choose settings where no windows are left for that; called before the data is loaded.

        Raises:
            ConfigError: With the reason.
        """
        why = self.why_not_tunable() if isinstance(self, Tunable) else self.untunable
        if why:
            raise ConfigError(f"sweep: protocol '{self.name}' {why}; '{sweep}' would choose on what is scored.")

    def check_save_model(self) -> None:
        """Refuse to keep a model that could predict nothing; called before the data is loaded.

        Raises:
            ConfigError: The protocol is not `Deployable`.
        """
        if not isinstance(self, Deployable):
            raise ConfigError(f"save_model: protocol '{self.name}' has no model to keep; it must be none, got 'final'.")


@dataclass(frozen=True, eq=False)
class TuningSplit:
    """Other windows of the same experiment.

    Attributes:
        protocol: Cuts, asks and scores as the experiment's own does.
        frame: The data, without all that was not known at the first cutoff of the experiment's own.
        folds: Its windows, oldest first: a sweep's rungs.
        remark: A note for the user on them; empty for none.
    """

    protocol: Evaluation[Any, Any]
    frame: Any
    folds: Sequence[Fold]
    remark: str = ""


class Tunable(ABC):
    """A protocol that has other windows, on which a sweep chooses settings."""

    def why_not_tunable(self) -> str:
        """Return why these fields leave no such windows, in words that follow the protocol's name; empty where they do."""
        return ""

    @abstractmethod
    def tuning_split(self, frame: Any, windows: int) -> TuningSplit:
        """Return other windows for a sweep to choose settings on, without a look at these; simulations use other replications.

        Args:
            frame: As the dataset gives it (`prepare_frame` is called within).
            windows: How many; all that happens in them was known before the first cutoff of this protocol.

        Raises:
            DataError: The data before it does not suffice.
        """


class Deployable(ABC):
    """A protocol whose models are kept and applied to new data."""

    together: ClassVar[bool] = False
    """A model answers all units that it was fitted to at once, and none alone."""

    @abstractmethod
    def fit_all(self, model: Any, frame: Any, context: RunContext) -> Any:
        """Return the model fitted on all rows, for use after the last one."""

    @abstractmethod
    def predict_new(self, fitted: Any, frame: Any, context: RunContext) -> pl.DataFrame:
        """Return the predictions of a fitted model for what comes after the frame.

        Raises:
            DataError: A planned column is missing.
        """
