"""Prequential: learn from a window, wait for the labels to arrive, score the next window, go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError
from hwds.core.recipe import NonNegativeInt, ZeroDays, cutoffs_per_fit
from hwds.core.seeds import stream
from hwds.detection.models.base import FEW_TO_STOP_BY, Classifier, FittedClassifier
from hwds.detection.predictions import AlertEvidence, alert_evidence_rows, row_predictions
from hwds.detection.protocols.base import Detection, days_since, parts_in_time, rows_arrived_by
from hwds.detection.rows import RowContext, draw_by_id
from hwds.evaluation.protocol import Cell, RunContext, Tunable, TuningSplit
from hwds.evaluation.row_folds import (
    Lengths,
    Moment,
    RowPrequential,
    as_known,
    corrupt_rows,
    earlier_rows,
    first_midnight,
    fold_name,
    last_midnight,
    row_arrivals,
    rows_between,
)
from hwds.frames.table import ROW_ID, Table
from hwds.results.formatting import counted
from hwds.results.tables import Tables


class Prequential(RowPrequential, Detection, Tunable, AlertEvidence):
    """Train, stop, calibrate and decide on windows that follow one another, wait for the labels,
    and score the next window.

    A cutoff is the beginning of a test window. Training rows end `delay_days` before it, and a
    label counts only if it had arrived by the cutoff (role `label_time`; without it, the end of the
    row's day plus the delay). A row belongs to the window in which it arrived (`available_at`, or
    `time`). As in the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot and Bontempi 2022,
    chapter 5), entities that are known by the beginning of a row's day to have had a positive row
    since the training window began (or as `known_days` says) are not scored: they are found
    already.

    Attributes:
        known: The treatment of test rows of entities that were found before: `removed` or `kept`.
        known_days: Days before the cutoff since which rows count that were found; 0 takes the
            training window's beginning.
        most_labels: The most labels that are known in the windows before the cutoff, drawn by row;
            features see no others either. It does not change which test rows are scored. None takes
            all.
    """

    known: Literal["removed", "kept"] = "removed"
    known_days: ZeroDays = 0
    most_labels: NonNegativeInt | None = None

    def tuning_split(self, frame: Table, windows: int) -> TuningSplit:
        """Return the same windows on rows whose labels had arrived by the first cutoff.

        Where they would not fit they lie closer together; where a day apart is too far still, they
        learn from fewer days; and where not even one would fit so, all their other parts are
        shorter too.
        """
        earlier = earlier_rows(frame, self.split(frame)[0].cutoffs[0].at, self.delay_days)
        days = (last_midnight(earlier) - first_midnight(earlier)).days if len(earlier.data) else 0
        walk = replace(
            self.with_windows(days, windows), segments=(), explained=0, importance_rows=0
        )
        return TuningSplit(walk, earlier, walk.split(earlier), self._shortening_remark(walk))

    def _shortening_remark(self, walk: Prequential) -> str:
        """Return a remark on the windows that trials are scored on, where they are shorter.

        Else empty.
        """
        parts = {
            "learn from {} days, not from {}": "train_days",
            "wait {} for labels, not {}": "delay_days",
            "are scored on {} at a time, not on {}": "test_days",
        }
        both = [
            (template, getattr(walk, name), getattr(self, name)) for template, name in parts.items()
        ]
        changes = [template.format(now, full) for template, now, full in both if now < full]
        return (
            f"Trials {', '.join(changes)}, for the data before the final windows is short."
            if changes
            else ""
        )

    def evaluate_cell(
        self, model: Classifier, frame: Table, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn from the windows before the cutoff, or before the last one at which the model is
        fitted again; score its own.
        """
        cutoff, rows = cell.fold.cutoffs[0].at, RowContext.of(context)
        own = self.for_model(model)
        parts = own.parts(frame, cutoff, rows)
        since = self.cutoffs(frame)[
            cell.fold.index - cell.fold.index % cutoffs_per_fit(model.refit, self.windows)
        ]
        early = parts if since == cutoff else own.parts(frame, since, rows)
        predictions = self.fit_and_score(
            model, early, parts, frame, replace(rows, fold=fold_name(since))
        )
        scored = [
            part.with_columns(days_since(parts[name], cutoff)) for name, part in predictions.items()
        ]
        return (
            pl.concat(scored).with_columns(cutoff=pl.lit(cell.fold.name)) if scored else DataFrame()
        )

    def for_model(self, model: Classifier) -> Prequential:
        """Return the same windows for a model: one that calibrates nothing learns from the days for
        that too.

        A detector holds normal rows out there.
        """
        if model.needs_calibration() or not model.supervised or not self.calibrate_days:
            return self
        return replace(self, train_days=self.train_days + self.calibrate_days, calibrate_days=0)

    def parts(self, frame: Table, cutoff: datetime, context: RowContext) -> dict[str, Table]:
        """Return the rows of each window with their inputs.

        Labels as far as they had arrived by the cutoff.
        """
        end = cutoff + timedelta(days=self.test_days, microseconds=-1)
        seen = as_known(frame, end, self.delay_days)
        edges = self.lengths.edges(cutoff)
        given = self._limited_labels(seen, edges, cutoff, context)
        parts = parts_in_time(given, edges, cutoff, context)
        if self._removes_found(frame):
            parts["test"] = parts["test"].filter(~self._found_before(seen, parts["test"], cutoff))
        return parts

    def _removes_found(self, frame: Table) -> bool:
        return self.known == "removed" and bool(frame.roles.get("entity"))

    def _limited_labels(
        self,
        seen: Table,
        edges: Mapping[str, tuple[datetime, datetime]],
        by: datetime,
        context: RowContext,
    ) -> Table:
        """Return the table with all known labels, or with `most_labels` of them."""
        if self.most_labels is None:
            return seen
        return draw_labels(
            seen, self.most_labels, edges["train"][0], edges["decide"][1], by, context.seed
        )

    def _found_before(self, seen: Table, test: Table, cutoff: datetime) -> Series:
        """Return a mask of the test rows whose entity was known by the beginning of the day to have
        had a positive row.
        """
        since = (
            cutoff - timedelta(days=self.known_days)
            if self.known_days
            else self.lengths.edges(cutoff)["train"][0]
        )
        entity, label, when = (seen.name(role) for role in ("entity", "label", "label_time"))
        positive = seen.data.filter((col(label) == 1) & (row_arrivals(seen) >= since))
        first = positive.group_by(entity).agg(__found=col(when).min())
        confirmed = test.data.select(entity).join(
            first, on=entity, how="left", maintain_order="left"
        )["__found"]
        return (confirmed <= row_arrivals(test).dt.truncate("1d")).fill_null(False)

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Refuse labels of one class, and a model whose calibration has no window."""
        super().check_models(models, frame)
        self.require_calibration(models, "calibrate_days")

    def warnings_before(self, frame: Table, models: Mapping[str, Classifier]) -> list[str]:
        """Return those of all detection, test rows that are not scored as their entity was found
        before, and unsure stops.
        """
        left_out = self._removal_remarks(frame) if self._removes_found(frame) else ()
        unspent = self._calibration_remarks(models)
        return [
            *super().warnings_before(frame, models),
            *left_out,
            *unspent,
            *self._stopping_remarks(frame, models),
        ]

    def _calibration_remarks(self, models: Mapping[str, Classifier]) -> Iterator[str]:
        """Yield which models learn from the days for calibration too."""
        names = [name for name, model in models.items() if self.for_model(model) is not self]
        if names:
            verb = (
                "calibrates nothing and learns"
                if len(names) == 1
                else "calibrate nothing and learn"
            )
            yield (
                f"{' and '.join(names)} {verb} from the {self.calibrate_days} days of "
                f"protocol.calibrate_days too."
            )

    def _stopping_remarks(self, frame: Table, models: Mapping[str, Classifier]) -> Iterator[str]:
        """Yield a remark where a model stops by the ranking of few positive rows."""
        ranked = next((name for name, model in models.items() if model.stops_by_ranking), None)
        if ranked is None:
            return
        lengths = self.for_model(models[ranked]).lengths
        positive = [
            len(self._stopping_positives(frame, fold.cutoffs[0].at, lengths))
            for fold in self.split(frame)
        ]
        fewest = min((count for count in positive if count), default=FEW_TO_STOP_BY)
        few = f"{counted(fewest, 'positive rows')} (in the window with the fewest)"
        if fewest < FEW_TO_STOP_BY and bool(getattr(models[ranked], "folds", False)):
            yield (
                f"{ranked} has {few} to stop by, and chooses its number of trees by folds of "
                f"all labelled rows (model.folds)."
            )
        elif fewest < FEW_TO_STOP_BY:
            yield (
                f"{ranked} stops growing by how it ranks {few}, so"
                " that its size is partly chance: model.folds=5 chooses it by all labelled rows, "
                "model.patience=0 and a number"
                " of model.trees fix it, more protocol.stop_days make it surer."
            )

    def _stopping_positives(self, frame: Table, cutoff: datetime, lengths: Lengths) -> DataFrame:
        """Return the positive rows of the window for stopping that are known by a cutoff."""
        edges = lengths.edges(cutoff)["stop"]
        rows = rows_between(as_known(frame, cutoff, self.delay_days), {"stop": edges})["stop"]
        return rows.data.filter(col(rows.name("label")) == 1)

    def _removal_remarks(self, frame: Table) -> Iterator[str]:
        """Yield how many test rows are left out as found before, and how many of them are
        positive.
        """
        rows = pl.concat(self._tested_rows(frame))
        out = rows.filter("left_out")
        if len(out):
            positive = (
                f"{int(out['positive'].sum()):,} of "
                f"{counted(int(rows['positive'].sum()), 'positive rows')} among them"
            )
            remedy = ": take protocol.known=kept" if len(out) == len(rows) else ""
            what = f"{len(out):,} of {counted(len(rows), 'test rows')} are not scored, {positive}"
            yield f"{what}: their entities were found before (protocol.known=removed){remedy}."

    def _tested_rows(self, frame: Table) -> Iterator[DataFrame]:
        """Yield the test rows of each window: whether they are left out, and whether they are
        positive.
        """
        for fold in self.split(frame):
            cutoff = fold.cutoffs[0].at
            begin, stop = self.lengths.edges(cutoff)["test"]
            seen = as_known(frame, stop - timedelta(microseconds=1), self.delay_days)
            test = rows_between(seen, {"test": (begin, stop)})["test"]
            labels = frame.data.filter(col(ROW_ID).is_in(test.data[ROW_ID].implode()))[
                frame.name("label")
            ]
            yield DataFrame(
                {"left_out": self._found_before(seen, test, cutoff), "positive": labels == 1}
            )

    def corrupt_after(self, frame: Table, cutoff: Moment, rng: np.random.Generator) -> Table:
        """Return the table with random values in the rows, and with flipped labels, that arrive
        after an instant.
        """
        return corrupt_rows(frame, cutoff.at, self.delay_days, rng)

    def predictions_at(self, rows: DataFrame, cutoff: Moment, frame: Table) -> DataFrame:
        """Return the predictions of rows that had arrived by an instant.

        Reasons where all rows have them.

        Which rows are among those of the highest scores depends on the rest of the window, and is
        no prediction of a model.
        """
        early = rows_arrived_by(rows, frame, cutoff.at)
        return self.predictions_only(early, reasons=self.explained >= len(frame.data))

    def fit_all(self, model: Classifier, frame: Table, context: RunContext) -> FittedClassifier:
        """Return the model fitted on the windows that end with the data."""
        end, rows = last_midnight(frame), RowContext.of(context)
        edges = replace(self.for_model(model).lengths, test=0).edges(end)
        seen = self._limited_labels(as_known(frame, end, self.delay_days), edges, end, rows)
        return self.fit_model(
            model, rows_between(seen.with_inputs(rows.columns_of(seen)), edges), rows
        )

    def predict_new(self, fitted: FittedClassifier, frame: Table, context: RunContext) -> DataFrame:
        """Return a saved model's predictions of the rows of the last `delay_days` (`test_days`
        where there is no delay).

        They are younger than all that a model fitted on this data could have learned from.
        """
        end = last_midnight(frame)
        seen = as_known(frame, end, self.delay_days)
        young = row_arrivals(seen) >= end - timedelta(days=self.delay_days or self.test_days)
        new_rows = seen.with_inputs(RowContext.of(context).columns_of(seen)).filter(young)
        return row_predictions(fitted, new_rows, frame, "new", self.explained)

    def check_alerts(self, decision: str) -> None:
        """Refuse windows in time that overlap.

        Raises:
            ConfigError: With the field and its value.
        """
        if 0 < self.stride_days < self.test_days:
            raise ConfigError(
                f"protocol.stride_days: must be 0 or at least test_days ({self.test_days}) for "
                f"decision '{decision}',"
                f" got {self.stride_days}: a row is decided once."
            )

    def alert_evidence(self, tables: Tables, frame: Table, model: str, kind: str) -> DataFrame:
        """Return the rows of the deciding and test windows, with labels that arrive after
        `delay_days`.
        """
        return alert_evidence_rows(
            tables, frame, model, kind, delay_days=self.delay_days, unlabelled=self.unlabelled
        )


def draw_labels(
    seen: Table, labels: int, begin: datetime, end: datetime, by: datetime, seed: int
) -> Table:
    """Return the table with so many of the labels that had arrived, drawn at random, and no others.

    A row is drawn by its id, so that more labels contain the fewer.

    Args:
        seen: The rows, and the instants at which their labels arrived; see `as_known`.
        labels: The most labels that are known.
        begin: Rows that arrived before this instant keep no label.
        end: Rows that arrived at this instant or later keep no label.
        by: Labels that arrived after this instant are not known.
        seed: The seed of the experiment.
    """
    label, when, times = seen.name("label"), seen.name("label_time"), row_arrivals(seen)
    data, ids = seen.data, seen.data[ROW_ID].to_numpy()
    known = (
        data[label].is_not_null()
        & (data[when] <= by).fill_null(False)
        & (times >= begin)
        & (times < end)
    )
    places = np.flatnonzero(known.to_numpy())
    chosen = np.zeros(len(ids), bool)
    chosen[places] = draw_by_id(ids[places], labels, stream(seed, "labels"))
    shown = Series(chosen)
    columns = {name: pl.when(shown).then(col(name)) for name in (label, when)}
    return replace(seen, data=data.with_columns(**columns))
