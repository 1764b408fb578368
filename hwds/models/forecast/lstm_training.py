"""Training a network: as many epochs as an inner window finds best, then anew for as many on all rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from hwds.context import Context
from hwds.models.forecast.lstm_inputs import Inputs
from hwds.seeds import stream

if TYPE_CHECKING:
    from hwds.models.forecast.lstm_network import Shape


@dataclass(frozen=True)
class Schedule:
    """How a network is trained; the fields are those of the recipe."""

    units: int
    epochs: int
    patience: int
    batch: int
    rate: float
    least_steps: int


@dataclass(frozen=True, eq=False)
class Training:
    """What all networks of one fit share.

    Attributes:
        inputs: Standardised inputs of n windows.
        schedule: Units, epochs, patience, batch, rate.
        grid: Quantile levels.
        texts: How many texts each code can be.
        context: Streams, threads, device.
    """

    inputs: Inputs
    schedule: Schedule
    grid: tuple[float, ...]
    texts: tuple[int, ...]
    context: Context

    def best_epochs(self, target: np.ndarray, inner: tuple[Inputs, np.ndarray], seed: int) -> int:
        """The number of epochs after which a network forecasts the inner window best.

        Args:
            target: Shape (n, h), NaN inside the inner window and where unknown.
            inner: Standardised inputs and targets of the inner window.
            seed: Which of the networks that are averaged.
        """
        from hwds.models.forecast.lstm_network import forecast

        best, best_loss = self.schedule.epochs, np.inf
        with self._placed():
            for done, weights in enumerate(islice(self._epochs(target, seed), self.schedule.epochs), 1):
                loss = pinball(inner[1], forecast(self._shape, self.schedule.rate, weights, inner[0]), self.grid)
                best, best_loss = (done, loss) if loss < best_loss else (best, best_loss)
                if done - best >= self.schedule.patience:
                    break
        return best

    def train(self, target: np.ndarray, epochs: int, seed: int) -> list[np.ndarray]:
        """The averaged weights of a fresh network after so many epochs on targets of shape (n, h), NaN where unknown."""
        with self._placed():
            weights = next(islice(self._epochs(target, seed), epochs - 1, None))
            return [part.numpy() for part in weights]

    def _epochs(self, target: np.ndarray, seed: int) -> Iterator[Any]:
        """The averaged weights after each epoch, without end; the same network and the same order of windows for a seed."""
        import tensorflow as tf

        from hwds.models.forecast.lstm_network import compiled, first_weights

        luck = stream(self.context.seed, self.context.fold, "lstm order", seed)
        epoch, _ = compiled(self._shape, self.schedule.rate)
        weights = [tf.constant(part) for part in first_weights(self._shape, self.context.seed_for("lstm weights", seed))]
        zeros = [tf.zeros_like(part) for part in weights]
        state = (weights, weights, zeros, zeros, tf.constant(0.0))
        held, goal = [tf.constant(part) for part in self.inputs], tf.constant(target)
        while True:
            state = epoch(state, tf.constant(shuffled(len(target), self.schedule, luck)), held, goal)
            yield state[1]

    @property
    def _shape(self) -> Shape:
        from hwds.models.forecast.lstm_network import Shape

        past, steps, origin = (part.shape[1:] for part in self.inputs[:3])
        return Shape(past, steps, origin, self.texts, self.schedule.units, self.grid)

    def _placed(self) -> Any:
        """Where TensorFlow computes, as a context manager."""
        from hwds.models.forecast.lstm_network import place, tensorflow

        return tensorflow(self.context.cpus).device(place(self.context.device))


def shuffled(windows: int, schedule: Schedule, luck: np.random.Generator) -> np.ndarray:
    """The windows of each step of an epoch, shape (steps, batch): smaller batches where there are few windows."""
    batch = int(np.clip(windows // schedule.least_steps, 1, schedule.batch))
    steps = windows // batch
    return luck.permutation(windows)[: steps * batch].reshape(steps, batch).astype(np.int32)


def pinball(target: np.ndarray, quantiles: np.ndarray, grid: tuple[float, ...]) -> float:
    """The mean pinball loss of known targets."""
    error = target[..., None] - quantiles
    levels = np.array(grid)
    return float(np.nanmean(np.maximum(levels * error, (levels - 1) * error)))
