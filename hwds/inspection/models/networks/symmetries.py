"""The turns and reflections of an image under which what it shows stays the same, and small shifts."""

from __future__ import annotations

from typing import Literal

import numpy as np

Symmetry = Literal["all", "flips", "none"]


def views_of(symmetry: Symmetry, shape: tuple[int, int, int]) -> tuple[tuple[int, bool, bool], ...]:
    """Return the views of an image: whether its axes change places, and whether it is turned upside down and left to right.

    Args:
        symmetry: `all` eight of a square (four of another rectangle), the four reflections of `flips`, or the image alone.
        shape: Height, width and channels.
    """
    if symmetry == "none":
        return ((0, False, False),)
    turned = (0, 1) if symmetry == "all" and shape[0] == shape[1] else (0,)
    return tuple((axes, up, left) for axes in turned for up in (False, True) for left in (False, True))


def seen(pixels: np.ndarray, view: tuple[int, bool, bool]) -> np.ndarray:
    """Return images in one of their views, shape (n, height, width, channels)."""
    axes, up, left = view
    out = pixels.transpose(0, 2, 1, 3) if axes else pixels
    out = out[:, ::-1] if up else out
    return out[:, :, ::-1] if left else out


def unseen(maps: np.ndarray, view: tuple[int, bool, bool]) -> np.ndarray:
    """Return maps of images in one of their views as maps of the images, shape (n, height, width)."""
    axes, up, left = view
    out = maps[:, :, ::-1] if left else maps
    out = out[:, ::-1] if up else out
    return out.transpose(0, 2, 1) if axes else out


def augmented(pixels: np.ndarray, symmetry: Symmetry, shift: int, rng: np.random.Generator) -> np.ndarray:
    """Return each image in a view of its own, moved by up to some pixels, the edge repeated; the same shape.

    Args:
        pixels: Shape (n, height, width, channels).
        symmetry: The views.
        shift: Pixels along each axis at most.
        rng: Draws view and shift.
    """
    views = views_of(symmetry, pixels.shape[1:])
    out, chosen = np.empty_like(pixels), rng.integers(0, len(views), len(pixels))
    for number, view in enumerate(views):
        mine = chosen == number
        out[mine] = seen(pixels[mine], view)
    moves = rng.integers(-shift, shift + 1, (len(pixels), 2))
    rows, columns = (
        np.clip(np.arange(size) + moves[:, axis, None], 0, size - 1) for axis, size in enumerate(pixels.shape[1:3])
    )
    return np.asarray(out[np.arange(len(out))[:, None, None], rows[:, :, None], columns[:, None, :]])
