"""SensorModel: what sensors say of a machine that is well, with limits from held-out normal
rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Protocol, Self, runtime_checkable

import numpy as np
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.recipe import Recipe
from hwds.core.serialization import Serializable
from hwds.evaluation.protocol import RunContext
from hwds.frames.features.signal_windows import SignalWindows
from hwds.frames.runs import Runs
from hwds.frames.signals import LearnedRunFeatures, RunFeatures
from hwds.frames.table import check_frame

# SensorContext: what a model of sensors is given besides the runs.

WINDOWS = SignalWindows(
    windows=(10,), components=0, statistics=("mean", "sd"), ewma=(), last=False, age=False
)
"""The inputs of models where the experiment has no features: means and standard deviations of each
sensor's last rows.
"""

SIGNALS = SignalWindows(
    windows=(1,), components=0, statistics=("mean",), ewma=(), last=False, age=False
)
"""The scaled sensors themselves."""


@dataclass(frozen=True, slots=True)
class SensorContext(RunContext):
    """The settings of a run, and what a protocol asks of a model beside its own settings.

    Attributes:
        first: The rows at the beginning of each run that are learned from.
        false_alarms: The share of normal rows that may be called anomalous.
    """

    first: int = 400
    false_alarms: float = 0.05

    def run_features(self) -> RunFeatures:
        """Return the experiment's features of runs.

        The windows that models take by themselves where it has none.
        """
        return self.features if isinstance(self.features, RunFeatures) else WINDOWS


# Departures of each row's features from the first rows of the same run.

SMALLEST = 1e-9
"""A usual departure below this, in standard deviations of the sensor, is rounding."""

NEAREST = 0.5
"""The time since the reference at least, against the typical one: what is usual does not shrink
without end.
"""

WARM_UP = 0.25
"""The share of the first rows that windows have to fill: they do not count for what is usual."""


@dataclass(frozen=True, eq=False)
class Departures(Serializable):
    """Features less their mean in the first rows of the run, in units of how far they usually are
    from it later on.

    Machines of one kind differ in the levels of their sensors, and each is its own reference. A
    sensor that wanders while all is well (a temperature over a day) departs far as a rule, and so
    counts less than one that stays where it was. How far is usual grows with the time since the
    reference, as a power of it: that of its square is 1 for a random walk and 0 for a sensor that
    stays. It goes on beyond the rows that were learned from.

    Attributes:
        features: The features with the scales of the runs that were learned from.
        usual: The root mean square departure of each feature in normal rows, shape (features,).
        growth: The power with which its square grows, from 0 to 1, shape (features,).
        typical: Rows since the middle of the reference at which `usual` holds.
    """

    features: LearnedRunFeatures
    usual: ndarray
    growth: ndarray
    typical: float

    @classmethod
    def learn(cls, features: RunFeatures, runs: Runs, share: float) -> Self:
        """Return the departures with the scales of runs.

        Args:
            features: The features of runs.
            runs: First parts, taken as normal.
            share: The share of the rows of each run that are its reference; the distance of later
                ones from it is usual.
        """
        unscaled = cls(features.learn(runs), np.ones(1), np.zeros(1), 1.0)
        reference = reference_rows(runs, share)
        later = place_in_run(runs) >= reference[runs.run_of_row]
        squares = unscaled.compute(runs, reference)[later] ** 2
        since = rows_since(runs, reference)[later]
        usual = np.sqrt(squares.mean(axis=0))
        still = usual <= SMALLEST
        growth = np.where(still, 0.0, _growth(np.where(still, 1.0, squares), since))
        return replace(
            unscaled, usual=np.where(still, 1.0, usual), growth=growth, typical=float(since.mean())
        )

    @property
    def signals(self) -> tuple[str, ...]:
        """The sensor that each feature is computed of."""
        return tuple(name.rpartition(" ")[0] or name for name in self.features.names)

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors, each once."""
        return tuple(dict.fromkeys(self.signals))

    def compute(self, runs: Runs, reference: ndarray) -> ndarray:
        """Return the departures of all rows, shape (rows, features).

        Args:
            runs: The runs from their first row on.
            reference: The number of first rows of each run that are its reference, shape (n,).
        """
        values = self.features.compute(runs)
        levels = np.empty(values.shape)
        for run, (start, stop) in enumerate(pairwise(runs.offsets.tolist())):
            levels[start:stop] = reference_level(
                values[start : start + min(int(reference[run]), stop - start)]
            )
        return self.from_levels(values, levels, rows_since(runs, reference))

    def from_levels(self, values: ndarray, levels: ndarray, since: ndarray) -> ndarray:
        """Return the departures of rows whose levels are known, shape (rows, features).

        Args:
            values: Features, shape (rows, features).
            levels: The levels of each row's run, of the same shape.
            since: Rows from the middle of the reference to each, shape (rows,).
        """
        times = np.maximum(since / self.typical, NEAREST)
        return (values - levels) / self.usual / times[:, None] ** (self.growth / 2)

    def by_sensor(self, parts: ndarray) -> ndarray:
        """Return the sums of what features contribute over those of each sensor, shape (rows,
        sensors).
        """
        out = np.zeros((len(parts), len(self.sensors)))
        for column, signal in enumerate(self.signals):
            out[:, self.sensors.index(signal)] += parts[:, column]
        return out


def reference_level(reference: ndarray) -> ndarray:
    """Return the mean of the features over a reference, but for the rows that windows have to fill.

    Shape (features,).
    """
    return reference[int(WARM_UP * len(reference)) :].mean(axis=0)


def place_in_run(runs: Runs) -> ndarray:
    """Return the place of each row in its run, from 0; shape (rows,)."""
    return np.arange(len(runs.data)) - runs.offsets[:-1][runs.run_of_row]


def rows_since(runs: Runs, reference: ndarray) -> ndarray:
    """Return the rows from the middle of its run's reference to each row, shape (rows,)."""
    return np.abs(place_in_run(runs) - reference[runs.run_of_row] / 2)


def _growth(squares: ndarray, since: ndarray) -> ndarray:
    """Return the power of the time by which squared departures grow, by their means in both halves
    of the time.
    """
    early = since <= np.median(since)
    if early.all() or not early.any():
        return np.zeros(squares.shape[1])
    ratio = squares[~early].mean(axis=0) / np.maximum(squares[early].mean(axis=0), 1e-300)
    return np.clip(np.log(ratio) / np.log(since[~early].mean() / since[early].mean()), 0.0, 1.0)


def reference_rows(runs: Runs, share: float) -> ndarray:
    """Return how many rows are the share of each run's, one at least and not all; shape (n,)."""
    return np.clip(np.floor(share * runs.lengths), 1, np.maximum(runs.lengths - 1, 1)).astype(
        np.int64
    )


# SensorModel: the recipe of a model of what sensors say of a machine that is well, with limits
# from held-out normal rows.


class SensorScorer(Protocol):
    """A model of normal departures."""

    def statistics(self, departures: ndarray, begins: ndarray) -> ndarray:
        """Return how odd each row is by each of some statistics, shape (rows, statistics).

        Of rows of its run up to it alone.

        Args:
            departures: Rows of runs side by side, shape (rows, features).
            begins: The first row of each row's run, shape (rows,).
        """

    def parts(self, departures: ndarray, begins: ndarray, rows: ndarray) -> ndarray:
        """Return what each feature adds to the oddity of some rows, none below 0.

        Shape (rows asked, features).
        """


@runtime_checkable
class LiveScorer(SensorScorer, Protocol):
    """A scorer that gives a row the same bits whatever rows stand beside it, so that it can follow
    a stream.
    """

    @property
    def past(self) -> int:
        """The rows before a row that its statistics are computed of.

        More than these make no difference.
        """


@dataclass(frozen=True, eq=False)
class NormalRows:
    """Departures of normal rows to learn from.

    Attributes:
        departures: The departures of whole first parts, shape (rows, features).
        begins: The first row of each row's run, shape (rows,).
        rows: The places of the rows that are learned from.
        held: Rows for early stopping, places, apart from the others.
    """

    departures: ndarray
    begins: ndarray
    rows: ndarray
    held: ndarray


class SensorModel(Recipe):
    """A model of normal departures: the distance of readings from those at the beginning of the
    run.

    Rows after the reference part of each run are learned from. Some of them are held out in turn:
    whole runs, or stretches of time where there is one run. A row is anomalous where a statistic is
    above the conformal quantile of held-out normal rows (Vovk, Gammerman and Shafer 2005): of new
    normal rows, were they exchangeable with those, no more than the false alarms that are allowed
    lie above. Rows that wander farther the longer a run lasts are not, and have more.

    Attributes:
        reference: The share of the rows that are learned from which are a run's own reference then.
        folds: Parts that are held out in turn for the threshold.
    """

    local = False
    uses_features = True

    reference: Annotated[float, Ge(0.05), Le(0.9)] = 0.3
    folds: Annotated[int, Ge(2), Le(100)] = 4

    def inputs(self, context: SensorContext) -> RunFeatures:
        """Return the features whose departures are judged."""
        return context.run_features()

    def learn_normal(self, normal: NormalRows, context: SensorContext, part: int) -> SensorScorer:
        """Return what is learned of normal rows.

        Args:
            normal: The rows.
            context: Random streams, threads.
            part: The number of the fit among those of the folds, for random streams.
        """
        raise NotImplementedError(f"{type(self).__name__}.learn_normal")

    def learn(self, runs: Runs, context: SensorContext) -> FittedSensors:
        """Return the model fitted to the first parts of runs, taken as normal.

        Raises:
            DataError: No sensor changes, there are too few rows, or fewer than the false alarms
                that are allowed need.
        """
        departures = Departures.learn(self.inputs(context), runs, self.reference)
        values = departures.compute(runs, reference_rows(runs, self.reference))
        begins = np.repeat(runs.offsets[:-1], runs.lengths)
        later = np.flatnonzero(
            place_in_run(runs) >= reference_rows(runs, self.reference)[runs.run_of_row]
        )
        fold = self._fold_of_rows(runs, later)
        held = []
        for number in range(int(fold.max()) + 1):
            scorer = self.learn_normal(
                self._normal_rows(values, begins, later[fold != number]), context, number + 1
            )
            held.append(scorer.statistics(values, begins)[later[fold == number]])
        limits = conformal_limits(np.concatenate(held), context.false_alarms)
        scorer = self.learn_normal(self._normal_rows(values, begins, later), context, 0)
        return FittedSensors(departures, scorer, limits, context.first)

    def fit(self, runs: Runs, *, context: SensorContext | None = None) -> FittedSensors:
        """Return the model fitted to the first rows of runs, in Python and without a run of an
        experiment.

        Args:
            runs: Whose first `context.first` rows are normal.
            context: Random streams, threads, features, the false alarms allowed; seed 0 and one
                thread where it is not given.

        Raises:
            ConfigError: The frame is of another kind.
            DataError: As of `learn`.

        Example:
            >>> hwds.sensors.PCA().fit(runs).predict(runs).score  # doctest: +SKIP
        """
        check_frame("fit", runs, Runs, self)
        context = context or SensorContext(0)
        return self.learn(runs.until(np.minimum(runs.lengths, context.first)).unmarked, context)

    def _fold_of_rows(self, runs: Runs, rows: ndarray) -> ndarray:
        """Return the fold of each of some rows: that of its run, or a stretch of time where there
        is one run.
        """
        if runs.n > 1:
            return runs.run_of_row[rows] % min(self.folds, runs.n)
        least = 2 * self.folds
        if len(rows) < least:
            raise DataError(
                f"protocol.train_rows: {self.folds} folds need {least} rows after the reference, "
                f"got {len(rows)}."
            )
        return np.arange(len(rows)) * self.folds // len(rows)

    def _normal_rows(self, values: ndarray, begins: ndarray, rows: ndarray) -> NormalRows:
        """Return rows to learn from, the last fifth of which, or of the runs, is apart for early
        stopping.
        """
        runs = np.unique(begins[rows])
        if len(runs) >= STOPPING:
            apart = np.isin(begins[rows], runs[STOPPING - 1 :: STOPPING])
        else:
            apart = np.arange(len(rows)) >= len(rows) - len(rows) // STOPPING
        return NormalRows(values, begins, rows, rows[apart] if apart.any() else rows)


STOPPING = 5
"""One run in so many, or the last of so many parts of the rows, tells a network when to stop."""


def conformal_limits(held: ndarray, false_alarms: float) -> ndarray:
    """Return the limit of each statistic, shape (statistics,): each has an equal part of the false
    alarms.

    Args:
        held: Statistics of normal rows that were held out, shape (rows, statistics).
        false_alarms: The share of normal rows that may lie above any limit.

    Raises:
        DataError: There are too few rows for so few false alarms.
    """
    rows, count = held.shape
    rank = int(np.ceil((rows + 1) * (1 - false_alarms / count)))
    if rank > rows:
        least = count / (rows + 1)
        raise DataError(
            f"protocol.false_alarms: must be >= {least:.2g} with {rows} held-out rows, got "
            f"{false_alarms:g}."
        )
    return np.maximum(np.sort(held, axis=0)[rank - 1], np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class FittedSensors(Serializable):
    """A model of normal departures, and its limits.

    Attributes:
        departures: The departures of features from a run's first rows.
        scorer: The model of normal departures.
        limits: The limits of each statistic.
        first: The rows of a run that are its reference.
    """

    departures: Departures
    scorer: SensorScorer
    limits: ndarray
    first: int

    def predict(self, runs: Runs) -> SensorScores:
        """Return how odd each row is.

        Each by the rows of its run up to it alone, after those that are its reference.

        Raises:
            DataError: A run has no more rows than its reference.
        """
        short = np.flatnonzero(runs.lengths <= self.first)
        if len(short):
            name, length = runs.names[short[0]], int(runs.lengths[short[0]])
            raise DataError(
                f"dataset: run '{name}' has {length} rows; the first {self.first} are its "
                f"reference, none is left."
            )
        values = self.departures.compute(runs, np.full(runs.n, self.first))
        return self.scored(values, np.repeat(runs.offsets[:-1], runs.lengths))

    def scored(self, values: ndarray, begins: ndarray) -> SensorScores:
        """Return how odd rows are by their departures, shape (rows, features), and the first row of
        each one's run.

        A row whose statistics are no numbers, for its readings are too large to be squared, is
        infinitely odd.
        """
        score = (self.scorer.statistics(values, begins) / self.limits).max(axis=1)
        score[np.isnan(score)] = np.inf
        rows = np.flatnonzero(score > 1.0)
        parts = np.zeros((len(score), len(self.departures.sensors)))
        if len(rows):
            parts[rows] = self.departures.by_sensor(self.scorer.parts(values, begins, rows))
        return SensorScores(score, self.departures.sensors, parts)


@dataclass(frozen=True, eq=False)
class SensorScores:
    """The scores of rows.

    Attributes:
        score: The oddity of each row, above 1 where a statistic is above its limit; shape (rows,).
        sensors: The names of the sensors.
        parts: The part of each sensor in rows above the limit, 0 elsewhere; shape (rows, sensors).
    """

    score: ndarray
    sensors: tuple[str, ...]
    parts: ndarray

    @property
    def alarm(self) -> ndarray:
        """A flag for each row that is called anomalous."""
        return self.score > 1.0

    @property
    def reason(self) -> list[str | None]:
        """The sensor that adds most to the oddity of each row, None in rows that are not called
        anomalous.
        """
        pairs = zip(self.parts.argmax(axis=1).tolist(), self.alarm.tolist(), strict=True)
        return [self.sensors[place] if called else None for place, called in pairs]
