"""Networks that say the log odds of rows: learned, and explained by integrated gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hwds.context import Context, Device
from hwds.frames.table import Table
from hwds.models.classify.base import Classifier, Contributions
from hwds.models.classify.labels import known, labels_of, learnable
from hwds.models.classify.later import later
from hwds.models.classify.row_network import Examples, RowNetwork, RowParts, Rows, RowShape, networks_of
from hwds.models.classify.row_reader import RowReader
from hwds.stored import Stored

if TYPE_CHECKING:
    from hwds.models.classify.dense_networks import DenseNetworks
    from hwds.models.classify.row_answers import Networks

INNER = 0.2
"""Share of the rows, the last ones, that choose the number of epochs where there is no window for that."""

COMPLETE = 1e-2
"""How far what the inputs add may lie from the score before gradients are taken at more points."""

POINTS, MOST_POINTS = 16, 128
"""Where gradients are taken at first, and at most."""


class NetworkClassifier(RowNetwork, Classifier):
    """A network that says the log odds of the label being 1, learned by the binary cross-entropy.

    Without labels of the window for stopping, the last fifth of the training rows chooses the number of epochs, and networks
    are trained anew on all rows. Several are averaged by their log odds.
    """

    reads_arrays: ClassVar[bool] = False
    """Whether columns of arrays are read."""

    def body(self, parts: RowParts) -> Any:
        """What stands between the inputs and the log odds: a Keras tensor (n, features)."""
        raise NotImplementedError(f"{type(self).__name__}.body")

    def learn(self, train: Table, *, stop: Table, context: Context) -> NetworkScorer:
        """Train the networks."""
        rows, later_rows = learnable(train), known(stop)
        reader = RowReader.learn(rows, self.reads_arrays)
        shape, given = reader.shape(self), reader.rows(rows)
        examples = Examples(given, labels_of(rows).astype(np.float32))
        if later_rows.data.is_empty():
            weights = self.trained_anew(shape, examples, later(rows, INNER), context)
        else:
            inner = Examples(reader.rows(later_rows), labels_of(later_rows).astype(np.float32))
            weights = self.trained(shape, examples, inner, context)
        return NetworkScorer(self, reader, weights, reader.mean(given), context.cpus, context.device)

    def answer(self, parts: RowParts) -> Any:
        """The log odds, shape (n,)."""
        return parts.dense(1)(self.body(parts))[:, 0]

    def goal(self, shape: RowShape) -> tuple[int | None, ...]:
        """A label for each row."""
        return (None,)

    def loss(self, answer: Any, target: Any) -> Any:
        """The mean binary cross-entropy, in TensorFlow."""
        import tensorflow as tf

        return tf.reduce_mean(tf.nn.softplus(answer) - target * answer)

    def judge(self, answer: np.ndarray, target: np.ndarray) -> float:
        """The same in numpy."""
        odds = answer.astype(np.float64)
        return float(np.mean(np.logaddexp(0, odds) - target * odds))


@dataclass(frozen=True, eq=False)
class NetworkScorer(Stored):
    """Weights of the networks, and how rows are read for them.

    Attributes:
        model: The recipe: how the networks are built.
        reader: What they read.
        weights: Of all networks, one after the other.
        mean: The mean row that they were trained on, with weights of codes.
        cpus, device: As they were in fit.
    """

    model: NetworkClassifier
    reader: RowReader
    weights: tuple[np.ndarray, ...]
    mean: Rows
    cpus: int
    device: Device

    def score(self, rows: Table) -> np.ndarray:
        """The mean log odds of the networks."""
        return _mean(self._networks.answers(self.reader.rows(rows)))

    def explain(self, rows: Table) -> Contributions:
        """What each input adds on the way from the mean row; `rest` is what gradients at a few points of it miss."""
        given, base = self.reader.rows(rows), self._networks.base
        score = _mean(self._networks.answers(given))
        values, far, points = np.zeros((len(score), len(self.reader.names))), np.arange(len(score)), POINTS
        while True:
            part = tuple(each[far] for each in given)
            values[far] = self.reader.by_input(self._networks.path_parts(part, points))
            rest = score - base - values.sum(axis=1)
            far = np.flatnonzero(np.abs(rest) >= COMPLETE)  # each row by itself, whatever stands beside it
            if points >= MOST_POINTS or not len(far):
                return Contributions((*self.reader.names, "rest"), base, np.column_stack([values, rest]))
            points *= 2

    @cached_property
    def _networks(self) -> Networks | DenseNetworks:
        mean = tuple(part.astype(np.float32) for part in self.mean)
        return networks_of(self.model, self.reader.shape(self.model), self.weights, self.device, self.cpus, mean)


def _mean(odds: np.ndarray) -> np.ndarray:
    """Over the networks, in double precision."""
    mean: np.ndarray = odds.astype(np.float64).reshape(*odds.shape[:2]).mean(axis=0)
    return mean
