"""A network of dense layers."""

from __future__ import annotations

from typing import Any, ClassVar

from hwds.core.recipe import Depth, Width
from hwds.detection.networks import NetworkClassifier, RowParts


class MLP(NetworkClassifier):
    """A network of dense layers on standardised numbers, flags for what is missing, and embeddings
    of texts.

    Skewed numbers are read by their logarithm. Integrated gradients from the mean row give an
    input's contribution to a row's log odds (Sundararajan, Taly and Yan 2017).

    Attributes:
        units: The units of each hidden layer.
        layers: The number of hidden layers.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar = {
        "units": {"choice": [32, 64, 128]},
        "layers": {"randint": [1, 4]},
        "learning_rate": {"loguniform": [0.0003, 0.01]},
    }

    units: Width = 64
    layers: Depth = 2

    def body(self, parts: RowParts) -> Any:
        """Return the last hidden layer."""
        hidden = parts.plain()
        for _ in range(self.layers):
            hidden = parts.dense(self.units, "silu")(hidden)
        return hidden

    def silu(self) -> tuple[bool, ...]:
        """Return True for each hidden layer; empty for a subclass, whose body may be another."""
        return (*[True] * self.layers, False) if type(self) is MLP else ()
