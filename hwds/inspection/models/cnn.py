"""A convolutional network of the kinds of defects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.core.recipe import Depth, Draws, Folds, Positive, Small, Width
from hwds.core.serialization import Serializable
from hwds.evaluation.networks import Schedule, on_device, predict_network
from hwds.evaluation.protocol import RunContext
from hwds.frames.images import Images
from hwds.inspection.models.base import GRID, InspectionModel
from hwds.inspection.views import (
    Convolutions,
    Symmetry,
    ViewTraining,
    apply_view,
    as_inputs,
    class_maps,
    undo_view,
    views_of,
)

PEAK = 0.99
"""The quantile of a map's cells that is drawn as 1."""


class CNN(InspectionModel):
    """A small convolutional network, trained on random views of images and averaged over all views
    of an image.

    Classes may be weighted, which the log odds are relieved of again: probabilities are those of
    the kinds as they occur. There is no early stopping: the weights are averaged over the last
    steps (Polyak and Juditsky 1992). Keep `symmetry=all` where a part looks the same whichever way
    it lies.

    Attributes:
        filters: The filters of the second convolution; the first has half of them, later ones two
            and three times as many.
        hidden: Units of the dense layer.
        symmetry: Views that are drawn and averaged: `all` turns and reflections, `flips` alone, or
            `none`.
        shift: Pixels by which an image is moved along each axis at most, in training.
        class_weight: `balanced` has each kind weigh as much as any other in training; the weight is
            taken out of the log odds.
        epochs: The passes over the images.
        batch: Images a step at most.
        learning_rate: The step size of Adam.
        least_steps: Steps of an epoch at least.
        networks: The number of networks that are averaged.
    """

    imports = ("keras", "tensorflow")
    search_space: ClassVar[Mapping[str, Any]] = {
        "filters": {"choice": [16, 24, 32, 48]},
        "shift": {"randint": [0, 4]},
        "learning_rate": {"loguniform": [0.0005, 0.005]},
    }

    filters: Annotated[Width, Small(8)] = 32
    hidden: Annotated[Width, Small(16)] = 96
    symmetry: Symmetry = "all"
    shift: Annotated[int, Ge(0), Le(100)] = 2
    class_weight: Literal["none", "balanced"] = "balanced"
    epochs: Annotated[Folds, Small(2)] = 20
    batch: Width = 32
    learning_rate: Positive = 2e-3
    least_steps: Annotated[Draws, Small(5)] = 40
    networks: Annotated[Depth, Small(1)] = 1

    def learn(self, images: Images, context: RunContext) -> TrainedCNN:
        """Train on all images whose kind is known."""
        known = images.take(images.codes >= 0)
        height, width, channels = images.shape
        shape = Convolutions(height, width, channels, len(images.kinds), self.filters, self.hidden)
        weight = (
            class_weights(known.codes, len(images.kinds))
            if self.class_weight == "balanced"
            else np.ones(shape.kinds)
        )
        target = (np.eye(shape.kinds)[known.codes] * weight).astype(np.float32)
        schedule = Schedule(
            self.epochs, self.epochs, self.batch, self.learning_rate, self.least_steps
        )
        training = ViewTraining(
            [known.pixels()], shape, schedule, context, symmetry=self.symmetry, shift=self.shift
        )
        weights = tuple(
            tuple(training.train(target, self.epochs, number)) for number in range(self.networks)
        )
        return TrainedCNN(shape, weights, np.log(weight), self.symmetry, context.cpus)


def class_weights(codes: ndarray, kinds: int) -> ndarray:
    """Return the weight of a row of each kind by which all kinds that occur weigh the same, 1 on
    the average of rows.

    Args:
        codes: The kind of each row, shape (n,).
        kinds: The number of kinds; one without a row has weight 1.
    """
    counts = np.bincount(codes, minlength=kinds)
    return np.where(
        counts > 0, len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 1.0
    )


@dataclass(frozen=True, eq=False)
class TrainedCNN(Serializable):
    """Trained networks of one shape.

    Attributes:
        shape: The shape of the networks.
        weights: The weights of each network.
        shift_of_kinds: The excess of each kind's log odds for the weight that it had.
        symmetry: The views that are averaged.
        cpus: Threads.
    """

    shape: Convolutions
    weights: tuple[tuple[ndarray, ...], ...]
    shift_of_kinds: ndarray
    symmetry: Symmetry
    cpus: int
    knows_kinds: ClassVar[bool] = True

    def evidence(self, images: Images) -> ndarray:
        """Return the mean log odds over networks and views, of kinds as they occur.

        Shape (n, kinds).
        """
        with on_device("cpu", self.cpus):
            parts = [self._mean_odds(as_inputs(block)) for block in images.blocks()]
        return np.concatenate(parts) - self.shift_of_kinds

    def _mean_odds(self, inputs: ndarray) -> ndarray:
        views = [np.ascontiguousarray(apply_view(inputs, view)) for view in self._views()]
        return np.mean(
            [predict_network(self.shape, each, [view]) for each in self.weights for view in views],
            axis=0,
            dtype=float,
        )

    def _views(self) -> tuple[tuple[int, bool, bool], ...]:
        return views_of(self.symmetry, (self.shape.height, self.shape.width, self.shape.channels))

    def saliency(self, images: Images) -> ndarray:
        """Return where the first network looks, the mean over views, shape (n, GRID, GRID)."""
        out = []
        with on_device("cpu", self.cpus):
            for block in images.blocks():
                inputs = as_inputs(block)
                maps = [
                    undo_view(
                        class_maps(
                            self.shape,
                            self.weights[0],
                            np.ascontiguousarray(apply_view(inputs, view)),
                        ),
                        view,
                    )
                    for view in self._views()
                ]
                out.append(maps_on_grid(np.mean(maps, axis=0)))
        return np.concatenate(out)


def maps_on_grid(maps: ndarray) -> ndarray:
    """Return maps of whole images on the cells of a saliency map, each from 0 to 1, shape (n, GRID,
    GRID).
    """
    rows, columns = (cells_along(size).astype(int) for size in maps.shape[1:])
    return scale_saliency(maps[:, rows[:, None], columns[None, :]])


def cells_along(size: int) -> ndarray:
    """Return the centres of a saliency map's cells along a side, shape (GRID,)."""
    return (np.arange(GRID) + 0.5) * size / GRID


def scale_saliency(cells: ndarray) -> ndarray:
    """Return saliency maps whose high cells are 1 and whose lowest are 0 at least."""
    peak = np.quantile(cells.reshape(len(cells), -1), PEAK, axis=1)[:, None, None]
    return np.clip(cells / np.where(peak > 0, peak, 1.0), 0.0, 1.0)
