"""K folds of groups: rows of one customer, or of one beneficial owner, never lie on both sides of a cut."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Lt

from hwds.context import Context
from hwds.errors import ConfigError, DataError
from hwds.frames.table import Table
from hwds.models.classify.base import Classifier, FittedClassifier
from hwds.protocols.base import Cell, Fold
from hwds.protocols.detection import Detection
from hwds.protocols.judging import judged
from hwds.protocols.rehearsal import Rehearsal
from hwds.protocols.row_windows import as_known
from hwds.recipe import Small, Whole

LAST = datetime(9999, 12, 31)
APART = -1
"""Where the groups stand that are kept apart, instead of the number of a fold."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The groups that a fold tests, whose labels nothing may depend on.

    Attributes:
        fold: Its number.
    """

    fold: int

    @property
    def label(self) -> str:
        """How it is called in a message."""
        return f"fold {self.fold + 1}"


class GroupedKFold(Detection):
    """Cut the groups of a table into folds, and score each by models that have seen none of its groups.

    Rows of one group (role `group`, a beneficial owner, or else `entity`, a customer) stay together. The fold of a group
    follows from its name alone, so that more rows move none. Training, early stopping, calibration, a decision's
    thresholds and the test have different groups, and features see labels of training groups only. Data with times is
    refused unless `ignore_time` says that later rows may predict earlier ones: `prequential` is for such data.

    Attributes:
        folds: Parts of the groups; each is tested once.
        stop_folds: For early stopping.
        calibrate_folds: For calibration.
        decide_folds: For a decision's thresholds; all others are learned from.
        ignore_time: Cut data that has times all the same.
        apart: The share of the groups, by their names, that is never tested but by the trials of a sweep; the experiment learns
            from them.

    Example:
        python -m hwds dataset=fraud_handbook model=classify/logistic protocol=grouped_kfold protocol.ignore_time=true
    """

    folds: Annotated[int, Ge(2), Small(5)] = 10
    stop_folds: Whole = 1
    calibrate_folds: Whole = 1
    decide_folds: Whole = 0
    ignore_time: bool = False
    apart: Annotated[float, Ge(0), Lt(1)] = 0.0

    def unrehearsed(self) -> str:
        """Without groups that are kept apart all are tested."""
        return "" if self.apart else "tests every group, of which protocol.apart=0.3 would keep some to choose on"

    def rehearsal(self, frame: Table, windows: int) -> Rehearsal:
        """The groups that are kept apart, in folds of their own; without the truth."""
        few = self.stop_folds + self.calibrate_folds + self.decide_folds + 2
        cut = replace(self, apart=0.0, folds=max(windows, few), segments=(), explained=0, importance_rows=0)
        own = self._known(frame).take(self._folds_of(frame) == APART)
        return Rehearsal(cut, own, cut.split(own)[:windows])

    def split(self, frame: Table) -> Sequence[Fold]:
        """A fold for each part of the groups.

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
        own = self._folds_of(frame)
        sizes = np.bincount(own[own != APART], minlength=self.folds).tolist()
        if 0 in sizes:
            raise DataError(f"protocol.folds: fold {sizes.index(0) + 1} of {self.folds} has no group; take fewer.")
        return [Fold(i, f"fold {i + 1} of {self.folds}", size, (HeldOut(i),)) for i, size in enumerate(sizes)]

    def ask(self, model: Classifier, frame: Table, cell: Cell, context: Context) -> pl.DataFrame:
        """Learn from the groups of the other folds; judge those of the decision and the test."""
        parts = self.parts(frame, cell.fold.index, context)
        rows = list(self.answered(model, parts, parts, frame, context).values())
        told = (pl.lit(0, pl.Int32).alias("day"), pl.lit(cell.fold.name).alias("cutoff"))
        return pl.concat(rows).with_columns(told) if rows else pl.DataFrame()

    def parts(self, frame: Table, fold: int | None, context: Context) -> dict[str, Table]:
        """The rows of each part with their inputs, which were made of labels of training groups alone.

        Args:
            frame: All rows.
            fold: The one that is tested; None tests no group, for the fit on all of them.
            context: What a worker knows besides.
        """
        own = self._folds_of(frame)
        part = np.where(own == APART, "train", np.array(self._roles_of_folds(fold))[own])
        known = self._known(frame)
        label = known.name("label")
        train = pl.lit(pl.Series(part == "train"))
        hidden = replace(known, data=known.data.with_columns(pl.when(train).then(pl.col(label)).alias(label)))
        wide = hidden.with_inputs(context.columns_of(hidden))
        told = pl.lit(pl.Series(np.isin(part, ("train", "stop", "calibrate"))))
        given = replace(wide, data=wide.data.with_columns(pl.when(told).then(known.data[label]).alias(label)))
        return {name: given.take(part == name) for name in ("train", "stop", "calibrate", "decide", "test")}

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Labels of two kinds, and a fold for each model's calibration."""
        super().check_models(models, frame)
        for model in models.values():
            if model.refit != "always":
                raise ConfigError(
                    f"model.refit: must be always for protocol '{self.name}', whose folds have no order, got {model.refit}."
                )
            if model.asks_calibration() and not self.calibrate_folds:
                raise ConfigError(
                    f"protocol.calibrate_folds: must be > 0 for '{model.name}' (calibration={model.calibration}), got 0."
                )

    def poisoned(self, frame: Table, cutoff: HeldOut, luck: np.random.Generator) -> Table:
        """Labels turned in all rows of the groups that have a row in what a fold tests, wherever a cut puts the others."""
        label, names = frame.name("label"), self._names_of(frame)
        tested = pl.lit(names.is_in(names.filter(pl.Series(self._folds_of(frame) == cutoff.fold)).implode()))
        turned = pl.when(tested).then(1 - pl.col(label).cast(pl.Float64)).otherwise(pl.col(label)).alias(label)
        return replace(frame, data=frame.data.with_columns(turned))

    def answers(self, rows: pl.DataFrame, cutoff: HeldOut, frame: Table) -> pl.DataFrame:
        """What was said of the rows, without what became of them."""
        return self.said(rows)

    def fit_all(self, model: Classifier, frame: Table, context: Context) -> FittedClassifier:
        """The model fitted on all groups but those that stop and calibrate it."""
        return self.fitted(model, self.parts(frame, None, context), context)

    def foresee(self, fitted: FittedClassifier, frame: Table, context: Context) -> pl.DataFrame:
        """What a kept model says of the rows without a label."""
        known = self._known(frame)
        asked = known.with_inputs(context.columns_of(known)).take(known.column("label").is_null())
        return judged(fitted, asked, frame, "new", self.explained)

    def _roles_of_folds(self, fold: int | None) -> list[str]:
        """What each part of the groups is used for where one of them is tested: those after it stop, calibrate, decide."""
        tests = fold is not None
        counts = {"test": int(tests), "stop": self.stop_folds, "calibrate": self.calibrate_folds}
        counts["decide"] = self.decide_folds if tests else 0
        uses = [name for name, count in counts.items() for _ in range(count)]
        uses += ["train"] * (self.folds - len(uses))
        first = fold or 0
        return [uses[(own - first) % self.folds] for own in range(self.folds)]

    def _known(self, frame: Table) -> Table:
        """The table without the truth."""
        if frame.roles.get("time"):
            return as_known(frame, LAST, self.delay_days)
        label, truth = frame.name("label"), frame.roles.get("truth", ())
        roles = {role: names for role, names in frame.roles.items() if role != "truth"}
        return replace(frame, data=frame.data.with_columns(pl.col(label).cast(pl.Float64)).drop(truth), roles=roles)

    def _names_of(self, frame: Table) -> pl.Series:
        """The group of each row."""
        return frame.column("group" if frame.roles.get("group") else "entity").cast(pl.String)

    def _folds_of(self, frame: Table) -> np.ndarray:
        """The part of each row's group, by a hash of its name, shape (n,); `APART` where it is kept apart.

        Raises:
            DataError: No role names the groups, or a row has none.
        """
        names = self._names_of(frame)
        missing = names.is_null().arg_true()
        if len(missing):
            raise DataError(f"dataset.roles: row {missing[0] + 1} has no group in column '{names.name}'.")
        distinct = names.unique()
        places = [APART if _hash(name, b"apart") < self.apart * 2**64 else _hash(name) % self.folds for name in distinct]
        return names.replace_strict(distinct, pl.Series(places, dtype=pl.Int64)).to_numpy()


def _hash(name: str, of: bytes = b"") -> int:
    """A number below 2**64 that follows from a name; other ones for another purpose."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=of).digest())
