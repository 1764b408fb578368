"""Gradient-boosted trees on hand-made numbers of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Gt, Le
from numpy import ndarray

from hwds.core.recipe import Depth, Positive, Small, Width
from hwds.core.serialization import Serializable
from hwds.evaluation.cells import learning_curve
from hwds.evaluation.protocol import RunContext
from hwds.evaluation.trees import compute_device, load_booster, observe_losses
from hwds.frames.images import Images
from hwds.inspection.models.base import InspectionModel

# Hand-made numbers of an image: how wide what is dark and light is, and what is left of it once
# small things are wiped out.

RADII = (1, 2, 3, 4, 6)
"""Pixels by which dark and light regions are opened."""

RINGS = (0.0, 0.15, 0.3, 0.45, 0.75)
"""The bounds of rings around the centre, as shares of the shorter side."""

DIRECTION_BINS = 8
"""Directions of edges."""

SHAPE_NAMES: tuple[str, ...] = (
    "light",
    "spread",
    "levels",
    *(f"ring_{i}" for i in range(len(RINGS) - 1)),
    *(f"edge_{i}" for i in range(DIRECTION_BINS)),
    "edges",
    *(
        f"{side}_{what}"
        for side in ("light", "dark")
        for what in ("regions", "smallest", "centre_smallest", "width", "narrow")
    ),
    *(
        f"{side}_{what}_{radius}"
        for side in ("light", "dark")
        for radius in RADII
        for what in ("wiped", "blob", "central")
    ),
)
"""The numbers of an image, in order."""


def measure_shapes(pixels: ndarray) -> ndarray:
    """Return the numbers of images, shape (n, numbers).

    Args:
        pixels: Shape (n, height, width, channels); colours are averaged.
    """
    grey = pixels.astype(np.float32).mean(axis=3) / 255
    light = grey > grey_thresholds(grey)[:, None, None]
    parts = [
        _levels(grey, light),
        _rings(grey),
        _edges(grey),
        _regions(light),
        _regions(~light),
        _opening_losses(light),
        _opening_losses(~light),
    ]
    return np.column_stack(parts)


def grey_thresholds(grey: ndarray) -> ndarray:
    """Return the level that parts dark from light in each image (Otsu 1979), shape (n,)."""
    levels = 32
    codes = np.minimum((grey * levels).astype(int), levels - 1).reshape(len(grey), -1)
    counts = (
        np.stack([(codes == level).sum(axis=1) for level in range(levels)], axis=1) / codes.shape[1]
    )
    below = np.cumsum(counts, axis=1)
    mass = np.cumsum(counts * np.arange(levels), axis=1)
    between = (mass[:, -1:] * below - mass) ** 2 / np.maximum(below * (1 - below), 1e-9)
    best = between >= between.max(axis=1, keepdims=True) - 1e-12
    middle = (best * np.arange(levels)).sum(axis=1) / best.sum(
        axis=1
    )  # of equally good levels the middle one
    return (middle + 1) / levels


def _levels(grey: ndarray, light: ndarray) -> ndarray:
    share = light.mean(axis=(1, 2))
    inside = (grey * light).sum(axis=(1, 2)) / np.maximum(light.sum(axis=(1, 2)), 1)
    outside = (grey * ~light).sum(axis=(1, 2)) / np.maximum((~light).sum(axis=(1, 2)), 1)
    return np.column_stack([share, grey.std(axis=(1, 2)), inside - outside])


def _rings(grey: ndarray) -> ndarray:
    away = _distance_from_centre(grey.shape[1:])
    rings = [(away >= low) & (away < high) for low, high in pairwise(RINGS)]
    return np.column_stack(
        [grey[:, ring].mean(axis=1, dtype=float) for ring in rings]
    )  # whatever images are beside it


def _distance_from_centre(shape: tuple[int, ...]) -> ndarray:
    """Return how far each pixel is from the centre, in shorter sides."""
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in shape)
    return np.hypot(rows[:, None], columns[None, :]) / min(shape)


def _edges(grey: ndarray) -> ndarray:
    """Return how much of the edges runs in each direction, by the strongest first, and how strong
    they all are.
    """
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, right)
    turn = np.arctan2(down, right) % np.pi
    bins = np.minimum((turn / np.pi * DIRECTION_BINS).astype(int), DIRECTION_BINS - 1)
    sums = np.stack(
        [(strength * (bins == number)).sum(axis=(1, 2)) for number in range(DIRECTION_BINS)], axis=1
    )
    first = sums.argmax(axis=1)
    turned = np.take_along_axis(
        sums, (first[:, None] + np.arange(DIRECTION_BINS)) % DIRECTION_BINS, axis=1
    )
    total = sums.sum(axis=1, keepdims=True)
    return np.column_stack([turned / np.maximum(total, 1e-9), total[:, 0] / strength[0].size])


def _regions(inside: ndarray) -> ndarray:
    """Return the number of regions, the smallest, that near the centre, how wide the widest is, and
    how narrow the centre.
    """
    from scipy import ndimage

    flat = np.zeros((3, 3, 3), bool)
    flat[1] = True  # images are not neighbours of each other
    numbers, count = ndimage.label(inside, structure=flat)
    area = np.bincount(numbers.ravel(), minlength=count + 1).astype(float)
    image = np.zeros(count + 1, np.int64)
    first = np.unique(numbers.ravel(), return_index=True)
    image[first[0]] = first[1] // inside[0].size
    central = np.zeros(count + 1, bool)
    central[np.unique(numbers[:, _distance_from_centre(inside.shape[1:]) < 0.2])] = True
    size, n = float(inside[0].size), len(inside)
    smallest, near = np.ones(n), np.ones(n)
    np.minimum.at(smallest, image[1:], area[1:] / size)
    np.minimum.at(near, image[1:][central[1:]], area[1:][central[1:]] / size)
    depth = ndimage.distance_transform_edt(
        np.pad(inside, ((0, 0), (1, 1), (1, 1))), sampling=(1e6, 1, 1)
    )[:, 1:-1, 1:-1]
    ridge = (depth >= ndimage.maximum_filter(depth, size=(1, 3, 3))) & inside
    narrow = np.where(ridge & (_distance_from_centre(inside.shape[1:]) < 0.2), depth, np.inf).min(
        axis=(1, 2)
    )
    counts = np.bincount(image[1:], minlength=n).astype(float)
    return np.column_stack(
        [counts, smallest, near, depth.max(axis=(1, 2)), np.where(np.isfinite(narrow), narrow, 0.0)]
    )


def _opening_losses(inside: ndarray) -> ndarray:
    """Return, for each radius, the share that an opening takes away, its densest spot, and what of
    it is near the centre.
    """
    from scipy import ndimage

    size, near = inside[0].size, _distance_from_centre(inside.shape[1:]) < 0.2
    out = []
    for radius in RADII:
        span = np.arange(-radius, radius + 1)
        disc = (np.hypot(span[:, None], span[None, :]) <= radius + 0.3)[None]
        gone = (inside & ~_open_regions(inside, disc, radius)).astype(np.float32)
        spot = ndimage.uniform_filter(gone, size=(1, 5, 5)).max(axis=(1, 2))
        out += [gone.sum(axis=(1, 2)) / size, spot, gone[:, near].sum(axis=1) / size]
    return np.column_stack(out)


def _open_regions(inside: ndarray, disc: ndarray, radius: int) -> ndarray:
    """Return what is left where only whole discs fit.

    The image goes on beyond its edge as it is there.
    """
    from scipy import ndimage

    wide = np.pad(inside, ((0, 0), (2 * radius, 2 * radius), (2 * radius, 2 * radius)), mode="edge")
    opened = ndimage.binary_opening(wide, structure=disc)
    return opened[:, 2 * radius : -2 * radius, 2 * radius : -2 * radius]


# Gradient-boosted trees on hand-made numbers of an image.

Part = Annotated[float, Gt(0), Le(1)]


class FeaturesXGBoost(InspectionModel):
    """Gradient-boosted trees on an engineer's measurements: widths, regions, edges, and what
    openings remove.

    Dark and light are parted by Otsu's threshold; openings of several radii (granulometry, Serra
    1982) leave what is wide, and what they take away is where small defects are. The rival of a
    network: no pixel is learned from.

    Attributes:
        trees: Rounds; each has a tree a kind.
        depth: The levels of a tree.
        learning_rate: The share of each tree that is added.
        row_share: The share of the images that each tree sees.
        column_share: The share of the numbers that each tree sees.
    """

    imports = ("xgboost",)
    search_space: ClassVar[Mapping[str, Any]] = {
        "depth": {"randint": [2, 7]},
        "learning_rate": {"loguniform": [0.02, 0.3]},
        "column_share": {"uniform": [0.2, 1.0]},
    }

    trees: Annotated[Width, Small(10)] = 200
    depth: Depth = 4
    learning_rate: Positive = 0.1
    row_share: Part = 0.7
    column_share: Part = 0.5

    def learn(self, images: Images, context: RunContext) -> BoostedShapes:
        """Grow trees on the images whose kind is known."""
        import xgboost

        known = images.take(images.codes >= 0)
        given = xgboost.DMatrix(shape_numbers(known), known.codes, nthread=context.cpus)
        settings = {
            "objective": "multi:softprob",
            "num_class": len(images.kinds),
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "subsample": self.row_share,
            "colsample_bytree": self.column_share,
            "nthread": context.cpus,
            "seed": context.seed_for("xgboost"),
            "device": compute_device(context.device),
        }
        booster = xgboost.train(
            settings,
            given,
            self.trees,
            **observe_losses({}, given, learning_curve("booster", "round")),
        )
        return BoostedShapes(bytes(booster.save_raw("ubj")), context.cpus)


def shape_numbers(images: Images) -> ndarray:
    """Return the hand-made numbers of images, shape (n, numbers)."""
    return np.concatenate([measure_shapes(block) for block in images.blocks()]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class BoostedShapes(Serializable):
    """Trees of hand-made numbers.

    Attributes:
        booster: The booster in XGBoost's own format.
        cpus: Threads.
    """

    booster: bytes
    cpus: int
    knows_kinds: ClassVar[bool] = True

    def evidence(self, images: Images) -> ndarray:
        """Return the log odds of each kind up to a constant, shape (n, kinds)."""
        booster = load_booster(self.booster, self.cpus)
        return np.asarray(
            booster.inplace_predict(shape_numbers(images), predict_type="margin"), float
        )

    def saliency(self, images: Images) -> None:
        """Return None: the numbers are of the whole image."""
