"""Prequential: learn from a window, wait for the labels to arrive, score the next window, go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
import polars as pl

from hwds.context import Context
from hwds.errors import ConfigError
from hwds.frames.table import Table
from hwds.models.classify.base import Classifier, FittedClassifier
from hwds.protocols.base import Cell, Fold
from hwds.protocols.detection import Detection
from hwds.protocols.few_labels import few_labels
from hwds.protocols.judging import judged
from hwds.protocols.rehearsal import Rehearsal, earlier_rows
from hwds.protocols.row_poisoning import poisoned_rows
from hwds.protocols.row_windows import Lengths, Moment, arrivals, as_known, cutoffs, first_day, last_midnight
from hwds.recipe import Count, Small, Whole, served

LEAST_TRAIN = 3
"""One in so many of the days that are learned from must be there before the final windows, to choose settings on."""

WEEK = 7


class Prequential(Detection):
    """Train, stop, calibrate and decide on windows that follow one another, wait for the labels, and score the next window.

    A cutoff is the beginning of a test window. What is learned from ends `delay_days` before it, and a label counts only if
    it had arrived by the cutoff (role `label_time`, or else the end of the row's day and the delay). A row belongs to the
    window it arrived in (`available_at`, or else `time`). As in the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot
    and Bontempi 2022, chapter 5), entities that are known by the beginning of a row's day to have had a positive row
    since the training window began (or as `known_days` says) are not scored: they are found already.

    Attributes:
        windows: Test windows.
        train_days: To learn from.
        stop_days: For early stopping, after those.
        calibrate_days: For calibration, after those.
        decide_days: For a decision's thresholds, after those.
        test_days: To score.
        stride_days: From one cutoff to the next; 0 takes `test_days`.
        known: What becomes of test rows of entities that were found before: `removed` or `kept`.
        known_days: Days before the cutoff since which rows count that were found; 0 takes the training window's beginning.
        most_labels: Labels that are known: of those in the windows before the cutoff so many at most, drawn by row, and no
            others, for features neither; which test rows are scored does not depend on it. None takes all.

    Example:
        python -m hwds dataset=handbook_simulator model=classify/logistic protocol=prequential
    """

    windows: Annotated[Count, Small(2)] = 4
    train_days: Annotated[Count, Small(28)] = 28
    stop_days: Whole = 7
    calibrate_days: Annotated[Whole, Small(7)] = 7
    decide_days: Whole = 0
    test_days: Count = 7
    stride_days: Whole = 0
    known: Literal["removed", "kept"] = "removed"
    known_days: Whole = 0
    most_labels: Whole | None = None

    @property
    def lengths(self) -> Lengths:
        """The days of each window."""
        return Lengths(self.train_days, self.stop_days, self.calibrate_days, self.decide_days, self.delay_days, self.test_days)

    def split(self, frame: Table) -> Sequence[Fold]:
        """A fold for each test window, which the canary looks at from its beginning, within, and from its end.

        Raises:
            DataError: The data does not suffice.
        """
        times, rows = arrivals(frame), []
        for index, cutoff in enumerate(self._cutoffs(frame)):
            end = cutoff + timedelta(days=self.test_days)
            units = int(((times >= cutoff) & (times < end)).sum())
            moments = tuple(Moment(at) for at in (cutoff, cutoff + (end - cutoff) / 2, end))
            rows.append(Fold(index, _named(cutoff), max(units, 1), moments))
        return rows

    def unrehearsed(self) -> str:
        """Nothing speaks against it."""
        return ""

    def rehearsal(self, frame: Table, windows: int) -> Rehearsal:
        """The same windows on rows whose labels had arrived by the first cutoff.

        Where they would not fit they lie closer together; where a day apart is too far still, they learn from fewer days; and
        where not even one would fit so, all their other parts are shorter too.
        """
        earlier = earlier_rows(frame, self.split(frame)[0].cutoffs[0].at, self.delay_days)
        days = (last_midnight(earlier) - first_day(earlier)).days if len(earlier.data) else 0
        walk = replace(self._within(days, windows), segments=(), explained=0, importance_rows=0)
        return Rehearsal(walk, earlier, walk.split(earlier), self._shorter(walk))

    def _within(self, days: int, windows: int) -> Prequential:
        """The same with so many windows, in so many days where that is possible."""
        least = -(-self.train_days // LEAST_TRAIN)
        own = self if self.lengths.before - self.train_days + least + self.test_days <= days else self._in_days_for_weeks()
        room = days - own.lengths.before - own.test_days
        stride = min(own.stride_days or own.test_days, max(room // max(windows - 1, 1), 1))
        train = max(own.train_days - max(windows - 1 - room, 0), least)
        return replace(own, windows=windows, stride_days=stride, train_days=train)

    def _in_days_for_weeks(self) -> Prequential:
        """A day for each week, or a part of one, of all parts but what is learned from."""
        names = ("stop_days", "calibrate_days", "decide_days", "delay_days", "test_days", "stride_days")
        return replace(self, **{name: -(-getattr(self, name) // WEEK) for name in names})

    def _shorter(self, walk: Prequential) -> str:
        """What a user would want to be told of the windows that trials are scored on; empty where they are as long."""
        parts = {
            "learn from {} days, not from {}": "train_days",
            "wait {} for labels, not {}": "delay_days",
            "are scored on {} at a time, not on {}": "test_days",
        }
        both = [(said, getattr(walk, name), getattr(self, name)) for said, name in parts.items()]
        told = [said.format(now, own) for said, now, own in both if now < own]
        return f"Trials {', '.join(told)}, for the data before the final windows is short." if told else ""

    def ask(self, model: Classifier, frame: Table, cell: Cell, context: Context) -> pl.DataFrame:
        """Learn from the windows before the cutoff, or before the last one at which the model is fitted anew; judge its own."""
        cutoff = cell.fold.cutoffs[0].at
        parts = self.parts(frame, cutoff, context)
        since = self._cutoffs(frame)[cell.fold.index - cell.fold.index % served(model.refit, self.windows)]
        early = parts if since == cutoff else self.parts(frame, since, context)
        answered = self.answered(model, early, parts, frame, replace(context, fold=_named(since)))
        rows = [told.with_columns(_days(parts[name], cutoff)) for name, told in answered.items()]
        return pl.concat(rows).with_columns(pl.lit(cell.fold.name).alias("cutoff")) if rows else pl.DataFrame()

    def parts(self, frame: Table, cutoff: datetime, context: Context) -> dict[str, Table]:
        """The rows of each window with their inputs; labels as far as they had arrived by the cutoff."""
        end = cutoff + timedelta(days=self.test_days, microseconds=-1)
        seen = as_known(frame, end, self.delay_days)
        edges = self.lengths.edges(cutoff)
        given = self._told(seen, edges, cutoff, context)
        wide = given.with_inputs(context.columns_of(given))
        label, when, times = wide.name("label"), wide.name("label_time"), arrivals(wide)
        by_then = pl.when(pl.col(when) <= cutoff).then(pl.col(label)).alias(label)
        learned = replace(wide, data=wide.data.with_columns(by_then))
        found = {name: learned.take((times >= begin) & (times < stop)) for name, (begin, stop) in edges.items()}
        if self.known == "removed" and wide.roles.get("entity"):
            since = cutoff - timedelta(days=self.known_days) if self.known_days else edges["train"][0]
            found["test"] = found["test"].take(~self._found_before(seen, found["test"], since))
        return found

    def _cutoffs(self, frame: Table) -> Sequence[datetime]:
        return cutoffs(frame, self.lengths, self.stride_days or self.test_days, self.windows)

    def _told(self, seen: Table, edges: Mapping[str, tuple[datetime, datetime]], by: datetime, context: Context) -> Table:
        """What is known of labels, or as much of it as `most_labels` says."""
        if self.most_labels is None:
            return seen
        return few_labels(seen, self.most_labels, edges["train"][0], edges["decide"][1], by, context.seed)

    def _found_before(self, seen: Table, test: Table, since: datetime) -> pl.Series:
        """Which test rows are of an entity that was known by the beginning of the day to have had a positive row."""
        entity, label, when = (seen.name(role) for role in ("entity", "label", "label_time"))
        positive = seen.data.filter((pl.col(label) == 1) & (arrivals(seen) >= since))
        first = positive.group_by(entity).agg(pl.col(when).min().alias("__found"))
        found = test.data.select(entity).join(first, on=entity, how="left", maintain_order="left")["__found"]
        return (found <= arrivals(test).dt.truncate("1d")).fill_null(False)

    def check_models(self, models: Mapping[str, Classifier], frame: Table) -> None:
        """Labels of two kinds, and a window for each model's calibration."""
        super().check_models(models, frame)
        for model in models.values():
            if model.asks_calibration() and not self.calibrate_days:
                raise ConfigError(
                    f"protocol.calibrate_days: must be > 0 for '{model.name}' (calibration={model.calibration}), got 0."
                )

    def poisoned(self, frame: Table, cutoff: Moment, luck: np.random.Generator) -> Table:
        """Rubbish in the rows that arrive after an instant, and labels turned that do."""
        return poisoned_rows(frame, cutoff.at, self.delay_days, luck)

    def answers(self, rows: pl.DataFrame, cutoff: Moment, frame: Table) -> pl.DataFrame:
        """What was said of rows that had arrived by an instant; reasons where all rows have them.

        Which rows are among those of the highest scores depends on the rest of the window, and is no answer of a model.
        """
        arrived = frame.data.select("row_id", arrivals(frame).alias("__arrived"))
        early = rows.join(arrived, on="row_id", how="left", maintain_order="left").filter(pl.col("__arrived") <= cutoff.at)
        return self.said(early, reasons=self.explained >= len(frame.data))

    def fit_all(self, model: Classifier, frame: Table, context: Context) -> FittedClassifier:
        """The model fitted on the windows that end with the data."""
        end = last_midnight(frame)
        edges = replace(self.lengths, test=0).edges(end)
        seen = self._told(as_known(frame, end, self.delay_days), edges, end, context)
        wide, times = seen.with_inputs(context.columns_of(seen)), arrivals(seen)
        parts = {name: wide.take((times >= begin) & (times < stop)) for name, (begin, stop) in edges.items()}
        return self.fitted(model, parts, context)

    def foresee(self, fitted: FittedClassifier, frame: Table, context: Context) -> pl.DataFrame:
        """What a kept model says of the rows of the last `delay_days` (`test_days` where there is no delay).

        They are younger than all that a model fitted on this data could have learned from.
        """
        end = last_midnight(frame)
        seen = as_known(frame, end, self.delay_days)
        young = arrivals(seen) >= end - timedelta(days=self.delay_days or self.test_days)
        asked = seen.with_inputs(context.columns_of(seen)).take(young)
        return judged(fitted, asked, frame, "new", self.explained)


def _named(cutoff: datetime) -> str:
    """What may be known, as the name of a fold."""
    return cutoff.date().isoformat()


def _days(rows: Table, cutoff: datetime) -> pl.Series:
    """Days from the cutoff to the arrival of each row: a late one is scored on the day that it arrives."""
    return (arrivals(rows).dt.truncate("1d") - cutoff).dt.total_days().cast(pl.Int32).alias("day")
