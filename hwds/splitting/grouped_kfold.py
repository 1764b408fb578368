"""K folds of groups: rows of one group never lie on both sides of a cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Lt

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import Small, ZeroFolds
from hwds.frames.table import Table
from hwds.splitting.fold import Fold
from hwds.splitting.rows import HeldOut, RowSplitting, groups_of, hash_of

APART = -1
"""The fold number of groups that are kept for the trials of a sweep."""


class GroupKFold(RowSplitting):
    """Cut the groups of a table into folds.

    Rows of one group (role `group`, a beneficial owner, or else `entity`, a customer) stay together. The fold of a group
    follows from its name alone, so that more rows move none.

    Attributes:
        folds: Parts of the groups; each is tested once.
        stop_folds: Folds of the training groups that end the growth of models early.
        calibrate_folds: Folds of the training groups on which probabilities are calibrated.
        decide_folds: For a decision's thresholds; all others are learned from.
        ignore_time: Cut data that has times all the same.
        apart: The share of the groups, by their names, that is never tested but by the trials of a sweep; the experiment learns
            from them.
    """

    folds: Annotated[int, Ge(2), Le(10_000), Small(5)] = 10
    stop_folds: ZeroFolds = 1
    calibrate_folds: ZeroFolds = 1
    decide_folds: ZeroFolds = 0
    ignore_time: bool = False
    apart: Annotated[float, Ge(0), Lt(1)] = 0.0

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return a fold for each part of the groups.

        Raises:
            ConfigError: The data has times, or too few folds are left to learn from.
            DataError: A row has no group, or a fold none.
        """
        if frame.roles.get("time") and not self.ignore_time:
            raise ConfigError(
                f"protocol.ignore_time: the data has times (column '{frame.name('time')}'), and folds let later rows predict"
                " earlier ones; take protocol=prequential, or say protocol.ignore_time=true."
            )
        others = self.stop_folds + self.calibrate_folds + self.decide_folds
        if others + 2 > self.folds:
            raise ConfigError(f"protocol.folds: must be >= {others + 2}, one to test and one to learn from, got {self.folds}.")
        folds = self.fold_of_rows(frame)
        sizes = np.bincount(folds[folds != APART], minlength=self.folds).tolist()
        if 0 in sizes:
            raise DataError(f"protocol.folds: fold {sizes.index(0) + 1} of {self.folds} has no group; take fewer.")
        return [Fold(i, f"fold {i + 1} of {self.folds}", size, (HeldOut(i),)) for i, size in enumerate(sizes)]

    def part_of_rows(self, frame: Table, fold: int | None) -> np.ndarray:
        """Return the use of each row where one fold is tested, or none: `train`, `stop`, `calibrate`, `decide` or `test`."""
        folds = self.fold_of_rows(frame)
        return np.where(folds == APART, "train", np.array(self._parts_of_folds(fold))[folds])

    def _parts_of_folds(self, fold: int | None) -> list[str]:
        """Return the use of each fold where one of them is tested: those after it stop, calibrate, decide."""
        tests = fold is not None
        counts = {"test": int(tests), "stop": self.stop_folds, "calibrate": self.calibrate_folds}
        counts["decide"] = self.decide_folds if tests else 0
        uses = [name for name, count in counts.items() for _ in range(count)]
        uses += ["train"] * (self.folds - len(uses))
        first = fold or 0
        return [uses[(number - first) % self.folds] for number in range(self.folds)]

    def fold_of_rows(self, frame: Table) -> np.ndarray:
        """Return the fold of each row's group, by a hash of its name, shape (n,); `APART` where it is kept apart.

        Raises:
            DataError: No role names the groups, or a row has none.
        """
        names = groups_of(frame)
        distinct = names.unique()
        places = [APART if hash_of(name, b"apart") < self.apart * 2**64 else hash_of(name) % self.folds for name in distinct]
        return names.replace_strict(distinct, pl.Series(places, dtype=pl.Int64)).to_numpy()
