"""The network of demand: its shape, inputs, training, and its errors on rows it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from hwds.core.serialization import Serializable
from hwds.elasticity.crossed import LikelihoodExpansion, best_deviations
from hwds.elasticity.design import DemandDesign
from hwds.elasticity.sweeping import Sweeper, number_groups
from hwds.evaluation.networks import Layers, Schedule, Training, on_device, predict_network
from hwds.evaluation.protocol import Device, RunContext

# The network of demand: embeddings and an LSTM of past prices, a path of the own price that
# never rises, three heads.

BEND_WIDTH = 1.0
"""The width, in standard deviations of the log price, over which an elasticity goes from that of
low to that of high prices.
"""

STIFFNESS = 100.0
"""The penalty of the squares of the curvature and of the correction, as a multiple of the
elasticity's own.
"""

EMBEDDED_COLUMNS = ("sku", "channel", "family")
"""The columns of which a cell has embeddings."""

EMBEDDING_SIZE, HIDDEN_UNITS = 4, 12
"""Numbers of an embedding, and units of each hidden layer."""


class ConstantColumns(NamedTuple):
    """The columns of the input that no weight multiplies; the first is of a row, the others are the
    same in all.

    Attributes:
        base: The log mean without the own price's path and the network's correction.
        start: Where softplus is the elasticity, in standard deviations of the log price, that
            training begins from.
        log_overdispersion: Log a of the variance mean + a mean^2.
        pull: The weight in the loss of the squared distance of a row's elasticity from the start.
    """

    base: Any
    start: Any
    log_overdispersion: Any
    pull: Any


class OutputColumns(NamedTuple):
    """The columns of the output, each of shape (n,).

    Attributes:
        log_mean: The log mean of the units.
        slope: d log units / d log price, in standard deviations of the log price; never above 0.
        gap: The next period's change of the log price less that of the product's other channels.
        risk: Log odds that the next period's price is beyond the cheapest other channel's by more
            than the threshold.
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
    def of(cls, output: Any) -> OutputColumns:
        """Return the columns of an output, shape (n, 6)."""
        return cls(*(output[:, place] for place in range(len(cls._fields))))


class TargetColumns(NamedTuple):
    """The columns of the target, NaN where unknown: units, the next change of the gap, whether the
    next gap is too wide.
    """

    units: Any
    gap: Any
    risk: Any

    @classmethod
    def of(cls, target: Any) -> TargetColumns:
        """Return the columns of a target, shape (n, 3)."""
        return cls(*(target[:, place] for place in range(len(cls._fields))))


@dataclass(frozen=True)
class DemandShape(Serializable):
    """The key of a graph: all that determines it.

    Attributes:
        steps, columns: The numbers of steps and of columns of the history.
        many: How many products, channels and families there are.
        units: The units of the LSTM.
        heads: The weight of the heads of gap and risk.
    """

    steps: int
    columns: int
    many: tuple[int, ...]
    units: int
    heads: float

    def network(self, seed: int) -> Any:
        """Return an untrained network: history, market, codes, own price and constants to the
        columns of `OutputColumns`.
        """
        import keras
        from keras import layers, ops

        made = Layers(seed)
        history, market = keras.Input((self.steps, self.columns)), keras.Input((2,))
        codes, price, constants = (
            keras.Input((len(self.many),), dtype="int32"),
            keras.Input((1,)),
            keras.Input((4,)),
        )
        embedded = [
            layers.Embedding(many, EMBEDDING_SIZE, embeddings_initializer=made.near_zero())(
                codes[:, i]
            )
            for i, many in enumerate(self.many)
        ]
        past = layers.LSTM(
            self.units, kernel_initializer=made.glorot(), recurrent_initializer=made.orthogonal()
        )(history)
        about = layers.Concatenate()([*embedded, past])
        body = layers.Concatenate()([about, made.dense(HIDDEN_UNITS, "tanh")(about)])
        level, turn, change = (self._none_at_first(body) for _ in range(3))
        path, slope = falling_function(price, constants[:, 1:2] + level, turn)
        beside = made.dense(HIDDEN_UNITS, "tanh")(layers.Concatenate()([body, market]))
        gap, risk = self._none_at_first(beside), self._none_at_first(beside)
        away = constants[:, 3:4] * (
            ops.square(level) + STIFFNESS * (ops.square(turn) + ops.square(change))
        )
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
        return [
            *parts,
            tf.TensorSpec((None, len(self.many)), tf.int32),
            tf.TensorSpec((None, 1)),
            tf.TensorSpec((None, 4)),
        ]

    @property
    def target(self) -> tuple[int | None, ...]:
        """The columns of `TargetColumns`."""
        return (None, 3)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean negative log-likelihood of units, the cost of distances, and the weighted
        losses of other heads.
        """
        import tensorflow as tf

        outputs, goal = OutputColumns.of(answer), TargetColumns.of(target)
        inverse = tf.exp(-outputs.log_overdispersion)
        units = tf.where(tf.math.is_finite(goal.units), goal.units, 0.0)
        minus = (units + inverse) * tf.math.softplus(
            outputs.log_mean + outputs.log_overdispersion
        ) - units * outputs.log_mean
        change, wide = (
            tf.where(tf.math.is_finite(part), part, 0.0) for part in (goal.gap, goal.risk)
        )
        losses = [
            (minus, goal.units, 1.0),
            (tf.square(outputs.gap - change), goal.gap, self.heads),
            (tf.math.softplus(outputs.risk) - wide * outputs.risk, goal.risk, self.heads),
        ]
        total = tf.reduce_mean(outputs.away)
        for loss, known, weight in losses:
            there = tf.cast(tf.math.is_finite(known), tf.float32)
            total += weight * tf.reduce_sum(loss * there) / tf.maximum(tf.reduce_sum(there), 1.0)
        return total

    def score(self, answer: ndarray, target: ndarray) -> float:
        """Return the mean negative log-likelihood of the units alone, in double precision."""
        outputs = OutputColumns.of(answer.astype(np.float64))
        units = TargetColumns.of(target).units.astype(np.float64)
        inverse = np.exp(-outputs.log_overdispersion)
        each = (units + inverse) * np.logaddexp(
            0, outputs.log_mean + outputs.log_overdispersion
        ) - units * outputs.log_mean
        return float(np.nanmean(each))


def falling_function(price: Any, level: Any, turn: Any) -> tuple[Any, Any]:
    """Return a function of the log price that never rises, 0 at a price of 0, and its slope.

    Both of the shape of the price.

    The slope goes from -softplus(level - turn) at low prices to -softplus(level + turn) at high
    ones: both are below 0 whatever the weights are, and so is every slope between them.
    """
    from keras import ops

    low, high = ops.softplus(level - turn), ops.softplus(level + turn)
    share = ops.sigmoid(price / BEND_WIDTH)
    bent = BEND_WIDTH * (ops.softplus(price / BEND_WIDTH) - ops.softplus(ops.zeros_like(price)))
    return -(high * bent + low * (price - bent)), -(high * share + low * (1 - share))


# Inputs of the network of demand for each row, and the targets of its heads.

HISTORY_COLUMNS = 4
"""The columns of the history."""


class DemandInputs(NamedTuple):
    """Inputs of n rows; none is made of units, and none of what comes after the row's period.

    Attributes:
        history: Of the periods before the row's, the oldest first: own log price, the gap to the
            product's other channels, the promotion, and whether there was a price; shape (n, steps,
            4).
        market: Today's gap, and today's price over that of the cheapest other channel; shape (n,
            2). Only the heads of gap and risk read it.
        codes: The codes of product, channel and family, shape (n, 3).
        price: Today's log price less its cell's mean, shape (n, 1). Only the own price's path reads
            it.
        constants: See `Constants`, shape (n, 4).
    """

    history: ndarray
    market: ndarray
    codes: ndarray
    price: ndarray
    constants: ndarray

    def take(self, rows: ndarray) -> DemandInputs:
        """Return some of the rows."""
        return DemandInputs(*(part[rows] for part in self))


class DemandExamples(NamedTuple):
    """Inputs, and the targets of the heads; see `Goal`.

    Attributes:
        inputs: Of n rows.
        target: Shape (n, 3), NaN where unknown.
    """

    inputs: DemandInputs
    target: ndarray


@dataclass(frozen=True, eq=False)
class PriceScaling(Serializable):
    """The constants by which prices are standardised, and those of all rows.

    Attributes:
        steps: Periods of history.
        price: The standard deviation of log prices less their cell's mean.
        gap: That of the changes of gaps.
        start: See `Constants`.
        log_overdispersion: See `Constants`.
        pull: See `Constants`.
        threshold: The log price beyond the cheapest other channel's from which moving goods pays.
    """

    steps: int
    price: float
    gap: float
    start: float
    log_overdispersion: float
    pull: float
    threshold: float


@dataclass(frozen=True, eq=False)
class RelativePrices:
    """Log prices by cell and period, against those of the same product in other channels; NaN where
    unknown.

    Attributes:
        price: Less the cell's mean, shape (K, T).
        gap: The log price less the mean of the other channels', shape (K, T).
        excess: The log price less the least of the other channels', shape (K, T).
        promotion: 0 for none, shape (K, T).
    """

    price: ndarray
    gap: ndarray
    excess: ndarray
    promotion: ndarray

    @classmethod
    def of(cls, design: DemandDesign) -> RelativePrices:
        """Return the prices of a design's rows."""
        shape = (len(design), design.periods)
        price, promotion = np.full(shape, np.nan), np.zeros(shape)
        price[design.cell, design.period] = design.log_price
        if design.promotion is not None:
            promotion[design.cell, design.period] = np.nan_to_num(design.x[:, design.promotion])
        logs, code = price + design.centres[:, None], design.codes("sku")
        gap, excess = np.full(shape, np.nan), np.full(shape, np.nan)
        for product in np.unique(code):
            own = np.flatnonzero(code == product)
            gap[own], excess[own] = _against_others(logs[own])
        return cls(price, gap, excess, promotion)


def _against_others(logs: ndarray) -> tuple[ndarray, ndarray]:
    """Return log prices of channels less the mean, and less the least, of the others, NaN without
    others; shape (c, T).
    """
    there = np.isfinite(logs)
    count = there.sum(axis=0) - there
    total = np.where(there, logs, 0.0).sum(axis=0) - np.where(there, logs, 0.0)
    known = there & (count > 0)
    lowest = np.full(logs.shape, np.inf)
    for channel in range(len(logs)):
        others = np.delete(np.where(there, logs, np.inf), channel, axis=0)
        lowest[channel] = others.min(axis=0, initial=np.inf)
    mean = total / np.maximum(count, 1)
    return np.where(known, logs - mean, np.nan), np.where(
        known, logs - np.where(known, lowest, 0.0), np.nan
    )


def demand_examples(design: DemandDesign, base: ndarray, scaling: PriceScaling) -> DemandExamples:
    """Return the inputs and targets of all rows of a design.

    The targets of the heads of gap and risk are of the next period: the inputs end with today's
    prices.

    Args:
        design: The rows.
        base: The log mean without the own price's path, shape (rows,).
        scaling: How prices are standardised.
    """
    market = RelativePrices.of(design)
    cell, period = design.cell, design.period
    history = _price_history(market, cell, period, scaling)
    today = np.stack([market.gap[cell, period], market.excess[cell, period]], axis=1)
    codes = np.stack([design.codes(name)[cell] for name in EMBEDDED_COLUMNS], axis=1).astype(
        np.int32
    )
    own = np.nan_to_num(design.log_price)[:, None] / scaling.price
    same = (
        np.full(len(cell), value)
        for value in (scaling.start, scaling.log_overdispersion, scaling.pull)
    )
    constants = ConstantColumns(base, *same)
    inputs = DemandInputs(
        history.astype(np.float32),
        np.nan_to_num(today / scaling.price).astype(np.float32),
        codes,
        own.astype(np.float32),
        np.stack(constants, axis=1).astype(np.float32),
    )
    gap, excess = _next_period(market.gap, cell, period), _next_period(market.excess, cell, period)
    wide = np.where(np.isfinite(excess), excess > scaling.threshold, np.nan)
    goal = TargetColumns(
        np.where(design.used, design.units, np.nan),
        (gap - market.gap[cell, period]) / scaling.gap,
        wide,
    )
    return DemandExamples(inputs, np.stack(goal, axis=1).astype(np.float32))


def _next_period(values: ndarray, cell: ndarray, period: ndarray) -> ndarray:
    """Return the values of the next period, NaN for the last, shape (n,)."""
    later = np.concatenate([values[:, 1:], np.full((len(values), 1), np.nan)], axis=1)
    return later[cell, period]


def _price_history(
    market: RelativePrices, cell: ndarray, period: ndarray, scaling: PriceScaling
) -> ndarray:
    """Return the columns of the periods before each row's, 0 where there was no price, shape (n,
    steps, 4).
    """
    columns = np.stack(
        [
            market.price / scaling.price,
            market.gap / scaling.price,
            market.promotion,
            np.isfinite(market.price),
        ],
        axis=2,
    )
    padded = np.concatenate(
        [np.zeros((len(columns), scaling.steps, HISTORY_COLUMNS)), np.nan_to_num(columns)], axis=1
    )
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, scaling.steps, axis=1
    )  # (K, T + 1, 4, steps)
    return windows[cell, period].transpose(0, 2, 1)


def gap_spread(design: DemandDesign) -> float:
    """Return the standard deviation of the changes of gaps from one period to the next.

    1 where there is none.
    """
    change = np.diff(RelativePrices.of(design).gap, axis=1)
    known = change[np.isfinite(change)]
    spread = float(known.std()) if len(known) else 0.0
    return spread if spread > 1e-9 else 1.0


# The error of a network's elasticities, judged on rows that it has not seen.


class HeldOutPredictions(NamedTuple):
    """Predictions of networks for rows that they had not seen.

    Attributes:
        outputs: The predictions of the rows to learn from, columns of shape (n,).
        fold: In which each was held out, shape (n,).
    """

    outputs: OutputColumns
    fold: ndarray


@dataclass(frozen=True, eq=False)
class HeldOutError:
    """The errors of a network's elasticities.

    Attributes:
        names: The names of the groupings, then `cell`.
        deviations: The standard deviation of what is missed of each group and of each cell, shape
            (groupings + 1,).
        covariance: The covariance of what is missed of all cells, shape (K, K).
    """

    names: tuple[str, ...]
    deviations: ndarray
    covariance: ndarray


def held_out_error(
    design: DemandDesign,
    unseen: HeldOutPredictions,
    overdispersion: float,
    common: float,
    *,
    by_period: bool,
) -> HeldOutError:
    """Return what remains of an answer of price in rows that were held out, cell by cell and of
    their groups.

    Of the true elasticities less the network's the likelihood of the held-out units is expanded at
    the network's answer; the standard deviations are those of greatest marginal posterior (see
    `crossed.best_deviations`). Each fold has a likelihood of its own: a network of one fold has
    learned from the noise of the others, so that sums over folds would vary too little. They hold
    all that is wrong with the network: rows that are few, weights that begin elsewhere, what it
    cannot tell apart, its pull to the mean. Of an error that all cells share, as of prices that
    answer demand, held-out rows say nothing; `common` is its usual variance.

    Args:
        design: The rows of the panel.
        unseen: The networks' predictions of rows that they had not seen.
        overdispersion: a of the variance mean + a mean^2.
        common: The variance of the elasticity of all cells together.
        by_period: Whether there are effects of periods.
    """
    rows = np.flatnonzero(design.used)
    units, mean = design.units[rows], np.exp(np.clip(unseen.outputs.log_mean, -30, 30))
    dispersion = max(float(np.mean((units - mean) ** 2 / (mean + overdispersion * mean**2))), 1e-6)
    weight = mean / (1 + overdispersion * mean) / dispersion
    cell = design.cell[rows]
    period = number_groups(design.period[rows]) if by_period else None
    sweeper = Sweeper.of(number_groups(cell), period)
    price = sweeper.residuals(design.log_price[rows, None], weight)[:, 0]
    score, information = weight * price * (units - mean) / mean, weight * price**2
    none = np.zeros((len(design), 0))
    known = []
    for fold in np.unique(unseen.fold):
        inside = unseen.fold == fold
        linear, precision = (
            np.bincount(cell[inside], part[inside], len(design)) for part in (score, information)
        )
        known.append(LikelihoodExpansion(linear, precision, none, np.zeros(0), np.zeros((0, 0))))
    crossed = design.crossed
    deviations = best_deviations(known, crossed)
    covariance = np.full((len(design),) * 2, common) + deviations[-1] ** 2 * np.eye(len(design))
    for code, deviation in zip(crossed.codes, deviations, strict=False):
        covariance += deviation**2 * (code[:, None] == code)
    return HeldOutError((*crossed.names, "cell"), deviations, covariance)


# The training of the ensemble on all rows, and of networks that each have not seen a part of
# them.


@dataclass(frozen=True, eq=False)
class DemandEnsemble(Serializable):
    """Trained networks of one shape.

    Attributes:
        shape: The shape of each.
        weights: The weights of all of them, one after the other.
        count: How many.
        device, cpus: Where they compute, and with how many threads.
    """

    shape: DemandShape
    weights: tuple[ndarray, ...]
    count: int
    device: Device
    cpus: int

    def answers(self, inputs: Sequence[ndarray]) -> OutputColumns:
        """Return the answers of each network for n rows, each column of shape (count, n), in double
        precision.
        """
        each = len(self.weights) // self.count
        parts = [self.weights[i : i + each] for i in range(0, len(self.weights), each)]
        with on_device(self.device, self.cpus):
            outputs = np.stack(
                [predict_network(self.shape, part, inputs) for part in parts]
            ).astype(np.float64)
        return OutputColumns(*np.moveaxis(outputs, 2, 0))


class EnsemblePlan(NamedTuple):
    """The settings by which an ensemble is trained.

    Attributes:
        shape: The shape of each network.
        schedule: Epochs, batch, rate.
        networks: How many.
        folds: Parts of the clusters that are held out in turn.
    """

    shape: DemandShape
    schedule: Schedule
    networks: int
    folds: int


@dataclass(frozen=True, eq=False)
class TrainedEnsemble:
    """A trained ensemble, and what it says of the rows of a design.

    Attributes:
        design: The rows.
        base: The log mean of each without the own price's path, shape (rows,).
        scaling: The scaling of the inputs.
        goal: Targets of the rows to learn from, columns of shape (n,).
        networks: Trained on these.
        unseen: Of each row to learn from the answer of a network that has not seen its cluster.
        outputs: The answers of each network for all rows, columns of shape (count, rows).
    """

    design: DemandDesign
    base: ndarray
    scaling: PriceScaling
    goal: TargetColumns
    networks: DemandEnsemble
    unseen: HeldOutPredictions
    outputs: OutputColumns

    @property
    def mean(self) -> OutputColumns:
        """The mean answer over the networks, columns of shape (rows,)."""
        return OutputColumns(*(part.mean(axis=0) for part in self.outputs))

    @property
    def without_effects(self) -> ndarray:
        """The networks' parts of the log mean of the rows to learn from: the own price's path and
        the correction.
        """
        return (self.mean.log_mean - self.base)[self.design.used]

    def slopes(self) -> ndarray:
        """Return the mean elasticity of each network over each cell's rows, NaN for a cell without
        one, shape (count, K).
        """
        used, cells = self.design.used, len(self.design)
        cell = self.design.cell[used]
        count = np.bincount(cell, minlength=cells).astype(float)
        total = np.stack(
            [
                np.bincount(cell, each[used], cells)
                for each in self.outputs.slope / self.scaling.price
            ]
        )
        return total / np.where(count > 0, count, np.nan)


def train_and_judge(
    design: DemandDesign,
    base: ndarray,
    scaling: PriceScaling,
    cluster: ndarray,
    plan: EnsemblePlan,
    context: RunContext,
) -> TrainedEnsemble:
    """Return an ensemble trained on the rows of a design, and what it says of them.

    Args:
        design: The rows.
        base: See `TrainedEnsemble`.
        scaling: The scaling of the inputs.
        cluster: Of each row of the panel, shape (rows,): rows of one are held out together.
        plan: How it is trained.
        context: Streams, threads, device.
    """
    every, rows = demand_examples(design, base, scaling), np.flatnonzero(design.used)
    seen = DemandExamples(every.inputs.take(rows), every.target[rows])
    networks = train_ensemble(seen, plan.shape, plan.schedule, plan.networks, context)
    unseen = predict_held_out(seen, cluster[rows], plan.folds, plan.shape, plan.schedule, context)
    return TrainedEnsemble(
        design,
        base,
        scaling,
        TargetColumns.of(seen.target),
        networks,
        unseen,
        networks.answers(every.inputs),
    )


def train_ensemble(
    rows: DemandExamples, shape: DemandShape, schedule: Schedule, count: int, context: RunContext
) -> DemandEnsemble:
    """Return so many networks trained on rows, each from other first weights and in another
    order.
    """
    training = Training(rows.inputs, shape, schedule, context)
    weights = tuple(
        part for seed in range(count) for part in training.train(rows.target, schedule.epochs, seed)
    )
    return DemandEnsemble(shape, weights, count, context.device, context.cpus)


def predict_held_out(
    rows: DemandExamples,
    cluster: ndarray,
    folds: int,
    shape: DemandShape,
    schedule: Schedule,
    context: RunContext,
) -> HeldOutPredictions:
    """Return the answer for each row by a network that has seen no row of its cluster.

    Args:
        rows: Inputs and targets of n rows.
        cluster: The cluster of each row, shape (n,).
        folds: Parts of the clusters, drawn at random.
        shape: The shape of the networks.
        schedule: The schedule of their training.
        context: Streams, threads, device.
    """
    code = number_groups(cluster)
    fold = (context.stream("folds").permutation(int(code.max()) + 1) % folds)[code]
    training = Training(rows.inputs, shape, schedule, context)
    out = np.full((len(OutputColumns._fields), len(code)), np.nan)
    for part in range(folds):
        inside = fold == part
        if not inside.any():
            continue
        target = np.where(inside[:, None], np.float32(np.nan), rows.target)
        alone = DemandEnsemble(
            shape,
            tuple(training.train(target, schedule.epochs, part)),
            1,
            context.device,
            context.cpus,
        )
        out[:, inside] = np.stack(alone.answers(rows.inputs.take(inside)))[:, 0]
    return HeldOutPredictions(OutputColumns(*out), fold)
