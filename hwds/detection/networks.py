"""Networks of rows: how they read rows, their layers and training, their scores and
explanations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Annotated, Any, NamedTuple, Protocol, Self

import numpy as np
from numpy import ndarray

from hwds.core.compiling import compiled
from hwds.core.errors import DataError
from hwds.core.recipe import Depth, Draws, Folds, Positive, PositiveInt, Recipe, Small, Width
from hwds.core.serialization import Serializable
from hwds.detection.inputs import ColumnScaling, ModelInputs, join_scalings
from hwds.detection.kernels.dense import (
    DenseLayers,
    DenseScratch,
    add_path_integrals,
    forward,
    gauss_legendre,
)
from hwds.detection.models.base import REST, Classifier, Contributions
from hwds.detection.rows import RowContext, labelled_rows, labels_of, learnable
from hwds.evaluation.networks import GRAPHS, Layers, Schedule, Training, forward_of, on_device
from hwds.evaluation.protocol import Device
from hwds.evaluation.trees import latest_share
from hwds.frames.table import RowReader, Table

# Networks of rows: their layers and their training.

EMBEDDED = 8
"""Numbers that a text is embedded as, at most."""

RowArrays = tuple[ndarray, ...]
"""Numbers (n, k), codes of texts (n, c), then one array (n, steps, a) for each column of arrays."""


class RowExamples(NamedTuple):
    """Rows and their targets."""

    inputs: RowArrays
    target: ndarray

    def of(self, which: ndarray) -> RowExamples:
        """Return the rows of a mask."""
        return RowExamples(tuple(part[which] for part in self.inputs), self.target[which])


class RowDesign(Protocol):
    """The recipe that builds the network, equal to another with the same settings."""

    def output(self, parts: RowParts) -> Any:
        """Return the answer as a Keras tensor."""

    def goal(self, shape: RowShape) -> tuple[int | None, ...]:
        """Return the shape of the target of any number of rows."""

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the mean loss of known targets, in TensorFlow."""

    def numpy_loss(self, answer: ndarray, target: ndarray) -> float:
        """Return the same in numpy."""


@dataclass(frozen=True)
class RowShape:
    """The shape of a network of rows, which determines its graph.

    Attributes:
        numbers: The number of inputs that are numbers.
        texts: The number of codes of each column of texts.
        arrays: The steps, and the numbers of each, of each column of arrays.
        design: The recipe that builds the network.
        soft: Whether texts are read as weights of their codes, not as codes: what a gradient is
            taken by.
    """

    numbers: int
    texts: tuple[int, ...]
    arrays: tuple[tuple[int, int], ...]
    design: RowDesign
    soft: bool = False

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras

        parts = RowParts(self, seed)
        return keras.Model(parts.inputs, self.design.output(parts))

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs, with any number of rows."""
        import tensorflow as tf

        codes = (
            tf.TensorSpec((None, sum(self.texts)))
            if self.soft
            else tf.TensorSpec((None, len(self.texts)), tf.int32)
        )
        return [
            tf.TensorSpec((None, self.numbers)),
            codes,
            *(tf.TensorSpec((None, *part)) for part in self.arrays),
        ]

    @property
    def target(self) -> tuple[int | None, ...]:
        """The design's."""
        return self.design.goal(self)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the design's."""
        return self.design.loss(answer, target)

    def score(self, answer: ndarray, target: ndarray) -> float:
        """Return the design's."""
        return self.design.numpy_loss(answer, target)


class RowParts(Layers):
    """The inputs of a network of rows as Keras tensors, and the layers that it is built of.

    Attributes:
        shape: Of the inputs.
        numbers: Shape (n, k).
        arrays: Shapes (n, steps, a).
    """

    def __init__(self, shape: RowShape, seed: int) -> None:
        import keras

        super().__init__(seed)
        self.shape, self.numbers = shape, keras.Input((shape.numbers,))
        self._codes = (
            keras.Input((sum(shape.texts),))
            if shape.soft
            else keras.Input((len(shape.texts),), dtype="int32")
        )
        self.arrays = [keras.Input(part) for part in shape.arrays]

    @property
    def inputs(self) -> list[Any]:
        """In the order of `RowArrays`."""
        return [self.numbers, self._codes, *self.arrays]

    def plain(self) -> Any:
        """Return the numbers and the embeddings of the texts side by side: shape (n,
        features).
        """
        from keras import layers, ops

        features, begin = [self.numbers], 0
        for i, many in enumerate(self.shape.texts):
            weights = (
                self._codes[:, begin : begin + many]
                if self.shape.soft
                else ops.one_hot(self._codes[:, i], many)
            )
            features.append(
                layers.Dense(
                    min(EMBEDDED, many), use_bias=False, kernel_initializer=self.near_zero()
                )(weights)
            )
            begin += many
        return layers.Concatenate()(features) if len(features) > 1 else features[0]


class RowNetwork(Recipe):
    """The training of networks of rows; several are averaged.

    Attributes:
        epochs: Passes over the rows at most.
        patience: Epochs without a smaller loss on later rows before stopping. Later rows are the
            window for stopping, or the last rows to learn from.
        seeds: The number of networks that are averaged.
        batch: Rows a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least: with few rows a step takes fewer of them.
    """

    epochs: Annotated[Folds, Small(2)] = 30
    patience: PositiveInt = 4
    seeds: Annotated[Depth, Small(1)] = 3
    batch: Width = 256
    learning_rate: Positive = 2e-3
    least_steps: Annotated[Draws, Small(10)] = 40

    def silu(self) -> tuple[bool, ...]:
        """Return for each layer of a chain of dense layers whether SiLU follows it.

        Empty for any other network.

        Such a chain predicts without TensorFlow, row by row; Keras trains it like any other.
        """
        return ()

    def _training(self, inputs: RowArrays, shape: RowShape, context: RowContext) -> Any:
        """Return the training of a network on some rows."""
        schedule = Schedule(
            self.epochs, self.patience, self.batch, self.learning_rate, self.least_steps
        )
        return Training(inputs, shape, schedule, context)

    def train_networks(
        self, shape: RowShape, rows: RowExamples, inner: RowExamples, context: RowContext
    ) -> tuple[ndarray, ...]:
        """Return the weights of all networks, one after the other, each from the epoch of its least
        loss on the inner rows.
        """
        training = self._training(rows.inputs, shape, context)
        return tuple(
            part
            for seed in range(self.seeds)
            for part in training.best_weights(rows.target, inner, seed)
        )

    def retrain_networks(
        self, shape: RowShape, rows: RowExamples, hidden: ndarray, context: RowContext
    ) -> tuple[ndarray, ...]:
        """Return the same with the hidden rows as the inner ones, trained again for as many epochs
        on all rows.
        """
        seen, inner = rows.of(~hidden), rows.of(hidden)
        early = self._training(seen.inputs, shape, context)
        training, seeds = self._training(rows.inputs, shape, context), range(self.seeds)
        epochs = [early.best_epochs(seen.target, inner, seed) for seed in seeds]
        return tuple(
            part for seed in seeds for part in training.train(rows.target, epochs[seed], seed)
        )


# Rows as a network reads them: scaled numbers with flags for holes, codes of texts, arrays step
# by step.

CLIP = 30.0
"""Standard deviations at which inputs are cut: far enough for an input that is mostly 0."""


@dataclass(frozen=True, eq=False)
class InputReader(Serializable):
    """The inputs that a network learned to read from rows.

    Attributes:
        inputs: The names and kinds of the inputs, and the codes of texts.
        scaling: The scaling of the numbers.
        holed: Mask of the numbers that had missing values; a flag of each stands beside them. Shape
            (k,).
        within: The scaling of the numbers of a step, those of all columns of arrays side by side.
        steps: The number of steps of each column of arrays; none where arrays are not read.
        widths: The numbers of a step of each column of arrays.
    """

    inputs: ModelInputs
    scaling: ColumnScaling
    holed: ndarray
    within: ColumnScaling
    steps: tuple[int, ...]
    widths: tuple[int, ...]

    @classmethod
    def learn(cls, rows: Table, arrays: bool) -> Self:
        """Learn the inputs of rows.

        Args:
            rows: The rows to learn from.
            arrays: Whether columns of arrays are read.

        Raises:
            DataError: Nothing is there to read.
        """
        inputs = ModelInputs.learn(rows)
        matrix = inputs.matrix(rows)
        values = [rows.steps(name) for name in inputs.arrays] if arrays else []
        if not (inputs.numbers or inputs.texts or values):
            raise DataError(
                "features: the model reads numbers and texts, and the inputs are all arrays."
            )
        within = join_scalings(
            [ColumnScaling.learn(part.reshape(-1, part.shape[2]), logs=False) for part in values]
        )
        steps, widths = (tuple(part.shape[axis] for part in values) for axis in (1, 2))
        return cls(
            inputs, ColumnScaling.learn(matrix), np.isnan(matrix).any(axis=0), within, steps, widths
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs: numbers, texts, arrays."""
        return (*self.inputs.numbers, *self.inputs.texts, *self._arrays)

    @property
    def _arrays(self) -> tuple[str, ...]:
        return self.inputs.arrays if self.steps else ()

    def shape(self, design: RowDesign) -> RowShape:
        """Return the network that reads these rows."""
        texts = tuple(len(known) + 1 for known in self.inputs.values)
        arrays = tuple(zip(self.steps, self.widths, strict=True))
        return RowShape(len(self.holed) + int(self.holed.sum()), texts, arrays, design)

    def rows(self, rows: RowReader) -> RowArrays:
        """Return the arrays that the network reads; a missing number is the mean."""
        matrix = self.inputs.matrix(rows)
        numbers = np.hstack(
            [np.nan_to_num(self.scaling.of(matrix, CLIP)), np.isnan(matrix[:, self.holed])]
        )
        both = zip(self._arrays, self.within.parts(self.widths), strict=True)
        arrays = [
            np.nan_to_num(scaling.of(rows.steps(name), CLIP)).astype(np.float32)
            for name, scaling in both
        ]
        return (numbers.astype(np.float32), self.inputs.codes(rows).astype(np.int32), *arrays)

    def mean(self, given: RowArrays) -> RowArrays:
        """Return the mean of the network's inputs, with weights of codes; first axes 1."""
        numbers, codes, *arrays = given
        counts = [
            np.bincount(codes[:, i], minlength=len(known) + 1)
            for i, known in enumerate(self.inputs.values)
        ]
        weights = np.concatenate([np.zeros(0), *counts])[None] / len(numbers)
        return (
            numbers.mean(axis=0, keepdims=True),
            weights,
            *(part.mean(axis=0, keepdims=True) for part in arrays),
        )

    def by_input(self, parts: RowArrays) -> ndarray:
        """Return contributions of numbers, texts and steps of arrays as contributions by input,
        shape (n, inputs).
        """
        k = len(self.holed)
        numbers = parts[0][:, :k].copy()
        numbers[:, self.holed] += parts[0][:, k:]
        return np.hstack(
            [numbers, parts[1], *(part.sum(axis=(1, 2))[:, None] for part in parts[2:])]
        )


# Trained networks of dense layers without TensorFlow: the same weights, in double precision,
# row by row.


@dataclass(frozen=True, eq=False)
class DenseNetworks:
    """Networks of one shape, each a chain of dense layers on numbers and embedded texts.

    A row's answers do not depend on the rows beside it. They are Keras' own within its single
    precision.

    Attributes:
        nets: The weights of each network.
        begins: The place where the codes of each text begin among all codes.
        mean: The row where paths begin: numbers, and weights of codes, first axes 1; None where no
            path is asked.
    """

    nets: tuple[DenseLayers, ...]
    begins: ndarray
    mean: RowArrays | None = None

    @classmethod
    def of(
        cls,
        shape: RowShape,
        weights: tuple[ndarray, ...],
        count: int,
        silu: tuple[bool, ...],
        mean: RowArrays | None = None,
    ) -> Self:
        """Make the networks from the weights that Keras trained.

        Args:
            shape: The shape of each network.
            weights: The weights of all networks, one after the other: the embeddings of texts, then
                weights and bias of each layer.
            count: The number of networks.
            silu: A flag for each layer: that function follows it.
            mean: The row where paths begin.
        """
        each, doubles = len(weights) // count, [part.astype(np.float64) for part in weights]
        nets = tuple(
            _dense(shape, doubles[i : i + each], silu) for i in range(0, len(doubles), each)
        )
        return cls(nets, np.cumsum([0, *shape.texts])[:-1], mean)

    def predict(self, rows: RowArrays) -> ndarray:
        """Return the answer of each network for n rows, shape (networks, n, outputs)."""
        numbers, places = self._read(rows)
        out = np.zeros((len(self.nets), len(numbers), int(self.nets[0].sizes[-1])))
        for net, part in zip(self.nets, out, strict=True):
            compiled(forward)(numbers, places, net, _scratch(net), part)
        return out

    @cached_property
    def base(self) -> float:
        """The mean answer where paths begin."""
        out = np.zeros((len(self.nets), 1, 1))
        for (net, begin), part in zip(self._starts, out, strict=True):
            nothing = np.zeros((1, 0)), np.zeros((1, 0), np.int64)
            compiled(forward)(*nothing, net._replace(start=begin.first), _scratch(net), part)
        return float(out.mean())

    def path_parts(self, rows: RowArrays, points: int) -> RowArrays:
        """Return the same as `Networks.path_parts`: contributions of numbers, and of texts."""
        numbers, places = self._read(rows)
        parts = np.zeros((len(numbers), numbers.shape[1] + places.shape[1]))
        taken = gauss_legendre(points)
        for net, begin in self._starts:
            compiled(add_path_integrals)(
                numbers,
                places,
                net,
                *begin,
                taken,
                _scratch(net),
                np.zeros((2, len(net.start))),
                parts,
            )
        parts /= len(self.nets)
        return parts[:, : numbers.shape[1]], parts[:, numbers.shape[1] :]

    def _read(self, rows: RowArrays) -> tuple[ndarray, ndarray]:
        return np.ascontiguousarray(rows[0], np.float64), rows[1].astype(np.int64) + self.begins

    @cached_property
    def _starts(self) -> list[tuple[DenseLayers, _PathStart]]:
        """Each network, and where paths begin in it."""
        assert self.mean is not None
        numbers, codes = (np.ascontiguousarray(part[0], np.float64) for part in self.mean[:2])
        ends = [*self.begins[1:].tolist(), len(codes)]
        cuts = list(zip(self.begins.tolist(), ends, strict=True)) if len(self.begins) else []
        starts = []
        for net in self.nets:
            sums = [
                (codes[begin:end, None] * net.texts[begin:end]).sum(axis=0) for begin, end in cuts
            ]
            of_texts = np.array(sums).reshape(-1, len(net.start))
            first = net.start + (numbers[:, None] * net.first).sum(axis=0) + of_texts.sum(axis=0)
            starts.append((net, _PathStart(numbers, of_texts, first)))
        return starts


class _PathStart(NamedTuple):
    """The numbers where paths begin, what each text adds to the first layer there, and that
    layer.
    """

    numbers: ndarray
    texts: ndarray
    first: ndarray


def _dense(shape: RowShape, weights: list[ndarray], silu: tuple[bool, ...]) -> DenseLayers:
    texts = len(shape.texts)
    embedded, kernels, biases = weights[:texts], weights[texts::2], weights[texts + 1 :: 2]
    cuts = np.cumsum([shape.numbers, *(part.shape[1] for part in embedded)])
    first, *of_texts = np.split(kernels[0], cuts)[: texts + 1]
    products = [codes @ weight for codes, weight in zip(embedded, of_texts, strict=True)]
    none = np.zeros((0, len(biases[0])))
    return DenseLayers(
        np.ascontiguousarray(first),
        np.concatenate([none, *products]),
        biases[0],
        np.array([len(first), *(len(bias) for bias in biases)]),
        np.concatenate([np.zeros(0), *(kernel.ravel() for kernel in kernels[1:])]),
        np.concatenate([np.zeros(0), *(kernel.T.ravel() for kernel in kernels[1:])]),
        np.concatenate([np.zeros(0), *biases[1:]]),
        np.array(silu),
    )


def _scratch(net: DenseLayers) -> DenseScratch:
    shape = (len(net.silu), int(net.sizes[1:].max()))
    return DenseScratch(*np.zeros((4, *shape)))


# Predictions of networks, and the contributions of inputs; the same for a row whatever stands
# beside it.

BLOCK = 512
"""Rows that are predicted at once, filled up where there are fewer: other sizes have other last
bits.
"""


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """Trained networks of one shape.

    Attributes:
        shape: The shape of each network.
        weights: The weights of all networks, one after the other.
        count: The number of networks.
        device, cpus: The device and the number of threads that they compute with.
        mean: The row where paths begin, with weights of codes, first axes 1; None where no path is
            asked.
    """

    shape: RowShape
    weights: tuple[ndarray, ...]
    count: int
    device: Device
    cpus: int
    mean: RowArrays | None = None

    def predict(self, rows: RowArrays) -> ndarray:
        """Return the answer of each network for n rows, shape (networks, n, ...)."""
        with on_device(self.device, self.cpus):
            forward, held = forward_of(self.shape), self._constant_weights()
            parts = [
                np.stack([forward(weights, _constants(block)).numpy()[:n] for weights in held])
                for block, n in _blocks(rows)
            ]
        return np.concatenate(parts, axis=1)

    @cached_property
    def base(self) -> float:
        """The mean answer where paths begin."""
        assert self.mean is not None
        return float(self._with_soft_codes().predict(self.mean).astype(np.float64).mean(axis=0)[0])

    def path_parts(self, rows: RowArrays, points: int) -> RowArrays:
        """Return the contribution of each input along the straight path from `mean`: of numbers, of
        texts, of arrays.

        The mean of its gradients there times how far it goes (Sundararajan, Taly and Yan 2017,
        "Axiomatic attribution for deep networks"), by the rule of Gauss and Legendre.

        Args:
            rows: The inputs of networks with one output.
            points: The number of points where gradients are taken.
        """
        assert self.mean is not None
        hot = [
            np.eye(many, dtype=np.float32)[rows[1][:, i]] for i, many in enumerate(self.shape.texts)
        ]
        given = (rows[0], np.hstack([np.zeros((len(rows[0]), 0), np.float32), *hot]), *rows[2:])
        numbers, codes, *arrays = self._with_soft_codes()._path_blocks(given, self.mean, points)
        cuts = np.cumsum(self.shape.texts, dtype=int)
        texts = [part.sum(axis=1, keepdims=True) for part in np.split(codes, cuts, axis=1)[:-1]]
        return (numbers, np.hstack([np.zeros((len(numbers), 0)), *texts]), *arrays)

    def _path_blocks(self, rows: RowArrays, base: RowArrays, points: int) -> RowArrays:
        with on_device(self.device, self.cpus):
            held = self._constant_weights()
            contributions = [
                self._path_gradients(held, block, base, points, n) for block, n in _blocks(rows)
            ]
        return tuple(np.concatenate(parts) for parts in zip(*contributions, strict=True))

    def _path_gradients(
        self, held: list[Any], block: Sequence[ndarray], base: RowArrays, points: int, n: int
    ) -> RowArrays:
        total = [np.zeros(part.shape) for part in block]
        for node, share in gauss_legendre(points).T:
            at = [
                (begin + node * (end - begin)).astype(np.float32)
                for begin, end in zip(base, block, strict=True)
            ]
            for weights in held:
                gradients = _gradient_of(self.shape)(weights, _constants(at))
                total = [
                    sum_ + share * part.numpy() for sum_, part in zip(total, gradients, strict=True)
                ]
        paths = zip(total, block, base, strict=True)
        return tuple((part * (end - begin))[:n] / self.count for part, end, begin in paths)

    def _constant_weights(self) -> list[Any]:
        """Return the weights of each network as constants."""
        each, held = len(self.weights) // self.count, _constants(self.weights)
        return [held[i : i + each] for i in range(0, len(held), each)]

    def _with_soft_codes(self) -> TrainedNetworks:
        """Return the same networks, which read weights of codes."""
        return replace(self, shape=replace(self.shape, soft=True))


def trained_networks(
    model: RowNetwork,
    shape: RowShape,
    weights: tuple[ndarray, ...],
    device: Device,
    cpus: int,
    mean: RowArrays | None = None,
) -> TrainedNetworks | DenseNetworks:
    """Return the trained networks of a model for prediction: without TensorFlow where they are
    chains of dense layers.
    """
    if model.silu():
        return DenseNetworks.of(shape, weights, model.seeds, model.silu(), mean)
    return TrainedNetworks(shape, weights, model.seeds, device, cpus, mean)


@lru_cache(maxsize=GRAPHS)
def _gradient_of(shape: RowShape) -> Callable[..., Any]:
    """Return the gradient of the answers by the inputs: (weights, inputs) to arrays like the
    inputs.
    """
    import tensorflow as tf

    model = shape.network(0)

    def gradient(weights: Any, inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            answer, _ = model.stateless_call(
                weights, model.non_trainable_variables, inputs, training=False
            )
        return tape.gradient(answer, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    specs = [tf.TensorSpec(variable.shape) for variable in model.trainable_variables]
    return tf.function(gradient, autograph=False).get_concrete_function(specs, shape.specs())


def _constants(parts: Sequence[ndarray]) -> list[Any]:
    import tensorflow as tf

    return [tf.constant(part) for part in parts]


def _blocks(rows: RowArrays) -> Iterator[tuple[list[ndarray], int]]:
    """Yield blocks of rows, the last one filled up by zeros, and how many rows are in each.

    At least one block.
    """
    for begin in range(0, max(len(rows[0]), 1), BLOCK):
        block = [part[begin : begin + BLOCK] for part in rows]
        n = len(block[0])
        filled = [
            np.concatenate([part, np.zeros((BLOCK - n, *part.shape[1:]), part.dtype)])
            for part in block
        ]
        yield filled, n


# Networks that predict the log odds of rows: learned, and explained by integrated gradients.

INNER = 0.2
"""Share of the rows, the last ones, that choose the number of epochs where there is no window for
that.
"""

COMPLETE = 1e-2
"""The largest gap between score and contributions before gradients are taken at more points."""

POINTS, MOST_POINTS = 16, 128
"""The points at which gradients are taken at first, and the most of them."""


class NetworkClassifier(RowNetwork, Classifier):
    """A network that predicts the log odds of the label being 1, learned by the binary
    cross-entropy.

    Without labels of the window for stopping, the last fifth of the training rows chooses the
    number of epochs, and networks are trained again on all rows. Several are averaged by their log
    odds.
    """

    reads_arrays = False
    """True where columns of arrays are read."""

    def body(self, parts: RowParts) -> Any:
        """Return the last layer before the log odds: a Keras tensor (n, features)."""
        raise NotImplementedError(f"{type(self).__name__}.body")

    def learn(self, train: Table, *, stop: Table, context: RowContext) -> NetworkScorer:
        """Train the networks."""
        rows, later_rows = learnable(train), labelled_rows(stop)
        reader = InputReader.learn(rows, self.reads_arrays)
        shape, given = reader.shape(self), reader.rows(rows)
        examples = RowExamples(given, labels_of(rows).astype(np.float32))
        if later_rows.data.is_empty():
            weights = self.retrain_networks(shape, examples, latest_share(rows, INNER), context)
        else:
            inner = RowExamples(reader.rows(later_rows), labels_of(later_rows).astype(np.float32))
            weights = self.train_networks(shape, examples, inner, context)
        return NetworkScorer(
            self, reader, weights, reader.mean(given), context.cpus, context.device
        )

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

    def numpy_loss(self, answer: ndarray, target: ndarray) -> float:
        """Return the same in numpy."""
        odds = answer.astype(np.float64)
        return float(np.mean(np.logaddexp(0, odds) - target * odds))


@dataclass(frozen=True, eq=False)
class NetworkScorer(Serializable):
    """Weights of the networks, and how rows are read for them.

    Attributes:
        model: The recipe: how the networks are built.
        reader: The reader of the networks' inputs.
        weights: The weights of all networks, one after the other.
        mean: The mean row that they were trained on, with weights of codes.
        cpus, device: The threads and the device of the fit.
    """

    model: NetworkClassifier
    reader: InputReader
    weights: tuple[ndarray, ...]
    mean: RowArrays
    cpus: int
    device: Device

    def score(self, rows: RowReader) -> ndarray:
        """Return the mean log odds of the networks."""
        return _mean(self._networks.predict(self.reader.rows(rows)))

    def explain(self, rows: RowReader) -> Contributions:
        """Return the contribution of each input along the path from the mean row.

        `rest` is the remaining error.
        """
        given, base = self.reader.rows(rows), self._networks.base
        score = _mean(self._networks.predict(given))
        values = np.zeros((len(score), len(self.reader.names)))
        far = np.arange(len(score))
        points = POINTS
        while True:
            part = tuple(each[far] for each in given)
            values[far] = self.reader.by_input(self._networks.path_parts(part, points))
            rest = score - base - values.sum(axis=1)
            far = np.flatnonzero(
                np.abs(rest) >= COMPLETE
            )  # each row by itself, whatever stands beside it
            if points >= MOST_POINTS or not len(far):
                return Contributions(
                    (*self.reader.names, REST), base, np.column_stack([values, rest])
                )
            points *= 2

    @cached_property
    def _networks(self) -> TrainedNetworks | DenseNetworks:
        mean = tuple(part.astype(np.float32) for part in self.mean)
        return trained_networks(
            self.model, self.reader.shape(self.model), self.weights, self.device, self.cpus, mean
        )


def _mean(odds: ndarray) -> ndarray:
    """Return the mean over the networks, in double precision."""
    mean: ndarray = odds.astype(np.float64).reshape(*odds.shape[:2]).mean(axis=0)
    return mean
