"""A fitted network: its weights, and its forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwds.core.serialization import Serializable
from hwds.evaluation.context import Device
from hwds.forecast.context import Features
from hwds.forecast.models.networks.body import WindowShape
from hwds.forecast.models.networks.inputs import Inputs, inputs_of, scaled
from hwds.forecast.models.statistical.normal import normal_bands
from hwds.forecast.models.windows.cut import Windowing, Windows
from hwds.forecast.models.windows.source import WindowSource
from hwds.frames.forecasts import Forecasts
from hwds.frames.panel import Panel

if TYPE_CHECKING:
    from hwds.forecast.models.networks.base import Network


@dataclass(frozen=True)
class FittedNetwork(Serializable):
    """Weights of the networks, and how windows are cut and scaled for them.

    Attributes:
        model: The recipe: how the networks are built.
        windowing: Statistics of the history.
        features: The feature set that it was fitted with.
        scaling: Centres and spreads of the inputs.
        weights: The weights of all networks, one after the other; none where there was nothing to learn from.
        levels: The levels to forecast.
        cpus, device: As they were in fit.
    """

    model: Network
    windowing: Windowing
    features: Features | None
    scaling: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    levels: tuple[float, ...]
    cpus: int
    device: Device

    def predict(self, history: Panel, future: Panel) -> Forecasts:
        """Forecast every series at once; where a network cannot, by the seasonal naive, marked as a fallback."""
        steps = int(future.lengths[0])
        source = WindowSource.of(self.windowing, history.followed_by(future), self.features)
        inputs, windows = inputs_of(source, source.at(history.lengths), steps)
        naive = self._naive(windows)
        if not self.weights:
            return Forecasts.of(*naive, np.ones(len(naive[0]), bool))
        head = self.model.head(self.windowing, self.levels)
        output = self._answer(scaled(inputs, self.scaling))
        cuts = np.cumsum([len(part.scale) for part in windows])[:-1]
        read = [head.read(piece, part, self.levels) for part, piece in zip(windows, np.split(output, cuts), strict=True)]
        supported = head.supports(history)
        mean, quantiles = (np.concatenate(part) for part in zip(*read, strict=True))
        mean, quantiles = np.where(supported[:, None], mean, naive[0]), np.where(supported[:, None, None], quantiles, naive[1])
        return Forecasts.of(mean, quantiles, ~supported)

    def _naive(self, windows: list[Windows]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and quantiles of the seasonal naive."""
        base, scale = (np.concatenate([getattr(part, name) for part in windows]) for name in ("base", "scale"))
        # the standard deviation of a normal with this mean absolute change; a year ahead has one change more
        seasons = np.arange(base.shape[1]) // self.windowing.season + 1
        naive = normal_bands(base, scale[:, None] * np.sqrt(np.pi / 2 * seasons), self.levels)
        return naive.mean, np.maximum(naive.quantiles, 0.0) if self.windowing.nonnegative else naive.quantiles

    def _answer(self, inputs: Inputs) -> np.ndarray:
        """Return the mean over the networks, shape (n, h, outputs)."""
        from hwds.learners.networks.graphs import predict
        from hwds.learners.networks.runtime import placed

        shape, each = shape_of(self.model, self.windowing, inputs, self.levels), len(self.weights) // self.model.seeds
        with placed(self.device, self.cpus):
            parts = [predict(shape, self.weights[i : i + each], inputs) for i in range(0, len(self.weights), each)]
        return np.mean(np.stack(parts), axis=0)


def shape_of(model: Network, windowing: Windowing, inputs: Inputs, levels: tuple[float, ...]) -> WindowShape:
    """Return the network that reads these inputs."""
    past, steps, origin = (part.shape[1:] for part in inputs[:3])
    texts = tuple(len(codes.texts) + 1 for codes in windowing.codes)
    return WindowShape(past, steps, origin, texts, windowing.horizon, model, model.head(windowing, levels))
