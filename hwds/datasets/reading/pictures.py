"""Arrays and pictures of a user: npz archives, and folders of PNG or JPEG.

Pictures are read one by one into a mapped file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy import ndarray

from hwds.core.errors import DataError, nearest

MODES = {"1": 1, "L": 1, "LA": 1, "P": 3, "RGB": 3, "RGBA": 3, "CMYK": 3, "YCbCr": 3}
"""Modes of pictures of 8 bits a channel or fewer, with the channels that they become."""

PICTURES = (".png", ".jpg", ".jpeg")


def open_archive(file: Path, needed: Sequence[str]) -> dict[str, ndarray]:
    """Return arrays of an npz archive.

    Args:
        file: The archive.
        needed: Names of its arrays.

    Raises:
        DataError: It cannot be read, or an array is missing.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            missing = next((name for name in needed if name not in archive.files), None)
            if missing is not None:
                raise DataError(
                    f"dataset.path: '{file}' has no array "
                    f"'{missing}'{nearest(missing, archive.files)}"
                )
            return {name: archive[name] for name in needed}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise DataError(f"dataset.path: '{file}' cannot be read as npz: {_line(error)}") from error


def read_pictures(folder: Path, names: Sequence[str]) -> ndarray:
    """Return the pixels of pictures of one size, mapped from a file of no name, shape (n, height,
    width, channels).

    Sizes are read from the heads of the files before any pixel is. Pictures in grey alone have one
    channel, others three.

    Args:
        folder: Where they lie.
        names: The names of the files.

    Raises:
        DataError: One is not there, cannot be read, has more than 8 bits a channel, or another size
            than the first.
    """
    heads = [_picture_head(folder, name) for name in names]
    size = heads[0][0]
    for name, (other, _) in zip(names, heads, strict=True):
        if other != size:
            said = f"{other[0]} x {other[1]} pixels, and '{names[0]}' {size[0]} x {size[1]}"
            raise DataError(f"dataset.path: image '{name}' has {said}; all must have one size.")
    channels = max(count for _, count in heads)
    with tempfile.TemporaryFile() as file:
        shape = (len(names), size[1], size[0], channels)
        pixels = np.memmap(file, np.uint8, "w+", shape=shape)
        for place, name in enumerate(names):
            pixels[place] = _pixels(folder, name, channels).reshape(shape[1:])
    return pixels


def _picture_head(folder: Path, name: str) -> tuple[tuple[int, int], int]:
    """Return width and height of a picture, and its channels."""
    picture = _open_picture(folder, name)
    with picture:
        if picture.mode not in MODES:
            raise DataError(
                f"dataset.path: image '{name}' is of mode {picture.mode}; it must have 8 bits a "
                f"channel."
            )
        grey = MODES[picture.mode] == 1
        return picture.size, 1 if grey else 3


def _pixels(folder: Path, name: str, channels: int) -> ndarray:
    with _open_picture(folder, name) as picture:
        try:
            return np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise DataError(
                f"dataset.path: image '{name}' cannot be read: {_line(error)}"
            ) from error


def _open_picture(folder: Path, name: str) -> Any:
    from PIL import Image

    path = folder / name
    if not path.is_file():
        raise DataError(f"dataset.path: there is no image '{name}' below '{folder}'.")
    try:
        return Image.open(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"dataset.path: image '{name}' cannot be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
