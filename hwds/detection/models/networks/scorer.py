"""Networks that predict the log odds of rows: learned, and explained by integrated gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hwds.core.serialization import Serializable
from hwds.detection.context import RowContext
from hwds.detection.models.classify.base import REST, Classifier, Contributions
from hwds.detection.models.inputs.labels import known, labels_of, learnable
from hwds.detection.models.networks.base import RowArrays, RowExamples, RowNetwork, RowParts, RowShape
from hwds.detection.models.networks.dense import DenseNetworks
from hwds.detection.models.networks.reader import InputReader
from hwds.detection.models.networks.trained import Networks, networks_of
from hwds.evaluation.context import Device
from hwds.frames.base import RowReader
from hwds.frames.table import Table
from hwds.learners.later_share import later

INNER = 0.2
"""Share of the rows, the last ones, that choose the number of epochs where there is no window for that."""

COMPLETE = 1e-2
"""The largest gap between score and contributions before gradients are taken at more points."""

POINTS, MOST_POINTS = 16, 128
"""The points at which gradients are taken at first, and the most of them."""


class NetworkClassifier(RowNetwork, Classifier):
    """A network that predicts the log odds of the label being 1, learned by the binary cross-entropy.

    Without labels of the window for stopping, the last fifth of the training rows chooses the number of epochs, and networks
    are trained anew on all rows. Several are averaged by their log odds.
    """

    reads_arrays: ClassVar[bool] = False
    """True where columns of arrays are read."""

    def body(self, parts: RowParts) -> Any:
        """Return the last layer before the log odds: a Keras tensor (n, features)."""
        raise NotImplementedError(f"{type(self).__name__}.body")

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> NetworkScorer:
        """Train the networks."""
        rows, later_rows = learnable(train), known(stop)
        reader = InputReader.learn(rows, self.reads_arrays)
        shape, given = reader.shape(self), reader.rows(rows)
        examples = RowExamples(given, labels_of(rows).astype(np.float32))
        if later_rows.data.is_empty():
            weights = self.trained_anew(shape, examples, later(rows, INNER), context)
        else:
            inner = RowExamples(reader.rows(later_rows), labels_of(later_rows).astype(np.float32))
            weights = self.trained(shape, examples, inner, context)
        return NetworkScorer(self, reader, weights, reader.mean(given), context.cpus, context.device)

    def output(self, parts: RowParts) -> Any:
        """Return the log odds, shape (n,)."""
        return parts.dense(1)(self.body(parts))[:, 0]

    def goal(self, shape: RowShape) -> tuple[int | None, ...]:
        """Return the shape of one label for each row."""
        return (None,)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean binary cross-entropy, in TensorFlow."""
        import tensorflow as tf

        return tf.reduce_mean(tf.nn.softplus(answer) - target * answer)

    def numpy_loss(self, answer: np.ndarray, target: np.ndarray) -> float:
        """Return the same in numpy."""
        odds = answer.astype(np.float64)
        return float(np.mean(np.logaddexp(0, odds) - target * odds))


@dataclass(frozen=True, eq=False)
class NetworkScorer(Serializable):
    """Weights of the networks, and how rows are read for them.

    Attributes:
        model: The recipe: how the networks are built.
        reader: What they read.
        weights: Of all networks, one after the other.
        mean: The mean row that they were trained on, with weights of codes.
        cpus, device: As they were in fit.
    """

    model: NetworkClassifier
    reader: InputReader
    weights: tuple[np.ndarray, ...]
    mean: RowArrays
    cpus: int
    device: Device

    def score(self, rows: RowReader) -> np.ndarray:
        """Return the mean log odds of the networks."""
        return _mean(self._networks.predict(self.reader.rows(rows)))

    def explain(self, rows: RowReader) -> Contributions:
        """Return the contribution of each input along the path from the mean row; `rest` is the remaining error."""
        given, base = self.reader.rows(rows), self._networks.base
        score = _mean(self._networks.predict(given))
        values, far, points = np.zeros((len(score), len(self.reader.names))), np.arange(len(score)), POINTS
        while True:
            part = tuple(each[far] for each in given)
            values[far] = self.reader.by_input(self._networks.path_parts(part, points))
            rest = score - base - values.sum(axis=1)
            far = np.flatnonzero(np.abs(rest) >= COMPLETE)  # each row by itself, whatever stands beside it
            if points >= MOST_POINTS or not len(far):
                return Contributions((*self.reader.names, REST), base, np.column_stack([values, rest]))
            points *= 2

    @cached_property
    def _networks(self) -> Networks | DenseNetworks:
        mean = tuple(part.astype(np.float32) for part in self.mean)
        return networks_of(self.model, self.reader.shape(self.model), self.weights, self.device, self.cpus, mean)


def _mean(odds: np.ndarray) -> np.ndarray:
    """Return the mean over the networks, in double precision."""
    mean: np.ndarray = odds.astype(np.float64).reshape(*odds.shape[:2]).mean(axis=0)
    return mean
