"""The training of the ensemble on all rows, and of networks that each have not seen a part of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwds.core.serialization import Serializable
from hwds.elasticity.design.rows import Design
from hwds.elasticity.models.networks.inputs import DemandExamples, Scaling, examples
from hwds.elasticity.models.networks.missed import Unseen
from hwds.elasticity.models.networks.shape import Answer, DemandShape, Goal
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


class TrainingPlan(NamedTuple):
    """The settings by which an ensemble is trained.

    Attributes:
        shape: Of each network.
        schedule: Epochs, batch, rate.
        networks: How many.
        folds: Parts of the clusters that are held out in turn.
    """

    shape: DemandShape
    schedule: Schedule
    networks: int
    folds: int


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained ensemble, and what it says of the rows of a design.

    Attributes:
        design: The rows.
        base: The log mean of each without the own price's path, shape (rows,).
        scaling: Of the inputs.
        goal: Targets of the rows to learn from, columns of shape (n,).
        networks: Trained on these.
        unseen: Of each row to learn from the answer of a network that has not seen its cluster.
        said: The answers of each network for all rows, columns of shape (count, rows).
    """

    design: Design
    base: np.ndarray
    scaling: Scaling
    goal: Goal
    networks: Ensemble
    unseen: Unseen
    said: Answer

    @property
    def mean(self) -> Answer:
        """The mean answer over the networks, columns of shape (rows,)."""
        return Answer(*(part.mean(axis=0) for part in self.said))

    @property
    def without_effects(self) -> np.ndarray:
        """The networks' parts of the log mean of the rows to learn from: the own price's path and the correction."""
        return np.asarray((self.mean.log_mean - self.base)[self.design.used])

    def slopes(self) -> np.ndarray:
        """Return the mean elasticity of each network over each cell's rows, NaN for a cell without one, shape (count, K)."""
        used, cells = self.design.used, len(self.design)
        cell = self.design.cell[used]
        count = np.bincount(cell, minlength=cells).astype(float)
        total = np.stack([np.bincount(cell, each[used], cells) for each in self.said.slope / self.scaling.price])
        return np.asarray(total / np.where(count > 0, count, np.nan))


def trained(
    design: Design, base: np.ndarray, scaling: Scaling, cluster: np.ndarray, plan: TrainingPlan, context: RunContext
) -> Trained:
    """Return an ensemble trained on the rows of a design, and what it says of them.

    Args:
        design: The rows.
        base: See `Trained`.
        scaling: Of the inputs.
        cluster: Of each row of the panel, shape (rows,): rows of one are held out together.
        plan: How it is trained.
        context: Streams, threads, device.
    """
    every, rows = examples(design, base, scaling), np.flatnonzero(design.used)
    seen = DemandExamples(every.inputs.take(rows), every.target[rows])
    networks = ensemble(seen, plan.shape, plan.schedule, plan.networks, context)
    unseen = held_out(seen, cluster[rows], plan.folds, plan.shape, plan.schedule, context)
    return Trained(design, base, scaling, Goal.of(seen.target), networks, unseen, networks.answers(every.inputs))


def ensemble(rows: DemandExamples, shape: DemandShape, schedule: Schedule, count: int, context: RunContext) -> Ensemble:
    """Return so many networks trained on rows, each from other first weights and in another order."""
    training = Training(rows.inputs, shape, schedule, context)
    weights = tuple(part for seed in range(count) for part in training.train(rows.target, schedule.epochs, seed))
    return Ensemble(shape, weights, count, context.device, context.cpus)


def held_out(
    rows: DemandExamples, cluster: np.ndarray, folds: int, shape: DemandShape, schedule: Schedule, context: RunContext
) -> Unseen:
    """Return the answer for each row by a network that has seen no row of its cluster.

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
    return Unseen(Answer(*out), fold)
