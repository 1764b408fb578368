"""A network that restores the last rows of all sensors from a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le

from hwds.core.recipe import Depth, Draws, Folds, Positive, PositiveInt, Small, Width
from hwds.core.serialization import Serializable
from hwds.evaluation.context import Device
from hwds.features.base import RunFeatures
from hwds.features.signals.moving import windows_of
from hwds.sensors.context import SIGNALS, SensorContext
from hwds.sensors.models.base import NormalRows, SensorModel
from hwds.sensors.models.networks.sequence import Layers, SequenceNetwork, restored

LEAST = 1e-3
"""The usual squared error of a sensor at least, in its usual squared departures."""


class Autoencoder(SensorModel):
    """The error with which a network that was trained on normal windows restores one from a few numbers.

    It reads the last rows of all sensors, less what they were when the run began. Layers are dense, over the whole window;
    convolutions along it; or LSTMs, of which the first sums the window up and the second writes it again (Malhotra et al.
    2016).
    The score is the mean over sensors of the squared error in the window over that sensor's usual one, which normal rows have
    that training did not see.

    Attributes:
        layers: The kind of layers: `dense`, `convolution` or `lstm`.
        window: The rows of a window.
        units: The units of the layers before and after the narrow one; filters of convolutions.
        narrow: Numbers that a window is restored from.
        every: One in so many rows is learned from: neighbouring windows are nearly the same.
        epochs: The most passes over the windows.
        patience: Epochs without a smaller error for rows set apart before stopping.
        networks: The number of networks that are averaged.
        batch: Windows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least.
    """

    uses_features: ClassVar[bool] = False
    search_space: ClassVar[Mapping[str, Any]] = {
        "window": {"choice": [5, 10, 20, 30]},
        "narrow": {"choice": [2, 4, 8]},
        "units": {"choice": [16, 32, 64]},
    }

    layers: Layers = "dense"
    window: Annotated[int, Ge(2), Le(10_000), Small(8)] = 16
    units: Width = 32
    narrow: Width = 4
    every: PositiveInt = 2
    epochs: Annotated[Folds, Small(2)] = 30
    patience: PositiveInt = 5
    networks: Annotated[Depth, Small(1)] = 1
    batch: Width = 64
    learning_rate: Positive = 3e-3
    least_steps: Annotated[Draws, Small(10)] = 40

    def inputs(self, context: SensorContext) -> RunFeatures:
        """Return the sensors themselves."""
        return SIGNALS

    def learn_normal(self, normal: NormalRows, context: SensorContext, part: int) -> Restorer:
        """Train until rows set apart are restored no better."""
        from hwds.learners.networks.training import InnerExamples, Schedule, Training

        shape = SequenceNetwork(self.layers, self.window, normal.departures.shape[1], self.units, self.narrow)
        windows = windows_of(normal.departures, normal.begins, self.window, normal.held)
        learned = np.setdiff1d(normal.rows, normal.held) if len(normal.held) < len(normal.rows) else normal.rows
        inputs = windows_of(normal.departures, normal.begins, self.window, learned[:: self.every])
        schedule = Schedule(self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps)
        training = Training([inputs], shape, schedule, context)
        inner = InnerExamples([windows], windows)
        numbers = range(part * self.networks, (part + 1) * self.networks)
        weights = tuple(tuple(training.stopped(inputs, inner, number)) for number in numbers)
        restorer = Restorer(shape, weights, np.ones(shape.signals), context.cpus, context.device)
        usual = restorer.errors(normal.departures, normal.begins)[normal.held].mean(axis=0)
        return Restorer(shape, weights, np.maximum(usual, LEAST), context.cpus, context.device)


@dataclass(frozen=True, eq=False)
class Restorer(Serializable):
    """Trained networks.

    Attributes:
        shape: Of each.
        weights: Of each.
        usual: The squared error of each sensor in normal windows, shape (sensors,).
        cpus, device: As they were in fit.
    """

    shape: SequenceNetwork
    weights: tuple[tuple[np.ndarray, ...], ...]
    usual: np.ndarray
    cpus: int
    device: Device

    def errors(self, departures: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """Return the mean squared error in the window up to each row, of each sensor, the mean of the networks'."""
        return restored(self.shape, self.weights, departures, begins, self.device, self.cpus)

    def statistics(self, departures: np.ndarray, begins: np.ndarray) -> np.ndarray:
        """Return the mean over sensors of errors over usual ones, shape (rows, 1)."""
        return np.asarray((self.errors(departures, begins) / self.usual).mean(axis=1))[:, None]

    def parts(self, departures: np.ndarray, begins: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the error of each sensor over its usual one."""
        return np.asarray(self.errors(departures, begins)[rows] / self.usual)
