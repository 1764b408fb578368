"""A recurrent and a convolutional branch over the last cycles of all sensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le, Lt

from hwds.core.recipe import Depth, Draws, Folds, Positive, PositiveInt, Small, Steps, Width
from hwds.core.serialization import Serializable
from hwds.features.signal_windows import along, begins_of, principal_axes
from hwds.features.signals.moving import windows_of
from hwds.features.signals.regimes import RegimeScaling
from hwds.frames.runs import Runs
from hwds.lifetime.context import LifetimeContext
from hwds.lifetime.laws.lives import LEVELS, Lives
from hwds.lifetime.models.base import FittedLife, PointModel, inner_fold, known_targets
from hwds.lifetime.models.networks.two_branches import MaskedTraining, TwoBranches

AGE_UNIT = 100.0
"""The age that a network reads as 1."""

STOPPING = 7
"""One machine in so many tells when to stop."""


class LSTMCNN(PointModel):
    """A network of two branches over a window of all sensors, an LSTM and a convolution, with dropout after them.

    It reads the scaled sensors, their principal components, those less what they were when the machine was new, and the age.
    Dropout's masks are inputs, so that the network can be exported with them. Monte-Carlo dropout (Gal and Ghahramani 2016) is
    no calibrated interval: `intervals=mc_dropout` is there to be compared with conformal ones.

    Attributes:
        window: The last cycles that the networks read.
        units: The units of the LSTM.
        filters: The features of the convolution.
        kernel: Cycles that it looks at.
        components: Principal components of the sensors that are read beside them.
        dropout: The share of numbers that a mask takes away.
        draws: Masks over which Monte-Carlo dropout is taken.
        intervals: `conformal`, by machines that were held out, or `mc_dropout`, by the masks alone.
        every: One in so many cycles is learned from: neighbouring windows are nearly the same.
        epochs: The most passes over the windows.
        patience: Epochs without a smaller loss for machines set apart before stopping.
        networks: The number of networks that are averaged.
        batch: Windows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "window": {"choice": [30, 50]},
        "units": {"choice": [16, 32, 64]},
        "dropout": {"uniform": [0.0, 0.5]},
        "learning_rate": {"loguniform": [0.0005, 0.01]},
    }

    window: Steps = 30
    units: Width = 32
    filters: Width = 32
    kernel: Annotated[int, Ge(1), Le(1_000)] = 5
    components: Annotated[int, Ge(0), Le(1_000)] = 2
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2
    draws: Annotated[Draws, Small(20)] = 100
    intervals: Literal["conformal", "mc_dropout"] = "conformal"
    every: PositiveInt = 3
    epochs: Annotated[Folds, Small(2)] = 25
    patience: PositiveInt = 5
    networks: Annotated[Depth, Small(1)] = 1
    batch: Width = 128
    learning_rate: Positive = 3e-3
    least_steps: Annotated[Draws, Small(10)] = 40

    def learn(self, runs: Runs, context: LifetimeContext) -> FittedLife:
        """Learn the network; and how far it is off for machines that are held out, unless masks alone make intervals."""
        if self.intervals == "conformal":
            return super().learn(runs, context)
        network: TrainedBranches = self.regress(runs, context)
        masks = network.shape.masks(self.draws, self.dropout, context.stream("masks"))
        return FittedDropout(network, masks[0], masks[1])

    def regress(self, runs: Runs, context: LifetimeContext) -> TrainedBranches:
        """Train until machines set apart are predicted no better."""
        from hwds.learners.networks.training import InnerExamples, Schedule

        signals = Signals.learn(runs, self.components)
        values = signals.compute(runs)
        shape = TwoBranches(self.window, values.shape[1], self.units, self.filters, self.kernel)
        known, target = known_targets(runs, context.cap)
        rows = np.flatnonzero(known)
        kept = (rows - begins_of(runs)[rows]) % self.every == 0
        rows, goal = rows[kept], (target[kept] / context.cap).astype(np.float32)
        apart = inner_fold(runs, STOPPING)[runs.run_of_row[rows]] == 0
        windows = windows_of(values, begins_of(runs), self.window, rows)
        inner = InnerExamples([windows[apart], *shape.ones(int(apart.sum()))], goal[apart])
        schedule = Schedule(self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)
        training = MaskedTraining([windows[~apart]], shape, schedule, context, rate=self.dropout)
        weights = tuple(tuple(training.stopped(goal[~apart], inner, number)) for number in range(self.networks))
        return TrainedBranches(signals, shape, weights, context.cap, context.cpus)


@dataclass(frozen=True, eq=False)
class Signals(Serializable):
    """The inputs of a network at each cycle.

    Attributes:
        scaling: Of the sensors.
        axes: Of the principal components.
    """

    scaling: RegimeScaling
    axes: np.ndarray

    @classmethod
    def learn(cls, runs: Runs, components: int) -> Signals:
        """Return the signals with the scales of runs."""
        scaling = RegimeScaling.learn(runs)
        return cls(scaling, principal_axes(scaling.scaled(runs), begins_of(runs), components))

    def compute(self, runs: Runs) -> np.ndarray:
        """Return the numbers of each cycle, shape (rows, sensors + 2 components + 1)."""
        scaled = self.scaling.scaled(runs)
        wear = along(scaled, self.axes)
        begins = begins_of(runs)
        total = np.cumsum(np.vstack([np.zeros(wear.shape[1]), wear]), axis=0)
        last = np.minimum(np.arange(len(wear)), begins + 9)
        young = (total[last + 1] - total[begins]) / (last + 1 - begins)[:, None]
        return np.column_stack([scaled, wear / 2, (wear - young) / 2, runs.cycles / AGE_UNIT])


@dataclass(frozen=True, eq=False)
class TrainedBranches(Serializable):
    """Trained networks of one shape.

    Attributes:
        signals: What they read.
        shape: Theirs.
        weights: Of each.
        cap: What a 1 of theirs stands for.
        cpus: Threads.
    """

    signals: Signals
    shape: TwoBranches
    weights: tuple[tuple[np.ndarray, ...], ...]
    cap: float
    cpus: int

    def points(self, runs: Runs) -> np.ndarray:
        """Return the point of the mean networks at each row, shape (rows,)."""
        rows = np.arange(len(runs.data))
        return self.said(self.windows(runs, rows), self.shape.ones(len(rows)))

    def windows(self, runs: Runs, rows: np.ndarray) -> np.ndarray:
        """Return the windows up to some rows."""
        return windows_of(self.signals.compute(runs), begins_of(runs), self.shape.window, rows)

    def said(self, windows: np.ndarray, masks: list[np.ndarray]) -> np.ndarray:
        """Return the mean of the networks' points for windows under masks, shape (n,)."""
        from hwds.learners.networks.graphs import predict
        from hwds.learners.networks.runtime import placed

        with placed("cpu", self.cpus):
            answers = [predict(self.shape, weights, [windows, *masks]) for weights in self.weights]
        return np.asarray(np.clip(np.mean(answers, axis=0, dtype=float) * self.cap, 0.0, self.cap))


@dataclass(frozen=True, eq=False)
class FittedDropout(Serializable):
    """Networks, and the masks under which they are asked: the same for every machine.

    Attributes:
        network: The networks.
        first: Masks after the branches, shape (draws, joined).
        second: Masks after the dense layer, shape (draws, hidden).
    """

    network: TrainedBranches
    first: np.ndarray
    second: np.ndarray

    def predict(self, runs: Runs) -> Lives:
        """Return the mean and the quantiles over masks at the last row of each run."""
        windows = self.network.windows(runs, runs.offsets[1:] - 1)
        draws = [
            self.network.said(windows, [np.repeat(mask[None], len(windows), axis=0) for mask in pair])
            for pair in zip(self.first, self.second, strict=True)
        ]
        return Lives.of(np.mean(draws, axis=0), np.quantile(draws, LEVELS, axis=0).T)
