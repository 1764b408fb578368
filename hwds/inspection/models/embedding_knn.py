"""Distance of an image's local patterns from those of good ones; no defect is learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le
from numpy import ndarray

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import PositiveInt, Rows, Small, Width
from hwds.core.serialization import Serializable
from hwds.evaluation.protocol import RunContext
from hwds.frames.images import Images
from hwds.inspection.models.base import InspectionModel
from hwds.inspection.models.cnn import cells_along, scale_saliency
from hwds.inspection.views import Symmetry, apply_view, views_of

MOST_WINDOWS = 20_000
"""Windows at most from which the axes are learned."""

IMAGE_BLOCK = 16
"""Images whose windows are compared at once: a constant, for other sizes have other last bits."""


class EmbeddingKNN(InspectionModel):
    """The distance of each window of an image from the windows of good images; the farthest windows
    of an image are its score.

    It learns from good images alone, as where defects are too rare to be labelled (the memory of
    Roth et al. 2022, "Towards total recall in industrial anomaly detection"). Its embedding is the
    principal components of windows, not a network that was trained on other pictures: none is
    shipped, so do not expect figures that were published with one. It names no kind and has no
    probability: metrics that need them are undefined.

    Attributes:
        window: Pixels along each side of a window.
        stride: Pixels from one window to the next; the last one ends at the edge.
        components: Principal components of a window that are compared.
        memory: Windows of good images that are kept, drawn among all.
        neighbours: Nearest windows whose mean distance counts.
        top: Windows of an image, the farthest, whose mean distance is its score.
        symmetry: Views of good images that are remembered: `all` turns and reflections, `flips`
            alone, or `none`.
    """

    search_space: ClassVar[Mapping[str, Any]] = {
        "window": {"choice": [7, 11, 15, 19]},
        "components": {"choice": [8, 16, 32, 64]},
        "top": {"randint": [1, 6]},
    }

    window: Annotated[int, Ge(2), Le(1_000)] = 13
    stride: Annotated[int, Ge(1), Le(1_000)] = 4
    components: Annotated[Width, Small(8)] = 32
    memory: Annotated[Rows, Small(500)] = 4000
    neighbours: PositiveInt = 1
    top: PositiveInt = 3
    symmetry: Symmetry = "all"

    def check_images(self, images: Images) -> None:
        """Refuse images that are smaller than a window.

        Raises:
            ConfigError: They are.
        """
        if self.window > min(images.shape[:2]):
            raise ConfigError(
                f"model.window: must be <= {min(images.shape[:2])}, a side of the images, got "
                f"{self.window}."
            )

    def learn(self, images: Images, context: RunContext) -> GoodWindows:
        """Remember windows of good images.

        Raises:
            ConfigError: The images are smaller than a window.
            DataError: None is good.
        """
        self.check_images(images)
        good = images.take(images.codes == 0)
        if not good.n:
            raise DataError(f"dataset: no image to learn from is '{images.good}'.")
        rng = context.stream("memory")
        each = -(-max(2 * self.memory, 1000) // good.n)
        windows = np.concatenate([self._draw_windows(block, each, rng) for block in good.blocks()])
        windows = windows[rng.permutation(len(windows))]
        centre = windows.mean(axis=0)
        _, values, axes = np.linalg.svd((windows - centre)[:MOST_WINDOWS], full_matrices=False)
        kept = min(self.components, int((values > 1e-9).sum()) or 1)
        axes = axes[:kept].T.astype(np.float32)
        memory = (windows[: self.memory] - centre) @ axes
        return GoodWindows(
            self.window, self.stride, centre, axes, memory, self.neighbours, self.top
        )

    def _draw_windows(self, block: ndarray, each: int, rng: np.random.Generator) -> ndarray:
        """Return some windows of each image, each image in a view of its own.

        Shape (windows, numbers).
        """
        views = views_of(self.symmetry, block.shape[1:])
        chosen = rng.integers(0, len(views), len(block))
        out = []
        for number, view in enumerate(views):
            every = sliding_windows(apply_view(block[chosen == number], view), self.window)
            n, rows, columns = every.shape[:3]
            row, column = rng.integers(0, rows, (n, each)), rng.integers(0, columns, (n, each))
            out.append(
                pixels_as_numbers(
                    every[np.arange(n)[:, None], row, column].reshape(
                        n * each, self.window**2 * block.shape[3]
                    )
                )
            )
        return np.concatenate(out)


def sliding_windows(pixels: ndarray, window: int) -> ndarray:
    """Return all windows of images as a view of their pixels, shape (n, rows, columns, channels,
    window, window).
    """
    return np.lib.stride_tricks.sliding_window_view(pixels, (window, window), axis=(1, 2))


def pixels_as_numbers(windows: ndarray) -> ndarray:
    """Return pixels as numbers from 0 to 1."""
    return np.asarray(windows, np.float32) / np.float32(255)


@dataclass(frozen=True, eq=False)
class GoodWindows(Serializable):
    """Windows of good images, in their principal components.

    Attributes:
        window: Pixels along each side.
        stride: Pixels from one window to the next.
        centre: The mean window, shape (numbers,).
        axes: Shape (numbers, components).
        memory: Shape (windows, components).
        neighbours: Nearest windows whose mean distance counts.
        top: The farthest windows of an image whose mean distance is its score.
    """

    window: int
    stride: int
    centre: ndarray
    axes: ndarray
    memory: ndarray
    neighbours: int
    top: int
    knows_kinds: ClassVar[bool] = False

    def evidence(self, images: Images) -> ndarray:
        """Return the mean distance of the farthest windows of each image, shape (n, 1)."""
        parts = [self._distances(block) for block in images.blocks()]
        far = np.sort(np.concatenate(parts).reshape(images.n, -1), axis=1)[:, -self.top :]
        return far.mean(axis=1, dtype=float)[:, None]

    def saliency(self, images: Images) -> ndarray:
        """Return how far the window around each cell is from good ones, 0 to 1, shape (n, GRID,
        GRID).
        """
        rows, columns = (self._nearest(size) for size in images.shape[:2])
        maps = np.concatenate([self._distances(block) for block in images.blocks()])
        return scale_saliency(maps[:, rows[:, None], columns[None, :]])

    def _starts(self, size: int) -> ndarray:
        """Return where windows begin along a side, so that the last one ends at the edge."""
        last = size - self.window
        return np.unique(np.append(np.arange(0, last + 1, self.stride), last))

    def _nearest(self, size: int) -> ndarray:
        """Return which window along a side has its centre nearest to each cell's, shape (GRID,)."""
        centres = self._starts(size) + self.window / 2
        return np.abs(cells_along(size)[:, None] - centres).argmin(axis=1)

    def _distances(self, block: ndarray) -> ndarray:
        """Return the distance of each window, shape (n, rows, columns)."""
        rows, columns = (self._starts(size) for size in block.shape[1:3])
        out = np.empty((len(block), len(rows) * len(columns)), np.float32)
        lengths = np.square(self.memory).sum(axis=1)
        nearest = min(self.neighbours, len(self.memory))
        for begin in range(0, len(block), IMAGE_BLOCK):
            every = sliding_windows(block[begin : begin + IMAGE_BLOCK], self.window)[
                :, rows[:, None], columns
            ]
            windows = pixels_as_numbers(every.reshape(len(every) * out.shape[1], -1))
            inside = (windows - self.centre) @ self.axes
            squared = lengths - 2 * inside @ self.memory.T
            near = (
                squared.min(axis=1, keepdims=True)
                if nearest == 1
                else np.partition(squared, nearest - 1)[:, :nearest]
            )
            distance = np.sqrt(
                np.maximum(near + np.square(inside).sum(axis=1, keepdims=True), 0)
            ).mean(axis=1)
            out[begin : begin + IMAGE_BLOCK] = distance.reshape(len(every), -1)
        return out.reshape(len(block), len(rows), len(columns))
