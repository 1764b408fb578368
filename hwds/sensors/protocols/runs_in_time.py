"""RunsInTime: learn from the first part of each run, score the rest of it row by row."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Level, ZeroSteps
from hwds.core.seeds import stream
from hwds.evaluation.protocol import (
    Cell,
    Deployable,
    Evaluation,
    Fold,
    LeakTestable,
    RunContext,
    Score,
    Segmentable,
    Tunable,
    TuningSplit,
    check_headline,
)
from hwds.evaluation.run_folds import corrupt_runs
from hwds.frames.features.none import None_
from hwds.frames.runs import CYCLE, ENTITY, Runs, is_steady
from hwds.frames.signals import RunFeatures
from hwds.results.tables import Measure
from hwds.sensors.family import SENSOR_ANOMALY
from hwds.sensors.metrics import sensor_measures, sensor_scores
from hwds.sensors.models.base import (
    FittedSensors,
    SensorContext,
    SensorModel,
    SensorScores,
    place_in_run,
)

# Faults put into normal rows, by which settings are chosen without a look at what is scored.

FAULT_KINDS = ("level", "drift", "noise", "stuck", "spikes")
"""A level that moves, one that drifts away, noise that grows, a value that stays, single values far
off.
"""

FAULT_LABEL = "__fault__"
FAULT_SIZES = (1.0, 3.0)
"""The smallest and the largest fault, in standard deviations of the sensor."""


def with_faults(runs: Runs, first: int) -> Runs:
    """Return runs with one fault each in up to three of their sensors, somewhere after their first
    rows, and its label.

    It begins in the first third of what follows and lasts for two fifths to three fifths of it.
    Kinds take turns.

    Args:
        runs: Normal rows without labels.
        first: The rows of each that stay as they are.
    """
    values = runs.numbers(runs.sensors).copy()
    label = np.zeros(len(values))
    for place, (start, stop) in enumerate(pairwise(runs.offsets.tolist())):
        rng = stream(0, "faults", 0, runs.names[place])
        begin, end = _fault_stretch(start + first, stop, rng)
        spread = values[start : start + first].std(axis=0)
        kind = FAULT_KINDS[place % len(FAULT_KINDS)]
        for sensor in rng.permutation(len(runs.sensors))[: rng.integers(1, 4)].tolist():
            size = spread[sensor] * rng.uniform(*FAULT_SIZES) * rng.choice([-1.0, 1.0])
            values[begin:end, sensor] = apply_fault(values[begin:end, sensor], kind, size, rng)
        label[begin:end] = 1.0
    columns = [Series(name, values[:, j]) for j, name in enumerate(runs.sensors)]
    data = runs.data.with_columns(*columns, Series(FAULT_LABEL, label))
    return replace(runs, data=data, roles=runs.roles | {"label": FAULT_LABEL})


def apply_fault(values: ndarray, kind: str, size: float, rng: np.random.Generator) -> ndarray:
    """Return the values of one sensor under a fault of some size, shape (rows,)."""
    rows = len(values)
    if kind == "level":
        return values + size
    if kind == "drift":
        return values + 2 * size * np.linspace(0, 1, rows)
    if kind == "noise":
        return values + rng.normal(0, abs(size), rows)
    if kind == "stuck":
        return np.full(rows, values[0])
    return values + np.where(rng.random(rows) < 0.1, 4 * size, 0.0)


def _fault_stretch(start: int, stop: int, rng: np.random.Generator) -> tuple[int, int]:
    room = stop - start
    begin = start + int(rng.uniform(0.1, 0.33) * room)
    return begin, min(begin + max(int(rng.uniform(0.4, 0.6) * room), 1), stop)


# RunsInTime: learn from the first part of each run, score the rest of it row by row.

ASKED_AT = (0.0, 1 / 3, 2 / 3)
"""The parts of the scored rows that are known at the instants, but for one row more: a leak at any
of them is seen.
"""

NOT_ASKED = -1


ANSWER_COLUMNS = ["score", "alarm", "reason"]
"""The columns that a model says."""


_LOG = logging.getLogger(__name__)

FEWEST = 10
"""The fewest rows of a run that a model learns from."""


class RunsInTime(Evaluation[SensorModel, Runs], Deployable, Segmentable, LeakTestable, Tunable):
    """Learn what is normal from the first rows of each run, and score each row after them by those
    up to it alone.

    A model never sees a label; the first rows are taken as normal, and a run that is labelled
    otherwise is refused. The table also has the metrics of flagging every row and of flagging none.
    The trials of a sweep are scored on faults that are put into the first parts, so that no setting
    is chosen on rows that are scored.

    Attributes:
        train_rows: The rows at the beginning of each run that are learned from.
        learn: `together`, one model from the first parts of all runs, each its own reference, as of
            machines that run side by side; `earlier`, a model for each run from the runs that began
            before it or with it, if runs follow one another; or `each`, a model for each run from
            its own.
        false_alarms: The share of normal rows that may be called anomalous.
        merge: Rows without an alarm between two that still are one episode of alarms.
        headline: The metric that orders the leaderboard, by its short name.
        segments: Static columns of the runs, whose values are scored apart too.
    """

    accepts = SensorModel
    frame_type = SENSOR_ANOMALY.frame
    task = SENSOR_ANOMALY.name
    keys = (ENTITY, "row")
    unit = ENTITY
    fields_not_in_key = (*Evaluation.fields_not_in_key, "merge")

    headline: str = SENSOR_ANOMALY.headline
    train_rows: Annotated[int, Ge(FEWEST), Le(10_000_000)] = 400
    learn: Literal["together", "earlier", "each"] = "together"
    false_alarms: Level = 0.05
    merge: ZeroSteps = 10

    def prepare_frame(self, frame: Runs) -> Runs:
        """Return the runs that have rows to score, and no anomaly in the first ones.

        A warning names how many are left out.

        Raises:
            DataError: There is none, or rows have no label.
        """
        good = (frame.lengths > self.train_rows + 1) & (
            self._first_anomaly(frame) >= self.train_rows
        )
        if not good.any():
            self._refuse(frame)
        if not good.all():
            left, n = int((~good).sum()), frame.n
            _LOG.warning(
                "protocol.train_rows: %d of %d runs end, or have an anomaly, within %d rows and "
                "are left out.",
                left,
                n,
                self.train_rows,
            )
        return frame if good.all() else frame.take(good)

    def split(self, frame: Runs) -> Sequence[Fold]:
        """Return one fold of all runs.

        Raises:
            DataError: A run has no row to score, rows have no label, or one of the first rows is
                labelled anomalous.
        """
        self._refuse(frame)
        return [
            self._fold(frame, 0, f"after the first {self.train_rows} rows", np.ones(frame.n, bool))
        ]

    def evaluate_cell(
        self, model: SensorModel, frame: Runs, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Learn from the first parts of runs; score the rows after them."""
        asked = np.array(cell.fold.cutoffs[0].rows) >= 0
        runs = frame.unmarked
        if self.learn == "together":
            fitted = self.fit_first_rows(model, frame, context)
            return rows_to_score(
                fitted.predict(runs.take(asked)), frame.take(asked), self.train_rows
            )
        parts = []
        for place in np.flatnonzero(asked).tolist():
            one = np.arange(frame.n) == place
            fitted = self.fit_first_rows(
                model, frame.take(self._runs_to_learn_from(frame, place)), context
            )
            parts.append(
                rows_to_score(fitted.predict(runs.take(one)), frame.take(one), self.train_rows)
            )
        return pl.concat(parts)

    def fit_first_rows(self, model: SensorModel, frame: Runs, context: RunContext) -> FittedSensors:
        """Return a model fitted to the first parts of runs."""
        return model.learn(
            frame.until(np.full(frame.n, self.train_rows)).unmarked, self.context(context)
        )

    def context(self, run: RunContext) -> SensorContext:
        """Return what a model is given besides the runs."""
        return SensorContext(
            **run.shared_fields(), first=self.train_rows, false_alarms=self.false_alarms
        )

    def score(self, rows: DataFrame) -> list[Score]:
        """Return all metrics."""
        return sensor_scores(rows, self.merge)

    def measures(self, frame: Runs) -> Sequence[Measure]:
        """Return the metrics with their meanings."""
        return sensor_measures(frame.unit)

    def check_names(self) -> None:
        """Refuse a headline that is none of the task's metrics."""
        check_headline(self.headline, sensor_measures())

    def check_features(self, features: Any, frame: Runs) -> None:
        """Refuse features that are not of runs, or that hold the age of a run."""
        if not isinstance(features, RunFeatures | None_):
            raise ConfigError(
                f"features: '{features.name}' are not computed for runs; take "
                f"features=sensor_windows."
            )
        if isinstance(features, RunFeatures) and features.has_age:
            raise ConfigError(
                "features: the age of a run always drifts; take features=sensor_windows."
            )

    def warnings_before(self, frame: Runs, models: Mapping[str, SensorModel]) -> list[str]:
        """Return the sensors that do not change in the first parts, which are not watched."""
        still = self._steady_sensors(frame)
        return (
            [f"{', '.join(still)}: hardly changes in the first {self.train_rows} rows of the runs."]
            if still
            else []
        )

    def labels(self, frame: Runs, column: str) -> DataFrame:
        """Return a static column by run."""
        known = frame.roles.get("static", ())
        if column not in known:
            raise ConfigError(
                f"protocol.segments: no static column '{column}'{nearest(column, known)}"
            )
        return frame.data.group_by(ENTITY, maintain_order=True).agg(segment=col(column).first())

    def tuning_split(self, frame: Runs, windows: int) -> TuningSplit:
        """Return the first halves of the first parts to learn from, and faults in the second halves
        to find.

        Raises:
            DataError: The first parts are too short.
        """
        if self.train_rows < 2 * FEWEST:
            least = f"protocol.train_rows: must be >= {2 * FEWEST} for a sweep"
            raise DataError(
                f"{least}, which learns from the first half and looks for faults in the second, "
                f"got {self.train_rows}."
            )
        inner = replace(self, train_rows=self.train_rows // 2, segments=())
        first = frame.until(np.full(frame.n, self.train_rows)).unmarked
        faults = with_faults(first, inner.train_rows)
        inner._refuse(faults)
        parts = min(windows, first.n)
        folds = [
            inner._fold(
                faults,
                part,
                f"faults in part {part + 1} of {parts}",
                np.arange(first.n) % parts == part,
            )
            for part in range(parts)
        ]
        return TuningSplit(inner, faults, folds, "faults were put into the first rows of the runs")

    def corrupt_after(self, frame: Runs, cutoff: KnownRows, rng: np.random.Generator) -> Runs:
        """Return the runs with random values for all that was measured, and predicted, after an
        instant.
        """
        return corrupt_runs(frame, np.array(cutoff.rows), rng)

    def predictions_at(self, rows: DataFrame, cutoff: KnownRows, frame: Runs) -> DataFrame:
        """Return the predictions of the rows up to an instant."""
        known = dict(zip(frame.names, cutoff.rows, strict=True))
        last = col(ENTITY).replace_strict(known, return_dtype=pl.Int64)
        return rows.filter(col("row") < last).select(*self.keys, *ANSWER_COLUMNS)

    def fit_all(self, model: SensorModel, frame: Runs, context: RunContext) -> FittedSensors:
        """Return the model fitted to the first parts of all runs."""
        return self.fit_first_rows(model, frame, context)

    def predict_new(self, fitted: FittedSensors, frame: Runs, context: RunContext) -> DataFrame:
        """Return the predictions of the rows after those that are each run's reference, where a run
        has any.

        Raises:
            DataError: No run has.
        """
        longer = frame.lengths > fitted.first
        asked = frame.take(longer) if longer.any() else frame
        rows = rows_to_score(fitted.predict(asked.unmarked), asked, fitted.first)
        return rows.drop("label", "changepoint")

    def _first_anomaly(self, frame: Runs) -> ndarray:
        """Return the place of the first anomalous row of each run, that after its last row where
        there is none; shape (n,).
        """
        label = frame.marks("label")
        if label is None:
            raise DataError(
                "dataset.roles.label: must be given, a column that is 1 in rows with an anomaly "
                "and 0 in others."
            )
        out = frame.lengths.copy()
        ill = np.flatnonzero(label == 1)
        np.minimum.at(out, frame.run_of_row[ill], place_in_run(frame)[ill])
        return out

    def _fold(self, frame: Runs, index: int, name: str, asked: ndarray) -> Fold:
        return Fold(index, name, int(asked.sum()), fold_instants(frame, self.train_rows, asked))

    def _runs_to_learn_from(self, frame: Runs, place: int) -> ndarray:
        """Return which runs the model of one run learns from, shape (n,)."""
        if self.learn == "each":
            return np.arange(frame.n) == place
        start = frame.ends["start"].to_numpy()
        return start <= start[place]

    def _steady_sensors(self, frame: Runs) -> list[str]:
        """Return the sensors that hardly change in the first rows."""
        first = frame.until(np.full(frame.n, self.train_rows))
        return [name for name in frame.sensors if is_steady(first.data[name])]

    def _refuse(self, frame: Runs) -> None:
        short = np.flatnonzero(frame.lengths <= self.train_rows + 1)
        if len(short):
            name, rows = frame.names[short[0]], int(frame.lengths[short[0]])
            rule = f"must be below {rows - 1}, for run '{name}' has {rows} rows"
            raise DataError(f"protocol.train_rows: {rule}, got {self.train_rows}.")
        if self.learn == "earlier" and frame.ends["start"].null_count():
            raise DataError(
                "dataset.roles.start: must be given for each run, so that it is known which began "
                "earlier."
            )
        if len(self._steady_sensors(frame)) == len(frame.sensors):
            raise DataError(
                f"dataset.roles.sensor: no sensor changes in the first {self.train_rows} rows of "
                f"the runs."
            )
        first = self._first_anomaly(frame)
        ill = np.flatnonzero(first < self.train_rows)
        if len(ill):
            name, row = frame.names[ill[0]], int(first[ill[0]])
            rule = f"must be <= {row}, for run '{name}' has an anomaly in the row after"
            raise DataError(f"protocol.train_rows: {rule}, got {self.train_rows}.")


def rows_to_score(scores: SensorScores, frame: Runs, first: int) -> DataFrame:
    """Return the rows after the first ones of each run.

    Args:
        scores: The scores of all rows of the runs.
        frame: The runs with their labels.
        first: Rows of each run that are not scored.
    """
    place = place_in_run(frame)
    nothing = np.full(len(place), np.nan)
    marks = {role: frame.marks(role) for role in ("label", "changepoint")}
    rows = DataFrame(
        {
            ENTITY: frame.data[ENTITY],
            "row": place.astype(np.int64),
            CYCLE: frame.cycles,
            **{
                role: Series(
                    nothing if values is None else values, dtype=pl.Float64, nan_to_null=True
                )
                for role, values in marks.items()
            },
            "score": scores.score,
            "alarm": scores.alarm,
            "reason": Series(scores.reason, dtype=pl.String),
        }
    )
    return rows.filter(col("row") >= first)


@dataclass(frozen=True, slots=True)
class KnownRows:
    """The rows of each run that are known at an instant.

    Attributes:
        part: The part of the scored rows, in words.
        rows: The number of known rows of each run, in their order; `NOT_ASKED` for one that is not
            scored.
    """

    part: str
    rows: tuple[int, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """The name in messages."""
        return self.part


def fold_instants(runs: Runs, first: int, asked: ndarray) -> tuple[KnownRows, ...]:
    """Return the instants of a fold: one row after the first part, and later ones.

    Args:
        runs: All runs.
        first: The rows that are learned from.
        asked: A flag for each run that is scored, shape (n,).
    """
    out = []
    for share in ASKED_AT:
        rows = first + 1 + np.floor(share * (runs.lengths - first - 1)).astype(int)
        known = tuple(np.where(asked, rows, NOT_ASKED).tolist())
        out.append(KnownRows(f"{100 * share:.0f} % of the rows after the first {first}", known))
    return tuple(out)
