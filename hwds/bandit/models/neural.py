"""A neural reward model, by batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from hwds.bandit.arms import Arms
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel
from hwds.bandit.models.networks.posterior import chance, draw_head, draw_last_layer, last_layer
from hwds.bandit.models.networks.rewards import Shape, first_weights, hidden, output, train
from hwds.core.recipe import Folds, Positive, PositiveInt, Small, Width
from hwds.core.seeds import stream
from hwds.core.serialization import Serializable


class Neural(Policy):
    """A Keras model of the conversion by customer and arm, explored by drawing what it is unsure of; it learns by batches.

    The network sees all arms, so that what it learns of one price it knows of the next. `last_layer`: its output layer is a
    Bayesian logistic regression on the hidden layer (Snoek et al. 2015; Riquelme, Tucker and Snoek 2018), and each customer is
    decided by a draw of it. `heads`: many output layers, each drawn from the prior and taught by outcomes of random weight
    (Osband et al. 2016), one of them at random for each customer. Customers of a segment look alike, so what was seen is kept
    by segment and arm, and an epoch costs the same however long the game.

    Attributes:
        uncertainty: How sure the network is: a Bayesian regression on its `last_layer`, or the spread of its `heads`.
        units: The units of each of the two hidden layers.
        heads: Output layers, where it is explored by them.
        prior: Standard deviation of the output layer's weights before any outcome.
        epochs: Steps of training, each on all that was seen, going on from the weights of the time before.
        retrain: Batches from one training to the next.
        rate: The learning rate of Adam.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
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
        learner = Learner(self, arms.values, inputs_of(arms))
        propensity = None if learner.bayesian else learner.propensity
        return BatchKernel(learner.start, learner.select, learner.update, propensity, independent=True)


@dataclass(frozen=True, eq=False)
class Learned(Serializable):
    """The learned state of one replication.

    Attributes:
        weights: The network's.
        anchor: What its prior is centred on.
        wins, pulls: Conversions and outcomes by segment, arm and head, each head's with its own random weights; (S, K, heads).
        updates: Batches that were seen.
        features: What the output layer is linear in, by segment and arm, shape (S, K, units + 1).
        root: The lower Cholesky factor of the precision of the output layer.
        seed: Names what weights the outcomes.
    """

    weights: list[np.ndarray]
    anchor: list[np.ndarray]
    wins: np.ndarray
    pulls: np.ndarray
    updates: int
    features: np.ndarray
    root: np.ndarray
    seed: int


@dataclass(frozen=True, eq=False)
class Learner:
    """The law of a `neural` policy for some arms.

    Attributes:
        recipe: Its settings.
        values: What conversions earn, shape (K,).
        inputs: The network inputs of each segment and arm, shape (S, K, F).
    """

    recipe: Neural
    values: np.ndarray
    inputs: np.ndarray

    @property
    def bayesian(self) -> bool:
        """True where it draws from the posterior of its last layer."""
        return self.recipe.uncertainty == "last_layer"

    @property
    def shape(self) -> Shape:
        """The network's."""
        recipe = self.recipe
        return Shape(self.inputs.shape[2], recipe.units, 1 if self.bayesian else recipe.heads, recipe.prior, recipe.rate)

    def start(self, seed: int) -> Learned:
        """Return a fresh network; nothing is shared between replications."""
        weights = first_weights(self.shape, stream(seed, "weights"))
        if self.bayesian:
            weights[4:] = [np.zeros_like(part) for part in weights[4:]]  # the mean of its prior
        counts = np.zeros((*self.inputs.shape[:2], self.shape.heads))
        root = np.eye(self.recipe.units + 1) / self.recipe.prior
        return Learned(weights, weights, counts, counts, 0, hidden(weights, self.inputs), root, seed)

    def select(
        self,
        state: Learned,
        step: int,
        segments: np.ndarray,
        contexts: np.ndarray,
        active: np.ndarray,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Return the arm of the highest draw of conversion x value for each customer; ties at random."""
        last = output(state.weights)
        if self.bayesian:
            conversion = draw_last_layer(state.features, last[:, 0], state.root, segments, generator)
        else:
            conversion = draw_head(state.features @ last, segments, generator)
        worth = np.where(active, conversion * self.values, -np.inf)
        best = worth == worth.max(axis=1, keepdims=True)
        return np.argmax(best * (1.0 - generator.random(best.shape)), axis=1)

    def propensity(
        self, state: Learned, step: int, segments: np.ndarray, contexts: np.ndarray, active: np.ndarray
    ) -> np.ndarray:
        """Return the share of the heads to which each arm is the best, shape (n, K); of arms that tie each has a part."""
        conversion = chance(state.features @ output(state.weights))[segments]
        worth = np.where(active[:, None], conversion * self.values[:, None], -np.inf)
        best = worth == worth.max(axis=1, keepdims=True)
        shares: np.ndarray = (best / best.sum(axis=1, keepdims=True)).mean(axis=2)
        return shares

    def update(
        self,
        state: Learned,
        steps: np.ndarray,
        segments: np.ndarray,
        contexts: np.ndarray,
        arms: np.ndarray,
        outcomes: np.ndarray,
    ) -> Learned:
        """Count the outcomes, and train where it is time."""
        counts = np.zeros((2, *self.inputs.shape[:2]))
        np.add.at(counts, (outcomes.astype(int), segments, arms), 1.0)
        lost, won = counts[..., None] * np.ones(self.shape.heads)
        if not self.bayesian:  # each outcome counts for each head as often as a Poisson number of mean 1 says
            rng = stream(state.seed, "outcomes", state.updates)
            lost, won = rng.poisson(lost), rng.poisson(won)
        counted = replace(state, wins=state.wins + won, pulls=state.pulls + won + lost, updates=state.updates + 1)
        return self._trained(counted) if counted.updates % self.recipe.retrain == 0 else counted

    def _trained(self, state: Learned) -> Learned:
        rows = self.inputs.reshape(-1, self.inputs.shape[2])
        wins, pulls = (part.reshape(len(rows), -1) for part in (state.wins, state.pulls))
        weights = train(self.shape, state.weights, state.anchor, rows, wins, pulls, self.recipe.epochs)
        features, root = hidden(weights, self.inputs), state.root
        if self.bayesian:
            flat, start = features.reshape(len(rows), -1), output(weights)[:, 0]
            mode, root = last_layer(flat, wins[:, 0], pulls[:, 0], start, self.recipe.prior)
            weights[4:] = [mode[:-1, None].astype(np.float32), mode[-1:].astype(np.float32)]
        return replace(state, weights=weights, features=features, root=root)


def inputs_of(arms: Arms) -> np.ndarray:
    """Return the network's inputs for each segment and arm: the context, a one for the arm, its value over all values' spread.

    Returns:
        Shape (S, K, D + K + 1).
    """
    segments, count = max(1, len(arms.contexts)), arms.count
    contexts = np.broadcast_to(arms.contexts[:, None, :], (segments, count, arms.contexts.shape[1]))
    which = np.broadcast_to(np.eye(count), (segments, count, count))
    spread = arms.values.std() or 1.0
    scaled = np.broadcast_to(((arms.values - arms.values.mean()) / spread)[:, None], (segments, count, 1))
    return np.concatenate([contexts, which, scaled], axis=2)
