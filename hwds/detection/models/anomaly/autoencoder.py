"""The autoencoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from hwds.core.errors import DataError
from hwds.core.recipe import Positive, Width
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ColumnScaling, NumberColumns, Spread
from hwds.detection.models.base import Contributions, Detector
from hwds.detection.networks import (
    DenseNetworks,
    RowArrays,
    RowExamples,
    RowNetwork,
    RowParts,
    RowShape,
    TrainedNetworks,
    trained_networks,
)
from hwds.detection.rows import RowContext
from hwds.evaluation.protocol import Device
from hwds.evaluation.trees import latest_share
from hwds.frames.table import RowReader, Table

INNER = 0.2
"""Share of the normals, the last ones, that stop the training where there is no window for that."""

LEAST = 1e-2
"""The usual squared error of an input at least: a tenth of what it is scaled by."""


class Autoencoder(RowNetwork, Detector):
    """The reconstruction error of a network that was trained on normal rows alone.

    Inputs are scaled by the training normals, skewed ones after a logarithm, and cut, so that no
    single value decides. The networks learn by log(1 + squared error), the loss of a Cauchy
    distribution: extremes that are among the normals, found or not, are not learned. The score is
    the mean, over inputs and several networks, of the squared error divided by the input's usual
    squared error on later normal rows. Each input's share is its part of that sum. A usual row's
    score is 1.

    Attributes:
        units: The units of the layers before and after the narrow one.
        narrow: Units of the narrow one.
        scale: The scale that inputs are divided by: the standard deviation, or the median absolute
            one (`robust`).
        clip: Where scaled inputs are cut.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar = {
        "units": {"choice": [32, 64, 128]},
        "narrow": {"choice": [2, 4, 8, 16]},
        "learning_rate": {"loguniform": [0.0003, 0.01]},
    }

    units: Width = 64
    narrow: Width = 8
    scale: Spread = "deviation"
    clip: Positive = 30.0

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> RestoringScorer:
        """Train the networks on normal rows; later ones stop them.

        Raises:
            DataError: There is one normal row, and none to stop by.
        """
        columns = NumberColumns.learn(train)
        scaling = ColumnScaling.learn(columns.matrix(train), self.scale, least=columns.least_spread)
        examples = self._examples(columns, scaling, train)
        if stop.data.is_empty():
            last = latest_share(train, INNER)
            if not last.any():
                raise DataError(
                    "model: an autoencoder needs normal rows to learn from and others to stop by; "
                    "there is one."
                )
            inner, examples = examples.of(last), examples.of(~last)
        else:
            inner = self._examples(columns, scaling, stop)
        shape = RowShape(len(columns.names), (), (), self)
        weights = self.train_networks(shape, examples, inner, context)
        scorer = RestoringScorer(
            self, columns, scaling, weights, np.ones(shape.numbers), context.cpus, context.device
        )
        usual = scorer.errors(inner.target).mean(axis=0)
        return replace(scorer, usual=np.maximum(usual, LEAST))

    def _examples(self, columns: NumberColumns, scaling: ColumnScaling, rows: Table) -> RowExamples:
        scaled = scaling.of(columns.matrix(rows), self.clip).astype(np.float32)
        return RowExamples(network_inputs(scaled), scaled)

    def output(self, parts: RowParts) -> Any:
        """Return the restored numbers."""
        hidden = parts.dense(self.units, "silu")(parts.numbers)
        hidden = parts.dense(self.narrow)(hidden)
        hidden = parts.dense(self.units, "silu")(hidden)
        return parts.dense(parts.shape.numbers)(hidden)

    def silu(self) -> tuple[bool, ...]:
        """Return True for the wide layers; empty for a subclass, whose layers may be others."""
        return (True, False, True, False) if type(self) is Autoencoder else ()

    def goal(self, shape: RowShape) -> tuple[int | None, ...]:
        """Return the shape of the numbers themselves."""
        return (None, shape.numbers)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean of log(1 + squared error), none for what is not known, in TensorFlow."""
        import tensorflow as tf

        known = tf.math.is_finite(target)
        error = tf.where(known, answer - tf.where(known, target, 0.0), 0.0)
        return tf.reduce_mean(tf.math.log1p(tf.square(error)))

    def numpy_loss(self, answer: ndarray, target: ndarray) -> float:
        """Return the same in numpy."""
        return float(np.mean(np.log1p(squared_errors(answer, target))))


@dataclass(frozen=True, eq=False)
class RestoringScorer(Serializable):
    """Weights of the networks, and how rows are read for them.

    Attributes:
        model: The recipe, which builds the networks.
        columns: The inputs that the networks read.
        scaling: The scaling of the columns.
        weights: The weights of all networks, one after the other.
        usual: The squared error of each input that later normals have on the average.
        cpus, device: The threads and the device of the fit.
    """

    model: Autoencoder
    columns: NumberColumns
    scaling: ColumnScaling
    weights: tuple[ndarray, ...]
    usual: ndarray
    cpus: int
    device: Device

    def score(self, rows: RowReader) -> ndarray:
        """Return the mean over the inputs of the squared error over the usual one."""
        return self._parts(rows).sum(axis=1)

    def explain(self, rows: RowReader) -> Contributions:
        """Return each input's share of the score."""
        return Contributions(self.columns.names, 0.0, self._parts(rows))

    def errors(self, scaled: ndarray) -> ndarray:
        """Return the mean of the networks' squared errors in scaled inputs, shape (n, k)."""
        restored = self._networks.predict(network_inputs(scaled))
        errors: ndarray = np.mean([squared_errors(answer, scaled) for answer in restored], axis=0)
        return errors

    @cached_property
    def _networks(self) -> TrainedNetworks | DenseNetworks:
        shape = RowShape(len(self.columns.names), (), (), self.model)
        return trained_networks(self.model, shape, self.weights, self.device, self.cpus)

    def _parts(self, rows: RowReader) -> ndarray:
        scaled = self.scaling.of(self.columns.matrix(rows), self.model.clip).astype(np.float32)
        return self.errors(scaled) / self.usual / scaled.shape[1]


def network_inputs(scaled: ndarray) -> RowArrays:
    """Return the network's inputs; a missing number is the centre."""
    return (np.nan_to_num(scaled), np.zeros((len(scaled), 0), np.int32))


def squared_errors(answer: ndarray, target: ndarray) -> ndarray:
    """Return squared errors in double precision; 0 for a missing number."""
    return np.nan_to_num((answer.astype(np.float64) - target) ** 2)
