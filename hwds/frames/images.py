"""Images: pictures of equal size with what each shows, good or which defect, and the board that
each was cut from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import DataError, nearest
from hwds.core.files import Displayed, Readable, digest_bytes
from hwds.frames.columns import read_arrow

IMAGE, BOARD, KIND = "image", "board", "kind"
"""The names that these columns have in all images, whatever they were called in the user's file."""

BLOCK = 512
"""Images that are read at once: a constant, for other sizes have other last bits."""

CHANNELS = (1, 3)
"""Grey, and red, green and blue."""


@dataclass(frozen=True, eq=False)
class Images(Displayed):
    """Images of one size, 8 bits a channel.

    A table does not carry them: a row of pixels is no column that a role says the use of, and
    thousands of them are mapped from a file, not held. Some of the images (`take`) share the store
    of all: only their places are kept, and pixels are read when they are asked for.

    Attributes:
        data: One row an image, in order: `image`, its name; `board`, what it was cut from, which
            stays on one side of a cut; `kind`, what it shows, null where it is not known; and
            static columns.
        store: Pixels of all images, 0 to 255, shape (m, height, width, channels); mapped from a
            file where there is one.
        places: The place of each image in the store, shape (n,).
        kinds: What an image may show: the good kind first, then the defects.
    """

    data: DataFrame
    store: ndarray
    places: ndarray
    kinds: tuple[str, ...]

    @classmethod
    def build(
        cls, data: DataFrame, pixels: ndarray, *, good: str = "ok", kinds: Sequence[str] = ()
    ) -> Images:
        """Return checked images.

        Args:
            data: `image`, `board`, `kind` and static columns, a row an image.
            pixels: Numbers of type uint8, shape (n, height, width) or (n, height, width, channels).
            good: The kind of an image without a defect.
            kinds: The defects, in the order of tables; those of the data, by name, where none are
                given.

        Raises:
            DataError: No images, pixels of another type or shape, a name that stands twice, a
                missing board, or a kind that is not among those given.
        """
        shape = pixels.shape if pixels.ndim == 4 else (*pixels.shape, 1)
        if not len(data) or len(data) != len(pixels):
            raise DataError(
                f"dataset: {len(pixels):,} images and {len(data):,} rows that say what they show."
            )
        if pixels.dtype != np.uint8 or len(shape) != 4 or shape[3] not in CHANNELS:
            wanted = (
                "whole numbers of 8 bits, shape (images, height, width) or with 1 or 3 "
                "channels behind"
            )
            raise DataError(
                f"dataset: pixels must be {wanted}, got {pixels.dtype} of shape {pixels.shape}."
            )
        rows = data.with_columns(col(IMAGE, BOARD, KIND).cast(pl.String))
        _refuse_rows(rows)
        order = (good, *(kinds or sorted(set(rows[KIND].drop_nulls()) - {good})))
        wrong = rows.filter(~col(KIND).is_in(order))
        if len(wrong):
            name, kind = wrong.select(IMAGE, KIND).row(0)
            raise DataError(
                f"dataset: image '{name}' has the label '{kind}', which is no "
                f"kind{nearest(kind, order)}"
            )
        return cls(rows.rechunk(), pixels.reshape(shape), np.arange(len(rows)), order)

    @classmethod
    def of(
        cls,
        pixels: Any,
        kind: Any,
        *,
        board: Any = None,
        image: Any = None,
        good: str = "ok",
        **static: Any,
    ) -> Images:
        """Return checked images of arrays.

        Args:
            pixels: Numbers of type uint8, shape (n, height, width) or (n, height, width, channels).
            kind: What each shows, None where it is not known; shape (n,).
            board: What each was cut from; each is a board of its own where it is not given.
            image: Their names; numbers where they are not given.
            good: The kind of an image without a defect.
            **static: Columns that scores are shown by.

        Raises:
            DataError: As of `build`.

        Example:
            >>> Images.of(np.zeros((2, 8, 8), np.uint8), ["ok", "open"]).kinds
            ('ok', 'open')
        """
        names = (
            [f"{place:0{len(str(len(pixels)))}d}" for place in range(len(pixels))]
            if image is None
            else list(image)
        )
        columns = {
            IMAGE: names,
            BOARD: names if board is None else list(board),
            KIND: list(kind),
        } | static
        return cls.build(DataFrame(columns, strict=False), np.asarray(pixels), good=good)

    def __repr__(self) -> str:
        height, width, channels = self.shape
        bad = int((self.codes > 0).sum())
        return (
            f"Images({self.n} of {height} x {width} x {channels} on {self.boards.n_unique()} "
            f"boards, {bad} with a defect)"
        )

    @property
    def n(self) -> int:
        """The number of images."""
        return len(self.data)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of each."""
        height, width, channels = self.store.shape[1:]
        return height, width, channels

    @property
    def good(self) -> str:
        """The kind of an image without a defect."""
        return self.kinds[0]

    @property
    def names(self) -> Series:
        """The images' names."""
        return self.data[IMAGE]

    @property
    def boards(self) -> Series:
        """The board of each."""
        return self.data[BOARD]

    @property
    def static(self) -> tuple[str, ...]:
        """The columns that scores may be shown by."""
        return tuple(name for name in self.data.columns if name not in (IMAGE, BOARD))

    @cached_property
    def codes(self) -> ndarray:
        """The number of each one's kind in `kinds`, -1 where it is not known; shape (n,)."""
        numbers = dict(zip(self.kinds, range(len(self.kinds)), strict=True))
        return (
            self.data[KIND]
            .replace_strict(numbers, default=-1, return_dtype=pl.Int64)
            .fill_null(-1)
            .to_numpy()
        )

    def pixels(self) -> ndarray:
        """Return the pixels of all, shape (n, height, width, channels)."""
        return np.asarray(self.store[self.places])

    def blocks(self) -> Iterator[ndarray]:
        """Yield the pixels of so many images at a time that memory holds what is made of them."""
        for begin in range(0, self.n, BLOCK):
            yield np.asarray(self.store[self.places[begin : begin + BLOCK]])

    def take(self, which: ndarray) -> Images:
        """Return some of the images, by a mask of shape (n,)."""
        return replace(self, data=self.data.filter(which), places=self.places[which])

    def with_kinds(self, kind: Series) -> Images:
        """Return the same images with other kinds."""
        return replace(self, data=self.data.with_columns(kind.cast(pl.String).alias(KIND)))

    def copies(self) -> tuple[int, int]:
        """Return how many images have the pixels of one of another board, and how many of these
        another kind beside them.
        """
        digests = [digest_bytes([image.tobytes()]) for block in self.blocks() for image in block]
        alike = self.data.with_columns(Series("__digest__", digests)).group_by("__digest__")
        counts = alike.agg(
            pl.len(),
            col(BOARD).n_unique().alias("boards"),
            col(KIND).n_unique().alias("several"),
        )
        shared = counts.filter(col("boards") > 1)
        return int(shared["len"].sum()), int(shared.filter(col("several") > 1)["len"].sum())

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the images hold."""
        about = json.dumps(
            [self.kinds, self.shape, self.data.to_dict(as_series=False)], default=str
        ).encode()
        return digest_bytes([about, *(block.tobytes() for block in self.blocks())])

    def write(self, folder: Path) -> None:
        """Write the images, to be mapped into the memory of workers."""
        self.data.rechunk().write_ipc(folder / "data.arrow")
        (folder / "kinds.json").write_text(json.dumps(self.kinds))
        shape = (self.n, *self.shape)
        mapped = np.lib.format.open_memmap(
            folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape
        )
        for number, block in enumerate(self.blocks()):
            mapped[number * BLOCK : number * BLOCK + len(block)] = block
        mapped.flush()

    @classmethod
    def read(cls, folder: Readable) -> Images:
        """Return the images that `write` wrote."""
        data = read_arrow(folder / "data.arrow")
        return cls(
            data,
            _read_pixels(folder / "pixels.npy"),
            np.arange(len(data)),
            tuple(json.loads((folder / "kinds.json").read_bytes())),
        )


def _read_pixels(file: Readable) -> ndarray:
    """Return the array of a `.npy` without a copy: mapped into memory, or where it is already."""
    if isinstance(file, Path):
        return np.load(file, mmap_mode="r", allow_pickle=False)
    content = file.read_bytes()
    stored = BytesIO(content)
    np.lib.format.read_magic(stored)
    shape, _, kind = np.lib.format.read_array_header_1_0(stored)
    return np.frombuffer(content, kind, offset=stored.tell()).reshape(shape)


def _refuse_rows(rows: DataFrame) -> None:
    """Refuse a row without a name or a board, and a name that stands twice."""
    for column in (IMAGE, BOARD):
        missing = rows[column].is_null().arg_true()
        if len(missing):
            raise DataError(f"dataset: row {missing[0] + 1} has no {column}.")
    twice = rows.filter(col(IMAGE).is_duplicated())
    if len(twice):
        raise DataError(f"dataset: two images have the name '{twice[IMAGE][0]}'.")
