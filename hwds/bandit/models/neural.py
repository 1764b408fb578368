"""A neural reward model, by batches: the network, its posterior, and the policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy import ndarray

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, BatchKernel
from hwds.core.recipe import Folds, Positive, PositiveInt, Small, Width
from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.evaluation.networks import on_device, tensorflow

# Draws of conversions from what a network learned: by one of several heads, or from the
# posterior of its last layer.

NEWTON_STEPS = 8
"""Steps from the last posterior's mode to the next; the log-posterior is concave, and each step
squares the error.
"""


def last_layer(
    features: ndarray, wins: ndarray, pulls: ndarray, start: ndarray, prior: float
) -> tuple[ndarray, ndarray]:
    """Return the Laplace approximation of a Bayesian logistic regression on the hidden layer
    (Bishop 2006, section 4.5.1).

    Args:
        features: Shape (n, q).
        wins: Conversions of each row, shape (n,).
        pulls: Outcomes of each row, shape (n,).
        start: Weights to begin from, shape (q,).
        prior: The standard deviation of the weights' prior, whose mean is 0.

    Returns:
        The mode, shape (q,), and the lower Cholesky factor of the precision, shape (q, q).
    """
    mode = start.astype(float)
    value = _log_posterior(features, wins, pulls, mode, prior)
    for _ in range(NEWTON_STEPS):
        slope = features.T @ (wins - pulls * probability_of(features @ mode)) - mode / prior**2
        step = np.linalg.solve(_precision(features, pulls, mode, prior), slope)
        trial = _log_posterior(features, wins, pulls, mode + step, prior)
        while (
            trial < value and np.abs(step).max() > 1e-9
        ):  # too far: the log-posterior is concave, so a shorter step gains
            step = step / 2
            trial = _log_posterior(features, wins, pulls, mode + step, prior)
        mode, value = mode + step, trial
    return mode, np.linalg.cholesky(_precision(features, pulls, mode, prior))


def draw_last_layer(
    features: ndarray,
    mode: ndarray,
    root: ndarray,
    rows: ndarray,
    rng: np.random.Generator,
) -> ndarray:
    """Return conversions of all arms for n customers, each by weights of its own draw, shape (n,
    K).

    Args:
        features: By segment and arm, shape (S, K, q).
        mode: The mode of the weights, shape (q,).
        root: The lower Cholesky factor of their precision.
        rows: The segment of each customer, shape (n,).
        rng: The generator of the draws.
    """
    normals = rng.standard_normal((len(mode), len(rows)))
    weights = mode + np.linalg.solve(root.T, normals).T
    return probability_of(np.einsum("nkq,nq->nk", features[rows], weights))


def draw_head(logits: ndarray, rows: ndarray, rng: np.random.Generator) -> ndarray:
    """Return conversions of all arms for n customers, each by a head at random, shape (n, K).

    Args:
        logits: By segment, arm and head, shape (S, K, heads).
        rows: The segment of each customer, shape (n,).
        rng: The generator of the draws.
    """
    heads = rng.integers(logits.shape[2], size=len(rows))
    return probability_of(logits[rows, :, heads])


def probability_of(logits: ndarray) -> ndarray:
    """Return the probability of log-odds."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def _log_posterior(
    features: ndarray, wins: ndarray, pulls: ndarray, weights: ndarray, prior: float
) -> float:
    logits = features @ weights
    return float(
        wins @ logits - pulls @ np.logaddexp(0.0, logits) - weights @ weights / (2 * prior**2)
    )


def _precision(features: ndarray, pulls: ndarray, weights: ndarray, prior: float) -> ndarray:
    p = probability_of(features @ weights)
    return (
        features.T @ (features * (pulls * p * (1 - p))[:, None])
        + np.eye(features.shape[1]) / prior**2
    )


# The network of `neural`: from a customer and an arm to the log-odds of a conversion; trained
# by Keras, evaluated in numpy.

ADAM_MOMENTUM, ADAM_CURVATURE = 0.9, 0.999
"""Adam's two rates (Kingma and Ba 2015)."""

RewardWeights = list[ndarray]


@dataclass(frozen=True)
class RewardShape:
    """The sizes that determine the graph.

    Attributes:
        inputs: Columns that describe a customer and an arm.
        units: Of both hidden layers.
        heads: Answers, each with an output layer of its own.
        prior: Standard deviation that the output layer's weights have before any outcome.
        rate: The learning rate.
    """

    inputs: int
    units: int
    heads: int
    prior: float
    rate: float


def first_reward_weights(shape: RewardShape, rng: np.random.Generator) -> RewardWeights:
    """Return the first kernels and biases of the three layers: Glorot's for the hidden ones, the
    prior's for the last.
    """
    weights = []
    for width, units in ((shape.inputs, shape.units), (shape.units, shape.units)):
        bound = np.sqrt(6 / (width + units))
        weights += [rng.uniform(-bound, bound, (width, units)), np.zeros(units)]
    weights += [
        shape.prior * rng.standard_normal(size)
        for size in ((shape.units, shape.heads), (shape.heads,))
    ]
    return [part.astype(np.float32) for part in weights]


def hidden_features(weights: RewardWeights, inputs: ndarray) -> ndarray:
    """Return the second hidden layer and a one, what the output layer is linear in: (..., F) to
    (..., units + 1), in numpy.
    """
    first = np.maximum(inputs @ weights[0] + weights[1], 0.0)
    second = np.maximum(first @ weights[2] + weights[3], 0.0)
    return np.concatenate([second, np.ones((*second.shape[:-1], 1), second.dtype)], axis=-1)


def reward_output(weights: RewardWeights) -> ndarray:
    """Return the output layer with its biases in the last row, shape (units + 1, heads)."""
    return np.concatenate([weights[4], weights[5][None]])


def train_rewards(
    shape: RewardShape,
    weights: RewardWeights,
    anchor: RewardWeights,
    inputs: ndarray,
    wins: ndarray,
    pulls: ndarray,
    epochs: int,
) -> RewardWeights:
    """Return the weights after so many steps of Adam, from those given, on all that was seen.

    The loss is the negative log-likelihood of each head plus the squared distance of all weights
    from their anchor, over that of the prior: the mode of the posterior, of the network that is
    drawn from it where outcomes and anchor are random (Pearce, Leibfried and Brintrup 2020).

    Args:
        shape: The sizes of the network.
        weights: The weights to begin from.
        anchor: The weights on which the prior is centred.
        inputs: Rows (customer, arm), shape (n, F).
        wins: Conversions of each row for each head, shape (n, heads).
        pulls: Outcomes of each row for each head, shape (n, heads).
        epochs: The number of steps, each on all rows.
    """
    tf = tensorflow(1)
    with on_device("cpu", 1):
        data = [tf.constant(part, tf.float32) for part in (inputs, wins, pulls)]
        begun, around = ([tf.constant(part) for part in parts] for parts in (weights, anchor))
        return [
            part.numpy()
            for part in _training_graph(shape)(begun, around, *data, tf.constant(epochs))
        ]


def _reward_network(shape: RewardShape) -> Any:
    """Return the Keras model; its own weights are never used."""
    import keras
    from keras import layers

    keras_seed = keras.initializers.GlorotUniform(seed=0)
    dense = [
        layers.Dense(shape.units, activation="relu", kernel_initializer=keras_seed)
        for _ in range(2)
    ]
    last = layers.Dense(shape.heads, kernel_initializer=keras_seed)
    return keras.Sequential([keras.Input((shape.inputs,)), *dense, last])


@lru_cache(maxsize=4)
def _training_graph(shape: RewardShape) -> Any:
    """Return the training loop as a graph of weights and data: nothing is kept in it from one call
    to the next.
    """
    import tensorflow as tf

    model = _reward_network(shape)
    hidden_sd = (2 / (shape.inputs + shape.units)) ** 0.5, 1.0, (1 / shape.units) ** 0.5, 1.0

    def loss(weights: Any, anchor: Any, inputs: Any, wins: Any, pulls: Any) -> Any:
        logits, _ = model.stateless_call(weights, [], inputs, training=True)
        loss = tf.reduce_sum(pulls * tf.nn.softplus(logits) - wins * logits) / shape.heads
        sds = (*hidden_sd, shape.prior * shape.heads**0.5, shape.prior * shape.heads**0.5)
        away = [
            tf.reduce_sum(tf.square((w - a) / sd)) / 2
            for w, a, sd in zip(weights, anchor, sds, strict=True)
        ]
        return (loss + tf.add_n(away)) / (1.0 + tf.reduce_sum(pulls) / shape.heads)

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
    def train(weights: Any, anchor: Any, inputs: Any, wins: Any, pulls: Any, epochs: Any) -> Any:
        def step(epoch: Any, weights: Any, first: Any, second: Any) -> Any:
            n = tf.cast(epoch, tf.float32) + 1.0
            with tf.GradientTape() as tape:
                tape.watch(weights)
                value = loss(weights, anchor, inputs, wins, pulls)
            gradients = tape.gradient(value, weights)
            first = [
                ADAM_MOMENTUM * m + (1 - ADAM_MOMENTUM) * g
                for m, g in zip(first, gradients, strict=True)
            ]
            second = [
                ADAM_CURVATURE * v + (1 - ADAM_CURVATURE) * g * g
                for v, g in zip(second, gradients, strict=True)
            ]
            pace = (
                shape.rate * tf.sqrt(1 - tf.pow(ADAM_CURVATURE, n)) / (1 - tf.pow(ADAM_MOMENTUM, n))
            )
            weights = [
                w - pace * m / (tf.sqrt(v) + 1e-7)
                for w, m, v in zip(weights, first, second, strict=True)
            ]
            return epoch + 1, weights, first, second

        zeros = [tf.zeros_like(part) for part in weights]
        return tf.while_loop(lambda epoch, *_: epoch < epochs, step, (0, weights, zeros, zeros))[1]

    return train


# A neural reward model, by batches.


class Neural(Policy):
    """A Keras model of the conversion by customer and arm, which explores by sampling and learns in
    batches.

    The network sees all arms, so that what it learns of one price it knows of the next.
    `last_layer`: its output layer is a Bayesian logistic regression on the hidden layer (Snoek et
    al. 2015; Riquelme, Tucker and Snoek 2018), and each customer is decided by a draw of it.
    `heads`: many output layers, each drawn from the prior and taught by outcomes of random weight
    (Osband et al. 2016), one of them at random for each customer. Customers of a segment look
    alike, so what was seen is kept by segment and arm, and an epoch costs the same however long the
    game.

    Attributes:
        uncertainty: How sure the network is: a Bayesian regression on its `last_layer`, or the
            spread of its `heads`.
        units: The units of each of the two hidden layers.
        heads: Output layers, where it is explored by them.
        prior: Standard deviation of the output layer's weights before any outcome.
        epochs: Steps of training, each on all that was seen, going on from the weights of the time
            before.
        retrain: Batches from one training to the next.
        rate: The learning rate of Adam.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar = {
        "uncertainty": {"choice": ["last_layer", "heads"]},
        "units": {"choice": [16, 32, 64]},
        "prior": {"loguniform": [0.1, 3.0]},
        "rate": {"loguniform": [0.003, 0.03]},
    }

    uncertainty: Literal["last_layer", "heads"] = "last_layer"
    units: Width = 32
    heads: Width = 20
    prior: Positive = 1.0
    epochs: Annotated[Folds, Small(10)] = 50
    retrain: PositiveInt = 1
    rate: Positive = 0.01

    def kernel(self, arms: Arms) -> BatchKernel:
        """Return decisions in numpy, training in Keras."""
        learner = RewardLearner(self, arms.values, reward_inputs(arms))
        propensity = None if learner.bayesian else learner.propensity
        return BatchKernel(
            learner.start, learner.select, learner.update, propensity, independent=True
        )


@dataclass(frozen=True, eq=False)
class LearnedRewards(Serializable):
    """The learned state of one replication.

    Attributes:
        weights: The network's.
        anchor: What its prior is centred on.
        wins, pulls: Conversions and outcomes by segment, arm and head, each head's with its own
            random weights; (S, K, heads).
        updates: Batches that were seen.
        features: What the output layer is linear in, by segment and arm, shape (S, K, units + 1).
        root: The lower Cholesky factor of the precision of the output layer.
        seed: Names what weights the outcomes.
    """

    weights: list[ndarray]
    anchor: list[ndarray]
    wins: ndarray
    pulls: ndarray
    updates: int
    features: ndarray
    root: ndarray
    seed: int


@dataclass(frozen=True, eq=False)
class RewardLearner:
    """The law of a `neural` policy for some arms.

    Attributes:
        recipe: Its settings.
        values: What conversions earn, shape (K,).
        inputs: The network inputs of each segment and arm, shape (S, K, F).
    """

    recipe: Neural
    values: ndarray
    inputs: ndarray

    @property
    def bayesian(self) -> bool:
        """True where it draws from the posterior of its last layer."""
        return self.recipe.uncertainty == "last_layer"

    @property
    def shape(self) -> RewardShape:
        """The network's."""
        recipe = self.recipe
        return RewardShape(
            self.inputs.shape[2],
            recipe.units,
            1 if self.bayesian else recipe.heads,
            recipe.prior,
            recipe.rate,
        )

    def start(self, seed: int) -> LearnedRewards:
        """Return a fresh network; nothing is shared between replications."""
        weights = first_reward_weights(self.shape, stream(seed, "weights"))
        if self.bayesian:
            weights[4:] = [np.zeros_like(part) for part in weights[4:]]  # the mean of its prior
        counts = np.zeros((*self.inputs.shape[:2], self.shape.heads))
        root = np.eye(self.recipe.units + 1) / self.recipe.prior
        return LearnedRewards(
            weights, weights, counts, counts, 0, hidden_features(weights, self.inputs), root, seed
        )

    def select(
        self,
        state: LearnedRewards,
        step: int,
        segments: ndarray,
        contexts: ndarray,
        active: ndarray,
        generator: np.random.Generator,
    ) -> ndarray:
        """Return the arm of the highest draw of conversion x value for each customer.

        Ties at random.
        """
        last = reward_output(state.weights)
        if self.bayesian:
            conversion = draw_last_layer(
                state.features, last[:, 0], state.root, segments, generator
            )
        else:
            conversion = draw_head(state.features @ last, segments, generator)
        worth = np.where(active, conversion * self.values, -np.inf)
        best = worth == worth.max(axis=1, keepdims=True)
        return np.argmax(best * (1.0 - generator.random(best.shape)), axis=1)

    def propensity(
        self,
        state: LearnedRewards,
        step: int,
        segments: ndarray,
        contexts: ndarray,
        active: ndarray,
    ) -> ndarray:
        """Return the share of the heads to which each arm is the best, shape (n, K).

        Of arms that tie each has a part.
        """
        conversion = probability_of(state.features @ reward_output(state.weights))[segments]
        worth = np.where(active[:, None], conversion * self.values[:, None], -np.inf)
        best = worth == worth.max(axis=1, keepdims=True)
        shares: ndarray = (best / best.sum(axis=1, keepdims=True)).mean(axis=2)
        return shares

    def update(
        self,
        state: LearnedRewards,
        steps: ndarray,
        segments: ndarray,
        contexts: ndarray,
        arms: ndarray,
        outcomes: ndarray,
    ) -> LearnedRewards:
        """Count the outcomes, and train where it is time."""
        counts = np.zeros((2, *self.inputs.shape[:2]))
        np.add.at(counts, (outcomes.astype(int), segments, arms), 1.0)
        lost, won = counts[..., None] * np.ones(self.shape.heads)
        if (
            not self.bayesian
        ):  # each outcome counts for each head as often as a Poisson number of mean 1 says
            rng = stream(state.seed, "outcomes", state.updates)
            lost, won = rng.poisson(lost), rng.poisson(won)
        counted = replace(
            state, wins=state.wins + won, pulls=state.pulls + won + lost, updates=state.updates + 1
        )
        return self._trained(counted) if counted.updates % self.recipe.retrain == 0 else counted

    def _trained(self, state: LearnedRewards) -> LearnedRewards:
        rows = self.inputs.reshape(-1, self.inputs.shape[2])
        wins, pulls = (part.reshape(len(rows), -1) for part in (state.wins, state.pulls))
        weights = train_rewards(
            self.shape, state.weights, state.anchor, rows, wins, pulls, self.recipe.epochs
        )
        features, root = hidden_features(weights, self.inputs), state.root
        if self.bayesian:
            flat, start = features.reshape(len(rows), -1), reward_output(weights)[:, 0]
            mode, root = last_layer(flat, wins[:, 0], pulls[:, 0], start, self.recipe.prior)
            weights[4:] = [mode[:-1, None].astype(np.float32), mode[-1:].astype(np.float32)]
        return replace(state, weights=weights, features=features, root=root)


def reward_inputs(arms: Arms) -> ndarray:
    """Return the network's inputs for each segment and arm: the context, a one for the arm, its
    value over all values' spread.

    Returns:
        Shape (S, K, D + K + 1).
    """
    segments, count = max(1, len(arms.contexts)), arms.count
    contexts = np.broadcast_to(arms.contexts[:, None, :], (segments, count, arms.contexts.shape[1]))
    which = np.broadcast_to(np.eye(count), (segments, count, count))
    spread = arms.values.std() or 1.0
    scaled = np.broadcast_to(
        ((arms.values - arms.values.mean()) / spread)[:, None], (segments, count, 1)
    )
    return np.concatenate([contexts, which, scaled], axis=2)
