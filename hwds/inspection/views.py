"""Views of an image by its symmetries, and a convolutional network that is trained on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.evaluation.networks import Layers, Training, epoch_of, initial_weights, shuffle_batches

# The turns and reflections of an image under which what it shows stays the same, and small
# shifts.

Symmetry = Literal["all", "flips", "none"]


def views_of(symmetry: Symmetry, shape: tuple[int, int, int]) -> tuple[tuple[int, bool, bool], ...]:
    """Return the views of an image: whether its axes change places, and whether it is turned upside
    down and left to right.

    Args:
        symmetry: `all` eight of a square (four of another rectangle), the four reflections of
            `flips`, or the image alone.
        shape: Height, width and channels.
    """
    if symmetry == "none":
        return ((0, False, False),)
    turned = (0, 1) if symmetry == "all" and shape[0] == shape[1] else (0,)
    return tuple(
        (axes, up, left) for axes in turned for up in (False, True) for left in (False, True)
    )


def apply_view(pixels: ndarray, view: tuple[int, bool, bool]) -> ndarray:
    """Return images in one of their views, shape (n, height, width, channels)."""
    axes, up, left = view
    out = pixels.transpose(0, 2, 1, 3) if axes else pixels
    out = out[:, ::-1] if up else out
    return out[:, :, ::-1] if left else out


def undo_view(maps: ndarray, view: tuple[int, bool, bool]) -> ndarray:
    """Return maps of images in one of their views as maps of the images, shape (n, height,
    width).
    """
    axes, up, left = view
    out = maps[:, :, ::-1] if left else maps
    out = out[:, ::-1] if up else out
    return out.transpose(0, 2, 1) if axes else out


def draw_views(
    pixels: ndarray, symmetry: Symmetry, shift: int, rng: np.random.Generator
) -> ndarray:
    """Return each image in a view of its own, moved by up to some pixels, the edge repeated; the
    same shape.

    Args:
        pixels: Shape (n, height, width, channels).
        symmetry: The views.
        shift: Pixels along each axis at most.
        rng: The generator that draws view and shift.
    """
    views = views_of(symmetry, pixels.shape[1:])
    out, chosen = np.empty_like(pixels), rng.integers(0, len(views), len(pixels))
    for number, view in enumerate(views):
        mine = chosen == number
        out[mine] = apply_view(pixels[mine], view)
    moves = rng.integers(-shift, shift + 1, (len(pixels), 2))
    rows, columns = (
        np.clip(np.arange(size) + moves[:, axis, None], 0, size - 1)
        for axis, size in enumerate(pixels.shape[1:3])
    )
    return out[np.arange(len(out))[:, None, None], rows[:, :, None], columns[:, None, :]]


# A small convolutional network of images, its training on drawn views, and where it looks.

LAST_CELLS = 4
"""The least side of the last convolution's maps."""

MAPS = 8
"""The least side of the maps that saliency is taken from."""


@dataclass(frozen=True)
class Convolutions(Serializable):
    """The shape of the network: convolutions that halve the image until few cells are left, a dense
    layer, a number a kind.

    The first reads 4 x 4 pixels at every other place, so that most of the work is done on a quarter
    of them; each further one halves once more, with one of the same size before it but at the end.
    There are no random numbers and no running means: the graph holds weights alone.

    Attributes:
        height: Pixels.
        width: Pixels.
        channels: The number of numbers of a pixel.
        kinds: The number of kinds.
        filters: The filters of the second convolution; the first has half of them, later ones two
            and three times as many.
        hidden: Units of the dense layer.
    """

    height: int
    width: int
    channels: int
    kinds: int
    filters: int
    hidden: int

    @property
    def halvings(self) -> int:
        """The convolutions that halve the image."""
        return max(int(np.log2(min(self.height, self.width) / LAST_CELLS)), 1)

    def network(self, seed: int) -> Any:
        """Return an untrained network."""
        import keras
        from keras import layers

        parts = Layers(seed)

        def convolved(inside: Any, filters: int, size: int, step: int, name: str) -> Any:
            wide = {
                "strides": step,
                "padding": "same",
                "activation": "relu",
                "kernel_initializer": parts.he(),
            }
            return layers.Conv2D(filters, size, name=name, **wide)(inside)

        image = keras.Input((self.height, self.width, self.channels))
        out = convolved(image, max(self.filters // 2, 1), 4, 2, "half_1")
        for number in range(2, self.halvings + 1):
            filters = self.filters * min(number - 1, 3)
            out = convolved(out, filters, 3, 2, f"half_{number}")
            if number < self.halvings:
                out = convolved(out, filters, 3, 1, f"same_{number}")
        dense = layers.Dense(self.hidden, activation="relu", kernel_initializer=parts.he())(
            layers.Flatten()(out)
        )
        return keras.Model([image], parts.dense(self.kinds)(dense))

    @property
    def looking(self) -> str:
        """The layer that saliency is taken from: the last whose maps have enough cells."""
        number = max(int(np.log2(min(self.height, self.width) / MAPS)), 1)
        number = min(number, self.halvings)
        return f"same_{number}" if 1 < number < self.halvings else f"half_{number}"

    def specs(self) -> list[Any]:
        """Return the specifications of the inputs."""
        import tensorflow as tf

        return [tf.TensorSpec((None, self.height, self.width, self.channels))]

    @property
    def target(self) -> tuple[int | None, ...]:
        """A weight a kind: that of the row at the kind that it shows, 0 at all others."""
        return (None, self.kinds)

    def loss(self, answer: Any, target: Any) -> Any:
        """Return the weighted mean log loss."""
        import tensorflow as tf

        odds = answer - tf.reduce_logsumexp(answer, axis=1, keepdims=True)
        return -tf.reduce_sum(odds * target) / tf.reduce_sum(target)

    def score(self, answer: ndarray, target: ndarray) -> float:
        """Return the same in numpy."""
        odds = answer - np.logaddexp.reduce(answer, axis=1, keepdims=True)
        return float(-(odds * target).sum() / target.sum())


def as_inputs(pixels: ndarray) -> ndarray:
    """Return pixels as numbers from -1 to 1."""
    return np.asarray(pixels, np.float32) / np.float32(127.5) - np.float32(1)


@dataclass(frozen=True, eq=False)
class ViewTraining(Training):
    """Training whose images are seen in views drawn anew in each epoch; the inputs that are given
    are pixels.

    Attributes:
        symmetry: The views.
        shift: Pixels along each axis at most.
    """

    symmetry: Symmetry = "all"
    shift: int = 0

    def _epochs(self, target: ndarray, seed: int) -> Iterator[Any]:
        """Yield the averaged weights and the mean loss after each epoch, without end."""
        import tensorflow as tf

        rng = stream(self.context.seed, self.context.fold, "inspection order", seed)
        epoch = epoch_of(self.shape, self.schedule.rate)
        first = initial_weights(self.shape, self.context.seed_for("inspection weights", seed))
        weights = [tf.constant(part) for part in first]
        zeros = [tf.zeros_like(part) for part in weights]
        state = (weights, weights, zeros, zeros, tf.constant(0.0))
        goal = tf.constant(target)
        while True:
            views = as_inputs(draw_views(self.inputs[0], self.symmetry, self.shift, rng))
            state, loss = epoch(
                state,
                tf.constant(shuffle_batches(len(target), self.schedule, rng)),
                [tf.constant(views)],
                goal,
            )
            yield state[1], loss


def class_maps(shape: Convolutions, weights: tuple[ndarray, ...], inputs: ndarray) -> ndarray:
    """Return how much each place of the layer that looks speaks for a defect, shape (n, rows,
    columns).

    The gradient of the log odds of the likeliest defect against a good image, times the maps,
    summed over filters; what speaks against it is 0. Grad-CAM (Selvaraju et al. 2017) with the
    gradient at each place instead of its mean, for the dense layer behind the maps weighs each
    place apart (Draelos and Carin 2020).

    Args:
        shape: The shape of the network.
        weights: The weights of the network.
        inputs: Shape (n, height, width, channels).
    """
    import keras
    import tensorflow as tf

    network = shape.network(0)
    network.set_weights(list(weights))
    both = keras.Model(network.inputs, [network.get_layer(shape.looking).output, network.output])
    with tf.GradientTape() as tape:
        maps, odds = both([tf.constant(inputs)], training=False)
        against = tf.reduce_sum(tf.reduce_max(odds[:, 1:], axis=1) - odds[:, 0])
    gradient = tape.gradient(against, maps)
    return np.asarray(tf.nn.relu(tf.reduce_sum(gradient * maps, axis=-1)).numpy(), float)
