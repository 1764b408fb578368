"""Training one network: epochs over shuffled windows, stopped by an inner window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.context import Context
from hwds.models.forecast.lstm_inputs import Inputs
from hwds.seeds import stream


@dataclass(frozen=True)
class Schedule:
    """How a network is trained; the fields are those of the recipe."""

    units: int
    epochs: int
    patience: int
    batch: int
    rate: float
    least_steps: int


def train(
    inputs: Inputs,
    target: np.ndarray,
    inner: tuple[Inputs, np.ndarray] | None,
    schedule: Schedule,
    grid: tuple[float, ...],
    texts: Sequence[int],
    context: Context,
    seed: int,
) -> list[np.ndarray]:
    """The averaged weights of the epoch that was best on the inner window, or of the last epoch where there is none.

    Args:
        inputs: Standardised inputs of n windows.
        target: Shape (n, h), NaN where it must not be learned.
        inner: Inputs and targets of the inner window.
        schedule: Units, epochs, patience, batch, rate.
        grid: Quantile levels.
        texts: How many texts each code can be.
        context: Streams, threads, device.
        seed: Which of the networks that are averaged.
    """
    from hwds.models.forecast.lstm_network import Shape, compiled, first_weights, forecast, place, tensorflow

    tf = tensorflow(context.cpus)
    shape = Shape(inputs.past.shape[1:], inputs.steps.shape[1:], inputs.origin.shape[1:], tuple(texts), schedule.units, grid)
    luck = stream(context.seed, context.fold, "lstm order", seed)
    with tf.device(place(context.device)):
        epoch, _ = compiled(shape, schedule.rate)
        weights = [tf.constant(part) for part in first_weights(shape, context.seed_for("lstm weights", seed))]
        zeros = [tf.zeros_like(part) for part in weights]
        state = (weights, weights, zeros, zeros, tf.constant(0.0))
        held, goal = [tf.constant(part) for part in inputs], tf.constant(target)
        best, best_loss, waited = weights, np.inf, 0
        for _ in range(schedule.epochs):
            state = epoch(state, tf.constant(shuffled(len(target), schedule, luck)), held, goal)
            found = np.inf if inner is None else pinball(inner[1], forecast(shape, schedule.rate, state[1], inner[0]), grid)
            waited = 0 if found < best_loss else waited + 1
            if found < best_loss or inner is None:
                best, best_loss = state[1], found
            if inner is not None and waited >= schedule.patience:
                break
        return [part.numpy() for part in best]


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
