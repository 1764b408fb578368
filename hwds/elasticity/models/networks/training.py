"""The training of the ensemble on all rows, and of networks that each have not seen a part of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwds.core.serialization import Serializable
from hwds.elasticity.models.networks.inputs import DemandExamples
from hwds.elasticity.models.networks.shape import Answer, DemandShape
from hwds.evaluation.context import Device, RunContext
from hwds.learners.networks.training import Schedule, Training


@dataclass(frozen=True, eq=False)
class Ensemble(Serializable):
    """Trained networks of one shape.

    Attributes:
        shape: Of each.
        weights: Of all of them, one after the other.
        count: How many.
        device, cpus: Where they compute, and with how many threads.
    """

    shape: DemandShape
    weights: tuple[np.ndarray, ...]
    count: int
    device: Device
    cpus: int

    def answers(self, inputs: Sequence[np.ndarray]) -> Answer:
        """Return the answers of each network for n rows, each column of shape (count, n), in double precision."""
        from hwds.learners.networks.graphs import predict
        from hwds.learners.networks.runtime import placed

        each = len(self.weights) // self.count
        parts = [self.weights[i : i + each] for i in range(0, len(self.weights), each)]
        with placed(self.device, self.cpus):
            outputs = np.stack([predict(self.shape, part, inputs) for part in parts]).astype(np.float64)
        return Answer(*np.moveaxis(outputs, 2, 0))


def ensemble(rows: DemandExamples, shape: DemandShape, schedule: Schedule, count: int, context: RunContext) -> Ensemble:
    """Return so many networks trained on rows, each from other first weights and in another order."""
    training = Training(rows.inputs, shape, schedule, context)
    weights = tuple(part for seed in range(count) for part in training.train(rows.target, schedule.epochs, seed))
    return Ensemble(shape, weights, count, context.device, context.cpus)


def held_out(
    rows: DemandExamples, cluster: np.ndarray, folds: int, shape: DemandShape, schedule: Schedule, context: RunContext
) -> Answer:
    """Return the answer for each row by a network that has seen no row of its cluster, columns of shape (n,).

    Args:
        rows: Inputs and targets of n rows.
        cluster: Of each row, shape (n,).
        folds: Parts of the clusters, drawn at random.
        shape: Of the networks.
        schedule: Of their training.
        context: Streams, threads, device.
    """
    code = np.unique(cluster, return_inverse=True)[1]
    fold = (context.stream("folds").permutation(int(code.max()) + 1) % folds)[code]
    training = Training(rows.inputs, shape, schedule, context)
    out = np.full((len(Answer._fields), len(code)), np.nan)
    for part in range(folds):
        inside = fold == part
        if not inside.any():
            continue
        target = np.where(inside[:, None], np.float32(np.nan), rows.target)
        alone = Ensemble(shape, tuple(training.train(target, schedule.epochs, part)), 1, context.device, context.cpus)
        out[:, inside] = np.stack(alone.answers(rows.inputs.take(inside)))[:, 0]
    return Answer(*out)
