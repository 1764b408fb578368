"""One network of dilated convolutions for all series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hwds.core.recipe import NonNegativeInt, Width
from hwds.forecast.networks import Network, WindowParts


class CNN(Network):
    """A global network of dilated causal convolutions on normalised windows, with known-future
    columns at each step.

    Each layer joins two places of the layer before, at twice that layer's distance, until one place
    has seen the whole window (van den Oord et al. 2016, "WaveNet"; Bai et al. 2018 on residual
    blocks). Only the last place is read, so each layer computes only the places which that one
    depends on: half as many as the layer before. Its output meets each step's columns, and
    convolutions over the steps let each step see its neighbours.

    Attributes:
        filters: The features of each convolution.
        step_layers: The number of convolutions over the steps.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar[Mapping[str, Any]] = {
        "filters": {"choice": [24, 48, 96]},
        "step_layers": {"randint": [0, 4]},
        "learning_rate": {"loguniform": [0.0005, 0.01]},
        "batch": {"choice": [128, 256, 512]},
    }

    filters: Width = 48
    step_layers: NonNegativeInt = 2

    def body(self, parts: WindowParts) -> Any:
        """Return the features of the window, joined with each step, shape (n, h, filters)."""
        from keras import layers, ops

        length = parts.shape.past[0]
        whole = 1 << (length - 1).bit_length()
        joined = layers.ZeroPadding1D((whole - length, 0))(parts.dense(self.filters)(parts.past))
        while joined.shape[1] > 1:
            joined = self._halve(parts, joined)
        seen = ops.squeeze(joined, 1)
        steps = parts.dense(self.filters, "relu")(parts.step_inputs(seen, *parts.about()))
        for _ in range(self.step_layers):
            conv = layers.Conv1D(
                self.filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=parts.glorot(),
            )
            steps = layers.Add()([steps, conv(steps)])
        return steps

    def _halve(self, parts: WindowParts, values: Any) -> Any:
        """Return a convolution of two places and stride two with what it adds to the later place:
        (n, 2k, f) to (n, k, f).
        """
        from keras import layers

        k, f = values.shape[1] // 2, values.shape[2]
        pairs = layers.Reshape((k, 2 * f))(values)
        added = parts.dense(f)(parts.dense(f, "relu")(pairs))
        return layers.Add()([pairs[..., f:], added])
