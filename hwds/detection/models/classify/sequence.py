"""A recurrent network over a customer's last rows."""

from __future__ import annotations

from typing import Any, ClassVar

from hwds.core.recipe import Width
from hwds.detection.networks import NetworkClassifier, RowParts


class Sequence(NetworkClassifier):
    """An LSTM over a customer's last purchases, and the plain inputs of the row.

    It reads columns of arrays, oldest step first, such as `features=recent` makes them. The other
    inputs are read as `classify/mlp` reads them.

    Attributes:
        units: The units of the LSTM and of the dense layer after it.
    """

    imports = ("keras", "tensorflow")
    reads_arrays = True

    search_space: ClassVar = {
        "units": {"choice": [16, 32, 64]},
        "learning_rate": {"loguniform": [0.0003, 0.01]},
    }

    units: Width = 32

    def body(self, parts: RowParts) -> Any:
        """Return a dense layer on the LSTM's last state of each array and the plain inputs."""
        from keras import layers

        features = [parts.plain()]
        for array in parts.arrays:
            recurrent = parts.orthogonal()
            lstm = layers.LSTM(
                self.units, kernel_initializer=parts.glorot(), recurrent_initializer=recurrent
            )
            features.append(lstm(array))
        joined = layers.Concatenate()(features) if len(features) > 1 else features[0]
        return parts.dense(self.units, "silu")(joined)
