"""A recurrent network over what a customer did last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hwds.models.classify.row_network import RowParts
from hwds.models.classify.row_scorer import NetworkClassifier
from hwds.recipe import Count


class Sequence(NetworkClassifier):
    """An LSTM over a customer's last purchases, beside the plain inputs of the row.

    It reads columns of arrays, oldest step first, such as `features=recent` makes them. What stands beside them is read as
    `classify/mlp` reads it.

    Attributes:
        units: Of the LSTM and of the dense layer after it.

    Example:
        python -m hwds dataset=gray_market model=classify/sequence features=recent protocol=prequential_gray
    """

    reads_arrays: ClassVar[bool] = True

    search_space: ClassVar[Mapping[str, Any]] = {
        "units": {"choice": [16, 32, 64]},
        "learning_rate": {"loguniform": [0.0003, 0.01]},
    }

    units: Count = 32

    def body(self, parts: RowParts) -> Any:
        """A dense layer on what was remembered of each array and the plain inputs."""
        from keras import layers

        told = [parts.plain()]
        for array in parts.arrays:
            recurrent = parts.orthogonal()
            lstm = layers.LSTM(self.units, kernel_initializer=parts.glorot(), recurrent_initializer=recurrent)
            told.append(lstm(array))
        joined = layers.Concatenate()(told) if len(told) > 1 else told[0]
        return parts.dense(self.units, "silu")(joined)
