"""One network of residual blocks for all series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from hwds.core.recipe import Depth, Folds, Positive, Rows, Small, Width, ZeroFolds
from hwds.forecast.networks import Network, WindowParts


class MLP(Network):
    """A global network of N-BEATS blocks on normalised windows, with known-future columns at each
    step.

    Each block takes from the window what it can explain (the backcast) and adds its part to the
    forecast (Oreshkin et al. 2020, "N-BEATS", generic blocks; covariates next to the window as in
    Olivares et al. 2023, "N-BEATSx"). The parts' sum meets each step's columns; a step beyond the
    trained horizon is read as the last one.

    Attributes:
        units: The units of each hidden layer.
        layers: The number of hidden layers of a block.
        blocks: The number of blocks, one after the other.
        channels: The number of outputs of a block for each step.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar[Mapping[str, Any]] = {
        "units": {"choice": [32, 64, 128, 256]},
        "layers": {"randint": [1, 4]},
        "blocks": {"randint": [1, 7]},
        "learning_rate": {"loguniform": [5e-4, 1e-2]},
        "batch": {"choice": [128, 256, 512]},
    }

    epochs: Annotated[Folds, Small(2)] = 3
    patience: ZeroFolds = 0
    learning_rate: Positive = 8e-3
    max_windows: Annotated[Rows, Small(2000)] = 20_000
    units: Width = 128
    layers: Depth = 2
    blocks: Depth = 4
    channels: Width = 8

    def body(self, parts: WindowParts) -> Any:
        """Return the blocks' output for each step, beside the inputs of the step, shape (n, h,
        features).
        """
        from keras import layers, ops

        (length, columns), steps, horizon = (
            parts.shape.past,
            parts.shape.steps[0],
            parts.shape.horizon,
        )
        window, about = parts.past[..., 0], parts.about()
        others = [*about, layers.Flatten()(parts.past[..., 1:])] if columns > 1 else about
        outputs = []
        for _ in range(self.blocks):
            hidden = layers.Concatenate()([window, *others])
            for _ in range(self.layers):
                hidden = parts.dense(self.units, "relu")(hidden)
            window = layers.Subtract()([window, parts.dense(length)(hidden)])
            outputs.append(parts.dense(horizon * self.channels)(hidden))
        total = layers.Reshape((horizon, self.channels))(
            layers.Add()(outputs) if len(outputs) > 1 else outputs[0]
        )
        reached = [min(step, horizon - 1) for step in range(steps)]
        return layers.Concatenate()([ops.take(total, reached, axis=1), parts.step_inputs(*about)])
