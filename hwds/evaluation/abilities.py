"""Abilities of some protocols beyond scoring: each a class that a protocol inherits and `isinstance` tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from hwds.evaluation.leakage.leak import Twin
from hwds.evaluation.score import Score


class Segmentable(ABC):
    """A protocol whose scores can be split by segment."""

    @abstractmethod
    def labels(self, frame: Any, column: str) -> pl.DataFrame | None:
        """Return the `segment` of every `unit`, one row a unit in their order.

        Where a unit has parts in several segments, those of its parts, named by further columns of the rows (see `Segments`);
        None where the rows bear the column themselves (a replication's customers).

        Raises:
            ConfigError: The frame has no such column, with the nearest right name.
        """


class LeakTestable(ABC):
    """A protocol whose predictions can be compared with those from data that is rubbish after a cutoff."""

    @abstractmethod
    def corrupt_after(self, frame: Any, cutoff: Any, rng: np.random.Generator) -> Any:
        """Return the frame with rubbish for all that is not known at a cutoff."""

    @abstractmethod
    def predictions_at(self, rows: pl.DataFrame, cutoff: Any, frame: Any) -> pl.DataFrame:
        """Return the part of the rows that was predicted at a cutoff, without what happened."""

    def twins(self, frame: Any, fold: Any, rows: pl.DataFrame) -> Iterator[Twin]:
        """Yield pairs of frames that nothing a model of a fold may know tells apart: its answers to both must agree.

        Args:
            frame: The data.
            fold: The fold that is run on both.
            rows: The raw rows of the fold, of the data as it is.
        """
        yield from ()

    def implausible(self, rows: pl.DataFrame) -> Iterator[str]:
        """Yield, in words, what raw rows show that no decision made before its outcome brings about."""
        yield from ()


class Contrasting(ABC):
    """A protocol with scores that need the rows of several models, or of all folds."""

    @abstractmethod
    def contrasts(self, rows: Mapping[str, pl.DataFrame]) -> Iterator[tuple[str, Score]]:
        """Yield the scores (paired differences), each with its model's label.

        Args:
            rows: All rows of each model, the experiment's own first.
        """


class KnowsTruth(ABC):
    """A protocol of worlds that know their own truth."""

    @abstractmethod
    def oracle_scores(self, frame: Any) -> list[Score]:
        """Return a simulator's own scores, which bear the label of the truth."""


class Compiling(ABC):
    """A protocol whose models are compiled before their first cell."""

    @abstractmethod
    def warm_up(self, model: Any, frame: Any) -> None:
        """Do once what each cell of a model would do first: timed apart from the cells."""

    @abstractmethod
    def units_in_cell(self, model: Any, frame: Any) -> int:
        """Return the number of units in a cell of a model."""


class WrongAnswerError(Exception):
    """A user's own code returned something else than it must; the message says what was asked and what came."""


class Trying(ABC):
    """A protocol that can try code of a user's own on toys: what raises there would raise in every cell."""

    @abstractmethod
    def try_model(self, model: Any, frame: Any, fold: Any, context: Any) -> None:
        """Fit a model on a few units of the data and ask it; raise what is wrong with it or with its answers.

        Args:
            model: The recipe.
            frame: The data.
            fold: The first one.
            context: Of the toys: with a seed and features, without a cache.
        """

    @abstractmethod
    def try_features(self, features: Any, frame: Any) -> None:
        """Compute a feature set of a few units; raise what is wrong with it or with what it returns."""


class Foreseeable(ABC):
    """A protocol whose cells' work follows from the data and the settings, before any was timed."""

    @abstractmethod
    def work(self, model: Any, frame: Any, cell: Any) -> float | None:
        """Return the work of a cell: the seconds of one core of the machine that laws were measured on; None where unknown."""

    def within(self, seconds: float) -> str:
        """Return the words of a model that keeps to a time; empty where there is none."""
        return ""
