"""Training a network: as many epochs as an inner window finds best, then anew for as many on all rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np

from hwds.core.seeds import stream
from hwds.core.watching.learning import learning_curve
from hwds.evaluation.context import RunContext
from hwds.learners.networks.graphs import Graph, epoch_of, first_weights, predict


class Examples(Protocol):
    """Standardised inputs of an inner window, and its targets."""

    @property
    def inputs(self) -> Sequence[np.ndarray]:
        """First axes n."""

    @property
    def target(self) -> np.ndarray:
        """First axis n, NaN where unknown."""


class InnerExamples(NamedTuple):
    """Examples by which the number of epochs is chosen; see `Examples`."""

    inputs: Sequence[np.ndarray]
    target: np.ndarray


class Schedule(NamedTuple):
    """The schedule of training; the fields are those of the recipe."""

    epochs: int
    patience: int
    batch: int
    rate: float
    least_steps: int


@dataclass(frozen=True, eq=False)
class Training:
    """The inputs, shape and schedule that all networks of one fit share.

    Attributes:
        inputs: Standardised inputs of n windows or rows, first axes n.
        shape: The network.
        schedule: Epochs, patience, batch, rate.
        context: Streams, threads, device.
    """

    inputs: Sequence[np.ndarray]
    shape: Graph
    schedule: Schedule
    context: RunContext

    def best_epochs(self, target: np.ndarray, inner: Examples, seed: int) -> int:
        """Return the number of epochs after which a network forecasts the inner window best.

        Args:
            target: Its first axis n, NaN inside the inner window and where unknown.
            inner: Standardised inputs and targets of the inner window.
            seed: The number of the network among those that are averaged.
        """
        return self._best(target, inner, seed)[0]

    def stopped(self, target: np.ndarray, inner: Examples, seed: int) -> list[np.ndarray]:
        """Return the averaged weights after those epochs; as in `best_epochs`."""
        return [part.numpy() for part in self._best(target, inner, seed)[1]]

    def _best(self, target: np.ndarray, inner: Examples, seed: int) -> tuple[int, Any]:
        best, best_weights, least = self.schedule.epochs, None, np.inf
        curve = learning_curve(f"network {seed + 1}", "epoch")
        with self._placed():
            for done, (weights, own) in enumerate(islice(self._epochs(target, seed), self.schedule.epochs), 1):
                loss = self.shape.score(predict(self.shape, weights, inner.inputs), inner.target)
                curve.report(done, train=float(own), validation=loss)
                if loss < least or best_weights is None:
                    best, best_weights, least = (done if loss < least else best), weights, loss
                if done - best >= self.schedule.patience:
                    break
        return best, best_weights

    def train(self, target: np.ndarray, epochs: int, seed: int) -> list[np.ndarray]:
        """Return the averaged weights of a fresh network after so many epochs on targets, first axis n, NaN where unknown."""
        curve = learning_curve(f"network {seed + 1}, all rows", "epoch")
        with self._placed():
            for done, (averaged, loss) in enumerate(islice(self._epochs(target, seed), epochs), 1):
                curve.report(done, train=float(loss))
                weights = averaged
            return [part.numpy() for part in weights]

    def _epochs(self, target: np.ndarray, seed: int) -> Iterator[Any]:
        """Yield the averaged weights and the mean loss of each epoch, without end; a seed has one network and one order."""
        import tensorflow as tf

        # the purposes bear the name of the first network that there was, so that its numbers stay what they were
        rng = stream(self.context.seed, self.context.fold, "lstm order", seed)
        epoch = epoch_of(self.shape, self.schedule.rate)
        weights = [tf.constant(part) for part in first_weights(self.shape, self.context.seed_for("lstm weights", seed))]
        zeros = [tf.zeros_like(part) for part in weights]
        state = (weights, weights, zeros, zeros, tf.constant(0.0))
        held, goal = [tf.constant(part) for part in self.inputs], tf.constant(target)
        while True:
            state, loss = epoch(state, tf.constant(shuffled(len(target), self.schedule, rng)), held, goal)
            yield state[1], loss

    def _placed(self) -> Any:
        from hwds.learners.networks.runtime import placed

        return placed(self.context.device, self.context.cpus)


def shuffled(windows: int, schedule: Schedule, rng: np.random.Generator) -> np.ndarray:
    """Return the windows of each step of an epoch, shape (steps, batch): smaller batches where there are few windows."""
    batch = int(np.clip(windows // schedule.least_steps, 1, schedule.batch))
    steps = windows // batch
    return rng.permutation(windows)[: steps * batch].reshape(steps, batch).astype(np.int32)
