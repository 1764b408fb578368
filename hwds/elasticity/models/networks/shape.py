"""The network of demand: embeddings and an LSTM of past prices, a path of the own price that never rises, three heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hwds.core.serialization import Serializable
from hwds.learners.networks.layers import Layers

BEND = 1.0
"""The width, in standard deviations of the log price, over which an elasticity goes from that of low to that of high prices."""

STIFF = 100.0
"""The penalty of the squares of the curvature and of the correction, as a multiple of the elasticity's own."""

CODES = ("sku", "channel", "family")
"""The columns of which a cell has embeddings."""

EMBEDDED, HIDDEN = 4, 12
"""Numbers of an embedding, and units of each hidden layer."""


class Constants(NamedTuple):
    """The columns of the input that no weight multiplies; the first is of a row, the others are the same in all.

    Attributes:
        base: The log mean without the own price's path and the network's correction.
        start: Where softplus is the elasticity, in standard deviations of the log price, that training begins from.
        log_overdispersion: Log a of the variance mean + a mean^2.
        pull: The weight in the loss of the squared distance of a row's elasticity from the start.
    """

    base: Any
    start: Any
    log_overdispersion: Any
    pull: Any


class Answer(NamedTuple):
    """The columns of the output, each of shape (n,).

    Attributes:
        log_mean: Of the units.
        slope: d log units / d log price, in standard deviations of the log price; never above 0.
        gap: The next period's change of the log price less that of the product's other channels.
        risk: Log odds that the next period's price is beyond the cheapest other channel's by more than the threshold.
        away: What distances of the elasticity from the start, and of the correction from 0, cost.
        log_overdispersion: As in the input.
    """

    log_mean: Any
    slope: Any
    gap: Any
    risk: Any
    away: Any
    log_overdispersion: Any

    @classmethod
    def of(cls, output: Any) -> Answer:
        """Return the columns of an output, shape (n, 6)."""
        return cls(*(output[:, place] for place in range(len(cls._fields))))


class Goal(NamedTuple):
    """The columns of the target, NaN where unknown: units, the next change of the gap, whether the next gap is too wide."""

    units: Any
    gap: Any
    risk: Any

    @classmethod
    def of(cls, target: Any) -> Goal:
        """Return the columns of a target, shape (n, 3)."""
        return cls(*(target[:, place] for place in range(len(cls._fields))))


@dataclass(frozen=True)
class DemandShape(Serializable):
    """The key of a graph: all that determines it.

    Attributes:
        steps, columns: Of the history.
        many: How many products, channels and families there are.
        units: Of the LSTM.
        heads: The weight of the heads of gap and risk.
    """

    steps: int
    columns: int
    many: tuple[int, ...]
    units: int
    heads: float

    def network(self, seed: int) -> Any:
        """Return an untrained network: history, market, codes, own price and constants to the columns of `Answer`."""
        import keras
        from keras import layers, ops

        made = Layers(seed)
        history, market = keras.Input((self.steps, self.columns)), keras.Input((2,))
        codes, price, constants = keras.Input((len(self.many),), dtype="int32"), keras.Input((1,)), keras.Input((4,))
        embedded = [
            layers.Embedding(many, EMBEDDED, embeddings_initializer=made.near_zero())(codes[:, i])
            for i, many in enumerate(self.many)
        ]
        past = layers.LSTM(self.units, kernel_initializer=made.glorot(), recurrent_initializer=made.orthogonal())(history)
        about = layers.Concatenate()([*embedded, past])
        body = layers.Concatenate()([about, made.dense(HIDDEN, "tanh")(about)])
        level, turn, change = (self._none_at_first(body) for _ in range(3))
        path, slope = falling(price, constants[:, 1:2] + level, turn)
        beside = made.dense(HIDDEN, "tanh")(layers.Concatenate()([body, market]))
        gap, risk = self._none_at_first(beside), self._none_at_first(beside)
        away = constants[:, 3:4] * (ops.square(level) + STIFF * (ops.square(turn) + ops.square(change)))
        answer = [constants[:, 0:1] + change + path, slope, gap, risk, away, constants[:, 2:3]]
        return keras.Model([history, market, codes, price, constants], layers.Concatenate()(answer))

    @staticmethod
    def _none_at_first(inputs: Any) -> Any:
        """Return a number for each row that is 0 before training, shape (n, 1)."""
        from keras import layers

        return layers.Dense(1, kernel_initializer="zeros")(inputs)

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs, with any number of rows."""
        import tensorflow as tf

        parts = [tf.TensorSpec((None, self.steps, self.columns)), tf.TensorSpec((None, 2))]
        return [*parts, tf.TensorSpec((None, len(self.many)), tf.int32), tf.TensorSpec((None, 1)), tf.TensorSpec((None, 4))]

    @property
    def target(self) -> tuple[int | None, ...]:
        """The columns of `Goal`."""
        return (None, 3)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean negative log-likelihood of units, the cost of distances, and the weighted losses of other heads."""
        import tensorflow as tf

        said, goal = Answer.of(answer), Goal.of(target)
        inverse = tf.exp(-said.log_overdispersion)
        units = tf.where(tf.math.is_finite(goal.units), goal.units, 0.0)
        minus = (units + inverse) * tf.math.softplus(said.log_mean + said.log_overdispersion) - units * said.log_mean
        change, wide = (tf.where(tf.math.is_finite(part), part, 0.0) for part in (goal.gap, goal.risk))
        losses = [
            (minus, goal.units, 1.0),
            (tf.square(said.gap - change), goal.gap, self.heads),
            (tf.math.softplus(said.risk) - wide * said.risk, goal.risk, self.heads),
        ]
        total = tf.reduce_mean(said.away)
        for loss, known, weight in losses:
            there = tf.cast(tf.math.is_finite(known), tf.float32)
            total += weight * tf.reduce_sum(loss * there) / tf.maximum(tf.reduce_sum(there), 1.0)
        return total

    def score(self, answer: np.ndarray, target: np.ndarray) -> float:
        """Return the mean negative log-likelihood of the units alone, in double precision."""
        said, units = Answer.of(answer.astype(np.float64)), Goal.of(target).units.astype(np.float64)
        inverse = np.exp(-said.log_overdispersion)
        each = (units + inverse) * np.logaddexp(0, said.log_mean + said.log_overdispersion) - units * said.log_mean
        return float(np.nanmean(each))


def falling(price: Any, level: Any, turn: Any) -> tuple[Any, Any]:
    """Return a function of the log price that never rises, 0 at a price of 0, and its slope; both of the shape of the price.

    The slope goes from -softplus(level - turn) at low prices to -softplus(level + turn) at high ones: both are below 0
    whatever the weights are, and so is every slope between them.
    """
    from keras import ops

    low, high = ops.softplus(level - turn), ops.softplus(level + turn)
    share = ops.sigmoid(price / BEND)
    bent = BEND * (ops.softplus(price / BEND) - ops.softplus(ops.zeros_like(price)))
    return -(high * bent + low * (price - bent)), -(high * share + low * (1 - share))
