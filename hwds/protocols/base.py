"""Evaluation: the one interface of every protocol, and the units of its work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import polars as pl

from hwds.context import Context, Features
from hwds.errors import ConfigError
from hwds.metrics.aggregate import Estimate
from hwds.metrics.base import Measure
from hwds.recipe import Names, Recipe

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
    """

    index: int
    name: str
    units: int
    cutoffs: tuple[Any, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the scores table; what is None does not apply.

    Attributes:
        metric: The name with its definition (`mase[m=12]`).
        aggregate: `mean`, `median`, `pooled`, `p95` or `cvar95`.
        value: The number, None where nothing was defined.
        n: How many units it is made of.
        n_undefined: How many had no value (no scale, a division by zero).
        n_fallback: How many were answered by something simpler than the model.
        status: `ok`, or what is to be known before the number is read (`unregistered`).
    """

    metric: str
    aggregate: str | None
    value: float | None
    stderr: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str | None = None
    p_value: float | None = None
    n: int = 0
    n_undefined: int = 0
    n_fallback: int = 0
    cutoff: str | None = None
    segment_by: str | None = None
    segment: str | None = None
    step: int | None = None
    status: str = "ok"

    @classmethod
    def of(cls, metric: str, aggregate: str, estimate: Estimate) -> Score:
        """The line of an estimate, with its interval."""
        return cls(
            metric,
            aggregate,
            estimate.value,
            estimate.stderr,
            estimate.low,
            estimate.high,
            estimate.method if estimate.low is not None else None,
            n=estimate.n,
            n_undefined=estimate.n_undefined,
        )


class Evaluation(Recipe, Generic[Model, Data]):
    """Cuts the data, asks a model, scores the answers; the only code that sees past a cutoff.

    Class attributes: `accepts`, the kind of model it can ask; `cuts`, the kind of frame it can cut; `task`, which names
    the module of its pictures; `keys`, the columns that name a row of its predictions after model and fold; `unit`, the
    one of them that names a unit; `fits_all`, whether a model can be kept (`fit_all`, `foresee`); `block`, units in a cell
    of a model that may be cut (a constant, never taken from the number of cores); `outside_cells`, fields that choose cells
    or scores but change no cell.

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

    def split(self, frame: Data) -> Sequence[Fold]:
        """The folds, oldest first.

        Raises:
            DataError: The data does not suffice for them.
        """
        raise NotImplementedError(f"{type(self).__name__}.split")

    def ask(self, model: Model, frame: Data, cell: Cell, context: Context) -> pl.DataFrame:
        """Cut, fit, predict: the rows of one cell, with all that scoring needs."""
        raise NotImplementedError(f"{type(self).__name__}.ask")

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """The scores of all rows of one model and one fold, or of all its folds."""
        raise NotImplementedError(f"{type(self).__name__}.score")

    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Scores that need the rows of several models (paired differences), each with the label of its model.

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

        None where the rows bear the column themselves, since a unit has parts in several segments (a replication's customers).

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
