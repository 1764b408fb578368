"""Detector: the recipe of a model of how anomalous a row is, learned from rows that are not known to bear the label."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.core.recipe import Level
from hwds.detection.context import RowContext
from hwds.detection.models.classify.base import Classifier, FittedClassifier
from hwds.frames.table import Table
from hwds.learners.later_share import later


class Detector(Classifier):
    """A model of what is normal.

    It learns from rows that are not known to bear the label: those labelled 0 and those without a label, among which some
    that nobody has found may be. Later normal rows are held out of it: those of the calibration window, or else the last
    ones of the training window. A row's p-value is (1 + held-out normals at least as odd) / (1 + held-out normals): of new
    normals so large a share lies at or below any level (Vovk, Gammerman and Shafer 2005). Ones that bear the label unfound
    make it larger, not smaller.

    Attributes:
        held_out: Share of the training window's normal rows that are held out, where no window is for calibration.
    """

    supervised: ClassVar[bool] = False

    held_out: Level = 0.2

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> Any:
        """Return a scorer (`Scorer`) learned from normal rows.

        Args:
            train: Normal rows alone.
            stop: Later ones for early stopping; there may be none.
            context: Streams, threads, device.
        """
        raise NotImplementedError(f"{type(self).__name__}.learn")

    def fit_windows(self, train: Table, *, stop: Table, calibrate: Table, context: RowContext) -> FittedClassifier:
        """Learn from the normal rows of `train` but for those held out; calibrate, where set, by `calibrate`.

        Raises:
            DataError: No two normal rows to learn from and to hold out, or no labels to calibrate by.
        """
        held_in, held_out = normal(train), normal(calibrate)
        if held_out.data.is_empty():
            last = later(held_in, self.held_out)
            held_in, held_out = held_in.filter(~last), held_in.filter(last)
        if held_in.data.is_empty() or held_out.data.is_empty():
            raise DataError("model: a detector needs normal rows (labelled 0 or not at all) to learn from and to hold out.")
        scorer = self.learn(held_in, stop=normal(stop), context=context)
        likely = self.calibration != "none"
        return FittedClassifier(scorer, self.calibrated(scorer, calibrate), likely, np.sort(scorer.score(held_out)))


def normal(rows: Table) -> Table:
    """Return the rows that are not known to bear the label."""
    return rows.filter(rows.column("label").cast(pl.Float64).ne_missing(1.0))
